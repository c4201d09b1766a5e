/* front/query.h - what stands behind the '?', and the path before it. Pure; any thread. */
#pragma once
#include "base/buf.h"

#define PATH_MAX_BYTES (8 << 10)

/* Value of NAME in a query or form string, percent-decoded ('+' is a space) and appended to OUT; 1 found, 0 absent,
 * -1 malformed, twice, or over OUT's maximum (OUT is then left as it was). */
int query_get(struct slice query, const char *name, struct buf *out);
/* The same for a whole number from MIN to MAX: 1 and *out set, 0 absent and *out untouched, -1 anything else. */
int query_get_i64(struct slice query, const char *name, int64_t min, int64_t max, int64_t *out);
/* RAW (an absolute path as it stood on the request line) decoded, with "." and ".." segments resolved, into OUT. -1:
 * relative, malformed, over PATH_MAX_BYTES, with a control byte, or climbing above the root. */
int path_resolve(struct slice raw, struct buf *out) MUST_USE;
