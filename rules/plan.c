/* rules/plan.c - what a rule does: its steps and environment compiled, and handed to the job process as a plan in which
 * {field} stands filled from the event. Event text reaches a shell through the environment alone: nothing else is a
 * template. */
#include <jansson.h>
#include <string.h>

#include "rules/compiled.h"
#include "rules/compiler.h"
#include "rules/schedule.h"
#include "rules/template.h"

/* ---- compile ---- */

static const char *text_of(struct compiler *c, const struct node *table, const char *key)
{
	const struct node *n = node_get(table, key);
	return n && n->kind == NODE_STRING ? arena_str(c->rs->arena, n->text) : NULL;
}

static int is_true(const struct node *n)
{
	return n && n->kind == NODE_BOOL && n->integer;
}

static const char **texts_of(struct compiler *c, const struct node *list, size_t *n)
{
	const char **out = arena_alloc(c->rs->arena, list->n_items + 1, sizeof *out);
	for (size_t i = 0; i < list->n_items; i++)
		out[i] = arena_str(c->rs->arena, list->items[i]->text);
	*n = list->n_items;
	return out;
}

static struct env_var *env_of(struct compiler *c, const struct node *env, size_t *n)
{
	*n = env && env->kind == NODE_TABLE ? env->n_members : 0;
	struct env_var *out = arena_alloc(c->rs->arena, *n, sizeof *out);
	for (size_t i = 0; i < *n; i++) {
		out[i].name = arena_str(c->rs->arena, env->members[i].key);
		out[i].value = arena_str(c->rs->arena, env->members[i].value->text);
	}
	return out;
}

static int timeout_of(struct compiler *c, const struct node *table, int64_t *out)
{
	const struct node *n = node_get(table, "timeout");
	if (n && (n->kind != NODE_STRING || slice_to_duration_ms(n->text, out) < 0 || *out <= 0))
		return compile_error(c, n, "a timeout is written with its unit, as in \"10m\"");
	return 0;
}

static int step_compile(struct compiler *c, const struct node *n, size_t number, struct step *out)
{
	const struct node *exec = node_get(n, "exec");

	if (n->n_items && n->items[0]->kind == NODE_STRING) {
		out->name = arena_str(c->rs->arena, n->items[0]->text);
	} else {
		CLEANUP(buf_fini) struct buf name = BUF(64);
		buf_addf(&name, "step %zu", number);
		out->name = arena_str(c->rs->arena, buf_slice(&name));
	}
	out->sh = text_of(c, n, "sh");
	out->cwd = text_of(c, n, "cwd");
	if (exec && exec->kind == NODE_TABLE)
		out->argv = texts_of(c, exec, &out->n_argv);
	out->env = env_of(c, node_get(n, "env"), &out->n_env);
	out->allow_failure = is_true(node_get(n, "allow_failure"));
	if (!out->sh == !out->n_argv)
		return compile_error(c, n, "a step has either sh = \"…\" or exec = { … }");
	return timeout_of(c, n, &out->timeout_ms);
}

int steps_compile(struct compiler *c, const struct node *value, struct rule *r)
{
	const struct node *steps = node_get(value, "steps"), *secrets = node_get(value, "secrets");
	const struct node *run = node_get(value, "run"), *filter = node_get(value, "filter");
	int bad = timeout_of(c, value, &r->timeout_ms);

	r->env = env_of(c, node_get(value, "env"), &r->n_env);
	r->checkout = is_true(node_get(value, "checkout"));
	r->has_filter = filter != NULL;
	if (filter) {
		r->filter_line = filter->line ? filter->line : r->line;
		r->filter_col = filter->line ? filter->col : r->col;
	}
	r->has_run = run && run->kind == NODE_FUNCTION;
	if (secrets && secrets->kind == NODE_TABLE)
		r->secrets = texts_of(c, secrets, &r->n_secrets);
	if (!steps || steps->kind != NODE_TABLE)
		return bad;
	r->n_steps = steps->n_items;
	r->steps = arena_alloc(c->rs->arena, r->n_steps, sizeof *r->steps);
	for (size_t i = 0; i < r->n_steps; i++)
		bad |= step_compile(c, steps->items[i], i + 1, &r->steps[i]);
	return bad;
}

/* ---- plan ---- */

struct filling {
	json_t *event;
	const struct cell *cell;
	int leaves_paths;               /* they are found out in the job */
};

static void add_filled(struct slice text, const struct filling *with, struct buf *out)
{
	CLEANUP(buf_fini) struct buf value = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *template = slice_dup(text);

	template_fill(template, with->event, with->cell, &value);
	buf_add_json(out, buf_slice(&value));
}

/* A string; or where {paths} is left open the list of the texts around it. */
static void add_value(struct slice text, const struct filling *with, struct buf *out)
{
	struct slice rest = text, part, from = text;
	enum template_part kind = with->leaves_paths ? TEMPLATE_TEXT : TEMPLATE_END;

	while (kind != TEMPLATE_END) {
		const char *hole = rest.ptr;
		kind = template_next(&rest, &part);
		if (kind != TEMPLATE_HOLE || !slice_eq(part, SLICE("paths")))
			continue;
		buf_addc(out, from.ptr == text.ptr ? '[' : ',');
		add_filled((struct slice){ from.ptr, (size_t)(hole - from.ptr) }, with, out);
		from = rest;
	}
	if (from.ptr == text.ptr) {
		add_filled(text, with, out);
		return;
	}
	buf_addc(out, ',');
	add_filled(from, with, out);
	buf_addc(out, ']');
}

static void add_env(const struct env_var *env, size_t n, const struct filling *with, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(env[i].name));
		buf_addc(out, ':');
		add_value(slice_of(env[i].value), with, out);
	}
	buf_addc(out, '}');
}

static void add_texts(const char *const *list, size_t n, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(list[i]));
	}
	buf_addc(out, ']');
}

static void add_step(const struct step *s, const struct filling *with, struct buf *out)
{
	buf_adds(out, "{\"name\":");
	buf_add_json(out, slice_of(s->name));
	if (s->sh) {
		buf_adds(out, ",\"sh\":");
		buf_add_json(out, slice_of(s->sh));
	} else {
		buf_adds(out, ",\"exec\":");
		add_texts(s->argv, s->n_argv, out);
	}
	if (s->timeout_ms)
		buf_addf(out, ",\"timeout_ms\":%lld", (long long)s->timeout_ms);
	if (s->cwd) {
		buf_adds(out, ",\"cwd\":");
		buf_add_json(out, slice_of(s->cwd));
	}
	if (s->n_env) {
		buf_adds(out, ",\"env\":");
		add_env(s->env, s->n_env, with, out);
	}
	buf_adds(out, s->allow_failure ? ",\"allow_failure\":true}" : "}");
}

static void add_plan(const struct rule *r, const struct filling *with, struct buf *out)
{
	buf_adds(out, "{\"rule\":");
	buf_add_json(out, slice_of(r->name));
	if (with->cell)
		buf_addf(out, ",\"matrix\":%s", with->cell->json);
	buf_adds(out, ",\"steps\":[");
	for (size_t i = 0; i < r->n_steps; i++) {
		buf_adds(out, i ? "," : "");
		add_step(&r->steps[i], with, out);
	}
	buf_adds(out, "],\"env\":");
	add_env(r->env, r->n_env, with, out);
	if (r->has_filter)
		buf_adds(out, ",\"has_filter\":true");
	buf_addf(out, ",\"checkout\":%s,\"has_run\":%s,\"secrets\":", r->checkout ? "true" : "false",
		 r->has_run ? "true" : "false");
	add_texts(r->secrets, r->n_secrets, out);
	buf_addc(out, '}');
}

int rule_plan_json(const struct rule *r, struct slice cell, struct slice event_json, struct buf *out, struct err *e)
{
	json_error_t at;
	struct filling with = { .cell = cell_find(r, cell), .leaves_paths = r->paths_from_git };

	if (cell.len && !with.cell)
		return err_set(e, ERR_BUG, "rule '%s' has no cell '" SLICE_FMT "'", r->name, SLICE_ARG(slice_upto(cell, 100)));
	with.event = json_loadb(event_json.ptr ? event_json.ptr : "", event_json.len, 0, &at);
	if (json_is_object(with.event))
		add_plan(r, &with, out);
	else
		err_set(e, ERR_INPUT, "the event is not a JSON object");
	int r_bad = json_is_object(with.event) ? 0 : -1;
	json_decref(with.event);
	return r_bad;
}

void rule_describe_json(const struct rule *r, struct buf *out)
{
	buf_adds(out, "{\"name\":");
	buf_add_json(out, slice_of(r->name));
	buf_adds(out, ",\"file\":");
	buf_add_json(out, slice_of(r->file));
	buf_addf(out, ",\"line\":%d,\"on\":[", r->line);
	for (size_t i = 0; i < r->n_on; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(r->on[i].text));
	}
	buf_adds(out, "],\"steps\":[");
	for (size_t i = 0; i < r->n_steps; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(r->steps[i].name));
	}
	if (r->n_cells)
		buf_adds(out, "],\"cells\":[");
	for (size_t i = 0; i < r->n_cells; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(r->cells[i].text));
	}
	if (r->schedule) {
		buf_adds(out, "],\"cron\":[");
		buf_add_json(out, slice_of(schedule_text(r->schedule)));
	}
	buf_addc(out, ']');
	if (r->has_queue) {
		buf_adds(out, ",\"queue\":");
		rule_queue_json(r, out);
	}
	buf_adds(out, r->is_disabled ? ",\"enabled\":false}" : "}");
}
