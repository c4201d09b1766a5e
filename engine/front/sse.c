/* front/sse.c - the hub of a loop's watchers: who may watch, how a stream begins, what wakes it, how all end.
 *
 * A watcher is a position and a socket (152 bytes for one of a job). It is *live* where it has everything there is; only
 * live ones are woken by news, with one write each of a chunk that all share. One that is behind reads from the journal
 * (sendfile) or asks the store again, at its socket's pace, so nobody's slowness is anybody's memory.
 * sse_job.c knows the jobs that are watched, sse_send.c sends their watchers what they lack, sse_serve.c answers requests,
 * sse_feed.c holds the stream of changes. */
#include "front/sse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "front/sse_hub.h"
#include "journal/file.h"
#include "store/notice.h"
#include "store/store.h"

#define WATCHERS_MAX 20000
#define PER_ADDRESS_MAX 256
#define BEAT_MS 15000
#define POLL_MS 25000

/* ---- who may watch ---- */

static uint64_t hash_of(const char *text)
{
	uint64_t h = 1469598103934665603ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211ull;
	return h;
}

static size_t address_at(const struct sse_hub *h, uint64_t hash)
{
	size_t low = 0, high = h->n_addresses;

	while (low < high) {
		size_t mid = (low + high) / 2;
		if (h->addresses[mid].hash < hash)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* How many watchers of this address there are, after adding BY. */
static int address_add(struct sse_hub *h, uint64_t hash, int by)
{
	size_t at = address_at(h, hash);
	int is_there = at < h->n_addresses && h->addresses[at].hash == hash;

	if (!is_there && by <= 0)
		return 0;
	if (!is_there) {
		if (h->n_addresses == h->cap_addresses) {
			h->cap_addresses = h->cap_addresses ? h->cap_addresses * 2 : 16;
			h->addresses = xrealloc(h->addresses, h->cap_addresses * sizeof *h->addresses);
		}
		memmove(h->addresses + at + 1, h->addresses + at, (h->n_addresses - at) * sizeof *h->addresses);
		h->addresses[at] = (struct address){ .hash = hash };
		h->n_addresses++;
	}
	int count = h->addresses[at].count += by;
	if (!count) {
		h->n_addresses--;
		memmove(h->addresses + at, h->addresses + at + 1, (h->n_addresses - at) * sizeof *h->addresses);
	}
	return count;
}

static const char *const stream_headers[] = {
	"content-type", "text/event-stream", "cache-control", "no-store, no-transform", "x-accel-buffering", "no",
	"x-content-type-options", "nosniff", NULL,
};
static const char *const text_headers[] = {
	"content-type", "text/plain; charset=utf-8", "cache-control", "no-store, no-transform", "x-accel-buffering", "no",
	"x-content-type-options", "nosniff", NULL,
};

void sse_answer_later(struct http_request *r)
{
	char text[64];
	int n = snprintf(text, sizeof text, "retry: %u\n\n", 1000 + arc4random_uniform(9000));

	http_reply(r, &(struct http_reply){ .status = 200, .headers = stream_headers, .close = 1,
					    .body = { text, (size_t)n } });
}

int sse_admit(struct sse_hub *h, struct http_request *r, uint64_t *address)
{
	char peer[64];

	http_peer(r, peer);
	struct slice p = slice_of(peer);
	int is_near = slice_eq(p, SLICE("unix")) || slice_eq(p, SLICE("::1")) || slice_starts(p, SLICE("127."));
	int most = is_near ? h->o.per_loopback_max : h->o.per_address_max;
	if (slice_eq(http_method(r), SLICE("HEAD"))) {
		http_reply(r, &(struct http_reply){ .status = 200, .headers = stream_headers, .close = 1 });
		return 0;
	}
	*address = hash_of(peer);
	if (h->is_draining || atomic_load(&h->count) >= h->o.watchers_max ||
	    (most && address_add(h, *address, 0) >= most)) {
		sse_answer_later(r);
		return 0;
	}
	address_add(h, *address, 1);
	atomic_fetch_add(&h->count, 1);
	return 1;
}

void sse_release(struct sse_hub *h, uint64_t address)
{
	address_add(h, address, -1);
	atomic_fetch_sub(&h->count, 1);
}

int sse_count(const struct sse_hub *h)
{
	return atomic_load(&h->count);
}

/* ---- how a stream begins ---- */

int sse_position(struct http_request *r, struct buf *out, int *from_query)
{
	struct slice header = http_header(r, "last-event-id", NULL);

	*from_query = !header.len;
	if (header.len) {               /* a browser comes back with the URL it began with: what it has seen since counts */
		buf_add(out, slice_upto(header, out->max));
		return 0;
	}
	if (query_get(http_query(r), "after", out) < 0) {
		http_problem(r, 400, "Bad Request", "`after` is malformed");
		return -1;
	}
	return 0;
}

int sse_is_poll(struct http_request *r)
{
	CLEANUP(buf_fini) struct buf mode = BUF(16);

	return query_get(http_query(r), "mode", &mode) > 0 && slice_eq(buf_slice(&mode), SLICE("poll"));
}

/* Random, so that those who were cut off together do not come back together. */
void sse_add_retry(struct buf *out, int is_poll)
{
	buf_addf(out, "retry: %u\n\n", is_poll ? 200 + arc4random_uniform(300) : 2000 + arc4random_uniform(3000));
}

void sse_add_event(struct buf *out, const char *kind, struct slice id, struct slice data)
{
	if (id.len) {
		buf_adds(out, "id: ");
		buf_add(out, id);
		buf_addc(out, '\n');
	}
	buf_adds(out, "event: ");
	buf_adds(out, kind);
	buf_adds(out, "\ndata: ");
	buf_add(out, data);
	buf_adds(out, "\n\n");
}

struct beginning {
	struct sse_hub *h;
	struct watcher *w;
};

static void free_watcher(struct sse_hub *h, struct watcher *w)
{
	sse_release(h, w->address);
	if (w->kind == WATCHES_CHANGES)
		feed_watcher_free(h, w);
	else
		job_watcher_free(h, w);
}

static void on_writable(struct stream *s, void *arg)
{
	struct watcher *w = (struct watcher *)s;

	if (w->kind == WATCHES_CHANGES)
		feed_advance(arg, w);
	else
		job_advance(arg, w);
}

static void end_softly(struct stream *s, void *arg)
{
	struct sse_hub *h = arg;
	struct watcher *w = (struct watcher *)s;

	if (!stream_is_free(s)) {               /* in the middle of an event: cut there, which no client can mistake */
		stream_kill(h->streams, s);
		return;
	}
	if (w->kind != WATCHES_TEXT && !w->is_over) {
		char text[64];
		int n = snprintf(text, sizeof text, "retry: %u\n\n", 1000 + arc4random_uniform(4000));
		struct chunk *c = chunk_new((struct slice){ text, (size_t)n });
		stream_try(s, c);
		chunk_unref(c);
	}
	w->is_over = 1;
	if (stream_is_free(s))
		stream_finish(h->streams, s);
	else
		stream_kill(h->streams, s);
}

static void on_taken(int fd, int is_chunked, void *arg)
{
	struct beginning *b = arg;
	struct sse_hub *h = b->h;
	struct watcher *w = b->w;

	free(b);
	if (fd < 0 || stream_open(h->streams, &w->s, fd, is_chunked) < 0)
		free_watcher(h, w);
	else if (h->is_draining)
		end_softly(&w->s, h);
	else
		on_writable(&w->s, h);
	stream_hub_settle(h->streams);
}

void sse_begin(struct sse_hub *h, struct http_request *r, struct watcher *w, struct slice first)
{
	struct beginning *b = xcalloc(1, sizeof *b);

	*b = (struct beginning){ h, w };
	http_take_over(r, w->kind == WATCHES_TEXT ? text_headers : stream_headers, first, on_taken, b);
}

/* ---- what wakes it ---- */

void sse_io(struct sse_hub *h, struct watcher *w, enum stream_io io)
{
	switch (io) {
	case STREAM_SENT:
		if (!w->is_poll)
			stream_due(h->streams, &w->s, h->o.beat_ms);
		return;
	case STREAM_BLOCKED:
		w->s.moved = 0;
		stream_due(h->streams, &w->s, STREAM_STALL_MS);
		return;
	case STREAM_LATER:
		stream_ready(h->streams, &w->s);
		return;
	case STREAM_GONE:
		stream_kill(h->streams, &w->s);
		return;
	}
}

enum stream_io sse_send(struct watcher *w, struct slice text)
{
	struct chunk *c = chunk_new(text);
	enum stream_io io = stream_send(&w->s, c);

	chunk_unref(c);
	return io;
}

/* A watcher's time: a beat is due, a poll is over, or nothing has moved for too long. */
static void on_due(struct stream *s, void *arg)
{
	struct sse_hub *h = arg;
	struct watcher *w = (struct watcher *)s;

	if (!stream_is_free(s)) {
		sse_io(h, w, s->moved ? STREAM_BLOCKED : STREAM_GONE);
		return;
	}
	if (w->kind == WATCHES_CHANGES)
		feed_due(h, w);
	else
		job_due(h, w);
}

static void on_end(struct stream *s, void *arg)
{
	free_watcher(arg, (struct watcher *)s);
}

static int64_t on_turn(int64_t now_us, void *arg)
{
	int64_t jobs = job_turn(arg, now_us), feed = feed_turn(arg, now_us);

	return jobs < feed ? jobs : feed;
}

/* Few watchers are served at once, always. With many, a pause in proportion lets what comes meanwhile go out together,
 * and leaves the loop time for others. */
int64_t sse_again_us(int64_t began_us)
{
	int64_t now = mono_us(), pause = (now - began_us) / GATHER_SHARE;

	return now + (pause < GATHER_US ? pause : GATHER_US);
}

static void on_growth(void *arg)
{
	struct sse_hub *h = arg;
	char bytes[16 << 10] __attribute__((aligned(__alignof__(struct inotify_event))));
	int64_t job;
	int attempt;

	for (int rounds = 0; rounds < 16; rounds++) {
		ssize_t n = read(h->inotify_fd, bytes, sizeof bytes);
		if (n <= 0)
			return;
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *ev = (const void *)(bytes + at);
			at += (ssize_t)(sizeof *ev + ev->len);
			if (ev->mask & IN_Q_OVERFLOW)
				job_on_growth_of_any(h);
			else if (ev->len && journal_name_parse(slice_of(ev->name), &job, &attempt) == 0)
				job_on_growth(h, job, attempt);
		}
	}
}

void sse_on_notice(struct sse_hub *h, const struct notice *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->changes[i].job)
			job_on_change(h, &n->changes[i]);
	feed_on_notice(h, n);
	stream_hub_settle(h->streams);
}

void sse_on_ephemeral(struct sse_hub *h, int64_t job, int attempt, struct slice text)
{
	job_on_ephemeral(h, job, attempt, text);
	stream_hub_settle(h->streams);
}

void sse_on_ruleset(struct sse_hub *h)
{
	feed_on_ruleset(h);
	stream_hub_settle(h->streams);
}

/* ---- beginning and end of the hub ---- */

static const struct stream_ops ops = { .on_writable = on_writable, .on_due = on_due, .on_end = on_end, .on_turn = on_turn };

struct sse_hub *sse_hub_new(const struct sse_options *o, struct err *e)
{
	struct sse_hub *h = xcalloc(1, sizeof *h);

	h->o = *o;
	if (!h->o.watchers_max)
		h->o.watchers_max = WATCHERS_MAX;
	if (!h->o.per_address_max)
		h->o.per_address_max = PER_ADDRESS_MAX;
	if (!h->o.beat_ms)
		h->o.beat_ms = BEAT_MS;
	if (!h->o.poll_ms)
		h->o.poll_ms = POLL_MS;
	h->scratch = BUF(1 << 20);
	h->feed.fresh = BUF(BUF_UNLIMITED);
	h->growth = (struct stream_source){ on_growth, h };
	h->folder_wd = -1;
	TAILQ_INIT(&h->dirty);
	TAILQ_INIT(&h->hushed);
	LIST_INIT(&h->feed.live);
	h->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (h->inotify_fd < 0) {
		err_errno(e, "inotify");
		free(h);
		return NULL;
	}
	h->streams = stream_hub_new(o->loop, &ops, h, e);
	if (!h->streams || stream_hub_watch(h->streams, h->inotify_fd, &h->growth) < 0) {
		if (h->streams)
			err_errno(e, "watch journals");
		sse_hub_free(h);
		return NULL;
	}
	return h;
}

void sse_drain(struct sse_hub *h)
{
	h->is_draining = 1;
	stream_hub_each(h->streams, end_softly, h);
	stream_hub_settle(h->streams);
}

void sse_hub_free(struct sse_hub *h)
{
	if (!h)
		return;
	stream_hub_free(h->streams);
	job_free_all(h);
	feed_fini(h);
	fd_closep(&h->inotify_fd);
	buf_fini(&h->scratch);
	free(h->jobs);
	free(h->addresses);
	free(h);
}
