/* store/queue.c - what becomes of a new job in its slot, and of one whose debounce is over: looked up, decided by
 * model/queue.h, and written, in the transaction that brings it (I4).
 *
 * Most queues let all wait: then a job joins, and nothing of this is asked (queue_join). Elsewhere it matters what runs
 * already and what only waits; so what may be claimed is claimed first, as if each job came in a transaction of its own. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/submit.h"
#include "store/write.h"

#define DUE_PIECE 256                   /* jobs whose debounce is over, in one transaction */
#define BATCH_MAX 500                   /* deliveries of one job: what it runs for is read, and sent to it, whole */
#define BATCH_BYTES_MAX (8 << 20)       /* of their bodies, likewise: each event is sent twice, in 64 MiB at most */
#define BATCH_SMALL_BYTES (8 << 10)     /* that fits in any case: the others are not asked */

struct slot {
	int64_t id;
	struct queue_policy policy;     /* busy and limit */
	int running;
	int has_head;
};

struct look {                           /* what a decision rests on, and which jobs it means */
	struct queue_scene scene;
	int64_t like_debouncing, like_waiting;
	int64_t latest_ms;              /* of like_debouncing */
};

/* ---- the queue's row ---- */

static struct slot slot_of(sqlite3_stmt *row)
{
	return (struct slot){ .id = sqlite3_column_int64(row, 0), .policy.limit = sqlite3_column_int(row, 1),
			      .has_head = sqlite3_column_type(row, 2) != SQLITE_NULL,
			      .policy.busy = (enum queue_busy)sqlite3_column_int(row, 3), .running = sqlite3_column_int(row, 4) };
}

/* The row of J's queue, with J's policy from here on, and HEAD at its head where nothing waits. DB_ROW. */
static enum db_rc take_slot(struct writer *w, const struct submit_job *j, struct db_value head, struct slot *out)
{
	const struct queue_policy *p = &j->policy;
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_QUEUE_FIND, VALUES(TEXT(j->queue)), &row);

	assert(p->limit >= 1 && p->limit <= QUEUE_LIMIT_MAX);
	if (rc == DB_OK) {
		rc = db_run(&w->db, SQL_QUEUE_ADD, VALUES(TEXT(j->queue), INT(p->limit), head, INT(p->busy)));
		*out = (struct slot){ .id = sqlite3_last_insert_rowid(w->db.handle), .policy = *p, .has_head = head.kind != DB_NULL };
		return rc == DB_OK ? DB_ROW : rc;
	}
	if (rc != DB_ROW)
		return rc;
	*out = slot_of(row);
	db_end(row);
	if (out->policy.limit == p->limit && out->policy.busy == p->busy && (out->has_head || head.kind == DB_NULL))
		return DB_ROW;
	rc = db_run(&w->db, SQL_QUEUE_JOIN, VALUES(INT(out->id), INT(p->limit), head, INT(p->busy)));
	out->policy = *p;
	return rc == DB_OK ? DB_ROW : rc;
}

static enum db_rc read_slot(struct writer *w, int64_t queue, struct slot *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_QUEUE_ROW, VALUES(INT(queue)), &row);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	*out = slot_of(row);
	db_end(row);
	return DB_ROW;
}

/* What can run is no longer among those that wait. */
static enum db_rc claim_first(struct writer *w, struct slot *s)
{
	if (!s->has_head || s->running >= s->policy.limit)
		return DB_ROW;
	enum db_rc rc = write_claims(w);
	return rc == DB_OK ? read_slot(w, s->id, s) : rc;
}

/* What another job must have alike to go into one for J; owned. NULL: none does. */
static char *merge_text(const struct submit *r, const struct submit_job *j, int64_t rule, int64_t source)
{
	if (!j->merge_key || r->replay_of)      /* what was asked for again is no later push */
		return NULL;
	return xprintf("%lld %lld %d %s", (long long)rule, (long long)source, (int)j->trust, j->merge_key);
}

/* ---- looking ---- */

static enum db_rc count(struct writer *w, enum sql which, const struct db_value *values, size_t n, int *out)
{
	int64_t v = 0;
	enum db_rc rc = db_int(&w->db, which, values, n, &v);

	*out = (int)v;
	return rc == DB_OK ? DB_BROKEN : rc;
}

/* Of the second stage. */
static enum db_rc look_at_queue(struct writer *w, const struct slot *s, struct look *l)
{
	enum db_rc rc = DB_ROW;

	l->scene.running = s->running;
	if (s->policy.busy == QUEUE_SKIP && s->has_head)
		rc = count(w, SQL_WAITING_COUNT, VALUES(INT(s->id), INT(s->policy.limit)), &l->scene.waiting);
	if (s->policy.busy == QUEUE_CANCEL && s->running >= s->policy.limit)
		rc = count(w, SQL_STAYING_COUNT, VALUES(INT(s->id)), &l->scene.staying);
	return rc;
}

/* DB_ROW; *job is 0 from here on where one of BYTES more is more than it can be sent. */
static enum db_rc look_for_room(struct writer *w, size_t bytes, int64_t *job)
{
	int64_t sum = 0;
	enum db_rc rc = DB_ROW;

	if (*job && bytes > BATCH_SMALL_BYTES)
		rc = db_int(&w->db, SQL_BATCH_BYTES, VALUES(INT(*job)), &sum);
	if (sum + (int64_t)bytes > BATCH_BYTES_MAX)
		*job = 0;
	return rc == DB_OK ? DB_BROKEN : rc;
}

static enum db_rc look_for_like(struct writer *w, const struct slot *s, const char *merge, struct look *l)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_LIKE_DEBOUNCING, VALUES(INT(s->id), TEXT(merge), INT(BATCH_MAX - 1)), &row);

	if (rc == DB_ROW) {
		l->like_debouncing = sqlite3_column_int64(row, 0);
		l->latest_ms = sqlite3_column_int64(row, 1);
		db_end(row);
	} else if (rc == DB_OK && s->has_head && (s->policy.busy == QUEUE_LATEST || s->policy.busy == QUEUE_CANCEL)) {
		rc = db_int(&w->db, SQL_LIKE_WAITING, VALUES(INT(s->id), TEXT(merge), INT(BATCH_MAX - 1)), &l->like_waiting);
	}
	return rc < DB_OK ? rc : DB_ROW;
}

/* ---- words ---- */

static void say_until(const struct writer *w, int64_t due_ms, enum queue_busy busy, char *out, size_t size)
{
	static const char *const then[] = { [QUEUE_WAIT] = "it queues", [QUEUE_LATEST] = "it queues in place of what waits",
					    [QUEUE_CANCEL] = "it takes the place of what runs", [QUEUE_SKIP] = "it runs, unless its queue is full" };
	time_t at = (time_t)(due_ms / 1000);
	struct tm tm;
	char when[40];

	strftime(when, sizeof when, due_ms - w->now_ms < 12 * 3600000 ? "%H:%M:%S" : "%Y-%m-%d %H:%M:%S", gmtime_r(&at, &tm));
	snprintf(out, size, "until %s UTC, then %s", when, then[busy]);
}

static enum db_rc say_full(struct writer *w, const struct slot *s, const struct look *l, char *out, size_t size)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_BEFORE_IT, VALUES(INT(s->id)), &row);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	int64_t runs = sqlite3_column_int64(row, 0), waits = sqlite3_column_int64(row, 1);
	db_end(row);
	snprintf(out, size, "its queue is full, %d of %d: job %lld %s", l->scene.running + l->scene.waiting, s->policy.limit,
		 (long long)(runs ? runs : waits), runs ? "runs" : "waits");
	return DB_OK;
}

/* ---- what a job does to those before it ---- */

struct heir {                           /* who it is, and as what it came: NULL where its debounce is over */
	int64_t job, delivery, queue;
	const struct newcomer *from;
};
struct others {
	struct other { int64_t job; int attempt; } *list;
	size_t n, cap;
};

static void others_fini(struct others *o)
{
	free(o->list);
}

/* Collected first: a row is never changed under the statement that walks over it. */
static enum db_rc find_others(struct writer *w, enum sql which, const struct db_value *values, size_t n, struct others *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, which, values, n, &row);

	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		if (out->n == out->cap) {
			out->cap = out->cap ? out->cap * 2 : 16;
			out->list = xrealloc(out->list, out->cap * sizeof *out->list);
		}
		out->list[out->n++] = (struct other){ sqlite3_column_int64(row, 0),
						      sqlite3_column_count(row) > 1 ? sqlite3_column_int(row, 1) : 0 };
	}
	return rc;
}

/* A job that never ran is not the one of its `once` any more. */
static enum db_rc ended_unrun(struct writer *w, int64_t job)
{
	enum db_rc rc = db_run(&w->db, SQL_ONCE_RELEASE, VALUES(INT(job)));
	return rc == DB_OK ? chain_note_end(w, job, NULL) : rc;
}

static enum db_rc leave_debounce(struct writer *w, int64_t job)
{
	w->is_due_stale = 1;
	return write_one(w, db_run(&w->db, SQL_DEBOUNCE_DROP, VALUES(INT(job))));
}

static enum db_rc replace_one(struct writer *w, int64_t job, int64_t heir)
{
	int64_t change = write_touch(w, (struct touched){ .job = job });
	char why[64];

	snprintf(why, sizeof why, "job %lld took its place", (long long)heir);
	enum db_rc rc = write_one(w, db_run(&w->db, SQL_JOB_REPLACED, VALUES(INT(job), INT(w->now_ms), TEXT(why), INT(heir), INT(change))));
	return rc == DB_OK ? ended_unrun(w, job) : rc;
}

/* DB_ROW where a later job of the same delivery is to go into JOB: of another rule that shares the queue. Else DB_OK. */
static enum db_rc is_awaited(struct writer *w, const struct newcomer *n, int64_t job)
{
	enum db_rc rc = DB_OK;
	int64_t rule, one;

	for (int i = n ? n->index + 1 : 0; n && i < n->from->n_jobs && rc == DB_OK; i++) {
		const struct submit_job *j = &n->from->jobs[i];
		if (strcmp(j->queue, n->from->jobs[n->index].queue) != 0)
			continue;
		rc = db_int(&w->db, SQL_RULE_FIND, VALUES(TEXT(j->rule), TEXT(j->file), TEXT(j->cell ? j->cell : "")), &rule);
		CLEANUP(freep) char *merge = rc == DB_ROW ? merge_text(n->from, j, rule, n->source) : NULL;
		if (rc == DB_ROW)
			rc = merge ? db_int(&w->db, SQL_WOULD_TAKE, VALUES(INT(job), TEXT(merge), INT(BATCH_MAX - 1)), &one) : DB_OK;
	}
	return rc;
}

/* The heir and the jobs of its own delivery stay. */
static enum db_rc replace(struct writer *w, enum sql which, const struct heir *h, size_t *n)
{
	CLEANUP(others_fini) struct others o = { 0 };
	enum db_rc rc = find_others(w, which, VALUES(INT(h->queue), INT(h->job), INT(h->delivery)), &o);

	*n = 0;
	for (size_t i = 0; i < o.n && rc == DB_OK; i++) {
		rc = is_awaited(w, h->from, o.list[i].job);
		if (rc == DB_ROW) {
			rc = DB_OK;
			continue;
		}
		if (rc == DB_OK && which == SQL_OTHERS_DEBOUNCING)
			rc = leave_debounce(w, o.list[i].job);
		if (rc == DB_OK)
			rc = replace_one(w, o.list[i].job, h->job);
		++*n;
	}
	return rc;
}

static enum db_rc stop_oldest(struct writer *w, const struct heir *h, int n)
{
	CLEANUP(others_fini) struct others o = { 0 };
	enum db_rc rc = find_others(w, SQL_STAYING, VALUES(INT(h->queue), INT(h->delivery), INT(n)), &o);
	char why[64];

	snprintf(why, sizeof why, "cancelled for job %lld, which is newer", (long long)h->job);
	for (size_t i = 0; i < o.n && rc == DB_OK; i++) {
		rc = write_one(w, db_run(&w->db, SQL_JOB_STOP, VALUES(INT(o.list[i].job), TEXT(why), INT(h->job))));
		write_stop(w, o.list[i].job, o.list[i].attempt, why);
	}
	return rc;
}

static enum db_rc make_way(struct writer *w, const struct queue_decision *d, const struct heir *h)
{
	enum db_rc rc = DB_OK;
	size_t n;

	if (d->replaces_debouncing)
		rc = replace(w, SQL_OTHERS_DEBOUNCING, h, &n);
	if (rc == DB_OK && d->replaces_waiting) {
		rc = replace(w, SQL_OTHERS_WAITING, h, &n);
		if (rc == DB_OK && n)
			rc = db_run(&w->db, SQL_QUEUE_REHEAD, VALUES(INT(h->queue)));
	}
	return rc == DB_OK && d->n_stopped ? stop_oldest(w, h, d->n_stopped) : rc;
}

/* ---- arriving ---- */

static enum db_rc take_in(struct writer *w, struct newcomer *n, int64_t job, const char *reason)
{
	struct submit_job *j = &n->from->jobs[n->index];
	enum db_rc rc = db_run(&w->db, SQL_MERGED_ADD, VALUES(INT(job)));

	if (rc != DB_OK)
		return rc;
	j->job = job;
	j->is_merged = 1;
	int64_t change = write_touch(w, (struct touched){ .job = job });
	return write_one(w, db_run(&w->db, SQL_JOB_TAKE_IN,
				   VALUES(INT(job), INT(n->from->delivery), INT(j->timeout_ms), TEXT(j->residue_json ? j->residue_json : ""),
					  TEXT(reason), INT(change))));
}

static enum db_rc take_in_waiting(struct writer *w, struct newcomer *n, const struct look *l)
{
	struct submit_job *j = &n->from->jobs[n->index];

	snprintf(j->reason, sizeof j->reason, "merged into job %lld, which waits", (long long)l->like_waiting);
	return take_in(w, n, l->like_waiting, "");
}

/* The slot's burst began with the earliest of those that debounce there, and its bound holds on. */
static enum db_rc debounce(struct writer *w, struct newcomer *n, const struct look *l, const struct queue_decision *d)
{
	struct submit_job *j = &n->from->jobs[n->index];
	int64_t latest_ms = l->latest_ms;
	enum db_rc rc = DB_ROW;

	if (!latest_ms && d->replaces_debouncing)
		rc = db_int(&w->db, SQL_LATEST_BOUND, VALUES(INT(n->queue)), &latest_ms);
	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	j->until_ms = queue_due_ms(&j->policy, w->burst_ms, &latest_ms);
	w->is_due_stale = 1;
	j->state = JOB_DEBOUNCING;
	say_until(w, j->until_ms, j->policy.busy, j->reason, sizeof j->reason);
	if (d->fate == QUEUE_MERGES_DEBOUNCING) {
		rc = take_in(w, n, l->like_debouncing, j->reason);
		return rc == DB_OK ? write_one(w, db_run(&w->db, SQL_DEBOUNCE_MOVE, VALUES(INT(j->job), INT(j->until_ms)))) : rc;
	}
	rc = write_job_row(w, n);
	if (rc != DB_OK)
		return rc;
	return db_run(&w->db, SQL_DEBOUNCE_ADD, VALUES(INT(j->job), INT(n->queue), n->merge ? TEXT(n->merge) : NOTHING, INT(j->until_ms),
						       INT(latest_ms)));
}

static enum db_rc queue_up(struct writer *w, struct newcomer *n)
{
	enum db_rc rc = write_job_row(w, n);
	return rc == DB_OK ? db_run(&w->db, SQL_QUEUE_ENTER, VALUES(INT(n->queue), INT(n->from->jobs[n->index].job))) : rc;
}

static enum db_rc skip(struct writer *w, struct newcomer *n, const struct slot *s, const struct look *l)
{
	struct submit_job *j = &n->from->jobs[n->index];
	enum db_rc rc = say_full(w, s, l, j->reason, sizeof j->reason);

	j->state = JOB_SKIPPED;
	n->queue = 0;
	return rc == DB_OK ? write_job_row(w, n) : rc;
}

static enum db_rc carry_out(struct writer *w, struct newcomer *n, const struct slot *s, const struct look *l)
{
	const struct submit_job *j = &n->from->jobs[n->index];
	struct queue_decision d = queue_on_arrival(&j->policy, &l->scene);
	enum db_rc rc = DB_BROKEN;

	n->queue = s->id;
	switch (d.fate) {
	case QUEUE_IS_QUEUED: rc = queue_up(w, n); break;
	case QUEUE_IS_DEBOUNCED:
	case QUEUE_MERGES_DEBOUNCING: rc = debounce(w, n, l, &d); break;
	case QUEUE_MERGES_WAITING: rc = take_in_waiting(w, n, l); break;
	case QUEUE_IS_SKIPPED: rc = skip(w, n, s, l); break;
	}
	return rc == DB_OK ? make_way(w, &d, &(struct heir){ j->job, n->from->delivery, s->id, n }) : rc;
}

static enum db_rc queue_join(struct writer *w, struct newcomer *n)
{
	const struct submit_job *j = &n->from->jobs[n->index];
	struct slot s;
	enum db_rc rc = take_slot(w, j, INT(j->job), &s);

	n->queue = s.id;
	return rc == DB_ROW ? write_job_row(w, n) : rc;
}

/* Of whatever queue. A job may debounce by rules that have changed since. */
static int has_debounces(const struct writer *w)
{
	return w->due_ms != INT64_MAX || w->is_due_stale;
}

enum db_rc queue_arrive(struct writer *w, struct newcomer *n)
{
	const struct submit_job *j = &n->from->jobs[n->index];
	struct look l = { 0 };
	struct slot s;

	int is_plain = j->policy.busy == QUEUE_WAIT && !j->policy.debounce_ms;
	if (is_plain && !has_debounces(w))
		return queue_join(w, n);
	CLEANUP(freep) char *merge = merge_text(n->from, j, n->rule, n->source);
	enum db_rc rc = take_slot(w, j, NOTHING, &s);
	if (rc == DB_ROW)
		rc = claim_first(w, &s);
	if (rc == DB_ROW)
		rc = look_at_queue(w, &s, &l);
	if (rc == DB_ROW && merge)
		rc = look_for_like(w, &s, merge, &l);
	if (rc == DB_ROW)
		rc = look_for_room(w, n->from->body.len, l.like_debouncing ? &l.like_debouncing : &l.like_waiting);
	if (rc != DB_ROW)
		return rc;
	l.scene.is_like_debouncing = l.like_debouncing != 0;
	l.scene.is_like_waiting = l.like_waiting != 0;
	n->merge = is_plain ? NULL : merge;     /* what joins takes nothing in */
	rc = carry_out(w, n, &s, &l);
	n->merge = NULL;
	return rc;
}

/* ---- due ---- */

static enum db_rc skip_due(struct writer *w, int64_t job, const struct slot *s, const struct look *l)
{
	char why[128];
	enum db_rc rc = say_full(w, s, l, why, sizeof why);

	if (rc != DB_OK)
		return rc;
	int64_t change = write_touch(w, (struct touched){ .job = job });
	rc = write_one(w, db_run(&w->db, SQL_JOB_END, VALUES(INT(job), INT(JOB_SKIPPED), INT(w->now_ms), NOTHING, TEXT(why), NOTHING,
							     INT(change))));
	return rc == DB_OK ? ended_unrun(w, job) : rc;
}

static enum db_rc enter(struct writer *w, int64_t job, int64_t queue, int64_t delivery)
{
	struct look l = { 0 };
	struct slot s;
	enum db_rc rc = read_slot(w, queue, &s);

	if (rc == DB_ROW)
		rc = claim_first(w, &s);
	if (rc == DB_ROW)
		rc = look_at_queue(w, &s, &l);
	if (rc == DB_ROW)
		rc = leave_debounce(w, job);
	if (rc != DB_OK)
		return rc;
	struct queue_decision d = queue_on_entry(&s.policy, &l.scene);
	if (d.fate == QUEUE_IS_SKIPPED)
		return skip_due(w, job, &s, &l);
	int64_t change = write_touch(w, (struct touched){ .job = job });
	rc = write_one(w, db_run(&w->db, SQL_JOB_ENTER, VALUES(INT(job), INT(change))));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_QUEUE_ENTER, VALUES(INT(queue), INT(job)));
	return rc == DB_OK ? make_way(w, &d, &(struct heir){ job, delivery, queue, NULL }) : rc;
}

enum db_rc write_due(struct writer *w)
{
	sqlite3_stmt *row;
	enum db_rc rc = DB_OK;

	w->is_due_stale = 1;
	for (int i = 0; i < DUE_PIECE && rc == DB_OK; i++) {
		rc = db_first(&w->db, SQL_DUE, VALUES(INT(w->burst_ms)), &row);
		if (rc != DB_ROW)
			return rc;
		int64_t job = sqlite3_column_int64(row, 0), queue = sqlite3_column_int64(row, 1), delivery = sqlite3_column_int64(row, 2);
		db_end(row);
		rc = enter(w, job, queue, delivery);
	}
	return rc;
}

enum db_rc write_next_due(struct writer *w)
{
	enum db_rc rc = db_int(&w->db, SQL_NEXT_DUE, NULL, 0, &w->due_ms);

	if (rc == DB_OK)
		w->due_ms = INT64_MAX;
	w->is_due_stale &= rc < DB_OK;
	return rc < DB_OK ? rc : DB_OK;
}
