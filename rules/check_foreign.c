/* rules/check_foreign.c - words of GitHub Actions, Woodpecker and their like, and what they are called here: too far from ours for
 * did_you_mean, and what people write first. Patterns of theirs, which are no mistake as such and never match. */
#include <string.h>

#include "rules/checker.h"
#include "rules/normalise.h"

static const struct { const char *table, *word, *here; } known[] = {
	{ "steps", "run", "sh = \"…\"" }, { "steps", "script", "sh = \"…\"" }, { "steps", "command", "sh = \"…\"" },
	{ "steps", "commands", "sh = [[…]]" }, { "steps", "args", "exec = { \"program\", \"argument\" }" },
	{ "steps", "name", "the first value, without a key: { \"name\", sh = \"…\" }" },
	{ "steps", "working-directory", "cwd = \"…\"" }, { "steps", "workdir", "cwd = \"…\"" },
	{ "steps", "dir", "cwd = \"…\"" },
	{ "steps", "environment", "env = { … }" }, { "steps", "continue-on-error", "allow_failure = true" },
	{ "steps", "timeout-minutes", "timeout = \"5m\"" },
	{ "steps", "uses", "checkout = true in the rule, or a script of your own" },
	{ "rule", "event", "on = \"…\"" }, { "rule", "events", "on = { … }" }, { "rule", "if", "when = { … }" },
	{ "rule", "branches", "when = { branch = … }" }, { "rule", "branch", "when = { branch = … }" },
	{ "rule", "paths", "when = { paths = … }" },
	{ "rule", "repo", "when = { repo = … }" }, { "rule", "environment", "env = { … }" },
	{ "rule", "schedule", "cron = \"0 3 * * *\"" },
	{ "rule", "needs", "on = \"rule:succeeded\", when = { rule = … }" },
	{ "rule", "jobs", "a rule is one job: its steps = { … }" },
	{ "rule", "script", "steps = { { \"name\", sh = \"…\" } }" }, { "rule", "sh", "steps = { { \"name\", sh = \"…\" } }" },
	{ "rule", "concurrency", "queue = { key = \"{repo} {ref}\", busy = \"cancel\" }" },
	{ "queue", "group", "key = \"{repo} {ref}\"" }, { "queue", "cancel-in-progress", "busy = \"cancel\"" },
	{ "queue", "concurrency", "limit = 1" }, { "queue", "max", "limit = 1" }, { "queue", "name", "queue = \"NAME\", which pushrod.lua declares" },
	{ "queue", "key", "a matter of the rule: queue = { key = … } in it; jobs in a shared queue are all in each other's way" },
	{ "rule", "timeout-minutes", "timeout = \"20m\"" }, { "rule", "strategy", "matrix = { … }" },
	{ "rule", "name", "rule \"name\" { … }: it stands in front" }, { "rule", "types", "on = \"pull_request.opened\"" },
	{ "rule", "tag", "when = { tag = … }" }, { "rule", "tags", "when = { tag = … }" },
	{ "rule", "path", "when = { paths = … }" },
	{ "rule", "paths-ignore", "when = { paths = { except = … } }" },
	{ "rule", "branches-ignore", "when = { branch = { except = … } }" },
	{ "rule", "runs-on", "nothing: jobs run on the server's own machine" },
	{ "rule", "image", "nothing: jobs run on the server's own machine" },
	{ "rule", "exec", "steps = { { \"name\", exec = { … } } }" },
	{ "rule", "command", "steps = { { \"name\", exec = { … } } }" },
	{ "rule", "commands", "steps = { { \"name\", sh = \"…\" } }" },
	{ "rule", "execute-command", "steps = { { \"name\", exec = { … } } }" },
	{ "rule", "trigger-rule", "when = { … }" }, { "rule", "permissions", "secrets = { … }: a job has what its rule names" },
	{ "steps", "if", "run = function(job) … end in place of steps: a step has no condition" },
	{ "steps", "when", "run = function(job) … end in place of steps: a step has no condition" },
	{ "steps", "image", "nothing: steps run on the server's own machine" },
	{ "steps", "secrets", "secrets = { … } of the rule, and job:secret in run" },
	{ "when", "branches-ignore", "branch = { except = … }" }, { "when", "paths-ignore", "paths = { except = … }" },
	{ "when", "tags", "tag = …" }, { "when", "path", "paths = …" }, { "when", "files", "paths = …" },
	{ "when", "changes", "paths = …" },
	{ "when", "types", "on = \"pull_request.opened\"" }, { "when", "actor", "sender = …" },
	{ "when", "user", "sender = …" },
	{ "when", "pusher", "sender = …" }, { "when", "repository", "repo = \"owner/name\"" }, { "when", "commit", "sha = …" },
	{ "when", "target", "base = …" }, { "when", "target_branch", "base = …" }, { "when", "source_branch", "head = …" },
	{ "when", "status", "on = \"rule:failed\"" }, { "when", "label", "labels = …" }, { "when", "not", "none = { { … } }" },
	{ "when", "or", "any = { { … }, { … } }" }, { "when", "and", "all = { { … }, { … } }, or the members of one table" },
	{ "when", "evaluate", "a test of each field; what needs more is filter = function(event) … end in the rule" },
	{ "operator", "startswith", "starts = \"…\"" }, { "operator", "starts_with", "starts = \"…\"" },
	{ "operator", "startsWith", "starts = \"…\"" },
	{ "operator", "prefix", "starts = \"…\"" }, { "operator", "begins", "starts = \"…\"" },
	{ "operator", "endswith", "ends = \"…\"" },
	{ "operator", "ends_with", "ends = \"…\"" }, { "operator", "endsWith", "ends = \"…\"" },
	{ "operator", "suffix", "ends = \"…\"" },
	{ "operator", "contains", "has = \"…\"" }, { "operator", "includes", "has = \"…\"" },
	{ "operator", "regex", "re = [[…]]" },
	{ "operator", "regexp", "re = [[…]]" }, { "operator", "match", "re = [[…]]" }, { "operator", "matches", "re = [[…]]" },
	{ "operator", "neq", "ne = …" }, { "operator", "not", "ne = …" }, { "operator", "not_in", "ne = { … }" },
	{ "operator", "exclude", "except = …" },
	{ "operator", "ignore", "except = …" }, { "operator", "include", "the list alone: { \"a\", \"b\" }" },
	{ "operator", "in", "the list alone: { \"a\", \"b\" }" },
	{ "operator", "equals", "the value alone, or eq = …" }, { "operator", "is", "the value alone, or eq = …" },
	{ "operator", "glob", "the pattern alone" },
	{ "operator", "gte", "ge = …" }, { "operator", "min", "ge = …" }, { "operator", "lte", "le = …" },
	{ "operator", "max", "le = …" },
	{ "operator", "any", "some = …" }, { "operator", "all", "every = …" },
	{ "config", "port", "listen = { { \"127.0.0.1:8787\", serve = { \"hooks\", \"pages\" } } }" },
	{ "config", "host", "listen = { { \"127.0.0.1:8787\", serve = { \"hooks\", \"pages\" } } }" },
	{ "config", "timeout", "jobs = { timeout = \"30m\" }" }, { "config", "roots", "jobs = { roots = { … } }" },
	{ "source", "events", "on = { … } of each rule" }, { "source", "type", "provider = \"…\"" },
	{ "source", "token", "secret = secret \"name\"" },
	{ "source", "url", "path = \"/hooks/name\"" },
};

const char *check_foreign(const char *table, struct slice word)
{
	for (size_t i = 0; i < COUNT(known); i++)
		if (strcmp(known[i].table, table) == 0 && slice_eq(slice_of(known[i].word), word))
			return known[i].here;
	return NULL;
}

/* ---- patterns ---- */

static int is_ref_name(int field)
{
	return field == FIELD_BRANCH || field == FIELD_BASE || field == FIELD_HEAD || field == FIELD_TAG || field == FIELD_REF;
}

/* "{a,b}" */
static int has_braces(struct slice s)
{
	ptrdiff_t open = slice_chr(s, '{');
	struct slice within = open < 0 ? SLICE_NULL : slice_from(s, (size_t)open), rest;
	return open >= 0 && slice_cut(within, '}', &within, &rest) && slice_chr(within, ',') >= 0;
}

static int reads_like_regex(struct slice s)
{
	return slice_starts(s, SLICE("^")) || slice_ends(s, SLICE("$")) || slice_find(s, SLICE(".*")) >= 0 || slice_chr(s, '\\') >= 0 ||
	       slice_chr(s, '[') >= 0 || (s.len > 1 && slice_starts(s, SLICE("/")) && slice_ends(s, SLICE("/")));
}

static struct slice within_slashes(struct slice s)
{
	return s.len > 1 && slice_starts(s, SLICE("/")) && slice_ends(s, SLICE("/")) ? slice_upto(slice_from(s, 1), s.len - 2) : s;
}

static void check_path_pattern(struct checker *c, const struct node *n)
{
	struct slice s = n->text, bare = slice_starts(s, SLICE("./")) ? slice_from(s, 2) : slice_starts(s, SLICE("/")) ? slice_from(s, 1) : s;

	if (bare.len < s.len)
		check_warn(c, n, "W131", "paths begin at the top of the repository, without '/' or './': write \"" SLICE_FMT "\"", SLICE_ARG(bare));
	else if (slice_ends(s, SLICE("/")))
		check_warn(c, n, "W131", "no file's path ends in '/': write \"" SLICE_FMT "**\" for all that is below", SLICE_ARG(s));
}

void check_foreign_pattern(struct checker *c, int field, const struct node *n)
{
	struct slice s = n->text;

	if (!is_ref_name(field) && field != FIELD_PATHS && field != FIELD_REPO)
		return;
	if (slice_starts(s, SLICE("!")))
		check_warn(c, n, "W131", "'!' takes nothing away: write { …, except = \"" SLICE_FMT "\" }", SLICE_ARG(slice_from(s, 1)));
	else if (has_braces(s) || slice_chr(s, '|') >= 0)
		check_warn(c, n, "W131", "a pattern has no alternatives in it: write a list, { \"…\", \"…\" }");
	else if (is_ref_name(field) && reads_like_regex(s))
		check_warn(c, n, "W131", "this reads like a regular expression, and is a pattern of * and **: write { re = [[" SLICE_FMT "]] }",
			   SLICE_ARG(within_slashes(s)));
	else if (field == FIELD_REPO && slice_find(s, SLICE("://")) >= 0)
		check_warn(c, n, "W131", "repo is the owner and the name, as \"acme/app\", and no address");
	else if (field == FIELD_PATHS)
		check_path_pattern(c, n);
}
