/* dispatch/link.c - the runner's connection. The socket is nonblocking, and a full one is no fault: what cannot be sent
 * stays in a queue in order (notes), or with the caller (START), and poll(2) tells when there is room. */
#include "dispatch/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/file.h"

#define FRAMES_A_TURN 256       /* then the other descriptors of the desk get their turn */

struct note {
	STAILQ_ENTRY(note) next;
	enum frame_type type;
	int64_t job;
	int attempt;
	char why[256];
};

struct link {
	enum link_phase phase;
	int fd;
	int is_full;
	link_frame_fn *on_frame;
	void *arg;
	struct buf scratch;
	STAILQ_HEAD(, note) notes;
	size_t n_notes;
};

struct link *link_new(link_frame_fn *on_frame, void *arg)
{
	struct link *l = xcalloc(1, sizeof *l);
	*l = (struct link){ .fd = -1, .on_frame = on_frame, .arg = arg, .scratch = BUF(FRAME_MAX_TEXT + 128) };
	STAILQ_INIT(&l->notes);
	return l;
}

static void drop_note(struct link *l)
{
	struct note *n = STAILQ_FIRST(&l->notes);
	STAILQ_REMOVE_HEAD(&l->notes, next);
	l->n_notes--;
	free(n);
}

static void end(struct link *l)
{
	fd_closep(&l->fd);
	l->phase = LINK_CLOSED;
	l->is_full = 0;
	while (!STAILQ_EMPTY(&l->notes))
		drop_note(l);
}

void link_free(struct link *l)
{
	if (!l)
		return;
	end(l);
	buf_fini(&l->scratch);
	free(l);
}

/* 1 sent, 0 where the socket is full. A socket whose peer is gone counts as sent: reading tells what happened. */
static int send_now(struct link *l, const struct frame *f)
{
	l->is_full = frame_send(l->fd, f) == FRAME_AGAIN;
	return !l->is_full;
}

void link_open(struct link *l, int fd)
{
	end(l);
	l->fd = fd;
	l->phase = LINK_GREETING;
	struct frame hello = FRAME(FRAME_HELLO, FRAME_VERSION);
	hello.text = slice_of(PUSHROD_VERSION);
	send_now(l, &hello);            /* a fresh socket has room */
}

enum link_phase link_phase(const struct link *l)
{
	return l->phase;
}

int link_fd(const struct link *l)
{
	return l->fd;
}

int link_wants_room(const struct link *l)
{
	return l->phase != LINK_CLOSED && l->is_full;
}

static void flush(struct link *l)
{
	while (!STAILQ_EMPTY(&l->notes)) {
		struct note *n = STAILQ_FIRST(&l->notes);
		struct frame f = FRAME(n->type, n->job, n->attempt);
		f.text = slice_of(n->why);
		if (!send_now(l, &f))
			return;
		drop_note(l);
	}
	l->is_full = 0;
}

static int is_in_phase(enum link_phase phase, enum frame_type type)
{
	switch (phase) {
	case LINK_GREETING: return type == FRAME_HELLO;
	case LINK_LISTING: return type != FRAME_HELLO;  /* an attempt that the list named may end before the list does */
	case LINK_LIVE: return type == FRAME_STARTED || type == FRAME_RESULT || type == FRAME_EPHEMERAL;
	case LINK_CLOSED: break;
	}
	return 0;
}

static int take(struct link *l, const struct frame *f, struct err *e)
{
	if (!is_in_phase(l->phase, f->type))
		return err_set(e, ERR_BUG, "the runner sent frame %d in phase %d", (int)f->type, (int)l->phase);
	if (f->type == FRAME_HELLO) {
		if (f->n[0] != FRAME_VERSION)
			return err_set(e, ERR_BUG, "the runner speaks version %lld", (long long)f->n[0]);
		l->phase = LINK_LISTING;
		return 0;
	}
	if (f->type == FRAME_RUNNING_END)
		l->phase = LINK_LIVE;
	l->on_frame(f, l->arg);
	return 0;
}

int link_turn(struct link *l, struct err *e)
{
	for (int i = 0; i < FRAMES_A_TURN && l->phase != LINK_CLOSED; i++) {
		struct frame f;
		enum frame_outcome out = frame_recv(l->fd, PEER_RUNNER_OF_FRONT, &l->scratch, &f);
		if (out == FRAME_AGAIN)
			break;
		if (out == FRAME_OK && take(l, &f, e) == 0)
			continue;
		if (out == FRAME_EOF)
			err_set(e, ERR_UNAVAIL, "the runner is gone");
		else if (out == FRAME_BAD)
			err_set(e, ERR_BUG, "the runner sent an illegal frame");
		end(l);
		return -1;
	}
	if (l->phase == LINK_LIVE)
		flush(l);
	return 0;
}

int link_start(struct link *l, int64_t job, int attempt, int64_t timeout_ms, int spec_fd, int journal_fd)
{
	if (l->phase != LINK_LIVE || l->is_full)
		return 0;
	struct frame f = FRAME(FRAME_START, job, attempt, timeout_ms);
	f.fds[0] = spec_fd;
	f.fds[1] = journal_fd;
	/* Only what has gone out has gone: a runner that just died must not swallow an attempt. */
	enum frame_outcome out = frame_send(l->fd, &f);
	l->is_full = out == FRAME_AGAIN;
	return out == FRAME_OK;
}

static void post(struct link *l, enum frame_type type, int64_t job, int attempt, const char *why)
{
	if (l->phase == LINK_CLOSED)
		return;
	struct note *n = xcalloc(1, sizeof *n);
	*n = (struct note){ .type = type, .job = job, .attempt = attempt };
	snprintf(n->why, sizeof n->why, "%s", why);
	STAILQ_INSERT_TAIL(&l->notes, n, next);
	if (++l->n_notes > LINK_NOTES_MAX)
		shutdown(l->fd, SHUT_RDWR);     /* link_turn sees the end and closes */
	else if (l->phase == LINK_LIVE && !l->is_full)
		flush(l);
}

void link_cancel(struct link *l, int64_t job, int attempt, const char *why)
{
	post(l, FRAME_CANCEL, job, attempt, why);
}

void link_ack(struct link *l, int64_t job, int attempt)
{
	post(l, FRAME_ACK, job, attempt, "");
}
