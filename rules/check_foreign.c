/* rules/check_foreign.c - words of GitHub Actions, Woodpecker and their like, and what they are called here: too far from ours for
 * did_you_mean, and what people write first. */
#include <string.h>

#include "rules/checker.h"

static const struct { const char *table, *word, *here; } known[] = {
	{ "steps", "run", "sh = \"…\"" }, { "steps", "script", "sh = \"…\"" }, { "steps", "command", "sh = \"…\"" },
	{ "steps", "commands", "sh = [[…]]" }, { "steps", "args", "exec = { \"program\", \"argument\" }" },
	{ "steps", "name", "the name stands first, without a key: { \"name\", sh = \"…\" }" },
	{ "steps", "working-directory", "cwd = \"…\"" }, { "steps", "workdir", "cwd = \"…\"" }, { "steps", "dir", "cwd = \"…\"" },
	{ "steps", "environment", "env = { … }" }, { "steps", "continue-on-error", "allow_failure = true" },
	{ "steps", "timeout-minutes", "timeout = \"5m\"" }, { "steps", "uses", "checkout = true in the rule, or a script of your own" },
	{ "rule", "event", "on = \"…\"" }, { "rule", "events", "on = { … }" }, { "rule", "if", "when = { … }" },
	{ "rule", "branches", "when = { branch = … }" }, { "rule", "branch", "when = { branch = … }" }, { "rule", "paths", "when = { paths = … }" },
	{ "rule", "repo", "when = { repo = … }" }, { "rule", "environment", "env = { … }" }, { "rule", "schedule", "cron = \"0 3 * * *\"" },
	{ "rule", "needs", "on = \"rule:succeeded\", when = { rule = … }" }, { "rule", "jobs", "a rule is one job: its steps = { … }" },
	{ "rule", "script", "steps = { { \"name\", sh = \"…\" } }" }, { "rule", "sh", "steps = { { \"name\", sh = \"…\" } }" },
	{ "rule", "concurrency", "queue = { key = \"{repo} {ref}\", busy = \"cancel\" }" },
	{ "queue", "group", "key = \"{repo} {ref}\"" }, { "queue", "cancel-in-progress", "busy = \"cancel\"" },
	{ "queue", "concurrency", "limit = 1" }, { "queue", "max", "limit = 1" }, { "queue", "name", "queue = \"NAME\", which pushrod.lua declares" },
	{ "queue", "key", "a matter of the rule: queue = { key = … } in it; jobs in a shared queue are all in each other's way" },
	{ "rule", "timeout-minutes", "timeout = \"20m\"" },
};

const char *check_foreign(const char *table, struct slice word)
{
	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(known[i].table, table) == 0 && slice_eq(slice_of(known[i].word), word))
			return known[i].here;
	return NULL;
}
