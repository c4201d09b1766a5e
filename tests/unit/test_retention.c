/* Retention at its bounds: what is exactly of its age stays, what is a millisecond past it goes. The clock is the test's: a
 * clean-up is run piece by piece as the writing thread runs it. */
#include <sqlite3.h>

#include "no_leaks.h"
#include "store/prune.h"
#include "store/submit.h"
#include "store_kit.h"

#define NOW (INT64_C(1800000000) * 1000)
#define DAY_MS 86400000

static struct kit kit;

static char *path_of(void)
{
	return xprintf("%s/pushrod.db", kit.folder);
}

static void exec(const char *sql)
{
	CLEANUP(freep) char *path = path_of();
	char *why = NULL;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, &why), SQLITE_OK, "%s: %s", sql, why);
	sqlite3_close(db);
}

static int64_t count(const char *sql)
{
	CLEANUP(freep) char *path = path_of();
	sqlite3_stmt *row;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_step(row), SQLITE_ROW);
	int64_t n = sqlite3_column_int64(row, 0);
	sqlite3_finalize(row);
	sqlite3_close(db);
	return n;
}

static void set_up(void)
{
	kit_init(&kit);
	kit_open(&kit, 8);
	store_recover_done(kit.store);
}

static void tear_down(void)
{
	kit_fini(&kit);
	no_leaks();
}

static int64_t store_push(const char *key, int64_t received_ms, size_t bytes, int n_jobs)
{
	struct submit *s = kit_push(&kit, key, n_jobs);

	s->received_ms = received_ms;
	buf_clear(&s->body);
	while (s->body.len < bytes)
		buf_addc(&s->body, 'x');
	cr_assert_eq(kit_submit(&kit, s), STORE_OK);
	int64_t id = s->delivery;
	submit_free(s);
	return id;
}

/* A whole clean-up at NOW, with the store closed. The journals to unlink are counted. */
static int prune(struct keep keep)
{
	CLEANUP(freep) char *path = path_of();
	struct prune p = { .keep = keep, .now_ms = NOW };
	struct writer w = { 0 };
	struct err e;
	int gone = 0;

	kit_close(&kit);
	cr_assert_eq(writer_open(&w, path, 8, &e), 0, "%s", e.msg);
	while (p.phase != PRUNE_DONE) {
		cr_assert_eq(write_begin(&w), DB_OK);
		cr_assert_eq(prune_piece(&w, &p), DB_OK, "%s", w.db.error);
		cr_assert_eq(write_commit(&w), DB_OK);
		gone += (int)p.n_gone;
	}
	prune_fini(&p);
	writer_close(&w);
	cr_assert_eq(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
	cr_assert_eq(count("SELECT body_bytes=(SELECT coalesce(sum(length(data)), 0) FROM body) AND"
			   " deliveries=(SELECT count(*) FROM delivery) FROM meta"), 1);
	cr_assert_eq(count("SELECT count(*) FROM ruleset r FULL JOIN (SELECT ruleset, count(*) n FROM delivery GROUP BY 1) d ON"
			   " d.ruleset=r.sha WHERE r.deliveries IS NOT d.n"), 0, "each set that is named is counted, and no other");
	return gone;
}

Test(retention, a_delivery_of_exactly_its_age_stays_and_one_a_millisecond_older_goes)
{
	set_up();
	int64_t at = store_push("at", NOW - DAY_MS, 10, 0), past = store_push("past", NOW - DAY_MS - 1, 10, 0);
	cr_assert_eq(prune((struct keep){ .deliveries_ms = DAY_MS }), 0);
	CLEANUP(freep) char *is_left = xprintf("SELECT count(*)=1 AND max(id)=%lld FROM delivery", (long long)at);
	cr_expect_eq(count(is_left), 1, "%lld stays, %lld goes", (long long)at, (long long)past);
	cr_expect_eq(count("SELECT count(*) FROM body"), 1);
	cr_expect_eq(count("SELECT count(*) FROM facet"), 1);
	tear_down();
}

Test(retention, without_an_age_nothing_is_too_old)
{
	set_up();
	store_push("old", 1, 10, 0);
	prune((struct keep){ 0 });
	cr_expect_eq(count("SELECT count(*) FROM delivery"), 1);
	cr_expect_eq(count("SELECT count(*) FROM body"), 1);
	tear_down();
}

Test(retention, a_job_that_ended_exactly_its_age_ago_stays_and_one_a_millisecond_earlier_goes_with_its_journal)
{
	set_up();
	store_push("k", NOW, 10, 3);
	for (int64_t job = 1; job <= 2; job++)
		cr_assert_eq(kit_finish(&kit, job, 1, JOB_SUCCEEDED), STORE_OK);
	kit_close(&kit);
	exec("UPDATE job SET queued_ms=1, started_ms=1;"
	     "UPDATE job SET ended_ms=1800000000000-86400000 WHERE id=1; UPDATE job SET ended_ms=1800000000000-86400001 WHERE id=2");
	kit_open(&kit, 8);
	cr_assert_eq(prune((struct keep){ .jobs_ms = DAY_MS }), 1, "one attempt's journal");
	cr_expect_eq(count("SELECT count(*) FROM job WHERE id IN (1, 3)"), 2, "of its age exactly; and one that runs, however old");
	cr_expect_eq(count("SELECT count(*) FROM job"), 2);
	cr_expect_eq(count("SELECT count(*) FROM attempt"), 2);
	tear_down();
}

Test(retention, bodies_of_exactly_the_budget_stay_and_one_byte_more_costs_the_oldest)
{
	set_up();
	store_push("a", NOW, 100, 0);
	store_push("b", NOW, 100, 0);
	prune((struct keep){ .bodies_bytes = 200 });
	cr_expect_eq(count("SELECT count(*) FROM body"), 2);
	kit_open(&kit, 8);
	prune((struct keep){ .bodies_bytes = 199 });
	cr_expect_eq(count("SELECT count(*)=1 AND min(delivery)=2 FROM body"), 1, "the oldest goes first, and no more than has to");
	cr_expect_eq(count("SELECT count(*) FROM delivery"), 2, "the rows stay listed");
	tear_down();
}

Test(retention, a_body_that_an_open_job_needs_outlasts_age_and_budget)
{
	set_up();
	store_push("open", 1, 100, 1);
	store_push("b", NOW, 100, 0);
	prune((struct keep){ .bodies_bytes = 1, .deliveries_ms = DAY_MS, .jobs_ms = DAY_MS });
	cr_expect_eq(count("SELECT count(*)=1 AND min(delivery)=1 FROM body"), 1);
	kit_open(&kit, 8);
	cr_assert_eq(kit_finish(&kit, 1, 1, JOB_SUCCEEDED), STORE_OK);
	prune((struct keep){ .bodies_bytes = 1, .deliveries_ms = DAY_MS, .jobs_ms = 0 });
	cr_expect_eq(count("SELECT count(*) FROM body"), 0, "it has ended");
	tear_down();
}

static char *look(enum read_what what, int64_t id, enum store_outcome *outcome, int *is_gone)
{
	struct read r = { .reply_to = kit.replies, .what = what, .a = id, .limit = 10 };

	store_read(kit.store, &r);
	cr_assert_eq(kit_reply(&kit), &r.mail);
	if (outcome)
		*outcome = r.outcome;
	if (is_gone)
		*is_gone = r.is_gone;
	char *text = slice_dup(buf_slice(&r.json));
	buf_fini(&r.json);
	return text;
}

Test(retention, what_points_to_a_delivery_that_is_gone_is_told_as_gone_and_breaks_nothing)
{
	enum store_outcome outcome;
	int is_gone;

	set_up();
	struct submit *first = kit_push(&kit, "first", 0), *replay = kit_push(&kit, "replay", 0), *again = kit_push(&kit, "again", 0);
	first->received_ms = 1;
	first->has_digest = again->has_digest = 1;
	replay->replay_of = 1;
	replay->received_ms = again->received_ms = NOW;
	cr_assert_eq(kit_submit(&kit, first), STORE_OK);
	cr_assert_eq(kit_submit(&kit, replay), STORE_OK);
	cr_assert_eq(kit_submit(&kit, again), STORE_OK);
	cr_assert_eq(again->same_as, 1);
	submit_free(first);
	submit_free(replay);
	submit_free(again);
	CLEANUP(freep) char *before = look(READ_DELIVERY, 2, NULL, NULL);
	cr_expect(strstr(before, "\"gone\":[]"), "%s", before);
	prune((struct keep){ .deliveries_ms = DAY_MS });
	kit_open(&kit, 8);
	free(look(READ_DELIVERY, 1, &outcome, &is_gone));
	cr_expect(outcome == STORE_NOT_FOUND && is_gone, "it was there once");
	free(look(READ_DELIVERY, 4, &outcome, &is_gone));
	cr_expect(outcome == STORE_NOT_FOUND && !is_gone, "it never was");
	CLEANUP(freep) char *two = look(READ_DELIVERY, 2, &outcome, NULL), *three = look(READ_DELIVERY, 3, NULL, NULL),
			    *list = look(READ_DELIVERIES, 0, NULL, NULL);
	cr_expect_eq(outcome, STORE_OK);
	cr_expect(strstr(two, "\"replay_of\":1") && strstr(two, "\"gone\":[1]"), "%s", two);
	cr_expect(strstr(three, "\"same_as\":1") && strstr(three, "\"gone\":[1]"), "%s", three);
	cr_expect(strstr(list, "\"id\":3") && strstr(list, "\"id\":2"), "%s", list);
	tear_down();
}

Test(retention, a_number_that_was_given_out_is_never_given_out_again)
{
	set_up();
	store_push("a", 1, 10, 1);
	cr_assert_eq(kit_finish(&kit, 1, 1, JOB_SUCCEEDED), STORE_OK);
	kit_close(&kit);
	exec("UPDATE job SET queued_ms=1, started_ms=1, ended_ms=1");
	kit_open(&kit, 8);
	prune((struct keep){ .deliveries_ms = DAY_MS, .jobs_ms = DAY_MS });
	cr_assert_eq(count("SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM job)"), 0);
	kit_open(&kit, 8);
	cr_expect_eq(store_push("a", NOW, 10, 1), 2, "also under the key of one that is gone");
	cr_expect_eq(count("SELECT max(id) FROM job"), 2);
	tear_down();
}

Test(retention, a_rule_set_is_counted_for_as_long_as_a_delivery_names_it)
{
	set_up();
	struct submit *other = kit_push(&kit, "other", 0);
	free(other->ruleset);
	other->ruleset = xstrdup("def456");
	other->received_ms = 1;
	cr_assert_eq(kit_submit(&kit, other), STORE_OK);
	submit_free(other);
	store_push("a", 1, 10, 0);
	store_push("b", NOW, 10, 0);
	prune((struct keep){ .deliveries_ms = DAY_MS });
	cr_expect_eq(count("SELECT count(*)=1 AND min(sha)='abc123' AND min(deliveries)=1 FROM ruleset"), 1);
	tear_down();
}

/* ---- schedules ---- */

static int64_t arm(const char *rule)
{
	struct arm_item item = { .file = "rules/a.lua", .rule = rule, .text = "0 3 * * * UTC" };
	struct arm a = { .reply_to = kit.replies, .items = &item, .n = 1 };

	store_arm(kit.store, &a);
	cr_assert_eq(kit_reply(&kit), &a.mail);
	cr_assert_eq(a.outcome, STORE_OK);
	return item.since_ms;
}

static enum store_outcome fire(const char *rule, int64_t at_ms)
{
	CLEANUP(freep) char *key = xprintf("%s@%lld", rule, (long long)at_ms);
	struct submit *s = kit_push(&kit, key, 0);

	s->cron_file = "rules/a.lua";
	s->cron_rule = rule;
	s->cron_ms = s->cron_through_ms = at_ms;
	enum store_outcome outcome = kit_submit(&kit, s);
	submit_free(s);
	return outcome;
}

Test(retention, a_schedule_is_forgotten_once_its_rule_and_all_its_moments_are_long_gone)
{
	set_up();
	kit_close(&kit);
	exec("INSERT INTO schedule(id, file, rule, text, since_ms, floor_ms, seen, is_armed) VALUES"
	     "(1, 'rules/a.lua', 'exact', '0 3 * * * UTC', 1, -1, 1, 0), (2, 'rules/a.lua', 'past', '0 3 * * * UTC', 1, -1, 1, 0),"
	     "(3, 'rules/a.lua', 'armed', '0 3 * * * UTC', 1, -1, 2, 1),"
	     "(4, 'rules/a.lua', 'settled', '0 3 * * * UTC', 1800000000000-30*86400000, -1, 1, 0);"
	     "INSERT INTO instant VALUES(1, 5), (1, 1800000000000-30*86400000), (2, 5), (2, 1800000000000-30*86400000-1), (3, 5)");
	kit_open(&kit, 8);
	prune((struct keep){ 0 });
	cr_expect_eq(count("SELECT count(*) FROM schedule"), 3);
	cr_expect_eq(count("SELECT count(*) FROM schedule WHERE rule='past'"), 0);
	cr_expect_eq(count("SELECT count(*) FROM instant"), 3);
	tear_down();
}

Test(retention, I10_a_rule_that_comes_back_fires_for_no_moment_twice_and_catches_up_with_none)
{
	int64_t before = wall_ms(), fired = before - 1000;

	set_up();
	arm("nightly");
	cr_assert_eq(fire("nightly", fired), STORE_OK);
	arm("another");                         /* nightly is gone */
	kit_close(&kit);
	exec("UPDATE schedule SET since_ms=1; DELETE FROM facet; DELETE FROM body; DELETE FROM delivery");
	kit_open(&kit, 8);
	store_prune(kit.store, &(struct keep){ 0 }, NULL, NULL);
	cr_expect_geq(arm("nightly"), before, "what it missed while it was gone, it missed");
	cr_expect_eq(fire("nightly", fired), STORE_DUPLICATE, "though nothing is kept of that delivery");
	tear_down();
}
