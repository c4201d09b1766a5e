/* front/http: what libh2o leaves open is closed, seen from raw sockets; and a socket taken over loses no byte. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "front/head.h"
#include "front/http.h"
#include "no_leaks.h"
#include "raw_client.h"
#include "wire/frame.h"

/* ---- the server under test ---- */

struct server {
	struct http *http;
	int port;
	int taken[2];                   /* a pipe: descriptors as they are taken over */
	struct http_ticket *parked;
	_Atomic int unparked_dead, requests;
};

static struct server S;

static void reply_text(struct http_request *r, struct slice body)
{
	http_reply(r, &(struct http_reply){ .status = 200, .content_type = "text/plain", .body = body });
}

static void echo(struct http_request *r)
{
	struct buf b = BUF(1 << 20);
	char peer[64];

	http_peer(r, peer);
	buf_addf(&b, "method=" SLICE_FMT " path=" SLICE_FMT " query=" SLICE_FMT " host=" SLICE_FMT " peer=%s body=%zu",
		 SLICE_ARG(http_method(r)), SLICE_ARG(http_path(r)), SLICE_ARG(http_query(r)), SLICE_ARG(http_host(r)), peer,
		 http_body(r).len);
	reply_text(r, buf_slice(&b));
	buf_fini(&b);
}

struct unpark_mail { struct mail mail; };

static void on_unpark(struct mail *m, void *arg)
{
	struct http_request *r = http_unpark(S.parked);

	if (r)
		reply_text(r, SLICE("later"));
	else
		atomic_fetch_add(&S.unparked_dead, 1);
	free(m);
}

static void unpark_soon(struct http *h)
{
	struct unpark_mail *u = xcalloc(1, sizeof *u);
	u->mail.deliver = on_unpark;
	mailbox_post(http_loop_mailbox(http_loop_at(h, 0)), &u->mail);
}

static void on_taken(int fd, int is_chunked, void *arg)
{
	int told[2] = { fd, is_chunked };
	cr_assert_eq(write(S.taken[1], told, sizeof told), sizeof told);
}

static void on_request(struct http_request *r, void *arg)
{
	static const char *const stream_headers[] = { "content-type", "text/event-stream", "cache-control", "no-store", NULL };
	struct slice path = http_path(r);

	atomic_fetch_add(&S.requests, 1);
	if (slice_eq(path, SLICE("/stream"))) {
		http_take_over(r, stream_headers, SLICE("retry: 2000\n\n"), on_taken, NULL);
	} else if (slice_eq(path, SLICE("/parked"))) {
		S.parked = http_park(r);
		if (!http_query(r).len)
			unpark_soon(S.http);
	} else if (slice_eq(path, SLICE("/self"))) {
		int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
		http_reply_file(r, &(struct http_reply){ .status = 200, .content_type = "application/octet-stream" }, fd, 100,
				300000);
		close(fd);
	} else if (slice_eq(path, SLICE("/none"))) {
		http_reply(r, &(struct http_reply){ .status = 204 });
	} else if (slice_eq(path, SLICE("/missing"))) {
		http_problem(r, 404, "Not Found", "no \"thing\" here");
	} else {
		echo(r);
	}
}

static void server_start(int classes, int max_connections)
{
	struct http_options o = { .loops = 1, .max_connections = max_connections, .on_request = on_request };
	struct err e;

	cr_assert_eq(pipe2(S.taken, O_CLOEXEC), 0);
	cr_assert_eq(http_new(&o, &S.http, &e), 0);
	cr_assert_eq(http_listen(S.http, raw_listen(&S.port), classes, &e), 0);
	cr_assert_eq(http_start(S.http, &e), 0);
}

static void server_stop(void)
{
	http_drain(S.http, 5000, NULL, NULL);
	http_free(S.http, NULL);
	close(S.taken[0]);
	close(S.taken[1]);
}

static int await_taken(int *is_chunked)
{
	struct pollfd p = { .fd = S.taken[0], .events = POLLIN };
	int told[2];

	cr_assert_eq(poll(&p, 1, RAW_WAIT_MS), 1, "nothing was taken over");
	cr_assert_eq(read(S.taken[0], told, sizeof told), sizeof told);
	*is_chunked = told[1];
	return told[0];
}

static void close_on_loop(struct mail *m, void *arg);
struct close_mail { struct mail mail; int fd; };

static void close_on_loop(struct mail *m, void *arg)
{
	http_taken_close(arg, ((struct close_mail *)m)->fd);
	free(m);
}

static void taken_close(int fd)
{
	struct close_mail *c = xcalloc(1, sizeof *c);
	c->mail.deliver = close_on_loop;
	c->fd = fd;
	mailbox_post(http_loop_mailbox(http_loop_at(S.http, 0)), &c->mail);
}

/* Say SAY on a connection of its own; all that came back until the server ended it. */
static struct buf talk(struct slice say)
{
	struct buf in = BUF(8 << 20);
	int fd = raw_connect(S.port);

	raw_send(fd, say);
	raw_until_eof(fd, &in);
	close(fd);
	return in;
}

/* SAY is refused with STATUS, once, and the connection ends. */
static void refuses(const char *what, int status, struct slice say)
{
	struct buf in = talk(say);

	cr_assert_eq(raw_status(&in), status, "%s: got %.*s", what, (int)in.len, in.ptr);
	ptrdiff_t first = slice_find(buf_slice(&in), SLICE("\nDate: "));
	cr_assert_eq(slice_find(slice_from(buf_slice(&in), (size_t)first + 1), SLICE("\nDate: ")), -1,
		     "%s: a second answer: %.*s", what, (int)in.len, in.ptr);
	buf_fini(&in);
}

/* ---- requests ---- */

Test(http, answers_a_get_and_keeps_the_connection)
{
	server_start(LISTEN_PAGES, 100);
	struct buf in = BUF(1 << 20);
	int fd = raw_connect(S.port);
	for (int i = 0; i < 3; i++) {
		buf_clear(&in);
		raw_send(fd, SLICE("GET /a%20b/./c/../d?x=1&y=%41 HTTP/1.1\r\nHost: localhost:1\r\n\r\n"));
		raw_until(fd, &in, "body=0");
		cr_assert(raw_has(&in, "method=GET path=/a b/d query=x=1&y=%41 host=localhost:1 peer=127.0.0.1 body=0"),
			  "%.*s", (int)in.len, in.ptr);
		cr_assert(raw_has(&in, "content-type: text/plain"));
		cr_assert(raw_has(&in, "Content-Length: "));
		cr_assert_not(raw_has(&in, "erver:"));
	}
	close(fd);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(http, answers_head_with_the_length_and_no_body)
{
	server_start(LISTEN_PAGES, 100);
	struct buf in = talk(SLICE("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	cr_assert_eq(raw_status(&in), 200);
	cr_assert(slice_ends(buf_slice(&in), SLICE("\r\n\r\n")));
	cr_assert_not(raw_has(&in, "Content-Length: 0"));
	buf_fini(&in);
	in = talk(SLICE("HEAD /self HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	cr_assert(raw_has(&in, "Content-Length: 300000"));
	cr_assert(slice_ends(buf_slice(&in), SLICE("\r\n\r\n")));
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(http, a_204_has_neither_length_nor_chunks_and_a_problem_is_json)
{
	server_start(LISTEN_PAGES, 100);
	struct buf in = talk(SLICE("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	cr_assert_eq(raw_status(&in), 204);
	cr_assert_not(raw_has(&in, "ength"));
	cr_assert_not(raw_has(&in, "chunked"));
	buf_fini(&in);
	in = talk(SLICE("GET /missing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	cr_assert(raw_has(&in, "application/problem+json"));
	cr_assert(raw_has(&in, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"no \\\"thing\\\" here\"}"));
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(http, serves_a_range_of_a_file_whole)
{
	server_start(LISTEN_PAGES, 100);
	struct buf in = talk(SLICE("GET /self HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	ptrdiff_t at = slice_find(buf_slice(&in), SLICE("\r\n\r\n"));
	cr_assert_eq(in.len - (size_t)at - 4, 300000);
	int fd = open("/proc/self/exe", O_RDONLY);
	char *want = malloc(300000);
	cr_assert_eq(pread(fd, want, 300000, 100), 300000);
	cr_assert_eq(memcmp(want, in.ptr + at + 4, 300000), 0);
	free(want);
	close(fd);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(http, a_parked_request_is_answered_later)
{
	server_start(LISTEN_PAGES, 100);
	struct buf in = talk(SLICE("GET /parked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	cr_assert(slice_ends(buf_slice(&in), SLICE("later")));
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(http, speaks_over_a_unix_socket)
{
	struct http_options o = { .loops = 1, .max_connections = 10, .on_request = on_request };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct buf in = BUF(1 << 20);
	struct err e;

	snprintf(un.sun_path, sizeof un.sun_path, "/tmp/pushrod-http-%d.sock", getpid());
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (void *)&un, sizeof un), 0);
	cr_assert_eq(listen(fd, 10), 0);
	cr_assert_eq(http_new(&o, &S.http, &e), 0);
	cr_assert_eq(http_listen(S.http, fd, LISTEN_CONTROL, &e), 0);
	cr_assert_eq(http_start(S.http, &e), 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(client, (void *)&un, sizeof un), 0);
	raw_send(client, SLICE("GET / HTTP/1.1\r\nHost: pushrod\r\nConnection: close\r\n\r\n"));
	raw_until_eof(client, &in);
	cr_assert(raw_has(&in, "peer=unix"));
	close(client);
	unlink(un.sun_path);
	buf_fini(&in);
	http_drain(S.http, 5000, NULL, NULL);
	http_free(S.http, NULL);
	no_leaks();
}

/* ---- hazards ---- */

Test(hazards, http2_is_refused_by_preface_and_by_upgrade)
{
	server_start(LISTEN_HOOKS, 100);
	struct buf in = talk(SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
	cr_assert_neq(raw_status(&in), 200);
	cr_assert_not(raw_has(&in, "\4"), "HTTP/2 frames came back");
	buf_fini(&in);
	in = talk(SLICE("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
			"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"));
	cr_assert_neq(raw_status(&in), 101);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(hazards, conflicting_framing_ends_the_connection)
{
	server_start(LISTEN_HOOKS, 100);
	refuses("length and chunks", 400,
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("two lengths", 400,
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\n"
		      "abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("a length twice", 400,
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"));
	refuses("a length with a sign", 400, SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc"));
	refuses("a list of lengths", 400, SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc"));
	refuses("chunks twice", 400,
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
	refuses("an encoding that is not chunked", 400,
		SLICE("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"));
	refuses("chunks in HTTP/1.0", 400,
		SLICE("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
	server_stop();
	no_leaks();
}

Test(hazards, a_tail_behind_chunks_is_never_answered)
{
	server_start(LISTEN_HOOKS, 100);
	struct buf in = talk(SLICE("POST /one HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
				   "GET /two HTTP/1.1\r\nHost: a\r\n\r\n"));
	cr_assert(raw_has(&in, "path=/one"));
	cr_assert(raw_has(&in, "body=3"));
	cr_assert_not(raw_has(&in, "path=/two"));
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(hazards, heads_that_two_readers_may_read_differently_are_refused)
{
	server_start(LISTEN_HOOKS, 100);
	refuses("a folded header", 400, SLICE("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n"));
	refuses("bare LF", 400, SLICE("GET / HTTP/1.1\nHost: a\n\n"));
	refuses("one bare LF", 400, SLICE("GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n"));
	refuses("no Host", 400, SLICE("GET / HTTP/1.1\r\n\r\n"));
	refuses("two Hosts", 400, SLICE("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"));
	refuses("HTTP/1.2", 505, SLICE("GET / HTTP/1.2\r\nHost: a\r\n\r\n"));
	refuses("an absolute target", 400, SLICE("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("a climbing path", 400, SLICE("GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("a NUL in the path", 400, SLICE("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("half an escape", 400, SLICE("GET /a%4 HTTP/1.1\r\nHost: a\r\n\r\n"));
	refuses("an asterisk", 400, SLICE("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
	server_stop();
	no_leaks();
}

Test(hazards, a_head_over_64_kib_is_refused)
{
	server_start(LISTEN_HOOKS, 100);
	struct buf say = BUF(1 << 20);
	buf_adds(&say, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 20; i++) {
		buf_addf(&say, "X-%d: ", i);
		for (int k = 0; k < 4000; k++)
			buf_addc(&say, 'x');
		buf_adds(&say, "\r\n");
	}
	buf_adds(&say, "\r\n");
	refuses("80 KB of headers", 431, buf_slice(&say));
	buf_fini(&say);
	server_stop();
	no_leaks();
}

static void body_limit(int classes, size_t limit)
{
	struct buf say = BUF(64 << 20), in = BUF(1 << 20);

	server_start(classes, 100);
	buf_addf(&say, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", limit);
	size_t head = say.len;
	memset(buf_room(&say, limit + 1), 'x', limit + 1);
	buf_grew(&say, limit);
	in = talk(buf_slice(&say));
	cr_assert_eq(raw_status(&in), 200, "%.*s", (int)in.len, in.ptr);
	buf_fini(&in);

	/* one byte more, all of it sent before anything is read: the refusal must come through all the same */
	struct buf more = BUF(64 << 20);
	buf_addf(&more, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", limit + 1);
	buf_add(&more, slice_from(buf_slice(&say), head));
	buf_addc(&more, 'x');
	refuses("a length over the limit", 413, buf_slice(&more));

	buf_clear(&more);
	buf_addf(&more, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", limit + 1);
	buf_add(&more, slice_from(buf_slice(&say), head));
	buf_adds(&more, "x\r\n0\r\n\r\n");
	refuses("chunks over the limit", 413, buf_slice(&more));
	buf_fini(&more);
	buf_fini(&say);
	server_stop();
}

Test(hazards, bodies_of_pages_end_at_1_mib)
{
	body_limit(LISTEN_PAGES, 1 << 20);
	no_leaks();
}

Test(hazards, bodies_of_hooks_end_at_25_mib)
{
	body_limit(LISTEN_HOOKS | LISTEN_PAGES, 25 << 20);
	no_leaks();
}

Test(hazards, an_expectation_is_answered_before_the_body)
{
	server_start(LISTEN_HOOKS, 100);
	struct buf in = BUF(1 << 20);
	int fd = raw_connect(S.port);
	raw_send(fd, SLICE("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
	raw_until(fd, &in, "100 Continue\r\n\r\n");
	raw_send(fd, SLICE("abc"));
	raw_until(fd, &in, "body=3");
	close(fd);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(hazards, connections_beyond_the_cap_wait_and_are_served_when_one_ends)
{
	int fds[5];
	struct buf in = BUF(1 << 20);

	server_start(LISTEN_PAGES, 4);
	for (int i = 0; i < 4; i++) {
		fds[i] = raw_connect(S.port);
		raw_send(fds[i], SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
		buf_clear(&in);
		raw_until(fds[i], &in, "body=0");
	}
	fds[4] = raw_connect(S.port);                   /* the kernel's queue takes it */
	raw_send(fds[4], SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	buf_clear(&in);
	cr_assert_eq(raw_recv_within(fds[4], &in, 200), -1, "a fifth connection was served");
	close(fds[0]);
	raw_until(fds[4], &in, "body=0");
	for (int i = 1; i < 5; i++)
		close(fds[i]);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(hazards, running_out_of_descriptors_does_not_spin)
{
	struct rlimit was, low;
	struct rusage before, after;
	int fd = -1, spare[4096], n = 0;
	struct buf in = BUF(1 << 20);

	server_start(LISTEN_PAGES, 10000);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	fd = raw_connect(S.port);
	raw_send(fd, SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	raw_until(fd, &in, "body=0");
	int waiting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	low = (struct rlimit){ .rlim_cur = 300, .rlim_max = was.rlim_max };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 4096 && (spare[n] = dup(fd)) >= 0)
		n++;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)S.port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cr_assert_eq(connect(waiting, (void *)&to, sizeof to), 0);
	getrusage(RUSAGE_SELF, &before);
	struct pollfd never = { .fd = -1 };
	poll(&never, 1, 400);                           /* the span over which it could spin */
	getrusage(RUSAGE_SELF, &after);
	for (int i = 0; i < n; i++)
		close(spare[i]);
	int64_t us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) *
			     1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
		     before.ru_stime.tv_usec;
	cr_assert_lt(us, 100000, "%lld us of CPU in 400 ms", (long long)us);
	raw_send(waiting, SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	buf_clear(&in);
	raw_until(waiting, &in, "body=0");              /* it went on by itself */
	setrlimit(RLIMIT_NOFILE, &was);
	close(waiting);
	close(fd);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(hazards, arriving_bodies_are_bounded_in_sum)
{
	struct http_options o = { .loops = 1, .max_connections = 100, .on_request = on_request,
				  .body_budget_bytes = 16 << 20 };
	struct err e;
	char *junk = calloc(1, 9 << 20);
	int fds[3];
	struct buf in = BUF(1 << 20);

	cr_assert_eq(http_new(&o, &S.http, &e), 0);
	cr_assert_eq(http_listen(S.http, raw_listen(&S.port), LISTEN_HOOKS, &e), 0);
	cr_assert_eq(http_start(S.http, &e), 0);
	int is_chunked, stream = raw_connect(S.port);
	cr_assert_eq(pipe2(S.taken, O_CLOEXEC), 0);
	raw_send(stream, SLICE("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));     /* one that is no longer h2o's must not hide them */
	int taken = await_taken(&is_chunked);
	struct pollfd never = { .fd = -1 };
	poll(&never, 1, 1200);                          /* the watch over bodies rests while there is none */
	for (int i = 0; i < 3; i++) {
		fds[i] = raw_connect(S.port);
		raw_send(fds[i], SLICE("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n"));
		raw_send(fds[i], (struct slice){ junk, 9 << 20 });
	}
	struct pollfd p[3] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 }, { fds[2], POLLIN, 0 } };
	cr_assert_geq(poll(p, 3, RAW_WAIT_MS), 1, "27 MB of unfinished bodies stayed");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	free(junk);
	buf_fini(&in);
	taken_close(taken);
	close(stream);
	close(S.taken[0]);
	close(S.taken[1]);
	http_drain(S.http, 5000, NULL, NULL);
	http_free(S.http, NULL);
	no_leaks();
}

/* ---- taking over ---- */

static void stream_request(int fd, struct buf *in, const char *version)
{
	struct buf say = BUF(4096);

	buf_addf(&say, "GET /stream HTTP/%s\r\nHost: a\r\n\r\n", version);
	raw_send(fd, buf_slice(&say));
	raw_until(fd, in, "retry: 2000\n\n");
	buf_fini(&say);
}

Test(take_over, the_head_is_chunked_by_us_and_every_byte_arrives)
{
	int is_chunked, client;
	struct buf in = BUF(8 << 20);

	server_start(LISTEN_PAGES, 100);
	client = raw_connect(S.port);
	stream_request(client, &in, "1.1");
	int fd = await_taken(&is_chunked);
	cr_assert(is_chunked);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert(raw_has(&in, "HTTP/1.1 200 OK\r\n"));
	cr_assert(raw_has(&in, "\r\ntransfer-encoding: chunked\r\n"));
	cr_assert_not(raw_has(&in, "ength"));
	raw_until(client, &in, "d\r\nretry: 2000\n\n\r\n");
	cr_assert(raw_has(&in, "\r\n\r\nd\r\nretry: 2000\n\n\r\n"), "%.*s", (int)in.len, in.ptr);

	size_t head = in.len;                           /* what follows is ours, to the byte */
	struct buf out = BUF(1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_addf(&out, "5\r\n%05d\r\n", i);
	buf_adds(&out, "0\r\n\r\n");
	raw_send(fd, buf_slice(&out));
	raw_until(client, &in, "0\r\n\r\n");
	cr_assert(slice_eq(slice_from(buf_slice(&in), head), buf_slice(&out)));
	cr_assert_eq(raw_recv_within(client, &in, 100), -1, "the connection was ended by somebody else");
	taken_close(fd);
	raw_until_eof(client, &in);
	close(client);
	buf_fini(&out);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(take_over, an_http_1_0_client_gets_no_chunks)
{
	int is_chunked, client;
	struct buf in = BUF(1 << 20);

	server_start(LISTEN_PAGES, 100);
	client = raw_connect(S.port);
	stream_request(client, &in, "1.0");
	int fd = await_taken(&is_chunked);
	cr_assert_not(is_chunked);
	cr_assert_not(raw_has(&in, "hunked"));
	cr_assert(raw_has(&in, "\r\n\r\nretry: 2000\n\n"));
	raw_send(fd, SLICE("tail"));
	taken_close(fd);
	raw_until_eof(client, &in);
	cr_assert(slice_ends(buf_slice(&in), SLICE("retry: 2000\n\ntail")), "%.*s", (int)in.len, in.ptr);
	close(client);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(take_over, a_client_that_is_gone_gives_no_socket)
{
	server_start(LISTEN_PAGES, 100);
	int is_chunked, client = raw_connect(S.port);
	struct buf in = BUF(1 << 20);
	struct sockaddr_in dummy;
	(void)dummy;

	/* Hold the loop at a parked request so that the client can ask for the stream and be gone before it is read. */
	raw_send(client, SLICE("GET /parked?hold HTTP/1.1\r\nHost: a\r\n\r\nGET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
	while (!atomic_load(&S.requests))
		sched_yield();
	struct linger hard = { 1, 0 };
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(client);
	unpark_soon(S.http);
	/* The parked reply fails, so the stream is never asked for; a second client asks and goes at once. */
	for (int i = 0; i < 50; i++) {
		client = raw_connect(S.port);
		setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		raw_send(client, SLICE("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"));
		close(client);
	}
	/* All of them are accounted for: the drain finds no connection left save those that we hold. */
	client = raw_connect(S.port);
	stream_request(client, &in, "1.1");
	int fd, got_live = 0;
	while (!got_live) {
		fd = await_taken(&is_chunked);
		if (fd < 0)
			continue;
		struct pollfd p = { .fd = fd, .events = POLLRDHUP };
		got_live = poll(&p, 1, 0) == 0;
		taken_close(fd);
	}
	raw_until_eof(client, &in);
	close(client);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

Test(take_over, a_taken_socket_keeps_its_place_until_it_is_given_back)
{
	int is_chunked, clients[2];
	struct buf in = BUF(1 << 20);

	server_start(LISTEN_PAGES, 1);
	clients[0] = raw_connect(S.port);
	stream_request(clients[0], &in, "1.1");
	int fd = await_taken(&is_chunked);
	clients[1] = raw_connect(S.port);
	raw_send(clients[1], SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	buf_clear(&in);
	cr_assert_eq(raw_recv_within(clients[1], &in, 150), -1);
	taken_close(fd);
	raw_until(clients[1], &in, "body=0");
	close(clients[0]);
	close(clients[1]);
	buf_fini(&in);
	server_stop();
	no_leaks();
}

/* ---- draining ---- */

static int drained_fd = -1;

static void on_loop_drain(struct http_loop *l, void *arg)
{
	http_taken_close(l, drained_fd);
}

Test(drain, ends_idle_connections_and_streams_and_returns)
{
	int is_chunked, idle, stream;
	struct buf in = BUF(1 << 20);

	server_start(LISTEN_PAGES, 100);
	idle = raw_connect(S.port);
	raw_send(idle, SLICE("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	raw_until(idle, &in, "body=0");
	stream = raw_connect(S.port);
	buf_clear(&in);
	stream_request(stream, &in, "1.1");
	drained_fd = await_taken(&is_chunked);
	int64_t start = mono_ms();
	http_drain(S.http, 5000, on_loop_drain, NULL);
	cr_assert_lt(mono_ms() - start, 2000);
	raw_until_eof(idle, &in);
	raw_until_eof(stream, &in);
	http_free(S.http, NULL);
	close(idle);
	close(stream);
	close(S.taken[0]);
	close(S.taken[1]);
	buf_fini(&in);
	no_leaks();
}

Test(drain, gives_up_on_the_rest_when_its_time_is_over)
{
	struct buf in = BUF(1 << 20);
	int is_chunked, client;

	server_start(LISTEN_PAGES, 100);
	client = raw_connect(S.port);
	stream_request(client, &in, "1.1");
	await_taken(&is_chunked);
	int64_t start = mono_ms();
	http_drain(S.http, 100, NULL, NULL);
	cr_assert_geq(mono_ms() - start, 95);
	close(client);
	buf_fini(&in);
}

/* ---- queries and paths ---- */

Test(query, finds_one_value_strictly)
{
	struct { const char *query, *name; int found; const char *value; } table[] = {
		{ "a=1&b=2", "b", 1, "2" }, { "a=1", "b", 0, "" }, { "", "b", 0, "" }, { "b", "b", 1, "" },
		{ "b=x%20y+z", "b", 1, "x y z" }, { "b=1&b=2", "b", -1, "" }, { "b=%", "b", -1, "" },
		{ "b=%4", "b", -1, "" }, { "b=%zz", "b", -1, "" }, { "%62=7", "b", 1, "7" }, { "ab=7", "b", 0, "" },
		{ "b=a=b", "b", 1, "a=b" }, { "&&b=1&", "b", 1, "1" },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf out = BUF(100);
		cr_assert_eq(query_get(slice_of(table[i].query), table[i].name, &out), table[i].found, "%s", table[i].query);
		cr_assert(slice_eq(buf_slice(&out), slice_of(table[i].value)), "%s", table[i].query);
		buf_fini(&out);
	}
	int64_t n = 5;
	cr_assert_eq(query_get_i64(SLICE("n=12"), "n", 1, 20, &n), 1);
	cr_assert_eq(n, 12);
	cr_assert_eq(query_get_i64(SLICE("n=21"), "n", 1, 20, &n), -1);
	cr_assert_eq(query_get_i64(SLICE("m=21"), "n", 1, 20, &n), 0);
	cr_assert_eq(n, 12);
	no_leaks();
}

Test(query, resolves_paths)
{
	struct { const char *raw, *path; } table[] = {
		{ "/", "/" }, { "/a/b", "/a/b" }, { "/a/./b/", "/a/b/" }, { "/a/../b", "/b" }, { "/a/b/..", "/a/" },
		{ "/a/b/../../c", "/c" }, { "/%61", "/a" }, { "/a//b", "/a//b" }, { "/.", "/" }, { "/..", NULL },
		{ "/a/../..", NULL }, { "", NULL }, { "a", NULL }, { "/%2e%2e/x", NULL }, { "/%0a", NULL }, { "/%", NULL },
		{ "/...", "/..." },
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		struct buf out = BUF(PATH_MAX_BYTES);
		int n = path_resolve(slice_of(table[i].raw), &out);
		cr_assert_eq(n, table[i].path ? 0 : -1, "%s", table[i].raw);
		if (table[i].path)
			cr_assert(slice_eq(buf_slice(&out), slice_of(table[i].path)), "%s gave %.*s", table[i].raw, (int)out.len,
				  out.ptr);
		buf_fini(&out);
	}
	no_leaks();
}
