/* cli/site.c - evaluate a directory in a child, and compile it. */
#include "cli/site.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/talk.h"
#include "rules/diag.h"
#include "secret/secret.h"
#include "wire/evaluate.h"

const char *site_dir(const char *named)
{
	const char *env = getenv("PUSHROD_SITE");
	return named ? named : env && *env ? env : ".";
}

/* The file of secrets/ whose name is near; its name goes to NEAR. */
static int near_secret(const char *dir, const char *name, char near[256])
{
	CLEANUP(freep) char *secrets = xprintf("%s/secrets", dir);
	DIR *d = opendir(secrets);
	const struct dirent *entry;
	int found = 0;

	while (d && !found && (entry = readdir(d))) {
		const char *const words[] = { entry->d_name, NULL };
		if (secret_name_is_valid(slice_of(entry->d_name)) && did_you_mean(slice_of(name), words))
			found = snprintf(near, 256, "%s", entry->d_name) > 0;
	}
	if (d)
		closedir(d);
	return found;
}

static int find_secret(const char *name, void *dir, struct err *why)
{
	CLEANUP(secret_wipe) struct buf value = BUF(SECRET_MAX_BYTES + 1);
	char near[256];

	if (secret_lookup(dir, name, &value, why) == 0)
		return 0;
	if (why->kind == ERR_UNAVAIL && near_secret(dir, name, near)) {
		CLEANUP(freep) char *said = xstrdup(why->msg);
		err_set(why, ERR_UNAVAIL, "%s, or did you mean '%s'?", said, near);
	}
	return -1;
}

/* A folder that was not meant has no rules, and nothing wrong in them. */
static int is_site(const char *dir)
{
	CLEANUP(freep) char *settings = xprintf("%s/pushrod.lua", dir), *rules = xprintf("%s/rules", dir);
	return access(settings, F_OK) == 0 || access(rules, F_OK) == 0 || access(dir, F_OK) < 0;
}

/* FIND: NULL, or what is asked for each secret that is named. */
static int load(const struct command *c, const char *dir, int (*find)(const char *name, void *arg, struct err *why), struct buf *bundle,
		struct diags *diags, struct ruleset **out)
{
	CLEANUP(freep) char *site = xstrdup(dir);
	struct err e = { 0 };

	if (!is_site(dir)) {
		fprintf(stderr, "pushrod %s: '%s' has no pushrod.lua and no rules/: name the site's folder, or 'pushrod init' makes one\n",
			c->name, dir);
		return EXIT_FAILED;
	}
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
