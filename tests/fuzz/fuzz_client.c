/* Whatever X-Forwarded-For says, the client is the peer, an address within the bytes, or nobody; and a peer who is no proxy is himself. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice rest = { (const char *)bytes, n }, lines[4], peer = SLICE("10.0.0.1");
	struct cidr ours, any;
	struct networks proxies = { &ours, 1 }, none = { 0 };
	struct err e;
	size_t count = 0;

	while (rest.len && count < 4)
		slice_cut(rest, '\n', &lines[count++], &rest);
	if (cidr_parse(SLICE("10.0.0.0/8"), &ours, &e) < 0)
		abort();
	struct slice client = client_address(&proxies, peer, lines, count);
	if (client.ptr && cidr_parse(client, &any, &e) < 0)
		abort();
	if (client_address(&none, peer, lines, count).ptr != peer.ptr)
		abort();
	return 0;
}
