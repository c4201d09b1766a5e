/* front/spec.h - write a job's specification (runner/spec.h): all that its process is given. Blocking: it reads the
 * secrets that the rule names. The desk's thread. */
#pragma once
#include "base/err.h"

struct claim;
struct config;
struct ruleset;

struct spec_place {                     /* of this engine, the same for every job */
	const char *site_dir, *state_dir;       /* absolute */
	const char *url;                /* base of links */
	const struct config *limits;    /* of the edition in force: what a job may use is today's, what it does is its own */
};

/* A sealed memfd with the specification of C, whose rule is of RS. Owned; -1 with *e for people (it becomes the job's
 * reason): the rule is gone, a secret cannot be read or is no text, it is over SPEC_MAX_BYTES. */
int spec_make(const struct claim *c, const struct ruleset *rs, const struct spec_place *at, struct err *e);
