/* store/write.h - what one transaction does: submits, results, cancels, claims. Everything a decision needs is read and
 * written between write_begin and write_commit; nothing is decided from memory that a rollback would not restore.
 * The writer's thread only. Inside store/ only. */
#pragma once
#include "store/db.h"
#include "store/follow.h"
#include "store/notice.h"
#include "store/submit.h"

/* The row of `meta`, and how many jobs run: kept beside the database, restored where a transaction is undone. */
struct tally {
	int64_t change, last_delivery, last_job, deliveries, body_bytes;
	int64_t running;
};

/* What changed in this transaction, in order. A later change of the same row makes an earlier one moot, unless that
 * one ended an attempt. */
struct touched {
	int64_t change, job, delivery;
	int attempt, attempt_ended;
	int64_t log_bytes;
	const struct submit *from;              /* of a delivery */
};
struct claimed { int64_t job; int attempt; };
struct stopping { int64_t job; int attempt; char reason[64]; };
struct fresh {                                  /* a job submitted in this transaction */
	int64_t job;
	struct submit *from;
	int index;
	int attempt;                            /* 1: it was claimed, too */
	int64_t change;                         /* its newest; 0 where more than submit and claim happened to it */
};

struct writer {
	struct db db;
	struct tally now, durable, mark;        /* as of this instant; the last commit; the request's beginning */
	int64_t now_ms;                         /* wall time of the transaction */
	struct moment { int64_t wall_ms, mono_ms; } clock, clock_next;  /* what burst_ms counts from; after the transaction */
	int64_t burst_ms;                       /* like now_ms, for debounces: writer_burst_ms */
	int jobs_max, may_claim;
	int64_t walked_delivery;                /* by retention: those up to here go with their jobs */
	int hears_jobs, hears_rules;            /* the ends of which are noted in the outbox */
	int may_have_effects;                   /* the outbox may hold some behind effect_cursor */
	int64_t effect_cursor;                  /* those up to here have been posted */
	int is_careful;                         /* each request is a savepoint: see write_submit */
	int64_t due_ms;                         /* when the next debounce is over, by burst_ms; INT64_MAX: none is under way */
	int is_due_stale;                       /* 1: ask write_next_due */
	struct touched *touched;
	struct claimed *claimed;
	struct stopping *stopping;              /* to be told to the runner after the commit */
	struct fresh *fresh;
	size_t n_touched, cap_touched, mark_touched;
	size_t n_claimed, cap_claimed, mark_claimed;
	size_t n_stopping, cap_stopping, mark_stopping;
	size_t n_fresh, cap_fresh, mark_fresh;
};

/* The database at PATH, migrated. */
int writer_open(struct writer *w, const char *path, int jobs_max, struct err *e) MUST_USE;
void writer_close(struct writer *w);
/* The time by which debounces go: wall time, but that it passes as time does where somebody sets the clock in between. The next
 * transaction then sets them with it. */
int64_t writer_burst_ms(const struct writer *w);

/* Any of these may say DB_FULL or DB_BROKEN: then the transaction is to be given up by write_rollback, which restores
 * the tallies. DB_REFUSED: this request cannot be. In a careful transaction it has changed nothing and the others stand; in
 * another, all is to be rolled back and done again carefully. Savepoints cost a copy of every page a request touches, a
 * fifth of a submit's time, and a request is refused only by a caller's mistake. */
enum db_rc write_begin(struct writer *w);
enum db_rc write_submit(struct writer *w, struct submit *r);
enum db_rc write_finish(struct writer *w, struct finish *r);
enum db_rc write_cancel(struct writer *w, struct cancel *r);
enum db_rc write_started(struct writer *w, int64_t job, int attempt, const char *confinement);
enum db_rc write_refuse(struct writer *w, int64_t job, const char *why);       /* it waits for an approval */
enum db_rc write_effect_done(struct writer *w, int64_t effect);
enum db_rc write_arm(struct writer *w, struct arm *r);
enum db_rc write_claims(struct writer *w);      /* as many as there are slots, the oldest job first */
enum db_rc write_due(struct writer *w);         /* some of the debounced jobs whose time has come enter their queues */
enum db_rc write_next_due(struct writer *w);    /* outside a transaction: due_ms as of the last commit */
enum db_rc write_commit(struct writer *w);
enum db_rc write_rollback(struct writer *w);

/* Both after the commit and before the requests go back to their senders, the notice first.
 * What changed. DB_ROW with *out owned (one reference), DB_OK where nothing did. */
enum db_rc write_notice(struct writer *w, struct notice **out);
/* What claim I of this transaction needs to run; moves bytes out of the submit that brought them where it can. DB_ROW
 * with *out owned. */
enum db_rc write_claim_take(struct writer *w, size_t i, struct claim **out);

/* The next effect of the outbox. DB_ROW with *out owned, DB_OK where there is none. */
enum db_rc write_effect_take(struct writer *w, struct effect **out);

/* For the other files of store/ that change jobs: the number of the change; RC, or DB_BROKEN where the statement behind it
 * did not find its one row; an attempt that the runner is to stop; the row of a job that begins, with its number. */
int64_t write_touch(struct writer *w, struct touched t);
enum db_rc write_one(struct writer *w, enum db_rc rc);
void write_stop(struct writer *w, int64_t job, int attempt, const char *why);
struct newcomer {                               /* a job that begins, and what its row holds besides the request */
	struct submit *from;
	int index;                              /* from->jobs[index], whose job is the number that it will have */
	int64_t rule, source;
	int64_t queue;                          /* 0: in none */
	const char *merge;                      /* NULL: it never merges */
};
enum db_rc write_job_row(struct writer *w, const struct newcomer *n);
/* store/queue.c, for write.c: N comes to its slot, and is written: as a row in a state of its own, or into another job. What
 * it replaces or stops is, too. */
enum db_rc queue_arrive(struct writer *w, struct newcomer *n);

/* store/chain.c, for write.c: JOB has ended; R is its result, or NULL where it was never run. */
enum db_rc chain_note_end(struct writer *w, int64_t job, const struct finish *r);
/* Jobs of R that ended with their birth: skipped by `once`. */
enum db_rc chain_note_born(struct writer *w, const struct submit *r);
/* store/timing.c, for write.c: R is for a schedule's moment. DB_ROW where it is the first for it, else DB_OK. */
enum db_rc timing_take_instant(struct writer *w, const struct submit *r);

/* store/notice.c: a notice with room for N changes, n = 0, and one reference. */
struct notice *notice_new(size_t room);
struct buf *notice_texts(struct notice *n);     /* what the changes' json borrows from; the maker's, until it is posted */
struct notice *notice_ref(struct notice *n);
