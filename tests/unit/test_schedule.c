/* A rule's schedule: which moments fire at a given time, what was missed, the jitter; and events that no sender brings, as the
 * rules see them. */
#include "no_leaks.h"

#include <time.h>

#include "bundle.h"
#include "rules/inner.h"
#include "rules/match.h"
#include "rules/ruleset.h"
#include "rules/schedule.h"

static struct ruleset *rules_of(const char *const *decls)
{
	struct bundle_text b = BUNDLE_TEXT;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED);
	struct ruleset *rs = NULL;
	struct diags d = { 0 };
	struct err e = { 0 };

	for (; *decls; decls += 2)
		bundle_decl(&b, "rule", decls[0], 1, decls[1]);
	int bad = ruleset_compile(bundle_end(&b, &text), &rs, &d, &e);
	diags_print(&d, &shown, 0);
	diags_fini(&d);
	cr_assert_eq(bad, 0, "%s %s", e.msg, buf_cstr(&shown));
	return rs;
}
#define RULES(...) rules_of((const char *const[]){ __VA_ARGS__, NULL })
#define RUN ",'run':{'$fn':1}}"

static int64_t at(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	cr_assert(end && !*end, "%s", text);
	return (int64_t)timegm(&tm) * 1000;
}

static const struct rule *only_rule(const struct ruleset *rs)
{
	return ruleset_rule_at(rs, 0);
}

struct look { const char *since, *now; size_t n; const char *first, *last, *through; };

static void expect(const char *plain, const struct look *l)
{
	struct ruleset *rs = RULES("r", plain);
	int64_t out[SCHEDULE_INSTANTS_MAX], through;
	size_t n = schedule_due(rule_schedule(only_rule(rs)), only_rule(rs), at(l->since), at(l->now), out, &through);

	cr_assert_eq(n, l->n, "%s from %s to %s: %zu", plain, l->since, l->now, n);
	cr_assert_eq(through, at(l->through ? l->through : l->since), "%s from %s to %s: through %lld", plain, l->since, l->now, (long long)through);
	if (n) {
		cr_assert_eq(out[0], at(l->first), "%lld", (long long)out[0]);
		cr_assert_eq(out[n - 1], at(l->last ? l->last : l->first), "%lld", (long long)out[n - 1]);
	}
	for (size_t i = 1; i < n; i++)
		cr_assert_gt(out[i], out[i - 1]);
	ruleset_unref(rs);
}

Test(schedule, fires_what_is_due_and_nothing_before)
{
	const char *daily = "{'cron':'0 3 * * *'" RUN, *two = "{'cron':['0 3 * * *','30 3 * * *']" RUN;

	expect(daily, &(struct look){ "2026-11-30 01:00:00", "2026-11-30 02:59:59", 0 });
	expect(daily, &(struct look){ "2026-11-30 01:00:00", "2026-11-30 03:00:00", 1, "2026-11-30 03:00:00", .through = "2026-11-30 03:00:00" });
	expect(daily, &(struct look){ "2026-11-30 03:00:00", "2026-11-30 03:00:30", 0 });
	expect(two, &(struct look){ "2026-11-30 03:00:00", "2026-11-30 03:30:00", 1, "2026-11-30 03:30:00", .through = "2026-11-30 03:30:00" });
	no_leaks();
}

Test(schedule, what_was_missed_runs_once_not_at_all_or_for_each)
{
	static const char *const policies[] = { "", ",'missed':'once'", ",'missed':'skip'", ",'missed':'all'" };
	const struct look week[] = {
		{ "2026-11-20 12:00:00", "2026-11-27 12:00:00", 1, "2026-11-27 03:00:00", .through = "2026-11-27 03:00:00" },
		{ "2026-11-20 12:00:00", "2026-11-27 12:00:00", 1, "2026-11-27 03:00:00", .through = "2026-11-27 03:00:00" },
		{ "2026-11-20 12:00:00", "2026-11-27 12:00:00", 0, .through = "2026-11-27 03:00:00" },
		{ "2026-11-20 12:00:00", "2026-11-27 12:00:00", 7, "2026-11-21 03:00:00", "2026-11-27 03:00:00", "2026-11-27 03:00:00" },
	};
	const struct look late[] = {            /* a moment that is just now, behind one that was missed */
		{ "2026-11-26 12:00:00", "2026-11-28 03:00:20", 1, "2026-11-28 03:00:00", .through = "2026-11-28 03:00:00" },
		{ "2026-11-26 12:00:00", "2026-11-28 03:00:20", 1, "2026-11-28 03:00:00", .through = "2026-11-28 03:00:00" },
		{ "2026-11-26 12:00:00", "2026-11-28 03:00:20", 1, "2026-11-28 03:00:00", .through = "2026-11-28 03:00:00" },
		{ "2026-11-26 12:00:00", "2026-11-28 03:00:20", 2, "2026-11-27 03:00:00", "2026-11-28 03:00:00", "2026-11-28 03:00:00" },
	};

	for (size_t i = 0; i < COUNT(policies); i++) {
		CLEANUP(freep) char *plain = xprintf("{'cron':{'#':['0 3 * * *']%s}" RUN, policies[i]);
		expect(plain, &week[i]);
		expect(plain, &late[i]);
	}
	no_leaks();
}

Test(schedule, a_minute_of_delay_is_not_missed)
{
	const char *skip = "{'cron':{'#':['* * * * *'],'missed':'skip'}" RUN;

	expect(skip, &(struct look){ "2026-11-30 02:59:00", "2026-11-30 03:01:00", 2, "2026-11-30 03:00:00", "2026-11-30 03:01:00", "2026-11-30 03:01:00" });
	expect(skip, &(struct look){ "2026-11-30 02:59:00", "2026-11-30 03:01:01", 1, "2026-11-30 03:01:00", .through = "2026-11-30 03:01:00" });
	no_leaks();
}

Test(schedule, an_instant_is_missed_a_millisecond_past_the_minute)
{
	struct ruleset *rs = RULES("r", "{'cron':{'#':['0 3 * * *'],'missed':'skip'}" RUN);
	int64_t out[SCHEDULE_INSTANTS_MAX], through, due = at("2026-11-30 03:00:00");

	for (int late = 0; late < 2; late++) {
		int64_t now = due + SCHEDULE_LATE_MS + late;
		cr_assert_eq(schedule_due(rule_schedule(only_rule(rs)), only_rule(rs), due - 1, now, out, &through), (size_t)!late);
		cr_assert_eq(through, due, "it is settled either way");
	}
	cr_assert_eq(schedule_due(rule_schedule(only_rule(rs)), only_rule(rs), due - 1, due - 1, out, &through), 0);
	cr_assert_eq(through, due - 1);
	ruleset_unref(rs);
	no_leaks();
}

Test(schedule, of_more_than_a_hundred_that_were_missed_the_newest_run)
{
	const char *all = "{'cron':{'#':['* * * * *'],'missed':'all'}" RUN;

	expect(all, &(struct look){ "2026-11-30 00:00:00", "2026-11-30 01:40:00", 100, "2026-11-30 00:01:00", "2026-11-30 01:40:00", "2026-11-30 01:40:00" });
	expect(all, &(struct look){ "2026-11-30 00:00:00", "2026-11-30 01:41:00", 100, "2026-11-30 00:02:00", "2026-11-30 01:41:00", "2026-11-30 01:41:00" });
	no_leaks();
}

Test(schedule, jitter_has_bounds_and_spreads_over_all_of_the_least)
{
	static const struct { const char *jitter; int is_good; } cases[] = {
		{ "1s", 1 }, { "999ms", 0 }, { "24h", 1 }, { "1d", 1 }, { "86401s", 0 }, { "0s", 0 }, { "10", 0 }, { "", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bundle_text b = BUNDLE_TEXT;
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED);
		CLEANUP(freep) char *plain = xprintf("{'cron':{'#':['@daily'],'jitter':'%s'}" RUN, cases[i].jitter);
		struct ruleset *rs = NULL;
		struct diags d = { 0 };
		struct err e = { 0 };
		bundle_decl(&b, "rule", "r", 1, plain);
		int r = ruleset_compile(bundle_end(&b, &text), &rs, &d, &e);
		diags_print(&d, &shown, 0);
		cr_assert_eq(r == 0, cases[i].is_good, "%s: %s", cases[i].jitter, buf_cstr(&shown));
		cr_assert(cases[i].is_good || strstr(buf_cstr(&shown), "jitter"), "%s: %s", cases[i].jitter, buf_cstr(&shown));
		if (r == 0)
			ruleset_unref(rs);
		diags_fini(&d);
	}
	struct ruleset *rs = RULES("r", "{'cron':{'#':['* * * * *'],'jitter':'1s'}" RUN);
	int64_t since = at("2026-11-30 00:00:00"), due, most = 0;
	for (int i = 0; i < 1000; i++) {
		since = schedule_next_ms(rule_schedule(only_rule(rs)), only_rule(rs), since, &due);
		cr_assert(due >= since && due < since + 1000);
		most = due - since > most ? due - since : most;
	}
	cr_assert_gt(most, 980, "%lld", (long long)most);
	ruleset_unref(rs);
	no_leaks();
}

Test(schedule, a_year_of_missed_minutes_is_bounded_and_quick)
{
	struct ruleset *rs = RULES("r", "{'cron':{'#':['* * * * *'],'missed':'all'}" RUN);
	int64_t out[SCHEDULE_INSTANTS_MAX], through;
	clock_t began = clock();

	for (int i = 0; i < 100; i++) {
		size_t n = schedule_due(rule_schedule(only_rule(rs)), only_rule(rs), at("2025-11-30 00:00:00"), at("2026-11-30 00:00:30"), out, &through);
		cr_assert_eq(n, SCHEDULE_INSTANTS_MAX);
		cr_assert_eq(out[SCHEDULE_INSTANTS_MAX - 1], at("2026-11-30 00:00:00"));
		cr_assert_eq(out[0], at("2026-11-29 22:21:00"));
		cr_assert_eq(through, at("2026-11-30 00:00:00"));
	}
	cr_assert_lt((double)(clock() - began) / CLOCKS_PER_SEC, 5.0, "100 times a year of 525600 minutes");
	ruleset_unref(rs);
	expect("{'cron':{'#':['0 0 1 1 *'],'missed':'all'}" RUN,
	       &(struct look){ "2000-06-01 00:00:00", "2026-11-30 00:00:00", 26, "2001-01-01 00:00:00", "2026-01-01 00:00:00", "2026-01-01 00:00:00" });
	no_leaks();
}

Test(schedule, jitter_is_the_same_for_a_rule_and_moment_within_its_bound_and_spread)
{
	struct ruleset *rs = RULES("a", "{'cron':{'#':['*/15 * * * *'],'jitter':'10m'}" RUN, "b", "{'cron':{'#':['*/15 * * * *'],'jitter':'10m'}" RUN);
	const struct rule *a = ruleset_rule_at(rs, 0), *b = ruleset_rule_at(rs, 1);
	int64_t since = at("2026-11-30 00:00:00"), due_a, due_b, again, sum = 0;
	int same = 0, low = 0;

	for (int i = 0; i < 1000; i++) {
		int64_t next = schedule_next_ms(rule_schedule(a), a, since, &due_a);
		schedule_next_ms(rule_schedule(b), b, since, &due_b);
		schedule_next_ms(rule_schedule(a), a, since, &again);
		cr_assert(due_a >= next && due_a < next + 600000 && due_b >= next && due_b < next + 600000);
		cr_assert_eq(due_a, again);
		same += due_a == due_b;
		low += due_a - next < 300000;
		sum += due_a - next;
		since = next;
	}
	cr_assert(same < 10 && low > 400 && low < 600 && sum / 1000 > 270000 && sum / 1000 < 330000, "%d %d %lld", same, low, (long long)sum / 1000);
	/* a moment whose jitter is not over has not come, however late it is for the plan */
	int64_t out[SCHEDULE_INSTANTS_MAX], through, next = schedule_next_ms(rule_schedule(a), a, at("2026-11-30 00:00:00"), &due_a);
	cr_assert_eq(schedule_due(rule_schedule(a), a, next - 1, due_a - 1, out, &through), 0);
	cr_assert_eq(through, next - 1);
	cr_assert_geq(schedule_due(rule_schedule(a), a, next - 1, due_a, out, &through), 1);
	cr_assert_eq(out[0], next);
	ruleset_unref(rs);
	/* more jitter than there is room for: no moment comes before the one ahead of it */
	rs = RULES("a", "{'cron':{'#':['* * * * *'],'jitter':'1h'}" RUN);
	since = at("2026-11-30 00:00:00");
	for (int i = 0; i < 1000; i++) {
		since = schedule_next_ms(rule_schedule(only_rule(rs)), only_rule(rs), since, &due_a);
		cr_assert(due_a >= since && due_a < since + 60000);
	}
	ruleset_unref(rs);
	no_leaks();
}

/* ---- events that no sender brings ---- */

static void match(const struct ruleset *rs, struct delivery_view d, const char *fired, const char *why)
{
	CLEANUP(buf_fini) struct buf names = BUF(1024), text = BUF(1 << 16);
	struct match *m;
	struct err e;

	d.delivery_key = "1";
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	for (size_t i = 0; i < match_count(m); i++)
		buf_addf(&names, "%s%s", i ? " " : "", rule_name(match_rule(m, i)));
	match_why_json(m, &text);
	cr_assert_str_eq(buf_cstr(&names), fired, "%s", buf_cstr(&text));
	cr_assert(strstr(buf_cstr(&text), why), "%s", buf_cstr(&text));
	match_event_json(m, &text);
	match_explain(m, &text, 0);
	cr_assert_not(buf_is_over(&text));
	match_free(m);
}

#define CAUSE "{\"rule\":\"docs\",\"outputs\":{\"v\":\"1.2\"},\"event\":{\"repo\":\"acme/site\",\"branch\":\"main\",\"number\":7,\"labels\":[\"a\",\"b\"]," \
	      "\"draft\":false,\"title\":5,\"unknown\":[\"paths\",\"nonsense\"]}}"

Test(inner, a_rule_of_a_chain_asks_for_the_rule_and_the_fields_of_its_cause)
{
	struct ruleset *rs = RULES("yes", "{'on':'rule:succeeded','when':{'rule':'docs','repo':'acme/*','branch':'main','number':{'ge':7},'labels':'b','draft':false}" RUN,
		"whole", "{'on':'rule:finished','when':{'payload':{'outputs.v':'1.*'},'title':{'exists':false}}" RUN,
		"unknown", "{'on':'rule:finished','when':{'paths':'docs/**'}" RUN, "failed", "{'on':'rule:failed','when':'always'" RUN,
		"other", "{'on':'rule:succeeded','when':{'rule':'site'}" RUN, "job", "{'on':'job:succeeded','when':'always'" RUN);
	struct delivery_view d = { .source = ruleset_inner_source(rs, INNER_RULE), .event = SLICE("finished"), .action = SLICE("succeeded"),
				   .json = SLICE(CAUSE), .cause_json = SLICE(CAUSE) };

	cr_assert(ruleset_listens_to(rs, INNER_RULE) && ruleset_listens_to(rs, INNER_JOB) && !ruleset_listens_to(rs, INNER_LOCAL));
	match(rs, d, "yes whole unknown", "rule: want \\\"site\\\", got \\\"docs\\\"");
	d.action = SLICE("failed");
	match(rs, d, "whole unknown failed", "[]");
	d.action = SLICE("cancelled");
	match(rs, d, "whole unknown", "[]");
	d = (struct delivery_view){ .source = ruleset_inner_source(rs, INNER_JOB), .event = SLICE("succeeded"), .json = SLICE("{}"),
				    .cause_json = SLICE(CAUSE) };
	match(rs, d, "job", "[]");
	ruleset_unref(rs);
	no_leaks();
}

Test(inner, what_a_stranger_began_stays_a_strangers)
{
	struct ruleset *rs = RULES("r", "{'on':'job:succeeded','when':'always'" RUN, "g", "{'on':'job:succeeded','when':'always','forks':'ignore'" RUN);
	struct delivery_view d = { .source = ruleset_inner_source(rs, INNER_JOB), .event = SLICE("succeeded"), .json = SLICE("{}"), .delivery_key = "1" };
	static const struct { const char *cause; enum job_trust trust; size_t n; } cases[] = {
		{ "{\"rule\":\"a\",\"event\":{\"fork\":true}}", TRUST_ASKED, 1 }, { "{\"rule\":\"a\",\"event\":{\"fork\":false}}", TRUST_FULL, 2 },
		{ "{\"rule\":\"a\",\"untrusted\":true,\"event\":{}}", TRUST_ASKED, 1 }, { "{\"rule\":\"a\",\"event\":{\"unknown\":[\"fork\"]}}", TRUST_ASKED, 1 },
		{ "{\"rule\":\"a\",\"event\":{}}", TRUST_FULL, 2 },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct match *m;
		struct err e;
		d.cause_json = slice_of(cases[i].cause);
		cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
		cr_assert_eq(match_count(m), cases[i].n, "%s", cases[i].cause);
		cr_assert_eq(match_trust(m, 0), cases[i].trust, "%s", cases[i].cause);
		match_free(m);
	}
	ruleset_unref(rs);
	no_leaks();
}

Test(inner, what_is_meant_for_one_rule_fires_it_whatever_it_asks)
{
	struct ruleset *rs = RULES("r", "{'on':'push','cron':'@daily','when':{'branch':'never'},'matrix':{'n':['1','2']}" RUN, "s", "{'on':'local:trigger','when':'always'" RUN);
	struct delivery_view d = { .source = ruleset_inner_source(rs, INNER_LOCAL), .event = SLICE("trigger"), .json = SLICE("{}"),
				   .only = ruleset_rule_at(rs, 0), .delivery_key = "1" };
	struct match *m;
	struct err e;

	match(rs, d, "r", "[]");
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	cr_assert_eq(match_cell_count(m, 0), 2);
	match_free(m);
	d.only = NULL;
	match(rs, d, "s", "[]");
	d.json = SLICE("[1");
	cr_assert_lt(ruleset_match(rs, &d, &m, &e), 0);
	d.json = SLICE("{}");
	d.cause_json = SLICE("[]");
	cr_assert_lt(ruleset_match(rs, &d, &m, &e), 0);
	ruleset_unref(rs);
	no_leaks();
}

/* As what was kept, or a fixture, says it. */
static struct delivery_view recall(const struct ruleset *rs, enum inner source, struct inner_said said, const char *bad)
{
	struct delivery_view d = { .source = ruleset_inner_source(rs, source), .delivery_key = "1" };
	struct err e = { 0 };
	int r = inner_recall(rs, &said, &d, &e);

	cr_assert_eq(r, bad ? -1 : 0, "%s", e.msg);
	cr_assert(!bad || strstr(e.msg, bad), "%s", e.msg);
	return d;
}

Test(inner, what_was_kept_of_an_event_is_judged_as_the_first_time)
{
	struct ruleset *rs = RULES("nightly", "{'on':'push','cron':'@daily','when':{'branch':'never'}" RUN, "noon", "{'cron':'0 12 * * *'" RUN,
		"off", "{'cron':'@daily','enabled':false" RUN, "after", "{'on':'rule:succeeded','when':{'rule':'docs','branch':'main'}" RUN,
		"job", "{'on':'job:succeeded','when':'always'" RUN, "built", "{'on':'local:built','when':{'payload':{'n':1}}" RUN);
	struct inner_said said = { .event = SLICE("cron"), .only_file = slice_of(rule_file(ruleset_rule_at(rs, 0))), .only_rule = SLICE("nightly"),
				   .body = SLICE("{\"planned_ms\":1795500000000}") };
	struct delivery_view d = recall(rs, INNER_CRON, said, NULL);

	match(rs, d, "nightly", "[]");
	cr_assert_eq(d.planned_ms, 1795500000000);
	said.body = SLICE("{}");
	cr_assert_eq(recall(rs, INNER_CRON, said, NULL).planned_ms, 0);
	said.only_rule = SLICE("off");
	match(rs, recall(rs, INNER_CRON, said, NULL), "", "[]");
	said.only_rule = SLICE("weekly");
	recall(rs, INNER_CRON, said, "'weekly' of rules/");
	said.only_rule = SLICE("nightly");
	said.only_file = SLICE("rules/other.lua");
	recall(rs, INNER_CRON, said, "rules/other.lua, which is not there");
	said.only_rule = SLICE("");
	recall(rs, INNER_CRON, said, "must say the rule");
	/* A trigger is local's, and for one rule too. */
	said = (struct inner_said){ .event = SLICE("trigger"), .only_file = slice_of(rule_file(ruleset_rule_at(rs, 0))), .only_rule = SLICE("nightly"),
				    .body = SLICE("{}") };
	match(rs, recall(rs, INNER_LOCAL, said, NULL), "nightly", "[]");
	said = (struct inner_said){ .event = SLICE("built"), .body = SLICE("{\"n\":1}") };
	match(rs, recall(rs, INNER_LOCAL, said, NULL), "built", "[]");
	/* The end of a rule, in the words that were kept and in people's. */
	said = (struct inner_said){ .event = SLICE("finished"), .action = SLICE("succeeded"), .cause_json = SLICE(CAUSE), .body = SLICE(CAUSE) };
	match(rs, recall(rs, INNER_RULE, said, NULL), "after", "[]");
	said.action = SLICE_NULL;
	said.event = SLICE("finished.succeeded");
	match(rs, recall(rs, INNER_RULE, said, NULL), "after", "[]");
	said.event = SLICE("succeeded");
	match(rs, recall(rs, INNER_RULE, said, NULL), "after", "[]");
	match(rs, recall(rs, INNER_JOB, said, NULL), "job", "[]");
	said.event = SLICE_NULL;
	recall(rs, INNER_JOB, said, "source 'job' must say its \"event\"");
	ruleset_unref(rs);
	no_leaks();
}
