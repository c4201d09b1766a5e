/* front/log_text.c - read a journal piece by piece, write its lines to an unnamed file beside the journals (page cache
 * that the kernel may drop, unlike memory of ours), serve that file. */
#include "front/log_text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/front.h"
#include "front/http.h"
#include "front/worker.h"
#include "journal/event.h"

#define PIECE (512 << 10)

struct log_text {
	struct worker *worker;
	int folder_dirfd;
	_Atomic int waiting;
};

struct writing {
	struct mail mail;               /* to the worker, and back */
	struct log_text *maker;
	struct loop *loop;
	struct http_ticket *ticket;
	struct log_wanted w;
	int out_fd;
	int64_t from, length;           /* of the text: what is wanted of it */
	int is_done;
	struct err err;
};

struct log_text *log_text_new(int folder_dirfd)
{
	struct log_text *t = xcalloc(1, sizeof *t);
	t->worker = worker_new("logs");
	t->folder_dirfd = folder_dirfd;
	return t;
}

void log_text_stop(struct log_text *t)
{
	if (!t)
		return;
	worker_free(t->worker);
	t->worker = NULL;
}

void log_text_free(struct log_text *t)
{
	log_text_stop(t);
	free(t);
}

/* ---- on the worker's thread ---- */

static int open_unnamed(int folder_dirfd, struct err *e)
{
	int fd = openat(folder_dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		fd = memfd_create("log", MFD_CLOEXEC);
	return fd < 0 ? err_errno(e, "a file for the log's text") : fd;
}

/* Fill IN up to a piece from the journal at *at; 0 at the end. */
static ssize_t read_on(const struct log_wanted *w, int64_t *at, struct buf *in, struct err *e)
{
	size_t want = PIECE - in->len;
	if ((int64_t)want > w->length - *at)
		want = (size_t)(w->length - *at);
	ssize_t n;
	do
		n = want ? pread(w->journal_fd, buf_room(in, want), want, *at) : 0;
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(e, "journal");
	buf_grew(in, (size_t)n);
	*at += n;
	return n;
}

static int write_lines(struct writing *p)
{
	CLEANUP(buf_fini) struct buf in = BUF(PIECE), out = BUF(BUF_UNLIMITED);
	int64_t at = 0;

	static_assert(PIECE >= JOURNAL_EVENT_MAX, "an event must fit into a piece");
	for (;;) {
		ssize_t n = read_on(&p->w, &at, &in, &p->err);
		if (n < 0)
			return -1;
		buf_clear(&out);
		size_t done = in.len ? text_of_events(buf_slice(&in), p->w.form, &out) : 0;
		buf_drop_front(&in, done);
		if (fd_write_all(p->out_fd, buf_slice(&out)) < 0)
			return err_errno(&p->err, "write the log's text");
		p->length += (int64_t)out.len;
		if (n == 0 && done == 0)
			return 0;
	}
}

/* Move p->from to the beginning of the last w.tail lines. */
static int find_tail(struct writing *p)
{
	CLEANUP(buf_fini) struct buf piece = BUF(PIECE);
	int64_t end = p->length, lines = p->w.tail;
	int is_last = 1;

	p->from = p->length;
	while (end > 0 && lines > 0) {
		int64_t begin = end > PIECE ? end - PIECE : 0;
		buf_clear(&piece);
		ssize_t n = pread(p->out_fd, buf_room(&piece, (size_t)(end - begin)), (size_t)(end - begin), begin);
		if (n != (ssize_t)(end - begin))
			return err_set(&p->err, ERR_IO, "the log's text cannot be read back");
		buf_grew(&piece, (size_t)n);
		for (int64_t i = n - 1; i >= 0; i--) {
			if (piece.ptr[i] == '\n' && !is_last && --lines == 0) {
				p->from = begin + i + 1;
				return 0;
			}
			is_last = 0;
		}
		end = begin;
	}
	if (lines > 0)
		p->from = 0;
	return 0;
}

static void on_written(struct mail *m, void *http_loop);

static void write_out(struct mail *m, void *none)
{
	struct writing *p = (struct writing *)m;

	p->out_fd = open_unnamed(p->maker->folder_dirfd, &p->err);
	p->is_done = p->out_fd >= 0 && write_lines(p) == 0 && (p->w.tail < 0 || find_tail(p) == 0);
	p->mail.deliver = on_written;
	mailbox_post(http_loop_mailbox(p->loop->http), &p->mail);
}

/* ---- back on the loop ---- */

/* A tail is a file of its own to the one who asked: ranges count from its first byte. */
static void serve(struct http_request *r, const struct writing *p)
{
	struct answer_file f = { .fd = p->out_fd, .length = p->length - p->from, .first = p->from,
				 .content_type = "text/plain; charset=utf-8", .is_immutable = p->w.is_final };
	if (p->w.is_final)
		snprintf(f.etag, sizeof f.etag, "\"%" PRId64 ".%d.%" PRId64 "-%d-%" PRId64 "\"", p->w.job, p->w.attempt,
			 p->w.length, (int)p->w.form, p->w.tail);
	answer_file(r, &f);
}

static void on_written(struct mail *m, void *http_loop)
{
	struct writing *p = (struct writing *)m;
	struct http_request *r = http_unpark(p->ticket);

	atomic_fetch_sub(&p->maker->waiting, 1);
	if (r && p->is_done) {
		serve(r, p);
	} else if (r) {
		log_error("a log could not be written out as text", "job=%" PRId64 " reason=\"%s\"", p->w.job, p->err.msg);
		http_problem(r, 500, "Internal Server Error", p->err.msg);
	}
	fd_closep(&p->w.journal_fd);
	fd_closep(&p->out_fd);
	free(p);
}

void log_text_answer(struct http_request *r, struct loop *l, const struct log_wanted *w)
{
	static const char *const headers[] = { "retry-after", "2", NULL };
	struct log_text *t = l->front->log_text;

	if (atomic_fetch_add(&t->waiting, 1) >= LOG_TEXT_MAX) {
		atomic_fetch_sub(&t->waiting, 1);
		close(w->journal_fd);
		answer_problem(r, 503, "Service Unavailable", "too many logs are being written out", headers);
		return;
	}
	struct writing *p = xcalloc(1, sizeof *p);
	*p = (struct writing){ .mail.deliver = write_out, .maker = t, .loop = l, .w = *w, .out_fd = -1 };
	p->ticket = http_park(r);
	worker_post(t->worker, &p->mail);
}
