/* rules/headers.h - the headers of a delivery as they are kept and as rules see them. Pure. */
#pragma once
#include "base/buf.h"
#include "rules/provider.h"

#define HEADERS_KEPT_MAX (64u << 10)

int header_is_kept(struct slice name);          /* 0: it may hold a secret */
/* {"name":"value"} of the headers worth keeping: none that authorises, is a cookie, or signs. Names in lower case,
 * several of one name joined by ", "; past MAX bytes the rest is left out. */
void headers_json(const struct header *headers, size_t n, size_t max, struct buf *out);
