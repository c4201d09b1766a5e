/* store/rows.h - a job or a delivery as the JSON of docs/api.md. One text for lists, streams and notices. Inside store/ only. */
#pragma once
#include "base/buf.h"
#include "model/job.h"
#include "store/db.h"

struct job_brief {
	int64_t change;
	enum job_state state;
	int attempt;
	int64_t log_bytes;              /* -1 while unknown */
};

/* Append the list form of job ID, one line. DB_ROW, or DB_OK where there is none. BRIEF may be NULL. */
enum db_rc row_job(struct db *db, int64_t id, struct buf *out, struct job_brief *brief);
enum db_rc row_delivery(struct db *db, int64_t id, struct buf *out, int64_t *change);
/* The same without the closing brace, for what is shown with more members. */
enum db_rc row_job_open(struct db *db, int64_t id, struct buf *out);
enum db_rc row_delivery_open(struct db *db, int64_t id, struct buf *out);

/* `,"name":` and the column's value: integers, or null. */
void row_add_int(struct buf *out, const char *name, sqlite3_stmt *row, int column);
void row_add_text(struct buf *out, const char *name, sqlite3_stmt *row, int column);
