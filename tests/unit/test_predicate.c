/* predicate: one test of one name, against what a delivery may hold under it. */
#include <criterion/criterion.h>

#include "bundle.h"
#include "no_leaks.h"
#include "rules/arena.h"
#include "rules/predicate.h"

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
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert_eq(ask(t[i].test, t[i].yes), TRUTH_YES, "%s should take %s", t[i].test, t[i].yes);
		cr_assert_eq(ask(t[i].test, t[i].no), TRUTH_NO, "%s should not take %s", t[i].test, t[i].no);
		cr_assert_eq(ask(t[i].test, "unknown"), TRUTH_UNKNOWN, "%s", t[i].test);
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
	cr_assert_eq(begin(&x, "{'ne':'a'}"), 0);
	cr_assert_eq(predicate_test(&x.p, &f), TRUTH_NO);
	end(&x);
	no_leaks();
}

Test(predicate, nothing_exists_in_what_was_gathered_from_no_elements)
{
	struct finding f = { .presence = FOUND_VALUES, .is_list = 1, .is_gathered = 1 };
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
	static const char *const tests[] = { "'a'", "{'eq':'a'}", "['a']", "1", "1.0", "'1'", "true", "{'ne':'a'}", "{'except':'a'}", "null" };
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
