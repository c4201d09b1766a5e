/* tests/unit/raw_client.h - sockets and bytes, nothing between: what a test says is what goes over the wire. Every
 * wait has a deadline, and passing it fails the test. */
#pragma once
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "no_leaks.h"

#define RAW_WAIT_MS 10000

/* What libh2o keeps for good per thread, by design: its spare buffers and its queue. */
#ifdef HAVE_LSAN
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\n";
}
#endif

static inline int raw_listen(int *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert(fd >= 0);
	cr_assert_eq(bind(fd, (void *)&in, sizeof in), 0);
	cr_assert_eq(listen(fd, 4096), 0);
	cr_assert_eq(getsockname(fd, (void *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

/* RCVBUF: bytes of the receive buffer, 0 for the system's choice. */
static inline int raw_connect_with(int port, int rcvbuf)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0);
	if (rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf);
	cr_assert_eq(connect(fd, (void *)&in, sizeof in), 0);
	return fd;
}

static inline int raw_connect(int port)
{
	return raw_connect_with(port, 0);
}

static inline void raw_send(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return;                 /* the server may have ended it: what it said is what counts */
		s = slice_from(s, n > 0 ? (size_t)n : 0);
	}
}

/* Append what comes within WAIT_MS, one read's worth. 1 got something, 0 end of stream (or reset), -1 nothing. */
static inline int raw_recv_within(int fd, struct buf *in, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n = poll(&p, 1, wait_ms);

	if (n <= 0)
		return -1;
	char *to = buf_room(in, 65536);
	cr_assert(to, "more came than the test has room for");
	ssize_t got = recv(fd, to, 65536, 0);
	if (got <= 0)
		return 0;
	buf_grew(in, (size_t)got);
	return 1;
}

static inline int raw_recv(int fd, struct buf *in)
{
	int n = raw_recv_within(fd, in, RAW_WAIT_MS);

	cr_assert_neq(n, -1, "nothing came within %d ms; so far: %.*s", RAW_WAIT_MS, (int)in->len, in->ptr);
	return n;
}

static inline void raw_until_eof(int fd, struct buf *in)
{
	while (raw_recv(fd, in))
		;
}

/* Read until NEEDLE has come, N times over. */
static inline void raw_until_n(int fd, struct buf *in, const char *needle, int n)
{
	for (;;) {
		struct slice rest = buf_slice(in);
		int seen = 0;
		ptrdiff_t at;
		while (seen < n && (at = slice_find(rest, slice_of(needle))) >= 0) {
			rest = slice_from(rest, (size_t)at + strlen(needle));
			seen++;
		}
		if (seen == n)
			return;
		cr_assert(raw_recv(fd, in), "ended before \"%s\"; got: %.*s", needle, (int)in->len, in->ptr);
	}
}

static inline void raw_until(int fd, struct buf *in, const char *needle)
{
	raw_until_n(fd, in, needle, 1);
}

static inline int raw_has(const struct buf *in, const char *needle)
{
	return slice_find(buf_slice(in), slice_of(needle)) >= 0;
}

static inline int raw_status(const struct buf *in)
{
	int64_t n = 0;

	if (in->len < 12 || slice_to_i64((struct slice){ in->ptr + 9, 3 }, 100, 599, &n) < 0)
		return 0;
	return (int)n;
}
