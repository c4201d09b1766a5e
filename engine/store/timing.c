/* store/timing.c - schedules: since when each is in force, and at which moments it has fired (I10).
 *
 * A moment is a row, so none is taken twice, whatever the clock, a restart or another front does. The rows of a schedule are
 * bounded: those that go raise its floor, below which nothing is taken any more. */
#include "store/write.h"

#define INSTANTS_KEPT 4096

/* The rows past the bound go. */
static enum db_rc forget_old(struct writer *w, int64_t schedule)
{
	int64_t at;
	enum db_rc rc = db_int(&w->db, SQL_INSTANT_OLD, VALUES(INT(schedule), INT(INSTANTS_KEPT)), &at);

	if (rc != DB_ROW)
		return rc;
	rc = db_run(&w->db, SQL_SCHEDULE_FLOOR, VALUES(INT(schedule), INT(at)));
	return rc == DB_OK ? db_run(&w->db, SQL_INSTANTS_DROP, VALUES(INT(schedule), INT(at))) : rc;
}

enum db_rc timing_take_instant(struct writer *w, const struct submit *r)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_SCHEDULE_FIND, VALUES(TEXT(r->cron_file), TEXT(r->cron_rule)), &row);

	if (rc != DB_ROW)
		return rc;                      /* never armed: it cannot be due */
	int64_t schedule = sqlite3_column_int64(row, 0), floor_ms = sqlite3_column_int64(row, 4);
	db_end(row);
	rc = db_run(&w->db, SQL_SCHEDULE_THROUGH, VALUES(INT(schedule), INT(r->cron_through_ms)));
	if (rc != DB_OK || r->cron_ms <= floor_ms)
		return rc;
	rc = db_run(&w->db, SQL_INSTANT_ADD, VALUES(INT(schedule), INT(r->cron_ms)));
	if (rc != DB_OK || sqlite3_changes(w->db.handle) == 0)
		return rc;
	rc = forget_old(w, schedule);
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc arm_one(struct writer *w, struct arm_item *item, int64_t round)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_SCHEDULE_FIND, VALUES(TEXT(item->file), TEXT(item->rule)), &row);

	if (rc == DB_OK) {
		item->since_ms = w->now_ms;
		return db_run(&w->db, SQL_SCHEDULE_ADD, VALUES(TEXT(item->file), TEXT(item->rule), TEXT(item->text), INT(w->now_ms), INT(round)));
	}
	if (rc != DB_ROW)
		return rc;
	int64_t id = sqlite3_column_int64(row, 0);
	int is_same = slice_eq(column_slice(row, 1), slice_of(item->text)) && sqlite3_column_int(row, 3);
	item->since_ms = is_same ? sqlite3_column_int64(row, 2) : w->now_ms;
	db_end(row);
	if (is_same)
		return db_run(&w->db, SQL_SCHEDULE_SEEN, VALUES(INT(id), INT(round)));
	return db_run(&w->db, SQL_SCHEDULE_SET, VALUES(INT(id), TEXT(item->text), INT(w->now_ms), INT(round)));
}

enum db_rc write_arm(struct writer *w, struct arm *r)
{
	int64_t round;
	enum db_rc rc = db_int(&w->db, SQL_SCHEDULE_ROUND, NULL, 0, &round);

	if (rc == DB_ROW)
		rc = DB_OK;
	for (size_t i = 0; i < r->n && rc == DB_OK; i++)
		rc = arm_one(w, &r->items[i], round);
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_SCHEDULES_REST, VALUES(INT(round)));
	r->outcome = STORE_OK;
	return rc;
}
