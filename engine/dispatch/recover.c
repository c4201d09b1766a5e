/* dispatch/recover.c - read the end of a journal and judge. */
#include "dispatch/recover.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/event.h"
#include "journal/file.h"

static void say(struct job_result *r, const char *text)
{
	snprintf(r->reason, sizeof r->reason, "%s", text);
}

/* The last whole event of a journal of LENGTH settled bytes, parsed; NULL where it is no event of ours. Owned. */
static json_t *last_event(int fd, int64_t length, struct slice *kind, struct buf *tail, struct err *e)
{
	struct journal_event event;

	if (journal_read_tail(fd, length, JOURNAL_EVENT_MAX, tail, e) < 0)
		return NULL;
	struct slice before = slice_upto(buf_slice(tail), tail->len - 1);
	struct slice last = slice_from(buf_slice(tail), journal_settled(before));
	if (journal_decode(last, &event) <= 0) {
		err_set(e, ERR_IO, "journal: its last event is torn");
		return NULL;
	}
	json_t *data = json_loadb(event.data.ptr, event.data.len, 0, NULL);
	if (!data)
		err_set(e, ERR_IO, "journal: its last event holds no JSON");
	*kind = event.kind;
	return data;
}

/* 1 where DATA is how the runner says that the attempt ended. */
static int take_result(struct slice kind, json_t *data, int64_t length, struct job_result *r)
{
	const char *ended = json_string_value(json_object_get(data, "ended"));
	const char *reason = json_string_value(json_object_get(data, "reason"));
	enum job_state state;

	if (!slice_eq(kind, SLICE("attempt")) || !ended || job_state_parse(slice_of(ended), &state) < 0 ||
	    !job_state_is_final(state))
		return 0;
	r->state = state;
	r->exit_code = (int)json_integer_value(json_object_get(data, "exit"));
	r->log_bytes = length;
	say(r, reason ? reason : "");
	return 1;
}

static enum recovered again_or_lost(int fd, struct job_result *r, struct err *e)
{
	if (r->attempt < RECOVER_AGAIN_MAX) {
		char text[sizeof r->reason];
		snprintf(text, sizeof text, "the engine stopped before attempt %d began", r->attempt);
		say(r, text);
		return RECOVERED_AGAIN;
	}
	say(r, "the engine stopped again and again before it could begin");
	if (journal_finish(fd, r, 0, e) < 0)
		r->log_bytes = 0;
	return RECOVERED_LOST;
}

enum recovered recover_attempt(int journals_dirfd, int64_t job, int attempt, const char *why, struct job_result *r,
			       struct err *e)
{
	CLEANUP(buf_fini) struct buf tail = BUF(JOURNAL_EVENT_MAX + 1);
	struct slice kind = SLICE_NULL;

	*r = (struct job_result){ .job = job, .attempt = attempt, .state = JOB_LOST };
	say(r, why);
	CLEANUP(fd_closep) int fd = journal_open_append(journals_dirfd, job, attempt, e);
	if (fd < 0 && errno == ENOENT) {
		/* The front died between the claim and the journal's birth. It is born now: who reads the attempts one
		 * after the other finds an empty one, not a hole. Where even that fails, it stays true that nothing ran. */
		e->kind = 0;
		fd = journal_create(journals_dirfd, job, attempt, e);
		return again_or_lost(fd, r, e);
	}
	int64_t length = fd < 0 ? -1 : journal_settled_length(fd, e);
	if (length < 0)
		return RECOVERED_LOST;
	e->kind = 0;
	if (length == 0)
		return again_or_lost(fd, r, e);
	json_t *data = last_event(fd, length, &kind, &tail, e);
	if (data && take_result(kind, data, length, r)) {
		json_decref(data);
		return RECOVERED_ENDED;
	}
	int64_t age_ms = json_integer_value(json_object_get(data, "t"));
	json_decref(data);
	if (journal_finish(fd, r, age_ms, e) < 0)
		r->log_bytes = length;
	return RECOVERED_LOST;
}
