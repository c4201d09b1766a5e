/* store: the promises that live in the database. I1 I3 I4 I5 I6 I7 I9 by name, then what readers see, what notices say, what
 * stays when things go wrong, and what goes with age. */
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "no_leaks.h"
#include "store/notice.h"
#include "store/read.h"
#include "store/schema.h"
#include "store/submit.h"
#include "store/write.h"
#include "store_kit.h"

static sqlite3 *raw_open(struct kit *k)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k->folder);
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static int64_t raw_int(struct kit *k, const char *sql)
{
	sqlite3 *db = raw_open(k);
	sqlite3_stmt *st = NULL;

	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(st), SQLITE_ROW, "%s", sql);
	int64_t v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

static void raw_exec(struct kit *k, const char *sql)
{
	sqlite3 *db = raw_open(k);

	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static enum job_state state_of(struct kit *k, int64_t job)
{
	struct read r = { .reply_to = k->replies, .what = READ_WATCH, .a = job, .limit = 1 };

	store_read(k->store, &r);
	cr_assert_eq(kit_reply(k), &r.mail);
	cr_assert_eq(r.outcome, STORE_OK);
	free(r.attempts);
	free(r.state_json);
	buf_fini(&r.json);
	return r.state;
}

/* ---- I1: answered means stored ---- */

struct answered { int64_t delivery; int n; };

/* Body N is as long as N makes it, and no two are alike. */
static void make_body(int n, struct buf *out)
{
	for (int i = 0; i < n * 37 % 9000 + 1; i++)
		buf_addc(out, (char)(n * 31 + i * 7));
}

/* In the child: submit for ever, eight at a time, and say each answer as soon as it is there. */
static void submit_for_ever(struct kit *k, int to_fd)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	char key[32];

	kit_open(k, 1);
	for (int n = 1, waiting = 0;;) {
		for (; waiting < 8; waiting++, n++) {
			snprintf(key, sizeof key, "%d", n);
			struct submit *s = kit_push(k, key, 1);
			buf_clear(&s->body);
			make_body(n, &s->body);
			s->arg = (void *)(intptr_t)n;
			store_submit(k->store, s);
		}
		struct submit *s = (struct submit *)kit_take(k->replies, &list);
		struct answered a = { s->delivery, (int)(intptr_t)s->arg };
		if (s->outcome != STORE_OK || write(to_fd, &a, sizeof a) != sizeof a)
			_exit(1);
		submit_free(s);
		waiting--;
	}
}

static void expect_stored(struct kit *k, const struct answered *a)
{
	struct buf body = BUF(1 << 20);
	struct read r = { .reply_to = k->replies, .what = READ_BODY, .a = a->delivery, .limit = 1 };

	store_read(k->store, &r);
	cr_assert_eq(kit_reply(k), &r.mail);
	cr_assert_eq(r.outcome, STORE_OK, "delivery %lld was answered and is not there", (long long)a->delivery);
	make_body(a->n, &body);
	cr_assert(slice_eq(buf_slice(&r.json), buf_slice(&body)), "delivery %lld has another body", (long long)a->delivery);
	buf_fini(&r.json);
	buf_fini(&body);
}

Test(store, I1_what_was_answered_is_there_after_kill_9_byte_for_byte)
{
	struct kit k;
	struct answered got[400];

	kit_init(&k);
	for (int round = 0; round < 3; round++) {
		int pipe_fds[2], n = 0;
		cr_assert_eq(pipe(pipe_fds), 0);
		pid_t child = fork();
		if (child == 0) {
			close(pipe_fds[0]);
			submit_for_ever(&k, pipe_fds[1]);
		}
		close(pipe_fds[1]);
		while (n < 60 + round * 117 && read(pipe_fds[0], &got[n], sizeof *got) == sizeof *got)
			n++;
		kill(child, SIGKILL);
		cr_assert_gt(n, 50);
		while (n < (int)COUNT(got) && read(pipe_fds[0], &got[n], sizeof *got) == sizeof *got)
			n++;
		waitpid(child, NULL, 0);
		close(pipe_fds[0]);
		kit_open(&k, 1);
		for (int i = 0; i < n; i++)
			expect_stored(&k, &got[i]);
		kit_close(&k);
		cr_assert_eq(raw_int(&k, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
		cr_assert_eq(raw_int(&k, "SELECT integrity_check='ok' FROM pragma_integrity_check"), 1);
		raw_exec(&k, "DELETE FROM body; DELETE FROM facet; DELETE FROM attempt; DELETE FROM job; DELETE FROM delivery; DELETE FROM queue");
	}
	kit_fini(&k);
	no_leaks();
}

/* ---- I3, I4: one delivery, its jobs, together ---- */

Test(store, I3_a_second_delivery_of_one_key_changes_nothing_and_is_told_the_first_ones_jobs)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	struct submit *first = kit_push(&k, "same", 2), *second = kit_push(&k, "same", 3), *other = kit_push(&k, "same", 1);
	free(other->source);
	other->source = xstrdup("elsewhere");
	cr_assert_eq(kit_submit(&k, first), STORE_OK);
	cr_assert_eq(kit_submit(&k, second), STORE_DUPLICATE);
	cr_assert_eq(second->delivery, first->delivery);
	CLEANUP(freep) char *jobs = xprintf("[{\"rule\":\"r0\",\"job\":%lld},{\"rule\":\"r1\",\"job\":%lld}]",
					    (long long)first->jobs[0].job, (long long)first->jobs[1].job);
	cr_assert_str_eq(second->first_jobs_json, jobs);
	cr_assert_eq(kit_submit(&k, other), STORE_OK, "a key is unique per source only");
	cr_assert_neq(other->delivery, first->delivery);
	submit_free(first);
	submit_free(second);
	submit_free(other);
	kit_close(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery"), 2);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM job"), 3);
	kit_fini(&k);
	freep(&jobs);
	no_leaks();
}

Test(store, I3_two_of_one_key_in_one_batch_become_one_delivery)
{
	struct kit k;
	struct submit *s[32];
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	int first = 0;
	int64_t delivery;

	kit_init(&k);
	kit_open(&k, 8);
	for (size_t i = 0; i < COUNT(s); i++)
		store_submit(k.store, s[i] = kit_push(&k, "same", 1));
	for (size_t i = 0; i < COUNT(s); i++)
		kit_take(k.replies, &list);
	delivery = s[0]->delivery;
	for (size_t i = 0; i < COUNT(s); i++) {
		first += s[i]->outcome == STORE_OK;
		cr_assert_eq(s[i]->delivery, delivery);
		submit_free(s[i]);
	}
	cr_assert_eq(first, 1);
	kit_fini(&k);
	no_leaks();
}

Test(store, I4_a_refused_submit_leaves_nothing_and_takes_no_other_with_it)
{
	struct kit k;
	struct submit *s[9];
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	char key[8];

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	for (size_t i = 0; i < COUNT(s); i++) {
		snprintf(key, sizeof key, "k%zu", i);
		s[i] = kit_push(&k, key, 2);
		if (i == 4)
			s[i]->jobs[1].rule = s[i]->jobs[0].rule;        /* the same rule and cell twice */
	}
	for (size_t i = 0; i < COUNT(s); i++)
		store_submit(k.store, s[i]);
	for (size_t i = 0; i < COUNT(s); i++)
		kit_take(k.replies, &list);
	for (size_t i = 0; i < COUNT(s); i++) {
		cr_assert_eq(s[i]->outcome, i == 4 ? STORE_UNKNOWN : STORE_OK);
		cr_assert_eq(s[i]->delivery == 0, i == 4);
		submit_free(s[i]);
	}
	cr_assert_not(store_is_broken(k.store));
	kit_close(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery"), 8);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM job"), 16);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM body"), 8);
	cr_assert_eq(raw_int(&k, "SELECT deliveries FROM meta"), 8);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery WHERE ruleset='abc123'"), 8);
	kit_fini(&k);
	no_leaks();
}

/* ---- I5, I6, I7: attempts ---- */

Test(store, I5_a_claim_arrives_with_all_it_needs_after_its_attempt_is_durable)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	struct submit *s = kit_push(&k, "d1", 2);
	store_submit(k.store, s);
	struct claim *a = kit_claim(&k), *b = kit_claim(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM attempt WHERE n=1 AND state=4"), 2);
	cr_assert_eq(raw_int(&k, "SELECT sum(running) FROM queue"), 2);
	cr_assert_eq(kit_reply(&k), &s->mail);
	cr_assert_eq(a->job, s->jobs[0].job);
	cr_assert_eq(b->job, s->jobs[1].job);
	const struct claim *both[] = { a, b };
	for (size_t i = 0; i < COUNT(both); i++) {
		const struct claim *c = both[i];
		cr_assert_eq(c->attempt, 1);
		cr_assert_eq(c->delivery, s->delivery);
		cr_assert_str_eq(c->rule, i ? "r1" : "r0");
		cr_assert_str_eq(c->file, "rules/a.lua");
		cr_assert_str_eq(c->cell, "");
		cr_assert_str_eq(c->ruleset, "abc123");
		cr_assert_str_eq(c->source, "github");
		cr_assert_str_eq(c->event_json, "{\"key\":\"d1\"}");
		cr_assert_str_eq(c->headers_json, "{\"a\":\"b\"}");
		cr_assert(slice_eq(buf_slice(&c->body), SLICE("{\"push\":\"d1\"}")));
		cr_assert_eq(c->timeout_ms, 60000);
		cr_assert_eq(c->received_ms, s->received_ms);
		cr_assert_str_eq(c->reason, "");
	}
	claim_free(a);
	claim_free(b);
	submit_free(s);
	kit_fini(&k);
	no_leaks();
}

Test(store, I5_running_again_is_the_next_attempt_and_says_why)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t job = kit_job(&k, "d1", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = job, .attempt = 1, .state = JOB_LOST, .log_bytes = 40,
							      .reason = "the runner never got it" }, 1), STORE_OK);
	struct claim *c = kit_claim(&k);
	cr_assert_eq(c->job, job);
	cr_assert_eq(c->attempt, 2);
	cr_assert_str_eq(c->reason, "the runner never got it");
	cr_assert(slice_eq(buf_slice(&c->body), SLICE("{\"push\":\"d1\"}")));
	cr_assert_str_eq(c->source, "github");
	claim_free(c);
	store_started(k.store, job, 2, "landlock 7");
	cr_assert_eq(kit_finish(&k, job, 2, JOB_SUCCEEDED), STORE_OK);
	KIT_SAYS(&k, "\"state\":\"lost\",\"exit_code\":0,\"reason\":\"the runner never got it\",\"log_bytes\":40,\"confinement\":\"\"}",
		 .what = READ_JOB, .a = job);
	KIT_SAYS(&k, "\"state\":\"succeeded\",\"exit_code\":3,\"reason\":\"done\",\"log_bytes\":812,\"confinement\":\"landlock 7\"}]}",
		 .what = READ_JOB, .a = job);
	kit_fini(&k);
	no_leaks();
}

Test(store, I6_a_result_of_another_attempt_changes_nothing)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t job = kit_job(&k, "d1", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = job, .attempt = 1, .state = JOB_LOST }, 1), STORE_OK);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish(&k, job, 1, JOB_SUCCEEDED), STORE_STALE, "the holder of attempt 1 is stale");
	cr_assert_eq(kit_finish(&k, job, 3, JOB_SUCCEEDED), STORE_STALE);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = job, .attempt = 1, .state = JOB_LOST }, 1), STORE_STALE);
	cr_assert_eq(state_of(&k, job), JOB_RUNNING);
	cr_assert_eq(kit_finish(&k, 4711, 1, JOB_SUCCEEDED), STORE_NOT_FOUND);
	store_started(k.store, job, 1, "stale");
	cr_assert_eq(kit_finish(&k, job, 2, JOB_FAILED), STORE_OK);
	kit_close(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM attempt WHERE confinement='stale'"), 0);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM attempt WHERE state=4"), 0);
	kit_fini(&k);
	no_leaks();
}

Test(store, I7_a_final_state_is_never_left)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t job = kit_job(&k, "d1", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish(&k, job, 1, JOB_TIMED_OUT), STORE_OK);
	cr_assert_eq(kit_finish(&k, job, 1, JOB_SUCCEEDED), STORE_STALE);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = job, .attempt = 1, .state = JOB_LOST }, 1), STORE_STALE);
	struct cancel c = kit_cancel(&k, job);
	cr_assert_eq(c.outcome, STORE_STALE);
	cr_assert_eq(c.state, JOB_TIMED_OUT);
	cr_assert_eq(state_of(&k, job), JOB_TIMED_OUT);
	cr_assert_not(kit_has_claim(&k));
	kit_fini(&k);
	no_leaks();
}

/* ---- I9: queues ---- */

Test(store, I9_a_queue_runs_as_many_as_its_limit_in_order_of_arrival)
{
	struct kit k;
	int64_t jobs[10];
	char key[8];

	kit_init(&k);
	kit_open(&k, 100);
	store_recover_done(k.store);
	for (size_t i = 0; i < COUNT(jobs); i++) {
		snprintf(key, sizeof key, "%zu", i);
		jobs[i] = kit_job(&k, key, "q", 3);
	}
	struct claim *running[3];
	for (size_t i = 0; i < 3; i++) {
		running[i] = kit_claim(&k);
		cr_assert_eq(running[i]->job, jobs[i]);
	}
	for (size_t i = 3; i < COUNT(jobs); i++) {
		cr_assert_not(kit_has_claim(&k), "the limit is 3");
		cr_assert_eq(kit_finish(&k, running[i % 3]->job, 1, JOB_SUCCEEDED), STORE_OK);
		claim_free(running[i % 3]);
		running[i % 3] = kit_claim(&k);
		cr_assert_eq(running[i % 3]->job, jobs[i], "arrived as number %zu", i);
	}
	for (size_t i = 0; i < 3; i++)
		claim_free(running[i]);
	kit_fini(&k);
	no_leaks();
}

Test(store, I9_jobs_max_holds_over_all_queues_and_the_oldest_goes_first)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 2);
	store_recover_done(k.store);
	int64_t a = kit_job(&k, "a", "qa", 1), a2 = kit_job(&k, "a2", "qa", 1), b = kit_job(&k, "b", "qb", 1);
	int64_t c = kit_job(&k, "c", "qc", 1), d = kit_job(&k, "d", "qd", 1);
	struct claim *first = kit_claim(&k), *second = kit_claim(&k);
	cr_assert_eq(first->job, a);
	cr_assert_eq(second->job, b, "a2 waits for a's slot");
	cr_assert_not(kit_has_claim(&k));
	cr_assert_eq(kit_finish(&k, a, 1, JOB_FAILED), STORE_OK);
	struct claim *third = kit_claim(&k);
	cr_assert_eq(third->job, a2, "older than c");
	store_jobs_max(k.store, 3);
	struct claim *fourth = kit_claim(&k);
	cr_assert_eq(fourth->job, c);
	store_jobs_max(k.store, 1);
	cr_assert_eq(kit_finish(&k, b, 1, JOB_FAILED), STORE_OK);
	cr_assert_eq(kit_finish(&k, a2, 1, JOB_FAILED), STORE_OK);
	cr_assert_not(kit_has_claim(&k), "one runs, and one may");
	cr_assert_eq(kit_finish(&k, c, 1, JOB_FAILED), STORE_OK);
	struct claim *last = kit_claim(&k);
	cr_assert_eq(last->job, d);
	struct claim *all[] = { first, second, third, fourth, last };
	for (size_t i = 0; i < COUNT(all); i++)
		claim_free(all[i]);
	kit_fini(&k);
	no_leaks();
}

Test(store, I9_a_job_that_goes_again_is_before_those_that_came_later)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t a = kit_job(&k, "a", "q", 1);
	kit_job(&k, "b", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = a, .attempt = 1, .state = JOB_ERRORED, .reason = "no pid" }, 1),
		     STORE_OK);
	struct claim *c = kit_claim(&k);
	cr_assert_eq(c->job, a);
	cr_assert_eq(c->attempt, 2);
	claim_free(c);
	kit_fini(&k);
	no_leaks();
}

/* The internal layer on this thread: 100,000 waiting jobs, and what one more claim costs SQLite's machine. */
static int64_t steps_of_a_claim(struct writer *w, int64_t job)
{
	struct finish f = { .result = { .job = job, .attempt = 1, .state = JOB_SUCCEEDED } };
	int64_t before = db_vm_steps(&w->db);

	cr_assert_eq(write_begin(w), DB_OK);
	cr_assert_eq(write_finish(w, &f), DB_OK);
	cr_assert_eq(write_claims(w), DB_OK);
	cr_assert_eq(w->n_claimed, 1);
	cr_assert_eq(w->claimed[0].job, job + 1);
	cr_assert_eq(write_commit(w), DB_OK);
	return db_vm_steps(&w->db) - before;
}

Test(store, a_claim_costs_the_same_with_a_hundred_thousand_jobs_behind_it, .timeout = 100)
{
	struct kit k;
	struct writer w;
	struct err e;
	char path[128], key[16];
	int64_t few = 0;

	kit_init(&k);
	snprintf(path, sizeof path, "%s/pushrod.db", k.folder);
	cr_assert_eq(writer_open(&w, path, 1, &e), 0, "%s", e.msg);
	w.may_claim = 1;
	for (int n = 0; n < 100000; n += 1000) {
		cr_assert_eq(write_begin(&w), DB_OK);
		for (int i = n; i < n + 1000; i++) {
			snprintf(key, sizeof key, "%d", i);
			struct submit *s = kit_push(&k, key, 1);
			cr_assert_eq(write_submit(&w, s), DB_OK);
			w.n_fresh = w.n_touched = 0;    /* nobody asks for claims or notices of these */
			submit_free(s);
		}
		if (n == 0)
			cr_assert_eq(write_claims(&w), DB_OK);
		cr_assert_eq(write_commit(&w), DB_OK);
		if (n == 0)
			few = steps_of_a_claim(&w, 1);
	}
	int64_t many = steps_of_a_claim(&w, 2);
	cr_assert_leq(many, few + few / 10, "%lld steps with 1,000 waiting, %lld with 100,000", (long long)few, (long long)many);
	cr_assert_lt(many, 1000);
	writer_close(&w);
	kit_fini(&k);
	no_leaks();
}

/* ---- cancel ---- */

Test(store, a_waiting_job_is_cancelled_at_once_and_the_next_one_moves_up)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t a = kit_job(&k, "a", "q", 1), b = kit_job(&k, "b", "q", 1), c = kit_job(&k, "c", "q", 1), d = kit_job(&k, "d", "q", 1);
	claim_free(kit_claim(&k));
	struct cancel x = kit_cancel(&k, c);
	cr_assert_eq(x.outcome, STORE_OK);
	cr_assert_eq(x.state, JOB_CANCELLED);
	x = kit_cancel(&k, b);
	cr_assert_eq(x.state, JOB_CANCELLED);
	cr_assert_eq(kit_cancel(&k, 4711).outcome, STORE_NOT_FOUND);
	cr_assert_eq(kit_finish(&k, a, 1, JOB_SUCCEEDED), STORE_OK);
	struct claim *next = kit_claim(&k);
	cr_assert_eq(next->job, d);
	claim_free(next);
	KIT_SAYS(&k, "\"state\":\"cancelled\",\"attempt\":0", .what = READ_JOB, .a = b);
	KIT_SAYS(&k, "\"reason\":\"cancelled by ada\"", .what = READ_JOB, .a = b);
	KIT_SAYS(&k, "\"attempts\":[]}", .what = READ_JOB, .a = b);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_running_job_remembers_that_it_was_asked_to_end)
{
	struct kit k;
	struct running *running;
	struct err e;
	size_t n;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t a = kit_job(&k, "a", "q", 1);
	claim_free(kit_claim(&k));
	struct cancel c = kit_cancel(&k, a);
	cr_assert_eq(c.outcome, STORE_OK);
	cr_assert_eq(c.state, JOB_RUNNING);
	cr_assert_eq(c.attempt, 1);
	kit_close(&k);
	kit_open(&k, 8);
	cr_assert_eq(store_recover(k.store, &running, &n, &e), 0);
	cr_assert_eq(n, 1);
	cr_assert_str_eq(running[0].wish, "cancelled by ada");
	free(running[0].rule);
	free(running[0].wish);
	free(running);
	store_recover_done(k.store);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = a, .attempt = 1, .state = JOB_LOST }, 1), STORE_OK);
	cr_assert_eq(state_of(&k, a), JOB_CANCELLED, "it does not run again");
	KIT_SAYS(&k, "\"reason\":\"cancelled by ada\"", .what = READ_JOB, .a = a);
	cr_assert_not(kit_has_claim(&k));
	kit_fini(&k);
	no_leaks();
}

/* ---- recovery, versions, locks ---- */

Test(store, nothing_is_claimed_before_recovery_is_done_and_running_attempts_keep_their_slots)
{
	struct kit k;
	struct running *running;
	struct err e;
	size_t n;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	int64_t a = kit_job(&k, "a", "q", 1), b = kit_job(&k, "b", "q", 1);
	claim_free(kit_claim(&k));
	kit_close(&k);

	kit_open(&k, 8);
	cr_assert_eq(store_recover(k.store, &running, &n, &e), 0);
	cr_assert_eq(n, 1);
	cr_assert_eq(running[0].job, a);
	cr_assert_eq(running[0].attempt, 1);
	cr_assert_str_eq(running[0].rule, "r0");
	cr_assert_null(running[0].wish);
	free(running[0].rule);
	free(running);
	int64_t c = kit_job(&k, "c", "other", 1);
	cr_assert_not(kit_has_claim(&k));
	store_recover_done(k.store);
	struct claim *first = kit_claim(&k);
	cr_assert_eq(first->job, c, "q's slot is still a's");
	cr_assert_eq(kit_finish(&k, a, 1, JOB_LOST), STORE_OK);
	struct claim *second = kit_claim(&k);
	cr_assert_eq(second->job, b);
	claim_free(first);
	claim_free(second);
	kit_fini(&k);
	no_leaks();
}

Test(store, numbers_are_not_used_again_after_a_restart)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	int64_t a = kit_job(&k, "a", "q", 1);
	kit_close(&k);
	int64_t change = raw_int(&k, "SELECT change FROM meta");
	raw_exec(&k, "DELETE FROM job; DELETE FROM body; DELETE FROM delivery");
	kit_open(&k, 8);
	struct submit *s = kit_push(&k, "a", 1);
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	cr_assert_gt(s->delivery, 1);
	cr_assert_gt(s->jobs[0].job, a);
	submit_free(s);
	kit_close(&k);
	cr_assert_gt(raw_int(&k, "SELECT min(change) FROM job"), change);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_newer_schema_is_refused_and_left_alone)
{
	struct kit k;
	struct err e;

	kit_init(&k);
	kit_open(&k, 8);
	kit_job(&k, "a", "q", 1);
	kit_close(&k);
	CLEANUP(freep) char *sql = xprintf("PRAGMA user_version=%d", schema_version() + 1);
	raw_exec(&k, sql);
	const struct store_options o = { .state_dirfd = k.dirfd, .jobs_max = 1, .claims = k.claims };
	cr_assert_eq(store_open(&o, &k.store, &e), -1);
	cr_assert(strstr(e.msg, "schema"), "%s", e.msg);
	cr_assert_eq(e.kind, ERR_INPUT);
	cr_assert_eq(raw_int(&k, "PRAGMA user_version"), schema_version() + 1);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM job"), 1);
	k.store = NULL;
	kit_fini(&k);
	freep(&sql);
	no_leaks();
}

Test(store, what_is_no_database_is_refused)
{
	struct kit k;
	struct err e;

	kit_init(&k);
	cr_assert_eq(file_write_durable(k.dirfd, "pushrod.db", SLICE("this is a letter to my grandmother, and long enough for a header "
								      "of a hundred bytes, which is what they look at first"), 0600, &e), 0);
	const struct store_options o = { .state_dirfd = k.dirfd, .jobs_max = 1, .claims = k.claims };
	cr_assert_eq(store_open(&o, &k.store, &e), -1);
	cr_assert(strstr(e.msg, "database"), "%s", e.msg);
	k.store = NULL;
	kit_fini(&k);
	no_leaks();
}

Test(store, the_heir_waits_until_the_drained_front_lets_go)
{
	struct kit k;
	int go[2];
	char c;

	kit_init(&k);
	cr_assert_eq(pipe(go), 0);
	pid_t child = fork();
	if (child == 0) {
		int fd = openat(k.dirfd, "pushrod.db.lock", O_RDWR | O_CREAT, 0600);
		struct timespec while_it_drains = { .tv_nsec = 300000000 };
		if (fd < 0 || flock(fd, LOCK_EX) < 0 || write(go[1], "x", 1) != 1)
			_exit(1);
		nanosleep(&while_it_drains, NULL);
		_exit(0);
	}
	cr_assert_eq(read(go[0], &c, 1), 1);
	int64_t before = mono_ms();
	kit_open(&k, 1);
	cr_assert_geq(mono_ms() - before, 200);
	waitpid(child, NULL, 0);
	close(go[0]);
	close(go[1]);
	kit_fini(&k);
	no_leaks();
}

Test(store, the_database_is_for_its_owner_alone)
{
	static const char *const names[] = { "pushrod.db", "pushrod.db-wal", "pushrod.db-shm", "pushrod.db.lock" };
	struct kit k;
	struct stat st;

	kit_init(&k);
	kit_open(&k, 1);
	kit_job(&k, "a", "q", 1);
	for (size_t i = 0; i < COUNT(names); i++) {
		cr_assert_eq(fstatat(k.dirfd, names[i], &st, 0), 0, "%s", names[i]);
		cr_assert_eq(st.st_mode & 0777, 0600, "%s", names[i]);
	}
	kit_fini(&k);
	no_leaks();
}

/* ---- when things go wrong ---- */

/* A filesystem of three megabytes, which nobody but this process sees. */
static int mount_small(const char *folder)
{
	if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 0;
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", folder, "tmpfs", 0, "size=3m") == 0;
}

Test(store, a_full_disk_refuses_and_when_there_is_room_again_all_goes_on)
{
	struct kit k;
	char key[16];
	int refused = 0, n = 0;
	struct buf block = BUF(1 << 20);

	kit_init(&k);
	if (!mount_small(k.folder)) {
		kit_fini(&k);
		cr_skip_test("no small filesystem can be mounted here");
	}
	close(k.dirfd);
	k.dirfd = open(k.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	kit_open(&k, 1);
	store_recover_done(k.store);
	kit_job(&k, "first", "q", 1);
	sqlite3 *snapshot = raw_open(&k);               /* the log cannot start over beneath it, and always needs new room */
	cr_assert_eq(sqlite3_exec(snapshot, "BEGIN; SELECT count(*) FROM delivery", NULL, NULL, NULL), SQLITE_OK);
	while (block.len < 20000)
		buf_addc(&block, 'x');
	for (n = 0; n < 200 && !refused; n++) {
		snprintf(key, sizeof key, "k%d", n);
		struct submit *s = kit_push(&k, key, 1);
		buf_add(&s->body, buf_slice(&block));
		refused = kit_submit(&k, s) == STORE_UNKNOWN;
		submit_free(s);
	}
	claim_free(kit_claim(&k));
	cr_assert(refused, "three megabytes hold no 200 of them");
	cr_assert_gt(n, 5);
	cr_assert_not(store_is_broken(k.store), "%s", store_why_broken(k.store));
	KIT_SAYS(&k, "\"change\":", .what = READ_STATUS);

	CLEANUP(fd_closep) int filler = openat(k.dirfd, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(filler, block.ptr, 4096) == 4096)
		;
	int64_t waiting = 2;                            /* what the refused ones left of the log's room goes in small pieces */
	while (kit_cancel(&k, waiting).outcome == STORE_OK)
		waiting++;
	struct finish f = { .reply_to = k.replies, .result = { .job = 1, .attempt = 1, .state = JOB_SUCCEEDED } };
	store_finish(k.store, &f);
	struct cancel c = { .reply_to = k.replies, .job = waiting };
	store_cancel(k.store, &c);
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	cr_assert_eq(kit_take(k.replies, &list), &c.mail, "what someone waits for is told at once");
	cr_assert_eq(c.outcome, STORE_UNKNOWN);
	cr_assert(STAILQ_EMPTY(&list));
	sqlite3_close(snapshot);
	cr_assert_eq(mount("none", k.folder, "tmpfs", MS_REMOUNT, "size=8m"), 0);
	cr_assert_eq(kit_reply(&k), &f.mail);
	cr_assert_eq(f.outcome, STORE_OK, "a result waits until there is room");
	struct submit *s = kit_push(&k, key, 1);
	cr_assert_eq(kit_submit(&k, s), STORE_OK, "the refused one was not stored");
	submit_free(s);
	kit_close(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery"), n + 1);
	cr_assert_eq(raw_int(&k, "SELECT deliveries FROM meta"), n + 1);
	cr_assert_eq(raw_int(&k, "SELECT integrity_check='ok' FROM pragma_integrity_check"), 1);
	buf_fini(&block);
	cr_assert_eq(umount2(k.folder, MNT_DETACH), 0);
	kit_fini(&k);
	no_leaks();
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

Test(store, an_input_output_error_breaks_the_store_and_what_was_answered_stays_true)
{
	struct kit k;
	char key[16];
	int stored = 0;
	enum store_outcome outcome;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	limit_files(300 << 10);                         /* beyond it, write(2) fails with EFBIG */
	for (int n = 0; n < 500 && !store_is_broken(k.store); n++) {
		snprintf(key, sizeof key, "k%d", n);
		struct submit *s = kit_push(&k, key, 1);
		while (s->body.len < 5000)
			buf_addc(&s->body, 'x');
		outcome = kit_submit(&k, s);
		cr_assert(outcome == STORE_OK || outcome == STORE_UNKNOWN);
		stored += outcome == STORE_OK;
		submit_free(s);
	}
	cr_assert(store_is_broken(k.store));
	cr_assert(store_why_broken(k.store)[0]);
	limit_files(RLIM_INFINITY);
	struct submit *s = kit_push(&k, "later", 1);
	cr_assert_eq(kit_submit(&k, s), STORE_UNKNOWN, "nothing goes on from memory");
	submit_free(s);
	cr_assert_eq(kit_finish(&k, 1, 1, JOB_SUCCEEDED), STORE_UNKNOWN);
	cr_assert_eq(kit_cancel(&k, 1).outcome, STORE_UNKNOWN);
	cr_assert_null(kit_read(&k, (struct read){ .what = READ_STATUS }, &outcome));
	cr_assert_eq(outcome, STORE_UNKNOWN);
	kit_close(&k);
	kit_open(&k, 8);
	cr_assert_not(store_is_broken(k.store));
	cr_assert_geq(raw_int(&k, "SELECT count(*) FROM delivery"), stored);
	kit_fini(&k);
	no_leaks();
}

Test(store, closing_answers_what_waits)
{
	struct kit k;
	struct submit *s[200];
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	char key[16];

	kit_init(&k);
	kit_open(&k, 8);
	for (size_t i = 0; i < COUNT(s); i++) {
		snprintf(key, sizeof key, "k%zu", i);
		store_submit(k.store, s[i] = kit_push(&k, key, 1));
	}
	kit_close(&k);
	for (size_t i = 0; i < COUNT(s); i++)
		kit_take(k.replies, &list);
	for (size_t i = 0; i < COUNT(s); i++) {
		cr_assert_eq(s[i]->outcome, STORE_OK);
		submit_free(s[i]);
	}
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery"), COUNT(s));
	kit_fini(&k);
	no_leaks();
}

/* ---- readers ---- */

Test(store, a_reader_sees_committed_rows_only)
{
	struct kit k;
	struct writer w;
	struct db reader;
	struct err e;
	char path[128];
	struct read r = { .what = READ_JOB, .a = 1, .limit = 1 };

	kit_init(&k);
	snprintf(path, sizeof path, "%s/pushrod.db", k.folder);
	cr_assert_eq(writer_open(&w, path, 1, &e), 0, "%s", e.msg);
	cr_assert_eq(db_open(path, DB_READER, &reader, &e), 0, "%s", e.msg);
	struct submit *s = kit_push(&k, "a", 1);
	cr_assert_eq(write_begin(&w), DB_OK);
	cr_assert_eq(write_submit(&w, s), DB_OK);
	read_answer(&reader, &r);
	cr_assert_eq(r.outcome, STORE_NOT_FOUND);
	buf_fini(&r.json);
	cr_assert_eq(write_commit(&w), DB_OK);
	read_answer(&reader, &r);
	cr_assert_eq(r.outcome, STORE_OK);
	buf_fini(&r.json);
	cr_assert_eq(sqlite3_exec(reader.handle, "DELETE FROM job", NULL, NULL, NULL), SQLITE_READONLY, "and it cannot write");
	submit_free(s);
	db_close(&reader);
	writer_close(&w);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_job_and_a_delivery_read_as_the_api_shows_them)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	struct submit *s = kit_push(&k, "gu\"id", 1);
	s->received_ms = 1795500000000;
	s->query = xstrdup("a=b");
	s->secret = xstrdup("gh-2026");
	s->notes_json = xstrdup("[{\"rule\":\"r0\",\"note\":\"n\"}]");
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	submit_free(s);
	CLEANUP(freep) char *delivery = kit_read(&k, (struct read){ .what = READ_DELIVERIES }, NULL);
	cr_assert_str_eq(delivery,
			 "{\"deliveries\":[{\"id\":1,\"source\":\"github\",\"provider\":\"github\",\"key\":\"gu\\\"id\",\"event\":\"push\",\"action\":\"\","
			 "\"received_ms\":1795500000000,\"bytes\":16,\"jobs\":1,\"repo\":\"acme/handbook\",\"title\":\"Fix\",\"change\":1}]}");
	CLEANUP(freep) char *job = kit_read(&k, (struct read){ .what = READ_JOBS }, NULL);
	const char *head = "{\"jobs\":[{\"id\":1,\"delivery\":1,\"rule\":\"r0\",\"file\":\"rules/a.lua\",\"cell\":\"\",\"state\":\"queued\",\"attempt\":0,"
			   "\"source\":\"github\",\"event\":\"push\",\"repo\":\"acme/handbook\",\"title\":\"Fix\",\"queued_ms\":";
	cr_assert_eq(strncmp(job, head, strlen(head)), 0, "%s", job);
	cr_assert(strstr(job, ",\"started_ms\":null,\"ended_ms\":null,\"exit_code\":null,\"reason\":\"\",\"log_bytes\":null,\"change\":2}]}"),
		  "%s", job);
	KIT_SAYS(&k, ",\"headers\":{\"a\":\"b\"},\"normalised\":{\"key\":\"gu\"id\"},\"why\":[{\"rule\":\"x\",\"because\":\"y\"}],\"ruleset\":\"abc123\","
		     "\"query\":\"a=b\",\"secret\":\"gh-2026\",\"notes\":[{\"rule\":\"r0\",\"note\":\"n\"}],\"body_kept\":true,\"cause\":null,"
		     "\"replays\":[],\"gone\":[],\"job_list\":[{\"id\":1,", .what = READ_DELIVERY, .a = 1);
	KIT_SAYS(&k, "{\"change\":2,\"jobs\":{\"debouncing\":0,\"queued\":1,\"awaiting_approval\":0,\"running\":0},\"deliveries\":1,",
		 .what = READ_STATUS);
	enum store_outcome outcome;
	static const enum read_what by_id[] = { READ_JOB, READ_DELIVERY, READ_BODY, READ_WATCH };
	for (size_t i = 0; i < COUNT(by_id); i++) {
		cr_assert_null(kit_read(&k, (struct read){ .what = by_id[i], .a = 4711 }, &outcome));
		cr_assert_eq(outcome, STORE_NOT_FOUND);
	}
	kit_fini(&k);
	freep(&delivery);
	freep(&job);
	delivery = job = NULL;
	no_leaks();
}

/* "3 2 1": the ids of LIST's members. */
static void expect_ids(struct kit *k, struct read r, const char *list, const char *expected)
{
	char *text = kit_read(k, r, NULL);
	json_t *doc = text ? json_loads(text, 0, NULL) : NULL, *item;
	struct buf ids = BUF(4096);
	size_t i;

	cr_assert(doc, "%s", text ? text : "(nothing)");
	json_array_foreach(json_object_get(doc, list), i, item)
		buf_addf(&ids, i ? " %lld" : "%lld", (long long)json_integer_value(json_object_get(item, "id")));
	cr_assert_str_eq(buf_cstr(&ids), expected);
	json_decref(doc);
	buf_fini(&ids);
	free(text);
}

Test(store, lists_are_newest_first_and_filtered)
{
	struct kit k;
	char key[8];

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof key, "k%d", i);
		struct submit *s = kit_push(&k, key, 1);
		s->jobs[0].rule = i % 2 ? "odd" : "even";
		s->jobs[0].file = i == 2 ? "rules/b.lua" : "rules/a.lua";
		if (i == 5) {
			free(s->source);
			s->source = xstrdup("lan");
		}
		cr_assert_eq(kit_submit(&k, s), STORE_OK);
		submit_free(s);
	}
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish(&k, 1, 1, JOB_SUCCEEDED), STORE_OK);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish(&k, 2, 1, JOB_FAILED), STORE_OK);
	claim_free(kit_claim(&k));
	expect_ids(&k, (struct read){ .what = READ_JOBS }, "jobs", "6 5 4 3 2 1");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .limit = 2 }, "jobs", "6 5");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .limit = 2, .a = 5 }, "jobs", "4 3");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.state = "queued" }, "jobs", "6 5 4");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.state = "running" }, "jobs", "3");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.state = "failed" }, "jobs", "2");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.state = "succeeded" }, "jobs", "1");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.rule = "even" }, "jobs", "5 3 1");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.rule = "even", .limit = 2, .a = 5 }, "jobs", "3 1");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.state = "queued", .filter.rule = "odd" }, "jobs", "6 4");
	expect_ids(&k, (struct read){ .what = READ_JOBS, .filter.rule = "none" }, "jobs", "");
	expect_ids(&k, (struct read){ .what = READ_DELIVERIES, .a = 4 }, "deliveries", "3 2 1");
	expect_ids(&k, (struct read){ .what = READ_DELIVERIES, .filter.source = "lan" }, "deliveries", "6");
	expect_ids(&k, (struct read){ .what = READ_DELIVERIES, .filter.source = "none" }, "deliveries", "");
	enum store_outcome outcome;
	cr_assert_null(kit_read(&k, (struct read){ .what = READ_JOBS, .filter.state = "sleeping" }, &outcome));
	cr_assert_eq(outcome, STORE_NOT_FOUND);
	kit_fini(&k);
	no_leaks();
}

/* A delivery that came at RECEIVED_MS from SOURCE with SUMMARY, and what it was of EVENT, ACTION. */
static void come(struct kit *k, const char *key, const char *source, const char *event, const char *action, int64_t received_ms,
		 const char *summary, int n_jobs)
{
	struct submit *s = kit_push(k, key, n_jobs);
	char **texts[] = { &s->source, &s->event, &s->action, &s->summary_json };
	const char *values[] = { source, event, action, summary };

	for (size_t i = 0; i < COUNT(texts); i++) {
		free(*texts[i]);
		*texts[i] = xstrdup(values[i]);
	}
	s->received_ms = received_ms;
	cr_assert_eq(kit_submit(k, s), STORE_OK);
	submit_free(s);
}

Test(store, lists_are_filtered_by_what_people_remember)
{
	static const char *const handbook = "{\"repo\":\"acme/handbook\",\"branch\":\"main\"}", *const mono = "{\"repo\":\"acme/mono\",\"branch\":\"dev\"}";
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	come(&k, "1", "github", "push", "", 1000, handbook, 1);
	come(&k, "2", "github", "pull_request", "opened", 2000, mono, 0);
	come(&k, "3", "gitea", "push", "", 3000, mono, 2);
	come(&k, "4", "gitea", "pull_request", "opened", 4000, handbook, 1);
	come(&k, "5", "lan", "push", "", 5000, "{}", 0);
#define DELIVERIES(...) (struct read){ .what = READ_DELIVERIES, .filter = { __VA_ARGS__ } }
	expect_ids(&k, DELIVERIES(.source = "github"), "deliveries", "2 1");
	expect_ids(&k, DELIVERIES(.event = "push"), "deliveries", "5 3 1");
	expect_ids(&k, DELIVERIES(.event = "pull_request"), "deliveries", "4 2");
	expect_ids(&k, DELIVERIES(.event = "pull_request.opened"), "deliveries", "4 2");
	expect_ids(&k, DELIVERIES(.event = "pull_request.closed"), "deliveries", "");
	expect_ids(&k, DELIVERIES(.event = "push."), "deliveries", "");
	expect_ids(&k, DELIVERIES(.repo = "acme/mono"), "deliveries", "3 2");
	expect_ids(&k, DELIVERIES(.branch = "main"), "deliveries", "4 1");
	expect_ids(&k, DELIVERIES(.matched = HAS_MATCHED), "deliveries", "4 3 1");
	expect_ids(&k, DELIVERIES(.matched = HAS_NOT_MATCHED), "deliveries", "5 2");
	expect_ids(&k, DELIVERIES(.since_ms = 3000), "deliveries", "5 4 3");
	expect_ids(&k, DELIVERIES(.until_ms = 3000), "deliveries", "2 1");
	expect_ids(&k, DELIVERIES(.since_ms = 2000, .until_ms = 4000, .source = "gitea"), "deliveries", "3");
	expect_ids(&k, DELIVERIES(.event = "push", .source = "nobody"), "deliveries", "");
	expect_ids(&k, (struct read){ .what = READ_DELIVERIES, .filter.event = "push", .a = 5 }, "deliveries", "3 1");
#define JOBS(...) (struct read){ .what = READ_JOBS, .filter = { __VA_ARGS__ } }
	expect_ids(&k, JOBS(.source = "gitea"), "jobs", "4 3 2");
	expect_ids(&k, JOBS(.repo = "acme/handbook"), "jobs", "4 1");
	expect_ids(&k, JOBS(.branch = "dev", .rule = "r1"), "jobs", "3");
	expect_ids(&k, JOBS(.event = "push", .state = "queued"), "jobs", "3 2 1");
	expect_ids(&k, JOBS(.event = "push", .state = "failed"), "jobs", "");
	expect_ids(&k, JOBS(.since_ms = 3000, .until_ms = 4000), "jobs", "3 2");
	kit_fini(&k);
	no_leaks();
}

static int64_t next_of(struct kit *k, struct read r)
{
	r.reply_to = k->replies;
	store_read(k->store, &r);
	cr_assert_eq(kit_reply(k), &r.mail);
	cr_assert_eq(r.outcome, STORE_OK);
	buf_fini(&r.json);
	return r.next;
}

Test(store, a_list_says_where_it_goes_on_and_when_it_is_through)
{
	struct kit k;
	char key[8];

	kit_init(&k);
	kit_open(&k, 8);
	for (int i = 1; i <= 5; i++) {
		snprintf(key, sizeof key, "%d", i);
		come(&k, key, "github", i == 3 ? "tag" : "push", "", i, "{}", 1);
	}
	static const enum read_what lists[] = { READ_DELIVERIES, READ_JOBS };
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct read r = { .what = lists[i], .limit = 4 };
		cr_assert_eq(next_of(&k, r), 2);
		r.a = 2;
		cr_assert_eq(next_of(&k, r), 0);
		cr_assert_eq(next_of(&k, (struct read){ .what = lists[i], .limit = 5 }), 0);
		r = (struct read){ .what = lists[i], .limit = 3, .filter.event = "push" };
		cr_assert_eq(next_of(&k, r), 2);
		r.limit = 4;
		cr_assert_eq(next_of(&k, r), 0);
	}
	kit_fini(&k);
	no_leaks();
}

/* A hundred thousand deliveries as many submits would have left them. */
static void fill(struct kit *k, int n)
{
	CLEANUP(freep) char *sql = xprintf(
		"BEGIN; INSERT OR IGNORE INTO source(id, name) VALUES(1, 'github');"
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<%d)"
		" INSERT INTO delivery(id, source, key, provider, event, action, received_ms, bytes, change, summary, ruleset, event_json,"
		" headers, why) SELECT i, 1, 'k'||i, 'github', 'push', '', i, 10, i, '{}', 'abc', printf('%%.3000c', 'x'),"
		" '{}', '[]' FROM c; INSERT INTO facet SELECT id, received_ms, 1, 'push', '', 'acme/r'||(id%%1000), NULL, NULL, NULL, NULL, NULL FROM delivery;"
		" UPDATE meta SET change=%d, last_delivery=%d, deliveries=%d; COMMIT", n, n, n, n);
	raw_exec(k, sql);
}

Test(store, a_list_looks_at_so_many_and_then_says_where_to_go_on, .timeout = 100)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	kit_close(&k);
	fill(&k, 50000);
	kit_open(&k, 8);
	struct read r = { .what = READ_DELIVERIES, .filter.repo = "acme/nobody", .limit = 50 };
	int64_t next = 0;
	int pages = 0;
	do {
		r.a = next;
		next = next_of(&k, r);
		pages++;
		cr_assert(!next || next == 50001 - (int64_t)pages * 20000, "page %d ends at %lld", pages, (long long)next);
	} while (next);
	cr_assert_eq(pages, 3);
	expect_ids(&k, (struct read){ .what = READ_DELIVERIES, .filter.repo = "acme/r7", .limit = 3 }, "deliveries", "49007 48007 47007");
	kit_fini(&k);
	no_leaks();
}

/* Every list finds its ids in order of arrival by an index or a narrow table: nothing is sorted, no wide row is passed over. */
Test(store, lists_read_indexes_alone)
{
	static const struct { enum sql which; const char *plan; } cases[] = {
		{ SQL_DELIVERY_WALK, "SEARCH facet USING INTEGER PRIMARY KEY (rowid<?)" },
		{ SQL_DELIVERIES_BELOW, "SEARCH delivery USING INTEGER PRIMARY KEY (rowid<?)" },
		{ SQL_DELIVERIES_OF_SOURCE, "SEARCH delivery USING COVERING INDEX delivery_source (source=? AND rowid<?)" },
		{ SQL_JOB_WALK, "SEARCH d USING INTEGER PRIMARY KEY (rowid=?)" },
		{ SQL_JOBS_OF_RULE, "SEARCH job USING INDEX job_rule (rule=? AND rowid<?)" },
		{ SQL_SAME_FIND, "SEARCH delivery USING COVERING INDEX delivery_digest (digest=? AND source=? AND rowid<?)" },
		{ SQL_REPLAYS, "SEARCH facet USING COVERING INDEX facet_replay (replay_of=?)" },
		{ SQL_RULESET_USES, "SEARCH ruleset USING PRIMARY KEY (sha=?)" },
	};
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	sqlite3 *db = raw_open(&k);
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *sql = xprintf("EXPLAIN QUERY PLAN %s", sql_text(cases[i].which));
		struct buf plan = BUF(1 << 16);
		sqlite3_stmt *row;
		cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
		while (sqlite3_step(row) == SQLITE_ROW)
			buf_addf(&plan, "%s\n", (const char *)sqlite3_column_text(row, 3));
		sqlite3_finalize(row);
		cr_assert(strstr(buf_cstr(&plan), cases[i].plan), "%s\nis not in\n%s", cases[i].plan, buf_cstr(&plan));
		cr_assert_null(strstr(buf_cstr(&plan), "TEMP B-TREE"), "%s", buf_cstr(&plan));
		buf_fini(&plan);
	}
	sqlite3_close(db);
	kit_fini(&k);
	no_leaks();
}

/* ---- what came before ---- */

static struct submit *signed_as(struct kit *k, const char *key, const char *digest)
{
	struct submit *s = kit_push(k, key, 1);

	s->has_digest = 1;
	memcpy(s->digest, digest, sizeof s->digest);
	return s;
}

static int64_t same_as(struct kit *k, struct submit *s)
{
	cr_assert_eq(kit_submit(k, s), STORE_OK);
	int64_t first = s->same_as;
	submit_free(s);
	return first;
}

Test(store, what_was_signed_before_is_told_from_what_is_new)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	cr_assert_eq(same_as(&k, signed_as(&k, "a", "sixteen bytes, 1")), 0);
	cr_assert_eq(same_as(&k, signed_as(&k, "b", "sixteen bytes, 2")), 0);
	cr_assert_eq(same_as(&k, signed_as(&k, "c", "sixteen bytes, 1")), 1);
	cr_assert_eq(same_as(&k, signed_as(&k, "d", "sixteen bytes, 1")), 1, "the first is named, not the last");
	struct submit *s = signed_as(&k, "e", "sixteen bytes, 1");
	free(s->source);
	s->source = xstrdup("gitea");
	cr_assert_eq(same_as(&k, s), 0, "of another source");
	s = signed_as(&k, "f", "sixteen bytes, 1");
	s->has_digest = 0;
	cr_assert_eq(same_as(&k, s), 0, "its id is signed");
	s = signed_as(&k, "g", "sixteen bytes, 1");
	s->replay_of = 1;
	cr_assert_eq(same_as(&k, s), 0, "it was asked for");
	s = signed_as(&k, "a", "sixteen bytes, 1");
	cr_assert_eq(kit_submit(&k, s), STORE_DUPLICATE);
	cr_assert_eq(s->same_as, 0);
	submit_free(s);
	KIT_SAYS(&k, "\"jobs\":1,\"same_as\":1,", .what = READ_DELIVERY, .a = 3);
	KIT_SAYS(&k, "\"jobs\":1,\"replay_of\":1,", .what = READ_DELIVERY, .a = 7);
	KIT_SAYS(&k, "\"replays\":[7],", .what = READ_DELIVERY, .a = 1);
	KIT_SAYS(&k, "{\"deliveries\":[{\"id\":7,", .what = READ_DELIVERIES);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_delivery_is_kept_with_all_that_matching_it_again_takes)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	struct submit *s = kit_push(&k, "key", 1);
	s->query = xstrdup("a=b&c=%20");
	s->received_ms = 1234;
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	submit_free(s);
	for (int has_body = 1; has_body >= 0; has_body--) {
		struct read r = { .reply_to = k.replies, .what = READ_KEPT, .a = 1 };
		store_read(k.store, &r);
		cr_assert_eq(kit_reply(&k), &r.mail);
		cr_assert_eq(r.outcome, STORE_OK);
		cr_assert_str_eq(r.kept->source, "github");
		cr_assert_str_eq(r.kept->key, "key");
		cr_assert_str_eq(r.kept->ruleset, "abc123");
		cr_assert_str_eq(r.kept->headers_json, "{\"a\":\"b\"}");
		cr_assert_str_eq(r.kept->query, "a=b&c=%20");
		cr_assert_null(r.kept->secret);
		cr_assert_eq(r.kept->received_ms, 1234);
		cr_assert_eq(r.kept->has_body, has_body);
		cr_assert_str_eq(r.kept->event, "push");
		cr_assert_str_eq(r.kept->action, "");
		cr_assert(!r.kept->cause_json && !r.kept->only_file && !r.kept->only_rule);
		cr_assert(slice_eq(buf_slice(&r.json), has_body ? SLICE("{\"push\":\"key\"}") : SLICE_NULL));
		kept_free(r.kept);
		buf_fini(&r.json);
		if (has_body)
			raw_exec(&k, "DELETE FROM body");
	}
	s = kit_push(&k, "nightly", 1);
	free(s->event_json);
	s->event_json = xstrdup("{\"only\":{\"file\":\"rules/a b.lua\",\"rule\":\"it's \\\"nightly\\\"\"}}");
	s->cause_json = xstrdup("{\"depth\":3}");
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	submit_free(s);
	struct read inner = { .reply_to = k.replies, .what = READ_KEPT, .a = 2 };
	store_read(k.store, &inner);
	cr_assert_eq(kit_reply(&k), &inner.mail);
	cr_assert_str_eq(inner.kept->cause_json, "{\"depth\":3}");
	cr_assert_str_eq(inner.kept->only_file, "rules/a b.lua");
	cr_assert_str_eq(inner.kept->only_rule, "it's \"nightly\"");
	kept_free(inner.kept);
	buf_fini(&inner.json);
	enum store_outcome outcome;
	cr_assert_null(kit_read(&k, (struct read){ .what = READ_KEPT, .a = 3 }, &outcome));
	cr_assert_eq(outcome, STORE_NOT_FOUND);
	kit_fini(&k);
	no_leaks();
}

Test(store, changes_come_in_order_each_object_once_in_its_newest_form)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	kit_job(&k, "a", "q", 1);                       /* delivery 1, job 2, claimed 3 */
	claim_free(kit_claim(&k));
	kit_job(&k, "b", "q", 1);                       /* delivery 4, job 5 */
	cr_assert_eq(kit_finish(&k, 1, 1, JOB_SUCCEEDED), STORE_OK);    /* job 6, claimed 7 */
	claim_free(kit_claim(&k));
	CLEANUP(freep) char *text = kit_read(&k, (struct read){ .what = READ_CHANGES, .a = 0 }, NULL);
	json_t *doc = json_loads(text, 0, NULL), *item;
	int64_t last = 0;
	size_t i;
	cr_assert(doc, "%s", text);
	cr_assert_eq(json_array_size(json_object_get(doc, "changes")), 4);
	json_array_foreach(json_object_get(doc, "changes"), i, item) {
		json_t *object = json_object_get(item, "job") ? json_object_get(item, "job") : json_object_get(item, "delivery");
		int64_t change = json_integer_value(json_object_get(item, "change"));
		cr_assert_gt(change, last);
		cr_assert_eq(json_integer_value(json_object_get(object, "change")), change);
		last = change;
	}
	cr_assert_eq(json_integer_value(json_object_get(doc, "last")), last);
	json_decref(doc);
	CLEANUP(freep) char *rest = kit_read(&k, (struct read){ .what = READ_CHANGES, .a = last }, NULL);
	CLEANUP(freep) char *nothing = xprintf("{\"last\":%lld,\"changes\":[]}", (long long)last);
	cr_assert_str_eq(rest, nothing);
	CLEANUP(freep) char *one = kit_read(&k, (struct read){ .what = READ_CHANGES, .a = 0, .limit = 1 }, NULL);
	cr_assert(strstr(one, "\"changes\":[{\"change\":1,\"delivery\":{\"id\":1,"), "%s", one);
	cr_assert_null(strstr(one, "\"job\":"));
	kit_fini(&k);
	char **texts[] = { &text, &rest, &nothing, &one };
	for (i = 0; i < COUNT(texts); i++)
		free(TAKE(texts[i]));
	no_leaks();
}

Test(store, a_watcher_learns_the_lengths_of_ended_attempts)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	kit_job(&k, "a", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = 1, .attempt = 1, .state = JOB_LOST, .log_bytes = 77 }, 1), STORE_OK);
	claim_free(kit_claim(&k));
	struct read r = { .reply_to = k.replies, .what = READ_WATCH, .a = 1, .limit = 1 };
	store_read(k.store, &r);
	kit_reply(&k);
	cr_assert_eq(r.outcome, STORE_OK);
	cr_assert_eq(r.state, JOB_RUNNING);
	cr_assert_eq(r.n_attempts, 2);
	cr_assert_eq(r.attempts[0].attempt, 1);
	cr_assert_eq(r.attempts[0].is_final, 1);
	cr_assert_eq(r.attempts[0].log_bytes, 77);
	cr_assert_eq(r.attempts[1].attempt, 2);
	cr_assert_eq(r.attempts[1].is_final, 0);
	cr_assert_eq(r.attempts[1].log_bytes, -1);
	cr_assert_eq(strncmp(r.state_json, "{\"id\":1,", 8), 0);
	free(r.attempts);
	free(r.state_json);
	buf_fini(&r.json);
	kit_fini(&k);
	no_leaks();
}

/* ---- notices ---- */

static struct notice *next_notice(struct mailbox *mb, struct mail_list *list)
{
	struct notice_mail *m = (struct notice_mail *)kit_take(mb, list);
	struct notice *n = m->notice;
	free(m);
	return n;
}

/* The text of a notice is the text of the lists: one of them can stand for the other. */
static void expect_as_listed(struct kit *k, const struct change *c)
{
	CLEANUP(freep) char *text = xprintf("[" SLICE_FMT "]}", SLICE_ARG(c->json));
	char *list = kit_read(k, c->job ? (struct read){ .what = READ_JOBS, .limit = 1, .a = c->job + 1 }
					: (struct read){ .what = READ_DELIVERIES, .limit = 1, .a = c->delivery + 1 }, NULL);
	cr_assert(strstr(list, text), "%s\nis not in\n%s", text, list);
	free(list);
}

Test(store, one_notice_per_commit_goes_to_everyone_and_says_what_lists_say)
{
	struct kit k;
	struct mailbox *other = mailbox_new();
	struct mail_list here = STAILQ_HEAD_INITIALIZER(here), there = STAILQ_HEAD_INITIALIZER(there);

	kit_init(&k);
	kit_open(&k, 1);
	store_watch(k.store, k.notices, kit_on_notice);
	store_watch(k.store, other, kit_on_notice);
	store_recover_done(k.store);
	kit_job(&k, "a\"\n\xff", "q", 1);
	struct notice *n = next_notice(k.notices, &here), *same = next_notice(other, &there);
	cr_assert_eq(n, same);
	notice_unref(same);
	cr_assert_eq(n->n, 2, "the delivery, and the job as it was claimed");
	cr_assert_eq(n->changes[0].delivery, 1);
	cr_assert_eq(n->changes[1].job, 1);
	cr_assert_eq(n->changes[1].state, JOB_RUNNING);
	cr_assert_eq(n->changes[1].attempt, 1);
	cr_assert_gt(n->changes[1].change, n->changes[0].change);
	expect_as_listed(&k, &n->changes[0]);
	expect_as_listed(&k, &n->changes[1]);
	notice_unref(n);

	kit_job(&k, "b", "q2", 1);
	n = next_notice(k.notices, &here);
	cr_assert_eq(n->changes[1].state, JOB_QUEUED);
	expect_as_listed(&k, &n->changes[1]);
	notice_unref(n);

	cr_assert_eq(kit_finish(&k, 1, 1, JOB_FAILED), STORE_OK);
	n = next_notice(k.notices, &here);
	cr_assert_eq(n->n, 2, "one ended, the other began");
	cr_assert_eq(n->changes[0].job, 1);
	cr_assert_eq(n->changes[0].state, JOB_FAILED);
	cr_assert_eq(n->changes[0].attempt, 1);
	cr_assert_eq(n->changes[0].attempt_ended, 1);
	cr_assert_eq(n->changes[0].log_bytes, 812);
	cr_assert_eq(n->changes[1].job, 2);
	cr_assert_eq(n->changes[1].state, JOB_RUNNING);
	cr_assert_eq(n->changes[1].attempt_ended, 0);
	expect_as_listed(&k, &n->changes[0]);
	notice_unref(n);

	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = 2, .attempt = 1, .state = JOB_LOST, .log_bytes = 5 }, 1), STORE_OK);
	n = next_notice(k.notices, &here);
	cr_assert_eq(n->n, 2, "attempt 1 ended, and attempt 2 began in the same commit");
	cr_assert_eq(n->changes[0].attempt, 1);
	cr_assert_eq(n->changes[0].attempt_ended, 1);
	cr_assert_eq(n->changes[0].log_bytes, 5);
	cr_assert_eq(n->changes[1].attempt, 2);
	cr_assert_eq(n->changes[1].state, JOB_RUNNING);
	notice_unref(n);
	kit_close(&k);
	mailbox_deliver(other, NULL);
	while (!STAILQ_EMPTY(&there))
		notice_unref(next_notice(other, &there));
	mailbox_free(other);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_cancel_in_the_batch_of_its_submit_is_told_as_it_stands)
{
	struct kit k;
	struct writer w;
	struct err e;
	char path[128];
	struct notice *n;
	struct cancel c = { .job = 1, .reason = "quick" };

	kit_init(&k);
	snprintf(path, sizeof path, "%s/pushrod.db", k.folder);
	cr_assert_eq(writer_open(&w, path, 1, &e), 0, "%s", e.msg);
	w.may_claim = 1;
	struct submit *s = kit_push(&k, "a", 1);
	cr_assert_eq(write_begin(&w), DB_OK);
	cr_assert_eq(write_submit(&w, s), DB_OK);
	cr_assert_eq(write_cancel(&w, &c), DB_OK);
	cr_assert_eq(write_claims(&w), DB_OK);
	cr_assert_eq(w.n_claimed, 0);
	cr_assert_eq(write_commit(&w), DB_OK);
	cr_assert_eq(write_notice(&w, &n), DB_ROW);
	cr_assert_eq(n->n, 2);
	cr_assert_eq(n->changes[1].state, JOB_CANCELLED);
	notice_unref(n);
	submit_free(s);
	writer_close(&w);
	kit_fini(&k);
	no_leaks();
}

/* ---- retention ---- */

static void count_gone(int64_t job, int attempt, void *arg)
{
	atomic_fetch_add((_Atomic int *)arg, 1);
}

/* Reads until the answer has TEXT in it: retention has no reply. */
static void await_status(struct kit *k, const char *text)
{
	int64_t until = mono_ms() + KIT_WAIT_MS;
	char *status = NULL;

	do {
		free(status);
		status = kit_read(k, (struct read){ .what = READ_STATUS }, NULL);
		cr_assert_lt(mono_ms(), until, "%s\nnever said %s", status, text);
	} while (!strstr(status, text));
	free(status);
}

Test(store, what_is_past_its_age_goes_and_what_is_open_stays)
{
	struct kit k;
	_Atomic int gone = 0;
	char key[16];
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);

	kit_init(&k);
	kit_open(&k, 4000);
	store_recover_done(k.store);
	for (int i = 0; i < 1300; i++) {
		snprintf(key, sizeof key, "k%d", i);
		struct submit *s = kit_push(&k, key, 1);
		free(s->jobs[0].queue);
		s->jobs[0].queue = xprintf("half %d", i % 2);
		s->jobs[0].policy.limit = QUEUE_LIMIT_MAX;
		store_submit(k.store, s);
	}
	for (int i = 0; i < 1300; i++)
		submit_free((struct submit *)kit_take(k.replies, &list));
	struct finish *f = xcalloc(1300, sizeof *f);
	for (int i = 0; i < 1299; i++) {                /* the last one runs on */
		f[i] = (struct finish){ .reply_to = k.replies, .result = { .job = i + 1, .attempt = 1, .state = JOB_SUCCEEDED } };
		store_finish(k.store, &f[i]);
	}
	for (int i = 0; i < 1299; i++)
		kit_take(k.replies, &list);
	kit_close(&k);
	raw_exec(&k, "UPDATE job SET queued_ms=1000, started_ms=1000, ended_ms=iif(ended_ms, 2000, NULL);"
		     "UPDATE delivery SET received_ms=1000 WHERE id<>7");
	kit_open(&k, 4000);
	int64_t young = kit_job(&k, "young", "q", 1);
	store_prune(k.store, &(struct keep){ .jobs_ms = 60000, .deliveries_ms = 60000 }, count_gone, &gone);
	await_status(&k, "\"deliveries\":3,");
	for (int64_t until = mono_ms() + 10000; atomic_load(&gone) != 1299 && mono_ms() < until;)
		sched_yield();                          /* told behind the commit that the status shows */
	cr_assert_eq(atomic_load(&gone), 1299, "each ended attempt's journal is told");
	cr_assert_eq(state_of(&k, 1300), JOB_RUNNING);
	cr_assert_eq(state_of(&k, young), JOB_QUEUED);
	enum store_outcome outcome;
	free(kit_read(&k, (struct read){ .what = READ_BODY, .a = 1300 }, &outcome));
	cr_assert_eq(outcome, STORE_OK, "an open job still needs its body");
	kit_close(&k);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM delivery WHERE id=7"), 1, "too young, though its job is gone");
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM job"), 2);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM attempt"), 1);
	cr_assert_eq(raw_int(&k, "SELECT body_bytes=(SELECT sum(length(data)) FROM body) FROM meta"), 1);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
	free(f);
	kit_fini(&k);
	no_leaks();
}

Test(store, a_delivery_stays_while_a_job_names_it_and_loses_its_body)
{
	struct kit k;
	enum store_outcome outcome;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	kit_job(&k, "a", "q", 1);
	claim_free(kit_claim(&k));
	cr_assert_eq(kit_finish(&k, 1, 1, JOB_SUCCEEDED), STORE_OK);
	kit_close(&k);
	raw_exec(&k, "UPDATE delivery SET received_ms=1000");
	kit_open(&k, 8);
	store_prune(k.store, &(struct keep){ .jobs_ms = INT64_C(90) * 86400000, .deliveries_ms = 60000 }, NULL, NULL);
	await_status(&k, "\"body_bytes\":0,");
	cr_assert_null(kit_read(&k, (struct read){ .what = READ_BODY, .a = 1 }, &outcome));
	cr_assert_eq(outcome, STORE_NOT_FOUND);
	KIT_SAYS(&k, "\"repo\":\"acme/handbook\"", .what = READ_JOB, .a = 1);
	kit_fini(&k);
	no_leaks();
}

Test(store, the_budget_of_bodies_takes_the_oldest_that_no_open_job_needs)
{
	struct kit k;
	char key[8];
	enum store_outcome outcome;

	kit_init(&k);
	kit_open(&k, 8);
	for (int i = 1; i <= 6; i++) {
		snprintf(key, sizeof key, "k%d", i);
		struct submit *s = kit_push(&k, key, i == 2);
		buf_clear(&s->body);
		while (s->body.len < 100)
			buf_addc(&s->body, 'x');
		cr_assert_eq(kit_submit(&k, s), STORE_OK);
		submit_free(s);
	}
	store_prune(k.store, &(struct keep){ .bodies_bytes = 350 }, NULL, NULL);
	await_status(&k, "\"body_bytes\":300,");
	for (int i = 1; i <= 6; i++) {
		free(kit_read(&k, (struct read){ .what = READ_BODY, .a = i }, &outcome));
		cr_assert_eq(outcome, i == 2 || i >= 5 ? STORE_OK : STORE_NOT_FOUND, "body %d", i);
	}
	KIT_SAYS(&k, "\"bytes\":100,", .what = READ_DELIVERY, .a = 1);
	kit_fini(&k);
	no_leaks();
}
