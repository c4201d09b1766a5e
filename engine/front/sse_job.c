/* front/sse_job.c - the streams of jobs.
 *
 * A job that somebody watches is held in memory once per loop: its newest state, its attempts' tails, what is ephemeral.
 * It is read from the store when the first watcher comes (READ_WATCH) and kept true by notices, told apart from older
 * news by the change number; it goes with the last watcher.
 *
 * What a watcher gets, in order: the state; each attempt's journal, byte for byte; whenever it has all there is, the
 * newest state if that is another, and what is ephemeral; behind the last attempt of a final job the `end`. Blocks that
 * are not of the journal are sent only between events: where a watcher has everything, or before it has anything. */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/sse_hub.h"
#include "front/text.h"
#include "journal/event.h"
#include "store/store.h"

#define EPHEMERALS_MAX 8                /* steps and kinds that are remembered of one job */
#define EPHEMERAL_MAX_BYTES (16 << 10)
#define EPHEMERAL_GAP_US 100000
#define PIECES_PER_TURN 4
#define SMALL_BYTES (16 << 10)          /* up to this a watcher that is behind is sent bytes, beyond it a range of the file */
#define TEXT_TAIL_MAX 10000             /* lines */
#define TEXT_TAIL_BYTES (1 << 20)       /* of journal that they are looked for in */

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

/* ---- the jobs that are watched ---- */

static size_t job_at(const struct sse_hub *h, int64_t job)
{
	size_t low = 0, high = h->n_jobs;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (h->jobs[mid]->job < job)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct watched *job_find(const struct sse_hub *h, int64_t job)
{
	size_t at = job_at(h, job);

	return at < h->n_jobs && h->jobs[at]->job == job ? h->jobs[at] : NULL;
}

static void watch_folder(struct sse_hub *h)
{
	char path[64];

	if (h->folder_wd >= 0)
		return;
	snprintf(path, sizeof path, "/proc/self/fd/%d", h->o.journals_dirfd);
	h->folder_wd = inotify_add_watch(h->inotify_fd, path, IN_MODIFY);
	if (h->folder_wd < 0)
		log_error("cannot watch the journals, live logs will lag", "error=%s", strerrorname_np(errno));
}

static struct watched *job_add(struct sse_hub *h, int64_t job)
{
	struct watched *j = xcalloc(1, sizeof *j);
	size_t at = job_at(h, job);

	j->job = job;
	LIST_INIT(&j->watchers);
	STAILQ_INIT(&j->waiting);
	if (h->n_jobs == h->cap_jobs) {
		h->cap_jobs = h->cap_jobs ? h->cap_jobs * 2 : 16;
		h->jobs = xrealloc(h->jobs, h->cap_jobs * sizeof(struct watched *));
	}
	memmove(h->jobs + at + 1, h->jobs + at, (h->n_jobs - at) * sizeof *h->jobs);
	h->jobs[at] = j;
	h->n_jobs++;
	watch_folder(h);
	return j;
}

static void clean(struct sse_hub *h, struct tail *t)
{
	if (t->is_dirty)
		TAILQ_REMOVE(&h->dirty, t, dirty);
	t->is_dirty = 0;
}

static void soil(struct sse_hub *h, struct tail *t)
{
	if (!t->is_dirty)
		TAILQ_INSERT_TAIL(&h->dirty, t, dirty);
	t->is_dirty = 1;
}

static void unhush(struct sse_hub *h, struct watched *j)
{
	if (j->is_hushed)
		TAILQ_REMOVE(&h->hushed, j, hushed);
	j->is_hushed = 0;
}

static void job_free(struct sse_hub *h, struct watched *j)
{
	for (int i = 0; i < j->n_tails; i++) {
		clean(h, j->tails[i]);
		tail_free(j->tails[i]);
	}
	for (size_t i = 0; i < EPHEMERALS_MAX; i++)
		chunk_unref(j->ephemerals[i].chunk);
	unhush(h, j);
	chunk_unref(j->state_chunk);
	free(j->tails);
	free(j->json);
	free(j);
}

/* Nobody watches it any more, and nobody is about to. */
static void job_drop_idle(struct sse_hub *h, struct watched *j)
{
	if (j->n_watchers || j->is_reading || !STAILQ_EMPTY(&j->waiting))
		return;
	size_t at = job_at(h, j->job);
	h->n_jobs--;
	memmove(h->jobs + at, h->jobs + at + 1, (h->n_jobs - at) * sizeof *h->jobs);
	job_free(h, j);
	if (!h->n_jobs && h->folder_wd >= 0) {
		inotify_rm_watch(h->inotify_fd, h->folder_wd);
		h->folder_wd = -1;
	}
}

void job_free_all(struct sse_hub *h)
{
	for (size_t i = 0; i < h->n_jobs; i++) {
		struct waiting *w;
		while ((w = STAILQ_FIRST(&h->jobs[i]->waiting))) {
			STAILQ_REMOVE_HEAD(&h->jobs[i]->waiting, next);
			free(w);
		}
		job_free(h, h->jobs[i]);
	}
	h->n_jobs = 0;
}

static struct tail *tail_find(const struct watched *j, int attempt)
{
	for (int i = j->n_tails - 1; i >= 0; i--)
		if (j->tails[i]->attempt == attempt)
			return j->tails[i];
	return NULL;
}

static struct tail *tail_add(struct watched *j, int attempt)
{
	struct tail *t = tail_find(j, attempt);
	int at = j->n_tails;

	if (t)
		return t;
	j->tails = xrealloc(j->tails, (size_t)(j->n_tails + 1) * sizeof(struct tail *));
	while (at > 0 && j->tails[at - 1]->attempt > attempt) {
		j->tails[at] = j->tails[at - 1];
		at--;
	}
	j->n_tails++;
	return j->tails[at] = tail_new(j->job, attempt);
}

static struct tail *tail_after(const struct watched *j, const struct tail *t)
{
	for (int i = 0; i < j->n_tails; i++)
		if (!t || j->tails[i]->attempt > t->attempt)
			return j->tails[i];
	return NULL;
}

/* JSON is copied. News that is not newer than what is known changes nothing. */
static void job_put_state(struct watched *j, int64_t change, enum job_state state, struct slice json)
{
	CLEANUP(buf_fini) struct buf b = BUF(1 << 20);

	if (change <= j->change && j->state_chunk)
		return;
	j->change = change;
	j->state = state;
	free(j->json);
	j->json = slice_dup(json);
	sse_add_event(&b, "state", SLICE_NULL, json);
	chunk_unref(j->state_chunk);
	j->state_chunk = chunk_new(buf_slice(&b));
	j->version++;
}

/* An attempt has ended. Its tail counts as whole when it has been looked at once more. */
static void job_put_end(struct sse_hub *h, struct watched *j, int attempt, int64_t log_bytes)
{
	struct tail *t = tail_add(j, attempt);

	if (t->limit >= 0)
		return;
	tail_end(t, log_bytes);
	soil(h, t);
}

/* The position behind everything. */
static struct journal_id last_id(const struct watched *j)
{
	const struct tail *t = j->n_tails ? j->tails[j->n_tails - 1] : NULL;

	return (struct journal_id){ .job = j->job, .attempt = t ? t->attempt : 0, .offset = t ? t->settled : 0 };
}

/* ---- what one watcher is sent ---- */

static void unlive(struct job_watcher *w)
{
	if (!w->w.is_live)
		return;
	w->w.is_live = 0;
	if (!w->tail)
		return;
	LIST_REMOVE(w, of_tail);
	w->tail->n_live--;
}

static void live(struct job_watcher *w)
{
	w->w.is_live = 1;
	if (!w->tail)
		return;
	LIST_INSERT_HEAD(&w->tail->live, w, of_tail);
	w->tail->n_live++;
}

static enum stream_io send_text(struct job_watcher *w, struct slice text)
{
	struct chunk *c = chunk_new(text);
	enum stream_io io = stream_send(&w->w.s, c);

	chunk_unref(c);
	return io;
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
	enum stream_io io = out.len ? send_text(w, buf_slice(&out)) : STREAM_SENT;
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
	struct journal_id at = last_id(w->job);

	at.is_end = 1;
	journal_id_add(&id, &at);
	sse_add_event(&b, "end", buf_slice(&id), slice_of(w->job->json));
	return send_text(w, buf_slice(&b));
}

static enum stream_io send_ephemerals(struct job_watcher *w)
{
	CLEANUP(buf_fini) struct buf b = BUF(EPHEMERALS_MAX * (EPHEMERAL_MAX_BYTES + 64));

	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct chunk *c = w->job->ephemerals[i].chunk;
		if (c)
			buf_add(&b, (struct slice){ c->bytes + c->head, c->payload });
	}
	return b.len ? send_text(w, buf_slice(&b)) : STREAM_SENT;
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
	return send_text(w, buf_slice(&b));
}

/* Go on to the next attempt. 1: there is one, or there was need to look again; 0: this is the last for now. */
static int next_attempt(struct sse_hub *h, struct job_watcher *w)
{
	struct tail *next = tail_after(w->job, w->tail);
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
	if (next_attempt(h, w))
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
		return send_ephemerals(w);
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
	unlive(w);
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
	live(w);
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
		unlive(w);
	if (w->w.is_over && io == STREAM_SENT) {
		unlive(w);
		stream_finish(h->streams, &w->w.s);
		return;
	}
	sse_io(h, &w->w, io);
}

void job_watcher_free(struct sse_hub *h, struct watcher *watcher)
{
	struct job_watcher *w = (struct job_watcher *)watcher;
	struct watched *j = w->job;

	unlive(w);
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
			unlive(w);
			job_advance(h, &w->w);
			continue;
		}
		enum stream_io io = stream_send_of_file(&w->w.s, c, from);
		if (io == STREAM_SENT || !stream_is_free(&w->w.s))
			w->at = t->settled;
		if (io != STREAM_SENT)
			unlive(w);
		sse_io(h, &w->w, io);
	}
	chunk_unref(c);
}

static void wake_live(struct sse_hub *h, struct tail *t)
{
	struct job_watcher *w, *after;

	for (w = LIST_FIRST(&t->live); w; w = after) {
		after = LIST_NEXT(w, of_tail);
		unlive(w);
		job_advance(h, &w->w);
	}
}

/* What has been printed to its end is a log event now. */
static void forget_partials(struct watched *j)
{
	for (size_t i = 0; i < EPHEMERALS_MAX; i++) {
		struct ephemeral *p = &j->ephemerals[i];
		if (!p->is_partial || !p->chunk)
			continue;
		chunk_unref(p->chunk);
		*p = (struct ephemeral){ 0 };
	}
}

static void flush_tail(struct sse_hub *h, struct tail *t)
{
	struct slice piece;
	struct err e;
	int was_open = t->fd >= 0, pieces = 0, had_all = tail_is_whole(t);

	t->flushed_us = mono_us();
	if (!was_open && (!t->n_live || tail_open(t, h->o.journals_dirfd, &e) < 0)) {
		clean(h, t);
		return;
	}
	for (; pieces < PIECES_PER_TURN; pieces++) {
		int64_t from = t->settled;
		piece = tail_next(t, &h->scratch);
		if (!piece.len)
			break;
		struct watched *j = job_find(h, t->job);
		if (j && t->attempt == last_id(j).attempt)
			forget_partials(j);
		if (was_open)
			send_to_live(h, t, piece, from);
	}
	if (pieces < PIECES_PER_TURN)
		clean(h, t);
	if (!was_open || (!had_all && tail_is_whole(t)))
		wake_live(h, t);
}

void job_on_growth(struct sse_hub *h, int64_t job, int attempt)
{
	struct watched *j = job_find(h, job);
	struct tail *t = j ? tail_find(j, attempt) : NULL;

	if (t)
		soil(h, t);
}

void job_on_growth_of_any(struct sse_hub *h)
{
	for (size_t i = 0; i < h->n_jobs; i++)
		for (int k = 0; k < h->jobs[i]->n_tails; k++)
			soil(h, h->jobs[i]->tails[k]);
}

/* ---- news from the store ---- */

static void wake_all(struct sse_hub *h, struct watched *j)
{
	struct job_watcher *w, *after;

	for (w = LIST_FIRST(&j->watchers); w; w = after) {
		after = LIST_NEXT(w, of_job);
		if (w->w.is_live)
			job_advance(h, &w->w);
	}
}

static void flush_job(struct sse_hub *h, struct watched *j)
{
	for (int i = 0; i < j->n_tails; i++)
		if (j->tails[i]->is_dirty)
			flush_tail(h, j->tails[i]);
}

void job_on_change(struct sse_hub *h, const struct change *c)
{
	struct watched *j = job_find(h, c->job);

	if (!j)
		return;
	if (c->attempt > 0)
		tail_add(j, c->attempt);
	if (c->attempt > 0 && c->attempt_ended)
		job_put_end(h, j, c->attempt, c->log_bytes);
	flush_job(h, j);                /* what came before the news goes out before it */
	job_put_state(j, c->change, c->state, c->json);
	if (job_state_is_final(j->state))
		for (int i = 0; i < j->n_tails; i++)
			job_put_end(h, j, j->tails[i]->attempt, -1);
	flush_job(h, j);
	wake_all(h, j);
}

/* ---- what is ephemeral ---- */

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
			unlive(w);
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
	flush_job(h, j);                        /* the lines before it first */
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
static int64_t release_hushed(struct sse_hub *h, struct watched *j, int64_t now_us)
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
		unhush(h, j);
	return next;
}

int64_t job_turn(struct sse_hub *h, int64_t now_us)
{
	int64_t next = INT64_MAX;
	struct watched *j, *j_after;
	struct tail *t, *after;

	for (t = TAILQ_FIRST(&h->dirty); t; t = after) {
		after = TAILQ_NEXT(t, dirty);
		int64_t at = t->flushed_us + sse_gather_us(t->n_live);
		if (at <= now_us)
			flush_tail(h, t);
		if (t->is_dirty) {
			at = t->flushed_us + sse_gather_us(t->n_live);
			next = at < next ? at : next;
		}
	}
	for (j = TAILQ_FIRST(&h->hushed); j; j = j_after) {
		j_after = TAILQ_NEXT(j, hushed);
		int64_t at = release_hushed(h, j, now_us);
		next = at < next ? at : next;
	}
	return next;
}

/* ---- a request ---- */

struct place {
	struct tail *tail;
	int64_t at;
	int is_reset;                   /* the position asked for does not exist: this is the true end */
	int is_seen;                    /* the client has the end: 204 */
};

static int open_tails(struct sse_hub *h, struct watched *j, struct err *e)
{
	for (int i = 0; i < j->n_tails; i++)
		if (tail_open(j->tails[i], h->o.journals_dirfd, e) < 0)
			return -1;
	return 0;
}

static struct place place_of(struct watched *j, struct slice position)
{
	struct tail *last = j->n_tails ? j->tails[j->n_tails - 1] : NULL;
	struct place end = { .tail = last, .at = last ? last->settled : 0, .is_reset = 1 };
	struct journal_id id;

	if (!position.len)
		return (struct place){ 0 };
	if (journal_id_parse(position, &id) < 0 || id.job != j->job)
		return end;
	if (id.attempt == 0) {
		end.is_seen = id.is_end && !last && job_state_is_final(j->state);
		return id.offset == 0 ? (struct place){ .is_seen = end.is_seen } : end;
	}
	struct tail *t = tail_find(j, id.attempt);
	if (!t || !tail_is_boundary(t, id.offset))
		return end;
	return (struct place){ .tail = t, .at = id.offset,
			       .is_seen = id.is_end && t == last && id.offset == t->settled && tail_is_whole(t) &&
					  job_state_is_final(j->state) };
}

static void add_reset(struct buf *out, const struct watched *j)
{
	CLEANUP(buf_fini) struct buf id = BUF(128);
	CLEANUP(buf_fini) struct buf data = BUF(128);
	struct journal_id at = last_id(j);

	journal_id_add(&id, &at);
	buf_addf(&data, "{\"attempt\":%d,\"offset\":%lld}", at.attempt, (long long)at.offset);
	sse_add_event(out, "reset", buf_slice(&id), buf_slice(&data));
}

static struct job_watcher *watcher_new(struct sse_hub *h, struct watched *j, enum watcher_kind kind, uint64_t address)
{
	struct job_watcher *w = xcalloc(1, sizeof *w);

	w->w.kind = (uint8_t)kind;
	w->w.address = address;
	w->w.s.fd = -1;
	w->job = j;
	LIST_INSERT_HEAD(&j->watchers, w, of_job);
	j->n_watchers++;
	return w;
}

static void serve_events(struct sse_hub *h, struct watched *j, struct http_request *r)
{
	CLEANUP(buf_fini) struct buf position = BUF(129);
	CLEANUP(buf_fini) struct buf first = BUF(1 << 20);
	struct journal_id ignored;
	uint64_t address;
	int from_query;

	if (sse_position(r, &position, &from_query) < 0)
		return;
	if (from_query && position.len && journal_id_parse(buf_slice(&position), &ignored) < 0) {
		http_problem(r, 400, "Bad Request", "`after` is not the id of an event: <job>.<attempt>.<offset>");
		return;
	}
	struct place p = place_of(j, buf_slice(&position));
	if (p.is_seen) {
		http_reply(r, &(struct http_reply){ .status = 204 });
		return;
	}
	if (!sse_admit(h, r, &address))
		return;
	struct job_watcher *w = watcher_new(h, j, WATCHES_EVENTS, address);
	w->tail = p.tail;
	w->at = p.at;
	w->version = j->version;
	w->w.is_poll = sse_is_poll(r) ? 1 : 0;
	sse_add_retry(&first, w->w.is_poll);
	buf_add(&first, (struct slice){ j->state_chunk->bytes + j->state_chunk->head, j->state_chunk->payload });
	if (p.is_reset)
		add_reset(&first, j);
	sse_begin(h, r, &w->w, buf_slice(&first));
}

/* The last N lines of T as text, from as much of the journal as may be looked at for that. */
static int text_of_tail(const struct tail *t, int64_t n, int is_plain, struct buf *out)
{
	CLEANUP(buf_fini) struct buf raw = BUF(TEXT_TAIL_BYTES + 1);
	CLEANUP(buf_fini) struct buf text = BUF(8 << 20);
	int64_t from = t->settled > TEXT_TAIL_BYTES ? t->settled - TEXT_TAIL_BYTES : 0;

	if (tail_read(t, from, (size_t)(t->settled - from), &raw) < 0)
		return -1;
	struct slice events = buf_slice(&raw);
	if (from) {
		ptrdiff_t cut = slice_find(events, SLICE("\n\n"));
		events = slice_from(events, cut < 0 ? events.len : (size_t)cut + 2);
	}
	text_of_events(events, is_plain ? TEXT_PLAIN : TEXT_AS_PRINTED, &text);
	buf_add(out, slice_from(buf_slice(&text), text_tail(buf_slice(&text), n)));
	return 0;
}

static void serve_text(struct sse_hub *h, struct watched *j, struct http_request *r)
{
	CLEANUP(buf_fini) struct buf first = BUF(8 << 20);
	struct slice q = http_query(r);
	int64_t attempt = 0, tail = -1, plain = 0;
	uint64_t address;

	if (query_get_i64(q, "attempt", 1, 1 << 20, &attempt) < 0 || query_get_i64(q, "tail", 0, TEXT_TAIL_MAX, &tail) < 0 ||
	    query_get_i64(q, "plain", 0, 1, &plain) < 0) {
		http_problem(r, 400, "Bad Request", "attempt= is a number from 1, tail= one from 0 to 10000, plain= 0 or 1");
		return;
	}
	struct tail *t = attempt ? tail_find(j, (int)attempt) : j->n_tails ? j->tails[j->n_tails - 1] : NULL;
	if (attempt && !t) {
		http_problem(r, 404, "Not Found", "the job has no such attempt");
		return;
	}
	if (t && tail >= 0 && text_of_tail(t, tail, (int)plain, &first) < 0) {
		http_problem(r, 500, "Internal Server Error", "the journal cannot be read");
		return;
	}
	if (!sse_admit(h, r, &address))
		return;
	struct job_watcher *w = watcher_new(h, j, WATCHES_TEXT, address);
	w->tail = t;
	w->at = t && tail >= 0 ? t->settled : 0;
	w->w.is_plain = plain ? 1 : 0;
	sse_begin(h, r, &w->w, buf_slice(&first));
}

static void serve(struct sse_hub *h, struct watched *j, struct http_request *r, enum watcher_kind kind)
{
	struct err e;

	if (open_tails(h, j, &e) < 0) {
		log_warn("a journal cannot be opened", "job=%lld reason=\"%s\"", (long long)j->job, e.msg);
		sse_answer_later(r);
	} else if (kind == WATCHES_TEXT) {
		serve_text(h, j, r);
	} else {
		serve_events(h, j, r);
	}
}

/* The answer of READ_WATCH meets what notices have told meanwhile. */
static void load(struct sse_hub *h, struct watched *j, const struct read *r)
{
	json_t *o = json_loads(r->state_json, 0, NULL);
	int64_t change = json_integer_value(json_object_get(o, "change"));

	json_decref(o);
	j->is_loaded = 1;
	for (int i = 0; i < r->n_attempts; i++) {
		tail_add(j, r->attempts[i].attempt);
		if (r->attempts[i].is_final)
			job_put_end(h, j, r->attempts[i].attempt, r->attempts[i].log_bytes);
	}
	job_put_state(j, change, r->state, slice_of(r->state_json));
	if (job_state_is_final(j->state))
		for (int i = 0; i < j->n_tails; i++)
			job_put_end(h, j, j->tails[i]->attempt, -1);
	for (int i = 0; i < j->n_tails; i++)            /* nobody has anything of them yet */
		if (j->tails[i]->limit >= 0)
			clean(h, j->tails[i]);
}

static void answer_waiting(struct sse_hub *h, struct watched *j, struct waiting *w, enum store_outcome outcome)
{
	struct http_request *r = http_unpark(w->ticket);
	char detail[64];

	if (!r)
		return;
	if (outcome == STORE_OK) {
		serve(h, j, r, w->kind);
	} else if (outcome == STORE_NOT_FOUND) {
		snprintf(detail, sizeof detail, "no job %lld", (long long)j->job);
		http_problem(r, 404, "Not Found", detail);
	} else {
		sse_answer_later(r);
	}
}

/* ---- followers: positions on behalf of a stream of changes ---- */

static void place_follower(struct sse_hub *h, struct follower *f)
{
	CLEANUP(buf_fini) struct buf id = BUF(128);
	struct err e;

	if (f->is_placed || open_tails(h, f->jw.job, &e) < 0)
		return;
	journal_id_add(&id, &f->wanted);
	struct place p = place_of(f->jw.job, buf_slice(&id));
	f->jw.tail = p.tail;
	f->jw.at = p.at;
	f->is_reset = p.is_reset;
	f->is_placed = 1;
}

static void place_followers(struct sse_hub *h, struct watched *j)
{
	struct job_watcher *w, *after;

	for (w = j->is_loaded ? LIST_FIRST(&j->watchers) : NULL; w; w = after) {
		after = LIST_NEXT(w, of_job);
		if (w->w.kind != FOLLOWS_FOR_FEED)
			continue;
		place_follower(h, (struct follower *)w);
		feed_advance(h, ((struct follower *)w)->owner);
	}
}

static void on_watch_read(struct mail *m, void *http_loop);

/* The job, perhaps not loaded yet: then its answer is on its way. */
static struct watched *job_want(struct sse_hub *h, int64_t job)
{
	struct watched *j = job_find(h, job);

	if (j)
		return j;
	j = job_add(h, job);
	j->is_reading = 1;
	struct read *q = xcalloc(1, sizeof *q);
	*q = (struct read){ .mail.deliver = on_watch_read, .reply_to = http_loop_mailbox(h->o.loop), .what = READ_WATCH,
			    .a = job, .limit = 1, .arg = h };
	store_read(h->o.store, q);
	return j;
}

struct follower *job_follow(struct sse_hub *h, struct watcher *owner, const struct journal_id *from)
{
	struct follower *f = xcalloc(1, sizeof *f);
	struct watched *j = job_want(h, from->job);

	f->jw.w.kind = FOLLOWS_FOR_FEED;
	f->jw.w.s.fd = -1;
	f->jw.job = j;
	f->owner = owner;
	f->wanted = *from;
	LIST_INSERT_HEAD(&j->watchers, &f->jw, of_job);
	j->n_watchers++;
	if (j->is_loaded)
		place_follower(h, f);
	return f;
}

void job_unfollow(struct sse_hub *h, struct follower *f)
{
	job_watcher_free(h, &f->jw.w);
}

struct journal_id follower_at(const struct follower *f)
{
	if (!f->is_placed)
		return f->wanted;
	return (struct journal_id){ .job = f->jw.job->job, .attempt = f->jw.tail ? f->jw.tail->attempt : 0,
				    .offset = f->jw.at };
}

int follower_take(struct sse_hub *h, struct follower *f, size_t most, struct buf *out)
{
	struct job_watcher *w = &f->jw;

	if (!f->is_placed)
		return 0;
	unlive(w);
	if (f->is_reset) {
		struct journal_id at = follower_at(f);
		buf_addf(out, "event: reset\ndata: {\"job\":%lld,\"attempt\":%d,\"offset\":%lld}\n\n", (long long)at.job,
			 at.attempt, (long long)at.offset);
		f->is_reset = 0;
	}
	while (!(w->tail && w->at < w->tail->settled))
		if (!next_attempt(h, w)) {
			live(w);
			return 0;
		}
	int64_t left = w->tail->settled - w->at;
	buf_clear(&h->scratch);
	if (tail_read(w->tail, w->at, (size_t)(left < JOURNAL_EVENT_MAX ? left : JOURNAL_EVENT_MAX), &h->scratch) < 0)
		return -1;
	struct slice whole = slice_upto(buf_slice(&h->scratch), most);
	size_t n = journal_settled(whole);
	if (!n) {                               /* one event is larger than MOST: that one alone */
		ptrdiff_t blank = slice_find(buf_slice(&h->scratch), SLICE("\n\n"));
		n = blank < 0 ? 0 : (size_t)blank + 2;
	}
	buf_add(out, slice_upto(buf_slice(&h->scratch), n));
	w->at += (int64_t)n;
	return n ? 1 : -1;
}

static void on_watch_read(struct mail *m, void *http_loop)
{
	struct read *r = (struct read *)m;
	struct sse_hub *h = r->arg;
	struct watched *j = job_find(h, r->a);
	struct waiting *w;

	assert(j && j->is_reading);
	j->is_reading = 0;
	if (r->outcome == STORE_OK)
		load(h, j, r);
	place_followers(h, j);
	while ((w = STAILQ_FIRST(&j->waiting))) {
		answer_waiting(h, j, w, r->outcome);
		STAILQ_REMOVE_HEAD(&j->waiting, next);
		free(w);
	}
	job_drop_idle(h, j);
	buf_fini(&r->json);
	free(r->attempts);
	free(r->state_json);
	free(r);
	stream_hub_settle(h->streams);
}

static void watch(struct http_request *r, struct sse_hub *h, int64_t job, enum watcher_kind kind)
{
	struct watched *j = job_want(h, job);

	if (j->is_loaded) {
		serve(h, j, r, kind);
		return;
	}
	struct waiting *w = xcalloc(1, sizeof *w);
	*w = (struct waiting){ .ticket = http_park(r), .kind = kind };
	STAILQ_INSERT_TAIL(&j->waiting, w, next);
}

void sse_job_events(struct http_request *r, struct sse_hub *h, int64_t job)
{
	watch(r, h, job, WATCHES_EVENTS);
}

void sse_log_follow(struct http_request *r, struct sse_hub *h, int64_t job)
{
	watch(r, h, job, WATCHES_TEXT);
}
