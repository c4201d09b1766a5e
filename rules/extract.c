/* rules/extract.c - a few values out of a JSON text, in one pass.
 *
 * The pass walks the text and the trie of paths together. The ACTIVE SET is the nodes of the trie that stand for the value
 * at hand: one of them nearly always, more where a[0] and a[] both apply, none for the bulk of a payload, which jscan_skip
 * then passes over. The sets of all open brackets lie behind each other in one stack; as a level of the text is a level of
 * the trie, they are disjoint, and the stack is as long as the trie at most.
 *
 * A path without [] has one slot. Values below a [] are appended to the entries, in the order of the text, and sorted by
 * path at the end.
 *
 * When a key comes again in one object, what its first value gave must go. For that each node remembers the object (its
 * number, as every object of the text gets one) in which it was met last, the range of the entries that it and those below
 * it made there, and whether they filled slots. */
#include "rules/extract.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "rules/jscan.h"
#include "rules/paths.h"

static_assert(EXTRACT_MAX_DEPTH == JSCAN_MAX_DEPTH, "one bound on depth");

#define DEAD UINT32_MAX                         /* the path of an entry whose key came again */

struct entry {
	uint32_t path;
	struct value value;
};
struct meeting {                                /* of a node with the text, the last one */
	uint32_t object;                        /* number of the object whose member it was */
	uint32_t begin, end;                    /* entries made meanwhile */
	int has_slots;
};
struct run {
	struct jscan s;
	const struct paths *p;
	struct values *out;
	struct meeting *met;                    /* by node */
	uint32_t *sets;                         /* the stack of active sets */
	struct entry *entries;
	uint32_t n_entries, cap_entries;
	uint32_t objects;                       /* met so far */
	size_t puts;                            /* values kept so far */
	struct buf key;                         /* a key that had escapes */
};

struct range { uint32_t at, n; };
struct values {
	struct value *list;                     /* the slots by path, then the lists */
	struct range *ranges;                   /* by path, in list */
	size_t n_paths;
	int is_truncated;
	struct arena *arena;                    /* strings that had escapes */
};

/* ---- keeping ---- */

static void put(struct run *r, uint32_t node, const struct value *v)
{
	const struct path_node *n = &r->p->nodes[node];

	if (n->path < 0)
		return;
	r->puts++;
	if (!n->is_list) {
		r->out->list[n->path] = *v;
		return;
	}
	if (r->n_entries == EXTRACT_MAX_VALUES) {
		r->out->is_truncated = 1;
		return;
	}
	if (r->n_entries == r->cap_entries) {
		r->cap_entries = r->cap_entries ? 2 * r->cap_entries : 64;
		r->entries = xrealloc(r->entries, r->cap_entries * sizeof *r->entries);
	}
	r->entries[r->n_entries++] = (struct entry){ (uint32_t)n->path, *v };
}

/* Empty the slots at and below NODE. There are none below a []. */
static void drop_slots(struct run *r, uint32_t node)
{
	const struct path_node *n = &r->p->nodes[node];

	if (!r->met[node].has_slots || n->is_list)
		return;
	r->met[node].has_slots = 0;
	if (n->path >= 0)
		r->out->list[n->path] = (struct value){ 0 };
	for (uint32_t i = 0; i < n->n_kids; i++)
		drop_slots(r, n->kids[i].node);
	for (uint32_t i = 0; i < n->n_items; i++)
		drop_slots(r, n->items[i].node);
}

static void drop(struct run *r, uint32_t node)
{
	struct meeting *m = &r->met[node];

	if (m->end == r->n_entries && m->begin < m->end)
		r->n_entries = m->begin;
	for (uint32_t i = m->begin; i < m->end && i < r->n_entries; i++)
		r->entries[i].path = DEAD;
	m->begin = m->end = 0;
	drop_slots(r, node);
}

/* ---- walking ---- */

static int take_value(struct run *r, uint32_t *set, size_t n, int depth);

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

static size_t kids_by_key(struct run *r, const uint32_t *set, size_t n, const struct jstring *raw, uint32_t *kids)
{
	struct slice key = raw->raw;
	size_t n_kids = 0;

	if (raw->has_escape) {
		buf_clear(&r->key);
		buf_grew(&r->key, jscan_unescape(key, buf_room(&r->key, key.len)));
		key = buf_slice(&r->key);
	}
	for (size_t i = 0; i < n; i++) {
		uint32_t kid = path_node_kid(&r->p->nodes[set[i]], key);
		if (kid)
			kids[n_kids++] = kid;
	}
	return n_kids;
}

static int take_member(struct run *r, uint32_t *kids, size_t n, uint32_t object, int depth)
{
	if (n == 0)
		return jscan_skip(&r->s, depth);
	for (size_t i = 0; i < n; i++)
		if (r->met[kids[i]].object == object)
			drop(r, kids[i]);
	uint32_t begin = r->n_entries;
	size_t puts = r->puts;
	if (take_value(r, kids, n, depth) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		r->met[kids[i]] = (struct meeting){ object, begin, r->n_entries, r->puts != puts };
	return 0;
}

static int take_object(struct run *r, uint32_t *set, size_t n, int depth)
{
	uint32_t object = ++r->objects;
	struct jstring key;
	int more = 1;

	if (jscan_enter(&r->s, depth) < 0)
		return -1;
	if (jscan_peek(&r->s) == '}') {
		r->s.p++;
		return 0;
	}
	while (more > 0) {
		if (jscan_key(&r->s, &key) < 0)
			return -1;
		size_t n_kids = kids_by_key(r, set, n, &key, set + n);
		if (take_member(r, set + n, n_kids, object, depth) < 0)
			return -1;
		more = next_of(r, '}');
	}
	return more;
}

static size_t kids_by_index(const struct run *r, const uint32_t *set, size_t n, uint32_t index, uint32_t *kids)
{
	size_t n_kids = 0;

	for (size_t i = 0; i < n; i++) {
		const struct path_node *node = &r->p->nodes[set[i]];
		if (node->any)
			kids[n_kids++] = node->any;
		for (uint32_t k = 0; k < node->n_items; k++)
			if (node->items[k].at == index)
				kids[n_kids++] = node->items[k].node;
	}
	return n_kids;
}

static int take_array(struct run *r, uint32_t *set, size_t n, int depth)
{
	uint32_t *kids = set + n;
	int more = 1;

	if (jscan_enter(&r->s, depth) < 0)
		return -1;
	if (jscan_peek(&r->s) == ']') {
		r->s.p++;
		return 0;
	}
	for (uint32_t index = 0; more > 0; index++) {
		size_t n_kids = kids_by_index(r, set, n, index, kids);
		size_t puts = r->puts;
		if (take_value(r, kids, n_kids, depth) < 0)
			return -1;
		for (size_t i = 0; i < n_kids && r->puts != puts; i++)
			r->met[kids[i]].has_slots = 1;
		more = next_of(r, ']');
	}
	return more;
}

static int has_kids(const struct run *r, const uint32_t *set, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct path_node *node = &r->p->nodes[set[i]];
		if (node->n_kids || node->n_items || node->any)
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
	if (string.has_escape) {
		char *text = arena_alloc(r->out->arena, string.raw.len, 1);
		v->text = (struct slice){ text, jscan_unescape(string.raw, text) };
	}
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

static int take_nested(struct run *r, uint32_t *set, size_t n, int depth, struct value *v)
{
	const char *begin = r->s.p;
	int is_object = *begin == '{';
	int bad = !has_kids(r, set, n) ? jscan_skip(&r->s, depth)
				       : is_object ? take_object(r, set, n, depth + 1) : take_array(r, set, n, depth + 1);
	v->kind = is_object ? VALUE_OBJECT : VALUE_ARRAY;
	v->text = (struct slice){ begin, (size_t)(r->s.p - begin) };
	return bad;
}

/* A value, which the N nodes of SET stand for, with DEPTH brackets open around it. */
static int take_value(struct run *r, uint32_t *set, size_t n, int depth)
{
	struct value v = { 0 };
	char c = jscan_peek(&r->s);

	if (n == 0)
		return jscan_skip(&r->s, depth);
	int bad = c == '{' || c == '[' ? take_nested(r, set, n, depth, &v) : c == '"' ? take_text(r, &v) : take_scalar(r, c, &v);
	if (bad)
		return -1;
	for (size_t i = 0; i < n; i++)
		put(r, set[i], &v);
	return 0;
}

/* ---- the whole ---- */

static int walk(struct run *r)
{
	jscan_space(&r->s);
	char c = jscan_peek(&r->s);
	if (c != '{' && c != '[')
		return jscan_fail(&r->s, "an object or a list was expected");
	r->sets[0] = 0;
	return take_value(r, r->sets, 1, 0) < 0 ? -1 : jscan_end(&r->s);
}

/* Put the entries behind the slots, those of one path together, each list in the order of the text. */
static void gather(const struct run *r, struct values *v)
{
	uint32_t at = (uint32_t)v->n_paths;

	for (uint32_t i = 0; i < r->n_entries; i++)
		if (r->entries[i].path != DEAD)
			v->ranges[r->entries[i].path].n++;
	for (size_t i = 0; i < v->n_paths; i++) {
		struct range *range = &v->ranges[i];
		uint32_t n = range->n;
		*range = n ? (struct range){ at, 0 } : (struct range){ (uint32_t)i, v->list[i].kind != 0 };
		at += n;
	}
	for (uint32_t i = 0; i < r->n_entries; i++) {
		const struct entry *entry = &r->entries[i];
		if (entry->path == DEAD)
			continue;
		struct range *range = &v->ranges[entry->path];
		v->list[range->at + range->n++] = entry->value;
	}
}

static struct values *values_new(size_t n_paths)
{
	struct values *v = xcalloc(1, sizeof *v);
	v->n_paths = n_paths;
	v->list = xcalloc(n_paths + 1, sizeof *v->list);
	v->ranges = xcalloc(n_paths + 1, sizeof *v->ranges);
	v->arena = arena_new();
	return v;
}

void values_free(struct values *v)
{
	if (!v)
		return;
	free(v->list);
	free(v->ranges);
	arena_free(v->arena);
	free(v);
}

static void values_freep(struct values **v)
{
	values_free(*v);
}

static void run_fini(struct run *r)
{
	free(r->met);
	free(r->sets);
	free(r->entries);
	buf_fini(&r->key);
}

int extract(const struct paths *p, struct slice json, struct values **out, struct err *e)
{
	if (json.len > EXTRACT_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "JSON of %zu bytes, the most is %d", json.len, EXTRACT_MAX_BYTES);
	CLEANUP(values_freep) struct values *v = values_new(p->n_texts);
	CLEANUP(run_fini) struct run r = { .p = p, .out = v, .key = BUF(EXTRACT_MAX_BYTES) };
	r.met = xcalloc(p->n_nodes, sizeof *r.met);
	r.sets = xcalloc(p->n_nodes + 1, sizeof *r.sets);
	jscan_init(&r.s, json, e);
	if (walk(&r) < 0)
		return -1;
	v->list = xrealloc(v->list, (v->n_paths + r.n_entries + 1) * sizeof *v->list);
	gather(&r, v);
	*out = TAKE(&v);
	return 0;
}

const struct value *values_get(const struct values *v, int index, size_t *n)
{
	const struct range *range = &v->ranges[index];
	*n = range->n;
	return v->list + range->at;
}

int values_is_truncated(const struct values *v)
{
	return v->is_truncated;
}
