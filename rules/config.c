/* rules/config.c - `config` and `source` of pushrod.lua as structs. The tables have passed the schema; what only their
 * meaning can break (a listener without a port, a path given twice) is said here or in compile.c. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/compiled.h"
#include "rules/compiler.h"

/* The bits of wire/frame.h, which this library may not name; a test holds them equal. */
enum { SERVE_HOOKS = 1, SERVE_PAGES = 2, SERVE_TOPICS = 4 };

#define DAY_MS (24 * 3600 * 1000LL)

void config_default(struct config *c)
{
	static const struct listen listen[] = { { "127.0.0.1:8787", SERVE_HOOKS | SERVE_PAGES } };

	*c = (struct config){
		.listen = listen, .n_listen = 1,
		.jobs_max = 8, .job_timeout_ms = 3600 * 1000, .job_memory_bytes = 4LL << 30,
		.job_log_bytes = 256 << 20, .job_processes = 512,
		.keep_deliveries_ms = 30 * DAY_MS, .keep_bodies_bytes = 2LL << 30, .keep_jobs_ms = 90 * DAY_MS,
		.keep_failed_workspaces_ms = 2 * DAY_MS,
	};
}

/* ---- reading members: absent leaves *out as it is ---- */

static void get_text(struct compiler *c, const struct node *table, const char *key, const char **out)
{
	const struct node *n = node_get(table, key);
	if (n && n->kind == NODE_STRING)
		*out = arena_str(c->rs->arena, n->text);
}

static int get_measure(struct compiler *c, const struct node *table, const char *key,
		       int (*parse)(struct slice s, int64_t *out), int64_t *out)
{
	const struct node *n = node_get(table, key);
	if (n && (n->kind != NODE_STRING || parse(n->text, out) < 0))
		return compile_error(c, n, "'%s' is written with its unit, as in \"%s\"", key,
				     parse == slice_to_size_bytes ? "256MiB" : "10m");
	return 0;
}

static int get_duration(struct compiler *c, const struct node *table, const char *key, int64_t *out)
{
	return get_measure(c, table, key, slice_to_duration_ms, out);
}

static int get_size(struct compiler *c, const struct node *table, const char *key, int64_t *out)
{
	return get_measure(c, table, key, slice_to_size_bytes, out);
}

/* LIST may be NULL. */
static int networks_compile(struct compiler *c, const struct node *list, struct networks *out)
{
	size_t n = list && list->kind == NODE_TABLE ? list->n_items : 0;
	struct cidr *to = arena_alloc(c->rs->arena, n, sizeof *to);
	struct err e;

	for (size_t i = 0; i < n; i++)
		if (cidr_parse(list->items[i]->text, &to[i], &e) < 0)
			return compile_error(c, list->items[i], "%s", e.msg);
	*out = (struct networks){ to, n };
	return 0;
}

/* ---- listen ---- */

static int class_of(struct slice name)
{
	static const struct { const char *name; int class; } classes[] = {
		{ "hooks", SERVE_HOOKS }, { "pages", SERVE_PAGES }, { "topics", SERVE_TOPICS },
	};
	for (size_t i = 0; i < COUNT(classes); i++)
		if (slice_eq(name, slice_of(classes[i].name)))
			return classes[i].class;
	return 0;
}

static int has_port(struct slice address)
{
	size_t digits = 0;
	int64_t port;

	while (digits < address.len && address.ptr[address.len - 1 - digits] != ':')
		digits++;
	return digits + 1 < address.len &&
	       slice_to_i64(slice_from(address, address.len - digits), 0, 65535, &port) == 0;
}

static int one_listen(struct compiler *c, const struct node *n, struct listen *out)
{
	const struct node *address = n->kind == NODE_TABLE && n->n_items ? n->items[0] : n;
	const struct node *serve = n->kind == NODE_TABLE ? node_get(n, "serve") : NULL;

	if (address->kind != NODE_STRING || !has_port(address->text))
		return compile_error(c, address, "a listener is an address with a port, as in \"127.0.0.1:8787\"");
	*out = (struct listen){ arena_str(c->rs->arena, address->text), serve ? 0 : SERVE_HOOKS | SERVE_PAGES };
	for (size_t i = 0; serve && i < serve->n_items; i++) {
		int class = serve->items[i]->kind == NODE_STRING ? class_of(serve->items[i]->text) : 0;
		if (!class)
			return compile_error(c, serve->items[i], "a listener serves \"hooks\", \"pages\", \"topics\"");
		out->classes |= class;
	}
	if (!out->classes)
		return compile_error(c, serve, "this listener serves nothing");
	return 0;
}

/* One address, or a list of addresses and tables. */
static int listen_compile(struct compiler *c, const struct node *n)
{
	size_t count = n->kind == NODE_TABLE ? n->n_items : 1;
	struct listen *list = arena_alloc(c->rs->arena, count, sizeof *list);

	if (count == 0)
		return compile_error(c, n, "there is nothing to listen on");
	if (n->kind != NODE_TABLE && one_listen(c, n, list) < 0)
		return -1;
	for (size_t i = 0; n->kind == NODE_TABLE && i < count; i++)
		if (one_listen(c, n->items[i], &list[i]) < 0)
			return -1;
	c->rs->config.listen = list;
	c->rs->config.n_listen = count;
	return 0;
}

/* ---- config ---- */

static int jobs_compile(struct compiler *c, const struct node *jobs)
{
	struct config *to = &c->rs->config;
	const struct node *max = node_get(jobs, "max"), *roots = node_get(jobs, "roots");
	const struct node *files = node_get(jobs, "file_urls"), *processes = node_get(jobs, "processes");

	if (max && (max->kind != NODE_INTEGER || max->integer < 1 || max->integer > 1024))
		return compile_error(c, max, "jobs.max is a whole number from 1 to 1024");
	if (max)
		to->jobs_max = (int)max->integer;
	if (processes && processes->kind == NODE_INTEGER)
		to->job_processes = (int)processes->integer;
	to->allow_file_urls = files && files->kind == NODE_BOOL && files->integer;
	if (roots && roots->kind == NODE_TABLE) {
		const char **list = arena_alloc(c->rs->arena, roots->n_items, sizeof *list);
		for (size_t i = 0; i < roots->n_items; i++)
			list[i] = arena_str(c->rs->arena, roots->items[i]->text);
		to->roots = list;
		to->n_roots = roots->n_items;
	}
	return get_duration(c, jobs, "timeout", &to->job_timeout_ms) | get_size(c, jobs, "memory", &to->job_memory_bytes) |
	       get_size(c, jobs, "log", &to->job_log_bytes);
}

static int keep_compile(struct compiler *c, const struct node *keep)
{
	struct config *to = &c->rs->config;
	return get_duration(c, keep, "deliveries", &to->keep_deliveries_ms) |
	       get_size(c, keep, "bodies", &to->keep_bodies_bytes) | get_duration(c, keep, "jobs", &to->keep_jobs_ms) |
	       get_duration(c, keep, "failed_workspaces", &to->keep_failed_workspaces_ms);
}

int config_compile(struct compiler *c, const struct node *value)
{
	const struct node *listen = node_get(value, "listen"), *jobs = node_get(value, "jobs");
	const struct node *keep = node_get(value, "keep");
	int bad = 0;

	get_text(c, value, "url", &c->rs->config.url);
	if (listen)
		bad |= listen_compile(c, listen);
	if (jobs)
		bad |= jobs_compile(c, jobs);
	bad |= networks_compile(c, node_get(value, "proxies"), &c->rs->config.proxies);
	return bad | (keep ? keep_compile(c, keep) : 0);
}

/* ---- source ---- */

/* "2026-12-01": through the end of that day, UTC. "2026-12-01T06:00:00Z": until that moment. */
static int parse_not_after(struct slice s, int64_t *out)
{
	CLEANUP(freep) char *text = slice_dup(s);
	struct tm day = { 0 }, moment = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &day);

	if (end && *end == '\0' && s.len == 10) {
		*out = (int64_t)timegm(&day) * 1000 + DAY_MS;
		return 0;
	}
	end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &moment);
	if (!end || *end)
		return -1;
	*out = (int64_t)timegm(&moment) * 1000;
	return 0;
}

static int one_secret(struct compiler *c, const struct node *n, struct source_secret *out)
{
	const struct node *name = n->kind == NODE_TABLE && n->n_items ? n->items[0] : n;
	const struct node *until = n->kind == NODE_TABLE ? node_get(n, "not_after") : NULL;

	if (name->kind != NODE_SECRET)
		return compile_error(c, name, "this must be secret \"name\"");
	out->name = arena_str(c->rs->arena, name->text);
	out->not_after_ms = 0;
	if (until && (until->kind != NODE_STRING || parse_not_after(until->text, &out->not_after_ms) < 0))
		return compile_error(c, until, "not_after is a day, \"2026-12-01\", or a moment, \"2026-12-01T06:00:00Z\"");
	return 0;
}

static int secrets_compile(struct compiler *c, const struct node *n, struct source *out)
{
	int is_list = n->kind == NODE_TABLE && !node_get(n, "not_after");
	size_t count = is_list ? n->n_items : 1;

	out->secrets = arena_alloc(c->rs->arena, count, sizeof *out->secrets);
	for (size_t i = 0; i < count; i++)
		if (one_secret(c, is_list ? n->items[i] : n, &out->secrets[i]) < 0)
			return -1;
	out->n_secrets = count;
	return 0;
}

static struct usage *usage_find(struct ruleset *rs, const char *provider)
{
	for (size_t i = 0; i < rs->n_usages; i++)
		if (strcmp(rs->usages[i].name, provider) == 0)
			return &rs->usages[i];
	return NULL;
}

/* OUT's name is set. */
int source_compile(struct compiler *c, const struct node *value, struct source *out)
{
	const struct node *secret = node_get(value, "secret"), *provider_at = node_get(value, "provider");
	const char *provider = "", *reply = "", *auth = "";

	out->path = NULL;
	get_text(c, value, "provider", &provider);
	get_text(c, value, "reply", &reply);
	get_text(c, value, "auth", &auth);
	get_text(c, value, "path", &out->path);
	out->is_terse = strcmp(reply, "terse") == 0;
	out->is_open = strcmp(auth, "none") == 0;
	if (!out->path) {
		CLEANUP(buf_fini) struct buf path = BUF(BUF_UNLIMITED);
		buf_addf(&path, "/hooks/%s", out->name);
		out->path = arena_str(c->rs->arena, buf_slice(&path));
	}
	out->usage = usage_find(c->rs, provider);
	if (!out->usage)
		return compile_error(c, provider_at ? provider_at : value, "there is no provider '%s'", provider);
	if ((secret && secrets_compile(c, secret, out) < 0) || networks_compile(c, node_get(value, "allow"), &out->allow) < 0)
		return -1;
	if (!out->is_open && out->n_secrets == 0)
		return compile_error(c, value, "source '%s' has no secret: give it one, or write auth = \"none\"",
				     out->name);
	if (!out->is_open && !out->usage->provider)
		return compile_error(c, value, "source '%s' names no provider: give it one, or write auth = \"none\"",
				     out->name);
	return 0;
}
