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
