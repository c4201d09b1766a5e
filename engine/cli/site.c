/* cli/site.c - evaluate a directory in a child, and compile it. */
#include "cli/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/talk.h"
#include "wire/evaluate.h"

const char *site_dir(const char *named)
{
	const char *env = getenv("PUSHROD_SITE");
	return named ? named : env && *env ? env : ".";
}

int site_load(const struct command *c, const char *dir, struct buf *bundle, struct diags *diags, struct ruleset **out)
{
	struct err e = { 0 };

	if (evaluate_now(dir, EVALUATE_TIMEOUT_MS, bundle, &e) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", c->name, e.msg);
		return EXIT_FAILED;
	}
	if (ruleset_compile(buf_slice(bundle), out, diags, &e) < 0) {
		if (!diags->errors)
			fprintf(stderr, "pushrod %s: %s\n", c->name, e.msg);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int site_load_or_say(const struct command *c, const char *dir, struct ruleset **out)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED), text = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	int code = site_load(c, dir, &bundle, &diags, out);

	if (diags.errors) {
		diags_print(&diags, &text, talk_has_colour() && isatty(STDERR_FILENO));
		fputs(buf_cstr(&text), stderr);
	}
	diags_fini(&diags);
	return code;
}
