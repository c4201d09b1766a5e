/* lua/workspace.h - the folder of an attempt, <state>/workspaces/<job>.<attempt>, with home/ and tmp/ below. It goes with its job
 * unless the job failed; then it stays to be looked at, for as long as config.keep.failed_workspaces says. One thread. */
#pragma once
#include "lua/attempt.h"

/* Makes a->workspace (owned by A from then on), locks it for the life of this process, and goes there. */
int workspace_make(struct attempt *a, struct err *e) MUST_USE;
/* Remove those of earlier attempts that are older than that and locked by nobody. Best effort. */
void workspace_sweep(const struct attempt *a);
