/* cli/completion.c - pushrod completion: what a shell needs to complete commands, options and their values, made from the table
 * of commands and the lines of their help. */
#include <stdio.h>
#include <string.h>

#include "cli/options.h"

enum value { VALUE_NONE, VALUE_DIR, VALUE_FILE, VALUE_WORD };

static enum value value_of(const struct option_help *o)
{
	if (!o->value.len)
		return VALUE_NONE;
	if (slice_eq(o->value, SLICE("DIR")))
		return VALUE_DIR;
	return slice_eq(o->value, SLICE("FILE")) || slice_eq(o->value, SLICE("BODY")) ? VALUE_FILE : VALUE_WORD;
}

/* In single quotes, as all three shells read it; ALSO is taken out, where it means something within. */
static void add_quoted(struct slice text, const char *also, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] == '\'')
			buf_adds(out, "’");
		else if (!strchr(also, text.ptr[i]))
			buf_addc(out, text.ptr[i]);
}

/* ---- bash ---- */

static void bash_command(const struct command *c, struct buf *out)
{
	struct slice rest = slice_of(c->help ? c->help : "");
	struct option_help o;

	buf_addf(out, "\t%s) words='--help", c->name);
	while (option_help_next(&rest, &o))
		buf_addf(out, " --" SLICE_FMT, SLICE_ARG(o.name));
	buf_adds(out, "' values='");
	for (rest = slice_of(c->help ? c->help : ""); option_help_next(&rest, &o);)
		if (value_of(&o) != VALUE_NONE)
			buf_addf(out, " --" SLICE_FMT, SLICE_ARG(o.name));
	buf_adds(out, "' ;;\n");
}

static void bash(struct buf *out)
{
	buf_adds(out, "# pushrod completion bash >/etc/bash_completion.d/pushrod\n"
		      "_pushrod() {\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' values=''\n"
		      "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < command_count; i++)
		buf_addf(out, "%s ", commands[i]->name);
	buf_adds(out, "--help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < command_count; i++)
		bash_command(commands[i], out);
	buf_adds(out, "\tesac\n"
		      "\tcase $cur in\n\t-*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")); return ;;\n\tesac\n"
		      "\tcase \" $values \" in\n\t*\" $prev \"*)\n\t\tcase $prev in\n"
		      "\t\t--state | --site) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$cur\")) ;;\n"
		      "\t\t--file | --private-key) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")) ;;\n"
		      "\t\tesac\n\t\treturn ;;\n\tesac\n"
		      "\tcompopt -o filenames 2>/dev/null\n\tCOMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
		      "complete -F _pushrod pushrod\n");
}

/* ---- zsh ---- */

static void zsh_command(const struct command *c, struct buf *out)
{
	static const char *const actions[] = { [VALUE_DIR] = ":folder:_files -/", [VALUE_FILE] = ":file:_files", [VALUE_WORD] = ":value:" };
	struct slice rest = slice_of(c->help ? c->help : "");
	struct option_help o;

	buf_addf(out, "\t%s) _arguments '--help[tell of this command]'", c->name);
	while (option_help_next(&rest, &o)) {
		buf_addf(out, " \\\n\t\t'--" SLICE_FMT "[", SLICE_ARG(o.name));
		add_quoted(o.doc, "[]:", out);
		buf_addc(out, ']');
		buf_adds(out, value_of(&o) == VALUE_NONE ? "" : actions[value_of(&o)]);
		buf_addc(out, '\'');
	}
	buf_adds(out, " \\\n\t\t'*:file:_files' ;;\n");
}

static void zsh(struct buf *out)
{
	buf_adds(out, "#compdef pushrod\n# pushrod completion zsh >\"${fpath[1]}/_pushrod\"\n_pushrod() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < command_count; i++) {
		buf_addf(out, "\t\t'%s:", commands[i]->name);
		add_quoted(slice_of(commands[i]->summary), ":", out);
		buf_adds(out, "'\n");
	}
	buf_adds(out, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
		      "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n");
	for (size_t i = 0; i < command_count; i++)
		zsh_command(commands[i], out);
	buf_adds(out, "\tesac\n}\nif [ \"$funcstack[1]\" = _pushrod ]; then\n\t_pushrod \"$@\"\nelse\n\tcompdef _pushrod pushrod\nfi\n");
}

/* ---- fish ---- */

static void fish_command(const struct command *c, struct buf *out)
{
	static const char *const values[] = {
		[VALUE_NONE] = "", [VALUE_DIR] = " -x -a '(__fish_complete_directories)'", [VALUE_FILE] = " -r -F", [VALUE_WORD] = " -x",
	};
	struct slice rest = slice_of(c->help ? c->help : "");
	struct option_help o;

	buf_addf(out, "complete -c pushrod -n __fish_use_subcommand -f -a %s -d '", c->name);
	add_quoted(slice_of(c->summary), "\\", out);
	buf_adds(out, "'\n");
	while (option_help_next(&rest, &o)) {
		buf_addf(out, "complete -c pushrod -n '__fish_seen_subcommand_from %s'", c->name);
		if (o.letter)
			buf_addf(out, " -s %c", o.letter);
		buf_addf(out, " -l " SLICE_FMT "%s -d '", SLICE_ARG(o.name), values[value_of(&o)]);
		add_quoted(o.doc, "\\", out);
		buf_adds(out, "'\n");
	}
}

static void fish(struct buf *out)
{
	buf_adds(out, "# pushrod completion fish >~/.config/fish/completions/pushrod.fish\n");
	for (size_t i = 0; i < command_count; i++)
		fish_command(commands[i], out);
}

static int run(const struct command *self, int argc, char **argv)
{
	static const struct { const char *name; void (*write)(struct buf *out); } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	const char *word;
	int code;
	int n = options_parse(self, argc, argv, (const struct option_spec[]){ { 0 } }, &word, 1, &code);

	if (n < 0)
		return code;
	for (size_t i = 0; n && i < COUNT(shells); i++)
		if (strcmp(word, shells[i].name) == 0) {
			shells[i].write(&text);
			fputs(buf_cstr(&text), stdout);
			return EXIT_OK;
		}
	return n ? command_usage(self, "bash, zsh or fish, not '%s'", word) : command_usage(self, "for which shell? bash, zsh or fish");
}

const struct command cmd_completion = {
	"completion", "bash|zsh|fish", "print what makes a shell complete pushrod's commands and options",
	"bash: pushrod completion bash >/etc/bash_completion.d/pushrod\n"
	"zsh:  pushrod completion zsh >\"${fpath[1]}/_pushrod\"\n"
	"fish: pushrod completion fish >~/.config/fish/completions/pushrod.fish\n",
	run,
};
