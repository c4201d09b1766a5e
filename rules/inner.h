/* rules/inner.h - an event that no sender brought, judged once more: from what was kept of it, or from a fixture. Pure; any
 * thread. */
#pragma once
#include "rules/match.h"
#include "rules/ruleset.h"

struct inner_said {                             /* all borrowed; empty: not said */
	struct slice event;                     /* "cron", "succeeded", "built"; of source rule also "finished.succeeded" */
	struct slice action;                    /* of source rule: "succeeded", where the event is "finished" alone */
	struct slice only_file, only_rule;      /* the one rule that it is for */
	struct slice cause_json, body;
};

/* Fill D, whose source is an inner one, as the first time: event, action, json, headers, cause, the rule it is for, and the moment
 * that a schedule meant. D borrows from SAID and RS. -1 (ERR_INPUT): it says no event, it is for a rule that is not there, or is cron's
 * and for none. That the rule is enabled is for the caller to ask: one that is not does not fire. */
int inner_recall(const struct ruleset *rs, const struct inner_said *said, struct delivery_view *d, struct err *e) MUST_USE;
