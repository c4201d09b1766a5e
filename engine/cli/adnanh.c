/* cli/adnanh.c - a hooks file of adnanh/webhook becomes pushrod.lua, one rule file for each hook, a provider for each way to prove
 * oneself, and the secrets. */
#include "cli/adnanh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hook_action.h"
#include "cli/hook_rule.h"
#include "model/queue.h"
#include "rules/arena.h"
#include "rules/schema.h"

#define NAME_MAX_BYTES 60

struct hook {                           /* one of the file, on its way */
	json_t *json;
	const char *id, *name;          /* name: ours */
	struct hook_notes notes;
	struct hook_rule rule;
	struct buf action;
	int uses_module;
};
struct converting {
	struct adnanh *out;
	struct arena *arena;
	const char *file, *prefix;
	const char **names;             /* of the hooks so far */
	size_t n;
	struct buf sources;             /* of pushrod.lua */
	int uses_module, uses_open;
};

void adnanh_fini(struct adnanh *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->files[i].path);
		free(a->files[i].text);
	}
	free(a->files);
	buf_fini(&a->notes);
	*a = (struct adnanh){ 0 };
}

static void add_file(struct adnanh *a, char *path, char *text, int is_secret)
{
	if ((a->n & (a->n - 1)) == 0)
		a->files = xrealloc(a->files, (a->n ? 2 * a->n : 1) * sizeof *a->files);
	a->files[a->n++] = (struct adnanh_file){ path, text, is_secret };
}

/* ---- names ---- */

static int is_taken(const struct converting *c, const char *name)
{
	for (const char *const *r = schema_reserved_sources; *r; r++)
		if (!strcmp(name, *r))
			return 1;
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(name, c->names[i]))
			return 1;
	return 0;
}

/* The id, as far as it can be a name; with a number behind it where another hook has that name. */
static const char *name_of(struct converting *c, const char *id)
{
	char base[NAME_MAX_BYTES], name[NAME_MAX_BYTES + 16];
	size_t n = 0;

	for (; *id && n < sizeof base - 1; id++)
		base[n++] = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *id) ? *id : '-';
	base[n] = '\0';
	if (base[0] == '.' || n == 0)
		base[0] = '-';
	snprintf(name, sizeof name, "%s", n ? base : "hook");
	for (int i = 2; is_taken(c, name); i++)
		snprintf(name, sizeof name, "%s-%d", n ? base : "hook", i);
	return arena_str(c->arena, slice_of(name));
}

/* ---- what stays behind ---- */

static void note_methods(struct converting *c, struct hook *h)
{
	json_t *list = json_object_get(h->json, "http-methods"), *item;
	int has_post = 0, others = 0;
	size_t i;

	json_array_foreach(list, i, item) {
		CLEANUP(freep) char *method = slice_dup(slice_trim(slice_of(json_is_string(item) ? json_string_value(item) : "")));
		if (!strcasecmp(method, "POST"))
			has_post = 1;
		else
			others = 1;
	}
	if (others)
		hook_note(&h->notes, c->arena, "http-methods: a hook takes POST alone");
	if (others && !has_post)
		h->rule.is_doubtful = 1;
}

static void note_replies(struct converting *c, struct hook *h)
{
	static const char *const keys[] = { "response-message", "response-headers", "success-http-response-code",
		"trigger-rule-mismatch-http-response-code", "include-command-output-in-response", "include-command-output-in-response-on-error" };
	CLEANUP(buf_fini) struct buf names = BUF(400);

	for (size_t i = 0; i < COUNT(keys); i++) {
		const json_t *v = json_object_get(h->json, keys[i]);
		if (v && !json_is_false(v) && !json_is_null(v))
			buf_addf(&names, "%s%s", names.len ? ", " : "", keys[i]);
	}
	if (names.len)
		hook_note(&h->notes, c->arena, "%s: the answer is 202 with what matched, as JSON; a command's output is in the job's log", buf_cstr(&names));
}

static void note_type(struct converting *c, struct hook *h)
{
	const char *type = hook_text(h->json, "incoming-payload-content-type", c->arena);

	if (*type && !strstr(type, "json") && !strstr(type, "x-www-form-urlencoded")) {
		hook_note(&h->notes, c->arena, "incoming-payload-content-type %s: JSON and forms are read, and nothing else", type);
		h->rule.is_doubtful = 1;
	} else if (*type) {
		hook_note(&h->notes, c->arena, "incoming-payload-content-type %s: the sender has to say so itself, by its Content-Type", type);
	}
}

/* Payload strings that hold JSON. One of a form is what a provider calls its payload. */
static void take_decoded(struct converting *c, struct hook *h)
{
	json_t *list = json_object_get(h->json, "parse-parameters-as-json"), *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *source = hook_text(item, "source", c->arena), *name = hook_text(item, "name", c->arena);
		if (strcmp(source, "payload") != 0 || !*name || h->rule.n_decoded == COUNT(h->rule.decoded)) {
			hook_note(&h->notes, c->arena, "parse-parameters-as-json of %s '%s': only payload parameters are decoded", source, name);
			continue;
		}
		if (!strcmp(name, "payload"))
			h->rule.form_field = name;
		else
			h->rule.decoded[h->rule.n_decoded++] = name;
	}
	if (h->rule.form_field && h->rule.n_decoded)
		hook_note(&h->notes, c->arena, "parse-parameters-as-json: the form's field 'payload' is the whole document here");
}

/* ---- the source ---- */

static void add_provider(struct converting *c, struct hook *h)
{
	const struct hook_auth *a = &h->rule.auth;
	CLEANUP(buf_fini) struct buf out = BUF(64 << 10);

	buf_addf(&out, "-- How hook \"%s\" of %s proves who it is.\nprovider \"hook-%s\" {\n", h->id, c->file, h->name);
	if (a->kind == HOOK_AUTH_HMAC) {
		CLEANUP(freep) char *lower = slice_dup(slice_of(a->name));
		for (char *p = lower; *p; p++)
			*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
		int is_hub = strstr(lower, "hub-signature") != NULL;
		buf_addf(&out, "  kind = \"hmac\", hash = \"%s\", enc = \"hex\", sig = \"%s:%s\", signed = \"{body}\",\n", a->hash, a->from, a->name);
		if (is_hub)
			buf_addf(&out, "  item = \",\", pair = \"=\", take = \"%s\",\n", a->hash);
		else
			hook_note(&h->notes, c->arena, "payload-hmac-%s of %s: the bare hex digits are taken, without \"%s=\" before them (then write prefix = "
				  "\"%s=\" in plugins/providers/hook-%s.lua)", a->hash, a->name, a->hash, a->hash, h->name);
	} else {
		buf_addf(&out, "  kind = \"%s\",%s", a->kind == HOOK_AUTH_TOKEN ? "token" : "none", a->kind == HOOK_AUTH_TOKEN ? " sig = \"" : "\n");
		if (a->kind == HOOK_AUTH_TOKEN)
			buf_addf(&out, "%s:%s\",\n", a->from, a->name);
	}
	if (h->rule.form_field)
		buf_addf(&out, "  payload = \"form:%s\",\n", h->rule.form_field);
	buf_adds(&out, "  event = \"const:hook\", delivery = \"none\",\n}\n");
	add_file(c->out, xprintf("plugins/providers/hook-%s.lua", h->name), buf_take(&out), 0);
}

static void add_secrets(struct converting *c, const struct hook *h, struct buf *out)
{
	const struct hook_auth *a = &h->rule.auth;

	buf_adds(out, a->n_secrets > 1 ? "{ " : "");
	for (size_t i = 0; i < a->n_secrets; i++) {
		CLEANUP(freep) char *name = i ? xprintf("%s-%zu", h->name, i + 1) : xstrdup(h->name);
		buf_addf(out, "%ssecret \"%s\"", i ? ", " : "", name);
		add_file(c->out, xprintf("secrets/%s", name), xprintf("%s\n", a->secrets[i]), 1);
	}
	buf_adds(out, a->n_secrets > 1 ? " }" : "");
}

/* One that needs no escape in an address, and that no server makes another of. */
static int is_plain_path(const char *path)
{
	size_t n = strlen(path);

	return path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~/-")] == '\0' && !strstr(path, "//") &&
	       !strstr(path, "/.") && path[n - 1] != '/' && n < 200;
}

static void add_source(struct converting *c, struct hook *h)
{
	struct buf *out = &c->sources;
	int is_open = h->rule.auth.kind == HOOK_AUTH_NONE, is_plain = is_open && !h->rule.form_field;
	CLEANUP(freep) char *path = xprintf("/%s/%s", c->prefix, h->id), *usual = xprintf("/hooks/%s", h->name);

	buf_addf(out, "source \"%s\" { provider = \"%s%s\", ", h->name, is_plain ? "hook" : "hook-", is_plain ? "" : h->name);
	if (is_open) {
		buf_adds(out, "auth = \"none\"");
	} else {
		buf_adds(out, "secret = ");
		add_secrets(c, h, out);
	}
	if (!is_plain_path(path))
		hook_note(&h->notes, c->arena, "its path was %s; it is %s here", path, usual);
	else if (strcmp(path, usual) != 0)
		buf_addf(out, ", path = \"%s\"", path);
	buf_adds(out, " }\n");
	c->uses_open |= is_plain;
	if (!is_plain)
		add_provider(c, h);
}

/* ---- the rule ---- */

static void add_comment(const char *text, struct buf *out)
{
	const char *at = text;

	buf_adds(out, "-- NOTE: ");
	for (; *at; at++)
		buf_addc(out, *at == '\n' || *at == '\r' ? ' ' : *at);
	buf_addc(out, '\n');
}

static void add_rule(struct converting *c, struct hook *h)
{
	CLEANUP(buf_fini) struct buf out = BUF(4 << 20);
	int is_off = h->rule.is_never || h->rule.is_doubtful;

	if (h->rule.is_never)
		hook_note(&h->notes, c->arena, "trigger-rule: it never holds, so the rule is not enabled");
	buf_addf(&out, "-- Hook \"%s\" of %s.\n", h->id, c->file);
	for (size_t i = 0; i < h->notes.n; i++) {
		add_comment(h->notes.list[i], &out);
		buf_addf(&c->out->notes, "hook '%s': %s\n", h->id, h->notes.list[i]);
		c->out->n_notes++;
	}
	if (h->uses_module)
		buf_adds(&out, "local hook = require \"hook\"\n");
	buf_addf(&out, "\nrule \"%s\" {\n  on   = \"%s:*\",\n  when = ", h->name, h->name);
	if (h->rule.when.len)
		buf_add(&out, buf_slice(&h->rule.when));
	else
		buf_adds(&out, "\"always\"");
	buf_adds(&out, is_off ? ",\n  enabled = false,\n" : ",\n");
	buf_addf(&out, "  queue = { limit = %d },\n", QUEUE_LIMIT_MAX);
	buf_addf(&out, "  run  = function(job)\n" SLICE_FMT "  end,\n}\n", SLICE_ARG(buf_slice(&h->action)));
	add_file(c->out, xprintf("rules/%s.lua", h->name), buf_take(&out), 0);
	c->out->n_rules++;
}

static int convert_hook(struct converting *c, json_t *json, struct err *e)
{
	struct hook h = { .json = json, .id = hook_text(json, "id", c->arena), .action = BUF(1 << 20) };

	if (!json_is_object(json) || !*h.id)
		return err_set(e, ERR_INPUT, "hook %zu has no id", c->n + 1);
	if (strpbrk(h.id, "\r\n"))
		return err_set(e, ERR_INPUT, "hook %zu: its id has a line break", c->n + 1);
	h.name = name_of(c, h.id);
	h.rule.arena = c->arena;
	h.rule.notes = &h.notes;
	h.rule.is_soft = hook_flag(json, "trigger-signature-soft-failures");
	take_decoded(c, &h);
	hook_rule_convert(json_object_get(json, "trigger-rule"), &h.rule);
	note_methods(c, &h);
	note_type(c, &h);
	note_replies(c, &h);
	struct hook_action action = { .hook = json, .arena = c->arena, .rule = &h.rule, .notes = &h.notes, .out = &h.action };
	hook_action_write(&action);
	h.uses_module = action.uses_module;
	c->uses_module |= h.uses_module;
	add_source(c, &h);
	add_rule(c, &h);
	c->names[c->n++] = h.name;
	buf_fini(&h.rule.when);
	buf_fini(&h.action);
	return 0;
}

/* ---- the directory ---- */

static void add_settings(struct converting *c)
{
	CLEANUP(buf_fini) struct buf out = BUF(4 << 20);

	buf_addf(&out, "-- Imported from %s of adnanh/webhook. What is different everywhere:\n"
		"--  * Only POST, with a JSON document or a form as its body. The answer is 202 and JSON that says what matched.\n"
		"--  * Commands run as confined steps: a clean environment, a workspace of their own to write to, and of the system /usr, /etc, /opt\n"
		"--    and the like to read. As in the original, one hook's commands do not wait for each other, up to jobs.max (8 unless said) of all\n"
		"--    hooks; take `queue` out of a rule, and they run one after the other.\n"
		"--  * A test of a list means any of its elements; a regular expression is asked of texts alone; a dot in a name is always a path.\n"
		"--  * The original listens on 0.0.0.0:9000: a listener that serves hooks alone may leave loopback, as in\n"
		"--    listen = { { \"0.0.0.0:9000\", serve = { \"hooks\" } }, { \"127.0.0.1:8787\", serve = { \"pages\" } } }\n"
		"config {\n  listen = { { \"127.0.0.1:8787\", serve = { \"hooks\", \"pages\" } } },\n}\n\n", c->file);
	buf_add(&out, buf_slice(&c->sources));
	add_file(c->out, xstrdup("pushrod.lua"), buf_take(&out), 0);
	if (c->uses_open)
		add_file(c->out, xstrdup("plugins/providers/hook.lua"), xstrdup("-- A hook that asks nobody who he is, of a sender without ids: nothing is "
			"a duplicate.\nprovider \"hook\" { kind = \"none\", event = \"const:hook\", delivery = \"none\" }\n"), 0);
	if (c->uses_module)
		add_file(c->out, xstrdup("plugins/hook.lua"), xstrdup(hook_module), 0);
}

static int has_doubled_ids(struct converting *c, json_t *hooks, struct err *e)
{
	json_t *hook, *seen = json_object();
	size_t i;
	int bad = 0;

	json_array_foreach(hooks, i, hook) {
		const char *id = hook_text(hook, "id", c->arena);
		if (!bad && json_object_get(seen, id))
			bad = err_set(e, ERR_INPUT, "two hooks have the id '%.100s'", id);
		json_object_set_new(seen, id, json_true());
	}
	json_decref(seen);
	return bad;
}

static int convert_all(struct converting *c, json_t *hooks, struct err *e)
{
	json_t *hook;
	size_t i;

	if (!json_is_array(hooks) || json_array_size(hooks) == 0)
		return err_set(e, ERR_INPUT, "a list of hooks is wanted: [ { \"id\": …, \"execute-command\": … } ]");
	if (json_array_size(hooks) > ADNANH_HOOKS_MAX)
		return err_set(e, ERR_LIMIT, "%zu hooks, the most is %d", json_array_size(hooks), ADNANH_HOOKS_MAX);
	if (has_doubled_ids(c, hooks, e))
		return -1;
	c->names = arena_alloc(c->arena, json_array_size(hooks), sizeof *c->names);
	json_array_foreach(hooks, i, hook)
		if (convert_hook(c, hook, e) < 0)
			return -1;
	c->out->n_hooks = json_array_size(hooks);
	add_settings(c);
	return 0;
}

int adnanh_convert(json_t *hooks, const char *name, const char *prefix, struct adnanh *out, struct err *e)
{
	struct adnanh made = { .notes = BUF(4 << 20) };
	struct converting c = { .out = &made, .arena = arena_new(), .file = name, .prefix = prefix, .sources = BUF(4 << 20) };
	int bad = convert_all(&c, hooks, e);

	buf_fini(&c.sources);
	arena_free(c.arena);
	if (bad) {
		adnanh_fini(&made);
		return -1;
	}
	*out = made;
	return 0;
}
