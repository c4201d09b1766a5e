/* rules/check_matrix.c - a matrix against its two forms, and the names that templates take from it. */
#include <string.h>

#include "rules/checker.h"
#include "rules/matrix.h"

#define NAME_MAX_BYTES 64
#define WORDS_MAX 32

/* ---- values ---- */

static int is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];
		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_' || (i && ch >= '0' && ch <= '9')))
			return 0;
	}
	return s.len > 0 && s.len <= NAME_MAX_BYTES;
}

static void check_name(struct checker *c, const struct node_member *m)
{
	if (!is_name(m->key))
		check_say_key(c, m, "E120", "matrix: a name is made of letters, digits and '_', %d at most, not '" SLICE_FMT "'", NAME_MAX_BYTES,
			      SLICE_ARG(slice_upto(m->key, 80)));
}

static void check_scalar(struct checker *c, struct slice name, const struct node *n)
{
	char got[GOT_BYTES];

	if (n->is_bad)
		return;
	if (n->kind != NODE_STRING && n->kind != NODE_INTEGER && n->kind != NODE_NUMBER && n->kind != NODE_BOOL) {
		check_got(n, got);
		check_say(c, n, "E120", "matrix: '" SLICE_FMT "' wants a string, a number, true or false, got %s", SLICE_ARG(name), got);
	} else if (n->kind == NODE_STRING && n->text.len > MATRIX_VALUE_MAX_BYTES) {
		check_say(c, n, "E120", "matrix: this value of '" SLICE_FMT "' has %zu bytes, the most is %d", SLICE_ARG(name), n->text.len,
			  MATRIX_VALUE_MAX_BYTES);
	} else if (n->kind == NODE_STRING && memchr(n->text.ptr, 0, n->text.len)) {
		check_say(c, n, "E120", "matrix: this value of '" SLICE_FMT "' holds a NUL byte", SLICE_ARG(name));
	}
}

/* ---- the two forms ---- */

static void check_cell(struct checker *c, const struct node *cell)
{
	char got[GOT_BYTES];
	size_t values = 0;

	if (cell->is_bad)
		return;
	if (cell->kind != NODE_TABLE || cell->n_items) {
		check_got(cell, got);
		check_say(c, cell, "E120", "matrix: a cell is a table of names and values, as in { cc = \"gcc\" }, got %s",
			  cell->kind == NODE_TABLE ? "a list" : got);
		return;
	}
	for (size_t i = 0; i < cell->n_members; i++) {
		const struct node_member *m = &cell->members[i];
		if (slice_eq(m->key, SLICE("when"))) {
			check_conditions(c, m->value);
			continue;
		}
		check_name(c, m);
		check_scalar(c, m->key, m->value);
		values++;
	}
	if (!values)
		check_say(c, cell, "E120", "matrix: this cell has no value: write { cc = \"gcc\" }");
}

static void check_axis(struct checker *c, const struct node_member *m)
{
	const struct node *list = m->value;

	if (list->is_bad)
		return;
	if (slice_eq(m->key, SLICE("when"))) {
		check_say_key(c, m, "E120", "matrix: a product has no when: give it to the rule, or write a list of cells");
		return;
	}
	check_name(c, m);
	if (list->kind != NODE_TABLE || list->n_members || !list->n_items) {
		check_say(c, list, "E120", "matrix: '" SLICE_FMT "' wants a list of values, as in { \"gcc\", \"clang\" }", SLICE_ARG(m->key));
		return;
	}
	for (size_t i = 0; i < list->n_items; i++)
		check_scalar(c, m->key, list->items[i]);
}

void check_matrix(struct checker *c, const struct node *matrix)
{
	int errors = c->out->errors;

	if (matrix->n_items && matrix->n_members) {
		check_say_key(c, &matrix->members[0], "E120", "matrix: a list of cells holds no '" SLICE_FMT "' = …; one brace may be missing",
			      SLICE_ARG(matrix->members[0].key));
		return;
	}
	if (!matrix->n_items && !matrix->n_members)
		check_say(c, matrix, "E120", "matrix: there is no cell in it: write { cc = { \"gcc\", \"clang\" } }");
	for (size_t i = 0; i < matrix->n_items; i++)
		check_cell(c, matrix->items[i]);
	for (size_t i = 0; i < matrix->n_members; i++)
		check_axis(c, &matrix->members[i]);
	if (c->out->errors == errors && matrix_count(matrix) > MATRIX_MAX_CELLS)
		check_say(c, matrix, "E120", "matrix: it makes more than %d cells", MATRIX_MAX_CELLS);
}

/* ---- {matrix.x} ---- */

static const struct node *find(const struct node *table, struct slice name)
{
	for (size_t i = 0; i < table->n_members; i++)
		if (slice_eq(table->members[i].key, name))
			return table->members[i].value;
	return NULL;
}

static void say_no_value(struct checker *c, const struct node *text, const struct node *table, struct slice name, const char *of)
{
	const char *words[WORDS_MAX + 1] = { 0 };
	char hint[HINT_BYTES];
	size_t n = table->n_members < WORDS_MAX ? table->n_members : WORDS_MAX;

	for (size_t i = 0; i < n; i++)
		words[i] = slice_dup(table->members[i].key);
	check_hint(name, words, hint);
	check_say(c, text, "E115", "{matrix." SLICE_FMT "}: %s has no such value%s", SLICE_ARG(slice_upto(name, 60)), of, hint);
	for (size_t i = 0; i < n; i++)
		freep(&words[i]);
}

void check_matrix_name(struct checker *c, const struct node *text, struct slice name)
{
	const struct node *m = c->matrix;

	if (!m) {
		check_say(c, text, "E115", "{matrix." SLICE_FMT "}: the rule has no matrix", SLICE_ARG(slice_upto(name, 60)));
		return;
	}
	if (m->kind != NODE_TABLE)
		return;
	if (!m->n_items && m->n_members && (slice_eq(name, SLICE("when")) || !find(m, name)))
		say_no_value(c, text, m, name, "the matrix");
	for (size_t i = 0; i < m->n_items; i++) {
		CLEANUP(freep) char *of = xprintf("cell %zu of the matrix", i + 1);
		if (m->items[i]->kind == NODE_TABLE && (slice_eq(name, SLICE("when")) || !find(m->items[i], name))) {
			say_no_value(c, text, m->items[i], name, of);
			return;
		}
	}
}
