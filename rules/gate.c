/* rules/gate.c - the literals that a rule's conditions demand. A rule with repo = "acme/site" and branch = "main" may stand
 * behind either, and stands behind the repo where a thousand others want that branch too: how often each literal is demanded
 * over the whole set is counted first. */
#include "rules/gate.h"

#include <stdlib.h>

#include "rules/glob.h"

#define GATE_MAX_LITERALS 64
#define FOLDER_COST 4                   /* a folder lets more through than a text that is as rare */
#define WHOLE_SET (~(size_t)0)          /* in place of a listing: how common a literal is anywhere */
#define EXACT_MAX (1LL << 53)           /* up to here a double holds every integer */

uint64_t literal_hash_more(uint64_t h, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

uint64_t literal_hash_start(size_t listing, uint32_t subject, enum literal_kind kind)
{
	uint64_t key[3] = { listing, subject, (uint64_t)kind };
	return literal_hash_more(0xcbf29ce484222325u, key, sizeof key);
}

uint64_t literal_hash(size_t listing, uint32_t subject, const struct literal *l)
{
	uint64_t h = literal_hash_start(listing, subject, l->kind);
	if (l->text.ptr)
		return literal_hash_more(h, l->text.ptr, l->text.len);
	return literal_hash_more(h, &l->number, sizeof l->number);
}

int literal_whole(double d, int64_t *out)
{
	if (!(d >= -(double)EXACT_MAX && d <= (double)EXACT_MAX) || (double)(int64_t)d != d)
		return 0;
	*out = (int64_t)d;
	return 1;
}

int literal_of(const struct operand *o, struct literal *out)
{
	*out = (struct literal){ .kind = LITERAL_WORD, .number = o->kind };
	switch (o->kind) {
	case VALUE_STRING:
		out->kind = o->glob ? LITERAL_FOLDER : LITERAL_TEXT;
		out->text = o->glob ? glob_folder(o->text) : o->text;
		return out->text.len || !o->glob;
	case VALUE_INTEGER:
		out->kind = LITERAL_NUMBER;
		out->number = o->integer;
		return o->integer >= -EXACT_MAX && o->integer <= EXACT_MAX;
	case VALUE_REAL:
		out->kind = LITERAL_NUMBER;
		return literal_whole(o->real, &out->number);
	case VALUE_TRUE:
	case VALUE_FALSE:
	case VALUE_NULL:
		return 1;
	case VALUE_OBJECT:
	case VALUE_ARRAY:
		break;
	}
	return 0;
}

struct counts {                         /* of every literal that some rule demands, over the whole set */
	uint64_t *hashes;               /* sorted; equal ones stand together */
	size_t n, cap;
};
typedef void demand_fn(void *arg, uint32_t subject, const struct operand *o, size_t n);

/* Call FN for every question that must be true for C to be, and that only certain literals can make true. */
static void each_demand(const struct ruleset *rs, const struct cond *c, demand_fn *fn, void *arg)
{
	struct literal l;
	size_t n;

	if (c->kind == COND_ALL || (c->kind == COND_ANY && c->n == 1))
		for (size_t i = 0; i < c->n; i++)
			each_demand(rs, &c->kids[i], fn, arg);
	if (c->kind != COND_QUESTION)
		return;
	const struct question *q = &rs->questions[c->question];
	const struct operand *o = predicate_alternatives(&q->predicate, &n);
	if (!o || n > GATE_MAX_LITERALS)
		return;
	for (size_t i = 0; i < n; i++)
		if (!literal_of(&o[i], &l))
			return;
	fn(arg, q->subject, o, n);
}

static void count_demand(void *arg, uint32_t subject, const struct operand *o, size_t n)
{
	struct counts *c = arg;
	struct literal l;

	for (size_t i = 0; i < n; i++) {
		if (c->n == c->cap) {
			c->cap = c->cap ? c->cap * 2 : 256;
			c->hashes = xrealloc(c->hashes, c->cap * sizeof *c->hashes);
		}
		literal_of(&o[i], &l);
		c->hashes[c->n++] = literal_hash(WHOLE_SET, subject, &l);
	}
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static size_t lower_bound(const uint64_t *list, size_t n, uint64_t h)
{
	size_t from = 0;
	while (n) {
		size_t half = n / 2;
		if (list[from + half] < h) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

static size_t count_of(const struct counts *c, uint64_t h)
{
	size_t end = h == UINT64_MAX ? c->n : lower_bound(c->hashes, c->n, h + 1);
	return end - lower_bound(c->hashes, c->n, h);
}

struct choosing {
	const struct counts *counts;
	struct choice *best;
};

static void choose_rarest(void *arg, uint32_t subject, const struct operand *o, size_t n)
{
	const struct choosing *c = arg;
	struct literal l;
	size_t cost = 0;

	for (size_t i = 0; i < n; i++) {
		literal_of(&o[i], &l);
		size_t rules = count_of(c->counts, literal_hash(WHOLE_SET, subject, &l));
		cost += rules * (l.kind == LITERAL_FOLDER ? FOLDER_COST : 1);
	}
	if (!c->best->operands || cost < c->best->cost)
		*c->best = (struct choice){ subject, o, n, cost };
}

struct choice *gates_choose(const struct ruleset *rs)
{
	struct choice *gates = xcalloc(rs->n_rules, sizeof *gates);
	struct counts counts = { 0 };

	for (size_t i = 0; i < rs->n_rules; i++)
		each_demand(rs, &rs->rules[i].when, count_demand, &counts);
	if (counts.n)
		qsort(counts.hashes, counts.n, sizeof *counts.hashes, by_number);
	for (size_t i = 0; i < rs->n_rules; i++) {
		struct choosing c = { &counts, &gates[i] };
		each_demand(rs, &rs->rules[i].when, choose_rarest, &c);
	}
	free(counts.hashes);
	return gates;
}
