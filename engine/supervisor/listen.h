/* supervisor/listen.h - bind what the roles will accept on. One thread. */
#pragma once
#include "base/err.h"
#include "base/buf.h"

/* A listening TCP socket on ADDRESS ("host:port", "[v6]:port"); owned. *bound gets "127.0.0.1:8787", the port that was
 * taken included. The message names the address and what is wrong with it. */
int listen_tcp(const char *address, struct buf *bound, struct err *e) MUST_USE;
/* STATE/control.sock, 0600; a stale one is replaced: the caller holds the state folder's lock. */
int listen_control(int state_dirfd, struct err *e) MUST_USE;
