/* rules/cidr.c - networks and addresses as bytes, most significant first. */
#include "rules/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

static int address_parse(struct slice text, struct cidr *out)
{
	char word[INET6_ADDRSTRLEN] = { 0 };

	if (text.len == 0 || text.len >= sizeof word || memchr(text.ptr, 0, text.len))
		return -1;
	memcpy(word, text.ptr, text.len);
	*out = (struct cidr){ .n_bytes = 4, .n_bits = 32 };
	if (inet_pton(AF_INET, word, out->address) == 1)
		return 0;
	*out = (struct cidr){ .n_bytes = 16, .n_bits = 128 };
	return inet_pton(AF_INET6, word, out->address) == 1 ? 0 : -1;
}

static void unmap(struct cidr *c)
{
	if (c->n_bytes != 16 || c->n_bits < 96 || memcmp(c->address, mapped, sizeof mapped) != 0)
		return;
	memmove(c->address, c->address + 12, 4);
	memset(c->address + 4, 0, 12);
	c->n_bytes = 4;
	c->n_bits -= 96;
}

int cidr_parse(struct slice text, struct cidr *out, struct err *e)
{
	struct slice address, bits;
	struct cidr c;
	int64_t n;
	int has_bits = slice_cut(text, '/', &address, &bits);

	if (address_parse(address, &c) < 0)
		return err_set(e, ERR_INPUT, "'" SLICE_FMT "' is no network such as \"10.0.0.0/8\" or \"2001:db8::/32\"", SLICE_ARG(slice_upto(text, 60)));
	if (has_bits && slice_to_i64(bits, 0, c.n_bits, &n) < 0)
		return err_set(e, ERR_INPUT, "'/" SLICE_FMT "' is not from /0 to /%d", SLICE_ARG(slice_upto(bits, 20)), c.n_bits);
	if (has_bits)
		c.n_bits = (int)n;
	unmap(&c);
	*out = c;
	return 0;
}

/* The I-th byte with the bits behind the prefix taken off. */
static unsigned char masked(const struct cidr *c, const unsigned char *address, int i)
{
	int kept = c->n_bits - 8 * i;
	return kept >= 8 ? address[i] : kept <= 0 ? 0 : (unsigned char)(address[i] & (0xff00 >> kept));
}

int cidr_is_exact(const struct cidr *c, char out[64])
{
	unsigned char network[16] = { 0 };
	char word[INET6_ADDRSTRLEN];

	for (int i = 0; i < c->n_bytes; i++)
		network[i] = masked(c, c->address, i);
	if (out && inet_ntop(c->n_bytes == 4 ? AF_INET : AF_INET6, network, word, sizeof word))
		snprintf(out, 64, "%s/%d", word, c->n_bits);
	return memcmp(network, c->address, sizeof network) == 0;
}

int cidr_holds(const struct cidr *c, struct slice address)
{
	struct cidr a;

	if (address_parse(address, &a) < 0)
		return 0;
	unmap(&a);
	if (a.n_bytes != c->n_bytes)
		return 0;
	for (int i = 0; i < c->n_bytes; i++)
		if (masked(c, a.address, i) != masked(c, c->address, i))
			return 0;
	return 1;
}
