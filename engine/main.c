/* main.c - one program: a command for people, or, started by itself with an `@`, one of the roles. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "eval/eval.h"
#include "front/front.h"
#include "lua/effect.h"
#include "lua/job.h"
#include "rules/diag.h"
#include "runner/runner.h"

static int help(FILE *to)
{
	fputs("pushrod: webhooks in, rules matched, jobs run, logs streamed live\n\nusage: pushrod COMMAND [OPTION…]\n\n", to);
	for (size_t i = 0; i < command_count; i++)
		fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n'pushrod COMMAND --help' tells more of one. A first directory: 'pushrod init DIR'. The language: docs/rules.md.\n", to);
	return to == stdout ? EXIT_OK : EXIT_USAGE;
}

static int unknown(const char *word)
{
	CLEANUP(freep) const char **names = xcalloc(command_count + 1, sizeof *names);

	for (size_t i = 0; i < command_count; i++)
		names[i] = commands[i]->name;
	const char *near = did_you_mean(slice_of(word), names);
	if (near)
		fprintf(stderr, "pushrod: unknown command '%s', did you mean '%s'?\n", word, near);
	else
		fprintf(stderr, "pushrod: unknown command '%s'; 'pushrod --help' lists them\n", word);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";

	if (!strcmp(word, "@front"))
		return front_main(argc, argv);
	if (!strcmp(word, "@runner"))
		return runner_main(argc, argv, lua_warm, lua_job_main);
	if (!strcmp(word, "@eval"))
		return eval_main(argc, argv);
	if (!strcmp(word, "@dry"))
		return effect_main(argc, argv);
	if (!*word)
		return help(stderr);
	if (!strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help"))
		return help(stdout);
	if (!strcmp(word, "--version"))
		word = "version";
	for (size_t i = 0; i < command_count; i++)
		if (!strcmp(word, commands[i]->name))
			return commands[i]->run(commands[i], argc - 1, argv + 1);
	return unknown(word);
}
