/* front/sse_ephemeral.c - the unfinished line and the progress of now: never in the journal, without an id, at most ten times
 * a second, and the last one of each step for those who come late. */
#include "front/sse_job.h"

#include <jansson.h>

#include "base/clock.h"

#define EPHEMERAL_MAX_BYTES (16 << 10)
#define EPHEMERAL_GAP_US 100000

/* What has been printed to its end is a log event now. */
void job_forget_partials(struct watched *j)
{
	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct ephemeral *p = &j->ephemerals[i];
		if (!p->is_partial || !p->chunk)
			continue;
		chunk_unref(p->chunk);
		*p = (struct ephemeral){ 0 };
	}
}

enum stream_io job_send_ephemerals(struct job_watcher *w)
{
	CLEANUP(buf_fini) struct buf b = BUF(EPHEMERALS_MAX * (EPHEMERAL_MAX_BYTES + 64));

	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct chunk *c = w->job->ephemerals[i].chunk;
		if (c)
			buf_add(&b, (struct slice){ c->bytes + c->head, c->payload });
	}
	return b.len ? sse_send(&w->w, buf_slice(&b)) : STREAM_SENT;
}

/* The place of KIND and STEP: its own, else the first free one, else that of the oldest. */
static struct ephemeral *ephemeral_at(struct watched *j, int is_partial, int64_t step)
{
	struct ephemeral *free_one = NULL, *oldest = &j->ephemerals[0];

	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct ephemeral *p = &j->ephemerals[i];
		if (p->chunk && p->is_partial == is_partial && p->step == step)
			return p;
		if (!p->chunk && !free_one)
			free_one = p;
		if (p->sent_us < oldest->sent_us)
			oldest = p;
	}
	struct ephemeral *to = free_one ? free_one : oldest;
	chunk_unref(to->chunk);
	*to = (struct ephemeral){ .is_partial = is_partial, .step = step };
	return to;
}

static void send_ephemeral(struct sse_hub *h, struct watched *j, struct ephemeral *p, int64_t now_us)
{
	struct tail *t = j->n_tails ? j->tails[j->n_tails - 1] : NULL;
	struct job_watcher *w, *after;

	p->is_waiting = 0;
	p->sent_us = now_us;
	for (w = t ? LIST_FIRST(&t->live) : NULL; w; w = after) {
		after = LIST_NEXT(w, of_tail);
		if (w->w.kind != WATCHES_EVENTS || w->w.is_poll || w->w.is_over || w->w.s.is_dead)
			continue;
		enum stream_io io = stream_try(&w->w.s, p->chunk);
		if (io == STREAM_BLOCKED && stream_is_free(&w->w.s))
			continue;       /* it will get the next one */
		if (io != STREAM_SENT)
			job_unlive(w);
		sse_io(h, &w->w, io);
	}
}

void job_on_ephemeral(struct sse_hub *h, int64_t job, int attempt, struct slice text)
{
	CLEANUP(buf_fini) struct buf b = BUF(EPHEMERAL_MAX_BYTES + 64);
	struct watched *j = job_find(h, job);
	struct slice kind, data;
	int64_t step = 0, now = mono_us();

	if (!j || !j->n_tails || j->tails[j->n_tails - 1]->attempt != attempt || text.len > EPHEMERAL_MAX_BYTES ||
	    !slice_cut(text, ' ', &kind, &data) || slice_chr(data, '\n') >= 0 || slice_chr(data, '\r') >= 0)
		return;
	int is_partial = slice_eq(kind, SLICE("partial"));
	if (!is_partial && !slice_eq(kind, SLICE("progress")))
		return;
	json_t *o = json_loadb(data.ptr, data.len, 0, NULL);
	step = json_integer_value(json_object_get(o, "s"));
	int is_object = json_is_object(o);
	json_decref(o);
	if (!is_object)
		return;
	job_flush(h, j);                        /* the lines before it first */
	struct ephemeral *p = ephemeral_at(j, is_partial, step);
	sse_add_event(&b, is_partial ? "partial" : "progress", SLICE_NULL, data);
	chunk_unref(p->chunk);
	p->chunk = chunk_new(buf_slice(&b));
	if (now - p->sent_us >= EPHEMERAL_GAP_US) {
		send_ephemeral(h, j, p, now);
		return;
	}
	p->is_waiting = 1;
	if (!j->is_hushed)
		TAILQ_INSERT_TAIL(&h->hushed, j, hushed);
	j->is_hushed = 1;
}

/* When the next of its ephemeral events may go out; sends those that may now. */
int64_t job_release_hushed(struct sse_hub *h, struct watched *j, int64_t now_us)
{
	int64_t next = INT64_MAX;

	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct ephemeral *p = &j->ephemerals[i];
		if (!p->chunk || !p->is_waiting)
			continue;
		int64_t at = p->sent_us + EPHEMERAL_GAP_US;
		if (at <= now_us)
			send_ephemeral(h, j, p, now_us);
		else if (at < next)
			next = at;
	}
	if (next == INT64_MAX)
		job_unhush(h, j);
	return next;
}
