/* front/edition.c - compose an edition from a rule set, the secrets of its sources and the listeners' addresses. */
#include "front/edition.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/addresses.h"
#include "front/refusals.h"
#include "rules/diag.h"
#include "secret/secret.h"

#define RULES_MAX 256                   /* looked at for a name that is nearly one */

static void add_host(struct edition *ed, struct slice host)
{
	char *name = slice_dup(host);

	for (char *c = name; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
	ed->hosts = xrealloc(ed->hosts, (ed->n_hosts + 1) * sizeof *ed->hosts);
	ed->hosts[ed->n_hosts++] = name;
}

static void name_hosts(struct edition *ed, const struct addresses *at, const char *url)
{
	struct slice authority, scheme = slice_of(url);

	add_host(ed, SLICE("localhost"));
	add_host(ed, SLICE("127.0.0.1"));
	add_host(ed, SLICE("::1"));
	for (size_t i = 0; i < at->n_hosts; i++)
		add_host(ed, slice_of(at->hosts[i]));
	ptrdiff_t slashes = slice_find(scheme, SLICE("://"));
	if (slashes < 0)
		return;
	slice_cut(slice_from(scheme, (size_t)slashes + 3), '/', &authority, &(struct slice){ 0 });
	add_host(ed, host_of(authority));
}

static void put_into_error(struct hook *h, const char *why)
{
	if (h->error)
		return;
	h->error = xstrdup(why);
	log_error("a source cannot verify; its deliveries get 503", "source=%s reason=\"%s\"", source_name(h->source), why);
}

static void read_secrets(struct hook *h, const char *site_dir)
{
	size_t n;
	const struct source_secret *list = source_secrets(h->source, &n);

	for (size_t i = 0; i < n && h->n_secrets < HOOK_SECRETS_MAX; i++) {
		struct err e = { 0 };
		if (list[i].not_after_ms && list[i].not_after_ms <= wall_ms())
			continue;
		h->secrets[h->n_secrets].name = list[i].name;
		struct buf *text = &h->secrets[h->n_secrets].text;
		*text = BUF(SECRET_MAX_BYTES);
		h->secrets[h->n_secrets].not_after_ms = list[i].not_after_ms;
		if (secret_lookup(site_dir, list[i].name, text, &e) < 0)
			put_into_error(h, e.msg);
		h->n_secrets++;
	}
	if (h->n_secrets == 0 && !source_auth_is_none(h->source))
		put_into_error(h, n ? "all its secrets have expired" : "it has no secret");
}

struct edition *edition_new(struct ruleset *rules, const struct addresses *at, const char *site_dir, const char *error)
{
	struct edition *ed = xcalloc(1, sizeof *ed);
	const char *url = ruleset_config(rules)->url;

	if (!url)
		url = at->url ? at->url : "http://localhost";
	*ed = (struct edition){ .refs = 1, .rules = rules, .loaded_ms = wall_ms(), .error = xstrdup(error) };
	struct slice base = slice_of(url);
	while (slice_ends(base, SLICE("/")))
		base.len--;
	ed->url = slice_dup(base);
	name_hosts(ed, at, ed->url);
	ed->n_hooks = ruleset_source_count(rules);
	ed->hooks = xcalloc(ed->n_hooks, sizeof *ed->hooks);
	for (size_t i = 0; i < ed->n_hooks; i++) {
		ed->hooks[i].source = ruleset_source_at(rules, i);
		ed->hooks[i].refusals = refusals_new();
		read_secrets(&ed->hooks[i], site_dir);
	}
	return ed;
}

void edition_inherit(struct edition *ed, const struct edition *before)
{
	for (size_t i = 0; i < ed->n_hooks; i++)
		for (size_t k = 0; k < before->n_hooks; k++)
			if (!strcmp(source_name(ed->hooks[i].source), source_name(before->hooks[k].source))) {
				refusals_unref(ed->hooks[i].refusals);
				ed->hooks[i].refusals = refusals_ref(before->hooks[k].refusals);
			}
}

struct edition *edition_ref(struct edition *ed)
{
	atomic_fetch_add(&ed->refs, 1);
	return ed;
}

void edition_unref(struct edition *ed)
{
	if (!ed || atomic_fetch_sub(&ed->refs, 1) > 1)
		return;
	for (size_t i = 0; i < ed->n_hooks; i++) {
		for (size_t k = 0; k < ed->hooks[i].n_secrets; k++)
			secret_wipe(&ed->hooks[i].secrets[k].text);
		free(ed->hooks[i].error);
		refusals_unref(ed->hooks[i].refusals);
	}
	for (size_t i = 0; i < ed->n_hosts; i++)
		free(ed->hosts[i]);
	free(ed->hosts);
	free(ed->hooks);
	free(ed->url);
	free(ed->error);
	ruleset_unref(ed->rules);
	free(ed);
}

int edition_is_alone(const struct edition *ed)
{
	return atomic_load(&ed->refs) == 1;
}

struct hook *edition_hook(struct edition *ed, struct slice path)
{
	const struct source *s = ruleset_source_by_path(ed->rules, path);
	for (size_t i = 0; s && i < ed->n_hooks; i++)
		if (ed->hooks[i].source == s)
			return &ed->hooks[i];
	return NULL;
}

const char *edition_near_path(const struct edition *ed, struct slice path)
{
	const char **paths = xcalloc(ed->n_hooks + 1, sizeof *paths);

	for (size_t i = 0; i < ed->n_hooks; i++)
		paths[i] = source_path(ed->hooks[i].source);
	const char *near = did_you_mean(path, paths);
	free(paths);
	return near;
}

void edition_no_rule(const struct ruleset *rules, const char *name, const char *file, struct buf *out)
{
	size_t n = ruleset_rule_count(rules) < RULES_MAX ? ruleset_rule_count(rules) : RULES_MAX;
	const char **words = xcalloc(n + 1, sizeof *words);

	for (size_t i = 0; i < n; i++)
		words[i] = rule_name(ruleset_rule_at(rules, i));
	const char *near = did_you_mean(slice_of(name), words);
	if (near && strcmp(near, name))
		buf_addf(out, "no rule '%s', did you mean '%s'?", name, near);
	else
		buf_addf(out, "no rule '%s'%s%s", name, *file ? " in " : "", file);
	free(words);
}

int edition_answers_to(const struct edition *ed, struct slice host)
{
	struct slice name = host_of(host);

	if (host.len == 0)
		return 1;
	for (size_t i = 0; i < ed->n_hosts; i++)
		if (slice_ieq(name, slice_of(ed->hosts[i])))
			return 1;
	return 0;
}
