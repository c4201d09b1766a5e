/* cli/schema.c - pushrod schema: the language as a page, as JSON Schema, as types for an editor; all of it from one table. */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "rules/reference.h"

static int run(const struct command *self, int argc, char **argv)
{
	static const struct { const char *name; void (*write)(struct buf *out); } formats[] = {
		{ "markdown", reference_page }, { "json", reference_json_schema }, { "lua", reference_types },
	};
	const char *format = "markdown";
	const struct option_spec specs[] = { { "format", 0, &format, NULL }, { 0 } };
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	int code;

	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	for (size_t i = 0; i < COUNT(formats); i++)
		if (!strcmp(format, formats[i].name)) {
			formats[i].write(&text);
			fputs(buf_cstr(&text), stdout);
			return EXIT_OK;
		}
	return command_usage(self, "--format is markdown, json or lua, not '%s'", format);
}

const struct command cmd_schema = {
	"schema", "[--format markdown|json|lua]", "print the rule language's reference",
	"      --format FORMAT  markdown (docs/rules.md), json (JSON Schema of `pushrod rules --declared`), or lua (types\n"
	"                       for the Lua language server, as `pushrod init` writes them)\n",
	run,
};
