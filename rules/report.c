/* rules/report.c - a match as JSON: the event for the job and the lists, and why rules did or did not fire for the reply
 * to the sender and the delivery's page. */
#include "rules/match.h"
#include "rules/matching.h"

#include <inttypes.h>

#define WHY_MAX_RULES 50
#define BECAUSE_MAX_BYTES 600

static void add_member(struct buf *out, const char *name, struct slice text)
{
	buf_adds(out, out->len && out->ptr[out->len - 1] != '{' ? ",\"" : "\"");
	buf_addf(out, "%s\":", name);
	if (text.ptr)
		buf_add_json(out, text);
}

static void add_value(struct buf *out, const struct value *v)
{
	switch (v->kind) {
	case VALUE_STRING: buf_add_json(out, v->text); return;
	case VALUE_INTEGER: buf_addi(out, v->integer); return;
	case VALUE_REAL: buf_addf(out, "%.17g", v->real); return;
	case VALUE_TRUE: buf_adds(out, "true"); return;
	case VALUE_FALSE: buf_adds(out, "false"); return;
	case VALUE_NULL: buf_adds(out, "null"); return;
	case VALUE_OBJECT:
	case VALUE_ARRAY: buf_add(out, v->text); return;
	}
}

static void add_field(const struct match *m, enum field_id id, struct buf *out)
{
	const struct field *f = &m->normal.field[id];

	if (f->state != FIELD_PRESENT || (f->n == 0 && field_type(id) != FIELD_STRINGS))
		return;
	add_member(out, field_name(id), SLICE_NULL);
	if (field_type(id) != FIELD_STRINGS) {
		add_value(out, &f->list[0]);
		return;
	}
	buf_addc(out, '[');
	for (size_t i = 0; i < f->n; i++) {
		buf_adds(out, i ? "," : "");
		add_value(out, &f->list[i]);
	}
	buf_addc(out, ']');
}

void match_event_json(const struct match *m, struct buf *out)
{
	const struct delivery_view *d = &m->delivery;
	int unknown = 0;

	buf_addc(out, '{');
	add_member(out, "source", slice_of(d->source->name));
	add_member(out, "provider", slice_of(d->source->usage->name));
	add_member(out, "event", slice_of(m->event));
	add_member(out, "action", slice_of(m->action));
	add_member(out, "native", d->event.ptr ? d->event : SLICE(""));
	add_member(out, "delivery", slice_of(d->delivery_key ? d->delivery_key : ""));
	add_member(out, "received", slice_of(m->received));
	if (m->planned[0])
		add_member(out, "planned", slice_of(m->planned));
	if (d->only) {
		add_member(out, "only", SLICE_NULL);
		buf_adds(out, "{\"file\":");
		buf_add_json(out, slice_of(d->only->file));
		buf_adds(out, ",\"rule\":");
		buf_add_json(out, slice_of(d->only->name));
		buf_addc(out, '}');
	}
	if (m->cause)
		add_member(out, "rule", m->facts[FACT_RULE].text);
	for (int f = 0; f < FIELD_COUNT; f++) {
		add_field(m, f, out);
		unknown |= m->normal.field[f].state == FIELD_UNKNOWN;
	}
	if (unknown) {
		buf_adds(out, ",\"unknown\":[");
		for (int f = 0, n = 0; f < FIELD_COUNT; f++)
			if (m->normal.field[f].state == FIELD_UNKNOWN)
				buf_addf(out, "%s\"%s\"", n++ ? "," : "", field_name(f));
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

void match_summary_json(const struct match *m, struct buf *out)
{
	static const enum field_id shown[] = {
		FIELD_REPO, FIELD_REF, FIELD_BRANCH, FIELD_SHA, FIELD_TITLE, FIELD_SENDER,
	};
	buf_addc(out, '{');
	for (size_t i = 0; i < COUNT(shown); i++)
		add_field(m, shown[i], out);
	if (m->planned[0])
		add_member(out, "planned", slice_of(m->planned));
	if (m->cause && cause_job(m->cause)) {
		add_member(out, "caused_by", SLICE_NULL);
		buf_addc(out, '{');
		add_member(out, "rule", cause_rule(m->cause));
		buf_addf(out, ",\"job\":%" PRId64 "}", cause_job(m->cause));
	}
	buf_addc(out, '}');
}

/* ---- why ---- */

struct telling {
	struct match *m;                /* its memory of answers is filled on */
	struct buf *out;
	size_t told;                    /* rules */
	size_t cells;
};

static void tell_one(struct telling *t, const struct rule *r, const struct cell *cell)
{
	CLEANUP(buf_fini) struct buf because = BUF(BECAUSE_MAX_BYTES);

	buf_adds(t->out, t->told + t->cells ? ",{" : "{");
	add_member(t->out, "rule", slice_of(r->name));
	if (cell) {
		add_member(t->out, "cell", slice_of(cell->text));
		match_because_cond(t->m, &cell->when, &because);
	} else {
		match_because(t->m, r, &because);
	}
	add_member(t->out, "because", slice_of(buf_cstr(&because)));
	buf_addc(t->out, '}');
}

static void tell(struct telling *t, uint32_t rule)
{
	tell_one(t, &t->m->rs->rules[rule], NULL);
	t->told++;
}

/* The cells of rules that fired, which do not run themselves. */
static void tell_cells(struct telling *t, const struct rule *r)
{
	for (size_t i = 0; i < r->n_cells && t->cells < WHY_MAX_RULES; i++)
		if (!match_holds(t->m, r, &r->cells[i].when)) {
			tell_one(t, r, &r->cells[i]);
			t->cells++;
		}
}

static int has(const struct rule_list *l, uint32_t rule)
{
	size_t from = 0, n = l->n;
	while (n) {
		size_t half = n / 2;
		if (l->list[from + half] < rule) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from < l->n && l->list[from] == rule;
}

/* Those that came nearest first: the index let them through. The others are asked for their reason only as far as
 * it is told, so that the cost does not grow with the set. */
void match_why_json(const struct match *m, struct buf *out)
{
	struct telling t = { .m = (struct match *)(uintptr_t)m, .out = out };
	struct rule_walk walk = { .l = &m->listening };
	size_t listen, next = 0;
	uint32_t rule;

	if (m->delivery.only) {                 /* it was meant for one rule */
		buf_adds(out, "[]");
		return;
	}
	listen = index_count(&m->listening) - m->n_fired;
	buf_addc(out, '[');
	for (size_t i = 0; i < m->n_fired; i++)
		tell_cells(&t, match_rule(m, i));
	for (size_t i = 0; i < m->candidates.n && t.told < WHY_MAX_RULES; i++) {
		if (next < m->n_fired && m->fired[next].rule == m->candidates.list[i])
			next++;
		else
			tell(&t, m->candidates.list[i]);
	}
	while (t.told < WHY_MAX_RULES && t.told < listen && index_next(&walk, &rule))
		if (!has(&m->candidates, rule))
			tell(&t, rule);
	if (t.told < listen)
		buf_addf(out, ",{\"rule\":\"\",\"because\":\"and %zu more\"}", listen - t.told);
	buf_addc(out, ']');
}

/* ---- once ---- */

int match_once_key(const struct match *m, size_t i, size_t cell, struct buf *key, int64_t *within_ms)
{
	const struct rule *r = match_rule(m, i);
	CLEANUP(buf_fini) struct buf filled = BUF(BUF_UNLIMITED);

	if (!r->once.key || match_key_fill(m, i, cell, r->once.key, &filled))
		return 0;
	*within_ms = r->once.within_ms;
	buf_add(key, buf_slice(&filled));
	return 1;
}

/* ---- notes ---- */

static void add_note(struct buf *out, const struct rule *r, const char *note)
{
	buf_adds(out, out->ptr[out->len - 1] == '[' ? "{" : ",{");
	add_member(out, "rule", slice_of(r->name));
	add_member(out, "note", slice_of(note));
	buf_addc(out, '}');
}

static void note_once(const struct match *m, size_t i, struct buf *out)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
	int64_t within_ms;

	if (match_rule(m, i)->once.key && !match_once_key(m, i, 0, &key, &within_ms))
		add_note(out, match_rule(m, i), "once does not apply: the event lacks a field of its key");
}

void match_matched_notes_json(const struct match *m, struct buf *out)
{
	struct match *asked = (struct match *)(uintptr_t)m;

	buf_addc(out, '[');
	for (size_t i = 0; i < m->n_fired; i++) {
		note_once(m, i, out);
		const struct rule *r = &m->rs->rules[m->fired[i].rule];
		CLEANUP(buf_fini) struct buf note = BUF(BECAUSE_MAX_BYTES);
		if (m->fired[i].truth != TRUTH_UNKNOWN)
			continue;
		phrase_unknowns(asked, &r->when, &note);
		for (size_t k = 0; k < r->n_cells && !note.len; k++)
			phrase_unknowns(asked, &r->cells[k].when, &note);
		add_note(out, r, buf_cstr(&note));
	}
	buf_addc(out, ']');
}
