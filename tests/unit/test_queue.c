/* What a queue does with one job more: the decision as a table, then each policy over a real store. */
#include "model/queue.h"

#include <sched.h>
#include <sqlite3.h>

#include "no_leaks.h"
#include "store/sql.h"
#include "store/submit.h"
#include "store_kit.h"

/* ---- the decision ---- */

struct decided {
	struct queue_policy policy;
	struct queue_scene scene;
	struct queue_decision wanted;
};

static void expect_decision(const struct decided *c, size_t i, struct queue_decision d)
{
	const struct queue_decision *w = &c->wanted;

	cr_expect(d.fate == w->fate && d.replaces_debouncing == w->replaces_debouncing && d.replaces_waiting == w->replaces_waiting &&
		  d.n_stopped == w->n_stopped, "case %zu: fate %d, replaces %d %d, stops %d", i, d.fate, d.replaces_debouncing,
		  d.replaces_waiting, d.n_stopped);
}

Test(queue, an_arrival_is_decided_by_policy_and_scene)
{
	static const struct decided cases[] = {
		/* wait keeps all */
		{ { QUEUE_WAIT, 1, 0, 0 }, { .running = 1, .waiting = 9 }, { .fate = QUEUE_IS_QUEUED } },
		{ { QUEUE_WAIT, 1, 0, 0 }, { .running = 1, .is_like_waiting = 1 }, { .fate = QUEUE_IS_QUEUED } },
		{ { QUEUE_WAIT, 1, 3000, 30000 }, { 0 }, { .fate = QUEUE_IS_DEBOUNCED } },
		{ { QUEUE_WAIT, 1, 3000, 30000 }, { .is_like_debouncing = 1 }, { .fate = QUEUE_MERGES_DEBOUNCING } },
		/* latest keeps the newest of each stage */
		{ { QUEUE_LATEST, 1, 0, 0 }, { .running = 1 }, { QUEUE_IS_QUEUED, 1, 1, 0 } },
		{ { QUEUE_LATEST, 1, 0, 0 }, { .running = 1, .is_like_waiting = 1 }, { QUEUE_MERGES_WAITING, 1, 1, 0 } },
		{ { QUEUE_LATEST, 1, 3000, 30000 }, { .running = 1 }, { QUEUE_IS_DEBOUNCED, 1, 0, 0 } },
		{ { QUEUE_LATEST, 1, 3000, 30000 }, { .is_like_waiting = 1 }, { QUEUE_MERGES_WAITING, 1, 1, 0 } },
		{ { QUEUE_LATEST, 1, 3000, 30000 }, { .is_like_debouncing = 1, .is_like_waiting = 1 }, { QUEUE_MERGES_DEBOUNCING, 1, 0, 0 } },
		/* cancel stops what is beyond the limit, and not twice */
		{ { QUEUE_CANCEL, 1, 0, 0 }, { 0 }, { QUEUE_IS_QUEUED, 1, 1, 0 } },
		{ { QUEUE_CANCEL, 1, 0, 0 }, { .running = 1, .staying = 1 }, { QUEUE_IS_QUEUED, 1, 1, 1 } },
		{ { QUEUE_CANCEL, 1, 0, 0 }, { .running = 1, .staying = 0 }, { QUEUE_IS_QUEUED, 1, 1, 0 } },
		{ { QUEUE_CANCEL, 3, 0, 0 }, { .running = 3, .staying = 3 }, { QUEUE_IS_QUEUED, 1, 1, 1 } },
		{ { QUEUE_CANCEL, 1, 0, 0 }, { .running = 3, .staying = 3 }, { QUEUE_IS_QUEUED, 1, 1, 3 } },
		{ { QUEUE_CANCEL, 1, 0, 0 }, { .running = 1, .staying = 1, .is_like_waiting = 1 }, { QUEUE_MERGES_WAITING, 1, 1, 1 } },
		{ { QUEUE_CANCEL, 1, 3000, 30000 }, { .running = 1, .staying = 1 }, { QUEUE_IS_DEBOUNCED, 1, 0, 0 } },
		/* skip refuses while the slot is full, by what runs or waits to */
		{ { QUEUE_SKIP, 2, 0, 0 }, { .running = 1 }, { .fate = QUEUE_IS_QUEUED } },
		{ { QUEUE_SKIP, 2, 0, 0 }, { .running = 1, .waiting = 1 }, { .fate = QUEUE_IS_SKIPPED } },
		{ { QUEUE_SKIP, 2, 0, 0 }, { .running = 2 }, { .fate = QUEUE_IS_SKIPPED } },
		{ { QUEUE_SKIP, 1, 3000, 30000 }, { .running = 1 }, { .fate = QUEUE_IS_DEBOUNCED } },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		expect_decision(&cases[i], i, queue_on_arrival(&cases[i].policy, &cases[i].scene));
}

Test(queue, what_was_debounced_enters_as_if_it_had_just_come)
{
	static const struct decided cases[] = {
		{ { QUEUE_WAIT, 1, 3000, 30000 }, { .running = 1 }, { .fate = QUEUE_IS_QUEUED } },
		{ { QUEUE_LATEST, 1, 3000, 30000 }, { .running = 1 }, { QUEUE_IS_QUEUED, 0, 1, 0 } },
		{ { QUEUE_CANCEL, 1, 3000, 30000 }, { .running = 1, .staying = 1 }, { QUEUE_IS_QUEUED, 0, 1, 1 } },
		{ { QUEUE_SKIP, 1, 3000, 30000 }, { .running = 1 }, { .fate = QUEUE_IS_SKIPPED } },
		{ { QUEUE_SKIP, 1, 3000, 30000 }, { .running = 0 }, { .fate = QUEUE_IS_QUEUED } },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		expect_decision(&cases[i], i, queue_on_entry(&cases[i].policy, &cases[i].scene));
}

Test(queue, a_burst_is_waited_out_up_to_its_bound)
{
	const struct queue_policy p = { QUEUE_WAIT, 1, 3000, 7000 };
	int64_t latest = 0;

	cr_assert_eq(queue_due_ms(&p, 1000, &latest), 4000);
	cr_assert_eq(latest, 8000, "counted from the first");
	cr_assert_eq(queue_due_ms(&p, 3500, &latest), 6500);
	cr_assert_eq(queue_due_ms(&p, 6400, &latest), 8000);
	cr_assert_eq(queue_due_ms(&p, 9000, &latest), 8000);
	cr_assert_eq(latest, 8000);
}

Test(queue, the_words_of_a_policy_are_closed)
{
	enum queue_busy b;

	for (int i = QUEUE_WAIT; i <= QUEUE_SKIP; i++) {
		cr_assert_eq(queue_busy_parse(slice_of(queue_busy_name((enum queue_busy)i)), &b), 0);
		cr_assert_eq((int)b, i);
	}
	cr_assert_eq(queue_busy_parse(SLICE("Wait"), &b), -1);
	cr_assert_eq(queue_busy_parse(SLICE("latestx"), &b), -1);
}

/* ---- over a store ---- */

static struct kit k;
static struct mailbox *stops;

static void on_stop(struct mail *m, void *arg)
{
	free(m);
}

static void open_store(void)
{
	kit_open(&k, 64);
	store_on_stop(k.store, stops, on_stop);
	store_recover_done(k.store);
}

static void begin(void)
{
	kit_init(&k);
	stops = mailbox_new();
	open_store();
}

static void end(void)
{
	kit_fini(&k);
	mailbox_deliver(stops, NULL);
	mailbox_free(stops);
}

TestSuite(queue_store, .init = begin, .fini = end);

static void reopen(void)
{
	kit_close(&k);
	open_store();
}

#define LATEST ((struct queue_policy){ QUEUE_LATEST, 1, 0, 0 })
#define CANCEL ((struct queue_policy){ QUEUE_CANCEL, 1, 0, 0 })
#define SKIP ((struct queue_policy){ QUEUE_SKIP, 1, 0, 0 })
#define WAIT ((struct queue_policy){ QUEUE_WAIT, 1, 0, 0 })
#define DEBOUNCE ((struct queue_policy){ QUEUE_WAIT, 1, 60000, 600000 })
#define MAIN "acme/handbook\nrefs/heads/main"

/* A push in queue "q"; MERGE NULL: one that never merges. */
static struct submit *push(const char *key, struct queue_policy p, const char *merge)
{
	struct submit *s = kit_push(&k, key, 1);

	free(s->jobs[0].queue);
	s->jobs[0].queue = xstrdup("q");
	s->jobs[0].policy = p;
	s->jobs[0].merge_key = merge ? xstrdup(merge) : NULL;
	return s;
}

static struct submit_job sent(struct submit *s)
{
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	struct submit_job j = s->jobs[0];
	submit_free(s);
	return j;
}

static struct submit_job come(const char *key, struct queue_policy p, const char *merge)
{
	return sent(push(key, p, merge));
}

static int64_t comes_to_run(int64_t job)
{
	struct claim *c = kit_claim(&k);

	cr_assert_eq(c->job, job);
	int64_t delivery = c->delivery;
	claim_free(c);
	return delivery;
}

static char *seen(int64_t job)
{
	char *text = kit_read(&k, (struct read){ .what = READ_JOB, .a = job }, NULL);
	cr_assert(text);
	return text;
}

static void expect_job(int64_t job, const char *text)
{
	KIT_SAYS(&k, text, .what = READ_JOB, .a = job);
}

static void expect_state(int64_t job, const char *state)
{
	CLEANUP(freep) char *text = xprintf("\"state\":\"%s\"", state);
	expect_job(job, text);
}

/* What somebody else's clock would bring about: the debounce of JOB is over. The store must be closed. */
static void raw(const char *sql)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k.folder);
	char *why = NULL;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

static void await_due(void)
{
	for (int64_t until = mono_ms() + KIT_WAIT_MS; mono_ms() < until;) {
		CLEANUP(freep) char *status = kit_read(&k, (struct read){ .what = READ_STATUS }, NULL);
		if (strstr(status, "\"debouncing\":0"))
			return;
	}
	cr_assert(0, "nothing came of what was due");
}

static void pass_time(void)
{
	kit_close(&k);
	raw("UPDATE debounce SET due_ms=1000, latest_ms=1000");
	open_store();
	await_due();
}

static void expect_rows(const char *sql, int64_t wanted)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k.folder);
	sqlite3_stmt *row;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(row), SQLITE_ROW);
	cr_expect_eq(sqlite3_column_int64(row, 0), wanted, "%s: %lld", sql, (long long)sqlite3_column_int64(row, 0));
	sqlite3_finalize(row);
	sqlite3_close(db);
}

static struct stop take_stop(void)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct stop *m = (struct stop *)kit_take(stops, &list), out = *m;

	cr_assert(STAILQ_EMPTY(&list));
	free(m);
	return out;
}

/* -- latest -- */

Test(queue_store, I9_latest_keeps_only_the_newest_that_waits)
{
	int64_t a = come("a", LATEST, NULL).job, b = come("b", LATEST, NULL).job, c = come("c", LATEST, NULL).job;

	comes_to_run(a);
	expect_job(b, "\"state\":\"superseded\"");
	CLEANUP(freep) char *heir = xprintf("\"reason\":\"job %lld took its place\",\"heir\":%lld", (long long)c, (long long)c);
	expect_job(b, heir);
	expect_state(c, "queued");
	cr_assert_not(kit_has_claim(&k));
	kit_finish(&k, a, 1, JOB_SUCCEEDED);
	comes_to_run(c);
	cr_assert_eq(kit_finish(&k, b, 1, JOB_SUCCEEDED), STORE_STALE, "I7: superseded is final");
	no_leaks();
}

Test(queue_store, latest_in_one_batch_is_what_it_would_be_in_several)
{
	struct queue_policy two = { QUEUE_LATEST, 2, 0, 0 };
	struct submit *s[4];
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	static const enum job_state wanted[] = { JOB_RUNNING, JOB_RUNNING, JOB_SUPERSEDED, JOB_QUEUED };
	char key[8];

	for (int i = 0; i < 4; i++) {
		snprintf(key, sizeof key, "k%d", i);
		s[i] = push(key, two, NULL);
		store_submit(k.store, s[i]);
	}
	for (int i = 0; i < 4; i++)
		submit_free((struct submit *)kit_take(k.replies, &list));
	for (int i = 0; i < 4; i++)
		expect_state(i + 1, job_state_name(wanted[i]));
	comes_to_run(1);
	comes_to_run(2);
	cr_assert_not(kit_has_claim(&k));
	no_leaks();
}

Test(queue_store, two_rules_of_one_delivery_do_not_replace_each_other_in_a_shared_queue)
{
	struct submit *s = kit_push(&k, "k1", 3);

	for (int i = 0; i < 3; i++) {
		free(s->jobs[i].queue);
		s->jobs[i].queue = xstrdup("queue:production ");
		s->jobs[i].policy = LATEST;
	}
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	submit_free(s);
	comes_to_run(1);
	expect_state(2, "queued");
	expect_state(3, "queued");
	struct submit *next = push("k2", LATEST, NULL);
	free(next->jobs[0].queue);
	next->jobs[0].queue = xstrdup("queue:production ");
	int64_t heir = sent(next).job;
	expect_state(2, "superseded");
	expect_state(3, "superseded");
	kit_finish(&k, 1, 1, JOB_SUCCEEDED);
	comes_to_run(heir);
}

/* A push to a rule of two cells, each with the slot "cells n=I". */
static struct submit *push_cells(const char *key)
{
	struct submit *s = kit_push(&k, key, 2);

	for (int i = 0; i < 2; i++) {
		s->jobs[i].rule = "cells";
		s->jobs[i].cell = xprintf("n=%d", i);
		free(s->jobs[i].queue);
		s->jobs[i].queue = xprintf("cells n=%d", i);
		s->jobs[i].policy = LATEST;
		s->jobs[i].merge_key = xstrdup(MAIN);
	}
	return s;
}

Test(queue_store, each_cell_is_a_slot_of_its_own)
{
	struct submit *s = push_cells("k1"), *t;

	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	submit_free(s);
	comes_to_run(1);
	comes_to_run(2);
	t = push("k2", LATEST, MAIN);
	t->jobs[0].rule = "cells";
	t->jobs[0].cell = xstrdup("n=0");
	free(t->jobs[0].queue);
	t->jobs[0].queue = xstrdup("cells n=0");
	cr_assert_eq(sent(t).job, 3);
	expect_state(3, "queued");
}

/* -- cancel -- */

Test(queue_store, cancel_stops_what_runs_and_says_for_whom)
{
	int64_t a = come("a", CANCEL, NULL).job;

	comes_to_run(a);
	int64_t b = come("b", CANCEL, NULL).job;
	struct stop stop = take_stop();
	cr_assert(stop.job == a && stop.attempt == 1);
	CLEANUP(freep) char *why = xprintf("cancelled for job %lld, which is newer", (long long)b);
	cr_assert_str_eq(stop.reason, why);
	cr_assert_not(kit_has_claim(&k), "I9: the limit holds until it has ended");
	int64_t c = come("c", CANCEL, NULL).job;
	expect_state(b, "superseded");
	mailbox_deliver(stops, NULL);
	struct job_result r = { .job = a, .attempt = 1, .state = JOB_CANCELLED };
	memcpy(r.reason, stop.reason, sizeof stop.reason);
	kit_finish_with(&k, r, 0);
	CLEANUP(freep) char *heir = xprintf("\"heir\":%lld", (long long)b);
	expect_job(a, heir);
	comes_to_run(c);
	no_leaks();
}

Test(queue_store, what_was_to_stop_for_a_newer_one_is_known_after_a_restart)
{
	struct running *running;
	struct err e;
	size_t n;
	int64_t a = come("a", CANCEL, NULL).job;

	comes_to_run(a);
	int64_t b = come("b", CANCEL, NULL).job;
	kit_close(&k);
	kit_open(&k, 64);
	cr_assert_eq(store_recover(k.store, &running, &n, &e), 0);
	cr_assert_eq(n, 1);
	cr_assert_str_eq(running[0].wish, "cancelled for job 2, which is newer");
	free(running[0].rule);
	free(running[0].wish);
	free(running);
	store_recover_done(k.store);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = a, .attempt = 1, .state = JOB_LOST }, 1), STORE_OK);
	expect_job(a, "\"state\":\"cancelled\"");
	expect_job(a, "which is newer");
	comes_to_run(b);
}

Test(queue_store, cancel_stops_as_many_as_are_beyond_the_limit_the_oldest_first)
{
	struct queue_policy three = { QUEUE_CANCEL, 3, 0, 0 }, one = CANCEL;
	char key[8];

	for (int i = 1; i <= 3; i++) {
		snprintf(key, sizeof key, "k%d", i);
		comes_to_run(come(key, three, NULL).job);
	}
	cr_assert(mailbox_fd(stops) >= 0);
	come("k4", three, NULL);
	cr_assert_eq(take_stop().job, 1);
	come("k5", one, NULL);                  /* the limit is another from here on */
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	for (int i = 2; i <= 3; i++) {
		struct stop *m = (struct stop *)kit_take(stops, &list);
		cr_assert_eq(m->job, i);
		free(m);
	}
	cr_assert(STAILQ_EMPTY(&list), "1 was told before");
}

/* -- skip -- */

Test(queue_store, skip_refuses_while_the_slot_is_full_and_names_what_fills_it)
{
	struct queue_policy two = { QUEUE_SKIP, 2, 0, 0 };

	comes_to_run(come("a", two, NULL).job);
	comes_to_run(come("b", two, NULL).job);
	struct submit_job c = come("c", two, NULL);
	cr_assert_eq(c.state, JOB_SKIPPED);
	cr_assert_str_eq(c.reason, "its queue is full, 2 of 2: job 1 runs");
	expect_job(c.job, "\"state\":\"skipped\"");
	kit_finish(&k, 1, 1, JOB_FAILED);
	cr_assert_eq(come("d", two, NULL).state, JOB_QUEUED);
	comes_to_run(4);
}

Test(queue_store, skip_counts_what_only_waits_for_room_elsewhere)
{
	store_jobs_max(k.store, 1);
	comes_to_run(kit_job(&k, "other", "other", 1));
	cr_assert_eq(come("a", SKIP, NULL).state, JOB_QUEUED);
	struct submit_job b = come("b", SKIP, NULL);
	cr_assert_eq(b.state, JOB_SKIPPED);
	cr_assert_str_eq(b.reason, "its queue is full, 1 of 1: job 2 waits");
}

Test(queue_store, what_was_skipped_or_superseded_is_not_the_one_of_its_once)
{
	comes_to_run(come("a", SKIP, NULL).job);
	for (int i = 0; i < 2; i++) {
		struct submit *s = push(i ? "b2" : "b1", SKIP, NULL);
		s->jobs[0].once_key = xstrdup("order 7");
		s->jobs[0].once_within_ms = 60000;
		struct submit_job j = sent(s);
		cr_assert_eq(j.state, i ? JOB_QUEUED : JOB_SKIPPED, "%s", j.reason);
		if (i == 0)
			kit_finish(&k, 1, 1, JOB_SUCCEEDED);
	}
	comes_to_run(3);
	for (int i = 0; i < 3; i++) {
		struct submit *s = push(i == 0 ? "c1" : i == 1 ? "c2" : "c3", LATEST, NULL);
		s->jobs[0].once_key = i == 1 ? NULL : xstrdup("order 8");
		s->jobs[0].once_within_ms = 60000;
		cr_assert_eq(sent(s).state, JOB_QUEUED, "the first was superseded by the second: it never ran");
	}
}

/* -- debounce -- */

Test(queue_store, a_debounced_job_waits_and_says_until_when)
{
	int64_t before = wall_ms();
	struct submit_job a = come("a", DEBOUNCE, MAIN);

	cr_assert_eq(a.state, JOB_DEBOUNCING);
	cr_assert(a.until_ms >= before + 60000 && a.until_ms <= wall_ms() + 60000);
	cr_assert(strstr(a.reason, "until ") && strstr(a.reason, " UTC, then it queues"), "%s", a.reason);
	CLEANUP(freep) char *until = xprintf("\"until_ms\":%lld", (long long)a.until_ms);
	expect_job(a.job, until);
	expect_state(a.job, "debouncing");
	KIT_SAYS(&k, "\"debouncing\":1,\"queued\":0", .what = READ_STATUS);
	KIT_SAYS(&k, "\"id\":1,", .what = READ_JOBS, .filter.state = "debouncing");
	cr_assert_not(kit_has_claim(&k));
	no_leaks();
}

Test(queue_store, a_debounce_ends_by_itself_with_no_other_mail)
{
	int64_t before = wall_ms();
	struct submit_job a = come("a", (struct queue_policy){ QUEUE_WAIT, 1, 150, 1500 }, MAIN);

	comes_to_run(a.job);                    /* nothing was asked of the store in between */
	cr_assert_geq(wall_ms(), before + 150);
	expect_state(a.job, "running");
}

Test(queue_store, a_debounce_goes_on_over_a_restart)
{
	int64_t a = come("a", (struct queue_policy){ QUEUE_WAIT, 1, 400, 1500 }, MAIN).job;

	reopen();
	expect_state(a, "debouncing");
	cr_assert_eq(come("b", (struct queue_policy){ QUEUE_WAIT, 1, 400, 1500 }, MAIN).job, a);
	reopen();
	cr_assert_eq(comes_to_run(a), 2);
	pass_time();
	cr_assert_not(kit_has_claim(&k));
}

Test(queue_store, a_debounced_job_is_not_queued_before_recovery_is_done)
{
	int64_t a = come("a", DEBOUNCE, NULL).job;

	kit_close(&k);
	raw("UPDATE debounce SET due_ms=1000");
	kit_open(&k, 8);
	KIT_SAYS(&k, "\"debouncing\":1", .what = READ_STATUS);
	store_recover_done(k.store);
	comes_to_run(a);
}

Test(queue_store, a_debounced_job_can_be_cancelled)
{
	int64_t a = come("a", (struct queue_policy){ QUEUE_WAIT, 1, 100, 1000 }, MAIN).job;

	cr_assert_eq(kit_cancel(&k, a).state, JOB_CANCELLED);
	expect_job(a, "\"reason\":\"cancelled by ada\"");
	int64_t b = come("b", (struct queue_policy){ QUEUE_WAIT, 1, 100, 1000 }, MAIN).job;
	cr_assert_neq(b, a, "nothing merges into what has ended");
	comes_to_run(b);
}

Test(queue_store, I9_those_that_were_debounced_queue_in_the_order_of_their_first_event)
{
	int64_t blocker = come("0", WAIT, NULL).job, a = come("a", DEBOUNCE, MAIN).job, b = come("b", DEBOUNCE, "acme/other\nrefs/heads/main").job;

	comes_to_run(blocker);
	cr_assert_eq(come("c", DEBOUNCE, MAIN).job, a);
	kit_close(&k);
	raw("UPDATE debounce SET due_ms=iif(job=3, 1000, 2000)");        /* the younger is due first */
	open_store();
	await_due();
	KIT_SAYS(&k, "\"queued\":2", .what = READ_STATUS);
	kit_finish(&k, blocker, 1, JOB_SUCCEEDED);
	comes_to_run(a);
	kit_finish(&k, a, 1, JOB_SUCCEEDED);
	comes_to_run(b);
}

Test(queue_store, a_debounced_latest_takes_the_place_of_what_waits_when_it_is_due)
{
	struct queue_policy p = { QUEUE_LATEST, 1, 60000, 600000 };
	int64_t a, b, c;

	comes_to_run(come("0", LATEST, NULL).job);
	a = come("a", LATEST, NULL).job;
	b = come("b", p, NULL).job;
	expect_state(a, "queued");
	c = come("c", p, NULL).job;
	expect_state(b, "superseded");
	expect_state(a, "queued");
	pass_time();
	expect_state(c, "queued");
	expect_state(a, "superseded");
	kit_finish(&k, 1, 1, JOB_SUCCEEDED);
	comes_to_run(c);
}

Test(queue_store, the_bound_of_a_burst_is_kept_by_those_that_replace_each_other)
{
	struct queue_policy p = { QUEUE_LATEST, 1, 60000, 90000 };
	struct submit_job a = come("a", p, NULL);

	kit_close(&k);
	raw("UPDATE debounce SET latest_ms=latest_ms-60000");
	open_store();
	struct submit_job b = come("b", p, NULL);
	cr_assert_neq(b.job, a.job);
	cr_assert_leq(b.until_ms, a.until_ms - 60000 + 90000 - 60000, "a burst of events that do not merge may not starve");
}

Test(queue_store, a_debounced_cancel_stops_what_runs_when_it_is_due_and_a_skip_may_be_refused)
{
	int64_t a = come("a", CANCEL, NULL).job, b, d;

	comes_to_run(a);
	b = come("b", (struct queue_policy){ QUEUE_CANCEL, 1, 60000, 600000 }, NULL).job;
	pass_time();
	cr_assert_eq(take_stop().job, a);
	kit_finish(&k, a, 1, JOB_CANCELLED);
	comes_to_run(b);
	d = come("d", (struct queue_policy){ QUEUE_SKIP, 1, 60000, 600000 }, NULL).job;
	expect_state(d, "debouncing");
	pass_time();
	expect_job(d, "\"state\":\"skipped\"");
	expect_job(d, "its queue is full, 1 of 1: job 2 runs");
}

/* -- merging -- */

Test(queue_store, I3_debounced_pushes_become_one_job_that_names_them_all)
{
	int64_t job = 0;
	char key[8];

	for (int i = 1; i <= 5; i++) {
		snprintf(key, sizeof key, "k%d", i);
		struct submit_job j = come(key, DEBOUNCE, MAIN);
		cr_assert_eq(j.is_merged, i > 1);
		cr_assert(!job || j.job == job);
		job = j.job;
	}
	CLEANUP(freep) char *text = seen(job);
	cr_assert(strstr(text, "\"delivery\":5,") && strstr(text, "\"deliveries\":5,"), "%s", text);
	cr_assert(strstr(text, "\"batch\":[{\"delivery\":1,\"key\":\"k1\",\"event\":\"push\"") && strstr(text, "{\"delivery\":5,\"key\":\"k5\""), "%s", text);
	struct submit *again = push("k2", DEBOUNCE, MAIN);
	cr_assert_eq(kit_submit(&k, again), STORE_DUPLICATE);
	cr_assert_eq(again->delivery, 2);
	cr_assert_str_eq(again->first_jobs_json, "[{\"rule\":\"r0\",\"job\":1}]");
	submit_free(again);
	KIT_SAYS(&k, "\"job_list\":[{\"id\":1,\"delivery\":5,", .what = READ_DELIVERY, .a = 2);
	KIT_SAYS(&k, "\"jobs\":1,", .what = READ_DELIVERY, .a = 2);
	pass_time();
	struct claim *c = kit_claim(&k);
	cr_assert(c->job == job && c->delivery == 5 && c->n_merged == 4);
	cr_assert_str_eq(c->event_json, "{\"key\":\"k5\"}");
	cr_assert(slice_eq(buf_slice(&c->body), SLICE("{\"push\":\"k5\"}")));
	for (int i = 0; i < 4; i++) {
		CLEANUP(freep) char *event = xprintf("{\"key\":\"k%d\"}", i + 1);
		cr_assert_eq(c->merged[i].delivery, i + 1);
		cr_assert_str_eq(c->merged[i].event_json, event);
	}
	claim_free(c);
	kit_finish(&k, job, 1, JOB_SUCCEEDED);
	struct submit *late = push("k3", DEBOUNCE, MAIN);
	cr_assert_eq(kit_submit(&k, late), STORE_DUPLICATE);
	cr_assert_str_eq(late->first_jobs_json, "[{\"rule\":\"r0\",\"job\":1}]");
	submit_free(late);
	kit_close(&k);
	expect_rows("SELECT count(*) FROM job", 1);
	expect_rows("SELECT count(*) FROM merged", 4);
	no_leaks();
}

Test(queue_store, a_waiting_push_takes_the_next_one_in)
{
	int64_t a = come("a", LATEST, MAIN).job, b;

	comes_to_run(a);
	b = come("b", LATEST, MAIN).job;
	cr_assert_neq(b, a, "never into one that was claimed");
	struct submit_job c = come("c", LATEST, MAIN);
	cr_assert_eq(c.job, b);
	cr_assert_eq(c.state, JOB_QUEUED);
	cr_assert_str_eq(c.reason, "merged into job 2, which waits");
	kit_finish(&k, a, 1, JOB_SUCCEEDED);
	cr_assert_eq(comes_to_run(b), 3);
}

/* A push of three rules in queue "q": what they sent their jobs to is in JOBS. */
static void come_for_three(const char *key, struct queue_policy p, int64_t jobs[3])
{
	struct submit *s = kit_push(&k, key, 3);

	for (int i = 0; i < 3; i++) {
		free(s->jobs[i].queue);
		s->jobs[i].queue = xstrdup("q");
		s->jobs[i].policy = p;
		s->jobs[i].merge_key = xstrdup(MAIN);
	}
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	for (int i = 0; i < 3; i++)
		jobs[i] = s->jobs[i].job;
	submit_free(s);
}

Test(queue_store, rules_that_share_a_queue_each_merge_their_own_pushes)
{
	int64_t first[3], second[3];

	comes_to_run(come("0", LATEST, NULL).job);
	come_for_three("a", LATEST, first);
	come_for_three("b", LATEST, second);
	cr_assert_arr_eq(first, second, sizeof first, "the first rule's merge ends none that the next one is to merge with");
	come_for_three("c", (struct queue_policy){ QUEUE_LATEST, 1, 60000, 600000 }, second);
	cr_assert_arr_eq(first, second, sizeof first);
	int64_t last = come("d", LATEST, MAIN).job;
	cr_assert_eq(last, first[0]);
	expect_state(first[0], "queued");
	expect_state(first[1], "superseded");
	expect_state(first[2], "superseded");
	come_for_three("e", (struct queue_policy){ QUEUE_CANCEL, 1, 60000, 600000 }, first);
	come_for_three("f", (struct queue_policy){ QUEUE_CANCEL, 1, 60000, 600000 }, second);
	cr_assert_arr_eq(first, second, sizeof first, "likewise while they debounce");
}

Test(queue_store, what_debounces_takes_a_push_in_also_where_the_rule_debounces_no_more)
{
	int64_t a = come("a", DEBOUNCE, MAIN).job;

	cr_assert_neq(come("b", WAIT, "acme/other\nrefs/heads/main").job, a);
	cr_assert_eq(come("c", WAIT, MAIN).job, a, "else the older commit would run after the newer one");
	comes_to_run(2);
	kit_finish(&k, 2, 1, JOB_SUCCEEDED);
	cr_assert_eq(comes_to_run(a), 3, "and waits no longer than the rule says now");
}

Test(queue_store, a_job_that_goes_again_was_claimed_and_takes_nothing_in)
{
	int64_t other = kit_job(&k, "x", "other", 1), a = come("a", LATEST, MAIN).job;

	comes_to_run(other);
	comes_to_run(a);
	store_jobs_max(k.store, 1);
	kit_finish_with(&k, (struct job_result){ .job = a, .attempt = 1, .state = JOB_LOST }, 1);
	cr_assert_not(kit_has_claim(&k), "there is no room");
	int64_t b = come("b", LATEST, MAIN).job;
	cr_assert_neq(b, a);
	expect_state(a, "superseded");
	kit_finish(&k, other, 1, JOB_SUCCEEDED);
	cr_assert_eq(comes_to_run(b), 3);
}

Test(queue_store, a_job_that_goes_again_goes_before_those_that_came_since)
{
	int64_t a = come("a", LATEST, MAIN).job, b;

	comes_to_run(a);
	b = come("b", LATEST, MAIN).job;
	kit_finish_with(&k, (struct job_result){ .job = a, .attempt = 1, .state = JOB_LOST }, 1);
	comes_to_run(a);
	expect_state(b, "queued");
}

Test(queue_store, what_differs_does_not_merge)
{
	struct submit *s;
	int64_t a;

	comes_to_run(come("0", LATEST, NULL).job);
	a = come("a", LATEST, MAIN).job;
	cr_assert_neq(come("b", LATEST, "acme/handbook\nrefs/heads/dev").job, a, "another ref");
	expect_state(a, "superseded");
	a = come("c", DEBOUNCE, MAIN).job;
	s = push("d", DEBOUNCE, MAIN);
	s->jobs[0].trust = TRUST_LIMITED;
	cr_assert_neq(sent(s).job, a, "less trust");
	s = push("e", DEBOUNCE, MAIN);
	free(s->source);
	s->source = xstrdup("mirror");
	cr_assert_neq(sent(s).job, a, "another source");
	s = push("f", DEBOUNCE, MAIN);
	s->jobs[0].rule = "r1";
	cr_assert_neq(sent(s).job, a, "another rule of a shared queue");
	s = push("g", DEBOUNCE, MAIN);
	s->jobs[0].cell = xstrdup("cc=gcc");
	cr_assert_neq(sent(s).job, a, "another cell");
	s = push("h", DEBOUNCE, MAIN);
	s->replay_of = 2;
	cr_assert_neq(sent(s).job, a, "what somebody asked to run again is no later push");
	s = push("i", DEBOUNCE, MAIN);
	free(s->jobs[0].queue);
	s->jobs[0].queue = xstrdup("another");
	cr_assert_neq(sent(s).job, a, "another slot");
	cr_assert_eq(come("j", DEBOUNCE, MAIN).job, a);
}

Test(queue_store, a_merged_job_has_the_newest_ruleset_timeout_and_residue)
{
	struct submit *s;

	come("a", DEBOUNCE, MAIN);
	s = push("b", DEBOUNCE, MAIN);
	free(s->ruleset);
	s->ruleset = xstrdup("def456");
	s->jobs[0].timeout_ms = 5000;
	s->jobs[0].residue_json = xstrdup("{\"when\":1}");
	sent(s);
	pass_time();
	struct claim *c = kit_claim(&k);
	cr_assert_str_eq(c->ruleset, "def456");
	cr_assert_str_eq(c->residue_json, "{\"when\":1}");
	cr_assert_eq(c->timeout_ms, 5000);
	claim_free(c);
	no_leaks();
}

Test(queue_store, merges_in_one_batch_carry_what_a_merge_in_several_does)
{
	struct queue_policy p = { QUEUE_WAIT, 1, 50, 500 };
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	char key[8];

	for (int i = 1; i <= 3; i++) {
		snprintf(key, sizeof key, "k%d", i);
		store_submit(k.store, push(key, p, MAIN));
	}
	for (int i = 1; i <= 3; i++)
		submit_free((struct submit *)kit_take(k.replies, &list));
	struct claim *c = kit_claim(&k);
	cr_assert(c->job == 1 && c->delivery == 3 && c->n_merged == 2);
	cr_assert_str_eq(c->event_json, "{\"key\":\"k3\"}");
	claim_free(c);
	no_leaks();
}

Test(queue_store, once_of_a_merged_event_is_that_of_the_job_it_went_into)
{
	for (int i = 0; i < 3; i++) {
		struct submit *s = push(i == 0 ? "a" : i == 1 ? "b" : "c", DEBOUNCE, MAIN);
		s->jobs[0].once_key = xstrdup(i == 0 ? "1" : "2");
		s->jobs[0].once_within_ms = 60000;
		struct submit_job j = sent(s);
		if (i < 2)
			cr_assert_eq(j.job, 1);
		else
			cr_assert_str_eq(j.reason, "once: job 1 was the first of \"2\"");
	}
}

Test(queue_store, a_job_takes_in_so_many_and_then_the_next_one_begins)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	int64_t last = 0;
	char key[8];

	for (int i = 0; i < 501; i++) {
		snprintf(key, sizeof key, "k%d", i);
		store_submit(k.store, push(key, DEBOUNCE, MAIN));
	}
	for (int i = 0; i < 501; i++) {
		struct submit *s = (struct submit *)kit_take(k.replies, &list);
		last = s->jobs[0].job;
		submit_free(s);
	}
	cr_assert_eq(last, 2);
	expect_job(1, "\"deliveries\":500,");
}

static int64_t come_heavy(const char *key, struct queue_policy p, size_t bytes)
{
	struct submit *s = push(key, p, MAIN);

	buf_fini(&s->body);
	s->body = BUF(bytes);
	for (size_t i = 0; i < bytes; i++)
		buf_addc(&s->body, ' ');
	return sent(s).job;
}

Test(queue_store, a_job_takes_in_no_more_than_can_be_sent_to_it)
{
	const size_t most = 8 << 20;
	int64_t a = come_heavy("a", DEBOUNCE, most - (1 << 20));

	cr_assert_eq(come_heavy("b", DEBOUNCE, 1 << 20), a);
	cr_assert_eq(come("c", DEBOUNCE, MAIN).job, a, "what is small is not counted");
	int64_t d = come_heavy("d", DEBOUNCE, 1 << 20);
	cr_assert_neq(d, a);
	cr_assert_eq(come_heavy("e", DEBOUNCE, most - (1 << 20)), d);
	come("0", LATEST, NULL);
	int64_t f = come_heavy("f", LATEST, most + 1);
	cr_assert_neq(come_heavy("g", LATEST, 1 << 20), f, "nor while it waits");
	no_leaks();
}

Test(queue_store, a_forks_request_stands_in_no_queue)
{
	struct submit *s = push("a", (struct queue_policy){ QUEUE_SKIP, 1, 0, 0 }, NULL);

	s->jobs[0].trust = TRUST_ASKED;
	cr_assert_eq(sent(s).state, JOB_AWAITING_APPROVAL);
	cr_assert_eq(come("b", SKIP, NULL).state, JOB_QUEUED, "it holds no slot");
}

/* -- what follows -- */

static void expect_effect(enum effect_kind kind, int64_t job, int64_t delivery, enum job_state state, struct mail_list *list)
{
	struct effect *f = (struct effect *)kit_take(k.effects, list);

	cr_expect(f->kind == kind && f->job == job && f->delivery == delivery && f->state == state, "kind %d job %lld delivery %lld %s", f->kind,
		  (long long)f->job, (long long)f->delivery, job_state_name(f->state));
	store_effect_done(k.store, f->id);
	effect_free(f);
}

Test(queue_store, a_superseded_job_is_an_event_and_so_is_one_that_was_refused)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);

	store_listen(k.store, 1, 1);
	comes_to_run(come("a", LATEST, NULL).job);
	come("b", LATEST, NULL);
	come("c", LATEST, NULL);
	expect_effect(EFFECT_JOB, 2, 2, JOB_SUPERSEDED, &list);
	expect_effect(EFFECT_RULE, 2, 2, JOB_SUPERSEDED, &list);
	come("d", SKIP, NULL);
	expect_effect(EFFECT_JOB, 4, 4, JOB_SKIPPED, &list);
	expect_effect(EFFECT_RULE, 4, 4, JOB_SKIPPED, &list);
}

static int64_t cells(const char *key, int64_t jobs[2])
{
	struct submit *s = push_cells(key);

	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	for (int i = 0; i < 2; i++)
		jobs[i] = s->jobs[i].job;
	int64_t delivery = s->delivery;
	submit_free(s);
	return delivery;
}

static int is_quiet(void)
{
	struct mail_list list;
	struct cancel nobody = kit_cancel(&k, 999999);  /* a turn of the writer */

	cr_assert_eq(nobody.outcome, STORE_NOT_FOUND);
	mailbox_take(k.effects, &list);
	return STAILQ_EMPTY(&list);
}

/* Cell 0 runs for the first delivery, cell 1 waits; the second goes into cell 1 and begins a cell 0 of its own; the third goes into
 * both of those. Each delivery with a job of its own has its rule end once, when the last of its jobs has. */
Test(queue_store, a_rule_ends_once_for_each_delivery_that_has_a_job_and_none_waits_for_ever)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	int64_t first[2], second[2], third[2];

	store_listen(k.store, 0, 1);
	struct submit *block = kit_push(&k, "0", 1);
	free(block->jobs[0].queue);
	block->jobs[0].queue = xstrdup("cells n=1");
	block->jobs[0].policy = LATEST;
	comes_to_run(sent(block).job);
	cells("k1", first);
	comes_to_run(first[0]);
	cells("k2", second);
	cr_assert(second[1] == first[1] && second[0] != first[0]);
	cells("k3", third);
	cr_assert(third[0] == second[0] && third[1] == first[1]);
	kit_finish(&k, first[0], 1, JOB_SUCCEEDED);
	comes_to_run(second[0]);
	cr_assert(is_quiet(), "its other cell is still to come, in the job that took it in");
	kit_finish(&k, 1, 1, JOB_SUCCEEDED);
	expect_effect(EFFECT_RULE, 1, 1, JOB_SUCCEEDED, &list);
	comes_to_run(first[1]);
	kit_finish(&k, first[1], 1, JOB_FAILED);
	struct effect *f = (struct effect *)kit_take(k.effects, &list);
	cr_assert(f->kind == EFFECT_RULE && f->delivery == 2 && f->job == first[0]);
	cr_assert(strstr(f->jobs_json, "\"cell\":\"n=0\",\"state\":\"succeeded\"") && strstr(f->jobs_json, "\"cell\":\"n=1\",\"state\":\"failed\""), "%s", f->jobs_json);
	store_effect_done(k.store, f->id);
	effect_free(f);
	cr_assert(is_quiet(), "the second delivery has no job of its own any more, and the third waits for its cell 0");
	kit_finish(&k, second[0], 1, JOB_SUCCEEDED);
	expect_effect(EFFECT_RULE, second[0], 4, JOB_SUCCEEDED, &list);
	cr_assert(is_quiet());
}

/* -- retention -- */

static _Atomic int gone;

static void count_gone(int64_t job, int attempt, void *arg)
{
	gone++;
}

Test(queue_store, deliveries_stay_while_the_job_that_took_them_in_does)
{
	struct keep keep = { .deliveries_ms = 60000 };
	enum store_outcome o;

	come("a", DEBOUNCE, MAIN);
	come("b", DEBOUNCE, MAIN);
	come("c", DEBOUNCE, "x\ny");
	kit_close(&k);
	raw("UPDATE delivery SET received_ms=1000");
	open_store();
	store_prune(k.store, &keep, count_gone, NULL);
	cr_assert_eq(kit_cancel(&k, 2).state, JOB_CANCELLED);
	for (int i = 1; i <= 2; i++) {
		free(kit_read(&k, (struct read){ .what = READ_BODY, .a = i }, &o));
		cr_assert_eq(o, STORE_OK, "an open job needs it");
	}
	pass_time();
	comes_to_run(1);
	kit_finish(&k, 1, 1, JOB_SUCCEEDED);
	kit_close(&k);
	raw("UPDATE job SET queued_ms=1000, ended_ms=1000");
	open_store();
	keep.jobs_ms = 60000;
	store_prune(k.store, &keep, count_gone, NULL);
	for (int64_t until = mono_ms() + 10000; gone < 1 && mono_ms() < until;)
		sched_yield();
	is_quiet();
	for (int i = 1; i <= 3; i++) {
		free(kit_read(&k, (struct read){ .what = READ_DELIVERY, .a = i }, &o));
		cr_assert_eq(o, STORE_NOT_FOUND, "delivery %d", i);
	}
	kit_close(&k);
	expect_rows("SELECT count(*) FROM merged", 0);
	no_leaks();
}

Test(queue_store, the_queue_of_a_debounced_job_stays)
{
	int64_t a = come("a", DEBOUNCE, NULL).job;

	store_prune(k.store, &(struct keep){ .jobs_ms = 60000 }, count_gone, NULL);
	is_quiet();
	is_quiet();
	kit_close(&k);
	expect_rows("SELECT count(*) FROM queue", 1);
	open_store();
	pass_time();
	comes_to_run(a);
}

/* -- bounds and cost -- */

Test(queue_store, the_most_that_may_run_at_once_do)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct queue_policy p = { QUEUE_SKIP, QUEUE_LIMIT_MAX, 0, 0 };
	char key[16];

	store_jobs_max(k.store, 2 * QUEUE_LIMIT_MAX);
	for (int i = 0; i < QUEUE_LIMIT_MAX + 1; i++) {
		snprintf(key, sizeof key, "k%d", i);
		store_submit(k.store, push(key, p, NULL));
	}
	for (int i = 0; i < QUEUE_LIMIT_MAX + 1; i++) {
		struct submit *s = (struct submit *)kit_take(k.replies, &list);
		cr_assert_eq(s->jobs[0].state, i < QUEUE_LIMIT_MAX ? JOB_QUEUED : JOB_SKIPPED);
		submit_free(s);
	}
	KIT_SAYS(&k, "\"running\":1000", .what = READ_STATUS);
}

/* None passes over the jobs that wait in other queues, nor, where all may wait, over those of its own. */
Test(queue_store, what_is_looked_up_is_found_by_an_index)
{
	static const struct { enum sql which; const char *plan; } cases[] = {
		{ SQL_LIKE_DEBOUNCING, "SEARCH d USING INDEX debounce_slot (queue=? AND merge=?)" },
		{ SQL_LIKE_WAITING, "SEARCH job USING INDEX job_waiting (queue=?)" },
		{ SQL_WAITING_COUNT, "SEARCH job USING INDEX job_waiting (queue=?)" },
		{ SQL_OTHERS_WAITING, "SEARCH job USING INDEX job_waiting (queue=?)" },
		{ SQL_OTHERS_DEBOUNCING, "SEARCH d USING COVERING INDEX debounce_slot (queue=?)" },
		{ SQL_STAYING, "SEARCH job USING INDEX job_state (state=?)" },
		{ SQL_STAYING_COUNT, "SEARCH job USING INDEX job_state (state=?)" },
		{ SQL_QUEUE_REHEAD, "SEARCH job USING INDEX job_waiting (queue=?)" },
		{ SQL_NEXT_DUE, "SCAN debounce USING COVERING INDEX debounce_due" },
		{ SQL_DUE, "SEARCH d USING INDEX debounce_due (due_ms<?)" },
		{ SQL_LATEST_BOUND, "SEARCH debounce USING INDEX debounce_slot (queue=?)" },
		{ SQL_BATCH_BYTES, "SEARCH m USING COVERING INDEX merged_job (job=?)" },
		{ SQL_MERGED_OF, "SEARCH m USING COVERING INDEX merged_job (job=?)" },
		{ SQL_SPEAKERS, "SEARCH m USING COVERING INDEX merged_job (job=?)" },
		{ SQL_ONCE_RELEASE, "SEARCH once USING COVERING INDEX once_job (job=?)" },
		{ SQL_FIRST_JOBS, "SEARCH merged USING PRIMARY KEY (delivery=?)" },
	};
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k.folder);
	sqlite3 *db;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *sql = xprintf("EXPLAIN QUERY PLAN %s", sql_text(cases[i].which));
		struct buf plan = BUF(1 << 16);
		sqlite3_stmt *row;
		cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
		while (sqlite3_step(row) == SQLITE_ROW)
			buf_addf(&plan, "%s\n", (const char *)sqlite3_column_text(row, 3));
		sqlite3_finalize(row);
		cr_expect(strstr(buf_cstr(&plan), cases[i].plan), "%s\nis not in\n%s", cases[i].plan, buf_cstr(&plan));
		buf_fini(&plan);
	}
	sqlite3_close(db);
}
