/* regex: what a pattern finds, what is wrong with one, and that no value makes a search take long. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "no_leaks.h"
#include "rules/regex.h"

#define LONG_BYTES (64 << 10)

static struct regex *must_compile(const char *pattern)
{
	struct regex *r;
	struct err e;
	cr_assert_eq(regex_compile(slice_of(pattern), &r, &e), 0, "%s: %s", pattern, e.msg);
	return r;
}

static enum regex_outcome search(const char *pattern, struct slice text, const char **why)
{
	struct regex *r = must_compile(pattern);
	int64_t work = REGEX_WORK_MAX;
	enum regex_outcome o = regex_search(r, text, &work, why);
	regex_free(r);
	return o;
}

Test(regex, searches_anywhere_and_anchors_at_the_very_ends)
{
	static const struct { const char *pattern; struct slice text; int found; } t[] = {
		{ "b", SLICE("abc"), 1 }, { "^b", SLICE("abc"), 0 }, { "c$", SLICE("abc"), 1 }, { "c$", SLICE("abc\n"), 0 },
		{ "^$", SLICE(""), 1 }, { "(?m)^b$", SLICE("a\nb\nc"), 1 }, { "a.c", SLICE("a\nc"), 0 }, { "(?s)a.c", SLICE("a\nc"), 1 },
		{ "\\d", SLICE("\xd9\xa3"), 0 }, { "(*UCP)\\d", SLICE("\xd9\xa3"), 1 }, { "^.$", SLICE("\xc3\xa4"), 1 },
		{ "a\\x00b", SLICE("a\0b"), 1 }, { "b", SLICE("a\xff" "b"), 1 }, { "a.b", SLICE("a\xff" "b"), 0 },
		{ "(?<y>\\d{4})-\\k<y>", SLICE("2026-2026"), 1 }, { "(?=.*x)(?=.*y)", SLICE("ayx"), 1 },
	};
	const char *why = NULL;
	for (size_t i = 0; i < COUNT(t); i++)
		cr_assert_eq(search(t[i].pattern, t[i].text, &why), t[i].found ? REGEX_YES : REGEX_NO, "%zu: %s", i, t[i].pattern);
	cr_assert_null(why);
	no_leaks();
}

Test(regex, says_what_is_wrong_and_at_which_byte)
{
	static const struct { const char *pattern, *says; } t[] = {
		{ "", "it is empty" }, { "a(b", "at its end: missing closing parenthesis" }, { "ab[z-a]", "at byte 6, near 'b[z-a]': range out of order" },
		{ "*a", "at byte 1, near '*a': quantifier does not follow a repeatable item" }, { "\\C", "using \\C is disabled" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct regex *r;
		struct err e;
		cr_assert_eq(regex_compile(slice_of(t[i].pattern), &r, &e), -1, "%s", t[i].pattern);
		cr_assert(strstr(e.msg, t[i].says), "%s: wanted '%s', got '%s'", t[i].pattern, t[i].says, e.msg);
	}
	no_leaks();
}

Test(regex, a_pattern_is_bounded_in_length_in_groups_and_in_what_it_becomes)
{
	char pattern[REGEX_MAX_BYTES + 2];
	struct regex *r;
	struct err e;

	memset(pattern, 'a', sizeof pattern);
	cr_assert_eq(regex_compile((struct slice){ pattern, REGEX_MAX_BYTES }, &r, &e), 0);
	regex_free(r);
	cr_assert_eq(regex_compile((struct slice){ pattern, REGEX_MAX_BYTES + 1 }, &r, &e), -1);
	cr_assert_str_eq(e.msg, "it has 1025 bytes, the most is 1024");
	for (int over = 0; over < 2; over++) {
		int n = 100 + over;
		memset(pattern, '(', (size_t)n);
		memset(pattern + n, ')', (size_t)n);
		cr_assert_eq(regex_compile((struct slice){ pattern, (size_t)n * 2 }, &r, &e), over ? -1 : 0, "%d groups", n);
		if (!over)
			regex_free(r);
	}
	cr_assert_eq(regex_compile(SLICE("((a{1,999}){1,999}){1,999}"), &r, &e), -1);
	cr_assert(strstr(e.msg, "too large"), "%s", e.msg);
	no_leaks();
}

Test(regex, a_value_is_searched_up_to_a_mebibyte)
{
	CLEANUP(freep) char *text = xmalloc(REGEX_SUBJECT_MAX_BYTES + 1);
	const char *why = NULL;

	memset(text, 'a', REGEX_SUBJECT_MAX_BYTES + 1);
	text[REGEX_SUBJECT_MAX_BYTES - 1] = 'z';
	cr_assert_eq(search("z", (struct slice){ text, REGEX_SUBJECT_MAX_BYTES }, &why), REGEX_YES);
	cr_assert_eq(search("z", (struct slice){ text, REGEX_SUBJECT_MAX_BYTES + 1 }, &why), REGEX_GAVE_UP);
	cr_assert_str_eq(why, "a value is longer than 1 MiB");
	no_leaks();
}

/* Patterns that take exponential, cubic or quadratic time over one value or another. */
Test(regex, no_pattern_takes_long_over_any_value)
{
	static const char *const patterns[] = {
		"(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){20}$", "(a*)*b", "a*a*a*a*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y", "a+[^a]", "\\s+$",
		"(?=(a+))a*b\\1", "^(a?){60}a{60}$", "(a+){2,}b", "(?:a|b|ab)*?c", "((a+)b?)+\\2c", "(?R)?a+b", "(a(?1)?)+b", "[^b]*[^c]*d", ".*.*=.*",
		"(*NO_JIT)(a+)+$", "(*NO_JIT)a*a*a*a*b", "(*NO_JIT)(a(?1)?)+b", "(*NO_START_OPT)a++b", "(a*+)++b",
	};
	static const struct { const char *unit, *end; } values[] = { { "a", "!" }, { "ab", "!" }, { "a ", "x" }, { " ", "x" }, { "x", "" } };
	CLEANUP(freep) char *text = xmalloc(LONG_BYTES + 2);
	int64_t worst = 0;
	int gave_up = 0;

	for (size_t v = 0; v < COUNT(values); v++) {
		size_t unit = strlen(values[v].unit);
		for (size_t i = 0; i < LONG_BYTES; i++)
			text[i] = values[v].unit[i % unit];
		memcpy(text + LONG_BYTES, values[v].end, strlen(values[v].end));
		struct slice value = { text, LONG_BYTES + strlen(values[v].end) };
		for (size_t p = 0; p < COUNT(patterns); p++) {
			const char *why = NULL;
			int64_t began = mono_us();
			enum regex_outcome o = search(patterns[p], value, &why);
			int64_t took = mono_us() - began;
			gave_up += o == REGEX_GAVE_UP;
			cr_assert_eq(o == REGEX_GAVE_UP, why != NULL);
			worst = took > worst ? took : worst;
			cr_assert_lt(took, 2000000, "%s over %s: %lld us", patterns[p], values[v].unit, (long long)took);
		}
	}
	cr_assert_gt(gave_up, 10);
	cr_log_info("the slowest took %lld us, %d of %zu gave up", (long long)worst, gave_up, COUNT(patterns) * COUNT(values));
	no_leaks();
}

Test(regex, the_work_of_many_values_is_one_sum)
{
	struct regex *r = must_compile("(a+)+$");
	int64_t work = REGEX_WORK_MAX, began = mono_us();
	const char *why = NULL;
	enum regex_outcome o = REGEX_NO;

	for (int i = 0; i < 20000; i++)
		o = regex_search(r, SLICE("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), &work, &why);
	cr_assert_eq(o, REGEX_GAVE_UP);
	cr_assert_eq(work, 0);
	cr_assert_str_eq(why, "the search takes too many steps");
	cr_assert_lt(mono_us() - began, 3000000);
	regex_free(r);
	no_leaks();
}

Test(regex, knows_what_it_leaves_open)
{
	static const struct { const char *pattern; int before, behind; } t[] = {
		{ "^main$", 1, 1 }, { "main", 0, 0 }, { "^main", 1, 0 }, { "main$", 0, 1 }, { "\\Amain\\z", 1, 1 }, { "^a$|^b$", 1, 0 },
		{ "^(a|b)$", 1, 1 }, { "^[|]$", 1, 1 }, { "^a\\$", 1, 0 }, { "^a\\\\$", 1, 1 }, { "^release/.*", 1, 1 }, { ".*-rc$", 1, 1 }, { "(?i)^a$", 1, 1 },
		{ "^a.\\*", 1, 0 }, { "(^a)$", 1, 1 },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct regex *r = must_compile(t[i].pattern);
		cr_assert_eq(regex_is_closed_before(r), t[i].before, "before %s", t[i].pattern);
		cr_assert_eq(regex_is_closed_behind(slice_of(t[i].pattern)), t[i].behind, "behind %s", t[i].pattern);
		regex_free(r);
	}
	no_leaks();
}
