/* rules/operator.c - one value, one operand. Nothing is converted: a function says no to a kind that it does not know. To
 * add an operator is to add a row here, and one in schema.c. */
#include "rules/operator.h"

#include "rules/cidr.h"
#include "rules/glob.h"
#include "rules/regex.h"

enum order { BELOW = 1, EQUAL = 2, ABOVE = 4 };

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

static int test_order(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	if (is_number(v->kind) && is_number(o->kind))
		return (order_of_numbers(v, o) & op->order) != 0;
	if (v->kind != VALUE_STRING || o->kind != VALUE_STRING)
		return 0;
	int c = slice_cmp(v->text, o->text);
	return ((c < 0 ? BELOW : c > 0 ? ABOVE : EQUAL) & op->order) != 0;
}

static int test_equal(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	if (v->kind == VALUE_STRING || is_number(v->kind))
		return test_order(op, v, o, e);
	return v->kind == o->kind;
}

static int test_glob(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	if (o->glob)
		return v->kind == VALUE_STRING && glob_matches(o->glob, v->text);
	return test_equal(op, v, o, e);
}

static int test_icase(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	CLEANUP(buf_fini) struct buf folded = BUF(BUF_UNLIMITED);

	if (v->kind != VALUE_STRING)
		return 0;
	if (!o->glob)
		return slice_ieq(v->text, o->text);
	operator_fold(v->text, &folded);
	return glob_matches(o->glob, buf_slice(&folded));
}

static int both_are_text(const struct value *v, const struct operand *o)
{
	return v->kind == VALUE_STRING && o->kind == VALUE_STRING;
}

static int test_has(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	return both_are_text(v, o) && slice_find(v->text, o->text) >= 0;
}

static int test_starts(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	return both_are_text(v, o) && slice_starts(v->text, o->text);
}

static int test_ends(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	return both_are_text(v, o) && slice_ends(v->text, o->text);
}

static int test_re(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	return v->kind == VALUE_STRING && regex_search(o->regex, v->text, &e->work, &e->gave_up) == REGEX_YES;
}

static int test_cidr(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e)
{
	return v->kind == VALUE_STRING && cidr_holds(o->network, v->text);
}

const struct operator operator_plain = { "", "", ASKS_VALUE, FORM_GLOB, test_glob, EQUAL };
static const struct operator operators[] = {
	{ "eq", "", ASKS_VALUE, FORM_PLAIN, test_equal, EQUAL },
	{ "ne", "not ", ASKS_NO_VALUE, FORM_PLAIN, test_equal, EQUAL },
	{ "has", "containing ", ASKS_VALUE, FORM_PLAIN, test_has, 0 },
	{ "starts", "beginning with ", ASKS_VALUE, FORM_PLAIN, test_starts, 0 },
	{ "ends", "ending in ", ASKS_VALUE, FORM_PLAIN, test_ends, 0 },
	{ "re", "matching ", ASKS_VALUE, FORM_REGEX, test_re, 0 },
	{ "lt", "< ", ASKS_VALUE, FORM_PLAIN, test_order, BELOW },
	{ "le", "<= ", ASKS_VALUE, FORM_PLAIN, test_order, BELOW | EQUAL },
	{ "gt", "> ", ASKS_VALUE, FORM_PLAIN, test_order, ABOVE },
	{ "ge", ">= ", ASKS_VALUE, FORM_PLAIN, test_order, ABOVE | EQUAL },
	{ "exists", "", ASKS_PRESENCE, FORM_PLAIN, NULL, 0 },
	{ "some", "some ", ASKS_SOME, FORM_TEST, NULL, 0 },
	{ "every", "every ", ASKS_EVERY, FORM_TEST, NULL, 0 },
	{ "icase", "in any case ", ASKS_VALUE, FORM_FOLDED_GLOB, test_icase, EQUAL },
	{ "cidr", "within ", ASKS_VALUE, FORM_NETWORK, test_cidr, 0 },
};

const struct operator *operator_find(struct slice name)
{
	for (size_t i = 0; i < COUNT(operators); i++)
		if (slice_eq(name, slice_of(operators[i].name)))
			return &operators[i];
	return NULL;
}

void operator_fold(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		buf_addc(out, s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i]);
}
