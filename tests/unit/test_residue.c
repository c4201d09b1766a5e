/* residue: what is left of a rule's conditions until git has told the changed files. Written from a match and decided as the job
 * does, it says what the whole condition says when the files are known at once. */
#include <criterion/criterion.h>

#include "bundle.h"
#include "no_leaks.h"
#include "rules/match.h"
#include "rules/residue.h"
#include "rules/ruleset.h"

/* One rule on pushes: its WHEN, and OTHER members. */
static struct ruleset *compiled(const char *when, const char *other)
{
	struct bundle_text b = BUNDLE_TEXT;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *rule = xprintf("{'on':'push','when':%s%s,'run':{'$fn':1}}", when, other);
	struct ruleset *rs = NULL;
	struct diags d = { 0 };
	struct err e = { 0 };

	bundle_forge(&b);
	bundle_decl(&b, "source", "s", 1, "{'provider':'forge','secret':{'$secret':'s'}}");
	bundle_decl(&b, "rule", "r", 2, rule);
	int r = ruleset_compile(bundle_end(&b, &text), &rs, &d, &e);
	diags_print(&d, &shown, 0);
	diags_fini(&d);
	cr_assert(r == 0 && rs, "%s: %s %s", rule, e.msg, buf_cstr(&shown));
	return rs;
}

static struct match *matched(const struct ruleset *rs, const char *json)
{
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .json = slice_of(json), .delivery_key = "k" };
	struct match *m = NULL;
	struct err e;

	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	return m;
}

/* A push to main of the files in LIST, a JSON list; NULL: of a new branch, which does not tell. */
static char *push_of(const char *list)
{
	return xprintf("{\"ref\":\"refs/heads/main\",\"after\":\"c\",\"message\":\"T\",\"created\":%s,\"forced\":false,"
		       "\"commits\":[{\"added\":%s,\"modified\":[],\"removed\":[]}]}", list ? "false" : "true", list ? list : "[]");
}

static size_t values_of(const char *list, struct value out[8])
{
	json_t *all = json_loads(list, 0, NULL), *item;
	size_t i;

	json_array_foreach(all, i, item)
		out[i] = (struct value){ .kind = VALUE_STRING, .text = slice_of(xstrdup(json_string_value(item))) };
	json_decref(all);
	return i;
}

static enum residue decided(const char *json, const struct value *paths, size_t n, struct buf *because)
{
	enum residue out = RESIDUE_NO;
	struct err e = { 0 };

	cr_assert_eq(residue_decide(slice_of(json), paths, n, &out, because, &e), 0, "%s: %s", json, e.msg);
	return out;
}

/* What is left of the rule with WHEN; owned, NULL where it does not fire whatever changed. */
static char *residue_of(const char *when, const char *other)
{
	CLEANUP(freep) char *git = xprintf(",'paths_from':'git'%s", other), *push = push_of(NULL);
	struct buf out = BUF(1 << 16);
	struct ruleset *rs = compiled(when, git);
	struct match *m = matched(rs, push);

	if (match_count(m))
		match_residue_json(m, 0, 0, &out);
	match_free(m);
	ruleset_unref(rs);
	return out.len ? buf_take(&out) : NULL;
}

#define FILE_NAMED(name) { .kind = VALUE_STRING, .text = { name, sizeof name - 1 } }

static const char *const conditions[] = {
	"{'paths':'docs/**'}",
	"{'paths':['docs/**','*.md']}",
	"{'paths':{'#':['docs/**'],'except':'docs/drafts/**'}}",
	"{'paths':{'#':['**'],'except':['docs/**','web/**']}}",
	"{'paths':{'ends':'.md'}}",
	"{'paths':{'starts':['docs/','web/']}}",
	"{'paths':{'re':'^docs/.*[.]md$'}}",
	"{'paths':{'icase':'DOCS/**'}}",
	"{'paths':{'eq':'web/x'}}",
	"{'paths':{'ne':'web/x'}}",
	"{'paths':{'every':{'starts':'docs/'}}}",
	"{'paths':{'some':{'starts':'docs/','ends':'.md'}}}",
	"{'paths':{'exists':true}}",
	"{'paths':{'exists':false}}",
	"{'branch':'main','paths':'docs/**'}",
	"{'#':[{'paths':'docs/**'},{'paths':'web/**'}]}",
	"{'any':[{'paths':'docs/**'},{'branch':'other'}]}",
	"{'any':[{'paths':'docs/**'},{'branch':'main'}]}",
	"{'none':[{'paths':'docs/**'}]}",
	"{'none':[{'paths':'docs/**'},{'paths':'web/**'},{'branch':'other'}]}",
	"{'branch':'main','any':[{'paths':'a'},{'none':[{'paths':'docs/**'},{'title':'X'}]}],'none':[{'any':[{'paths':'web/**','title':'T'},{'title':'U'}]}]}",
};
static const char *const lists[] = { "[]", "[\"docs/a.md\"]", "[\"docs/drafts/b.md\"]", "[\"web/x\"]", "[\"docs/a.md\",\"web/x\"]", "[\"a\",\"README.md\"]",
				     "[\"Docs/A.MD\"]", "[\"x\\\"\\n\\u00e9\\ud83d\\ude00\"]" };

Test(residue, decides_as_the_whole_condition_does)
{
	int yes = 0, no = 0;

	for (size_t i = 0; i < COUNT(conditions); i++) {
		struct ruleset *plain = compiled(conditions[i], "");
		CLEANUP(freep) char *residue = residue_of(conditions[i], "");
		for (size_t k = 0; k < COUNT(lists); k++) {
			CLEANUP(freep) char *push = push_of(lists[k]);
			CLEANUP(buf_fini) struct buf because = BUF(600);
			struct value files[8] = { 0 };
			size_t n = values_of(lists[k], files);
			struct match *m = matched(plain, push);
			int fires = match_count(m) == 1;
			cr_assert_eq(residue && decided(residue, files, n, &because) == RESIDUE_YES, fires, "%s of %s: %s, %s", conditions[i], lists[k],
				     residue ? residue : "never", buf_cstr(&because));
			cr_assert(!residue || fires == (because.len == 0), "%s of %s: because '%s'", conditions[i], lists[k], buf_cstr(&because));
			yes += fires;
			no += !fires;
			match_free(m);
			for (size_t f = 0; f < n; f++)
				free((char *)(uintptr_t)files[f].text.ptr);
		}
		ruleset_unref(plain);
	}
	cr_assert(yes > 40 && no > 40, "%d and %d", yes, no);
	no_leaks();
}

Test(residue, what_is_decided_already_is_a_number_and_its_tests_are_kept)
{
	static const struct { const char *when, *want; } cases[] = {
		{ "{'branch':'main','paths':'a'}", "{\"when\":{\"all\":[{\"all\":[2,{\"paths\":\"a\"}]}]}}" },
		{ "{'any':[{'branch':'other'},{'paths':{'#':['a'],'except':'b'}}]}",
		  "{\"when\":{\"all\":[{\"all\":[{\"any\":[0,{\"all\":[{\"paths\":{\"l\":[\"a\"],\"m\":{\"except\":\"b\"}}}]}]}]}]}}" },
		{ "'always'", "{\"when\":{\"all\":[2]}}" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *residue = residue_of(cases[i].when, "");
		cr_assert_str_eq(residue, cases[i].want);
	}
	cr_assert_null(residue_of("{'branch':'other','paths':'a'}", ""), "it does not fire whatever changed");
	no_leaks();
}

Test(residue, a_cell_adds_its_own_condition)
{
	CLEANUP(freep) char *push = push_of(NULL);
	struct ruleset *rs = compiled("{'paths':'**'}", ",'paths_from':'git','matrix':[{'p':'a','when':{'paths':'a/**'}},{'p':'b'}]");
	struct match *m = matched(rs, push);
	const struct value a = FILE_NAMED("a/x"), b = FILE_NAMED("b/x");

	cr_assert_eq(match_cell_count(m, 0), 2);
	for (size_t cell = 0; cell < 2; cell++) {
		CLEANUP(buf_fini) struct buf out = BUF(1 << 12), because = BUF(600), again = BUF(600);
		match_residue_json(m, 0, cell, &out);
		cr_assert_eq(decided(buf_cstr(&out), &a, 1, &because), RESIDUE_YES, "%s", buf_cstr(&out));
		cr_assert_eq(decided(buf_cstr(&out), &b, 1, &again), cell == 0 ? RESIDUE_NO : RESIDUE_YES, "%s", buf_cstr(&out));
		cr_assert_str_eq(buf_cstr(&again), cell == 0 ? "no changed file matches paths: want \"a/**\", 1 changed" : "");
	}
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

Test(residue, what_cannot_be_known_fires_unless_the_rule_says_skip)
{
	static const struct { const char *when; enum residue plain, skip; } cases[] = {
		{ "{'paths':'a'}", RESIDUE_YES, RESIDUE_NO }, { "{'none':[{'paths':'a'}]}", RESIDUE_YES, RESIDUE_NO },
		{ "{'any':[{'paths':'a'},{'branch':'main'}]}", RESIDUE_YES, RESIDUE_YES },
		{ "{'any':[{'paths':'a'},{'branch':'x'}]}", RESIDUE_YES, RESIDUE_NO },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(buf_fini) struct buf because = BUF(600);
		CLEANUP(freep) char *plain = residue_of(cases[i].when, ""), *skip = residue_of(cases[i].when, ",'unknown':'skip'");
		cr_assert_eq(decided(plain, NULL, 0, &because), cases[i].plain, "%s", plain);
		cr_assert_eq(because.len, 0);
		cr_assert_eq(decided(skip, NULL, 0, &because), cases[i].skip, "%s", skip);
		cr_assert_str_eq(buf_cstr(&because), cases[i].skip == RESIDUE_YES ? "" : "it is not known whether it matches, and the rule says unknown = \"skip\"");
	}
	no_leaks();
}

Test(residue, says_all_that_was_wanted_within_its_bound)
{
	const struct value file = FILE_NAMED("c");
	CLEANUP(freep) char *both = residue_of("{'#':[{'paths':'a'},{'paths':{'ends':'.md'}}]}", "");
	CLEANUP(buf_fini) struct buf because = BUF(600), small = BUF(40);

	decided(both, &file, 1, &because);
	cr_assert_str_eq(buf_cstr(&because), "no changed file matches paths: want \"a\", and ending in \".md\", 1 changed");
	decided(both, &file, 1, &small);
	cr_assert(buf_is_over(&small) && small.len <= 40);
	no_leaks();
}

Test(residue, refuses_what_is_no_residue)
{
	static const char *const bad[] = {
		"", "{", "null", "[]", "{}", "5", "{\"when\":null}", "{\"when\":3}", "{\"when\":-1}", "{\"when\":2.0}", "{\"when\":\"yes\"}", "{\"when\":[2]}",
		"{\"when\":{}}", "{\"when\":{\"all\":2}}", "{\"when\":{\"all\":{}}}", "{\"when\":{\"each\":[2]}}", "{\"when\":{\"all\":[2,{}]}}",
		"{\"when\":{\"all\":[null]}}", "{\"when\":{\"any\":[2,9]}}", "{\"when\":{\"none\":[{\"all\":[{\"none\":true}]}]}}",
		"{\"when\":{\"paths\":null}}", "{\"when\":{\"paths\":[]}}", "{\"when\":{\"paths\":{\"m\":{\"nope\":\"a\"}}}}",
		"{\"when\":{\"paths\":{\"m\":{\"re\":\"(\"}}}}", "{\"when\":{\"paths\":{\"secret\":5}}}",
		"{\"when\":{\"paths\":{\"fn\":1}}}", "{\"when\":{\"all\":[{\"paths\":\"a\"},{\"paths\":{}}]}}", "{\"when\":2} x", "{\"when\":{\"paths\":\"\xff\"}}",
	};
	const struct value file = FILE_NAMED("a");

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(buf_fini) struct buf because = BUF(600);
		enum residue out;
		struct err e = { 0 };
		cr_assert_eq(residue_decide(slice_of(bad[i]), &file, 1, &out, &because, &e), -1, "%s", bad[i]);
		cr_assert(strstr(e.msg, "what is left to decide of paths"), "%s: %s", bad[i], e.msg);
		cr_assert_eq(e.kind, ERR_BUG, "%s", bad[i]);
	}
	no_leaks();
}

Test(residue, nesting_without_end_is_refused_and_not_followed)
{
	CLEANUP(buf_fini) struct buf deep = BUF(1 << 24), because = BUF(600);
	enum residue out;
	struct err e = { 0 };

	buf_adds(&deep, "{\"when\":");
	for (int i = 0; i < 1000000; i++)
		buf_adds(&deep, "{\"all\":[");
	cr_assert_eq(residue_decide(buf_slice(&deep), NULL, 0, &out, &because, &e), -1);
	buf_clear(&deep);
	buf_adds(&deep, "{\"when\":{\"paths\":");
	for (int i = 0; i < 1000; i++)
		buf_adds(&deep, "{\"l\":[");
	buf_adds(&deep, "1");
	for (int i = 0; i < 1000; i++)
		buf_adds(&deep, "]}");
	buf_adds(&deep, "}}");
	cr_assert_eq(residue_decide(buf_slice(&deep), NULL, 0, &out, &because, &e), -1);
	no_leaks();
}
