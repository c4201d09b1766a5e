/* store/prune.c - retention.
 *
 * A phase walks its table by id, oldest first, and the cursor remembers how far it came; each piece is one transaction,
 * so a long clean-up never holds up a submit for longer than a piece takes. Ids grow with time, so a walk ends with the
 * first piece in which all is too young (not with the first such row: a clock that was once wrong must not keep
 * everything behind it for ever).
 *
 * A delivery stays while a job names it: past its age it loses its body, and it goes with its last job. The walk over
 * the deliveries therefore goes on where the last one ended, and does not look again at those that wait for their jobs.
 * A body that an open job still needs is never dropped.
 *
 * A schedule whose rule is gone rests: its row says which moments were taken, should the rule come back (I10). A schedule that
 * comes back begins at that time, so only a clock that was set back could name one of them again. When all of them are
 * SCHEDULE_RESTS_MS ago the row goes. */
#include "store/prune.h"

#include <stdlib.h>

#define PIECE_BODY_BYTES (16 << 20)             /* of bodies dropped in one piece: their pages are read to be freed */

void prune_fini(struct prune *p)
{
	free(p->gone);
}

static void next_phase(struct prune *p)
{
	p->phase++;
	p->cursor = 0;
}

static enum db_rc drop_body(struct writer *w, int64_t delivery, int64_t *bytes)
{
	enum db_rc rc = db_int(&w->db, SQL_BODY_BYTES, VALUES(INT(delivery)), bytes);

	if (rc != DB_ROW)
		return rc;
	w->now.body_bytes -= *bytes;
	return db_run(&w->db, SQL_BODY_DROP, VALUES(INT(delivery)));
}

/* Unless a job needs it: all of it, or what no job needs of it. */
static enum db_rc drop_delivery(struct writer *w, int64_t delivery, int64_t *bytes)
{
	int64_t one;
	enum db_rc has_open = db_int(&w->db, SQL_HAS_OPEN_JOBS, VALUES(INT(delivery)), &one);

	if (has_open != DB_OK)
		return has_open == DB_ROW ? DB_OK : has_open;
	enum db_rc rc = drop_body(w, delivery, bytes);
	if (rc != DB_OK)
		return rc;
	rc = db_int(&w->db, SQL_HAS_JOBS, VALUES(INT(delivery)), &one);
	if (rc != DB_OK)
		return rc == DB_ROW ? DB_OK : rc;
	w->now.deliveries--;
	rc = db_run(&w->db, SQL_FACET_DROP, VALUES(INT(delivery)));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_RULESET_LEAVE, VALUES(INT(delivery)));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_RULESET_DROP, VALUES(INT(delivery)));
	return rc == DB_OK ? db_run(&w->db, SQL_DELIVERY_DROP, VALUES(INT(delivery))) : rc;
}

static enum db_rc drop_attempts(struct writer *w, struct prune *p, int64_t job)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_ATTEMPT_NUMBERS, VALUES(INT(job)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		if (p->n_gone == p->cap_gone) {
			p->cap_gone = p->cap_gone ? p->cap_gone * 2 : PRUNE_ROWS;
			p->gone = xrealloc(p->gone, p->cap_gone * sizeof *p->gone);
		}
		p->gone[p->n_gone++] = (struct gone){ job, sqlite3_column_int(row, 0) };
	}
	return rc == DB_OK ? db_run(&w->db, SQL_ATTEMPTS_DROP, VALUES(INT(job))) : rc;
}

/* Its own, and those that it took in, as far as they are past their age. */
static enum db_rc old_deliveries(struct writer *w, const struct prune *p, int64_t job, int64_t **list, size_t *n)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_JOB_DELIVERIES, VALUES(INT(job)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		if (p->keep.deliveries_ms <= 0 || sqlite3_column_int64(row, 1) >= p->now_ms - p->keep.deliveries_ms)
			continue;
		*list = xrealloc(*list, (*n + 1) * sizeof **list);
		(*list)[(*n)++] = sqlite3_column_int64(row, 0);
	}
	return rc;
}

static enum db_rc drop_job(struct writer *w, struct prune *p, int64_t job, int64_t *bytes)
{
	int64_t *list = NULL, one;
	size_t n = 0;
	enum db_rc rc = old_deliveries(w, p, job, &list, &n);

	if (rc == DB_OK)
		rc = drop_attempts(w, p, job);
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_MERGED_DROP, VALUES(INT(job)));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_JOB_DROP, VALUES(INT(job)));
	for (size_t i = 0; i < n && rc == DB_OK; i++) {
		one = 0;
		rc = drop_delivery(w, list[i], &one);
		*bytes += one;
	}
	free(list);
	return rc;
}

/* The ids of a piece are collected first: a row is never deleted under the statement that walks over it. */
struct piece {
	int64_t id[PRUNE_ROWS];
	size_t n;
	int seen, is_end;
};

static enum db_rc jobs_piece(struct writer *w, struct prune *p)
{
	struct piece piece = { 0 };
	int64_t before = p->now_ms - p->keep.jobs_ms, bytes, sum = 0;
	int old = 0;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_OLD_JOBS, VALUES(INT(p->cursor), INT(PRUNE_ROWS)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		p->cursor = sqlite3_column_int64(row, 0);
		piece.seen++;
		old += sqlite3_column_int64(row, 2) < before;
		if (job_state_is_final((enum job_state)sqlite3_column_int(row, 1)) && sqlite3_column_int64(row, 3) < before)
			piece.id[piece.n++] = p->cursor;
	}
	piece.is_end = piece.seen < PRUNE_ROWS || !old;
	for (size_t i = 0; i < piece.n && rc == DB_OK; i++) {
		if (sum > PIECE_BODY_BYTES) {
			p->cursor = piece.id[i] - 1;
			piece.is_end = 0;
			break;
		}
		bytes = 0;
		rc = drop_job(w, p, piece.id[i], &bytes);
		sum += bytes;
	}
	if (piece.is_end)
		next_phase(p);
	return rc;
}

static enum db_rc deliveries_piece(struct writer *w, struct prune *p)
{
	struct piece piece = { 0 };
	int64_t before = p->now_ms - p->keep.deliveries_ms, bytes, sum = 0, last = p->cursor;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_OLD_DELIVERIES, VALUES(INT(p->cursor), INT(PRUNE_ROWS)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		last = sqlite3_column_int64(row, 0);
		piece.seen++;
		if (sqlite3_column_int64(row, 1) < before)
			piece.id[piece.n++] = last;
		else if (!p->first_young)
			p->first_young = last;
	}
	piece.is_end = piece.seen < PRUNE_ROWS || !piece.n;
	for (size_t i = 0; i < piece.n && rc == DB_OK; i++) {
		if (sum > PIECE_BODY_BYTES) {
			last = piece.id[i] - 1;
			piece.is_end = 0;
			break;
		}
		bytes = 0;
		rc = drop_delivery(w, piece.id[i], &bytes);
		sum += bytes;
	}
	p->cursor = last;
	p->walked = p->first_young && p->first_young <= last ? p->first_young - 1 : last;
	if (piece.is_end)
		next_phase(p);
	return rc;
}

static enum db_rc bodies_piece(struct writer *w, struct prune *p)
{
	struct piece piece = { 0 };
	int64_t bytes, one, sum = 0;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_OLD_BODIES, VALUES(INT(p->cursor), INT(PRUNE_ROWS)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row))
		piece.id[piece.n++] = sqlite3_column_int64(row, 0);
	piece.is_end = piece.n < PRUNE_ROWS;
	for (size_t i = 0; i < piece.n && rc == DB_OK; i++) {
		if (w->now.body_bytes <= p->keep.bodies_bytes) {
			piece.is_end = 1;
			break;
		}
		if (sum > PIECE_BODY_BYTES) {
			piece.is_end = 0;
			break;
		}
		p->cursor = piece.id[i];
		rc = db_int(&w->db, SQL_HAS_OPEN_JOBS, VALUES(INT(p->cursor)), &one);
		if (rc == DB_ROW) {
			rc = DB_OK;
			continue;
		}
		bytes = 0;
		if (rc == DB_OK)
			rc = drop_body(w, p->cursor, &bytes);
		sum += bytes;
	}
	if (piece.is_end)
		next_phase(p);
	return rc;
}

static enum db_rc queues_piece(struct writer *w, struct prune *p)
{
	struct piece piece = { 0 };
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_IDLE_QUEUES, VALUES(INT(p->cursor), INT(PRUNE_ROWS)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		p->cursor = sqlite3_column_int64(row, 0);
		piece.seen++;
		if (sqlite3_column_int(row, 1))
			piece.id[piece.n++] = p->cursor;
	}
	for (size_t i = 0; i < piece.n && rc == DB_OK; i++)
		rc = db_run(&w->db, SQL_QUEUE_DROP, VALUES(INT(piece.id[i])));
	if (piece.seen < PRUNE_ROWS)
		next_phase(p);
	return rc;
}

static enum db_rc approvals_piece(struct writer *w, struct prune *p)
{
	struct piece piece = { 0 };
	int64_t before = p->now_ms - JOB_APPROVAL_MS;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_OLD_APPROVALS, VALUES(INT(p->cursor), INT(PRUNE_ROWS)), &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		p->cursor = sqlite3_column_int64(row, 0);
		piece.seen++;
		if (sqlite3_column_int64(row, 1) < before)
			piece.id[piece.n++] = p->cursor;
	}
	for (size_t i = 0; i < piece.n && rc == DB_OK; i++)
		rc = write_refuse(w, piece.id[i], "nobody approved it in time");
	if (piece.seen < PRUNE_ROWS)
		next_phase(p);
	return rc;
}

static enum db_rc once_piece(struct writer *w, struct prune *p)
{
	enum db_rc rc = db_run(&w->db, SQL_ONCE_FORGET, VALUES(INT(p->now_ms), INT(PRUNE_ROWS)));

	if (sqlite3_changes(w->db.handle) < PRUNE_ROWS)
		next_phase(p);
	return rc;
}

/* One at a time: with it go up to some thousand moments. */
static enum db_rc schedules_piece(struct writer *w, struct prune *p)
{
	int64_t id;
	enum db_rc rc = db_int(&w->db, SQL_RESTING_SCHEDULE, VALUES(INT(p->now_ms - SCHEDULE_RESTS_MS)), &id);

	if (rc != DB_ROW) {
		next_phase(p);
		return rc;
	}
	rc = db_run(&w->db, SQL_INSTANTS_DROP, VALUES(INT(id), INT(INT64_MAX)));
	return rc == DB_OK ? db_run(&w->db, SQL_SCHEDULE_DROP, VALUES(INT(id))) : rc;
}

enum db_rc prune_piece(struct writer *w, struct prune *p)
{
	p->n_gone = 0;
	if (p->walked)
		w->walked_delivery = p->walked;         /* the piece before this one was committed */
	if (p->phase == PRUNE_JOBS && p->keep.jobs_ms <= 0)
		next_phase(p);
	if (p->phase == PRUNE_DELIVERIES && p->keep.deliveries_ms <= 0)
		next_phase(p);
	if (p->phase == PRUNE_BODIES && p->keep.bodies_bytes <= 0)
		next_phase(p);
	switch (p->phase) {
	case PRUNE_JOBS: return jobs_piece(w, p);
	case PRUNE_DELIVERIES:
		if (!p->walked)
			p->cursor = w->walked_delivery;
		return deliveries_piece(w, p);
	case PRUNE_BODIES: return bodies_piece(w, p);
	case PRUNE_QUEUES: return queues_piece(w, p);
	case PRUNE_APPROVALS: return approvals_piece(w, p);
	case PRUNE_ONCE: return once_piece(w, p);
	case PRUNE_SCHEDULES: return schedules_piece(w, p);
	case PRUNE_DONE: break;
	}
	return DB_OK;
}
