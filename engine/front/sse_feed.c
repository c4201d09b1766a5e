/* front/sse_feed.c - the stream of changes of jobs and deliveries, and of up to four journals beside it.
 *
 * The store numbers every change, so a position is a number, and whoever is behind asks the store what came after it
 * (READ_CHANGES: each object once, in its newest state). Whoever has everything gets the news as it is told by notices,
 * encoded once for all. A stream with `jobs=` is also woken by those journals' growth; it gets bursts of whole events,
 * each closed by a block that has nothing but an id: all of its positions. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "front/sse_hub.h"
#include "store/notice.h"
#include "store/store.h"

#define CHANGES_PER_READ 200
#define FRESH_MAX_BYTES (256 << 10)     /* more news than this at once is read from the store instead */
#define FOLLOWS_MAX 4
#define BURST_BYTES (32 << 10)          /* of one journal */

struct feed_watcher {
	struct watcher w;               /* first */
	int64_t change;                 /* what is sent, or on its way */
	uint32_t rulesets;
	int n_follows;
	struct follower **follows;      /* NULL where the stream is of changes alone */
	struct feed_read *reading;
	LIST_ENTRY(feed_watcher) of_feed;
};

struct feed_start {                     /* what a request asked for */
	int64_t change;                 /* -1: from now on */
	int n_jobs;
	struct journal_id jobs[FOLLOWS_MAX];
};

struct feed_read {
	struct read read;               /* first */
	struct http_ticket *ticket;     /* the first read of a request, ... */
	struct feed_start start;
	struct feed_watcher *w;         /* ... or one of a watcher; NULL where it is gone */
};

static void on_changes_read(struct mail *m, void *http_loop);

static void ask(struct sse_hub *h, struct feed_read *q, int64_t after)
{
	q->read = (struct read){ .mail.deliver = on_changes_read, .reply_to = http_loop_mailbox(h->o.loop),
				 .what = READ_CHANGES, .a = after, .limit = CHANGES_PER_READ, .arg = h };
	store_read(h->o.store, &q->read);
}

static void add_change(struct buf *out, int64_t change, int is_job, struct slice json)
{
	char id[32];
	int n = snprintf(id, sizeof id, "%lld", (long long)change);

	sse_add_event(out, is_job ? "job" : "delivery", (struct slice){ id, (size_t)n }, json);
}

/* Append the events of a READ_CHANGES answer. Returns the position behind them. */
static int64_t add_answer(struct buf *out, struct slice answer, int64_t *last)
{
	json_t *o = json_loadb(answer.ptr, answer.len, 0, NULL), *list = json_object_get(o, "changes"), *item;
	int64_t at;
	size_t i;

	*last = at = json_integer_value(json_object_get(o, "last"));
	json_array_foreach(list, i, item) {
		json_t *job = json_object_get(item, "job");
		char *text = json_dumps(job ? job : json_object_get(item, "delivery"), JSON_COMPACT);
		int64_t change = json_integer_value(json_object_get(item, "change"));
		add_change(out, change, job != NULL, slice_of(text));
		free(text);
		if (json_array_size(list) >= CHANGES_PER_READ)
			at = change;
	}
	json_decref(o);
	return at;
}

/* ---- one watcher ---- */

static void unlive(struct sse_hub *h, struct feed_watcher *w)
{
	if (!w->w.is_live)
		return;
	w->w.is_live = 0;
	LIST_REMOVE(w, of_feed);
	h->feed.n_live--;
}

static void add_position(const struct feed_watcher *w, struct buf *out)
{
	buf_addi(out, w->change);
	for (int i = 0; i < w->n_follows; i++) {
		struct journal_id at = follower_at(w->follows[i]);
		buf_addc(out, '-');
		journal_id_add(out, &at);
	}
}

/* The journals' next events and the block that closes them. *idle stays where there were none. */
static enum stream_io send_burst(struct sse_hub *h, struct feed_watcher *w, int *idle)
{
	CLEANUP(buf_fini) struct buf b = BUF(FOLLOWS_MAX * (BURST_BYTES + JOURNAL_EVENT_MAX) + 1024);

	for (int i = 0; i < w->n_follows; i++)
		if (follower_take(h, w->follows[i], BURST_BYTES, &b) < 0)
			return STREAM_GONE;
	if (!b.len)
		return STREAM_SENT;
	*idle = 0;
	w->w.has_sent = 1;
	buf_adds(&b, "id: ");
	add_position(w, &b);
	buf_adds(&b, "\n\n");
	enum stream_io io = sse_send(&w->w, buf_slice(&b));
	return io == STREAM_SENT ? STREAM_LATER : io;   /* the next burst in the next turn */
}

static enum stream_io send_something(struct sse_hub *h, struct feed_watcher *w, int *idle)
{
	if (w->rulesets != h->feed.rulesets) {
		w->rulesets = h->feed.rulesets;
		return sse_send(&w->w, SLICE("event: ruleset\ndata: {}\n\n"));
	}
	*idle = 1;
	enum stream_io io = w->n_follows ? send_burst(h, w, idle) : STREAM_SENT;
	if (!*idle || io != STREAM_SENT)
		return io;
	if (w->w.is_poll && w->w.has_sent)
		w->w.is_over = 1;
	return STREAM_SENT;
}

void feed_advance(struct sse_hub *h, struct watcher *watcher)
{
	struct feed_watcher *w = (struct feed_watcher *)watcher;
	size_t budget = STREAM_BUDGET;
	int idle = 0;

	if (w->w.s.is_dead || w->w.s.is_lingering || w->w.s.fd < 0 || w->reading)
		return;
	unlive(h, w);
	while (!idle) {
		enum stream_io io = stream_flush(&w->w.s, -1, &budget);
		if (io == STREAM_SENT)
			io = send_something(h, w, &idle);
		if (io != STREAM_SENT) {
			sse_io(h, &w->w, io);
			return;
		}
	}
	if (w->w.is_over) {
		stream_finish(h->streams, &w->w.s);
		return;
	}
	sse_io(h, &w->w, STREAM_SENT);
	if (w->w.is_poll && w->w.s.due == UINT32_MAX)
		stream_due(h->streams, &w->w.s, h->o.poll_ms);
	if (w->change < h->feed.last) {         /* news passed it by */
		w->reading = xcalloc(1, sizeof *w->reading);
		w->reading->w = w;
		ask(h, w->reading, w->change);
		return;
	}
	w->w.is_live = 1;
	LIST_INSERT_HEAD(&h->feed.live, w, of_feed);
	h->feed.n_live++;
}

void feed_due(struct sse_hub *h, struct watcher *watcher)
{
	CLEANUP(buf_fini) struct buf id = BUF(256);
	CLEANUP(buf_fini) struct buf b = BUF(512);
	struct feed_watcher *w = (struct feed_watcher *)watcher;
	char data[48];

	add_position(w, &id);
	int n = snprintf(data, sizeof data, "{\"now_ms\":%lld}", (long long)wall_ms());
	sse_add_event(&b, "beat", buf_slice(&id), (struct slice){ data, (size_t)n });
	enum stream_io io = sse_send(&w->w, buf_slice(&b));
	w->w.is_over |= w->w.is_poll;
	if (io == STREAM_SENT && w->w.is_over) {
		unlive(h, w);
		stream_finish(h->streams, &w->w.s);
		return;
	}
	if (io != STREAM_SENT)
		unlive(h, w);
	sse_io(h, &w->w, io);
}

static void unfollow_all(struct sse_hub *h, struct feed_watcher *w)
{
	for (int i = 0; i < w->n_follows; i++)
		job_unfollow(h, w->follows[i]);
	free(w->follows);
	w->follows = NULL;
	w->n_follows = 0;
}

void feed_watcher_free(struct sse_hub *h, struct watcher *watcher)
{
	struct feed_watcher *w = (struct feed_watcher *)watcher;

	unlive(h, w);
	unfollow_all(h, w);
	if (w->reading)
		w->reading->w = NULL;
	free(w);
}

/* ---- news ---- */

void feed_on_notice(struct sse_hub *h, const struct notice *n)
{
	struct feed *f = &h->feed;

	for (size_t i = 0; i < n->n; i++) {
		const struct change *c = &n->changes[i];
		if (c->change > f->last)
			f->last = c->change;
		if (!f->n_live)
			continue;
		if (!f->fresh.len)
			f->fresh_from = c->change;
		f->fresh_to = c->change;
		if (f->fresh.len <= FRESH_MAX_BYTES)
			add_change(&f->fresh, c->change, c->job != 0, c->json);
	}
}

void feed_on_ruleset(struct sse_hub *h)
{
	struct feed_watcher *w, *after;

	h->feed.rulesets++;
	for (w = LIST_FIRST(&h->feed.live); w; w = after) {
		after = LIST_NEXT(w, of_feed);
		feed_advance(h, &w->w);
	}
}

/* A live watcher gets C, which holds all changes from fresh_from to fresh_to. NULL: they were too many. */
static void tell(struct sse_hub *h, struct feed_watcher *w, struct chunk *c)
{
	if (w->w.is_over || w->w.s.is_dead || w->change >= h->feed.fresh_to)
		return;
	if (!c || w->change >= h->feed.fresh_from || !stream_is_free(&w->w.s)) {
		feed_advance(h, &w->w);         /* it came in between: the store knows what it lacks */
		return;
	}
	enum stream_io io = stream_send(&w->w.s, c);
	w->change = h->feed.fresh_to;
	w->w.has_sent = 1;
	if (io != STREAM_SENT)
		unlive(h, w);
	sse_io(h, &w->w, io);
	if (io == STREAM_SENT && (w->w.is_poll || w->n_follows))
		feed_advance(h, &w->w);
}

int64_t feed_turn(struct sse_hub *h, int64_t now_us)
{
	struct feed *f = &h->feed;
	struct feed_watcher *w, *after;
	int64_t at = f->again_us;

	if (!f->fresh.len)
		return INT64_MAX;
	if (at > now_us)
		return at;
	struct chunk *c = f->fresh.len <= FRESH_MAX_BYTES ? chunk_new(buf_slice(&f->fresh)) : NULL;
	for (w = LIST_FIRST(&f->live); w; w = after) {
		after = LIST_NEXT(w, of_feed);
		tell(h, w, c);
	}
	chunk_unref(c);
	if (f->fresh.cap > FRESH_MAX_BYTES)
		buf_fini(&f->fresh);
	buf_clear(&f->fresh);
	f->again_us = sse_again_us(now_us);
	return INT64_MAX;
}

void feed_fini(struct sse_hub *h)
{
	buf_fini(&h->feed.fresh);
}

/* ---- a request ---- */

/* "7,9": positions before the first event of each. */
static int parse_jobs(struct slice text, struct feed_start *out)
{
	struct slice one;

	while (text.len) {
		int64_t job;
		slice_cut(text, ',', &one, &text);
		if (out->n_jobs == FOLLOWS_MAX || slice_to_i64(one, 1, INT64_MAX, &job) < 0)
			return -1;
		out->jobs[out->n_jobs++] = (struct journal_id){ .job = job };
	}
	return 0;
}

static void put_journal(struct feed_start *out, const struct journal_id *id)
{
	for (int i = 0; i < out->n_jobs; i++)
		if (out->jobs[i].job == id->job)
			out->jobs[i] = *id;
}

/* "<change>" or "<change>-<job.attempt.offset>-…"; a journal's own id where a burst was cut. -1: none of these. */
static int parse_position(struct slice text, struct feed_start *out)
{
	struct slice part, rest;
	struct journal_id id;

	if (journal_id_parse(text, &id) == 0) {
		put_journal(out, &id);
		return 0;
	}
	slice_cut(text, '-', &part, &rest);
	if (slice_to_i64(part, 0, INT64_MAX - 1, &out->change) < 0)
		return -1;
	while (rest.len) {
		slice_cut(rest, '-', &part, &rest);
		if (journal_id_parse(part, &id) < 0)
			return -1;
		put_journal(out, &id);
	}
	return 0;
}

static int parse_start(struct http_request *r, struct feed_start *out)
{
	CLEANUP(buf_fini) struct buf jobs = BUF(128);
	CLEANUP(buf_fini) struct buf position = BUF(257);
	CLEANUP(buf_fini) struct buf after = BUF(257);
	int from_query, said = query_get(http_query(r), "jobs", &jobs);

	*out = (struct feed_start){ .change = -1 };
	if (sse_position(r, &position, &from_query) < 0)
		return -1;
	if (said < 0 || parse_jobs(buf_slice(&jobs), out) < 0) {
		http_problem(r, 400, "Bad Request", "jobs= is a list of at most four job ids");
		return -1;
	}
	/* The header is later than the query, which still counts for what the header does not say. */
	if (query_get(http_query(r), "after", &after) > 0 && after.len && parse_position(buf_slice(&after), out) < 0 &&
	    from_query) {
		http_problem(r, 400, "Bad Request", "`after` is not the id of a change");
		return -1;
	}
	if (!from_query)
		(void)!parse_position(buf_slice(&position), out);
	return 0;
}

static void begin(struct sse_hub *h, struct http_request *r, const struct feed_start *start, struct slice answer)
{
	CLEANUP(buf_fini) struct buf first = BUF(BUF_UNLIMITED);
	struct feed_watcher *w;
	uint64_t address;
	int64_t last;

	if (!sse_admit(h, r, &address))
		return;
	w = xcalloc(1, sizeof *w);
	w->w.kind = WATCHES_CHANGES;
	w->w.address = address;
	w->w.s.fd = -1;
	w->w.is_poll = sse_is_poll(r) ? 1 : 0;
	w->rulesets = h->feed.rulesets;
	sse_add_retry(&first, w->w.is_poll);
	size_t before = first.len;
	w->change = add_answer(&first, answer, &last);
	w->w.has_sent = first.len > before;
	if (start->change > last)               /* from another life of the database: this is the true end */
		buf_addf(&first, "id: %lld\nevent: reset\ndata: {\"change\":%lld}\n\n", (long long)last, (long long)last);
	w->follows = start->n_jobs ? xcalloc((size_t)start->n_jobs, sizeof(struct follower *)) : NULL;
	for (int i = 0; i < start->n_jobs; i++)
		w->follows[w->n_follows++] = job_follow(h, &w->w, &start->jobs[i]);
	if (!w->w.has_sent && !w->n_follows) {  /* the position, also to a client that had none */
		buf_addf(&first, "id: %lld\n\n", (long long)w->change);
	}
	sse_begin(h, r, &w->w, buf_slice(&first));
}

static void go_on(struct sse_hub *h, struct feed_watcher *w, const struct read *r)
{
	CLEANUP(buf_fini) struct buf b = BUF(BUF_UNLIMITED);
	int64_t last;

	w->reading = NULL;
	if (r->outcome != STORE_OK) {
		stream_kill(h->streams, &w->w.s);
		return;
	}
	w->change = add_answer(&b, buf_slice(&r->json), &last);
	if (b.len && !w->w.s.is_dead && !w->w.s.is_lingering) {
		w->w.has_sent = 1;
		enum stream_io io = stream_is_free(&w->w.s) ? sse_send(&w->w, buf_slice(&b)) : STREAM_GONE;
		if (io != STREAM_SENT) {
			sse_io(h, &w->w, io);
			return;
		}
	}
	feed_advance(h, &w->w);
}

static void on_changes_read(struct mail *m, void *http_loop)
{
	struct feed_read *q = (struct feed_read *)m;
	struct sse_hub *h = q->read.arg;

	if (q->ticket) {
		struct http_request *r = http_unpark(q->ticket);
		if (r && q->read.outcome == STORE_OK)
			begin(h, r, &q->start, buf_slice(&q->read.json));
		else if (r)
			sse_answer_later(r);
	} else if (q->w) {
		go_on(h, q->w, &q->read);
	}
	buf_fini(&q->read.json);
	free(q->read.attempts);
	free(q->read.state_json);
	free(q);
	stream_hub_settle(h->streams);
}

void sse_changes(struct http_request *r, struct sse_hub *h)
{
	struct feed_read *q = xcalloc(1, sizeof *q);

	if (parse_start(r, &q->start) < 0) {
		free(q);
		return;
	}
	q->ticket = http_park(r);
	ask(h, q, q->start.change < 0 ? INT64_MAX : q->start.change);
}
