/* rules/residue.c - both ends of it: written from a match, read in the job. */
#include "rules/residue.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rules/arena.h"
#include "rules/match.h"
#include "rules/matching.h"

/* ---- written ---- */

static const char *const names[] = { [COND_ALL] = "all", [COND_ANY] = "any", [COND_NONE] = "none" };

static int asks_for_changed(const struct cond *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (asks_for_changed(&c->kids[i]))
			return 1;
	return c->test != NULL;
}

static void add_cond(struct match *m, const struct cond *c, struct buf *out)
{
	if (c->test) {
		buf_addf(out, "{\"paths\":%s}", c->test);
		return;
	}
	if (!asks_for_changed(c)) {
		buf_addi(out, match_cond(m, c));
		return;
	}
	buf_addf(out, "{\"%s\":[", names[c->kind]);
	for (size_t i = 0; i < c->n; i++) {
		buf_adds(out, i ? "," : "");
		add_cond(m, &c->kids[i], out);
	}
	buf_adds(out, "]}");
}

void match_residue_json(const struct match *m, size_t i, size_t cell, struct buf *out)
{
	const struct rule *r = match_rule(m, i);
	const struct cell *of = cell_find(r, slice_of(match_cell(m, i, cell)));
	struct match *asked = (struct match *)(uintptr_t)m;

	if (!r->paths_from_git || m->normal.field[FIELD_SHA].state != FIELD_PRESENT)
		return;
	buf_adds(out, r->skips_unknown ? "{\"skip\":true,\"when\":{\"all\":[" : "{\"when\":{\"all\":[");
	add_cond(asked, &r->when, out);
	if (of) {
		buf_addc(out, ',');
		add_cond(asked, &of->when, out);
	}
	buf_adds(out, "]}}");
}

/* ---- decided ---- */

struct decision {
	struct arena *arena;
	struct finding finding;
	struct buf *because;            /* the tests that no file passes */
	struct err *e;
	int is_bad;
};

static enum truth test(struct decision *d, const json_t *value)
{
	CLEANUP(freep) char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	struct predicate p = { 0 };
	struct node_doc *doc = NULL;
	struct diags diags = { 0 };
	struct err why;
	enum truth t = TRUTH_UNKNOWN;

	if (node_doc_parse(slice_of(text), &doc, &why) < 0) {
		d->is_bad = err_set(d->e, ERR_BUG, "what is left to decide of paths: %.160s", why.msg);
		return t;
	}
	if (predicate_compile(node_doc_root(doc), "", d->arena, &p, &diags) < 0)
		d->is_bad = err_set(d->e, ERR_BUG, "what is left to decide of paths: %s", diags.n ? diags.list[0].text : "no test");
	else
		t = predicate_test(&p, &d->finding);
	if (t == TRUTH_NO) {
		buf_adds(d->because, d->because->len ? ", and " : "");
		predicate_want(&p, WORDS_PLAIN, d->because);
	}
	predicate_fini(&p);
	node_doc_free(doc);
	diags_fini(&diags);
	return t;
}

static enum truth truth_of(struct decision *d, const json_t *c)
{
	static const enum cond_kind kinds[] = { COND_ALL, COND_ANY, COND_NONE };
	enum truth least = TRUTH_YES, greatest = TRUTH_NO;
	const json_t *kid;
	size_t k;

	if (json_is_integer(c) && json_integer_value(c) >= TRUTH_NO && json_integer_value(c) <= TRUTH_YES)
		return (enum truth)json_integer_value(c);
	if (json_object_get(c, "paths"))
		return test(d, json_object_get(c, "paths"));
	for (size_t i = 0; i < COUNT(kinds); i++) {
		const json_t *list = json_object_get(c, names[kinds[i]]);
		if (!json_is_array(list))
			continue;
		json_array_foreach(list, k, kid) {
			enum truth t = truth_of(d, kid);
			least = t < least ? t : least;
			greatest = t > greatest ? t : greatest;
		}
		return kinds[i] == COND_ALL ? least : kinds[i] == COND_ANY ? greatest : (enum truth)(TRUTH_YES - greatest);
	}
	d->is_bad = err_set(d->e, ERR_BUG, "what is left to decide of paths is not as it should be");
	return TRUTH_UNKNOWN;
}

int residue_decide(struct slice json, const struct value *paths, size_t n, enum residue *out, struct buf *because, struct err *e)
{
	json_error_t at;
	json_t *whole = json_loadb(json.ptr ? json.ptr : "", json.len, 0, &at);
	CLEANUP(buf_fini) struct buf tests = BUF(600);
	struct decision d = { .arena = arena_new(), .because = &tests, .e = e,
			      .finding = { .presence = paths ? FOUND_VALUES : FOUND_UNKNOWN, .values = paths, .n = n, .is_list = 1 } };

	enum truth t = truth_of(&d, json_object_get(whole, "when"));
	int skips = json_is_true(json_object_get(whole, "skip"));
	*out = t == TRUTH_NO || (t == TRUTH_UNKNOWN && skips) ? RESIDUE_NO : RESIDUE_YES;
	if (t == TRUTH_NO)
		buf_addf(because, "no changed file matches paths: want %s, %zu changed", tests.len ? buf_cstr(&tests) : "others", n);
	else if (*out == RESIDUE_NO)
		buf_adds(because, "it is not known whether it matches, and the rule says unknown = \"skip\"");
	json_decref(whole);
	arena_free(d.arena);
	return d.is_bad ? -1 : 0;
}
