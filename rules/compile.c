/* rules/compile.c - from eval's bundle to a rule set. In order: the providers; every declaration against the schema
 * (rules/check.h); then, of a tree that is known to be well formed, config and sources, then rules, then what is shared by
 * all: the projections of payloads and the index. All that is wrong is told at once; nothing after the schema runs on a
 * tree that failed it. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "rules/bundle.h"
#include "rules/check.h"
#include "rules/compiled.h"
#include "rules/compiler.h"
#include "rules/index.h"

int compile_error(struct compiler *c, const struct node *at, const char *fmt, ...)
{
	va_list ap;
	char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	diags_add(c->diags, DIAG_ERROR, c->file, at ? at->line : 0, at ? at->col : 0, 0, "E211", "%s", text);
	free(text);
	return -1;
}

/* ---- the schema ---- */

/* The sources as declared, whether well formed or not: a rule's events depend on their providers. */
static struct check_source *declared_sources(const struct ruleset *rs, const struct bundle *b, size_t *n)
{
	struct check_source *out = xcalloc(b->n_decls + 1, sizeof *out);

	*n = 0;
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		const struct node *value = d->doc ? node_doc_root(d->doc) : NULL;
		const struct node *provider = value && value->kind == NODE_TABLE ? node_get(value, "provider") : NULL;
		if (strcmp(d->kind, "source") != 0)
			continue;
		out[*n].name = slice_of(d->name);
		for (size_t k = 1; provider && k < rs->n_usages; k++)
			if (slice_eq(provider->text, slice_of(rs->usages[k].name)))
				out[*n].provider = rs->usages[k].provider;
		(*n)++;
	}
	return out;
}

static struct check_queue *declared_queues(const struct bundle *b, size_t *n)
{
	struct check_queue *out = xcalloc(b->n_decls + 1, sizeof *out);

	*n = 0;
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		if (strcmp(d->kind, "queue") == 0)
			out[(*n)++] = (struct check_queue){ slice_of(d->name), d->line, d->col, d->doc ? node_doc_root(d->doc) : NULL };
	}
	return out;
}

static int settings_are_broken(const struct diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].severity == DIAG_ERROR && strcmp(d->list[i].file, "pushrod.lua") == 0)
			return 1;
	return 0;
}

static const char **provider_names(const struct bundle *b)
{
	json_t *list = json_object_get(b->root, "providers"), *v;
	const char **out = xcalloc(json_array_size(list) + 1, sizeof *out);
	size_t i;

	json_array_foreach(list, i, v)
		out[i] = json_string_value(json_object_get(v, "name"));
	return out;
}

/* A rule is known by its file and its name; in lists and in `rule = "x"` by its name alone. */
struct named { const struct decl *decl; size_t number; };

static int by_rule_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int order = strcmp(x->decl->name, y->decl->name);
	return order ? order : (x->number > y->number) - (x->number < y->number);
}

static void warn_of_names(const struct bundle *b, struct diags *diags)
{
	CLEANUP(freep) struct named *rules = xcalloc(b->n_decls + 1, sizeof *rules);
	size_t n = 0;

	for (size_t i = 0; i < b->n_decls; i++)
		if (strcmp(b->decls[i].kind, "rule") == 0 && *b->decls[i].name)
			rules[n++] = (struct named){ &b->decls[i], i };
	if (n)
		qsort(rules, n, sizeof *rules, by_rule_name);
	for (size_t i = 1; i < n; i++) {
		const struct decl *d = rules[i].decl, *other = rules[i - 1].decl;
		if (strcmp(d->name, other->name) == 0 && strcmp(d->file, other->file) != 0)
			diags_add(diags, DIAG_WARNING, d->file, d->line, d->col, 0, "W141",
				  "there is a rule '%s' in %s too, at line %d: who names it means both", d->name, other->file, other->line);
	}
}

static const struct node *member_text(const struct decl *d, const char *key)
{
	const struct node *value = d->doc ? node_doc_root(d->doc) : NULL, *n = value && value->kind == NODE_TABLE ? node_get(value, key) : NULL;
	return n && n->kind == NODE_STRING ? n : NULL;
}

/* Where one rule's job ends another rule's, the work of the latter is not done at all. */
static void warn_of_queue(const struct bundle *b, const struct decl *queue, struct diags *diags)
{
	const struct node *busy = member_text(queue, "busy");
	CLEANUP(buf_fini) struct buf names = BUF(200);
	size_t n = 0;

	if (!busy || (!slice_eq(busy->text, SLICE("latest")) && !slice_eq(busy->text, SLICE("cancel"))))
		return;
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct node *named = strcmp(b->decls[i].kind, "rule") == 0 ? member_text(&b->decls[i], "queue") : NULL;
		if (named && slice_eq(named->text, slice_of(queue->name)))
			buf_addf(&names, "%s'%s'", n++ ? ", " : "", b->decls[i].name);
	}
	if (n > 1)
		diags_add(diags, DIAG_WARNING, queue->file, busy->line, busy->col, 0, "W135",
			  "busy = \"" SLICE_FMT "\" in a queue of %zu rules (%s%s): a job of one would end those of the others, whose work is then not done",
			  SLICE_ARG(busy->text), n, buf_is_over(&names) ? "" : buf_cstr(&names), buf_is_over(&names) ? "…" : "");
}

static void warn_of_queues(const struct bundle *b, struct diags *diags)
{
	for (size_t i = 0; i < b->n_decls; i++)
		if (strcmp(b->decls[i].kind, "queue") == 0)
			warn_of_queue(b, &b->decls[i], diags);
}

static void check_all(const struct ruleset *rs, const struct bundle *b, struct check_context ctx, struct diags *diags)
{
	struct check_decl *decls = xcalloc(b->n_decls + 1, sizeof *decls);
	CLEANUP(freep) const char **providers = provider_names(b);
	struct check_source *sources = declared_sources(rs, b, &ctx.n_sources);
	CLEANUP(freep) struct check_queue *queues = declared_queues(b, &ctx.n_queues);
	size_t from = 0;

	ctx.providers = providers;
	ctx.sources = sources;
	ctx.queues = queues;
	ctx.decls = decls;
	ctx.n_decls = b->n_decls;
	ctx.rules_unknown = diags->errors > 0;
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		decls[i] = (struct check_decl){ slice_of(d->kind), slice_of(d->name), d->line, d->col,
						d->doc ? node_doc_root(d->doc) : NULL };
	}
	for (size_t i = 0; i < rs->n_files; i++) {
		struct check_file f = { rs->files[i].path, rs->files[i].text, decls + from, 0 };
		while (from + f.n < b->n_decls && b->decls[from + f.n].file == f.path)
			f.n++;
		from += f.n;
		ctx.sources_unknown = settings_are_broken(diags);
		check_file(&f, &ctx, diags);
	}
	warn_of_names(b, diags);
	warn_of_queues(b, diags);
	free(sources);
	free(decls);
}

/* ---- config, sources, rules ---- */

static int compile_config(struct compiler *c, const struct bundle *b)
{
	int bad = 0;

	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		if (strcmp(d->kind, "config") != 0)
			continue;
		c->file = d->file;
		bad |= config_compile(c, node_doc_root(d->doc));
	}
	return bad;
}

static int by_source_name(const void *a, const void *b)
{
	return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

static const struct source *source_taken(const struct ruleset *rs, const struct source *s)
{
	for (size_t i = 0; i < rs->n_sources; i++)
		if (strcmp(rs->sources[i].path, s->path) == 0 || strcmp(rs->sources[i].name, s->name) == 0)
			return &rs->sources[i];
	return NULL;
}

static int compile_sources(struct compiler *c, const struct bundle *b)
{
	struct ruleset *rs = c->rs;
	int bad = 0;

	rs->sources = arena_alloc(rs->arena, b->n_decls, sizeof *rs->sources);
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		const struct node *value = node_doc_root(d->doc), at = { .line = d->line, .col = d->col };
		struct source s = { .name = arena_str(rs->arena, slice_of(d->name)) };
		const struct source *taken;
		if (strcmp(d->kind, "source") != 0)
			continue;
		c->file = d->file;
		if (source_compile(c, value, &s) < 0) {
			bad = -1;
			continue;
		}
		if ((taken = source_taken(rs, &s))) {
			bad = compile_error(c, &at, "source '%s' has the name or the path of source '%s' (%s)", s.name,
					    taken->name, s.path);
			continue;
		}
		rs->sources[rs->n_sources++] = s;
	}
	if (rs->n_sources)
		qsort(rs->sources, rs->n_sources, sizeof *rs->sources, by_source_name);
	return bad;
}

static int compile_queues(struct compiler *c, const struct bundle *b)
{
	struct ruleset *rs = c->rs;
	int bad = 0;

	rs->queues = arena_alloc(rs->arena, b->n_decls, sizeof *rs->queues);
	for (size_t i = 0; i < b->n_decls; i++) {
		const struct decl *d = &b->decls[i];
		if (strcmp(d->kind, "queue") != 0)
			continue;
		struct queue *q = &rs->queues[rs->n_queues++];
		c->file = d->file;
		q->name = arena_str(rs->arena, slice_of(d->name));
		bad |= policy_compile(c, node_doc_root(d->doc), &q->policy);
	}
	return bad;
}

/* The usage of sources without a provider serves them: usages[0]. */
static void make_inner(struct ruleset *rs)
{
	static const char *const names[INNER_COUNT] = { "cron", "job", "rule", "local" };

	for (size_t i = 0; i < INNER_COUNT; i++)
		rs->inner[i] = (struct source){ .name = names[i], .usage = &rs->usages[0], .is_open = 1 };
}

/* One event tells of the end of a rule's jobs, finished.succeeded or the like: "rule:succeeded" is a name for a part of it. */
static struct slice whole_name(struct arena *a, struct slice event)
{
	CLEANUP(buf_fini) struct buf name = BUF(BUF_UNLIMITED);

	if (!slice_eq(event, SLICE("succeeded")) && !slice_eq(event, SLICE("failed")))
		return event;
	buf_addf(&name, "finished." SLICE_FMT, SLICE_ARG(event));
	return arena_copy(a, buf_slice(&name));
}

static int count_parts(struct slice event)
{
	int n = 1;

	for (size_t i = 0; i < event.len; i++)
		n += event.ptr[i] == '.';
	return n;
}

/* "github:push": the source before the first colon; without one, any source. */
static int pattern_compile(struct compiler *c, const struct node *n, struct pattern *out)
{
	struct slice head, tail;

	out->text = arena_str(c->rs->arena, n->text);
	if (slice_cut(slice_of(out->text), ':', &head, &tail)) {
		out->source = head;
		out->event = tail;
	} else {
		out->event = head;
	}
	if (out->event.len == 0)
		return compile_error(c, n, "'%s' names no event", out->text);
	if (count_parts(out->event) > EVENT_PARTS_MAX)
		return compile_error(c, n, "'%s' has %d parts, an event has %d at most", out->text, count_parts(out->event), EVENT_PARTS_MAX);
	if (out->source.len && !ruleset_source_find(c->rs, out->source) && !ruleset_inner_find(c->rs, out->source))
		return compile_error(c, n, "there is no source '" SLICE_FMT "'", SLICE_ARG(out->source));
	if (slice_eq(out->source, SLICE("rule")))
		out->event = whole_name(c->rs->arena, out->event);
	if (slice_chr(out->event, '*') >= 0 && (out->source.len == 0 || out->event.len != 1))
		return compile_error(c, n, "'*' stands for all events of one source, as in \"github:*\", and nowhere else");
	return 0;
}

static int on_compile(struct compiler *c, const struct node *on, struct rule *r)
{
	int bad = 0;

	r->n_on = on ? on->kind == NODE_TABLE ? on->n_items : 1 : 0;
	r->on = arena_alloc(c->rs->arena, r->n_on, sizeof *r->on);
	for (size_t i = 0; i < r->n_on; i++)
		bad |= pattern_compile(c, on->kind == NODE_TABLE ? on->items[i] : on, &r->on[i]);
	return bad;
}

static int once_compile(struct compiler *c, const struct node *once, struct rule *r)
{
	const struct node *key = once ? node_get(once, "key") : NULL, *within = once ? node_get(once, "within") : NULL;

	if (!once)
		return 0;
	if (!key || !within || slice_to_duration_ms(within->text, &r->once.within_ms) < 0)
		return compile_error(c, once, "once needs a key and within, as in { key = \"{order}\", within = \"90d\" }");
	r->once.key = arena_str(c->rs->arena, key->text);
	return 0;
}

static enum forks forks_of(const struct node *word)
{
	static const char *const words[] = { [FORKS_APPROVE] = "approve", [FORKS_LIMITED] = "limited", [FORKS_TRUST] = "trust",
					     [FORKS_IGNORE] = "ignore" };
	for (size_t i = 0; word && i < COUNT(words); i++)
		if (slice_eq(word->text, slice_of(words[i])))
			return (enum forks)i;
	return FORKS_APPROVE;
}

static int rule_compile(struct compiler *c, const struct decl *d, struct rule *r)
{
	const struct node *value = node_doc_root(d->doc);

	c->file = d->file;
	*r = (struct rule){
		.name = arena_str(c->rs->arena, slice_of(d->name)), .file = d->file, .line = d->line, .col = d->col,
		.timeout_ms = c->rs->config.job_timeout_ms, .skips_unknown = node_get(value, "unknown") != NULL,
	};
	const struct node *enabled = node_get(value, "enabled");
	r->is_disabled = enabled && !enabled->integer;
	r->paths_from_git = c->paths_from_git = node_get(value, "paths_from") != NULL;
	r->forks = forks_of(node_get(value, "forks"));
	return on_compile(c, node_get(value, "on"), r) | schedule_compile(c, node_get(value, "cron"), r) |
	       condition_compile(c, node_get(value, "when"), &r->when) | matrix_compile(c, node_get(value, "matrix"), r) |
	       once_compile(c, node_get(value, "once"), r) | queue_compile(c, node_get(value, "queue"), r) | steps_compile(c, value, r);
}

static int compile_rules(struct compiler *c, const struct bundle *b)
{
	struct ruleset *rs = c->rs;
	int bad = 0;

	rs->rules = arena_alloc(rs->arena, b->n_decls, sizeof *rs->rules);
	for (size_t i = 0; i < b->n_decls; i++)
		if (strcmp(b->decls[i].kind, "rule") == 0)
			bad |= rule_compile(c, &b->decls[i], &rs->rules[rs->n_rules++]);
	return bad;
}

/* ---- what all share ---- */

static int is_used(const struct ruleset *rs, const struct usage *u)
{
	for (size_t i = 0; i < rs->n_sources; i++)
		if (rs->sources[i].usage == u)
			return 1;
	return u == rs->inner[0].usage;
}

static int build_usages(struct compiler *c)
{
	struct ruleset *rs = c->rs;
	struct err e;
	int bad = 0;

	for (size_t i = 0; i < rs->n_usages; i++)
		if (is_used(rs, &rs->usages[i]) && usage_build(rs, &rs->usages[i], &e) < 0) {
			diags_add(c->diags, DIAG_ERROR, "rules", 0, 0, 0, "E212", "%s", e.msg);
			bad = -1;
		}
	return bad;
}

/* Only what eval has complained of may lack its value. */
static int has_values(struct compiler *c, const struct bundle *b)
{
	for (size_t i = 0; i < b->n_decls; i++)
		if (!b->decls[i].doc) {
			c->file = b->decls[i].file;
			compile_error(c, NULL, "%s '%s' has no value", b->decls[i].kind, b->decls[i].name);
			return 0;
		}
	return 1;
}

/* Before the first rule there is nothing to say: a source may be there to see what comes. */
static void warn_of_silent_sources(struct compiler *c, const struct bundle *b)
{
	for (size_t i = 0; i < b->n_decls && c->rs->n_rules; i++) {
		const struct decl *d = &b->decls[i];
		const struct source *s = strcmp(d->kind, "source") == 0 ? ruleset_source_find(c->rs, slice_of(d->name)) : NULL;
		if (s && !ruleset_hears(c->rs, s))
			diags_add(c->diags, DIAG_WARNING, d->file, d->line, d->col, 0, "W137",
				  "no rule listens to source '%s': what it sends is kept, and causes nothing. on = \"%s:*\" hears all of it",
				  d->name, d->name);
	}
}

static int compile_all(struct compiler *c, const struct bundle *b)
{
	if (!has_values(c, b))
		return -1;
	make_inner(c->rs);
	if (compile_config(c, b) | compile_sources(c, b) | compile_queues(c, b))
		return -1;
	if (compile_rules(c, b) < 0 || build_usages(c) < 0)
		return -1;
	askers_build(c->rs);
	c->rs->index = index_build(c->rs);
	warn_of_silent_sources(c, b);
	return 0;
}

int ruleset_compile(struct slice bundle_json, struct ruleset **out, struct diags *diags, struct err *e)
{
	return ruleset_compile_with_secrets(bundle_json, NULL, NULL, out, diags, e);
}

int ruleset_compile_with_secrets(struct slice bundle_json, check_secret_fn *find, void *arg, struct ruleset **out, struct diags *diags,
				 struct err *e)
{
	struct ruleset *rs = xcalloc(1, sizeof *rs);
	struct bundle b = { 0 };
	struct compiler c = { .rs = rs, .diags = diags };

	rs->refs = 1;
	rs->arena = arena_new();
	rs->headers = paths_new();
	rs->query = paths_new();
	sha256_hex(bundle_json, rs->sha256);
	config_default(&rs->config);
	*e = (struct err){ 0 };
	int bad = bundle_read(bundle_json, rs, &b, diags, e);
	if (bad == 0)
		check_all(rs, &b, (struct check_context){ .secret_find = find, .secret_arg = arg }, diags);
	if (bad == 0 && diags->errors == 0)
		bad = compile_all(&c, &b);
	interned_free(&c);
	bundle_fini(&b);
	for (size_t i = 0; i < rs->n_files; i++)
		diags_show(diags, rs->files[i].path, rs->files[i].text);
	diags_sort(diags);
	if (bad < 0 || diags->errors) {
		if (bad < 0 && !e->msg[0])
			err_set(e, ERR_INPUT, "the rules have errors");
		ruleset_unref(rs);
		return -1;
	}
	*out = rs;
	return 0;
}
