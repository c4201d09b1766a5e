/* cli/command.h - a command is one file: its entry in the table of commands.c, and its run function here. Exit codes are
 * those of DESIGN section 11. */
#pragma once
#include "base/buf.h"

struct command {
	const char *name;
	const char *args;                       /* "[DIR] [--json]" */
	const char *summary;                    /* one line, for --help */
	const char *help;                       /* the options, one a line (options.h reads them); NULL: none */
	int (*run)(const struct command *self, int argc, char **argv);  /* argv[0] is the command's name */
};

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_MATCH = 3, EXIT_UNREACHABLE = 4, EXIT_NOT_FOUND = 5,
       EXIT_TIMEOUT = 124, EXIT_INTERRUPTED = 130 };

extern const struct command
	cmd_init,
	cmd_serve,
	cmd_check,
	cmd_explain,
	cmd_test,
	cmd_backtest,
	cmd_import,
	cmd_simulate,
	cmd_watch,
	cmd_jobs,
	cmd_logs,
	cmd_cancel,
	cmd_trigger,
	cmd_status,
	cmd_deliveries,
	cmd_replay,
	cmd_reload,
	cmd_rules,
	cmd_schema,
	cmd_completion,
	cmd_version;

extern const struct command *const commands[];
extern const size_t command_count;

void command_help(const struct command *c, int to_stderr);
/* "pushrod check: …" on stderr, and a hint at --help. Returns EXIT_USAGE. */
int command_usage(const struct command *c, const char *fmt, ...) PRINTF(2, 3);
