/* rules/gate.c - the literals that a rule's conditions demand. A rule with repo = "acme/site" and branch = "main" may stand
 * behind either, and stands behind the repo where a thousand others want that branch too: how often each literal is demanded
 * over the whole set is counted first. */
#include "rules/gate.h"

#include <stdlib.h>
#include <string.h>

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

uint64_t literal_hash_folded(uint64_t h, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
		h = literal_hash_more(h, &c, 1);
	}
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
	if (l->kind == LITERAL_FOLDED)
		return literal_hash_folded(h, l->text);
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

static struct slice up_to_slash(struct slice s)
{
	const char *slash = s.len ? memrchr(s.ptr, '/', s.len) : NULL;
	return slash ? slice_upto(s, (size_t)(slash - s.ptr) + 1) : SLICE_NULL;
}

static int literal_of_text(const struct operand *o, enum demand how, struct literal *out)
{
	switch (how) {
	case DEMAND_EQUAL:
		out->kind = o->glob ? LITERAL_FOLDER : LITERAL_TEXT;
		out->text = o->glob ? glob_folder(o->text) : o->text;
		return out->text.len || !o->glob;
	case DEMAND_START:
		out->kind = LITERAL_FOLDER;
		out->text = up_to_slash(o->text);
		return out->text.len > 0;
	case DEMAND_FOLDED:
		out->kind = LITERAL_FOLDED;
		out->text = o->text;
		return !o->glob;
	}
	return 0;
}

int literal_of(const struct operand *o, enum demand how, struct literal *out)
{
	*out = (struct literal){ .kind = LITERAL_WORD, .number = o->kind };
	switch (o->kind) {
	case VALUE_STRING:
		return literal_of_text(o, how, out);
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
typedef void demand_fn(void *arg, const struct choice *demand);

static int literals_of(const struct choice *demand)
{
	struct literal l;

	if (!demand->operands || demand->n > GATE_MAX_LITERALS)
		return 0;
	for (size_t i = 0; i < demand->n; i++)
		if (!literal_of(&demand->operands[i], demand->how, &l))
			return 0;
	return 1;
}

/* Call FN for everything that must be true for C to be, and that only certain literals can make true. */
static void each_demand(const struct ruleset *rs, const struct cond *c, demand_fn *fn, void *arg)
{
	if (c->kind == COND_ALL || (c->kind == COND_ANY && c->n == 1))
		for (size_t i = 0; i < c->n; i++)
			each_demand(rs, &c->kids[i], fn, arg);
	if (c->kind != COND_QUESTION)
		return;
	const struct question *q = &rs->questions[c->question];
	for (size_t i = 0; i < q->predicate.n; i++) {
		struct choice demand = { .subject = q->subject };
		demand.operands = predicate_demand(&q->predicate, i, &demand.how, &demand.n);
		if (literals_of(&demand))
			fn(arg, &demand);
	}
}

static void count_demand(void *arg, const struct choice *demand)
{
	struct counts *c = arg;
	struct literal l;

	for (size_t i = 0; i < demand->n; i++) {
		if (c->n == c->cap) {
			c->cap = c->cap ? c->cap * 2 : 256;
			c->hashes = xrealloc(c->hashes, c->cap * sizeof *c->hashes);
		}
		literal_of(&demand->operands[i], demand->how, &l);
		c->hashes[c->n++] = literal_hash(WHOLE_SET, demand->subject, &l);
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

static void choose_rarest(void *arg, const struct choice *demand)
{
	const struct choosing *c = arg;
	struct literal l;
	size_t cost = 0;

	for (size_t i = 0; i < demand->n; i++) {
		literal_of(&demand->operands[i], demand->how, &l);
		size_t rules = count_of(c->counts, literal_hash(WHOLE_SET, demand->subject, &l));
		cost += rules * (l.kind == LITERAL_FOLDER ? FOLDER_COST : 1);
	}
	if (c->best->operands && cost >= c->best->cost)
		return;
	*c->best = *demand;
	c->best->cost = cost;
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
