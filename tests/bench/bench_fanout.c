/* bench_fanout: one job's log to N watchers. The server (the real streams, over a real store and journal) is this process,
 * the watchers are another; beside it, in the same run, a bare loop of write() to as many connections. Usage:
 * bench_fanout [watchers] [seconds per row]. Closed loop: the next write is made when all have the last one. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "front/http.h"
#include "front/sse.h"
#include "journal/event.h"
#include "journal/file.h"
#include "store/notice.h"
#include "store/store.h"
#include "store/submit.h"
#include "wire/frame.h"

#define WAIT_MS 20000
#define CHATTY_LINES 300                /* of 100 bytes: what the journal's writer puts into one batch of some 32 KiB */

struct shared {                         /* with the watchers' process */
	_Atomic int64_t received, target;
	int reached_fd;
};

static struct shared *shared;

static void die(const char *what)
{
	fprintf(stderr, "bench_fanout: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the watchers ---- */

static int dial(int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (void *)&in, sizeof in) < 0)
		die("connect");
	return fd;
}

/* Connect N to PORT, say SAY on each, then count bytes for ever. */
static void watchers(int n, int port, const char *say)
{
	struct epoll_event ev[256];
	uint64_t one = 1;
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int64_t told = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < n; i++) {
		int fd = dial(port);
		if (*say && write(fd, say, strlen(say)) != (ssize_t)strlen(say))
			die("write");
		struct epoll_event add = { .events = EPOLLIN, .data.fd = fd };
		if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &add) < 0)
			die("epoll");
	}
	for (;;) {
		int got = epoll_wait(ep, ev, 256, -1);
		int64_t sum = 0;
		for (int i = 0; i < got; i++) {
			ssize_t bytes = recv(ev[i].data.fd, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT);
			if (bytes == 0)
				_exit(0);
			sum += bytes > 0 ? bytes : 0;
		}
		int64_t now = atomic_fetch_add(&shared->received, sum) + sum, target = atomic_load(&shared->target);
		if (target > told && now >= target) {
			told = target;
			if (write(shared->reached_fd, &one, sizeof one) != sizeof one)
				die("eventfd");
		}
	}
}

static pid_t start_watchers(int n, int port, const char *say)
{
	atomic_store(&shared->received, 0);
	atomic_store(&shared->target, 0);
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		watchers(n, port, say);
		_exit(0);
	}
	return pid;
}

static void stop_watchers(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Until the watchers have MORE bytes than the target before. */
static void await(int64_t more, void (*send_it)(void *arg), void *arg)
{
	struct pollfd p = { .fd = shared->reached_fd, .events = POLLIN };
	uint64_t count;

	atomic_fetch_add(&shared->target, more);
	send_it(arg);
	if (poll(&p, 1, WAIT_MS) != 1)
		die("the watchers did not get all");
	if (read(shared->reached_fd, &count, sizeof count) < 0)
		die("eventfd");
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct rate { double per_second, cpu_us; };

static struct rate run(double seconds, int n, int lines, int64_t (*next_bytes)(void *arg), void (*send_it)(void *arg), void *arg)
{
	double cpu = cpu_seconds();
	int64_t start = mono_us(), until = start + (int64_t)(seconds * 1e6), rounds = 0;

	while (mono_us() < until) {
		await(next_bytes(arg), send_it, arg);
		rounds++;
	}
	double all = (double)rounds * n * lines;
	return (struct rate){ all * 1e6 / (double)(mono_us() - start), (cpu_seconds() - cpu) * 1e6 / all };
}

/* ---- the bare loop ---- */

struct bare {
	int n, *fds;
	struct buf bytes;
};

static int64_t bare_bytes(void *arg)
{
	struct bare *b = arg;
	return (int64_t)b->bytes.len * b->n;
}

static void bare_send(void *arg)
{
	struct bare *b = arg;

	for (int i = 0; i < b->n; i++)
		if (fd_write_all(b->fds[i], buf_slice(&b->bytes)) < 0)
			die("write");
}

static struct bare bare_open(int n, pid_t *pid)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct bare b = { .n = n, .fds = xcalloc((size_t)n, sizeof(int)), .bytes = BUF(1 << 20) };
	socklen_t len = sizeof in;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(listener, (void *)&in, sizeof in) < 0 || listen(listener, 4096) < 0 ||
	    getsockname(listener, (void *)&in, &len) < 0)
		die("listen");
	*pid = start_watchers(n, ntohs(in.sin_port), "");
	for (int i = 0; i < n; i++) {
		b.fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (b.fds[i] < 0)
			die("accept");
	}
	close(listener);
	return b;
}

/* ---- the server ---- */

struct server {
	struct http *http;
	struct sse_hub *hub;
	struct store *store;
	struct mailbox *claims, *replies;
	int state_dirfd, journals_dirfd, port, n;
	int64_t job;
	int fd;
	int64_t at;
	struct buf data, event;
};

static struct server S;

static void on_request(struct http_request *r, void *arg)
{
	sse_job_events(r, S.hub, S.job);
}

static void *on_loop_start(struct http_loop *l, void *arg)
{
	const struct sse_options o = { .loop = l, .store = S.store, .journals_dirfd = S.journals_dirfd };
	struct err e;

	S.hub = sse_hub_new(&o, &e);
	if (!S.hub)
		die(e.msg);
	return S.hub;
}

static void on_notice(struct mail *m, void *loop)
{
	struct notice_mail *n = (struct notice_mail *)m;

	sse_on_notice(http_loop_data(loop), n->notice);
	notice_unref(n->notice);
	free(n);
}

static struct mail *take(struct mailbox *mb)
{
	struct pollfd p = { .fd = mailbox_fd(mb), .events = POLLIN };
	struct mail_list list;

	if (poll(&p, 1, WAIT_MS) != 1)
		die("the store does not answer");
	mailbox_take(mb, &list);
	return STAILQ_FIRST(&list);
}

static void make_job(void)
{
	struct submit *s = xcalloc(1, sizeof *s);
	struct err e;

	*s = (struct submit){ .reply_to = S.replies, .source = xstrdup("bench"), .provider = xstrdup("github"),
			      .key = xstrdup("1"), .event = xstrdup("push"), .action = xstrdup(""),
			      .summary_json = xstrdup("{}"), .event_json = xstrdup("{}"), .headers_json = xstrdup("{}"),
			      .why_json = xstrdup("[]"), .ruleset = xstrdup("0"), .received_ms = wall_ms(), .body = BUF(64),
			      .n_jobs = 1, .jobs = xcalloc(1, sizeof *s->jobs) };
	s->jobs[0] = (struct submit_job){ .rule = "r", .file = "f", .queue = xstrdup("q"), .policy.limit = 1,
					  .timeout_ms = 60000 };
	store_submit(S.store, s);
	take(S.replies);
	S.job = s->jobs[0].job;
	submit_free(s);
	claim_free((struct claim *)take(S.claims));
	S.fd = journal_create(S.journals_dirfd, S.job, 1, &e);
	if (S.fd < 0)
		die(e.msg);
}

static void server_open(const char *folder, int n)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct http_options o = { .loops = 1, .max_connections = n + 100, .on_request = on_request,
				  .on_loop_start = on_loop_start };
	socklen_t len = sizeof in;
	struct err e;

	S.n = n;
	S.claims = mailbox_new();
	S.replies = mailbox_new();
	S.state_dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	S.journals_dirfd = dir_open_make(S.state_dirfd, "journals", &e);
	const struct store_options so = { .state_dirfd = S.state_dirfd, .jobs_max = 1, .claims = S.claims };
	if (S.journals_dirfd < 0 || store_open(&so, &S.store, &e) < 0)
		die(e.msg);
	store_recover_done(S.store);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (void *)&in, sizeof in) < 0 || listen(listener, 4096) < 0 ||
	    getsockname(listener, (void *)&in, &len) < 0)
		die("listen");
	S.port = ntohs(in.sin_port);
	if (http_new(&o, &S.http, &e) < 0 || http_listen(S.http, listener, LISTEN_PAGES, &e) < 0)
		die(e.msg);
	store_watch(S.store, http_loop_mailbox(http_loop_at(S.http, 0)), on_notice);
	make_job();
	if (http_start(S.http, &e) < 0)
		die(e.msg);
}

/* What each watcher receives for one event sent alone: its chunk. Makes the event as well. */
static int64_t server_bytes(void *arg)
{
	char head[32];

	buf_clear(&S.event);
	S.at = journal_encode(&S.event, S.job, 1, S.at, "log", buf_slice(&S.data));
	return ((int64_t)S.event.len + 2 + snprintf(head, sizeof head, "%zx\r\n", S.event.len)) * S.n;
}

static void server_send(void *arg)
{
	if (fd_write_all(S.fd, buf_slice(&S.event)) < 0)
		die("journal");
}

static void lines(struct buf *out, int n)
{
	buf_clear(out);
	buf_adds(out, "{\"t\":1,\"s\":1,\"l\":[");
	for (int i = 0; i < n; i++) {
		buf_adds(out, i ? ",\"" : "\"");
		for (int k = 0; k < (n == 1 ? 30 : 97); k++)
			buf_addc(out, (char)('a' + k % 26));
		buf_addc(out, '"');
	}
	buf_adds(out, "]}");
}

static int64_t heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return (int64_t)(m.uordblks + m.hblkhd);
}

static int64_t rss_kib(void)
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *at = strstr(text, "VmRSS:");
	return at ? strtoll(at + 6, NULL, 10) : 0;
}

static void await_watchers(int n)
{
	struct pollfd never = { .fd = -1 };

	for (int64_t until = mono_ms() + WAIT_MS; sse_count(S.hub) != n;) {
		if (mono_ms() > until)
			die("not all watchers came");
		poll(&never, 1, 5);
	}
	for (int64_t was = -1; was != atomic_load(&shared->received);) {        /* until their beginnings have arrived */
		was = atomic_load(&shared->received);
		poll(&never, 1, 100);
	}
	atomic_store(&shared->target, atomic_load(&shared->received));
}

static void bench_server(int n, double seconds, struct rate *one, struct rate *many)
{
	const char say[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	pid_t warm = start_watchers(n, S.port, say);
	await_watchers(n);                      /* so that what h2o keeps for good is not counted below */
	stop_watchers(warm);
	await_watchers(0);
	int64_t heap = heap_bytes(), rss = rss_kib();
	pid_t pid = start_watchers(n, S.port, say);
	await_watchers(n);
	printf("memory per idle watcher, %d watchers: heap %lld bytes, RSS %lld bytes\n", n,
	       (long long)(heap_bytes() - heap) / n, (long long)(rss_kib() - rss) * 1024 / n);
	lines(&S.data, 1);
	*one = run(seconds, n, 1, server_bytes, server_send, NULL);
	lines(&S.data, CHATTY_LINES);
	*many = run(seconds, n, CHATTY_LINES, server_bytes, server_send, NULL);
	stop_watchers(pid);
}

static void bench_bare(int n, double seconds, struct rate *one, struct rate *many)
{
	pid_t pid;
	struct bare b = bare_open(n, &pid);

	lines(&b.bytes, 1);
	buf_adds(&b.bytes, "id: 1.1.123456\nevent: log\ndata: \n\n5f\r\n\r\n");
	*one = run(seconds, n, 1, bare_bytes, bare_send, &b);
	lines(&b.bytes, CHATTY_LINES);
	*many = run(seconds, n, CHATTY_LINES, bare_bytes, bare_send, &b);
	stop_watchers(pid);
	for (int i = 0; i < n; i++)
		close(b.fds[i]);
	free(b.fds);
	buf_fini(&b.bytes);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1000;
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 3;
	char folder[] = "/tmp/bench-fanout-XXXXXX";
	struct rate one, many, bare_one, bare_many;

	if (n < 1 || n > 15000 || !mkdtemp(folder))
		die("[watchers 1..15000] [seconds]");
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->reached_fd = eventfd(0, EFD_CLOEXEC);
	S.data = BUF(1 << 20);
	S.event = BUF(1 << 20);
	bench_bare(n, seconds, &bare_one, &bare_many);
	server_open(folder, n);
	bench_server(n, seconds, &one, &many);
	printf("one line per write, 1 x %d | %.0f deliveries/s, %.2f us CPU each | bare write() loop %.0f/s, %.2f us | %.2f, CPU %.2f | CPU <= 1.2\n",
	       n, one.per_second, one.cpu_us, bare_one.per_second, bare_one.cpu_us, one.per_second / bare_one.per_second,
	       one.cpu_us / bare_one.cpu_us);
	printf("%d lines per write, 1 x %d | %.2f M lines/s, %.3f us CPU each | bare write() loop %.2f M/s, %.3f us | %.2f | -\n",
	       CHATTY_LINES, n, many.per_second / 1e6, many.cpu_us, bare_many.per_second / 1e6, bare_many.cpu_us,
	       many.per_second / bare_many.per_second);
	journal_unlink(S.journals_dirfd, S.job, 1);
	unlinkat(S.state_dirfd, "journals", AT_REMOVEDIR);
	const char *const files[] = { "pushrod.db", "pushrod.db-wal", "pushrod.db-shm", "pushrod.db.lock" };
	for (size_t i = 0; i < COUNT(files); i++)
		unlinkat(S.state_dirfd, files[i], 0);
	rmdir(folder);
	fflush(stdout);
	_exit(0);                               /* the threads go with the process */
}
