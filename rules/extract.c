/* rules/extract.c - a few values out of a JSON text, in one pass.
 *
 * The pass walks the text and the trie of paths together. What the text has of the trie is a list of MEETINGS: the first time
 * that a value stands where a node of the trie does, the node gets one. Nothing here is as large as the trie: ten thousand paths
 * of which a text has five cost what five do.
 *
 * The ACTIVE SET is the meetings that the value at hand belongs to: one nearly always, more where a[0] and a[] both apply, none
 * for the bulk of a payload, which jscan_skip then passes over. The sets of all open brackets lie behind each other in one stack.
 *
 * A path without [] has one slot, in its meeting. Values below a [] are appended to the entries, in the order of the text, and
 * put together by path at the end.
 *
 * When a key comes again in one object, what its first value gave must go. Brackets are numbered as they open; a meeting
 * remembers the one that it LIES in and the one that its value IS, the last ones. A slot whose meeting lies in a bracket that the
 * meeting above is no more has gone, which is found out once, at the end. Of entries, which are many to a meeting, it remembers
 * the range that was made in its last value, and marks them. */
#include "rules/extract.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "rules/jscan.h"
#include "rules/paths.h"

static_assert(EXTRACT_MAX_DEPTH == JSCAN_MAX_DEPTH, "one bound on depth");

#define DEAD UINT32_MAX                         /* the path of an entry whose key came again */
#define USUAL_NODES 64                          /* met by most payloads at most */
#define KEY_MAX_RAW (6 * PATH_MAX_BYTES)        /* \uXXXX is one byte at least: a longer key is in no path */

/* Until the end, the text of a string is as it is written, and its `integer` says whether it has escapes. */
struct entry {
	uint32_t path;
	struct value value;
};
struct meeting {                                /* of a node with the text, the last one */
	uint32_t node, above;                   /* above: the meeting of the parent; of the root, itself */
	uint32_t lies, is;                      /* numbers of brackets; is 0: none, or one that nothing is asked of */
	uint32_t begin, end;                    /* entries made meanwhile */
	struct value value;                     /* kind 0: none. Of a path without [] */
};
struct run {
	struct jscan s;
	const struct paths *p;
	struct map by_node;                     /* meetings */
	struct meeting *met;
	uint32_t n_met, cap_met;
	uint32_t *sets;                         /* the stack of active sets */
	size_t cap_sets;
	struct entry *entries;
	uint32_t n_entries, cap_entries;
	int is_truncated;
	uint32_t brackets;                      /* opened so far */
	size_t work;
	char key[KEY_MAX_RAW];                  /* one that had escapes */
};

struct values {
	struct value *list;                     /* the slots, then the lists */
	struct found *found;
	size_t n_found, work;
	struct map by_path;                     /* in found */
	int is_truncated;
	struct arena *arena;                    /* strings that had escapes; NULL: there are none */
};

/* ---- keeping ---- */

static uint32_t meet(struct run *r, uint32_t node, uint32_t above)
{
	int is_new;
	uint32_t *at = map_enter(&r->by_node, node, &is_new);

	r->work++;
	if (!is_new)
		return *at;
	if (r->n_met == r->cap_met) {
		r->cap_met = r->cap_met ? 2 * r->cap_met : 32;
		r->met = xrealloc(r->met, r->cap_met * sizeof *r->met);
	}
	r->met[r->n_met] = (struct meeting){ .node = node, .above = above };
	return *at = r->n_met++;
}

static void add_entry(struct run *r, uint32_t path, const struct value *v)
{
	if (r->n_entries == EXTRACT_MAX_VALUES) {
		r->is_truncated = 1;
		return;
	}
	if (r->n_entries == r->cap_entries) {
		r->cap_entries = !r->cap_entries ? 64 : r->cap_entries < EXTRACT_MAX_VALUES / 2 ? 2 * r->cap_entries : EXTRACT_MAX_VALUES;
		r->entries = xrealloc(r->entries, r->cap_entries * sizeof *r->entries);
	}
	r->entries[r->n_entries++] = (struct entry){ path, *v };
}

static void put(struct run *r, uint32_t meeting, const struct value *v)
{
	const struct path_node *n = &r->p->nodes[r->met[meeting].node];

	if (n->path >= 0 && n->is_list)
		add_entry(r, (uint32_t)n->path, v);
	else if (n->path >= 0)
		r->met[meeting].value = *v;
}

/* What the N meetings of SET, all of one key, gave when that was there before in this object: they have one range. */
static void drop_entries(struct run *r, const uint32_t *set, size_t n, uint32_t object)
{
	for (size_t i = 0; i < n; i++) {
		struct meeting *m = &r->met[set[i]];
		if (m->lies != object)
			continue;
		if (m->end == r->n_entries && m->begin < m->end)
			r->n_entries = m->begin;
		for (uint32_t k = m->begin; k < m->end && k < r->n_entries; k++, r->work++)
			r->entries[k].path = DEAD;
		m->begin = m->end = 0;
	}
}

/* ---- walking ---- */

static int take_value(struct run *r, size_t at, size_t n, int depth);

/* 1: the next member or element begins. 0: the bracket is closed. -1: neither. */
static int next_of(struct run *r, char closing)
{
	jscan_space(&r->s);
	char c = jscan_peek(&r->s);
	if (c != ',' && c != closing)
		return jscan_fail(&r->s, closing == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
	r->s.p++;
	if (c == closing)
		return 0;
	jscan_space(&r->s);
	return 1;
}

/* Room for N more in the stack behind AT. */
static void reserve(struct run *r, size_t at, size_t n)
{
	if (at + n <= r->cap_sets)
		return;
	r->cap_sets = 2 * (at + n);
	r->sets = xrealloc(r->sets, r->cap_sets * sizeof *r->sets);
}

/* Bits of the keys below the N meetings at AT of the stack. */
static uint64_t filter_of(const struct run *r, size_t at, size_t n)
{
	uint64_t filter = 0;

	for (size_t i = 0; i < n; i++)
		filter |= r->p->nodes[r->met[r->sets[at + i]].node].filter;
	return filter;
}

/* The meetings of the member KEY of what the N at AT of the stack are, whose filter is FILTER; they are put behind. */
static size_t meet_key(struct run *r, size_t at, size_t n, uint64_t filter, const struct jstring *raw)
{
	struct slice key = raw->raw;
	size_t n_kids = 0;

	if (raw->has_escape && key.len > KEY_MAX_RAW)
		return 0;
	if (raw->has_escape)
		key = (struct slice){ r->key, jscan_unescape(key, r->key) };
	if (!(filter & path_key_bit(key)))
		return 0;
	r->work += n;
	for (size_t i = 0; i < n; i++) {
		uint32_t above = r->sets[at + i], kid = path_kid(r->p, r->met[above].node, key);
		if (kid)
			r->sets[at + n + n_kids++] = meet(r, kid, above);
	}
	return n_kids;
}

static int take_member(struct run *r, size_t at, size_t n, uint32_t object, int depth)
{
	if (n == 0)
		return jscan_skip(&r->s, depth);
	drop_entries(r, r->sets + at, n, object);
	uint32_t begin = r->n_entries;
	for (size_t i = 0; i < n; i++)
		r->met[r->sets[at + i]].lies = object;
	if (take_value(r, at, n, depth) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct meeting *m = &r->met[r->sets[at + i]];
		m->begin = begin;
		m->end = r->n_entries;
	}
	return 0;
}

static int take_object(struct run *r, size_t at, size_t n, int depth)
{
	uint32_t object = r->brackets;
	struct jstring key;
	int more = 1;

	if (jscan_enter(&r->s, depth) < 0)
		return -1;
	if (jscan_peek(&r->s) == '}') {
		r->s.p++;
		return 0;
	}
	reserve(r, at + n, n);
	uint64_t filter = filter_of(r, at, n);
	while (more > 0) {
		if (jscan_key(&r->s, &key) < 0)
			return -1;
		if (take_member(r, at + n, meet_key(r, at, n, filter, &key), object, depth) < 0)
			return -1;
		more = next_of(r, '}');
	}
	return more;
}

static size_t meet_element(struct run *r, size_t at, size_t n, uint32_t index, uint32_t array)
{
	size_t n_kids = 0;

	r->work += n;
	for (size_t i = 0; i < n; i++) {
		uint32_t above = r->sets[at + i], node = r->met[above].node, any = r->p->nodes[node].any;
		uint32_t item = path_item(r->p, node, index);
		if (any)
			r->sets[at + n + n_kids++] = meet(r, any, above);
		if (item)
			r->sets[at + n + n_kids++] = meet(r, item, above);
	}
	for (size_t i = 0; i < n_kids; i++)
		r->met[r->sets[at + n + i]].lies = array;
	return n_kids;
}

static int take_array(struct run *r, size_t at, size_t n, int depth)
{
	uint32_t array = r->brackets;
	int more = 1;

	if (jscan_enter(&r->s, depth) < 0)
		return -1;
	if (jscan_peek(&r->s) == ']') {
		r->s.p++;
		return 0;
	}
	reserve(r, at + n, 2 * n);
	for (uint32_t index = 0; more > 0; index++) {
		if (take_value(r, at + n, meet_element(r, at, n, index, array), depth) < 0)
			return -1;
		more = next_of(r, ']');
	}
	return more;
}

static int has_nodes_below(const struct run *r, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct path_node *node = &r->p->nodes[r->met[r->sets[at + i]].node];
		if (node->filter || node->items_end || node->any)
			return 1;
	}
	return 0;
}

static int take_text(struct run *r, struct value *v)
{
	struct jstring string;

	if (jscan_string(&r->s, &string) < 0)
		return -1;
	v->kind = VALUE_STRING;
	v->text = string.raw;
	v->integer = string.has_escape;
	return 0;
}

static int take_scalar(struct run *r, char c, struct value *v)
{
	const char *begin = r->s.p;
	struct jnumber number;

	if (c == '-' || (c >= '0' && c <= '9')) {
		if (jscan_number(&r->s, &number) < 0)
			return -1;
		v->kind = number.is_integer ? VALUE_INTEGER : VALUE_REAL;
		v->integer = number.integer;
		v->real = number.real;
	} else {
		if (jscan_scalar(&r->s) < 0)
			return -1;
		v->kind = c == 't' ? VALUE_TRUE : c == 'f' ? VALUE_FALSE : VALUE_NULL;
	}
	v->text = (struct slice){ begin, (size_t)(r->s.p - begin) };
	return 0;
}

static int take_nested(struct run *r, size_t at, size_t n, int depth, struct value *v)
{
	const char *begin = r->s.p;
	int is_object = *begin == '{', bad;

	if (!has_nodes_below(r, at, n)) {
		bad = jscan_skip(&r->s, depth);
	} else {
		r->brackets++;
		for (size_t i = 0; i < n; i++)
			r->met[r->sets[at + i]].is = r->brackets;
		bad = is_object ? take_object(r, at, n, depth + 1) : take_array(r, at, n, depth + 1);
	}
	v->kind = is_object ? VALUE_OBJECT : VALUE_ARRAY;
	v->text = (struct slice){ begin, (size_t)(r->s.p - begin) };
	return bad;
}

/* A value, which the N meetings at AT of the stack are with, with DEPTH brackets open around it. */
static int take_value(struct run *r, size_t at, size_t n, int depth)
{
	struct value v = { 0 };
	char c = jscan_peek(&r->s);

	if (n == 0)
		return jscan_skip(&r->s, depth);
	for (size_t i = 0; i < n; i++)
		r->met[r->sets[at + i]].is = 0;
	int bad = c == '{' || c == '[' ? take_nested(r, at, n, depth, &v) : c == '"' ? take_text(r, &v) : take_scalar(r, c, &v);
	if (bad)
		return -1;
	for (size_t i = 0; i < n; i++)
		put(r, r->sets[at + i], &v);
	return 0;
}

/* ---- the whole ---- */

static int walk(struct run *r)
{
	jscan_space(&r->s);
	char c = jscan_peek(&r->s);
	if (c != '{' && c != '[')
		return jscan_fail(&r->s, "an object or a list was expected");
	reserve(r, 0, 1);
	r->sets[0] = meet(r, 0, 0);
	return take_value(r, 0, 1, 0) < 0 ? -1 : jscan_end(&r->s);
}

/* A meeting is behind that above it, so that one turn finds all that have gone. */
static uint32_t forget_gone(struct run *r)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < r->n_met; i++) {
		struct meeting *m = &r->met[i];
		if (m->lies != r->met[m->above].is && i > 0) {
			m->is = DEAD;
			m->value.kind = 0;
		}
		kept += m->value.kind != 0;
	}
	return kept;
}

static struct found *found_of(struct values *v, uint32_t path)
{
	int is_new;
	uint32_t *at = map_enter(&v->by_path, path, &is_new);

	if (is_new) {
		*at = (uint32_t)v->n_found;
		v->found[v->n_found++] = (struct found){ .path = path };
	}
	return &v->found[*at];
}

static void gather_slots(const struct run *r, struct values *v)
{
	for (uint32_t i = 0, n = 0; i < r->n_met; i++) {
		const struct meeting *m = &r->met[i];
		if (!m->value.kind)
			continue;
		struct found *f = found_of(v, (uint32_t)r->p->nodes[m->node].path);
		f->at = n;
		f->n = 1;
		v->list[n++] = m->value;
	}
}

/* The entries behind the slots, N of those, with the entries of one path together, in the order of the text. */
static void gather_lists(const struct run *r, struct values *v, uint32_t n)
{
	size_t first = v->n_found;

	for (uint32_t i = 0; i < r->n_entries; i++)
		if (r->entries[i].path != DEAD)
			found_of(v, r->entries[i].path)->n++;
	for (size_t i = first; i < v->n_found; i++) {
		v->found[i].at = n;
		n += v->found[i].n;
		v->found[i].n = 0;
	}
	for (uint32_t i = 0; i < r->n_entries; i++) {
		if (r->entries[i].path == DEAD)
			continue;
		struct found *f = found_of(v, r->entries[i].path);
		v->list[f->at + f->n++] = r->entries[i].value;
	}
}

/* A text that several paths lead to is decoded once. */
static void decode(struct values *v, size_t n, const char *begin)
{
	struct map known = { 0 };
	int is_new;

	for (size_t i = 0; i < n; i++) {
		struct value *x = &v->list[i];
		if (x->kind != VALUE_STRING || !x->integer)
			continue;
		x->integer = 0;
		uint32_t *at = map_enter(&known, (uint64_t)(x->text.ptr - begin), &is_new);
		if (!is_new) {
			x->text = v->list[*at].text;
			continue;
		}
		*at = (uint32_t)i;
		v->arena = v->arena ? v->arena : arena_new();
		char *text = arena_alloc(v->arena, x->text.len, 1);
		x->text = (struct slice){ text, jscan_unescape(x->text, text) };
	}
	map_fini(&known);
}

static struct values *gather(struct run *r)
{
	struct values *v = xcalloc(1, sizeof *v);
	uint32_t slots = forget_gone(r), most = slots + r->n_entries;

	v->is_truncated = r->is_truncated;
	v->list = xmalloc((most + 1) * sizeof *v->list);
	v->found = xmalloc((r->n_met + 1) * sizeof *v->found);
	map_reserve(&v->by_path, r->n_met);
	gather_slots(r, v);
	gather_lists(r, v, slots);
	size_t n = v->n_found ? v->found[v->n_found - 1].at + v->found[v->n_found - 1].n : 0;
	decode(v, n, r->s.begin);
	v->work = r->work + r->n_met + r->n_entries;
	return v;
}

void values_free(struct values *v)
{
	if (!v)
		return;
	free(v->list);
	free(v->found);
	map_fini(&v->by_path);
	arena_free(v->arena);
	free(v);
}

static void run_fini(struct run *r)
{
	map_fini(&r->by_node);
	free(r->met);
	free(r->sets);
	free(r->entries);
}

int extract(const struct paths *p, struct slice json, struct values **out, struct err *e)
{
	if (json.len > EXTRACT_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "JSON of %zu bytes, the most is %d", json.len, EXTRACT_MAX_BYTES);
	CLEANUP(run_fini) struct run r;
	memset(&r, 0, offsetof(struct run, key));
	r.p = p;
	map_reserve(&r.by_node, p->n_nodes < USUAL_NODES ? p->n_nodes : USUAL_NODES);
	jscan_init(&r.s, json, e);
	if (walk(&r) < 0)
		return -1;
	*out = gather(&r);
	return 0;
}

const struct value *values_get(const struct values *v, int index, size_t *n)
{
	const uint32_t *at = map_find(&v->by_path, (uint32_t)index);

	*n = at ? v->found[*at].n : 0;
	return at ? v->list + v->found[*at].at : v->list;
}

const struct found *values_found(const struct values *v, size_t *n)
{
	*n = v->n_found;
	return v->found;
}

size_t values_work(const struct values *v)
{
	return v->work;
}

int values_is_truncated(const struct values *v)
{
	return v->is_truncated;
}
