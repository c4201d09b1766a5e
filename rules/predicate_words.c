/* rules/predicate_words.c - tests and values for people. */
#include <assert.h>
#include <string.h>

#include "rules/elements.h"

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
		if (c->op->asks == ASKS_PRESENCE) {
			buf_adds(out, c->operands[0].kind == VALUE_TRUE ? "it to exist" : "nothing");
			continue;
		}
		buf_adds(out, c->op->words);
		if (c->op->form == FORM_TEST) {
			elements_words(c->operands[0].elements, w, out);
			continue;
		}
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
		if (p->clauses[i].op->asks == ASKS_VALUE && !clause_knows_kind(&p->clauses[i], f))
			return 1;
	return 0;
}
