/* store/schema.c - the tables, as numbered steps. A step that was ever released is never edited: what changes comes
 * as a new step at the end. The number reached stands in user_version, written in the step's own transaction.
 *
 * What the shape is for:
 *   meta      one row: the counters. Numbers of changes, deliveries and jobs are never used twice, also when the rows
 *             that held the highest ones are long gone.
 *   delivery  narrow columns first: a list never reads the wide ones behind them (event, headers, why).
 *   facet     of each delivery what lists are filtered by, and what it repeats: so narrow that a walk over many is cheap.
 *   ruleset   how many deliveries name it. At none the row goes, and then the file may (front/house.c).
 *   body      apart, so that the budget of bodies can be kept without touching the delivery.
 *   job       (delivery, rule, rerun) is unique: I3. `rule` is a row of (name, file, cell).
 *   once      the first job of (rule, key), and how long it is remembered; that job may be gone before it.
 *   attempt   (job, n); n is the fence: I6.
 *   queue     how many run, how many may, and the first that waits: a partial index over the queues that are ready
 *             finds the next job to claim in one step, however many wait. Its row goes when nothing waits or runs, so
 *             a job that has ended does not name it any more, and there is no foreign key.
 *   outbox    what the end of a job has still to cause. It is written with that end, and goes with the delivery that it
 *             becomes: so what follows from a job follows once.
 *   debounce  the jobs in that state.
 *   merged    (delivery, rule) whose job is that of a later delivery, which took it in. The newest is the job's own; so each
 *             delivery has its one job in either table, and a job's are all of merged, then its own.
 *   schedule  a rule with cron; instant: the moments at which it fired (I10), floor_ms: those up to here are settled, too. */
#include "store/schema.h"

#include "store/db.h"

static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE meta(only INTEGER PRIMARY KEY CHECK(only=1), change INTEGER NOT NULL, last_delivery INTEGER NOT NULL,"
	" last_job INTEGER NOT NULL, deliveries INTEGER NOT NULL, body_bytes INTEGER NOT NULL) STRICT;"
	"INSERT INTO meta VALUES(1, 0, 0, 0, 0, 0);"

	"CREATE TABLE source(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
	"CREATE TABLE rule(id INTEGER PRIMARY KEY, name TEXT NOT NULL, file TEXT NOT NULL, cell TEXT NOT NULL,"
	" UNIQUE(name, file, cell)) STRICT;"

	"CREATE TABLE delivery(id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source,"
	" key TEXT NOT NULL CHECK(key<>''),"
	" provider TEXT NOT NULL, event TEXT NOT NULL, action TEXT NOT NULL, received_ms INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, change INTEGER NOT NULL, summary TEXT NOT NULL, ruleset TEXT NOT NULL,"
	" event_json TEXT NOT NULL, headers TEXT NOT NULL, why TEXT NOT NULL, UNIQUE(source, key)) STRICT;"
	"CREATE INDEX delivery_source ON delivery(source);"
	"CREATE INDEX delivery_change ON delivery(change);"
	"CREATE TABLE body(delivery INTEGER PRIMARY KEY REFERENCES delivery, data BLOB NOT NULL) STRICT;"

	"CREATE TABLE queue(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, lim INTEGER NOT NULL CHECK(lim>=1),"
	" running INTEGER NOT NULL CHECK(running>=0), head INTEGER) STRICT;"
	"CREATE INDEX queue_ready ON queue(head) WHERE head IS NOT NULL AND running < lim;"

	"CREATE TABLE job(id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL REFERENCES delivery,"
	" rule INTEGER NOT NULL REFERENCES rule, rerun INTEGER NOT NULL DEFAULT 0, queue INTEGER,"
	" state INTEGER NOT NULL CHECK(state BETWEEN 1 AND 13), attempt INTEGER NOT NULL, timeout_ms INTEGER NOT NULL,"
	" queued_ms INTEGER NOT NULL, started_ms INTEGER, ended_ms INTEGER, exit_code INTEGER, log_bytes INTEGER,"
	" change INTEGER NOT NULL, reason TEXT NOT NULL, wish TEXT, UNIQUE(delivery, rule, rerun)) STRICT;"
	"CREATE INDEX job_change ON job(change);"
	"CREATE INDEX job_rule ON job(rule);"
	"CREATE INDEX job_waiting ON job(queue) WHERE state=2;"
	"CREATE INDEX job_state ON job(state) WHERE state<>5;"

	"CREATE TABLE attempt(job INTEGER NOT NULL REFERENCES job, n INTEGER NOT NULL CHECK(n>=1), state INTEGER NOT NULL,"
	" started_ms INTEGER NOT NULL, ended_ms INTEGER, exit_code INTEGER, log_bytes INTEGER, reason TEXT NOT NULL,"
	" confinement TEXT NOT NULL, PRIMARY KEY(job, n)) STRICT, WITHOUT ROWID;",

	/* 2 */
	"ALTER TABLE job ADD COLUMN trust INTEGER NOT NULL DEFAULT 0 CHECK(trust BETWEEN 0 AND 3);"
	"CREATE TABLE once(rule INTEGER NOT NULL REFERENCES rule, key TEXT NOT NULL, job INTEGER NOT NULL,"
	" until_ms INTEGER NOT NULL, PRIMARY KEY(rule, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX once_until ON once(until_ms);",

	/* 3 */
	"ALTER TABLE delivery ADD COLUMN cause TEXT;"
	"ALTER TABLE delivery ADD COLUMN root INTEGER;"
	"CREATE INDEX delivery_root ON delivery(root) WHERE root IS NOT NULL;"
	"ALTER TABLE job ADD COLUMN outputs TEXT;"
	"CREATE TABLE outbox(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, job INTEGER NOT NULL, ordinal INTEGER NOT NULL,"
	" name TEXT NOT NULL, data TEXT NOT NULL, UNIQUE(kind, job, ordinal)) STRICT;"
	"CREATE TABLE schedule(id INTEGER PRIMARY KEY, file TEXT NOT NULL, rule TEXT NOT NULL, text TEXT NOT NULL,"
	" since_ms INTEGER NOT NULL, floor_ms INTEGER NOT NULL, seen INTEGER NOT NULL, is_armed INTEGER NOT NULL,"
	" UNIQUE(file, rule)) STRICT;"
	"CREATE TABLE instant(schedule INTEGER NOT NULL REFERENCES schedule, at_ms INTEGER NOT NULL,"
	" PRIMARY KEY(schedule, at_ms)) STRICT, WITHOUT ROWID;",

	/* 4: what a delivery can be matched again with, found by, and compared to */
	"ALTER TABLE delivery ADD COLUMN query TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE delivery ADD COLUMN secret TEXT;"
	"ALTER TABLE delivery ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';"
	"ALTER TABLE delivery ADD COLUMN digest BLOB;"
	"CREATE TABLE facet(delivery INTEGER PRIMARY KEY REFERENCES delivery, received_ms INTEGER NOT NULL, source INTEGER NOT NULL,"
	" event TEXT NOT NULL, action TEXT NOT NULL, repo TEXT, branch TEXT, replay_of INTEGER, same_as INTEGER) STRICT;"
	"CREATE INDEX facet_replay ON facet(replay_of) WHERE replay_of IS NOT NULL;"
	"INSERT INTO facet SELECT id, received_ms, source, event, action, CAST(json_extract(summary, '$.repo') AS TEXT),"
	" CAST(json_extract(summary, '$.branch') AS TEXT), NULL, NULL FROM delivery;"
	"CREATE INDEX delivery_digest ON delivery(digest, source) WHERE digest IS NOT NULL;"
	"CREATE TABLE ruleset(sha TEXT PRIMARY KEY, deliveries INTEGER NOT NULL CHECK(deliveries>=0)) STRICT, WITHOUT ROWID;"
	"INSERT INTO ruleset SELECT ruleset, count(*) FROM delivery GROUP BY ruleset;",

	/* 5: the part of a rule's when that its job decides */
	"ALTER TABLE job ADD COLUMN residue TEXT NOT NULL DEFAULT '';",

	/* 6: of a replay the delivery that was the first of all, which stays known when those between are gone */
	"ALTER TABLE facet ADD COLUMN original INTEGER;"
	"WITH RECURSIVE up(d, o) AS (SELECT delivery, replay_of FROM facet WHERE replay_of IS NOT NULL UNION ALL"
	" SELECT up.d, f.replay_of FROM up JOIN facet f ON f.delivery=up.o WHERE f.replay_of IS NOT NULL)"
	" UPDATE facet SET original=u.o FROM (SELECT d, min(o) AS o FROM up GROUP BY d) u WHERE u.d=facet.delivery;",

	/* 7: the beginning of its chain, where lists can see it */
	"ALTER TABLE facet ADD COLUMN root INTEGER;"
	"UPDATE facet SET root=d.root FROM delivery d WHERE d.id=facet.delivery AND d.root IS NOT NULL;",

	/* 8: what a queue does with one job more. merge: what another job must have alike; latest_ms: due_ms moves no further. What
	 * only jobs that debounce have stands apart: every other job would pay for the columns, and for the indexes more. */
	"ALTER TABLE queue ADD COLUMN busy INTEGER NOT NULL DEFAULT 0 CHECK(busy BETWEEN 0 AND 3);"
	"ALTER TABLE job ADD COLUMN merge TEXT;"
	"ALTER TABLE job ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE job ADD COLUMN heir INTEGER;"
	"CREATE TABLE debounce(job INTEGER PRIMARY KEY REFERENCES job, queue INTEGER NOT NULL, merge TEXT, due_ms INTEGER NOT NULL,"
	" latest_ms INTEGER NOT NULL) STRICT;"
	"CREATE INDEX debounce_slot ON debounce(queue, merge);"
	"CREATE INDEX debounce_due ON debounce(due_ms);"
	"CREATE TABLE merged(delivery INTEGER NOT NULL REFERENCES delivery, rule INTEGER NOT NULL REFERENCES rule,"
	" job INTEGER NOT NULL REFERENCES job, PRIMARY KEY(delivery, rule)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX merged_job ON merged(job);"
	"CREATE INDEX once_job ON once(job);",
};

int schema_version(void)
{
	return COUNT(steps);
}

static int read_version(struct db *db, int *out, struct err *e)
{
	sqlite3_stmt *row;

	if (sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &row, NULL) != SQLITE_OK)
		return err_set(e, ERR_IO, "database: %s", sqlite3_errmsg(db->handle));
	int rc = sqlite3_step(row);
	*out = sqlite3_column_int(row, 0);
	sqlite3_finalize(row);
	return rc == SQLITE_ROW ? 0 : err_set(e, ERR_IO, "database: %s", sqlite3_errmsg(db->handle));
}

static int take_step(struct db *db, int number, struct err *e)
{
	CLEANUP(freep) char *sql = xprintf("BEGIN IMMEDIATE; %s PRAGMA user_version=%d; COMMIT", steps[number - 1], number);

	if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	err_set(e, ERR_IO, "database: step %d of the schema: %s", number, sqlite3_errmsg(db->handle));
	if (!sqlite3_get_autocommit(db->handle))
		sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int schema_migrate(struct db *db, struct err *e)
{
	int version = 0;

	if (read_version(db, &version, e) < 0)
		return -1;
	if (version > schema_version())
		return err_set(e, ERR_INPUT, "the database is of schema %d, this program knows schemas up to %d: "
			       "start the newer program it was last used with", version, schema_version());
	while (version < schema_version())
		if (take_step(db, ++version, e) < 0)
			return -1;
	return 0;
}
