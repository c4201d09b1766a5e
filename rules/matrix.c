/* rules/matrix.c - a rule's matrix: written as a list of cells or as a product of values, it becomes a list of cells either
 * way. Each cell is a job of its own, known by a text of its values in the order of their names: `cc=gcc part=web`. Two
 * cells of one text would be one job, so that is an error. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compiled.h"
#include "rules/compiler.h"
#include "rules/matrix.h"

static int is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._/+:@-", c))))
			return 0;
	}
	return s.len > 0;
}

/* As {matrix.x} shows it. */
static const char *value_text(struct arena *a, const struct node *n)
{
	char number[40];

	if (n->kind == NODE_STRING)
		return arena_str(a, n->text);
	if (n->kind == NODE_BOOL)
		return n->integer ? "true" : "false";
	if (n->kind == NODE_INTEGER)
		snprintf(number, sizeof number, "%lld", (long long)n->integer);
	else
		snprintf(number, sizeof number, "%.14g%s", n->number, n->number == floor(n->number) && fabs(n->number) < 1e14 ? ".0" : "");
	return arena_str(a, slice_of(number));
}

static void add_value(const struct node *n, const char *text, struct buf *out)
{
	if (n->kind == NODE_STRING)
		buf_add_json(out, slice_of(text));
	else
		buf_adds(out, text);
}

struct member { struct slice name; const struct node *value; };

/* A cell of N values in the order of their names. */
static int cell_make(struct compiler *c, const struct node *at, const struct member *values, size_t n, struct cell *out)
{
	struct arena *a = c->rs->arena;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), json = BUF(BUF_UNLIMITED);

	*out = (struct cell){ .line = at->line, .col = at->col, .n = n, .values = arena_alloc(a, n, sizeof *out->values),
			      .when = { .kind = COND_ALL } };
	buf_addc(&json, '{');
	for (size_t i = 0; i < n; i++) {
		struct cell_value *v = &out->values[i];
		*v = (struct cell_value){ arena_str(a, values[i].name), value_text(a, values[i].value) };
		buf_addf(&text, "%s%s=", i ? " " : "", v->name);
		if (is_plain(slice_of(v->text)))
			buf_adds(&text, v->text);
		else
			buf_add_json(&text, slice_of(v->text));
		buf_addf(&json, "%s\"%s\":", i ? "," : "", v->name);
		add_value(values[i].value, v->text, &json);
	}
	buf_addc(&json, '}');
	if (text.len > CELL_MAX_BYTES)
		return compile_error(c, at, "the values of this cell make %zu bytes, the most is %d", text.len, CELL_MAX_BYTES);
	out->text = arena_str(a, buf_slice(&text));
	out->json = arena_str(a, buf_slice(&json));
	return 0;
}

static int list_compile(struct compiler *c, const struct node *list, struct rule *r)
{
	int bad = 0;

	for (size_t i = 0; i < list->n_items; i++) {
		const struct node *table = list->items[i];
		CLEANUP(freep) struct member *values = xcalloc(table->n_members + 1, sizeof *values);
		struct cell *cell = &r->cells[r->n_cells++];
		size_t n = 0;
		for (size_t k = 0; k < table->n_members; k++)
			if (!slice_eq(table->members[k].key, SLICE("when")))
				values[n++] = (struct member){ table->members[k].key, table->members[k].value };
		bad |= cell_make(c, table, values, n, cell);
		bad |= condition_compile(c, node_get(table, "when"), &cell->when);
	}
	return bad;
}

/* The first name changes slowest. */
static int product_compile(struct compiler *c, const struct node *table, size_t total, struct rule *r)
{
	CLEANUP(freep) struct member *values = xcalloc(table->n_members + 1, sizeof *values);
	int bad = 0;

	for (size_t i = 0; i < total; i++) {
		size_t rest = i;
		for (size_t k = table->n_members; k-- > 0;) {
			const struct node_member *m = &table->members[k];
			values[k] = (struct member){ m->key, m->value->items[rest % m->value->n_items] };
			rest /= m->value->n_items;
		}
		bad |= cell_make(c, table, values, table->n_members, &r->cells[r->n_cells++]);
	}
	return bad;
}

size_t matrix_count(const struct node *matrix)
{
	size_t total = 1;

	if (matrix->n_items)
		return matrix->n_items;
	for (size_t i = 0; i < matrix->n_members && total <= MATRIX_MAX_CELLS; i++)
		total *= matrix->members[i].value->n_items;
	return total;
}

static int by_text(const void *a, const void *b)
{
	return strcmp((*(const struct cell *const *)a)->text, (*(const struct cell *const *)b)->text);
}

static int duplicates(struct compiler *c, const struct rule *r)
{
	CLEANUP(freep) const struct cell **sorted = xcalloc(r->n_cells + 1, sizeof *sorted);
	int bad = 0;

	for (size_t i = 0; i < r->n_cells; i++)
		sorted[i] = &r->cells[i];
	qsort(sorted, r->n_cells, sizeof *sorted, by_text);
	for (size_t i = 1; i < r->n_cells; i++)
		if (strcmp(sorted[i - 1]->text, sorted[i]->text) == 0) {
			const struct node at = { .line = sorted[i]->line, .col = sorted[i]->col };
			bad = compile_error(c, &at, "two cells of the matrix are %s", sorted[i]->text);
		}
	return bad;
}

int matrix_compile(struct compiler *c, const struct node *matrix, struct rule *r)
{
	if (!matrix)
		return 0;
	size_t total = matrix_count(matrix);
	r->cells = arena_alloc(c->rs->arena, total, sizeof *r->cells);
	int bad = matrix->n_items ? list_compile(c, matrix, r) : product_compile(c, matrix, total, r);
	return bad ? -1 : duplicates(c, r);
}

const struct cell *cell_find(const struct rule *r, struct slice text)
{
	for (size_t i = 0; i < r->n_cells; i++)
		if (slice_eq(text, slice_of(r->cells[i].text)))
			return &r->cells[i];
	return NULL;
}

const char *cell_value(const struct cell *cell, struct slice name)
{
	for (size_t i = 0; cell && i < cell->n; i++)
		if (slice_eq(name, slice_of(cell->values[i].name)))
			return cell->values[i].text;
	return NULL;
}
