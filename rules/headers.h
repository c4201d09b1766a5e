/* rules/headers.h - the headers and the query of a delivery as they are kept and as rules see them. Pure. */
#pragma once
#include "base/buf.h"
#include "rules/provider.h"

#define HEADERS_KEPT_MAX (64u << 10)

/* Of a delivery that P reads (NULL: a source without a provider). 0: it proves who sent it, or its name says that it may hold a
 * secret; what P tells deliveries apart by is kept, whatever its name. */
int header_is_kept(const struct provider *p, struct slice name);
/* {"name":"value"} of the headers that are kept. Names in lower case, several of one name joined by ", "; past MAX bytes the
 * rest is left out. */
void headers_json(const struct provider *p, const struct header *headers, size_t n, size_t max, struct buf *out);
/* QUERY, raw, without what proves to P who sent it. */
void query_kept(const struct provider *p, struct slice query, struct buf *out);
