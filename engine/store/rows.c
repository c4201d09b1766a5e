/* store/rows.c - a job or a delivery as JSON. The members of the event's summary are merged into the object, as they are:
 * whoever submitted them wrote them as one JSON object. */
#include "store/rows.h"

enum job_column { J_ID, J_DELIVERY, J_RULE, J_FILE, J_CELL, J_STATE, J_ATTEMPT, J_SOURCE, J_EVENT, J_SUMMARY, J_QUEUED,
		  J_STARTED, J_ENDED, J_EXIT, J_REASON, J_LOG_BYTES, J_CHANGE, J_RULESET };
enum delivery_column { D_ID, D_SOURCE, D_PROVIDER, D_KEY, D_EVENT, D_ACTION, D_RECEIVED, D_BYTES, D_JOBS, D_SUMMARY, D_CHANGE };

static void add_name(struct buf *out, const char *name)
{
	buf_adds(out, ",\"");
	buf_adds(out, name);
	buf_adds(out, "\":");
}

void row_add_int(struct buf *out, const char *name, sqlite3_stmt *row, int column)
{
	add_name(out, name);
	if (sqlite3_column_type(row, column) == SQLITE_NULL)
		buf_adds(out, "null");
	else
		buf_addi(out, sqlite3_column_int64(row, column));
}

void row_add_text(struct buf *out, const char *name, sqlite3_stmt *row, int column)
{
	add_name(out, name);
	buf_add_json(out, column_slice(row, column));
}

static void add_summary(struct buf *out, struct slice object)
{
	struct slice s = slice_trim(object);

	if (s.len < 2 || s.ptr[0] != '{' || s.ptr[s.len - 1] != '}')
		return;
	s = slice_trim((struct slice){ s.ptr + 1, s.len - 2 });
	if (!s.len)
		return;
	buf_addc(out, ',');
	buf_add(out, s);
}

static void add_job(struct buf *out, sqlite3_stmt *row)
{
	buf_adds(out, "{\"id\":");
	buf_addi(out, sqlite3_column_int64(row, J_ID));
	row_add_int(out, "delivery", row, J_DELIVERY);
	row_add_text(out, "rule", row, J_RULE);
	row_add_text(out, "file", row, J_FILE);
	row_add_text(out, "cell", row, J_CELL);
	add_name(out, "state");
	buf_add_json(out, slice_of(job_state_name((enum job_state)sqlite3_column_int(row, J_STATE))));
	row_add_int(out, "attempt", row, J_ATTEMPT);
	row_add_text(out, "source", row, J_SOURCE);
	row_add_text(out, "event", row, J_EVENT);
	add_summary(out, column_slice(row, J_SUMMARY));
	row_add_int(out, "queued_ms", row, J_QUEUED);
	row_add_int(out, "started_ms", row, J_STARTED);
	row_add_int(out, "ended_ms", row, J_ENDED);
	row_add_int(out, "exit_code", row, J_EXIT);
	row_add_text(out, "reason", row, J_REASON);
	row_add_int(out, "log_bytes", row, J_LOG_BYTES);
	row_add_int(out, "change", row, J_CHANGE);
}

static void take_brief(sqlite3_stmt *row, struct job_brief *brief)
{
	brief->change = sqlite3_column_int64(row, J_CHANGE);
	brief->state = (enum job_state)sqlite3_column_int(row, J_STATE);
	brief->attempt = sqlite3_column_int(row, J_ATTEMPT);
	brief->log_bytes = sqlite3_column_type(row, J_LOG_BYTES) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, J_LOG_BYTES);
}

enum db_rc row_job(struct db *db, int64_t id, struct buf *out, struct job_brief *brief)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_JOB_ROW, VALUES(INT(id)), &row);

	if (rc != DB_ROW)
		return rc;
	add_job(out, row);
	buf_addc(out, '}');
	if (brief)
		take_brief(row, brief);
	db_end(row);
	return DB_ROW;
}

enum db_rc row_job_open(struct db *db, int64_t id, struct buf *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_JOB_ROW, VALUES(INT(id)), &row);

	if (rc != DB_ROW)
		return rc;
	add_job(out, row);
	row_add_text(out, "ruleset", row, J_RULESET);
	db_end(row);
	return DB_ROW;
}

static enum db_rc add_delivery(struct db *db, int64_t id, struct buf *out, int64_t *change)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_DELIVERY_ROW, VALUES(INT(id)), &row);

	if (rc != DB_ROW)
		return rc;
	buf_adds(out, "{\"id\":");
	buf_addi(out, sqlite3_column_int64(row, D_ID));
	row_add_text(out, "source", row, D_SOURCE);
	row_add_text(out, "provider", row, D_PROVIDER);
	row_add_text(out, "key", row, D_KEY);
	row_add_text(out, "event", row, D_EVENT);
	row_add_text(out, "action", row, D_ACTION);
	row_add_int(out, "received_ms", row, D_RECEIVED);
	row_add_int(out, "bytes", row, D_BYTES);
	row_add_int(out, "jobs", row, D_JOBS);
	add_summary(out, column_slice(row, D_SUMMARY));
	row_add_int(out, "change", row, D_CHANGE);
	if (change)
		*change = sqlite3_column_int64(row, D_CHANGE);
	db_end(row);
	return DB_ROW;
}

enum db_rc row_delivery(struct db *db, int64_t id, struct buf *out, int64_t *change)
{
	enum db_rc rc = add_delivery(db, id, out, change);
	if (rc == DB_ROW)
		buf_addc(out, '}');
	return rc;
}

enum db_rc row_delivery_open(struct db *db, int64_t id, struct buf *out)
{
	return add_delivery(db, id, out, NULL);
}
