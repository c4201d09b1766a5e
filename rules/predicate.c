/* rules/predicate.c - tests as data. An operator is one row of a table: its name in rule files, its words in an
 * explanation, and a function of one value and one operand; everything about lists, alternatives and absence is said
 * once, in predicate_test. To add an operator is to add a row. */
#include "rules/predicate.h"

#include <assert.h>
#include <string.h>

#include "rules/arena.h"
#include "rules/glob.h"

typedef int operator_test_fn(const struct operator *op, const struct value *v, const struct operand *o);

enum order { BELOW = 1, EQUAL = 2, ABOVE = 4 };

struct operator {
	const char *name;
	const char *words;              /* before the operand; "" for none */
	operator_test_fn *test;         /* NULL: about presence */
	int order;                      /* which enum order passes */
	int is_none;                    /* true where no value passes */
};

/* ---- one value, one operand ---- */

static int is_number(enum value_kind kind)
{
	return kind == VALUE_INTEGER || kind == VALUE_REAL;
}

static int order_of_numbers(const struct value *v, const struct operand *o)
{
	if (v->kind == VALUE_INTEGER && o->kind == VALUE_INTEGER)
		return v->integer < o->integer ? BELOW : v->integer > o->integer ? ABOVE : EQUAL;
	/* 64 bits of mantissa or more: no integer loses a digit */
	long double a = v->kind == VALUE_INTEGER ? (long double)v->integer : (long double)v->real;
	long double b = o->kind == VALUE_INTEGER ? (long double)o->integer : (long double)o->real;
	return a < b ? BELOW : a > b ? ABOVE : EQUAL;
}

static int test_order(const struct operator *op, const struct value *v, const struct operand *o)
{
	if (is_number(v->kind) && is_number(o->kind))
		return (order_of_numbers(v, o) & op->order) != 0;
	if (v->kind != VALUE_STRING || o->kind != VALUE_STRING)
		return 0;
	int c = slice_cmp(v->text, o->text);
	return ((c < 0 ? BELOW : c > 0 ? ABOVE : EQUAL) & op->order) != 0;
}

static int test_equal(const struct operator *op, const struct value *v, const struct operand *o)
{
	if (v->kind == VALUE_STRING || is_number(v->kind))
		return test_order(op, v, o);
	return v->kind == o->kind;
}

static int test_glob(const struct operator *op, const struct value *v, const struct operand *o)
{
	if (o->glob)
		return v->kind == VALUE_STRING && glob_matches(o->glob, v->text);
	return test_equal(op, v, o);
}

static int test_has(const struct operator *op, const struct value *v, const struct operand *o)
{
	return v->kind == VALUE_STRING && o->kind == VALUE_STRING && slice_find(v->text, o->text) >= 0;
}

static const struct operator plain = { "", "", test_glob, EQUAL, 0 };
static const struct operator operators[] = {
	{ "eq", "", test_equal, EQUAL, 0 },
	{ "ne", "not ", test_equal, EQUAL, 1 },
	{ "has", "containing ", test_has, 0, 0 },
	{ "lt", "< ", test_order, BELOW, 0 },
	{ "le", "<= ", test_order, BELOW | EQUAL, 0 },
	{ "gt", "> ", test_order, ABOVE, 0 },
	{ "ge", ">= ", test_order, ABOVE | EQUAL, 0 },
	{ "exists", "", NULL, 0, 0 },
};

static const struct operator *operator_find(struct slice name)
{
	for (size_t i = 0; i < COUNT(operators); i++)
		if (slice_eq(name, slice_of(operators[i].name)))
			return &operators[i];
	return NULL;
}

/* ---- compile ---- */

struct compiling {
	const char *file;
	struct arena *arena;
	struct diags *diags;
};

static int wrong(const struct compiling *c, const struct node *at, const char *what)
{
	diags_add(c->diags, DIAG_ERROR, c->file, at->line, at->col, 0, "E210", "%s", what);
	return -1;
}

static int operand_compile(const struct compiling *c, const struct node *n, int is_pattern, struct operand *out)
{
	struct err e;

	switch (n->kind) {
	case NODE_STRING:
		out->kind = VALUE_STRING;
		out->text = arena_copy(c->arena, n->text);
		if (is_pattern && !glob_is_literal(n->text) && glob_compile(n->text, &out->glob, &e) < 0)
			return wrong(c, n, e.msg);
		return 0;
	case NODE_INTEGER:
		out->kind = VALUE_INTEGER;
		out->integer = n->integer;
		return 0;
	case NODE_NUMBER:
		out->kind = VALUE_REAL;
		out->real = n->number;
		return 0;
	case NODE_BOOL:
		out->kind = n->integer ? VALUE_TRUE : VALUE_FALSE;
		return 0;
	case NODE_NULL:
		out->kind = VALUE_NULL;
		return 0;
	case NODE_SECRET:
	case NODE_FUNCTION:
	case NODE_TABLE:
		break;
	}
	return wrong(c, n, "a test compares with a string, a number, true, false or null");
}

/* One value, or a list of them; *operands is set at once, so that a half-built predicate can be ended. */
static int operands_compile(const struct compiling *c, const struct node *n, int is_pattern,
			    struct operand **operands, size_t *count)
{
	int is_table = n->kind == NODE_TABLE;

	*count = is_table ? n->n_items : 1;
	*operands = arena_alloc(c->arena, *count, sizeof **operands);
	if (!is_table)
		return operand_compile(c, n, is_pattern, *operands);
	if (*count == 0)
		return wrong(c, n, "an empty list matches nothing");
	for (size_t i = 0; i < *count; i++)
		if (operand_compile(c, n->items[i], is_pattern, &(*operands)[i]) < 0)
			return -1;
	return 0;
}

static int operators_compile(const struct compiling *c, const struct node *test, struct predicate *p)
{
	if (test->n_members == 0)
		return wrong(c, test, "an empty table tests nothing");
	p->clauses = arena_alloc(c->arena, test->n_members, sizeof *p->clauses);
	for (size_t i = 0; i < test->n_members; i++) {
		const struct node_member *m = &test->members[i];
		struct clause *clause = &p->clauses[p->n++];
		clause->op = operator_find(m->key);
		if (!clause->op)
			return wrong(c, m->value, "no operator of that name");
		if (operands_compile(c, m->value, 0, &clause->operands, &clause->n) < 0)
			return -1;
		if (!clause->op->test && m->value->kind != NODE_BOOL)
			return wrong(c, m->value, "exists is true or false");
	}
	return 0;
}

int predicate_compile(const struct node *test, const char *file, struct arena *a, struct predicate *out, struct diags *d)
{
	struct compiling c = { file, a, d };
	const struct node *except = test->kind == NODE_TABLE ? node_get(test, "except") : NULL;

	*out = (struct predicate){ 0 };
	if (test->kind == NODE_TABLE && !except && test->n_items == 0)
		return operators_compile(&c, test, out);
	if (test->kind == NODE_TABLE && test->n_members > (except ? 1u : 0u))
		return wrong(&c, test, "a list and operators cannot stand in one table: put them under `all`");
	if (except && operands_compile(&c, except, 1, &out->except, &out->n_except) < 0)
		return -1;
	if (test->kind == NODE_TABLE && test->n_items == 0)
		return 0;
	out->clauses = arena_alloc(a, 1, sizeof *out->clauses);
	out->n = 1;
	out->clauses[0].op = &plain;
	return operands_compile(&c, test, 1, &out->clauses[0].operands, &out->clauses[0].n);
}

void predicate_fini(struct predicate *p)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < p->clauses[i].n; k++)
			glob_free(p->clauses[i].operands[k].glob);
	for (size_t k = 0; k < p->n_except; k++)
		glob_free(p->except[k].glob);
	*p = (struct predicate){ 0 };
}

static void operands_key(const struct operand *o, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%d:", (int)o[i].kind);
		if (o[i].kind == VALUE_STRING)
			buf_add_json(out, o[i].text);
		else if (o[i].kind == VALUE_REAL)
			buf_addf(out, "%.17g", o[i].real);
		else
			buf_addi(out, o[i].integer);
		buf_addc(out, ',');
	}
	buf_addc(out, ';');
}

void predicate_key(const struct predicate *p, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		buf_addf(out, "%s ", p->clauses[i].op->name);
		operands_key(p->clauses[i].operands, p->clauses[i].n, out);
	}
	buf_adds(out, "except ");
	operands_key(p->except, p->n_except, out);
}

/* ---- test ---- */

static int any_operand(const struct operator *op, const struct value *v, const struct operand *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (op->test(op, v, &o[i]))
			return 1;
	return 0;
}

int predicate_excludes(const struct predicate *p, const struct value *v)
{
	return any_operand(&plain, v, p->except, p->n_except);
}

static int clause_takes(const struct predicate *p, const struct clause *c, const struct value *v)
{
	return any_operand(c->op, v, c->operands, c->n) && !predicate_excludes(p, v);
}

int predicate_takes(const struct predicate *p, const struct value *v)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->clauses[i].op->test && clause_takes(p, &p->clauses[i], v) == p->clauses[i].op->is_none)
			return 0;
	return !predicate_excludes(p, v);
}

static enum truth clause_test(const struct predicate *p, const struct clause *c, const struct finding *f)
{
	if (!c->op->test) {
		int exists = f->n || !f->is_gathered;
		return exists == (c->operands[0].kind == VALUE_TRUE) ? TRUTH_YES : TRUTH_NO;
	}
	for (size_t i = 0; i < f->n; i++)
		if (clause_takes(p, c, &f->values[i]))
			return c->op->is_none ? TRUTH_NO : TRUTH_YES;
	if (f->is_cut)
		return TRUTH_UNKNOWN;
	return c->op->is_none ? TRUTH_YES : TRUTH_NO;
}

/* `except` alone: anything it does not take away. */
static enum truth any_is_left(const struct predicate *p, const struct finding *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!predicate_excludes(p, &f->values[i]))
			return TRUTH_YES;
	return f->is_cut ? TRUTH_UNKNOWN : TRUTH_NO;
}

enum truth predicate_test(const struct predicate *p, const struct finding *f)
{
	if (f->presence == FOUND_UNKNOWN)
		return TRUTH_UNKNOWN;
	if (f->presence == FOUND_NOTHING)
		return predicate_wants_absence(p) ? TRUTH_YES : TRUTH_NO;
	if (p->n == 0)
		return any_is_left(p, f);
	enum truth all = TRUTH_YES;
	for (size_t i = 0; i < p->n; i++) {
		enum truth t = clause_test(p, &p->clauses[i], f);
		all = t < all ? t : all;
	}
	return all;
}

const struct operand *predicate_alternatives(const struct predicate *p, size_t *n)
{
	if (p->n != 1 || (p->clauses[0].op != &plain && p->clauses[0].op != &operators[0]))
		return NULL;
	*n = p->clauses[0].n;
	return p->clauses[0].operands;
}

int predicate_wants_absence(const struct predicate *p)
{
	return p->n == 1 && !p->clauses[0].op->test && p->clauses[0].operands[0].kind == VALUE_FALSE;
}

/* ---- words ---- */

static const char *kind_words(enum value_kind k)
{
	switch (k) {
	case VALUE_STRING: return "string";
	case VALUE_INTEGER:
	case VALUE_REAL: return "number";
	case VALUE_TRUE:
	case VALUE_FALSE: return "boolean";
	case VALUE_NULL: return "null";
	case VALUE_OBJECT: return "object";
	case VALUE_ARRAY: return "list";
	}
	assert(!"kind");
	return "";
}

#define WORDS_MAX_BYTES 80

static void quoted(struct slice s, struct buf *out)
{
	struct slice shown = slice_upto(s, WORDS_MAX_BYTES);
	while (shown.len < s.len && shown.len && ((unsigned char)s.ptr[shown.len] & 0xc0) == 0x80)
		shown.len--;                            /* not in the middle of a character */
	buf_add_json(out, shown);
	if (shown.len < s.len)
		buf_adds(out, "\u2026");
}

void value_words(const struct value *v, enum words w, struct buf *out)
{
	if (v->kind == VALUE_OBJECT || v->kind == VALUE_ARRAY) {
		buf_adds(out, v->kind == VALUE_OBJECT ? "an object" : "a list");
		return;
	}
	if (w == WORDS_KINDS && v->kind != VALUE_NULL)
		buf_addf(out, "%s ", kind_words(v->kind));
	switch (v->kind) {
	case VALUE_STRING: quoted(v->text, out); return;
	case VALUE_INTEGER: buf_addi(out, v->integer); return;
	case VALUE_REAL: buf_addf(out, "%.15g", v->real); return;
	case VALUE_TRUE: buf_adds(out, "true"); return;
	case VALUE_FALSE: buf_adds(out, "false"); return;
	case VALUE_NULL: buf_adds(out, "null"); return;
	case VALUE_OBJECT:
	case VALUE_ARRAY: return;
	}
}

static void operands_words(const struct operand *o, size_t n, enum words w, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		struct value v = { .kind = o[i].kind, .text = o[i].text, .integer = o[i].integer, .real = o[i].real };
		buf_adds(out, i ? " | " : "");
		if (i == 8 && n > 10) {
			buf_addf(out, "%zu more", n - i);
			return;
		}
		value_words(&v, w, out);
	}
}

void predicate_want(const struct predicate *p, enum words w, struct buf *out)
{
	if (p->n == 0)
		buf_adds(out, "anything");
	for (size_t i = 0; i < p->n; i++) {
		const struct clause *c = &p->clauses[i];
		buf_adds(out, i ? " and " : "");
		if (!c->op->test) {
			buf_adds(out, c->operands[0].kind == VALUE_TRUE ? "it to exist" : "nothing");
			continue;
		}
		buf_adds(out, c->op->words);
		operands_words(c->operands, c->n, w, out);
	}
	if (p->n_except) {
		buf_adds(out, " except ");
		operands_words(p->except, p->n_except, w, out);
	}
}

static int same_kind(enum value_kind a, enum value_kind b)
{
	return strcmp(kind_words(a), kind_words(b)) == 0;
}

static int clause_knows_kind(const struct clause *c, const struct finding *f)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < f->n; k++)
			if (same_kind(c->operands[i].kind, f->values[k].kind))
				return 1;
	return 0;
}

int predicate_is_other_kind(const struct predicate *p, const struct finding *f)
{
	if (f->presence != FOUND_VALUES || f->n == 0)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->clauses[i].op->test && !p->clauses[i].op->is_none && !clause_knows_kind(&p->clauses[i], f))
			return 1;
	return 0;
}
