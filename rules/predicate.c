/* rules/predicate.c - tests as data: what is said of several values, of alternatives and of absence, once for all
 * operators (rules/operator.c). */
#include "rules/predicate.h"

#include "rules/arena.h"
#include "rules/cidr.h"
#include "rules/elements.h"
#include "rules/glob.h"
#include "rules/operator.h"
#include "rules/regex.h"

/* ---- compile ---- */

int predicate_wrong(const struct compiling *c, const struct node *at, const char *what)
{
	diags_add(c->diags, DIAG_ERROR, c->file, at->line, at->col, 0, "E210", "%s", what);
	return -1;
}

static int text_compile(const struct compiling *c, const struct node *n, enum operator_form form, struct operand *out)
{
	CLEANUP(buf_fini) struct buf folded = BUF(BUF_UNLIMITED);
	struct slice pattern = n->text;
	struct err e;
	int bad = 0;

	out->kind = VALUE_STRING;
	out->text = arena_copy(c->arena, n->text);
	if (form == FORM_FOLDED_GLOB) {
		operator_fold(pattern, &folded);
		pattern = buf_slice(&folded);
	}
	if ((form == FORM_GLOB || form == FORM_FOLDED_GLOB) && !glob_is_literal(pattern))
		bad = glob_compile(pattern, &out->glob, &e);
	if (form == FORM_REGEX)
		bad = regex_compile(pattern, &out->regex, &e);
	if (form == FORM_NETWORK) {
		out->network = arena_alloc(c->arena, 1, sizeof *out->network);
		bad = cidr_parse(pattern, out->network, &e);
	}
	return bad ? predicate_wrong(c, n, e.msg) : 0;
}

static int operand_compile(const struct compiling *c, const struct node *n, enum operator_form form, struct operand *out)
{
	if (n->kind == NODE_STRING)
		return text_compile(c, n, form, out);
	if (form == FORM_FOLDED_GLOB || form == FORM_REGEX || form == FORM_NETWORK)
		return predicate_wrong(c, n, "this operator takes a string or a list of strings");
	switch (n->kind) {
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
	case NODE_STRING:
	case NODE_SECRET:
	case NODE_FUNCTION:
	case NODE_TABLE:
		break;
	}
	return predicate_wrong(c, n, "a test compares with a string, a number, true, false or null");
}

/* One value, or a list of them; *operands is set at once, so that a half-built predicate can be ended. */
static int operands_compile(const struct compiling *c, const struct node *n, enum operator_form form,
			    struct operand **operands, size_t *count)
{
	int is_table = n->kind == NODE_TABLE;

	*count = is_table ? n->n_items : 1;
	*operands = arena_alloc(c->arena, *count, sizeof **operands);
	if (!is_table)
		return operand_compile(c, n, form, *operands);
	if (*count == 0)
		return predicate_wrong(c, n, "an empty list matches nothing");
	if (*count > OPERANDS_MAX)
		return predicate_wrong(c, n, "a list of more than 1000 values");
	for (size_t i = 0; i < *count; i++)
		if (operand_compile(c, n->items[i], form, &(*operands)[i]) < 0)
			return -1;
	return 0;
}

static int clause_compile(const struct compiling *c, const struct node_member *m, struct clause *out)
{
	out->op = operator_find(m->key);
	if (!out->op)
		return predicate_wrong(c, m->value, "no operator of that name");
	if (out->op->form == FORM_TEST) {
		out->operands = arena_alloc(c->arena, 1, sizeof *out->operands);
		out->n = 1;
		return elements_compile(c, m->value, &out->operands[0].elements);
	}
	if (operands_compile(c, m->value, out->op->form, &out->operands, &out->n) < 0)
		return -1;
	if (out->op->asks == ASKS_PRESENCE && m->value->kind != NODE_BOOL)
		return predicate_wrong(c, m->value, "exists is true or false");
	return 0;
}

static int operators_compile(const struct compiling *c, const struct node *test, struct predicate *p)
{
	if (test->n_members == 0)
		return predicate_wrong(c, test, "an empty table tests nothing");
	p->clauses = arena_alloc(c->arena, test->n_members, sizeof *p->clauses);
	for (size_t i = 0; i < test->n_members; i++)
		if (clause_compile(c, &test->members[i], &p->clauses[p->n++]) < 0)
			return -1;
	return 0;
}

int predicate_compile_within(const struct compiling *c, const struct node *test, struct predicate *out)
{
	const struct node *except = test->kind == NODE_TABLE ? node_get(test, "except") : NULL;

	*out = (struct predicate){ 0 };
	if (test->kind == NODE_TABLE && !except && test->n_items == 0)
		return operators_compile(c, test, out);
	if (test->kind == NODE_TABLE && test->n_members > (except ? 1u : 0u))
		return predicate_wrong(c, test, "a list and operators cannot stand in one table: put them under `all`");
	if (except && operands_compile(c, except, FORM_GLOB, &out->except, &out->n_except) < 0)
		return -1;
	if (test->kind == NODE_TABLE && test->n_items == 0)
		return 0;
	out->clauses = arena_alloc(c->arena, 1, sizeof *out->clauses);
	out->n = 1;
	out->clauses[0].op = &operator_plain;
	return operands_compile(c, test, FORM_GLOB, &out->clauses[0].operands, &out->clauses[0].n);
}

int predicate_compile(const struct node *test, const char *file, struct arena *a, struct predicate *out, struct diags *d)
{
	const struct compiling c = { file, a, d, 0 };
	return predicate_compile_within(&c, test, out);
}

static void operands_fini(struct operand *o, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		glob_free(o[i].glob);
		regex_free(o[i].regex);
		elements_free(o[i].elements);
	}
}

void predicate_fini(struct predicate *p)
{
	for (size_t i = 0; i < p->n; i++)
		operands_fini(p->clauses[i].operands, p->clauses[i].operands ? p->clauses[i].n : 0);
	operands_fini(p->except, p->except ? p->n_except : 0);
	*p = (struct predicate){ 0 };
}

/* Texts by their length, so that none can look like the end of one. */
static void operands_key(const struct operand *o, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%d:", (int)o[i].kind);
		if (o[i].elements) {
			elements_key(o[i].elements, out);
		} else if (o[i].kind == VALUE_STRING) {
			buf_addf(out, "%zu:", o[i].text.len);
			buf_add(out, o[i].text);
		} else if (o[i].kind == VALUE_REAL) {
			buf_addf(out, "%.17g", o[i].real);
		} else {
			buf_addi(out, o[i].integer);
		}
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

static int any_operand(const struct operator *op, const struct value *v, const struct operand *o, size_t n, struct effort *e)
{
	for (size_t i = 0; i < n; i++)
		if (op->test(op, v, &o[i], e))
			return 1;
	return 0;
}

int predicate_excludes(const struct predicate *p, const struct value *v)
{
	return any_operand(&operator_plain, v, p->except, p->n_except, NULL);
}

/* V passes every clause that a single value can pass. */
static int takes(const struct predicate *p, const struct value *v, struct effort *e)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct clause *c = &p->clauses[i];
		if (c->op->asks == ASKS_VALUE && !any_operand(c->op, v, c->operands, c->n, e))
			return 0;
	}
	return !predicate_excludes(p, v);
}

static enum truth any_takes(const struct predicate *p, const struct finding *f, struct effort *e)
{
	for (size_t i = 0; i < f->n; i++)
		if (takes(p, &f->values[i], e))
			return TRUTH_YES;
	return f->is_cut ? TRUTH_UNKNOWN : TRUTH_NO;
}

static enum truth none_takes(const struct clause *c, const struct finding *f, struct effort *e)
{
	for (size_t i = 0; i < f->n; i++)
		if (any_operand(c->op, &f->values[i], c->operands, c->n, e))
			return TRUTH_NO;
	return f->is_cut ? TRUTH_UNKNOWN : TRUTH_YES;
}

/* `some` of no elements does not hold, nor does `every`. */
static enum truth elements_say(const struct clause *c, const struct finding *f, struct effort *e)
{
	enum truth least = TRUTH_YES, greatest = TRUTH_NO;

	for (size_t i = 0; f->is_list && i < f->n; i++) {
		enum truth t = elements_test(c->operands[0].elements, &f->values[i], e);
		least = t < least ? t : least;
		greatest = t > greatest ? t : greatest;
	}
	if (c->op->asks == ASKS_SOME)
		return greatest == TRUTH_NO && f->is_cut ? TRUTH_UNKNOWN : greatest;
	if (f->is_cut && least == TRUTH_YES)
		return TRUTH_UNKNOWN;
	return f->is_list && f->n ? least : TRUTH_NO;
}

static enum truth clause_test(const struct clause *c, const struct finding *f, struct effort *e)
{
	int exists = !f->none_had_it;

	switch (c->op->asks) {
	case ASKS_PRESENCE: return !exists && f->is_cut ? TRUTH_UNKNOWN : exists == (c->operands[0].kind == VALUE_TRUE) ? TRUTH_YES : TRUTH_NO;
	case ASKS_NO_VALUE: return none_takes(c, f, e);
	case ASKS_SOME:
	case ASKS_EVERY: return elements_say(c, f, e);
	case ASKS_VALUE: break;                 /* all at once, of one value */
	}
	return TRUTH_YES;
}

static int asks_values(const struct predicate *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->clauses[i].op->asks == ASKS_VALUE)
			return 1;
	return p->n == 0;                       /* `except` alone: anything that it does not take away */
}

enum truth predicate_test_within(const struct predicate *p, const struct finding *f, struct effort *e)
{
	if (f->presence == FOUND_UNKNOWN)
		return TRUTH_UNKNOWN;
	if (f->presence == FOUND_NOTHING)
		return predicate_wants_absence(p) ? TRUTH_YES : TRUTH_NO;
	enum truth all = asks_values(p) ? any_takes(p, f, e) : TRUTH_YES;
	for (size_t i = 0; i < p->n; i++) {
		enum truth t = clause_test(&p->clauses[i], f, e);
		all = t < all ? t : all;
	}
	return all;
}

enum truth predicate_test(const struct predicate *p, const struct finding *f)
{
	struct effort e = { .work = REGEX_WORK_MAX };
	return predicate_test_within(p, f, &e);
}

const char *predicate_gave_up(const struct predicate *p, const struct finding *f)
{
	struct effort e = { .work = REGEX_WORK_MAX };

	predicate_test_within(p, f, &e);
	return e.gave_up;
}

int predicate_takes(const struct predicate *p, const struct value *v)
{
	const struct finding alone = { .presence = FOUND_VALUES, .values = v, .n = 1, .is_list = 1 };
	return predicate_test(p, &alone) == TRUTH_YES;
}

const struct operand *predicate_demand(const struct predicate *p, size_t i, enum demand *how, size_t *n)
{
	const struct clause *c = &p->clauses[i];
	struct slice name = slice_of(c->op->name);

	*n = c->n;
	if (c->op == &operator_plain || slice_eq(name, SLICE("eq")))
		*how = DEMAND_EQUAL;
	else if (slice_eq(name, SLICE("starts")))
		*how = DEMAND_START;
	else if (slice_eq(name, SLICE("ends")))
		*how = DEMAND_END;
	else if (slice_eq(name, SLICE("icase")))
		*how = DEMAND_FOLDED;
	else
		return NULL;
	return c->operands;
}

int predicate_wants_absence(const struct predicate *p)
{
	return p->n == 1 && p->clauses[0].op->asks == ASKS_PRESENCE && p->clauses[0].operands[0].kind == VALUE_FALSE;
}

int predicate_asks_elements(const struct predicate *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->clauses[i].op->form == FORM_TEST)
			return 1;
	return 0;
}

/* ---- for lints ---- */

static int bound(const struct predicate *p, const char *closed, const char *open, const struct operand **out, int *is_open)
{
	for (size_t i = 0; i < p->n; i++) {
		struct slice name = slice_of(p->clauses[i].op->name);
		if (!slice_eq(name, slice_of(closed)) && !slice_eq(name, slice_of(open)))
			continue;
		*out = &p->clauses[i].operands[0];
		*is_open = slice_eq(name, slice_of(open));
		return 1;
	}
	return 0;
}

int predicate_low(const struct predicate *p, const struct operand **out, int *is_open)
{
	return bound(p, "ge", "gt", out, is_open);
}

int predicate_high(const struct predicate *p, const struct operand **out, int *is_open)
{
	return bound(p, "le", "lt", out, is_open);
}

int operand_compare(const struct operand *a, const struct operand *b)
{
	const struct value v = { .kind = a->kind, .text = a->text, .integer = a->integer, .real = a->real };
	const struct operator *below = operator_find(SLICE("lt")), *above = operator_find(SLICE("gt")), *equal = operator_find(SLICE("eq"));

	if (below->test(below, &v, b, NULL))
		return -1;
	if (above->test(above, &v, b, NULL))
		return 1;
	return equal->test(equal, &v, b, NULL) ? 0 : OPERANDS_APART;
}

int predicate_wants_both(const struct predicate *p)
{
	for (size_t i = 0; p->n > 1 && i < p->n; i++)
		if (p->clauses[i].op->asks == ASKS_PRESENCE && p->clauses[i].operands[0].kind == VALUE_FALSE)
			return 1;
	return 0;
}
