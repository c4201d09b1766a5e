/* rules/gate.c - what a rule's conditions demand. A rule with repo = "acme/site" and branch = "main" may stand behind
 * either, and stands behind the repo where a thousand others want that branch too: how often each literal is demanded over
 * the whole set is counted first. Of a pattern's literals (its beginning, its end, the names between its slashes) the
 * rarest is taken; of an `any`, what each of its parts demands. Every test but { exists = false } demands that there be something
 * under its name; behind that alone a rule stands where nothing rarer is demanded. */
#include "rules/gate.h"

#include <stdlib.h>
#include <string.h>

#include "rules/glob.h"

#define GATE_MAX_LITERALS 1000          /* of one rule */
#define PART_COST 4                     /* a part of a text lets more through than a whole one that is as rare */
#define PRESENCE_COST 64                /* a path that is there at all: many are in every payload */
#define WHOLE_SET (~(size_t)0)          /* in place of a listing: how common a literal is anywhere */
#define EXACT_MAX (1LL << 53)           /* up to here a double holds every integer */
#define NEVER SIZE_MAX                  /* the cost of what demands nothing */

/* ---- literals ---- */

uint64_t literal_hash_folded(uint64_t h, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		h = literal_hash_byte(h, text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i]);
	return h;
}

static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
	const char *p = bytes;
	for (size_t i = 0; i < n; i++)
		h = literal_hash_byte(h, p[i]);
	return h;
}

uint64_t literal_hash_start(size_t listing, uint32_t subject, enum literal_kind kind)
{
	uint64_t key[3] = { listing, subject, (uint64_t)kind };
	return hash_bytes(0xcbf29ce484222325u, key, sizeof key);
}

uint64_t literal_hash(uint64_t h, const struct literal *l)
{
	switch (l->kind) {
	case LITERAL_TEXT:
	case LITERAL_START:
	case LITERAL_NAME:
		return hash_bytes(h, l->text.ptr, l->text.len);
	case LITERAL_FOLDED:
		return literal_hash_folded(h, l->text);
	case LITERAL_END:
		for (size_t i = l->text.len; i > 0; i--)
			h = literal_hash_byte(h, l->text.ptr[i - 1]);
		return h;
	case LITERAL_NUMBER:
	case LITERAL_WORD:
	case LITERAL_PRESENCE:
		break;
	}
	return hash_bytes(h, &l->number, sizeof l->number);
}

int literal_whole(double d, int64_t *out)
{
	if (!(d >= -(double)EXACT_MAX && d <= (double)EXACT_MAX) || (double)(int64_t)d != d)
		return 0;
	*out = (int64_t)d;
	return 1;
}

static int add_start(struct slice s, struct literal *out)
{
	*out = (struct literal){ .kind = LITERAL_START, .text = slice_upto(s, LITERAL_MAX_BYTES) };
	return s.len > 0;
}

static int add_end(struct slice s, struct literal *out)
{
	struct slice text = slice_from(s, s.len > LITERAL_MAX_BYTES ? s.len - LITERAL_MAX_BYTES : 0);
	*out = (struct literal){ .kind = LITERAL_END, .text = text };
	return s.len > 0;
}

static int add_parts(struct slice pattern, struct literal *out)
{
	struct glob_parts parts = glob_parts(pattern);
	int n = add_start(parts.start, out);

	n += add_end(parts.end, &out[n]);
	out[n] = (struct literal){ .kind = LITERAL_NAME, .text = parts.name };
	return n + (parts.name.len > 0);
}

static int literals_of_text(const struct operand *o, enum demand how, struct literal *out)
{
	*out = (struct literal){ .kind = how == DEMAND_FOLDED ? LITERAL_FOLDED : LITERAL_TEXT, .text = o->text };
	switch (how) {
	case DEMAND_EQUAL:
		return o->glob ? add_parts(o->text, out) : 1;
	case DEMAND_START:
		return add_start(o->text, out);
	case DEMAND_END:
		return add_end(o->text, out);
	case DEMAND_FOLDED:
		return !o->glob;
	}
	return 0;
}

int literals_of(const struct operand *o, enum demand how, struct literal *out)
{
	switch (o->kind) {
	case VALUE_STRING:
		return literals_of_text(o, how, out);
	case VALUE_INTEGER:
		*out = (struct literal){ .kind = LITERAL_NUMBER, .number = o->integer };
		return o->integer >= -EXACT_MAX && o->integer <= EXACT_MAX;
	case VALUE_REAL:
		*out = (struct literal){ .kind = LITERAL_NUMBER };
		return literal_whole(o->real, &out->number);
	case VALUE_TRUE:
	case VALUE_FALSE:
	case VALUE_NULL:
		*out = (struct literal){ .kind = LITERAL_WORD, .number = o->kind };
		return 1;
	case VALUE_OBJECT:
	case VALUE_ARRAY:
		break;
	}
	return 0;
}

/* ---- counting ---- */

struct counts {                         /* over the whole set */
	uint64_t *hashes;               /* of every literal that some rule demands; sorted: equal ones stand together */
	size_t n, cap;
	uint32_t *asked;                /* by question: by how many rules that cannot fire where it fails */
};

static uint64_t hash_of(uint32_t subject, const struct literal *l)
{
	return literal_hash(literal_hash_start(WHOLE_SET, subject, l->kind), l);
}

static void count_literal(struct counts *c, uint32_t subject, const struct literal *l)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 256;
		c->hashes = xrealloc(c->hashes, c->cap * sizeof *c->hashes);
	}
	c->hashes[c->n++] = hash_of(subject, l);
}

static void count_operand(struct counts *c, uint32_t subject, const struct operand *o, enum demand how)
{
	struct literal l[LITERALS_MAX];

	for (int i = 0, n = literals_of(o, how, l); i < n; i++)
		count_literal(c, subject, &l[i]);
}

static const struct literal presence = { .kind = LITERAL_PRESENCE };

static void count_question(struct counts *c, const struct question *q)
{
	const struct predicate *p = &q->predicate;
	enum demand how;
	size_t n;

	for (size_t i = 0; i < p->n; i++) {
		const struct operand *o = predicate_demand(p, i, &how, &n);
		for (size_t k = 0; o && k < n; k++)
			count_operand(c, q->subject, &o[k], how);
	}
	count_literal(c, q->subject, &presence);
}

/* IS_SURE: nothing that COND stands in holds without it. */
static void count_cond(struct counts *c, const struct ruleset *rs, const struct cond *cond, int is_sure)
{
	if (cond->kind == COND_NONE)
		return;
	if (cond->kind == COND_QUESTION) {
		count_question(c, &rs->questions[cond->question]);
		c->asked[cond->question] += is_sure != 0;
	}
	is_sure = is_sure && (cond->kind == COND_ALL || cond->n == 1);
	for (size_t i = 0; i < cond->n; i++)
		count_cond(c, rs, &cond->kids[i], is_sure);
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

static void count_rule(struct counts *c, const struct ruleset *rs, const struct rule *r)
{
	count_cond(c, rs, &r->when, 1);
	for (size_t i = 0; i < r->n_cells; i++)
		count_cond(c, rs, &r->cells[i].when, 0);
}

/* ---- choosing ---- */

struct chooser {
	const struct ruleset *rs;
	const struct counts *counts;
	struct wanted *stack;           /* what is chosen so far, of the parts at hand */
	size_t n, cap;
	int takes_fields;               /* that a field is there may be chosen, too: most are, in every event that has them */
};

static void push(struct chooser *c, uint32_t subject, const struct literal *l)
{
	if (c->n == c->cap) {
		c->cap = c->cap ? c->cap * 2 : 64;
		c->stack = xrealloc(c->stack, c->cap * sizeof *c->stack);
	}
	c->stack[c->n++] = (struct wanted){ subject, *l };
}

/* Between START and AT stands what costs BEST, behind AT what costs COST: keep the cheaper, at START. */
static size_t keep_cheaper(struct chooser *c, size_t start, size_t at, size_t best, size_t cost)
{
	if (cost >= best) {
		c->n = at;
		return best;
	}
	memmove(&c->stack[start], &c->stack[at], (c->n - at) * sizeof *c->stack);
	c->n -= at - start;
	return cost;
}

/* These push what they choose and say its cost, or push nothing and say NEVER. */

static size_t choose_literal(struct chooser *c, uint32_t subject, const struct operand *o, enum demand how)
{
	struct literal l[LITERALS_MAX];
	size_t best = NEVER;
	int rarest = 0;

	for (int i = 0, n = literals_of(o, how, l); i < n; i++) {
		int is_part = l[i].kind == LITERAL_START || l[i].kind == LITERAL_END || l[i].kind == LITERAL_NAME;
		size_t rules = count_of(c->counts, hash_of(subject, &l[i]));
		size_t cost = rules * (is_part ? PART_COST : 1);
		rarest = cost < best ? i : rarest;
		best = cost < best ? cost : best;
	}
	if (best != NEVER)
		push(c, subject, &l[rarest]);
	return best;
}

static size_t choose_clause(struct chooser *c, const struct question *q, size_t clause)
{
	enum demand how;
	size_t n, start = c->n, cost = 0;
	const struct operand *o = predicate_demand(&q->predicate, clause, &how, &n);

	if (!o || n > GATE_MAX_LITERALS)
		return NEVER;
	for (size_t i = 0; i < n; i++) {
		size_t one = choose_literal(c, q->subject, &o[i], how);
		if (one == NEVER) {
			c->n = start;
			return NEVER;
		}
		cost += one;
	}
	return cost;
}

static size_t choose_presence(struct chooser *c, const struct question *q)
{
	if (predicate_wants_absence(&q->predicate) || !(c->takes_fields || subject_is_open(&c->rs->subjects[q->subject])))
		return NEVER;
	push(c, q->subject, &presence);
	return count_of(c->counts, hash_of(q->subject, &presence)) * PRESENCE_COST;
}

static size_t choose_of_question(struct chooser *c, const struct question *q)
{
	size_t start = c->n, best = NEVER, at;

	for (size_t i = 0; i < q->predicate.n; i++) {
		at = c->n;
		best = keep_cheaper(c, start, at, best, choose_clause(c, q, i));
	}
	at = c->n;
	return keep_cheaper(c, start, at, best, choose_presence(c, q));
}

static size_t choose_cond(struct chooser *c, const struct cond *cond);

static size_t choose_any(struct chooser *c, const struct cond *cond)
{
	size_t start = c->n, cost = 0;

	for (size_t i = 0; i < cond->n; i++) {
		size_t one = choose_cond(c, &cond->kids[i]);
		if (one == NEVER || c->n - start > GATE_MAX_LITERALS) {
			c->n = start;
			return NEVER;
		}
		cost += one;
	}
	return cond->n ? cost : NEVER;
}

static size_t choose_cond(struct chooser *c, const struct cond *cond)
{
	size_t start = c->n, best = NEVER;

	switch (cond->kind) {
	case COND_QUESTION:
		return choose_of_question(c, &c->rs->questions[cond->question]);
	case COND_ALL:
		for (size_t i = 0; i < cond->n; i++) {
			size_t at = c->n;
			best = keep_cheaper(c, start, at, best, choose_cond(c, &cond->kids[i]));
		}
		return best;
	case COND_ANY:
		return choose_any(c, cond);
	case COND_NONE:
		break;
	}
	return NEVER;
}

/* A rule with a matrix fires only where one of its cells runs. */
static size_t choose_cells(struct chooser *c, const struct rule *r)
{
	size_t start = c->n, cost = 0;

	for (size_t i = 0; i < r->n_cells; i++) {
		size_t one = choose_cond(c, &r->cells[i].when);
		if (one == NEVER || c->n - start > GATE_MAX_LITERALS) {
			c->n = start;
			return NEVER;
		}
		cost += one;
	}
	return r->n_cells ? cost : NEVER;
}

/* Of the questions that must not fail, the one that most rules ask; none that is this rule's alone. */
static uint32_t choose_question(const struct counts *counts, const struct cond *cond, uint32_t best)
{
	if (cond->kind == COND_QUESTION) {
		uint32_t most = best == NO_QUESTION ? 1 : counts->asked[best];
		return counts->asked[cond->question] > most ? cond->question : best;
	}
	if (cond->kind == COND_ALL || (cond->kind == COND_ANY && cond->n == 1))
		for (size_t i = 0; i < cond->n; i++)
			best = choose_question(counts, &cond->kids[i], best);
	return best;
}

static size_t choose_all(struct chooser *c, const struct rule *r)
{
	c->n = 0;
	size_t cost = choose_cond(c, &r->when), at = c->n;
	return keep_cheaper(c, 0, at, cost, choose_cells(c, r));
}

static int has_presence(const struct chooser *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->stack[i].literal.kind == LITERAL_PRESENCE)
			return 1;
	return 0;
}

static void choose_rule(struct chooser *c, const struct rule *r, struct arena *a, struct choice *out)
{
	size_t cost = choose_all(c, r);
	uint32_t question = choose_question(c->counts, &r->when, NO_QUESTION);

	*out = (struct choice){ .question = NO_QUESTION };
	if (question != NO_QUESTION && (c->n == 0 || (has_presence(c) && c->counts->asked[question] < cost))) {
		out->question = question;
		return;
	}
	if (c->n == 0) {
		c->takes_fields = 1;
		choose_all(c, r);
		c->takes_fields = 0;
	}
	if (c->n == 0)
		return;
	out->n = c->n;
	out->list = arena_alloc(a, c->n, sizeof *out->list);
	memcpy(out->list, c->stack, c->n * sizeof *out->list);
}

struct choices gates_choose(const struct ruleset *rs)
{
	struct choices out = { xcalloc(rs->n_rules + 1, sizeof *out.list), arena_new() };
	struct counts counts = { .asked = xcalloc(rs->n_questions + 1, sizeof *counts.asked) };
	struct chooser c = { .rs = rs, .counts = &counts };

	for (size_t i = 0; i < rs->n_rules; i++)
		count_rule(&counts, rs, &rs->rules[i]);
	if (counts.n)
		qsort(counts.hashes, counts.n, sizeof *counts.hashes, by_number);
	for (size_t i = 0; i < rs->n_rules; i++)
		choose_rule(&c, &rs->rules[i], out.arena, &out.list[i]);
	free(counts.hashes);
	free(counts.asked);
	free(c.stack);
	return out;
}

void choices_fini(struct choices *c)
{
	free(c->list);
	arena_free(c->arena);
	*c = (struct choices){ 0 };
}
