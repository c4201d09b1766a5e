/* model/job.h - a job, its states and its attempts, as every role names them. Pure; any thread. */
#pragma once
#include "base/buf.h"

/* Closed. The first four are open; a job that has left them never changes again (I7). */
enum job_state {
	JOB_DEBOUNCING = 1,
	JOB_QUEUED,
	JOB_AWAITING_APPROVAL,
	JOB_RUNNING,
	JOB_SUCCEEDED,
	JOB_FAILED,             /* the job said no: a step's exit code, job:fail, a Lua error of the rule */
	JOB_ERRORED,            /* we broke: could not start, could not write */
	JOB_TIMED_OUT,
	JOB_CANCELLED,
	JOB_SKIPPED,
	JOB_SUPERSEDED,
	JOB_REFUSED,
	JOB_LOST,               /* its process or its host died in the middle */
};

/* What a job may do whose event came from outside, by its rule's `forks`. Recorded with the job. */
enum job_trust {
	TRUST_FULL,             /* the event is the owner's own */
	TRUST_GIVEN,            /* "trust": as if it were */
	TRUST_LIMITED,          /* "limited": without secrets, and only where its steps are confined */
	TRUST_ASKED,            /* "approve": it waits for somebody to say so */
};
#define JOB_APPROVAL_MS (24 * 3600 * 1000LL)    /* how long it waits */
const char *job_trust_name(enum job_trust t);   /* the word of `forks`; "" for TRUST_FULL; static */

int job_state_is_final(enum job_state s);
int job_state_is_ok(enum job_state s);                           /* succeeded, skipped */
const char *job_state_name(enum job_state s);                    /* "queued"; static */
int job_state_parse(struct slice name, enum job_state *out) MUST_USE;   /* 0, or -1 for another word */

/* What a finished attempt hands up: job to runner, runner to front, front to store. */
struct job_result {
	int64_t job;
	int attempt;                    /* the fence: a result of any other attempt changes nothing (I6) */
	enum job_state state;           /* final */
	int exit_code;                  /* of the step that decided, 0 where none did, 128+N for signal N */
	int64_t log_bytes;              /* the settled length of the journal */
	char reason[256];               /* "" or one line for people */
};
