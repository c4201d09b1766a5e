/* cli/pick.h - the deliveries that a filter names, to be run again: all pages of the list, turned round so that the oldest is
 * first. One thread. */
#pragma once
#include <jansson.h>

#include "cli/filter.h"

#define PICK_MAX 100000                         /* no more are looked for */

struct picked {
	int64_t *ids;                           /* owned, the oldest first */
	size_t n;                               /* PICK_MAX: there may be more */
	size_t replays, caused;                 /* left out of them */
	json_t *first, *last;                   /* owned: the oldest and the newest, as lists have them; NULL where there are none */
};
/* Those of the server whose state folder is STATE that fit F and are newer than AFTER. Left out are replays, since what they repeat is there
 * too, and what jobs caused, since running its cause causes it anew; unless F names a source that jobs cause events of. EXIT_OK
 * and *out (zeroes before) is the caller's; or said on stderr. */
int pick(const struct command *c, const char *state, const struct filter *f, int64_t after, struct picked *out);
void picked_fini(struct picked *p);
