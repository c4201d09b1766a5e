/* lua/changed.h - paths_from = "git": the event's changed files, by git, and what the rule's conditions say of them. One thread. */
#pragma once
#include "lua/attempt.h"

/* Where the specification holds a residue (rules/residue.h): job.event.paths becomes the exact list, or unknown. 0: the rule goes on; also
 * where the files cannot be known, which the log says. -1: its conditions do not hold, and the attempt's ending is a skip; or
 * the repository could not be asked, and *e says why. A step of the log either way. */
int changed_decide(struct attempt *a, struct err *e) MUST_USE;
/* Put the event's files, one to a line, into the values of env that wait for them (rules/ruleset.h rule_plan_json). -1: they are more than
 * a program can be given. */
int changed_fill_env(struct attempt *a, struct err *e) MUST_USE;
