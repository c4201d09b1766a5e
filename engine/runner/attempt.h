/* runner/attempt.h - one attempt in the runner, from START to ACK, as a table of phases and events. The runner's own
 * thread.
 *
 *     RUNNING --said--> ENDING --exited--> REAPED --clear--> SETTLED --ACK--> (forgotten)
 *        |  \--------------exited----------^  ^
 *        +--stop--> STOPPING --due--> KILLING -+
 *
 * said: the job handed over its result. stop: its deadline, a cancel, a drain. due: the phase's own time is over. clear:
 * no process that descended from it is left; only then is its journal settled, and only then does the front hear of it. */
#pragma once
#include <sys/queue.h>
#include <sys/types.h>

#include "base/buf.h"
#include "model/job.h"
#include "runner/spawn.h"
#include "wire/frame.h"

#define DEFER_MS 30000                  /* for the job's `defer` and the TERM of its steps, once it is told to stop */
#define ENDING_MS 5000                  /* to exit, once the result is said */
#define KILL_AGAIN_MS 5000
#define CLEAR_MS 30000                  /* for its descendants to go; then it is settled all the same, and said */

enum run_phase { RUN_RUNNING, RUN_ENDING, RUN_STOPPING, RUN_KILLING, RUN_REAPED, RUN_SETTLED };
enum run_event { RUN_SAID, RUN_STOP, RUN_DUE, RUN_EXITED, RUN_CLEAR };
enum { OWES_RUNNING = 1, OWES_STARTED = 2, OWES_RESULT = 4 };     /* what the front has still to be told */

struct attempt {
	TAILQ_ENTRY(attempt) entry;
	int64_t job;
	int attempt;
	enum run_phase phase;
	pid_t pid;                      /* 0 once reaped */
	int pidfd, control_fd, journal_fd;      /* owned; -1 where closed */
	int64_t started_ms, due_ms;     /* mono; due -1: none */
	int64_t timeout_ms;
	int status;                     /* wait status, once reaped */
	int has_said, was_killed, is_illegal, has_leftovers;
	enum job_state stop_state;      /* 0: nobody stopped it */
	char stop_reason[200];
	struct job_result said;
	struct job_result result;       /* in SETTLED */
	char confinement[64];
	unsigned owes;
};

/* Fork it. *out is owned: attempt_free. JOURNAL_FD of WHAT is duplicated. */
int attempt_start(const struct job_inheritance *what, int64_t timeout_ms, int keep_privileges, job_main_fn *job,
		  struct attempt **out, struct err *e) MUST_USE;
void attempt_free(struct attempt *a);
/* STATE and WHY say how it ends when it is stopped: JOB_CANCELLED or JOB_TIMED_OUT. The first reason stands. */
void attempt_stop(struct attempt *a, enum job_state state, struct slice why);
/* Read what the job says, at most MAX frames; EPHEMERAL goes to ON_EPHEMERAL. */
void attempt_hear(struct attempt *a, int max, struct buf *scratch, void (*on_ephemeral)(const struct frame *f, void *arg),
		  void *arg);
/* Its pidfd is readable: hear the rest first. */
void attempt_exited(struct attempt *a);
void attempt_happens(struct attempt *a, enum run_event what);
/* RUN_DUE where its time has come. */
void attempt_tick(struct attempt *a, int64_t now_ms);
int attempt_is_live(const struct attempt *a);   /* has a process that is not reaped */
