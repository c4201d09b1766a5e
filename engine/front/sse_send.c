/* front/sse_send.c - what the watchers of a job are sent, and when.
 *
 * In order: each attempt's journal, byte for byte; whenever a watcher has all there is, the newest state if that is
 * another, and what is ephemeral; behind the last attempt of a final job the `end`. Blocks that are not of the journal
 * are sent only between events: where a watcher has everything, or before it has anything. Growth is read once and sent
 * to all live ones; whoever cannot take it goes on from the file at its own pace. */
#include "front/sse_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/text.h"

#define PIECES_PER_TURN 4
#define SMALL_BYTES (16 << 10)          /* up to this a watcher that is behind is sent bytes, beyond it a range of the file */

/* ---- what one watcher is sent ---- */

void job_unlive(struct job_watcher *w)
{
	if (!w->w.is_live)
		return;
	w->w.is_live = 0;
	if (!w->tail)
		return;
	LIST_REMOVE(w, of_tail);
	w->tail->n_live--;
}

void job_live(struct job_watcher *w)
{
	w->w.is_live = 1;
	if (!w->tail)
		return;
	LIST_INSERT_HEAD(&w->tail->live, w, of_tail);
	w->tail->n_live++;
}

/* The next events as text. A watcher of text holds one converted piece while its socket is full. */
static enum stream_io send_as_text(struct sse_hub *h, struct job_watcher *w)
{
	CLEANUP(buf_fini) struct buf out = BUF(4 << 20);
	int64_t left = w->tail->settled - w->at;

	for (size_t want = STREAM_BUDGET;; want = JOURNAL_EVENT_MAX + STREAM_BUDGET) {
		buf_clear(&h->scratch);
		if (tail_read(w->tail, w->at, (size_t)(left < (int64_t)want ? left : (int64_t)want), &h->scratch) < 0)
			return STREAM_GONE;
		size_t used = text_of_events(buf_slice(&h->scratch), w->w.is_plain ? TEXT_PLAIN : TEXT_AS_PRINTED, &out);
		w->at += (int64_t)used;
		if (used)
			break;
		if (want > STREAM_BUDGET)
			return STREAM_GONE;
	}
	enum stream_io io = out.len ? sse_send(&w->w, buf_slice(&out)) : STREAM_SENT;
	return io == STREAM_SENT && w->at < w->tail->settled ? STREAM_LATER : io;
}

/* Bring a watcher that is free and behind nearer to the tail. */
static enum stream_io send_next(struct sse_hub *h, struct job_watcher *w)
{
	int64_t from = w->at, left = w->tail->settled - from;

	w->w.has_sent = 1;
	if (w->w.kind == WATCHES_TEXT)
		return send_as_text(h, w);
	w->at = w->tail->settled;
	if (left > SMALL_BYTES) {
		stream_open_range(&w->w.s, from, w->at);
		return STREAM_SENT;
	}
	buf_clear(&h->scratch);
	if (tail_read(w->tail, from, (size_t)left, &h->scratch) < 0)
		return STREAM_GONE;
	struct chunk *c = chunk_new(buf_slice(&h->scratch));
	enum stream_io io = stream_send_of_file(&w->w.s, c, from);
	chunk_unref(c);
	if (io == STREAM_BLOCKED && stream_is_free(&w->w.s))
		w->at = from;
	return io;
}

static enum stream_io send_end(struct job_watcher *w)
{
	CLEANUP(buf_fini) struct buf id = BUF(128);
	CLEANUP(buf_fini) struct buf b = BUF(1 << 20);
	struct journal_id at = job_last_id(w->job);

	at.is_end = 1;
	journal_id_add(&id, &at);
	sse_add_event(&b, "end", buf_slice(&id), slice_of(w->job->json));
	return sse_send(&w->w, buf_slice(&b));
}

static enum stream_io send_beat(struct job_watcher *w)
{
	CLEANUP(buf_fini) struct buf id = BUF(128);
	CLEANUP(buf_fini) struct buf b = BUF(512);
	char data[48];
	struct journal_id at = { .job = w->job->job, .attempt = w->tail ? w->tail->attempt : 0, .offset = w->at };

	journal_id_add(&id, &at);
	int n = snprintf(data, sizeof data, "{\"now_ms\":%lld}", (long long)wall_ms());
	sse_add_event(&b, "beat", buf_slice(&id), (struct slice){ data, (size_t)n });
	return sse_send(&w->w, buf_slice(&b));
}

/* Go on to the next attempt. 1: there is one, or there was need to look again; 0: this is the last for now. */
int job_next_attempt(struct sse_hub *h, struct job_watcher *w)
{
	struct tail *next = job_tail_after(w->job, w->tail);
	struct err e;

	if (w->tail && !tail_is_whole(w->tail))
		return 0;
	if (!next)
		return 0;
	if (tail_open(next, h->o.journals_dirfd, &e) < 0) {
		log_warn("a journal cannot be opened, its watcher is cut off", "job=%lld reason=\"%s\"", (long long)w->job->job,
			 e.msg);
		if (w->w.kind == FOLLOWS_FOR_FEED)
			return 0;
		stream_kill(h->streams, &w->w.s);
	}
	w->tail = next;
	w->at = 0;
	return 1;
}

/* One thing that a watcher with nothing left to send is sent next. STREAM_SENT with *idle set: there is none. */
static enum stream_io send_something(struct sse_hub *h, struct job_watcher *w, int *idle)
{
	struct watched *j = w->job;
	int is_events = w->w.kind == WATCHES_EVENTS;

	if (w->tail && w->at < w->tail->settled)
		return send_next(h, w);
	if (w->w.is_poll && w->w.has_sent && (!w->tail || !tail_is_whole(w->tail))) {
		w->w.is_over = 1;
		return STREAM_SENT;
	}
	if (job_next_attempt(h, w))
		return w->w.s.is_dead ? STREAM_GONE : STREAM_SENT;
	if (is_events && w->version != j->version) {
		w->version = j->version;
		return stream_send(&w->w.s, j->state_chunk);
	}
	if (job_state_is_final(j->state) && (!w->tail || tail_is_whole(w->tail))) {
		w->w.is_over = 1;
		return is_events ? send_end(w) : STREAM_SENT;
	}
	if (w->w.is_poll && w->w.has_sent) {
		w->w.is_over = 1;
		return STREAM_SENT;
	}
	if (is_events && !w->w.has_joined) {
		w->w.has_joined = 1;
		return job_send_ephemerals(w);
	}
	*idle = 1;
	return STREAM_SENT;
}

void job_advance(struct sse_hub *h, struct watcher *watcher)
{
	struct job_watcher *w = (struct job_watcher *)watcher;
	size_t budget = STREAM_BUDGET;
	int idle = 0;

	if (w->w.s.is_dead || w->w.s.is_lingering)
		return;
	job_unlive(w);
	if (w->w.kind == FOLLOWS_FOR_FEED) {
		feed_advance(h, ((struct follower *)w)->owner);
		return;
	}
	for (;;) {
		enum stream_io io = stream_flush(&w->w.s, w->tail ? w->tail->fd : -1, &budget);
		if (io == STREAM_SENT && w->w.is_over) {
			stream_finish(h->streams, &w->w.s);
			return;
		}
		if (io == STREAM_SENT)
			io = send_something(h, w, &idle);
		if (io != STREAM_SENT) {
			sse_io(h, &w->w, io);
			return;
		}
		if (idle)
			break;
	}
	job_live(w);
	sse_io(h, &w->w, STREAM_SENT);
	if (w->w.is_poll && w->w.s.due == UINT32_MAX)
		stream_due(h->streams, &w->w.s, h->o.poll_ms);
}

void job_due(struct sse_hub *h, struct watcher *watcher)
{
	struct job_watcher *w = (struct job_watcher *)watcher;

	if (w->w.kind == WATCHES_TEXT) {
		stream_due(h->streams, &w->w.s, STREAM_STALL_MS);
		return;
	}
	enum stream_io io = send_beat(w);
	w->w.is_over |= w->w.is_poll;
	if (io != STREAM_SENT)
		job_unlive(w);
	if (w->w.is_over && io == STREAM_SENT) {
		job_unlive(w);
		stream_finish(h->streams, &w->w.s);
		return;
	}
	sse_io(h, &w->w, io);
}

void job_watcher_free(struct sse_hub *h, struct watcher *watcher)
{
	struct job_watcher *w = (struct job_watcher *)watcher;
	struct watched *j = w->job;

	job_unlive(w);
	LIST_REMOVE(w, of_job);
	j->n_watchers--;
	free(w);
	job_drop_idle(h, j);
}

/* ---- growth ---- */

/* One piece, read once, for all that have what was before it. */
static void send_to_live(struct sse_hub *h, struct tail *t, struct slice piece, int64_t from)
{
	struct chunk *c = chunk_new(piece);
	struct job_watcher *w, *after;

	for (w = LIST_FIRST(&t->live); w; w = after) {
		after = LIST_NEXT(w, of_tail);
		if (w->w.is_over || w->w.s.is_dead)
			continue;
		if (w->w.kind != WATCHES_EVENTS || w->w.is_poll) {
			job_unlive(w);
			job_advance(h, &w->w);
			continue;
		}
		enum stream_io io = stream_send_of_file(&w->w.s, c, from);
		if (io == STREAM_SENT || !stream_is_free(&w->w.s))
			w->at = t->settled;
		if (io != STREAM_SENT)
			job_unlive(w);
		sse_io(h, &w->w, io);
	}
	chunk_unref(c);
}

static void wake_live(struct sse_hub *h, struct tail *t)
{
	struct job_watcher *w, *after;

	for (w = LIST_FIRST(&t->live); w; w = after) {
		after = LIST_NEXT(w, of_tail);
		job_unlive(w);
		job_advance(h, &w->w);
	}
}

void job_flush_tail(struct sse_hub *h, struct tail *t)
{
	struct slice piece;
	struct err e;
	int was_open = t->fd >= 0, pieces = 0, had_all = tail_is_whole(t);
	int64_t began_us = mono_us();

	if (!was_open && (!t->n_live || tail_open(t, h->o.journals_dirfd, &e) < 0)) {
		job_clean(h, t);
		return;
	}
	for (; pieces < PIECES_PER_TURN; pieces++) {
		int64_t from = t->settled;
		piece = tail_next(t, &h->scratch);
		if (!piece.len)
			break;
		struct watched *j = job_find(h, t->job);
		if (j && t->attempt == job_last_id(j).attempt)
			job_forget_partials(j);
		if (was_open)
			send_to_live(h, t, piece, from);
	}
	if (pieces < PIECES_PER_TURN)
		job_clean(h, t);
	t->again_us = sse_again_us(began_us);
	if (!was_open || (!had_all && tail_is_whole(t)))
		wake_live(h, t);
}

void job_on_growth(struct sse_hub *h, int64_t job, int attempt)
{
	struct watched *j = job_find(h, job);
	struct tail *t = j ? job_tail(j, attempt) : NULL;

	if (t)
		job_soil(h, t);
}

void job_on_growth_of_any(struct sse_hub *h)
{
	for (size_t i = 0; i < h->n_jobs; i++)
		for (int k = 0; k < h->jobs[i]->n_tails; k++)
			job_soil(h, h->jobs[i]->tails[k]);
}

void job_flush(struct sse_hub *h, struct watched *j)
{
	for (int i = 0; i < j->n_tails; i++)
		if (j->tails[i]->is_dirty)
			job_flush_tail(h, j->tails[i]);
}

int64_t job_turn(struct sse_hub *h, int64_t now_us)
{
	int64_t next = INT64_MAX;
	struct watched *j, *j_after;
	struct tail *t, *after;

	for (t = TAILQ_FIRST(&h->dirty); t; t = after) {
		after = TAILQ_NEXT(t, dirty);
		if (t->again_us <= now_us)
			job_flush_tail(h, t);
		if (t->is_dirty && t->again_us < next)
			next = t->again_us;
	}
	for (j = TAILQ_FIRST(&h->hushed); j; j = j_after) {
		j_after = TAILQ_NEXT(j, hushed);
		int64_t at = job_release_hushed(h, j, now_us);
		next = at < next ? at : next;
	}
	return next;
}
