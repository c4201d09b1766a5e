/* lua/job.h - one attempt in a process of its own: the rule's Lua, its steps, its log. Called by the runner in a fresh fork. */
#pragma once
#include "runner/runner.h"

/* Once, in the runner, before its first fork: what every job would otherwise load anew. */
void lua_warm(void);
/* Runs the attempt, hands exactly one RESULT over in->control_fd, and returns the exit status of the process: 0, or 1 where
 * not even that could be done. */
int lua_job_main(const struct job_inheritance *in);
