/* rules/schema.c - the table. A key that is not here does not exist: what the program cannot do yet is added together with
 * what does it. */
#include "rules/schema.h"

#include <string.h>

#include "model/queue.h"

#define KEYS(array) .keys = (array), .n = COUNT(array)
#define TYPES(...) (const struct schema_type[]){ __VA_ARGS__, { 0 } }
#define WORDS(...) (const char *const[]){ __VA_ARGS__, NULL }

#define STRING { .kind = SCHEMA_STRING, .min = 1 }
#define BOOL { .kind = SCHEMA_BOOL }
#define DURATION(least, most) { .kind = SCHEMA_DURATION, .min = (least), .max = (most) }
#define SIZE(least) { .kind = SCHEMA_SIZE, .min = (least), .max = INT64_MAX }
#define TEMPLATE(most) { .kind = SCHEMA_TEMPLATE, .min = 1, .max = (most) }
#define INTEGER(least, most) { .kind = SCHEMA_INTEGER, .min = (least), .max = (most) }
#define WORD(...) { .kind = SCHEMA_WORD, .words = WORDS(__VA_ARGS__) }
#define TABLE(t) { .kind = SCHEMA_TABLE, .table = &(t) }
#define LIST(...) { .kind = SCHEMA_LIST, .min = 1, .of = TYPES(__VA_ARGS__) }
#define NETWORKS { .kind = SCHEMA_LIST, .min = 1, .max = NETWORKS_MAX, .of = TYPES(OF(SCHEMA_NETWORK)) }
#define MAP(...) { .kind = SCHEMA_MAP, .of = TYPES(__VA_ARGS__) }
#define OF(what) { .kind = (what) }

#define SECOND 1000LL
#define HOUR (3600 * SECOND)
#define DAY (24 * 3600 * SECOND)
#define YEARS (10 * 365 * DAY)

/* ---- config ---- */

static const struct schema_key listen_keys[] = {
	{ "serve", TYPES(LIST(WORD("hooks", "pages", "topics"))), 0, "what is served here; hooks and pages unless said",
	  "{ \"hooks\", \"pages\" }" },
};
static const struct schema_key listen_item = {
	"address", TYPES(OF(SCHEMA_ADDRESS)), 1, "address and port", "\"127.0.0.1:8787\"",
};
static const struct schema_table listen_table = { KEYS(listen_keys), .item = &listen_item };

static const struct schema_key jobs_keys[] = {
	{ "max", TYPES(INTEGER(1, 1024)), 0, "jobs that run at one time", "8" },
	{ "timeout", TYPES(DURATION(SECOND, 30 * DAY)), 0, "for a job whose rule says nothing else", "\"1h\"" },
	{ "memory", TYPES(SIZE(16 << 20)), 0, "of each step", "\"4GiB\"" },
	{ "processes", TYPES(INTEGER(8, 4000)), 0, "of one job at one time; more, and its step is killed", "512" },
	{ "log", TYPES(SIZE(64 << 10)), 0, "the most that one attempt may log", "\"256MiB\"" },
	{ "roots", TYPES(LIST(STRING)), 0, "folders below which jobs may publish", "{ \"/srv/www\" }" },
	{ "file_urls", TYPES(BOOL), 0, "allow checkout from repositories on this machine", "true" },
};
static const struct schema_table jobs_table = { KEYS(jobs_keys) };

static const struct schema_key keep_keys[] = {
	{ "deliveries", TYPES(DURATION(60 * SECOND, YEARS)), 0, "how long a delivery stays listed; longer, without its body, while a job "
	  "of it is", "\"30d\"" },
	{ "bodies", TYPES(SIZE(1 << 20)), 0, "how much of their bodies is kept: past it the oldest go, save those that an open job needs",
	  "\"2GiB\"" },
	{ "jobs", TYPES(DURATION(60 * SECOND, YEARS)), 0, "how long a finished job and its log stay", "\"90d\"" },
	{ "failed_workspaces", TYPES(DURATION(60 * SECOND, YEARS)), 0, "how long the workspace of a failed job stays to be looked at; "
	  "it goes at the end of the next job after that. All others go with their job", "\"2d\"" },
};
static const struct schema_table keep_table = { KEYS(keep_keys) };

static const struct schema_key config_keys[] = {
	{ "url", TYPES(STRING), 0, "how the world reaches this server: the beginning of links", "\"https://ci.example.org\"" },
	{ "listen", TYPES(OF(SCHEMA_ADDRESS), LIST(OF(SCHEMA_ADDRESS), TABLE(listen_table))), 0, "where to listen",
	  "{ { \"127.0.0.1:8787\", serve = { \"hooks\", \"pages\" } } }" },
	{ "proxies", TYPES(NETWORKS), 0,
	  "the proxies in front of this server: of what comes from them, X-Forwarded-For says whose it is; nobody else's is believed",
	  "{ \"127.0.0.1\", \"::1\" }" },
	{ "jobs", TYPES(TABLE(jobs_table)), 0, "bounds of all jobs", NULL },
	{ "keep", TYPES(TABLE(keep_table)), 0, "what is kept, and how long", NULL },
};
static const struct schema_table config_table = { KEYS(config_keys) };

/* ---- source ---- */

static const struct schema_key dated_keys[] = {
	{ "not_after", TYPES(OF(SCHEMA_DATE)), 0, "the last day on which it is good", "\"2026-12-01\"" },
};
static const struct schema_key dated_item = { "secret", TYPES(OF(SCHEMA_SECRET)), 1, "a secret", "secret \"gh-2025\"" };
static const struct schema_table dated_table = { KEYS(dated_keys), .item = &dated_item };

static const struct schema_key source_keys[] = {
	{ "provider", TYPES(OF(SCHEMA_PROVIDER)), 0, "who sends, and so how it is verified and read", "\"github\"" },
	{ "secret", TYPES(OF(SCHEMA_SECRET), TABLE(dated_table), LIST(OF(SCHEMA_SECRET), TABLE(dated_table))), 0,
	  "what its signatures are made with; several while one replaces another", "secret \"github\"" },
	{ "auth", TYPES(WORD("none")), 0, "\"none\": anybody may send; written out, as it is never what one wants by accident",
	  "\"none\"" },
	{ "allow", TYPES(NETWORKS), 0,
	  "the addresses that may send, besides what proves the sender; all others get 403. Behind a proxy, see config.proxies",
	  "{ \"192.168.0.0/16\", \"fd00::/8\" }" },
	{ "path", TYPES(OF(SCHEMA_PATH)), 0, "where it is posted to; /hooks/NAME unless said", "\"/webhooks/stripe\"" },
	{ "reply", TYPES(WORD("terse")), 0, "\"terse\": tell the sender nothing about rules and jobs", "\"terse\"" },
};
static const struct schema_table source_table = { KEYS(source_keys) };

/* ---- queue ---- */

#define LIMIT_KEY { "limit", TYPES(INTEGER(1, QUEUE_LIMIT_MAX)), 0, "how many of its jobs run at one time; 1 unless said", "2" }
#define BUSY_KEY { "busy", TYPES(WORD("wait", "latest", "cancel", "skip")), 0, \
	"what becomes of one more job: \"wait\" (unless said): all wait, in the order of arrival; \"latest\": only the newest waits; " \
	"\"cancel\": likewise, and what runs is cancelled for it; \"skip\": it ends skipped", "\"latest\"" }
#define DEBOUNCE_KEY { "debounce", TYPES(DURATION(QUEUE_DEBOUNCE_MIN_MS, HOUR)), 0, \
	"a job waits this long for a further push of the same repository and ref, which then becomes one job with it, up to 500 of " \
	"them, or 8 MiB", "\"3s\"" }
#define MAX_WAIT_KEY { "max_wait", TYPES(DURATION(QUEUE_DEBOUNCE_MIN_MS, DAY)), 0, \
	"the most of that from the first push on; ten times debounce unless said, and never less than it", "\"30s\"" }

static const struct schema_key queue_keys[] = { LIMIT_KEY, BUSY_KEY, DEBOUNCE_KEY, MAX_WAIT_KEY };
static const struct schema_table queue_table = { KEYS(queue_keys) };
static const struct schema_key own_queue_keys[] = {
	{ "key", TYPES(TEMPLATE(KEY_TEMPLATE_MAX)), 0,
	  "jobs with the same key (and the same cell of a matrix) are in each other's way; {field} is the event's; without it, all jobs of the rule",
	  "\"{repo} {ref}\"" },
	LIMIT_KEY, BUSY_KEY, DEBOUNCE_KEY, MAX_WAIT_KEY,
};
static const struct schema_table own_queue_table = { KEYS(own_queue_keys) };

/* ---- rule ---- */

static const struct schema_type env_types[] = { MAP(OF(SCHEMA_TEMPLATE)), { 0 } };

static const struct schema_key step_keys[] = {
	{ "sh", TYPES(STRING), 0, "a script for sh -e", "\"make test\"" },
	{ "exec", TYPES(LIST({ .kind = SCHEMA_STRING })), 0, "a program and its arguments, as they are", "{ \"make\", \"test\" }" },
	{ "timeout", TYPES(DURATION(SECOND, 30 * DAY)), 0, "for this step alone", "\"15m\"" },
	{ "env", env_types, 0, "environment of this step alone; {field} is the event's", "{ CC = \"gcc\" }" },
	{ "cwd", TYPES(STRING), 0, "the folder it runs in", "\"web\"" },
	{ "allow_failure", TYPES(BOOL), 0, "go on when it fails", "true" },
};
static const struct schema_key step_item = { "name", TYPES(STRING), 0, "its name in the log", "\"test\"" };
static const struct schema_table step_table = { KEYS(step_keys), .item = &step_item };

static const struct schema_key once_keys[] = {
	{ "key", TYPES(TEMPLATE(KEY_TEMPLATE_MAX)), 1, "what is to be met only once; {field} is the event's", "\"{order}\"" },
	{ "within", TYPES(DURATION(SECOND, YEARS)), 1, "how long the first one is remembered", "\"90d\"" },
};
static const struct schema_table once_table = { KEYS(once_keys) };

static const struct schema_key cron_keys[] = {
	{ "zone", TYPES(STRING), 0, "the time zone whose clock it follows; UTC unless said", "\"Europe/Berlin\"" },
	{ "missed", TYPES(WORD("once", "skip", "all")), 0,
	  "what was due while the server was down: \"once\" (the last of it, unless said), \"skip\", or \"all\" (the newest 100)", "\"skip\"" },
	{ "jitter", TYPES(DURATION(SECOND, DAY)), 0, "fire later by up to this much, always the same for one rule and moment", "\"10m\"" },
};
static const struct schema_key cron_item = {
	"schedule", TYPES(OF(SCHEMA_CRON)), 1, "minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly",
	"\"0 3 * * mon-fri\"",
};
static const struct schema_table cron_table = { KEYS(cron_keys), .item = &cron_item, .takes_many = 1 };

static const struct schema_key rule_keys[] = {
	{ "on", TYPES(OF(SCHEMA_EVENT), LIST(OF(SCHEMA_EVENT))), 0, "the events it listens to; a rule has this, or cron, or both",
	  "{ \"push\", \"pull_request.opened\" }" },
	{ "when", TYPES(OF(SCHEMA_CONDITIONS)), 0, "what must hold of them; \"always\" for all of them; to be written wherever on is",
	  "{ branch = \"main\", paths = { \"docs/**\", except = \"docs/drafts/**\" } }" },
	{ "cron", TYPES(OF(SCHEMA_CRON), LIST(OF(SCHEMA_CRON)), TABLE(cron_table)), 0,
	  "when it fires by itself, whatever when says; at most once for each moment", "{ \"0 3 * * *\", zone = \"Europe/Berlin\" }" },
	{ "unknown", TYPES(WORD("skip")), 0, "\"skip\": do not fire on what the payload cannot tell; without it the rule fires, and says so",
	  "\"skip\"" },
	{ "enabled", TYPES(BOOL), 0, "false: the rule is checked, listed and explained, and never fires", "false" },
	{ "matrix", TYPES(OF(SCHEMA_MATRIX)), 0, "one job for each cell: a list of cells, each perhaps with a `when`, or a product of values",
	  "{ { part = \"web\", cc = \"gcc\", when = { paths = \"web/**\" } }, { part = \"api\", cc = \"clang\" } }" },
	{ "paths_from", TYPES(WORD("git")), 0,
	  "\"git\": which files changed is found out when the job starts, before its checkout, of a new branch, a force push, a tag or a pull "
	  "request too; `paths` is decided by them, and they are in job.event.paths and in {paths} of `env`; where git cannot tell, they are unknown",
	  "\"git\"" },
	{ "once", TYPES(TABLE(once_table)), 0,
	  "a second event with the same key ends skipped, naming the first one's job, however that ended, "
	  "unless its queue kept it from running; each cell of a matrix by itself",
	  "{ key = \"{order}\", within = \"90d\" }" },
	{ "queue", TYPES(TABLE(own_queue_table), OF(SCHEMA_QUEUE)), 0,
	  "which of its jobs wait for which: by a key, or with other rules in a queue that pushrod.lua declares; without it, one job of each cell runs "
	  "at a time", NULL },
	{ "forks", TYPES(WORD("approve", "limited", "trust", "ignore")), 0,
	  "a request from a fork, or from nobody knows where, waits for an approval unless said; \"limited\": runs without secrets, and only "
	  "where its steps are confined; \"trust\": as any other; \"ignore\": not at all", "\"limited\"" },
	{ "timeout", TYPES(DURATION(SECOND, 30 * DAY)), 0, "the most that a job may take", "\"20m\"" },
	{ "env", env_types, 0, "environment of all steps; {field} is the event's", "{ TITLE = \"{title}\" }" },
	{ "secrets", TYPES(LIST(OF(SCHEMA_NAME))), 0, "names of the secrets that its jobs may read", "{ \"npm-token\" }" },
	{ "checkout", TYPES(BOOL), 0, "check out the event's commit before the steps", "true" },
	{ "steps", TYPES(LIST(TABLE(step_table))), 0, "what is done, one after the other",
	  "{ { \"test\", sh = \"make test\" } }" },
	{ "filter", TYPES(OF(SCHEMA_FILTER)), 0,
	  "a last test in Lua, when the job starts: false, and why, end it as skipped; it has the event and 50 million instructions",
	  "function(event) return #event.title < 100, \"a long title\" end" },
	{ "run", TYPES(OF(SCHEMA_FUNCTION)), 0, "what is done, as a Lua function", "function(job) job:sh(\"make test\") end" },
};
static const struct schema_table rule_table = { KEYS(rule_keys) };

const struct schema_decl schema_decls[] = {
	{ "config", SCHEMA_SETTINGS, 0, &config_table, "settings of the whole server",
	  "config {\n"
	  "  url    = \"https://ci.example.org\",\n"
	  "  listen = { { \"127.0.0.1:8787\", serve = { \"hooks\", \"pages\" } } },\n"
	  "  jobs   = { max = 4, timeout = \"30m\" },\n"
	  "}" },
	{ "source", SCHEMA_SETTINGS, 1, &source_table, "somebody who sends webhooks",
	  "source \"github\" { provider = \"github\", secret = secret \"github\" }" },
	{ "queue", SCHEMA_SETTINGS, 1, &queue_table, "where jobs of several rules wait for each other; a rule writes queue = \"production\"",
	  "queue \"production\" { limit = 1, busy = \"wait\" }" },
	{ "rule", SCHEMA_RULES, 1, &rule_table, "which events cause which work",
	  "rule \"ci\" {\n"
	  "  on       = \"push\",\n"
	  "  when     = { branch = \"main\" },\n"
	  "  checkout = true,\n"
	  "  steps    = {\n"
	  "    { \"build\", sh = \"make\" },\n"
	  "    { \"test\",  sh = \"make test\", timeout = \"10m\" },\n"
	  "  },\n"
	  "}" },
	{ "provider", SCHEMA_PROVIDERS, 1, NULL, "how a kind of sender is verified and read" },
};
const size_t schema_decl_count = COUNT(schema_decls);

const char *const schema_later_words[] = {
	"destination", "credential", "channel", "pool", "topic", "user", NULL,
};

/* ---- `when` and `on` ---- */

const struct schema_operator schema_operators[] = {
	{ "eq", OPERAND_SCALAR, 1, "equal, with no wildcard", "branch = { eq = \"release*\" }" },
	{ "ne", OPERAND_SCALAR, 1, "not equal; of a field that is a list: none of its values is", "sender = { ne = \"dependabot[bot]\" }" },
	{ "has", OPERAND_TEXT, 1, "holds this text", "message = { has = \"[deploy]\" }" },
	{ "starts", OPERAND_TEXT, 1, "begins with this text", "branch = { starts = \"release/\" }" },
	{ "ends", OPERAND_TEXT, 1, "ends in this text", "paths = { ends = { \".md\", \".txt\" } }" },
	{ "re", OPERAND_REGEX, 1, "a regular expression (PCRE2) finds something in it", "tag = { re = [[^v\\d+\\.\\d+$]] }" },
	{ "lt", OPERAND_ORDERED, 0, "less than", "amount = { lt = 100 }" },
	{ "le", OPERAND_ORDERED, 0, "at most", "amount = { le = 100 }" },
	{ "gt", OPERAND_ORDERED, 0, "more than", "number = { gt = 1000 }" },
	{ "ge", OPERAND_ORDERED, 0, "at least", "amount = { ge = 100, lt = 5000 }" },
	{ "exists", OPERAND_BOOL, 0, "true: is there, even if null; false: is not", "order = { exists = true }" },
	{ "some", OPERAND_TEST, 0, "an element of the list passes these tests",
	  "payload = { checks = { some = { name = \"ci\", conclusion = \"success\" } } }" },
	{ "every", OPERAND_TEST, 0, "all elements of the list do, and there is one", "paths = { every = { starts = \"docs/\" } }" },
	{ "icase", OPERAND_PATTERN, 1, "as a plain string, and the case of A to Z is all one", "repo = { icase = \"acme/*\" }" },
	{ "cidr", OPERAND_NETWORK, 1, "an IP address within this network",
	  "payload = { [\"client.ip\"] = { cidr = { \"10.0.0.0/8\", \"2001:db8::/32\" } } }" },
};
const size_t schema_operator_count = COUNT(schema_operators);

const char *const schema_facts[] = { "source", "provider", "event", "action", "delivery", "received", "rule", NULL };
const char *const schema_open[] = { "payload", "header", "query", NULL };
const char *const schema_combinators[] = { "any", "all", "none", NULL };
const char *const schema_events[] = {
	"push", "tag", "delete", "pull_request", "issue", "comment", "release", "payment", "ping", NULL,
};
const char *const schema_reserved_sources[] = { "job", "rule", "local", "cron", NULL };

const struct schema_decl *schema_decl_find(struct slice kind)
{
	for (size_t i = 0; i < schema_decl_count; i++)
		if (slice_eq(kind, slice_of(schema_decls[i].kind)))
			return &schema_decls[i];
	return NULL;
}

const struct schema_key *schema_key_find(const struct schema_table *t, struct slice name)
{
	for (size_t i = 0; i < t->n; i++)
		if (slice_eq(name, slice_of(t->keys[i].name)))
			return &t->keys[i];
	return NULL;
}

int schema_name_is_valid(struct slice s)
{
	if (s.len < 1 || s.len > 64 || s.ptr[0] == '.')
		return 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		int is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!is_letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr("._-", c)))
			return 0;
	}
	return 1;
}
