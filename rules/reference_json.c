/* rules/reference_json.c - JSON Schema (2020-12) of what a directory declares, as `pushrod rules --declared` prints it:
 * { "config": {…}, "source": { NAME: {…} }, "rule": { NAME: {…} } }. A value without a key stands under its row's name;
 * a secret is { "secret": "name" }, a function { "function": true }, a list that has `except` beside it { "list": […], … }. */
#include <string.h>

#include "rules/matrix.h"
#include "rules/normalise.h"
#include "rules/reference.h"
#include "rules/referring.h"

static const char fixed_defs[] =
	"\"secret\":{\"type\":\"object\",\"properties\":{\"secret\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$\"}},"
	"\"required\":[\"secret\"],\"additionalProperties\":false},\n"
	"\"function\":{\"const\":{\"function\":true}},\n"
	"\"scalar\":{\"type\":[\"string\",\"number\",\"boolean\",\"null\"]},\n"
	"\"scalars\":{\"anyOf\":[{\"$ref\":\"#/$defs/scalar\"},{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/scalar\"},\"minItems\":1}]},\n"
	"\"conditions\":{\"anyOf\":[{\"const\":\"always\"},{\"$ref\":\"#/$defs/when\"},{\"$ref\":\"#/$defs/whens\"}]},\n"
	"\"whens\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/when\"},\"minItems\":1},\n";

static void add_ref(const char *name, struct buf *out)
{
	buf_addf(out, "{\"$ref\":\"#/$defs/%s\"}", name);
}

static void add_types(const struct told_tables *all, const struct schema_type *types, struct buf *out);

static void add_words(const char *const *words, struct buf *out)
{
	buf_adds(out, "{\"enum\":[");
	for (size_t i = 0; words[i]; i++)
		buf_addf(out, "%s\"%s\"", i ? "," : "", words[i]);
	buf_adds(out, "]}");
}

static void add_matrix(struct buf *out)
{
	static const char scalar[] = "{\"type\":[\"string\",\"number\",\"boolean\"]}";

	buf_addf(out, "{\"anyOf\":[{\"type\":\"array\",\"minItems\":1,\"maxItems\":%d,\"items\":{\"type\":\"object\",\"minProperties\":1,"
		 "\"properties\":{\"when\":", MATRIX_MAX_CELLS);
	add_ref("conditions", out);
	buf_addf(out, "},\"additionalProperties\":%s}},{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":"
		 "{\"type\":\"array\",\"minItems\":1,\"items\":%s}}]}", scalar, scalar);
}

static void add_type(const struct told_tables *all, const struct schema_type *t, struct buf *out)
{
	switch (t->kind) {
	case SCHEMA_STRING: buf_addf(out, "{\"type\":\"string\",\"minLength\":%lld}", (long long)t->min); return;
	case SCHEMA_DURATION: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$\"}"); return;
	case SCHEMA_SIZE: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^[0-9]+(B|KiB|MiB|GiB|TiB)$\"}"); return;
	case SCHEMA_INTEGER:
		buf_addf(out, "{\"type\":\"integer\",\"minimum\":%lld,\"maximum\":%lld}", (long long)t->min, (long long)t->max);
		return;
	case SCHEMA_BOOL: buf_adds(out, "{\"type\":\"boolean\"}"); return;
	case SCHEMA_WORD: add_words(t->words, out); return;
	case SCHEMA_DATE: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:]{8}Z)?$\"}"); return;
	case SCHEMA_ADDRESS: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^.+:[0-9]{1,5}$\"}"); return;
	case SCHEMA_NETWORK: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$\"}"); return;
	case SCHEMA_PATH: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^/[^?#%\\\\\\\\ ]+$\"}"); return;
	case SCHEMA_NAME: case SCHEMA_QUEUE: buf_adds(out, "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$\"}"); return;
	case SCHEMA_TEMPLATE:
		buf_addf(out, t->max ? "{\"type\":\"string\",\"minLength\":%lld,\"maxLength\":%lld}" : "{\"type\":\"string\"}", (long long)t->min,
			 (long long)t->max);
		return;
	case SCHEMA_PROVIDER: case SCHEMA_EVENT: case SCHEMA_CRON: buf_adds(out, "{\"type\":\"string\"}"); return;
	case SCHEMA_SECRET: add_ref("secret", out); return;
	case SCHEMA_FUNCTION: case SCHEMA_FILTER: add_ref("function", out); return;
	case SCHEMA_TABLE: add_ref(told_table_name(all, t->table), out); return;
	case SCHEMA_CONDITIONS: add_ref("conditions", out); return;
	case SCHEMA_MATRIX: add_matrix(out); return;
	case SCHEMA_LIST:
		buf_addf(out, "{\"type\":\"array\",\"minItems\":%lld,", (long long)t->min);
		if (t->max)
			buf_addf(out, "\"maxItems\":%lld,", (long long)t->max);
		buf_adds(out, "\"items\":");
		add_types(all, t->of, out);
		buf_addc(out, '}');
		return;
	case SCHEMA_MAP:
		buf_adds(out, "{\"type\":\"object\",\"propertyNames\":{\"pattern\":\"^[A-Za-z_][A-Za-z0-9_]*$\"},\"additionalProperties\":");
		add_types(all, t->of, out);
		buf_addc(out, '}');
		return;
	case SCHEMA_ANYTHING: buf_adds(out, "true"); return;
	}
}

static void add_types(const struct told_tables *all, const struct schema_type *types, struct buf *out)
{
	if (!types[1].kind) {
		add_type(all, &types[0], out);
		return;
	}
	buf_adds(out, "{\"anyOf\":[");
	for (size_t i = 0; types[i].kind; i++) {
		buf_adds(out, i ? "," : "");
		add_type(all, &types[i], out);
	}
	buf_adds(out, "]}");
}

/* The description goes beside what the type says: allOf keeps the two apart whatever that is. */
static void add_key(const struct told_tables *all, const struct schema_key *k, struct buf *out)
{
	buf_addf(out, "\"%s\":{\"description\":", k->name);
	buf_add_json(out, slice_of(k->doc));
	buf_adds(out, ",\"allOf\":[");
	add_types(all, k->types, out);
	buf_adds(out, "]}");
}

static void add_table(const struct told_tables *all, const struct told_table *t, struct buf *out)
{
	const char *gap = "";

	buf_addf(out, "\"%s\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\n", t->name);
	if (t->table->item) {
		buf_adds(out, "  ");
		add_key(all, t->table->item, out);
		gap = ",\n";
	}
	for (size_t i = 0; i < t->table->n; i++, gap = ",\n") {
		buf_addf(out, "%s  ", gap);
		add_key(all, &t->table->keys[i], out);
	}
	buf_adds(out, "},\"required\":[");
	gap = "";
	for (size_t i = 0; i <= t->table->n; i++) {
		const struct schema_key *k = i < t->table->n ? &t->table->keys[i] : t->table->item;
		if (!k || !k->is_required)
			continue;
		buf_addf(out, "%s\"%s\"", gap, k->name);
		gap = ",";
	}
	buf_adds(out, "]},\n");
}

static void add_test_def(struct buf *out)
{
	buf_adds(out, "\"test\":{\"anyOf\":[{\"$ref\":\"#/$defs/scalars\"},{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":false,"
		      "\"properties\":{\n  \"list\":{\"$ref\":\"#/$defs/scalars\"},\"except\":{\"$ref\":\"#/$defs/scalars\"}");
	for (size_t i = 0; i < schema_operator_count; i++) {
		const struct schema_operator *o = &schema_operators[i];
		buf_addf(out, ",\n  \"%s\":{\"description\":", o->name);
		buf_add_json(out, slice_of(o->doc));
		buf_adds(out, o->operand == OPERAND_BOOL ? ",\"type\":\"boolean\"}" : o->takes_list ? ",\"allOf\":[{\"$ref\":\"#/$defs/scalars\"}]}" : "}");
	}
	buf_adds(out, "}}]},\n");
}

static void add_when_def(struct buf *out)
{
	buf_adds(out, "\"when\":{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":false,\"properties\":{");
	for (const char *const *w = schema_open; *w; w++)
		buf_addf(out, "%s\n  \"%s\":{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#/$defs/test\"}}", w == schema_open ? "" : ",", *w);
	for (const char *const *w = schema_combinators; *w; w++)
		buf_addf(out, ",\n  \"%s\":{\"$ref\":\"#/$defs/whens\"}", *w);
	for (const char *const *w = schema_facts; *w; w++)
		buf_addf(out, ",\n  \"%s\":{\"$ref\":\"#/$defs/test\"}", *w);
	for (int f = 0; f < FIELD_COUNT; f++)
		buf_addf(out, ",\n  \"%s\":{\"$ref\":\"#/$defs/test\"}", field_name((enum field_id)f));
	buf_adds(out, "}}\n");
}

void reference_json_schema(struct buf *out)
{
	struct told_tables all;
	const char *gap = "";

	told_tables_init(&all);
	buf_adds(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"what a pushrod directory declares\",\n"
		      "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\n");
	for (size_t i = 0; i < all.n; i++) {
		const struct told_table *t = &all.list[i];
		if (t->key)
			continue;
		buf_addf(out, t->decl->has_name ? "%s  \"%s\":{\"type\":\"object\",\"additionalProperties\":" : "%s  \"%s\":", gap, t->name);
		add_ref(t->name, out);
		buf_adds(out, t->decl->has_name ? "}" : "");
		gap = ",\n";
	}
	buf_adds(out, "},\n\"$defs\":{\n");
	buf_adds(out, fixed_defs);
	for (size_t i = 0; i < all.n; i++)
		add_table(&all, &all.list[i], out);
	add_test_def(out);
	add_when_def(out);
	buf_adds(out, "}}\n");
}
