/* rules/usage.c - what one pass takes out of a payload: the paths of the provider's descriptor and those that rules ask
 * for which can hear this provider at all. Three places stand behind a rule's path P:
 *   P      its value
 *   P[]    its elements, where the value is a list: a test of a list means any element
 *   L      where P is "L[]…": the list that is walked. Whether it was there tells an empty list from a missing one */
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
		for (size_t k = 0; p->source.len && k < rs->n_sources; k++)
			if (rs->sources[k].usage == u && slice_eq(p->source, slice_of(rs->sources[k].name)))
				return 1;
	}
	return 0;
}

/* Where the list ends that the first [] of PATH walks; -1 without one. A quoted key may hold anything. */
static ptrdiff_t first_walk(struct slice path)
{
	char quote = 0;

	for (size_t i = 0; i + 1 < path.len; i++) {
		char c = path.ptr[i];
		if (quote && c == '\\')
			i++;
		else if (quote && c == quote)
			quote = 0;
		else if (!quote && c == '"')
			quote = c;
		else if (!quote && c == '[' && path.ptr[i + 1] == ']')
			return (ptrdiff_t)i;
	}
	return -1;
}

static int add_place(struct usage *u, const char *path, struct place *out, struct err *e)
{
	struct paths *paths = u->all.paths;
	struct slice text = slice_of(path);
	CLEANUP(buf_fini) struct buf elements = BUF(BUF_UNLIMITED);

	if ((out->self = paths_add(paths, text, e)) < 0)
		return -1;
	buf_add(&elements, text);
	buf_adds(&elements, "[]");
	if ((out->elements = paths_add(paths, buf_slice(&elements), e)) < 0)
		return -1;
	ptrdiff_t walk = first_walk(text);
	if (walk > 0 && (out->list = paths_add(paths, slice_upto(text, (size_t)walk), e)) < 0)
		return -1;
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
	return add_place(u, rs->subjects[id].name, &u->places[id], e);
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
		u->places[i] = (struct place){ -1, -1, -1 };
	for (size_t i = 0; i < rs->n_rules; i++)
		if (rule_hears(rs, &rs->rules[i], u) && add_questions(rs, u, &rs->rules[i].when, e) < 0)
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
