/* journal/file.c - journals on disk, and how one is settled after its writer has gone. */
#include "journal/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "journal/event.h"

static void name_of(int64_t job, int attempt, char out[48])
{
	snprintf(out, 48, "%lld.%d", (long long)job, attempt);
}

static int open_as(int dirfd, int64_t job, int attempt, int flags, struct err *e)
{
	char name[48];

	name_of(job, attempt, name);
	int fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_errno(e, "journal %s", name) : fd;
}

int journal_create(int dirfd, int64_t job, int attempt, struct err *e)
{
	return open_as(dirfd, job, attempt, O_RDWR | O_CREAT | O_EXCL | O_APPEND, e);
}

int journal_open(int dirfd, int64_t job, int attempt, struct err *e)
{
	return open_as(dirfd, job, attempt, O_RDONLY, e);
}

int journal_open_append(int dirfd, int64_t job, int attempt, struct err *e)
{
	return open_as(dirfd, job, attempt, O_RDWR | O_APPEND, e);
}

int journal_unlink(int dirfd, int64_t job, int attempt)
{
	char name[48];

	name_of(job, attempt, name);
	return unlinkat(dirfd, name, 0);
}

int journal_name_parse(struct slice name, int64_t *job, int *attempt)
{
	struct slice left, right;
	int64_t j, n;

	if (!slice_cut(name, '.', &left, &right) || slice_to_i64(left, 1, INT64_MAX, &j) < 0 ||
	    slice_to_i64(right, 1, 1 << 20, &n) < 0)
		return -1;
	*job = j;
	*attempt = (int)n;
	return 0;
}

int64_t journal_settled_length(int fd, struct err *e)
{
	CLEANUP(buf_fini) struct buf tail = BUF(JOURNAL_EVENT_MAX + 4096);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "journal");
	int64_t from = st.st_size > JOURNAL_EVENT_MAX ? st.st_size - JOURNAL_EVENT_MAX : 0;
	while ((int64_t)tail.len < st.st_size - from) {
		size_t want = (size_t)(st.st_size - from) - tail.len;
		ssize_t n = pread(fd, buf_room(&tail, want), want, from + (int64_t)tail.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "journal");
		if (n == 0)
			break;
		buf_grew(&tail, (size_t)n);
	}
	size_t settled = journal_settled(buf_slice(&tail));
	if (settled == 0 && from > 0)
		return err_set(e, ERR_IO, "journal: no whole event in its last %d bytes", JOURNAL_EVENT_MAX);
	return settled ? from + (int64_t)settled : 0;
}

int journal_read_tail(int fd, int64_t length, int64_t most, struct buf *out, struct err *e)
{
	int64_t from = length > most ? length - most : 0;

	buf_clear(out);
	while ((int64_t)out->len < length - from) {
		size_t want = (size_t)(length - from) - out->len;
		ssize_t n = pread(fd, buf_room(out, want), want, from + (int64_t)out->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "journal");
		if (n == 0)
			return err_set(e, ERR_IO, "journal: shorter than it was");
		buf_grew(out, (size_t)n);
	}
	return 0;
}

int journal_finish(int fd, struct job_result *r, int64_t ms, struct err *e)
{
	CLEANUP(buf_fini) struct buf data = BUF(4096);
	CLEANUP(buf_fini) struct buf event = BUF(8192);
	int64_t at = journal_settled_length(fd, e);

	if (at < 0)
		return -1;
	if (ftruncate(fd, at) < 0)
		return err_errno(e, "journal: cut its torn tail");
	buf_addf(&data, "{\"t\":%lld,\"ended\":\"%s\",\"exit\":%d,\"reason\":", (long long)ms, job_state_name(r->state),
		 r->exit_code);
	buf_add_json(&data, slice_of(r->reason));
	buf_addc(&data, '}');
	int64_t end = journal_encode(&event, r->job, r->attempt, at, "attempt", buf_slice(&data));
	if (fd_write_all(fd, buf_slice(&event)) < 0 || fsync(fd) < 0)
		return err_errno(e, "journal: note how the attempt ended");
	r->log_bytes = end;
	return 0;
}
