/* node, diag: the data of rule files, and how mistakes are told. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "no_leaks.h"
#include "rules/diag.h"
#include "rules/node.h"

static struct node_doc *parse(const char *json)
{
	struct node_doc *d = NULL;
	struct err e = { 0 };
	cr_assert_eq(node_doc_parse(slice_of(json), &d, &e), 0, "%s: %s", json, e.msg);
	return d;
}

static void refuse(const char *json, enum err_kind kind)
{
	struct node_doc *d = NULL;
	struct err e = { 0 };
	cr_assert_eq(node_doc_parse(slice_of(json), &d, &e), -1, "%s", json);
	cr_assert_eq(e.kind, kind, "%s", e.msg);
}

Test(node, knows_every_kind_of_value)
{
	static const struct { const char *json; enum node_kind kind; } t[] = {
		{ "\"x\"", NODE_STRING }, { "5", NODE_INTEGER }, { "5.0", NODE_NUMBER }, { "true", NODE_BOOL }, { "false", NODE_BOOL },
		{ "{\"null\":1}", NODE_NULL }, { "{\"secret\":\"a\"}", NODE_SECRET }, { "{\"fn\":1}", NODE_FUNCTION },
		{ "{}", NODE_TABLE }, { "{\"l\":[1]}", NODE_TABLE },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct node_doc *d = parse(t[i].json);
		cr_assert_eq(node_doc_root(d)->kind, t[i].kind, "%s", t[i].json);
		node_doc_free(d);
	}
	no_leaks();
}

Test(node, finds_members_and_keeps_lists_in_order)
{
	struct node_doc *d = parse("{\"l\":[\"a\",{\"m\":{\"z\":1,\"b\":2}},9007199254740993],\"m\":{\"k\":\"v\"}}");
	const struct node *root = node_doc_root(d);

	cr_assert_eq(root->n_items, 3);
	cr_assert(slice_eq(root->items[0]->text, SLICE("a")));
	cr_assert_eq(node_get(root->items[1], "b")->integer, 2);
	cr_assert_eq(root->items[2]->integer, 9007199254740993);
	cr_assert(slice_eq(node_get(root, "k")->text, SLICE("v")));
	cr_assert_null(node_get(root, "z"));
	cr_assert_null(node_get(root->items[0], "z"), "a string has no members");
	cr_assert_null(node_get(NULL, "z"));
	node_doc_free(d);
	no_leaks();
}

Test(node, gives_what_has_no_place_that_of_what_is_around_it)
{
	struct node_doc *d = parse("{\"at\":[3,1],\"l\":[\"a\",\"b\"],\"lat\":[[4,2]],"
				   "\"m\":{\"k\":{\"m\":{\"deep\":true}},\"v\":5,\"t\":{\"at\":[9,9]}},\"mat\":{\"k\":[5,3],\"v\":[6,3,6,7],\"t\":[7,1]}}");
	const struct node *root = node_doc_root(d);

	cr_assert_eq(root->items[0]->line, 4);
	cr_assert_eq(root->items[1]->line, 3, "not known: that of the table");
	cr_assert_eq(node_get(node_get(root, "k"), "deep")->line, 5);
	cr_assert_eq(node_get(root, "v")->col, 7, "of the value");
	cr_assert_eq(root->members[2].col, 3, "of the key");
	cr_assert_eq(node_get(root, "t")->line, 9);
	node_doc_free(d);
	no_leaks();
}

Test(node, refuses_what_eval_does_not_write)
{
	refuse("", ERR_INPUT);
	refuse("{", ERR_INPUT);
	refuse("null", ERR_INPUT);
	refuse("[1]", ERR_INPUT);
	refuse("{\"m\":{\"a\":[]}}", ERR_INPUT);
	refuse("{\"secret\":5}", ERR_INPUT);
	char deep[1000] = "";
	for (int i = 0; i < 70; i++)
		memcpy(deep + i * 6, "{\"l\":[", 6);
	memcpy(deep + 70 * 6, "1", 1);
	for (int i = 0; i < 70; i++)
		memcpy(deep + 70 * 6 + 1 + i * 2, "]}", 2);
	refuse(deep, ERR_LIMIT);
	no_leaks();
}

static void goes_round(const char *json, const char *want)
{
	CLEANUP(buf_fini) struct buf once = BUF(1 << 20), twice = BUF(1 << 20);
	struct node_doc *d = parse(json), *again;

	node_encode(node_doc_root(d), &once);
	cr_assert_str_eq(buf_cstr(&once), want, "%s", json);
	again = parse(buf_cstr(&once));
	cr_assert_eq(node_doc_root(d)->kind, node_doc_root(again)->kind, "%s", json);
	cr_assert_eq(node_doc_root(d)->integer, node_doc_root(again)->integer, "%s", json);
	cr_assert(node_doc_root(d)->number <= node_doc_root(again)->number && node_doc_root(d)->number >= node_doc_root(again)->number, "%s", json);
	node_encode(node_doc_root(again), &twice);
	cr_assert_str_eq(buf_cstr(&twice), want, "%s", json);
	node_doc_free(d);
	node_doc_free(again);
}

Test(node, is_written_as_it_is_read)
{
	static const char *const t[][2] = {
		{ "\"\"", NULL }, { "\"a\\\"\\\\\\n\\u0001 \\u0000 \\u007f é 😀\"", "\"a\\\"\\\\\\n\\u0001 \\u0000 \\u007f é 😀\"" },
		{ "0", NULL }, { "-9223372036854775808", NULL }, { "9223372036854775807", NULL }, { "9007199254740993", NULL },
		{ "5.0", NULL }, { "-0.0", NULL }, { "0.1", "0.10000000000000001" }, { "1e5", "100000.0" }, { "1e300", "1.0000000000000001e+300" },
		{ "2.2250738585072014e-308", NULL }, { "1.7976931348623157e+308", NULL },
		{ "true", NULL }, { "false", NULL }, { "{\"null\":1}", NULL }, { "{\"null\":1,\"bad\":1}", "{\"null\":1}" }, { "{\"fn\":1}", NULL },
		{ "{\"secret\":\"a \\\"b\"}", NULL }, { "{}", "{\"l\":[],\"m\":{}}" }, { "{\"l\":[]}", "{\"l\":[],\"m\":{}}" },
		{ "{\"l\":[1,\"a\",{\"m\":{\"z\":1,\"b\":{\"fn\":1}}}],\"m\":{\"k\":{\"l\":[true]}},\"at\":[3,1],\"lat\":[[4,2]],\"mat\":{\"k\":[5,3]}}",
		  "{\"l\":[1,\"a\",{\"l\":[],\"m\":{\"b\":{\"fn\":1},\"z\":1}}],\"m\":{\"k\":{\"l\":[true],\"m\":{}}}}" },
		{ "{\"m\":{\"\":1,\"a.b\":2,\"\\\"\":3}}", "{\"l\":[],\"m\":{\"\":1,\"\\\"\":3,\"a.b\":2}}" },
	};
	for (size_t i = 0; i < COUNT(t); i++)
		goes_round(t[i][0], t[i][1] ? t[i][1] : t[i][0]);
	no_leaks();
}

static void expect_print(const struct diags *d, const char *want)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	diags_print(d, &out, 0);
	cr_assert_str_eq(buf_cstr(&out), want);
}

Test(diag, prints_the_line_with_a_caret_under_the_word)
{
	struct diags d = { 0 };
	diags_add(&d, DIAG_ERROR, "rules/a.lua", 2, 2, 0, "E101", "unknown rule key '%s'", "timout");
	diags_show(&d, "rules/other.lua", SLICE("x\ny\n"));
	diags_show(&d, "rules/a.lua", SLICE("rule \"x\" {\n\ttimout = 5,\r\n}\n"));
	expect_print(&d, "rules/a.lua:2:2: error: unknown rule key 'timout' [E101]\n"
			 "    2 | \ttimout = 5,\n"
			 "      | \t^~~~~~\n");
	diags_fini(&d);
	no_leaks();
}

Test(diag, marks_quoted_text_whole_and_the_end_of_a_line_with_one_caret)
{
	struct diags d = { 0 };
	diags_add(&d, DIAG_WARNING, "f", 1, 1, 0, "", "w");
	diags_add(&d, DIAG_NOTE, "f", 1, 6, 0, "", "n");
	diags_add(&d, DIAG_ERROR, "f", 0, 0, 0, "", "no place");
	diags_add(&d, DIAG_ERROR, "f", 7, 1, 0, "", "no such line");
	diags_show(&d, "f", SLICE("\"a b\""));
	diags_sort(&d);
	expect_print(&d, "f: error: no place\n"
			 "f:1:1: warning: w\n    1 | \"a b\"\n      | ^~~~~\n"
			 "f:1:6: note: n\n    1 | \"a b\"\n      |      ^\n"
			 "f:7:1: error: no such line\n");
	cr_assert_eq(d.errors, 2);
	diags_fini(&d);
	no_leaks();
}

Test(diag, is_sorted_without_doubles_and_survives_json)
{
	struct diags d = { 0 }, back = { 0 };
	CLEANUP(buf_fini) struct buf json = BUF(BUF_UNLIMITED);

	diags_add(&d, DIAG_ERROR, "b", 1, 1, 0, "E1", "second");
	diags_add(&d, DIAG_ERROR, "a", 9, 2, 5, "E1", "with \"quotes\"");
	diags_add(&d, DIAG_ERROR, "b", 1, 1, 0, "E1", "second");
	diags_show(&d, "b", SLICE("text"));
	diags_sort(&d);
	cr_assert_eq(d.n, 2);
	cr_assert_eq(d.errors, 2);
	diags_json(&d, &json);
	cr_assert_eq(diags_parse_json(buf_slice(&json), &back), 0);
	cr_assert_eq(back.n, 2);
	cr_assert_eq(back.errors, 2);
	cr_assert_str_eq(back.list[0].text, "with \"quotes\"");
	cr_assert_eq(back.list[0].end_col, 5);
	cr_assert_str_eq(back.list[1].source_line, "text");
	cr_assert_eq(diags_parse_json(SLICE("{}"), &back), -1);
	diags_fini(&d);
	diags_fini(&back);
	no_leaks();
}

Test(diag, obeys_no_byte_of_what_it_quotes_and_cuts_what_is_long)
{
	struct diags d = { 0 }, back = { 0 };
	CLEANUP(buf_fini) struct buf json = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *name = xmalloc(4001);

	for (int i = 0; i < 4000; i += 2)
		memcpy(name + i, "é", 2);
	name[4000] = '\0';
	diags_add(&d, DIAG_ERROR, "a\n\033[1mb", 1, 1, 0, "", "x\r\033]0;y\007\xc2\x9b" "1m\x7fé\tz");
	diags_show(&d, "a  [1mb", SLICE("\033[2J \xc2\x9d é"));
	cr_assert_str_eq(d.list[0].source_line, " [2J    é");
	diags_add(&d, DIAG_ERROR, "b", 1, 1, 0, "", "%s", name);
	cr_assert_str_eq(d.list[0].file, "a  [1mb");
	cr_assert_str_eq(d.list[0].text, "x  ]0;y   1m é\tz");
	cr_assert(strlen(d.list[1].text) < 1000 && strlen(d.list[1].text) > 990);
	cr_assert_str_eq(d.list[1].text + strlen(d.list[1].text) - 5, "é…");
	cr_assert_eq(diags_parse_json(SLICE("[{\"severity\":\"error\",\"file\":\"a\\u001b\",\"text\":\"b\\u0007\",\"source_line\":\"c\\u009bd\"}]"), &back), 0);
	diags_json(&back, &json);
	cr_assert_str_eq(buf_cstr(&json), "[{\"severity\":\"error\",\"file\":\"a \",\"line\":0,\"col\":0,\"end_col\":0,\"code\":\"\",\"text\":\"b \",\"source_line\":\"c  d\"}]");
	diags_fini(&d);
	diags_fini(&back);
	no_leaks();
}

Test(diag, keeps_two_hundred_and_counts_all)
{
	struct diags d = { 0 };
	for (int i = 0; i < 300; i++)
		diags_add(&d, DIAG_ERROR, "f", i + 1, 1, 0, "", "%d", i);
	cr_assert_eq(d.n, 200);
	cr_assert_eq(d.errors, 300);
	diags_fini(&d);
	no_leaks();
}

Test(diag, suggests_the_word_that_was_meant)
{
	static const char *const words[] = { "branch", "base", "timeout", "on", "push", "pull_request", NULL };
	static const struct { const char *word, *want; } t[] = {
		{ "brnach", "branch" }, { "brunch", "branch" }, { "timout", "timeout" }, { "psuh", "push" }, { "om", "on" },
		{ "pullrequest", "pull_request" }, { "paths", NULL }, { "xy", NULL }, { "x", NULL }, { "", NULL }, { "bananas", NULL },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		const char *got = did_you_mean(slice_of(t[i].word), words);
		if (t[i].want)
			cr_assert_str_eq(got ? got : "nothing", t[i].want, "%s", t[i].word);
		else
			cr_assert_null(got, "%s: %s", t[i].word, got);
	}
}
