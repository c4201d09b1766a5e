/* front/tail.c - how far a journal may be shown. An event's end is a blank line, and a blank line is nowhere else (data is
 * one line of JSON), so two bytes tell whether an offset lies between events. */
#include "front/tail.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/event.h"
#include "journal/file.h"

#define PIECE_BYTES (64 << 10)
#define TAIL_UNKNOWN INT64_MAX                  /* it has ended, at its last whole event */

struct tail *tail_new(int64_t job, int attempt)
{
	struct tail *t = xcalloc(1, sizeof *t);

	*t = (struct tail){ .job = job, .attempt = attempt, .fd = -1, .limit = -1 };
	LIST_INIT(&t->live);
	return t;
}

void tail_free(struct tail *t)
{
	if (!t)
		return;
	assert(LIST_EMPTY(&t->live) && !t->is_dirty);
	fd_closep(&t->fd);
	free(t);
}

static int64_t size_of(const struct tail *t)
{
	struct stat st;

	return t->fd >= 0 && fstat(t->fd, &st) == 0 ? st.st_size : 0;
}

int tail_open(struct tail *t, int dirfd, struct err *e)
{
	if (t->fd >= 0)
		return 0;
	t->fd = journal_open(dirfd, t->job, t->attempt, e);
	if (t->fd < 0) {
		if (errno == ENOENT)
			return 0;
		e->kind = errno == EMFILE || errno == ENFILE ? ERR_LIMIT : ERR_IO;
		return -1;
	}
	int64_t settled = t->limit >= 0 && t->limit <= size_of(t) ? t->limit : journal_settled_length(t->fd, e);
	if (settled < 0)
		return -1;
	t->settled = settled;
	if (t->limit > settled)
		t->limit = settled;
	return 0;
}

void tail_end(struct tail *t, int64_t log_bytes)
{
	if (t->limit >= 0)
		return;
	t->limit = log_bytes < 0 ? TAIL_UNKNOWN : log_bytes > t->settled ? log_bytes : t->settled;
}

/* After a power loss a file can be shorter than what the store knows: then it ends where it ends. */
int tail_is_whole(const struct tail *t)
{
	return t->limit >= 0 && (t->settled >= t->limit || !t->is_dirty);
}

static ssize_t read_at(int fd, char *to, size_t n, int64_t at)
{
	for (;;) {
		ssize_t got = pread(fd, to, n, at);
		if (got >= 0 || errno != EINTR)
			return got;
	}
}

struct slice tail_next(struct tail *t, struct buf *scratch)
{
	static const size_t widths[] = { PIECE_BYTES, JOURNAL_EVENT_MAX + PIECE_BYTES };

	for (size_t i = 0; i < COUNT(widths) && t->fd >= 0; i++) {
		size_t want = widths[i];
		if (t->limit >= 0 && t->limit - t->settled < (int64_t)want)
			want = (size_t)(t->limit - t->settled);
		buf_clear(scratch);
		char *to = want ? buf_room(scratch, want) : NULL;
		ssize_t n = to ? read_at(t->fd, to, want, t->settled) : 0;
		if (n <= 0)
			return SLICE_NULL;
		size_t whole = journal_settled((struct slice){ to, (size_t)n });
		if (whole) {
			t->settled += (int64_t)whole;
			return (struct slice){ to, whole };
		}
		if ((size_t)n < want)
			return SLICE_NULL;      /* an event is being written */
	}
	return SLICE_NULL;
}

int tail_read(const struct tail *t, int64_t from, size_t n, struct buf *out)
{
	assert(from >= 0 && from + (int64_t)n <= t->settled);
	while (n) {
		char *to = buf_room(out, n);
		ssize_t got = to && t->fd >= 0 ? read_at(t->fd, to, n, from) : -1;
		if (got <= 0)
			return -1;
		buf_grew(out, (size_t)got);
		from += got;
		n -= (size_t)got;
	}
	return 0;
}

int tail_is_boundary(const struct tail *t, int64_t offset)
{
	char two[2];

	if (offset == 0)
		return 1;
	return offset >= 2 && offset <= t->settled && t->fd >= 0 && read_at(t->fd, two, 2, offset - 2) == 2 &&
	       two[0] == '\n' && two[1] == '\n';
}
