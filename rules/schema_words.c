/* rules/schema_words.c - the table in words: what a value may be, and what the words of `when` and `on` mean. */
#include <string.h>

#include "rules/schema.h"

static void add_want(const struct schema_type *t, struct buf *out)
{
	static const char *const plain[] = {
		[SCHEMA_STRING] = "a string", [SCHEMA_DURATION] = "a duration such as \"10m\"",
		[SCHEMA_SIZE] = "a size such as \"64MiB\"", [SCHEMA_BOOL] = "true or false",
		[SCHEMA_DATE] = "a day such as \"2026-12-01\"", [SCHEMA_ADDRESS] = "an address such as \"127.0.0.1:8787\"",
		[SCHEMA_NETWORK] = "a network such as \"10.0.0.0/8\"",
		[SCHEMA_PATH] = "a path such as \"/webhooks/stripe\"", [SCHEMA_NAME] = "the name of a secret",
		[SCHEMA_TEMPLATE] = "a string", [SCHEMA_PROVIDER] = "the name of a provider",
		[SCHEMA_QUEUE] = "the name of a queue",
		[SCHEMA_EVENT] = "an event such as \"push\"", [SCHEMA_CRON] = "a schedule such as \"0 3 * * *\"",
		[SCHEMA_SECRET] = "secret \"name\"",
		[SCHEMA_FUNCTION] = "a function", [SCHEMA_FILTER] = "a function", [SCHEMA_TABLE] = "a table", [SCHEMA_CONDITIONS] = "a table or \"always\"",
		[SCHEMA_MATRIX] = "a list of cells or a table of lists", [SCHEMA_ANYTHING] = "a table",
	};

	if (t->kind == SCHEMA_INTEGER)
		buf_addf(out, "a whole number from %lld to %lld", (long long)t->min, (long long)t->max);
	else if (t->kind == SCHEMA_WORD)
		for (size_t i = 0; t->words[i]; i++)
			buf_addf(out, "%s\"%s\"", i ? " or " : "", t->words[i]);
	else if (t->kind == SCHEMA_LIST || t->kind == SCHEMA_MAP) {
		buf_adds(out, t->kind == SCHEMA_LIST ? "a list of these: " : "a table whose values are ");
		schema_wants(t->of, out);
	} else {
		buf_adds(out, plain[t->kind]);
	}
}

void schema_add_duration(int64_t ms, struct buf *out)
{
	static const struct { int64_t ms; const char *unit; } units[] = {
		{ 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" },
	};
	size_t u = 0;

	while (ms % units[u].ms)
		u++;
	buf_addf(out, "%lld%s", (long long)(ms / units[u].ms), units[u].unit);
}

void schema_wants(const struct schema_type *types, struct buf *out)
{
	for (size_t i = 0; types[i].kind; i++) {
		buf_adds(out, i ? " or " : "");
		add_want(&types[i], out);
	}
}

static const struct schema_word words[] = {
	{ SCHEMA_WORD_FACT, "source", "the name of the source, as pushrod.lua declares it", "source = \"github\"" },
	{ SCHEMA_WORD_FACT, "provider", "the source's provider", "provider = { \"gitea\", \"forgejo\" }" },
	{ SCHEMA_WORD_FACT, "event", "the common name, or the sender's own where there is none", "event = \"push\"" },
	{ SCHEMA_WORD_FACT, "action", "what follows the event's dot", "action = { \"opened\", \"reopened\" }" },
	{ SCHEMA_WORD_FACT, "rule", "on events of `job:`, `rule:` and `local:`: the rule whose job caused them", "rule = \"docs\"" },
	{ SCHEMA_WORD_FACT, "delivery", "the sender's id of the delivery", "delivery = { exists = true }" },
	{ SCHEMA_WORD_FACT, "received", "when it came, in UTC to the second, \"2026-12-01T06:00:00Z\"; the beginning of a time compares",
	  "received = { ge = \"2026-12-01\", lt = \"2027\" }" },

	{ SCHEMA_WORD_OPEN, "payload", "the sender's own JSON, by paths: a.b, a[0].b, a[].b, a[\"x.y\"]",
	  "payload = { [\"repository.private\"] = false }" },
	{ SCHEMA_WORD_OPEN, "header", "headers of the delivery, but for those that may hold a secret; the case of a name is all one",
	  "header = { [\"user-agent\"] = \"GitHub-Hookshot/*\" }" },
	{ SCHEMA_WORD_OPEN, "query", "what stands behind the ? of the address; a name that comes again is a list",
	  "query = { environment = \"staging\" }" },

	{ SCHEMA_WORD_COMBINATOR, "any", "one of these tables holds", "any = { { branch = \"main\" }, { base = \"main\" } }" },
	{ SCHEMA_WORD_COMBINATOR, "all", "each of these tables holds: for two tests of one field",
	  "all = { { branch = \"release/*\" }, { branch = { ne = \"release/old\" } } }" },
	{ SCHEMA_WORD_COMBINATOR, "none", "none of these tables holds", "none = { { message = { has = \"[skip ci]\" } } }" },

	{ SCHEMA_WORD_EVENT, "push", "a branch got a commit (and still has one: a deleted branch is `delete`)", "\"push\"" },
	{ SCHEMA_WORD_EVENT, "tag", "a tag was made or moved", "\"tag\"" },
	{ SCHEMA_WORD_EVENT, "delete", "a branch or a tag was deleted", "\"delete\"" },
	{ SCHEMA_WORD_EVENT, "pull_request", "a pull or merge request: opened, synchronize (new commits), closed, merged, labeled, …",
	  "{ \"pull_request.opened\", \"pull_request.synchronize\" }" },
	{ SCHEMA_WORD_EVENT, "issue", "an issue: opened, closed, labeled, …", "\"issue.opened\"" },
	{ SCHEMA_WORD_EVENT, "comment", "a comment on an issue, a request or a commit: created, edited, deleted", "\"comment.created\"" },
	{ SCHEMA_WORD_EVENT, "release", "a release: published, created, …", "\"release.published\"" },
	{ SCHEMA_WORD_EVENT, "payment", "a payment: succeeded, failed, refunded, disputed", "\"payment.succeeded\"" },
	{ SCHEMA_WORD_EVENT, "ping", "the sender tries whether it reaches us", "\"ping\"" },

	{ SCHEMA_WORD_FIELD, "repo", "the repository, with its owner", "repo = \"acme/*\"" },
	{ SCHEMA_WORD_FIELD, "owner", "whose repository it is", "owner = \"acme\"" },
	{ SCHEMA_WORD_FIELD, "branch", "the branch that was pushed (a pull request has `base` and `head`)", "branch = { \"main\", \"release/*\" }" },
	{ SCHEMA_WORD_FIELD, "tag", "the tag", "tag = \"v*\"" },
	{ SCHEMA_WORD_FIELD, "ref", "the full ref, on every event of a forge", "ref = \"refs/heads/**\"" },
	{ SCHEMA_WORD_FIELD, "base", "the branch that a pull request is to go into", "base = \"main\"" },
	{ SCHEMA_WORD_FIELD, "head", "the branch that a pull request comes from", "head = \"fix/**\"" },
	{ SCHEMA_WORD_FIELD, "before", "the commit that was there before", "before = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "sha", "the commit", "sha = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "number", "of the issue or the request", "number = { ge = 100 }" },
	{ SCHEMA_WORD_FIELD, "title", "the first line of the commit's message, or the title of the request, issue or release",
	  "title = { has = \"[deploy]\" }" },
	{ SCHEMA_WORD_FIELD, "message", "the whole message, or the text of the request, issue, comment or release",
	  "message = { has = \"/retest\" }" },
	{ SCHEMA_WORD_FIELD, "author", "who wrote the commit, request, issue, comment or release", "author = { ne = \"renovate[bot]\" }" },
	{ SCHEMA_WORD_FIELD, "sender", "who caused the event", "sender = { \"ada\", \"grace\" }" },
	{ SCHEMA_WORD_FIELD, "draft", "the request or the release is a draft", "draft = false" },
	{ SCHEMA_WORD_FIELD, "fork", "the request comes from another repository", "fork = false" },
	{ SCHEMA_WORD_FIELD, "labels", "of the request or issue: a test means any of them", "labels = \"run-ci\"" },
	{ SCHEMA_WORD_FIELD, "paths", "the files that the push changed: one must match, and no `except`",
	  "paths = { \"docs/**\", except = \"docs/drafts/**\" }" },
	{ SCHEMA_WORD_FIELD, "created", "the push made the branch or tag", "created = true" },
	{ SCHEMA_WORD_FIELD, "deleted", "the branch or tag is gone", "deleted = false" },
	{ SCHEMA_WORD_FIELD, "forced", "the push rewrote history", "forced = true" },
	{ SCHEMA_WORD_FIELD, "url", "a page for people", "url = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "payment", "the payment's id", "payment = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "order", "what it pays for", "order = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "amount", "in the currency's smallest unit", "amount = { ge = 5000 }" },
	{ SCHEMA_WORD_FIELD, "currency", "in lower case", "currency = { \"eur\", \"inr\" }" },
	{ SCHEMA_WORD_FIELD, "customer", "the customer's id", "customer = { exists = true }" },
	{ SCHEMA_WORD_FIELD, "live", "real money; false: a test", "live = true" },
};

const struct schema_word *schema_word_find(enum schema_word_kind kind, const char *name)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (words[i].kind == kind && strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}
