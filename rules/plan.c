/* rules/plan.c - what a rule does: its steps and environment compiled, and handed to the job process as a plan in which
 * {field} stands filled from the event. Event text reaches a shell through the environment alone: nothing else is a
 * template. */
#include <jansson.h>
#include <string.h>

#include "rules/compiled.h"

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
	const struct node *run = node_get(value, "run");
	int bad = timeout_of(c, value, &r->timeout_ms);

	r->env = env_of(c, node_get(value, "env"), &r->n_env);
	r->checkout = is_true(node_get(value, "checkout"));
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

static void add_scalar(json_t *v, struct buf *out)
{
	if (json_is_string(v))
		buf_add(out, (struct slice){ json_string_value(v), json_string_length(v) });
	else if (json_is_integer(v))
		buf_addi(out, json_integer_value(v));
	else if (json_is_boolean(v))
		buf_adds(out, json_is_true(v) ? "true" : "false");
}

/* A field's text: nothing where the event has none, a list one to a line. */
static void add_field(json_t *event, struct slice name, struct buf *out)
{
	json_t *v = json_object_getn(event, name.ptr, name.len), *item;
	size_t i;

	if (!json_is_array(v)) {
		add_scalar(v, out);
		return;
	}
	json_array_foreach(v, i, item) {
		buf_adds(out, i ? "\n" : "");
		add_scalar(item, out);
	}
}

/* "{field}" is filled, "{{" is a brace, and a brace that closes nowhere is itself. */
static void fill(const char *template, json_t *event, struct buf *out)
{
	struct slice rest = slice_of(template), before, name, after;

	while (slice_cut(rest, '{', &before, &rest)) {
		buf_add(out, before);
		if (slice_starts(rest, SLICE("{"))) {
			buf_addc(out, '{');
			rest = slice_from(rest, 1);
		} else if (slice_cut(rest, '}', &name, &after)) {
			add_field(event, name, out);
			rest = after;
		} else {
			buf_addc(out, '{');
		}
	}
	buf_add(out, before);
}

static void add_env(const struct env_var *env, size_t n, json_t *event, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		CLEANUP(buf_fini) struct buf value = BUF(BUF_UNLIMITED);
		fill(env[i].value, event, &value);
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(env[i].name));
		buf_addc(out, ':');
		buf_add_json(out, buf_slice(&value));
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

static void add_step(const struct step *s, json_t *event, struct buf *out)
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
		add_env(s->env, s->n_env, event, out);
	}
	buf_adds(out, s->allow_failure ? ",\"allow_failure\":true}" : "}");
}

int rule_plan_json(const struct rule *r, struct slice event_json, struct buf *out, struct err *e)
{
	json_error_t at;
	json_t *event = json_loadb(event_json.ptr ? event_json.ptr : "", event_json.len, 0, &at);

	if (!json_is_object(event)) {
		json_decref(event);
		return err_set(e, ERR_INPUT, "the event is not a JSON object");
	}
	buf_adds(out, "{\"rule\":");
	buf_add_json(out, slice_of(r->name));
	buf_adds(out, ",\"steps\":[");
	for (size_t i = 0; i < r->n_steps; i++) {
		buf_adds(out, i ? "," : "");
		add_step(&r->steps[i], event, out);
	}
	buf_adds(out, "],\"env\":");
	add_env(r->env, r->n_env, event, out);
	buf_addf(out, ",\"checkout\":%s,\"has_run\":%s,\"secrets\":", r->checkout ? "true" : "false",
		 r->has_run ? "true" : "false");
	add_texts(r->secrets, r->n_secrets, out);
	buf_addc(out, '}');
	json_decref(event);
	return 0;
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
	buf_adds(out, r->is_disabled ? "],\"enabled\":false}" : "]}");
}
