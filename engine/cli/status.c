/* cli/status.c - pushrod status: is it up, what does it do. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/plural.h"
#include "cli/options.h"
#include "cli/talk.h"

/* Who was turned away since the start. Of a tamed answer. */
static void print_refused(const json_t *answer)
{
	const json_t *no;
	char age[16];
	size_t i;

	json_array_foreach(json_object_get(answer, "refused"), i, no) {
		int64_t n = talk_integer(no, "count");
		talk_age(wall_ms() - talk_integer(no, "last_ms"), age);
		printf("source '%s' refused %" PRId64 " %s since the start, the last %s ago: %s (answered %" PRId64 ")\n",
		       talk_string(no, "source"), n, plural(n, "delivery", "deliveries"), age, talk_string(no, "reason"),
		       talk_integer(no, "status"));
	}
}

static void print_strays(const json_t *strays)
{
	int64_t left = talk_integer(strays, "count");
	const json_t *s;
	char age[16];
	size_t i;

	json_array_foreach(json_object_get(strays, "last"), i, s) {
		const char *near = talk_string(s, "did_you_mean");
		int64_t n = talk_integer(s, "count");
		talk_age(wall_ms() - talk_integer(s, "last_ms"), age);
		printf("POST %s: no such source%s%s%s; %" PRId64 " %s, the last %s ago\n", talk_string(s, "path"), *near ? ", did you mean " : "",
		       near, *near ? "?" : "", n, plural(n, "time", "times"), age);
		left -= n;
	}
	if (left > 0)
		printf("and %" PRId64 " %s to other paths that no source has\n", left, plural(left, "POST", "POSTs"));
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL;
	int as_json = 0, code;
	const struct option_spec specs[] = { { "state", 0, &folder, NULL }, { "json", 0, NULL, &as_json }, { 0 } };
	json_t *answer = NULL;
	char age[16];

	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	code = talk_json(self, folder, NULL, "/api/v1/status", &answer);
	if (code)
		return code;
	const json_t *jobs = json_object_get(answer, "jobs"), *name;
	int64_t deliveries = talk_integer(answer, "deliveries"), watchers = talk_integer(answer, "watchers");
	size_t i;
	talk_age(wall_ms() - talk_integer(answer, "started_ms"), age);
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		talk_tame(answer);
		printf("pushrod %s, up %s\n%s\n%lld running, %lld queued; %lld %s; %lld %s\n",
		       talk_string(answer, "version"), age, talk_string(answer, "url"),
		       (long long)talk_integer(jobs, "running"), (long long)talk_integer(jobs, "queued"),
		       (long long)deliveries, plural(deliveries, "delivery", "deliveries"), (long long)watchers,
		       plural(watchers, "watcher", "watchers"));
		if (talk_integer(answer, "from_future"))
			printf("refused as they are of the future: %lld; is this machine's clock right?\n",
			       (long long)talk_integer(answer, "from_future"));
		const char *error = talk_string(answer, "rules_error");
		if (*error)
			printf("the rule files on disk are not in force: %s\n", error);
		json_array_foreach(json_object_get(answer, "silent_sources"), i, name)
			printf("no rule listens to source '%s': what it sends causes nothing\n", json_string_value(name));
		print_refused(answer);
		print_strays(json_object_get(answer, "unknown_paths"));
	}
	json_decref(answer);
	return EXIT_OK;
}

const struct command cmd_status = {
	"status", "[--json] [--state DIR]", "ask a running server what it does; exit 4 when there is none",
	"      --json       the API's answer\n"
	"      --state DIR  the server's state folder\n",
	run,
};
