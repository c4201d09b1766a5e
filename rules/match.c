/* rules/match.c - one delivery against one rule set. The payload is read once: what the provider's descriptor names and
 * what rules ask for, or the descriptor's part alone where no rule can listen. Then the index names the rules that could
 * fire, and their conditions are evaluated; each question is answered once, however many rules share it.
 *
 * Truth has three values. What a payload cannot know is unknown; AND is the least of its parts, OR the greatest, NONE the
 * reverse of OR; a rule fires unless its condition is false, or unknown where it says unknown = "skip". */
#include "rules/match.h"
#include "rules/matching.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/form.h"

/* ---- what the delivery holds ---- */

static const struct finding nothing = { .presence = FOUND_NOTHING };

static void look_at_field(struct match *m, int field, struct finding *f)
{
	const struct field *x = &m->normal.field[field];

	*f = nothing;
	if (x->state == FIELD_UNKNOWN)
		f->presence = FOUND_UNKNOWN;
	if (x->state != FIELD_PRESENT)
		return;
	f->presence = FOUND_VALUES;
	f->values = x->list;
	f->n = x->n;
	f->is_list = field_type(field) == FIELD_STRINGS;
}

static void look_at_fact(struct match *m, int fact, struct finding *f)
{
	*f = nothing;
	if (m->facts[fact].text.len == 0)
		return;
	f->presence = FOUND_VALUES;
	f->values = &m->facts[fact];
	f->n = 1;
}

/* A list that had to be put together serves all questions about its subject. */
static void look_at_payload(struct match *m, uint32_t subject, struct finding *f)
{
	const struct place *p = &m->delivery.source->usage->places[subject];
	const uint32_t *known = map_find(&m->mixed_at, subject);
	struct value *mixed = NULL;
	int is_new;

	*f = known ? m->mixed[*known].finding : nothing;
	if (known || !m->knows_payload || p->self < 0)
		return;
	place_look(p, m->values, f, &mixed);
	if (!mixed)
		return;
	*map_enter(&m->mixed_at, subject, &is_new) = (uint32_t)m->n_mixed;
	m->mixed = xrealloc(m->mixed, (m->n_mixed + 1) * sizeof *m->mixed);
	m->mixed[m->n_mixed++] = (struct mixed){ *f, mixed };
}

/* Headers and query are read when the first question about them comes. */
static const struct values *headers_of(struct match *m)
{
	struct slice json = m->delivery.headers_json;

	if (!m->has_headers && (!json.ptr || extract(m->rs->headers, json, &m->headers, NULL) < 0))
		m->headers = NULL;
	m->has_headers = 1;
	return m->headers;
}

static const struct values *query_of(struct match *m)
{
	struct slice query = m->delivery.query;

	if (!m->has_query && query.ptr && form_to_json(query, &m->query_json, NULL) == 0 &&
	    extract(m->rs->query, buf_slice(&m->query_json), &m->query, NULL) < 0)
		m->query = NULL;
	m->has_query = 1;
	return m->query;
}

static void look_at_request(struct match *m, const struct subject *s, struct finding *f)
{
	const struct values *values = s->kind == SUBJECT_HEADER ? headers_of(m) : query_of(m);
	struct value *mixed = NULL;

	if (values) {
		place_look(&s->place, values, f, &mixed);
		assert(!mixed);                 /* a string, or a list of them */
		return;
	}
	*f = (struct finding){ .presence = FOUND_UNKNOWN };
	if (s->kind == SUBJECT_HEADER)
		f->why_unknown = "the headers of this delivery are not at hand";
	else
		f->why_unknown = m->delivery.query.ptr ? "the query is ill-formed" : "the query of this delivery is not at hand";
}

/* What the payload knows is taken from it; whatever else brings a commit, the job finds out. */
static void look_at_changed(struct match *m, struct finding *f)
{
	look_at_field(m, FIELD_PATHS, f);
	if (f->presence == FOUND_VALUES || m->normal.field[FIELD_SHA].state != FIELD_PRESENT)
		return;
	f->presence = FOUND_UNKNOWN;
	f->why_unknown = "the job finds out from git when it starts";
}

const struct finding *match_look(struct match *m, uint32_t subject)
{
	const struct subject *s = &m->rs->subjects[subject];

	switch (s->kind) {
	case SUBJECT_FIELD:
		look_at_field(m, s->number, &m->finding);
		break;
	case SUBJECT_EVENT:
		look_at_fact(m, s->number, &m->finding);
		break;
	case SUBJECT_PAYLOAD:
		look_at_payload(m, subject, &m->finding);
		break;
	case SUBJECT_CHANGED:
		look_at_changed(m, &m->finding);
		break;
	case SUBJECT_HEADER:
	case SUBJECT_QUERY:
		look_at_request(m, s, &m->finding);
		break;
	}
	return &m->finding;
}

static const struct finding *look(void *arg, uint32_t subject)
{
	return match_look(arg, subject);
}

/* ---- truth ---- */

enum truth match_answer(struct match *m, uint32_t question)
{
	const struct question *q = &m->rs->questions[question];
	int is_new;
	uint32_t *answer = map_enter(&m->answers, question, &is_new);

	if (is_new)
		*answer = predicate_test(&q->predicate, match_look(m, q->subject));
	return (enum truth)*answer;
}

enum truth match_cond(struct match *m, const struct cond *c)
{
	if (c->kind == COND_QUESTION)
		return match_answer(m, c->question);
	enum truth least = TRUTH_YES, greatest = TRUTH_NO;
	enum truth settles = c->kind == COND_ALL ? TRUTH_NO : TRUTH_YES;
	for (size_t i = 0; i < c->n; i++) {
		enum truth t = match_cond(m, &c->kids[i]);
		least = t < least ? t : least;
		greatest = t > greatest ? t : greatest;
		if (t == settles)
			break;
	}
	if (c->kind == COND_ALL)
		return least;
	return c->kind == COND_ANY ? greatest : (enum truth)(TRUTH_YES - greatest);
}

int match_holds(struct match *m, const struct rule *r, const struct cond *c)
{
	enum truth t = match_cond(m, c);
	return t == TRUTH_YES || (t == TRUTH_UNKNOWN && (!r->skips_unknown || r->paths_from_git));
}

int match_runs_any_cell(struct match *m, const struct rule *r)
{
	for (size_t i = 0; i < r->n_cells; i++)
		if (match_holds(m, r, &r->cells[i].when))
			return 1;
	return r->n_cells == 0;
}

/* A pull request whose provider does not tell where it comes from is nobody's we know. */
int match_is_untrusted(const struct match *m)
{
	const struct field *fork = &m->normal.field[FIELD_FORK];

	if (m->cause && cause_is_untrusted(m->cause))
		return 1;
	switch (fork->state) {
	case FIELD_MISSING: return strcmp(m->normal.event, "pull_request") == 0;
	case FIELD_PRESENT: return fork->n == 0 || fork->list[0].kind != VALUE_FALSE;
	case FIELD_UNKNOWN: return 1;
	}
	return 1;
}

int match_is_ignored(const struct match *m, const struct rule *r)
{
	return r->forks == FORKS_IGNORE && match_is_untrusted(m);
}

int match_would_fire(struct match *m, const struct rule *r)
{
	if (m->delivery.only)
		return m->delivery.only == r && !r->is_disabled;
	return !r->is_disabled && !match_is_ignored(m, r) && match_holds(m, r, &r->when) && match_runs_any_cell(m, r);
}

int match_fires(const struct match *m, uint32_t rule)
{
	for (size_t i = 0; i < m->n_fired; i++)
		if (m->fired[i].rule == rule)
			return 1;
	return 0;
}

/* ---- making it ---- */

/* In UTC, so that the order of texts is the order of times. */
static void say_when(int64_t wall_ms, char out[32])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		out[0] = '\0';
}

static void set_facts(struct match *m)
{
	const struct delivery_view *d = &m->delivery;
	struct slice common = slice_of(m->normal.event);

	say_when(d->received_ms, m->received);
	if (d->planned_ms)
		say_when(d->planned_ms, m->planned);
	m->event = slice_dup(common.len ? common : d->event);
	m->action = slice_dup(common.len ? m->normal.action : d->action);
	const struct slice texts[FACT_COUNT] = {
		[FACT_SOURCE] = slice_of(d->source->name),
		[FACT_PROVIDER] = slice_of(d->source->usage->name),
		[FACT_EVENT] = slice_of(m->event),
		[FACT_ACTION] = slice_of(m->action),
		[FACT_DELIVERY] = slice_of(d->delivery_key),
		[FACT_RECEIVED] = slice_of(m->received),
		[FACT_RULE] = m->cause ? cause_rule(m->cause) : SLICE_NULL,
	};
	for (int i = 0; i < FACT_COUNT; i++)
		m->facts[i] = (struct value){ .kind = VALUE_STRING, .text = texts[i] };
}

static void add_cell(struct match *m, uint32_t cell)
{
	if (m->n_cells == m->cap_cells) {
		m->cap_cells = m->cap_cells ? m->cap_cells * 2 : 16;
		m->cells = xrealloc(m->cells, m->cap_cells * sizeof *m->cells);
	}
	m->cells[m->n_cells++] = cell;
}

/* Unknown, where any of what it runs for is. */
static void fire(struct match *m, uint32_t rule)
{
	const struct rule *r = &m->rs->rules[rule];
	struct fired f = { .rule = rule, .truth = match_cond(m, &r->when), .first_cell = (uint32_t)m->n_cells };

	for (uint32_t i = 0; i < r->n_cells; i++) {
		if (!match_holds(m, r, &r->cells[i].when))
			continue;
		enum truth t = match_cond(m, &r->cells[i].when);
		f.truth = t < f.truth ? t : f.truth;
		add_cell(m, i);
	}
	f.n_cells = (uint32_t)m->n_cells - f.first_cell;
	m->fired[m->n_fired++] = f;
}

static int may_hold(void *arg, uint32_t question)
{
	return match_answer(arg, question) != TRUTH_NO;
}

/* The subjects that ask for what V holds. */
static struct met find_met(const struct values *v, const struct askers *a)
{
	size_t n, total = 0;
	const struct found *found = values_found(v, &n);

	for (size_t i = 0; i < n; i++)
		total += a->first[found[i].path + 1] - a->first[found[i].path];
	struct met out = { xmalloc((total + 1) * sizeof *out.subjects), 0 };
	for (size_t i = 0; i < n; i++)
		for (uint32_t k = a->first[found[i].path]; k < a->first[found[i].path + 1]; k++)
			out.subjects[out.n++] = a->subjects[k];
	return out;
}

/* Where the headers are not at hand, or a list was cut, there may be something of any. */
static int met(void *arg, enum subject_kind kind, const uint32_t **subjects, size_t *n)
{
	struct match *m = arg;
	struct met *met = &m->met[kind];
	const struct values *v = kind == SUBJECT_PAYLOAD ? m->values : kind == SUBJECT_HEADER ? headers_of(m) : query_of(m);
	const struct askers *a = kind == SUBJECT_PAYLOAD ? &m->delivery.source->usage->askers :
				 kind == SUBJECT_HEADER ? &m->rs->of_headers : &m->rs->of_query;

	if (!v || values_is_truncated(v))
		return -1;
	if (!met->subjects && (kind != SUBJECT_PAYLOAD || m->knows_payload))
		*met = find_met(v, a);
	*subjects = met->subjects;
	*n = met->n;
	return 0;
}

/* It was meant for this rule: all its cells run. */
static void fire_only(struct match *m, const struct rule *r)
{
	m->fired = xmalloc(sizeof *m->fired);
	m->fired[0] = (struct fired){ .rule = (uint32_t)(r - m->rs->rules), .truth = TRUTH_YES, .n_cells = (uint32_t)r->n_cells };
	m->n_fired = 1;
	for (uint32_t i = 0; i < r->n_cells; i++)
		add_cell(m, i);
}

static void evaluate(struct match *m)
{
	struct rule_list *c = &m->candidates;
	const struct index_asks asks = { look, may_hold, met, m };

	if (m->delivery.only) {
		if (!m->delivery.only->is_disabled)
			fire_only(m, m->delivery.only);
		return;
	}
	index_candidates(m->rs->index, &m->listening, &asks, c);
	m->fired = xmalloc((c->n + 1) * sizeof *m->fired);
	for (size_t i = 0; i < c->n; i++) {
		if (match_would_fire(m, &m->rs->rules[c->list[i]]))
			fire(m, c->list[i]);
	}
}

int ruleset_match(const struct ruleset *rs, const struct delivery_view *d, struct match **out, struct err *e)
{
	struct ruleset *kept = ruleset_ref((struct ruleset *)(uintptr_t)rs);
	struct match *m = xcalloc(1, sizeof *m);
	const struct usage *u = d->source->usage;
	struct event_names names = { d->source, .native = d->event, .native_action = d->action };

	m->rs = kept;
	m->delivery = *d;
	m->query_json = BUF(EXTRACT_MAX_BYTES);
	m->knows_payload = index_may_listen(rs->index, &names);
	const struct projection *p = m->knows_payload ? &u->all : &u->fields;
	if ((d->cause_json.len && cause_parse(d->cause_json, &m->cause, e) < 0) || extract(p->paths, d->json, &m->values, e) < 0) {
		match_free(m);
		return -1;
	}
	m->normal.event = "";
	if (p->mapping)
		provider_normalise(p->mapping, d->event, d->action, m->values, &m->normal);
	else if (m->cause)
		cause_fields(m->cause, &m->normal);
	set_facts(m);
	names.common = slice_of(m->normal.event);
	names.common_action = m->normal.action;
	if (!d->only)
		index_listening(rs->index, &names, &m->listening);
	if (source_is_inner(d->source))
		m->normal.event = m->event;     /* these words are the language's own */
	evaluate(m);
	*out = m;
	return 0;
}

void match_free(struct match *m)
{
	if (!m)
		return;
	normal_fini(&m->normal);
	cause_free(m->cause);
	values_free(m->values);
	values_free(m->headers);
	values_free(m->query);
	buf_fini(&m->query_json);
	for (size_t i = 0; i < m->n_mixed; i++)
		free(m->mixed[i].list);
	free(m->mixed);
	json_decref(m->fields);
	map_fini(&m->mixed_at);
	for (size_t i = 0; i < SUBJECT_KINDS; i++)
		free(m->met[i].subjects);
	free(m->event);
	free(m->action);
	map_fini(&m->answers);
	rule_list_fini(&m->candidates);
	free(m->fired);
	free(m->cells);
	ruleset_unref(m->rs);
	free(m);
}

/* ---- asking it ---- */

size_t match_count(const struct match *m)
{
	return m->n_fired;
}

const struct rule *match_rule(const struct match *m, size_t i)
{
	return &m->rs->rules[m->fired[i].rule];
}

size_t match_cell_count(const struct match *m, size_t i)
{
	return match_rule(m, i)->n_cells ? m->fired[i].n_cells : 1;
}

const char *match_cell(const struct match *m, size_t i, size_t cell)
{
	const struct rule *r = match_rule(m, i);
	return r->n_cells ? r->cells[m->cells[m->fired[i].first_cell + cell]].text : "";
}

enum job_trust match_trust(const struct match *m, size_t i)
{
	static const enum job_trust of[] = {
		[FORKS_APPROVE] = TRUST_ASKED, [FORKS_LIMITED] = TRUST_LIMITED, [FORKS_TRUST] = TRUST_GIVEN, [FORKS_IGNORE] = TRUST_ASKED,
	};
	return match_is_untrusted(m) ? of[match_rule(m, i)->forks] : TRUST_FULL;
}

const char *match_event(const struct match *m)
{
	return m->event;
}

const char *match_action(const struct match *m)
{
	return m->action;
}

int match_fires_rule(const struct match *m, const struct rule *r)
{
	return match_fires(m, (uint32_t)(r - m->rs->rules));
}
