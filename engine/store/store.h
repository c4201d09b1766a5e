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
#include "model/queue.h"
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

/* ---- submit: a delivery and its jobs, one savepoint in the batch's transaction (I1, I3, I4) ---- */
struct submit_job {
	const char *rule, *file;        /* borrowed from what ruleset_keep holds */
	char *cell, *queue;             /* owned by the request; cell NULL where there is no matrix; the queue's slot, a unique text */
	struct queue_policy policy;     /* of that slot, from this job on */
	char *merge_key;                /* owned; "repo\nref" of an event that may merge into a job never claimed; NULL: never */
	int64_t timeout_ms;
	char *once_key;                 /* owned; NULL: without. A later job of (rule, cell, key) ends skipped */
	int64_t once_within_ms;         /* how long the first is remembered */
	char *residue_json;             /* owned; NULL: nothing. Conditions that the job decides (rules/residue.h) */
	enum job_trust trust;           /* TRUST_ASKED: it waits for an approval, in no queue */
	int64_t job;                    /* out, like what follows */
	int is_merged;                  /* 1: JOB was there before, and takes this delivery in */
	enum job_state state;           /* of its beginning: queued, debouncing, awaiting_approval, skipped */
	int64_t until_ms;               /* debouncing: until then */
	char reason[256];               /* why it is not queued, or what it was merged into */
};
struct submit {
	struct mail mail;
	struct mailbox *reply_to;
	char *source, *provider;        /* all strings and buffers: owned by the request, freed by submit_free */
	char *key;                      /* the sender's delivery id, unique per source (I3); never empty */
	char *event, *action;           /* common event ("push"), "" where none */
	char *summary_json;             /* {"repo":…,"ref":…,"sha":…,"title":…,"sender":…}: what lists show */
	char *event_json;               /* the normalised event, whole */
	char *headers_json;             /* {"name":"value"}; without authorisation, cookies and signatures */
	char *why_json;                 /* [{"rule":…,"because":…}]: those that listen and did not match */
	char *notes_json;               /* [{"rule":…,"note":…}]: those that fired on something unknown; NULL: none */
	char *query;                    /* of the request, raw, without its '?'; NULL: empty */
	char *secret;                   /* the name of the secret that verified it; NULL where none did */
	char *ruleset;                  /* sha256 hex */
	int64_t received_ms;
	char *cause_json;               /* of an event that a job caused (rules/ruleset.h); NULL: none */
	int64_t root;                   /* the delivery at the beginning of its chain of causes; 0: it is one */
	int64_t effect;                 /* the effect that this delivery is, which is done with it; 0: none */
	/* A schedule's: the moment it is for, at most once for each (I10), or DUPLICATE with delivery 0. NULL: none. */
	const char *cron_rule, *cron_file;      /* borrowed from what ruleset_keep holds */
	int64_t cron_ms, cron_through_ms;       /* through: all up to here is settled by it */
	struct buf body;                /* as received, byte for byte */
	int has_digest;                 /* 1: look for an earlier delivery of this source with the same digest (same_as) */
	unsigned char digest[16];       /* of what the sender signed */
	int64_t replay_of;              /* the delivery that somebody asked to run again; 0: an original */
	struct submit_job *jobs;        /* array, owned */
	int n_jobs;
	void *ruleset_keep;             /* the caller's: kept alive until the reply */
	void *arg;                      /* the caller's */
	/* out */
	enum store_outcome outcome;     /* OK, DUPLICATE, UNKNOWN */
	int64_t delivery;
	int64_t same_as;                /* the first delivery with this digest, under another key; 0: none is kept */
	int64_t original;               /* of a replay: the first of all that it repeats; 0: it is no replay */
	char *first_jobs_json;          /* DUPLICATE: [{"rule":…,("cell":…,)"job":…}] of the first one */
};
/* When a job of it is claimed at once, body, event_json and headers_json move on into the claim: after the reply they may
 * be empty. */
void store_submit(struct store *s, struct submit *r);
void submit_free(struct submit *r);
void submit_job_fini(struct submit_job *j);

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

/* ---- watch: after each commit, what changed, to every mailbox registered ---- */
struct change {
	int64_t change;                 /* the sequence number: grows with every change, never reused, survives restarts */
	int64_t job, delivery;          /* one of them is 0 */
	enum job_state state;           /* jobs */
	int attempt;
	int attempt_ended;              /* 1: that attempt's journal is whole, log_bytes is its length */
	int64_t log_bytes;
	struct slice json;              /* the list form of the job or delivery, one line */
};
struct notice {                         /* shared, counted: one per commit, however many receive it */
	size_t n;
	struct change *changes;
};
struct notice_mail {                    /* what arrives; store_watch's deliver frees the mail and unrefs the notice */
	struct mail mail;
	struct notice *notice;
};
void notice_unref(struct notice *n);
void store_watch(struct store *s, struct mailbox *to, void (*deliver)(struct mail *m, void *arg));   /* before traffic */

/* ---- retention: delete finished jobs and deliveries past their age, bodies past the budget. No reply ---- */
struct keep { int64_t deliveries_ms, jobs_ms, bodies_bytes; };          /* 0: for ever, without bound */
/* A job that waited for an approval for JOB_APPROVAL_MS ends as refused, and keys of `once` past their time are forgotten.
 * A delivery past its age loses its body, and goes when no job names it any more; what an open job needs stays. A long
 * clean-up is done in pieces, between which other requests run. Rows go first; the (job, attempt) of each journal to
 * unlink is given to ON_GONE on the store's thread, after the commit. */
void store_prune(struct store *s, const struct keep *k, void (*on_gone)(int64_t job, int attempt, void *arg), void *arg);
