/* bench_store: durable submits of a 7 KB push per second, by how many are in flight, beside a bare append + fdatasync of
 * the same bytes in the same run. Usage: bench_store [seconds per row] [folder]. Each submit brings one job; with `jobs`
 * as third word the jobs are also claimed and finished. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "store/notice.h"
#include "store/store.h"
#include "store/submit.h"

#define BODY_BYTES 7168
#define MAX_SAMPLES 2000000

struct bench {
	struct store *store;
	struct mailbox *replies, *claims, *notices;
	int64_t seconds;
	int in_flight, waiting;
	int finish_jobs;
	int64_t until_us, sent, failed, told;
	int64_t *took_us;
	size_t n_took;
	char body[BODY_BYTES];
};

static void on_submitted(struct mail *m, void *arg);
static void on_finished(struct mail *m, void *arg)
{
	struct bench *b = arg;

	b->waiting--;
	free(m);
}

static void send_one(struct bench *b)
{
	struct submit *s = xcalloc(1, sizeof *s);
	int64_t n = ++b->sent;

	s->mail.deliver = on_submitted;
	s->reply_to = b->replies;
	s->source = xstrdup("github");
	s->provider = xstrdup("github");
	char seed[32], digest[65];
	snprintf(seed, sizeof seed, "%d-%lld", getpid(), (long long)n);
	sha256_hex(slice_of(seed), digest);
	s->key = xprintf("%.8s-%.4s-%.4s-%.4s-%.12s", digest, digest + 8, digest + 12, digest + 16, digest + 20);
	s->event = xstrdup("push");
	s->action = xstrdup("");
	s->summary_json = xstrdup("{\"repo\":\"acme/handbook\",\"ref\":\"refs/heads/main\",\"branch\":\"main\",\"sha\":"
				  "\"5f3c0e0d7c5d0b0f2a0f3c0e0d7c5d0b0f2a0f3c\",\"title\":\"Fix a typo\",\"sender\":\"ada\"}");
	s->event_json = xprintf("{\"event\":\"push\",\"repo\":\"acme/handbook\",\"paths\":[\"%.600s\"]}", b->body);
	s->headers_json = xprintf("{\"user-agent\":\"GitHub-Hookshot/%lld\",\"content-type\":\"application/json\"}", (long long)n);
	s->why_json = xstrdup("[]");
	s->ruleset = xstrdup("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	s->received_ms = wall_ms();
	s->body = BUF(BODY_BYTES);
	buf_add(&s->body, (struct slice){ b->body, BODY_BYTES });
	s->jobs = xcalloc(1, sizeof *s->jobs);
	s->jobs[0] = (struct submit_job){ .rule = "docs", .file = "rules/docs.lua", .queue = xstrdup("rules/docs.lua docs"),
					  .policy.limit = b->finish_jobs ? 64 : 1, .timeout_ms = 3600000 };
	s->n_jobs = 1;
	s->arg = (void *)(intptr_t)mono_us();
	b->waiting++;
	store_submit(b->store, s);
}

static void on_submitted(struct mail *m, void *arg)
{
	struct bench *b = arg;
	struct submit *s = (struct submit *)m;
	int64_t now = mono_us();

	if (b->n_took < MAX_SAMPLES)
		b->took_us[b->n_took++] = now - (int64_t)(intptr_t)s->arg;
	b->failed += s->outcome != STORE_OK;
	b->waiting--;
	submit_free(s);
	if (now < b->until_us)
		send_one(b);
}

static void on_notice(struct mail *m, void *arg)
{
	struct bench *b = arg;
	struct notice_mail *n = (struct notice_mail *)m;

	b->told += (int64_t)n->notice->n;
	notice_unref(n->notice);
	free(n);
}

static void take_claims(struct bench *b)
{
	struct mail_list list;

	mailbox_take(b->claims, &list);
	while (!STAILQ_EMPTY(&list)) {
		struct claim *c = (struct claim *)STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		if (b->finish_jobs) {
			struct finish *f = xcalloc(1, sizeof *f);
			f->mail.deliver = on_finished;
			f->reply_to = b->replies;
			f->result = (struct job_result){ .job = c->job, .attempt = c->attempt, .state = JOB_SUCCEEDED, .log_bytes = 812 };
			b->waiting++;
			store_finish(b->store, f);
		}
		claim_free(c);
	}
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static int64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void report(const char *what, int in_flight, struct bench *b, int64_t took_us, int64_t cpu)
{
	qsort(b->took_us, b->n_took, sizeof *b->took_us, by_value);
	printf("%-28s %4d  %9.0f /s  p50 %7.2f ms  p99 %7.2f ms  cpu %5.1f us each\n", what, in_flight,
	       (double)b->n_took * 1e6 / (double)took_us, (double)b->took_us[b->n_took / 2] / 1e3,
	       (double)b->took_us[b->n_took * 99 / 100] / 1e3, (double)cpu / (double)b->n_took);
	fflush(stdout);
}

static void run(struct bench *b, int in_flight)
{
	int64_t start = mono_us(), cpu = cpu_us();

	b->n_took = 0;
	b->until_us = start + b->seconds * 1000000;
	for (int i = 0; i < in_flight; i++)
		send_one(b);
	while (b->waiting > 0) {
		struct pollfd p[] = { { mailbox_fd(b->replies), POLLIN, 0 }, { mailbox_fd(b->claims), POLLIN, 0 },
				      { mailbox_fd(b->notices), POLLIN, 0 } };
		poll(p, COUNT(p), -1);
		mailbox_deliver(b->replies, b);
		take_claims(b);
		mailbox_deliver(b->notices, b);
	}
	report("store_submit", in_flight, b, mono_us() - start, cpu_us() - cpu);
}

/* What the disk can do at the most: AT_ONCE bodies are written, then one fdatasync, then they all count. */
static void run_bare(struct bench *b, int dirfd, int at_once)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, "bare", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int64_t start = mono_us(), cpu = cpu_us(), until = start + b->seconds * 1000000;

	b->n_took = 0;
	for (int64_t now = start; now < until && b->n_took + (size_t)at_once < MAX_SAMPLES; now = mono_us()) {
		for (int i = 0; i < at_once; i++)
			if (fd_write_all(fd, (struct slice){ b->body, BODY_BYTES }) < 0)
				exit(1);
		if (fdatasync(fd) < 0)
			exit(1);
		int64_t took = mono_us() - now;
		for (int i = 0; i < at_once; i++)
			b->took_us[b->n_took++] = took;
	}
	report("append + fdatasync", at_once, b, mono_us() - start, cpu_us() - cpu);
	unlinkat(dirfd, "bare", 0);
}

static void remove_database(int dirfd)
{
	static const char *const names[] = { "pushrod.db", "pushrod.db-wal", "pushrod.db-shm", "pushrod.db.lock" };
	for (size_t i = 0; i < COUNT(names); i++)
		unlinkat(dirfd, names[i], 0);
}

int main(int argc, char **argv)
{
	static const int in_flight[] = { 1, 16, 64, 256 };
	char folder[4096];
	struct bench b = { .seconds = 3 };
	struct err e;

	if (argc > 1 && slice_to_i64(slice_of(argv[1]), 1, 600, &b.seconds) < 0)
		return 2;
	snprintf(folder, sizeof folder, "%s/bench_store.XXXXXX", argc > 2 ? argv[2] : "/tmp");
	b.finish_jobs = argc > 3 && strcmp(argv[3], "jobs") == 0;
	if (!mkdtemp(folder))
		return 1;
	CLEANUP(fd_closep) int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b.took_us = xcalloc(MAX_SAMPLES, sizeof *b.took_us);
	for (size_t i = 0; i < sizeof b.body; i++)
		b.body[i] = (char)('a' + (i * 7 + i / 26) % 26);
	b.replies = mailbox_new();
	b.claims = mailbox_new();
	b.notices = mailbox_new();
	for (size_t i = 0; i < COUNT(in_flight); i++)
		run_bare(&b, dirfd, in_flight[i]);
	const struct store_options o = { .state_dirfd = dirfd, .jobs_max = b.finish_jobs ? 64 : 8, .claims = b.claims };
	if (store_open(&o, &b.store, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	store_watch(b.store, b.notices, on_notice);
	store_recover_done(b.store);
	for (size_t i = 0; i < COUNT(in_flight); i++)
		run(&b, in_flight[i]);
	store_close(b.store);
	mailbox_deliver(b.notices, &b);
	take_claims(&b);
	printf("%lld sent, %lld refused, %lld changes told\n", (long long)b.sent, (long long)b.failed, (long long)b.told);
	remove_database(dirfd);
	rmdir(folder);
	mailbox_free(b.replies);
	mailbox_free(b.claims);
	mailbox_free(b.notices);
	free(b.took_us);
	return b.failed != 0;
}
