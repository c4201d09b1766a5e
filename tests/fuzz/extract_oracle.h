/* tests/fuzz/extract_oracle.h - extract() against jansson: both accept a text or both refuse it, and what extract()
 * found is what a walk of jansson's tree finds. Only a NUL byte is treated otherwise: no JSON text has one, yet jansson 2.14
 * loses one that stands right behind a number or a word. Shared by the fuzz target and the unit test. */
#pragma once
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/extract.h"

static const char *const oracle_paths[] = {
	"a", "b", "a.b", "a.b.c", "a[]", "a[0]", "a[1].b", "a[].b", "a[].b[]", "a[0].b[]", "b.a", "b[].a[].c", "c", "c[].c",
	"c[2]", "d.a", "d.b", "d.a.b", "[]", "[].a", "[0].a.b", "[1]", "[\"x.y\"]", "a[\"\xc3\xa9\"]", "[\"\"].a", "ref", "b[][]",
};

struct oracle {
	const struct value *found;      /* by extract(), not yet compared */
	size_t n;
	const char *wrong;
};

static int oracle_same(const struct value *v, json_t *j)
{
	json_t *again;
	int same;

	switch (json_typeof(j)) {
	case JSON_STRING:
		return v->kind == VALUE_STRING && slice_eq(v->text, (struct slice){ json_string_value(j), json_string_length(j) });
	case JSON_INTEGER:
		return v->kind == VALUE_INTEGER && v->integer == json_integer_value(j);
	case JSON_REAL:
		return v->kind == VALUE_REAL && v->real == json_real_value(j);
	case JSON_TRUE:
		return v->kind == VALUE_TRUE;
	case JSON_FALSE:
		return v->kind == VALUE_FALSE;
	case JSON_NULL:
		return v->kind == VALUE_NULL;
	case JSON_OBJECT:
	case JSON_ARRAY:
		if (v->kind != (json_is_object(j) ? VALUE_OBJECT : VALUE_ARRAY))
			return 0;
		again = json_loadb(v->text.ptr, v->text.len, 0, NULL);
		same = again && json_equal(again, j);
		json_decref(again);
		return same;
	}
	return 0;
}

static void oracle_walk(struct oracle *o, json_t *j, const char *path)
{
	char key[32] = "";
	size_t i;
	json_t *item;

	if (!j || o->wrong)
		return;
	if (*path == '\0') {
		if (o->n == 0 || !oracle_same(o->found, j))
			o->wrong = "another value than jansson's";
		o->found += o->n > 0;
		o->n -= o->n > 0;
	} else if (strncmp(path, "[]", 2) == 0) {
		json_array_foreach(j, i, item)
			oracle_walk(o, item, path + 2);
	} else if (path[0] == '[' && path[1] != '"') {
		i = strtoul(path + 1, NULL, 10);
		oracle_walk(o, json_is_array(j) ? json_array_get(j, i) : NULL, strchr(path, ']') + 1);
	} else {
		const char *from = path[0] == '[' ? path + 2 : path + (path[0] == '.');
		size_t n = path[0] == '[' ? strcspn(from, "\"") : strcspn(from, ".[");
		memcpy(key, from, n);
		oracle_walk(o, json_is_object(j) ? json_object_get(j, key) : NULL, from + n + (path[0] == '[' ? 2 : 0));
	}
}

/* NULL, or what is wrong. */
static const char *oracle_check(struct slice text)
{
	static char message[200];
	struct paths *p = paths_new();
	struct values *v = NULL;
	struct err e = { 0 };
	const char *wrong = NULL;

	for (size_t i = 0; i < COUNT(oracle_paths); i++)
		if (paths_add(p, slice_of(oracle_paths[i]), &e) != (int)i)
			abort();
	int refused = extract(p, text, &v, &e) < 0;
	json_t *tree = json_loadb(text.len ? text.ptr : "", text.len, 0, NULL);
	int has_nul = slice_chr(text, '\0') >= 0;
	if (has_nul && !refused)
		wrong = "accepted, with a NUL byte";
	else if (refused && e.kind != ERR_LIMIT && tree && !has_nul)
		wrong = "refused, jansson accepts";
	else if (!refused && !tree)
		wrong = "accepted, jansson refuses";
	for (size_t i = 0; !refused && tree && !wrong && i < COUNT(oracle_paths) && !values_is_truncated(v); i++) {
		struct oracle o = { 0 };
		o.found = values_get(v, (int)i, &o.n);
		oracle_walk(&o, tree, oracle_paths[i]);
		if (!o.wrong && o.n)
			o.wrong = "more values than jansson has";
		if (o.wrong) {
			snprintf(message, sizeof message, "path %s: %s", oracle_paths[i], o.wrong);
			wrong = message;
		}
	}
	json_decref(tree);
	values_free(v);
	paths_free(p);
	return wrong;
}
