/* store/rows.h - a job or a delivery as the JSON of docs/api.md: one text for lists, streams and notices. Inside store/
 * only. */
#pragma once
#include "base/buf.h"
#include "model/job.h"
#include "store/db.h"

#define ROW_NULL INT64_MIN                      /* a number that is not known: null */

struct job_row {                                /* texts are borrowed */
	int64_t id, delivery;
	struct slice rule, file, cell, source, event, summary, reason;
	enum job_state state;
	enum job_trust trust;
	int attempt;
	int64_t queued_ms, started_ms, ended_ms, exit_code, log_bytes, change;
	int64_t merged, heir, until_ms;         /* deliveries beside its own; what it was replaced by; of one that debounces. 0: none */
};
struct delivery_row {
	int64_t id;
	struct slice source, provider, key, event, action, summary;
	int64_t received_ms, bytes, jobs, change;
	int64_t replay_of, same_as, root;       /* 0: of none; left out then */
};
/* The list form, one line. The members of the summary, a JSON object, are merged in as they are. */
void job_row_json(const struct job_row *j, struct buf *out);
void delivery_row_json(const struct delivery_row *d, struct buf *out);

struct job_brief {
	int64_t change;
	enum job_state state;
	int attempt;
};
/* The same from the database. DB_ROW, or DB_OK where there is none. BRIEF may be NULL. */
enum db_rc row_job(struct db *db, int64_t id, struct buf *out, struct job_brief *brief);
enum db_rc row_delivery(struct db *db, int64_t id, struct buf *out);

/* `,"name":` and the column's value: integers, or null. */
void row_add_int(struct buf *out, const char *name, sqlite3_stmt *row, int column);
void row_add_text(struct buf *out, const char *name, sqlite3_stmt *row, int column);
void row_add_summary(struct buf *out, struct slice object);     /* the members of OBJECT, each with its comma */
