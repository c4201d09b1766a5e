/* cli/site.c - evaluate a directory in a child, and compile it. */
#include "cli/site.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/talk.h"
#include "secret/secret.h"
#include "wire/evaluate.h"

const char *site_dir(const char *named)
{
	const char *env = getenv("PUSHROD_SITE");
	return named ? named : env && *env ? env : ".";
}

static int find_secret(const char *name, void *dir, struct err *why)
{
	CLEANUP(secret_wipe) struct buf value = BUF(SECRET_MAX_BYTES + 1);
	return secret_lookup(dir, name, &value, why);
}

/* FIND: NULL, or what is asked for each secret that is named. */
static int load(const struct command *c, const char *dir, int (*find)(const char *name, void *arg, struct err *why), struct buf *bundle,
		struct diags *diags, struct ruleset **out)
{
	CLEANUP(freep) char *site = xstrdup(dir);
	struct err e = { 0 };

	if (evaluate_now(dir, EVALUATE_TIMEOUT_MS, bundle, &e) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", c->name, e.msg);
		return EXIT_FAILED;
	}
	if (ruleset_compile_with_secrets(buf_slice(bundle), find, site, out, diags, &e) < 0) {
		if (!diags->errors)
			fprintf(stderr, "pushrod %s: %s\n", c->name, e.msg);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int site_load(const struct command *c, const char *dir, struct buf *bundle, struct diags *diags, struct ruleset **out)
{
	return load(c, dir, NULL, bundle, diags, out);
}

int site_load_with_secrets(const struct command *c, const char *dir, struct buf *bundle, struct diags *diags, struct ruleset **out)
{
	return load(c, dir, find_secret, bundle, diags, out);
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
