/* front/sse: over real sockets, from a real store and real journals. Whatever happens to a watcher, what it has received is a
 * prefix of the log (I8), and what it costs does not grow with how slowly it reads (I12). */
#include <pthread.h>

#include "sse_site.h"
#include "store/submit.h"

/* The journal's part of what RD received is L's bytes from FROM on. */
static void has_journal(const struct reader *rd, const struct log *l, int64_t from)
{
	struct buf got = BUF(256 << 20), want = log_bytes(l);

	reader_journal(rd, &got);
	cr_assert(slice_eq(buf_slice(&got), slice_from(buf_slice(&want), (size_t)from)), "got %zu bytes of %zu: %.*s", got.len,
		  want.len - (size_t)from, (int)(got.len < 4000 ? got.len : 4000), got.ptr);
	buf_fini(&got);
	buf_fini(&want);
}

static struct buf fetch(const char *path, const char *headers)
{
	struct buf say = BUF(4096), in = BUF(8 << 20);
	int fd = raw_connect(site.port);

	buf_addf(&say, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n", path, headers);
	raw_send(fd, buf_slice(&say));
	raw_until_eof(fd, &in);
	close(fd);
	buf_fini(&say);
	return in;
}

/* ---- a job's stream ---- */

Test(sse, an_unknown_job_is_a_404_problem)
{
	site_open();
	struct buf in = fetch("/e/4711", "");
	cr_assert_eq(raw_status(&in), 404);
	cr_assert(raw_has(&in, "application/problem+json"));
	cr_assert(raw_has(&in, "no job 4711"));
	buf_fini(&in);
	site_close();
	no_leaks();
}

Test(sse, begins_with_a_retry_and_the_state_under_the_headers_of_the_contract)
{
	site_open();
	struct log l = site_job();
	int fd = raw_connect(site.port);
	struct buf in = BUF(1 << 20), say = BUF(256);
	buf_addf(&say, "GET /e/%lld HTTP/1.1\r\nHost: a\r\n\r\n", (long long)l.job);
	raw_send(fd, buf_slice(&say));
	raw_until(fd, &in, "event: state");
	static const char *const headers[] = { "content-type: text/event-stream\r\n", "cache-control: no-store, no-transform\r\n",
		"x-accel-buffering: no\r\n", "x-content-type-options: nosniff\r\n", "transfer-encoding: chunked\r\n" };
	for (size_t i = 0; i < COUNT(headers); i++)
		cr_assert(raw_has(&in, headers[i]), "%s", headers[i]);
	cr_assert_not(raw_has(&in, "ontent-Length"));
	cr_assert_not(raw_has(&in, "ontent-Encoding"));
	close(fd);
	buf_fini(&in);
	buf_fini(&say);
	struct reader rd = watch(l.job);
	struct happening h = reader_expect(&rd, "state");
	cr_assert(slice_find(h.data, SLICE("\"state\":\"running\"")) > 0);
	cr_assert_str_empty(h.id);
	cr_assert(rd.retry_ms >= 2000 && rd.retry_ms <= 5000);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, one_who_comes_late_gets_every_byte_and_then_what_is_new_and_the_end)
{
	site_open();
	struct log l = site_job();
	log_add(&l, "attempt", "{\"t\":0}");
	for (int i = 0; i < 1000; i++)
		log_line(&l, i);
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	while (strcmp(reader_until(&rd, "log").id, rd.id) == 0 && rd.body.len < (size_t)l.at)
		;
	for (int i = 1000; i < 1050; i++)
		log_line(&l, i);
	site_end(&l);
	struct happening h;
	do
		cr_assert(reader_next(&rd, &h));
	while (strcmp(h.kind, "state") != 0);
	cr_assert(slice_find(h.data, SLICE("\"state\":\"succeeded\"")) > 0);
	h = reader_expect(&rd, "end");
	char id[64];
	snprintf(id, sizeof id, "%lld.1.%lld-1", (long long)l.job, (long long)l.at);
	cr_assert_str_eq(h.id, id);
	cr_assert(slice_find(h.data, SLICE("\"state\":\"succeeded\"")) > 0);
	reader_expect_close(&rd);
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, goes_on_exactly_at_every_boundary)
{
	site_open();
	struct log l = site_job();
	int64_t at[30];
	char id[64];
	for (int i = 0; i < 30; i++) {
		log_line(&l, i);
		at[i] = l.at;
	}
	for (int i = 0; i < 30; i++) {
		snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)at[i]);
		struct reader rd = watch_from(l.job, id);
		reader_expect(&rd, "state");
		for (int k = i + 1; k < 30; k++)
			reader_expect(&rd, "log");
		has_journal(&rd, &l, at[i]);
		reader_close(&rd);
	}
	/* the header beats the query, which is what a browser began with */
	char path[128];
	snprintf(path, sizeof path, "/e/%lld?after=%lld.1.%lld", (long long)l.job, (long long)l.job, (long long)at[3]);
	struct reader rd = reader_open(site.port, path, NULL, 0);
	reader_expect(&rd, "state");
	cr_assert_str_eq(reader_expect(&rd, "log").id, (snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)at[4]), id));
	reader_close(&rd);
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)at[28]);
	rd = reader_open(site.port, path, id, 0);
	reader_expect(&rd, "state");
	cr_assert_str_eq(reader_expect(&rd, "log").id, (snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)at[29]), id));
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

static void resets(struct log *l, const char *position)
{
	struct reader rd = watch_from(l->job, position);
	char id[64];

	reader_expect(&rd, "state");
	struct happening h = reader_expect(&rd, "reset");
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l->job, (long long)l->at);
	cr_assert_str_eq(h.id, id, "%s: %s", position, h.id);
	snprintf(id, sizeof id, "{\"attempt\":1,\"offset\":%lld}", (long long)l->at);
	cr_assert(slice_eq(h.data, slice_of(id)));
	int64_t from = l->at;
	log_line(l, 77);
	reader_expect(&rd, "log");
	has_journal(&rd, l, from);
	reader_close(&rd);
}

Test(sse, a_position_that_does_not_exist_is_reset_to_the_true_end_and_goes_on_from_there)
{
	site_open();
	struct log l = site_job();
	char id[64];
	log_line(&l, 0);
	int64_t first = l.at;
	log_line(&l, 1);
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)first + 5);
	resets(&l, id);                                 /* the middle of an event */
	snprintf(id, sizeof id, "%lld.1.99999999", (long long)l.job);
	resets(&l, id);                                 /* beyond the end */
	snprintf(id, sizeof id, "%lld.2.0", (long long)l.job);
	resets(&l, id);                                 /* an attempt that is not */
	snprintf(id, sizeof id, "%lld.0.7", (long long)l.job);
	resets(&l, id);
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job + 1, (long long)first);
	resets(&l, id);                                 /* another job's */
	resets(&l, "nonsense");
	struct buf in = fetch("/e/1?after=nonsense", "");
	cr_assert_eq(raw_status(&in), 400);
	buf_fini(&in);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, a_torn_tail_is_never_shown)
{
	site_open();
	struct log l = site_job();
	struct buf b = BUF(4096);
	log_line(&l, 0);
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	reader_expect(&rd, "log");
	int64_t end = journal_encode(&b, l.job, 1, l.at, "log", SLICE("{\"t\":1,\"l\":[\"torn\"]}"));
	for (size_t i = 0; i + 1 < b.len; i += 7) {             /* a writer that is slow in the middle of an event */
		size_t n = b.len - 1 - i < 7 ? b.len - 1 - i : 7;
		cr_assert_eq(fd_write_all(l.fd, (struct slice){ b.ptr + i, n }), 0);
		reader_expect_silence(&rd, 2);
		struct reader late = watch(l.job);
		reader_expect(&late, "state");
		reader_expect(&late, "log");
		reader_expect_silence(&late, 2);
		reader_close(&late);
	}
	cr_assert_eq(fd_write_all(l.fd, SLICE("\n")), 0);
	l.at = end;
	reader_expect(&rd, "log");
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	buf_fini(&b);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, only_the_ends_own_id_earns_a_204)
{
	site_open();
	struct log l = site_job();
	char id[64], path[128];
	log_line(&l, 0);
	site_end(&l);
	snprintf(path, sizeof path, "/e/%lld", (long long)l.job);
	snprintf(id, sizeof id, "Last-Event-ID: %lld.1.%lld-1\r\n", (long long)l.job, (long long)l.at);
	struct buf in = fetch(path, id);
	cr_assert_eq(raw_status(&in), 204, "%.*s", (int)in.len, in.ptr);
	buf_fini(&in);
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)l.at);
	struct reader rd = watch_from(l.job, id);               /* has all of it, but not the end */
	reader_expect(&rd, "state");
	reader_expect(&rd, "end");
	reader_expect_close(&rd);
	reader_close(&rd);
	snprintf(id, sizeof id, "%lld.1.0-1", (long long)l.job);
	rd = watch_from(l.job, id);
	reader_expect(&rd, "state");
	reader_expect(&rd, "log");
	reader_expect(&rd, "end");
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, behind_the_stored_length_of_a_finished_journal_nothing_is_shown)
{
	site_open();
	struct log l = site_job();
	log_line(&l, 0);
	site_end(&l);
	int64_t end = l.at;
	log_line(&l, 1);                                        /* whoever wrote this came too late */
	l.at = end;
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	reader_expect(&rd, "log");
	reader_expect(&rd, "end");
	reader_expect_close(&rd);
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, attempts_follow_each_other_on_one_stream)
{
	site_open();
	struct log one = site_job();
	struct reader rd = watch(one.job);
	reader_expect(&rd, "state");
	log_line(&one, 1);
	reader_expect(&rd, "log");
	log_line(&one, 2);
	site_end_with(&one, JOB_LOST, 1);
	struct claim *c = kit_claim(&site.kit);
	cr_assert_eq(c->attempt, 2);
	struct log two = log_open(one.job, 2);
	claim_free(c);
	log_line(&two, 3);
	log_line(&two, 4);
	site_end(&two);
	reader_until(&rd, "end");
	reader_expect_close(&rd);
	struct buf got = BUF(1 << 20), want = log_bytes(&one), more = log_bytes(&two);
	buf_add(&want, buf_slice(&more));
	reader_journal(&rd, &got);
	cr_assert(slice_eq(buf_slice(&got), buf_slice(&want)), "%.*s", (int)got.len, got.ptr);
	/* and once more, from the middle of the first */
	char id[64];
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)one.job, (long long)one.at);
	struct reader late = watch_from(one.job, id);
	reader_expect(&late, "state");
	reader_expect(&late, "log");
	reader_expect(&late, "log");
	reader_expect(&late, "end");
	reader_expect_close(&late);
	reader_close(&late);
	reader_close(&rd);
	buf_fini(&got);
	buf_fini(&want);
	buf_fini(&more);
	close(one.fd);
	close(two.fd);
	site_close();
	no_leaks();
}

Test(sse, a_job_that_waits_has_a_state_and_one_that_never_ran_an_end)
{
	site_open();
	int64_t first = site_job_queued("same");
	struct claim *c = kit_claim(&site.kit);
	claim_free(c);
	int64_t second = site_job_queued("same");
	struct reader rd = watch(second);
	struct happening h = reader_expect(&rd, "state");
	cr_assert(slice_find(h.data, SLICE("\"state\":\"queued\"")) > 0);
	struct cancel cancel = kit_cancel(&site.kit, second);
	cr_assert_eq(cancel.state, JOB_CANCELLED);
	h = reader_expect(&rd, "state");
	cr_assert(slice_find(h.data, SLICE("\"state\":\"cancelled\"")) > 0);
	h = reader_expect(&rd, "end");
	char id[64], path[64], header[96];
	snprintf(id, sizeof id, "%lld.0.0-1", (long long)second);
	cr_assert_str_eq(h.id, id);
	reader_expect_close(&rd);
	reader_close(&rd);
	snprintf(path, sizeof path, "/e/%lld", (long long)second);
	snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", id);
	struct buf in = fetch(path, header);
	cr_assert_eq(raw_status(&in), 204);
	buf_fini(&in);
	/* and the one that runs: its journal is made only now, under the eyes of a watcher */
	rd = watch(first);
	reader_expect(&rd, "state");
	struct log l = log_open(first, 1);
	log_line(&l, 1);
	reader_expect(&rd, "log");
	site_end(&l);
	reader_until(&rd, "end");
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, an_event_of_the_largest_size_passes_whole)
{
	site_open();
	struct log l = site_job();
	struct buf data = BUF(1 << 20);
	buf_adds(&data, "{\"l\":[\"");
	while (data.len < JOURNAL_EVENT_MAX - 200)
		buf_addc(&data, 'x');
	buf_adds(&data, "\"]}");
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	for (int i = 0; i < 5; i++) {
		log_line(&l, i);
		log_add(&l, "log", buf_cstr(&data));
	}
	for (int i = 0; i < 10; i++)
		reader_expect(&rd, "log");
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	buf_fini(&data);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, an_http_1_0_proxy_gets_the_same_without_chunks)
{
	site_open();
	struct log l = site_job();
	for (int i = 0; i < 2000; i++)
		log_line(&l, i);
	struct reader rd = reader_of(raw_connect(site.port));
	struct buf say = BUF(256);
	buf_addf(&say, "GET /e/%lld HTTP/1.0\r\nHost: a\r\n\r\n", (long long)l.job);
	raw_send(rd.fd, buf_slice(&say));
	for (int i = 0; i < 2000; i++)
		reader_until(&rd, "log");
	cr_assert_not(rd.is_chunked);
	log_line(&l, 2000);
	site_end(&l);
	reader_until(&rd, "end");
	reader_expect_close(&rd);
	has_journal(&rd, &l, 0);
	reader_close(&rd);
	buf_fini(&say);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, silence_is_broken_by_beats_that_move_the_position)
{
	site.o.beat_ms = 300;
	site_open();
	struct log l = site_job();
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	log_line(&l, 1);
	reader_expect(&rd, "log");
	char id[64];
	snprintf(id, sizeof id, "%lld.1.%lld", (long long)l.job, (long long)l.at);
	for (int i = 0; i < 2; i++) {
		struct happening h = reader_expect(&rd, "beat");
		cr_assert_str_eq(h.id, id);
		cr_assert(slice_starts(h.data, SLICE("{\"now_ms\":")));
	}
	log_line(&l, 2);
	reader_until(&rd, "log");
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, poll_mode_ends_with_the_first_batch_or_its_time)
{
	site.o.poll_ms = 300;
	site_open();
	struct log l = site_job();
	char path[64];
	snprintf(path, sizeof path, "/e/%lld?mode=poll", (long long)l.job);
	log_line(&l, 0);
	log_line(&l, 1);
	struct reader rd = reader_open(site.port, path, NULL, 0);       /* what is there */
	reader_expect(&rd, "state");
	reader_expect(&rd, "log");
	reader_expect(&rd, "log");
	reader_expect_close(&rd);
	cr_assert_lt(rd.retry_ms, 1000);
	char position[160];
	memcpy(position, rd.id, sizeof position);
	reader_close(&rd);
	rd = reader_open(site.port, path, position, 0);                 /* nothing */
	reader_expect(&rd, "state");
	cr_assert_str_eq(reader_expect(&rd, "beat").id, position);
	reader_expect_close(&rd);
	reader_close(&rd);
	site.o.poll_ms = 0;
	rd = reader_open(site.port, path, position, 0);                 /* what comes */
	reader_expect(&rd, "state");
	log_line(&l, 2);
	struct happening h;
	while (reader_next(&rd, &h))
		cr_assert(!strcmp(h.kind, "log") || !strcmp(h.kind, "beat"));
	cr_assert(rd.has_ended);
	reader_close(&rd);
	site_end(&l);
	rd = reader_open(site.port, path, NULL, 0);
	reader_expect(&rd, "state");
	reader_until(&rd, "end");
	reader_expect_close(&rd);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

/* ---- what is ephemeral ---- */

struct ephemeral_mail { struct mail mail; int64_t job; const char *text; };

static void deliver_ephemeral(struct mail *m, void *loop)
{
	struct ephemeral_mail *em = (struct ephemeral_mail *)m;

	sse_on_ephemeral(http_loop_data(loop), em->job, 1, slice_of(em->text));
	free(em);
}

static void ephemeral(int64_t job, const char *text)
{
	struct ephemeral_mail *em = xcalloc(1, sizeof *em);

	*em = (struct ephemeral_mail){ { .deliver = deliver_ephemeral }, job, text };
	mailbox_post(http_loop_mailbox(http_loop_at(site.http, 0)), &em->mail);
}

Test(sse, what_is_unfinished_is_shown_without_an_id_and_to_those_who_come_late)
{
	site_open();
	struct log l = site_job();
	log_line(&l, 0);
	struct reader rd = watch(l.job);
	reader_expect(&rd, "state");
	reader_expect(&rd, "log");
	ephemeral(l.job, "partial {\"s\":1,\"text\":\"compil\"}");
	ephemeral(l.job, "progress {\"s\":1,\"done\":3,\"total\":10}");
	ephemeral(l.job, "nonsense {\"s\":1}");
	ephemeral(l.job, "partial not json");
	ephemeral(l.job, "partial {\"s\":1}\n\nevent: end\ndata: {}\n\n");
	struct happening h = reader_expect(&rd, "partial");
	cr_assert_str_empty(h.id);
	cr_assert(slice_eq(h.data, SLICE("{\"s\":1,\"text\":\"compil\"}")));
	reader_expect(&rd, "progress");
	struct reader late = watch(l.job);
	reader_expect(&late, "state");
	reader_expect(&late, "log");
	reader_expect(&late, "partial");
	reader_expect(&late, "progress");
	reader_close(&late);
	log_line(&l, 1);                        /* the line is finished: it is no longer a part */
	reader_expect(&rd, "log");
	late = watch(l.job);
	reader_expect(&late, "state");
	reader_expect(&late, "log");
	reader_expect(&late, "log");
	reader_expect(&late, "progress");
	reader_expect_silence(&late, 20);
	reader_close(&late);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, what_is_unfinished_comes_ten_times_a_second_at_the_most_and_the_last_one_always)
{
	site_open();
	struct log l = site_job();
	struct reader rd = watch(l.job);
	static char texts[200][64];
	reader_expect(&rd, "state");
	site_await_count(1);
	for (int i = 0; i < 200; i++) {
		snprintf(texts[i], sizeof texts[i], "progress {\"s\":1,\"done\":%d}", i);
		ephemeral(l.job, texts[i]);
	}
	int n = 0;
	struct happening h;
	do {
		h = reader_expect(&rd, "progress");
		n++;
	} while (!slice_eq(h.data, SLICE("{\"s\":1,\"done\":199}")));
	cr_assert_leq(n, 10, "%d of 200", n);
	reader_close(&rd);
	close(l.fd);
	site_close();
	no_leaks();
}

/* ---- slow, gone, too many ---- */

static int64_t rss_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long all, rss;

	cr_assert_eq(fscanf(f, "%ld %ld", &all, &rss), 2);
	fclose(f);
	return (int64_t)rss * sysconf(_SC_PAGESIZE);
}

#ifdef HAVE_LSAN
#define SLOW_MAX_BYTES (400 << 20)      /* the sanitizer keeps what has been freed for a while */
#else
#define SLOW_MAX_BYTES (4 << 20)
#endif

Test(sse, one_who_does_not_read_costs_an_offset_and_loses_nothing, .timeout = 100)
{
	site_open();
	struct log l = site_job();
	struct buf line = BUF(1 << 20);
	struct reader slow[20];
	buf_adds(&line, "{\"l\":[\"");
	for (int i = 0; i < 10000; i++)
		buf_addc(&line, 'a' + i % 26);
	buf_adds(&line, "\"]}");
	for (int i = 0; i < 20; i++) {
		slow[i] = watch(l.job);
		reader_expect(&slow[i], "state");
	}
	struct reader quick = watch(l.job);
	reader_expect(&quick, "state");
	int64_t before = rss_bytes();
	for (int i = 0; i < 5000; i++) {
		log_add(&l, "log", buf_cstr(&line));
		reader_expect(&quick, "log");
		buf_clear(&quick.body);         /* it is not what is measured */
		quick.parsed = 0;
	}
	int64_t grown = rss_bytes() - before;
	cr_assert_lt(grown, SLOW_MAX_BYTES, "20 watchers that do not read took %lld bytes for 50 MB", (long long)grown);
	site_end(&l);
	reader_until(&slow[7], "end");
	has_journal(&slow[7], &l, 0);
	for (int i = 0; i < 20; i++)
		reader_close(&slow[i]);
	reader_close(&quick);
	buf_fini(&line);
	close(l.fd);
	site_close();
}

Test(sse, one_who_is_gone_is_noticed_at_once)
{
	site_open();
	struct log l = site_job();
	struct reader rd[50];
	for (int i = 0; i < 50; i++) {
		rd[i] = watch(l.job);
		reader_expect(&rd[i], "state");
	}
	site_await_count(50);
	for (int i = 0; i < 50; i++) {
		struct linger hard = { 1, 0 };
		if (i % 2)
			setsockopt(rd[i].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
		reader_close(&rd[i]);
	}
	site_await_count(0);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, more_than_may_watch_are_told_to_come_back_and_never_with_an_error)
{
	site.o.per_loopback_max = 3;
	site_open();
	struct log l = site_job();
	struct reader rd[3];
	char path[64];
	snprintf(path, sizeof path, "/e/%lld", (long long)l.job);
	for (int i = 0; i < 3; i++) {
		rd[i] = watch(l.job);
		reader_expect(&rd[i], "state");
	}
	struct buf in = fetch(path, "");
	cr_assert_eq(raw_status(&in), 200);
	cr_assert(raw_has(&in, "text/event-stream"));
	cr_assert(raw_has(&in, "\r\n\r\nretry: "));
	cr_assert_not(raw_has(&in, "event:"));
	buf_fini(&in);
	reader_close(&rd[0]);
	site_await_count(2);
	rd[0] = watch(l.job);
	reader_expect(&rd[0], "state");
	for (int i = 0; i < 3; i++)
		reader_close(&rd[i]);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(sse, draining_ends_streams_between_events_with_a_retry)
{
	site_open();
	struct log l = site_job();
	struct reader rd[10], feed = reader_open(site.port, "/c", NULL, 0);
	log_line(&l, 1);
	for (int i = 0; i < 10; i++) {
		rd[i] = watch(l.job);
		reader_expect(&rd[i], "state");
		reader_expect(&rd[i], "log");
		rd[i].retry_ms = -1;
	}
	site_await_count(11);
	int64_t start = mono_ms();
	pthread_t drainer;
	pthread_create(&drainer, NULL, (void *(*)(void *))(void (*)(void))site_drain, NULL);
	for (int i = 0; i < 10; i++) {
		reader_expect_close(&rd[i]);
		cr_assert_geq(rd[i].retry_ms, 1000);
		reader_close(&rd[i]);
	}
	reader_expect_close(&feed);
	reader_close(&feed);
	pthread_join(drainer, NULL);
	cr_assert_lt(mono_ms() - start, 3000);
	close(l.fd);
	site_close();
	no_leaks();
}

/* Readers come and go at random places while the journal grows; each comes back where it was. Whoever it is, over all of
 * its connections, gets the log once. */
struct chaos {
	struct log l;
	struct buf got[16];
	char position[16][160];
};

Test(sse, over_all_reconnects_of_all_watchers_the_log_comes_once, .timeout = 100)
{
	static struct chaos c;
	struct reader rd[16];
	unsigned seed = 7;

	site_open();
	c.l = site_job();
	for (int i = 0; i < 16; i++) {
		c.got[i] = BUF(64 << 20);
		rd[i] = watch(c.l.job);
	}
	for (int n = 0; n < 4000; n++) {
		log_line(&c.l, n);
		int i = rand_r(&seed) % 16;
		struct happening h;
		if (n % 7)
			continue;
		while (rd[i].fd >= 0 && reader_more(&rd[i], 0) > 0)
			;
		while (reader_parse(&rd[i], &h))
			;
		rd[i].body.len = rd[i].parsed;          /* the connection is cut here: the block in the middle is lost */
		reader_journal(&rd[i], &c.got[i]);
		if (rd[i].id[0])
			memcpy(c.position[i], rd[i].id, sizeof c.position[i]);
		reader_close(&rd[i]);
		rd[i] = watch_from(c.l.job, c.position[i][0] ? c.position[i] : NULL);
	}
	site_end(&c.l);
	struct buf want = log_bytes(&c.l);
	for (int i = 0; i < 16; i++) {
		reader_until(&rd[i], "end");
		reader_expect_close(&rd[i]);
		reader_journal(&rd[i], &c.got[i]);
		cr_assert(slice_eq(buf_slice(&c.got[i]), buf_slice(&want)), "watcher %d: %zu bytes of %zu", i, c.got[i].len, want.len);
		reader_close(&rd[i]);
		buf_fini(&c.got[i]);
	}
	buf_fini(&want);
	close(c.l.fd);
	site_close();
	no_leaks();
}

/* ---- a log as text ---- */

static struct reader follow(int64_t job, const char *query)
{
	char path[128];

	snprintf(path, sizeof path, "/t/%lld%s", (long long)job, query);
	return reader_open(site.port, path, NULL, 0);
}

static void text_is(struct reader *rd, const char *want)
{
	while (reader_more(rd, RAW_WAIT_MS) > 0)
		;
	cr_assert(rd->has_ended);
	cr_assert(slice_eq(buf_slice(&rd->body), slice_of(want)), "%.*s", (int)rd->body.len, rd->body.ptr);
	reader_close(rd);
}

Test(sse, a_log_is_followed_as_text_until_the_job_ends)
{
	site_open();
	struct log l = site_job();
	log_add(&l, "attempt", "{\"t\":0}");
	log_add(&l, "log", "{\"t\":1,\"s\":1,\"l\":[\"one\",\"\\u001b[31mtwo\\u001b[0m\"]}");
	struct reader all = follow(l.job, ""), plain = follow(l.job, "?plain=1"), tail = follow(l.job, "?tail=1&plain=1");
	site_await_count(3);
	log_add(&l, "log", "{\"t\":2,\"s\":1,\"l\":[\"three\"]}");
	site_end(&l);
	text_is(&all, "one\n\033[31mtwo\033[0m\nthree\n");
	text_is(&plain, "one\ntwo\nthree\n");
	text_is(&tail, "two\nthree\n");
	struct buf in = fetch("/t/1?attempt=9", "");
	cr_assert_eq(raw_status(&in), 404);
	buf_fini(&in);
	close(l.fd);
	site_close();
	no_leaks();
}

/* ---- changes ---- */

Test(changes, come_from_now_on_with_their_numbers_and_again_from_any_of_them)
{
	site_open();
	struct log l = site_job();
	struct reader rd = reader_open(site.port, "/c", NULL, 0);
	while (!rd.id[0]) {
		struct happening h;
		reader_more(&rd, RAW_WAIT_MS);
		cr_assert_not(reader_parse(&rd, &h), "news of the past: %s", h.kind);
	}
	site_await_count(1);
	char start[160];
	memcpy(start, rd.id, sizeof start);
	int64_t job = site_job_queued("other");
	struct happening h;
	int jobs = 0, deliveries = 0;
	while (!jobs || !deliveries) {
		cr_assert(reader_next(&rd, &h));
		cr_assert_str_eq(h.id, rd.id);
		jobs += !strcmp(h.kind, "job");
		deliveries += !strcmp(h.kind, "delivery");
	}
	site_end(&l);
	do
		h = reader_until(&rd, "job");
	while (slice_find(h.data, SLICE("\"state\":\"succeeded\"")) < 0);
	reader_close(&rd);
	/* who was away hears of each object once, in its newest state */
	rd = reader_open(site.port, "/c", start, 0);
	char want[64];
	snprintf(want, sizeof want, "\"id\":%lld,", (long long)job);
	int of_other = 0, of_first = 0;
	for (;;) {
		cr_assert(reader_next(&rd, &h));
		if (!strcmp(h.kind, "job") && slice_find(h.data, slice_of(want)) >= 0)
			of_other++;
		if (!strcmp(h.kind, "job") && slice_find(h.data, SLICE("\"state\":\"succeeded\"")) >= 0) {
			of_first++;
			break;
		}
	}
	cr_assert_eq(of_other, 1);
	cr_assert_eq(of_first, 1);
	reader_close(&rd);
	kit_drop_claims(&site.kit);
	close(l.fd);
	site_close();
	no_leaks();
}

Test(changes, many_at_once_come_in_order_without_gap_or_repeat)
{
	site_open();
	struct reader live = reader_open(site.port, "/c", NULL, 0), slow = reader_open(site.port, "/c?after=0", NULL, 4096);
	struct happening h;
	site_await_count(2);
	char key[32];
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof key, "k%d", i);
		struct submit *s = kit_push(&site.kit, key, 0);
		cr_assert_eq(kit_submit(&site.kit, s), STORE_OK);
		submit_free(s);
	}
	struct reader *both[] = { &live, &slow };
	for (int k = 0; k < 2; k++) {
		int64_t last = 0, change, n = 0;
		while (n < 500) {
			h = reader_until(both[k], "delivery");
			cr_assert_eq(slice_to_i64(slice_of(h.id), 1, INT64_MAX, &change), 0);
			cr_assert_gt(change, last);
			last = change;
			n++;
		}
		reader_expect_silence(both[k], 20);
		reader_close(both[k]);
	}
	struct reader rd = reader_open(site.port, "/c", "999999", 0);
	h = reader_expect(&rd, "reset");
	cr_assert(slice_starts(h.data, SLICE("{\"change\":")));
	reader_close(&rd);
	site_close();
	no_leaks();
}

struct rules_mail { struct mail mail; };

static void deliver_ruleset(struct mail *m, void *loop)
{
	sse_on_ruleset(http_loop_data(loop));
	free(m);
}

Test(changes, another_rule_set_is_told)
{
	site_open();
	struct reader rd = reader_open(site.port, "/c", NULL, 0);
	site_await_count(1);
	struct rules_mail *m = xcalloc(1, sizeof *m);
	m->mail.deliver = deliver_ruleset;
	mailbox_post(http_loop_mailbox(http_loop_at(site.http, 0)), &m->mail);
	reader_expect(&rd, "ruleset");
	reader_close(&rd);
	site_close();
	no_leaks();
}

Test(changes, journals_ride_along_in_bursts_that_an_id_alone_closes)
{
	site_open();
	struct log one = site_job(), two = site_job();
	char path[64], position[160];
	log_line(&one, 1);
	log_line(&two, 1);
	snprintf(path, sizeof path, "/c?jobs=%lld,%lld", (long long)one.job, (long long)two.job);
	struct reader rd = reader_open(site.port, path, NULL, 0);
	reader_until(&rd, "log");
	reader_until(&rd, "log");
	log_line(&one, 2);
	reader_until(&rd, "log");
	struct happening h;
	char want[64];
	snprintf(want, sizeof want, "-%lld.1.%lld-%lld.1.%lld", (long long)one.job, (long long)one.at, (long long)two.job,
		 (long long)two.at);
	for (;;) {                                      /* the block that closes the burst */
		cr_assert_not(reader_parse(&rd, &h));
		if (strstr(rd.id, want))
			break;
		cr_assert_eq(reader_more(&rd, RAW_WAIT_MS), 1, "%s", rd.id);
	}
	memcpy(position, rd.id, sizeof position);
	reader_close(&rd);
	int64_t from = two.at;
	log_line(&two, 2);
	rd = reader_open(site.port, path, position, 0);
	h = reader_until(&rd, "log");
	cr_assert(slice_find(h.data, SLICE("line 2")) > 0);
	has_journal(&rd, &two, from);
	reader_close(&rd);
	/* cut in the middle of a burst: only a journal's own id is known. The other one is repeated, nothing is lost. */
	snprintf(position, sizeof position, "%lld.1.%lld", (long long)two.job, (long long)two.at);
	rd = reader_open(site.port, path, position, 0);
	reader_until(&rd, "log");
	reader_until(&rd, "log");
	has_journal(&rd, &one, 0);
	reader_close(&rd);
	struct buf in = fetch("/c?jobs=1,2,3,4,5", "");
	cr_assert_eq(raw_status(&in), 400);
	buf_fini(&in);
	close(one.fd);
	close(two.fd);
	site_close();
	no_leaks();
}
