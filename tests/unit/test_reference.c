/* reference: every word has its line and an example that is right, and what is committed is what the tables say. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "eval/eval.h"
#include "no_leaks.h"
#include "rules/job_api.h"
#include "rules/normalise.h"
#include "rules/reference.h"
#include "rules/ruleset.h"
#include "rules/schema.h"

#define BATCH 10                        /* more, and the diagnostics of what is around the examples are too many to be kept */

static char site[64];

static void put(const char *path, const char *text)
{
	CLEANUP(freep) char *full = xprintf("%s/%s", site, path);
	FILE *f = fopen(full, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_site(void)
{
	struct err e;
	snprintf(site, sizeof site, "/tmp/pushrod-reference-XXXXXX");
	cr_assert_not_null(mkdtemp(site));
	CLEANUP(freep) char *rules = xprintf("%s/rules", site);
	cr_assert_eq(dir_make(rules, 0700, &e), 0);
	put("pushrod.lua", "source \"x\" { auth = \"none\" }\nsource \"github\" { auth = \"none\" }\n");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_site(void)
{
	nftw(site, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(reference, .init = make_site, .fini = remove_site, .timeout = 120);

/* Of each file, what is said of line 2 and below. */
static void check_site(struct diags *out)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	struct ruleset *rs = NULL;
	struct err e;

	cr_assert_eq(eval_directory(site, &bundle, &e), 0, "%s", e.msg);
	if (ruleset_compile(buf_slice(&bundle), &rs, out, &e) == 0)
		ruleset_unref(rs);
	cr_assert_lt(out->n, 200, "too many to see them all");
}

static void expect_no_mistake(char *what[BATCH])
{
	struct diags d = { 0 };

	check_site(&d);
	for (size_t i = 0; i < d.n; i++)
		if (d.list[i].severity == DIAG_ERROR && d.list[i].line >= 2) {
			int file = 0;
			cr_assert_eq(sscanf(d.list[i].file, "rules/%d.lua", &file), 1);
			cr_assert_fail("the example of %s is wrong: %s\n  %s", what[file], d.list[i].text, d.list[i].source_line);
		}
	diags_fini(&d);
}

Test(reference, every_key_has_an_example_that_is_right)
{
	char *what[BATCH] = { 0 };
	size_t n = 0;

	for (int more = 1; more; ) {
		size_t in_batch = 0;
		for (; more && in_batch < BATCH; in_batch += (size_t)more, n += (size_t)more) {
			CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), name = BUF(BUF_UNLIMITED);
			CLEANUP(freep) char *path = xprintf("rules/%zu.lua", in_batch);
			more = reference_example(n, &text, &name);
			put(path, more ? buf_cstr(&text) : "");
			if (!more)
				break;
			what[in_batch] = buf_take(&name);
			cr_assert(!strstr(buf_cstr(&text), "= ,\n"), "%s has no example", what[in_batch]);
			cr_assert(!strstr(buf_cstr(&text), "\n,\n"), "%s has no example", what[in_batch]);
		}
		expect_no_mistake(what);
		for (size_t i = 0; i < BATCH; i++) {
			free(what[i]);
			what[i] = NULL;
		}
	}
	cr_assert_gt(n, 80);
	no_leaks();
}

Test(reference, the_example_of_a_declaration_is_whole)
{
	for (size_t i = 0; i < schema_decl_count; i++) {
		const struct schema_decl *s = &schema_decls[i];
		struct diags d = { 0 };
		if (!s->example)
			continue;
		put("pushrod.lua", s->place == SCHEMA_SETTINGS ? s->example : "");
		put("rules/0.lua", s->place == SCHEMA_RULES ? s->example : "");
		check_site(&d);
		cr_assert_eq(d.n, 0, "%s: %s", s->kind, d.n ? d.list[0].text : "");
		diags_fini(&d);
	}
	no_leaks();
}

static void expect_word(enum schema_word_kind kind, const char *name)
{
	const struct schema_word *w = schema_word_find(kind, name);
	cr_assert(w && w->doc && w->example, "'%s' is not explained in rules/schema_words.c", name);
}

Test(reference, every_word_of_on_and_when_is_explained)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		expect_word(SCHEMA_WORD_FIELD, field_name((enum field_id)f));
	for (const char *const *w = schema_facts; *w; w++)
		expect_word(SCHEMA_WORD_FACT, *w);
	for (const char *const *w = schema_combinators; *w; w++)
		expect_word(SCHEMA_WORD_COMBINATOR, *w);
	for (const char *const *w = schema_events; *w; w++)
		expect_word(SCHEMA_WORD_EVENT, *w);
	for (size_t i = 0; i < schema_operator_count; i++)
		cr_assert(schema_operators[i].doc && schema_operators[i].example, "operator %s", schema_operators[i].name);
	for (size_t i = 0; i < job_method_count; i++)
		cr_assert(job_methods[i].doc && job_methods[i].example, "job:%s", job_methods[i].name);
}

static void expect_committed(const char *name, void (*write)(struct buf *out))
{
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED), have = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *path = xprintf("%s/docs/%s", SOURCE, name);
	struct err e;

	write(&want);
	cr_assert_eq(file_read(AT_FDCWD, path, &have, &e), 0, "%s", e.msg);
	cr_assert(slice_eq(buf_slice(&want), buf_slice(&have)), "docs/%s is not what the tables say: run ./dev docs, and commit", name);
}

Test(reference, what_is_committed_is_what_the_tables_say)
{
	expect_committed("rules.md", reference_page);
	expect_committed("rules.schema.json", reference_json_schema);
	expect_committed("pushrod.lua", reference_types);
	no_leaks();
}
