/* front/addresses.c - ask the sockets where they are: a configured port may be 0, a name may stand for an address. */
#include "front/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "wire/frame.h"

struct slice host_of(struct slice text)
{
	ptrdiff_t end;

	if (slice_starts(text, SLICE("["))) {
		text = slice_from(text, 1);
		end = slice_chr(text, ']');
		return end < 0 ? text : slice_upto(text, (size_t)end);
	}
	end = slice_chr(text, ':');
	text = end < 0 ? text : slice_upto(text, (size_t)end);
	return slice_ends(text, SLICE(".")) ? slice_upto(text, text.len - 1) : text;
}

static void add_host(struct addresses *a, struct slice host)
{
	a->hosts = xrealloc(a->hosts, (a->n_hosts + 1) * sizeof *a->hosts);
	a->hosts[a->n_hosts++] = slice_dup(host);
}

/* The numeric host and port that FD is bound to; 0 for another family. */
static int read_address(int fd, char host[INET6_ADDRSTRLEN], int *port, int *is_any)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} at;
	socklen_t len = sizeof at;

	if (getsockname(fd, &at.any, &len) < 0)
		return 0;
	if (at.any.sa_family == AF_INET) {
		*port = ntohs(at.in.sin_port);
		*is_any = at.in.sin_addr.s_addr == htonl(INADDR_ANY);
		return inet_ntop(AF_INET, &at.in.sin_addr, host, INET6_ADDRSTRLEN) ? AF_INET : 0;
	}
	if (at.any.sa_family == AF_INET6) {
		*port = ntohs(at.in6.sin6_port);
		*is_any = IN6_IS_ADDR_UNSPECIFIED(&at.in6.sin6_addr);
		return inet_ntop(AF_INET6, &at.in6.sin6_addr, host, INET6_ADDRSTRLEN) ? AF_INET6 : 0;
	}
	return 0;
}

void addresses_add(struct addresses *a, int fd, int classes, struct slice configured)
{
	char host[INET6_ADDRSTRLEN];
	int port, is_any, has_pages = (classes & LISTEN_PAGES) != 0;
	int family = read_address(fd, host, &port, &is_any);

	if (!family)
		return;
	add_host(a, slice_of(host));
	add_host(a, host_of(configured));
	if (a->url && (a->url_has_pages || !has_pages))
		return;
	free(a->url);
	a->url_has_pages = has_pages;
	if (is_any)
		a->url = xprintf("http://localhost:%d", port);
	else
		a->url = xprintf(family == AF_INET6 ? "http://[%s]:%d" : "http://%s:%d", host, port);
}

void addresses_fini(struct addresses *a)
{
	for (size_t i = 0; i < a->n_hosts; i++)
		free(a->hosts[i]);
	free(a->hosts);
	free(a->url);
	*a = (struct addresses){ 0 };
}
