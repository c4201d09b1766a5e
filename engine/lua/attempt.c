/* lua/attempt.c - the attempt that this process runs: its ending, its steps. */
#include "lua/attempt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "wire/frame.h"

int attempt_read_spec(struct attempt *a, struct slice bytes, struct err *e)
{
	struct slice length, rest;
	int64_t n;
	json_error_t bad;

	if (!slice_cut(bytes, '\n', &length, &rest) || slice_to_i64(length, 0, (int64_t)rest.len, &n) < 0)
		return err_set(e, ERR_BUG, "the specification does not begin with the length of its payload");
	a->payload_text = slice_upto(rest, (size_t)n);
	struct slice object = slice_from(rest, (size_t)n);
	a->spec = json_loadb(object.ptr, object.len, 0, &bad);
	return a->spec ? 0 : err_set(e, ERR_BUG, "the specification: %s", bad.text);
}

const json_t *attempt_payload(struct attempt *a)
{
	if (!a->payload && a->payload_text.len)
		a->payload = json_loadb(a->payload_text.ptr, a->payload_text.len, JSON_DECODE_ANY, NULL);
	return a->payload;
}

const char *attempt_text(const struct attempt *a, const char *key)
{
	const char *s = json_string_value(json_object_get(a->spec, key));
	return s ? s : "";
}

int64_t attempt_number(const struct attempt *a, const char *key)
{
	return json_integer_value(json_object_get(a->spec, key));
}

void attempt_end(struct attempt *a, enum ending ending, const char *why)
{
	if (a->ending != ENDING_NONE)
		return;
	a->ending = ending;
	snprintf(a->reason, sizeof a->reason, "%s", why);
}

void attempt_listen(struct attempt *a)
{
	CLEANUP(buf_fini) struct buf scratch = BUF(FRAME_MAX_TEXT + 128);
	struct frame f;

	if (a->in.control_fd < 0)
		return;
	switch (frame_recv(a->in.control_fd, PEER_RUNNER_OF_JOB, &scratch, &f)) {
	case FRAME_AGAIN:
		return;
	case FRAME_OK:
		break;
	case FRAME_EOF:
	case FRAME_BAD:
		close(a->in.control_fd);
		a->in.control_fd = -1;
		attempt_end(a, ENDING_CANCEL, "the runner is gone");
		return;
	}
	if (f.type != FRAME_CANCEL)
		return;
	CLEANUP(freep) char *why = slice_dup(f.text);
	attempt_end(a, ENDING_CANCEL, *why ? why : "cancelled");
}

int attempt_is_stopped(struct attempt *a)
{
	attempt_listen(a);
	return a->is_deferring ? mono_ms() >= a->defer_until_ms : a->ending == ENDING_CANCEL;
}

static int write_step(struct attempt *a, int number, const char *name, const char *state, int exit_code, int64_t ms,
		      struct err *e)
{
	CLEANUP(buf_fini) struct buf data = BUF(8192), masked = BUF(4096);

	buf_addf(&data, "{\"t\":%lld,\"s\":%d", (long long)journal_writer_age_ms(a->w), number);
	if (name) {
		mask_text(journal_writer_mask(a->w), slice_upto(slice_of(name), 200), &masked);
		buf_adds(&data, ",\"name\":");
		buf_add_json(&data, buf_slice(&masked));
	}
	buf_addf(&data, ",\"state\":\"%s\"", state);
	if (ms >= 0)
		buf_addf(&data, ",\"exit\":%d,\"ms\":%lld", exit_code, (long long)ms);
	buf_addc(&data, '}');
	return journal_write(a->w, "step", buf_slice(&data), e);
}

int attempt_step_begin(struct attempt *a, const char *name, struct outer_step *outer, struct err *e)
{
	*outer = (struct outer_step){ .number = a->step, .name = a->step_name, .began_ms = mono_ms() };
	outer->joined = outer->name ? xprintf("%s \xe2\x80\xba %s", outer->name, name) : xstrdup(name);
	a->step = ++a->n_steps;
	a->step_name = outer->joined;
	return write_step(a, a->step, a->step_name, "running", 0, -1, e);
}

int attempt_step_end(struct attempt *a, const char *state, int exit_code, struct outer_step *outer, struct err *e)
{
	int r = write_step(a, a->step, NULL, state, exit_code, mono_ms() - outer->began_ms, e);

	a->step = outer->number;
	a->step_name = outer->name;
	free(outer->joined);
	outer->joined = NULL;
	return r;
}

int attempt_step_skipped(struct attempt *a, const char *name, struct err *e)
{
	return write_step(a, ++a->n_steps, name, "skipped", 0, 0, e);
}
