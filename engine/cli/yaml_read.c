/* cli/yaml_read.c - a YAML document as JSON values. Aliases are followed, so what they repeat counts: a document of a few lines can
 * stand for billions of values. */
#include "cli/yaml_read.h"

#include <string.h>
#include <yaml.h>

struct reading {
	yaml_document_t *document;
	int left;                               /* nodes */
	struct err *e;
};

static int is_word(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (!strcmp(text, *words))
			return 1;
	return 0;
}

static json_t *scalar(const yaml_node_t *n)
{
	static const char *const yes[] = { "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL };
	static const char *const no[] = { "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL };
	static const char *const nothing[] = { "", "~", "null", "Null", "NULL", NULL };
	const char *text = (const char *)n->data.scalar.value;

	if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
		if (is_word(text, yes))
			return json_true();
		if (is_word(text, no))
			return json_false();
		if (is_word(text, nothing))
			return json_null();
	}
	return json_stringn(text, n->data.scalar.length);
}

static json_t *convert(struct reading *r, int number, int depth);

static json_t *sequence(struct reading *r, const yaml_node_t *n, int depth)
{
	json_t *out = json_array();

	for (const yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
		json_t *item = convert(r, *i, depth);
		if (!item) {
			json_decref(out);
			return NULL;
		}
		json_array_append_new(out, item);
	}
	return out;
}

static json_t *mapping(struct reading *r, const yaml_node_t *n, int depth)
{
	json_t *out = json_object();

	for (const yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
		const yaml_node_t *key = yaml_document_get_node(r->document, p->key);
		json_t *value = key && key->type == YAML_SCALAR_NODE ? convert(r, p->value, depth) : NULL;
		if (!value || json_object_set_new(out, (const char *)key->data.scalar.value, value) < 0) {
			if (!key || key->type != YAML_SCALAR_NODE)
				err_set(r->e, ERR_INPUT, "line %zu: a key that is no text", n->start_mark.line + 1);
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static json_t *convert(struct reading *r, int number, int depth)
{
	const yaml_node_t *n = yaml_document_get_node(r->document, number);

	if (depth >= YAML_DEPTH_MAX || r->left-- <= 0) {
		err_set(r->e, ERR_LIMIT, depth >= YAML_DEPTH_MAX ? "nested deeper than %d" : "more than %d values, with what aliases repeat",
			depth >= YAML_DEPTH_MAX ? YAML_DEPTH_MAX : YAML_NODES_MAX);
		return NULL;
	}
	switch (n->type) {
	case YAML_SCALAR_NODE: {
		json_t *out = scalar(n);
		if (!out)
			err_set(r->e, ERR_INPUT, "line %zu: a text that is not UTF-8", n->start_mark.line + 1);
		return out;
	}
	case YAML_SEQUENCE_NODE:
		return sequence(r, n, depth + 1);
	case YAML_MAPPING_NODE:
		return mapping(r, n, depth + 1);
	case YAML_NO_NODE:
		break;
	}
	return json_null();
}

int yaml_read(struct slice text, json_t **out, struct err *e)
{
	yaml_parser_t parser;
	yaml_document_t document;
	struct reading r = { .document = &document, .left = YAML_NODES_MAX, .e = e };

	if (!yaml_parser_initialize(&parser))
		return err_set(e, ERR_BUG, "libyaml");
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.ptr ? text.ptr : ""), text.len);
	if (!yaml_parser_load(&parser, &document)) {
		err_set(e, ERR_INPUT, "line %zu: %s", parser.problem_mark.line + 1, parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return -1;
	}
	json_t *root = yaml_document_get_root_node(&document) ? convert(&r, 1, 0) : json_null();
	yaml_document_delete(&document);
	yaml_parser_delete(&parser);
	if (!root)
		return -1;
	*out = root;
	return 0;
}
