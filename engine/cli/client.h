/* cli/client.h - a small blocking HTTP/1.1 client: one request, one connection (RFC 9112). It speaks to the control socket
 * of a running server (with its key, so that writes are allowed) or to a TCP address. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define CLIENT_BODY_MAX (64 << 20)

struct client_target {
	char *state;                            /* state folder: its control.sock and control.key are used; or NULL */
	char *host;                             /* else TCP: name or address */
	int port;
	int timeout_ms;                         /* for connecting, and between two reads; 0: 30 s */
};
void client_target_fini(struct client_target *t);
/* The state folder to talk to: NAMED, else $PUSHROD_STATE, $STATE_DIRECTORY, ./state, ../state, the first that has a
 * control.sock. -1 says where was looked. */
int client_target_state(struct client_target *t, const char *named, struct err *e) MUST_USE;
/* "http://host[:port]/path" to a TCP target; *path borrows from URL. https is refused: put the request to the proxy's
 * other side, or use curl. */
int client_target_url(struct client_target *t, struct slice url, struct slice *path, struct err *e) MUST_USE;

struct client_request {
	const char *method;                     /* NULL: GET */
	struct slice path;
	struct slice header_lines;              /* "Name: value\n"…, may be empty */
	struct slice body;
	/* Streaming: called with pieces of the body as they come; other than 0 ends the request. NULL: response.body. */
	int (*on_bytes)(struct slice bytes, void *arg);
	void *arg;
};
struct client_response {
	int status;
	struct buf head;                        /* owned: the header lines */
	struct buf body;                        /* owned; at most CLIENT_BODY_MAX */
};
/* 0: an answer came (any status; when streaming only a 200 is streamed, other bodies land in response.body).
 * -1: unreachable, or silent for too long (ERR_UNAVAIL); lost once it was reached, or not HTTP (ERR_IO); ERR_LIMIT. An interrupt
 * (Ctrl-C) is ERR_UNAVAIL "interrupted". */
int client_do(const struct client_target *t, const struct client_request *r, struct client_response *out, struct err *e) MUST_USE;
void client_response_fini(struct client_response *r);
/* Value of a header in RESPONSE, SLICE_NULL where absent. */
struct slice client_header(const struct client_response *r, const char *name);
