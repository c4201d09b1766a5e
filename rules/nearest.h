/* rules/nearest.h - for `explain`: what could have been meant by a path or a name that is not there. Pure. */
#pragma once
#include "base/buf.h"

/* What JSON has where PATH goes astray, appended to OUT: `; did you mean repository.full_name?`, `; nearest: ref, after`,
 * `; labels is a list of 2 elements: did you mean labels[].name?`. Nothing where PATH leads to something. */
void nearest_path(struct slice json, struct slice path, struct buf *out);
/* The same of a name among the members of the object JSON. */
void nearest_name(struct slice json, struct slice name, struct buf *out);
