/* cli/client.c - a small blocking HTTP/1.1 client. */
#include "cli/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define HEAD_MAX (64 << 10)
#define TIMEOUT_MS 30000

void client_target_fini(struct client_target *t)
{
	free(t->state);
	free(t->host);
	*t = (struct client_target){ 0 };
}

/* errno says why where there is none, or none that may be seen. */
static int has_socket(const char *state)
{
	CLEANUP(freep) char *path = xprintf("%s/control.sock", state);
	struct stat st;
	if (stat(path, &st) < 0)
		return 0;
	errno = ENOENT;
	return S_ISSOCK(st.st_mode);
}

static int say_closed(const char *state, struct err *e)
{
	return err_set(e, ERR_UNAVAIL, "%s may not be entered by this user: ask as the user that the server runs as", state);
}

int client_target_state(struct client_target *t, const char *named, struct err *e)
{
	const char *places[] = { getenv("PUSHROD_STATE"), getenv("STATE_DIRECTORY"), "state", "../state" };

	if (named && !has_socket(named))
		return errno == EACCES ? say_closed(named, e) : err_set(e, ERR_UNAVAIL, "no server runs on %s (it has no control.sock)", named);
	for (size_t i = 0; !named && i < COUNT(places); i++) {
		if (places[i] && has_socket(places[i]))
			named = places[i];
		else if (places[i] && errno == EACCES)
			return say_closed(places[i], e);
	}
	if (!named)
		return err_set(e, ERR_UNAVAIL, "no running server found: ./state and ../state have no control.sock; "
			       "name its state folder with --state DIR");
	*t = (struct client_target){ .state = xstrdup(named) };
	return 0;
}

int client_target_url(struct client_target *t, struct slice url, struct slice *path, struct err *e)
{
	struct slice rest = url, host, port;
	int64_t number = 80;

	if (!slice_starts(url, SLICE("http://")))
		return err_set(e, ERR_INPUT, "'" SLICE_FMT "' is not an http:// address", SLICE_ARG(url));
	rest = slice_from(url, 7);
	ptrdiff_t slash = slice_chr(rest, '/');
	struct slice authority = slash < 0 ? rest : slice_upto(rest, (size_t)slash);
	if (slice_cut(authority, ':', &host, &port) && slice_to_i64(port, 1, 65535, &number) < 0)
		return err_set(e, ERR_INPUT, "'" SLICE_FMT "' is not a port", SLICE_ARG(port));
	*t = (struct client_target){ .host = slice_dup(host), .port = (int)number };
	*path = slash < 0 ? SLICE("/") : slice_from(rest, (size_t)slash);
	return 0;
}

static int connect_unix(const char *state, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	/* The path may be longer than sun_path holds: go through the folder's descriptor. */
	CLEANUP(fd_closep) int dir = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (dir < 0 || fd < 0)
		return err_errno(e, "%s", state);
	CLEANUP(freep) char *path = xprintf("/proc/self/fd/%d/control.sock", dir);
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		err_errno(e, "%s/control.sock: no server answers", state);
		e->kind = ERR_UNAVAIL;
		return -1;
	}
	return fd_take(&fd);
}

static int connect_tcp(const char *host, int port, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	CLEANUP(freep) char *service = xprintf("%d", port);
	int r = getaddrinfo(host, service, &hints, &list), fd = -1;

	if (r != 0)
		return err_set(e, ERR_UNAVAIL, "%s: %s", host, gai_strerror(r));
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
			close(fd);
			fd = -1;
		}
	}
	int number = errno;
	freeaddrinfo(list);
	errno = number;
	if (fd < 0) {
		err_errno(e, "%s:%d", host, port);
		e->kind = ERR_UNAVAIL;
	}
	return fd;
}

/* As fd_write_all, but a server that has gone is an error and no signal. */
static int send_all(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -1;
		s = slice_from(s, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int send_request(int fd, const struct client_target *t, const struct client_request *r, struct err *e)
{
	CLEANUP(buf_fini) struct buf head = BUF(HEAD_MAX), key = BUF(256);
	struct slice line, rest = r->header_lines;

	buf_addf(&head, "%s " SLICE_FMT " HTTP/1.1\r\nHost: ", r->method ? r->method : "GET", SLICE_ARG(r->path));
	buf_addf(&head, t->state ? "localhost\r\n" : "%s:%d\r\n", t->host, t->port);
	buf_adds(&head, "User-Agent: pushrod/" PUSHROD_VERSION "\r\nConnection: close\r\n");
	if (t->state) {
		CLEANUP(freep) char *path = xprintf("%s/control.key", t->state);
		if (file_read(AT_FDCWD, path, &key, NULL) == 0)
			buf_addf(&head, "Authorization: Bearer " SLICE_FMT "\r\n", SLICE_ARG(slice_trim(buf_slice(&key))));
	}
	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		buf_add(&head, line);
		buf_adds(&head, "\r\n");
	}
	if (r->body.len || (r->method && strcmp(r->method, "GET")))
		buf_addf(&head, "Content-Length: %zu\r\n", r->body.len);
	buf_adds(&head, "\r\n");
	if (buf_is_over(&head))
		return err_set(e, ERR_LIMIT, "the request's head is over %d bytes", HEAD_MAX);
	if (send_all(fd, buf_slice(&head)) < 0)
		return err_errno(e, "send");
	/* A server that refuses the body early answers and closes: its answer matters more than our EPIPE. */
	if (send_all(fd, r->body) < 0 && errno != EPIPE && errno != ECONNRESET)
		return err_errno(e, "send");
	return 0;
}

/* Append what comes next to IN. 1: some, 0: the end, -1. */
static int more(int fd, struct buf *in, int timeout_ms, struct err *e)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int n = poll(&p, 1, timeout_ms);
	if (n == 0)
		return err_set(e, ERR_UNAVAIL, "nothing came within %d s", timeout_ms / 1000);
	if (n < 0)
		return err_set(e, ERR_UNAVAIL, errno == EINTR ? "interrupted" : "poll failed");
	char *to = buf_room(in, 64 << 10);
	if (!to)
		return err_set(e, ERR_LIMIT, "the answer is over %zu bytes", in->max);
	ssize_t got = read(fd, to, 64 << 10);
	if (got < 0 && errno == EINTR)
		return err_set(e, ERR_UNAVAIL, "interrupted");
	if (got < 0 && errno != ECONNRESET)
		return err_errno(e, "read");
	buf_grew(in, got > 0 ? (size_t)got : 0);
	return got > 0;
}

struct slice client_header(const struct client_response *r, const char *name)
{
	struct slice rest = buf_slice(&r->head), line, key, value;

	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		if (slice_cut(line, ':', &key, &value) && slice_ieq(key, slice_of(name)))
			return slice_trim(value);
	}
	return SLICE_NULL;
}

struct body {
	const struct client_request *r;
	struct client_response *out;
	int fd, timeout_ms;
	struct buf in;                          /* read and not yet looked at */
};

static int give(struct body *b, struct slice bytes, struct err *e)
{
	if (b->r->on_bytes && b->out->status == 200)
		return b->r->on_bytes(bytes, b->r->arg) ? 1 : 0;
	buf_add(&b->out->body, bytes);
	return buf_is_over(&b->out->body) ? err_set(e, ERR_LIMIT, "the answer is over %d bytes", CLIENT_BODY_MAX) : 0;
}

/* LEFT bytes, or all until the end where LEFT is negative. 1: ended by the receiver. */
static int read_plain(struct body *b, int64_t left, struct err *e)
{
	for (;;) {
		size_t n = left >= 0 && (int64_t)b->in.len > left ? (size_t)left : b->in.len;
		int r = n ? give(b, slice_upto(buf_slice(&b->in), n), e) : 0;
		if (r)
			return r;
		buf_drop_front(&b->in, n);
		left -= left >= 0 ? (int64_t)n : 0;
		if (left == 0)
			return 0;
		r = more(b->fd, &b->in, b->timeout_ms, e);
		if (r < 0)
			return -1;
		if (r == 0)
			return left < 0 ? 0 : err_set(e, ERR_IO, "the answer was cut short");
	}
}

/* One line of the chunked framing, without its end. 0 at the end of the connection. */
static int read_chunk_line(struct body *b, char out[32], struct err *e)
{
	ptrdiff_t end;
	while ((end = slice_find(buf_slice(&b->in), SLICE("\r\n"))) < 0) {
		int r = more(b->fd, &b->in, b->timeout_ms, e);
		if (r < 0)
			return r;
		if (r == 0)
			return 0;
	}
	size_t n = end < 31 ? (size_t)end : 31;
	memcpy(out, b->in.ptr, n);
	out[n] = '\0';
	buf_drop_front(&b->in, (size_t)end + 2);
	return 1;
}

static int read_chunked(struct body *b, struct err *e)
{
	char line[32], *end;

	for (;;) {
		int r = read_chunk_line(b, line, e);
		if (r <= 0)
			return r < 0 ? -1 : err_set(e, ERR_IO, "the answer was cut short");
		long size = strtol(line, &end, 16);
		if (end == line || size < 0 || size > CLIENT_BODY_MAX)
			return err_set(e, ERR_IO, "'%s' is no chunk size", line);
		if (size == 0)
			return 0;
		r = read_plain(b, size, e);
		if (r)
			return r;
		r = read_chunk_line(b, line, e);
		if (r <= 0)
			return r < 0 ? -1 : err_set(e, ERR_IO, "the answer was cut short");
	}
}

static int read_head(struct body *b, struct err *e)
{
	ptrdiff_t end;
	int64_t status;
	struct slice line, rest, word;

	while ((end = slice_find(buf_slice(&b->in), SLICE("\r\n\r\n"))) < 0) {
		int r = b->in.len > HEAD_MAX ? err_set(e, ERR_LIMIT, "the answer's head is over %d bytes", HEAD_MAX)
					     : more(b->fd, &b->in, b->timeout_ms, e);
		if (r < 0)
			return -1;
		if (r == 0)
			return err_set(e, ERR_IO, "the server closed the connection without an answer");
	}
	buf_clear(&b->out->head);
	buf_add(&b->out->head, slice_upto(buf_slice(&b->in), (size_t)end + 2));
	buf_drop_front(&b->in, (size_t)end + 4);
	slice_cut(buf_slice(&b->out->head), '\n', &line, &rest);
	if (!slice_starts(line, SLICE("HTTP/1.")) || !slice_cut(line, ' ', &word, &rest) ||
	    slice_to_i64(slice_upto(rest, 3), 100, 599, &status) < 0)
		return err_set(e, ERR_IO, "the answer is not HTTP");
	b->out->status = (int)status;
	return 0;
}

int client_do(const struct client_target *t, const struct client_request *r, struct client_response *out, struct err *e)
{
	CLEANUP(fd_closep) int fd = t->state ? connect_unix(t->state, e) : connect_tcp(t->host, t->port, e);
	if (fd < 0)
		return -1;
	*out = (struct client_response){ .head = BUF(HEAD_MAX), .body = BUF(CLIENT_BODY_MAX) };
	struct body b = { .r = r, .out = out, .fd = fd, .timeout_ms = t->timeout_ms ? t->timeout_ms : TIMEOUT_MS,
			  .in = BUF(CLIENT_BODY_MAX) };
	int64_t length = -1;
	int result = send_request(fd, t, r, e);

	do
		if (result == 0)
			result = read_head(&b, e);
	while (result == 0 && out->status < 200);
	if (result == 0 && out->status != 204 && out->status != 304) {
		struct slice given = client_header(out, "content-length");
		if (slice_ieq(client_header(out, "transfer-encoding"), SLICE("chunked")))
			result = read_chunked(&b, e);
		else if (given.ptr && slice_to_i64(given, 0, INT64_MAX, &length) < 0)
			result = err_set(e, ERR_IO, "the answer is not HTTP");
		else
			result = read_plain(&b, length, e);
	}
	buf_fini(&b.in);
	if (result < 0)
		client_response_fini(out);
	return result < 0 ? -1 : 0;
}

void client_response_fini(struct client_response *r)
{
	buf_fini(&r->head);
	buf_fini(&r->body);
}
