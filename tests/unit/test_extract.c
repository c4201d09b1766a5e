/* extract: values out of a payload, against jansson and by itself. */
#include <criterion/criterion.h>

#include "../fuzz/extract_oracle.h"
#include "base/buf.h"
#include "no_leaks.h"
#include "rules/nearest.h"

/* ---- helpers ---- */

static struct values *pass(const char *path, const char *json)
{
	struct paths *p = paths_new();
	struct values *v = NULL;
	struct err e = { 0 };

	cr_assert_geq(paths_add(p, slice_of(path), &e), 0, "%s", e.msg);
	cr_assert_eq(extract(p, slice_of(json), &v, &e), 0, "%s", e.msg);
	paths_free(p);
	return v;
}

/* What PATH finds in JSON, comma separated. */
static char *found(const char *path, const char *json)
{
	struct values *v = pass(path, json);
	struct buf out = BUF(4096);
	size_t n;
	const struct value *list = values_get(v, 0, &n);

	for (size_t i = 0; i < n; i++) {
		buf_adds(&out, i ? "," : "");
		buf_add(&out, list[i].text);
	}
	values_free(v);
	buf_addc(&out, '\0');
	return buf_take(&out);
}

#define finds(path, json, want) do { \
	char *got_ = found(path, json); \
	cr_assert_str_eq(got_, want, "%s in %s: got %s", path, json, got_); \
	free(got_); \
} while (0)

static void agrees(struct slice json)
{
	const char *wrong = oracle_check(json);
	cr_assert_null(wrong, "%s in " SLICE_FMT, wrong, SLICE_ARG(json));
}

/* ---- paths ---- */

Test(extract, the_same_path_has_the_same_index)
{
	struct paths *p = paths_new();
	struct err e;
	cr_assert_eq(paths_add(p, SLICE("a.b[0].c"), &e), 0);
	cr_assert_eq(paths_add(p, SLICE("a.b[].c"), &e), 1);
	cr_assert_eq(paths_add(p, SLICE("a[\"b\"][0][\"c\"]"), &e), 0);
	cr_assert_eq(paths_count(p), 2);
	cr_assert(slice_eq(paths_text(p, 1), SLICE("a.b[].c")));
	paths_free(p);
	no_leaks();
}

Test(extract, a_path_in_error_is_refused_and_leaves_no_trace)
{
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[-1]", "a[1", "a[\"x", "a[\"x\"", "a]", "a[0]b",
		"a[99999999999]", "a\nb", "a\"b" };
	struct paths *p = paths_new();
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };
		cr_assert_eq(paths_add(p, slice_of(bad[i]), &e), -1, "%s", bad[i]);
		cr_assert_eq(e.kind, ERR_INPUT);
	}
	struct err e;
	char deep[2 * 70];
	for (size_t i = 0; i < sizeof deep; i++)
		deep[i] = i % 2 ? '.' : 'a';
	cr_assert_eq(paths_add(p, (struct slice){ deep, sizeof deep - 1 }, &e), -1);
	cr_assert_eq(paths_count(p), 0);
	paths_free(p);
	no_leaks();
}

/* ---- values ---- */

Test(extract, finds_members_elements_and_any_element)
{
	static const char doc[] = "{\"a\":{\"b\":\"x\",\"l\":[{\"n\":1},{\"n\":2},3,{\"m\":4},{\"n\":[5]}]},\"x.y\":true,\"n\":null}";
	finds("a.b", doc, "x");
	finds("a.l[0].n", doc, "1");
	finds("a.l[2]", doc, "3");
	finds("a.l[].n", doc, "1,2,[5]");
	finds("a.l[].n[]", doc, "5");
	finds("[\"x.y\"]", doc, "true");
	finds("n", doc, "null");
	finds("a.l[9]", doc, "");
	finds("a.b.c", doc, "");
	finds("[].a", "[{\"a\":1},{\"a\":2}]", "1,2");
	no_leaks();
}

Test(extract, tells_kinds_and_numbers)
{
	struct values *v = pass("[]", "[\"s\",-7,9223372036854775807,1.5e3,true,false,null,{},[ ]]");
	static const enum value_kind kinds[] = { VALUE_STRING, VALUE_INTEGER, VALUE_INTEGER, VALUE_REAL, VALUE_TRUE, VALUE_FALSE,
		VALUE_NULL, VALUE_OBJECT, VALUE_ARRAY };
	size_t n;
	const struct value *list = values_get(v, 0, &n);
	cr_assert_eq(n, COUNT(kinds));
	for (size_t i = 0; i < n; i++)
		cr_assert_eq(list[i].kind, kinds[i]);
	cr_assert_eq(list[1].integer, -7);
	cr_assert_eq(list[2].integer, INT64_MAX);
	cr_assert_float_eq(list[3].real, 1500.0, 0);
	cr_assert(slice_eq(list[8].text, SLICE("[ ]")));
	values_free(v);
	no_leaks();
}

Test(extract, decodes_escapes_in_values_and_keys)
{
	finds("a", "{\"a\":\"\\u00e9\\n\\\"\\ud83d\\ude00\\/\"}", "\xc3\xa9\n\"\xf0\x9f\x98\x80/");
	finds("ref", "{\"\\u0072ef\":1}", "1");
	no_leaks();
}

Test(extract, the_last_of_repeated_keys_wins_with_all_that_is_below)
{
	finds("a", "{\"a\":1,\"b\":0,\"a\":2}", "2");
	finds("a.b", "{\"a\":{\"b\":1},\"a\":{\"c\":2}}", "");
	finds("a.b", "{\"a\":{\"b\":1},\"a\":7}", "");
	finds("a[].b", "{\"a\":[{\"b\":1},{\"b\":2}],\"z\":1,\"a\":[{\"b\":3,\"b\":4}]}", "4");
	finds("a[0].b", "{\"a\":[{\"b\":1}],\"a\":[]}", "");
	finds("a[].b[]", "{\"a\":[{\"b\":[1,2],\"c\":0,\"b\":[3]},{\"b\":[4]}]}", "3,4");
	finds("a[]", "{\"a\":[1,2],\"\\u0061\":[3]}", "3");
	no_leaks();
}

Test(extract, refuses_what_is_not_strictly_json)
{
	static const char *const bad[] = {
		"", " ", "1", "\"a\"", "null", "{", "[", "{]", "[}", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{1:2}",
		"{\"a\" 1}", "[01]", "[-]", "[1.]", "[.5]", "[1e]", "[1e+]", "[+1]", "[1e400]", "[-1e400]", "[9223372036854775808]",
		"[-9223372036854775809]", "[tru]", "[truex]", "[nul]", "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u0000\"]", "{\"\\u0000\":1}",
		"[\"\\ud800\"]", "[\"\\ud800\\u0041\"]", "[\"\\udc00\"]", "[\"\n\"]", "[\"\x80\"]", "[\"\xc0\xaf\"]", "[\"\xed\xa0\x80\"]",
		"[\"\xf4\x90\x80\x80\"]", "[\"\xe2\x82\"]", "[\"\xc3", "[1]x", "[1] [2]", "{}}", "\xef\xbb\xbf[]", "[\"a]", "[NaN]", "['a']", "[/**/]",
	};
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct paths *p = paths_new();
		struct values *v = NULL;
		struct err e = { 0 };
		cr_assert_eq(extract(p, slice_of(bad[i]), &v, &e), -1, "%s", bad[i]);
		cr_assert_eq(e.kind, ERR_INPUT);
		cr_assert_null(v);
		agrees(slice_of(bad[i]));
		paths_free(p);
	}
	agrees((struct slice){ "[1]\0", 4 });
	agrees((struct slice){ "[1\0]", 4 });
	agrees((struct slice){ "[true\0]", 7 });
	agrees((struct slice){ "[\"a\0b\"]", 7 });
	no_leaks();
}

Test(extract, depth_is_bounded_whether_or_not_a_path_goes_there)
{
	static const char *const paths[] = { "z", "a", "[]", "[0][0][0][0][0].a" };
	char text[2 * 65];
	for (size_t i = 0; i < COUNT(paths); i++)
		for (size_t depth = 64; depth <= 65; depth++) {
			struct paths *p = paths_new();
			struct values *v = NULL;
			struct err e;
			memset(text, '[', depth);
			memset(text + depth, ']', depth);
			cr_assert_geq(paths_add(p, slice_of(paths[i]), &e), 0);
			cr_assert_eq(extract(p, (struct slice){ text, 2 * depth }, &v, &e), depth > 64 ? -1 : 0);
			cr_assert(depth == 64 || e.kind == ERR_LIMIT);
			values_free(v);
			paths_free(p);
		}
	no_leaks();
}

Test(extract, a_list_beyond_the_bound_is_cut_and_says_so_and_single_values_are_kept)
{
	struct buf text = BUF(1 << 20);
	struct paths *p = paths_new();
	struct values *v;
	struct err e;
	size_t n;

	buf_adds(&text, "{\"l\":[0");
	for (int i = 0; i < EXTRACT_MAX_VALUES; i++)
		buf_adds(&text, ",1");
	buf_adds(&text, "],\"after\":\"kept\"}");
	paths_add(p, SLICE("l[]"), &e);
	paths_add(p, SLICE("after"), &e);
	cr_assert_eq(extract(p, buf_slice(&text), &v, &e), 0);
	values_get(v, 0, &n);
	cr_assert_eq(n, EXTRACT_MAX_VALUES);
	cr_assert(values_is_truncated(v));
	cr_assert(slice_eq(values_get(v, 1, &n)->text, SLICE("kept")));
	values_free(v);
	paths_free(p);
	buf_fini(&text);
	no_leaks();
}

/* ---- against jansson ---- */

struct dice { uint64_t state; };

static unsigned roll(struct dice *d, unsigned sides)
{
	d->state = d->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(d->state >> 33) % sides;
}

static void add_one(struct dice *d, struct buf *b, const char *const *of, unsigned n)
{
	buf_adds(b, of[roll(d, n)]);
}

static void add_space(struct dice *d, struct buf *b)
{
	static const char *const spaces[] = { "", "", "", "", "", " ", "\n\t", "\r\n   " };
	add_one(d, b, spaces, COUNT(spaces));
}

static void add_document(struct dice *d, struct buf *b, int depth)
{
	static const char *const keys[] = { "\"a\"", "\"b\"", "\"c\"", "\"a\"", "\"b\"", "\"d\"", "\"x.y\"", "\"\\u0061\"", "\"\\u00e9\"",
		"\"\xc3\xa9\"", "\"\"", "\"ref\"", "\"a long key that nobody asked for\"" };
	static const char *const scalars[] = { "0", "-0", "-1", "17", "9223372036854775807", "-9223372036854775808", "1.5", "-0.0", "1e5",
		"1E-400", "123456789012345678901234567890.5", "true", "false", "null", "\"\"", "\"plain\"", "\"\\ud83d\\ude00\\t\"",
		"\"a text of more than sixteen bytes with \xe2\x82\xac and \\\"quotes\\\" in it\"", "\"refs/heads/main\"" };
	int is_object = depth == 0 ? roll(d, 4) > 0 : (int)roll(d, 2);

	if (depth > 0 && (depth > 5 || roll(d, 3) == 0)) {
		add_one(d, b, scalars, COUNT(scalars));
		return;
	}
	buf_addc(b, is_object ? '{' : '[');
	for (unsigned i = 0, n = roll(d, 5); i < n; i++) {
		buf_adds(b, i ? "," : "");
		add_space(d, b);
		if (is_object) {
			add_one(d, b, keys, COUNT(keys));
			add_space(d, b);
			buf_addc(b, ':');
			add_space(d, b);
		}
		add_document(d, b, depth + 1);
		add_space(d, b);
	}
	buf_addc(b, is_object ? '}' : ']');
}

static void mutate(struct dice *d, struct buf *b)
{
	static const char bytes[] = "{}[]\",:\\u0e.-+ \n\x80\xc3\xed\xff\x01" "atn9";
	for (unsigned i = 0, n = 1 + roll(d, 3); i < n && b->len; i++) {
		char *at = b->ptr + roll(d, (unsigned)b->len);
		switch (roll(d, 4)) {
		case 0:
			*at = (char)roll(d, 256);
			break;
		case 1:
			b->len = (size_t)(at - b->ptr);
			break;
		default:
			*at = bytes[roll(d, sizeof bytes - 1)];
		}
	}
}

Test(extract, agrees_with_jansson_on_random_texts_whole_and_damaged)
{
	struct dice d = { 20240607 };
	struct buf b = BUF(1 << 20);
	int accepted = 0;

	for (int i = 0; i < 20000; i++) {
		buf_clear(&b);
		add_space(&d, &b);
		add_document(&d, &b, 0);
		add_space(&d, &b);
		if (i % 2)
			mutate(&d, &b);
		json_t *j = json_loadb(b.len ? b.ptr : "", b.len, 0, NULL);
		accepted += j != NULL;
		json_decref(j);
		agrees(buf_slice(&b));
	}
	cr_assert(accepted > 10000 && accepted < 19000, "%d of the texts were good: the test tests little", accepted);
	buf_fini(&b);
	no_leaks();
}

Test(extract, a_damaged_byte_is_found_wherever_it_stands_in_a_string)
{
	char text[] = "[\"0123456789abcdef0123456789abcdef0123456789\"]";
	for (size_t i = 0; i < sizeof text - 1; i++) {
		char was = text[i];
		text[i] = '\x1f';
		agrees((struct slice){ text, sizeof text - 1 });
		text[i] = '\xc3';
		agrees((struct slice){ text, sizeof text - 1 });
		text[i] = was;
	}
	no_leaks();
}

/* ---- nearest ---- */

Test(extract, nearest_says_what_stands_where_a_path_goes_astray)
{
	static const char doc[] = "{\"repository\":{\"full_name\":\"a\",\"id\":1,\"x.y\":{\"z\":1}},\"labels\":[{\"name\":\"a\"},{\"n\":2}],"
		"\"ref\":\"x\",\"empty\":{},\"none\":[],\"caf\u00e9\":{\"a\\u0007b\":1},\"m\":[[1,2]]}";
	static const struct { const char *path, *says; } t[] = {
		{ "repository.fullname", "; did you mean repository.full_name?" },
		{ "repositry.full_name", "; did you mean repository.full_name?" },
		{ "repositry.nothing", "; did you mean repository?" },
		{ "repository.zebra", "; nearest: repository.full_name, repository.id, repository[\"x.y\"]" },
		{ "repository[\"x.z\"].z", "; did you mean repository[\"x.y\"].z?" },
		{ "zebra", "; nearest: repository, labels, ref, empty, none, \"[\\\"caf\u00e9\\\"]\", …" },
		{ "labels.name", "; labels is a list of 2 elements: did you mean labels[].name?" },
		{ "labels.zebra", "; labels is a list of 2 elements" },
		{ "labels[2].name", "; labels is a list of 2 elements" },
		{ "labels[].nam", "; did you mean labels[].name?" },
		{ "labels[1].name", "; nearest: labels[1].n" },
		{ "none[0]", "; none is a list of 0 elements" },
		{ "ref.name", "; ref is no object and no list" },
		{ "ref[]", "; ref is no object and no list" },
		{ "empty.a", "" }, { "ref", "" }, { "repository[0]", "; nearest: repository.full_name, repository.id, repository[\"x.y\"]" },
		{ "m[0][7]", "; m[0] is a list of 2 elements" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct buf out = BUF(1000);
		nearest_path(slice_of(doc), slice_of(t[i].path), &out);
		cr_assert_str_eq(buf_cstr(&out), t[i].says, "%s: %s", t[i].path, buf_cstr(&out));
		buf_fini(&out);
	}
	no_leaks();
}

Test(extract, nearest_survives_what_is_no_document_and_what_has_many_names)
{
	struct buf out = BUF(1 << 20), doc = BUF(1 << 20);

	nearest_path(SLICE("not json"), SLICE("a.b"), &out);
	nearest_name(SLICE_NULL, SLICE("a"), &out);
	nearest_name(SLICE("{\"a\":"), SLICE("a"), &out);
	buf_clear(&out);
	nearest_name(SLICE("{\"x-github-event\":\"push\",\"host\":\"h\"}"), SLICE("x-github-evnt"), &out);
	cr_assert_str_eq(buf_cstr(&out), "; did you mean x-github-event?");
	for (int i = 0; i < 5000; i++)
		buf_addf(&doc, "%s\"key-%d\":%d", i ? "," : "{", i, i);
	buf_addc(&doc, '}');
	buf_clear(&out);
	nearest_path(buf_slice(&doc), SLICE("zebra"), &out);
	cr_assert_str_eq(buf_cstr(&out), "; nearest: key-0, key-1, key-2, key-3, key-4, key-5, …");
	buf_fini(&out);
	buf_fini(&doc);
	no_leaks();
}
