/* front/http.h - the HTTP server seen from the front: no h2o type crosses this header. HTTP/1.1 only.
 * http.c closes the hazards of libh2o 2.2.5: see the prologue there. Everything about a request happens on its
 * loop's thread; http_post is the way in from other threads. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "front/query.h"

struct http;                                    /* the server: N loops, each a thread */
struct http_loop;                               /* one of them */
struct http_request;                            /* valid until replied to or dead */

typedef void http_handler_fn(struct http_request *r, void *arg);

struct http_options {
	int loops;                              /* threads */
	int max_connections;                    /* over all, streams included; cut to the descriptor limit less a reserve */
	int64_t body_budget_bytes;              /* of requests still arriving, over all; 0: 512 MiB. Past it the largest is cut off */
	http_handler_fn *on_request;            /* on the loop's thread; must reply, park or take over */
	void *arg;
	/* Called once per loop on its thread before it accepts: make per-loop state. Its result is http_loop_data(). */
	void *(*on_loop_start)(struct http_loop *l, void *arg);
};

int http_new(const struct http_options *o, struct http **out, struct err *e) MUST_USE;
/* CLASSES (wire/frame.h enum listen_class): HOOKS take bodies up to 25 MiB and 30 s; others 1 MiB and 10 s. FD is taken. */
int http_listen(struct http *h, int fd, int classes, struct err *e) MUST_USE;
int http_start(struct http *h, struct err *e) MUST_USE;          /* starts the threads */
/* Stop accepting, end idle connections, let replies finish, call ON_LOOP_DRAIN of each loop (end your streams there);
 * returns when no connection is left or after GRACE_MS. */
void http_drain(struct http *h, int grace_ms, void (*on_loop_drain)(struct http_loop *l, void *arg), void *arg);
/* Ends the threads and what is still open; NULL is fine. After http_drain. ON_LOOP_END (may be NULL) is called on each
 * loop's thread with its data, last of all: free your per-loop state there. */
void http_free(struct http *h, void (*on_loop_end)(struct http_loop *l, void *data));

/* ---- loops ---- */
int http_loop_count(const struct http *h);
struct http_loop *http_loop_at(struct http *h, int i);
void *http_loop_data(const struct http_loop *l);
struct mailbox *http_loop_mailbox(struct http_loop *l);          /* mail is delivered on the loop's thread with arg = the loop */
/* Call ON_READABLE on the loop's thread whenever FD (borrowed; an epoll, timer or inotify descriptor) is readable. */
int http_loop_watch(struct http_loop *l, int fd, void (*on_readable)(void *arg), void *arg) MUST_USE;

/* ---- the request, borrowed slices valid until the reply ---- */
int http_classes(const struct http_request *r);                  /* of its listener */
struct http_loop *http_request_loop(const struct http_request *r);
struct slice http_method(const struct http_request *r);
struct slice http_path(const struct http_request *r);            /* decoded, dots resolved */
struct slice http_query(const struct http_request *r);           /* raw, behind '?', may be empty */
struct slice http_body(const struct http_request *r);
int http_is_1_0(const struct http_request *r);
/* Value of header NAME (lower case). *count: how often it occurs (may be NULL). SLICE_NULL where absent. */
struct slice http_header(const struct http_request *r, const char *name, int *count);
size_t http_header_count(const struct http_request *r);
void http_header_at(const struct http_request *r, size_t i, struct slice *name, struct slice *value);
struct slice http_host(const struct http_request *r);
void http_peer(const struct http_request *r, char out[64]);      /* "127.0.0.1" or "unix" */

/* ---- answering ---- */
struct http_reply {
	int status;
	const char *content_type;               /* NULL: none */
	struct slice body;                      /* copied */
	const char *const *headers;             /* name, value, name, value, …, NULL: extra; copied. May be NULL */
	int close;                              /* end the connection after it */
};
void http_reply(struct http_request *r, const struct http_reply *reply);
/* RFC 9457 problem details: {"type":"about:blank","title":…,"status":…,"detail":…}. DETAIL is plain text. */
void http_problem(struct http_request *r, int status, const char *title, const char *detail);
/* A file's bytes FROM..FROM+LEN of FD (dup'ed), for logs and journals; headers as in reply->headers. Streams in
 * pieces; on disk reads of page cache only. */
void http_reply_file(struct http_request *r, const struct http_reply *reply, int fd, int64_t from, int64_t len);

/* To answer later: park it, keep the ticket, and on the loop's thread call http_unpark: NULL where the request died
 * meanwhile (the ticket is freed by the call in any case). */
struct http_ticket;
struct http_ticket *http_park(struct http_request *r);
struct http_request *http_unpark(struct http_ticket *t);

/* Take the connection over for a stream: sends the head (status 200, HEADERS as in reply, `transfer-encoding: chunked`
 * set by us unless HTTP/1.0) with FIRST as its first chunk, then gives the socket (owned, nonblocking, plain TCP or
 * unix) to ON_TAKEN on the loop's thread, fd -1 where the client vanished. The stream frames its own chunks
 * (is_chunked) from then on. The request is gone after the call. */
void http_take_over(struct http_request *r, const char *const *headers, struct slice first,
		    void (*on_taken)(int fd, int is_chunked, void *arg), void *arg);
/* A taken-over socket keeps its place among max_connections until it is closed by this. On the loop's thread. */
void http_taken_close(struct http_loop *l, int fd);
int http_connections(const struct http_loop *l);                 /* open now, taken-over ones included; on the loop's thread */
