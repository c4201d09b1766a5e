/* rules/check_when.c - what `when` holds: tables of tests that are all meant, lists of such tables of which one is, and
 * tests: a value, a list of values with what `except` takes away, or a table of operators. */
#include <string.h>

#include "rules/checker.h"
#include "rules/elements.h"
#include "rules/glob.h"
#include "rules/headers.h"
#include "rules/normalise.h"
#include "rules/place.h"
#include "rules/regex.h"

#define WORDS_MAX 64

static const char *const identity_words[] = { "repo", "branch", "ref", "sender", NULL };

/* ---- one test ---- */

struct test {
	const struct node_member *m;
	int field;                      /* enum field_id; -1: of something else */
	int type;                       /* enum field_type; 0: a payload path, which holds anything */
	const char *name;               /* for messages */
	int is_identity;                /* repo, branch, ref, sender: a test of it often decides what is trusted */
	int depth;                      /* of some and every around it */
};

static const struct schema_operator *row_find(struct slice name)
{
	for (size_t i = 0; i < schema_operator_count; i++)
		if (slice_eq(name, slice_of(schema_operators[i].name)))
			return &schema_operators[i];
	return NULL;
}

static int is_scalar(const struct node *n)
{
	return n->kind != NODE_TABLE && n->kind != NODE_SECRET && n->kind != NODE_FUNCTION;
}

static int fits_type(const struct node *n, int type)
{
	if (!type || n->kind == NODE_NULL)
		return 1;
	switch ((enum field_type)type) {
	case FIELD_STRING:
	case FIELD_STRINGS:
		return n->kind == NODE_STRING;
	case FIELD_INTEGER:
		return n->kind == NODE_INTEGER || n->kind == NODE_NUMBER;
	case FIELD_BOOL:
		return n->kind == NODE_BOOL;
	}
	return 1;
}

static const char *type_words(int type)
{
	switch ((enum field_type)type) {
	case FIELD_STRING: return "a string";
	case FIELD_STRINGS: return "a list of strings";
	case FIELD_INTEGER: return "a number";
	case FIELD_BOOL: return "true or false";
	}
	return "";
}

/* "refs/heads/main" is a ref and no branch: a test that could never pass. */
static void check_ref_prefix(struct checker *c, const struct test *t, const struct node *n)
{
	static const struct { enum field_id field; struct slice prefix; } taken_off[] = {
		{ FIELD_BRANCH, SLICE("refs/heads/") }, { FIELD_BASE, SLICE("refs/heads/") }, { FIELD_HEAD, SLICE("refs/heads/") },
		{ FIELD_TAG, SLICE("refs/tags/") },
	};
	for (size_t i = 0; i < COUNT(taken_off); i++)
		if ((int)taken_off[i].field == t->field && n->kind == NODE_STRING && slice_starts(n->text, taken_off[i].prefix))
			check_warn(c, n, "W117", "%s is the short name: write \"" SLICE_FMT "\"", t->name,
				   SLICE_ARG(slice_from(n->text, taken_off[i].prefix.len)));
}

/* The beginning of "2026-12-01T06:00:00Z", with * where one likes. */
static int begins_time(struct slice s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:ddZ";

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '*')
			return 1;
		if (i >= sizeof shape - 1 || (shape[i] == 'd' ? s.ptr[i] < '0' || s.ptr[i] > '9' : s.ptr[i] != shape[i]))
			return 0;
	}
	return s.len >= 4;
}

static void check_scalar(struct checker *c, const struct test *t, const struct node *n)
{
	char got[GOT_BYTES];

	check_got(n, got);
	if (n->is_bad)
		return;
	if (!is_scalar(n))
		check_say(c, n, "E116", "%s: a test compares with a string, a number, true, false or null, not with %s", t->name, got);
	else if (!fits_type(n, t->type))
		check_say(c, n, "E116", "%s is %s, and never equals %s: nothing is converted", t->name, type_words(t->type), got);
	else if (n->kind == NODE_STRING && n->text.len > GLOB_MAX_BYTES)
		check_say(c, n, "E116", "%s: the pattern has %zu bytes, the most is %d", t->name, n->text.len, GLOB_MAX_BYTES);
	else if (n->kind == NODE_STRING && slice_eq(t->m->key, SLICE("received")) && t->type == FIELD_STRING && !begins_time(n->text))
		check_say(c, n, "E116", "received is a time such as \"2026-12-01T06:00:00Z\" or the beginning of one, and never %s", got);
	check_ref_prefix(c, t, n);
}

static void check_count(struct checker *c, const struct test *t, const struct node *list)
{
	if (list->n_items > OPERANDS_MAX)
		check_say(c, list, "E116", "%s: a list of %zu values, the most is %d", t->name, list->n_items, OPERANDS_MAX);
}

/* A string that is read as a pattern. */
static void check_pattern(struct checker *c, const struct test *t, const struct node *n)
{
	check_scalar(c, t, n);
	if (n->kind == NODE_STRING && t->field >= 0)
		check_foreign_pattern(c, t->field, n);
}

static void check_scalars(struct checker *c, const struct test *t, const struct node *n)
{
	if (n->kind != NODE_TABLE) {
		check_pattern(c, t, n);
		return;
	}
	if (n->n_members)
		check_say_key(c, &n->members[0], "E116", "%s: '" SLICE_FMT "' cannot stand in this list", t->name, SLICE_ARG(n->members[0].key));
	else if (n->n_items == 0)
		check_say(c, n, "E116", "%s: an empty list matches nothing", t->name);
	check_count(c, t, n);
	for (size_t i = 0; i < n->n_items; i++)
		check_pattern(c, t, n->items[i]);
}

static int may_be_text(int type)
{
	return !type || type == FIELD_STRING || type == FIELD_STRINGS;
}

static void check_regex(struct checker *c, const struct test *t, const struct node *n)
{
	struct regex *r = NULL;
	struct err e;

	if (regex_compile(n->text, &r, &e) < 0) {
		check_say(c, n, "E122", "%s: re: %s", t->name, e.msg);
		return;
	}
	int before = regex_is_closed_before(r), behind = regex_is_closed_behind(n->text);
	if (t->is_identity && !(before && behind))
		check_warn(c, n, "W123", "%s: re searches anywhere, and this takes more than it shows: %s%s%s; write .* where anything may stand",
			   t->name, before ? "" : "begin it with ^", before || behind ? "" : ", ", behind ? "" : "end it with $");
	regex_free(r);
}

static void check_network_of(struct checker *c, const struct test *t, const struct node *n)
{
	CLEANUP(freep) char *what = xprintf("%s: cidr", t->name);
	check_network(c, what, n);
}

/* An operator that takes strings. */
static void check_text_operand(struct checker *c, const struct test *t, const struct schema_operator *op, const struct node *n)
{
	char got[GOT_BYTES];

	check_got(n, got);
	if (n->kind != NODE_STRING)
		check_say(c, n, "E116", "%s: want a string, got %s", op->name, got);
	else if (!may_be_text(t->type))
		check_say(c, n, "E116", "%s is %s: %s never holds of it", t->name, type_words(t->type), op->name);
	else if (op->operand == OPERAND_REGEX)
		check_regex(c, t, n);
	else if (op->operand == OPERAND_NETWORK)
		check_network_of(c, t, n);
	else
		check_scalar(c, t, n);
}

static void check_test(struct checker *c, const struct test *t);
static void check_elements(struct checker *c, const struct test *t, const struct schema_operator *op, const struct node *n);

static void check_operand(struct checker *c, const struct test *t, const struct schema_operator *op, const struct node *n)
{
	char got[GOT_BYTES];

	check_got(n, got);
	if (n->is_bad)
		return;
	switch (op->operand) {
	case OPERAND_BOOL:
		if (n->kind != NODE_BOOL)
			check_say(c, n, "E116", "%s: want true or false, got %s", op->name, got);
		return;
	case OPERAND_ORDERED:
		if (n->kind != NODE_STRING && n->kind != NODE_INTEGER && n->kind != NODE_NUMBER)
			check_say(c, n, "E116", "%s: want a number or a string, got %s", op->name, got);
		else
			check_scalar(c, t, n);
		return;
	case OPERAND_SCALAR:
		check_scalar(c, t, n);
		return;
	case OPERAND_TEXT:
	case OPERAND_PATTERN:
	case OPERAND_REGEX:
	case OPERAND_NETWORK:
		check_text_operand(c, t, op, n);
		return;
	case OPERAND_TEST:
		check_elements(c, t, op, n);
		return;
	}
}

static void say_no_operator(struct checker *c, const struct test *t, const struct node_member *m)
{
	const char *words[WORDS_MAX] = { 0 };
	char hint[HINT_BYTES];
	size_t n = 0;

	for (; n < schema_operator_count; n++)
		words[n] = schema_operators[n].name;
	words[n++] = "except";
	const char *here = check_foreign("operator", m->key);
	if (here) {
		check_say_key(c, m, "E118", "%s: unknown operator '" SLICE_FMT "': here it is %s", t->name, SLICE_ARG(m->key), here);
		return;
	}
	check_hint(m->key, words, hint);
	check_say_key(c, m, "E118", "%s: unknown operator '" SLICE_FMT "'%s", t->name, SLICE_ARG(m->key), hint);
}

static void check_operator(struct checker *c, const struct test *t, const struct node_member *m)
{
	const struct schema_operator *op = row_find(m->key);
	const struct node *n = m->value;

	if (!op) {
		say_no_operator(c, t, m);
		return;
	}
	if (n->kind != NODE_TABLE || !op->takes_list) {
		check_operand(c, t, op, n);
		return;
	}
	if (n->n_members || n->n_items == 0)
		check_say(c, n, "E116", "%s: want a value or a list of values", op->name);
	check_count(c, t, n);
	for (size_t i = 0; i < n->n_items; i++)
		check_operand(c, t, op, n->items[i]);
}

static void check_table_test(struct checker *c, const struct test *t, const struct node *n)
{
	const struct node *except = node_get(n, "except");
	size_t n_operators = n->n_members - (except ? 1 : 0);

	if (n->n_items == 0 && n->n_members == 0)
		check_say(c, n, "E116", "%s: an empty table tests nothing", t->name);
	if (except)
		check_scalars(c, t, except);
	if (n_operators && (n->n_items || except))
		check_say(c, n, "E119", "%s: a list and operators cannot stand in one table: put two tests under all = { { … }, { … } }",
			  t->name);
	check_count(c, t, n);
	for (size_t i = 0; i < n->n_items; i++)
		check_pattern(c, t, n->items[i]);
	for (size_t i = 0; i < n->n_members; i++)
		if (!slice_eq(n->members[i].key, SLICE("except")))
			check_operator(c, t, &n->members[i]);
}

static void check_test(struct checker *c, const struct test *t)
{
	const struct node *n = t->m->value;

	if (n->kind == NODE_TABLE)
		check_table_test(c, t, n);
	else
		check_pattern(c, t, n);
}

/* ---- tests of elements ---- */

static void check_path(struct checker *c, const struct node_member *m)
{
	struct paths *paths = paths_new();
	struct place place;
	struct err e;

	if (place_add(paths, m->key, &place, &e) < 0)
		check_say_key(c, m, "E121", "%s", e.msg);
	paths_free(paths);
}

static void check_parts(struct checker *c, const struct test *t, const char *what, const struct node *table);

/* A path within an element, or any, all, none of such tables. */
static void check_part(struct checker *c, const struct test *t, const struct node_member *m)
{
	CLEANUP(freep) char *name = xprintf("%s." SLICE_FMT, t->name, SLICE_ARG(m->key));
	struct test inner = { m, -1, 0, name, 0, t->depth };

	if (elements_is_list_of_tests(m)) {
		for (size_t i = 0; i < m->value->n_items; i++)
			check_parts(c, t, name, m->value->items[i]);
		return;
	}
	check_path(c, m);
	check_test(c, &inner);
}

static void check_parts(struct checker *c, const struct test *t, const char *what, const struct node *table)
{
	const struct node_member *operator = NULL;

	if (table->n_items || table->n_members == 0) {
		check_say(c, table, "E116", "%s: want a table of tests by path, as in { name = \"ci\" }", what);
		return;
	}
	for (size_t i = 0; i < table->n_members; i++)
		if (operator_find(table->members[i].key))
			operator = &table->members[i];
	if (operator)
		check_say_key(c, operator, "E119", "%s: '" SLICE_FMT "' is an operator, and stands beside paths: write [\"[\\\"" SLICE_FMT
			      "\\\"]\"] for the key of that name", what, SLICE_ARG(operator->key), SLICE_ARG(operator->key));
	for (size_t i = 0; i < table->n_members; i++)
		check_part(c, t, &table->members[i]);
}

static void check_elements(struct checker *c, const struct test *t, const struct schema_operator *op, const struct node *n)
{
	CLEANUP(freep) char *name = xprintf("%s.%s", t->name, op->name);
	const struct node_member self = { .key = t->m->key, .value = (struct node *)(uintptr_t)n, .line = n->line, .col = n->col };
	struct test inner = { &self, -1, t->type ? FIELD_STRING : 0, name, 0, t->depth + 1 };

	if (inner.depth > TESTS_MAX_DEPTH)
		check_say(c, n, "E126", "%s: some and every are nested deeper than %d", t->name, TESTS_MAX_DEPTH);
	else if (t->type && t->type != FIELD_STRINGS)
		check_say(c, n, "E116", "%s is %s: %s asks about the elements of a list", t->name, type_words(t->type), op->name);
	else if (elements_are_plain(n))
		check_test(c, &inner);
	else if (t->type)
		check_say(c, n, "E116", "%s holds strings, which have no parts: write %s = { starts = \"…\" }, or a pattern", t->name, op->name);
	else
		check_parts(c, &inner, name, n);
}

/* ---- tables of tests ---- */

static int wants_absence(const struct node *n)
{
	const struct node *exists = node_get(n, "exists");
	return exists && exists->kind == NODE_BOOL && !exists->integer;
}

const char *check_instead(const struct checker *c, int field, int other)
{
	uint64_t there = check_fields_of_on(c), base = (uint64_t)1 << FIELD_BASE, branch = (uint64_t)1 << FIELD_BRANCH;

	if ((field == FIELD_PATHS || other == FIELD_PATHS) && there & base && !c->paths_from_git)
		return "; no sender tells which files a request changes: write paths_from = \"git\" in the rule, and the job finds out";
	if (other >= 0)
		return "";
	if (field == FIELD_BRANCH && there & base)
		return "; a pull request has base, where it goes, and head, where it comes from";
	if (field == FIELD_BRANCH && there & (uint64_t)1 << FIELD_TAG)
		return "; of a tag it is tag = …";
	if ((field == FIELD_BASE || field == FIELD_HEAD) && there & branch)
		return "; of a push it is branch = …";
	if (field == FIELD_TAG && there & branch)
		return "; a pushed tag is an event of its own: on = \"tag\"";
	return "";
}

/* A field that no event of `on` has: the test can never pass. */
static void check_reachable(struct checker *c, const struct node_member *m, int field)
{
	if (check_fields_of_on(c) & (uint64_t)1 << field || wants_absence(m->value))
		return;
	check_warn(c, &(struct node){ .line = m->line, .col = m->col }, "W120",
		   "no event of `on` has the field '%s': this never holds%s", field_name((enum field_id)field), check_instead(c, field, -1));
}

/* Of some source. */
static int is_kept(const struct checker *c, struct slice header)
{
	for (size_t i = 0; i < c->ctx->n_sources; i++)
		if (header_is_kept(c->ctx->sources[i].provider, header))
			return 1;
	return c->ctx->n_sources == 0 && header_is_kept(NULL, header);
}

/* Headers that may hold a secret are not kept, and rules do not see them. */
static void check_header(struct checker *c, const struct node_member *m)
{
	if (m->key.len == 0 || m->key.len > PLACE_MAX_BYTES - 4)
		check_say_key(c, m, "E121", "a header's name has 1 to %d bytes", PLACE_MAX_BYTES - 4);
	else if (!is_kept(c, m->key))
		check_warn(c, &(struct node){ .line = m->line, .col = m->col }, "W127",
			   "header '" SLICE_FMT "' may hold a secret and is not kept: this never holds", SLICE_ARG(m->key));
}

static void check_open(struct checker *c, const struct node_member *open)
{
	const struct node *n = open->value;
	int is_payload = slice_eq(open->key, SLICE("payload")), is_header = slice_eq(open->key, SLICE("header"));

	if (n->is_bad)
		return;
	if (n->kind != NODE_TABLE || n->n_items || n->n_members == 0) {
		check_say(c, n, "E116", is_payload ? "payload: want a table of paths, as in { [\"repository.private\"] = false }" :
			  is_header ? "header: want a table of names, as in { [\"user-agent\"] = \"GitHub-Hookshot/*\" }" :
			  "query: want a table of names, as in { environment = \"staging\" }");
		return;
	}
	for (size_t i = 0; i < n->n_members; i++) {
		CLEANUP(freep) char *name = slice_dup(n->members[i].key);
		struct test t = { &n->members[i], -1, is_payload ? 0 : is_header ? FIELD_STRING : FIELD_STRINGS, name, 0, 0 };
		if (is_payload)
			check_path(c, &n->members[i]);
		else if (is_header)
			check_header(c, &n->members[i]);
		else if (n->members[i].key.len > PLACE_MAX_BYTES - 4)
			check_say_key(c, &n->members[i], "E121", "a name of a query has at most %d bytes", PLACE_MAX_BYTES - 4);
		check_test(c, &t);
	}
}

static void say_no_field(struct checker *c, const struct node_member *m)
{
	const char *words[WORDS_MAX] = { 0 };
	char hint[HINT_BYTES];
	size_t n = 0;

	_Static_assert(FIELD_COUNT + 16 < WORDS_MAX, "all fields and the other words");
	const char *here = check_foreign("when", m->key);
	if (here) {
		check_say_key(c, m, "E101", "unknown field '" SLICE_FMT "' in when: here it is %s", SLICE_ARG(m->key), here);
		return;
	}
	for (int f = 0; f < FIELD_COUNT; f++)
		words[n++] = field_name((enum field_id)f);
	for (const char *const *w = schema_facts; *w; w++)
		words[n++] = *w;
	for (const char *const *w = schema_combinators; *w; w++)
		words[n++] = *w;
	for (const char *const *w = schema_open; *w; w++)
		words[n++] = *w;
	check_hint(m->key, words, hint);
	check_say_key(c, m, "E101", "unknown field '" SLICE_FMT "' in when%s%s", SLICE_ARG(m->key), hint,
		      hint[0] ? "" : "; what the payload holds is asked under payload = { … }");
}

static void check_tests(struct checker *c, const struct node *table, const char *what);

static void check_alternatives(struct checker *c, const struct node *list, const char *what)
{
	CLEANUP(buf_fini) struct buf shape = BUF(BUF_UNLIMITED);

	if (list->is_bad)
		return;
	if (list->kind == NODE_TABLE && list->n_members) {
		check_shape(list, &shape);
		check_say(c, list, "E106", "%s holds a list of tables, one brace is missing: write %s = { %s }", what, what, buf_cstr(&shape));
		return;
	}
	if (list->kind != NODE_TABLE || list->n_items == 0) {
		check_say(c, list, "E116", "%s: want a list of tables of tests, as in { { branch = \"main\" } }", what);
		return;
	}
	if (++c->when_depth > WHEN_MAX_DEPTH)
		check_say(c, list, "E126", "any, all and none are nested deeper than %d", WHEN_MAX_DEPTH);
	for (size_t i = 0; c->when_depth <= WHEN_MAX_DEPTH && i < list->n_items; i++)
		check_tests(c, list->items[i], what);
	c->when_depth--;
}

static void check_member(struct checker *c, const struct node_member *m)
{
	CLEANUP(freep) char *name = slice_dup(m->key);
	struct test t = { m, field_find(m->key), FIELD_STRING, name, check_is_word(m->key, identity_words), 0 };

	if (t.field >= 0)
		t.type = field_type((enum field_id)t.field);
	if (check_is_word(m->key, schema_combinators)) {
		check_alternatives(c, m->value, name);
	} else if (check_is_word(m->key, schema_open)) {
		check_open(c, m);
	} else if (t.field >= 0) {
		check_test(c, &t);
		check_reachable(c, m, t.field);
	} else if (check_is_word(m->key, schema_facts)) {
		check_test(c, &t);
	} else {
		say_no_field(c, m);
	}
}

static void check_tests(struct checker *c, const struct node *table, const char *what)
{
	char got[GOT_BYTES];

	check_got(table, got);
	if (table->is_bad)
		return;
	if (table->kind != NODE_TABLE)
		check_say(c, table, "E116", "%s: want a table of tests, as in { branch = \"main\" }, got %s", what, got);
	else if (table->n_items)
		check_say(c, table->items[0], "E107", "%s: this value tests no field: write field = value", what);
	else if (table->n_members == 0)
		check_say(c, table, "E108", "%s: an empty table holds for every event", what);
	for (size_t i = 0; table->kind == NODE_TABLE && i < table->n_members; i++)
		check_member(c, &table->members[i]);
}

static void check_shape_of_when(struct checker *c, const struct node *when)
{
	if (when->kind == NODE_STRING) {
		if (!slice_eq(when->text, SLICE("always")))
			check_say(c, when, "E108", "when: want a table of tests or \"always\", got \"" SLICE_FMT "\"", SLICE_ARG(slice_upto(when->text, 40)));
		return;
	}
	if (when->n_items == 0 && when->n_members == 0)
		check_say(c, when, "E108", "when is empty: say which events the rule is for, or write when = \"always\"");
	else if (when->n_items && when->n_members)
		check_say_key(c, &when->members[0], "E119", "when is either a table of tests or a list of such tables, not both");
	else if (when->n_items)
		check_alternatives(c, when, "when");
	else
		check_tests(c, when, "when");
}

void check_conditions(struct checker *c, const struct node *when)
{
	int errors = c->out->errors;

	c->when_depth = 0;
	check_shape_of_when(c, when);
	if (c->out->errors == errors && when->kind == NODE_TABLE)
		check_never(c, when);
}
