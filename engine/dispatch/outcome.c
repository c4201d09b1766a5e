/* dispatch/outcome.c - the journal's end, backwards: the runner's last event, and the one before it. */
#include "dispatch/outcome.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/event.h"
#include "journal/file.h"
#include "store/store.h"

#define SHORT_TAIL 8192                 /* enough for most ends; else all that two events can take */

/* The last event but one, in *event; 0: none begins within TAIL. */
static int find_event(struct slice tail, int is_whole, struct slice *event)
{
	struct slice last = tail.len ? slice_upto(tail, tail.len - 1) : SLICE_NULL;
	size_t end = journal_settled(last);

	if (!end)
		return 0;
	size_t begin = journal_settled(slice_upto(tail, end - 1));
	if (!begin && !is_whole)
		return 0;
	*event = slice_from(slice_upto(tail, end), begin);
	return 1;
}

static void take(json_t *data, struct finish *r)
{
	json_t *outputs = json_object_get(data, "outputs"), *emits = json_object_get(data, "emits"), *one;
	size_t i;

	if (json_object_size(outputs))
		r->outputs_json = json_dumps(outputs, JSON_COMPACT);
	r->emits = xcalloc(json_array_size(emits) + 1, sizeof *r->emits);
	json_array_foreach(emits, i, one) {
		const char *name = json_string_value(json_object_get(one, "name"));
		char *text = json_dumps(json_object_get(one, "data"), JSON_COMPACT);
		if (!name || !text) {
			free(text);
			continue;
		}
		r->emits[r->n_emits++] = (struct emitted){ xstrdup(name), text };
	}
}

int outcome_read(int journals_dirfd, struct finish *r, struct err *e)
{
	CLEANUP(fd_closep) int fd = -1;
	CLEANUP(buf_fini) struct buf tail = BUF(2 * JOURNAL_EVENT_MAX);
	static const int64_t spans[] = { SHORT_TAIL, 2 * JOURNAL_EVENT_MAX };
	int64_t length = r->result.log_bytes;
	struct journal_event event;
	struct slice bytes = SLICE_NULL;

	if (length == 0)
		return 0;
	fd = journal_open(journals_dirfd, r->result.job, r->result.attempt, e);
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < COUNT(spans); i++) {
		if (journal_read_tail(fd, length, spans[i], &tail, e) < 0)
			return -1;
		if (find_event(buf_slice(&tail), length <= spans[i], &bytes) || length <= spans[i])
			break;
	}
	if (!bytes.len || journal_decode(bytes, &event) <= 0 || !slice_eq(event.kind, SLICE("outcome")))
		return 0;
	json_t *data = json_loadb(event.data.ptr, event.data.len, 0, NULL);
	take(data, r);
	json_decref(data);
	return 0;
}
