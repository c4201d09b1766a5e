/* store/submit.h - a delivery and its jobs, one savepoint in the batch's transaction (I1, I3, I4). */
#pragma once
#include "base/buf.h"
#include "base/mailbox.h"
#include "model/job.h"
#include "model/queue.h"
#include "store/reading.h"

struct store;

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
