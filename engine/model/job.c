/* model/job.c - the closed list of job states. */
#include "model/job.h"

#include <assert.h>

static const char *const names[] = {
	[JOB_DEBOUNCING] = "debouncing", [JOB_QUEUED] = "queued",
	[JOB_AWAITING_APPROVAL] = "awaiting_approval", [JOB_RUNNING] = "running",
	[JOB_SUCCEEDED] = "succeeded", [JOB_FAILED] = "failed", [JOB_ERRORED] = "errored",
	[JOB_TIMED_OUT] = "timed_out", [JOB_CANCELLED] = "cancelled", [JOB_SKIPPED] = "skipped",
	[JOB_SUPERSEDED] = "superseded", [JOB_REFUSED] = "refused", [JOB_LOST] = "lost",
};
static_assert(COUNT(names) == JOB_LOST + 1, "a state without a name");

const char *job_trust_name(enum job_trust t)
{
	static const char *const words[] = {
		[TRUST_FULL] = "", [TRUST_GIVEN] = "trust", [TRUST_LIMITED] = "limited", [TRUST_ASKED] = "approve",
	};
	return t <= TRUST_ASKED ? words[t] : "";
}

int job_state_is_final(enum job_state s)
{
	return s > JOB_RUNNING;
}

int job_state_is_ok(enum job_state s)
{
	return s == JOB_SUCCEEDED || s == JOB_SKIPPED;
}

const char *job_state_name(enum job_state s)
{
	return s >= JOB_DEBOUNCING && s <= JOB_LOST ? names[s] : "unknown";
}

int job_state_parse(struct slice name, enum job_state *out)
{
	for (int s = JOB_DEBOUNCING; s <= JOB_LOST; s++)
		if (slice_eq(name, slice_of(names[s]))) {
			*out = (enum job_state)s;
			return 0;
		}
	return -1;
}
