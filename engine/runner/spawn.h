/* runner/spawn.h - the fork of one job process. The runner's own thread. */
#pragma once
#include <sys/types.h>

#include "base/err.h"
#include "runner/runner.h"

struct spawned {
	pid_t pid;
	int pidfd, control_fd;          /* owned */
};
/* Fork a process that runs JOB with SPEC_FD and JOURNAL_FD (borrowed) and a control socket of its own: own session, a
 * subreaper, killed when we end, no descriptor but those and 0 to 2. KEEP_PRIVILEGES: without no_new_privs. */
int spawn_job(const struct job_inheritance *what, int keep_privileges, job_main_fn *job, struct spawned *out,
	      struct err *e) MUST_USE;
