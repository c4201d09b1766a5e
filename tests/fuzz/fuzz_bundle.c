/* Whatever the bundle says, compiling it ends, and a rule set that comes of it can match and explain. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/match.h"
#include "rules/ruleset.h"

static const char *const document = "{\"ref\":\"refs/heads/main\",\"n\":1,\"l\":[\"a\",{\"k\":2}],\"o\":{\"p\":null}}";

static void use(struct ruleset *rs)
{
	for (size_t i = 0; i < ruleset_source_count(rs); i++) {
		struct delivery_view d = {
			.source = ruleset_source_at(rs, i), .event = SLICE("push"), .json = slice_of(document), .delivery_key = "1",
		};
		CLEANUP(buf_fini) struct buf out = BUF(1 << 20);
		struct match *m;
		struct err e;
		if (ruleset_match(rs, &d, &m, &e) < 0)
			abort();
		match_explain(m, &out, 1);
		match_explain_json(m, &out);
		match_why_json(m, &out);
		buf_clear(&out);
		match_event_json(m, &out);
		for (size_t k = 0; k < match_count(m); k++) {
			CLEANUP(buf_fini) struct buf plan = BUF(1 << 20), key = BUF(1 << 20);
			match_queue_key(m, k, 0, &key);
			if (rule_plan_json(match_rule(m, k), slice_of(match_cell(m, k, 0)), buf_slice(&out), &plan, &e) < 0)
				abort();
		}
		match_free(m);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	CLEANUP(buf_fini) struct buf shown = BUF(1 << 20);
	struct ruleset *rs;
	struct diags d = { 0 };
	struct err e;

	if (ruleset_compile((struct slice){ (const char *)bytes, n }, &rs, &d, &e) == 0) {
		use(rs);
		ruleset_unref(rs);
	}
	diags_print(&d, &shown, 0);
	diags_fini(&d);
	return 0;
}
