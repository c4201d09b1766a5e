/* rules/cidr.h - networks: "10.0.0.0/8", "2001:db8::/32", an address alone. An IPv4 address within IPv6 (::ffff:10.0.0.1) is
 * the IPv4 address; otherwise a network holds addresses of its own family only. Pure. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct cidr {
	unsigned char address[16];
	int n_bytes, n_bits;            /* 4 or 16; of the prefix */
};
int cidr_parse(struct slice text, struct cidr *out, struct err *e) MUST_USE;    /* ERR_INPUT */
/* 0 where bits behind the prefix are set: "10.1.2.3/8". OUT, if not NULL, is then the network that was meant, at most 64 bytes. */
int cidr_is_exact(const struct cidr *c, char out[64]);
int cidr_holds(const struct cidr *c, struct slice address);     /* 0 also where ADDRESS is none */
