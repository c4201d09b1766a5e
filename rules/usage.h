/* rules/usage.h - what is taken out of the payloads of one provider, for the sources of one rule set that have it. */
#pragma once
#include <stdint.h>

#include "rules/normalise.h"
#include "rules/place.h"

struct provider;

struct projection {                     /* what one pass takes out of a payload */
	struct paths *paths;
	struct mapping *mapping;        /* NULL without a provider */
};
struct askers {                         /* of each path: the subjects about which a question can hold once it was met */
	uint32_t *first;                /* by path, and one more: where they begin in `subjects` */
	uint32_t *subjects;
};
struct usage {                          /* of one provider by this set's sources; provider NULL for sources without */
	const char *name;
	struct provider *provider;      /* owned */
	struct projection fields;       /* the provider's own fields alone: nobody listens, the lists still show it */
	struct projection all;          /* and what the rules ask */
	struct place *places;           /* by subject; for others than payload paths, NO_PLACE */
	struct askers askers;           /* of all.paths */
};

void usage_fini(struct usage *u);
void askers_fini(struct askers *a);
