/* glob: what a plain string in a rule matches. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "no_leaks.h"
#include "rules/glob.h"

static int matches(const char *pattern, const char *text)
{
	struct glob *g;
	struct err e;
	cr_assert_eq(glob_compile(slice_of(pattern), &g, &e), 0, "%s", pattern);
	int yes = glob_matches(g, slice_of(text));
	glob_free(g);
	return yes;
}

Test(glob, a_star_stays_within_a_folder_and_two_do_not)
{
	static const struct { const char *pattern, *yes, *no; } t[] = {
		{ "main", "main", "mains" },
		{ "release/*", "release/1.2", "release/1/2" },
		{ "release/*", "release/", "release" },
		{ "docs/**", "docs/a/b.md", "docs" },
		{ "*.md", "README.md", "docs/README.md" },
		{ "**.md", "docs/a/README.md", "README.mdx" },
		{ "**/*.md", "README.md", "README.mdx" },
		{ "**/*.md", "a/b/c.md", "a/b/c.mdx" },
		{ "a/**/b", "a/b", "a/xb" },
		{ "a/**/b", "a/x/y/b", "ab" },
		{ "a/**b", "a/x/yb", "a/x/y" },
		{ "v?.?", "v1.2", "v1./" },
		{ "?", "\xc3\xa9", "" },
		{ "caf?s", "caf\xc3\xa9s", "cafs" },
		{ "*", "", "a/b" },
		{ "**", "a/b", NULL },
		{ "a*b*c", "aXbbYc", "aXbY" },
		{ "a*b*c", "abc", "a/bc" },
		{ "[skip ci]", "[skip ci]", "s" },
		{ "!deploy{x}", "!deploy{x}", "deployx" },
		{ "", "", "a" },
		{ "***", "a/b", NULL },
		{ "**/**/x", "x", "yx" },
		{ "**/**/x", "a/x", "a/y" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		cr_assert(matches(t[i].pattern, t[i].yes), "%s should match %s", t[i].pattern, t[i].yes);
		cr_assert(!t[i].no || !matches(t[i].pattern, t[i].no), "%s should not match %s", t[i].pattern, t[i].no);
	}
	no_leaks();
}

/* The definition, by trying everything. P0 is the beginning of the pattern. */
static int slowly(const char *p0, const char *p, const char *t)
{
	if (!*p)
		return !*t;
	if (*p == '?')
		return *t && *t != '/' && slowly(p0, p + 1, t + 1);
	if (*p != '*')
		return *p == *t && slowly(p0, p + 1, t + 1);
	size_t stars = strspn(p, "*");
	const char *rest = p + stars;
	if (stars > 1 && *rest == '/' && (p == p0 || p[-1] == '/') && slowly(p0, rest + 1, t))
		return 1;
	for (;; t++) {
		if (slowly(p0, rest, t))
			return 1;
		if (!*t || (stars == 1 && *t == '/'))
			return 0;
	}
}

static void random_text(char *out, const char *alphabet, int max)
{
	int n = rand() % (max + 1);
	for (int i = 0; i < n; i++)
		out[i] = alphabet[(size_t)rand() % strlen(alphabet)];
	out[n] = '\0';
}

/* Whether NAME stands in TEXT before a slash, and behind one or at the beginning. */
static int has_name(struct slice text, struct slice name)
{
	struct slice part, rest = text;
	while (slice_cut(rest, '/', &part, &rest))
		if (slice_eq(part, name))
			return 1;
	return name.len == 0;
}

Test(glob, agrees_with_trying_everything)
{
	int hits = 0;
	srand(7);
	for (int i = 0; i < 200000; i++) {
		char pattern[16], text[16];
		random_text(pattern, "ab/**?", 9);
		random_text(text, "aab/", 9);
		int want = slowly(pattern, pattern, text);
		hits += want;
		cr_assert_eq(matches(pattern, text), want, "%s over %s", pattern, text);
		struct glob_parts parts = glob_parts(slice_of(pattern));
		cr_assert(!want || (slice_starts(slice_of(text), parts.start) && slice_ends(slice_of(text), parts.end) &&
				    has_name(slice_of(text), parts.name)), "%s over %s: a part is missing", pattern, text);
	}
	cr_assert_gt(hits, 1000);
	no_leaks();
}

static void has_parts(const char *pattern, const char *start, const char *end, const char *name)
{
	struct glob_parts p = glob_parts(slice_of(pattern));
	cr_assert(slice_eq(p.start, slice_of(start)) && slice_eq(p.end, slice_of(end)) && slice_eq(p.name, slice_of(name)), "%s: " SLICE_FMT
		  " | " SLICE_FMT " | " SLICE_FMT, pattern, SLICE_ARG(p.start), SLICE_ARG(p.end), SLICE_ARG(p.name));
}

Test(glob, tells_what_every_match_begins_and_ends_with_and_has_between)
{
	has_parts("docs/**", "docs/", "", "docs");
	has_parts("web/src/a*.c", "web/src/a", ".c", "web");
	has_parts("*.md", "", ".md", "");
	has_parts("a/**/b", "a/", "b", "a");
	has_parts("**/README.md", "", "README.md", "");
	has_parts("*/README.md", "", "README.md", "");
	has_parts("**/review/x?/**", "", "", "review");
	has_parts("**", "", "", "");
	has_parts("a**/", "a", "", "");
	has_parts("", "", "", "");
	cr_assert(glob_is_literal(SLICE("a/b[c]")));
	cr_assert_not(glob_is_literal(SLICE("a?")));
}

Test(glob, a_hostile_value_costs_no_more_than_its_length)
{
	struct glob *g;
	struct err e;
	size_t n = 1 << 20;
	char *text = xmalloc(n);
	memset(text, 'a', n);
	cr_assert_eq(glob_compile(SLICE("**a*a**a*a**a*a**ab*"), &g, &e), 0);
	int64_t begin = mono_ms();
	cr_assert_not(glob_matches(g, (struct slice){ text, n }));
	cr_assert_lt(mono_ms() - begin, 5000);
	glob_free(g);
	cr_assert_eq(glob_compile((struct slice){ text, GLOB_MAX_BYTES + 1 }, &g, &e), -1);
	cr_assert_eq(e.kind, ERR_LIMIT);
	memset(text, '?', GLOB_MAX_BYTES);
	cr_assert_eq(glob_compile((struct slice){ text, GLOB_MAX_BYTES }, &g, &e), 0);
	memset(text, 'a', n);
	cr_assert(glob_matches(g, (struct slice){ text, GLOB_MAX_BYTES }));
	cr_assert_not(glob_matches(g, (struct slice){ text, GLOB_MAX_BYTES - 1 }));
	glob_free(g);
	free(text);
	no_leaks();
}
