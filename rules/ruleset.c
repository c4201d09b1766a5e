/* rules/ruleset.c - the life of a rule set and what others may ask about it. */
#include <stdlib.h>
#include <string.h>

#include "rules/compiled.h"
#include "rules/index.h"
#include "rules/zone.h"

struct ruleset *ruleset_ref(struct ruleset *rs)
{
	__atomic_add_fetch(&rs->refs, 1, __ATOMIC_RELAXED);
	return rs;
}

void ruleset_unref(struct ruleset *rs)
{
	if (!rs || __atomic_sub_fetch(&rs->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	index_free(rs->index);
	for (size_t i = 0; i < rs->n_questions; i++)
		predicate_fini(&rs->questions[i].predicate);
	for (size_t i = 0; i < rs->n_usages; i++)
		usage_fini(&rs->usages[i]);
	free(rs->usages);
	paths_free(rs->headers);
	paths_free(rs->query);
	askers_fini(&rs->of_headers);
	askers_fini(&rs->of_query);
	for (size_t i = 0; i < rs->n_zones; i++)
		zone_free(rs->zones[i].zone);
	free(rs->zones);
	free(rs->questions);
	free(rs->subjects);
	arena_free(rs->arena);
	free(rs);
}

const char *ruleset_sha256(const struct ruleset *rs)
{
	return rs->sha256;
}

const struct config *ruleset_config(const struct ruleset *rs)
{
	return &rs->config;
}

/* ---- rules ---- */

size_t ruleset_rule_count(const struct ruleset *rs)
{
	return rs->n_rules;
}

const struct rule *ruleset_rule_at(const struct ruleset *rs, size_t i)
{
	return &rs->rules[i];
}

const struct rule *ruleset_rule_find(const struct ruleset *rs, struct slice file, struct slice name)
{
	for (size_t i = 0; i < rs->n_rules; i++)
		if (slice_eq(name, slice_of(rs->rules[i].name)) && slice_eq(file, slice_of(rs->rules[i].file)))
			return &rs->rules[i];
	return NULL;
}

const char *rule_name(const struct rule *r)
{
	return r->name;
}

const char *rule_file(const struct rule *r)
{
	return r->file;
}

int rule_line(const struct rule *r)
{
	return r->line;
}

int rule_is_enabled(const struct rule *r)
{
	return !r->is_disabled;
}

int64_t rule_timeout_ms(const struct rule *r)
{
	return r->timeout_ms;
}

const struct schedule *rule_schedule(const struct rule *r)
{
	return r->is_disabled ? NULL : r->schedule;
}

const char *const *rule_secrets(const struct rule *r, size_t *n)
{
	*n = r->n_secrets;
	return r->secrets;
}

/* ---- files ---- */

struct slice ruleset_file_source(const struct ruleset *rs, const char *file)
{
	for (size_t i = 0; file && i < rs->n_files; i++)
		if (strcmp(rs->files[i].path, file) == 0)
			return rs->files[i].text;
	return SLICE_NULL;
}

void ruleset_modules_json(const struct ruleset *rs, struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0; i < rs->n_modules; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(rs->modules[i].name));
		buf_addc(out, ':');
		buf_add_json(out, rs->modules[i].text);
	}
	buf_addc(out, '}');
}

/* ---- sources ---- */

size_t ruleset_source_count(const struct ruleset *rs)
{
	return rs->n_sources;
}

const struct source *ruleset_source_at(const struct ruleset *rs, size_t i)
{
	return &rs->sources[i];
}

const struct source *ruleset_source_by_path(const struct ruleset *rs, struct slice path)
{
	for (size_t i = 0; i < rs->n_sources; i++)
		if (slice_eq(path, slice_of(rs->sources[i].path)))
			return &rs->sources[i];
	return NULL;
}

const struct source *ruleset_source_find(const struct ruleset *rs, struct slice name)
{
	for (size_t i = 0; i < rs->n_sources; i++)
		if (slice_eq(name, slice_of(rs->sources[i].name)))
			return &rs->sources[i];
	return NULL;
}

const struct source *ruleset_inner_source(const struct ruleset *rs, enum inner which)
{
	return &rs->inner[which];
}

const struct source *ruleset_inner_find(const struct ruleset *rs, struct slice name)
{
	for (size_t i = 0; i < INNER_COUNT; i++)
		if (slice_eq(name, slice_of(rs->inner[i].name)))
			return &rs->inner[i];
	return NULL;
}

int source_is_inner(const struct source *s)
{
	return s->path == NULL;
}

int ruleset_hears(const struct ruleset *rs, const struct source *s)
{
	return index_hears(rs->index, s);
}

int ruleset_listens_to(const struct ruleset *rs, enum inner which)
{
	struct slice name = slice_of(rs->inner[which].name);

	for (size_t i = 0; i < rs->n_rules; i++)
		for (size_t k = 0; k < rs->rules[i].n_on && !rs->rules[i].is_disabled; k++)
			if (slice_eq(rs->rules[i].on[k].source, name))
				return 1;
	return 0;
}

const char *source_name(const struct source *s)
{
	return s->name;
}

const char *source_path(const struct source *s)
{
	return s->path;
}

const struct provider *source_provider(const struct source *s)
{
	return s->usage->provider;
}

int source_is_terse(const struct source *s)
{
	return s->is_terse;
}

int source_auth_is_none(const struct source *s)
{
	return s->is_open;
}

int source_allows(const struct source *s, struct slice address)
{
	return s->allow.n == 0 || networks_hold(&s->allow, address);
}

const struct source_secret *source_secrets(const struct source *s, size_t *n)
{
	*n = s->n_secrets;
	return s->secrets;
}
