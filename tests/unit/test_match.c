/* match: the index never changes what matches. A reference that knows nothing of compiled rules evaluates the same tables
 * over the same delivery, for many random rule sets and deliveries. PUSHROD_MATCH_CASES says how many. */
#include <criterion/criterion.h>

#include "../fuzz/match_cases.h"
#include "no_leaks.h"

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
		match_explain_json(m, &text);
		match_matched_notes_json(m, &text);
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

Test(match, the_index_never_changes_what_matches, .timeout = 3000)
{
	const char *wanted = getenv("PUSHROD_MATCH_CASES");
	int64_t cases = 20000, hits = 0, n = 0;

	if (wanted)
		cr_assert_eq(slice_to_i64(slice_of(wanted), 1, INT64_MAX, &cases), 0);
	srand(11);
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
