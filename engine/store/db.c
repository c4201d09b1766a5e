/* store/db.c - one SQLite connection.
 *
 * Statements are prepared once and reset at their end, so that none stays open across a commit (an open one would
 * hold a snapshot and keep the log from starting over). An error is told apart by what may be done next: undo one
 * request, undo the transaction, or stop. */
#include "store/db.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define WRITER_CACHE_KIB 8192
#define READER_CACHE_KIB 2048
#define READER_BUSY_MS 5000
#define WAL_KEEP_BYTES (32 << 20)               /* a longer log file is cut to this when it starts over */

static enum db_rc classify(struct db *db, int rc)
{
	if (rc == SQLITE_ROW)
		return DB_ROW;
	if (rc == SQLITE_OK || rc == SQLITE_DONE)
		return DB_OK;
	snprintf(db->error, sizeof db->error, "%s (%d)", sqlite3_errmsg(db->handle),
		 sqlite3_extended_errcode(db->handle));
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return DB_REFUSED;
	case SQLITE_FULL:
	case SQLITE_BUSY:
		return DB_FULL;
	}
	return DB_BROKEN;
}

static int set_up(struct db *db, enum db_role role, struct err *e)
{
	char sql[512];

	sqlite3_extended_result_codes(db->handle, 1);
	if (role == DB_WRITER)
		snprintf(sql, sizeof sql,
			 "PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
			 "PRAGMA journal_size_limit=%d; PRAGMA cache_size=-%d; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;"
			 "PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF",
			 STORE_PAGE_BYTES, WAL_KEEP_BYTES, WRITER_CACHE_KIB);
	else
		snprintf(sql, sizeof sql,
			 "PRAGMA query_only=ON; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-%d; PRAGMA temp_store=MEMORY;"
			 "PRAGMA mmap_size=0; PRAGMA trusted_schema=OFF", READER_CACHE_KIB);
	if (role == DB_READER) {
		sqlite3_busy_timeout(db->handle, READER_BUSY_MS);
		sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	}
	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		return err_set(e, ERR_IO, "database: %s", sqlite3_errmsg(db->handle));
	return 0;
}

static int is_wal(struct db *db)
{
	sqlite3_stmt *row;
	int yes = 0;

	if (sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode", -1, &row, NULL) != SQLITE_OK)
		return 0;
	if (sqlite3_step(row) == SQLITE_ROW)
		yes = slice_ieq(column_slice(row, 0), SLICE("wal"));
	sqlite3_finalize(row);
	return yes;
}

int db_open(const char *path, enum db_role role, struct db *out, struct err *e)
{
	struct db db = { 0 };

	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);     /* before the first use only; later it is refused, and no matter */
	int rc = sqlite3_open_v2(path, &db.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		err_set(e, ERR_IO, "database %s: %s", path, sqlite3_errstr(rc));
		goto failed;
	}
	if (set_up(&db, role, e) < 0)
		goto failed;
	if (!is_wal(&db)) {
		err_set(e, ERR_IO, "database %s: the write-ahead log cannot be used here", path);
		goto failed;
	}
	*out = db;
	return 0;
failed:
	db_close(&db);
	return -1;
}

void db_close(struct db *db)
{
	if (!db->handle)
		return;
	for (int i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(db->stmt[i]);
	int rc = sqlite3_close(db->handle);
	assert(rc == SQLITE_OK);
	*db = (struct db){ 0 };
}

static int bind_value(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
	const char *bytes = v->bytes.ptr ? v->bytes.ptr : "";

	switch (v->kind) {
	case DB_INTEGER: return sqlite3_bind_int64(stmt, at, v->integer);
	case DB_TEXT: return sqlite3_bind_text64(stmt, at, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB: return sqlite3_bind_blob64(stmt, at, bytes, v->bytes.len, SQLITE_STATIC);
	case DB_NULL: return sqlite3_bind_null(stmt, at);
	}
	return SQLITE_MISUSE;
}

enum db_rc db_first(struct db *db, enum sql which, const struct db_value *values, size_t n, sqlite3_stmt **row)
{
	sqlite3_stmt *stmt = db->stmt[which];

	if (!stmt) {
		int rc = sqlite3_prepare_v3(db->handle, sql_text(which), -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
		if (rc != SQLITE_OK)
			return classify(db, rc);
		assert(stmt);
		db->stmt[which] = stmt;
	}
	assert((int)n == sqlite3_bind_parameter_count(stmt));
	for (size_t i = 0; i < n; i++) {
		int rc = bind_value(stmt, (int)i + 1, &values[i]);
		if (rc != SQLITE_OK)
			return classify(db, rc);
	}
	*row = stmt;
	return db_step(db, stmt);
}

enum db_rc db_step(struct db *db, sqlite3_stmt *row)
{
	enum db_rc rc = classify(db, sqlite3_step(row));
	if (rc != DB_ROW)
		sqlite3_reset(row);
	return rc;
}

void db_end(sqlite3_stmt *row)
{
	sqlite3_reset(row);
}

enum db_rc db_run(struct db *db, enum sql which, const struct db_value *values, size_t n)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, which, values, n, &row);
	assert(rc != DB_ROW);
	return rc;
}

enum db_rc db_run0(struct db *db, enum sql which)
{
	return db_run(db, which, NULL, 0);
}

enum db_rc db_int(struct db *db, enum sql which, const struct db_value *values, size_t n, int64_t *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(db, which, values, n, &row);

	if (rc != DB_ROW)
		return rc;
	*out = sqlite3_column_int64(row, 0);
	db_end(row);
	return DB_ROW;
}

struct slice column_slice(sqlite3_stmt *row, int column)
{
	const void *bytes = sqlite3_column_blob(row, column);
	return (struct slice){ bytes, bytes ? (size_t)sqlite3_column_bytes(row, column) : 0 };
}

char *column_text(sqlite3_stmt *row, int column)
{
	return sqlite3_column_type(row, column) == SQLITE_NULL ? NULL : slice_dup(column_slice(row, column));
}

int64_t db_vm_steps(struct db *db)
{
	int64_t steps = 0;
	for (int i = 0; i < SQL_COUNT; i++)
		if (db->stmt[i])
			steps += sqlite3_stmt_status(db->stmt[i], SQLITE_STMTSTATUS_VM_STEP, 0);
	return steps;
}
