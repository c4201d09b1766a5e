/* cli/logs.c - pushrod logs: a job's log as text, on stdout. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/options.h"
#include "cli/talk.h"

static int on_bytes(struct slice bytes, void *arg)
{
	return fd_write_all(STDOUT_FILENO, bytes) < 0;          /* the reader of our pipe has gone */
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL, *tail = NULL, *word;
	int follow = 0, plain = 0, code;
	int64_t id, lines = 0;
	const struct option_spec specs[] = { { "follow", 'f', NULL, &follow }, { "tail", 'n', &tail, NULL },
		{ "plain", 0, NULL, &plain }, { "state", 0, &folder, NULL }, { 0 } };
	int n = options_parse(self, argc, argv, specs, &word, 1, &code);
	struct client_target t = { 0 };
	struct client_response r;
	struct err e;

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which job?");
	if (talk_job_id(self, word, &id))
		return EXIT_USAGE;
	if (tail && slice_to_i64(slice_of(tail), 1, 1000000, &lines) < 0)
		return command_usage(self, "--tail takes a number from 1 to 1000000, not '%s'", tail);
	CLEANUP(buf_fini) struct buf path = BUF(256);
	buf_addf(&path, "/api/v1/jobs/%lld/log?follow=%d&plain=%d", (long long)id, follow, plain || !talk_has_colour());
	if (lines)
		buf_addf(&path, "&tail=%lld", (long long)lines);
	if (client_target_state(&t, folder, &e) < 0)
		return talk_unreachable(self, &e);
	t.timeout_ms = follow ? 24 * 3600 * 1000 : 0;
	int result = client_do(&t, &(struct client_request){ .path = buf_slice(&path), .on_bytes = on_bytes }, &r, &e);
	client_target_fini(&t);
	if (result < 0)
		return talk_unreachable(self, &e);
	code = r.status == 200 ? EXIT_OK : talk_refused(self, &r);
	client_response_fini(&r);
	return code;
}

const struct command cmd_logs = {
	"logs", "JOB [-f] [--tail N] [--plain] [--state DIR]", "print a job's log",
	"  -f, --follow     go on until the job ends\n"
	"  -n, --tail N     only the last N lines\n"
	"      --plain      without colours (the default unless stdout is a terminal)\n"
	"      --state DIR  the server's state folder\n",
	run,
};
