/* store/write.c - one transaction.
 *
 * A job waits in a queue and a queue has slots. The queue's row says how many of its slots are taken and which job waits
 * at its head; whoever changes a job's state changes that row with it, so finding the next job to run is one look into
 * the index of ready queues, and the jobs behind the head are never walked. Jobs are numbered in the order of arrival,
 * and the smallest number goes first: within a queue and, where the slots of all are short, among queues (I9).
 *
 * The attempt number is the fence: it is written with the slot, and a result with another number changes nothing. */
#include "store/write.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/notice.h"
#include "store/rows.h"
#include "store/schema.h"
#include "store/submit.h"

#define CLOCK_SLACK_MS 1000             /* a clock that is set by less than that has not been set */

static enum db_rc read_meta(struct writer *w)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_META, NULL, 0, &row);

	if (rc != DB_ROW)
		return DB_BROKEN;
	w->now = (struct tally){ .change = sqlite3_column_int64(row, 0), .last_delivery = sqlite3_column_int64(row, 1),
				 .last_job = sqlite3_column_int64(row, 2), .deliveries = sqlite3_column_int64(row, 3),
				 .body_bytes = sqlite3_column_int64(row, 4) };
	db_end(row);
	rc = db_int(&w->db, SQL_COUNT_STATE, VALUES(INT(JOB_RUNNING)), &w->now.running);
	w->durable = w->now;
	return rc;
}

int writer_open(struct writer *w, const char *path, int jobs_max, struct err *e)
{
	*w = (struct writer){ .jobs_max = jobs_max, .may_have_effects = 1 };
	if (db_open(path, DB_WRITER, &w->db, e) < 0)
		return -1;
	if (schema_migrate(&w->db, e) < 0)
		goto failed;
	w->clock = w->clock_next = (struct moment){ wall_ms(), mono_ms() };
	/* what began in a future has been waited for by a clock that was wrong then, or is now */
	if (read_meta(w) != DB_ROW || db_run(&w->db, SQL_DEBOUNCES_PRESENT, VALUES(INT(w->clock.wall_ms))) != DB_OK ||
	    write_next_due(w) != DB_OK) {
		err_set(e, ERR_IO, "database %s: %s", path, w->db.error);
		goto failed;
	}
	return 0;
failed:
	db_close(&w->db);
	return -1;
}

void writer_close(struct writer *w)
{
	db_close(&w->db);
	free(w->touched);
	free(w->claimed);
	free(w->stopping);
	free(w->fresh);
}

/* ---- the transaction and its savepoints ---- */

static void forget(struct writer *w)
{
	w->n_touched = w->n_claimed = w->n_stopping = w->n_fresh = 0;
}

int64_t writer_burst_ms(const struct writer *w)
{
	return w->clock.wall_ms + (mono_ms() - w->clock.mono_ms);
}

static enum db_rc follow_clock(struct writer *w)
{
	const struct moment now = { w->now_ms, mono_ms() };
	int64_t passed_ms = w->clock.wall_ms + (now.mono_ms - w->clock.mono_ms), set_by_ms = now.wall_ms - passed_ms;
	int has_debounces = w->due_ms != INT64_MAX;

	w->clock_next = w->clock;
	w->burst_ms = passed_ms;
	if (has_debounces && set_by_ms > -CLOCK_SLACK_MS && set_by_ms < CLOCK_SLACK_MS)
		return DB_OK;
	w->clock_next = now;
	w->burst_ms = now.wall_ms;
	w->is_due_stale |= has_debounces;
	return has_debounces ? db_run(&w->db, SQL_DEBOUNCES_SET, VALUES(INT(set_by_ms))) : DB_OK;
}

enum db_rc write_begin(struct writer *w)
{
	forget(w);
	w->now_ms = wall_ms();
	enum db_rc rc = db_run0(&w->db, SQL_BEGIN);
	return rc == DB_OK ? follow_clock(w) : rc;
}

enum db_rc write_rollback(struct writer *w)
{
	w->now = w->durable;
	forget(w);
	if (sqlite3_get_autocommit(w->db.handle))
		return DB_OK;                   /* SQLite has done it by itself, or it never began */
	return db_run0(&w->db, SQL_ROLLBACK);
}

static int claims_in_order(const void *a, const void *b)
{
	int64_t x = ((const struct claimed *)a)->job, y = ((const struct claimed *)b)->job;
	return x < y ? -1 : x > y;
}

enum db_rc write_commit(struct writer *w)
{
	const struct tally *t = &w->now, *d = &w->durable;
	enum db_rc rc = DB_OK;

	if (t->change != d->change || t->deliveries != d->deliveries || t->body_bytes != d->body_bytes)
		rc = db_run(&w->db, SQL_META_SET, VALUES(INT(t->change), INT(t->last_delivery), INT(t->last_job),
							 INT(t->deliveries), INT(t->body_bytes)));
	if (rc == DB_OK)
		rc = db_run0(&w->db, SQL_COMMIT);
	if (rc != DB_OK)
		return rc;
	w->durable = w->now;
	w->clock = w->clock_next;
	if (w->n_claimed > 1)           /* some may have been claimed between two requests: claim_from_submit */
		qsort(w->claimed, w->n_claimed, sizeof *w->claimed, claims_in_order);
	return DB_OK;
}

static enum db_rc open_request(struct writer *w)
{
	w->mark = w->now;
	w->mark_touched = w->n_touched;
	w->mark_fresh = w->n_fresh;
	w->mark_claimed = w->n_claimed;
	w->mark_stopping = w->n_stopping;
	return w->is_careful ? db_run0(&w->db, SQL_SAVE) : DB_OK;
}

/* RC is how the request went; a refused one is undone, alone. */
static enum db_rc close_request(struct writer *w, enum db_rc rc)
{
	enum db_rc done;

	if (!w->is_careful || rc == DB_FULL || rc == DB_BROKEN)
		return rc;
	if (rc == DB_REFUSED) {
		w->now = w->mark;
		w->n_touched = w->mark_touched;
		w->n_fresh = w->mark_fresh;
		w->n_claimed = w->mark_claimed;
		w->n_stopping = w->mark_stopping;
		done = db_run0(&w->db, SQL_UNDO);
		if (done != DB_OK)
			return DB_BROKEN;
	}
	done = db_run0(&w->db, SQL_RELEASE);
	return done == DB_OK ? rc : DB_BROKEN;
}

/* A statement that must find the row it names: our own bookkeeping said it is there. */
enum db_rc write_one(struct writer *w, enum db_rc rc)
{
	if (rc == DB_OK && sqlite3_changes(w->db.handle) != 1) {
		memcpy(w->db.error, "a row is missing", sizeof "a row is missing");
		return DB_BROKEN;
	}
	return rc;
}

static void *grow(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap ? *cap * 2 : 64;
	return xrealloc(list, *cap * size);
}

static int by_job(const void *key, const void *item)
{
	int64_t a = *(const int64_t *)key, b = ((const struct fresh *)item)->job;
	return a < b ? -1 : a > b;
}

/* Jobs are numbered as they come, so the list is sorted. */
static struct fresh *find_fresh(const struct writer *w, int64_t job)
{
	if (!w->n_fresh || job < w->fresh[0].job)
		return NULL;
	return bsearch(&job, w->fresh, w->n_fresh, sizeof *w->fresh, by_job);
}

int64_t write_touch(struct writer *w, struct touched t)
{
	struct fresh *f = t.job ? find_fresh(w, t.job) : NULL;

	if (f)
		f->change = 0;
	t.change = ++w->now.change;
	w->touched = grow(w->touched, w->n_touched, &w->cap_touched, sizeof *w->touched);
	w->touched[w->n_touched++] = t;
	return t.change;
}

void write_stop(struct writer *w, int64_t job, int attempt, const char *why)
{
	w->stopping = grow(w->stopping, w->n_stopping, &w->cap_stopping, sizeof *w->stopping);
	struct stopping *t = &w->stopping[w->n_stopping++];
	*t = (struct stopping){ .job = job, .attempt = attempt };
	snprintf(t->reason, sizeof t->reason, "%s", why);
}

enum db_rc write_job_row(struct writer *w, const struct newcomer *n)
{
	const struct submit *r = n->from;
	const struct submit_job *j = &r->jobs[n->index];
	struct db_value ended = job_state_is_final(j->state) ? INT(w->now_ms) : NOTHING;

	assert(j->job == w->now.last_job + 1);
	w->now.last_job++;
	w->fresh = grow(w->fresh, w->n_fresh, &w->cap_fresh, sizeof *w->fresh);
	int64_t change = write_touch(w, (struct touched){ .job = j->job });
	w->fresh[w->n_fresh++] = (struct fresh){ .job = j->job, .from = n->from, .index = n->index, .change = change };
	return db_run(&w->db, SQL_JOB_ADD,
		      VALUES(INT(j->job), INT(r->delivery), INT(n->rule), INT_OR_NULL(n->queue), INT(j->state), INT(j->timeout_ms),
			     INT(w->now_ms), INT(change), TEXT(j->reason), ended, INT(j->trust),
			     TEXT(j->residue_json ? j->residue_json : ""), n->merge ? TEXT(n->merge) : NOTHING));
}

/* ---- submit ---- */

/* The id of a row that is known by its text: a source, a rule. */
static enum db_rc find_or_add(struct writer *w, enum sql find, enum sql add, const struct db_value *values, size_t n,
			      int64_t *id)
{
	enum db_rc rc = db_int(&w->db, find, values, n, id);

	if (rc != DB_OK)
		return rc;
	rc = db_run(&w->db, add, values, n);
	*id = sqlite3_last_insert_rowid(w->db.handle);
	return rc == DB_OK ? DB_ROW : rc;
}

/* A later one of its key is not to run, and its reason names the first. */
static enum db_rc find_once(struct writer *w, struct submit_job *j, int64_t rule)
{
	int64_t first;

	if (!j->once_key)
		return DB_OK;
	enum db_rc rc = db_int(&w->db, SQL_ONCE_FIND, VALUES(INT(rule), TEXT(j->once_key), INT(w->now_ms)), &first);
	if (rc != DB_ROW)
		return rc;
	j->state = JOB_SKIPPED;
	snprintf(j->reason, sizeof j->reason, "once: job %lld was the first of \"%.100s\"", (long long)first, j->once_key);
	return DB_OK;
}

/* What becomes of a new job: it goes to its queue, unless `once` or its trust says otherwise. */
static enum db_rc place_job(struct writer *w, struct newcomer *n)
{
	struct submit_job *j = &n->from->jobs[n->index];
	enum db_rc rc = find_once(w, j, n->rule);

	if (rc != DB_OK || j->state != JOB_QUEUED)
		return rc == DB_OK ? write_job_row(w, n) : rc;
	if (j->trust != TRUST_ASKED)
		return queue_arrive(w, n);
	j->state = JOB_AWAITING_APPROVAL;
	snprintf(j->reason, sizeof j->reason, "the request is from a fork, or may be: it waits for an approval, %lld hours at most",
		 JOB_APPROVAL_MS / 3600000);
	return write_job_row(w, n);
}

static enum db_rc add_job(struct writer *w, struct submit *r, int index, int64_t source)
{
	struct submit_job *j = &r->jobs[index];
	struct newcomer n = { .from = r, .index = index, .source = source };
	enum db_rc rc = find_or_add(w, SQL_RULE_FIND, SQL_RULE_ADD,
				    VALUES(TEXT(j->rule), TEXT(j->file), TEXT(j->cell ? j->cell : "")), &n.rule);

	if (rc != DB_ROW)
		return rc;
	j->job = w->now.last_job + 1;
	j->is_merged = 0;
	j->state = JOB_QUEUED;
	j->until_ms = 0;
	j->reason[0] = '\0';
	rc = place_job(w, &n);
	if (rc != DB_OK || !j->once_key || j->state == JOB_SKIPPED)
		return rc;
	return db_run(&w->db, SQL_ONCE_SET, VALUES(INT(n.rule), TEXT(j->once_key), INT(j->job), INT(w->now_ms + j->once_within_ms)));
}

static enum db_rc first_jobs(struct writer *w, struct submit *r)
{
	struct buf json = BUF(1 << 20);
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_FIRST_JOBS, VALUES(INT(r->delivery)), &row);

	buf_addc(&json, '[');
	for (; rc == DB_ROW; rc = db_step(&w->db, row)) {
		buf_adds(&json, json.len > 1 ? ",{\"rule\":" : "{\"rule\":");
		buf_add_json(&json, column_slice(row, 0));
		if (column_slice(row, 2).len)
			row_add_text(&json, "cell", row, 2);
		buf_addf(&json, ",\"job\":%lld}", (long long)sqlite3_column_int64(row, 1));
	}
	buf_addc(&json, ']');
	r->first_jobs_json = buf_take(&json);
	return rc;
}

static struct slice digest_of(const struct submit *r)
{
	return (struct slice){ (const char *)r->digest, sizeof r->digest };
}

static enum db_rc submit_duplicate(struct writer *w, struct submit *r, int64_t source)
{
	enum db_rc rc = db_int(&w->db, SQL_DELIVERY_FIND, VALUES(INT(source), TEXT(r->key)), &r->delivery);

	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	r->outcome = STORE_DUPLICATE;
	return first_jobs(w, r);
}

/* A body that its sender signed and somebody sent again under another id; a replay that was asked for is no such thing. */
static enum db_rc add_facet(struct writer *w, struct submit *r, int64_t source)
{
	enum db_rc rc = DB_OK;

	r->same_as = r->original = 0;
	if (r->replay_of)
		rc = db_int(&w->db, SQL_ORIGINAL, VALUES(INT(r->replay_of)), &r->original);
	else if (r->has_digest)
		rc = db_int(&w->db, SQL_SAME_FIND, VALUES(BLOB(digest_of(r)), INT(source), INT(r->delivery)), &r->same_as);
	if (rc < DB_OK)
		return rc;
	return db_run(&w->db, SQL_FACET_ADD,
		      VALUES(INT(r->delivery), INT(source), TEXT(r->event), TEXT(r->action), INT(r->received_ms),
			     INT_OR_NULL(r->replay_of), INT_OR_NULL(r->same_as), TEXT(r->summary_json),
			     INT_OR_NULL(r->original), INT_OR_NULL(r->root)));
}

static enum db_rc submit_rows(struct writer *w, struct submit *r)
{
	int64_t source;
	struct tally before = w->now;
	enum db_rc rc = find_or_add(w, SQL_SOURCE_FIND, SQL_SOURCE_ADD, VALUES(TEXT(r->source)), &source);

	if (rc != DB_ROW)
		return rc;
	r->delivery = ++w->now.last_delivery;
	int64_t change = write_touch(w, (struct touched){ .delivery = r->delivery, .from = r });
	rc = db_run(&w->db, SQL_DELIVERY_ADD,
		    VALUES(INT(r->delivery), INT(source), TEXT(r->key), TEXT(r->provider), TEXT(r->event), TEXT(r->action),
			   INT(r->received_ms), INT((int64_t)r->body.len), INT(change), TEXT(r->summary_json), TEXT(r->ruleset),
			   TEXT(r->event_json), TEXT(r->headers_json), TEXT(r->why_json), TEXT(r->query ? r->query : ""),
			   r->secret ? TEXT(r->secret) : NOTHING, TEXT(r->notes_json ? r->notes_json : "[]"),
			   r->has_digest ? BLOB(digest_of(r)) : NOTHING, r->cause_json ? TEXT(r->cause_json) : NOTHING,
			   r->root ? INT(r->root) : NOTHING));
	if (rc != DB_OK)
		return rc;
	if (sqlite3_changes(w->db.handle) == 0) {
		w->now = before;
		w->n_touched--;
		return submit_duplicate(w, r, source);
	}
	rc = add_facet(w, r, source);
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_RULESET_USE, VALUES(TEXT(r->ruleset)));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_BODY_ADD, VALUES(INT(r->delivery), BLOB(buf_slice(&r->body))));
	for (int i = 0; i < r->n_jobs && rc == DB_OK; i++)
		rc = add_job(w, r, i, source);
	if (rc == DB_OK)
		rc = chain_note_born(w, r);
	w->now.deliveries++;
	w->now.body_bytes += (int64_t)r->body.len;
	r->outcome = STORE_OK;
	return rc;
}

/* What it is the end of goes with it, also where it was there before. */
static enum db_rc submit_whole(struct writer *w, struct submit *r)
{
	enum db_rc rc = r->effect ? write_effect_done(w, r->effect) : DB_OK;

	if (rc == DB_OK && r->cron_rule)
		rc = timing_take_instant(w, r);
	if (rc == DB_OK && r->cron_rule) {
		r->outcome = STORE_DUPLICATE;
		r->first_jobs_json = xstrdup("[]");
		return DB_OK;
	}
	return rc >= DB_OK ? submit_rows(w, r) : rc;
}

enum db_rc write_submit(struct writer *w, struct submit *r)
{
	assert(r->key && r->key[0]);
	enum db_rc rc = open_request(w);
	return rc == DB_OK ? close_request(w, submit_whole(w, r)) : rc;
}

/* ---- finish, cancel, started ---- */

struct holder {
	enum job_state state;
	int attempt;
	int64_t queue;
	char wish[256];                 /* "" where nobody asked for an end */
};

static enum db_rc job_holder(struct writer *w, int64_t job, struct holder *out)
{
	sqlite3_stmt *row;
	enum db_rc rc = db_first(&w->db, SQL_JOB_HOLDER, VALUES(INT(job)), &row);

	if (rc != DB_ROW)
		return rc;
	*out = (struct holder){ .state = (enum job_state)sqlite3_column_int(row, 0), .attempt = sqlite3_column_int(row, 1),
				.queue = sqlite3_column_int64(row, 2) };
	struct slice wish = slice_upto(column_slice(row, 3), sizeof out->wish - 1);
	if (wish.len)
		memcpy(out->wish, wish.ptr, wish.len);
	db_end(row);
	return DB_ROW;
}

static enum db_rc end_attempt(struct writer *w, const struct job_result *res)
{
	return write_one(w, db_run(&w->db, SQL_ATTEMPT_END,
					 VALUES(INT(res->job), INT(res->attempt), INT(res->state), INT(w->now_ms),
						INT(res->exit_code), TEXT(res->reason), INT(res->log_bytes))));
}

static enum db_rc end_job(struct writer *w, const struct job_result *res, const struct holder *h, const struct finish *r)
{
	enum db_rc rc = end_attempt(w, res);

	if (rc != DB_OK)
		return rc;
	int64_t change = write_touch(w, (struct touched){ .job = res->job, .attempt = res->attempt, .attempt_ended = 1,
						    .log_bytes = res->log_bytes });
	rc = db_run(&w->db, SQL_JOB_END, VALUES(INT(res->job), INT(res->state), INT(w->now_ms), INT(res->exit_code),
						TEXT(res->reason), INT(res->log_bytes), INT(change)));
	rc = write_one(w, rc);
	if (rc != DB_OK)
		return rc;
	w->now.running--;
	rc = write_one(w, db_run(&w->db, SQL_QUEUE_LEAVE, VALUES(INT(h->queue))));
	return rc == DB_OK ? chain_note_end(w, res->job, r) : rc;
}

/* Back to where it stood: its number is older than that of any job that waits, so it is the head again. */
static enum db_rc queue_again(struct writer *w, const struct job_result *res, const struct holder *h)
{
	enum db_rc rc = end_attempt(w, res);

	if (rc != DB_OK)
		return rc;
	int64_t change = write_touch(w, (struct touched){ .job = res->job, .attempt = res->attempt, .attempt_ended = 1,
						    .log_bytes = res->log_bytes });
	rc = write_one(w, db_run(&w->db, SQL_JOB_AGAIN, VALUES(INT(res->job), TEXT(res->reason), INT(change))));
	if (rc != DB_OK)
		return rc;
	w->now.running--;
	return write_one(w, db_run(&w->db, SQL_QUEUE_RETURN, VALUES(INT(h->queue), INT(res->job))));
}

static enum db_rc finish_rows(struct writer *w, struct finish *r)
{
	struct job_result res = r->result;
	struct holder h;
	enum db_rc rc = job_holder(w, res.job, &h);

	if (rc != DB_ROW) {
		r->outcome = STORE_NOT_FOUND;
		return rc;
	}
	if (h.state != JOB_RUNNING || h.attempt != res.attempt) {
		r->outcome = STORE_STALE;
		return DB_OK;
	}
	r->outcome = STORE_OK;
	if (!r->again)
		return end_job(w, &res, &h, r);
	if (!job_state_is_final(res.state))
		res.state = JOB_LOST;
	if (!h.wish[0])
		return queue_again(w, &res, &h);
	res.state = JOB_CANCELLED;
	memcpy(res.reason, h.wish, sizeof res.reason);
	return end_job(w, &res, &h, r);
}

enum db_rc write_finish(struct writer *w, struct finish *r)
{
	assert(r->again || job_state_is_final(r->result.state));
	enum db_rc rc = open_request(w);
	return rc == DB_OK ? close_request(w, finish_rows(w, r)) : rc;
}

static enum db_rc next_in_queue(struct writer *w, int64_t queue, int64_t after, struct db_value *out)
{
	int64_t next;
	enum db_rc rc = db_int(&w->db, SQL_NEXT_IN_QUEUE, VALUES(INT(queue), INT(after)), &next);

	*out = rc == DB_ROW ? INT(next) : NOTHING;
	return rc == DB_ROW ? DB_OK : rc;
}

enum db_rc write_refuse(struct writer *w, int64_t job, const char *why)
{
	int64_t change = write_touch(w, (struct touched){ .job = job });
	enum db_rc rc = db_run(&w->db, SQL_JOB_END, VALUES(INT(job), INT(JOB_REFUSED), INT(w->now_ms), NOTHING, TEXT(why), NOTHING,
							   INT(change)));
	rc = write_one(w, rc);
	return rc == DB_OK ? chain_note_end(w, job, NULL) : rc;
}

static enum db_rc cancel_waiting(struct writer *w, struct cancel *r, const struct holder *h)
{
	struct db_value next;
	int64_t change = write_touch(w, (struct touched){ .job = r->job });
	enum db_rc rc = db_run(&w->db, SQL_JOB_END, VALUES(INT(r->job), INT(JOB_CANCELLED), INT(w->now_ms), NOTHING,
							   TEXT(r->reason), NOTHING, INT(change)));
	rc = write_one(w, rc);
	r->state = JOB_CANCELLED;
	if (rc == DB_OK && h->state == JOB_DEBOUNCING) {
		rc = db_run(&w->db, SQL_DEBOUNCE_DROP, VALUES(INT(r->job)));
		w->is_due_stale = 1;
	}
	if (rc == DB_OK && h->state == JOB_QUEUED)              /* others stand in no queue */
		rc = next_in_queue(w, h->queue, r->job, &next);
	if (rc == DB_OK && h->state == JOB_QUEUED)
		rc = db_run(&w->db, SQL_QUEUE_HEAD, VALUES(INT(h->queue), INT(r->job), next));
	return rc == DB_OK ? chain_note_end(w, r->job, NULL) : rc;
}

static enum db_rc cancel_rows(struct writer *w, struct cancel *r)
{
	struct holder h;
	enum db_rc rc = job_holder(w, r->job, &h);

	if (rc != DB_ROW) {
		r->outcome = STORE_NOT_FOUND;
		return rc;
	}
	r->state = h.state;
	r->attempt = h.attempt;
	r->outcome = job_state_is_final(h.state) ? STORE_STALE : STORE_OK;
	if (r->outcome == STORE_STALE)
		return DB_OK;
	if (h.state != JOB_RUNNING)
		return cancel_waiting(w, r, &h);
	const char *wish = r->reason[0] ? r->reason : "cancelled";
	return write_one(w, db_run(&w->db, SQL_JOB_WISH, VALUES(INT(r->job), TEXT(wish))));
}

enum db_rc write_cancel(struct writer *w, struct cancel *r)
{
	enum db_rc rc = open_request(w);
	return rc == DB_OK ? close_request(w, cancel_rows(w, r)) : rc;
}

enum db_rc write_started(struct writer *w, int64_t job, int attempt, const char *confinement)
{
	return db_run(&w->db, SQL_STARTED, VALUES(INT(job), INT(attempt), TEXT(confinement)));
}

/* ---- claim ---- */

static enum db_rc claim_one(struct writer *w, int64_t queue, int64_t job)
{
	struct holder h;
	struct db_value next;
	enum db_rc rc = job_holder(w, job, &h);

	if (rc != DB_ROW || h.state != JOB_QUEUED) {
		if (rc == DB_ROW || rc == DB_OK)
			memcpy(w->db.error, "a queue's head does not wait", sizeof "a queue's head does not wait");
		return rc == DB_FULL ? rc : DB_BROKEN;
	}
	int attempt = h.attempt + 1;
	struct fresh *f = find_fresh(w, job);
	int is_plain = f && f->change;
	int64_t change = write_touch(w, (struct touched){ .job = job, .attempt = attempt });
	if (is_plain) {
		f->change = change;
		f->attempt = attempt;
	}
	rc = db_run(&w->db, SQL_JOB_CLAIM, VALUES(INT(job), INT(attempt), INT(w->now_ms), INT(change)));
	if (rc == DB_OK)
		rc = db_run(&w->db, SQL_ATTEMPT_ADD, VALUES(INT(job), INT(attempt), INT(w->now_ms)));
	if (rc == DB_OK)
		rc = next_in_queue(w, queue, job, &next);
	if (rc == DB_OK)
		rc = write_one(w, db_run(&w->db, SQL_QUEUE_TAKE, VALUES(INT(queue), next)));
	w->now.running++;
	w->claimed = grow(w->claimed, w->n_claimed, &w->cap_claimed, sizeof *w->claimed);
	w->claimed[w->n_claimed++] = (struct claimed){ .job = job, .attempt = attempt };
	return rc == DB_REFUSED ? DB_BROKEN : rc;
}

enum db_rc write_claims(struct writer *w)
{
	while (w->may_claim && w->now.running < w->jobs_max) {
		sqlite3_stmt *row;
		enum db_rc rc = db_first(&w->db, SQL_READY, NULL, 0, &row);
		if (rc != DB_ROW)
			return rc;
		int64_t queue = sqlite3_column_int64(row, 0), job = sqlite3_column_int64(row, 1);
		db_end(row);
		rc = claim_one(w, queue, job);
		if (rc != DB_OK)
			return rc;
	}
	return DB_OK;
}

/* ---- after the commit ---- */

static struct buf buf_copy(const struct buf *b)
{
	struct buf out = BUF(b->max > b->len ? b->max : b->len);
	buf_add(&out, buf_slice(b));
	return out;
}

/* Claims stand in the order of the jobs' numbers, so the jobs of one submit stand together: the last takes the bytes. */
static struct claim *claim_from_submit(struct writer *w, size_t i, const struct fresh *f)
{
	struct submit *s = f->from;
	const struct submit_job *j = &s->jobs[f->index];
	const struct fresh *next = i + 1 < w->n_claimed ? find_fresh(w, w->claimed[i + 1].job) : NULL;
	struct claim *c = xcalloc(1, sizeof *c);

	*c = (struct claim){
		.job = j->job, .delivery = s->delivery, .attempt = w->claimed[i].attempt, .rule = xstrdup(j->rule),
		.file = xstrdup(j->file), .cell = xstrdup(j->cell ? j->cell : ""), .ruleset = xstrdup(s->ruleset),
		.source = xstrdup(s->source), .timeout_ms = j->timeout_ms, .trust = j->trust, .received_ms = s->received_ms, .reason = xstrdup(""),
		.residue_json = xstrdup(j->residue_json ? j->residue_json : ""), .original = s->original,
	};
	if (next && next->from == s) {
		c->event_json = xstrdup(s->event_json);
		c->headers_json = xstrdup(s->headers_json);
		c->cause_json = xstrdup(s->cause_json);
		c->body = buf_copy(&s->body);
	} else {
		c->event_json = TAKE(&s->event_json);
		c->headers_json = TAKE(&s->headers_json);
		c->cause_json = TAKE(&s->cause_json);
		c->body = s->body;
		s->body = (struct buf){ .max = c->body.max };
	}
	return c;
}

static struct claim *claim_from_row(sqlite3_stmt *row, const struct claimed *taken)
{
	struct claim *c = xcalloc(1, sizeof *c);
	struct slice body = column_slice(row, 10);

	c->job = taken->job;
	c->attempt = taken->attempt;
	c->rule = slice_dup(column_slice(row, 0));
	c->file = slice_dup(column_slice(row, 1));
	c->cell = slice_dup(column_slice(row, 2));
	c->ruleset = slice_dup(column_slice(row, 3));
	c->source = slice_dup(column_slice(row, 4));
	c->event_json = slice_dup(column_slice(row, 5));
	c->headers_json = slice_dup(column_slice(row, 6));
	c->received_ms = sqlite3_column_int64(row, 7);
	c->timeout_ms = sqlite3_column_int64(row, 8);
	c->delivery = sqlite3_column_int64(row, 9);
	c->body = BUF(body.len);
	buf_add(&c->body, body);
	c->reason = slice_dup(column_slice(row, 11));
	c->trust = (enum job_trust)sqlite3_column_int(row, 12);
	c->cause_json = column_text(row, 13);
	c->residue_json = slice_dup(column_slice(row, 14));
	c->original = sqlite3_column_int64(row, 15);
	c->n_merged = (size_t)sqlite3_column_int64(row, 16);
	return c;
}

static enum db_rc add_merged(struct writer *w, struct claim *c)
{
	sqlite3_stmt *row;
	size_t n = 0;
	enum db_rc rc = db_first(&w->db, SQL_MERGED_OF, VALUES(INT(c->job)), &row);

	c->merged = xcalloc(c->n_merged, sizeof *c->merged);
	for (; rc == DB_ROW && n < c->n_merged; rc = db_step(&w->db, row))
		c->merged[n++] = (struct merged){ sqlite3_column_int64(row, 0), slice_dup(column_slice(row, 1)) };
	if (rc == DB_OK && n == c->n_merged)
		return DB_ROW;
	c->n_merged = n;
	return rc < DB_OK ? rc : DB_BROKEN;
}

enum db_rc write_claim_take(struct writer *w, size_t i, struct claim **out)
{
	const struct fresh *f = find_fresh(w, w->claimed[i].job);
	sqlite3_stmt *row;

	if (f && f->change) {
		*out = claim_from_submit(w, i, f);
		return DB_ROW;
	}
	enum db_rc rc = db_first(&w->db, SQL_CLAIM_ROW, VALUES(INT(w->claimed[i].job), INT(w->claimed[i].attempt)), &row);
	if (rc != DB_ROW)
		return rc == DB_OK ? DB_BROKEN : rc;
	struct claim *c = claim_from_row(row, &w->claimed[i]);
	db_end(row);
	rc = c->n_merged ? add_merged(w, c) : DB_ROW;
	if (rc == DB_ROW)
		*out = c;
	else
		claim_free(c);
	return rc;
}

static void fresh_json(const struct writer *w, const struct fresh *f, struct buf *out)
{
	const struct submit *s = f->from;
	const struct submit_job *j = &s->jobs[f->index];
	const struct job_row row = {
		.id = f->job, .delivery = s->delivery,
		.rule = slice_of(j->rule), .file = slice_of(j->file), .cell = slice_of(j->cell),
		.state = f->attempt ? JOB_RUNNING : j->state, .trust = j->trust, .attempt = f->attempt, .source = slice_of(s->source),
		.event = slice_of(s->event), .summary = slice_of(s->summary_json), .queued_ms = w->now_ms,
		.started_ms = f->attempt ? w->now_ms : ROW_NULL, .ended_ms = job_state_is_final(j->state) ? w->now_ms : ROW_NULL,
		.reason = slice_of(j->reason),
		.until_ms = j->until_ms, .exit_code = ROW_NULL, .log_bytes = ROW_NULL, .change = f->change,
	};
	job_row_json(&row, out);
}

static void submit_json(const struct submit *s, int64_t change, struct buf *out)
{
	const struct delivery_row row = {
		.id = s->delivery, .source = slice_of(s->source), .provider = slice_of(s->provider), .key = slice_of(s->key),
		.event = slice_of(s->event), .action = slice_of(s->action), .summary = slice_of(s->summary_json),
		.received_ms = s->received_ms, .bytes = (int64_t)s->body.len, .jobs = s->n_jobs, .change = change,
		.replay_of = s->replay_of, .same_as = s->same_as, .root = s->root,
	};
	delivery_row_json(&row, out);
}

/* DB_OK: a later entry tells it. */
static enum db_rc changed_json(struct writer *w, const struct touched *t, struct buf *out, struct job_brief *brief)
{
	if (t->delivery) {
		submit_json(t->from, t->change, out);
		return DB_ROW;
	}
	const struct fresh *f = find_fresh(w, t->job);
	if (f && f->change) {
		if (f->change != t->change)
			return DB_OK;
		fresh_json(w, f, out);
		*brief = (struct job_brief){ f->change, f->attempt ? JOB_RUNNING : f->from->jobs[f->index].state, f->attempt };
		return DB_ROW;
	}
	size_t at = out->len;
	enum db_rc rc = row_job(&w->db, t->job, out, brief);
	if (rc != DB_ROW)
		return DB_BROKEN;
	if (brief->change == t->change || t->attempt_ended)
		return DB_ROW;
	out->len = at;
	return DB_OK;
}

enum db_rc write_notice(struct writer *w, struct notice **out)
{
	struct notice *n = notice_new(w->n_touched);
	struct buf *texts = notice_texts(n);
	enum db_rc rc = DB_OK;
	size_t at = 0;

	for (size_t i = 0; i < w->n_touched && rc >= DB_OK; i++) {
		const struct touched *t = &w->touched[i];
		struct job_brief brief = { 0 };
		size_t from = texts->len;
		rc = changed_json(w, t, texts, &brief);
		if (rc != DB_ROW)
			continue;
		n->changes[n->n++] = (struct change){
			.change = t->change, .job = t->job, .delivery = t->delivery, .state = brief.state,
			.attempt = t->attempt ? t->attempt : brief.attempt, .attempt_ended = t->attempt_ended,
			.log_bytes = t->attempt_ended ? t->log_bytes : -1, .json = { NULL, texts->len - from },
		};
	}
	for (size_t i = 0; i < n->n; i++) {             /* now that the text has stopped moving */
		n->changes[i].json.ptr = texts->ptr + at;
		at += n->changes[i].json.len;
	}
	if (rc >= DB_OK && n->n) {
		*out = n;
		return DB_ROW;
	}
	notice_unref(n);
	return rc < DB_OK ? rc : DB_OK;
}
