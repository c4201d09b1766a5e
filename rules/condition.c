/* rules/condition.c - a rule's `when` becomes a tree: tables are "all of", `any`, `all` and `none` hold lists of tables,
 * every other key is a question about a field, and below `payload`, `header` and `query` about what the sender wrote. */
#include <stdlib.h>

#include "rules/compiled.h"
#include "rules/compiler.h"
#include "rules/operator.h"
#include "rules/paths.h"
#include "rules/schema.h"

const char *const event_fact_names[FACT_COUNT] = { "source", "provider", "event", "action", "delivery", "received", "rule" };

static int event_fact_find(struct slice name)
{
	for (int i = 0; i < FACT_COUNT; i++)
		if (slice_eq(name, slice_of(event_fact_names[i])))
			return i;
	return -1;
}

static int table_compile(struct compiler *c, const struct node *table, struct cond *out);

/* About M, which stands in the file as M's key, or under the name NAME. */
static int named_question(struct compiler *c, const struct node_member *m, enum subject_kind kind, int number, struct slice name,
			  struct cond *out)
{
	struct predicate p;

	*out = (struct cond){ .kind = COND_QUESTION, .line = m->line, .col = m->col };
	if (predicate_compile(m->value, c->file, c->rs->arena, &p, c->diags) < 0) {
		predicate_fini(&p);
		return -1;
	}
	if (kind == SUBJECT_FIELD && number == FIELD_PATHS && c->paths_from_git) {
		CLEANUP(buf_fini) struct buf test = BUF(BUF_UNLIMITED);
		node_encode(m->value, &test);
		out->test = arena_str(c->rs->arena, buf_slice(&test));
		kind = SUBJECT_CHANGED;
	}
	out->question = question_intern(c, subject_intern(c, kind, number, name), &p);
	return 0;
}

static int question_compile(struct compiler *c, const struct node_member *m, enum subject_kind kind, int number, struct cond *out)
{
	return named_question(c, m, kind, number, m->key, out);
}

static int list_compile(struct compiler *c, const struct node *list, enum cond_kind kind, struct cond *out)
{
	int bad = 0;

	if (list->kind != NODE_TABLE || list->n_members)
		return compile_error(c, list, "this must be a list of tables of conditions");
	out->kind = kind;
	out->kids = arena_alloc(c->rs->arena, list->n_items, sizeof *out->kids);
	out->n = list->n_items;
	for (size_t i = 0; i < list->n_items; i++)
		bad |= table_compile(c, list->items[i], &out->kids[i]);
	return bad;
}

/* A path is tried at once, so that what is wrong with it is told where it stands. */
static int path_compile(struct compiler *c, const struct node_member *m, struct cond *out)
{
	struct paths *alone = paths_new();
	struct node at = { .line = m->line, .col = m->col };
	struct err e;
	struct place place;
	int bad = place_add(alone, m->key, &place, &e) < 0;

	paths_free(alone);
	return bad ? compile_error(c, &at, "%s", e.msg) : question_compile(c, m, SUBJECT_PAYLOAD, 0, out);
}

/* A header, whatever the case of its name, or a field of the query. */
static int name_compile(struct compiler *c, const struct node_member *m, enum subject_kind kind, struct cond *out)
{
	CLEANUP(buf_fini) struct buf name = BUF(BUF_UNLIMITED), path = BUF(BUF_UNLIMITED);
	struct ruleset *rs = c->rs;
	struct node at = { .line = m->line, .col = m->col };
	struct place place;
	struct err e;

	if (kind == SUBJECT_HEADER)
		operator_fold(m->key, &name);
	else
		buf_add(&name, m->key);
	path_of_key(buf_slice(&name), &path);
	if (place_add(kind == SUBJECT_HEADER ? rs->headers : rs->query, buf_slice(&path), &place, &e) < 0)
		return compile_error(c, &at, "%s", e.msg);
	if (named_question(c, m, kind, 0, buf_slice(&name), out) < 0)
		return -1;
	rs->subjects[rs->questions[out->question].subject].place = place;
	return 0;
}

static int open_compile(struct compiler *c, const struct node_member *m, struct cond **next)
{
	int bad = 0;

	for (size_t i = 0; i < m->value->n_members; i++) {
		const struct node_member *one = &m->value->members[i];
		if (slice_eq(m->key, SLICE("payload")))
			bad |= path_compile(c, one, (*next)++);
		else
			bad |= name_compile(c, one, slice_eq(m->key, SLICE("header")) ? SUBJECT_HEADER : SUBJECT_QUERY, (*next)++);
	}
	return bad;
}

static int is_open(const struct node_member *m)
{
	for (const char *const *w = schema_open; *w; w++)
		if (slice_eq(m->key, slice_of(*w)))
			return m->value->kind == NODE_TABLE;
	return 0;
}

static int member_compile(struct compiler *c, const struct node_member *m, struct cond **next)
{
	static const struct { const char *name; enum cond_kind kind; } lists[] = {
		{ "any", COND_ANY }, { "all", COND_ALL }, { "none", COND_NONE },
	};
	int number;

	for (size_t i = 0; i < COUNT(lists); i++)
		if (slice_eq(m->key, slice_of(lists[i].name))) {
			struct cond *list = (*next)++;
			*list = (struct cond){ .line = m->line, .col = m->col };
			return list_compile(c, m->value, lists[i].kind, list);
		}
	if (is_open(m))
		return open_compile(c, m, next);
	if ((number = field_find(m->key)) >= 0)
		return question_compile(c, m, SUBJECT_FIELD, number, (*next)++);
	if ((number = event_fact_find(m->key)) >= 0)
		return question_compile(c, m, SUBJECT_EVENT, number, (*next)++);
	return compile_error(c, m->value, "no field is called '" SLICE_FMT "'", SLICE_ARG(m->key));
}

static int by_place(const void *a, const void *b)
{
	const struct cond *x = a, *y = b;
	return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : (x->col > y->col) - (x->col < y->col);
}

static size_t count_kids(const struct node *table)
{
	size_t n = table->n_members;

	for (size_t i = 0; i < table->n_members; i++)
		n += is_open(&table->members[i]) ? table->members[i].value->n_members : 0;
	return n;
}

/* The keys of a table come sorted by name; people wrote them in another order, and read explanations in it. */
static int table_compile(struct compiler *c, const struct node *table, struct cond *out)
{
	int bad = 0;

	*out = (struct cond){ .kind = COND_ALL, .line = table->line, .col = table->col };
	if (table->kind != NODE_TABLE)
		return compile_error(c, table, "this must be a table of conditions");
	out->kids = arena_alloc(c->rs->arena, count_kids(table), sizeof *out->kids);
	struct cond *next = out->kids;
	for (size_t i = 0; i < table->n_members; i++)
		bad |= member_compile(c, &table->members[i], &next);
	out->n = (size_t)(next - out->kids);
	if (out->n)
		qsort(out->kids, out->n, sizeof *out->kids, by_place);
	return bad;
}

int condition_compile(struct compiler *c, const struct node *when, struct cond *out)
{
	*out = (struct cond){ .kind = COND_ALL };
	if (!when || when->kind == NODE_STRING)                 /* "always" */
		return 0;
	out->line = when->line;
	out->col = when->col;
	if (when->kind == NODE_TABLE && when->n_items)
		return list_compile(c, when, COND_ANY, out);
	return table_compile(c, when, out);
}
