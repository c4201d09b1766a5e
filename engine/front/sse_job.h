/* front/sse_job.h - a job that is watched, and its watchers: what sse_job.c, sse_send.c, sse_ephemeral.c and sse_serve.c
 * share. Inside these alone. */
#pragma once
#include "front/sse_hub.h"
#include "store/store.h"

#define EPHEMERALS_MAX 8                /* steps and kinds that are remembered of one job */

struct job_watcher {
	struct watcher w;               /* first */
	struct watched *job;
	struct tail *tail;              /* NULL: before the first attempt */
	int64_t at;                     /* what is sent, or on its way */
	uint32_t version;               /* of the state that it knows */
	LIST_ENTRY(job_watcher) of_job, of_tail;
};

/* A position on behalf of a stream of changes: no socket of its own, woken like the others. */
struct follower {
	struct job_watcher jw;          /* first */
	struct watcher *owner;
	struct journal_id wanted;
	int is_placed, is_reset;
};

struct waiting {
	STAILQ_ENTRY(waiting) next;
	struct http_ticket *ticket;
	enum watcher_kind kind;
};

struct ephemeral {
	int is_partial;
	int64_t step;
	struct chunk *chunk;            /* NULL: the place is free */
	int64_t sent_us;
	int is_waiting;
};

struct watched {
	int64_t job, change;
	enum job_state state;
	int is_loaded, is_reading, n_watchers;
	char *json;                     /* the job as in lists */
	struct chunk *state_chunk;
	uint32_t version;
	struct tail **tails;            /* by attempt */
	int n_tails;
	LIST_HEAD(, job_watcher) watchers;
	STAILQ_HEAD(, waiting) waiting;
	struct ephemeral ephemerals[EPHEMERALS_MAX];
	int is_hushed;
	TAILQ_ENTRY(watched) hushed;
};

/* ---- sse_job.c: what is known of it ---- */
struct watched *job_find(const struct sse_hub *h, int64_t job);
/* The job, perhaps not loaded yet: then its answer is on its way (job_place_followers and job_answer_waiting follow). */
struct watched *job_want(struct sse_hub *h, int64_t job);
void job_drop_idle(struct sse_hub *h, struct watched *j);       /* frees J where nobody watches it, nor is about to */
void job_clean(struct sse_hub *h, struct tail *t);
void job_soil(struct sse_hub *h, struct tail *t);               /* it has grown, or may have: looked at in this turn or soon */
struct tail *job_tail(const struct watched *j, int attempt);    /* or NULL */
struct tail *job_tail_after(const struct watched *j, const struct tail *t);     /* T NULL: the first one */
int job_open_tails(struct sse_hub *h, struct watched *j, struct err *e) MUST_USE;
struct journal_id job_last_id(const struct watched *j);         /* the position behind everything */

/* ---- sse_send.c: what they are sent ---- */
void job_live(struct job_watcher *w);
void job_unlive(struct job_watcher *w);
void job_flush_tail(struct sse_hub *h, struct tail *t);
void job_flush(struct sse_hub *h, struct watched *j);           /* all of its tails that have grown */
int job_next_attempt(struct sse_hub *h, struct job_watcher *w); /* 1: it went on to the next one */

/* ---- sse_ephemeral.c ---- */
void job_forget_partials(struct watched *j);
void job_unhush(struct sse_hub *h, struct watched *j);
int64_t job_release_hushed(struct sse_hub *h, struct watched *j, int64_t now_us);
enum stream_io job_send_ephemerals(struct job_watcher *w);      /* to one who comes late */

/* ---- sse_serve.c: requests ---- */
void job_answer_waiting(struct sse_hub *h, struct watched *j, struct waiting *w, enum store_outcome outcome);
void job_place_followers(struct sse_hub *h, struct watched *j);
