/* front/sse_job.c - what is known of the jobs that are watched.
 *
 * A job that somebody watches is held in memory once per loop: its newest state, its attempts' tails, what is ephemeral.
 * It is read from the store when the first watcher comes (READ_WATCH) and kept true by notices, told apart from older
 * news by the change number; it goes with the last watcher. */
#include "front/sse_job.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/log.h"
#include "store/notice.h"

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

struct watched *job_find(const struct sse_hub *h, int64_t job)
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

void job_clean(struct sse_hub *h, struct tail *t)
{
	if (t->is_dirty)
		TAILQ_REMOVE(&h->dirty, t, dirty);
	t->is_dirty = 0;
}

void job_soil(struct sse_hub *h, struct tail *t)
{
	if (!t->is_dirty)
		TAILQ_INSERT_TAIL(&h->dirty, t, dirty);
	t->is_dirty = 1;
}

void job_unhush(struct sse_hub *h, struct watched *j)
{
	if (j->is_hushed)
		TAILQ_REMOVE(&h->hushed, j, hushed);
	j->is_hushed = 0;
}

static void job_free(struct sse_hub *h, struct watched *j)
{
	for (int i = 0; i < j->n_tails; i++) {
		job_clean(h, j->tails[i]);
		tail_free(j->tails[i]);
	}
	for (size_t i = 0; i < EPHEMERALS_MAX; i++)
		chunk_unref(j->ephemerals[i].chunk);
	job_unhush(h, j);
	chunk_unref(j->state_chunk);
	free(j->tails);
	free(j->json);
	free(j);
}

/* Nobody watches it any more, and nobody is about to. */
void job_drop_idle(struct sse_hub *h, struct watched *j)
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

struct tail *job_tail(const struct watched *j, int attempt)
{
	for (int i = j->n_tails - 1; i >= 0; i--)
		if (j->tails[i]->attempt == attempt)
			return j->tails[i];
	return NULL;
}

static struct tail *tail_add(struct watched *j, int attempt)
{
	struct tail *t = job_tail(j, attempt);
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

struct tail *job_tail_after(const struct watched *j, const struct tail *t)
{
	for (int i = 0; i < j->n_tails; i++)
		if (!t || j->tails[i]->attempt > t->attempt)
			return j->tails[i];
	return NULL;
}

/* JSON is copied. News that is not newer than what is known changes nothing. */
static void put_state(struct watched *j, int64_t change, enum job_state state, struct slice json)
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
static void put_end(struct sse_hub *h, struct watched *j, int attempt, int64_t log_bytes)
{
	struct tail *t = tail_add(j, attempt);

	if (t->limit >= 0)
		return;
	tail_end(t, log_bytes);
	job_soil(h, t);
}

/* The position behind everything. */
struct journal_id job_last_id(const struct watched *j)
{
	const struct tail *t = j->n_tails ? j->tails[j->n_tails - 1] : NULL;

	return (struct journal_id){ .job = j->job, .attempt = t ? t->attempt : 0, .offset = t ? t->settled : 0 };
}

int job_open_tails(struct sse_hub *h, struct watched *j, struct err *e)
{
	for (int i = 0; i < j->n_tails; i++)
		if (tail_open(j->tails[i], h->o.journals_dirfd, e) < 0)
			return -1;
	return 0;
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

void job_on_change(struct sse_hub *h, const struct change *c)
{
	struct watched *j = job_find(h, c->job);

	if (!j)
		return;
	if (c->attempt > 0)
		tail_add(j, c->attempt);
	if (c->attempt > 0 && c->attempt_ended)
		put_end(h, j, c->attempt, c->log_bytes);
	job_flush(h, j);                /* what came before the news goes out before it */
	put_state(j, c->change, c->state, c->json);
	if (job_state_is_final(j->state))
		for (int i = 0; i < j->n_tails; i++)
			put_end(h, j, j->tails[i]->attempt, -1);
	job_flush(h, j);
	wake_all(h, j);
	if (!j->is_loaded && !j->is_reading) {  /* the store did not know it: this is its beginning */
		j->is_loaded = 1;
		job_place_followers(h, j);
	}
}

/* ---- its beginning: what the store says ---- */

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
			put_end(h, j, r->attempts[i].attempt, r->attempts[i].log_bytes);
	}
	put_state(j, change, r->state, slice_of(r->state_json));
	if (job_state_is_final(j->state))
		for (int i = 0; i < j->n_tails; i++)
			put_end(h, j, j->tails[i]->attempt, -1);
	for (int i = 0; i < j->n_tails; i++)            /* nobody has anything of them yet */
		if (j->tails[i]->limit >= 0)
			job_clean(h, j->tails[i]);
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
	job_place_followers(h, j);
	while ((w = STAILQ_FIRST(&j->waiting))) {
		job_answer_waiting(h, j, w, r->outcome);
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

struct watched *job_want(struct sse_hub *h, int64_t job)
{
	struct watched *j = job_find(h, job);

	if (!j)
		j = job_add(h, job);
	if (j->is_loaded || j->is_reading)
		return j;
	j->is_reading = 1;
	struct read *q = xcalloc(1, sizeof *q);
	*q = (struct read){ .mail.deliver = on_watch_read, .reply_to = http_loop_mailbox(h->o.loop), .what = READ_WATCH,
			    .a = job, .limit = 1, .arg = h };
	store_read(h->o.store, q);
	return j;
}
