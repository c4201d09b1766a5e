/* store/read.c - answers as JSON. Every answer comes from one read transaction, so its parts agree; lists first find their
 * ids (list.c) and then write each row by the one text of rows.c. A read is bounded by its limit, and the reader
 * never holds a snapshot between two of them: an old snapshot would keep the log from starting over. */
#include "store/read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/list.h"
#include "store/rows.h"

#define ANSWER_MAX_BYTES ((size_t)64 << 20)
#define MAX_LIMIT 1000

/* `[{…},{…}]` */
static enum db_rc add_jobs(struct db *db, const struct ids *ids, struct buf *out)
{
	enum db_rc rc = DB_ROW;

	buf_addc(out, '[');
	for (size_t i = 0; i < ids->n && rc == DB_ROW; i++) {
		if (i)
			buf_addc(out, ',');
		rc = row_job(db, ids->id[i], out, NULL);
	}
	buf_addc(out, ']');
	return rc == DB_ROW ? DB_OK : DB_BROKEN;        /* a row of this snapshot cannot be missing */
}

static enum db_rc read_jobs(struct db *db, struct read *r)
{
	CLEANUP(ids_fini) struct ids ids = { 0 };
	enum db_rc rc = list_jobs(db, r, &ids);

	if (rc != DB_OK)
		return rc;
	buf_adds(&r->json, "{\"jobs\":");
	rc = add_jobs(db, &ids, &r->json);
	buf_addc(&r->json, '}');
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc read_deliveries(struct db *db, struct read *r)
{
	CLEANUP(ids_fini) struct ids ids = { 0 };
	enum db_rc rc = list_deliveries(db, r, &ids);

	if (rc != DB_OK)
		return rc;
	buf_adds(&r->json, "{\"deliveries\":[");
	for (size_t i = 0; i < ids.n; i++) {
		if (i)
			buf_addc(&r->json, ',');
		if (row_delivery(db, ids.id[i], &r->json) != DB_ROW)
			return DB_BROKEN;
	}
	buf_adds(&r->json, "]}");
	return DB_ROW;
}

/* More members follow those of the list form. */
static void reopen(struct buf *object)
{
	if (object->len)
		object->len--;                  /* its closing brace */
}

/* What was stored as JSON goes out as it is; an empty text as EMPTY. */
static void add_stored(struct buf *out, const char *name, struct slice json, const char *empty)
{
	buf_addf(out, ",\"%s\":", name);
	buf_add(out, json.len ? json : slice_of(empty));
}

/* The deliveries that the job runs for, oldest first. */
static enum db_rc add_batch(struct db *db, int64_t job, struct buf *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_JOB_BATCH, VALUES(INT(job)), &row);

	buf_adds(out, ",\"batch\":[");
	for (int i = 0; rc == DB_ROW; rc = db_step(db, row), i++) {
		buf_addf(out, "%s{\"delivery\":%lld", i ? "," : "", (long long)sqlite3_column_int64(row, 0));
		row_add_text(out, "key", row, 1);
		row_add_text(out, "event", row, 2);
		row_add_text(out, "action", row, 3);
		row_add_int(out, "received_ms", row, 4);
		row_add_summary(out, column_slice(row, 5));
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	return rc;
}

static enum db_rc read_job(struct db *db, struct read *r)
{
	sqlite3_stmt *row;
	struct buf *out = &r->json;
	enum db_rc rc = row_job(db, r->a, out, NULL);

	if (rc != DB_ROW)
		return rc;
	reopen(out);
	rc = db_first(db, SQL_JOB_RULESET, VALUES(INT(r->a)), &row);
	if (rc != DB_ROW)
		return DB_BROKEN;
	row_add_text(out, "ruleset", row, 0);
	add_stored(out, "outputs", column_slice(row, 1), "{}");
	db_end(row);
	rc = add_batch(db, r->a, out);
	if (rc != DB_OK)
		return rc;
	buf_adds(out, ",\"attempts\":[");
	rc = db_first(db, SQL_ATTEMPTS, VALUES(INT(r->a)), &row);
	for (int i = 0; rc == DB_ROW; rc = db_step(db, row), i++) {
		buf_adds(out, i ? ",{\"attempt\":" : "{\"attempt\":");
		buf_addi(out, sqlite3_column_int64(row, 0));
		row_add_int(out, "started_ms", row, 1);
		row_add_int(out, "ended_ms", row, 2);
		buf_addf(out, ",\"state\":\"%s\"", job_state_name((enum job_state)sqlite3_column_int(row, 3)));
		row_add_int(out, "exit_code", row, 4);
		row_add_text(out, "reason", row, 5);
		row_add_int(out, "log_bytes", row, 6);
		row_add_text(out, "confinement", row, 7);
		buf_addc(out, '}');
	}
	buf_adds(out, "]}");
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc add_ids(struct db *db, const char *name, enum sql which, int64_t delivery, struct buf *out)
{
	CLEANUP(ids_fini) struct ids ids = { 0 };
	enum db_rc rc = ids_find(db, &ids, which, VALUES(INT(delivery)));

	buf_addf(out, ",\"%s\":[", name);
	for (size_t i = 0; i < ids.n; i++) {
		if (i)
			buf_addc(out, ',');
		buf_addi(out, ids.id[i]);
	}
	buf_addc(out, ']');
	return rc;
}

static enum db_rc read_delivery(struct db *db, struct read *r)
{
	CLEANUP(ids_fini) struct ids ids = { 0 };
	sqlite3_stmt *row;
	struct buf *out = &r->json;
	enum db_rc rc = row_delivery(db, r->a, out);

	if (rc != DB_ROW)
		return rc;
	reopen(out);
	rc = db_first(db, SQL_DELIVERY_WIDE, VALUES(INT(r->a)), &row);
	if (rc != DB_ROW)
		return DB_BROKEN;
	add_stored(out, "headers", column_slice(row, 0), "{}");
	add_stored(out, "normalised", column_slice(row, 1), "{}");
	add_stored(out, "why", column_slice(row, 2), "[]");
	row_add_text(out, "ruleset", row, 3);
	row_add_text(out, "query", row, 4);
	if (sqlite3_column_type(row, 5) == SQLITE_NULL)
		buf_adds(out, ",\"secret\":null");
	else
		row_add_text(out, "secret", row, 5);
	add_stored(out, "notes", column_slice(row, 6), "[]");
	buf_adds(out, sqlite3_column_int(row, 7) ? ",\"body_kept\":true" : ",\"body_kept\":false");
	add_stored(out, "cause", column_slice(row, 8), "null");
	db_end(row);
	rc = add_ids(db, "replays", SQL_REPLAYS, r->a, out);
	if (rc == DB_OK)
		rc = add_ids(db, "gone", SQL_GONE, r->a, out);
	if (rc == DB_OK)
		rc = ids_find(db, &ids, SQL_DELIVERY_JOBS, VALUES(INT(r->a)));
	buf_adds(out, ",\"job_list\":");
	if (rc == DB_OK)
		rc = add_jobs(db, &ids, out);
	buf_addc(out, '}');
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc read_body(struct db *db, struct read *r)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_BODY, VALUES(INT(r->a)), &row);

	if (rc != DB_ROW)
		return rc;
	buf_add(&r->json, column_slice(row, 0));
	db_end(row);
	return DB_ROW;
}

static enum db_rc read_kept(struct db *db, struct read *r)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_KEPT, VALUES(INT(r->a)), &row);

	if (rc != DB_ROW)
		return rc;
	r->kept = xcalloc(1, sizeof *r->kept);
	*r->kept = (struct kept){
		.source = slice_dup(column_slice(row, 0)), .key = slice_dup(column_slice(row, 1)),
		.ruleset = slice_dup(column_slice(row, 2)), .headers_json = slice_dup(column_slice(row, 3)),
		.query = slice_dup(column_slice(row, 4)), .received_ms = sqlite3_column_int64(row, 5),
		.secret = column_text(row, 6), .has_body = sqlite3_column_int(row, 8), .event = slice_dup(column_slice(row, 9)),
		.action = slice_dup(column_slice(row, 10)), .cause_json = column_text(row, 11), .only_file = column_text(row, 12),
		.only_rule = column_text(row, 13),
	};
	buf_add(&r->json, column_slice(row, 7));
	db_end(row);
	return DB_ROW;
}

static enum db_rc read_ruleset(struct db *db, struct read *r)
{
	int64_t one;
	return db_int(db, SQL_RULESET_USES, VALUES(TEXT(r->text)), &one);
}

static enum db_rc read_change_now(struct db *db, int64_t *out)
{
	return db_int(db, SQL_META, NULL, 0, out);
}

/* Jobs and deliveries are two lists in order of change: this is their merge. */
static enum db_rc add_changes(struct db *db, const struct read *r, sqlite3_stmt *jobs, enum db_rc jobs_rc,
			      sqlite3_stmt *deliveries, enum db_rc deliveries_rc, struct buf *out)
{
	for (int i = 0; i < r->limit && (jobs_rc == DB_ROW || deliveries_rc == DB_ROW); i++) {
		int is_job = deliveries_rc != DB_ROW ||
			     (jobs_rc == DB_ROW && sqlite3_column_int64(jobs, 0) < sqlite3_column_int64(deliveries, 0));
		sqlite3_stmt *row = is_job ? jobs : deliveries;
		int64_t id = sqlite3_column_int64(row, 1);
		buf_adds(out, i ? ",{\"change\":" : "{\"change\":");
		buf_addi(out, sqlite3_column_int64(row, 0));
		buf_adds(out, is_job ? ",\"job\":" : ",\"delivery\":");
		if ((is_job ? row_job(db, id, out, NULL) : row_delivery(db, id, out)) != DB_ROW)
			return DB_BROKEN;
		buf_addc(out, '}');
		*(is_job ? &jobs_rc : &deliveries_rc) = db_step(db, row);
	}
	return jobs_rc < 0 || deliveries_rc < 0 ? DB_BROKEN : DB_ROW;
}

static enum db_rc read_changes(struct db *db, struct read *r)
{
	sqlite3_stmt *jobs = NULL, *deliveries = NULL;
	int64_t last;
	enum db_rc rc = read_change_now(db, &last);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	buf_addf(&r->json, "{\"last\":%lld,\"changes\":[", (long long)last);
	enum db_rc a = db_first(db, SQL_JOB_CHANGES, VALUES(INT(r->a), INT(r->limit)), &jobs);
	enum db_rc b = db_first(db, SQL_DELIVERY_CHANGES, VALUES(INT(r->a), INT(r->limit)), &deliveries);
	rc = add_changes(db, r, jobs, a, deliveries, b, &r->json);
	sqlite3_reset(jobs);
	sqlite3_reset(deliveries);
	buf_adds(&r->json, "]}");
	return rc;
}

static enum db_rc read_status(struct db *db, struct read *r)
{
	static const enum job_state open_states[] = { JOB_DEBOUNCING, JOB_QUEUED, JOB_AWAITING_APPROVAL, JOB_RUNNING };
	sqlite3_stmt *row;
	int64_t n, bytes;
	enum db_rc rc = db_first(db, SQL_META, NULL, 0, &row);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	int64_t deliveries = sqlite3_column_int64(row, 3), body_bytes = sqlite3_column_int64(row, 4);
	buf_addf(&r->json, "{\"change\":%lld,\"jobs\":{", (long long)sqlite3_column_int64(row, 0));
	db_end(row);
	for (size_t i = 0; i < COUNT(open_states); i++) {
		rc = db_int(db, SQL_COUNT_STATE, VALUES(INT(open_states[i])), &n);
		if (rc != DB_ROW)
			return rc == DB_OK ? DB_BROKEN : rc;
		buf_addf(&r->json, "%s\"%s\":%lld", i ? "," : "", job_state_name(open_states[i]), (long long)n);
	}
	rc = db_int(db, SQL_BYTES, NULL, 0, &bytes);
	buf_addf(&r->json, "},\"deliveries\":%lld,\"body_bytes\":%lld,\"db_bytes\":%lld}", (long long)deliveries,
		 (long long)body_bytes, rc == DB_ROW ? (long long)bytes : 0LL);
	return rc;
}

static void add_watch_attempt(struct read *r, sqlite3_stmt *row)
{
	struct watch_attempt *a;

	r->attempts = xrealloc(r->attempts, (size_t)(r->n_attempts + 1) * sizeof *r->attempts);
	a = &r->attempts[r->n_attempts++];
	a->attempt = sqlite3_column_int(row, 0);
	a->is_final = job_state_is_final((enum job_state)sqlite3_column_int(row, 3));
	a->log_bytes = a->is_final ? sqlite3_column_int64(row, 6) : -1;
}

static enum db_rc read_watch(struct db *db, struct read *r)
{
	CLEANUP(buf_fini) struct buf json = BUF(ANSWER_MAX_BYTES);
	struct job_brief brief;
	sqlite3_stmt *row;
	enum db_rc rc = row_job(db, r->a, &json, &brief);

	if (rc != DB_ROW)
		return rc;
	r->state = brief.state;
	rc = db_first(db, SQL_ATTEMPTS, VALUES(INT(r->a)), &row);
	for (; rc == DB_ROW; rc = db_step(db, row))
		add_watch_attempt(r, row);
	r->state_json = buf_take(&json);
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc answer(struct db *db, struct read *r)
{
	switch (r->what) {
	case READ_JOBS: return read_jobs(db, r);
	case READ_JOB: return read_job(db, r);
	case READ_DELIVERIES: return read_deliveries(db, r);
	case READ_DELIVERY: return read_delivery(db, r);
	case READ_BODY: return read_body(db, r);
	case READ_KEPT: return read_kept(db, r);
	case READ_RULESET: return read_ruleset(db, r);
	case READ_CHANGES: return read_changes(db, r);
	case READ_STATUS: return read_status(db, r);
	case READ_WATCH: return read_watch(db, r);
	}
	return DB_BROKEN;
}

static void drop_answer(struct read *r)
{
	buf_clear(&r->json);
	free(TAKE(&r->attempts));
	free(TAKE(&r->state_json));
	kept_free(TAKE(&r->kept));
	r->n_attempts = 0;
	r->next = 0;
}

/* Numbers are never used twice, so one that was given out and finds nothing is of something that was pruned. */
static int was_there(struct db *db, const struct read *r)
{
	int is_job = r->what == READ_JOB || r->what == READ_WATCH;
	sqlite3_stmt *row;

	if (!is_job && r->what != READ_DELIVERY && r->what != READ_BODY && r->what != READ_KEPT)
		return 0;
	if (db_first(db, SQL_META, NULL, 0, &row) != DB_ROW)
		return 0;
	int was = r->a <= sqlite3_column_int64(row, is_job ? 2 : 1);
	db_end(row);
	return was;
}

void read_answer(struct db *db, struct read *r)
{
	r->limit = r->limit < 1 ? 1 : r->limit > MAX_LIMIT ? MAX_LIMIT : r->limit;
	r->json = BUF(ANSWER_MAX_BYTES);
	r->attempts = NULL;
	r->n_attempts = 0;
	r->state_json = NULL;
	r->kept = NULL;
	r->next = 0;
	enum db_rc rc = db_run0(db, SQL_BEGIN_READ);
	if (rc == DB_OK)
		rc = answer(db, r);
	r->is_gone = rc == DB_OK && was_there(db, r);
	if (!sqlite3_get_autocommit(db->handle) && db_run0(db, SQL_ROLLBACK) != DB_OK)
		rc = DB_BROKEN;
	if (rc == DB_ROW && buf_is_over(&r->json))
		rc = DB_BROKEN;
	r->outcome = rc == DB_ROW ? STORE_OK : rc == DB_OK || rc == DB_REFUSED ? STORE_NOT_FOUND : STORE_UNKNOWN;
	if (rc != DB_ROW)
		drop_answer(r);
}

enum db_rc read_running(struct db *db, struct running **out, size_t *n)
{
	struct running *list = NULL;
	size_t count = 0;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, SQL_RUNNING, NULL, 0, &row);

	for (; rc == DB_ROW; rc = db_step(db, row)) {
		list = xrealloc(list, (count + 1) * sizeof *list);
		list[count++] = (struct running){
			.job = sqlite3_column_int64(row, 0), .attempt = sqlite3_column_int(row, 1),
			.rule = slice_dup(column_slice(row, 2)),
			.wish = sqlite3_column_type(row, 3) == SQLITE_NULL ? NULL : slice_dup(column_slice(row, 3)),
		};
	}
	if (rc != DB_OK) {
		while (count) {
			free(list[--count].rule);
			free(list[count].wish);
		}
		free(list);
		return rc;
	}
	*out = list;
	*n = count;
	return DB_OK;
}
