/* cli/options.c - the command line of one command, and its help. */
#include "cli/options.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rules/diag.h"

void command_help(const struct command *c, int to_stderr)
{
	FILE *to = to_stderr ? stderr : stdout;

	fprintf(to, "pushrod %s %s\n  %s\n", c->name, c->args, c->summary);
	if (c->help)
		fprintf(to, "\n%s", c->help);
}

int command_usage(const struct command *c, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "pushrod %s: ", c->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\ntry 'pushrod %s --help'\n", c->name);
	return EXIT_USAGE;
}

int option_help_next(struct slice *help, struct option_help *out)
{
	struct slice line, head;

	while (help->len) {
		slice_cut(*help, '\n', &line, help);
		*out = (struct option_help){ 0 };
		line = slice_trim(line);
		if (line.len > 4 && line.ptr[0] == '-' && line.ptr[2] == ',') {
			out->letter = line.ptr[1];
			line = slice_trim(slice_from(line, 3));
		}
		if (!slice_starts(line, SLICE("--")))
			continue;
		ptrdiff_t gap = slice_find(line, SLICE("  "));
		head = gap < 0 ? line : slice_upto(line, (size_t)gap);
		out->doc = gap < 0 ? SLICE_NULL : slice_trim(slice_from(line, (size_t)gap));
		slice_cut(slice_from(head, 2), ' ', &out->name, &out->value);
		return 1;
	}
	return 0;
}

/* The help is what people, and the completion of shells, know the options by. */
static int is_told(const struct command *c, const struct option_spec *s)
{
	struct slice rest = slice_of(c->help ? c->help : "");
	struct option_help o;

	while (option_help_next(&rest, &o))
		if (slice_eq(o.name, slice_of(s->name)))
			return o.letter == s->letter && (o.value.len > 0) == (s->value || s->list);
	return 0;
}

static const struct option_spec *find(const struct option_spec *specs, struct slice name)
{
	for (; specs->name; specs++)
		if (name.len == 1 ? name.ptr[0] == specs->letter : slice_eq(name, slice_of(specs->name)))
			return specs;
	return NULL;
}

static int unknown(const struct command *c, const struct option_spec *specs, const char *arg)
{
	const char *names[32];
	size_t n = 0;

	for (; specs->name && n < COUNT(names) - 1; specs++)
		names[n++] = specs->name;
	names[n] = NULL;
	struct slice word = slice_of(arg);
	while (word.len && word.ptr[0] == '-')
		word = slice_from(word, 1);
	const char *near = did_you_mean(word, names);
	return near ? command_usage(c, "unknown option '%s', did you mean '--%s'?", arg, near)
		    : command_usage(c, "unknown option '%s'", arg);
}

/* One option at argv[*i]. 0, or an exit code. */
static int take_option(const struct command *c, int argc, char **argv, int *i, const struct option_spec *specs)
{
	struct slice name, value, arg = slice_of(argv[*i]);
	int is_long = arg.ptr[1] == '-';
	int has_value = slice_cut(slice_from(arg, is_long ? 2 : 1), '=', &name, &value);
	const struct option_spec *s = is_long == (name.len > 1) ? find(specs, name) : NULL;

	if (!s)
		return unknown(c, specs, argv[*i]);
	if (!s->value && !s->list) {
		if (has_value)
			return command_usage(c, "--%s takes no value", s->name);
		*s->flag = 1;
		return 0;
	}
	if (!has_value && *i + 1 >= argc)
		return command_usage(c, "--%s needs a value", s->name);
	const char *given = has_value ? value.ptr : argv[++*i];
	if (s->list && s->list->n == OPTION_LIST_MAX)
		return command_usage(c, "--%s comes more than %d times", s->name, OPTION_LIST_MAX);
	if (s->list)
		s->list->values[s->list->n++] = given;
	else
		*s->value = given;
	if (s->flag)
		*s->flag = 1;
	return 0;
}

int options_parse(const struct command *c, int argc, char **argv, const struct option_spec *specs, const char **words,
		  int max, int *exit_code)
{
	int n = 0, is_words = 0;

	for (const struct option_spec *s = specs; s->name; s++)
		assert(is_told(c, s));
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		if (!is_words && !strcmp(a, "--")) {
			is_words = 1;
		} else if (!is_words && (!strcmp(a, "--help") || !strcmp(a, "-h"))) {
			command_help(c, 0);
			*exit_code = EXIT_OK;
			return -1;
		} else if (!is_words && a[0] == '-' && a[1]) {
			*exit_code = take_option(c, argc, argv, &i, specs);
			if (*exit_code)
				return -1;
		} else if (n == max) {
			*exit_code = command_usage(c, "'%s' is one word too many", a);
			return -1;
		} else {
			words[n++] = a;
		}
	}
	return n;
}
