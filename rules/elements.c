/* rules/elements.c - a small `when` of its own, over one element. Its paths are read out of the element's text by a pass of
 * their own: which element a value came from is lost in the flat lists of the pass over the payload. */
#include "rules/elements.h"

#include <stdlib.h>
#include <string.h>

#include "rules/arena.h"
#include "rules/place.h"

enum part_kind { PART_TEST, PART_ALL, PART_ANY, PART_NONE };
struct part {
	enum part_kind kind;
	struct slice path;              /* PART_TEST; len 0: the element itself */
	struct place place;
	struct predicate predicate;
	struct part *kids;              /* else */
	size_t n;
};
struct elements {
	struct paths *paths;
	struct part root;
};

static const struct { const char *name; enum part_kind kind; } lists[] = {
	{ "all", PART_ALL }, { "any", PART_ANY }, { "none", PART_NONE },
};

int elements_are_plain(const struct node *tests)
{
	if (tests->kind != NODE_TABLE || tests->n_items || tests->n_members == 0)
		return 1;
	for (size_t i = 0; i < tests->n_members; i++)
		if (!operator_find(tests->members[i].key) && !slice_eq(tests->members[i].key, SLICE("except")))
			return 0;
	return 1;
}

static enum part_kind list_kind(const struct node_member *m)
{
	for (size_t i = 0; i < COUNT(lists); i++)
		if (slice_eq(m->key, slice_of(lists[i].name)))
			return lists[i].kind;
	return PART_TEST;
}

int elements_is_list_of_tests(const struct node_member *m)
{
	const struct node *n = m->value;

	if (list_kind(m) == PART_TEST || n->kind != NODE_TABLE || n->n_members || n->n_items == 0)
		return 0;
	for (size_t i = 0; i < n->n_items; i++)
		if (n->items[i]->kind != NODE_TABLE)
			return 0;
	return 1;
}

/* ---- compile ---- */

struct making {
	const struct compiling *c;
	struct paths *paths;
};

static int test_compile(const struct making *k, const struct node_member *m, struct part *out)
{
	struct node at = { .line = m->line, .col = m->col };
	struct err e;

	out->path = arena_copy(k->c->arena, m->key);
	if (place_add(k->paths, m->key, &out->place, &e) < 0)
		return predicate_wrong(k->c, &at, e.msg);
	return predicate_compile_within(k->c, m->value, &out->predicate);
}

static int table_compile(const struct making *k, const struct node *table, struct part *out);

static int list_compile(const struct making *k, const struct node_member *m, struct part *out)
{
	out->kind = list_kind(m);
	out->kids = arena_alloc(k->c->arena, m->value->n_items, sizeof *out->kids);
	for (size_t i = 0; i < m->value->n_items; i++)
		if (table_compile(k, m->value->items[i], &out->kids[out->n++]) < 0)
			return -1;
	return 0;
}

static int table_compile(const struct making *k, const struct node *table, struct part *out)
{
	out->kind = PART_ALL;
	out->kids = arena_alloc(k->c->arena, table->n_members, sizeof *out->kids);
	if (table->n_items || table->n_members == 0)
		return predicate_wrong(k->c, table, "want a table of tests: path = value");
	for (size_t i = 0; i < table->n_members; i++) {
		const struct node_member *m = &table->members[i];
		struct part *part = &out->kids[out->n++];
		if ((elements_is_list_of_tests(m) ? list_compile(k, m, part) : test_compile(k, m, part)) < 0)
			return -1;
	}
	return 0;
}

int elements_compile(const struct compiling *c, const struct node *tests, struct elements **out)
{
	struct compiling deeper = *c;
	struct elements *x = *out = xcalloc(1, sizeof *x);
	struct making k = { &deeper, x->paths = paths_new() };

	if (++deeper.depth > TESTS_MAX_DEPTH)
		return predicate_wrong(c, tests, "some and every are nested deeper than 8");
	if (!elements_are_plain(tests))
		return table_compile(&k, tests, &x->root);
	x->root.kind = PART_TEST;
	x->root.place = NO_PLACE;
	x->root.place.elements = paths_add(x->paths, SLICE("[]"), NULL);
	return predicate_compile_within(&deeper, tests, &x->root.predicate);
}

static void part_fini(struct part *p)
{
	predicate_fini(&p->predicate);
	for (size_t i = 0; i < p->n; i++)
		part_fini(&p->kids[i]);
}

void elements_free(struct elements *x)
{
	if (!x)
		return;
	part_fini(&x->root);
	paths_free(x->paths);
	free(x);
}

/* ---- test ---- */

struct reading {
	const struct value *element;
	struct values *values;          /* NULL: the element has no parts */
	struct effort *effort;
};

/* The element itself, or its own elements where it is a list. */
static void look_at_whole(const struct part *p, const struct reading *r, struct finding *f)
{
	*f = (struct finding){ .presence = FOUND_VALUES, .values = r->element, .n = 1 };
	if (r->element->kind != VALUE_ARRAY || !r->values)
		return;
	f->values = values_get(r->values, p->place.elements, &f->n);
	f->is_list = 1;
	f->is_cut = values_is_truncated(r->values);
}

static enum truth ask(const struct part *p, const struct reading *r)
{
	struct finding f = { .presence = FOUND_NOTHING };
	struct value *mixed = NULL;

	if (p->path.len == 0)
		look_at_whole(p, r, &f);
	else if (r->values)
		place_look(&p->place, r->values, &f, &mixed);
	enum truth t = predicate_test_within(&p->predicate, &f, r->effort);
	free(mixed);
	return t;
}

static enum truth part_test(const struct part *p, const struct reading *r)
{
	enum truth least = TRUTH_YES, greatest = TRUTH_NO;

	if (p->kind == PART_TEST)
		return ask(p, r);
	for (size_t i = 0; i < p->n; i++) {
		enum truth t = part_test(&p->kids[i], r);
		least = t < least ? t : least;
		greatest = t > greatest ? t : greatest;
	}
	if (p->kind == PART_ALL)
		return least;
	return p->kind == PART_ANY ? greatest : (enum truth)(TRUTH_YES - greatest);
}

enum truth elements_test(const struct elements *x, const struct value *element, struct effort *e)
{
	struct reading r = { element, NULL, e };

	if ((element->kind == VALUE_OBJECT || element->kind == VALUE_ARRAY) && extract(x->paths, element->text, &r.values, NULL) < 0)
		r.values = NULL;
	enum truth t = part_test(&x->root, &r);
	values_free(r.values);
	return t;
}

/* ---- as text ---- */

static void part_key(const struct part *p, struct buf *out)
{
	buf_addf(out, "(%d %zu:", (int)p->kind, p->path.len);
	buf_add(out, p->path);
	if (p->kind == PART_TEST)
		predicate_key(&p->predicate, out);
	for (size_t i = 0; i < p->n; i++)
		part_key(&p->kids[i], out);
	buf_addc(out, ')');
}

void elements_key(const struct elements *x, struct buf *out)
{
	part_key(&x->root, out);
}

static void part_words(const struct part *p, enum words w, struct buf *out);

static void list_words(const struct part *p, const char *gap, enum words w, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		buf_adds(out, i ? gap : "");
		part_words(&p->kids[i], w, out);
	}
}

static void part_words(const struct part *p, enum words w, struct buf *out)
{
	switch (p->kind) {
	case PART_TEST:
		if (p->path.len)
			buf_addf(out, SLICE_FMT ": ", SLICE_ARG(p->path));
		predicate_want(&p->predicate, w, out);
		return;
	case PART_ALL:
		buf_adds(out, "{ ");
		list_words(p, ", ", w, out);
		buf_adds(out, " }");
		return;
	case PART_ANY:
	case PART_NONE:
		buf_adds(out, p->kind == PART_ANY ? "any of " : "none of ");
		list_words(p, " or ", w, out);
		return;
	}
}

void elements_words(const struct elements *x, enum words w, struct buf *out)
{
	part_words(&x->root, w, out);
}
