/* match: the index never changes what matches. A reference that knows nothing of compiled rules evaluates the same tables
 * over the same delivery, for many random rule sets and deliveries. PUSHROD_MATCH_CASES says how many, PUSHROD_MATCH_SEED which.
 * And what a delivery costs does not grow with the rules. */
#include <criterion/criterion.h>

#include "../fuzz/match_cases.h"
#include "no_leaks.h"
#include "rules/match.h"
#include "rules/matching.h"

static size_t compare_one(const struct sample *s)
{
	CLEANUP(buf_fini) struct buf why = BUF(BUF_UNLIMITED), text = BUF(BUF_UNLIMITED);
	struct sent sent;
	struct match *m;
	struct err e;
	size_t listen;

	sent_init(&sent, s->world);
	struct delivery_view d = view_of(s->rs, &sent);
	cr_assert_eq(ruleset_match(s->rs, &d, &m, &e), 0, "%s: %s", e.msg, buf_cstr(&sent.payload));
	char *difference = compare(s, &sent, m, &listen);
	cr_assert_null(difference, "%s", difference);
	size_t fired = match_count(m);
	match_why_json(m, &why);
	if (dice(10) == 0) {
		match_explain(m, &text, 1);
		match_matched_notes_json(m, &text);
		buf_clear(&text);
		match_explain_json(m, &text);
		json_t *said = json_loads(buf_cstr(&text), 0, NULL);
		cr_assert_eq(json_array_size(json_object_get(said, "explained")), listen, "%s", buf_cstr(&text));
		json_decref(said);
	}
	json_t *reasons = json_loads(buf_cstr(&why), 0, NULL);
	cr_assert_eq(json_array_size(reasons), listen - fired, "%s", buf_cstr(&why));
	json_decref(reasons);
	match_free(m);
	sent_fini(&sent);
	return fired;
}

/* What `check` says of two tests of one field is true: no value passes both. */
Test(match, no_value_passes_tests_that_are_said_never_to_hold_together, .timeout = 300)
{
	int warned = 0;

	srand(7);
	for (int n = 0; n < 3000; n++) {
		CLEANUP(buf_fini) struct buf when = BUF(BUF_UNLIMITED), rule = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED), text = BUF(BUF_UNLIMITED);
		struct bundle_text b = BUNDLE_TEXT;
		struct ruleset *rs;
		struct diags d = { 0 };
		struct err e;
		buf_adds(&when, "{'repo':");
		add_test(&when, 1);
		int is_all = dice(3) != 0;
		buf_addf(&when, ",'%s':[{'repo':", is_all ? "all" : "none");
		add_test(&when, 1);
		buf_adds(&when, "}]}");
		buf_addf(&rule, "{'on':'push','when':%s,'run':{'$fn':1}}", buf_cstr(&when));
		bundle_forge(&b);
		bundle_decl(&b, "source", "s", 1, "{'provider':'forge','secret':{'$secret':'x'}}");
		bundle_decl(&b, "rule", "r", 1, buf_cstr(&rule));
		cr_assert_eq(ruleset_compile(bundle_end(&b, &text), &rs, &d, &e), 0);
		diags_print(&d, &shown, 0);
		/* A test that nothing passes is no hindrance within `none`. */
		int is_warned = strstr(buf_cstr(&shown), "both are asked") || (is_all && strstr(buf_cstr(&shown), "can never be"));
		warned += is_warned;
		for (size_t i = 0; is_warned && i <= COUNT(texts); i++) {
			CLEANUP(freep) char *json = i < COUNT(texts) ? xprintf("{\"repository\":{\"full_name\":\"%s\"},\"ref\":\"refs/heads/x\"}", texts[i])
								     : xstrdup("{\"ref\":\"refs/heads/x\"}");
			struct delivery_view v = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .json = slice_of(json), .delivery_key = "k" };
			struct match *m;
			cr_assert_eq(ruleset_match(rs, &v, &m, &e), 0);
			cr_assert_eq(match_count(m), 0, "%s over %s:\n%s", buf_cstr(&when), json, buf_cstr(&shown));
			match_free(m);
		}
		diags_fini(&d);
		ruleset_unref(rs);
	}
	cr_assert_gt(warned, 100);
	no_leaks();
}

/* ---- what a delivery costs ---- */

/* N rules, of which I asks OTHER with I for each %d; and the last one MINE. */
static struct ruleset *many_rules(const char *mine, const char *other, int n)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED), rule = BUF(BUF_UNLIMITED);
	struct bundle_text b = BUNDLE_TEXT;
	struct ruleset *rs = NULL;
	struct diags d = { 0 };
	struct err e;
	char name[16];

	bundle_forge(&b);
	bundle_decl(&b, "source", "s", 1, "{'provider':'forge','secret':{'$secret':'x'}}");
	for (int i = 1; i <= n; i++) {
		buf_clear(&rule);
		buf_adds(&rule, "{'on':'push','run':{'$fn':1},'when':");
		for (const char *p = i < n ? other : mine; *p; p++) {
			if (*p == '#')
				buf_addi(&rule, i);
			else
				buf_addc(&rule, *p);
		}
		buf_addc(&rule, '}');
		snprintf(name, sizeof name, "r%d", i);
		bundle_decl(&b, "rule", name, i, buf_cstr(&rule));
	}
	int made = ruleset_compile(bundle_end(&b, &text), &rs, &d, &e);
	diags_print(&d, &shown, 0);
	cr_assert_eq(made, 0, "%.2000s", buf_cstr(&shown));
	diags_fini(&d);
	return rs;
}

struct work { size_t fired, candidates, answers, met; };

static struct work work_of(struct ruleset *rs)
{
	struct delivery_view d = {
		.source = ruleset_source_at(rs, 0), .event = SLICE("push"), .delivery_key = "k", .query = SLICE("q=1&r=2"),
		.json = SLICE("{\"ref\":\"refs/heads/main\",\"repository\":{\"full_name\":\"acme/site\",\"size\":7,\"p1\":\"x\"},"
			      "\"commits\":[{\"id\":\"a\",\"added\":[],\"modified\":[\"docs/a\"],\"removed\":[]}]}"),
		.headers_json = SLICE("{\"x-a\":\"1\",\"x-own-1\":\"1\"}"),
	};
	struct work w = { 0 };
	struct match *m;
	struct err e;

	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	w = (struct work){ match_count(m), m->candidates.n, m->answers.n, 0 };
	for (int kind = 0; kind < SUBJECT_KINDS; kind++)
		w.met += m->met[kind].n;
	match_free(m);
	ruleset_unref(rs);
	return w;
}

Test(match, work_grows_with_the_rules_that_could_fire_and_not_with_those_that_exist, .timeout = 300)
{
	static const struct { const char *mine, *other; } t[] = {
		{ "{'payload':{'repository.size':7}}", "{'payload':{'repository.p#':'on'}}" },
		{ "{'payload':{'repository.size':{'ge':7}}}", "{'payload':{'repository.p#':{'ge':1}}}" },
		{ "{'payload':{'repository.size':{'ge':7}}}", "{'branch':'main','payload':{'own.p#':{'ge':1}}}" },
		{ "{'payload':{'commits[].id':{'has':'a'}}}", "{'payload':{'commits[].p#':{'has':'a'}}}" },
		{ "{'payload':{'commits[].id':{'has':'a'}}}", "{'payload':{'commits[].p#':{'exists':true}}}" },
		{ "{'payload':{'commits[0].id':{'ne':'b'}}}", "{'payload':{'commits[#].id':{'ne':'b'}}}" },
		{ "{'payload':{'commits':{'some':{'id':'a'}}}}", "{'payload':{'c#':{'some':{'id':'a'}}}}" },
		{ "{'any':[{'payload':{'repository.size':{'ge':7}}},{'branch':'main'}]}", "{'any':[{'payload':{'own.p#':{'ge':1}}},{'branch':'b#'}]}" },
		{ "{'header':{'x-a':{'re':'^1'}}}", "{'header':{'x-own-#':{'re':'^2'}}}" },
		{ "{'query':{'q':{'re':'^1'}}}", "{'query':{'own-#':{'re':'^1'}}}" },
		{ "{'branch':{'has':'main'}}", "{'tag':{'has':'#'}}" },
		{ "{'branch':'main'}", "{'repo':{'has':'[deploy]'},'paths':{'except':'x#/**'}}" },
		{ "{'branch':'main'}", "{'repo':'acme/site-#','branch':'main'}" },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct work few = work_of(many_rules(t[i].mine, t[i].other, 100)), many = work_of(many_rules(t[i].mine, t[i].other, 1000));
		cr_expect_eq(many.fired, 1, "%s: %zu fire", t[i].mine, many.fired);
		cr_expect_eq(memcmp(&few, &many, sizeof few), 0, "%s: of 100 rules and of 1,000: %zu and %zu candidates, %zu and %zu answers, "
			     "%zu and %zu subjects", t[i].other, few.candidates, many.candidates, few.answers, many.answers, few.met, many.met);
		cr_expect_lt(many.candidates + many.answers + many.met, 12, "%s", t[i].other);
	}
	no_leaks();
}

Test(match, rules_that_share_a_test_of_absence_fire_where_there_is_nothing)
{
	static const struct { const char *when; size_t fired; } t[] = {
		{ "{'tag':{'exists':false}}", 3 }, { "{'payload':{'own':{'exists':false}}}", 3 }, { "{'payload':{'own[].p':{'exists':false}}}", 3 },
		{ "{'header':{'x-b':{'exists':false}}}", 3 }, { "{'query':{'s':{'exists':false}}}", 3 }, { "{'branch':{'exists':false}}", 0 },
		{ "{'payload':{'repository.p1':{'exists':false}}}", 0 }, { "{'header':{'x-a':{'exists':false}}}", 0 },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		cr_expect_eq(work_of(many_rules(t[i].when, t[i].when, 3)).fired, t[i].fired, "%s", t[i].when);
	no_leaks();
}

/* More elements than are kept: of every list nothing is sure any more, whether or not the path was met. */
Test(match, a_list_that_was_cut_leaves_every_test_of_its_elements_open)
{
	static const struct { const char *other; int fires; } t[] = {
		{ "{'payload':{'l[].p#':'x'}}", 1 }, { "{'payload':{'l[].p#':{'ge':1}}}", 1 }, { "{'payload':{'l[].p#':{'ne':1}}}", 1 },
		{ "{'payload':{'m[].p#':{'ge':1}}}", 0 }, { "{'payload':{'own.p#':{'ge':1}}}", 0 },
	};
	CLEANUP(buf_fini) struct buf json = BUF(BUF_UNLIMITED);

	buf_adds(&json, "{\"ref\":\"refs/heads/main\",\"l\":[{}");
	for (int i = 0; i <= EXTRACT_MAX_VALUES; i++)
		buf_adds(&json, ",{\"k\":1}");
	buf_adds(&json, "]}");
	for (size_t i = 0; i < COUNT(t); i++) {
		struct ruleset *rs = many_rules("{'payload':{'l[].k':2}}", t[i].other, 10);
		struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .json = buf_slice(&json), .delivery_key = "k" };
		struct match *m;
		struct err e;
		cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
		cr_expect_eq(match_count(m), t[i].fires ? 10 : 1, "%s: %zu fire", t[i].other, match_count(m));
		match_free(m);
		ruleset_unref(rs);
	}
	no_leaks();
}

static int64_t wanted_number(const char *name, int64_t otherwise)
{
	const char *text = getenv(name);
	int64_t n = otherwise;

	cr_assert_eq(text ? slice_to_i64(slice_of(text), 1, UINT32_MAX, &n) : 0, 0, "%s=%s", name, text);
	return n;
}

Test(match, the_index_never_changes_what_matches, .timeout = 3000)
{
	int64_t cases = wanted_number("PUSHROD_MATCH_CASES", 20000), hits = 0, n = 0;

	srand((unsigned)wanted_number("PUSHROD_MATCH_SEED", 11));
	while (n < cases) {
		CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
		struct sample s;
		cr_assert_eq(sample_init(&s, dice(3) ? PAYLOADS : PUSHES, &shown), 0, "%s", buf_cstr(&shown));
		for (int i = 0; i < CASES_DELIVERIES && n < cases; i++, n++)
			hits += compare_one(&s) > 0;
		sample_fini(&s);
	}
	cr_assert_gt(hits, cases / 10);
	cr_assert_lt(hits, cases);
	no_leaks();
}
