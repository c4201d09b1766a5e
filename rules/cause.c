/* rules/cause.c - fields out of an event that was normalised before. What is not of its field's type is missing. */
#include "rules/cause.h"

#include <jansson.h>
#include <stdlib.h>

#include "rules/arena.h"

struct cause {
	json_t *root;
};

int cause_parse(struct slice json, struct cause **out, struct err *e)
{
	json_error_t at;
	json_t *root = json_loadb(json.ptr ? json.ptr : "", json.len, 0, &at);

	if (!json_is_object(root)) {
		json_decref(root);
		return err_set(e, ERR_INPUT, "the cause of an event is no JSON object");
	}
	*out = xcalloc(1, sizeof **out);
	(*out)->root = root;
	return 0;
}

void cause_free(struct cause *c)
{
	if (!c)
		return;
	json_decref(c->root);
	free(c);
}

static struct slice text_of(const json_t *v)
{
	return (struct slice){ json_string_value(v), json_string_length(v) };
}

struct slice cause_rule(const struct cause *c)
{
	return text_of(json_object_get(c->root, "rule"));
}

int64_t cause_job(const struct cause *c)
{
	return json_integer_value(json_object_get(c->root, "job"));
}

int cause_is_untrusted(const struct cause *c)
{
	return json_is_true(json_object_get(c->root, "untrusted"));
}

static int take_value(json_t *v, enum field_type type, struct value *out)
{
	*out = (struct value){ 0 };
	if (json_is_string(v) && (type == FIELD_STRING || type == FIELD_STRINGS))
		*out = (struct value){ .kind = VALUE_STRING, .text = text_of(v) };
	else if (json_is_integer(v) && type == FIELD_INTEGER)
		*out = (struct value){ .kind = VALUE_INTEGER, .integer = json_integer_value(v) };
	else if (json_is_boolean(v) && type == FIELD_BOOL)
		*out = (struct value){ .kind = json_is_true(v) ? VALUE_TRUE : VALUE_FALSE };
	return out->kind != 0;
}

static void take_list(json_t *list, struct normal *out, enum field_id f)
{
	struct value *values;
	json_t *v;
	size_t i;

	if (!out->made)
		out->made = arena_new();
	values = arena_alloc(out->made, json_array_size(list) + 1, sizeof *values);
	json_array_foreach(list, i, v)
		out->field[f].n += (size_t)take_value(v, FIELD_STRINGS, &values[out->field[f].n]);
	out->field[f].list = values;
	out->field[f].state = FIELD_PRESENT;
}

void cause_fields(const struct cause *c, struct normal *out)
{
	json_t *event = json_object_get(c->root, "event"), *unknown = json_object_get(event, "unknown"), *v;
	size_t i;

	for (int f = 0; f < FIELD_COUNT; f++) {
		v = json_object_get(event, field_name((enum field_id)f));
		if (json_is_array(v) && field_type((enum field_id)f) == FIELD_STRINGS)
			take_list(v, out, (enum field_id)f);
		else if (take_value(v, field_type((enum field_id)f), &out->one[f]))
			out->field[f] = (struct field){ FIELD_PRESENT, &out->one[f], 1 };
	}
	json_array_foreach(unknown, i, v) {
		int f = json_is_string(v) ? field_find(text_of(v)) : -1;
		if (f >= 0 && out->field[f].state == FIELD_MISSING)
			out->field[f].state = FIELD_UNKNOWN;
	}
}
