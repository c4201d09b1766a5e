/* cli/site.c - evaluate a directory in a child, and compile it. */
#include "cli/site.h"

#include <stdio.h>
#include <stdlib.h>

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
