/* rules/client.h - lists of networks, and whose request it is that a proxy hands on. Pure; any thread. */
#pragma once
#include "rules/cidr.h"

struct networks {
	const struct cidr *list;        /* at most NETWORKS_MAX (rules/schema.h) */
	size_t n;
};
int networks_hold(const struct networks *networks, struct slice address);       /* 0 also where ADDRESS is none */
/* PEER is the address of the connection, FORWARDED the values of its X-Forwarded-For headers, in their order. Where PEER is none of
 * PROXIES, it is the client, whatever it says. Else it is the last address that one of them has written down and that is none of
 * theirs; with none at all, PEER. What stands left of that is the client's own tale. Without a port; borrowed from PEER or FORWARDED.
 * ptr NULL: a proxy wrote what is no address ("unknown"). */
struct slice client_address(const struct networks *proxies, struct slice peer, const struct slice *forwarded, size_t n);
