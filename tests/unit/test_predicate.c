/* predicate: one test of one name, against what a delivery may hold under it. */
#include <criterion/criterion.h>

#include "bundle.h"
#include "no_leaks.h"
#include "rules/arena.h"
#include "rules/glob.h"
#include "rules/operator.h"
#include "rules/place.h"
#include "rules/predicate.h"
#include "rules/regex.h"

struct fixture {
	struct arena *arena;
	struct node_doc *doc;
	struct predicate p;
	struct diags diags;
};

static int begin(struct fixture *f, const char *test)
{
	CLEANUP(freep) char *text = value_text(test);
	struct err e;

	*f = (struct fixture){ .arena = arena_new() };
	cr_assert_eq(node_doc_parse(slice_of(text), &f->doc, &e), 0, "%s", e.msg);
	return predicate_compile(node_doc_root(f->doc), "rules/x.lua", f->arena, &f->p, &f->diags);
}

static void end(struct fixture *f)
{
	predicate_fini(&f->p);
	node_doc_free(f->doc);
	arena_free(f->arena);
	diags_fini(&f->diags);
}

/* HELD is plain JSON: a list for a field that is one, "missing", "unknown". */
static size_t values_of(const char *held, json_t **doc, struct value out[8], struct finding *f)
{
	*doc = plain_json(held);
	*f = (struct finding){ .presence = FOUND_VALUES, .values = out, .is_list = json_is_array(*doc) };
	size_t n = f->is_list ? json_array_size(*doc) : 1;
	for (size_t i = 0; i < n; i++) {
		json_t *v = f->is_list ? json_array_get(*doc, i) : *doc;
		out[i] = (struct value){ .integer = json_integer_value(v), .real = json_real_value(v) };
		out[i].text = (struct slice){ json_string_value(v), json_string_length(v) };
		out[i].kind = json_is_string(v) ? VALUE_STRING : json_is_integer(v) ? VALUE_INTEGER : json_is_real(v) ? VALUE_REAL
			: json_is_true(v) ? VALUE_TRUE : json_is_false(v) ? VALUE_FALSE : json_is_null(v) ? VALUE_NULL : VALUE_OBJECT;
	}
	f->n = n;
	return n;
}

static enum truth ask(const char *test, const char *held)
{
	struct value v[8];
	struct finding found = { .presence = FOUND_NOTHING };
	struct fixture f;
	json_t *doc = NULL;

	cr_assert_eq(begin(&f, test), 0, "%s", test);
	if (strcmp(held, "unknown") == 0)
		found.presence = FOUND_UNKNOWN;
	else if (strcmp(held, "missing") != 0)
		values_of(held, &doc, v, &found);
	enum truth t = predicate_test(&f.p, &found);
	json_decref(doc);
	end(&f);
	return t;
}

Test(predicate, tests_mean_what_the_table_says)
{
	static const struct { const char *test, *yes, *no; } t[] = {
		{ "'main'", "'main'", "'dev'" },
		{ "'release/*'", "'release/1'", "'release/1/2'" },
		{ "['main','v*']", "'v2'", "'dev'" },
		{ "{'#':['v*'],'except':'v1'}", "'v2'", "'v1'" },
		{ "{'except':['v1','x*']}", "'main'", "'x9'" },
		{ "1", "1", "'1'" },
		{ "1", "1.0", "2" },
		{ "'1'", "'1'", "1" },
		{ "true", "true", "false" },
		{ "true", "true", "'true'" },
		{ "null", "null", "0" },
		{ "{'eq':'a*'}", "'a*'", "'ab'" },
		{ "{'eq':['a','b']}", "'b'", "'c'" },
		{ "{'ne':'a'}", "'b'", "'a'" },
		{ "{'ne':['a','b']}", "'c'", "'b'" },
		{ "{'ne':1}", "'1'", "1" },
		{ "{'has':'[skip ci]'}", "'fix [skip ci] now'", "'fix'" },
		{ "{'ge':10,'lt':20}", "10", "20" },
		{ "{'gt':10}", "10.5", "10" },
		{ "{'le':10}", "10", "11" },
		{ "{'gt':10}", "11", "'11'" },
		{ "{'ge':'2026-01-01'}", "'2026-02-01'", "'2025-12-31'" },
		{ "{'lt':9007199254740993}", "9007199254740992", "9007199254740993" },
		{ "{'exists':true}", "null", "missing" },
		{ "{'exists':false}", "missing", "''" },
		{ "{'exists':true,'ne':'a'}", "'b'", "'a'" },
		{ "'bug'", "['ci','bug']", "['ci']" },
		{ "'bug'", "['bug']", "[]" },
		{ "{'ne':'wip'}", "['bug','ci']", "['bug','wip']" },
		{ "{'ne':'wip'}", "[]", "missing" },
		{ "{'exists':true}", "[]", "missing" },
		{ "{'#':['docs/**'],'except':'docs/drafts/**'}", "['src/a','docs/a']", "['src/a','docs/drafts/b']" },
		{ "{'except':'docs/**'}", "['docs/a','src/a']", "['docs/a']" },
		{ "{'except':'main'}", "'dev'", "missing" },
		{ "'*'", "''", "missing" },
		{ "{'starts':'release/'}", "'release/1/2'", "'my/release/1'" },
		{ "{'starts':['a','b*']}", "'b*c'", "'bc'" },
		{ "{'starts':''}", "''", "1" },
		{ "{'ends':'.md'}", "'a.md'", "'a.mdx'" },
		{ "{'ends':['.md','.txt']}", "'x.txt'", "'md'" },
		{ "{'starts':'a','ends':'b'}", "'ab'", "'abc'" },
		{ "{'re':'b+c'}", "'abbbcd'", "'abbb'" },
		{ "{'re':'^v[0-9]+$'}", "'v12'", "'v12\\n'" },
		{ "{'re':['^a','z$']}", "'xyz'", "'xa'" },
		{ "{'re':'1'}", "'1'", "1" },
		{ "{'re':'^.$'}", "'\u00e9'", "'ab'" },
		{ "{'re':'(?i)^ÄB'}", "'äb'", "'ab'" },
		{ "{'re':'^(a)(b)\\\\2$'}", "'abb'", "'aba'" },
		{ "{'icase':'Acme/*'}", "'aCME/Site'", "'acme/a/b'" },
		{ "{'icase':['MAIN','v?']}", "'Main'", "'vx1'" },
		{ "{'icase':'x'}", "'X'", "1" },
		{ "{'cidr':'10.0.0.0/8'}", "'10.255.0.1'", "'11.0.0.1'" },
		{ "{'cidr':'10.0.0.0/8'}", "'::ffff:10.1.2.3'", "'::10.1.2.3'" },
		{ "{'cidr':['192.168.1.7','2001:db8::/32']}", "'2001:db8:1::1'", "'192.168.1.8'" },
		{ "{'cidr':'192.168.1.7'}", "'192.168.1.7'", "'192.168.1.7 '" },
		{ "{'cidr':'::ffff:10.0.0.0/104'}", "'10.9.9.9'", "'11.0.0.0'" },
		{ "{'cidr':'0.0.0.0/0'}", "'255.255.255.255'", "'::1'" },
		{ "{'cidr':'::/0'}", "'fe80::1'", "'1.2.3.4'" },
		{ "{'cidr':'10.0.0.0/31'}", "'10.0.0.1'", "'10.0.0.2'" },
		{ "{'cidr':'2001:db8::8000/113'}", "'2001:db8::ffff'", "'2001:db8::7fff'" },
		{ "{'cidr':'10.0.0.0/8'}", "'10.0.0.1'", "167772161" },
		{ "{'cidr':'10.0.0.0/8'}", "'10.0.0.1'", "'10.0.0.01'" },
		{ "{'some':'a*'}", "['b','ab']", "['b']" },
		{ "{'some':{'starts':'area/'}}", "['bug','area/x']", "[]" },
		{ "{'some':'a'}", "['a']", "'a'" },
		{ "{'some':{'ne':'a'}}", "['a','b']", "['a','a']" },
		{ "{'every':{'starts':'a'}}", "['a','ab']", "['a','b']" },
		{ "{'every':['a','b']}", "['a','b','a']", "[]" },
		{ "{'every':{'except':'x'}}", "['a','b']", "['a','x']" },
		{ "{'every':{'ge':1,'lt':5}}", "[1,4]", "[1,5]" },
		{ "{'ge':10,'lt':20}", "[5,15]", "[5,25]" },
		{ "{'ge':10,'ne':11}", "[9,12]", "[12,11]" },
		{ "{'some':'a','every':{'ne':'c'}}", "['a','b']", "['a','c']" },
		{ "9223372036854775807", "9223372036854775807", "9223372036854775806" },
		{ "-9223372036854775808", "-9223372036854775808", "-9223372036854775807" },
		{ "{'gt':9223372036854775806}", "9223372036854775807", "9223372036854775806" },
		{ "{'ge':-9223372036854775808}", "-9223372036854775808", "-9.3e18" },
		{ "{'lt':9223372036854775807}", "9223372036854775806", "9223372036854775808.0" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert_eq(ask(t[i].test, t[i].yes), TRUTH_YES, "%s should take %s", t[i].test, t[i].yes);
		cr_assert_eq(ask(t[i].test, t[i].no), TRUTH_NO, "%s should not take %s", t[i].test, t[i].no);
		cr_assert_eq(ask(t[i].test, "unknown"), TRUTH_UNKNOWN, "%s", t[i].test);
	}
	no_leaks();
}

/* ELEMENTS is the JSON of a list of objects; their texts are kept as they are. */
static enum truth ask_objects(const char *test, const char *elements)
{
	struct paths *paths = paths_new();
	struct values *values;
	struct finding found = { .presence = FOUND_VALUES, .is_list = 1 };
	struct fixture f;
	json_t *doc = plain_json(elements);
	char *json = json_dumps(doc, JSON_COMPACT);
	struct err e;

	cr_assert_eq(begin(&f, test), 0, "%s: %s", test, f.diags.n ? f.diags.list[0].text : "");
	int at = paths_add(paths, SLICE("[]"), &e);
	cr_assert_eq(extract(paths, slice_of(json), &values, &e), 0);
	found.values = values_get(values, at, &found.n);
	enum truth t = predicate_test(&f.p, &found);
	values_free(values);
	paths_free(paths);
	free(json);
	json_decref(doc);
	end(&f);
	return t;
}

Test(predicate, tests_of_elements_bind_what_belongs_to_one_element)
{
	static const struct { const char *test, *yes, *no; } t[] = {
		{ "{'some':{'name':'ci','color':'red'}}", "[{'name':'x','color':'red'},{'name':'ci','color':'red'}]",
		  "[{'name':'ci','color':'blue'},{'name':'x','color':'red'}]" },
		{ "{'every':{'state':['ok','skipped']}}", "[{'state':'ok'},{'state':'skipped'}]", "[{'state':'ok'},{'state':'bad'}]" },
		{ "{'every':{'state':'ok'}}", "[{'state':'ok'}]", "[{'state':'ok'},{}]" },
		{ "{'every':{'state':'ok'}}", "[{'state':'ok'}]", "[]" },
		{ "{'some':{'a.b':1,'t[0]':'x'}}", "[{'a':{'b':1},'t':['x']}]", "[{'a':{'b':1},'t':['y','x']}]" },
		{ "{'some':{'tags':'x'}}", "[{'tags':['y','x']}]", "[{'tags':['y']},{'tags':'y'}]" },
		{ "{'some':{'tags[].n':2}}", "[{'tags':[{'n':1},{'n':2}]}]", "[{'tags':[{'n':1}]}]" },
		{ "{'some':{'checks':{'every':{'ok':true}}}}", "[{'checks':[{'ok':false}]},{'checks':[{'ok':true},{'ok':true}]}]",
		  "[{'checks':[{'ok':true},{'ok':false}]},{'checks':[]},{'checks':true}]" },
		{ "{'some':{'any':[{'a':1},{'b':2}],'none':[{'c':3}]}}", "[{'b':2}]", "[{'a':1,'c':3},{'x':1}]" },
		{ "{'some':{'gone':{'exists':false}}}", "[{'gone':1},{}]", "[{'gone':null}]" },
		{ "{'some':{'[\\'has\\']':1}}", "[{'has':1}]", "[{'has':2}]" },
		{ "{'some':'a'}", "[['b','a']]", "[['b'],{'a':'a'}]" },
		{ "{'some':{'[1]':'a'}}", "[['b','a']]", "[['a','b']]" },
		{ "{'some':{'every':'a'}}", "[['b','a'],['a','a']]", "[['b','a']]" },
		{ "{'every':{'n':{'ge':1,'lt':3}}}", "[{'n':1},{'n':2.5}]", "[{'n':3}]" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert_eq(ask_objects(t[i].test, t[i].yes), TRUTH_YES, "%s should take %s", t[i].test, t[i].yes);
		cr_assert_eq(ask_objects(t[i].test, t[i].no), TRUTH_NO, "%s should not take %s", t[i].test, t[i].no);
	}
	no_leaks();
}

/* ---- bounds ---- */

/* TEST with N bytes of C in the place of its %s: whether it compiles. */
static int compiles_with(const char *test, char c, size_t n)
{
	CLEANUP(freep) char *run = xcalloc(n + 1, 1);
	memset(run, c, n);
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	const char *hole = strstr(test, "%s");
	struct fixture f;

	buf_add(&text, (struct slice){ test, (size_t)(hole - test) });
	buf_adds(&text, run);
	buf_adds(&text, hole + 2);
	int made = begin(&f, buf_cstr(&text));
	end(&f);
	return made == 0;
}

Test(predicate, patterns_have_their_bounds)
{
	cr_assert(compiles_with("'%s*'", 'a', GLOB_MAX_BYTES - 1) && !compiles_with("'%s*'", 'a', GLOB_MAX_BYTES));
	cr_assert(compiles_with("{'icase':'%s*'}", 'a', GLOB_MAX_BYTES - 1) && !compiles_with("{'icase':'%s*'}", 'a', GLOB_MAX_BYTES));
	cr_assert(compiles_with("{'re':'%s'}", 'a', REGEX_MAX_BYTES) && !compiles_with("{'re':'%s'}", 'a', REGEX_MAX_BYTES + 1));
	cr_assert(compiles_with("{'some':{'%s':1}}", 'p', PLACE_MAX_BYTES) && !compiles_with("{'some':{'%s':1}}", 'p', PLACE_MAX_BYTES + 1));
	no_leaks();
}

Test(predicate, lists_have_their_bound)
{
	for (size_t over = 0; over < 2; over++) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		struct fixture f;
		for (size_t i = 0; i < OPERANDS_MAX + over; i++)
			buf_addf(&text, "%s%zu", i ? "," : "[", i);
		buf_addc(&text, ']');
		cr_assert_eq(begin(&f, buf_cstr(&text)), over ? -1 : 0);
		end(&f);
	}
	no_leaks();
}

Test(predicate, tests_within_tests_have_their_bound)
{
	for (int n = TESTS_MAX_DEPTH; n <= TESTS_MAX_DEPTH + 1; n++) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		struct fixture f;
		for (int i = 0; i < n; i++)
			buf_adds(&text, "{'some':");
		buf_adds(&text, "'x'");
		for (int i = 0; i < n; i++)
			buf_addc(&text, '}');
		cr_assert_eq(begin(&f, buf_cstr(&text)), n > TESTS_MAX_DEPTH ? -1 : 0);
		end(&f);
	}
	no_leaks();
}

Test(predicate, a_list_that_was_cut_is_never_a_no)
{
	struct value v = { .kind = VALUE_STRING, .text = SLICE("a") };
	struct finding f = { .presence = FOUND_VALUES, .values = &v, .n = 1, .is_list = 1, .is_cut = 1 };
	struct fixture x;

	cr_assert_eq(begin(&x, "'b'"), 0);
	cr_assert_eq(predicate_test(&x.p, &f), TRUTH_UNKNOWN);
	end(&x);
	cr_assert_eq(begin(&x, "{'ne':'b'}"), 0);
	cr_assert_eq(predicate_test(&x.p, &f), TRUTH_UNKNOWN);
	end(&x);
	static const struct { const char *test; enum truth truth; } t[] = {
		{ "{'ne':'a'}", TRUTH_NO }, { "{'some':'b'}", TRUTH_UNKNOWN }, { "{'some':'a'}", TRUTH_YES },
		{ "{'every':'a'}", TRUTH_UNKNOWN }, { "{'every':'b'}", TRUTH_NO }, { "{'starts':'b'}", TRUTH_UNKNOWN },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert_eq(begin(&x, t[i].test), 0);
		cr_assert_eq(predicate_test(&x.p, &f), t[i].truth, "%s", t[i].test);
		end(&x);
	}
	no_leaks();
}

Test(predicate, nothing_exists_in_what_was_gathered_from_no_elements)
{
	struct finding f = { .presence = FOUND_VALUES, .is_list = 1, .none_had_it = 1 };
	struct fixture x;

	cr_assert_eq(begin(&x, "{'exists':false}"), 0);
	cr_assert_eq(predicate_test(&x.p, &f), TRUTH_YES);
	end(&x);
}

Test(predicate, says_what_it_wants)
{
	static const struct { const char *test, *words; } t[] = {
		{ "'main'", "\"main\"" },
		{ "{'#':['main','v*'],'except':'v1'}", "\"main\" | \"v*\" except \"v1\"" },
		{ "{'except':'v1'}", "anything except \"v1\"" },
		{ "{'ge':10,'lt':20}", ">= 10 and < 20" },
		{ "{'ne':['a','b']}", "not \"a\" | \"b\"" },
		{ "{'has':'x'}", "containing \"x\"" },
		{ "{'exists':false}", "nothing" },
		{ "{'starts':'a','ends':['b','c']}", "ending in \"b\" | \"c\" and beginning with \"a\"" },
		{ "{'re':'^a'}", "matching \"^a\"" },
		{ "{'icase':'A*'}", "in any case \"A*\"" },
		{ "{'cidr':'10.0.0.0/8'}", "within \"10.0.0.0/8\"" },
		{ "{'some':{'name':'ci','n':{'ge':1}}}", "some { n: >= 1, name: \"ci\" }" },
		{ "{'every':['a','b']}", "every \"a\" | \"b\"" },
		{ "{'some':{'any':[{'a':1},{'b':2}],'none':[{'c':3}]}}", "some { any of { a: 1 } or { b: 2 }, none of { c: 3 } }" },
		{ "['a','b','c','d','e','f','g','h','i','j','k']",
		  "\"a\" | \"b\" | \"c\" | \"d\" | \"e\" | \"f\" | \"g\" | \"h\" | 3 more" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct buf b = BUF(4096);
		struct fixture f;
		cr_assert_eq(begin(&f, t[i].test), 0);
		predicate_want(&f.p, WORDS_PLAIN, &b);
		cr_assert_str_eq(buf_cstr(&b), t[i].words);
		buf_fini(&b);
		end(&f);
	}
	no_leaks();
}

Test(predicate, refuses_what_has_no_meaning)
{
	static const char *const bad[] = {
		"{'eq':{}}", "{'#':['a'],'ne':'b'}", "{'near':1}", "{'eq':{'$fn':1}}", "[['a']]", "{'exists':'yes'}", "{'except':{}}",
		"{'re':'('}", "{'re':''}", "{'re':1}", "{'cidr':'10.0.0/8'}", "{'cidr':'10.0.0.0/33'}", "{'cidr':'::/129'}", "{'cidr':'x'}",
		"{'cidr':''}", "{'icase':1}", "{'some':{}}", "{'some':{'a':1,'':2}}", "{'some':{'a..b':1}}", "{'every':[]}", "{'some':{'any':[{}],'x':1}}",
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct fixture f;
		cr_assert_eq(begin(&f, bad[i]), -1, "%s", bad[i]);
		cr_assert_eq(f.diags.errors, 1);
		end(&f);
	}
	no_leaks();
}

Test(predicate, the_same_test_has_the_same_key_and_another_another)
{
	static const char *const tests[] = { "'a'", "{'eq':'a'}", "['a']", "1", "1.0", "'1'", "true", "{'ne':'a'}", "{'except':'a'}", "null",
		"{'starts':'a'}", "{'ends':'a'}", "{'re':'a'}", "{'icase':'a'}", "{'has':'a'}", "{'some':'a'}", "{'every':'a'}", "{'some':{'p':'a'}}",
		"{'some':{'q':'a'}}", "{'some':{'p':{'some':'a'}}}", "{'some':{'any':[{'p':'a'}]}}", "{'some':{'none':[{'p':'a'}]}}",
		"{'starts':['a','b']}", "{'starts':'a,b'}", "{'cidr':'10.0.0.0/8'}", "{'cidr':'10.0.0.0/9'}" };
	for (size_t i = 0; i < COUNT(tests); i++)
		for (size_t k = 0; k < COUNT(tests); k++) {
			struct buf a = BUF(4096), b = BUF(4096);
			struct fixture x, y;
			cr_assert_eq(begin(&x, tests[i]) | begin(&y, tests[k]), 0);
			predicate_key(&x.p, &a);
			predicate_key(&y.p, &b);
			int same = i == k || (i + k == 2 && i * k == 0);         /* 'a' and ['a'] are one */
			cr_assert_eq(slice_eq(buf_slice(&a), buf_slice(&b)), same, "%s, %s", tests[i], tests[k]);
			buf_fini(&a);
			buf_fini(&b);
			end(&x);
			end(&y);
		}
	no_leaks();
}
