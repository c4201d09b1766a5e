/* store/store.h - the only door to the database: a handful of asynchronous verbs. Two threads live behind it: one
 * holds the only connection that ever writes or checkpoints, and commits whatever waits as one transaction (group
 * commit, one fsync); one reads. A request is a struct the caller owns; the verb takes it, and it comes back through
 * its reply_to mailbox (mail.deliver is the caller's), filled in. Verbs may be called on any thread.
 *
 * An error on commit means UNKNOWN: the store stops, every waiting request comes back STORE_UNKNOWN, and the role
 * must exit (store_is_broken) for the supervisor to start it anew and read what is true (DESIGN section 9). A full disk is
 * another matter: what was waiting was not stored, comes back STORE_UNKNOWN too, and the store goes on.
 *
 * After a commit the claims are posted first, then the replies, then the notices, then the effects. */
#pragma once
#include "base/err.h"
#include "base/mailbox.h"
#include "model/job.h"
#include "store/reading.h"

struct store;

struct store_options {
	int state_dirfd;                /* borrowed; pushrod.db lies in it */
	int jobs_max;                   /* jobs that run at once, over all queues */
	struct mailbox *claims;         /* borrowed; claimed jobs are posted here as struct claim */
	struct mailbox *effects;        /* borrowed; what ended jobs cause is posted here as struct effect; NULL: it stays undone */
};

/* Opens or creates the database (WAL, synchronous=FULL, foreign keys), migrates, starts the threads. A newer schema
 * than this binary knows is an error. Attempts the database believes to be running are left as they are: see
 * store_recover. No job is claimed before store_recover_done. */
int store_open(const struct store_options *o, struct store **out, struct err *e) MUST_USE;
void store_close(struct store *s);      /* finishes what waits, checkpoints, joins the threads */
int store_is_broken(struct store *s);
const char *store_why_broken(struct store *s);  /* borrowed from S; "" while it is not broken */
void store_jobs_max(struct store *s, int jobs_max);     /* a reload changed it */

/* ---- claim: posted to options.claims after the commit that holds the attempt row (I5) and the queue slot (I9) ---- */
struct claim {
	struct mail mail;
	int64_t job, delivery;
	int attempt;                    /* the fence */
	char *rule, *file, *cell, *ruleset, *source, *event_json, *headers_json, *cause_json;   /* cause_json: or NULL */
	struct buf body;
	int64_t timeout_ms, received_ms;
	int64_t original;               /* as above */
	enum job_trust trust;
	char *residue_json;             /* "" for nothing */
	char *reason;                   /* why a second attempt, "" for the first */
	struct merged { int64_t delivery; char *event_json; } *merged;          /* those it took in before its own, oldest first */
	size_t n_merged;
};
void claim_free(struct claim *c);

/* ---- finish, cancel ---- */
struct finish {
	struct mail mail;
	struct mailbox *reply_to;
	struct job_result result;       /* result.attempt is checked in the transaction (I6) */
	char *outputs_json;             /* {"name":value}, or NULL; owned by the request: finish_fini */
	struct emitted { char *name, *data_json; } *emits;      /* what it emitted, in order; owned, likewise */
	int n_emits;
	int again;                      /* 1: nothing of this attempt ran; close it and queue attempt+1, result.reason says why */
	void *arg;
	enum store_outcome outcome;     /* OK, STALE (already final, or another attempt), NOT_FOUND, UNKNOWN */
};
/* While the disk is full it is kept and tried again: UNKNOWN means that the store broke, or was closed. The same holds for a
 * submit with an effect or a schedule's moment. */
void store_finish(struct store *s, struct finish *r);
void finish_fini(struct finish *r);             /* what it owns, not R itself */

struct cancel {
	struct mail mail;
	struct mailbox *reply_to;
	int64_t job;
	char reason[256];               /* "cancelled by …" */
	void *arg;
	enum store_outcome outcome;     /* OK: cancelled now, or it runs and the wish is recorded; STALE: it has ended */
	enum job_state state;           /* out: the state after it; JOB_RUNNING: tell the runner */
	int attempt;                    /* out, when running */
};
void store_cancel(struct store *s, struct cancel *r);

/* An attempt that a newer job of its queue is to stop (QUEUE_CANCEL): the wish is recorded, the runner is to be told. */
struct stop {
	struct mail mail;
	int64_t job;
	int attempt;
	char reason[256];
};
void store_on_stop(struct store *s, struct mailbox *to, void (*deliver)(struct mail *m, void *arg));    /* before traffic; owned by DELIVER */

/* The attempt started: pid's owner told us the confinement in force. No reply. */
void store_started(struct store *s, int64_t job, int attempt, const char *confinement);

/* ---- recovery: once, at start, before any claim ---- */
struct running { int64_t job; int attempt; char *rule, *wish; };        /* wish: why it is to end; tell the runner again. NULL: it is not */
/* Synchronous, for the start only. *out: owned array of attempts that the database holds for running; free each rule and wish. */
int store_recover(struct store *s, struct running **out, size_t *n, struct err *e) MUST_USE;
void store_recover_done(struct store *s);       /* from here on jobs are claimed */

/* ---- retention: delete finished jobs and deliveries past their age, bodies past the budget. No reply ---- */
struct keep { int64_t deliveries_ms, jobs_ms, bodies_bytes; };          /* 0: for ever, without bound */
/* A job that waited for an approval for JOB_APPROVAL_MS ends as refused, and keys of `once` past their time are forgotten.
 * A delivery past its age loses its body, and goes when no job names it any more; what an open job needs stays. A long
 * clean-up is done in pieces, between which other requests run. Rows go first; the (job, attempt) of each journal to
 * unlink is given to ON_GONE on the store's thread, after the commit. */
void store_prune(struct store *s, const struct keep *k, void (*on_gone)(int64_t job, int attempt, void *arg), void *arg);
