/* store/rows.c - a job or a delivery as JSON: one writer of text, fed from a row of the database or from the request that
 * has just become one. */
#include "store/rows.h"

static void add_name(struct buf *out, const char *name)
{
	buf_adds(out, ",\"");
	buf_adds(out, name);
	buf_adds(out, "\":");
}

static void add_int(struct buf *out, const char *name, int64_t v)
{
	add_name(out, name);
	if (v == ROW_NULL)
		buf_adds(out, "null");
	else
		buf_addi(out, v);
}

static void add_text(struct buf *out, const char *name, struct slice s)
{
	add_name(out, name);
	buf_add_json(out, s);
}

static int64_t column_int(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? ROW_NULL : sqlite3_column_int64(row, column);
}

void row_add_int(struct buf *out, const char *name, sqlite3_stmt *row, int column)
{
	add_int(out, name, column_int(row, column));
}

void row_add_text(struct buf *out, const char *name, sqlite3_stmt *row, int column)
{
	add_text(out, name, column_slice(row, column));
}

void row_add_summary(struct buf *out, struct slice object)
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

void job_row_json(const struct job_row *j, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	buf_addi(out, j->id);
	add_int(out, "delivery", j->delivery);
	add_text(out, "rule", j->rule);
	add_text(out, "file", j->file);
	add_text(out, "cell", j->cell);
	add_text(out, "state", slice_of(job_state_name(j->state)));
	add_int(out, "attempt", j->attempt);
	add_text(out, "source", j->source);
	add_text(out, "event", j->event);
	row_add_summary(out, j->summary);
	add_int(out, "queued_ms", j->queued_ms);
	add_int(out, "started_ms", j->started_ms);
	add_int(out, "ended_ms", j->ended_ms);
	add_int(out, "exit_code", j->exit_code);
	if (j->trust != TRUST_FULL)
		add_text(out, "forks", slice_of(job_trust_name(j->trust)));
	add_text(out, "reason", j->reason);
	if (j->state == JOB_DEBOUNCING)
		add_int(out, "until_ms", j->until_ms);
	if (j->heir && (j->state == JOB_SUPERSEDED || j->state == JOB_CANCELLED))
		add_int(out, "heir", j->heir);
	if (j->merged)
		add_int(out, "deliveries", j->merged + 1);
	add_int(out, "log_bytes", j->log_bytes);
	add_int(out, "change", j->change);
	buf_addc(out, '}');
}

void delivery_row_json(const struct delivery_row *d, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	buf_addi(out, d->id);
	add_text(out, "source", d->source);
	add_text(out, "provider", d->provider);
	add_text(out, "key", d->key);
	add_text(out, "event", d->event);
	add_text(out, "action", d->action);
	add_int(out, "received_ms", d->received_ms);
	add_int(out, "bytes", d->bytes);
	add_int(out, "jobs", d->jobs);
	if (d->replay_of)
		add_int(out, "replay_of", d->replay_of);
	if (d->same_as)
		add_int(out, "same_as", d->same_as);
	if (d->root)
		add_int(out, "root", d->root);
	row_add_summary(out, d->summary);
	add_int(out, "change", d->change);
	buf_addc(out, '}');
}

/* In the order of SQL_JOB_ROW. */
enum db_rc row_job(struct db *db, int64_t id, struct buf *out, struct job_brief *brief)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_JOB_ROW, VALUES(INT(id)), &row);

	if (rc != DB_ROW)
		return rc;
	const struct job_row j = {
		.id = id, .delivery = sqlite3_column_int64(row, 0),
		.rule = column_slice(row, 1), .file = column_slice(row, 2), .cell = column_slice(row, 3),
		.state = (enum job_state)sqlite3_column_int(row, 4), .attempt = sqlite3_column_int(row, 5),
		.source = column_slice(row, 6), .event = column_slice(row, 7), .summary = column_slice(row, 8),
		.queued_ms = column_int(row, 9), .started_ms = column_int(row, 10), .ended_ms = column_int(row, 11),
		.exit_code = column_int(row, 12), .reason = column_slice(row, 13), .log_bytes = column_int(row, 14),
		.change = sqlite3_column_int64(row, 15), .trust = (enum job_trust)sqlite3_column_int(row, 16),
		.merged = sqlite3_column_int64(row, 17), .heir = sqlite3_column_int64(row, 18),
		.until_ms = sqlite3_column_int64(row, 19),
	};
	job_row_json(&j, out);
	if (brief)
		*brief = (struct job_brief){ j.change, j.state, j.attempt };
	db_end(row);
	return DB_ROW;
}

/* In the order of SQL_DELIVERY_ROW. */
enum db_rc row_delivery(struct db *db, int64_t id, struct buf *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_DELIVERY_ROW, VALUES(INT(id)), &row);

	if (rc != DB_ROW)
		return rc;
	const struct delivery_row d = {
		.id = id, .source = column_slice(row, 0), .provider = column_slice(row, 1), .key = column_slice(row, 2),
		.event = column_slice(row, 3), .action = column_slice(row, 4), .received_ms = sqlite3_column_int64(row, 5),
		.bytes = sqlite3_column_int64(row, 6), .jobs = sqlite3_column_int64(row, 7), .summary = column_slice(row, 8),
		.change = sqlite3_column_int64(row, 9), .replay_of = sqlite3_column_int64(row, 10),
		.same_as = sqlite3_column_int64(row, 11), .root = sqlite3_column_int64(row, 12),
	};
	delivery_row_json(&d, out);
	db_end(row);
	return DB_ROW;
}
