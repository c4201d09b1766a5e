/* cli/check.c - pushrod check: every mistake of a directory at once, before it is served. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/site.h"
#include "cli/talk.h"

/* As GitHub wants it where its own separators are among ESCAPED. */
static void print_escaped(const char *text, const char *escaped)
{
	for (const char *c = text; *c; c++)
		if (strchr(escaped, *c))
			printf("%%%02X", (unsigned char)*c);
		else
			putchar(*c);
}

/* GitHub's annotation commands. */
static void print_github(const struct diags *d)
{
	static const char *const levels[] = { [DIAG_ERROR] = "error", [DIAG_WARNING] = "warning", [DIAG_NOTE] = "notice" };

	for (size_t i = 0; i < d->n; i++) {
		const struct diag *x = &d->list[i];
		printf("::%s file=", levels[x->severity]);
		print_escaped(x->file, "%:,\r\n");
		printf(",line=%d,col=%d::", x->line, x->col);
		print_escaped(x->text, "%\r\n");
		putchar('\n');
	}
}

static void print_text(const struct diags *d, const struct ruleset *rs, const char *dir)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);

	diags_print(d, &text, talk_has_colour() && isatty(STDERR_FILENO));
	fputs(buf_cstr(&text), stderr);
	if (rs)
		printf("%s: %zu rule%s, %zu source%s: ok\n", dir, ruleset_rule_count(rs), ruleset_rule_count(rs) == 1 ? "" : "s",
		       ruleset_source_count(rs), ruleset_source_count(rs) == 1 ? "" : "s");
	else if (d->errors)
		fprintf(stderr, "%d %s\n", d->errors, d->errors == 1 ? "error" : "errors");
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *word = NULL, *format = "text";
	int as_json = 0, without_secrets = 0, code;
	const struct option_spec specs[] = { { "json", 0, NULL, &as_json }, { "format", 0, &format, NULL },
		{ "without-secrets", 0, NULL, &without_secrets }, { 0 } };
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	struct ruleset *rs = NULL;

	if (options_parse(self, argc, argv, specs, &word, 1, &code) < 0)
		return code;
	if (strcmp(format, "text") && strcmp(format, "github") && strcmp(format, "json"))
		return command_usage(self, "--format is text, json or github, not '%s'", format);
	code = (without_secrets ? site_load : site_load_with_secrets)(self, site_dir(word), &bundle, &diags, &rs);
	if (as_json || !strcmp(format, "json")) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		diags_json(&diags, &text);
		printf("{\"ok\":%s,\"diagnostics\":%s}\n", code ? "false" : "true", buf_cstr(&text));
	} else if (!strcmp(format, "github")) {
		print_github(&diags);
	} else {
		print_text(&diags, rs, site_dir(word));
	}
	ruleset_unref(rs);
	diags_fini(&diags);
	return code;
}

const struct command cmd_check = {
	"check", "[DIR] [--json] [--format text|json|github] [--without-secrets]", "find all mistakes in a directory's rule files",
	"      --json             {\"ok\":…,\"diagnostics\":[…]}\n"
	"      --format FORMAT    text (as a compiler prints), json, or github (annotations of a workflow run)\n"
	"      --without-secrets  do not look for the secrets that are named: where there are none, as in a workflow run\n"
	"\n"
	"DIR is the folder that holds pushrod.lua and rules/ ($PUSHROD_SITE, else the current one). Exit 1 on errors.\n",
	run,
};
