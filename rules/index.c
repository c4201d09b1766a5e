/* rules/index.c - two steps. A LISTING is one name of `on`, as "github:push.x", with the rules that wrote it; a delivery
 * has a few names, so it meets a few listings. Within a listing most rules stand behind GATES, literals of which one of
 * their conditions demands one (rules/gate.h). What demands no literal stands behind a question that many ask, or else in
 * the listing's rest, which is always evaluated.
 *
 * All gates are in one table by their hash. A collision only costs one evaluation in vain, so no text is kept. What a
 * delivery holds is hashed in the ways that some rule's literal asks for, and no gate is opened twice. */
#include "rules/index.h"

#include <stdlib.h>
#include <string.h>

#include "rules/gate.h"

struct listing {
	struct slice source, event;
	uint32_t *rules, *rest;
	struct gated *gated;            /* by subject */
	struct asked *asked;            /* by question */
	size_t n, n_rest, n_gated, n_asked;
};
struct gated {
	uint32_t subject;
	unsigned kinds;                 /* bit (1 << enum literal_kind): such gates there are */
	uint64_t starts, ends;          /* bit (1 << length): gates of a START, an END so long */
	uint64_t hash[LITERAL_KINDS];   /* where a literal's hash begins */
	uint32_t *rules;                /* all behind a gate of this subject */
	size_t n;
};
struct asked {
	uint32_t question;
	uint32_t *rules;
	size_t n;
};
struct gate {
	uint64_t hash;
	uint32_t rule;
};
struct slot { uint64_t hash; uint32_t from, n; };       /* n 0: free */
struct index {
	const struct ruleset *rs;
	struct arena *arena;
	struct listing *listings;       /* sorted by source, event */
	size_t n_listings;
	struct slot *slots;             /* a power of two of them, half free or more */
	size_t n_slots;
	uint32_t *behind;               /* the rules behind each gate, where its slot says */
};
struct building {
	struct index *ix;
	struct choices choices;
	struct gate *gates;
	size_t n_gates, cap;
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

/* ---- building: what stands behind what ---- */

struct member {                         /* of a group: RULE, by the literal it wants */
	uint32_t key, rule;             /* the group's subject or question */
	const struct wanted *wanted;
};
struct member_list {
	struct member *list;
	size_t n, cap;
};

static void add_member(struct member_list *l, uint32_t key, uint32_t rule, const struct wanted *wanted)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->list = xrealloc(l->list, l->cap * sizeof *l->list);
	}
	l->list[l->n++] = (struct member){ key, rule, wanted };
}

static int by_key_then_rule(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	return x->key != y->key ? (x->key > y->key) - (x->key < y->key) : (x->rule > y->rule) - (x->rule < y->rule);
}

/* Sort L; how many groups it has. */
static size_t member_groups(struct member_list *l)
{
	size_t groups = 0;

	if (l->n)
		qsort(l->list, l->n, sizeof *l->list, by_key_then_rule);
	for (size_t i = 0; i < l->n; i++)
		groups += i == 0 || l->list[i].key != l->list[i - 1].key;
	return groups;
}

/* The rules of the group that begins at *I, each once; *I goes behind it. */
static uint32_t *take_group(struct index *ix, const struct member_list *l, size_t *i, size_t *n)
{
	size_t begin = *i, end = begin;

	while (end < l->n && l->list[end].key == l->list[begin].key)
		end++;
	uint32_t *rules = arena_alloc(ix->arena, end - begin, sizeof *rules);
	*n = 0;
	for (size_t k = begin; k < end; k++)
		if (*n == 0 || rules[*n - 1] != l->list[k].rule)
			rules[(*n)++] = l->list[k].rule;
	*i = end;
	return rules;
}

static void add_gate(struct building *b, const struct gated *g, const struct literal *l, uint32_t rule)
{
	if (b->n_gates == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 256;
		b->gates = xrealloc(b->gates, b->cap * sizeof *b->gates);
	}
	b->gates[b->n_gates++] = (struct gate){ literal_hash(g->hash[l->kind], l), rule };
}

static void gated_build(struct building *b, struct listing *l, struct member_list *members)
{
	size_t number = (size_t)(l - b->ix->listings), begin;

	l->gated = arena_alloc(b->ix->arena, member_groups(members), sizeof *l->gated);
	for (size_t i = 0; i < members->n;) {
		struct gated *g = &l->gated[l->n_gated++];
		begin = i;
		*g = (struct gated){ .subject = members->list[i].key };
		for (int kind = 0; kind < LITERAL_KINDS; kind++)
			g->hash[kind] = literal_hash_start(number, g->subject, (enum literal_kind)kind);
		g->rules = take_group(b->ix, members, &i, &g->n);
		for (size_t k = begin; k < i; k++) {
			const struct literal *w = &members->list[k].wanted->literal;
			g->kinds |= 1u << w->kind;
			g->starts |= w->kind == LITERAL_START ? (uint64_t)1 << w->text.len : 0;
			g->ends |= w->kind == LITERAL_END ? (uint64_t)1 << w->text.len : 0;
			add_gate(b, g, w, members->list[k].rule);
		}
	}
}

static void asked_build(struct index *ix, struct listing *l, struct member_list *members)
{
	l->asked = arena_alloc(ix->arena, member_groups(members), sizeof *l->asked);
	for (size_t i = 0; i < members->n;) {
		struct asked *a = &l->asked[l->n_asked++];
		a->question = members->list[i].key;
		a->rules = take_group(ix, members, &i, &a->n);
	}
}

static void listing_build(struct building *b, struct listing *l, const struct heard *h, size_t n)
{
	struct index *ix = b->ix;
	struct member_list gated = { 0 }, asked = { 0 };

	*l = (struct listing){ .source = h->source, .event = h->event };
	l->rules = arena_alloc(ix->arena, n, sizeof *l->rules);
	l->rest = arena_alloc(ix->arena, n, sizeof *l->rest);
	for (size_t i = 0; i < n; i++) {
		uint32_t rule = h[i].rule;
		const struct choice *c = &b->choices.list[rule];
		if (i && rule == h[i - 1].rule)
			continue;               /* it wrote the name twice */
		l->rules[l->n++] = rule;
		if (ix->rs->rules[rule].is_disabled)
			continue;               /* it is explained, and never fires */
		for (size_t k = 0; k < c->n; k++)
			add_member(&gated, c->list[k].subject, rule, &c->list[k]);
		if (!c->n && c->question != NO_QUESTION)
			add_member(&asked, c->question, rule, NULL);
		else if (!c->n)
			l->rest[l->n_rest++] = rule;
	}
	gated_build(b, l, &gated);
	asked_build(ix, l, &asked);
	free(gated.list);
	free(asked.list);
}

/* ---- building: the table of gates ---- */

static int by_hash_then_rule(const void *a, const void *b)
{
	const struct gate *x = a, *y = b;
	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->rule > y->rule) - (x->rule < y->rule);
}

/* The slot of HASH, or the free one where it belongs. */
static size_t slot_of(const struct index *ix, uint64_t hash)
{
	size_t at = (size_t)(hash ^ hash >> 32) & (ix->n_slots - 1);

	while (ix->slots[at].n && ix->slots[at].hash != hash)
		at = (at + 1) & (ix->n_slots - 1);
	return at;
}

static void slots_build(struct building *b)
{
	struct index *ix = b->ix;
	size_t n = 0;

	for (ix->n_slots = 2; ix->n_slots < 2 * b->n_gates;)
		ix->n_slots *= 2;
	ix->slots = xcalloc(ix->n_slots, sizeof *ix->slots);
	ix->behind = xmalloc((b->n_gates + 1) * sizeof *ix->behind);
	if (b->n_gates)
		qsort(b->gates, b->n_gates, sizeof *b->gates, by_hash_then_rule);
	for (size_t i = 0; i < b->n_gates; i++) {
		struct slot *s = &ix->slots[slot_of(ix, b->gates[i].hash)];
		if (s->n == 0)
			*s = (struct slot){ b->gates[i].hash, (uint32_t)n, 0 };
		if (s->n && ix->behind[n - 1] == b->gates[i].rule)
			continue;
		ix->behind[n++] = b->gates[i].rule;
		s->n++;
	}
}

struct index *index_build(const struct ruleset *rs)
{
	struct index *ix = xcalloc(1, sizeof *ix);
	struct building b = { .ix = ix, .choices = gates_choose(rs) };
	struct heard_list h = hear(rs);
	size_t end;

	ix->rs = rs;
	ix->arena = arena_new();
	ix->listings = xcalloc(h.n + 1, sizeof *ix->listings);
	for (size_t i = 0; i < h.n; i = end) {
		for (end = i + 1; end < h.n && slice_eq(h.list[i].source, h.list[end].source) &&
				  slice_eq(h.list[i].event, h.list[end].event);)
			end++;
		listing_build(&b, &ix->listings[ix->n_listings], &h.list[i], end - i);
		ix->n_listings++;
	}
	slots_build(&b);
	free(b.gates);
	free(h.list);
	choices_fini(&b.choices);
	return ix;
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	arena_free(ix->arena);
	free(ix->listings);
	free(ix->slots);
	free(ix->behind);
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

/* One of its rules is enabled. */
static int may_fire(const struct listing *l)
{
	return l->n_gated || l->n_asked || l->n_rest;
}

/* Among the listings of SOURCE: WORD, or WORD with some action; all of them where WORD is empty. */
static int is_listened_to(const struct index *ix, struct slice source, struct slice word)
{
	for (size_t i = listing_bound(ix, source, word); i < ix->n_listings; i++) {
		const struct listing *l = &ix->listings[i];
		if (!slice_eq(l->source, source) || !slice_starts(l->event, word))
			return 0;
		if (may_fire(l) && (!word.len || l->event.len == word.len || l->event.ptr[word.len] == '.'))
			return 1;
	}
	return 0;
}

int index_hears(const struct index *ix, const struct source *s)
{
	size_t n;
	const struct provider_event *events = events_of(s, &n);

	if (is_listened_to(ix, slice_of(s->name), SLICE_NULL))
		return 1;
	for (size_t i = 0; i < n; i++)
		if (events[i].common && is_listened_to(ix, SLICE_NULL, slice_of(events[i].common)))
			return 1;
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

struct opening {                        /* of one delivery */
	const struct index *ix;
	uint64_t *opened;               /* a bit a slot: no gate is opened twice */
	struct rule_list *out;
};

static void open_gate(struct opening *o, uint64_t hash)
{
	size_t at = slot_of(o->ix, hash);
	const struct slot *s = &o->ix->slots[at];

	if (s->n == 0 || o->opened[at / 64] >> (at % 64) & 1)
		return;
	o->opened[at / 64] |= (uint64_t)1 << (at % 64);
	add_rules(o->out, o->ix->behind + s->from, s->n);
}

static int has_kind(const struct gated *g, enum literal_kind kind)
{
	return g->kinds >> kind & 1;
}

static void open_starts(struct opening *o, const struct gated *g, struct slice text)
{
	uint64_t h = g->hash[LITERAL_START];

	for (size_t i = 0; i < text.len && g->starts >> (i + 1); i++) {
		h = literal_hash_byte(h, text.ptr[i]);
		if (g->starts >> (i + 1) & 1)
			open_gate(o, h);
		if (i + 1 == LITERAL_MAX_BYTES)
			break;
	}
}

static void open_ends(struct opening *o, const struct gated *g, struct slice text)
{
	uint64_t h = g->hash[LITERAL_END];

	for (size_t i = 0; i < text.len && g->ends >> (i + 1); i++) {
		h = literal_hash_byte(h, text.ptr[text.len - 1 - i]);
		if (g->ends >> (i + 1) & 1)
			open_gate(o, h);
		if (i + 1 == LITERAL_MAX_BYTES)
			break;
	}
}

static void open_names(struct opening *o, const struct gated *g, struct slice text)
{
	uint64_t h = g->hash[LITERAL_NAME];

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '/') {
			h = literal_hash_byte(h, text.ptr[i]);
			continue;
		}
		open_gate(o, h);
		h = g->hash[LITERAL_NAME];
	}
}

static void open_text(struct opening *o, const struct gated *g, struct slice text)
{
	const struct literal whole = { .kind = LITERAL_TEXT, .text = text };

	if (has_kind(g, LITERAL_TEXT))
		open_gate(o, literal_hash(g->hash[LITERAL_TEXT], &whole));
	if (has_kind(g, LITERAL_FOLDED))
		open_gate(o, literal_hash_folded(g->hash[LITERAL_FOLDED], text));
	open_starts(o, g, text);
	open_ends(o, g, text);
	if (has_kind(g, LITERAL_NAME))
		open_names(o, g, text);
}

static void open_value(struct opening *o, const struct gated *g, const struct value *v)
{
	struct literal l = { .kind = LITERAL_WORD, .number = v->kind };

	if (v->kind == VALUE_STRING) {
		open_text(o, g, v->text);
		return;
	}
	if (v->kind == VALUE_INTEGER || v->kind == VALUE_REAL)
		l.kind = LITERAL_NUMBER;
	if (v->kind == VALUE_INTEGER)
		l.number = v->integer;
	if (v->kind == VALUE_REAL && !literal_whole(v->real, &l.number))
		return;
	open_gate(o, literal_hash(g->hash[l.kind], &l));
}

static void open_listing(struct opening *o, const struct listing *l, const struct index_asks *asks)
{
	add_rules(o->out, l->rest, l->n_rest);
	for (size_t i = 0; i < l->n_asked; i++)
		if (asks->may_hold(asks->arg, l->asked[i].question))
			add_rules(o->out, l->asked[i].rules, l->asked[i].n);
	for (size_t i = 0; i < l->n_gated; i++) {
		const struct gated *g = &l->gated[i];
		const struct finding *f = asks->look(asks->arg, g->subject);
		if (f->presence == FOUND_UNKNOWN || f->is_cut) {
			add_rules(o->out, g->rules, g->n);
			continue;
		}
		for (size_t v = 0; f->presence == FOUND_VALUES && v < f->n; v++)
			open_value(o, g, &f->values[v]);
	}
}

void index_candidates(const struct index *ix, const struct listening *l, const struct index_asks *asks, struct rule_list *out)
{
	struct opening o = { ix, xcalloc(ix->n_slots / 64 + 1, sizeof *o.opened), out };

	*out = (struct rule_list){ 0 };
	for (int i = 0; i < l->n; i++)
		open_listing(&o, l->list[i], asks);
	free(o.opened);
	sort_unique(out);
}
