/* runner/runner.c - the runner's loop: one poll(2) over the supervisor, the front, and two descriptors for each attempt
 * (its control socket and its pidfd). What an attempt does next is decided in attempt.c; here frames become events, and
 * what the front has still to be told becomes frames.
 *
 * The front may die and come back at any time. What it must hear is not queued but kept as a debt of each attempt
 * (`owes`), so a new connection only sets the debts anew: the list of what is here, then what has happened to it. An
 * attempt is in the table until the front says ACK, by which it has committed the result.
 *
 * A runner that loses its front and is given no other says so to the supervisor by a second READY. */
#include "runner/runner.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/plural.h"
#include "runner/attempt.h"
#include "runner/spec.h"
#include "wire/children.h"
#include "wire/role.h"

#define ATTEMPTS_MAX 256                /* live, or not yet acknowledged */
#define FRAMES_A_TURN 64                /* of one socket; then the others get their turn */
#define FRAMES_LEFT_MAX 65536           /* that a dead job may have left unread */
#define TIMEOUT_MAX_MS (400ll * 24 * 3600 * 1000)
#define STRAYS_MS 10                    /* between looks at what descends from dead jobs */
#define GIVEN_UP_MAX 64
#define PEERLESS_MS 1000                /* without a front, before the supervisor is told */
#define ACK_WAIT_MS 15000               /* at the end of a drain */
#define NOFILE_WANTED 4096

enum peer_phase { PEER_NONE, PEER_GREETING, PEER_LISTING, PEER_LIVE };

struct runner {
	job_main_fn *job;
	TAILQ_HEAD(, attempt) attempts;
	int n_attempts;
	int front_fd;
	enum peer_phase front;
	int is_front_full, is_front_illegal;
	int64_t peerless_since_ms;      /* -1: has a front, or has told */
	int is_draining, is_over;
	int64_t grace_until_ms;         /* -1: over, or no drain */
	int64_t ack_until_ms;           /* -1: something still runs */
	pid_t given_up[GIVEN_UP_MAX];   /* processes that could not be ended; still our children */
	int n_given_up;
	struct buf scratch;
};

/* ---- the front: telling ---- */

static void lose_front(struct runner *r, int is_illegal)
{
	fd_closep(&r->front_fd);
	r->front = PEER_NONE;
	r->is_front_full = 0;
	r->is_front_illegal = is_illegal;
	r->peerless_since_ms = mono_ms();
	if (is_illegal)
		log_error("the front sent what it may not send", "running=%d", r->n_attempts);
	else
		log_info("the front is gone, the jobs go on", "running=%d", r->n_attempts);
}

/* 1 sent. 0: not now, or there is no front any more. */
static int tell_front(struct runner *r, const struct frame *f)
{
	switch (frame_send(r->front_fd, f)) {
	case FRAME_OK:
		return 1;
	case FRAME_AGAIN:
		r->is_front_full = 1;
		return 0;
	case FRAME_EOF:
	case FRAME_BAD:
		break;
	}
	lose_front(r, 0);
	return 0;
}

static int tell_attempt(struct runner *r, struct attempt *a, unsigned debt)
{
	struct frame f = FRAME(FRAME_RUNNING, a->job, a->attempt);

	if (debt == OWES_STARTED) {
		f = FRAME(FRAME_STARTED, a->job, a->attempt, a->pid);
		f.text = slice_of(a->confinement);
	} else if (debt == OWES_RESULT) {
		f = FRAME(FRAME_RESULT, a->job, a->attempt, a->result.state, a->result.exit_code, a->result.log_bytes);
		f.text = slice_of(a->result.reason);
	}
	if (!tell_front(r, &f))
		return 0;
	a->owes &= ~debt;
	return 1;
}

/* Pay DEBT of all. 1: paid. */
static int pay(struct runner *r, unsigned debt)
{
	struct attempt *a;

	TAILQ_FOREACH(a, &r->attempts, entry)
		if ((a->owes & debt) && !tell_attempt(r, a, debt))
			return 0;
	return 1;
}

static void flush_front(struct runner *r)
{
	if (r->front == PEER_LISTING && !r->is_front_full && pay(r, OWES_RUNNING)) {
		struct frame end = FRAME(FRAME_RUNNING_END);
		if (tell_front(r, &end))
			r->front = PEER_LIVE;
	}
	if (r->front == PEER_LIVE && !r->is_front_full && pay(r, OWES_STARTED))
		pay(r, OWES_RESULT);
}

static void take_peer(struct runner *r, int fd)
{
	struct frame hello = FRAME(FRAME_HELLO, FRAME_VERSION);
	struct attempt *a;

	fd_closep(&r->front_fd);
	r->front_fd = fd;
	fd_nonblock(fd);
	r->front = PEER_GREETING;
	r->is_front_full = 0;
	r->peerless_since_ms = -1;
	TAILQ_FOREACH(a, &r->attempts, entry)
		a->owes = OWES_RUNNING | (a->phase == RUN_SETTLED ? OWES_RESULT : OWES_STARTED);
	hello.text = slice_of(PUSHROD_VERSION);
	tell_front(r, &hello);
}

static void on_ephemeral(const struct frame *f, void *arg)
{
	struct runner *r = arg;

	/* One that does not fit is dropped: the next says the same and more. */
	if (r->front == PEER_LIVE && !r->is_front_full && frame_send(r->front_fd, f) == FRAME_EOF)
		lose_front(r, 0);
}

/* ---- the front: hearing ---- */

static struct attempt *find(struct runner *r, int64_t job, int64_t attempt)
{
	struct attempt *a;

	TAILQ_FOREACH(a, &r->attempts, entry)
		if (a->job == job && a->attempt == attempt)
			return a;
	return NULL;
}

static int is_journal(int fd)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* It has not begun and is in no table: told once, and if the front does not hear it, its absence from the next list says
 * the same. */
static void refuse(struct runner *r, const struct frame *f, const char *why)
{
	struct frame result = FRAME(FRAME_RESULT, f->n[0], f->n[1], JOB_ERRORED, 0, 0);

	log_error("an attempt could not be started", "job=%" PRId64 " attempt=%" PRId64 " reason=\"%s\"", f->n[0], f->n[1], why);
	result.text = slice_of(why);
	if (r->front == PEER_LIVE)
		tell_front(r, &result);
}

/* While draining an attempt is left unbegun: its journal is empty, so the next start tries it again. */
static int on_start(struct runner *r, const struct frame *f)
{
	const struct job_inheritance what = { .job = f->n[0], .attempt = (int)f->n[1], .spec_fd = f->fds[0],
					      .journal_fd = f->fds[1], .control_fd = -1 };
	struct attempt *a;
	struct err e;

	if (f->n[0] < 1 || f->n[1] < 1 || f->n[1] > INT32_MAX || f->n[2] < 1 || find(r, f->n[0], f->n[1]) ||
	    !memfd_is_sealed(what.spec_fd, SPEC_MAX_BYTES) || !is_journal(what.journal_fd))
		return -1;
	if (r->is_draining)
		return 0;
	if (r->n_attempts == ATTEMPTS_MAX) {
		refuse(r, f, "the runner is full: the results of earlier attempts are not acknowledged");
		return 0;
	}
	int64_t timeout_ms = f->n[2] < TIMEOUT_MAX_MS ? f->n[2] : TIMEOUT_MAX_MS;
	if (attempt_start(&what, timeout_ms, f->n[3] == 1, r->job, &a, &e) < 0) {
		refuse(r, f, e.msg);
		return 0;
	}
	TAILQ_INSERT_TAIL(&r->attempts, a, entry);
	r->n_attempts++;
	log_debug("attempt begins", "job=%" PRId64 " attempt=%d pid=%d", a->job, a->attempt, (int)a->pid);
	return 0;
}

static void forget(struct runner *r, struct attempt *a)
{
	TAILQ_REMOVE(&r->attempts, a, entry);
	r->n_attempts--;
	attempt_free(a);
}

static int on_front_frame(struct runner *r, const struct frame *f)
{
	struct attempt *a = f->type == FRAME_HELLO ? NULL : find(r, f->n[0], f->n[1]);

	if ((r->front == PEER_GREETING) != (f->type == FRAME_HELLO))
		return -1;
	switch (f->type) {
	case FRAME_HELLO:
		r->front = PEER_LISTING;
		return f->n[0] == FRAME_VERSION ? 0 : -1;
	case FRAME_START:
		return on_start(r, f);
	case FRAME_CANCEL:
		if (a)
			attempt_stop(a, JOB_CANCELLED, f->text.len ? f->text : SLICE("cancelled"));
		return 0;
	case FRAME_ACK:
		if (a && a->phase != RUN_SETTLED)
			return -1;
		if (a)
			forget(r, a);
		return 0;
	default:
		return -1;
	}
}

static void hear_front(struct runner *r)
{
	for (int i = 0; i < FRAMES_A_TURN && r->front_fd >= 0; i++) {
		struct frame f;
		enum frame_outcome out = frame_recv(r->front_fd, PEER_FRONT_OF_RUNNER, &r->scratch, &f);
		if (out == FRAME_AGAIN)
			return;
		if (out == FRAME_OK) {
			int is_fine = on_front_frame(r, &f) == 0;
			frame_close_fds(&f);
			if (is_fine)
				continue;
		}
		if (r->front_fd >= 0)
			lose_front(r, out != FRAME_EOF);
	}
}

/* ---- the supervisor ---- */

static int tell_supervisor(enum frame_type type, int64_t n0, const char *text)
{
	struct frame f = FRAME(type, n0);

	f.text = slice_of(text);
	return frame_send_wait(ROLE_FD, &f, 5000) == FRAME_OK ? 0 : -1;
}

static void on_drain(struct runner *r, int64_t grace_ms)
{
	r->is_draining = 1;
	r->grace_until_ms = mono_ms() + (grace_ms > 0 ? grace_ms : 0);
	CLEANUP(freep) char *said = r->n_attempts == 0 ? xstrdup("stopping: no job runs") :
		xprintf("stopping: %d %s, waiting up to %" PRId64 " s; Ctrl-C or SIGTERM again ends %s at once", r->n_attempts,
			plural(r->n_attempts, "job runs", "jobs run"), (grace_ms + 999) / 1000, plural(r->n_attempts, "it", "them"));
	log_info(said, "running=%d grace_ms=%" PRId64, r->n_attempts, grace_ms);
}

static void hear_supervisor(struct runner *r)
{
	struct frame f;
	enum frame_outcome out;

	while ((out = frame_recv(ROLE_FD, PEER_SUPERVISOR_OF_RUNNER, &r->scratch, &f)) == FRAME_OK) {
		if (f.type == FRAME_PEER)
			take_peer(r, fd_take(&f.fds[0]));
		else if (f.type == FRAME_DRAIN)
			on_drain(r, f.n[0]);
		else if (f.n[0] != FRAME_VERSION)
			r->is_over = 1;
		frame_close_fds(&f);
	}
	if (out != FRAME_AGAIN)
		r->is_over = 1;
}

/* ---- time ---- */

static void sooner(int64_t *due_ms, int64_t at_ms)
{
	if (at_ms >= 0 && (*due_ms < 0 || at_ms < *due_ms))
		*due_ms = at_ms;
}

static int timeout_of(const struct runner *r)
{
	int64_t due_ms = r->grace_until_ms, now = mono_ms();
	struct attempt *a;

	sooner(&due_ms, r->ack_until_ms);
	if (r->peerless_since_ms >= 0)
		sooner(&due_ms, r->peerless_since_ms + PEERLESS_MS);
	TAILQ_FOREACH(a, &r->attempts, entry)
		sooner(&due_ms, a->phase == RUN_REAPED ? now + STRAYS_MS : a->due_ms);
	if (due_ms < 0)
		return -1;
	int64_t in_ms = due_ms - now;
	return in_ms < 0 ? 0 : in_ms > 3600000 ? 3600000 : (int)in_ms;
}

/* The processes that are to be left alone: live jobs, and what could not be ended. Returns how many. */
static int list_kept(struct runner *r, pid_t *keep)
{
	struct attempt *a;
	int n = 0, left = 0;

	TAILQ_FOREACH(a, &r->attempts, entry)
		if (attempt_is_live(a))
			keep[n++] = a->pid;
	for (int i = 0; i < r->n_given_up; i++)
		if (waitpid(r->given_up[i], NULL, WNOHANG) == 0)
			r->given_up[left++] = r->given_up[i];
	r->n_given_up = left;
	memcpy(keep + n, r->given_up, (size_t)left * sizeof *keep);
	return n + left;
}

/* They have outlived the patience of an attempt: no later one shall wait for them. */
static void give_up(struct runner *r)
{
	pid_t keep[ATTEMPTS_MAX + GIVEN_UP_MAX], pids[ATTEMPTS_MAX + GIVEN_UP_MAX];
	int n_keep = list_kept(r, keep), n = children_list(pids, COUNT(pids));

	for (int i = 0; i < n && r->n_given_up < GIVEN_UP_MAX; i++) {
		int k = 0;
		while (k < n_keep && keep[k] != pids[i])
			k++;
		if (k == n_keep)
			r->given_up[r->n_given_up++] = pids[i];
	}
}

/* What descends from us and is no live job belongs to a dead one: a live job is the reaper of its own. */
static void end_strays(struct runner *r, int64_t now)
{
	pid_t keep[ATTEMPTS_MAX + GIVEN_UP_MAX];
	struct attempt *a;
	int n_reaped = 0, is_late = 0;

	TAILQ_FOREACH(a, &r->attempts, entry) {
		n_reaped += a->phase == RUN_REAPED;
		is_late |= a->phase == RUN_REAPED && now >= a->due_ms;
	}
	if (!n_reaped)
		return;
	int n = list_kept(r, keep), left = children_kill_round(keep, n);
	if (left && is_late)
		give_up(r);
	if (!left)
		TAILQ_FOREACH(a, &r->attempts, entry)
			attempt_happens(a, RUN_CLEAR);
}

static void tick_drain(struct runner *r, int64_t now)
{
	struct attempt *a;
	int n_open = 0;

	if (!r->is_draining)
		return;
	if (r->grace_until_ms >= 0 && now >= r->grace_until_ms) {
		r->grace_until_ms = -1;
		TAILQ_FOREACH(a, &r->attempts, entry)
			attempt_stop(a, JOB_CANCELLED, SLICE("pushrod was stopped"));
	}
	TAILQ_FOREACH(a, &r->attempts, entry)
		n_open += a->phase != RUN_SETTLED;
	if (n_open)
		return;
	if (r->ack_until_ms < 0)
		r->ack_until_ms = now + ACK_WAIT_MS;
	r->is_over |= r->n_attempts == 0 || now >= r->ack_until_ms;
}

static void tick(struct runner *r)
{
	int64_t now = mono_ms();
	struct attempt *a;

	end_strays(r, now);
	TAILQ_FOREACH(a, &r->attempts, entry)
		attempt_tick(a, now);
	tick_drain(r, now);
	if (r->peerless_since_ms >= 0 && now >= r->peerless_since_ms + PEERLESS_MS) {
		r->peerless_since_ms = -1;
		r->is_over |= tell_supervisor(FRAME_READY, r->is_front_illegal ? 2 : 1, "without a front") < 0;
	}
	flush_front(r);
}

/* ---- the loop ---- */

/* A pidfd that is readable comes after all that the job has said. */
static void turn_attempt(struct runner *r, struct attempt *a, const struct pollfd *control, const struct pollfd *exited)
{
	if (control->revents)
		attempt_hear(a, FRAMES_A_TURN, &r->scratch, on_ephemeral, r);
	if (!exited->revents)
		return;
	attempt_hear(a, FRAMES_LEFT_MAX, &r->scratch, on_ephemeral, r);
	attempt_exited(a);
}

static void turn(struct runner *r)
{
	struct pollfd p[2 + 2 * ATTEMPTS_MAX];
	struct attempt *a, *next;
	nfds_t n = 2;

	p[0] = (struct pollfd){ .fd = ROLE_FD, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = r->front_fd, .events = (short)(POLLIN | (r->is_front_full ? POLLOUT : 0)) };
	TAILQ_FOREACH(a, &r->attempts, entry) {
		p[n++] = (struct pollfd){ .fd = a->control_fd, .events = POLLIN };
		p[n++] = (struct pollfd){ .fd = a->pidfd, .events = POLLIN };
	}
	if (poll(p, n, timeout_of(r)) < 0 && errno != EINTR)
		assert(!"poll");
	n = 2;
	for (a = TAILQ_FIRST(&r->attempts); a; a = next, n += 2) {
		next = TAILQ_NEXT(a, entry);
		turn_attempt(r, a, &p[n], &p[n + 1]);
	}
	if (p[1].revents & POLLOUT)
		r->is_front_full = 0;
	if (p[1].revents & ~POLLOUT)
		hear_front(r);
	if (p[0].revents)
		hear_supervisor(r);
	tick(r);
}

static void end_all(struct runner *r)
{
	struct attempt *a;

	TAILQ_FOREACH(a, &r->attempts, entry)
		if (attempt_is_live(a))
			kill(a->pid, SIGKILL);
	int left = children_kill(NULL, 0, ENDING_MS);
	if (left)
		log_error("processes are left behind", "count=%d", left);
	while ((a = TAILQ_FIRST(&r->attempts)) != NULL) {
		a->pid = 0;
		forget(r, a);
	}
	fd_closep(&r->front_fd);
	buf_fini(&r->scratch);
}

/* The kernel looks here first when memory runs out, and among us at the largest: a step, not the front. */
static void volunteer_for_oom(void)
{
	CLEANUP(fd_closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "300", 3) < 0)
		log_debug("oom_score_adj stays", "errno=%d", errno);
}

static void raise_nofile(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= NOFILE_WANTED)
		return;
	l.rlim_cur = l.rlim_max < NOFILE_WANTED ? l.rlim_max : NOFILE_WANTED;
	setrlimit(RLIMIT_NOFILE, &l);
}

static void ignore_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP };

	for (size_t i = 0; i < COUNT(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

int runner_main(int argc, char **argv, void (*warm)(void), job_main_fn *job)
{
	struct runner r = { .job = job, .front_fd = -1, .peerless_since_ms = -1, .grace_until_ms = -1, .ack_until_ms = -1,
			    .scratch = BUF(FRAME_MAX_TEXT + 128) };

	if (argc != 3 || strcmp(argv[1], "@runner") != 0)
		return 2;
	role_log("runner");
	volunteer_for_oom();
	role_harden(getppid(), ROLE_SUBREAPER);
	raise_nofile();
	ignore_signals();
	TAILQ_INIT(&r.attempts);
	if (warm)
		warm();
	if (tell_supervisor(FRAME_HELLO, FRAME_VERSION, PUSHROD_VERSION) < 0 || tell_supervisor(FRAME_READY, 0, "") < 0)
		return 1;
	while (!r.is_over)
		turn(&r);
	int is_drained = r.is_draining && r.n_attempts == 0;
	end_all(&r);
	return is_drained ? 0 : 1;
}
