/* front/auth.h - who may do what. Without users configured: reads on loopback listeners for requests that name us by one
 * of our own names (a page elsewhere that had its name point at 127.0.0.1 does not know them); on the control socket
 * everything, for whoever proves the key, since a step of a job runs under our uid and reaches the socket too. */
#pragma once
#include "base/err.h"
#include "front/http.h"

struct edition;

#define CONTROL_KEY_FILE "control.key"

enum need { NEED_READ, NEED_WRITE };

/* The key in KEY: 32 random bytes as hex, that of an earlier start where it is whole and no one else could read it, else a
 * fresh one, put into the state folder with mode 0600. */
int auth_make_key(int state_dirfd, char key[65], struct err *e) MUST_USE;
/* 1 allowed; 0: the request has been answered with what is missing. On the loop's thread. */
int auth_allows(struct http_request *r, const struct edition *ed, const char *key, enum need need);
/* 1 where the bound socket FD is reachable from this host alone: loopback, or a unix socket. */
int auth_is_loopback(int fd);
