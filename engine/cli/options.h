/* cli/options.h - the command line of one command: named options and the words between them. One thread. */
#pragma once
#include "cli/command.h"

struct option_spec {
	const char *name;                       /* "json", written --json */
	char letter;                            /* 'f' for -f; 0: none */
	const char **value;                     /* takes a value: here it goes; NULL: a flag */
	int *flag;                              /* set to 1 */
	struct option_list *list;               /* takes a value, and may come again: all of them go here */
};
#define OPTION_LIST_MAX 64
struct option_list {
	const char *values[OPTION_LIST_MAX];    /* borrowed from argv */
	size_t n;
};
/* Reads argv[1..]: options of SPECS (ended by a NULL name) anywhere, `--name VALUE` and `--name=VALUE`, `--` ends them.
 * Words go to WORDS, at most MAX. Returns how many, or -1 after having answered: then *exit_code is what to exit with
 * (0 for --help). Unknown options are refused with the nearest known one. */
int options_parse(const struct command *c, int argc, char **argv, const struct option_spec *specs, const char **words,
		  int max, int *exit_code);

/* What a line of a command's help says of an option: "  -s, --state-is STATE  only those …". */
struct option_help {
	char letter;                            /* 0: none */
	struct slice name, value, doc;          /* value: "STATE"; empty: a flag. Borrowed from the help. */
};
/* Take lines off HELP up to and with the next that tells of an option; 0: there is none. */
int option_help_next(struct slice *help, struct option_help *out);
