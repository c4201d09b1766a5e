/* extract: values out of a payload, against jansson and by itself. */
#include <criterion/criterion.h>
#include <malloc.h>

#include "../fuzz/extract_oracle.h"
#include "base/buf.h"
#include "base/map.h"
#include "counted.h"
#include "no_leaks.h"
#include "rules/jscan.h"
#include "rules/paths.h"
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

/* ---- work and memory, by what is asked for ---- */

/* PATTERN with I in place of its %d. */
static void put_numbered(struct buf *out, const char *pattern, int i)
{
	const char *number = strstr(pattern, "%d");

	buf_add(out, number ? (struct slice){ pattern, (size_t)(number - pattern) } : slice_of(pattern));
	if (!number)
		return;
	buf_addi(out, i);
	buf_adds(out, number + 2);
}

/* N paths PATTERN, with 0 to N - 1. */
static struct paths *many_paths(const char *pattern, int n)
{
	struct paths *p = paths_new();
	struct buf path = BUF(PATH_MAX_BYTES);
	struct err e;

	for (int i = 0; i < n; i++) {
		buf_clear(&path);
		put_numbered(&path, pattern, i);
		cr_assert_eq(paths_add(p, buf_slice(&path), &e), i, "%s", e.msg);
	}
	buf_fini(&path);
	return p;
}

struct cost { size_t work, peak_bytes, found; int is_truncated; };

static struct cost cost_of(struct paths *p, struct slice json)
{
	struct cost c = { 0 };
	struct values *v;
	struct err e;

	counted_begin();
	cr_assert_eq(extract(p, json, &v, &e), 0, "%s", e.msg);
	c.peak_bytes = counted_peak();
	c.work = values_work(v);
	c.is_truncated = values_is_truncated(v);
	values_found(v, &c.found);
	values_free(v);
	paths_free(p);
	return c;
}

/* BEFORE, EACH times N, AFTER. */
static void repeat(struct buf *out, const char *before, const char *each, int n, const char *after)
{
	struct slice plain = strstr(each, "%d") ? SLICE_NULL : slice_of(each);

	buf_clear(out);
	buf_adds(out, before);
	for (int i = 0; i < n; i++) {
		if (plain.ptr)
			buf_add(out, plain);
		else
			put_numbered(out, each, i);
	}
	buf_adds(out, after);
}

Test(extract, work_grows_with_what_the_text_has_and_not_with_the_paths_asked)
{
	static const char *const shapes[] = { "a.p%d", "p%d.q", "a[%d]", "l[].p%d", "l[%d].x", "a.p%d[]", "[\"p%d\"]" };
	struct slice json = SLICE("{\"a\":{\"p3\":1,\"p7\":[2]},\"l\":[{\"p1\":1,\"x\":0},{\"p1\":2}],\"p5\":{\"q\":1},\"z\":[1,2]}");

	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct cost few = cost_of(many_paths(shapes[i], 100), json), many = cost_of(many_paths(shapes[i], 50000), json);
		cr_assert_eq(few.work, many.work, "%s: %zu steps for 100 paths, %zu for 50,000", shapes[i], few.work, many.work);
		cr_assert_eq(few.peak_bytes, many.peak_bytes, "%s: %zu and %zu bytes", shapes[i], few.peak_bytes, many.peak_bytes);
		cr_assert_lt(few.work, 60);
	}
	no_leaks();
}

Test(extract, a_key_that_comes_again_takes_back_what_was_found_and_no_more)
{
	static const struct { const char *path, *before, *each, *after; size_t found; } t[] = {
		{ "a.p%d", "{\"a\":{\"p1\":1}", ",\"a\":{\"p2\":2}", "}", 1 },
		{ "a.p%d", "{\"a\":{\"p1\":1}", ",\"a\":{\"p%d\":2}", "}", 0 },
		{ "a.p%d", "{\"a\":{\"p1\":1", ",\"p1\":2", "}}", 1 },
		{ "a.p%d.q", "{\"a\":{\"p1\":{\"q\":1}", ",\"p1\":{}", "}}", 0 },
		{ "a.b.c.p%d", "{\"a\":{\"b\":{\"c\":{\"p1\":1}}}", ",\"a\":{\"b\":{\"c\":{\"p2\":1}}}", ",\"a\":0}", 0 },
		{ "a[].p%d", "{\"a\":[{\"p1\":1}]", ",\"a\":[{\"p1\":1},{\"p2\":1}]", "}", 2 },
		{ "a[].p%d", "{\"a\":[{\"p1\":1", ",\"p1\":1", "}]}", 1 },
		{ "a[].b[].p%d", "{\"a\":[{\"b\":[{\"p1\":1}]", ",\"z\":1,\"b\":[{\"p1\":1}]", "}]}", 1 },
		{ "a[%d]", "{\"a\":[1,2,3]", ",\"a\":[1]", "}", 1 },
	};
	enum { TIMES = 100000 };
	struct buf text = BUF(BUF_UNLIMITED);

	for (size_t i = 0; i < COUNT(t); i++) {
		repeat(&text, t[i].before, t[i].each, TIMES, t[i].after);
		struct cost c = cost_of(many_paths(t[i].path, 10000), buf_slice(&text));
		cr_assert_eq(c.found, t[i].found, "%s: %zu paths", t[i].each, c.found);
		cr_assert_lt(c.work, 12 * TIMES, "%s: %zu steps for %d keys", t[i].each, c.work, TIMES);
	}
	buf_fini(&text);
	no_leaks();
}

/* Each level repeats the key that holds all below: an entry is taken back once for each at most. */
Test(extract, keys_that_come_again_on_every_level_take_an_entry_back_once_for_each)
{
	enum { LEVELS = 60, ENTRIES = 10000 };
	struct paths *p = paths_new();
	struct buf text = BUF(BUF_UNLIMITED), path = BUF(PATH_MAX_BYTES), list = BUF(BUF_UNLIMITED);
	struct err e;

	for (int i = 0; i < LEVELS; i++)
		buf_adds(&path, "a.");
	buf_adds(&path, "l[]");
	cr_assert_eq(paths_add(p, buf_slice(&path), &e), 0);
	cr_assert_eq(paths_add(p, SLICE("z[]"), &e), 1);
	repeat(&list, "[0", ",1", ENTRIES - 1, "]");
	buf_adds(&text, "{\"z\":[0],");
	for (int i = 0; i < LEVELS; i++)
		buf_adds(&text, "\"a\":{");
	buf_addf(&text, "\"l\":%s", buf_cstr(&list));
	for (int i = 0; i < LEVELS; i++)
		buf_adds(&text, "},\"a\":{}");
	buf_addc(&text, '}');
	struct cost c = cost_of(p, buf_slice(&text));
	cr_assert_eq(c.found, 1);
	cr_assert_lt(c.work, (LEVELS + 4) * ENTRIES, "%zu steps", c.work);
	buf_fini(&text);
	buf_fini(&path);
	buf_fini(&list);
	no_leaks();
}

#define BODY (25 << 20)
#define ALONE (16 << 10)                /* what a pass takes that keeps next to nothing */
#define EACH 400                        /* of a path that was found */
#define LISTS (4 << 20)                 /* all that is kept below "[]" */

Test(extract, memory_is_bounded_by_what_is_asked_for_and_found, .timeout = 300)
{
	static const struct { const char *path; int n; const char *before, *each, *after; size_t most_bytes, found; int is_truncated; } t[] = {
		{ "a", 1, "{\"a\":\"", "0123456789", "\"}", ALONE, 1, 0 },                        /* one text */
		{ "a", 1, "{\"a\":\"", "\\n", "\"}", ALONE + BODY, 1, 0 },                     /* one text to be decoded */
		{ "[\"a\"]", 1, "{\"", "\\u0061", "\":1}", ALONE, 0, 0 },                          /* one key */
		{ "a", 1, "{\"a\":0.", "0123456789", "}", ALONE + BODY + 1, 1, 0 },                 /* one number */
		{ "z%d", 10000, "{\"a\":[0", ",1", "]}", ALONE, 0, 0 },                             /* none of many */
		{ "p%d", 10000, "{\"z\":0", ",\"p%d\":1", "}", ALONE + 10000 * EACH, 10000, 0 },    /* all of many */
		{ "a", 1, "{\"a\":0", ",\"a\":\"\\n\"", "}", ALONE, 1, 0 },                        /* one key again and again */
		{ "a[].b", 1, "{\"a\":[0", ",{\"b\":\"\\n\"}", "]}", LISTS, 1, 1 },                /* more elements than are kept */
		{ "a[].b%d", 100, "{\"a\":[0", ",{\"b1\":1,\"b2\":2}", "]}", LISTS, 2, 1 },
		{ "a[]", 1, "{\"a\":[0", ",\"\\n\"", "]}", LISTS, 1, 1 },
		{ "a[%d]", 10000, "{\"a\":[0", ",1", "]}", ALONE + 10000 * EACH, 10000, 0 },
		{ "[]", 1, "[0", ",[]", "]", LISTS, 1, 1 },
	};
	struct buf text = BUF(BUF_UNLIMITED);

	for (size_t i = 0; i < COUNT(t); i++) {
		repeat(&text, t[i].before, t[i].each, (int)(BODY / (strlen(t[i].each) + (strstr(t[i].each, "%d") ? 5 : 0))), t[i].after);
		struct cost c = cost_of(many_paths(t[i].path, t[i].n), buf_slice(&text));
		cr_expect_leq(c.peak_bytes, t[i].most_bytes, "%s in %s: %zu bytes", t[i].path, t[i].each, c.peak_bytes);
		cr_expect_eq(c.found, t[i].found, "%s in %s: %zu paths", t[i].path, t[i].each, c.found);
		cr_expect_eq(c.is_truncated, t[i].is_truncated, "%s in %s", t[i].path, t[i].each);
	}
	buf_fini(&text);
	no_leaks();
}

Test(extract, a_text_that_several_paths_lead_to_is_kept_once)
{
	struct paths *p = paths_new();
	struct buf text = BUF(BUF_UNLIMITED);
	struct values *v;
	struct err e;
	size_t n;

	cr_assert_eq(paths_add(p, SLICE("a[].b"), &e), 0);
	cr_assert_eq(paths_add(p, SLICE("a[0].b"), &e), 1);
	repeat(&text, "{\"a\":[{\"b\":\"", "\\n", 1000, "\"}]}");
	cr_assert_eq(extract(p, buf_slice(&text), &v, &e), 0);
	const struct value *any = values_get(v, 0, &n), *first = values_get(v, 1, &n);
	cr_assert_eq(any->text.len, 1000);
	cr_assert_eq(any->text.ptr, first->text.ptr);
	cr_assert(any->integer == 0 && first->integer == 0);
	values_free(v);
	paths_free(p);
	buf_fini(&text);
	no_leaks();
}

/* ---- bounds, and one past each ---- */

static int accepts(const char *path, struct slice json, struct err *e)
{
	struct paths *p = paths_new();
	struct values *v = NULL;

	cr_assert_geq(paths_add(p, slice_of(path), e), 0, "%s", e->msg);
	int took = extract(p, json, &v, e) == 0;
	values_free(v);
	paths_free(p);
	return took;
}

Test(extract, a_text_is_as_long_as_the_bound_and_no_longer)
{
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	repeat(&text, "[1", " ", EXTRACT_MAX_BYTES - 3, "]");
	cr_assert_eq(text.len, EXTRACT_MAX_BYTES);
	cr_assert(accepts("[0]", buf_slice(&text), &e));
	buf_addc(&text, ' ');
	cr_assert_not(accepts("[0]", buf_slice(&text), &e));
	cr_assert(e.kind == ERR_LIMIT && strstr(e.msg, "33554433 bytes, the most is 33554432"), "%s", e.msg);
	buf_fini(&text);
	no_leaks();
}

Test(extract, a_list_at_the_bound_is_whole)
{
	struct paths *p = paths_new();
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	cr_assert_eq(paths_add(p, SLICE("[]"), &e), 0);
	repeat(&text, "[0", ",1", EXTRACT_MAX_VALUES - 1, "]");
	cr_assert_not(cost_of(p, buf_slice(&text)).is_truncated);
	buf_fini(&text);
	no_leaks();
}

Test(extract, numbers_reach_to_their_bounds_asked_for_or_passed_over)
{
	static const struct { const char *number; int is_good; } t[] = {
		{ "9223372036854775807", 1 }, { "9223372036854775808", 0 }, { "-9223372036854775808", 1 }, { "-9223372036854775809", 0 },
		{ "999999999999999999", 1 }, { "1000000000000000000", 1 }, { "99999999999999999999", 0 },
		{ "1.7976931348623157e308", 1 }, { "1.7976931348623159e308", 0 }, { "-1.7976931348623157e308", 1 }, { "-1.7976931348623159e308", 0 },
		{ "5e-324", 1 }, { "1e-400", 1 }, { "1e308", 1 }, { "1e309", 0 },
	};
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	for (size_t i = 0; i < COUNT(t); i++)
		for (int asked = 0; asked < 2; asked++) {
			buf_clear(&text);
			buf_addf(&text, "{\"n\":%s}", t[i].number);
			cr_assert_eq(accepts(asked ? "n" : "z", buf_slice(&text), &e), t[i].is_good, "%s", t[i].number);
			agrees(buf_slice(&text));
		}
	/* Digits before the point: 309 are too many for a double; 127 and 128, 299 and 300 are where the scanner changes its way. */
	for (int digits = 126; digits <= 310; digits++)
		for (int asked = 0; asked < 2; asked++) {
			repeat(&text, "{\"n\":", "9", digits, ".5}");
			cr_assert_eq(accepts(asked ? "n" : "z", buf_slice(&text), &e), digits < 309, "%d digits", digits);
			agrees(buf_slice(&text));
		}
	buf_fini(&text);
	no_leaks();
}

Test(extract, a_path_is_as_long_as_the_bound_and_no_longer)
{
	struct paths *p = paths_new();
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	repeat(&text, "", "k", PATH_MAX_BYTES, "");
	cr_assert_eq(paths_add(p, buf_slice(&text), &e), 0);
	buf_addc(&text, 'k');
	cr_assert_eq(paths_add(p, buf_slice(&text), &e), -1);
	cr_assert_str_eq(e.msg, "a path of 513 bytes, the most is 512");
	paths_free(p);
	buf_fini(&text);
	no_leaks();
}

Test(extract, a_path_has_as_many_parts_as_the_bound_and_no_more)
{
	static const char *const parts[] = { ".a", "[]", "[7]", "[\"a\"]" };
	struct buf text = BUF(BUF_UNLIMITED);
	struct err e;

	for (size_t i = 0; i < COUNT(parts); i++)
		for (int n = EXTRACT_MAX_DEPTH; n <= EXTRACT_MAX_DEPTH + 1; n++) {
			struct paths *p = paths_new();
			repeat(&text, "a", parts[i], n - 1, "");
			cr_assert_eq(paths_add(p, buf_slice(&text), &e), n > EXTRACT_MAX_DEPTH ? -1 : 0, "%s", buf_cstr(&text));
			cr_assert(n <= EXTRACT_MAX_DEPTH || strstr(e.msg, "is deeper than 64"), "%s", e.msg);
			paths_free(p);
		}
	buf_fini(&text);
	no_leaks();
}

Test(extract, an_element_is_numbered_up_to_the_bound)
{
	struct paths *p = paths_new();
	struct err e;

	cr_assert_eq(paths_add(p, SLICE("a[1000000]"), &e), 0);
	cr_assert_eq(paths_add(p, SLICE("a[1000001]"), &e), -1);
	cr_assert(strstr(e.msg, "'[1000001]' is none of [], [0] to [1000000]"), "%s", e.msg);
	paths_free(p);
	no_leaks();
}

Test(extract, there_are_as_many_paths_as_the_bound_and_no_more)
{
	struct paths *p = many_paths("a.p%d", PATHS_MAX);
	struct err e;

	cr_assert_eq(paths_add(p, SLICE("b"), &e), -1);
	cr_assert_str_eq(e.msg, "more than 100000 payload paths");
	cr_assert_eq(paths_add(p, SLICE("a.p99999"), &e), PATHS_MAX - 1, "one that is known is no other");
	paths_free(p);
	no_leaks();
}

Test(extract, a_key_as_long_as_a_path_is_found_also_where_each_byte_is_escaped)
{
	struct paths *p = paths_new();
	struct buf text = BUF(BUF_UNLIMITED), path = BUF(BUF_UNLIMITED);
	struct err e;

	repeat(&path, "", "k", PATH_MAX_BYTES, "");
	cr_assert_eq(paths_add(p, buf_slice(&path), &e), 0);
	for (int more = 0; more < 2; more++) {
		struct values *v;
		size_t n;
		repeat(&text, "{\"", "\\u006b", PATH_MAX_BYTES + more, "\":1}");
		cr_assert_eq(extract(p, buf_slice(&text), &v, &e), 0);
		values_get(v, 0, &n);
		cr_assert_eq(n, more ? 0 : 1);
		values_free(v);
	}
	paths_free(p);
	buf_fini(&text);
	buf_fini(&path);
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
