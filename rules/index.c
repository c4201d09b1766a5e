/* rules/index.c - two steps. A LISTING is one name of `on`, as "github:push.x", with the rules that wrote it; a delivery
 * has a few names, so it meets a few listings. Within a listing most rules stand behind GATES, literals of which one of
 * their conditions demands one (rules/gate.h). What demands no literal stands behind a question that many ask, or else in
 * the listing's rest, which is always evaluated.
 *
 * Gates and questions are kept by their subject. The fields are few and looked at one by one; of the paths, headers and names of
 * a query, which may be as many as the rules, only those that the delivery has.
 *
 * All gates are in one map by their hash. A collision only costs one evaluation in vain, so no text is kept. What a
 * delivery holds is hashed in the ways that some rule's literal asks for, and no gate is opened twice. */
#include "rules/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "rules/gate.h"

struct listing {
	struct slice source, event;
	uint32_t *rules, *rest;
	uint32_t *shared;               /* of the rules: those that are in other listings, too */
	struct gated *gated;            /* by subject */
	uint32_t *closed;               /* which of these are no open subjects */
	unsigned open_kinds;            /* bit (1 << enum subject_kind): of the others */
	struct asked *always;           /* by question: those that hold where there is nothing */
	struct asked *asked;            /* by subject and question: the others */
	int may_fire;                   /* one of its rules is enabled */
	size_t n, n_rest, n_shared, n_gated, n_closed, n_always, n_asked;
};
struct gated {
	uint32_t subject;
	uint32_t asked, n_asked;        /* in the listing's */
	unsigned kinds;                 /* bit (1 << enum literal_kind): such gates there are */
	uint64_t starts, ends;          /* bit (1 << length): gates of a START, an END so long */
	uint64_t hash[LITERAL_KINDS];   /* where a literal's hash begins */
	uint32_t *rules;                /* all behind this subject */
	uint32_t *present;              /* of those: behind its being there at all */
	size_t n, n_present;
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
struct behind { uint32_t from, n; };    /* the rules behind one gate, in behind_rules */
struct index {
	const struct ruleset *rs;
	struct arena *arena;
	struct listing *listings;       /* sorted by source, event */
	size_t n_listings;
	struct map gates;               /* by hash: number in behind */
	struct behind *behind;
	uint32_t *behind_rules;
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
	uint64_t key;                   /* the group's subject, or subject and question */
	uint32_t rule;
	const struct wanted *wanted;    /* NULL: it stands behind a question */
};
struct member_list {
	struct member *list;
	size_t n, cap;
};

static void add_member(struct member_list *l, uint64_t key, uint32_t rule, const struct wanted *wanted)
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

/* The members FROM to END of L stand behind what G is about. */
static void gates_build(struct building *b, struct gated *g, const struct member_list *l, size_t from, size_t end)
{
	g->present = arena_alloc(b->ix->arena, end - from, sizeof *g->present);
	for (size_t k = from; k < end; k++) {
		const struct literal *w = l->list[k].wanted ? &l->list[k].wanted->literal : NULL;
		if (!w)
			continue;
		if (w->kind == LITERAL_PRESENCE) {
			g->present[g->n_present++] = l->list[k].rule;
			continue;
		}
		g->kinds |= 1u << w->kind;
		g->starts |= w->kind == LITERAL_START ? (uint64_t)1 << w->text.len : 0;
		g->ends |= w->kind == LITERAL_END ? (uint64_t)1 << w->text.len : 0;
		add_gate(b, g, w, l->list[k].rule);
	}
}

static void gated_build(struct building *b, struct listing *l, struct member_list *members)
{
	size_t number = (size_t)(l - b->ix->listings), groups = member_groups(members), begin;

	l->gated = arena_alloc(b->ix->arena, groups, sizeof *l->gated);
	l->closed = arena_alloc(b->ix->arena, groups, sizeof *l->closed);
	for (size_t i = 0; i < members->n;) {
		struct gated *g = &l->gated[l->n_gated];
		begin = i;
		*g = (struct gated){ .subject = (uint32_t)members->list[i].key };
		const struct subject *s = &b->ix->rs->subjects[g->subject];
		for (int kind = 0; kind < LITERAL_KINDS; kind++)
			g->hash[kind] = literal_hash_start(number, g->subject, (enum literal_kind)kind);
		g->rules = take_group(b->ix, members, &i, &g->n);
		gates_build(b, g, members, begin, i);
		if (subject_is_open(s))
			l->open_kinds |= 1u << s->kind;
		else
			l->closed[l->n_closed++] = (uint32_t)l->n_gated;
		l->n_gated++;
	}
}

static struct asked *asked_build(struct index *ix, struct member_list *members, size_t *n)
{
	struct asked *list = arena_alloc(ix->arena, member_groups(members), sizeof *list);

	*n = 0;
	for (size_t i = 0; i < members->n;) {
		struct asked *a = &list[(*n)++];
		a->question = (uint32_t)members->list[i].key;
		a->rules = take_group(ix, members, &i, &a->n);
	}
	return list;
}

/* Both are sorted by subject. */
static void asked_share_out(const struct ruleset *rs, struct listing *l)
{
	size_t at = 0;

	for (size_t i = 0; i < l->n_gated; i++) {
		struct gated *g = &l->gated[i];
		g->asked = (uint32_t)at;
		while (at < l->n_asked && rs->questions[l->asked[at].question].subject == g->subject)
			at++;
		g->n_asked = (uint32_t)at - g->asked;
	}
}

struct members { struct member_list gated, asked, always; };

static void add_rule(const struct ruleset *rs, struct members *to, uint32_t rule, const struct choice *c)
{
	const struct question *q = c->question == NO_QUESTION ? NULL : &rs->questions[c->question];

	for (size_t k = 0; k < c->n; k++)
		add_member(&to->gated, c->list[k].subject, rule, &c->list[k]);
	if (!q)
		return;
	if (predicate_wants_absence(&q->predicate)) {
		add_member(&to->always, c->question, rule, NULL);
		return;
	}
	add_member(&to->gated, q->subject, rule, NULL);
	add_member(&to->asked, (uint64_t)q->subject << 32 | c->question, rule, NULL);
}

static void listing_build(struct building *b, struct listing *l, const struct heard *h, size_t n)
{
	struct index *ix = b->ix;
	struct members to = { 0 };

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
		l->may_fire = 1;
		add_rule(ix->rs, &to, rule, c);
		if (!c->n && c->question == NO_QUESTION)
			l->rest[l->n_rest++] = rule;
	}
	gated_build(b, l, &to.gated);
	l->always = asked_build(ix, &to.always, &l->n_always);
	l->asked = asked_build(ix, &to.asked, &l->n_asked);
	asked_share_out(ix->rs, l);
	free(to.gated.list);
	free(to.always.list);
	free(to.asked.list);
}

/* ---- building: the gates ---- */

static int by_hash_then_rule(const void *a, const void *b)
{
	const struct gate *x = a, *y = b;
	return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash) : (x->rule > y->rule) - (x->rule < y->rule);
}

static void behind_build(struct building *b)
{
	struct index *ix = b->ix;
	size_t n = 0;
	int is_new;

	ix->behind = xmalloc((b->n_gates + 1) * sizeof *ix->behind);
	ix->behind_rules = xmalloc((b->n_gates + 1) * sizeof *ix->behind_rules);
	if (b->n_gates)
		qsort(b->gates, b->n_gates, sizeof *b->gates, by_hash_then_rule);
	for (size_t i = 0; i < b->n_gates; i++) {
		const struct gate *g = &b->gates[i];
		uint32_t *number = map_enter(&ix->gates, g->hash, &is_new);
		if (is_new) {
			*number = (uint32_t)(ix->gates.n - 1);
			ix->behind[*number] = (struct behind){ (uint32_t)n, 0 };
		} else if (ix->behind_rules[n - 1] == g->rule) {
			continue;
		}
		ix->behind_rules[n++] = g->rule;
		ix->behind[*number].n++;
	}
}

/* Which rules are in several listings. */
static void shared_build(struct index *ix)
{
	char *count = xcalloc(ix->rs->n_rules + 1, 1);

	for (size_t i = 0; i < ix->n_listings; i++)
		for (size_t k = 0; k < ix->listings[i].n; k++)
			count[ix->listings[i].rules[k]] += count[ix->listings[i].rules[k]] < 2;
	for (size_t i = 0; i < ix->n_listings; i++) {
		struct listing *l = &ix->listings[i];
		l->shared = arena_alloc(ix->arena, l->n, sizeof *l->shared);
		for (size_t k = 0; k < l->n; k++)
			if (count[l->rules[k]] > 1)
				l->shared[l->n_shared++] = l->rules[k];
	}
	free(count);
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
	behind_build(&b);
	shared_build(ix);
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
	map_fini(&ix->gates);
	free(ix->behind);
	free(ix->behind_rules);
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

/* Among the listings of SOURCE: WORD, or WORD with some action; all of them where WORD is empty. */
static int is_listened_to(const struct index *ix, struct slice source, struct slice word)
{
	for (size_t i = listing_bound(ix, source, word); i < ix->n_listings; i++) {
		const struct listing *l = &ix->listings[i];
		if (!slice_eq(l->source, source) || !slice_starts(l->event, word))
			return 0;
		if (l->may_fire && (!word.len || l->event.len == word.len || l->event.ptr[word.len] == '.'))
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

/* The least of what stands at the places AT of N sorted lists; all that stand at it go on. 0: all are at their end. */
static int least(const uint32_t *const *lists, const size_t *lengths, size_t *at, int n, uint32_t *out)
{
	uint32_t found = UINT32_MAX;
	int more = 0;

	for (int i = 0; i < n; i++)
		if (at[i] < lengths[i] && lists[i][at[i]] <= found) {
			found = lists[i][at[i]];
			more = 1;
		}
	for (int i = 0; i < n; i++)
		at[i] += at[i] < lengths[i] && lists[i][at[i]] == found;
	*out = found;
	return more;
}

int index_next(struct rule_walk *w, uint32_t *rule)
{
	const uint32_t *lists[LISTENING_MAX];
	size_t lengths[LISTENING_MAX];

	for (int i = 0; i < w->l->n; i++) {
		lists[i] = w->l->list[i]->rules;
		lengths[i] = w->l->list[i]->n;
	}
	return least(lists, lengths, w->at, w->l->n, rule);
}

/* Only rules that are in several listings can be met twice. */
size_t index_count(const struct listening *l)
{
	const uint32_t *lists[LISTENING_MAX];
	size_t lengths[LISTENING_MAX], at[LISTENING_MAX] = { 0 }, n = 0, twice = 0, once = 0;
	uint32_t rule;
	int n_lists = 0;

	for (int i = 0; i < l->n; i++) {
		n += l->list[i]->n;
		if (l->list[i]->n_shared == 0)
			continue;
		lists[n_lists] = l->list[i]->shared;
		lengths[n_lists++] = l->list[i]->n_shared;
		twice += l->list[i]->n_shared;
	}
	if (n_lists < 2)
		return n;
	while (least(lists, lengths, at, n_lists, &rule))
		once++;
	return n - (twice - once);
}

void index_rules(const struct listening *l, struct rule_list *out)
{
	struct rule_walk w = { .l = l };
	uint32_t rule;

	*out = (struct rule_list){ 0 };
	if (l->n == 1) {
		out->list = l->list[0]->rules;
		out->n = l->list[0]->n;
		return;
	}
	while (index_next(&w, &rule))
		add_rules(out, &rule, 1);
}

struct opening {                        /* of one delivery */
	const struct index *ix;
	const struct index_asks *asks;
	struct map opened;              /* numbers of gates: none is opened twice */
	struct rule_list *out;
};

static void open_gate(struct opening *o, uint64_t hash)
{
	const uint32_t *number = map_find(&o->ix->gates, hash);
	int is_new;

	if (!number)
		return;
	map_enter(&o->opened, *number, &is_new);
	if (is_new)
		add_rules(o->out, o->ix->behind_rules + o->ix->behind[*number].from, o->ix->behind[*number].n);
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

static void open_asked(struct opening *o, const struct asked *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (o->asks->may_hold(o->asks->arg, list[i].question))
			add_rules(o->out, list[i].rules, list[i].n);
}

static void open_gated(struct opening *o, const struct listing *l, const struct gated *g)
{
	const struct finding *f = o->asks->look(o->asks->arg, g->subject);

	if (f->presence == FOUND_NOTHING)
		return;
	if (f->presence == FOUND_UNKNOWN || f->is_cut) {
		add_rules(o->out, g->rules, g->n);
		return;
	}
	add_rules(o->out, g->present, g->n_present);
	for (size_t v = 0; g->kinds && v < f->n; v++)
		open_value(o, g, &f->values[v]);
	open_asked(o, l->asked + g->asked, g->n_asked);
}

static const struct gated *gated_find(const struct listing *l, uint32_t subject)
{
	size_t from = 0, n = l->n_gated;

	while (n) {
		size_t half = n / 2;
		if (l->gated[from + half].subject < subject) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from < l->n_gated && l->gated[from].subject == subject ? &l->gated[from] : NULL;
}

/* The subjects of an open kind. */
static void open_kind(struct opening *o, const struct listing *l, enum subject_kind kind)
{
	const uint32_t *met;
	size_t n;

	if (o->asks->met(o->asks->arg, kind, &met, &n) < 0) {
		for (size_t i = 0; i < l->n_gated; i++)
			if (o->ix->rs->subjects[l->gated[i].subject].kind == kind)
				open_gated(o, l, &l->gated[i]);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct gated *g = gated_find(l, met[i]);
		if (g)
			open_gated(o, l, g);
	}
}

static void open_listing(struct opening *o, const struct listing *l)
{
	add_rules(o->out, l->rest, l->n_rest);
	open_asked(o, l->always, l->n_always);
	for (size_t i = 0; i < l->n_closed; i++)
		open_gated(o, l, &l->gated[l->closed[i]]);
	for (int kind = 0; kind < SUBJECT_KINDS; kind++)
		if (l->open_kinds >> kind & 1)
			open_kind(o, l, (enum subject_kind)kind);
}

void index_candidates(const struct index *ix, const struct listening *l, const struct index_asks *asks, struct rule_list *out)
{
	struct opening o = { .ix = ix, .asks = asks, .out = out };

	*out = (struct rule_list){ 0 };
	for (int i = 0; i < l->n; i++)
		open_listing(&o, l->list[i]);
	map_fini(&o.opened);
	sort_unique(out);
}
