/* cli/jobs.c - pushrod jobs: the list of jobs, newest first. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/filter.h"
#include "cli/talk.h"
#include "model/job.h"

/* Why a job is where it is, for those whose state asks for it. */
static void print_reason(const json_t *job, const char *state)
{
	static const char *const telling[] = { "debouncing", "awaiting_approval", "superseded", "skipped", "refused" };
	const char *reason = talk_string(job, "reason");

	for (size_t i = 0; i < COUNT(telling); i++)
		if (*reason && strcmp(state, telling[i]) == 0)
			printf("%6s  %s\n", "", reason);
}

static void print_job(const json_t *job)
{
	const char *state = talk_string(job, "state"), *ref = talk_string(job, "branch");
	int64_t started = talk_integer(job, "started_ms"), ended = talk_integer(job, "ended_ms");
	char took[16] = "", age[16];

	if (started)
		talk_age((ended ? ended : wall_ms()) - started, took);
	talk_age(wall_ms() - talk_integer(job, "queued_ms"), age);
	CLEANUP(freep) char *cause = talk_cause(job);
	CLEANUP(freep) char *name = xprintf("%s%s%s", talk_string(job, "rule"), *talk_string(job, "cell") ? " " : "",
					    talk_string(job, "cell"));
	printf("%6lld  %s%-10s%s %-18s %-24s %-16s %8s  %s ago%s\n", (long long)talk_integer(job, "id"),
	       talk_state_colour(state), state, talk_plain(), name, talk_string(job, "repo"),
	       *ref ? ref : talk_string(job, "ref"), took, age, cause);
	print_reason(job, state);
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *state = NULL, *rule = NULL, *limit = "20", *folder = NULL;
	int as_json = 0, code;
	enum job_state named;
	int64_t n;
	const struct option_spec specs[] = { { "state-is", 's', &state, NULL }, { "rule", 'r', &rule, NULL },
		{ "limit", 'n', &limit, NULL }, { "state", 0, &folder, NULL }, { "json", 0, NULL, &as_json }, { 0 } };

	for (int i = 1; i < argc; i++)
		if (slice_starts(slice_of(argv[i]), SLICE("--status")))
			return command_usage(self, "unknown option '%s': jobs by their state are had by --state-is", argv[i]);
	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	if (folder && job_state_parse(slice_of(folder), &named) == 0)
		return command_usage(self, "--state is the server's state folder; jobs that are %s: --state-is %s", folder, folder);
	if (slice_to_i64(slice_of(limit), 1, 200, &n) < 0)
		return command_usage(self, "--limit takes a number from 1 to 200, not '%s'", limit);
	CLEANUP(buf_fini) struct buf path = BUF(4096);
	buf_addf(&path, "/api/v1/jobs?limit=%lld", (long long)n);
	buf_adds(&path, state ? "&state=" : "");
	filter_add_escaped(slice_of(state), &path);
	buf_adds(&path, rule ? "&rule=" : "");
	filter_add_escaped(slice_of(rule), &path);
	json_t *answer = NULL;
	code = talk_json(self, folder, NULL, buf_cstr(&path), &answer);
	if (code)
		return code;
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		talk_tame(answer);
		size_t i;
		const json_t *job, *list = json_object_get(answer, "jobs");
		json_array_foreach(list, i, job)
			print_job(job);
		if (json_array_size(list) == 0)
			fprintf(stderr, "no jobs\n");
	}
	json_decref(answer);
	return EXIT_OK;
}

const struct command cmd_jobs = {
	"jobs", "[--state-is STATE] [--rule RULE] [--limit N] [--json] [--state DIR]", "list jobs, newest first",
	"  -s, --state-is STATE  only those debouncing, queued, awaiting_approval, running, succeeded, failed, errored,\n"
	"                        timed_out, cancelled, skipped, superseded, refused or lost\n"
	"  -r, --rule RULE       only those of one rule\n"
	"  -n, --limit N         how many, 1 to 200 (20)\n"
	"      --json            the API's answer (docs/api.md)\n"
	"      --state DIR       the server's state folder (found in ./state and ../state)\n"
	"\n"
	"A job that debounces, waits for an approval, or did not run says why in a line below it: until when, behind which job,\n"
	"or which one took its place.\n",
	run,
};
