/* rules/index.c - two steps. A LISTING is one name of `on`, as "github:push.x", with the rules that wrote it; a delivery
 * has a few names, so it meets a few listings. Within a listing most rules stand behind a GATE, a literal that one of
 * their conditions demands (rules/gate.h); what demands none is in the listing's rest and always evaluated.
 *
 * Gates are pairs (hash, rule), sorted. A collision only costs one evaluation in vain, so no text is kept. */
#include "rules/index.h"

#include <stdlib.h>
#include <string.h>

#include "rules/gate.h"

struct listing {
	struct slice source, event;
	uint32_t *rules, *rest;
	struct gated *gated;            /* by subject */
	size_t n, n_rest, n_gated;
};
struct gated {
	uint32_t subject;
	int has_folders, has_folded;
	uint32_t *rules;                /* all behind a gate of this subject */
	size_t n;
};
struct gate {
	uint64_t hash;
	uint32_t rule;
};
struct index {
	const struct ruleset *rs;
	struct arena *arena;
	struct listing *listings;       /* sorted by source, event */
	size_t n_listings;
	struct gate *gates;             /* sorted by hash, rule */
	size_t n_gates, gates_cap;
};

/* ---- building: listings ---- */

struct heard {                          /* RULE wrote this name */
	struct slice source, event;
	uint32_t rule;
};
struct heard_list {
	struct heard *list;
	size_t n, cap;
};

static int by_name_then_rule(const void *a, const void *b)
{
	const struct heard *x = a, *y = b;
	int c = slice_cmp(x->source, y->source);
	c = c ? c : slice_cmp(x->event, y->event);
	return c ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

static struct heard_list hear(const struct ruleset *rs)
{
	struct heard_list h = { 0 };

	for (size_t i = 0; i < rs->n_rules; i++) {
		const struct rule *r = &rs->rules[i];
		if (h.n + r->n_on > h.cap) {
			h.cap = (h.cap + r->n_on) * 2;
			h.list = xrealloc(h.list, h.cap * sizeof *h.list);
		}
		for (size_t k = 0; k < r->n_on; k++)
			h.list[h.n++] = (struct heard){ r->on[k].source, r->on[k].event, (uint32_t)i };
	}
	if (h.n)
		qsort(h.list, h.n, sizeof *h.list, by_name_then_rule);
	return h;
}

static void add_gates(struct index *ix, size_t listing, const struct choice *choice, uint32_t rule)
{
	struct literal l;

	for (size_t i = 0; i < choice->n; i++) {
		if (ix->n_gates == ix->gates_cap) {
			ix->gates_cap = ix->gates_cap ? ix->gates_cap * 2 : 256;
			ix->gates = xrealloc(ix->gates, ix->gates_cap * sizeof *ix->gates);
		}
		literal_of(&choice->operands[i], choice->how, &l);
		ix->gates[ix->n_gates++] = (struct gate){ literal_hash(listing, choice->subject, &l), rule };
	}
}

static int has_literal(const struct choice *c, enum literal_kind kind)
{
	struct literal l;
	for (size_t i = 0; i < c->n; i++)
		if (literal_of(&c->operands[i], c->how, &l) && l.kind == kind)
			return 1;
	return 0;
}

struct by_subject { uint32_t subject, rule; };

static int by_subject_then_rule(const void *a, const void *b)
{
	const struct by_subject *x = a, *y = b;
	return x->subject != y->subject ? (x->subject > y->subject) - (x->subject < y->subject)
					: (x->rule > y->rule) - (x->rule < y->rule);
}

/* PAIRS is sorted: one group for each subject. */
static void group(struct index *ix, struct listing *l, const struct by_subject *pairs, size_t n,
		  const struct choice *choices)
{
	uint32_t *rules = arena_alloc(ix->arena, n, sizeof *rules);
	size_t subjects = 0;

	for (size_t i = 0; i < n; i++)
		subjects += i == 0 || pairs[i].subject != pairs[i - 1].subject;
	l->gated = arena_alloc(ix->arena, subjects, sizeof *l->gated);
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || pairs[i].subject != pairs[i - 1].subject)
			l->gated[l->n_gated++] = (struct gated){ .subject = pairs[i].subject, .rules = rules + i };
		struct gated *g = &l->gated[l->n_gated - 1];
		g->rules[g->n++] = pairs[i].rule;
		g->has_folders |= has_literal(&choices[pairs[i].rule], LITERAL_FOLDER);
		g->has_folded |= has_literal(&choices[pairs[i].rule], LITERAL_FOLDED);
	}
}

static void listing_build(struct index *ix, struct listing *l, const struct heard *h, size_t n,
			  const struct choice *choices)
{
	struct by_subject *pairs = xmalloc((n + 1) * sizeof *pairs);
	size_t n_pairs = 0;

	*l = (struct listing){ .source = h->source, .event = h->event };
	l->rules = arena_alloc(ix->arena, n, sizeof *l->rules);
	l->rest = arena_alloc(ix->arena, n, sizeof *l->rest);
	for (size_t i = 0; i < n; i++) {
		uint32_t rule = h[i].rule;
		if (i && rule == h[i - 1].rule)
			continue;               /* it wrote the name twice */
		l->rules[l->n++] = rule;
		if (ix->rs->rules[rule].is_disabled)
			continue;               /* it is explained, and never fires */
		if (!choices[rule].operands) {
			l->rest[l->n_rest++] = rule;
			continue;
		}
		add_gates(ix, (size_t)(l - ix->listings), &choices[rule], rule);
		pairs[n_pairs++] = (struct by_subject){ choices[rule].subject, rule };
	}
	if (n_pairs)
		qsort(pairs, n_pairs, sizeof *pairs, by_subject_then_rule);
	group(ix, l, pairs, n_pairs, choices);
	free(pairs);
}

static int by_hash_then_rule(const void *a, const void *b)
{
	const struct gate *x = a, *y = b;
	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->rule > y->rule) - (x->rule < y->rule);
}

struct index *index_build(const struct ruleset *rs)
{
	struct index *ix = xcalloc(1, sizeof *ix);
	struct choice *choices = gates_choose(rs);
	struct heard_list h = hear(rs);
	size_t end;

	ix->rs = rs;
	ix->arena = arena_new();
	ix->listings = xcalloc(h.n + 1, sizeof *ix->listings);
	for (size_t i = 0; i < h.n; i = end) {
		for (end = i + 1; end < h.n && slice_eq(h.list[i].source, h.list[end].source) &&
				  slice_eq(h.list[i].event, h.list[end].event);)
			end++;
		listing_build(ix, &ix->listings[ix->n_listings], &h.list[i], end - i, choices);
		ix->n_listings++;
	}
	if (ix->n_gates)
		qsort(ix->gates, ix->n_gates, sizeof *ix->gates, by_hash_then_rule);
	free(h.list);
	free(choices);
	return ix;
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	arena_free(ix->arena);
	free(ix->listings);
	free(ix->gates);
	free(ix);
}

/* ---- who listens ---- */

/* The first listing that does not stand before (SOURCE, EVENT). */
static size_t listing_bound(const struct index *ix, struct slice source, struct slice event)
{
	size_t from = 0, n = ix->n_listings;

	while (n) {
		size_t half = n / 2;
		const struct listing *l = &ix->listings[from + half];
		int c = slice_cmp(l->source, source);
		c = c ? c : slice_cmp(l->event, event);
		if (c < 0) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

static const struct listing *listing_find(const struct index *ix, struct slice source, struct slice event)
{
	size_t i = listing_bound(ix, source, event);
	const struct listing *l = i < ix->n_listings ? &ix->listings[i] : NULL;
	return l && slice_eq(l->source, source) && slice_eq(l->event, event) ? l : NULL;
}

static void meet(const struct index *ix, struct slice source, struct slice event, struct listening *out)
{
	const struct listing *l = listing_find(ix, source, event);

	for (int i = 0; l && i < out->n; i++)
		if (out->list[i] == l)
			return;
	if (l && out->n < LISTENING_MAX)
		out->list[out->n++] = l;
}

static struct slice full_name(struct slice event, struct slice action, struct buf *scratch)
{
	buf_clear(scratch);
	buf_add(scratch, event);
	if (action.len) {
		buf_addc(scratch, '.');
		buf_add(scratch, action);
	}
	return buf_slice(scratch);
}

static const struct provider_event *events_of(const struct source *s, size_t *n)
{
	*n = 0;
	return s->usage->provider ? provider_events(s->usage->provider, n) : NULL;
}

static int is_common_word(const struct source *s, struct slice word)
{
	size_t n;
	const struct provider_event *events = events_of(s, &n);

	for (size_t i = 0; i < n; i++)
		if (events[i].common && slice_eq(word, slice_of(events[i].common)))
			return 1;
	return 0;
}

/* NAME and every beginning of it that ends before a dot. */
#define EACH_BEGINNING(part, name) \
	for (struct slice part = (name); part.len; part = up_to_dot(part))

static struct slice up_to_dot(struct slice name)
{
	const char *dot = memrchr(name.ptr, '.', name.len);
	return dot ? slice_upto(name, (size_t)(dot - name.ptr)) : SLICE_NULL;
}

void index_listening(const struct index *ix, const struct event_names *n, struct listening *out)
{
	CLEANUP(buf_fini) struct buf scratch = BUF(BUF_UNLIMITED);
	struct slice source = slice_of(n->source->name);

	out->n = 0;
	EACH_BEGINNING(part, n->common.len ? full_name(n->common, n->common_action, &scratch) : SLICE_NULL) {
		meet(ix, SLICE_NULL, part, out);
		meet(ix, source, part, out);
	}
	EACH_BEGINNING(part, full_name(n->native, n->native_action, &scratch))
		if (!is_common_word(n->source, part))
			meet(ix, source, part, out);
	meet(ix, source, SLICE("*"), out);
}

/* Does anything listen to WORD, or to WORD with some action? */
static int word_is_heard(const struct index *ix, struct slice source, struct slice word, struct buf *scratch)
{
	if (listing_find(ix, source, word))
		return 1;
	buf_clear(scratch);
	buf_add(scratch, word);
	buf_addc(scratch, '.');
	struct slice dotted = buf_slice(scratch);
	size_t i = listing_bound(ix, source, dotted);
	return i < ix->n_listings && slice_eq(ix->listings[i].source, source) && slice_starts(ix->listings[i].event, dotted);
}

int index_may_listen(const struct index *ix, const struct event_names *n)
{
	CLEANUP(buf_fini) struct buf scratch = BUF(BUF_UNLIMITED), name = BUF(BUF_UNLIMITED);
	struct slice source = slice_of(n->source->name), full = full_name(n->native, n->native_action, &name);
	struct event_names native_names = *n;
	struct listening natively;
	size_t count;

	native_names.common = SLICE_NULL;
	index_listening(ix, &native_names, &natively);
	if (natively.n)
		return 1;
	const struct provider_event *events = events_of(n->source, &count);
	for (size_t i = 0; i < count; i++) {
		struct slice native = slice_of(events[i].native), common = slice_of(events[i].common);
		if (!common.len || (!slice_eq(native, full) && !slice_eq(native, n->native)))
			continue;
		if (word_is_heard(ix, SLICE_NULL, common, &scratch) || word_is_heard(ix, source, common, &scratch))
			return 1;
	}
	return 0;
}

/* ---- who could fire ---- */

void rule_list_fini(struct rule_list *l)
{
	if (l->cap)
		free(l->list);
	*l = (struct rule_list){ 0 };
}

static void add_rules(struct rule_list *out, const uint32_t *rules, size_t n)
{
	if (out->n + n > out->cap) {
		out->cap = (out->n + n) * 2;
		out->list = xrealloc(out->list, out->cap * sizeof *out->list);
	}
	if (n)
		memcpy(out->list + out->n, rules, n * sizeof *rules);
	out->n += n;
}

static int by_rule(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static void sort_unique(struct rule_list *l)
{
	size_t n = 0;

	if (l->n)
		qsort(l->list, l->n, sizeof *l->list, by_rule);
	for (size_t i = 0; i < l->n; i++)
		if (n == 0 || l->list[n - 1] != l->list[i])
			l->list[n++] = l->list[i];
	l->n = n;
}

void index_rules(const struct index *ix, const struct listening *l, struct rule_list *out)
{
	*out = (struct rule_list){ 0 };
	if (l->n == 1) {
		out->list = l->list[0]->rules;
		out->n = l->list[0]->n;
		return;
	}
	for (int i = 0; i < l->n; i++)
		add_rules(out, l->list[i]->rules, l->list[i]->n);
	sort_unique(out);
}

static void open_gate(const struct index *ix, uint64_t hash, struct rule_list *out)
{
	size_t from = 0, n = ix->n_gates;

	while (n) {
		size_t half = n / 2;
		if (ix->gates[from + half].hash < hash) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	for (; from < ix->n_gates && ix->gates[from].hash == hash; from++)
		add_rules(out, &ix->gates[from].rule, 1);
}

static void open_text(const struct index *ix, size_t listing, const struct gated *g, struct slice text,
		      struct rule_list *out)
{
	open_gate(ix, literal_hash_more(literal_hash_start(listing, g->subject, LITERAL_TEXT), text.ptr, text.len), out);
	if (g->has_folded)
		open_gate(ix, literal_hash_folded(literal_hash_start(listing, g->subject, LITERAL_FOLDED), text), out);
	if (!g->has_folders)
		return;
	uint64_t h = literal_hash_start(listing, g->subject, LITERAL_FOLDER);
	for (size_t i = 0; i < text.len; i++) {
		h = literal_hash_more(h, text.ptr + i, 1);
		if (text.ptr[i] == '/')
			open_gate(ix, h, out);
	}
}

static void open_value(const struct index *ix, size_t listing, const struct gated *g, const struct value *v,
		       struct rule_list *out)
{
	struct literal l = { .kind = LITERAL_WORD, .number = v->kind };

	if (v->kind == VALUE_STRING) {
		open_text(ix, listing, g, v->text, out);
		return;
	}
	if (v->kind == VALUE_INTEGER || v->kind == VALUE_REAL)
		l.kind = LITERAL_NUMBER;
	if (v->kind == VALUE_INTEGER)
		l.number = v->integer;
	if (v->kind == VALUE_REAL && !literal_whole(v->real, &l.number))
		return;
	open_gate(ix, literal_hash(listing, g->subject, &l), out);
}

void index_candidates(const struct index *ix, const struct listening *l, look_fn *look, void *arg, struct rule_list *out)
{
	*out = (struct rule_list){ 0 };
	for (int i = 0; i < l->n; i++) {
		const struct listing *list = l->list[i];
		add_rules(out, list->rest, list->n_rest);
		for (size_t k = 0; k < list->n_gated; k++) {
			const struct gated *g = &list->gated[k];
			const struct finding *f = look(arg, g->subject);
			if (f->presence == FOUND_UNKNOWN || f->is_cut) {
				add_rules(out, g->rules, g->n);
				continue;
			}
			for (size_t v = 0; f->presence == FOUND_VALUES && v < f->n; v++)
				open_value(ix, (size_t)(list - ix->listings), g, &f->values[v], out);
		}
	}
	sort_unique(out);
}
