/* tests/unit/sse_site.h - a real server with one loop, a real store, real journals: what tests of streams run against. */
#pragma once
#include <stdatomic.h>

#include "front/http.h"
#include "front/sse.h"
#include "journal/event.h"
#include "journal/file.h"
#include "sse_reader.h"
#include "store/notice.h"
#include "store_kit.h"
#include "wire/frame.h"

struct site {
	struct kit kit;
	struct http *http;
	struct sse_hub *hub;
	struct sse_options o;
	int journals_dirfd, port;
};

static struct site site;

static void site_on_request(struct http_request *r, void *arg)
{
	struct slice path = http_path(r);
	int64_t job = 0;

	if (path.len > 3 && slice_to_i64(slice_from(path, 3), 0, INT64_MAX, &job) < 0)
		job = 0;
	if (slice_starts(path, SLICE("/e/")))
		sse_job_events(r, site.hub, job);
	else if (slice_starts(path, SLICE("/t/")))
		sse_log_follow(r, site.hub, job);
	else
		sse_changes(r, site.hub);
}

static void *site_on_loop_start(struct http_loop *l, void *arg)
{
	struct err e;

	site.o.loop = l;
	site.o.store = site.kit.store;
	site.o.journals_dirfd = site.journals_dirfd;
	site.hub = sse_hub_new(&site.o, &e);
	cr_assert(site.hub, "%s", e.msg);
	return site.hub;
}

static void site_on_loop_end(struct http_loop *l, void *data)
{
	sse_hub_free(data);
}

static void site_on_loop_drain(struct http_loop *l, void *arg)
{
	sse_drain(http_loop_data(l));
}

static void site_on_notice(struct mail *m, void *loop)
{
	struct notice_mail *n = (struct notice_mail *)m;

	sse_on_notice(http_loop_data(loop), n->notice);
	notice_unref(n->notice);
	free(n);
}

/* site.o may be set before. */
static inline void site_open(void)
{
	struct http_options o = { .loops = 1, .max_connections = 15000, .on_request = site_on_request,
				  .on_loop_start = site_on_loop_start };
	struct err e;

	kit_init(&site.kit);
	kit_open(&site.kit, 8);
	store_recover_done(site.kit.store);
	site.journals_dirfd = dir_open_make(site.kit.dirfd, "journals", &e);
	cr_assert(site.journals_dirfd >= 0);
	cr_assert_eq(http_new(&o, &site.http, &e), 0, "%s", e.msg);
	cr_assert_eq(http_listen(site.http, raw_listen(&site.port), LISTEN_PAGES, &e), 0, "%s", e.msg);
	store_watch(site.kit.store, http_loop_mailbox(http_loop_at(site.http, 0)), site_on_notice);
	cr_assert_eq(http_start(site.http, &e), 0, "%s", e.msg);
}

static inline void site_drain(void)
{
	http_drain(site.http, 5000, site_on_loop_drain, NULL);
}

static inline void site_remove_journals(void)
{
	DIR *d = fdopendir(site.journals_dirfd);
	struct dirent *entry;

	while ((entry = readdir(d)))
		unlinkat(dirfd(d), entry->d_name, 0);
	closedir(d);
	unlinkat(site.kit.dirfd, "journals", AT_REMOVEDIR);
}

static inline void site_close(void)
{
	site_drain();
	store_close(site.kit.store);            /* its last notices go to the loops */
	site.kit.store = NULL;
	kit_drop_claims(&site.kit);
	http_free(site.http, site_on_loop_end);
	site_remove_journals();
	kit_fini(&site.kit);
}

/* ---- jobs and their journals ---- */

struct log {
	int64_t job;
	int attempt, fd;
	int64_t at;
};

static inline struct log log_open(int64_t job, int attempt)
{
	struct err e;
	struct log l = { .job = job, .attempt = attempt, .fd = journal_create(site.journals_dirfd, job, attempt, &e) };

	cr_assert(l.fd >= 0, "%s", e.msg);
	return l;
}

/* One event, written whole. */
static inline void log_add(struct log *l, const char *kind, const char *data)
{
	struct buf b = BUF(1 << 20);

	l->at = journal_encode(&b, l->job, l->attempt, l->at, kind, slice_of(data));
	cr_assert_eq(fd_write_all(l->fd, buf_slice(&b)), 0);
	buf_fini(&b);
}

static inline void log_line(struct log *l, int n)
{
	char data[64];

	snprintf(data, sizeof data, "{\"t\":%d,\"s\":1,\"l\":[\"line %d\"]}", n, n);
	log_add(l, "log", data);
}

static inline struct buf log_bytes(const struct log *l)
{
	struct buf b = BUF(256 << 20);

	while (b.len < (size_t)l->at) {
		ssize_t n = pread(l->fd, buf_room(&b, 1 << 20), 1 << 20, (off_t)b.len);
		cr_assert_gt(n, 0);
		buf_grew(&b, (size_t)n);
	}
	b.len = (size_t)l->at;
	return b;
}

static inline int64_t site_job_queued(const char *queue)
{
	static int n;
	char key[32];

	snprintf(key, sizeof key, "d%d", n++);
	return kit_job(&site.kit, key, queue, 1);
}

/* A job that runs, with an empty journal. */
static inline struct log site_job(void)
{
	static int n;
	char queue[32];

	snprintf(queue, sizeof queue, "q%d", n++);
	int64_t job = site_job_queued(queue);
	struct claim *c = kit_claim(&site.kit);
	cr_assert_eq(c->job, job);
	struct log l = log_open(job, c->attempt);
	claim_free(c);
	return l;
}

static inline void site_end_with(struct log *l, enum job_state state, int again)
{
	struct job_result r = { .job = l->job, .attempt = l->attempt, .state = state, .log_bytes = l->at, .reason = "done" };

	cr_assert_eq(kit_finish_with(&site.kit, r, again), STORE_OK);
}

static inline void site_end(struct log *l)
{
	site_end_with(l, JOB_SUCCEEDED, 0);
}

static inline struct reader watch_from(int64_t job, const char *last_id)
{
	char path[64];

	snprintf(path, sizeof path, "/e/%lld", (long long)job);
	return reader_open(site.port, path, last_id, 0);
}

static inline struct reader watch(int64_t job)
{
	return watch_from(job, NULL);
}

/* Until the loop counts N streams. */
static inline void site_await_count(int n)
{
	int64_t until = mono_ms() + RAW_WAIT_MS;
	struct pollfd never = { .fd = -1 };

	while (sse_count(site.hub) != n) {
		cr_assert_lt(mono_ms(), until, "%d streams, not %d", sse_count(site.hub), n);
		poll(&never, 1, 2);
	}
}
