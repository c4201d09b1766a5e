/* front/addresses.h - where the engine listens, as configured and as bound: the names it answers to, the base of links.
 * Fixed while a front lives. */
#pragma once
#include "base/slice.h"

struct addresses {
	char **hosts;                   /* without port and brackets */
	size_t n_hosts;
	char *url;                      /* of the first listener that serves pages, else of the first; NULL for none */
	int url_has_pages;
};

/* FD is a bound socket, CLASSES of enum listen_class, CONFIGURED its address as the owner wrote it. */
void addresses_add(struct addresses *a, int fd, int classes, struct slice configured);
void addresses_fini(struct addresses *a);
/* Host part of "127.0.0.1:8787", "[::1]:80", "example.org", "example.org.". Borrowed from TEXT. */
struct slice host_of(struct slice text);
