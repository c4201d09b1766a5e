/* tests/unit/rules_kit.h - a rule set of plain declarations (bundle.h), and a delivery held against it. */
#pragma once
#include <criterion/criterion.h>

#include "bundle.h"
#include "rules/match.h"
#include "rules/ruleset.h"

/* DECLS: kind, name, plain value, …, NULL. NULL where it does not compile; what was said is in SHOWN. */
static inline struct ruleset *compile(const char *const *decls, struct buf *shown)
{
	struct bundle_text b = BUNDLE_TEXT;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	struct ruleset *rs = NULL;
	struct diags d = { 0 };
	struct err e;

	bundle_forge(&b);
	for (int line = 1; *decls; decls += 3, line++)
		bundle_decl(&b, decls[0], decls[1], line, decls[2]);
	if (ruleset_compile(bundle_end(&b, &text), &rs, &d, &e) < 0)
		rs = NULL;
	diags_print(&d, shown, 0);
	diags_fini(&d);
	return rs;
}

#define COMPILE(shown, ...) compile((const char *const[]){ __VA_ARGS__, NULL }, shown)

static inline struct ruleset *must_compile(const char *const *decls)
{
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
	struct ruleset *rs = compile(decls, &shown);
	cr_assert(rs, "%s", buf_cstr(&shown));
	return rs;
}

#define MUST_COMPILE(...) must_compile((const char *const[]){ __VA_ARGS__, NULL })

/* Of the first source. */
static inline struct match *match(const struct ruleset *rs, const char *event, const char *json)
{
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = slice_of(event), .json = slice_of(json), .delivery_key = "k" };
	struct match *m;
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	return m;
}
