/* front/sse_serve.c - requests for a job's stream or its log as text, and where each begins; positions that a stream of
 * changes holds in journals. */
#include "front/sse_job.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "front/text.h"

#define TEXT_TAIL_MAX 10000             /* lines */
#define TEXT_TAIL_BYTES (1 << 20)       /* of journal that they are looked for in */

struct place {
	struct tail *tail;
	int64_t at;
	int is_reset;                   /* the position asked for does not exist: this is the true end */
	int is_seen;                    /* the client has the end: 204 */
};

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
	struct tail *t = job_tail(j, id.attempt);
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
	struct journal_id at = job_last_id(j);

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
	struct tail *t = attempt ? job_tail(j, (int)attempt) : j->n_tails ? j->tails[j->n_tails - 1] : NULL;
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

	if (job_open_tails(h, j, &e) < 0) {
		log_warn("a journal cannot be opened", "job=%lld reason=\"%s\"", (long long)j->job, e.msg);
		sse_answer_later(r);
	} else if (kind == WATCHES_TEXT) {
		serve_text(h, j, r);
	} else {
		serve_events(h, j, r);
	}
}

void job_answer_waiting(struct sse_hub *h, struct watched *j, struct waiting *w, enum store_outcome outcome)
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

	if (f->is_placed || job_open_tails(h, f->jw.job, &e) < 0)
		return;
	journal_id_add(&id, &f->wanted);
	struct place p = place_of(f->jw.job, buf_slice(&id));
	f->jw.tail = p.tail;
	f->jw.at = p.at;
	f->is_reset = p.is_reset;
	f->is_placed = 1;
}

void job_place_followers(struct sse_hub *h, struct watched *j)
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
	job_unlive(w);
	if (f->is_reset) {
		struct journal_id at = follower_at(f);
		buf_addf(out, "event: reset\ndata: {\"job\":%lld,\"attempt\":%d,\"offset\":%lld}\n\n", (long long)at.job,
			 at.attempt, (long long)at.offset);
		f->is_reset = 0;
	}
	while (!(w->tail && w->at < w->tail->settled))
		if (!job_next_attempt(h, w)) {
			job_live(w);
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

/* ---- the calls ---- */

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
