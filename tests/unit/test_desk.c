/* The desk between a real store and a runner that this test speaks for: START, RESULT, ACK, cancel, and what becomes of
 * attempts when the runner is another. */
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "front/desk.h"
#include "front/front.h"
#include "front_parts.h"
#include "journal/event.h"
#include "journal/file.h"
#include "no_leaks.h"
#include "store/submit.h"
#include "wire/frame.h"

#define WAIT_MS 10000

static const char *const RULES[] = { "docs", "{'on':'push','when':'always','run':{'$fn':1}}", NULL };

static struct place place;
static struct front front;
static struct edition *edition;
static struct mailbox *claims, *effects, *answers;
static int runner, supervisor, inner_supervisor, signals;
static pthread_t thread;
static enum desk_end ended;
static struct buf scratch = BUF(FRAME_MAX_TEXT + 128);

static void *run(void *arg)
{
	ended = desk_run(front.desk);
	return NULL;
}

static void say(int fd, struct frame f)
{
	cr_assert_eq(frame_send(fd, &f), FRAME_OK);
}

static struct frame hear(enum frame_type want)
{
	struct pollfd p = { runner, POLLIN, 0 };
	struct frame f;
	enum frame_outcome out;

	while ((out = frame_recv(runner, PEER_FRONT_OF_RUNNER, &scratch, &f)) == FRAME_AGAIN)
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "the desk did not send frame %d", (int)want);
	cr_assert_eq(out, FRAME_OK);
	cr_assert_eq(f.type, want, "got frame %d, not %d", (int)f.type, (int)want);
	return f;
}

/* The runner's end of a fresh connection, which has said hello and that nothing runs, save JOB.1 where it is not 0. */
static int connect_runner(int64_t lists)
{
	int ends[2];
	struct err e;
	cr_assert_eq(frame_pair(ends, &e), 0);
	say(ends[1], FRAME(FRAME_HELLO, FRAME_VERSION));
	if (lists)
		say(ends[1], FRAME(FRAME_RUNNING, lists, 1));
	say(ends[1], FRAME(FRAME_RUNNING_END, 0));
	runner = ends[1];
	return ends[0];
}

static void open_store(void)
{
	const struct store_options so = { .state_dirfd = place.state_dirfd, .jobs_max = 4, .claims = claims };
	struct err e;
	cr_assert_eq(store_open(&so, &front.store, &e), 0, "%s", e.msg);
}

/* Opens a desk whose runner lists JOB LISTS, and lets it run. */
static void start(int64_t lists)
{
	struct running *running;
	struct err e;
	int pair[2];
	size_t n;
	sigset_t none;

	sigemptyset(&none);
	cr_assert_eq(frame_pair(pair, &e), 0);
	supervisor = pair[1];
	inner_supervisor = pair[0];
	signals = signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK);
	open_store();
	const struct desk_options o = { .front = &front, .shelf = place.shelf, .addresses = &place.addresses,
		.site_dir = place.path, .state_dir = place.path, .journals_dirfd = place.journals_dirfd,
		.supervisor_fd = inner_supervisor, .signal_fd = signals, .claims = claims,
		.effects = effects };
	front.desk = desk_new(&o);
	desk_put_store(front.desk, front.store);
	desk_put_edition(front.desk, edition_ref(edition));
	cr_assert_eq(store_recover(front.store, &running, &n, &e), 0);
	desk_put_runner(front.desk, connect_runner(lists));
	cr_assert_eq(desk_recover(front.desk, running, n, &e), 0, "%s", e.msg);
	for (size_t i = 0; i < n; i++)
		free(running[i].rule);
	free(running);
	store_recover_done(front.store);
	hear(FRAME_HELLO);
	cr_assert_eq(pthread_create(&thread, NULL, run, NULL), 0);
}

static void stop(void)
{
	say(supervisor, FRAME(FRAME_DRAIN, 1000));
	pthread_join(thread, NULL);
	cr_assert_eq(ended, DESK_DRAIN);
	desk_stop(front.desk);
	store_close(front.store);
	desk_free(front.desk);
	front.store = NULL;
	front.desk = NULL;
	close(runner);
	close(supervisor);
	close(inner_supervisor);
	close(signals);
}

static void set_up(void)
{
	place_open(&place);
	front = (struct front){ .journals_dirfd = place.journals_dirfd };
	claims = mailbox_new();
	effects = mailbox_new();
	answers = mailbox_new();
	edition = place_edition(&place, RULES, NULL);
}

static void tear_down(void)
{
	edition_unref(edition);
	mailbox_free(claims);
	mailbox_free(effects);
	mailbox_free(answers);
	buf_fini(&scratch);
	place_close(&place);
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
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
		mailbox_deliver(answers, &is_there);
	}
}

static int64_t submit(const char *key)
{
	struct submit *s = xcalloc(1, sizeof *s);

	*s = (struct submit){ .mail.deliver = on_answer, .reply_to = answers, .source = xstrdup("github"),
		.provider = xstrdup("github"), .key = xstrdup(key), .event = xstrdup("push"), .action = xstrdup(""),
		.summary_json = xstrdup("{}"), .event_json = xstrdup("{\"event\":\"push\"}"),
		.headers_json = xstrdup("{\"content-type\":\"application/json\",\"x-github-event\":\"push\",\"x-github-delivery\":\"k\"}"),
		.why_json = xstrdup("[]"), .ruleset = xstrdup(ruleset_sha256(edition->rules)), .received_ms = wall_ms(),
		.body = BUF(1 << 20), .n_jobs = 1 };
	buf_adds(&s->body, BODY);
	s->jobs = xcalloc(1, sizeof *s->jobs);
	s->jobs[0] = (struct submit_job){ .rule = "docs", .file = "rules/r.lua", .queue = xstrdup(key), .policy.limit = 1,
					  .timeout_ms = 60000 };
	store_submit(front.store, s);
	await_answer();
	cr_assert_eq(s->outcome, STORE_OK);
	int64_t job = s->jobs[0].job;
	submit_free(s);
	return job;
}

static struct read look(int64_t job)
{
	struct read r = { .mail.deliver = on_answer, .reply_to = answers, .what = READ_WATCH, .a = job, .limit = 1 };
	store_read(front.store, &r);
	await_answer();
	return r;
}

static void forget(struct read *r)
{
	free(r->attempts);
	free(r->state_json);
	buf_fini(&r->json);
}

/* After the next ACK (or whatever else showed that the store has committed). */
static void expect_state(int64_t job, enum job_state want, int attempts)
{
	struct read r = look(job);
	cr_expect_eq(r.state, want, "job %d is %s: %s", (int)job, job_state_name(r.state), r.state_json);
	cr_expect_eq(r.n_attempts, attempts);
	forget(&r);
}

static void begin_journal(int fd, int64_t job)
{
	struct buf text = BUF(4096);
	journal_encode(&text, job, 1, 0, "attempt", SLICE("{\"t\":0,\"attempt\":1}"));
	cr_assert_eq(fd_write_all(fd, buf_slice(&text)), 0);
	buf_fini(&text);
}

TestSuite(desk, .init = set_up, .timeout = 60);

Test(desk, a_job_goes_to_the_runner_with_all_it_needs_and_its_result_to_the_store)
{
	struct buf spec = BUF(1 << 20);
	struct err e;
	start(0);
	int64_t job = submit("k1");
	struct frame f = hear(FRAME_START);
	cr_expect(f.n[0] == job && f.n[1] == 1 && f.n[2] == 60000);
	cr_assert(memfd_is_sealed(f.fds[0], 1 << 20));
	cr_assert_eq(fd_read_all(f.fds[0], &spec, &e), 0);
	size_t payload = strtoul(buf_cstr(&spec), NULL, 10), begin = (size_t)slice_chr(buf_slice(&spec), '\n') + 1;
	json_t *document = json_loadb(spec.ptr + begin, payload, 0, NULL);
	json_t *s = json_loadb(spec.ptr + begin + payload, spec.len - begin - payload, 0, NULL);
	cr_assert(s && document, "%s", buf_cstr(&spec));
	cr_expect_str_eq(json_string_value(json_object_get(s, "source_text")), "rule text");
	cr_expect_str_eq(json_string_value(json_object_get(document, "ref")), "refs/heads/main");
	json_decref(document);
	cr_expect_str_eq(json_string_value(json_object_get(s, "state")), place.path);
	json_decref(s);
	begin_journal(f.fds[1], job);
	struct job_result r = { .job = job, .attempt = 1, .state = JOB_FAILED, .exit_code = 2, .reason = "step 'x'" };
	cr_assert_eq(journal_finish(f.fds[1], &r, 5, &e), 0);
	frame_close_fds(&f);
	for (int i = 0; i < 2; i++) {           /* twice, as a runner does that saw no ACK */
		struct frame result = FRAME(FRAME_RESULT, job, 1, JOB_FAILED, 2, r.log_bytes);
		result.text = SLICE("step 'x'");
		say(runner, result);
	}
	f = hear(FRAME_ACK);
	cr_expect(f.n[0] == job && f.n[1] == 1);
	expect_state(job, JOB_FAILED, 1);
	stop();
	buf_fini(&spec);
	tear_down();
	no_leaks();
}

Test(desk, a_running_job_is_cancelled_through_the_runner)
{
	start(0);
	int64_t job = submit("k1");
	struct frame f = hear(FRAME_START);
	frame_close_fds(&f);
	desk_cancel(front.desk, job, 1, "enough");
	f = hear(FRAME_CANCEL);
	cr_expect(f.n[0] == job && slice_eq(f.text, SLICE("enough")));
	desk_cancel(front.desk, job + 1, 1, "of a job that is not there");
	say(runner, FRAME(FRAME_RESULT, job, 1, JOB_CANCELLED));
	hear(FRAME_ACK);
	expect_state(job, JOB_CANCELLED, 1);
	stop();
	tear_down();
	no_leaks();
}

Test(desk, what_a_dead_runner_leaves_is_lost_or_tried_again)
{
	start(0);
	int64_t begun = submit("k1");
	struct frame f = hear(FRAME_START);
	begin_journal(f.fds[1], begun);
	frame_close_fds(&f);
	int64_t unborn = submit("k2");
	f = hear(FRAME_START);
	frame_close_fds(&f);
	close(runner);
	struct frame peer = FRAME(FRAME_PEER, 0);
	CLEANUP(fd_closep) int theirs = connect_runner(0);
	peer.fds[0] = theirs;
	say(supervisor, peer);
	hear(FRAME_HELLO);
	f = hear(FRAME_START);          /* the second attempt of what never began */
	cr_expect(f.n[0] == unborn && f.n[1] == 2);
	frame_close_fds(&f);
	expect_state(begun, JOB_LOST, 1);
	expect_state(unborn, JOB_RUNNING, 2);
	stop();
	tear_down();
	no_leaks();
}

Test(desk, another_front_adopts_what_runs_and_stops_what_it_does_not_hold)
{
	start(0);
	int64_t job = submit("k1");
	struct frame f = hear(FRAME_START);
	begin_journal(f.fds[1], job);
	frame_close_fds(&f);
	stop();
	start(job);
	expect_state(job, JOB_RUNNING, 1);
	say(runner, FRAME(FRAME_RESULT, 4711, 1, JOB_SUCCEEDED));       /* nobody's: acknowledged, so that it is forgotten */
	f = hear(FRAME_ACK);
	cr_expect_eq(f.n[0], 4711);
	say(runner, FRAME(FRAME_RESULT, job, 1, JOB_SUCCEEDED));
	hear(FRAME_ACK);
	expect_state(job, JOB_SUCCEEDED, 1);
	stop();
	start(job);                     /* it ended long ago: what the runner lists now is a stranger */
	f = hear(FRAME_CANCEL);
	cr_expect_eq(f.n[0], job);
	stop();
	tear_down();
	no_leaks();
}

Test(desk, a_job_that_cannot_be_prepared_ends_errored_and_its_journal_says_why)
{
	struct buf text = BUF(1 << 16);
	struct err e;
	place_empty(place.state_dirfd, "rulesets");
	shelf_free(place.shelf);
	place.shelf = shelf_new(place.rulesets_dirfd);  /* nothing at hand, nothing on disk */
	start(0);
	int64_t job = submit("k1");
	struct read r;
	while ((r = look(job)).state == JOB_RUNNING || r.state == JOB_QUEUED)
		forget(&r);
	cr_expect_eq(r.state, JOB_ERRORED, "%s", r.state_json);
	forget(&r);
	cr_assert_eq(file_read(place.journals_dirfd, "1.1", &text, &e), 0);
	cr_expect(strstr(buf_cstr(&text), "\"ended\":\"errored\""), "%s", buf_cstr(&text));
	buf_fini(&text);
	stop();
	tear_down();
	no_leaks();
}

Test(desk, refused_rules_leave_the_old_ones_in_force)
{
	struct frame rules = FRAME(FRAME_RULES, 0), f;
	struct buf mine = BUF(FRAME_MAX_TEXT + 128);
	struct pollfd p;
	struct err e;
	start(0);
	CLEANUP(fd_closep) int torn = memfd_sealed("bundle", SLICE("{\"version\":1,"), &e);
	CLEANUP(fd_closep) int open_one = memfd_create("bundle", MFD_CLOEXEC);
	CLEANUP(fd_closep) int good = place_bundle(RULES, NULL);
	const int fds[] = { torn, open_one, good };
	for (int i = 0; i < 3; i++) {
		rules.fds[0] = fds[i];
		say(supervisor, rules);
		p = (struct pollfd){ supervisor, POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
		cr_assert_eq(frame_recv(supervisor, PEER_FRONT_OF_SUPERVISOR, &mine, &f), FRAME_OK);
		cr_expect_eq(f.type, FRAME_RULES_DONE);
		cr_expect_eq(f.n[0], i == 2, SLICE_FMT, SLICE_ARG(f.text));
	}
	submit("k1");
	f = hear(FRAME_START);
	frame_close_fds(&f);
	buf_fini(&mine);
	stop();
	tear_down();
	no_leaks();
}
