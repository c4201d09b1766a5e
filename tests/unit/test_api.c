/* The API over real sockets, store and journals: reads, their parameters, who may write, the page. */
#include <jansson.h>

#include "base/clock.h"
#include "front/api.h"
#include "front/auth.h"
#include "front/bodies.h"
#include "front/explain.h"
#include "front/front.h"
#include "front/http.h"
#include "front/log_text.h"
#include "front/loops.h"
#include "front/ui.h"
#include "front_parts.h"
#include "journal/event.h"
#include "journal/file.h"
#include "rules/fixture.h"
#include "raw_client.h"
#include "store/submit.h"
#include "wire/frame.h"

static const char *const RULES[] = { "docs", "{'on':'push','when':'always','steps':[{'#':['build'],'sh':'make'}]}",
	"dev", "{'on':'push','when':{'branch':'dev','payload':{'repositry.full_name':'x'}},'steps':[{'#':['a'],'sh':'make'}]}",
	"tags", "{'on':'tag','when':'always','steps':[{'#':['a'],'sh':'make'}]}", NULL };

static struct place place;
static struct front front;
static struct mailbox *claims, *answers;
static int pages_port, control_port;

static void on_request(struct http_request *r, void *arg)
{
	struct loop *l = http_loop_data(http_request_loop(r));

	if (slice_starts(http_path(r), SLICE("/api/")))
		api_on_request(r, l);
	else if (slice_ends(http_path(r), SLICE("z")))
		api_on_health(r, l);
	else
		ui_on_request(r);
}

static void start(void)
{
	const struct http_options ho = { .loops = 1, .max_connections = 64, .on_request = on_request, .arg = &front,
					 .on_loop_start = loops_on_start };
	struct err e;

	place_open(&place);
	claims = mailbox_new();
	answers = mailbox_new();
	front = (struct front){ .journals_dirfd = place.journals_dirfd };
	front.first_edition = place_edition(&place, RULES, NULL);
	cr_assert_eq(auth_make_key(place.state_dirfd, front.control_key, &e), 0);
	const struct store_options so = { .state_dirfd = place.state_dirfd, .jobs_max = 4, .claims = claims };
	cr_assert_eq(store_open(&so, &front.store, &e), 0, "%s", e.msg);
	front.log_text = log_text_new(place.journals_dirfd);
	front.bodies = bodies_new();
	front.explain = explain_new(place.rulesets_dirfd);
	cr_assert_eq(http_new(&ho, &front.http, &e), 0);
	int fd = raw_listen(&pages_port);
	cr_assert_eq(http_listen(front.http, fd, LISTEN_PAGES, &e), 0);
	fd = raw_listen(&control_port);
	cr_assert_eq(http_listen(front.http, fd, LISTEN_CONTROL, &e), 0);
	cr_assert_eq(http_start(front.http, &e), 0);
}

static void end(void)
{
	struct mail_list left;

	http_drain(front.http, 1000, loops_on_drain, &front);
	log_text_stop(front.log_text);
	bodies_stop(front.bodies);
	explain_stop(front.explain);
	store_close(front.store);
	http_free(front.http, loops_on_end);
	log_text_free(front.log_text);
	bodies_free(front.bodies);
	explain_free(front.explain);
	edition_unref(front.first_edition);
	mailbox_take(claims, &left);
	while (!STAILQ_EMPTY(&left)) {
		struct claim *c = (struct claim *)STAILQ_FIRST(&left);
		STAILQ_REMOVE_HEAD(&left, next);
		claim_free(c);
	}
	mailbox_free(claims);
	mailbox_free(answers);
	place_close(&place);
	no_leaks();
}

static void on_answer(struct mail *m, void *arg)
{
	*(int *)arg = 1;
}

static void await_answer(void)
{
	struct pollfd p = { mailbox_fd(answers), POLLIN, 0 };
	int is_there = 0;
	while (!is_there) {
		cr_assert_eq(poll(&p, 1, RAW_WAIT_MS), 1);
		mailbox_deliver(answers, &is_there);
	}
}

static int submitted;

#define PUSHED "{\"X-GitHub-Event\":\"push\",\"X-GitHub-Delivery\":\"1\"}"

/* A delivery that came with HEADERS and the body TEXT, judged by RULESET, and one job. Returns the job. */
static int64_t submit_as(const char *headers, struct slice text, const char *ruleset)
{
	struct submit *s = xcalloc(1, sizeof *s);

	*s = (struct submit){ .mail.deliver = on_answer, .reply_to = answers, .source = xstrdup("github"),
		.provider = xstrdup("github"), .key = xprintf("k%d", ++submitted), .event = xstrdup("push"), .action = xstrdup(""),
		.summary_json = xstrdup("{\"repo\":\"acme/handbook\"}"), .event_json = xstrdup("{\"event\":\"push\"}"),
		.headers_json = xstrdup(headers), .why_json = xstrdup("[]"), .received_ms = wall_ms(), .body = BUF(text.len),
		.ruleset = xstrdup(ruleset), .n_jobs = 1 };
	buf_add(&s->body, text);
	s->jobs = xcalloc(1, sizeof *s->jobs);
	s->jobs[0] = (struct submit_job){ .rule = "docs", .file = "rules/r.lua", .queue = xstrdup("q"), .policy.limit = 1,
					  .timeout_ms = 60000 };
	store_submit(front.store, s);
	await_answer();
	int64_t job = s->jobs[0].job;
	submit_free(s);
	return job;
}

static int64_t submit_body(struct slice text)
{
	return submit_as(PUSHED, text, ruleset_sha256(front.first_edition->rules));
}

static int64_t submit(void)
{
	return submit_body(SLICE("<script>"));
}

/* Ends attempt 1 of JOB (claimed by a store that may claim) with a journal of LINES lines. */
static void run_to_its_end(int64_t job, int lines)
{
	struct job_result r = { .job = job, .attempt = 1, .state = JOB_SUCCEEDED };
	struct buf text = BUF(8 << 20);
	struct running *none;
	struct err e;
	size_t n;

	cr_assert_eq(store_recover(front.store, &none, &n, &e), 0);
	free(none);
	store_recover_done(front.store);
	struct pollfd p = { mailbox_fd(claims), POLLIN, 0 };
	cr_assert_eq(poll(&p, 1, RAW_WAIT_MS), 1);
	CLEANUP(fd_closep) int fd = journal_create(place.journals_dirfd, job, 1, &e);
	int64_t at = journal_encode(&text, job, 1, 0, "attempt", SLICE("{\"t\":0}"));
	for (int i = 1; i <= lines; i++) {
		CLEANUP(freep) char *data = xprintf("{\"t\":%d,\"s\":1,\"l\":[\"\\u001b[1mline %d\\u001b[0m\"]}", i, i);
		at = journal_encode(&text, job, 1, at, "log", slice_of(data));
	}
	cr_assert_eq(fd_write_all(fd, buf_slice(&text)), 0);
	cr_assert_eq(journal_finish(fd, &r, 5, &e), 0);
	struct finish f = { .mail.deliver = on_answer, .reply_to = answers, .result = r };
	store_finish(front.store, &f);
	await_answer();
	cr_assert_eq(f.outcome, STORE_OK);
	buf_fini(&text);
}

struct reply {
	int status;
	struct buf all;                 /* head and body */
	struct slice body;
};

static struct reply ask(int port, const char *line, const char *headers)
{
	struct reply r = { .all = BUF(32 << 20) };
	struct buf text = BUF(1 << 16);
	int fd = raw_connect(port);

	buf_addf(&text, "%s HTTP/1.1\r\nConnection: close\r\n%s%s\r\n", line, strstr(headers, "Host:") ? "" : "Host: localhost\r\n",
		 headers);
	raw_send(fd, buf_slice(&text));
	raw_until_eof(fd, &r.all);
	close(fd);
	buf_fini(&text);
	buf_cstr(&r.all);
	r.status = raw_status(&r.all);
	ptrdiff_t head = slice_find(buf_slice(&r.all), SLICE("\r\n\r\n"));
	r.body = slice_from(buf_slice(&r.all), (size_t)head + 4);
	return r;
}

static void expect(int port, const char *line, const char *headers, int status, const char *says)
{
	struct reply r = ask(port, line, headers);
	cr_expect_eq(r.status, status, "%s: %.*s", line, (int)r.all.len, r.all.ptr);
	cr_expect(!says || raw_has(&r.all, says), "%s: %.*s", line, (int)r.all.len, r.all.ptr);
	buf_fini(&r.all);
}

Test(api, shows_jobs_and_deliveries_and_refuses_nonsense_clearly)
{
	start();
	int64_t job = submit();
	CLEANUP(freep) char *one = xprintf("GET /api/v1/jobs/%d", (int)job);
	expect(pages_port, "GET /api/v1/jobs", "", 200, "\"rule\":\"docs\"");
	expect(pages_port, "GET /api/v1/jobs?state=queued&limit=1", "", 200, "\"rule\":\"docs\"");
	expect(pages_port, "GET /api/v1/jobs?state=running", "", 200, "[]");
	expect(pages_port, "GET /api/v1/jobs?state=sleeping", "", 400, "parameter 'state'");
	expect(pages_port, "GET /api/v1/jobs?limit=201", "", 400, "from 1 to 200");
	expect(pages_port, "GET /api/v1/jobs?limit=1&limit=2", "", 400, "parameter 'limit'");
	expect(pages_port, "GET /api/v1/jobs?before=-1", "", 400, "parameter 'before'");
	expect(pages_port, one, "", 200, "\"plan\":{\"steps\":[\"build\"]}");
	expect(pages_port, "GET /api/v1/jobs/4711", "", 404, "no job 4711");
	expect(pages_port, "GET /api/v1/jobs/0", "", 404, NULL);
	expect(pages_port, "GET /api/v1/jobs/7x", "", 404, NULL);
	expect(pages_port, "GET /api/v1/nothing", "", 404, NULL);
	expect(pages_port, "PUT /api/v1/jobs", "", 405, "GET, HEAD");
	expect(pages_port, "GET /api/v1/deliveries?source=github", "", 200, "\"source\":\"github\"");
	expect(pages_port, "GET /api/v1/deliveries/1", "", 200, "\"headers\"");
	expect(pages_port, "GET /api/v1/deliveries/1/body", "", 200, "application/octet-stream");
	expect(pages_port, "GET /api/v1/deliveries/1/body", "", 200, "attachment; filename=\"delivery-1.bin\"");
	expect(pages_port, "GET /api/v1/deliveries/2/body", "", 404, "no delivery 2");
	expect(pages_port, "GET /api/v1/deliveries?event=push&repo=acme%2Fhandbook&matched=yes&since=1&until=9000000000000", "", 200,
	       "\"source\":\"github\"");
	expect(pages_port, "GET /api/v1/deliveries?matched=no", "", 200, "{\"deliveries\":[],\"next\":null}");
	expect(pages_port, "GET /api/v1/deliveries?matched=maybe", "", 400, "parameter 'matched': yes or no");
	expect(pages_port, "GET /api/v1/deliveries?since=yesterday", "", 400, "parameter 'since'");
	expect(pages_port, "GET /api/v1/deliveries?repo=a&repo=b", "", 400, "parameter 'repo'");
	expect(pages_port, "GET /api/v1/jobs?source=github&branch=dev", "", 200, "{\"jobs\":[],\"next\":null}");
	expect(pages_port, "GET /api/v1/rules", "", 200, "\"path\":\"/hooks/github\"");
	expect(pages_port, "GET /api/v1/status", "", 200, "\"watchers\":0");
	expect(pages_port, "GET /livez", "Host: anything\r\n", 200, NULL);
	expect(pages_port, "GET /readyz", "", 200, NULL);
	end();
}

Test(api, a_list_links_to_what_follows)
{
	start();
	for (int i = 0; i < 3; i++)
		submit();
	expect(pages_port, "GET /api/v1/deliveries?before=4&limit=2&&source=github", "", 200,
	       "\"next\":\"/api/v1/deliveries?limit=2&source=github&before=2\"}");
	expect(pages_port, "GET /api/v1/deliveries?limit=2&source=github&before=2", "", 200, "\"next\":null}");
	expect(pages_port, "GET /api/v1/jobs?limit=1", "", 200, "\"next\":\"/api/v1/jobs?limit=1&before=3\"}");
	end();
}

#define NO_BODY "Content-Length: 0\r\n"

static void explains(const char *query, int status, const char *says)
{
	CLEANUP(freep) char *line = xprintf("POST /api/v1/deliveries/%s", query);
	expect(pages_port, line, NO_BODY, status, says);
}

Test(api, what_is_no_longer_kept_is_gone)
{
	const struct keep keep = { .bodies_bytes = 1 };
	start();
	int64_t job = submit();
	submit();
	run_to_its_end(job, 1);
	store_prune(front.store, &keep, NULL, NULL);
	struct reply r;
	do {                                    /* the store does it in its own time */
		r = ask(pages_port, "GET /api/v1/deliveries/1/body", "");
		buf_fini(&r.all);
	} while (r.status == 200);
	expect(pages_port, "GET /api/v1/deliveries/1/body", "", 410, "the body of delivery 1 is no longer kept");
	expect(pages_port, "GET /api/v1/deliveries/1", "", 200, "\"body_kept\":false");
	explains("1/explain", 410, "the body of this delivery is no longer kept");
	expect(pages_port, "GET /api/v1/deliveries/1/fixture", "", 410, "the body of delivery 1 is no longer kept");
	expect(pages_port, "GET /api/v1/deliveries/2/body", "", 200, NULL);
	expect(pages_port, "GET /api/v1/deliveries/3/body", "", 404, NULL);
	end();
}

Test(api, explains_a_delivery_by_the_rules_in_force_to_all_who_may_read)
{
	start();
	submit_body(SLICE(BODY));
	explains("1/explain", 200, "\"in_force\":true,\"source\":\"github\",\"event\":\"push\"");
	explains("1/explain", 200, "\"rule\":\"docs\",\"file\":\"rules/r.lua\",\"line\":1,\"on\":[\"push\"],\"result\":\"yes\",\"fires\":true");
	explains("1/explain", 200, "\"name\":\"branch\",\"result\":\"no\"");
	explains("1/explain", 200, "did you mean repository.full_name?");
	explains("1/explain?ruleset=now", 200, "\"listen\":2");
	explains("1/explain?ruleset=then", 200, "\"listen\":2");
	explains("1/explain?rule=dev", 200, "\"explained\":[{\"rule\":\"dev\"");
	explains("1/explain?rule=tags", 200, "\"listens\":false");
	explains("1/explain?text=1", 200, "\"fires\":true,\"text\":\"docs   match   rules/r.lua:1\\n");
	explains("1/explain?text=1&colour=1&rule=dev", 200, "\"fires\":false,\"text\":\"\\u001b[1mdev");
	explains("1/explain?rule=tgas", 404, "no rule 'tgas', did you mean 'tags'?");
	explains("1/explain?rule=dev&file=rules/other.lua", 404, "no rule 'dev' in rules/other.lua");
	explains("1/explain?ruleset=older", 400, "parameter 'ruleset': now");
	explains("2/explain", 404, "no delivery 2");
	expect(pages_port, "GET /api/v1/deliveries/1/explain", "", 405, "allow: POST");
	expect(pages_port, "POST /api/v1/deliveries/1/explain", "Host: evil.example\r\n" NO_BODY, 421, NULL);
	expect(control_port, "POST /api/v1/deliveries/1/explain", NO_BODY, 401, NULL);
	end();
}

/* Whoever sent it, and however the rules changed since: an answer that says what is the matter. */
Test(api, explains_what_cannot_be_explained)
{
	start();
	submit_as(PUSHED, SLICE("{\"a\":"), "");
	submit_as("{}", SLICE(BODY), "../../../etc/passwd");
	submit_as("{\"x-github-event\":\"push\"", SLICE(BODY), "0123456789012345678901234567890123456789012345678901234567890123");
	submit_as(PUSHED, SLICE("\xff\xfe"), "");
	explains("1/explain", 409, "JSON");
	explains("2/explain", 409, "the event's name is missing");
	explains("3/explain", 409, "the event's name is missing");
	explains("4/explain", 409, NULL);
	explains("1/explain?ruleset=then", 410, "names no rule set");
	explains("2/explain?ruleset=then", 410, "names no rule set");
	explains("3/explain?ruleset=then", 410, "the rules of then cannot be had any more");
	end();
}

Test(api, answers_to_its_own_names_alone)
{
	start();
	expect(pages_port, "GET /api/v1/jobs", "Host: 127.0.0.1:8787\r\n", 200, NULL);
	expect(pages_port, "GET /api/v1/jobs", "Host: [::1]:8787\r\n", 200, NULL);
	expect(pages_port, "GET /api/v1/jobs", "Host: LocalHost.\r\n", 200, NULL);
	expect(pages_port, "GET /api/v1/jobs", "Host: evil.example\r\n", 421, "evil.example");
	expect(pages_port, "GET /api/v1/events", "Host: evil.example:8787\r\n", 421, NULL);
	end();
}

Test(api, writes_need_the_control_socket_and_its_key)
{
	start();
	int64_t job = submit();
	CLEANUP(freep) char *key = xprintf("Authorization: Bearer %s\r\nContent-Length: 0\r\n", front.control_key);
	CLEANUP(freep) char *wrong = xprintf("Authorization: Bearer %064d\r\nContent-Length: 0\r\n", 0);
	CLEANUP(freep) char *cancel = xprintf("POST /api/v1/jobs/%d/cancel", (int)job);
	expect(pages_port, cancel, key, 403, "control socket");
	expect(control_port, cancel, "Content-Length: 0\r\n", 401, "bearer");
	expect(control_port, cancel, wrong, 401, NULL);
	expect(control_port, "GET /api/v1/jobs", "", 401, NULL);
	expect(control_port, "GET /api/v1/jobs", key, 200, NULL);
	expect(control_port, cancel, key, 202, "{\"state\":\"cancelled\"}");
	expect(control_port, cancel, key, 409, "has ended already: cancelled");
	expect(control_port, "POST /api/v1/jobs/4711/cancel", key, 404, "no job 4711");
	expect(control_port, "GET /api/v1/jobs/1/cancel", key, 405, "allow: POST");
	end();
}

Test(api, serves_a_journal_by_range_and_for_good_once_it_is_whole)
{
	struct buf journal = BUF(1 << 20);
	struct err e;
	start();
	int64_t job = submit();
	expect(pages_port, "GET /api/v1/jobs/1/journal", "", 200, "Content-Length: 0\r\n");
	run_to_its_end(job, 3);
	cr_assert_eq(file_read(place.journals_dirfd, "1.1", &journal, &e), 0);
	struct reply r = ask(pages_port, "GET /api/v1/jobs/1/journal", "");
	cr_expect(slice_eq(r.body, buf_slice(&journal)));
	cr_expect(raw_has(&r.all, "immutable"));
	CLEANUP(freep) char *tag = xprintf("If-None-Match: \"1.1.%zu\"\r\n", journal.len);
	expect(pages_port, "GET /api/v1/jobs/1/journal", tag, 304, NULL);
	struct reply part = ask(pages_port, "GET /api/v1/jobs/1/journal", "Range: bytes=4-9\r\n");
	cr_expect_eq(part.status, 206);
	cr_expect(slice_eq(part.body, slice_upto(slice_from(buf_slice(&journal), 4), 6)));
	expect(pages_port, "GET /api/v1/jobs/1/journal", "Range: bytes=4-9\r\nIf-Range: \"other\"\r\n", 200, NULL);
	expect(pages_port, "GET /api/v1/jobs/1/journal", "Range: bytes=1000000-\r\n", 416, "content-range: bytes */");
	expect(pages_port, "GET /api/v1/jobs/1/journal?attempt=2", "", 404, "no such attempt");
	buf_fini(&part.all);
	buf_fini(&r.all);
	buf_fini(&journal);
	end();
}

Test(api, serves_a_long_log_as_text)
{
	static const char line[] = "\x1b[1mline 1\x1b[0m\n\x1b[1mline 2\x1b[0m\n";
	start();
	int64_t job = submit();
	run_to_its_end(job, 20000);             /* several pieces of log_text.c */
	struct reply whole = ask(pages_port, "GET /api/v1/jobs/1/log", "");
	struct reply plain = ask(pages_port, "GET /api/v1/jobs/1/log?plain=1", "");
	struct reply tail = ask(pages_port, "GET /api/v1/jobs/1/log?plain=1&tail=2", "");
	struct reply part = ask(pages_port, "GET /api/v1/jobs/1/log?plain=1", "Range: bytes=-11\r\n");
	cr_expect(slice_starts(whole.body, slice_of(line)));
	cr_expect(slice_starts(plain.body, SLICE("line 1\nline 2\n")));
	cr_expect(slice_ends(plain.body, SLICE("\nline 20000\n")));
	cr_expect(slice_eq(tail.body, SLICE("line 19999\nline 20000\n")));
	cr_expect_eq(part.status, 206);
	cr_expect(slice_eq(part.body, SLICE("line 20000\n")), SLICE_FMT, SLICE_ARG(part.all.ptr ? buf_slice(&part.all) : SLICE_NULL));
	expect(pages_port, "GET /api/v1/jobs/1/log?tail=x", "", 400, "parameter 'tail'");
	expect(pages_port, "GET /api/v1/jobs/1/log?tail=0", "", 200, "Content-Length: 0\r\n");
	expect(pages_port, "HEAD /api/v1/jobs/1/log?plain=1", "", 200, NULL);
	buf_fini(&whole.all);
	buf_fini(&plain.all);
	buf_fini(&tail.all);
	buf_fini(&part.all);
	end();
}

Test(api, saves_a_delivery_as_a_fixture)
{
	start();
	submit_body(SLICE(BODY));
	submit_body(SLICE("a=1&b=\xff"));
	submit_as("{\"a b\":\"x\"}", SLICE("{}"), "");
	expect(pages_port, "GET /api/v1/deliveries/1/fixture", "", 200, "attachment; filename=\"delivery-1.json\"");
	struct reply r = ask(pages_port, "GET /api/v1/deliveries/1/fixture", "");
	struct fixture f = FIXTURE_NONE;
	struct err e;
	cr_assert_eq(fixture_parse(r.body, &f, &e), 0, "%s", e.msg);
	cr_expect_str_eq(f.source, "github");
	cr_expect_str_eq(f.delivery, "k1");
	cr_expect(slice_eq(buf_slice(&f.body), SLICE(BODY)));
	cr_expect(slice_find(buf_slice(&f.headers), SLICE("X-GitHub-Event: push\n")) >= 0);
	fixture_fini(&f);
	buf_fini(&r.all);
	expect(pages_port, "GET /api/v1/deliveries/2/fixture", "", 200, "\"body_base64\": \"YT0xJmI9/w==\"");
	expect(pages_port, "GET /api/v1/deliveries/3/fixture", "", 409, "no name of a header");
	expect(pages_port, "GET /api/v1/deliveries/4/fixture", "", 404, "no delivery 4");
	cr_assert_eq(bodies_reserve(front.bodies, BODY_WAY_MAX), 0);
	expect(pages_port, "GET /api/v1/deliveries/1/fixture", "", 503, "retry-after: 5");
	end();
}

/* The bound is that of all large bodies, a sender's too (test_ingest): a place is needed, and given back. */
Test(api, replays_a_large_body_beside_the_loops)
{
	struct buf body = BUF(1 << 20);
	start();
	CLEANUP(freep) char *key = xprintf("Authorization: Bearer %s\r\nContent-Length: 0\r\n", front.control_key);
	buf_adds(&body, "{\"ref\":\"refs/heads/main\",\"repository\":{\"full_name\":\"a/b\"},\"padding\":\"");
	while (body.len < BODY_LOOP_BYTES)
		buf_adds(&body, "0123456789abcdef");
	buf_adds(&body, "\"}");
	submit_body(SLICE(BODY));
	submit_body(buf_slice(&body));
	buf_addc(&body, ']');
	submit_body(buf_slice(&body));
	cr_assert_eq(bodies_reserve(front.bodies, BODY_WAY_MAX - body.len), 0);
	for (int i = 0; i < 2; i++) {
		expect(control_port, "POST /api/v1/deliveries/2/replay?dry_run=1", key, 200, "\"matched\":[{\"rule\":\"docs\"");
		expect(control_port, "POST /api/v1/deliveries/3/replay", key, 409, "\"detail\":\"");
	}
	expect(control_port, "POST /api/v1/deliveries/2/replay", key, 202, "\"replay_of\":2,\"matched\":[{\"rule\":\"docs\"");
	cr_assert_eq(bodies_reserve(front.bodies, 2), 0);
	expect(control_port, "POST /api/v1/deliveries/2/replay", key, 503, "too many large deliveries at once");
	expect(control_port, "POST /api/v1/deliveries/2/replay", key, 503, "retry-after: 5\r\n");
	expect(control_port, "POST /api/v1/deliveries/1/replay", key, 202, "\"replay_of\":1,");
	buf_fini(&body);
	end();
}

Test(api, serves_the_page_under_a_strict_policy)
{
	start();
	expect(pages_port, "GET /", "", 200, "script-src 'self'");
	expect(pages_port, "GET /jobs/7", "Accept-Encoding: gzip\r\n", 200, "text/html");
	expect(pages_port, "GET /deliveries", "Accept-Encoding: br;q=0\r\n", 200, "nosniff");
	expect(pages_port, "GET /jobs/x", "", 404, NULL);
	expect(pages_port, "POST /", "Content-Length: 0\r\n", 405, NULL);
	end();
}

Test(api, the_control_key_stays_unless_someone_could_have_read_it)
{
	char first[65], second[65], third[65];
	struct err e;
	place_open(&place);
	cr_assert_eq(auth_make_key(place.state_dirfd, first, &e), 0);
	cr_assert_eq(auth_make_key(place.state_dirfd, second, &e), 0);
	cr_expect_str_eq(first, second);
	cr_assert_eq(fchmodat(place.state_dirfd, CONTROL_KEY_FILE, 0644, 0), 0);
	cr_assert_eq(auth_make_key(place.state_dirfd, third, &e), 0);
	cr_expect_str_neq(first, third);
	struct stat st;
	cr_assert_eq(fstatat(place.state_dirfd, CONTROL_KEY_FILE, &st, 0), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	place_close(&place);
	no_leaks();
}
