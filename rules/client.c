/* rules/client.c - X-Forwarded-For from its right end: each proxy has added whom it spoke with, so that an address counts as long as
 * all to its right, and the peer, are proxies of ours. */
#include "rules/client.h"

#include <string.h>

int networks_hold(const struct networks *networks, struct slice address)
{
	for (size_t i = 0; i < networks->n; i++)
		if (cidr_holds(&networks->list[i], address))
			return 1;
	return 0;
}

/* Take what stands behind the last comma off *REST. */
static struct slice take_last(struct slice *rest)
{
	const char *comma = rest->len ? memrchr(rest->ptr, ',', rest->len) : NULL;
	struct slice last = comma ? slice_from(*rest, (size_t)(comma - rest->ptr) + 1) : *rest;

	*rest = slice_upto(*rest, comma ? (size_t)(comma - rest->ptr) : 0);
	return slice_trim(last);
}

/* "192.0.2.1:4711", "[2001:db8::1]:4711", "[2001:db8::1]". */
static struct slice without_port(struct slice s)
{
	struct slice head, tail;

	if (slice_starts(s, SLICE("[")))
		return slice_cut(slice_from(s, 1), ']', &head, &tail) ? head : s;
	return slice_cut(s, ':', &head, &tail) && slice_chr(tail, ':') < 0 ? head : s;
}

static int is_address(struct slice s)
{
	struct cidr unused;
	struct err e;
	return slice_chr(s, '/') < 0 && cidr_parse(s, &unused, &e) == 0;
}

struct slice client_address(const struct networks *proxies, struct slice peer, const struct slice *forwarded, size_t n)
{
	struct slice client = peer;

	for (size_t i = n; i-- > 0;) {
		struct slice rest = forwarded[i];
		while (rest.len) {
			if (!networks_hold(proxies, client))
				return client;
			client = without_port(take_last(&rest));
			if (!is_address(client))
				return SLICE_NULL;
		}
	}
	return client;
}
