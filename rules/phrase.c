/* rules/phrase.c - a question and its answer as a person would say it. One voice for the reply to the sender, the delivery's
 * page and `explain`: what was wanted, what was there, and where nothing was, what stood nearest. Every value is quoted
 * and escaped: it comes from strangers and goes to terminals. */
#include <stdlib.h>
#include <string.h>

#include "rules/matching.h"
#include "rules/nearest.h"

#define SHOWN_VALUES 3

const char *subject_label(const struct match *m, uint32_t question)
{
	return m->rs->subjects[m->rs->questions[question].subject].label;
}

static const struct predicate *predicate_of(const struct match *m, uint32_t question)
{
	return &m->rs->questions[question].predicate;
}

static const char *noun(const struct match *m, uint32_t question)
{
	const struct subject *s = &m->rs->subjects[m->rs->questions[question].subject];
	if (s->kind == SUBJECT_CHANGED || (s->kind == SUBJECT_FIELD && s->number == FIELD_PATHS))
		return "changed files";
	return s->kind == SUBJECT_FIELD && s->number == FIELD_LABELS ? "labels" : "values";
}

/* ---- nothing there, or nothing known ---- */

static int event_has_field(const struct match *m, int field)
{
	const struct provider *p = m->delivery.source->usage->provider;
	size_t n = 0;
	const struct provider_event *events = p ? provider_events(p, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		if (events[i].common && strcmp(events[i].common, m->normal.event) == 0 && events[i].fields >> field & 1)
			return 1;
	return 0;
}

static void missing_words(const struct match *m, const struct subject *s, struct buf *out)
{
	switch (s->kind) {
	case SUBJECT_FIELD:
	case SUBJECT_CHANGED:
		if (event_has_field(m, s->number))
			buf_addf(out, "this %s has none", m->event);
		else
			buf_addf(out, "not present on %s events", m->event);
		return;
	case SUBJECT_EVENT:
		buf_adds(out, "there is none");
		return;
	case SUBJECT_PAYLOAD:
		buf_adds(out, "not in the payload");
		nearest_path(m->delivery.json, slice_of(s->name), out);
		return;
	case SUBJECT_HEADER:
		buf_adds(out, "there is no such header");
		nearest_name(m->delivery.headers_json, slice_of(s->name), out);
		return;
	case SUBJECT_QUERY:
		buf_adds(out, m->query_json.len > 2 ? "not in the query" : "there is no query");
		nearest_name((struct slice){ m->query_json.ptr, m->query_json.len }, slice_of(s->name), out);
		return;
	}
}

static int is_true(const struct match *m, enum field_id f)
{
	const struct field *x = &m->normal.field[f];
	return x->state == FIELD_PRESENT && x->n == 1 && x->list[0].kind == VALUE_TRUE;
}

/* Why it is not known, of a payload: which files changed. */
static void unknown_words(const struct match *m, const struct finding *f, struct buf *out)
{
	buf_adds(out, "not known: ");
	if (f->why_unknown)
		buf_adds(out, f->why_unknown);
	else if (f->is_cut)
		buf_adds(out, "the list is longer than what is kept of it");
	else if (is_true(m, FIELD_CREATED))
		buf_adds(out, "the payload of a new branch does not tell it");
	else if (is_true(m, FIELD_FORCED))
		buf_adds(out, "the payload of a force push does not tell it");
	else if (strcmp(m->event, "push") == 0)
		buf_adds(out, "the payload lists only a part of the commits");
	else
		buf_addf(out, "the payload of a %s does not tell it", m->event);
}

/* ---- what is there ---- */

static void some_values(const struct finding *f, size_t n, enum words w, struct buf *out)
{
	for (size_t i = 0; i < n && i < SHOWN_VALUES; i++) {
		buf_adds(out, i ? ", " : "");
		value_words(&f->values[i], w, out);
	}
	if (n > SHOWN_VALUES)
		buf_adds(out, ", …");
}

static void got_words(struct match *m, uint32_t question, enum words w, struct buf *out)
{
	const struct question *q = &m->rs->questions[question];
	const struct finding *f = match_look(m, q->subject);

	switch (f->presence) {
	case FOUND_NOTHING:
		missing_words(m, &m->rs->subjects[q->subject], out);
		return;
	case FOUND_UNKNOWN:
		unknown_words(m, f, out);
		return;
	case FOUND_VALUES:
		break;
	}
	if (f->n == 0)
		buf_addf(out, "no %s", noun(m, question));
	else if (f->n > 1 || f->is_list)
		buf_addf(out, "%zu %s: ", f->n, noun(m, question));
	some_values(f, f->n, w, out);
}

void phrase_want(const struct match *m, uint32_t question, struct buf *out)
{
	predicate_want(predicate_of(m, question), WORDS_PLAIN, out);
}

void phrase_got(struct match *m, uint32_t question, struct buf *out)
{
	got_words(m, question, WORDS_PLAIN, out);
}

/* ---- the answer ---- */

/* `1 of 3 changed files: "docs/a.md" ("docs/drafts/x.md" excluded)` */
static void taken_words(const struct match *m, uint32_t question, const struct finding *f, struct buf *out)
{
	const struct predicate *p = predicate_of(m, question);
	CLEANUP(buf_fini) struct buf taken = BUF(BUF_UNLIMITED), excluded = BUF(BUF_UNLIMITED);
	size_t n_taken = 0, n_excluded = 0;

	for (size_t i = 0; i < f->n; i++) {
		int takes = predicate_takes(p, &f->values[i]), excludes = !takes && predicate_excludes(p, &f->values[i]);
		struct buf *to = takes ? &taken : &excluded;
		size_t *count = takes ? &n_taken : &n_excluded;
		if (!takes && !excludes)
			continue;
		if ((*count)++ >= SHOWN_VALUES)
			continue;
		buf_adds(to, *count > 1 ? ", " : "");
		value_words(&f->values[i], WORDS_PLAIN, to);
	}
	buf_addf(out, "%zu of %zu %s", n_taken, f->n, noun(m, question));
	if (n_taken)
		buf_addf(out, ": %s%s", buf_cstr(&taken), n_taken > SHOWN_VALUES ? ", …" : "");
	if (n_excluded)
		buf_addf(out, " (%s%s excluded)", buf_cstr(&excluded), n_excluded > SHOWN_VALUES ? ", …" : "");
}

static void yes_words(struct match *m, uint32_t question, struct buf *out)
{
	const struct finding *f = match_look(m, m->rs->questions[question].subject);
	CLEANUP(buf_fini) struct buf got = BUF(BUF_UNLIMITED), want = BUF(BUF_UNLIMITED);

	if (f->presence == FOUND_NOTHING) {
		buf_adds(out, "not there, as wanted");
		return;
	}
	if (f->n > 1 || f->is_list) {
		taken_words(m, question, f, out);
		return;
	}
	phrase_got(m, question, &got);
	phrase_want(m, question, &want);
	buf_add(out, buf_slice(&got));
	if (!slice_eq(buf_slice(&got), buf_slice(&want)))
		buf_addf(out, ", wanted %s", buf_cstr(&want));
}

/* `3 values, of which 2 pass; #2 does not`: which elements are in the way of `some` or `every`. */
static void elements_words_of(struct match *m, uint32_t question, const struct finding *f, enum words w, struct buf *out)
{
	const struct predicate *p = predicate_of(m, question);
	size_t passed = 0, first = 0;

	if (!f->is_list || f->n == 0) {
		got_words(m, question, w, out);
		buf_adds(out, f->is_list ? "" : ", which is no list");
		return;
	}
	for (size_t i = 0; i < f->n; i++) {
		int takes = predicate_takes(p, &f->values[i]);
		passed += (size_t)takes;
		first = takes || first ? first : i + 1;
	}
	buf_addf(out, "%zu %s, of which %zu pass", f->n, noun(m, question), passed);
	if (passed && first)
		buf_addf(out, "; #%zu does not", first);
}

static void no_words(struct match *m, uint32_t question, const struct finding *f, enum words w, struct buf *out)
{
	const struct predicate *p = predicate_of(m, question);
	const char *gave_up = f->presence == FOUND_VALUES ? predicate_gave_up(p, f) : NULL;

	buf_adds(out, f->presence == FOUND_VALUES ? ", got " : ", ");
	if (f->presence == FOUND_VALUES && predicate_asks_elements(p))
		elements_words_of(m, question, f, w, out);
	else if (p->n_except && (f->n > 1 || f->is_list) && f->n)
		taken_words(m, question, f, out);
	else
		got_words(m, question, w, out);
	if (gave_up)
		buf_addf(out, "; given up, which counts as no match: %s", gave_up);
}

void phrase_answer(struct match *m, uint32_t question, enum truth t, struct buf *out)
{
	const struct predicate *p = predicate_of(m, question);
	const struct finding f = *match_look(m, m->rs->questions[question].subject);
	enum words w = predicate_is_other_kind(p, &f) ? WORDS_KINDS : WORDS_PLAIN;

	if (t == TRUTH_YES) {
		yes_words(m, question, out);
		return;
	}
	buf_adds(out, "want ");
	predicate_want(p, w, out);
	if (t == TRUTH_NO) {
		no_words(m, question, &f, w, out);
		return;
	}
	buf_adds(out, ", ");
	unknown_words(m, &f, out);
}

void phrase_cond(struct match *m, const struct cond *c, struct buf *out)
{
	if (c->kind == COND_QUESTION) {
		buf_addf(out, "%s: ", subject_label(m, c->question));
		phrase_answer(m, c->question, match_answer(m, c->question), out);
		return;
	}
	buf_adds(out, c->kind == COND_ANY ? "any (" : c->kind == COND_NONE ? "none (" : "");
	for (size_t i = 0; i < c->n; i++) {
		buf_adds(out, i ? "; " : "");
		phrase_cond(m, &c->kids[i], out);
	}
	buf_adds(out, c->kind == COND_ALL ? "" : ")");
}

/* ---- why not ---- */

#define BECAUSE_MAX 3

static void because(struct match *m, const struct cond *c, struct buf *out);

/* The first part of C that is as T says, for `any` and `none`. */
static void because_of_each(struct match *m, const struct cond *c, enum truth t, struct buf *out)
{
	int n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (match_cond(m, &c->kids[i]) != t)
			continue;
		if (n++ == BECAUSE_MAX) {
			buf_adds(out, "; …");
			return;
		}
		buf_addf(out, "%s#%zu ", n > 1 ? "; " : "", i + 1);
		if (t == TRUTH_NO) {
			because(m, &c->kids[i], out);
		} else {
			buf_adds(out, "holds: ");
			phrase_cond(m, &c->kids[i], out);
		}
	}
}

/* C is false. */
static void because(struct match *m, const struct cond *c, struct buf *out)
{
	int n = 0;

	switch (c->kind) {
	case COND_QUESTION:
		buf_addf(out, "%s: ", subject_label(m, c->question));
		phrase_answer(m, c->question, TRUTH_NO, out);
		return;
	case COND_ANY:
		buf_adds(out, "any: ");
		because_of_each(m, c, TRUTH_NO, out);
		return;
	case COND_NONE:
		buf_adds(out, "none: ");
		because_of_each(m, c, TRUTH_YES, out);
		return;
	case COND_ALL:
		for (size_t i = 0; i < c->n && n < BECAUSE_MAX; i++) {
			if (match_cond(m, &c->kids[i]) != TRUTH_NO)
				continue;
			buf_adds(out, n++ ? "; " : "");
			because(m, &c->kids[i], out);
		}
		return;
	}
}

void phrase_unknowns(struct match *m, const struct cond *c, struct buf *out)
{
	if (match_cond(m, c) != TRUTH_UNKNOWN)
		return;
	for (size_t i = 0; i < c->n; i++)
		phrase_unknowns(m, &c->kids[i], out);
	if (c->kind != COND_QUESTION)
		return;
	buf_adds(out, out->len ? "; " : "");
	buf_addf(out, "%s: ", subject_label(m, c->question));
	phrase_answer(m, c->question, TRUTH_UNKNOWN, out);
}

void match_because_cond(struct match *m, const struct cond *c, struct buf *out)
{
	if (match_cond(m, c) == TRUTH_NO) {
		because(m, c, out);
		return;
	}
	CLEANUP(buf_fini) struct buf unknowns = BUF(BUF_UNLIMITED);
	phrase_unknowns(m, c, &unknowns);
	buf_add(out, buf_slice(&unknowns));
	buf_adds(out, ", and the rule says unknown = \"skip\"");
}

/* The `when` of every cell fails: say of the first few why. */
static void because_of_cells(struct match *m, const struct rule *r, struct buf *out)
{
	buf_adds(out, "no cell of its matrix runs: ");
	for (size_t i = 0; i < r->n_cells; i++) {
		if (i == BECAUSE_MAX) {
			buf_adds(out, "; …");
			return;
		}
		buf_addf(out, "%s%s (", i ? "; " : "", r->cells[i].text);
		match_because_cond(m, &r->cells[i].when, out);
		buf_addc(out, ')');
	}
}

void match_because(struct match *m, const struct rule *r, struct buf *out)
{
	if (r->is_disabled)
		buf_adds(out, "it is not enabled");
	else if (match_is_ignored(m, r))
		buf_adds(out, "the request is from a fork, or may be, and the rule says forks = \"ignore\"");
	else if (match_holds(m, r, &r->when))
		because_of_cells(m, r, out);
	else
		match_because_cond(m, &r->when, out);
}
