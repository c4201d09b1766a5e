/* model/queue.c - the words of a queue's policy, and what they mean.
 *
 * A slot has two stages. A debounced job waits in the first until its burst is over; then it enters the second, the queue, as if it
 * had come that moment. Under `latest` and `cancel` each stage holds one job, the newest; and what may merge with a job of either
 * stage goes into it. */
#include "model/queue.h"

#include <assert.h>

static const char *const names[] = {
	[QUEUE_WAIT] = "wait", [QUEUE_LATEST] = "latest", [QUEUE_CANCEL] = "cancel", [QUEUE_SKIP] = "skip",
};
static_assert(COUNT(names) == QUEUE_SKIP + 1, "a policy without a name");

const char *queue_busy_name(enum queue_busy b)
{
	return b <= QUEUE_SKIP ? names[b] : "unknown";
}

int queue_busy_parse(struct slice name, enum queue_busy *out)
{
	for (int b = QUEUE_WAIT; b <= QUEUE_SKIP; b++)
		if (slice_eq(name, slice_of(names[b]))) {
			*out = (enum queue_busy)b;
			return 0;
		}
	return -1;
}

static int keeps_newest(const struct queue_policy *p)
{
	return p->busy == QUEUE_LATEST || p->busy == QUEUE_CANCEL;
}

static int to_stop(const struct queue_policy *p, const struct queue_scene *s)
{
	int over = s->staying + 1 - p->limit;
	return p->busy == QUEUE_CANCEL && over > 0 ? over : 0;
}

struct queue_decision queue_on_entry(const struct queue_policy *p, const struct queue_scene *s)
{
	if (p->busy == QUEUE_SKIP && s->running + s->waiting >= p->limit)
		return (struct queue_decision){ .fate = QUEUE_IS_SKIPPED };
	return (struct queue_decision){ .fate = QUEUE_IS_QUEUED, .replaces_waiting = keeps_newest(p), .n_stopped = to_stop(p, s) };
}

struct queue_decision queue_on_arrival(const struct queue_policy *p, const struct queue_scene *s)
{
	int newest = keeps_newest(p);

	if (s->is_like_debouncing)
		return (struct queue_decision){ .fate = QUEUE_MERGES_DEBOUNCING, .replaces_debouncing = newest };
	if (newest && s->is_like_waiting)
		return (struct queue_decision){ .fate = QUEUE_MERGES_WAITING, .replaces_debouncing = 1, .replaces_waiting = 1,
						.n_stopped = to_stop(p, s) };
	if (p->debounce_ms > 0)
		return (struct queue_decision){ .fate = QUEUE_IS_DEBOUNCED, .replaces_debouncing = newest };
	struct queue_decision d = queue_on_entry(p, s);
	d.replaces_debouncing = newest;
	return d;
}

int64_t queue_due_ms(const struct queue_policy *p, int64_t now_ms, int64_t *latest_ms)
{
	int64_t due_ms = now_ms + p->debounce_ms;

	if (!*latest_ms)
		*latest_ms = now_ms + (p->max_wait_ms > p->debounce_ms ? p->max_wait_ms : p->debounce_ms);
	return due_ms < *latest_ms ? due_ms : *latest_ms;
}
