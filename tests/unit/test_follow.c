/* What follows without a sender: effects of ended jobs, each taken up once; moments of schedules, each taken once (I10). */
#include "no_leaks.h"

#include "store/submit.h"
#include "store_kit.h"

static struct kit k;

static void set_up(void)
{
	kit_init(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
}

static void tear_down(void)
{
	kit_fini(&k);
	no_leaks();
}

static void reopen(void)
{
	kit_close(&k);
	kit_open(&k, 8);
	store_recover_done(k.store);
}

TestSuite(follow, .init = set_up, .fini = tear_down);

/* ---- schedules ---- */

static int64_t arm_as(const char *rule, const char *text)
{
	struct arm_item item = { .file = "rules/a.lua", .rule = rule, .text = text };
	struct arm a = { .reply_to = k.replies, .items = &item, .n = rule ? 1 : 0 };

	store_arm(k.store, &a);
	cr_assert_eq(kit_reply(&k), &a.mail);
	cr_assert_eq(a.outcome, STORE_OK);
	return item.since_ms;
}

static struct submit *firing(const char *key, int64_t at_ms, int64_t through_ms)
{
	struct submit *s = kit_push(&k, key, 1);

	s->cron_rule = "nightly";
	s->cron_file = "rules/a.lua";
	s->cron_ms = at_ms;
	s->cron_through_ms = through_ms;
	return s;
}

static enum store_outcome fire(const char *key, int64_t at_ms, int64_t through_ms)
{
	struct submit *s = firing(key, at_ms, through_ms);
	enum store_outcome outcome = kit_submit(&k, s);
	cr_assert_eq(outcome == STORE_OK, s->delivery > 0);
	cr_assert(outcome == STORE_OK || strcmp(s->first_jobs_json, "[]") == 0);
	submit_free(s);
	return outcome;
}

Test(follow, I10_a_moment_is_taken_once_whatever_else_differs)
{
	int64_t t = wall_ms();

	cr_assert_geq(arm_as("nightly", "0 3 * * * UTC"), t);
	cr_assert_eq(fire("k1", 1000, 1000), STORE_OK);
	cr_assert_eq(fire("k2", 1000, 1000), STORE_DUPLICATE, "another key, the same moment");
	reopen();
	cr_assert_eq(fire("k3", 1000, 1000), STORE_DUPLICATE, "another front");
	cr_assert_eq(fire("k4", 2000, 2000), STORE_OK);
	cr_assert_eq(fire("k5", 500, 500), STORE_OK, "the clock was set back: this one had not been");
	cr_assert_eq(fire("k6", 2000, 2000), STORE_DUPLICATE);
	arm_as("nightly", "0 4 * * * UTC");
	cr_assert_eq(fire("k7", 2000, 2000), STORE_DUPLICATE, "a changed schedule knows what has been");
	KIT_SAYS(&k, "\"deliveries\":3,", .what = READ_STATUS);
}

Test(follow, I10_two_at_once_in_one_batch_are_one)
{
	struct submit *s[64];
	int n_ok = 0;

	arm_as("nightly", "x");
	for (size_t i = 0; i < COUNT(s); i++) {
		CLEANUP(freep) char *key = xprintf("k%zu", i);
		s[i] = firing(key, 5000, 5000);
		store_submit(k.store, s[i]);
	}
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	for (size_t i = 0; i < COUNT(s); i++)
		n_ok += ((struct submit *)kit_take(k.replies, &list))->outcome == STORE_OK;
	cr_assert_eq(n_ok, 1);
	for (size_t i = 0; i < COUNT(s); i++)
		submit_free(s[i]);
}

Test(follow, I10_a_moment_below_those_that_are_remembered_is_not_taken)
{
	arm_as("nightly", "x");
	for (int64_t i = 1; i <= 4200; i++) {
		CLEANUP(freep) char *key = xprintf("k%lld", (long long)i);
		store_submit(k.store, firing(key, i * 1000, i * 1000));
	}
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	for (int i = 0; i < 4200; i++) {
		struct submit *s = (struct submit *)kit_take(k.replies, &list);
		cr_assert_eq(s->outcome, STORE_OK);
		submit_free(s);
	}
	cr_assert_eq(fire("below", 50000, 50000), STORE_DUPLICATE);
	cr_assert_eq(fire("between", 50001, 50001), STORE_DUPLICATE, "it may have been one that is forgotten");
	cr_assert_eq(fire("kept", 4000 * 1000, 1), STORE_DUPLICATE);
	cr_assert_eq(fire("new", 4000 * 1000 + 1, 1), STORE_OK);
}

Test(follow, a_schedule_goes_on_where_it_was_settled_and_a_new_one_begins_now)
{
	int64_t t = wall_ms();

	cr_assert_geq(arm_as("nightly", "a"), t, "new: nothing of the past was missed");
	cr_assert_eq(fire("k1", 1000, 1500), STORE_OK);
	reopen();
	cr_assert_eq(arm_as("nightly", "a"), 1500, "the same after a restart: what is later was missed");
	cr_assert_geq(arm_as("nightly", "b"), t, "another text: a new one");
	cr_assert_eq(fire("k2", 2000, 2000), STORE_OK);
	arm_as(NULL, NULL);
	cr_assert_geq(arm_as("nightly", "b"), t, "it was away: nothing was missed meanwhile");
}

Test(follow, a_schedule_that_was_never_armed_takes_nothing)
{
	cr_assert_eq(fire("k1", 1000, 1000), STORE_DUPLICATE);
}

/* ---- effects ---- */

static struct effect *effect(void)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct effect *f = (struct effect *)kit_take(k.effects, &list);
	cr_assert(STAILQ_EMPTY(&list), "more than one");
	return f;
}

static int is_quiet(void)
{
	struct mail_list list;

	arm_as(NULL, NULL);             /* a turn of the writer, behind all that was asked */
	mailbox_take(k.effects, &list);
	return STAILQ_EMPTY(&list);
}

static enum store_outcome follow_up(struct effect *f, const char *key)
{
	struct submit *s = kit_push(&k, key, 0);

	s->effect = f->id;
	s->root = f->root;
	s->cause_json = xstrdup("{\"rule\":\"r0\",\"depth\":1}");
	enum store_outcome outcome = kit_submit(&k, s);
	submit_free(s);
	effect_free(f);
	return outcome;
}

Test(follow, the_end_of_a_job_is_an_effect_until_it_is_a_delivery)
{
	int64_t job = kit_job(&k, "k1", "q", 1);

	store_listen(k.store, 1, 0);
	cr_assert_eq(kit_finish(&k, job, 1, JOB_FAILED), STORE_OK);
	struct effect *f = effect();
	cr_assert_eq(f->kind, EFFECT_JOB);
	cr_assert(f->job == job && f->delivery == 1 && f->root == 1 && f->state == JOB_FAILED && f->exit_code == 3 && f->chain_length == 0);
	cr_assert_str_eq(f->event_json, "{\"key\":\"k1\"}");
	int64_t id = f->id;
	effect_free(f);
	cr_assert(is_quiet(), "it is under way, and not posted again");
	reopen();                               /* whoever had it is gone */
	f = effect();
	cr_assert_eq(f->id, id);
	cr_assert_eq(follow_up(f, "j1"), STORE_OK);
	reopen();
	cr_assert(is_quiet(), "it was done in the transaction of its delivery");
	KIT_SAYS(&k, "\"cause\":{\"rule\":\"r0\",\"depth\":1}", .what = READ_DELIVERY, .a = 2);
}

Test(follow, an_effect_that_was_taken_up_before_is_done_all_the_same)
{
	int64_t job = kit_job(&k, "k1", "q", 1);

	store_listen(k.store, 1, 0);
	kit_finish(&k, job, 1, JOB_SUCCEEDED);
	struct effect *f = effect();
	struct submit *before = kit_push(&k, "j1", 0);
	cr_assert_eq(kit_submit(&k, before), STORE_OK);
	submit_free(before);
	cr_assert_eq(follow_up(f, "j1"), STORE_DUPLICATE);
	reopen();
	cr_assert(is_quiet());
}

Test(follow, nothing_is_noted_for_nobody_but_what_a_job_emits)
{
	int64_t a = kit_job(&k, "k1", "q", 1), b = kit_job(&k, "k2", "p", 1);
	struct finish f = { .reply_to = k.replies, .result = { .job = b, .attempt = 1, .state = JOB_SUCCEEDED } };

	kit_finish(&k, a, 1, JOB_SUCCEEDED);
	cr_assert(is_quiet());
	f.outputs_json = xstrdup("{\"v\":1}");
	f.emits = xcalloc(2, sizeof *f.emits);
	f.emits[f.n_emits++] = (struct emitted){ xstrdup("x"), xstrdup("{\"n\":1}") };
	f.emits[f.n_emits++] = (struct emitted){ xstrdup("y"), xstrdup("{\"n\":2}") };
	store_finish(k.store, &f);
	cr_assert_eq(kit_reply(&k), &f.mail);
	finish_fini(&f);
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	for (int i = 1; i <= 2; i++) {
		struct effect *e = (struct effect *)kit_take(k.effects, &list);
		cr_assert(e->kind == EFFECT_EMIT && e->ordinal == i && e->name[0] == "xy"[i - 1] && strstr(e->data_json, i == 1 ? "1" : "2"));
		cr_assert_str_eq(e->outputs_json, "{\"v\":1}");
		store_effect_done(k.store, e->id);
		effect_free(e);
	}
	KIT_SAYS(&k, "\"outputs\":{\"v\":1}", .what = READ_JOB, .a = b);
	reopen();
	cr_assert(is_quiet());
}

Test(follow, a_stale_result_or_one_that_is_tried_again_causes_nothing)
{
	int64_t job = kit_job(&k, "k1", "q", 1);

	store_listen(k.store, 1, 1);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = job, .attempt = 1, .state = JOB_LOST }, 1), STORE_OK);
	cr_assert(is_quiet());
	cr_assert_eq(kit_finish(&k, job, 1, JOB_SUCCEEDED), STORE_STALE);
	cr_assert(is_quiet());
}

Test(follow, a_rule_has_ended_when_all_its_jobs_of_the_delivery_have)
{
	struct submit *s = kit_push(&k, "k1", 3);
	int64_t jobs[3];

	store_listen(k.store, 0, 1);
	for (int i = 0; i < 3; i++) {
		s->jobs[i].rule = i == 2 ? "other" : "cells";
		s->jobs[i].cell = i == 2 ? NULL : xprintf("n=%d", i);
	}
	cr_assert_eq(kit_submit(&k, s), STORE_OK);
	for (int i = 0; i < 3; i++)
		jobs[i] = s->jobs[i].job;
	submit_free(s);
	kit_finish(&k, jobs[1], 1, JOB_FAILED);
	cr_assert(is_quiet(), "another cell runs");
	kit_finish(&k, jobs[0], 1, JOB_SUCCEEDED);
	struct effect *f = effect();
	cr_assert(f->kind == EFFECT_RULE && f->job == jobs[0] && !strcmp(f->rule, "cells"));
	cr_assert(strstr(f->jobs_json, "\"cell\":\"n=0\",\"state\":\"succeeded\"") && strstr(f->jobs_json, "\"cell\":\"n=1\",\"state\":\"failed\"") &&
		  !strstr(f->jobs_json, "\"id\":3"), "%s", f->jobs_json);
	store_effect_done(k.store, f->id);
	effect_free(f);
	struct cancel c = kit_cancel(&k, jobs[2]);
	cr_assert_eq(c.state, JOB_RUNNING);
	kit_finish(&k, jobs[2], 1, JOB_CANCELLED);
	f = effect();
	cr_assert(f->kind == EFFECT_RULE && !strcmp(f->rule, "other") && f->state == JOB_CANCELLED);
	effect_free(f);
}

Test(follow, a_job_that_is_cancelled_while_it_waits_or_born_skipped_has_ended_too)
{
	int64_t first = kit_job(&k, "k1", "q", 1), waiting = kit_job(&k, "k2", "q", 1);
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	const enum effect_kind order[] = { EFFECT_JOB, EFFECT_RULE };

	store_listen(k.store, 1, 1);
	cr_assert_eq(kit_cancel(&k, waiting).state, JOB_CANCELLED);
	for (int i = 0; i < 2; i++) {
		struct effect *f = (struct effect *)kit_take(k.effects, &list);
		cr_assert(f->kind == order[i] && f->job == waiting && f->state == JOB_CANCELLED);
		store_effect_done(k.store, f->id);
		effect_free(f);
	}
	for (int round = 0; round < 2; round++) {
		struct submit *s = kit_push(&k, round ? "k4" : "k3", 1);
		s->jobs[0].once_key = xstrdup("order 7");
		s->jobs[0].once_within_ms = 60000;
		cr_assert_eq(kit_submit(&k, s), STORE_OK);
		cr_assert_eq(s->jobs[0].state, round ? JOB_SKIPPED : JOB_QUEUED);
		submit_free(s);
	}
	for (int i = 0; i < 2; i++) {
		struct effect *f = (struct effect *)kit_take(k.effects, &list);
		cr_assert(f->kind == order[i] && f->state == JOB_SKIPPED);
		effect_free(f);
	}
	cr_assert_gt(first, 0);
}

Test(follow, at_most_so_many_effects_are_under_way_and_the_rest_comes)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	int n = 0;

	for (int i = 0; i < EFFECTS_MAX + 10; i++) {
		CLEANUP(freep) char *key = xprintf("k%d", i);
		kit_job(&k, key, key, 1);
	}
	reopen();
	store_listen(k.store, 1, 0);
	for (int i = 0; i < EFFECTS_MAX + 10; i++) {
		struct cancel c = kit_cancel(&k, i + 1);
		if (c.state == JOB_RUNNING)
			kit_finish(&k, i + 1, c.attempt, JOB_CANCELLED);
		kit_drop_claims(&k);
	}
	arm_as(NULL, NULL);
	mailbox_take(k.effects, &list);
	struct mail *m;
	STAILQ_FOREACH(m, &list, next)
		n++;
	cr_assert_eq(n, EFFECTS_MAX);
	for (int i = 0; i < EFFECTS_MAX + 10; i++) {
		struct effect *f = (struct effect *)kit_take(k.effects, &list);
		cr_assert_eq(f->job, i + 1, "in the order of their causes");
		store_effect_done(k.store, f->id);
		effect_free(f);
	}
}

Test(follow, a_chain_knows_its_beginning_and_its_length)
{
	int64_t job = kit_job(&k, "k1", "q", 1);

	store_listen(k.store, 1, 0);
	for (int i = 0; i < 3; i++) {
		kit_finish(&k, job, 1, JOB_SUCCEEDED);
		struct effect *f = effect();
		cr_assert(f->root == 1 && f->chain_length == i, "%d: root %lld length %d", i, (long long)f->root, f->chain_length);
		CLEANUP(freep) char *key = xprintf("j%d", i);
		struct submit *s = kit_push(&k, key, 1);
		s->effect = f->id;
		s->root = f->root;
		cr_assert_eq(kit_submit(&k, s), STORE_OK);
		job = s->jobs[0].job;
		submit_free(s);
		effect_free(f);
	}
}
