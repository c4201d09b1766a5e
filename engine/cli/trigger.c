/* cli/trigger.c - pushrod trigger: run a rule by its name, or send a local event. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/filter.h"
#include "cli/talk.h"

#define DATA_MAX (1 << 20)

/* --data's value: JSON, "@FILE", or "-" for standard input. */
static int read_data(const struct command *c, const char *data, struct buf *out)
{
	struct err e;
	int bad = 0;

	if (!data)
		return EXIT_OK;
	if (!strcmp(data, "-"))
		bad = fd_read_all(0, out, &e);
	else if (data[0] == '@')
		bad = file_read(AT_FDCWD, data + 1, out, &e);
	else
		buf_adds(out, data);
	if (bad < 0)
		return command_usage(c, "%s", e.msg);
	json_error_t at;
	json_t *v = json_loadb(out->ptr ? out->ptr : "", out->len, 0, &at);
	json_decref(v);
	return v ? EXIT_OK : command_usage(c, "--data wants a JSON object or array: line %d: %s", at.line, at.text);
}

static void tell(json_t *answer)
{
	talk_tame(answer);
	printf("delivery %lld\n", (long long)talk_integer(answer, "delivery"));
	talk_verdict(answer);
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL, *file = NULL, *data = NULL, *word;
	CLEANUP(buf_fini) struct buf body = BUF(DATA_MAX), path = BUF(4096);
	int as_json = 0, code;
	const struct option_spec specs[] = { { "state", 0, &folder, NULL }, { "file", 0, &file, NULL }, { "data", 0, &data, NULL },
		{ "json", 0, NULL, &as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, &word, 1, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which rule? or local:NAME, for an event");
	if ((code = read_data(self, data, &body)))
		return code;
	int is_local = !strncmp(word, "local:", 6);
	buf_adds(&path, is_local ? "/api/v1/local/" : "/api/v1/rules/");
	filter_add_escaped(slice_of(is_local ? word + 6 : word), &path);
	buf_adds(&path, is_local ? "" : "/trigger");
	if (file && !is_local) {
		buf_adds(&path, "?file=");
		filter_add_escaped(slice_of(file), &path);
	}
	json_t *answer = NULL;
	code = talk_json_body(self, folder, "POST", buf_cstr(&path), buf_slice(&body), &answer);
	if (code)
		return code;
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		tell(answer);
	}
	int started = json_array_size(json_object_get(answer, "matched")) > 0 || json_is_true(json_object_get(answer, "duplicate"));
	json_decref(answer);
	return started ? EXIT_OK : EXIT_NO_MATCH;
}

const struct command cmd_trigger = {
	"trigger", "RULE | local:NAME [--data DATA] [--file FILE] [--json] [--state DIR]", "run a rule by its name, or send a local event",
	"RULE is run whatever its `on` and `when` say; local:NAME is an event for the rules that listen to it.\n\n"
	"      --data DATA  the payload: JSON, @FILE, or - for standard input; {} unless said\n"
	"      --file FILE  where two files have a rule of that name: rules/x.lua\n"
	"      --json       the API's answer\n"
	"      --state DIR  the server's state folder\n",
	run,
};
