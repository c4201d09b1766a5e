/* store/list.c - lists, by the way that fits what is asked for:
 *
 *     nothing but a source, a state, a rule      an index has them in order of arrival
 *     anything else                              a walk backwards over facet, which holds what a filter can name; it looks at
 *                                                LIST_LOOKS_MAX rows at the most and then says where to go on
 *
 * So a list costs what it shows, or a bounded walk, however many are kept; and a filter needs no index of its own, which
 * every submit would have to pay for. */
#include "store/list.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CELLS 1000                          /* rows of `rule` under one name that a list looks into */

void ids_fini(struct ids *ids)
{
	free(ids->id);
	*ids = (struct ids){ 0 };
}

static void ids_add(struct ids *ids, int64_t id)
{
	if (ids->n == ids->cap) {
		ids->cap = ids->cap ? ids->cap * 2 : 64;
		ids->id = xrealloc(ids->id, ids->cap * sizeof *ids->id);
	}
	ids->id[ids->n++] = id;
}

enum db_rc ids_find(struct db *db, struct ids *ids, enum sql which, const struct db_value *values, size_t n)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, which, values, n, &row);

	for (; rc == DB_ROW; rc = db_step(db, row))
		ids_add(ids, sqlite3_column_int64(row, 0));
	return rc;
}

static int newest_first(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? 1 : -(x > y);
}

/* One more than the limit was looked for: whether there is a next page is then known. */
static void cut(struct read *r, struct ids *out)
{
	if (out->n <= (size_t)r->limit)
		return;
	out->n = (size_t)r->limit;
	r->next = out->id[out->n - 1];
}

/* ---- the walk ---- */

struct look {                                   /* a filter, with its words made numbers */
	const struct filter *f;
	int64_t source;                         /* 0: any */
	enum job_state state;                   /* 0: any */
};

static int is_text(sqlite3_stmt *row, int column, const char *wanted)
{
	return !wanted[0] || slice_eq(column_slice(row, column), slice_of(wanted));
}

/* "push", or "pull_request.opened" as event and action. */
static int is_event(sqlite3_stmt *row, const char *wanted)
{
	struct slice event = column_slice(row, 5), action = column_slice(row, 6), w = slice_of(wanted);

	if (!w.len || slice_eq(event, w))
		return 1;
	return action.len && w.len == event.len + 1 + action.len && slice_starts(w, event) && w.ptr[event.len] == '.' &&
	       slice_ends(w, action);
}

/* DB_ROW: it fits; DB_OK: it does not. ROW is one of the walks. */
static enum db_rc fits(struct db *db, const struct look *l, sqlite3_stmt *row)
{
	const struct filter *f = l->f;
	int64_t received_ms = sqlite3_column_int64(row, 3), one;

	if ((l->source && sqlite3_column_int64(row, 4) != l->source) || (f->since_ms && received_ms < f->since_ms) ||
	    (f->until_ms && received_ms >= f->until_ms) || (l->state && sqlite3_column_int(row, 1) != (int)l->state) ||
	    !is_text(row, 2, f->rule) || !is_event(row, f->event) || !is_text(row, 7, f->repo) || !is_text(row, 8, f->branch))
		return DB_OK;
	if (f->matched == ANY_MATCH)
		return DB_ROW;
	enum db_rc has = db_int(db, SQL_HAS_JOBS, VALUES(INT(sqlite3_column_int64(row, 9))), &one);
	if (has < DB_OK)
		return has;
	return (has == DB_ROW) == (f->matched == HAS_MATCHED) ? DB_ROW : DB_OK;
}

static enum db_rc walk(struct db *db, struct read *r, const struct look *l, enum sql which, struct ids *out)
{
	int64_t below = r->a > 0 ? r->a : INT64_MAX, last = 0;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, which, VALUES(INT(below)), &row);

	for (int looks = 0; rc == DB_ROW; rc = db_step(db, row)) {
		if (looks++ == LIST_LOOKS_MAX) {
			r->next = last;
			db_end(row);
			return DB_OK;
		}
		last = sqlite3_column_int64(row, 0);
		enum db_rc fit = fits(db, l, row);
		if (fit == DB_ROW)
			ids_add(out, last);
		if (fit < DB_OK || out->n > (size_t)r->limit) {
			db_end(row);
			cut(r, out);
			return fit < DB_OK ? fit : DB_OK;
		}
	}
	return rc;
}

/* DB_ROW: l->source is set; DB_OK: nothing was ever heard of it, so nothing fits. */
static enum db_rc find_source(struct db *db, const struct filter *f, struct look *l)
{
	return f->source[0] ? db_int(db, SQL_SOURCE_FIND, VALUES(TEXT(f->source)), &l->source) : DB_ROW;
}

static int has_more(const struct filter *f)
{
	return f->repo[0] || f->branch[0] || f->event[0] || f->matched || f->since_ms || f->until_ms;
}

/* ---- jobs ---- */

/* A name stands for a row of `rule` per file and cell: the newest of each, merged. */
static enum db_rc jobs_of_rule(struct db *db, struct read *r, int64_t below, int state, struct ids *out)
{
	CLEANUP(ids_fini) struct ids rules = { 0 };
	enum db_rc rc = ids_find(db, &rules, SQL_RULE_IDS, VALUES(TEXT(r->filter.rule)));

	if (rules.n > MAX_CELLS)
		rules.n = MAX_CELLS;
	for (size_t i = 0; i < rules.n && rc == DB_OK; i++)
		rc = ids_find(db, out, SQL_JOBS_OF_RULE, VALUES(INT(below), INT(r->limit + 1), INT(rules.id[i]), INT(state)));
	if (out->n)
		qsort(out->id, out->n, sizeof *out->id, newest_first);
	return rc;
}

enum db_rc list_jobs(struct db *db, struct read *r, struct ids *out)
{
	const struct filter *f = &r->filter;
	struct look look = { .f = f };
	int64_t below = r->a > 0 ? r->a : INT64_MAX;
	enum db_rc rc;

	if (f->state[0] && job_state_parse(slice_of(f->state), &look.state) < 0)
		return DB_REFUSED;
	if (has_more(f) || f->source[0]) {
		rc = find_source(db, f, &look);
		return rc == DB_ROW ? walk(db, r, &look, SQL_JOB_WALK, out) : rc;
	}
	if (f->rule[0])
		rc = jobs_of_rule(db, r, below, (int)look.state, out);
	else if (!look.state)
		rc = ids_find(db, out, SQL_JOBS_BELOW, VALUES(INT(below), INT(r->limit + 1)));
	else if (look.state == JOB_SUCCEEDED)
		rc = ids_find(db, out, SQL_JOBS_SUCCEEDED, VALUES(INT(below), INT(r->limit + 1)));
	else
		rc = ids_find(db, out, SQL_JOBS_OF_STATE, VALUES(INT(below), INT(r->limit + 1), INT(look.state)));
	cut(r, out);
	return rc;
}

/* ---- deliveries ---- */

enum db_rc list_deliveries(struct db *db, struct read *r, struct ids *out)
{
	struct look look = { .f = &r->filter };
	int64_t below = r->a > 0 ? r->a : INT64_MAX;
	enum db_rc rc = find_source(db, &r->filter, &look);

	if (rc != DB_ROW)
		return rc;
	if (has_more(&r->filter))
		return walk(db, r, &look, SQL_DELIVERY_WALK, out);
	if (look.source)
		rc = ids_find(db, out, SQL_DELIVERIES_OF_SOURCE, VALUES(INT(below), INT(r->limit + 1), TEXT(r->filter.source)));
	else
		rc = ids_find(db, out, SQL_DELIVERIES_BELOW, VALUES(INT(below), INT(r->limit + 1)));
	cut(r, out);
	return rc;
}
