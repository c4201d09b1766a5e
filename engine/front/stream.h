/* front/stream.h - sockets taken over from HTTP, as a set: who can be written to, who has gone, whose time has come.
 *
 * A stream is embedded in what watches (first member). It sends chunks, or a range of a file as one chunk, and holds
 * at most one unsent chunk and one open range: a reader that does not read costs that and no more, in user memory and
 * (TCP_NOTSENT_LOWAT) in the kernel. Everything on the loop's thread. Nothing is freed inside its own callback: what
 * ends is marked and reaped at the end of the turn. */
#pragma once
#include <sys/queue.h>

#include "base/err.h"
#include "front/chunk.h"

struct http_loop;
struct stream_hub;

enum stream_io {
	STREAM_SENT = 1,                /* nothing is left to send */
	STREAM_BLOCKED,                 /* the socket is full; on_writable comes */
	STREAM_LATER,                   /* the turn's budget is spent; on_writable comes in the next turn */
	STREAM_GONE,                    /* the peer is gone */
};

struct stream {
	TAILQ_ENTRY(stream) all;
	TAILQ_ENTRY(stream) ready;
	struct chunk *left;             /* not sent whole; from left_at on */
	int64_t file_at, file_end;      /* the open range; equal where there is none */
	uint32_t left_at;
	uint32_t due;                   /* tenths of a second since the hub's start; UINT32_MAX: never */
	int fd;
	unsigned is_chunked : 1, is_ready : 1, is_lingering : 1, is_dead : 1, moved : 1, crlf_due : 1;
};

struct stream_ops {
	void (*on_writable)(struct stream *s, void *arg);
	void (*on_due)(struct stream *s, void *arg);
	void (*on_end)(struct stream *s, void *arg);            /* its socket is closed: free it */
	/* The end of a turn: do what waited, say at what mono_us to come again (INT64_MAX: no need). */
	int64_t (*on_turn)(int64_t now_us, void *arg);
};

#define STREAM_BUDGET (64 << 10)        /* bytes of a file that one stream sends in a turn */
#define STREAM_STALL_MS 60000           /* a peer that takes nothing for so long is ended */

struct stream_hub *stream_hub_new(struct http_loop *l, const struct stream_ops *ops, void *arg, struct err *e) MUST_USE;
void stream_hub_free(struct stream_hub *h);     /* ends all streams; on_end is called for each */
int stream_hub_count(const struct stream_hub *h);
/* ON_READABLE inside a turn whenever FD (borrowed) is readable. */
struct stream_source { void (*on_readable)(void *arg); void *arg; };
int stream_hub_watch(struct stream_hub *h, int fd, const struct stream_source *src) MUST_USE;   /* SRC borrowed */
/* After calls from outside of a turn (a notice, a new stream): reaps, and sets the clock. */
void stream_hub_settle(struct stream_hub *h);
/* Calls FN for each stream that lives. FN may end it. */
void stream_hub_each(struct stream_hub *h, void (*fn)(struct stream *s, void *arg), void *arg);

/* FD is taken. -1: it could not be watched; FD is closed, S is as before and on_end is not called. */
int stream_open(struct stream_hub *h, struct stream *s, int fd, int is_chunked) MUST_USE;
void stream_due(struct stream_hub *h, struct stream *s, int64_t in_ms);         /* on_due then, give or take a second */
void stream_ready(struct stream_hub *h, struct stream *s);                      /* on_writable in the next turn */
void stream_kill(struct stream_hub *h, struct stream *s);                       /* at once, whatever is left */
/* The last chunk, then an orderly close: the peer gets to read all. Nothing may be left (stream_flush). */
void stream_finish(struct stream_hub *h, struct stream *s);

int stream_is_free(const struct stream *s);                                     /* nothing is left to send */
/* Send what is left; FILE_FD is that of the open range (-1 where there is none). */
enum stream_io stream_flush(struct stream *s, int file_fd, size_t *budget);
/* The next three: only where the stream is free. C is borrowed (a reference is kept where some of it is left). */
enum stream_io stream_send(struct stream *s, struct chunk *c);
enum stream_io stream_try(struct stream *s, struct chunk *c);   /* keeps nothing where the socket takes nothing */
/* C holds the bytes FROM… of a file: where the socket takes a part, the rest stays an open range of the file; where it
 * takes nothing, nothing is kept (and the stream is still free). */
enum stream_io stream_send_of_file(struct stream *s, struct chunk *c, int64_t from);
/* FROM up to END of a file as one chunk: sent by stream_flush. */
void stream_open_range(struct stream *s, int64_t from, int64_t end);
