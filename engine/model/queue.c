/* model/queue.c - the words of a queue's policy. */
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
