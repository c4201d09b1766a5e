/* store/db.h - one SQLite connection and its prepared statements: bind values, step, learn what an error means for
 * the one who asked. A connection belongs to one thread at a time. Inside store/ only. */
#pragma once
#include <sqlite3.h>

#include "base/err.h"
#include "base/slice.h"
#include "store/sql.h"

enum db_rc {
	DB_ROW = 1,
	DB_OK = 0,
	DB_REFUSED = -1,        /* a constraint: this request is wrong, undo it alone */
	DB_FULL = -2,           /* no room on the disk, or another process holds the database: undo all, go on */
	DB_BROKEN = -3,         /* an I/O error or worse: what is on the disk is unknown */
};

struct db {
	sqlite3 *handle;
	sqlite3_stmt *stmt[SQL_COUNT];  /* prepared at first use */
	char error[160];                /* the last one, for people */
};

enum db_role { DB_WRITER, DB_READER };

/* PATH is absolute. 0, or -1 with *e; *out is closed then. The reader may not write and never checkpoints. */
int db_open(const char *path, enum db_role role, struct db *out, struct err *e) MUST_USE;
void db_close(struct db *db);                   /* NULL handle is fine */

struct db_value {
	enum { DB_INTEGER, DB_TEXT, DB_BLOB, DB_NULL } kind;
	int64_t integer;
	struct slice bytes;                     /* borrowed until the statement is reset or bound anew */
};
#define INT(v) ((struct db_value){ .kind = DB_INTEGER, .integer = (v) })
#define INT_OR_NULL(v) ((v) ? INT(v) : NOTHING)                 /* of a number that 0 leaves open */
#define TEXT(cstr) ((struct db_value){ .kind = DB_TEXT, .bytes = slice_of(cstr) })
#define BLOB(slice) ((struct db_value){ .kind = DB_BLOB, .bytes = (slice) })
#define NOTHING ((struct db_value){ .kind = DB_NULL })
#define VALUES(...) (const struct db_value[]){ __VA_ARGS__ }, COUNT(((const struct db_value[]){ __VA_ARGS__ }))

/* Prepare (once), bind, step. DB_ROW: *row may be read with the sqlite3_column functions until db_step or db_end. */
enum db_rc db_first(struct db *db, enum sql which, const struct db_value *values, size_t n, sqlite3_stmt **row);
enum db_rc db_step(struct db *db, sqlite3_stmt *row);
void db_end(sqlite3_stmt *row);                 /* give up the rest of the rows */
/* For what gives no rows; db_run0 for what takes no values. */
enum db_rc db_run(struct db *db, enum sql which, const struct db_value *values, size_t n);
enum db_rc db_run0(struct db *db, enum sql which);
/* One integer: DB_ROW with *out set, DB_OK where there is no row. A NULL column gives 0. */
enum db_rc db_int(struct db *db, enum sql which, const struct db_value *values, size_t n, int64_t *out);

struct slice column_slice(sqlite3_stmt *row, int column);        /* text or blob; borrowed from the row */
char *column_text(sqlite3_stmt *row, int column);                /* owned; NULL where it is null */
int64_t db_vm_steps(struct db *db);             /* instructions of SQLite's machine so far: cost without a clock */
