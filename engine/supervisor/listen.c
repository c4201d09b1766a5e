/* supervisor/listen.c - bind what the roles will accept on. */
#include "supervisor/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define BACKLOG 1024

static int split(const char *address, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(address, ':');
	int64_t number;

	if (!colon || colon == address || slice_to_i64(slice_of(colon + 1), 0, 65535, &number) < 0)
		return err_set(e, ERR_INPUT, "listen '%s': want host:port, with a port from 0 to 65535", address);
	struct slice s = { address, (size_t)(colon - address) };
	if (s.ptr[0] == '[' && s.ptr[s.len - 1] == ']')
		s = slice_upto(slice_from(s, 1), s.len - 2);
	*host = slice_dup(s);
	*port = xstrdup(colon + 1);
	return 0;
}

static int bind_one(const struct addrinfo *a)
{
	int on = 1;
	CLEANUP(fd_closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return fd_take(&fd);
}

static void bound_name(int fd, struct buf *out)
{
	struct sockaddr_storage at;
	socklen_t len = sizeof at;
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
	    getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
		buf_addf(out, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

int listen_tcp(const char *address, struct buf *bound, struct err *e)
{
	CLEANUP(freep) char *host = NULL;
	CLEANUP(freep) char *port = NULL;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list;

	if (split(address, &host, &port, e) < 0)
		return -1;
	int r = getaddrinfo(host, port, &hints, &list);
	if (r != 0)
		return err_set(e, ERR_INPUT, "listen '%s': %s", address, gai_strerror(r));
	int fd = bind_one(list);
	freeaddrinfo(list);
	if (fd < 0)
		return err_errno(e, "listen '%s'", address);
	bound_name(fd, bound);
	return fd;
}

int listen_control(int state_dirfd, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Through the folder's descriptor: its path may be longer than sun_path holds. */
	snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/control.sock", state_dirfd);
	unlinkat(state_dirfd, "control.sock", 0);
	mode_t before = umask(0177);
	int r = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&at, sizeof at);
	umask(before);
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return err_errno(e, "control.sock");
	return fd_take(&fd);
}
