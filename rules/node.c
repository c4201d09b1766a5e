/* rules/node.c - the plain data of a rule file, from JSON. jansson reads the text; the tree is copied into one arena, so a
 * document is freed as one. */
#include "rules/node.h"

#include <jansson.h>
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

/* [line, col] */
static void place_of(const json_t *v, int *line, int *col)
{
	if (json_array_size(v) != 2)
		return;
	*line = (int)json_integer_value(json_array_get(v, 0));
	*col = (int)json_integer_value(json_array_get(v, 1));
}

static struct node *build(struct arena *a, const json_t *v, int depth, struct err *e);

static int by_key(const void *a, const void *b)
{
	return slice_cmp(((const struct node_member *)a)->key, ((const struct node_member *)b)->key);
}

static int build_items(struct arena *a, const json_t *v, struct node *out, int depth, struct err *e)
{
	const json_t *list = json_object_get(v, "l"), *places = json_object_get(v, "lat"), *item;
	size_t i;

	out->n_items = json_array_size(list);
	out->items = arena_alloc(a, out->n_items, sizeof *out->items);
	json_array_foreach(list, i, item) {
		struct node *n = build(a, item, depth + 1, e);
		if (!n)
			return -1;
		if (!n->line)
			place_of(json_array_get(places, i), &n->line, &n->col);
		out->items[i] = n;
	}
	return 0;
}

static int build_members(struct arena *a, const json_t *v, struct node *out, int depth, struct err *e)
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
		m->value = build(a, item, depth + 1, e);
		if (!m->value)
			return -1;
		place_of(json_object_get(places, key), &m->line, &m->col);
		if (!m->value->line) {
			m->value->line = m->line;
			m->value->col = m->col;
		}
	}
	qsort(out->members, out->n_members, sizeof *out->members, by_key);
	return 0;
}

static int build_object(struct arena *a, const json_t *v, struct node *out, int depth, struct err *e)
{
	const json_t *secret = json_object_get(v, "secret");

	place_of(json_object_get(v, "at"), &out->line, &out->col);
	if (secret) {
		out->kind = NODE_SECRET;
		out->text = text_of(a, secret);
		return json_is_string(secret) ? 0 : err_set(e, ERR_INPUT, "a secret without a name");
	}
	if (json_object_get(v, "null") || json_object_get(v, "fn")) {
		out->kind = json_object_get(v, "null") ? NODE_NULL : NODE_FUNCTION;
		return 0;
	}
	out->kind = NODE_TABLE;
	return build_items(a, v, out, depth, e) < 0 ? -1 : build_members(a, v, out, depth, e);
}

static struct node *build(struct arena *a, const json_t *v, int depth, struct err *e)
{
	struct node *out = arena_alloc(a, 1, sizeof *out);

	if (depth > DEPTH_MAX) {
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
		return build_object(a, v, out, depth, e) < 0 ? NULL : out;
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
	d->root = build(d->arena, v, 0, e);
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

const char *node_kind_name(enum node_kind k)
{
	static const char *const names[] = {
		[NODE_STRING] = "a string", [NODE_INTEGER] = "a number", [NODE_NUMBER] = "a number", [NODE_BOOL] = "a boolean",
		[NODE_NULL] = "null", [NODE_SECRET] = "a secret", [NODE_FUNCTION] = "a function", [NODE_TABLE] = "a table",
	};
	return names[k];
}
