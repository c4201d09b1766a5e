/* front/sse_hub.h - what the files of the streams share. Inside front/sse*.c only. */
#pragma once
#include <stdatomic.h>

#include "front/sse.h"
#include "front/stream.h"
#include "front/tail.h"
#include "journal/event.h"
#include "model/job.h"
#include "store/notice.h"

struct change;
struct follower;
struct watched;

#define GATHER_US 25000                 /* how long bytes may wait for more, at the most */
#define GATHER_SHARE 4                  /* they wait this part of what it took to send the last ones */

enum watcher_kind { WATCHES_EVENTS = 1, WATCHES_TEXT, WATCHES_CHANGES, FOLLOWS_FOR_FEED };

struct watcher {
	struct stream s;                /* first */
	uint64_t address;               /* hash of the peer's, for the cap */
	uint8_t kind;
	unsigned is_live : 1,           /* it has all there is and takes more */
		is_poll : 1, is_plain : 1,
		has_sent : 1,           /* poll mode: something worth the reply is out */
		has_joined : 1,         /* it was given what is ephemeral */
		is_over : 1;            /* its last byte is sent, or is on its way */
};

struct feed {
	LIST_HEAD(, feed_watcher) live;
	int n_live;
	int64_t last;                   /* newest change heard of */
	struct buf fresh;               /* events that wait to be sent to the live ones */
	int64_t fresh_from, fresh_to;   /* their changes */
	int64_t again_us;
	uint32_t rulesets;              /* how many rule sets came into force */
};

struct sse_hub {
	struct sse_options o;
	struct stream_hub *streams;
	int inotify_fd, folder_wd;      /* the folder is watched while a job is */
	struct stream_source growth;
	struct buf scratch;
	struct watched **jobs;          /* by id */
	size_t n_jobs, cap_jobs;
	TAILQ_HEAD(, tail) dirty;
	TAILQ_HEAD(, watched) hushed;   /* with ephemeral events that wait for their tenth of a second */
	struct address { uint64_t hash; int count; } *addresses;        /* by hash */
	size_t n_addresses, cap_addresses;
	int is_draining;
	_Atomic int count;
	struct feed feed;
};

/* ---- sse.c ---- */
/* 1: it may watch, and counts from now on (sse_release ends that). 0: the request has been answered. */
int sse_admit(struct sse_hub *h, struct http_request *r, uint64_t *address) MUST_USE;
void sse_release(struct sse_hub *h, uint64_t address);
/* An answer that makes an event stream's client come back later. */
void sse_answer_later(struct http_request *r);
/* Take R over for W (owned by the hub from here on), beginning with FIRST. */
void sse_begin(struct sse_hub *h, struct http_request *r, struct watcher *w, struct slice first);
/* Last-Event-ID, or `after=`. *from_query says which. -1: the query is malformed (answered). */
int sse_position(struct http_request *r, struct buf *out, int *from_query) MUST_USE;
int sse_is_poll(struct http_request *r);
void sse_add_retry(struct buf *out, int is_poll);
void sse_add_event(struct buf *out, const char *kind, struct slice id, struct slice data);      /* ID empty: none */
void sse_io(struct sse_hub *h, struct watcher *w, enum stream_io io);   /* what follows from it for due times, and for the dead */
enum stream_io sse_send(struct watcher *w, struct slice text);  /* copied; only where the stream is free */
/* News was sent to all from BEGAN_US till now: when the next may be. */
int64_t sse_again_us(int64_t began_us);

/* ---- sse_job.c, sse_send.c, sse_ephemeral.c, sse_serve.c ---- */
void job_advance(struct sse_hub *h, struct watcher *w);
void job_due(struct sse_hub *h, struct watcher *w);
void job_watcher_free(struct sse_hub *h, struct watcher *w);
void job_on_change(struct sse_hub *h, const struct change *c);
void job_on_growth(struct sse_hub *h, int64_t job, int attempt);
void job_on_growth_of_any(struct sse_hub *h);           /* the kernel dropped some news of growth */
void job_on_ephemeral(struct sse_hub *h, int64_t job, int attempt, struct slice text);
int64_t job_turn(struct sse_hub *h, int64_t now_us);
void job_free_all(struct sse_hub *h);

/* A position in JOB's journals that wakes OWNER (by feed_advance) when there is more. Owned. */
struct follower *job_follow(struct sse_hub *h, struct watcher *owner, const struct journal_id *from);
void job_unfollow(struct sse_hub *h, struct follower *f);
struct journal_id follower_at(const struct follower *f);
/* Append the next whole events, about MOST bytes, as they stand. 1: there were some; 0: none now, OWNER is woken; -1: the
 * journal cannot be read. */
int follower_take(struct sse_hub *h, struct follower *f, size_t most, struct buf *out);

/* ---- sse_feed.c ---- */
void feed_advance(struct sse_hub *h, struct watcher *w);
void feed_due(struct sse_hub *h, struct watcher *w);
void feed_watcher_free(struct sse_hub *h, struct watcher *w);
void feed_on_notice(struct sse_hub *h, const struct notice *n);
void feed_on_ruleset(struct sse_hub *h);
int64_t feed_turn(struct sse_hub *h, int64_t now_us);
void feed_fini(struct sse_hub *h);
