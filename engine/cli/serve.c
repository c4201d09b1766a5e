/* cli/serve.c - pushrod serve: check the site, then hand it to the supervisor, which stays. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/site.h"
#include "cli/talk.h"
#include "supervisor/supervisor.h"
#include "wire/frame.h"

#define LISTEN_MAX 16

/* $STATE_DIRECTORY under systemd, $PUSHROD_STATE, else `state` beside DIR. Owned. */
static char *default_state(const char *site)
{
	const char *systemd = getenv("STATE_DIRECTORY"), *ours = getenv("PUSHROD_STATE");
	CLEANUP(freep) char *real = realpath(site, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;

	if (systemd && *systemd)
		return slice_dup(slice_upto(slice_of(systemd), strcspn(systemd, ":")));
	if (ours && *ours)
		return xstrdup(ours);
	if (!slash)
		return xstrdup("state");
	*slash = '\0';
	return xprintf("%s/state", real);
}

static void print_diags(const struct diags *d)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);

	diags_print(d, &text, isatty(STDERR_FILENO) && talk_has_colour());
	fputs(buf_cstr(&text), stderr);
}

static int is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || !strncmp(address, "localhost:", 10) || !strncmp(address, "[::1]:", 6);
}

/* What the site says, unless the command line says it. */
static size_t listeners(const struct ruleset *rs, const char *given, struct serve_listen *out)
{
	const struct config *c = ruleset_config(rs);
	size_t n = 0;

	if (given) {
		int classes = LISTEN_HOOKS | (is_loopback(given) ? LISTEN_PAGES | LISTEN_TOPICS : 0);
		if (classes == LISTEN_HOOKS && strchr(given, ':'))
			fprintf(stderr, "pushrod serve: '%s' leaves this machine, so it takes hooks alone\n", given);
		out[n++] = (struct serve_listen){ given, classes };
		return n;
	}
	for (; n < c->n_listen && n < LISTEN_MAX; n++)
		out[n] = (struct serve_listen){ c->listen[n].address, c->listen[n].classes };
	return n;
}

static int serve(const char *site, const char *state, const char *listen, int64_t grace_ms, int watch, const struct command *self)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *chosen = state ? xstrdup(state) : default_state(site);
	struct serve_listen list[LISTEN_MAX];
	struct diags diags = { 0 };
	struct ruleset *rs = NULL;

	int code = site_load(self, site, &bundle, &diags, &rs);
	print_diags(&diags);
	diags_fini(&diags);
	if (code)
		return code;
	struct serve_options o = { .site = site, .state = chosen, .listen = list, .n_listen = listeners(rs, listen, list),
				   .bundle = buf_slice(&bundle), .n_rules = ruleset_rule_count(rs),
				   .n_sources = ruleset_source_count(rs), .grace_ms = grace_ms, .watch = watch };
	code = supervisor_main(&o);
	ruleset_unref(rs);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *word = NULL, *state = NULL, *listen = NULL, *grace = "30s";
	int no_watch = 0, code;
	int64_t grace_ms;
	const struct option_spec specs[] = { { "state", 0, &state, NULL }, { "listen", 'l', &listen, NULL },
		{ "grace", 0, &grace, NULL }, { "no-watch", 0, NULL, &no_watch }, { 0 } };

	if (options_parse(self, argc, argv, specs, &word, 1, &code) < 0)
		return code;
	if (slice_to_duration_ms(slice_of(grace), &grace_ms) < 0)
		return command_usage(self, "--grace takes a duration such as 30s or 5m, not '%s'", grace);
	return serve(site_dir(word), state, listen, grace_ms, !no_watch, self);
}

const struct command cmd_serve = {
	"serve", "[DIR] [--state DIR] [--listen ADDRESS]", "run the server on a directory of rules",
	"      --state DIR       where everything is kept ($STATE_DIRECTORY, $PUSHROD_STATE, else `state` beside DIR)\n"
	"  -l, --listen ADDRESS  host:port, in place of what pushrod.lua says; port 0 takes a free one; beyond loopback: hooks alone\n"
	"      --grace DURATION  how long running jobs may go on after SIGTERM (30s); a second signal ends them at once\n"
	"      --no-watch        reload on SIGHUP alone, not when a file changes\n"
	"\n"
	"DIR holds pushrod.lua and rules/ ($PUSHROD_SITE, else the current folder). SIGHUP reloads the rules, SIGTERM and Ctrl-C end.\n"
	"Logs go to standard error; PUSHROD_LOG=debug|info|warn|error sets how many.\n",
	run,
};
