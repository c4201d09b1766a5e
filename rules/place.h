/* rules/place.h - where the values of a payload path stand in an extraction. A test of a list means any element, so that a
 * path P asks for three:
 *   P      its value
 *   P[]    its elements, where the value is a list
 *   L      where P is "L[]…": the list that is walked. Whether it was there tells an empty list from a missing one
 * Pure. */
#pragma once
#include "rules/predicate.h"

#define PLACE_MAX_BYTES 510             /* of a path */

struct place {
	int self;                       /* -1: not extracted */
	int elements;
	int list;                       /* -1 without a [] in P */
};
#define NO_PLACE ((struct place){ -1, -1, -1 })
int place_add(struct paths *paths, struct slice path, struct place *out, struct err *e) MUST_USE;
/* What VALUES hold there. OUT borrows from them, and from *MIXED where that is set: owned, to be freed after OUT. */
void place_look(const struct place *p, const struct values *values, struct finding *out, struct value **mixed);
