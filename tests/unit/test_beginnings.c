/* store: how a new job begins. It is queued, unless `once` has met its key (skipped), or its event is a stranger's
 * (awaiting_approval); and it knows what its delivery repeats. */
#include <sched.h>
#include <sqlite3.h>

#include "no_leaks.h"
#include "store/submit.h"
#include "store_kit.h"

static void raw_exec(struct kit *k, const char *sql)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k->folder);
	sqlite3 *db = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static int64_t raw_int(struct kit *k, const char *sql)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k->folder);
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(st), SQLITE_ROW);
	int64_t v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return v;
}

/* A job of rule RULE and CELL with the key ONCE. */
static struct submit_job begin(struct kit *k, const char *rule, const char *cell, const char *once, enum job_trust trust)
{
	static int n;
	CLEANUP(freep) char *key = xprintf("delivery %d", n++);
	struct submit *s = kit_push(k, key, 1);
	struct submit_job *j = &s->jobs[0], out;

	j->rule = rule;
	j->cell = cell ? xstrdup(cell) : NULL;
	j->once_key = once ? xstrdup(once) : NULL;
	j->once_within_ms = 60000;
	free(j->queue);
	j->queue = xstrdup(rule);
	j->trust = trust;
	cr_assert_eq(kit_submit(k, s), STORE_OK);
	out = *j;
	submit_free(s);
	return out;
}

Test(once, a_second_event_of_one_key_ends_skipped_and_names_the_first)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	struct submit_job first = begin(&k, "paid", NULL, "order-7", TRUST_FULL);
	claim_free(kit_claim(&k));
	cr_assert_eq(first.state, JOB_QUEUED);
	struct submit_job second = begin(&k, "paid", NULL, "order-7", TRUST_FULL);
	cr_assert_eq(second.state, JOB_SKIPPED);
	cr_assert_str_eq(second.reason, "once: job 1 was the first of \"order-7\"");
	KIT_SAYS(&k, "\"state\":\"skipped\",\"attempt\":0", .what = READ_JOB, .a = second.job);
	KIT_SAYS(&k, "\"reason\":\"once: job 1 was the first of \\\"order-7\\\"\"", .what = READ_JOB, .a = second.job);
	cr_assert_neq(raw_int(&k, "SELECT ended_ms FROM job WHERE id=2"), 0);
	cr_assert_eq(begin(&k, "paid", NULL, "order-8", TRUST_FULL).state, JOB_QUEUED, "another key");
	cr_assert_eq(begin(&k, "ship", NULL, "order-7", TRUST_FULL).state, JOB_QUEUED, "another rule");
	cr_assert_eq(begin(&k, "paid", "n=1", "order-7", TRUST_FULL).state, JOB_QUEUED, "another cell");
	cr_assert_eq(begin(&k, "paid", NULL, NULL, TRUST_FULL).state, JOB_QUEUED, "no key");
	/* Also after the first has failed, and after a restart. */
	cr_assert_eq(kit_finish(&k, first.job, 1, JOB_FAILED), STORE_OK);
	kit_close(&k);
	kit_open(&k, 8);
	cr_assert_eq(begin(&k, "paid", NULL, "order-7", TRUST_FULL).state, JOB_SKIPPED);
	kit_fini(&k);
	no_leaks();
}

Test(once, two_of_one_key_in_one_batch_are_one_and_one_skipped)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct submit *s[40];
	struct kit k;
	char key[16];
	int queued = 0;

	kit_init(&k);
	kit_open(&k, 8);
	for (int i = 0; i < (int)COUNT(s); i++) {
		snprintf(key, sizeof key, "k%d", i);
		s[i] = kit_push(&k, key, 1);
		s[i]->jobs[0].once_key = xstrdup("same");
		s[i]->jobs[0].once_within_ms = 60000;
		store_submit(k.store, s[i]);
	}
	for (size_t i = 0; i < COUNT(s); i++)
		kit_take(k.replies, &list);
	for (size_t i = 0; i < COUNT(s); i++) {
		queued += s[i]->jobs[0].state == JOB_QUEUED;
		submit_free(s[i]);
	}
	cr_assert_eq(queued, 1);
	cr_assert_eq(raw_int(&k, "SELECT count(*) FROM job WHERE state=10"), 39);
	kit_fini(&k);
	no_leaks();
}

static void await(struct kit *k, const char *sql, int64_t want)
{
	int64_t until = mono_ms() + KIT_WAIT_MS;

	while (raw_int(k, sql) != want) {
		cr_assert_lt(mono_ms(), until, "%s", sql);
		sched_yield();
	}
}

Test(once, a_key_is_forgotten_after_its_time)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	begin(&k, "paid", NULL, "order-7", TRUST_FULL);
	begin(&k, "paid", NULL, "order-8", TRUST_FULL);
	raw_exec(&k, "UPDATE once SET until_ms=1 WHERE key='order-7'");
	struct submit_job again = begin(&k, "paid", NULL, "order-7", TRUST_FULL);
	cr_assert_eq(again.state, JOB_QUEUED, "its time is over, whether it was pruned or not");
	cr_assert_str_eq(begin(&k, "paid", NULL, "order-7", TRUST_FULL).reason, "once: job 3 was the first of \"order-7\"");
	raw_exec(&k, "UPDATE once SET until_ms=1 WHERE key='order-8'");
	store_prune(k.store, &(struct keep){ 0 }, NULL, NULL);
	await(&k, "SELECT count(*) FROM once", 1);
	kit_fini(&k);
	no_leaks();
}

Test(approval, a_strangers_job_waits_holds_no_slot_and_can_be_cancelled)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	struct submit_job waits = begin(&k, "ci", NULL, NULL, TRUST_ASKED);
	cr_assert_eq(waits.state, JOB_AWAITING_APPROVAL);
	cr_assert(strstr(waits.reason, "waits for an approval, 24 hours at most"), "%s", waits.reason);
	struct submit_job own = begin(&k, "ci", NULL, NULL, TRUST_FULL);
	struct claim *c = kit_claim(&k);
	cr_assert_eq(c->job, own.job, "what waits is in nobody's way");
	claim_free(c);
	KIT_SAYS(&k, "\"awaiting_approval\":1", .what = READ_STATUS);
	KIT_SAYS(&k, "\"forks\":\"approve\",\"reason\":\"the request is from a fork", .what = READ_JOBS, .filter.state = "awaiting_approval");
	struct cancel no = kit_cancel(&k, waits.job);
	cr_assert_eq(no.outcome, STORE_OK);
	cr_assert_eq(no.state, JOB_CANCELLED);
	KIT_SAYS(&k, "\"state\":\"cancelled\"", .what = READ_JOB, .a = waits.job);
	cr_assert_eq(kit_finish(&k, own.job, 1, JOB_SUCCEEDED), STORE_OK);
	cr_assert_not(kit_has_claim(&k));
	kit_fini(&k);
	no_leaks();
}

Test(approval, is_refused_after_a_day_and_not_before)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	struct submit_job old = begin(&k, "ci", NULL, NULL, TRUST_ASKED), young = begin(&k, "ci", NULL, NULL, TRUST_ASKED);
	CLEANUP(freep) char *age = xprintf("UPDATE job SET queued_ms=queued_ms-%lld-1 WHERE id=1; UPDATE job SET"
					   " queued_ms=queued_ms-%lld WHERE id=2", JOB_APPROVAL_MS, JOB_APPROVAL_MS - 60000);
	raw_exec(&k, age);
	store_prune(k.store, &(struct keep){ 0 }, NULL, NULL);
	await(&k, "SELECT state FROM job WHERE id=1", JOB_REFUSED);
	KIT_SAYS(&k, "\"reason\":\"nobody approved it in time\"", .what = READ_JOB, .a = old.job);
	KIT_SAYS(&k, "\"state\":\"awaiting_approval\"", .what = READ_JOB, .a = young.job);
	kit_fini(&k);
	no_leaks();
}

Test(approval, what_is_limited_says_so_in_its_claim_also_after_a_restart)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 8);
	begin(&k, "ci", NULL, NULL, TRUST_LIMITED);
	kit_close(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
	struct claim *c = kit_claim(&k);
	cr_assert_eq(c->trust, TRUST_LIMITED);
	claim_free(c);
	begin(&k, "cd", NULL, NULL, TRUST_LIMITED);
	c = kit_claim(&k);
	cr_assert_eq(c->trust, TRUST_LIMITED);
	claim_free(c);
	KIT_SAYS(&k, "\"forks\":\"limited\"", .what = READ_JOB, .a = 2);
	kit_fini(&k);
	no_leaks();
}

/* A delivery that repeats OF, with one job in a queue of its own. */
static void again(struct kit *k, int64_t of)
{
	CLEANUP(freep) char *key = xprintf("replay-%lld-%lld", (long long)of, (long long)mono_us());
	struct submit *s = kit_push(k, key, 1);

	free(s->jobs[0].queue);
	s->jobs[0].queue = xstrdup(key);
	s->replay_of = of;
	cr_assert_eq(kit_submit(k, s), STORE_OK);
	submit_free(s);
}

static void claim_says(struct kit *k, int64_t delivery, int64_t original)
{
	struct claim *c = kit_claim(k);

	cr_assert_eq(c->delivery, delivery);
	cr_assert_eq(c->original, original, "delivery %lld: %lld", (long long)delivery, (long long)c->original);
	claim_free(c);
}

Test(replay, a_job_of_a_replay_knows_the_first_of_all)
{
	struct kit k;

	kit_init(&k);
	kit_open(&k, 20);
	store_recover_done(k.store);
	again(&k, 0);
	claim_says(&k, 1, 0);
	again(&k, 1);
	claim_says(&k, 2, 1);
	again(&k, 2);
	claim_says(&k, 3, 1);
	raw_exec(&k, "DELETE FROM facet WHERE delivery<3");     /* past their time */
	again(&k, 3);
	claim_says(&k, 4, 1);
	again(&k, 2);
	claim_says(&k, 5, 2);
	KIT_SAYS(&k, "\"replay_of\":3,", .what = READ_DELIVERY, .a = 4);
	/* One that waits through a restart is claimed from its row. */
	kit_close(&k);
	kit_open(&k, 20);
	again(&k, 4);
	kit_close(&k);
	kit_open(&k, 20);
	store_recover_done(k.store);
	claim_says(&k, 6, 1);
	kit_fini(&k);
	no_leaks();
}

#define STEP_8_UNDONE "DROP TABLE merged; DROP TABLE debounce; DROP INDEX once_job; ALTER TABLE queue DROP COLUMN busy;" \
	" ALTER TABLE job DROP COLUMN merge; ALTER TABLE job DROP COLUMN merged; ALTER TABLE job DROP COLUMN heir;"

Test(replay, the_first_of_all_is_worked_out_for_what_was_stored_before_it_was_kept)
{
	static const int64_t first[] = { 0, 1, 1, 1, 0, 5 };
	struct kit k;

	kit_init(&k);
	kit_open(&k, 20);
	again(&k, 0);
	again(&k, 1);
	again(&k, 2);
	again(&k, 1);
	again(&k, 0);
	again(&k, 5);
	kit_close(&k);
	raw_exec(&k, STEP_8_UNDONE "UPDATE delivery SET root=1 WHERE id=5; ALTER TABLE facet DROP COLUMN original; ALTER TABLE facet DROP COLUMN root;"
		 " PRAGMA user_version=5");
	kit_open(&k, 20);
	KIT_SAYS(&k, "{\"id\":6,\"source\":\"github\"", .what = READ_DELIVERIES);
	KIT_SAYS(&k, "\"jobs\":1,\"root\":1,", .what = READ_DELIVERY, .a = 5);
	store_recover_done(k.store);
	for (size_t i = 0; i < COUNT(first); i++)
		claim_says(&k, (int64_t)i + 1, first[i]);
	kit_fini(&k);
	no_leaks();
}
