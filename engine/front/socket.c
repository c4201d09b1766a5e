/* front/socket.c - options and states of sockets. */
#include "front/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define DEAD_PEER_MS 30000

void socket_tune_listener(int fd)
{
	int on = 1, dead = DEAD_PEER_MS, idle = 60, interval = 15, probes = 3;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead, sizeof dead);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

int socket_peer_is_there(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT | POLLRDHUP };

	while (poll(&p, 1, 0) < 0)
		if (errno != EINTR)
			return 0;
	return !(p.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL));
}

int socket_limit(int wanted, int reserve)
{
	struct rlimit nofile;

	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0 || nofile.rlim_cur == RLIM_INFINITY ||
	    (int64_t)nofile.rlim_cur - reserve >= wanted)
		return wanted;
	return (int)((int64_t)nofile.rlim_cur - reserve);
}
