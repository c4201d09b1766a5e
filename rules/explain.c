/* rules/explain.c - every condition of every rule that listens, also behind the first that fails: what was wanted, what
 * was there, where it is written. One look:
 *
 *     docs   no match   rules/docs.lua:4
 *       ok   on      github:push
 *       NO   branch  want "main", got "dev"                                rules/docs.lua:7:5
 *       ??   paths   want "docs/ **", not known: …
 *     1 rule listens to github:push, 0 match
 */
#include <string.h>

#include "base/utf8.h"
#include "rules/match.h"
#include "rules/matching.h"

#define PLACE_COLUMN 60
#define LABEL_MAX 28
#define NAMES_MAX 20
#define EXPLAIN_END_MAX 64              /* of what stands behind the last rule */
#define FILTER_WORDS "asked last, when the job starts"

struct paper {                          /* where an explanation is written */
	struct match *m;
	struct buf *out;
	int colour;
	size_t name_width, label_width;
};

static size_t columns(struct slice s)
{
	size_t n = 0;
	uint32_t c;

	while (s.len) {
		size_t len = utf8_next(s, &c);
		s = slice_from(s, len ? len : 1);
		n++;
	}
	return n;
}

static void pad(struct buf *out, size_t used, size_t width)
{
	for (; used < width; used++)
		buf_addc(out, ' ');
}

static void painted(struct paper *p, const char *sgr, const char *text)
{
	if (p->colour)
		buf_addf(p->out, "\033[%sm%s\033[0m", sgr, text);
	else
		buf_adds(p->out, text);
}

static const char *cond_label(const struct match *m, const struct cond *c)
{
	switch (c->kind) {
	case COND_QUESTION: return subject_label(m, c->question);
	case COND_ALL: return "all";
	case COND_ANY: return "any";
	case COND_NONE: return "none";
	}
	return "";
}

/* ---- text ---- */

/* "  NO   branch  " and what stands under it on further lines. */
static void row_head(struct paper *p, enum truth t, const char *label)
{
	static const char *const marks[] = { "NO", "??", "ok" }, *const sgr[] = { "1;31", "1;33", "32" };

	buf_adds(p->out, "  ");
	painted(p, sgr[t], marks[t]);
	buf_addf(p->out, "   %s", label);
	pad(p->out, columns(slice_of(label)), p->label_width + 2);
}

/* Behind USED columns, where it stands. */
static void place(struct paper *p, const struct rule *r, int line, int col, size_t used)
{
	pad(p->out, used, PLACE_COLUMN);
	buf_addf(p->out, "  %s:%d:%d\n", r->file, line, col);
}

static void row_end(struct paper *p, const struct rule *r, const struct cond *c, enum truth t, size_t used)
{
	if (t == TRUTH_YES)
		buf_addc(p->out, '\n');
	else
		place(p, r, c->line, c->col, used);
}

static void list_row(struct paper *p, const struct rule *r, const struct cond *c)
{
	enum truth t = match_cond(p->m, c);

	row_head(p, t, cond_label(p->m, c));
	for (size_t i = 0; i < c->n; i++) {
		CLEANUP(buf_fini) struct buf line = BUF(BUF_UNLIMITED);
		buf_addf(&line, "#%zu ", i + 1);
		if (c->kind == COND_NONE)
			buf_adds(&line, match_cond(p->m, &c->kids[i]) == TRUTH_NO ? "does not hold: " : "holds: ");
		phrase_cond(p->m, &c->kids[i], &line);
		if (i)
			pad(p->out, 0, p->label_width + 9);
		buf_add(p->out, buf_slice(&line));
		row_end(p, r, c, i ? TRUTH_YES : t, columns(buf_slice(&line)));
	}
}

static void row(struct paper *p, const struct rule *r, const struct cond *c)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);

	if (c->kind != COND_QUESTION) {
		list_row(p, r, c);
		return;
	}
	enum truth t = match_answer(p->m, c->question);
	row_head(p, t, cond_label(p->m, c));
	phrase_answer(p->m, c->question, t, &text);
	buf_add(p->out, buf_slice(&text));
	row_end(p, r, c, t, columns(buf_slice(&text)));
}

static void event_name(const struct match *m, struct buf *out)
{
	buf_addf(out, "%s:%s", m->delivery.source->name, m->event);
	if (m->action[0])
		buf_addf(out, ".%s", m->action);
}

static size_t rows_of(const struct cond *when, const struct cond **rows)
{
	*rows = when->kind == COND_ALL ? when->kids : when;
	return when->kind == COND_ALL ? when->n : 1;
}

static void cell_row(struct paper *p, const struct rule *r, const struct cell *cell)
{
	CLEANUP(buf_fini) struct buf line = BUF(BUF_UNLIMITED);
	enum truth t = match_cond(p->m, &cell->when);

	row_head(p, t, "cell");
	buf_adds(&line, cell->text);
	if (cell->when.n) {
		buf_adds(&line, "  ");
		phrase_cond(p->m, &cell->when, &line);
	}
	buf_add(p->out, buf_slice(&line));
	row_end(p, r, &cell->when, t, columns(buf_slice(&line)));
}

static const char *verdict(struct match *m, const struct rule *r, enum truth t)
{
	static const char *const verdicts[] = { "no match", "match, for all that is known", "match" };

	if (r->is_disabled)
		return "not enabled";
	if (m->delivery.only)
		return "match";
	if (match_is_ignored(m, r))
		return "no match, as it is from a fork, or may be, and forks = \"ignore\"";
	if (match_holds(m, r, &r->when) && !match_runs_any_cell(m, r))
		return "no match, as no cell of its matrix runs";
	return t == TRUTH_UNKNOWN && r->skips_unknown ? "no match, as unknown = \"skip\"" : verdicts[t];
}

static void explain_rule(struct paper *p, const struct rule *r)
{
	int is_asked = !p->m->delivery.only;
	enum truth t = match_cond(p->m, &r->when);
	const struct cond *rows = NULL;
	size_t n = is_asked ? rows_of(&r->when, &rows) : 0;

	p->label_width = r->has_filter ? 6 : r->has_queue ? 5 : n && !r->n_cells ? 2 : 4;   /* "on", "when", "cell", "queue", "filter" */
	for (size_t i = 0; i < n; i++) {
		size_t w = columns(slice_of(cond_label(p->m, &rows[i])));
		p->label_width = w > p->label_width && w <= LABEL_MAX ? w : p->label_width;
	}
	painted(p, "1", r->name);
	pad(p->out, columns(slice_of(r->name)), p->name_width + 3);
	painted(p, match_would_fire(p->m, r) ? "32" : "31", verdict(p->m, r, t));
	buf_addf(p->out, "   %s:%d\n", r->file, r->line);
	row_head(p, TRUTH_YES, "on");
	event_name(p->m, p->out);
	buf_addc(p->out, '\n');
	if (n == 0) {
		row_head(p, TRUTH_YES, "when");
		buf_adds(p->out, is_asked ? "always\n" : "not asked: this was meant for the rule\n");
	}
	for (size_t i = 0; i < n; i++)
		row(p, r, &rows[i]);
	for (size_t i = 0; is_asked && i < r->n_cells; i++)
		cell_row(p, r, &r->cells[i]);
	if (r->has_filter) {
		row_head(p, TRUTH_UNKNOWN, "filter");
		buf_adds(p->out, FILTER_WORDS);
		place(p, r, r->filter_line, r->filter_col, columns(slice_of(FILTER_WORDS)));
	}
	if (r->has_queue) {
		row_head(p, TRUTH_YES, "queue");
		match_queue_words(p->m, r, p->out);
		buf_addc(p->out, '\n');
	}
}

/* The rules of the set that are not among LISTEN (ascending), a few by name. */
static void others(struct paper *p, const struct rule_list *listen)
{
	const struct ruleset *rs = p->m->rs;
	size_t n = rs->n_rules - listen->n, told = 0, next = 0;

	if (n == 0)
		return;
	buf_addf(p->out, n == 1 ? "%zu rule does not listen to it:" : "%zu rules do not listen to it:", n);
	for (size_t i = 0; i < rs->n_rules && told < NAMES_MAX; i++) {
		if (next < listen->n && listen->list[next] == i) {
			next++;
			continue;
		}
		buf_addf(p->out, "%s%s", told++ ? ", " : " ", rs->rules[i].name);
	}
	buf_adds(p->out, told < n ? ", …\n" : "\n");
}

/* All that listen; or the one that it was meant for. */
static void listeners(const struct match *m, struct rule_list *out)
{
	if (!m->delivery.only) {
		index_rules(&m->listening, out);
		return;
	}
	*out = (struct rule_list){ xmalloc(sizeof *out->list), 1, 1 };
	out->list[0] = (uint32_t)(m->delivery.only - m->rs->rules);
}

/* Of LISTEN those that are told, in their order: where they are more than the most, those that fire go before the others. */
static struct rule_list told_of(const struct match *m, const struct rule_list *listen)
{
	struct rule_list out = { xmalloc((listen->n + 1) * sizeof *out.list), 0, listen->n + 1 };
	size_t fired = m->n_fired < EXPLAIN_RULES_MAX ? m->n_fired : EXPLAIN_RULES_MAX, rest = EXPLAIN_RULES_MAX - fired, next = 0;

	for (size_t i = 0; i < listen->n; i++) {
		while (next < m->n_fired && m->fired[next].rule < listen->list[i])
			next++;
		int fires = next < m->n_fired && m->fired[next].rule == listen->list[i];
		size_t *room = fires ? &fired : &rest;
		if (*room == 0)
			continue;
		(*room)--;
		out.list[out.n++] = listen->list[i];
	}
	return out;
}

/* RULE is of the set, and not among those that listen. */
static void explain_deaf(struct paper *p, const struct rule *r)
{
	painted(p, "1", r->name);
	buf_adds(p->out, "   ");
	painted(p, "31", "does not listen");
	buf_addf(p->out, "   %s:%d\n", r->file, r->line);
	p->label_width = 2;
	row_head(p, TRUTH_NO, "on");
	buf_adds(p->out, "want ");
	for (size_t i = 0; i < r->n_on; i++)
		buf_addf(p->out, "%s%s", i ? " | " : "", r->on[i].text);
	buf_adds(p->out, ", got ");
	event_name(p->m, p->out);
	buf_addc(p->out, '\n');
}

static int listens(const struct rule_list *listen, const struct match *m, const struct rule *r)
{
	for (size_t i = 0; i < listen->n; i++)
		if (&m->rs->rules[listen->list[i]] == r)
			return 1;
	return 0;
}

void match_explain_rule(const struct match *m, const struct rule *r, struct buf *out, int colour)
{
	struct paper p = { .m = (struct match *)(uintptr_t)m, .out = out, .colour = colour, .name_width = columns(slice_of(r->name)) };
	struct rule_list listen;

	listeners(m, &listen);
	if (listens(&listen, m, r))
		explain_rule(&p, r);
	else
		explain_deaf(&p, r);
	rule_list_fini(&listen);
}

void match_explain(const struct match *m, struct buf *out, int colour)
{
	struct paper p = { .m = (struct match *)(uintptr_t)m, .out = out, .colour = colour };
	struct rule_list listen;

	listeners(m, &listen);
	struct rule_list told = told_of(m, &listen);
	for (size_t i = 0; i < told.n; i++) {
		size_t w = columns(slice_of(m->rs->rules[told.list[i]].name));
		p.name_width = w > p.name_width && w <= LABEL_MAX ? w : p.name_width;
	}
	for (size_t i = 0; i < told.n && !buf_is_over(out); i++)
		explain_rule(&p, &m->rs->rules[told.list[i]]);
	if (told.n < listen.n)
		buf_addf(out, "%zu more rules listen, too many to be told here: ask for one by its name\n", listen.n - told.n);
	buf_addf(out, listen.n == 1 ? "%zu rule listens to " : "%zu rules listen to ", listen.n);
	event_name(m, out);
	buf_addf(out, m->n_fired == 1 ? ", %zu matches\n" : ", %zu match\n", m->n_fired);
	others(&p, &listen);
	rule_list_fini(&told);
	rule_list_fini(&listen);
}

/* ---- JSON ---- */

static const char *truth_word(enum truth t)
{
	static const char *const words[] = { "no", "unknown", "yes" };
	return words[t];
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	buf_addf(out, "\"%s\":", key);
	buf_add_json(out, slice_of(text));
}

static void cond_json(struct match *m, const struct cond *c, struct buf *out);

static void conds_json(struct match *m, const struct cond *kids, size_t n, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, i ? "," : "");
		cond_json(m, &kids[i], out);
	}
	buf_addc(out, ']');
}

static void cond_json(struct match *m, const struct cond *c, struct buf *out)
{
	enum truth t = match_cond(m, c);

	buf_addc(out, '{');
	add_text(out, "name", cond_label(m, c));
	buf_addf(out, ",\"result\":\"%s\",\"line\":%d,\"col\":%d", truth_word(t), c->line, c->col);
	if (c->kind == COND_QUESTION) {
		CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED), got = BUF(BUF_UNLIMITED), text = BUF(BUF_UNLIMITED);
		phrase_want(m, c->question, &want);
		phrase_got(m, c->question, &got);
		phrase_answer(m, c->question, t, &text);
		buf_addc(out, ',');
		add_text(out, "want", buf_cstr(&want));
		buf_addc(out, ',');
		add_text(out, "got", buf_cstr(&got));
		buf_addc(out, ',');
		add_text(out, "text", buf_cstr(&text));
	} else {
		buf_adds(out, ",\"conditions\":");
		conds_json(m, c->kids, c->n, out);
	}
	buf_addc(out, '}');
}

static void cells_json(struct match *m, const struct rule *r, struct buf *out)
{
	if (!r->n_cells)
		return;
	buf_adds(out, ",\"cells\":[");
	for (size_t i = 0; i < r->n_cells; i++) {
		const struct cell *cell = &r->cells[i];
		const struct cond *rows;
		size_t n = rows_of(&cell->when, &rows);
		buf_adds(out, i ? ",{" : "{");
		add_text(out, "cell", cell->text);
		buf_addf(out, ",\"result\":\"%s\",\"runs\":%s,\"conditions\":", truth_word(match_cond(m, &cell->when)),
			 match_holds(m, r, &cell->when) ? "true" : "false");
		conds_json(m, rows, n, out);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

/* The names of `on`, as written. */
static void on_json(const struct rule *r, struct buf *out)
{
	buf_adds(out, ",\"on\":[");
	for (size_t i = 0; i < r->n_on; i++) {
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(r->on[i].text));
	}
	buf_addc(out, ']');
}

static void head_json(const struct rule *r, struct buf *out)
{
	buf_addc(out, '{');
	add_text(out, "rule", r->name);
	buf_addc(out, ',');
	add_text(out, "file", r->file);
	buf_addf(out, ",\"line\":%d", r->line);
	on_json(r, out);
}

static void queue_json(const struct match *m, const struct rule *r, struct buf *out)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);

	if (!r->has_queue)
		return;
	buf_adds(out, ",\"queue\":");
	rule_queue_json(r, out);
	if (match_queue_filled(m, r, &key)) {
		buf_addc(out, ',');
		add_text(out, "queue_key", buf_cstr(&key));
	}
}

static void rule_json(struct match *m, const struct rule *r, struct buf *out)
{
	const struct cond *rows = NULL;
	size_t n = m->delivery.only ? 0 : rows_of(&r->when, &rows);     /* not asked */
	enum truth t = m->delivery.only ? TRUTH_YES : match_cond(m, &r->when);

	head_json(r, out);
	buf_addf(out, ",\"result\":\"%s\",\"fires\":%s%s%s,", truth_word(t), match_would_fire(m, r) ? "true" : "false",
		 r->is_disabled ? ",\"enabled\":false" : "", m->delivery.only ? ",\"only\":true" : "");
	add_text(out, "verdict", verdict(m, r, t));
	buf_adds(out, ",\"conditions\":");
	conds_json(m, rows, n, out);
	if (!m->delivery.only)
		cells_json(m, r, out);
	queue_json(m, r, out);
	if (r->has_filter)
		buf_addf(out, ",\"filter\":{\"line\":%d,\"col\":%d,\"text\":\"" FILTER_WORDS "\"}", r->filter_line, r->filter_col);
	buf_addc(out, '}');
}

static void deaf_json(const struct rule *r, struct buf *out)
{
	head_json(r, out);
	buf_adds(out, ",\"listens\":false,\"result\":\"no\",\"fires\":false,\"verdict\":\"does not listen\",\"conditions\":[]}");
}

/* As many of TOLD as OUT has room for, each whole or not at all. How many that are. */
static size_t rules_json(struct match *m, const struct rule_list *told, struct buf *out)
{
	for (size_t i = 0; i < told->n; i++) {
		CLEANUP(buf_fini) struct buf one = BUF(out->max);
		rule_json(m, &m->rs->rules[told->list[i]], &one);
		if (buf_is_over(&one) || one.len + EXPLAIN_END_MAX > out->max - out->len)
			return i;
		buf_adds(out, i ? "," : "");
		buf_add(out, buf_slice(&one));
	}
	return told->n;
}

static void start_json(const struct match *m, size_t n_listen, struct buf *out)
{
	buf_addc(out, '{');
	add_text(out, "source", m->delivery.source->name);
	buf_addc(out, ',');
	add_text(out, "event", m->event);
	buf_addc(out, ',');
	add_text(out, "action", m->action);
	buf_addf(out, ",\"rules\":%zu,\"listen\":%zu,\"match\":%zu,\"explained\":[", m->rs->n_rules, n_listen, m->n_fired);
}

void match_explain_json(const struct match *m, struct buf *out)
{
	struct rule_list listen;

	listeners(m, &listen);
	struct rule_list told = told_of(m, &listen);
	start_json(m, listen.n, out);
	size_t n = rules_json((struct match *)(uintptr_t)m, &told, out);
	buf_addc(out, ']');
	if (n < listen.n)
		buf_addf(out, ",\"more\":%zu", listen.n - n);
	buf_addc(out, '}');
	rule_list_fini(&told);
	rule_list_fini(&listen);
}

void match_explain_rule_json(const struct match *m, const struct rule *r, struct buf *out)
{
	struct rule_list listen;

	listeners(m, &listen);
	start_json(m, listen.n, out);
	if (listens(&listen, m, r))
		rule_json((struct match *)(uintptr_t)m, r, out);
	else
		deaf_json(r, out);
	buf_adds(out, "]}");
	rule_list_fini(&listen);
}
