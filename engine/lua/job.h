/* lua/job.h - one attempt in a process of its own: the rule's Lua, its steps, its log. Called by the runner in a fresh fork. */
#pragma once
#include "lua/attempt.h"
#include "runner/runner.h"

struct lua_State;

/* Once, in the runner, before its first fork: what every job would otherwise load anew. */
void lua_warm(void);
/* Runs the attempt, hands exactly one RESULT over in->control_fd, and returns the exit status of the process: 0, or 1 where
 * not even that could be done. */
int lua_job_main(const struct job_inheritance *in);

/* The rule's own function, or its declared steps; the specification is read, and LUA is fresh (state_new). */
int job_act(struct attempt *a, struct lua_State *lua, struct err *e) MUST_USE;
/* How the job ended, R and *E being how its action went. */
void job_result_set(struct attempt *a, int r, const struct err *e, struct job_result *out);
