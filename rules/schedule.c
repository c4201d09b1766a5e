/* rules/schedule.c - the schedules of a rule as one.
 *
 * After a long absence the newest instants are looked for backwards, in spans that grow, so that a year in which every
 * minute was missed costs no more than an hour of them. */
#include "rules/schedule.h"

#include "rules/compiled.h"
#include "rules/compiler.h"
#include "rules/cron.h"
#include "rules/zone.h"

#define FIRST_SPAN_MS (2 * 3600 * 1000LL)
#define SPAN_GROWS 8

enum missed { MISSED_ONCE, MISSED_SKIP, MISSED_ALL };

struct schedule {
	struct cron *list;
	size_t n;
	const struct zone *zone;        /* NULL: UTC */
	const char *zone_name, *text;
	enum missed missed;
	int64_t jitter_ms;
};

/* ---- compile ---- */

static int add_cron(struct compiler *c, const struct node *n, struct schedule *s, struct buf *text)
{
	struct err e;

	if (n->kind != NODE_STRING || cron_parse(n->text, &s->list[s->n], &e) < 0)
		return compile_error(c, n, "cron: %s", n->kind == NODE_STRING ? e.msg : "this must be a schedule such as \"0 3 * * *\"");
	buf_addf(text, "%s" SLICE_FMT, s->n++ ? ", " : "", SLICE_ARG(n->text));
	return 0;
}

static int find_zone(struct compiler *c, const struct node *name, struct schedule *s)
{
	s->zone_name = "UTC";
	if (!name || slice_eq(name->text, SLICE("UTC")))
		return 0;
	for (size_t i = 0; i < c->rs->n_zones; i++)
		if (slice_eq(name->text, slice_of(c->rs->zones[i].name))) {
			s->zone = c->rs->zones[i].zone;
			s->zone_name = c->rs->zones[i].name;
			return 0;
		}
	return compile_error(c, name, "cron.zone: there is no time zone '" SLICE_FMT "'", SLICE_ARG(slice_upto(name->text, 80)));
}

static int read_options(struct compiler *c, const struct node *cron, struct schedule *s)
{
	static const char *const words[] = { [MISSED_ONCE] = "once", [MISSED_SKIP] = "skip", [MISSED_ALL] = "all" };
	const struct node *missed = node_get(cron, "missed"), *jitter = node_get(cron, "jitter");

	for (size_t i = 0; missed && i < COUNT(words); i++)
		if (slice_eq(missed->text, slice_of(words[i])))
			s->missed = (enum missed)i;
	if (jitter && slice_to_duration_ms(jitter->text, &s->jitter_ms) < 0)
		return compile_error(c, jitter, "cron.jitter is written with its unit, as in \"10m\"");
	return find_zone(c, node_get(cron, "zone"), s);
}

int schedule_compile(struct compiler *c, const struct node *cron, struct rule *r)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	int bad = 0;

	if (!cron)
		return 0;
	struct schedule *s = arena_alloc(c->rs->arena, 1, sizeof *s);
	s->list = arena_alloc(c->rs->arena, cron->kind == NODE_TABLE ? cron->n_items : 1, sizeof *s->list);
	if (cron->kind != NODE_TABLE)
		bad = add_cron(c, cron, s, &text);
	for (size_t i = 0; cron->kind == NODE_TABLE && i < cron->n_items; i++)
		bad |= add_cron(c, cron->items[i], s, &text);
	s->zone_name = "UTC";
	if (cron->kind == NODE_TABLE)
		bad |= read_options(c, cron, s);
	if (bad == 0 && s->n == 0)
		bad = compile_error(c, cron, "cron holds no schedule");
	buf_addf(&text, " %s", s->zone_name);
	s->text = arena_str(c->rs->arena, buf_slice(&text));
	r->schedule = s;
	return bad;
}

/* ---- when ---- */

const char *schedule_text(const struct schedule *s)
{
	return s->text;
}

const char *schedule_zone(const struct schedule *s)
{
	return s->zone_name;
}

static int64_t first_after(const struct schedule *s, int64_t since_ms)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < s->n; i++) {
		int64_t at = cron_next_ms(&s->list[i], s->zone, since_ms);
		first = at < first ? at : first;
	}
	return first;
}

/* When an instant is to fire: the same for one rule and instant, whoever asks; spread evenly; before the next instant, so that
 * their order stands. */
static int64_t due_of(const struct schedule *s, const struct rule *r, int64_t instant_ms)
{
	uint64_t h = 0xcbf29ce484222325u;
	const char *const texts[] = { r->file, r->name };

	if (!s->jitter_ms)
		return instant_ms;
	int64_t room = first_after(s, instant_ms) - instant_ms;
	for (size_t i = 0; i < COUNT(texts); i++)
		for (const char *p = texts[i]; *p; p++)
			h = (h ^ (unsigned char)*p) * 0x100000001b3u;
	h ^= (uint64_t)instant_ms;
	h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
	h = (h ^ h >> 27) * 0x94d049bb133111ebu;
	return instant_ms + (int64_t)((h ^ h >> 31) % (uint64_t)(room < s->jitter_ms ? room : s->jitter_ms));
}

int64_t schedule_next_ms(const struct schedule *s, const struct rule *r, int64_t since_ms, int64_t *due_ms)
{
	int64_t first = first_after(s, since_ms);

	*due_ms = due_of(s, r, first);
	return first;
}

struct due {                            /* the newest instants of a span, as a ring */
	int64_t at[SCHEDULE_INSTANTS_MAX];
	size_t n;
	int n_late;                     /* of all, also of those that the ring has lost */
};

/* In order, up to the first that is not due yet. */
static void collect(const struct schedule *s, const struct rule *r, int64_t from_ms, int64_t now_ms, struct due *out)
{
	int64_t due_ms, at = from_ms;

	*out = (struct due){ 0 };
	while ((at = schedule_next_ms(s, r, at, &due_ms)) <= now_ms && due_ms <= now_ms) {
		out->at[out->n++ % SCHEDULE_INSTANTS_MAX] = at;
		out->n_late += now_ms - due_ms > SCHEDULE_LATE_MS;
	}
}

size_t schedule_due(const struct schedule *s, const struct rule *r, int64_t since_ms, int64_t now_ms,
		    int64_t out[SCHEDULE_INSTANTS_MAX], int64_t *through_ms)
{
	struct due due = { 0 };
	int64_t from = since_ms;

	*through_ms = since_ms;
	for (int64_t span = FIRST_SPAN_MS + s->jitter_ms; due.n < SCHEDULE_INSTANTS_MAX; span *= SPAN_GROWS) {
		from = now_ms - since_ms > span ? now_ms - span : since_ms;
		collect(s, r, from, now_ms, &due);
		if (from == since_ms)
			break;
	}
	if (!due.n)
		return 0;
	size_t kept = due.n < SCHEDULE_INSTANTS_MAX ? due.n : SCHEDULE_INSTANTS_MAX, n = 0;
	*through_ms = due.at[(due.n - 1) % SCHEDULE_INSTANTS_MAX];
	int has_late = due.n_late > 0 || from > since_ms;
	for (size_t i = due.n - kept; i < due.n; i++) {
		int64_t at = due.at[i % SCHEDULE_INSTANTS_MAX];
		int is_late = now_ms - due_of(s, r, at) > SCHEDULE_LATE_MS;
		if (s->missed == MISSED_ALL || !has_late || (s->missed == MISSED_SKIP ? !is_late : i + 1 == due.n))
			out[n++] = at;
	}
	return n;
}
