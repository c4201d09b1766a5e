/* wire/children.h - who descends from this process, and the end of those that should not. For child subreapers: what a
 * dead child leaves behind is re-parented to us, so nothing that descends from us can hide. One thread. */
#pragma once
#include <sys/types.h>

#define CHILDREN_MAX 4096       /* looked at in one round; more wait for the next */

/* The direct children of this process, unreaped ones too. Returns how many are in PIDS. */
int children_list(pid_t *pids, int max);
/* All that descend from this process, as far as MAX (at most CHILDREN_MAX); what is born meanwhile may be missed. */
int children_count(int max);
/* One round against every direct child that is not one of KEEP, and all that descends from it: STOP, until none of them
 * is new, then KILL; reaps what is dead. Does not wait. Returns how many such children are left, 0: none. */
int children_kill_round(const pid_t *keep, int n_keep);
/* Rounds until none is left, for at most TIMEOUT_MS (a process in uninterruptible sleep, or of another uid, stays).
 * Returns how many are left. */
int children_kill(const pid_t *keep, int n_keep, int timeout_ms);

/* Kill what an earlier life left on this machine: processes of our own uid that carry MARK in their environment, or run
 * as a role of the state folder STATE (role.h); not us and not our ancestors. Returns how many there were, or -1 where
 * some are still there after TIMEOUT_MS. */
int children_sweep(const char *mark, const char *state, int timeout_ms);
