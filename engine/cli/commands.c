/* cli/commands.c - the table of all commands, in the order of the help. */
#include "cli/command.h"

const struct command *const commands[] = {
	&cmd_init,
	&cmd_serve,
	&cmd_check,
	&cmd_explain,
	&cmd_test,
	&cmd_backtest,
	&cmd_import,
	&cmd_simulate,
	&cmd_watch,
	&cmd_jobs,
	&cmd_logs,
	&cmd_cancel,
	&cmd_trigger,
	&cmd_status,
	&cmd_reload,
	&cmd_deliveries,
	&cmd_replay,
	&cmd_rules,
	&cmd_schema,
	&cmd_completion,
	&cmd_version,
};
const size_t command_count = COUNT(commands);
