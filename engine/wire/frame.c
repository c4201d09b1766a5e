/* wire/frame.c - the frame codec, the table of who may say what, and sending with descriptors. */
#include "wire/frame.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC 0x70757368u       /* "push" */

struct head {                   /* host byte order: the peers are one binary on one host */
	uint32_t magic;
	uint16_t version, type;
	int64_t n[5];
	uint32_t text_len, reserved;
};

#define BIT(t) (1u << (t))

/* Sender -> the types it may send, and below how many descriptors each type carries. */
static const uint32_t legal[] = {
	[PEER_SUPERVISOR_OF_FRONT] = BIT(FRAME_HELLO) | BIT(FRAME_RULES) | BIT(FRAME_LISTEN) | BIT(FRAME_PEER) |
				     BIT(FRAME_DRAIN) | BIT(FRAME_GO),
	[PEER_SUPERVISOR_OF_RUNNER] = BIT(FRAME_HELLO) | BIT(FRAME_PEER) | BIT(FRAME_DRAIN),
	[PEER_FRONT_OF_SUPERVISOR] = BIT(FRAME_HELLO) | BIT(FRAME_READY) | BIT(FRAME_RULES_DONE) | BIT(FRAME_RELOAD),
	[PEER_RUNNER_OF_SUPERVISOR] = BIT(FRAME_HELLO) | BIT(FRAME_READY),
	[PEER_FRONT_OF_RUNNER] = BIT(FRAME_HELLO) | BIT(FRAME_START) | BIT(FRAME_CANCEL) | BIT(FRAME_ACK),
	[PEER_RUNNER_OF_FRONT] = BIT(FRAME_HELLO) | BIT(FRAME_RUNNING) | BIT(FRAME_RUNNING_END) | BIT(FRAME_STARTED) |
				 BIT(FRAME_RESULT) | BIT(FRAME_EPHEMERAL),
	[PEER_RUNNER_OF_JOB] = BIT(FRAME_CANCEL),
	[PEER_JOB_OF_RUNNER] = BIT(FRAME_RESULT) | BIT(FRAME_EPHEMERAL) | BIT(FRAME_STARTED),
};

static int fds_wanted(enum frame_type type)
{
	if (type == FRAME_START)
		return 2;
	return type == FRAME_RULES || type == FRAME_LISTEN || type == FRAME_PEER;
}

int frame_is_legal(enum frame_peer sender, enum frame_type type)
{
	return type >= FRAME_HELLO && type < FRAME_LAST && (legal[sender] & BIT(type)) != 0;
}

int frame_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return err_errno(e, "socketpair");
	int bytes = 1 << 20;
	for (int i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
	return 0;
}

void frame_encode(const struct frame *f, struct buf *out)
{
	assert(f->text.len <= FRAME_MAX_TEXT);
	struct head h = { .magic = MAGIC, .version = FRAME_VERSION, .type = (uint16_t)f->type,
			  .text_len = (uint32_t)f->text.len };
	memcpy(h.n, f->n, sizeof h.n);
	buf_add(out, (struct slice){ (const char *)&h, sizeof h });
	buf_add(out, f->text);
}

int frame_decode(struct slice bytes, struct frame *f)
{
	struct head h;

	if (bytes.len < sizeof h)
		return -1;
	memcpy(&h, bytes.ptr, sizeof h);
	if (h.magic != MAGIC || h.version != FRAME_VERSION || h.type < FRAME_HELLO || h.type >= FRAME_LAST ||
	    h.text_len > FRAME_MAX_TEXT || bytes.len != sizeof h + h.text_len)
		return -1;
	*f = (struct frame){ .type = (enum frame_type)h.type, .text = slice_from(bytes, sizeof h), .fds = { -1, -1 } };
	memcpy(f->n, h.n, sizeof h.n);
	return 0;
}

enum frame_outcome frame_send(int fd, const struct frame *f)
{
	char control[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)] = { 0 };
	CLEANUP(buf_fini) struct buf bytes = BUF(FRAME_MAX_TEXT + 128);
	int n_fds = fds_wanted(f->type);

	frame_encode(f, &bytes);
	struct iovec iov = { bytes.ptr, bytes.len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	if (n_fds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n_fds);
		memcpy(CMSG_DATA(c), f->fds, sizeof(int) * (size_t)n_fds);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return FRAME_OK;
	return errno == EAGAIN || errno == ENOBUFS ? FRAME_AGAIN : FRAME_EOF;
}

enum frame_outcome frame_send_wait(int fd, const struct frame *f, int timeout_ms)
{
	enum frame_outcome out;

	while ((out = frame_send(fd, f)) == FRAME_AGAIN) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int n = poll(&p, 1, timeout_ms);
		if (n == 0 || (n < 0 && errno != EINTR))
			return FRAME_AGAIN;
	}
	return out;
}

/* Descriptors beyond what the type carries are closed at once. */
static void take_fds(struct msghdr *msg, struct frame *f)
{
	int at = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (at < FRAME_MAX_FDS)
				f->fds[at++] = fd;
			else
				close(fd);
		}
	}
}

enum frame_outcome frame_recv(int fd, enum frame_peer sender, struct buf *scratch, struct frame *f)
{
	char control[CMSG_SPACE(sizeof(int) * FRAME_MAX_FDS)];
	struct frame got = { .fds = { -1, -1 } }, parsed;

	buf_clear(scratch);
	size_t room = FRAME_MAX_TEXT + sizeof(struct head);
	struct iovec iov = { buf_room(scratch, room), room };
	assert(iov.iov_base);
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof control };
	ssize_t n;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? FRAME_AGAIN : FRAME_EOF;
	if (n == 0)
		return FRAME_EOF;
	buf_grew(scratch, (size_t)n);
	take_fds(&msg, &got);
	int wanted = 0;
	if ((msg.msg_flags & MSG_TRUNC) || frame_decode(buf_slice(scratch), &parsed) < 0 ||
	    !frame_is_legal(sender, parsed.type))
		wanted = -1;
	else
		wanted = fds_wanted(parsed.type);
	int have = (got.fds[0] >= 0) + (got.fds[1] >= 0);
	if (wanted != have) {
		frame_close_fds(&got);
		return FRAME_BAD;
	}
	memcpy(parsed.fds, got.fds, sizeof parsed.fds);
	*f = parsed;
	return FRAME_OK;
}

void frame_close_fds(struct frame *f)
{
	for (int i = 0; i < FRAME_MAX_FDS; i++) {
		if (f->fds[i] >= 0)
			close(f->fds[i]);
		f->fds[i] = -1;
	}
}
