/* rules/check_never.c - tests that cannot all hold: the rule, or one of its alternatives, would never match. A LEVEL is the
 * tests that must hold together: those of a table, of the tables under its `all`, of all tables around it; each alternative of
 * `any` makes a level of its own. A test in `none` must not hold. What is said is always of two places.
 *
 * Only what is certain is said: of a list, or of a payload path, which may lead to one, two values may pass two tests. */
#include <stdlib.h>
#include <string.h>

#include "rules/arena.h"
#include "rules/checker.h"
#include "rules/normalise.h"
#include "rules/predicate.h"

#define LEVEL_MAX 64                    /* tests; more are not looked at */
#define WORDS_MAX_BYTES 200

struct item {
	const struct node_member *m;
	const char *table;              /* "header", "payload"; "" for a field or a fact */
	int field;                      /* enum field_id, or -1 */
	int is_single;                  /* has one value at most */
	int must_fail;                  /* it stands in `none` */
	struct predicate predicate;
};
struct level {
	struct checker *c;
	struct arena *arena;
	struct item list[LEVEL_MAX];
	size_t n;
};

/* ---- collecting ---- */

static int is_single_field(int field)
{
	return field < 0 || field_type((enum field_id)field) != FIELD_STRINGS;
}

static void add_test(struct level *l, const struct node_member *m, const char *table, int must_fail)
{
	struct diags unsaid = { 0 };
	struct item *it = &l->list[l->n];
	int field = *table ? -1 : field_find(m->key);

	if (l->n == LEVEL_MAX)
		return;
	*it = (struct item){ .m = m, .table = table, .field = field, .must_fail = must_fail };
	it->is_single = strcmp(table, "header") == 0 || (!*table && is_single_field(field));
	if (predicate_compile(m->value, l->c->file->path, l->arena, &it->predicate, &unsaid) < 0)
		predicate_fini(&it->predicate);
	else
		l->n++;
	diags_fini(&unsaid);
}

static int is_list_of(const struct node_member *m, const char *name)
{
	return slice_eq(m->key, slice_of(name)) && m->value->kind == NODE_TABLE && m->value->n_members == 0;
}

static const char *open_name(const struct node_member *m)
{
	for (const char *const *w = schema_open; *w; w++)
		if (slice_eq(m->key, slice_of(*w)))
			return *w;
	return NULL;
}

/* A field or a fact, or the names of an open table. */
static void add_member(struct level *l, const struct node_member *m, int must_fail)
{
	const char *table = open_name(m);

	if (!table)
		add_test(l, m, "", must_fail);
	for (size_t i = 0; table && m->value->kind == NODE_TABLE && i < m->value->n_members; i++)
		add_test(l, &m->value->members[i], table, must_fail);
}

/* A table in `none` that holds one test says that it must fail. */
static void add_failing(struct level *l, const struct node *table)
{
	const struct node_member *m = table->n_members == 1 ? &table->members[0] : NULL;

	if (!m || is_list_of(m, "any") || is_list_of(m, "all") || is_list_of(m, "none"))
		return;
	if (!open_name(m) || m->value->n_members == 1)
		add_member(l, m, 1);
}

static void add_table(struct level *l, const struct node *table)
{
	for (size_t i = 0; i < table->n_members; i++) {
		const struct node_member *m = &table->members[i];
		int is_any = is_list_of(m, "any"), is_all = is_list_of(m, "all"), is_none = is_list_of(m, "none");
		for (size_t k = 0; (is_all || (is_any && m->value->n_items == 1)) && k < m->value->n_items; k++)
			add_table(l, m->value->items[k]);
		for (size_t k = 0; is_none && k < m->value->n_items; k++)
			add_failing(l, m->value->items[k]);
		if (!is_any && !is_all && !is_none)
			add_member(l, m, 0);
	}
}

static void level_cut(struct level *l, size_t n)
{
	while (l->n > n)
		predicate_fini(&l->list[--l->n].predicate);
}

/* ---- what cannot be ---- */

static enum truth of_literal(const struct predicate *p, const struct operand *o)
{
	const struct value v = { .kind = o->kind, .text = o->text, .integer = o->integer, .real = o->real };
	const struct finding f = { .presence = FOUND_VALUES, .values = &v, .n = 1 };
	return predicate_test(p, &f);
}

/* The literals, one of which P demands; NULL where it may be anything else. */
static const struct operand *literals(const struct predicate *p, size_t *n)
{
	enum demand how;

	for (size_t i = 0; i < p->n; i++) {
		const struct operand *o = predicate_demand(p, i, &how, n);
		size_t k = 0;
		while (o && how == DEMAND_EQUAL && k < *n && !o[k].glob)
			k++;
		if (o && how == DEMAND_EQUAL && k == *n)
			return o;
	}
	return NULL;
}

/* None of A's literals is as B says. */
static int literals_miss(const struct item *a, const struct item *b)
{
	size_t n = 0;
	const struct operand *o = a->must_fail || predicate_asks_elements(&b->predicate) ? NULL : literals(&a->predicate, &n);
	enum truth clash = b->must_fail ? TRUTH_YES : TRUTH_NO;

	for (size_t i = 0; i < n && o; i++)
		if (of_literal(&b->predicate, &o[i]) != clash)
			return 0;
	return o != NULL;
}

/* Each bound of A lies outside of those of B: `ge` above `lt`. */
static int ranges_miss(const struct item *a, const struct item *b)
{
	const struct operand *low, *high;
	int is_open_low, is_open_high;

	if (a->must_fail || b->must_fail || !predicate_low(&a->predicate, &low, &is_open_low) ||
	    !predicate_high(&b->predicate, &high, &is_open_high))
		return 0;
	int c = operand_compare(low, high);
	return c == OPERANDS_APART ? 0 : c > 0 || (c == 0 && (is_open_low || is_open_high));
}

static int wants_absence(const struct item *it)
{
	return predicate_wants_absence(&it->predicate);
}

static int clash(const struct item *a, const struct item *b)
{
	if (!a->must_fail && !b->must_fail && wants_absence(a) != wants_absence(b))
		return 1;
	if (!a->is_single || (a->must_fail && b->must_fail))
		return 0;
	return literals_miss(a, b) || literals_miss(b, a) || ranges_miss(a, b) || ranges_miss(b, a);
}

/* By itself: { ge = 20, lt = 10 }, { eq = "a", starts = "b" }, { exists = false, eq = "a" }. */
static int clashes_alone(const struct item *it)
{
	return !it->must_fail && (literals_miss(it, it) || ranges_miss(it, it) || predicate_wants_both(&it->predicate));
}

static int is_same_subject(const struct item *a, const struct item *b)
{
	return strcmp(a->table, b->table) == 0 &&
	       (strcmp(a->table, "header") == 0 ? slice_ieq(a->m->key, b->m->key) : slice_eq(a->m->key, b->m->key));
}

/* ---- saying it ---- */

static void add_want(const struct item *it, struct buf *out)
{
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED);

	buf_adds(out, it->must_fail ? "not " : "");
	predicate_want(&it->predicate, WORDS_PLAIN, &want);
	buf_add(out, slice_upto(buf_slice(&want), WORDS_MAX_BYTES));
	buf_adds(out, want.len > WORDS_MAX_BYTES ? "…" : "");
}

static void say_clash(struct level *l, const struct item *a, const struct item *b)
{
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED);
	const struct node at = { .line = b->m->line, .col = b->m->col };

	add_want(b, &want);
	if (a == b) {
		check_warn(l->c, &at, "W128", SLICE_FMT " can never be %s", SLICE_ARG(b->m->key), buf_cstr(&want));
		return;
	}
	buf_adds(&want, " here and ");
	add_want(a, &want);
	check_warn(l->c, &at, "W128", SLICE_FMT " cannot be %s at line %d, column %d: both are asked, so this never holds", SLICE_ARG(b->m->key),
		   buf_cstr(&want), a->m->line, a->m->col);
}

/* Two fields that no event of `on` has at once. */
static void check_fields(struct level *l, const struct item *b)
{
	const struct node at = { .line = b->m->line, .col = b->m->col };
	uint64_t own = b->field < 0 ? 0 : (uint64_t)1 << b->field;

	if (!own || b->must_fail || wants_absence(b) || !check_events_have(l->c, own))
		return;                         /* of one alone it has been said */
	for (const struct item *a = l->list; a < b; a++) {
		uint64_t other = a->field < 0 || a->must_fail || wants_absence(a) ? 0 : (uint64_t)1 << a->field;
		if (!other || !check_events_have(l->c, other) || check_events_have(l->c, own | other))
			continue;
		check_warn(l->c, &at, "W120", "no event of `on` has both '" SLICE_FMT "' and '" SLICE_FMT "', which is asked at line %d, column %d: "
			   "this never holds%s", SLICE_ARG(b->m->key), SLICE_ARG(a->m->key), a->m->line, a->m->col,
			   check_instead(l->c, b->field, a->field));
		return;
	}
}

static void check_item(struct level *l, const struct item *b)
{
	if (clashes_alone(b)) {
		say_clash(l, b, b);
		return;
	}
	for (const struct item *a = l->list; a < b; a++)
		if (is_same_subject(a, b) && clash(a, b)) {
			say_clash(l, a, b);
			return;
		}
	check_fields(l, b);
}

/* ---- levels ---- */

static void check_level(struct level *l, const struct node *table);

static void check_alone(struct checker *c, const struct node *table)
{
	struct level l = { .c = c, .arena = arena_new() };
	check_level(&l, table);
	arena_free(l.arena);
}

static void check_lists(struct level *l, const struct node *table)
{
	for (size_t i = 0; i < table->n_members; i++) {
		const struct node_member *m = &table->members[i];
		for (size_t k = 0; is_list_of(m, "all") && k < m->value->n_items; k++)
			check_lists(l, m->value->items[k]);
		for (size_t k = 0; is_list_of(m, "any") && k < m->value->n_items; k++) {
			if (m->value->n_items == 1)
				check_lists(l, m->value->items[k]);
			else
				check_level(l, m->value->items[k]);
		}
		for (size_t k = 0; is_list_of(m, "none") && k < m->value->n_items; k++)
			check_alone(l->c, m->value->items[k]);
	}
}

static int by_place(const void *a, const void *b)
{
	const struct node_member *x = ((const struct item *)a)->m, *y = ((const struct item *)b)->m;
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : (x->col > y->col) - (x->col < y->col);
}

/* TABLE within what L holds, which is left as it was. */
static void check_level(struct level *l, const struct node *table)
{
	size_t from = l->n;

	add_table(l, table);
	if (l->n > from)
		qsort(l->list + from, l->n - from, sizeof *l->list, by_place);
	for (size_t i = from; i < l->n; i++)
		check_item(l, &l->list[i]);
	check_lists(l, table);
	level_cut(l, from);
}

void check_never(struct checker *c, const struct node *when)
{
	if (when->n_items == 0)
		check_alone(c, when);
	for (size_t i = 0; i < when->n_items; i++)
		check_alone(c, when->items[i]);
}
