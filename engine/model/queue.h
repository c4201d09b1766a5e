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
