/* cli/rehearsal.h - what a rule would do for a delivery, without doing it: its action runs in a process of its own where every
 * effect is written down instead (lua/effect.h). One thread. */
#pragma once
#include <jansson.h>

#include "cli/trial.h"

/* CELL: of the rule's matrix, "" without one. ANSWERS (may be NULL): what the rule is told of the world, by method. 0: *out is
 * owned, a list of effects, and, where the job would not succeed, {"end","reason"} as its last. -1: it cannot be rehearsed. */
int rehearse(const struct ruleset *rs, const struct rule *rule, const char *cell, const struct trial *t, json_t *answers,
	     json_t **out, struct err *e) MUST_USE;
