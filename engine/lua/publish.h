/* lua/publish.h - put a folder where others read it, whole or not at all: DEST is a symbolic link that is switched to a new
 * release once that is complete and on disk; the last releases stay in DEST.releases/. Plain C. One thread. */
#pragma once
#include "lua/attempt.h"

#define RELEASE_BYTES 64

struct publish_options {
	const char *from;               /* a folder of the workspace or below a root; relative: of the checkout, else the workspace */
	const char *dest;               /* absolute; must lie beneath one of the spec's roots */
	int keep;                       /* releases that stay, the new one among them */
};
struct published {
	int64_t files, bytes;
	char release[RELEASE_BYTES];    /* its name in DEST.releases */
	char previous[RELEASE_BYTES];   /* the one before; "" for none */
};
/* *out is set on success. -1: DEST is as it was; ERR_INPUT where the rule is at fault. */
int publish_folder(struct attempt *a, const struct publish_options *o, struct published *out, struct err *e) MUST_USE;
/* Switch DEST from release FROM back to release TO. ERR_INPUT where another one is in place by now. */
int publish_rollback(struct attempt *a, const char *dest, const char *from, const char *to, struct err *e) MUST_USE;
