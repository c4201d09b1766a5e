/* wire/evaluate.c - the parent's side of an evaluation. The child is done when its pipe is at its end and its exit status is
 * there: a bundle counts only with status 0, so half of one is never taken for the whole. */
#include "wire/evaluate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define READ_BYTES 65536
#define PIPE_BYTES (1 << 20)

/* SPEC_FD (borrowed; -1: none) becomes the role's second descriptor. */
static int start(const char *const *argv, const char *exe, int spec_fd, struct evaluation *ev, struct err *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	CLEANUP(fd_closep) int read_fd = ends[0], write_fd = ends[1];
	fcntl(read_fd, F_SETPIPE_SZ, PIPE_BYTES);               /* fewer turns; what it is without is fine too */
	if (fd_nonblock(read_fd) < 0)
		return err_errno(e, "pipe");
	const int fds[] = { write_fd, spec_fd };
	struct role_options o = { .argv = argv, .fds = fds, .n_fds = spec_fd < 0 ? 1 : 2, .exe = exe };
	*ev = EVALUATION_NONE;
	if (role_spawn(&o, &ev->role, e) < 0)
		return -1;
	ev->fd = fd_take(&read_fd);
	ev->deadline_mono_ms = mono_ms() + EVALUATE_TIMEOUT_MS;
	ev->out = BUF(EVALUATE_MAX_BYTES + READ_BYTES);
	return 0;
}

int evaluate_start(const char *dir, const char *exe, struct evaluation *ev, struct err *e)
{
	const char *const argv[] = { "pushrod", "@eval", dir, NULL };
	return start(argv, exe, -1, ev, e) < 0 ? err_wrap(e, "evaluate %s", dir) : 0;
}

static enum evaluate_outcome stop(struct evaluation *ev, int *why)
{
	*why = 1;
	role_kill(&ev->role);
	return EVALUATE_DONE;
}

enum evaluate_outcome evaluate_read(struct evaluation *ev)
{
	for (;;) {
		char *room = buf_room(&ev->out, READ_BYTES);
		char beyond[1];
		ssize_t n = read(ev->fd, room ? room : beyond, room ? READ_BYTES : sizeof beyond);
		if (n == 0)
			return EVALUATE_DONE;
		if (n > 0 && !room)
			return stop(ev, &ev->is_over);
		if (n > 0)
			buf_grew(&ev->out, (size_t)n);
		else if (errno == EAGAIN)
			return mono_ms() < ev->deadline_mono_ms ? EVALUATE_AGAIN : stop(ev, &ev->is_late);
		else if (errno != EINTR)
			return stop(ev, &ev->is_over);
	}
}

/* Its end of the pipe is closed, or it has been killed: it ends at once, or it is made to. */
static int reap(struct evaluation *ev)
{
	struct pollfd p = { ev->role.pidfd, POLLIN, 0 };

	if (poll(&p, 1, 1000) == 0)
		role_kill(&ev->role);
	return role_reap(&ev->role);
}

int evaluate_finish(struct evaluation *ev, struct buf *bundle, struct err *e)
{
	CLEANUP(buf_fini) struct buf out = ev->out;
	int status = reap(ev), is_late = ev->is_late, is_over = ev->is_over;
	char how[64];

	fd_closep(&ev->fd);
	*ev = EVALUATION_NONE;
	if (is_late)
		return err_set(e, ERR_LIMIT, "the evaluation took too long and was ended");
	if (is_over)
		return err_set(e, ERR_LIMIT, "the evaluation's result is larger than %d MiB", EVALUATE_MAX_BYTES >> 20);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		buf_add(bundle, buf_slice(&out));
		return buf_is_over(bundle) ? err_set(e, ERR_LIMIT, "the bundle is larger than %zu bytes", bundle->max) : 0;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1 && out.len)
		return err_set(e, ERR_INPUT, SLICE_FMT, SLICE_ARG(slice_upto(buf_slice(&out), sizeof e->msg - 1)));
	role_status_text(status, how);
	return err_set(e, ERR_UNAVAIL, "the evaluation ended with %s", how);
}

void evaluate_cancel(struct evaluation *ev)
{
	if (ev->fd < 0)
		return;
	role_kill(&ev->role);
	role_reap(&ev->role);
	fd_closep(&ev->fd);
	buf_fini(&ev->out);
	*ev = EVALUATION_NONE;
}

static int wait_for(struct evaluation *ev, struct buf *out, struct err *e)
{
	while (evaluate_read(ev) == EVALUATE_AGAIN) {
		int64_t left = ev->deadline_mono_ms - mono_ms();
		poll(&(struct pollfd){ ev->fd, POLLIN, 0 }, 1, left > 0 ? (int)left : 0);
	}
	return evaluate_finish(ev, out, e);
}

int evaluate_dry(struct slice spec, struct buf *answer, struct err *e)
{
	const char *const argv[] = { "pushrod", "@dry", NULL };
	CLEANUP(fd_closep) int fd = memfd_sealed("spec", spec, e);
	struct evaluation ev;

	if (fd < 0 || start(argv, NULL, fd, &ev, e) < 0)
		return err_wrap(e, "rehearse");
	return wait_for(&ev, answer, e);
}

int evaluate_now(const char *dir, int timeout_ms, struct buf *bundle, struct err *e)
{
	struct evaluation ev;

	if (evaluate_start(dir, NULL, &ev, e) < 0)
		return -1;
	if (timeout_ms < EVALUATE_TIMEOUT_MS)
		ev.deadline_mono_ms = mono_ms() + timeout_ms;
	return wait_for(&ev, bundle, e);
}
