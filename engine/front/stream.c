/* front/stream.c - one epoll set per loop, nested in the loop's own, with one timer.
 *
 * A socket is registered once, edge-triggered, for "writable" and "the peer has hung up"; it is never changed after. The
 * kernel tells of writability only after a write was refused, so idle streams cost nothing. Times are kept as a due
 * number in each stream and found by a sweep over all, at most twice a second and only when the earliest may have
 * passed: a delivery pays one store for it. */
#include "front/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "front/http.h"

#define EVENTS_PER_TURN 512
#define SWEEP_GAP_DS 5                          /* tenths of a second */
#define LINGER_MS 2000
#define NOTSENT_BYTES (16 << 10)

TAILQ_HEAD(stream_list, stream);

struct stream_hub {
	struct http_loop *loop;
	const struct stream_ops *ops;
	void *arg;
	int epoll_fd, timer_fd, count, n_ready;
	int64_t start_ms, armed_us;
	uint32_t sweep_at, swept_at;            /* due units */
	struct stream_list all, ready, dead;
	struct stream_source timer;
};

static uint32_t due_now(const struct stream_hub *h)
{
	return (uint32_t)((mono_ms() - h->start_ms) / 100);
}

/* ---- sending ---- */

static struct chunk *crlf(void)
{
	return chunk_raw(SLICE("\r\n"));
}

static void drop_left(struct stream *s)
{
	chunk_unref(s->left);
	s->left = NULL;
	s->left_at = 0;
}

int stream_is_free(const struct stream *s)
{
	return !s->left && s->file_at == s->file_end;
}

/* Offer bytes; how many were taken, -1 where the peer is gone. */
static ssize_t offer(struct stream *s, const char *bytes, size_t n, int more)
{
	for (;;) {
		ssize_t sent = send(s->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
		if (sent >= 0) {
			s->moved |= sent > 0;
			return sent;
		}
		if (errno != EINTR)
			return errno == EAGAIN ? 0 : -1;
	}
}

/* The part of C that this stream sends: framed, or the payload alone. */
static void span_of(const struct stream *s, const struct chunk *c, uint32_t *from, uint32_t *to)
{
	*from = s->is_chunked ? 0 : c->head;
	*to = s->is_chunked ? c->len : c->head + c->payload;
}

static enum stream_io flush_left(struct stream *s)
{
	uint32_t from, to;

	span_of(s, s->left, &from, &to);
	if (s->left_at < from)
		s->left_at = from;
	if (s->left_at < to) {
		ssize_t n = offer(s, s->left->bytes + s->left_at, to - s->left_at, s->file_at < s->file_end);
		if (n < 0)
			return STREAM_GONE;
		s->left_at += (uint32_t)n;
		if (s->left_at < to)
			return STREAM_BLOCKED;
	}
	drop_left(s);
	return STREAM_SENT;
}

static enum stream_io flush_range(struct stream *s, int file_fd, size_t *budget)
{
	while (s->file_at < s->file_end) {
		int64_t want = s->file_end - s->file_at;
		if (!*budget)
			return STREAM_LATER;
		if (want > (int64_t)*budget)
			want = (int64_t)*budget;
		off_t at = s->file_at;
		ssize_t n = sendfile(s->fd, file_fd, &at, (size_t)want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? STREAM_BLOCKED : STREAM_GONE;
		if (n == 0)
			return STREAM_GONE;     /* the file is shorter than it was: the chunk cannot be completed */
		s->moved = 1;
		s->file_at = at;
		*budget -= (size_t)n;
	}
	return STREAM_SENT;
}

enum stream_io stream_flush(struct stream *s, int file_fd, size_t *budget)
{
	for (;;) {
		enum stream_io io = s->left ? flush_left(s) : STREAM_SENT;
		if (io == STREAM_SENT)
			io = flush_range(s, file_fd, budget);
		if (io != STREAM_SENT)
			return io;
		s->file_at = s->file_end = 0;
		if (!s->crlf_due)
			return STREAM_SENT;
		s->crlf_due = 0;
		if (s->is_chunked)
			s->left = crlf();
	}
}

/* Offer C whole; *sent counts from the start of what this stream sends of it. */
static enum stream_io offer_chunk(struct stream *s, struct chunk *c, uint32_t *sent)
{
	uint32_t from, to;

	span_of(s, c, &from, &to);
	ssize_t n = from < to ? offer(s, c->bytes + from, to - from, 0) : 0;
	*sent = from + (uint32_t)(n > 0 ? n : 0);
	if (n < 0)
		return STREAM_GONE;
	return *sent == to ? STREAM_SENT : STREAM_BLOCKED;
}

enum stream_io stream_send(struct stream *s, struct chunk *c)
{
	uint32_t sent;
	enum stream_io io = offer_chunk(s, c, &sent);

	assert(stream_is_free(s));
	if (io == STREAM_BLOCKED) {
		s->left = chunk_ref(c);
		s->left_at = sent;
	}
	return io;
}

enum stream_io stream_try(struct stream *s, struct chunk *c)
{
	uint32_t sent, from, to;
	enum stream_io io = offer_chunk(s, c, &sent);

	assert(stream_is_free(s));
	span_of(s, c, &from, &to);
	if (io == STREAM_BLOCKED && sent > from) {
		s->left = chunk_ref(c);
		s->left_at = sent;
	}
	return io;
}

enum stream_io stream_send_of_file(struct stream *s, struct chunk *c, int64_t from)
{
	uint32_t sent, begin, end;
	enum stream_io io = offer_chunk(s, c, &sent);

	assert(stream_is_free(s));
	span_of(s, c, &begin, &end);
	if (io != STREAM_BLOCKED || sent == begin)
		return io;
	if (sent >= c->head + c->payload) {             /* one byte of the frame's end is missing */
		s->left = crlf();
		s->left_at = sent - c->head - c->payload;
		return io;
	}
	if (sent < c->head) {
		s->left = chunk_raw((struct slice){ c->bytes, c->head });
		s->left_at = sent;
	}
	s->file_at = from + (sent > c->head ? sent - c->head : 0);
	s->file_end = from + c->payload;
	s->crlf_due = 1;
	return io;
}

void stream_open_range(struct stream *s, int64_t from, int64_t end)
{
	char head[CHUNK_HEAD_MAX + 8];

	assert(stream_is_free(s) && from < end);
	if (s->is_chunked)
		s->left = chunk_raw((struct slice){ head, chunk_head(head, (uint64_t)(end - from)) });
	s->file_at = from;
	s->file_end = end;
	s->crlf_due = 1;
}

/* ---- life ---- */

int stream_open(struct stream_hub *h, struct stream *s, int fd, int is_chunked)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s };
	int notsent = NOTSENT_BYTES, stall = STREAM_STALL_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent);       /* both fail on unix sockets */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall, sizeof stall);
	if (epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		http_taken_close(h->loop, fd);
		return -1;
	}
	s->fd = fd;
	s->is_chunked = is_chunked ? 1 : 0;
	s->due = UINT32_MAX;
	TAILQ_INSERT_TAIL(&h->all, s, all);
	h->count++;
	return 0;
}

void stream_due(struct stream_hub *h, struct stream *s, int64_t in_ms)
{
	s->due = due_now(h) + (uint32_t)(in_ms / 100);
	if (s->due < h->sweep_at)
		h->sweep_at = s->due;
}

void stream_ready(struct stream_hub *h, struct stream *s)
{
	if (s->is_ready || s->is_dead)
		return;
	s->is_ready = 1;
	h->n_ready++;
	TAILQ_INSERT_TAIL(&h->ready, s, ready);
}

static void unready(struct stream_hub *h, struct stream *s)
{
	if (!s->is_ready)
		return;
	s->is_ready = 0;
	h->n_ready--;
	TAILQ_REMOVE(&h->ready, s, ready);
}

void stream_kill(struct stream_hub *h, struct stream *s)
{
	if (s->is_dead)
		return;
	s->is_dead = 1;
	unready(h, s);
	drop_left(s);
	TAILQ_REMOVE(&h->all, s, all);
	TAILQ_INSERT_TAIL(&h->dead, s, all);
}

void stream_finish(struct stream_hub *h, struct stream *s)
{
	assert(stream_is_free(s));
	if (s->is_dead || s->is_lingering)
		return;
	if (s->is_chunked && offer(s, "0\r\n\r\n", 5, 0) != 5) {
		stream_kill(h, s);              /* full or gone: the peer sees a stream cut between events */
		return;
	}
	shutdown(s->fd, SHUT_WR);
	s->is_lingering = 1;
	stream_due(h, s, LINGER_MS);
}

static void reap(struct stream_hub *h)
{
	struct stream *s;
	char sink[4096];

	while ((s = TAILQ_FIRST(&h->dead))) {
		TAILQ_REMOVE(&h->dead, s, all);
		h->count--;
		if (s->is_lingering)            /* unread bytes would turn the close into a reset */
			for (int i = 0; i < 16 && recv(s->fd, sink, sizeof sink, MSG_DONTWAIT) > 0; i++)
				;
		http_taken_close(h->loop, s->fd);
		s->fd = -1;
		h->ops->on_end(s, h->arg);
	}
}

/* ---- the turn ---- */

/* Those that were ready when the turn came to them; what they make ready waits for the next one. */
static void run_ready(struct stream_hub *h)
{
	struct stream *s;

	for (int n = h->n_ready; n > 0 && (s = TAILQ_FIRST(&h->ready)); n--) {
		unready(h, s);
		h->ops->on_writable(s, h->arg);
	}
}

static void sweep(struct stream_hub *h)
{
	uint32_t now = due_now(h), next = UINT32_MAX;
	struct stream *s, *after;

	if (h->sweep_at > now)
		return;
	h->sweep_at = UINT32_MAX;
	for (s = TAILQ_FIRST(&h->all); s; s = after) {
		after = TAILQ_NEXT(s, all);
		if (s->due > now) {
			next = s->due < next ? s->due : next;
			continue;
		}
		s->due = UINT32_MAX;
		if (s->is_lingering)
			stream_kill(h, s);
		else
			h->ops->on_due(s, h->arg);
	}
	h->swept_at = now;
	if (next < h->sweep_at)
		h->sweep_at = next;
}

static void arm(struct stream_hub *h, int64_t at_us)
{
	struct itimerspec its = { 0 };

	if (h->sweep_at != UINT32_MAX) {
		uint32_t ds = h->sweep_at > h->swept_at + SWEEP_GAP_DS ? h->sweep_at : h->swept_at + SWEEP_GAP_DS;
		int64_t sweep_us = (h->start_ms + (int64_t)ds * 100) * 1000;
		at_us = sweep_us < at_us ? sweep_us : at_us;
	}
	if (!TAILQ_EMPTY(&h->ready))
		at_us = 1;                      /* long past: fires at once */
	if (at_us == h->armed_us)
		return;
	h->armed_us = at_us;
	if (at_us != INT64_MAX) {
		its.it_value.tv_sec = at_us / 1000000;
		its.it_value.tv_nsec = at_us % 1000000 * 1000 + (at_us < 1000000);
	}
	timerfd_settime(h->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

void stream_hub_settle(struct stream_hub *h)
{
	int64_t again = h->ops->on_turn(mono_us(), h->arg);

	reap(h);
	arm(h, again);
}

static void on_timer(void *arg)
{
	struct stream_hub *h = arg;
	uint64_t count;

	if (read(h->timer_fd, &count, sizeof count) > 0)
		h->armed_us = INT64_MAX;        /* it has fired and is disarmed */
}

static void on_stream_event(struct stream_hub *h, struct stream *s, uint32_t events)
{
	if (s->is_dead)
		return;
	if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
		stream_kill(h, s);
		return;
	}
	if (!s->is_lingering && !s->is_ready)
		h->ops->on_writable(s, h->arg);
}

static void on_events(void *arg)
{
	struct stream_hub *h = arg;
	struct epoll_event ev[EVENTS_PER_TURN];
	int n = epoll_wait(h->epoll_fd, ev, EVENTS_PER_TURN, 0);

	for (int i = 0; i < n; i++) {
		if (ev[i].data.u64 & 1) {
			const struct stream_source *src = (void *)(uintptr_t)(ev[i].data.u64 & ~1ull);
			src->on_readable(src->arg);
		} else {
			on_stream_event(h, ev[i].data.ptr, ev[i].events);
		}
	}
	run_ready(h);
	sweep(h);
	stream_hub_settle(h);
}

/* ---- the hub ---- */

int stream_hub_watch(struct stream_hub *h, int fd, const struct stream_source *src)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = (uintptr_t)src | 1 };

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

struct stream_hub *stream_hub_new(struct http_loop *l, const struct stream_ops *ops, void *arg, struct err *e)
{
	struct stream_hub *h = xcalloc(1, sizeof *h);

	*h = (struct stream_hub){ .loop = l, .ops = ops, .arg = arg, .start_ms = mono_ms(), .armed_us = INT64_MAX,
				  .sweep_at = UINT32_MAX, .timer = { on_timer, h } };
	TAILQ_INIT(&h->all);
	TAILQ_INIT(&h->ready);
	TAILQ_INIT(&h->dead);
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	h->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (h->epoll_fd < 0 || h->timer_fd < 0 || stream_hub_watch(h, h->timer_fd, &h->timer) < 0 ||
	    http_loop_watch(l, h->epoll_fd, on_events, h) < 0) {
		err_errno(e, "a set of streams");
		stream_hub_free(h);
		return NULL;
	}
	return h;
}

void stream_hub_free(struct stream_hub *h)
{
	struct stream *s;

	if (!h)
		return;
	while ((s = TAILQ_FIRST(&h->all)))
		stream_kill(h, s);
	reap(h);
	fd_closep(&h->epoll_fd);
	fd_closep(&h->timer_fd);
	free(h);
}

int stream_hub_count(const struct stream_hub *h)
{
	return h->count;
}

void stream_hub_each(struct stream_hub *h, void (*fn)(struct stream *s, void *arg), void *arg)
{
	struct stream *s, *after;

	for (s = TAILQ_FIRST(&h->all); s; s = after) {
		after = TAILQ_NEXT(s, all);
		fn(s, arg);
	}
}
