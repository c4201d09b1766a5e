/* rules/job_api.c - the table. */
#include "rules/job_api.h"

#include "base/slice.h"

#define WORDS(...) (const struct job_word[]){ __VA_ARGS__, { NULL, NULL, NULL } }

#define COMMAND_OPTIONS \
	{ "cwd", "string", "the folder it runs in; the checkout, else the workspace, unless said" }, \
	{ "env", "table<string, string>", "variables of this command alone" }, \
	{ "timeout", "string", "\"5m\": then it is ended, and the call fails" }, \
	{ "stdin", "string", "what it reads" }, \
	{ "capture", "boolean", "true: the result has `out`, what it printed, 1 MiB at most" }, \
	{ "allow_failure", "boolean", "true: an exit code other than 0 is a result and no error" }

static const struct job_word step_options[] = {
	{ "allow_failure", "boolean", "true: the job goes on when the step fails" }, { NULL, NULL, NULL } };

const struct job_method job_methods[] = {
	{ "checkout", WORDS({ "options?", "pushrod.job.checkout", NULL }),
	  WORDS({ "url", "string", "another repository than the event's" }, { "ref", "string", "another branch, tag or commit" },
		{ "into", "string", "a folder of that name in the workspace, instead of job.tree" }, { "timeout", "string", "\"10m\" unless said" }),
	  "string", "The event's commit, from a local mirror, in a folder whose path is returned and kept in job.tree. SSL_CERT_FILE "
	  "or SSL_CERT_DIR of the server's environment names the authorities that https trusts instead of the system's.",
	  "job:checkout()" },
	{ "sh", WORDS({ "script", "string", NULL }, { "options?", "pushrod.job.sh", NULL }),
	  WORDS(COMMAND_OPTIONS, { "shell", "\"sh\"|\"bash\"", "bash adds pipefail" }),
	  "pushrod.Result", "A script for `sh -e`. What comes from an event goes in by `env`, never by joining texts.",
	  "job:sh('echo \"$TITLE\"', { env = { TITLE = job.event.title } })" },
	{ "exec", WORDS({ "options", "pushrod.job.exec", NULL }), WORDS(COMMAND_OPTIONS),
	  "pushrod.Result", "A program and its arguments, as they are: no shell reads them.",
	  "job:exec { \"git\", \"log\", \"-1\", job.event.sha, cwd = job.tree, timeout = \"1m\" }", 1 },
	{ "step", WORDS({ "name", "string", NULL }, { "options?", "pushrod.job.step", NULL }, { "fn", "fun(): any", NULL }), step_options,
	  "any", "What happens in the function is one step of the log. Returns what it returns.",
	  "job:step(\"build\", function() job:sh(\"make\") end)" },
	{ "publish", WORDS({ "dir", "string", NULL }, { "dest", "string", NULL }, { "options?", "pushrod.job.publish", NULL }),
	  WORDS({ "keep", "integer", "how many old releases stay, 5 unless said" }),
	  "pushrod.Release", "A copy of the folder becomes what DEST shows, at once; DEST lies below one of config.jobs.roots, or in the site.",
	  "job:publish(job.tree .. \"/site\", \"/srv/www/handbook\")" },
	{ "get", WORDS({ "path", "string", NULL }, { "default?", "any", NULL }), NULL,
	  "any", "A value of the payload by its path; the default where it is missing or null.",
	  "job:get(\"commits[0].author.email\", \"nobody\")" },
	{ "log", WORDS({ "text", "any", "with further arguments a format, as string.format has it" }, { "...", "any", NULL }), NULL,
	  NULL, "A line of the log.", "job:log(\"%d files\", 3)" },
	{ "notice", WORDS({ "text", "any", NULL }, { "...", "any", NULL }), NULL,
	  NULL, "A line that stands out.", "job:notice(\"published\")" },
	{ "warn", WORDS({ "text", "any", NULL }, { "...", "any", NULL }), NULL,
	  NULL, "A line that stands out as a warning.", "job:warn(\"no tests were found\")" },
	{ "progress", WORDS({ "done", "number", NULL }, { "total?", "number", NULL }, { "unit?", "string", NULL }), NULL,
	  NULL, "How far it is; watchers see the newest.", "job:progress(3, 10, \"files\")" },
	{ "secret", WORDS({ "name", "string", NULL }), NULL,
	  "string", "The value of a secret that the rule names in `secrets`. In the log it is masked.",
	  "job:sh(\"./deploy\", { env = { TOKEN = job:secret \"deploy-token\" } })" },
	{ "tmp", NULL, NULL, "string", "A new, empty folder, gone after the job.", "local dir = job:tmp()" },
	{ "defer", WORDS({ "fn", "fun()", NULL }), NULL,
	  NULL, "Runs when the job ends, however it ends; the last one first; 30 seconds for all.",
	  "job:defer(function() job:sh(\"docker compose down\") end)" },
	{ "output", WORDS({ "name", "string", NULL }, { "value", "any", "what JSON has a form for; 8 KiB at most" }), NULL,
	  NULL, "A value that stays with the job: rules that it causes find it in job.cause.outputs. At most 32.",
	  "job:output(\"version\", \"1.2.3\")" },
	{ "emit", WORDS({ "name", "string", NULL }, { "data?", "table", "becomes the payload; 16 KiB at most" }), NULL,
	  NULL, "An event for rules with on = \"local:NAME\". It happens when the job ends, however that is, and once. At most 16.",
	  "job:emit(\"built\", { version = \"1.2.3\" })" },
	{ "fail", WORDS({ "why?", "string", NULL }), NULL, NULL, "Ends the job as failed; pcall does not stop it.", "job:fail(\"no release notes\")" },
	{ "skip", WORDS({ "why?", "string", NULL }), NULL, NULL, "Ends the job as skipped: there was nothing to do.",
	  "job:skip(\"nothing changed\")" },
	{ "cancel", WORDS({ "why?", "string", NULL }), NULL, NULL, "Ends the job as cancelled.", "job:cancel(\"a newer commit is there\")" },
};
const size_t job_method_count = COUNT(job_methods);

const struct job_word job_data[] = {
	{ "event", "pushrod.Event", "the event's fields, as `when` knows them; one that is missing is nil, a name that is none raises" },
	{ "payload", "table", "the sender's JSON; a null member is nil" },
	{ "headers", "table<string, string>", "of the delivery's request" },
	{ "cause", "table?", "where a job caused the event (`job:`, `rule:`, `local:`): its rule, job, delivery, state, outputs, depth, event" },
	{ "batch", "table[]", "the deliveries that it runs for, oldest first, each as `event` with its `id`. They are several where a queue merged"
	  " pushes: `event` is then the newest, with the `before` of the first and the `paths` of all" },
	{ "matrix", "table<string, string|number|boolean>?", "the values of this job's cell, where the rule has a matrix" },
	{ "replay", "{ delivery: integer }?", "where the delivery is a replay: the one that came first, also for a replay of a replay."
	  " (job.replay or job).delivery is the same number however often it is run" },
	{ "rule", "string", "the rule's name" },
	{ "id", "integer", "the job's number" },
	{ "attempt", "integer", "1, 2, …" },
	{ "url", "string", "the job's page" },
	{ "delivery", "integer", "the delivery's number" },
	{ "tree", "string?", "the checkout, once there is one" },
	{ "workspace", "string", "the job's own folder" },
	{ NULL, NULL, NULL },
};
