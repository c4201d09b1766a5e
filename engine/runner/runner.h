/* runner/runner.h - the warm process that forks one job process per attempt, holds deadlines and reaps. It is
 * single-threaded, so its plain forks are safe; it never runs a rule's Lua itself. */
#pragma once
#include <stdint.h>

/* What a forked job process is given, and all it is given (DESIGN section 3). */
struct job_inheritance {
	int64_t job;
	int attempt;
	int spec_fd;                    /* sealed memfd: runner/spec.h says what is in it */
	int journal_fd;                 /* append; this process is its only writer while it lives */
	int control_fd;                 /* SOCK_SEQPACKET: sends RESULT, STARTED, EPHEMERAL; receives CANCEL (PEER_JOB_OF_RUNNER) */
};
/* Runs one attempt in a fresh process, hands its result over control_fd, and returns the exit status. */
typedef int job_main_fn(const struct job_inheritance *in);

/* Role entry: argv[1] "@runner", argv[2] the state folder; descriptor 3 is the supervisor. WARM is called once before the
 * first fork (load libraries), JOB in each child. */
int runner_main(int argc, char **argv, void (*warm)(void), job_main_fn *job);
