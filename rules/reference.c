/* rules/reference.c - the walk over all tables, and the examples. */
#include "rules/reference.h"

#include <assert.h>
#include <stdio.h>

#include "rules/normalise.h"
#include "rules/referring.h"

static void add_types(struct told_tables *all, size_t parent, const struct schema_key *key, const struct schema_type *types, int in_list);

static int is_told(const struct told_tables *all, const struct schema_table *t)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].table == t)
			return 1;
	return 0;
}

/* Two tables under one key (a matrix as a list of cells, or as a product) get a number. */
static int is_taken(const struct told_tables *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (slice_eq(slice_of(all->list[i].name), slice_of(name)))
			return 1;
	return 0;
}

static void name_table(const struct told_tables *all, size_t parent, const char *key, char out[REFERENCE_NAME_BYTES])
{
	CLEANUP(freep) char *name = xprintf("%s.%s", all->list[parent].name, key);

	snprintf(out, REFERENCE_NAME_BYTES, "%s", name);
	for (int n = 2; is_taken(all, out); n++)
		snprintf(out, REFERENCE_NAME_BYTES, "%.80s%d", name, n);
}

static void add_table(struct told_tables *all, size_t parent, const struct schema_key *key, const struct schema_table *t, int in_list)
{
	size_t self = all->n;

	assert(all->n < REFERENCE_TABLES_MAX);
	struct told_table *told = &all->list[self];
	*told = (struct told_table){ .table = t, .decl = all->list[parent].decl, .key = key, .in_list = in_list, .parent = parent };
	name_table(all, parent, key->name, told->name);
	all->n++;
	for (size_t i = 0; i < t->n; i++)
		add_types(all, self, &t->keys[i], t->keys[i].types, 0);
	if (t->item)
		add_types(all, self, t->item, t->item->types, 0);
}

static void add_types(struct told_tables *all, size_t parent, const struct schema_key *key, const struct schema_type *types, int in_list)
{
	for (const struct schema_type *t = types; t->kind; t++) {
		if (t->kind == SCHEMA_TABLE && !is_told(all, t->table))
			add_table(all, parent, key, t->table, in_list);
		if ((t->kind == SCHEMA_LIST || t->kind == SCHEMA_MAP) && t->of)
			add_types(all, parent, key, t->of, t->kind == SCHEMA_LIST);
	}
}

void told_tables_init(struct told_tables *out)
{
	*out = (struct told_tables){ .n = 0 };
	for (size_t i = 0; i < schema_decl_count; i++) {
		const struct schema_decl *d = &schema_decls[i];
		size_t self = out->n;
		if (!d->table)
			continue;
		assert(out->n < REFERENCE_TABLES_MAX);
		out->list[out->n++] = (struct told_table){ .table = d->table, .decl = d, .parent = self };
		snprintf(out->list[self].name, sizeof out->list[self].name, "%s", d->kind);
		for (size_t k = 0; k < d->table->n; k++)
			add_types(out, self, &d->table->keys[k], d->table->keys[k].types, 0);
	}
}

const char *told_table_name(const struct told_tables *all, const struct schema_table *t)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].table == t)
			return all->list[i].name;
	return "";
}

/* ---- examples ---- */

static const struct schema_table *table_of(const struct schema_key *key)
{
	for (const struct schema_type *t = key->types; t->kind; t++)
		if (t->kind == SCHEMA_TABLE)
			return t->table;
	return NULL;
}

void reference_example_of(const struct schema_key *key, struct buf *out)
{
	const struct schema_table *t = table_of(key);

	if (key->example || !t) {
		buf_adds(out, key->example ? key->example : "");
		return;
	}
	buf_adds(out, "{ ");
	if (t->item) {
		reference_example_of(t->item, out);
		buf_adds(out, ", ");
	}
	for (size_t i = 0; i < t->n; i++) {
		buf_addf(out, "%s%s = ", i ? ", " : "", t->keys[i].name);
		reference_example_of(&t->keys[i], out);
	}
	buf_adds(out, " }");
}

/* What stands before the braces of table I, down from its declaration: `rule "x" { steps = { {`. */
static void open_table(const struct told_tables *all, size_t i, struct buf *out)
{
	const struct told_table *t = &all->list[i];

	if (!t->key) {
		buf_addf(out, t->decl->has_name ? "%s \"x\" { " : "%s { ", t->decl->kind);
		return;
	}
	open_table(all, t->parent, out);
	if (t->key == all->list[t->parent].table->item)
		buf_adds(out, t->in_list ? "{ {" : "{ ");
	else
		buf_addf(out, t->in_list ? "%s = { { " : "%s = { ", t->key->name);
}

static void close_table(const struct told_tables *all, size_t i, struct buf *out)
{
	const struct told_table *t = &all->list[i];

	buf_adds(out, t->key && t->in_list ? " } }" : " }");
	if (t->key)
		close_table(all, t->parent, out);
}

static void add_key(const struct told_tables *all, size_t table, const struct schema_key *key, struct buf *out, struct buf *what)
{
	const struct told_table *t = &all->list[table];
	int is_item = key == t->table->item;

	buf_addf(what, "%s.%s", t->name, key->name);
	open_table(all, table, out);
	buf_adds(out, "\n");
	if (!is_item)
		buf_addf(out, "%s = ", key->name);
	reference_example_of(key, out);
	buf_adds(out, ",\n");
	close_table(all, table, out);
	buf_addc(out, '\n');
}

/* A member of `when`, on all events: one that no event of `on` can have would be warned of. */
static void add_test(const char *name, const char *example, struct buf *out, struct buf *what)
{
	buf_addf(what, "when.%s", name);
	buf_addf(out, "rule \"x\" { on = \"x:*\", run = function() end, when = {\n%s,\n} }\n", example ? example : "");
}

static void add_event(const char *name, const char *example, struct buf *out, struct buf *what)
{
	buf_addf(what, "on.%s", name);
	buf_addf(out, "rule \"x\" { when = \"always\", run = function() end,\non = %s,\n}\n", example ? example : "");
}

static const char *example_of_word(enum schema_word_kind kind, const char *name)
{
	const struct schema_word *w = schema_word_find(kind, name);
	return w ? w->example : NULL;
}

/* Number *N of LIST, or NULL with *N less by as many as there are. */
static const char *nth(const char *const *list, size_t *n)
{
	for (; *list; list++)
		if ((*n)-- == 0)
			return *list;
	return NULL;
}

static int word_example(size_t n, struct buf *out, struct buf *what)
{
	const char *word;

	if (n < FIELD_COUNT) {
		word = field_name((enum field_id)n);
		add_test(word, example_of_word(SCHEMA_WORD_FIELD, word), out, what);
		return 1;
	}
	n -= FIELD_COUNT;
	if (n < schema_operator_count) {
		add_test(schema_operators[n].name, schema_operators[n].example, out, what);
		return 1;
	}
	n -= schema_operator_count;
	if ((word = nth(schema_facts, &n))) {
		add_test(word, example_of_word(SCHEMA_WORD_FACT, word), out, what);
		return 1;
	}
	if ((word = nth(schema_open, &n))) {
		add_test(word, example_of_word(SCHEMA_WORD_OPEN, word), out, what);
		return 1;
	}
	if ((word = nth(schema_combinators, &n))) {
		add_test(word, example_of_word(SCHEMA_WORD_COMBINATOR, word), out, what);
		return 1;
	}
	if ((word = nth(schema_events, &n))) {
		add_event(word, example_of_word(SCHEMA_WORD_EVENT, word), out, what);
		return 1;
	}
	return 0;
}

int reference_example(size_t n, struct buf *out, struct buf *what)
{
	struct told_tables all;

	told_tables_init(&all);
	for (size_t i = 0; i < all.n; i++) {
		const struct schema_table *t = all.list[i].table;
		size_t count = t->n + (t->item != NULL);
		if (n < count) {
			add_key(&all, i, n < t->n ? &t->keys[n] : t->item, out, what);
			return 1;
		}
		n -= count;
	}
	return word_example(n, out, what);
}
