/* front/http.c - HTTP/1.1 over libh2o 2.2.5, the only file that knows it.
 *
 * Each loop is a thread with its own h2o event loop and one h2o context per class of listener: hooks (25 MiB, 30 s) and
 * the rest (1 MiB, 10 s). What libh2o leaves open is closed here, each by its name in tests/unit/test_http.c:
 *
 *  - Its HTTP/2 aborts on hostile input: upgrade_to_http2 is off, so neither the preface nor `Upgrade: h2c` reaches it.
 *  - Its parser is lenient (conflicting framing headers, folded lines, bare LF, any number of Hosts) and hides what it
 *    read from handlers. The head is still in the input buffer, so front/head.c reads it a second time, strictly: what
 *    two readers could frame differently is answered 400 and the connection ends. A body in chunks always ends its
 *    connection; one with a single strict Content-Length leaves no room for a smuggled tail and does not.
 *  - Paths it cannot normalise turn into "/": path_resolve decides instead, and says 400.
 *  - Bodies are buffered whole before any handler runs, on disk when large: never on disk here, and a sum over all
 *    that are arriving is bounded (watch_bodies).
 *  - It accepts without bound and spins at EMFILE: a loop at its share of max_connections stops accepting until one
 *    closes; an accept that fails for want of descriptors or memory pauses for a moment.
 *  - It cannot see a client go, and has no write timeout: TCP_USER_TIMEOUT and keep-alive end dead peers of ordinary
 *    replies; streams are taken over (below) and see to it themselves (front/stream.c).
 *  - It closes at once after refusing a large body, and the reset that follows can eat the refusal: such connections
 *    linger until the sender has stopped, or for LINGER_MS.
 *
 * Taking over: the reply's body is one chunk that we framed ourselves (with a transfer-encoding header of ours the
 * chunked filter stays away) and the last that h2o hears of; the descriptor is dup'ed before, and handed on when h2o has
 * closed its own copy. Where the reply could not be written whole, the peer is gone, and poll(2) knows. */
#include "front/http.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <h2o.h>
#include <h2o/http1.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "front/head.h"
#include "front/socket.h"
#include "front/status.h"
#include "wire/frame.h"

#define HOOKS_BODY_MAX (25u << 20)
#define OTHER_BODY_MAX (1u << 20)
#define DEFAULT_BODY_BUDGET ((int64_t)512 << 20)
#define RESERVED_FDS 128                        /* journals, store, wire: never left to connections */
#define ACCEPTS_PER_TURN 32
#define ACCEPT_PAUSE_MS 100
#define LINGER_MS 2000
#define LINGER_BYTES (64 << 20)
#define FILE_PIECE_BYTES (64 << 10)
#define LISTENERS_MAX 16
#define LOOP_STACK_BYTES (4 << 20)              /* h2o copies header names to the stack, up to 408 KB */

enum { CLASS_HOOKS, CLASS_OTHER, CLASSES };

struct http_loop {
	struct http *http;
	int index, started, draining, ended;
	pthread_t thread;
	h2o_loop_t *loop;
	h2o_context_t ctx[CLASSES];
	struct listener {
		struct http_loop *l;
		h2o_socket_t *sock;             /* NULL once closed */
		int classes;
	} listeners[LISTENERS_MAX];
	int connections, cap, is_paused;
	h2o_timeout_t retry_timeout, body_timeout, linger_timeout;
	h2o_timeout_entry_t retry, body_watch;
	struct mailbox *mailbox;
	TAILQ_HEAD(, watch) watches;
	void *data;
	struct loop_mail { struct mail mail; struct http_loop *l; } up, drain, drained, end;
};

struct watch {
	TAILQ_ENTRY(watch) next;
	h2o_socket_t *sock;
	void (*on_readable)(void *arg);
	void *arg;
};

struct http {
	struct http_options o;
	h2o_globalconf_t conf[CLASSES];
	h2o_hostconf_t *hosts[CLASSES];
	int n_listeners;
	struct { int fd, classes; } listeners[LISTENERS_MAX];
	int n_loops, is_running;
	struct http_loop *loops;
	struct mailbox *answers;                /* of the loops, to who starts and drains them */
	void (*on_loop_drain)(struct http_loop *l, void *arg);
	void *drain_arg;
	void (*on_loop_end)(struct http_loop *l, void *data);
};

/* One accepted connection. h2o owns the socket; we hear when it closes. */
struct conn {
	struct http_loop *l;
	int classes;
	int kept_fd;                            /* a dup for after h2o's close: taken over, or lingering; -1 */
	int is_chunked;
	void (*on_taken)(int fd, int is_chunked, void *arg);    /* NULL with kept_fd: linger */
	void *arg;
};

struct farewell {
	h2o_timeout_entry_t timeout;            /* first: the callback gets its address */
	h2o_socket_t *sock;
	struct http_loop *l;
	int64_t left;
};

struct http_ticket {
	struct http_request *r;
};

struct http_request {                           /* lives in the request's pool */
	h2o_req_t *req;
	struct conn *conn;
	struct head head;
	struct buf path;
	struct http_ticket *ticket;
};

struct handler {
	h2o_handler_t super;
	struct http *http;
};

struct file_reply {
	h2o_generator_t super;
	int fd;
	int64_t at, left;
	char piece[FILE_PIECE_BYTES];
};

static struct slice of_iovec(h2o_iovec_t v)
{
	return (struct slice){ v.base, v.len };
}

static h2o_socket_t *socket_of(h2o_req_t *req)
{
	return req->conn->callbacks->get_socket(req->conn);
}

static struct conn *conn_of(h2o_req_t *req)
{
	return socket_of(req)->on_close.data;
}

/* ---- accepting, and where it stops ---- */

static void on_acceptable(h2o_socket_t *sock, const char *err);

static void pause_accepting(struct http_loop *l)
{
	l->is_paused = 1;
	for (int i = 0; i < LISTENERS_MAX; i++)
		if (l->listeners[i].sock)
			h2o_socket_read_stop(l->listeners[i].sock);
}

static void resume_accepting(struct http_loop *l)
{
	if (!l->is_paused || l->draining || l->connections >= l->cap)
		return;
	l->is_paused = 0;
	for (int i = 0; i < LISTENERS_MAX; i++)
		if (l->listeners[i].sock)
			h2o_socket_read_start(l->listeners[i].sock, on_acceptable);
}

static void on_retry(h2o_timeout_entry_t *entry)
{
	resume_accepting(H2O_STRUCT_FROM_MEMBER(struct http_loop, retry, entry));
}

static void release_slot(struct http_loop *l)
{
	assert(l->connections > 0);
	l->connections--;
	if (!h2o_timeout_is_linked(&l->retry))
		resume_accepting(l);
	if (!l->draining || l->connections || l->ended)
		return;
	l->ended = 1;
	mailbox_post(l->http->answers, &l->drained.mail);
}

static void linger_end(struct farewell *g)
{
	struct http_loop *l = g->l;

	h2o_timeout_unlink(&g->timeout);
	h2o_socket_close(g->sock);
	free(g);
	release_slot(l);
}

static void on_linger_timeout(h2o_timeout_entry_t *entry)
{
	linger_end(H2O_STRUCT_FROM_MEMBER(struct farewell, timeout, entry));
}

static void on_linger_read(h2o_socket_t *sock, const char *err)
{
	static __thread char sink[64 << 10];
	struct farewell *g = sock->data;
	ssize_t n = err ? 0 : recv(h2o_socket_get_fd(sock), sink, sizeof sink, MSG_DONTWAIT);

	g->left -= n > 0 ? n : 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || g->left < 0)
		linger_end(g);
}

/* Take what the peer still sends and drop it, so that it gets to read what we said. */
static void linger_start(struct http_loop *l, int fd)
{
	struct farewell *g = xcalloc(1, sizeof *g);

	shutdown(fd, SHUT_WR);
	*g = (struct farewell){ .l = l, .left = LINGER_BYTES, .timeout.cb = on_linger_timeout };
	g->sock = h2o_evloop_socket_create(l->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
	g->sock->data = g;
	h2o_timeout_link(l->loop, &l->linger_timeout, &g->timeout);
	h2o_socket_read_start(g->sock, on_linger_read);
}

/* h2o has closed its copy of a connection's descriptor. */
static void on_conn_closed(void *data)
{
	struct conn *c = data;
	struct http_loop *l = c->l;

	if (c->kept_fd >= 0 && !c->on_taken) {
		linger_start(l, c->kept_fd);
	} else if (c->kept_fd >= 0 && socket_peer_is_there(c->kept_fd)) {
		c->on_taken(c->kept_fd, c->is_chunked, c->arg);
	} else {
		fd_closep(&c->kept_fd);
		release_slot(l);
		if (c->on_taken)
			c->on_taken(-1, c->is_chunked, c->arg);
	}
	free(c);
}

/* Out of descriptors or memory: the listener stays readable, and trying at once again would spin. */
static void on_accept_failed(struct http_loop *l, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOMEM && error != ENOBUFS)
		return;
	log_warn("cannot accept", "error=%s pause_ms=%d connections=%d", strerrorname_np(error), ACCEPT_PAUSE_MS,
		 l->connections);
	pause_accepting(l);
	if (!h2o_timeout_is_linked(&l->retry))
		h2o_timeout_link(l->loop, &l->retry_timeout, &l->retry);
}

static void on_acceptable(h2o_socket_t *sock, const char *err)
{
	struct listener *in = sock->data;
	struct http_loop *l = in->l;
	int which = in->classes & LISTEN_HOOKS ? CLASS_HOOKS : CLASS_OTHER;
	h2o_accept_ctx_t to = { .ctx = &l->ctx[which], .hosts = l->ctx[which].globalconf->hosts };

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		if (l->connections >= l->cap) {
			pause_accepting(l);
			return;
		}
		h2o_socket_t *client = h2o_evloop_socket_accept(sock);
		if (!client) {
			on_accept_failed(l, errno);
			return;
		}
		struct conn *c = xcalloc(1, sizeof *c);
		*c = (struct conn){ .l = l, .classes = in->classes, .kept_fd = -1 };
		client->on_close.cb = on_conn_closed;
		client->on_close.data = c;
		l->connections++;
		if (!h2o_timeout_is_linked(&l->body_watch))
			h2o_timeout_link(l->loop, &l->body_timeout, &l->body_watch);
		h2o_accept(&to, client);
	}
}

/* ---- the sum of bodies that are arriving ---- */

struct weigh {
	int64_t sum;
	size_t largest;
	h2o_req_t *owner;
	int open;
};

static int weigh_request(h2o_req_t *req, void *arg)
{
	struct weigh *w = arg;
	h2o_socket_t *sock = socket_of(req);

	w->open++;
	if (!sock || !sock->input)
		return 0;
	w->sum += (int64_t)sock->input->capacity;
	if (!req->entity.base && sock->input->size > w->largest) {
		w->largest = sock->input->size;
		w->owner = req;
	}
	return 0;
}

/* Once a second while there are connections of h2o's: cut off the largest request until the rest fits. */
static void watch_bodies(h2o_timeout_entry_t *entry)
{
	struct http_loop *l = H2O_STRUCT_FROM_MEMBER(struct http_loop, body_watch, entry);
	struct weigh w = { 0 };

	for (int i = 0; i < CLASSES; i++)
		l->http->conf[i].http1.callbacks.foreach_request(&l->ctx[i], weigh_request, &w);
	if (w.sum > l->http->o.body_budget_bytes / l->http->n_loops && w.owner) {
		log_warn("bodies over the budget, cutting off the largest", "bytes=%lld largest=%zu", (long long)w.sum,
			 w.largest);
		shutdown(h2o_socket_get_fd(socket_of(w.owner)), SHUT_RD);
	}
	if (w.open)
		h2o_timeout_link(l->loop, &l->body_timeout, &l->body_watch);
}

/* ---- the request ---- */

static void on_request_gone(void *data)
{
	struct http_request *r = data;

	if (r->ticket)
		r->ticket->r = NULL;
	buf_fini(&r->path);
}

/* A reply that ends the connection while the sender may still be sending: see linger_start. */
static void on_refusal(h2o_filter_t *self, h2o_req_t *req, h2o_ostream_t **slot)
{
	struct conn *c = conn_of(req);

	if (req->res.status >= 400 && !req->http1_is_persistent && c->kept_fd < 0)
		c->kept_fd = fcntl(h2o_socket_get_fd(socket_of(req)), F_DUPFD_CLOEXEC, 0);
	h2o_setup_next_ostream(req, slot);
}

static int on_req(h2o_handler_t *super, h2o_req_t *req)
{
	struct http *h = ((struct handler *)super)->http;
	h2o_socket_t *sock = socket_of(req);
	struct http_request *r = h2o_mem_alloc_shared(&req->pool, sizeof *r, on_request_gone);
	const char *why;
	int status;

	*r = (struct http_request){ .req = req, .conn = conn_of(req), .path = BUF(PATH_MAX_BYTES) };
	req->compress_hint = H2O_COMPRESS_HINT_DISABLE;
	struct slice input = { sock->input->bytes, sock->input->size };
	if (head_parse(input, &r->head, &status, &why) < 0) {
		req->http1_is_persistent = 0;
		http_problem(r, status, status_reason(status), why);
		return 0;
	}
	if (r->head.is_chunked)
		req->http1_is_persistent = 0;
	struct slice target = of_iovec(req->input.path), path, query;
	slice_cut(target, '?', &path, &query);
	if (path_resolve(path, &r->path) < 0) {
		req->http1_is_persistent = 0;
		http_problem(r, 400, "Bad Request", "the path is malformed");
		return 0;
	}
	h->o.on_request(r, h->o.arg);
	return 0;
}

int http_classes(const struct http_request *r)
{
	return r->conn->classes;
}

struct http_loop *http_request_loop(const struct http_request *r)
{
	return r->conn->l;
}

struct slice http_method(const struct http_request *r)
{
	return of_iovec(r->req->input.method);
}

struct slice http_path(const struct http_request *r)
{
	return buf_slice(&r->path);
}

struct slice http_query(const struct http_request *r)
{
	struct slice path, query;

	slice_cut(of_iovec(r->req->input.path), '?', &path, &query);
	return query;
}

struct slice http_body(const struct http_request *r)
{
	return of_iovec(r->req->entity);
}

int http_is_1_0(const struct http_request *r)
{
	return r->head.is_1_0;
}

size_t http_header_count(const struct http_request *r)
{
	return r->req->headers.size;
}

void http_header_at(const struct http_request *r, size_t i, struct slice *name, struct slice *value)
{
	assert(i < r->req->headers.size);
	*name = of_iovec(*r->req->headers.entries[i].name);
	*value = of_iovec(r->req->headers.entries[i].value);
}

struct slice http_header(const struct http_request *r, const char *name, int *count)
{
	struct slice want = slice_of(name), found = SLICE_NULL, key, value;
	int n = 0;

	for (size_t i = 0; i < r->req->headers.size; i++) {
		http_header_at(r, i, &key, &value);
		if (slice_eq(key, want) && !n++)
			found = value;
	}
	if (count)
		*count = n;
	return found;
}

struct slice http_host(const struct http_request *r)
{
	return r->head.host;
}

void http_peer(const struct http_request *r, char out[64])
{
	struct sockaddr_storage ss = { 0 };
	char text[NI_MAXHOST];
	socklen_t len = r->req->conn->callbacks->get_peername(r->req->conn, (void *)&ss);
	size_t n = SIZE_MAX;

	if (len && (ss.ss_family == AF_INET || ss.ss_family == AF_INET6))
		n = h2o_socket_getnumerichost((void *)&ss, len, text);
	struct slice s = n == SIZE_MAX ? SLICE("unix") : (struct slice){ text, n };
	if (slice_starts(s, SLICE("::ffff:")) && slice_chr(s, '.') > 0)
		s = slice_from(s, 7);
	s = slice_upto(s, 63);
	memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
}

/* ---- answering ---- */

static void add_header(h2o_req_t *req, const char *name, const char *value)
{
	h2o_iovec_t n = h2o_strdup(&req->pool, name, strlen(name));
	h2o_iovec_t v = h2o_strdup(&req->pool, value, strlen(value));

	h2o_strtolower(n.base, n.len);
	h2o_add_header_by_str(&req->pool, &req->res.headers, n.base, n.len, 1, NULL, v.base, v.len);
}

static void start_reply(h2o_req_t *req, const struct http_reply *reply, size_t length)
{
	req->res.status = reply->status;
	req->res.reason = status_reason(reply->status);
	req->res.content_length = length;
	if (reply->content_type)
		add_header(req, "content-type", reply->content_type);
	for (const char *const *h = reply->headers; h && h[0]; h += 2)
		add_header(req, h[0], h[1]);
	if (reply->close)
		req->http1_is_persistent = 0;
}

/* Send BODY (in the request's pool, or empty) as all there is. */
static void send_whole(h2o_req_t *req, h2o_iovec_t body)
{
	static h2o_generator_t whole = { NULL, NULL };

	h2o_start_response(req, &whole);
	h2o_send(req, &body, body.len ? 1 : 0, H2O_SEND_STATE_FINAL);
}

static int has_no_body(h2o_req_t *req, int status)
{
	return status == 204 || status == 304 || h2o_memis(req->input.method.base, req->input.method.len, H2O_STRLIT("HEAD"));
}

void http_reply(struct http_request *r, const struct http_reply *reply)
{
	h2o_req_t *req = r->req;
	int is_bare = reply->status == 204 || reply->status == 304;
	h2o_iovec_t body = { NULL, 0 };

	start_reply(req, reply, is_bare ? SIZE_MAX : reply->body.len);
	if (reply->body.len && !has_no_body(req, reply->status))
		body = h2o_strdup(&req->pool, reply->body.ptr, reply->body.len);
	send_whole(req, body);
}

void http_problem(struct http_request *r, int status, const char *title, const char *detail)
{
	CLEANUP(buf_fini) struct buf body = BUF(16 << 10);

	problem_add(&body, status, title, detail);
	http_reply(r, &(struct http_reply){ .status = status, .content_type = "application/problem+json",
					    .body = buf_slice(&body) });
}

static void file_proceed(h2o_generator_t *super, h2o_req_t *req)
{
	struct file_reply *f = (struct file_reply *)super;
	size_t want = f->left < FILE_PIECE_BYTES ? (size_t)f->left : FILE_PIECE_BYTES;
	ssize_t n;

	do
		n = pread(f->fd, f->piece, want, f->at);
	while (n < 0 && errno == EINTR);
	if (n <= 0) {                           /* shorter than promised: the client must not take it for whole */
		h2o_send(req, NULL, 0, H2O_SEND_STATE_ERROR);
		return;
	}
	f->at += n;
	f->left -= n;
	h2o_iovec_t piece = h2o_iovec_init(f->piece, (size_t)n);
	h2o_send(req, &piece, 1, f->left ? H2O_SEND_STATE_IN_PROGRESS : H2O_SEND_STATE_FINAL);
}

static void file_gone(void *data)
{
	fd_closep(&((struct file_reply *)data)->fd);
}

void http_reply_file(struct http_request *r, const struct http_reply *reply, int fd, int64_t from, int64_t len)
{
	h2o_req_t *req = r->req;

	start_reply(req, reply, (size_t)len);
	if (!len || has_no_body(req, reply->status)) {
		send_whole(req, (h2o_iovec_t){ NULL, 0 });
		return;
	}
	struct file_reply *f = h2o_mem_alloc_shared(&req->pool, sizeof *f, file_gone);
	f->super = (h2o_generator_t){ file_proceed, NULL };
	f->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f->at = from;
	f->left = len;
	h2o_start_response(req, &f->super);
	file_proceed(&f->super, req);
}

struct http_ticket *http_park(struct http_request *r)
{
	assert(!r->ticket);
	r->ticket = xcalloc(1, sizeof *r->ticket);
	r->ticket->r = r;
	return r->ticket;
}

struct http_request *http_unpark(struct http_ticket *t)
{
	struct http_request *r = t->r;

	if (r)
		r->ticket = NULL;
	free(t);
	return r;
}

void http_take_over(struct http_request *r, const char *const *headers, struct slice first,
		    void (*on_taken)(int fd, int is_chunked, void *arg), void *arg)
{
	h2o_req_t *req = r->req;
	struct conn *c = r->conn;
	struct http_reply reply = { .status = 200, .headers = headers, .body = first, .close = 1 };
	int fd = fcntl(h2o_socket_get_fd(socket_of(req)), F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {                           /* no descriptor left: FIRST, whole, is a legal short stream */
		http_reply(r, &reply);
		on_taken(-1, 0, arg);
		return;
	}
	c->kept_fd = fd;
	c->is_chunked = !r->head.is_1_0;
	c->on_taken = on_taken;
	c->arg = arg;
	start_reply(req, &reply, SIZE_MAX);
	if (c->is_chunked)
		add_header(req, "transfer-encoding", "chunked");
	h2o_iovec_t body = { h2o_mem_alloc_pool(&req->pool, first.len + 32), 0 };
	if (first.len && c->is_chunked)
		body.len = (size_t)snprintf(body.base, 24, "%zx\r\n", first.len);
	if (first.len)
		memcpy(body.base + body.len, first.ptr, first.len);
	body.len += first.len;
	if (first.len && c->is_chunked) {
		memcpy(body.base + body.len, "\r\n", 2);
		body.len += 2;
	}
	send_whole(req, body);
}

void http_taken_close(struct http_loop *l, int fd)
{
	close(fd);
	release_slot(l);
}

int http_connections(const struct http_loop *l)
{
	return l->connections;
}

/* ---- loops ---- */

int http_loop_count(const struct http *h)
{
	return h->n_loops;
}

struct http_loop *http_loop_at(struct http *h, int i)
{
	assert(i >= 0 && i < h->n_loops);
	return &h->loops[i];
}

void *http_loop_data(const struct http_loop *l)
{
	return l->data;
}

struct mailbox *http_loop_mailbox(struct http_loop *l)
{
	return l->mailbox;
}

static void on_watch_readable(h2o_socket_t *sock, const char *err)
{
	struct watch *w = sock->data;

	w->on_readable(w->arg);
}

int http_loop_watch(struct http_loop *l, int fd, void (*on_readable)(void *arg), void *arg)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);        /* h2o closes what it watches */

	if (own < 0)
		return -1;
	struct watch *w = xcalloc(1, sizeof *w);
	*w = (struct watch){ .on_readable = on_readable, .arg = arg,
			     .sock = h2o_evloop_socket_create(l->loop, own, H2O_SOCKET_FLAG_DONT_READ) };
	w->sock->data = w;
	TAILQ_INSERT_TAIL(&l->watches, w, next);
	h2o_socket_read_start(w->sock, on_watch_readable);
	return 0;
}

static void on_mail(void *arg)
{
	struct http_loop *l = arg;

	mailbox_deliver(l->mailbox, l);
}

static void on_answer(struct mail *m, void *arg)
{
	++*(int *)arg;
}

/* A request that has not come in full by now is not waited for; one that is being answered ends its connection. */
static int end_idle(h2o_req_t *req, void *arg)
{
	if (req->version == 0)
		shutdown(h2o_socket_get_fd(socket_of(req)), SHUT_RD);
	else
		req->http1_is_persistent = 0;
	return 0;
}

static void close_listeners(struct http_loop *l)
{
	for (int i = 0; i < LISTENERS_MAX; i++) {
		if (l->listeners[i].sock)
			h2o_socket_close(l->listeners[i].sock);
		l->listeners[i].sock = NULL;
	}
}

static void on_drain(struct mail *m, void *arg)
{
	struct http_loop *l = ((struct loop_mail *)m)->l;

	l->draining = 1;
	l->connections++;                       /* so that the end is told once, below */
	close_listeners(l);
	for (int i = 0; i < CLASSES; i++)
		h2o_context_request_shutdown(&l->ctx[i]);
	if (l->http->on_loop_drain)
		l->http->on_loop_drain(l, l->http->drain_arg);
	for (int i = 0; i < CLASSES; i++)
		l->http->conf[i].http1.callbacks.foreach_request(&l->ctx[i], end_idle, NULL);
	release_slot(l);
}

static void on_end(struct mail *m, void *arg)
{
	struct http_loop *l = ((struct loop_mail *)m)->l;

	close_listeners(l);
	l->started = 0;
}

static void loop_open(struct http_loop *l)
{
	l->loop = h2o_evloop_create();
	for (int i = 0; i < CLASSES; i++)
		h2o_context_init(&l->ctx[i], l->loop, &l->http->conf[i]);
	h2o_timeout_init(l->loop, &l->retry_timeout, ACCEPT_PAUSE_MS);
	h2o_timeout_init(l->loop, &l->body_timeout, 1000);
	h2o_timeout_init(l->loop, &l->linger_timeout, LINGER_MS);
	l->retry.cb = on_retry;
	l->body_watch.cb = watch_bodies;
	if (http_loop_watch(l, mailbox_fd(l->mailbox), on_mail, l) < 0)
		abort();
	if (l->http->o.on_loop_start)
		l->data = l->http->o.on_loop_start(l, l->http->o.arg);
	for (int i = 0; i < l->http->n_listeners; i++) {
		int fd = fcntl(l->http->listeners[i].fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			abort();
		struct listener *in = &l->listeners[i];
		*in = (struct listener){ .l = l, .classes = l->http->listeners[i].classes };
		in->sock = h2o_evloop_socket_create(l->loop, fd, H2O_SOCKET_FLAG_DONT_READ);
		in->sock->data = in;
		h2o_socket_read_start(in->sock, on_acceptable);
	}
}

/* The contexts are given back only where every connection has ended: h2o asserts it. */
static void loop_close(struct http_loop *l)
{
	struct watch *w;

	if (l->http->on_loop_end)
		l->http->on_loop_end(l, l->data);
	while ((w = TAILQ_FIRST(&l->watches))) {
		TAILQ_REMOVE(&l->watches, w, next);
		h2o_socket_close(w->sock);
		free(w);
	}
	h2o_timeout_unlink(&l->retry);
	h2o_timeout_unlink(&l->body_watch);
	if (l->connections)
		return;
	h2o_timeout_dispose(l->loop, &l->retry_timeout);
	h2o_timeout_dispose(l->loop, &l->body_timeout);
	h2o_timeout_dispose(l->loop, &l->linger_timeout);
	for (int i = 0; i < CLASSES; i++)
		h2o_context_dispose(&l->ctx[i]);
	h2o_evloop_run(l->loop, 0);             /* closed sockets are given back at the end of a turn */
	h2o_evloop_destroy(l->loop);
}

static void *loop_main(void *arg)
{
	struct http_loop *l = arg;

	loop_open(l);
	l->started = 1;
	mailbox_post(l->http->answers, &l->up.mail);
	while (l->started)
		if (h2o_evloop_run(l->loop, 3600 * 1000) != 0 && errno != EINTR) {
			log_error("the event loop failed", "error=%s", strerrorname_np(errno));
			abort();
		}
	loop_close(l);
	return NULL;
}

/* ---- the server ---- */

static void configure(struct http *h, int which)
{
	h2o_globalconf_t *conf = &h->conf[which];

	h2o_config_init(conf);
	conf->server_name = (h2o_iovec_t){ NULL, 0 };
	conf->http1.upgrade_to_http2 = 0;
	conf->http2.callbacks.request_shutdown = NULL;  /* it would leave a timer behind that context_dispose asserts on */
	conf->http1.req_timeout = which == CLASS_HOOKS ? 30000 : 10000;
	conf->max_request_entity_size = which == CLASS_HOOKS ? HOOKS_BODY_MAX : OTHER_BODY_MAX;
	h->hosts[which] = h2o_config_register_host(conf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
	h2o_pathconf_t *paths[] = { h2o_config_register_path(h->hosts[which], "/", 0), &h->hosts[which]->fallback_path };
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct handler *handler = (struct handler *)h2o_create_handler(paths[i], sizeof *handler);
		handler->super.on_req = on_req;
		handler->http = h;
		h2o_filter_t *filter = h2o_create_filter(paths[i], sizeof *filter);
		filter->on_setup_ostream = on_refusal;
		paths[i]->error_log.emit_request_errors = 0;
	}
}

int http_new(const struct http_options *o, struct http **out, struct err *e)
{
	if (o->loops < 1 || o->loops > 64 || o->max_connections < 1 || !o->on_request)
		return err_set(e, ERR_BUG, "http: %d loops, %d connections", o->loops, o->max_connections);
	struct http *h = xcalloc(1, sizeof *h);
	int connections = socket_limit(o->max_connections, RESERVED_FDS) / o->loops;
	if (connections < 1)
		connections = 1;
	h->o = *o;
	if (!h->o.body_budget_bytes)
		h->o.body_budget_bytes = DEFAULT_BODY_BUDGET;
	signal(SIGPIPE, SIG_IGN);
	h2o_socket_buffer_mmap_settings.threshold = SIZE_MAX;
	for (int i = 0; i < CLASSES; i++)
		configure(h, i);
	h->answers = mailbox_new();
	h->n_loops = o->loops;
	h->loops = xcalloc((size_t)o->loops, sizeof *h->loops);
	for (int i = 0; i < o->loops; i++) {
		struct http_loop *l = &h->loops[i];
		*l = (struct http_loop){ .http = h, .index = i, .cap = connections, .mailbox = mailbox_new(),
					 .up = { { .deliver = on_answer }, l }, .drained = { { .deliver = on_answer }, l },
					 .drain = { { .deliver = on_drain }, l }, .end = { { .deliver = on_end }, l } };
		TAILQ_INIT(&l->watches);
	}
	*out = h;
	return 0;
}

int http_listen(struct http *h, int fd, int classes, struct err *e)
{
	if (h->n_listeners == LISTENERS_MAX || h->is_running) {
		close(fd);
		return err_set(e, ERR_LIMIT, "at most %d listeners, all before the start", LISTENERS_MAX);
	}
	socket_tune_listener(fd);
	if (fd_nonblock(fd) < 0) {
		close(fd);
		return err_errno(e, "listener");
	}
	h->listeners[h->n_listeners].fd = fd;
	h->listeners[h->n_listeners++].classes = classes;
	return 0;
}

/* Wait until N loops have answered, or DEADLINE (mono_ms) has passed. */
static int await_answers(struct http *h, int n, int64_t deadline)
{
	int got = 0;

	while (got < n) {
		int64_t left = deadline - mono_ms();
		struct pollfd p = { .fd = mailbox_fd(h->answers), .events = POLLIN };
		if (left <= 0)
			break;
		if (poll(&p, 1, left > 1000 ? 1000 : (int)left) > 0)
			mailbox_deliver(h->answers, &got);
	}
	return got;
}

int http_start(struct http *h, struct err *e)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int failed = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, LOOP_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (int i = 0; i < h->n_loops && !failed; i++) {
		failed = pthread_create(&h->loops[i].thread, &attr, loop_main, &h->loops[i]);
		if (!failed)
			h->is_running++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	await_answers(h, h->is_running, INT64_MAX);
	if (failed) {
		errno = failed;
		return err_errno(e, "start loop %d", h->is_running);
	}
	return 0;
}

static void close_masters(struct http *h)
{
	for (int i = 0; i < h->n_listeners; i++)
		fd_closep(&h->listeners[i].fd);
}

void http_drain(struct http *h, int grace_ms, void (*on_loop_drain)(struct http_loop *l, void *arg), void *arg)
{
	h->on_loop_drain = on_loop_drain;
	h->drain_arg = arg;
	close_masters(h);
	for (int i = 0; i < h->is_running; i++)
		mailbox_post(h->loops[i].mailbox, &h->loops[i].drain.mail);
	await_answers(h, h->is_running, mono_ms() + grace_ms);
}

void http_free(struct http *h, void (*on_loop_end)(struct http_loop *l, void *data))
{
	struct mail_list late;

	if (!h)
		return;
	h->on_loop_end = on_loop_end;
	close_masters(h);
	for (int i = 0; i < h->is_running; i++)
		mailbox_post(h->loops[i].mailbox, &h->loops[i].end.mail);
	for (int i = 0; i < h->is_running; i++)
		pthread_join(h->loops[i].thread, NULL);
	mailbox_take(h->answers, &late);                /* they are part of the loops */
	mailbox_free(h->answers);
	for (int i = 0; i < h->n_loops; i++)
		mailbox_free(h->loops[i].mailbox);
	for (int i = 0; i < CLASSES; i++)
		h2o_config_dispose(&h->conf[i]);
	free(h->loops);
	free(h);
}
