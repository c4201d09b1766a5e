/* supervisor/supervisor.h - the process that binds and never accepts: it starts the roles, starts them anew when they die,
 * hands descriptors around, watches the site's files, and ends everything in order. Correct as process 1. */
#pragma once
#include "base/slice.h"

struct serve_listen {
	const char *address;            /* "127.0.0.1:8787", "[::1]:0": port 0 takes a free one */
	int classes;                    /* enum listen_class of wire/frame.h */
};
struct serve_options {
	const char *site, *state;       /* folders; site exists */
	const struct serve_listen *listen;
	size_t n_listen;
	struct slice bundle;            /* what eval made of the site, checked already */
	size_t n_rules, n_sources;      /* for the line that greets */
	int64_t grace_ms;               /* running jobs at the end */
	int watch;                      /* 1: reload when a file of the site changes */
};
/* Returns the exit status: 0 after an orderly end, 1 where it could not start (said on stderr). */
int supervisor_main(const struct serve_options *o);
