/* store/follow.h - what follows without a sender: the verbs of store.h for events that ended jobs cause, and for schedules. They
 * keep the same rules: any thread, requests owned by the caller, answers by mail. */
#pragma once
#include "store/store.h"

/* ---- effects: the end of a job may be an event for other rules. It is noted in the transaction of that end, and posted to
 * options.effects after its commit and again after a restart, until it is done by a submit that names it, or by
 * store_effect_done. At most EFFECTS_MAX are under way. ---- */
#define EFFECTS_MAX 64
#define CHAIN_COUNTED 2000
enum effect_kind { EFFECT_JOB = 1, EFFECT_RULE, EFFECT_EMIT };
struct effect {
	struct mail mail;
	int64_t id;
	enum effect_kind kind;          /* RULE: the last job of the rule for this delivery has ended */
	int64_t job, delivery, root;    /* root: the delivery at the beginning of the chain */
	int chain_length;               /* deliveries of that chain, itself left out; counted up to CHAIN_COUNTED */
	enum job_state state;
	enum job_trust trust;           /* of the job */
	int attempt, exit_code, ordinal;        /* ordinal: of an EMIT, from 1 */
	char *rule, *file, *cell, *reason, *event_json;
	char *outputs_json, *cause_json;        /* of the job; of its delivery; NULL: none */
	char *jobs_json;                /* RULE: [{"id","cell","state","outputs":{…}}] of all its jobs; else NULL */
	char *name, *data_json;         /* EMIT */
};
void effect_free(struct effect *f);
void store_effect_done(struct store *s, int64_t effect);        /* it comes to nothing: nobody listens. No reply */
/* Whether the ends of jobs, and of rules, are noted at all: some rule listens. Emitted events always are. */
void store_listen(struct store *s, int to_jobs, int to_rules);

/* ---- schedules ---- */
struct arm_item {
	const char *file, *rule, *text; /* borrowed by the request; another text is another schedule */
	int64_t since_ms;               /* out: what is later has not been settled; for a new schedule it is now */
};
#define SCHEDULE_RESTS_MS (INT64_C(30) * 24 * 3600 * 1000)     /* then it is forgotten, with the moments at which it fired */
struct arm {                            /* the schedules in force; all others rest, and begin anew when they come back */
	struct mail mail;
	struct mailbox *reply_to;
	struct arm_item *items;         /* owned by the request */
	size_t n;
	void *arg;
	enum store_outcome outcome;     /* OK, UNKNOWN */
};
void store_arm(struct store *s, struct arm *r);
