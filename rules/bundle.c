/* rules/bundle.c - the outer object is read as JSON; each VALUE in it becomes a document of its own (rules/node.h). */
#include "rules/bundle.h"

#include <stdlib.h>

#include "base/hex.h"
#include "rules/zone.h"

static struct slice text_of(const json_t *v)
{
	return (struct slice){ json_string_value(v), json_string_length(v) };
}

static int doc_of(json_t *value, struct node_doc **out, struct err *e)
{
	CLEANUP(freep) char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	if (!text)
		return err_set(e, ERR_INPUT, "a value is missing");
	return node_doc_parse(slice_of(text), out, e);
}

static int read_decl(json_t *d, const char *file, struct decl *out, struct err *e)
{
	json_t *name = json_object_get(d, "name"), *at = json_object_get(d, "at");

	out->kind = json_string_value(json_object_get(d, "kind"));
	out->name = json_is_string(name) ? json_string_value(name) : "";
	out->file = file;
	out->line = (int)json_integer_value(json_array_get(at, 0));
	out->col = (int)json_integer_value(json_array_get(at, 1));
	if (!out->kind)
		return err_set(e, ERR_INPUT, "a declaration of %s has no kind", file);
	if (!json_object_get(d, "value"))
		return 0;                               /* eval has said that it is missing */
	return doc_of(json_object_get(d, "value"), &out->doc, e);
}

static int read_file(struct ruleset *rs, struct bundle *b, json_t *file, struct err *e)
{
	json_t *path = json_object_get(file, "path"), *decls = json_object_get(file, "decls"), *d;
	size_t i;

	if (!json_is_string(path))
		return err_set(e, ERR_INPUT, "a file has no path");
	struct source_file *f = &rs->files[rs->n_files++];
	f->path = arena_str(rs->arena, text_of(path));
	f->text = arena_copy(rs->arena, text_of(json_object_get(file, "source")));
	b->decls = xrealloc(b->decls, (b->n_decls + json_array_size(decls) + 1) * sizeof *b->decls);
	json_array_foreach(decls, i, d) {
		struct decl *out = &b->decls[b->n_decls++];
		*out = (struct decl){ 0 };
		if (read_decl(d, f->path, out, e) < 0)
			return -1;
	}
	return 0;
}

static int read_files(struct ruleset *rs, struct bundle *b, struct err *e)
{
	json_t *files = json_object_get(b->root, "files"), *modules = json_object_get(b->root, "modules"), *v;
	const char *name;
	size_t i;

	rs->files = arena_alloc(rs->arena, json_array_size(files), sizeof *rs->files);
	json_array_foreach(files, i, v)
		if (read_file(rs, b, v, e) < 0)
			return -1;
	rs->modules = arena_alloc(rs->arena, json_object_size(modules), sizeof *rs->modules);
	json_object_foreach(modules, name, v)
		rs->modules[rs->n_modules++] = (struct module){ arena_str(rs->arena, slice_of(name)),
								arena_copy(rs->arena, text_of(v)) };
	return 0;
}

static int read_diags(const struct bundle *b, struct diags *d, struct err *e)
{
	json_t *list = json_object_get(b->root, "diags");
	CLEANUP(freep) char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;

	if (text && diags_parse_json(slice_of(text), d) < 0)
		return err_set(e, ERR_INPUT, "the bundle's diags are malformed");
	return 0;
}

/* "zones":{"Europe/Berlin":"base64 of its TZif file"}: those that rules name. */
static int read_zones(struct ruleset *rs, const struct bundle *b, struct err *e)
{
	json_t *list = json_object_get(b->root, "zones"), *v;
	const char *name;

	rs->zones = xcalloc(json_object_size(list) + 1, sizeof *rs->zones);
	json_object_foreach(list, name, v) {
		CLEANUP(buf_fini) struct buf bytes = BUF(ZONE_MAX_BYTES);
		struct named_zone *z = &rs->zones[rs->n_zones];
		if (base64_parse(text_of(v), &bytes) < 0 || zone_parse(buf_slice(&bytes), &z->zone, e) < 0)
			return err_set(e, ERR_INPUT, "the bundle's time zone '%s' is malformed", name);
		z->name = arena_str(rs->arena, slice_of(name));
		rs->n_zones++;
	}
	return 0;
}

static int read_descriptors(struct bundle *b, const json_t *list, struct err *e)
{
	json_t *v;
	size_t i;

	b->descriptors = xcalloc(json_array_size(list) + 1, sizeof *b->descriptors);
	json_array_foreach(list, i, v) {
		const json_t *name = json_object_get(v, "name"), *path = json_object_get(v, "path");
		if (!json_is_string(name) || !json_is_string(path))
			return err_set(e, ERR_INPUT, "a provider has no name or path");
		if (doc_of(json_object_get(v, "value"), &b->descriptors[i], e) < 0)
			return err_wrap(e, "provider '%s'", json_string_value(name));
		b->n_descriptors++;
	}
	return 0;
}

/* What a provider may be like: one that is compiled and has events of its own. */
static const struct node *base_of(const struct ruleset *rs, const struct bundle *b, const json_t *list, struct slice like)
{
	for (size_t i = 0; like.len && i < b->n_descriptors; i++) {
		const struct node *value = node_doc_root(b->descriptors[i]);
		struct slice name = text_of(json_object_get(json_array_get(list, i), "name"));
		if (!slice_eq(name, like) || provider_like(value).ptr)
			continue;
		for (size_t k = 1; k < rs->n_usages; k++)
			if (slice_eq(slice_of(rs->usages[k].name), like))
				return value;
	}
	return NULL;
}

/* The provider of each descriptor, first those that are like no other; usages[0] is that of sources without a provider. A
 * broken one is said in the diags and left out. */
static int read_providers(struct ruleset *rs, struct bundle *b, struct diags *diags, struct err *e)
{
	const json_t *list = json_object_get(b->root, "providers");

	rs->usages = xcalloc(json_array_size(list) + 1, sizeof *rs->usages);
	rs->usages[rs->n_usages++].name = "";
	if (read_descriptors(b, list, e) < 0)
		return -1;
	for (int with_like = 0; with_like < 2; with_like++)
		for (size_t i = 0; i < b->n_descriptors; i++) {
			const json_t *v = json_array_get(list, i);
			struct usage *u = &rs->usages[rs->n_usages];
			struct descriptor d = { .file = json_string_value(json_object_get(v, "path")),
						.value = node_doc_root(b->descriptors[i]) };
			struct slice like = provider_like(d.value);
			if ((like.ptr != NULL) != with_like)
				continue;
			d.base = base_of(rs, b, list, like);
			u->name = d.name = arena_str(rs->arena, text_of(json_object_get(v, "name")));
			if (provider_compile(&d, &u->provider, diags) == 0)
				rs->n_usages++;
		}
	return 0;
}

int bundle_read(struct slice text, struct ruleset *rs, struct bundle *b, struct diags *diags, struct err *e)
{
	json_error_t at;

	b->root = json_loadb(text.ptr, text.len, 0, &at);
	if (!b->root)
		return err_set(e, ERR_INPUT, "the bundle is not JSON: line %d: %s", at.line, at.text);
	if (json_integer_value(json_object_get(b->root, "version")) != 1)
		return err_set(e, ERR_INPUT, "the bundle is of another version than 1");
	if (read_diags(b, diags, e) < 0 || read_files(rs, b, e) < 0 || read_zones(rs, b, e) < 0)
		return -1;
	return read_providers(rs, b, diags, e);
}

void bundle_fini(struct bundle *b)
{
	for (size_t i = 0; i < b->n_decls; i++)
		node_doc_free(b->decls[i].doc);
	for (size_t i = 0; i < b->n_descriptors; i++)
		node_doc_free(b->descriptors[i]);
	free(b->decls);
	free(b->descriptors);
	json_decref(b->root);
}
