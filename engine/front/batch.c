/* front/batch.c - events, folded. Each is what match_event_json made of one delivery (rules/ruleset.h). */
#include "front/batch.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

static json_t *parse_event(const char *text)
{
	json_t *event = json_loads(text ? text : "", 0, NULL);
	return json_is_object(event) ? event : (json_decref(event), json_object());
}

static void add_to_batch(json_t *batch, int64_t delivery, json_t *event)
{
	json_t *item = json_copy(event);

	json_object_set_new(item, "id", json_integer(delivery));
	json_array_append_new(batch, item);
}

static int continues(const json_t *event, const json_t *earlier)
{
	const char *before = json_string_value(json_object_get(event, "before"));
	const char *sha = json_string_value(json_object_get(earlier, "sha"));
	return before && sha && strcmp(before, sha) == 0;
}

static int is_unknown(const json_t *event, const char *field)
{
	json_t *name;
	size_t i;

	json_array_foreach(json_object_get(event, "unknown"), i, name)
		if (json_is_string(name) && strcmp(json_string_value(name), field) == 0)
			return 1;
	return 0;
}

/* Each once, in the order of their first change. NULL: not known. */
static json_t *all_paths(json_t *events)
{
	json_t *seen = json_object(), *out = json_array(), *event, *path;
	size_t i, k;

	json_array_foreach(events, i, event) {
		const json_t *paths = json_object_get(event, "paths");
		if (!json_is_array(paths) || is_unknown(event, "paths") || (i && !continues(event, json_array_get(events, i - 1)))) {
			json_decref(out);
			out = NULL;
			break;
		}
		json_array_foreach(paths, k, path)
			if (json_is_string(path) && !json_object_get(seen, json_string_value(path))) {
				json_object_set_new(seen, json_string_value(path), json_true());
				json_array_append(out, path);
			}
	}
	json_decref(seen);
	return out;
}

static int any_true(json_t *events, const char *field)
{
	json_t *event;
	size_t i;

	json_array_foreach(events, i, event)
		if (json_is_true(json_object_get(event, field)))
			return 1;
	return 0;
}

static void set_or_drop(json_t *to, const char *field, json_t *value)
{
	if (value)
		json_object_set(to, field, value);
	else
		json_object_del(to, field);
}

static void set_paths(json_t *event, json_t *paths)
{
	json_t *unknown = json_object_get(event, "unknown");

	set_or_drop(event, "paths", paths);
	if (paths || is_unknown(event, "paths"))
		return;
	if (!unknown) {
		unknown = json_array();
		json_object_set_new(event, "unknown", unknown);
	}
	json_array_append_new(unknown, json_string("paths"));
}

char *batch_event(const struct claim *c, struct buf *batch)
{
	json_t *events = json_array(), *items = json_array(), *paths;

	for (size_t i = 0; i <= c->n_merged; i++) {
		int64_t delivery = i < c->n_merged ? c->merged[i].delivery : c->delivery;
		json_array_append_new(events, parse_event(i < c->n_merged ? c->merged[i].event_json : c->event_json));
		add_to_batch(items, delivery, json_array_get(events, i));
	}
	json_t *first = json_array_get(events, 0), *last = json_deep_copy(json_array_get(events, c->n_merged));
	paths = all_paths(events);
	set_or_drop(last, "before", json_object_get(first, "before"));
	set_paths(last, paths);
	if (any_true(events, "forced"))
		json_object_set_new(last, "forced", json_true());
	if (json_is_true(json_object_get(first, "created")))
		json_object_set_new(last, "created", json_true());
	char *text = json_dumps(items, JSON_COMPACT);
	buf_adds(batch, text);
	free(text);
	text = json_dumps(last, JSON_COMPACT);
	json_decref(paths);
	json_decref(last);
	json_decref(items);
	json_decref(events);
	return text;
}
