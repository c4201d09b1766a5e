/* rules/node.c - the plain data of a rule file, from JSON. jansson reads the text; the tree is copied into one arena, so a
 * document is freed as one. */
#include "rules/node.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/arena.h"

#define DEPTH_MAX 64

struct node_doc {
	struct arena *arena;
	const struct node *root;
};

static struct slice text_of(struct arena *a, const json_t *v)
{
	return arena_copy(a, (struct slice){ json_string_value(v), json_string_length(v) });
}

/* The pair of [line, col] or [line, col, line, col] that begins at FIRST. */
static void place_of(const json_t *v, size_t first, int *line, int *col)
{
	if (json_array_size(v) < first + 2)
		return;
	*line = (int)json_integer_value(json_array_get(v, first));
	*col = (int)json_integer_value(json_array_get(v, first + 1));
}

/* AROUND: the nearest place known. */
struct around {
	int line, col, depth;
};
static struct node *build(struct arena *a, const json_t *v, struct around in, struct err *e);

static int by_key(const void *a, const void *b)
{
	return slice_cmp(((const struct node_member *)a)->key, ((const struct node_member *)b)->key);
}

static int build_items(struct arena *a, const json_t *v, struct node *out, struct around in, struct err *e)
{
	const json_t *list = json_object_get(v, "l"), *places = json_object_get(v, "lat"), *item;
	size_t i;

	out->n_items = json_array_size(list);
	out->items = arena_alloc(a, out->n_items, sizeof *out->items);
	json_array_foreach(list, i, item) {
		struct around item_in = in;
		place_of(json_array_get(places, i), 0, &item_in.line, &item_in.col);
		if (!(out->items[i] = build(a, item, item_in, e)))
			return -1;
	}
	return 0;
}

static int build_members(struct arena *a, const json_t *v, struct node *out, struct around in, struct err *e)
{
	json_t *map = json_object_get(v, "m"), *item;
	const json_t *places = json_object_get(v, "mat");
	const char *key;
	size_t at = 0;

	out->n_members = json_object_size(map);
	out->members = arena_alloc(a, out->n_members, sizeof *out->members);
	json_object_foreach(map, key, item) {
		struct node_member *m = &out->members[at++];
		m->key = arena_copy(a, slice_of(key));
		const json_t *place = json_object_get(places, key);
		m->line = in.line;
		m->col = in.col;
		place_of(place, 0, &m->line, &m->col);
		struct around value_in = { m->line, m->col, in.depth };
		place_of(place, 2, &value_in.line, &value_in.col);
		if (!(m->value = build(a, item, value_in, e)))
			return -1;
	}
	qsort(out->members, out->n_members, sizeof *out->members, by_key);
	return 0;
}

static int build_object(struct arena *a, const json_t *v, struct node *out, int depth, struct err *e)
{
	const json_t *secret = json_object_get(v, "secret");

	place_of(json_object_get(v, "at"), 0, &out->line, &out->col);
	struct around in = { out->line, out->col, depth + 1 };
	if (secret) {
		out->kind = NODE_SECRET;
		out->text = text_of(a, secret);
		return json_is_string(secret) ? 0 : err_set(e, ERR_INPUT, "a secret without a name");
	}
	if (json_object_get(v, "null") || json_object_get(v, "fn")) {
		out->kind = json_object_get(v, "null") ? NODE_NULL : NODE_FUNCTION;
		out->is_bad = json_object_get(v, "bad") != NULL;
		return 0;
	}
	out->kind = NODE_TABLE;
	return build_items(a, v, out, in, e) < 0 ? -1 : build_members(a, v, out, in, e);
}

static struct node *build(struct arena *a, const json_t *v, struct around in, struct err *e)
{
	struct node *out = arena_alloc(a, 1, sizeof *out);

	out->line = in.line;
	out->col = in.col;
	if (in.depth > DEPTH_MAX) {
		err_set(e, ERR_LIMIT, "tables are nested deeper than %d", DEPTH_MAX);
		return NULL;
	}
	switch (json_typeof(v)) {
	case JSON_STRING:
		out->kind = NODE_STRING;
		out->text = text_of(a, v);
		return out;
	case JSON_INTEGER:
		out->kind = NODE_INTEGER;
		out->integer = json_integer_value(v);
		out->number = (double)out->integer;
		return out;
	case JSON_REAL:
		out->kind = NODE_NUMBER;
		out->number = json_real_value(v);
		return out;
	case JSON_TRUE:
	case JSON_FALSE:
		out->kind = NODE_BOOL;
		out->integer = json_is_true(v);
		return out;
	case JSON_OBJECT:
		return build_object(a, v, out, in.depth, e) < 0 ? NULL : out;
	case JSON_ARRAY:
	case JSON_NULL:
		break;
	}
	err_set(e, ERR_INPUT, "not the data of a rule file");
	return NULL;
}

int node_doc_parse(struct slice json, struct node_doc **out, struct err *e)
{
	json_error_t bad;
	json_t *v = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &bad);

	if (!v)
		return err_set(e, ERR_INPUT, "not JSON: %s (byte %d)", bad.text, bad.position);
	struct node_doc *d = xcalloc(1, sizeof *d);
	d->arena = arena_new();
	d->root = build(d->arena, v, (struct around){ 0 }, e);
	json_decref(v);
	if (!d->root) {
		node_doc_free(d);
		return -1;
	}
	*out = d;
	return 0;
}

const struct node *node_doc_root(const struct node_doc *d)
{
	return d->root;
}

void node_doc_free(struct node_doc *d)
{
	if (!d)
		return;
	arena_free(d->arena);
	free(d);
}

const struct node *node_get(const struct node *table, const char *key)
{
	struct node_member want = { .key = slice_of(key) };
	const struct node_member *m;

	if (!table || table->kind != NODE_TABLE || !table->n_members)
		return NULL;
	m = bsearch(&want, table->members, table->n_members, sizeof want, by_key);
	return m ? m->value : NULL;
}

static void encode_table(const struct node *n, struct buf *out)
{
	buf_adds(out, "{\"l\":[");
	for (size_t i = 0; i < n->n_items; i++) {
		buf_adds(out, i ? "," : "");
		node_encode(n->items[i], out);
	}
	buf_adds(out, "],\"m\":{");
	for (size_t i = 0; i < n->n_members; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, n->members[i].key);
		buf_addc(out, ':');
		node_encode(n->members[i].value, out);
	}
	buf_adds(out, "}}");
}

void node_encode(const struct node *n, struct buf *out)
{
	char number[40];

	switch (n->kind) {
	case NODE_STRING: buf_add_json(out, n->text); return;
	case NODE_INTEGER: buf_addi(out, n->integer); return;
	case NODE_NUMBER:
		snprintf(number, sizeof number, "%.17g", n->number);
		buf_addf(out, "%s%s", number, strpbrk(number, ".e") ? "" : ".0");
		return;
	case NODE_BOOL: buf_adds(out, n->integer ? "true" : "false"); return;
	case NODE_NULL: buf_adds(out, "{\"null\":1}"); return;
	case NODE_SECRET:
		buf_adds(out, "{\"secret\":");
		buf_add_json(out, n->text);
		buf_addc(out, '}');
		return;
	case NODE_FUNCTION: buf_adds(out, "{\"fn\":1}"); return;
	case NODE_TABLE: encode_table(n, out); return;
	}
}

const char *node_kind_name(enum node_kind k)
{
	static const char *const names[] = {
		[NODE_STRING] = "a string", [NODE_INTEGER] = "a number", [NODE_NUMBER] = "a number", [NODE_BOOL] = "a boolean",
		[NODE_NULL] = "null", [NODE_SECRET] = "a secret", [NODE_FUNCTION] = "a function", [NODE_TABLE] = "a table",
	};
	return names[k];
}
