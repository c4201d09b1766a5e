/* rules/reference_types.c - types/pushrod.lua: annotations that the Lua language server reads (LuaCATS). The server completes
 * keys by them and checks types; what it does not tell (a key that does not exist), `pushrod check` does. */
#include <string.h>

#include "rules/job_api.h"
#include "rules/normalise.h"
#include "rules/reference.h"
#include "rules/referring.h"

static const char opening[] =
	"---@meta\n"
	"-- The words of pushrod's rule files, for the Lua language server. `pushrod init --types` makes this file anew.\n"
	"\n"
	"---@class pushrod.Secret\n"
	"---@class pushrod.Null\n"
	"---JSON's null.\n"
	"---@type pushrod.Null\n"
	"null = {}\n"
	"---A secret's value, by its name.\n"
	"---@param name string\n"
	"---@return pushrod.Secret\n"
	"function secret(name) end\n";

static void add_types(const struct told_tables *all, const struct schema_type *types, struct buf *out);

static void add_type(const struct told_tables *all, const struct schema_type *t, struct buf *out)
{
	switch (t->kind) {
	case SCHEMA_STRING: case SCHEMA_DURATION: case SCHEMA_SIZE: case SCHEMA_DATE: case SCHEMA_ADDRESS: case SCHEMA_NETWORK: case SCHEMA_PATH:
	case SCHEMA_NAME: case SCHEMA_QUEUE: case SCHEMA_TEMPLATE: case SCHEMA_PROVIDER: case SCHEMA_CRON:
		buf_adds(out, "string");
		return;
	case SCHEMA_EVENT: buf_adds(out, "pushrod.EventName"); return;
	case SCHEMA_INTEGER: buf_adds(out, "integer"); return;
	case SCHEMA_BOOL: buf_adds(out, "boolean"); return;
	case SCHEMA_WORD:
		for (size_t i = 0; t->words[i]; i++)
			buf_addf(out, "%s\"%s\"", i ? "|" : "", t->words[i]);
		return;
	case SCHEMA_SECRET: buf_adds(out, "pushrod.Secret"); return;
	case SCHEMA_FILTER: buf_adds(out, "fun(event: pushrod.Event): boolean, string?"); return;
	case SCHEMA_FUNCTION: buf_adds(out, "fun(job: pushrod.Job)"); return;
	case SCHEMA_TABLE: buf_addf(out, "pushrod.%s", told_table_name(all, t->table)); return;
	case SCHEMA_CONDITIONS: buf_adds(out, "\"always\"|pushrod.when|pushrod.when[]"); return;
	case SCHEMA_MATRIX: buf_adds(out, "table<string, any>[]|table<string, (string|number|boolean)[]>"); return;
	case SCHEMA_LIST:
		buf_addc(out, '(');
		add_types(all, t->of, out);
		buf_adds(out, ")[]");
		return;
	case SCHEMA_MAP:
		buf_adds(out, "table<string, ");
		add_types(all, t->of, out);
		buf_addc(out, '>');
		return;
	case SCHEMA_ANYTHING: buf_adds(out, "table"); return;
	}
}

static void add_types(const struct told_tables *all, const struct schema_type *types, struct buf *out)
{
	for (size_t i = 0; types[i].kind; i++) {
		buf_adds(out, i ? "|" : "");
		add_type(all, &types[i], out);
	}
}

static void add_table(const struct told_tables *all, const struct told_table *t, struct buf *out)
{
	buf_addf(out, "\n---@class pushrod.%s\n", t->name);
	if (t->table->item) {
		buf_adds(out, t->table->takes_many ? "---@field [integer] " : "---@field [1] ");
		add_types(all, t->table->item->types, out);
		buf_addf(out, "%s %s\n", t->table->item->is_required ? "" : "|nil", t->table->item->doc);
	}
	for (size_t i = 0; i < t->table->n; i++) {
		const struct schema_key *k = &t->table->keys[i];
		buf_addf(out, "---@field %s%s ", k->name, k->is_required ? "" : "?");
		add_types(all, k->types, out);
		buf_addf(out, " %s\n", k->doc);
	}
}

static void add_decl(const struct told_table *t, struct buf *out)
{
	buf_addf(out, "\n---%s\n", t->decl->doc);
	if (t->decl->has_name)
		buf_addf(out, "---@param name string\n---@return fun(what: pushrod.%s)\nfunction %s(name) end\n", t->name, t->decl->kind);
	else
		buf_addf(out, "---@param what pushrod.%s\nfunction %s(what) end\n", t->name, t->decl->kind);
}

static const char *field_lua_type(int f)
{
	switch (field_type((enum field_id)f)) {
	case FIELD_STRING: return "string";
	case FIELD_INTEGER: return "integer";
	case FIELD_BOOL: return "boolean";
	case FIELD_STRINGS: return "string[]";
	}
	return "any";
}

static const char *word_doc(enum schema_word_kind kind, const char *name)
{
	const struct schema_word *w = schema_word_find(kind, name);
	return w ? w->doc : "";
}

static void add_when(struct buf *out)
{
	buf_adds(out, "\n---@alias pushrod.Scalar string|number|boolean|pushrod.Null\n\n---@class pushrod.Operators\n"
		      "---@field [integer] pushrod.Scalar one of these\n---@field except? pushrod.Scalar|pushrod.Scalar[] and none of these\n");
	for (size_t i = 0; i < schema_operator_count; i++)
		buf_addf(out, "---@field %s? %s %s\n", schema_operators[i].name,
			 schema_operators[i].operand == OPERAND_BOOL ? "boolean" : schema_operators[i].takes_list ? "pushrod.Scalar|pushrod.Scalar[]" : "any",
			 schema_operators[i].doc);
	buf_adds(out, "\n---@alias pushrod.Test pushrod.Scalar|pushrod.Scalar[]|pushrod.Operators\n\n---@class pushrod.when\n");
	for (const char *const *w = schema_open; *w; w++)
		buf_addf(out, "---@field %s? table<string, pushrod.Test> %s\n", *w, word_doc(SCHEMA_WORD_OPEN, *w));
	for (const char *const *w = schema_combinators; *w; w++)
		buf_addf(out, "---@field %s? pushrod.when[] %s\n", *w, word_doc(SCHEMA_WORD_COMBINATOR, *w));
	for (const char *const *w = schema_facts; *w; w++)
		buf_addf(out, "---@field %s? pushrod.Test %s\n", *w, word_doc(SCHEMA_WORD_FACT, *w));
	for (int f = 0; f < FIELD_COUNT; f++)
		buf_addf(out, "---@field %s? pushrod.Test %s\n", field_name((enum field_id)f), word_doc(SCHEMA_WORD_FIELD, field_name((enum field_id)f)));
	buf_adds(out, "\n---@alias pushrod.EventName string\n");
	for (const char *const *w = schema_events; *w; w++)
		buf_addf(out, "---| \"%s\" # %s\n", *w, word_doc(SCHEMA_WORD_EVENT, *w));
}

/* ---- job ---- */

static void add_options(const struct job_method *m, struct buf *out)
{
	buf_addf(out, "\n---@class pushrod.job.%s\n", m->name);
	if (m->has_items)
		buf_adds(out, "---@field [integer] string the program and its arguments\n");
	for (const struct job_word *o = m->options; o->name; o++)
		buf_addf(out, "---@field %s? %s %s\n", o->name, o->type, o->doc);
}

static void add_method(const struct job_method *m, struct buf *out)
{
	const char *gap = "";

	buf_addf(out, "\n---%s\n", m->doc);
	for (const struct job_word *p = m->params; p && p->name; p++)
		buf_addf(out, "---@param %s %s%s%s\n", p->name, p->type, p->doc ? " " : "", p->doc ? p->doc : "");
	if (m->returns)
		buf_addf(out, "---@return %s\n", m->returns);
	buf_addf(out, "function Job:%s(", m->name);
	for (const struct job_word *p = m->params; p && p->name; p++, gap = ", ") {
		size_t len = strlen(p->name);
		buf_addf(out, "%s%.*s", gap, (int)(len - (p->name[len - 1] == '?')), p->name);
	}
	buf_adds(out, ") end\n");
}

static void add_job(struct buf *out)
{
	buf_adds(out, "\n---@class pushrod.Result\n---@field code integer the exit code\n---@field secs number how long it took\n"
		      "---@field out? string what it printed, with capture = true\n---@field timed_out? boolean\n"
		      "\n---@class pushrod.Release\n---@field rollback fun(self: pushrod.Release) the release before it is shown again\n"
		      "\n---@class pushrod.Event\n---@field native string the sender's own name of the event\n");
	for (const char *const *w = schema_facts; *w; w++)
		buf_addf(out, "---@field %s string %s\n", *w, word_doc(SCHEMA_WORD_FACT, *w));
	for (int f = 0; f < FIELD_COUNT; f++)
		buf_addf(out, "---@field %s? %s %s\n", field_name((enum field_id)f), field_lua_type(f),
			 word_doc(SCHEMA_WORD_FIELD, field_name((enum field_id)f)));
	for (size_t i = 0; i < job_method_count; i++)
		if (job_methods[i].options)
			add_options(&job_methods[i], out);
	buf_adds(out, "\n---@class pushrod.Job\n");
	for (const struct job_word *d = job_data; d->name; d++)
		buf_addf(out, "---@field %s %s %s\n", d->name, d->type, d->doc);
	buf_adds(out, "local Job = {}\n");
	for (size_t i = 0; i < job_method_count; i++)
		add_method(&job_methods[i], out);
}

void reference_types(struct buf *out)
{
	struct told_tables all;

	told_tables_init(&all);
	buf_adds(out, opening);
	add_when(out);
	for (size_t i = 0; i < all.n; i++)
		add_table(&all, &all.list[i], out);
	add_job(out);
	for (size_t i = 0; i < all.n; i++)
		if (!all.list[i].key)
			add_decl(&all.list[i], out);
	buf_adds(out, "\nreturn nil\n");
}
