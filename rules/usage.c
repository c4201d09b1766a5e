/* rules/usage.c - what one pass takes out of a payload: the paths of the provider's descriptor and those that rules ask
 * for which can hear this provider at all. */
#include <stdlib.h>
#include <string.h>

#include "rules/compiled.h"

static int heard_by_name(const struct usage *u, struct slice word)
{
	size_t n = 0;
	const struct provider_event *events = u->provider ? provider_events(u->provider, &n) : NULL;

	for (size_t i = 0; i < n; i++) {
		struct slice common = slice_of(events[i].common);
		if (common.len && slice_starts(word, common) && (word.len == common.len || word.ptr[common.len] == '.'))
			return 1;
	}
	return 0;
}

static int rule_hears(const struct ruleset *rs, const struct rule *r, const struct usage *u)
{
	for (size_t i = 0; i < r->n_on; i++) {
		const struct pattern *p = &r->on[i];
		if (p->source.len == 0 && heard_by_name(u, p->event))
			return 1;
		if (p->source.len && u->name[0] == '\0' && ruleset_inner_find(rs, p->source))
			return 1;
		for (size_t k = 0; p->source.len && k < rs->n_sources; k++)
			if (rs->sources[k].usage == u && slice_eq(p->source, slice_of(rs->sources[k].name)))
				return 1;
	}
	return 0;
}

static int add_questions(struct ruleset *rs, struct usage *u, const struct cond *c, struct err *e)
{
	for (size_t i = 0; i < c->n; i++)
		if (add_questions(rs, u, &c->kids[i], e) < 0)
			return -1;
	if (c->kind != COND_QUESTION)
		return 0;
	uint32_t id = rs->questions[c->question].subject;
	if (rs->subjects[id].kind != SUBJECT_PAYLOAD || u->places[id].self >= 0)
		return 0;
	return place_add(u->all.paths, slice_of(rs->subjects[id].name), &u->places[id], e);
}

static int add_rule(struct ruleset *rs, struct usage *u, const struct rule *r, struct err *e)
{
	int bad = add_questions(rs, u, &r->when, e);

	for (size_t i = 0; i < r->n_cells && !bad; i++)
		bad = add_questions(rs, u, &r->cells[i].when, e);
	return bad;
}

int usage_build(struct ruleset *rs, struct usage *u, struct err *e)
{
	u->fields.paths = paths_new();
	u->all.paths = paths_new();
	if (u->provider) {
		u->fields.mapping = mapping_new(u->provider, u->fields.paths);
		u->all.mapping = mapping_new(u->provider, u->all.paths);
	}
	u->places = xcalloc(rs->n_subjects + 1, sizeof *u->places);
	for (size_t i = 0; i < rs->n_subjects; i++)
		u->places[i] = NO_PLACE;
	for (size_t i = 0; i < rs->n_rules; i++)
		if (rule_hears(rs, &rs->rules[i], u) && add_rule(rs, u, &rs->rules[i], e) < 0)
			return err_wrap(e, "rule '%s'", rs->rules[i].name);
	return 0;
}

void usage_fini(struct usage *u)
{
	mapping_free(u->fields.mapping);
	mapping_free(u->all.mapping);
	paths_free(u->fields.paths);
	paths_free(u->all.paths);
	provider_free(u->provider);
	free(u->places);
}
