/* rules/usage.c - what one pass takes out of a payload: the paths of the provider's descriptor and those that rules ask
 * for which can hear this provider at all. And the way back: from what a pass found to who asked for it. */
#include <stdlib.h>
#include <string.h>

#include "rules/compiled.h"
#include "rules/compiler.h"

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
	askers_fini(&u->askers);
}

/* ---- who asked ---- */

/* By subject: a question about it may hold of a list that is there and has no such element. */
static char *hold_of_nothing(const struct ruleset *rs)
{
	const struct finding empty = { .presence = FOUND_VALUES, .is_list = 1, .none_had_it = 1 };
	char *out = xcalloc(rs->n_subjects + 1, 1);

	for (size_t i = 0; i < rs->n_questions; i++)
		if (predicate_test(&rs->questions[i].predicate, &empty) != TRUTH_NO)
			out[rs->questions[i].subject] = 1;
	return out;
}

/* The paths of PLACE by which its subject is found. */
static int ways_to(const struct place *place, int is_by_list, int out[2])
{
	int n = 0;

	if (place->self >= 0)
		out[n++] = place->self;
	if (place->self >= 0 && place->list >= 0 && is_by_list)
		out[n++] = place->list;
	return n;
}

/* PLACES: by subject. */
static void askers_of(const struct ruleset *rs, const struct paths *p, const struct place *places, const char *by_list, struct askers *out)
{
	size_t n_paths = paths_count(p);
	int way[2];

	out->first = xcalloc(n_paths + 2, sizeof *out->first);
	for (size_t i = 0; i < rs->n_subjects; i++)
		for (int k = 0, n = ways_to(&places[i], by_list[i], way); k < n; k++)
			out->first[way[k] + 2]++;
	for (size_t i = 2; i < n_paths + 2; i++)
		out->first[i] += out->first[i - 1];
	out->subjects = xcalloc(out->first[n_paths + 1] + 1, sizeof *out->subjects);
	for (size_t i = 0; i < rs->n_subjects; i++)
		for (int k = 0, n = ways_to(&places[i], by_list[i], way); k < n; k++)
			out->subjects[out->first[way[k] + 1]++] = (uint32_t)i;
}

static void askers_of_request(const struct ruleset *rs, enum subject_kind kind, const struct paths *p, const char *by_list, struct askers *out)
{
	CLEANUP(freep) struct place *places = xcalloc(rs->n_subjects + 1, sizeof *places);

	for (size_t i = 0; i < rs->n_subjects; i++)
		places[i] = rs->subjects[i].kind == kind ? rs->subjects[i].place : NO_PLACE;
	askers_of(rs, p, places, by_list, out);
}

void askers_build(struct ruleset *rs)
{
	CLEANUP(freep) char *by_list = hold_of_nothing(rs);

	for (size_t i = 0; i < rs->n_usages; i++)
		if (rs->usages[i].places)
			askers_of(rs, rs->usages[i].all.paths, rs->usages[i].places, by_list, &rs->usages[i].askers);
	askers_of_request(rs, SUBJECT_HEADER, rs->headers, by_list, &rs->of_headers);
	askers_of_request(rs, SUBJECT_QUERY, rs->query, by_list, &rs->of_query);
}

void askers_fini(struct askers *a)
{
	free(a->first);
	free(a->subjects);
	*a = (struct askers){ 0 };
}
