/* model/queue.h - the policy of a queue, as rules say it and the store keeps it. A slot of a queue is a key and a matrix
 * cell; `limit` jobs run in it at once, and `busy` says what one more does. Pure; any thread. */
#pragma once
#include <stdint.h>

#include "base/slice.h"

enum queue_busy {
	QUEUE_WAIT,                     /* all wait, in the order of their arrival */
	QUEUE_LATEST,                   /* only the newest waits */
	QUEUE_CANCEL,                   /* likewise, and what runs beyond the limit is stopped for it */
	QUEUE_SKIP,                     /* none waits */
};
#define QUEUE_LIMIT_MAX 1000

struct queue_policy {
	enum queue_busy busy;
	int limit;                      /* 1 to QUEUE_LIMIT_MAX */
	int64_t debounce_ms;            /* how long a job waits for a further event before it queues; 0: it does not */
	int64_t max_wait_ms;            /* the most of that, counted from its first event: >= debounce_ms */
};

const char *queue_busy_name(enum queue_busy b);         /* "latest"; static */
int queue_busy_parse(struct slice name, enum queue_busy *out) MUST_USE;         /* 0, or -1 for another word */

/* ---- what becomes of a job that comes to its slot ---- */

struct queue_scene {                    /* what it finds there; what nobody asks for may be 0 */
	int running;
	int staying;                    /* of those, not asked to end; for QUEUE_CANCEL */
	int waiting;                    /* queued, and without a claim; for QUEUE_SKIP */
	int is_like_debouncing, is_like_waiting;        /* one that was never claimed is there, and both are to merge */
};
enum queue_fate {
	QUEUE_IS_QUEUED,
	QUEUE_IS_DEBOUNCED,
	QUEUE_MERGES_DEBOUNCING,        /* no job of its own: the one there takes it in, and waits on */
	QUEUE_MERGES_WAITING,
	QUEUE_IS_SKIPPED,
};
struct queue_decision {
	enum queue_fate fate;
	int replaces_debouncing, replaces_waiting;      /* 1: all others in that state end as superseded */
	int n_stopped;                  /* of those staying, the oldest first */
};
struct queue_decision queue_on_arrival(const struct queue_policy *p, const struct queue_scene *s);
/* The same where there is no debounce, or once it is over. */
struct queue_decision queue_on_entry(const struct queue_policy *p, const struct queue_scene *s);
/* Until when an event that comes now is waited out. LATEST_MS: the bound that an earlier event of the slot has set, 0: none;
 * in *latest_ms is left what holds for later ones. */
int64_t queue_due_ms(const struct queue_policy *p, int64_t now_ms, int64_t *latest_ms);
