/* cli/status.c - pushrod status: is it up, what does it do. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/options.h"
#include "cli/talk.h"

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
	size_t i;
	talk_age(wall_ms() - talk_integer(answer, "started_ms"), age);
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		printf("pushrod %s, up %s\n%s\n%lld running, %lld queued; %lld deliveries; %lld watchers\n",
		       talk_string(answer, "version"), age, talk_string(answer, "url"),
		       (long long)talk_integer(jobs, "running"), (long long)talk_integer(jobs, "queued"),
		       (long long)talk_integer(answer, "deliveries"), (long long)talk_integer(answer, "watchers"));
		if (talk_integer(answer, "from_future"))
			printf("%lld deliveries were refused as they are of the future: is this machine's clock right?\n",
			       (long long)talk_integer(answer, "from_future"));
		if (talk_integer(answer, "not_allowed"))
			printf("%lld deliveries were refused as their addresses are in no source's allow: the log names them\n",
			       (long long)talk_integer(answer, "not_allowed"));
		const char *error = talk_string(answer, "rules_error");
		if (*error)
			printf("the rule files on disk are not in force: %s\n", error);
		json_array_foreach(json_object_get(answer, "silent_sources"), i, name)
			printf("no rule listens to source '%s': what it sends causes nothing\n", json_string_value(name));
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
