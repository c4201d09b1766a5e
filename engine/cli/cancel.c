/* cli/cancel.c - pushrod cancel: end a job that waits or runs. */
#include <stdio.h>

#include "cli/options.h"
#include "cli/talk.h"

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL, *word;
	int as_json = 0, code;
	int64_t id;
	const struct option_spec specs[] = { { "state", 0, &folder, NULL }, { "json", 0, NULL, &as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, &word, 1, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which job?");
	if (talk_job_id(self, word, &id))
		return EXIT_USAGE;
	CLEANUP(freep) char *path = xprintf("/api/v1/jobs/%lld/cancel", (long long)id);
	json_t *answer = NULL;
	code = talk_json(self, folder, "POST", path, &answer);
	if (code)
		return code;
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		const char *state = talk_string(answer, "state");
		printf("job %lld %s\n", (long long)id, *state == 'r' ? "is being stopped" : "is cancelled");
	}
	json_decref(answer);
	return EXIT_OK;
}

const struct command cmd_cancel = {
	"cancel", "JOB [--json] [--state DIR]", "cancel a job that waits or runs",
	"      --json       the API's answer\n"
	"      --state DIR  the server's state folder\n",
	run,
};
