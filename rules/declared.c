/* rules/declared.c - trees of nodes, written beside the rows of the schema that they were held against: a value without a key
 * gets its row's name. Where no row speaks (the tests of `when`, a matrix), a table is what it looks like. */
#include "rules/declared.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rules/check.h"
#include "rules/schema.h"

static void add_value(const struct schema_type *types, const struct node *n, struct buf *out);

static void add_scalar(const struct node *n, struct buf *out)
{
	switch (n->kind) {
	case NODE_STRING: buf_add_json(out, n->text); return;
	case NODE_INTEGER: buf_addi(out, n->integer); return;
	case NODE_NUMBER: buf_addf(out, "%.17g", n->number); return;
	case NODE_BOOL: buf_adds(out, n->integer ? "true" : "false"); return;
	case NODE_NULL: case NODE_TABLE: buf_adds(out, "null"); return;
	case NODE_FUNCTION: buf_adds(out, "{\"function\":true}"); return;
	case NODE_SECRET:
		buf_adds(out, "{\"secret\":");
		buf_add_json(out, n->text);
		buf_addc(out, '}');
		return;
	}
}

static void add_list(const struct schema_type *of, const struct node *n, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n->n_items; i++) {
		buf_adds(out, i ? "," : "");
		add_value(of, n->items[i], out);
	}
	buf_addc(out, ']');
}

static void add_key(struct slice key, int is_first, struct buf *out)
{
	buf_adds(out, is_first ? "" : ",");
	buf_add_json(out, key);
	buf_addc(out, ':');
}

static void add_table(const struct schema_table *t, const struct node *n, struct buf *out)
{
	int is_first = 1;

	buf_addc(out, '{');
	if (t->item && n->n_items) {
		add_key(slice_of(t->item->name), 1, out);
		add_value(t->item->types, n->items[0], out);
		is_first = 0;
	}
	for (size_t i = 0; i < n->n_members; i++, is_first = 0) {
		const struct schema_key *k = schema_key_find(t, n->members[i].key);
		add_key(n->members[i].key, is_first, out);
		add_value(k ? k->types : NULL, n->members[i].value, out);
	}
	buf_addc(out, '}');
}

/* OF: of the values, NULL where nothing is known of them. */
static void add_free(const struct schema_type *of, const struct node *n, struct buf *out)
{
	if (n->n_members == 0) {
		add_list(of, n, out);
		return;
	}
	buf_addc(out, '{');
	if (n->n_items) {
		add_key(SLICE("list"), 1, out);
		add_list(of, n, out);
	}
	for (size_t i = 0; i < n->n_members; i++) {
		add_key(n->members[i].key, i == 0 && n->n_items == 0, out);
		add_value(of, n->members[i].value, out);
	}
	buf_addc(out, '}');
}

static void add_value(const struct schema_type *types, const struct node *n, struct buf *out)
{
	const struct schema_type *t = types ? check_meant(types, n) : NULL;

	if (n->kind != NODE_TABLE)
		add_scalar(n, out);
	else if (t && t->kind == SCHEMA_TABLE)
		add_table(t->table, n, out);
	else if (t && t->kind == SCHEMA_LIST)
		add_list(t->of, n, out);
	else
		add_free(t && t->kind == SCHEMA_MAP ? t->of : NULL, n, out);
}

/* ---- declarations ---- */

static int add_decl(const struct schema_decl *s, json_t *d, struct buf *out, struct err *e)
{
	CLEANUP(freep) char *text = json_dumps(json_object_get(d, "value"), JSON_COMPACT | JSON_ENCODE_ANY);
	struct node_doc *doc;

	if (!text)
		return err_set(e, ERR_INPUT, "a declaration has no value");
	if (node_doc_parse(slice_of(text), &doc, e) < 0)
		return -1;
	add_table(s->table, node_doc_root(doc), out);
	node_doc_free(doc);
	return 0;
}

static void add_name(json_t *seen, const char *file, const char *name, int is_first, struct buf *out)
{
	CLEANUP(freep) char *full = json_object_get(seen, name) ? xprintf("%s:%s", file, name) : xstrdup(name);

	json_object_set_new(seen, name, json_true());
	add_key(slice_of(full), is_first, out);
}

/* All of kind S, from all files. */
static int add_kind(const struct schema_decl *s, json_t *files, json_t *seen, struct buf *out, struct err *e)
{
	json_t *file, *d;
	size_t i, k;
	int n = 0;

	json_array_foreach(files, i, file)
		json_array_foreach(json_object_get(file, "decls"), k, d) {
			const char *kind = json_string_value(json_object_get(d, "kind")), *name = json_string_value(json_object_get(d, "name"));
			if (!kind || strcmp(kind, s->kind) != 0)
				continue;
			if (s->has_name)
				add_name(seen, json_string_value(json_object_get(file, "path")), name ? name : "", n == 0, out);
			n++;
			if (add_decl(s, d, out, e) < 0)
				return -1;
		}
	if (!n && !s->has_name)
		buf_adds(out, "{}");
	return 0;
}

int declared_json(struct slice bundle, struct buf *out, struct err *e)
{
	json_t *root = json_loadb(bundle.ptr, bundle.len, 0, NULL), *files = json_object_get(root, "files");
	const char *gap = "{";
	int bad = root ? 0 : err_set(e, ERR_INPUT, "the bundle is not JSON");

	for (size_t i = 0; bad == 0 && i < schema_decl_count; i++) {
		const struct schema_decl *s = &schema_decls[i];
		json_t *seen = json_object();
		if (s->table) {
			buf_addf(out, "%s\"%s\":%s", gap, s->kind, s->has_name ? "{" : "");
			bad = add_kind(s, files, seen, out, e);
			buf_adds(out, s->has_name ? "}" : "");
			gap = ",\n";
		}
		json_decref(seen);
	}
	buf_adds(out, "}\n");
	json_decref(root);
	return bad;
}
