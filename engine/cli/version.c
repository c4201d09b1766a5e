/* cli/version.c - pushrod version. */
#include <stdio.h>

#include "cli/options.h"

static int run(const struct command *self, int argc, char **argv)
{
	int as_json = 0, code;
	const struct option_spec specs[] = { { "json", 0, NULL, &as_json }, { 0 } };

	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	printf(as_json ? "{\"version\":\"%s\"}\n" : "pushrod %s\n", PUSHROD_VERSION);
	return EXIT_OK;
}

const struct command cmd_version = { "version", "[--json]", "print the version", "      --json  {\"version\":…}\n", run };
