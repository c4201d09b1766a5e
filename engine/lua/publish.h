/* lua/publish.h - put a folder where others read it, whole or not at all: DEST is a symbolic link that is switched to a new
 * release once that is complete and on disk; the last releases stay in DEST.releases/. Plain C. One thread. */
#pragma once
#include "lua/attempt.h"

struct publish_options {
	const char *from;               /* a folder */
	const char *dest;               /* absolute; must lie beneath one of the spec's roots */
	int keep;                       /* releases that stay, the new one among them */
};
struct published { int64_t files, bytes; char release[64]; char previous[64]; };        /* names in DEST.releases; previous "" for none */
int publish_folder(struct attempt *a, const struct publish_options *o, struct published *out, struct err *e) MUST_USE;
/* Switch DEST back to release NAME. */
int publish_switch(struct attempt *a, const char *dest, const char *name, struct err *e) MUST_USE;
