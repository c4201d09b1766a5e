/* supervisor/supervisor.c - start the roles, keep them, end them.
 *
 *     listeners, control.sock ──► front ◄── socketpair ──► runner ──► jobs
 *
 * One poll loop over signals, both roles (socket and pidfd), the watch on the site's files and an evaluation under way. A front
 * that dies is started anew at once on the same listeners, and both ends get a new socketpair: the runner goes on meanwhile.
 * A runner that dies takes its jobs with it: they are our children then (we are a subreaper) and are killed before the next
 * runner starts. The end comes in two steps: the runner finishes or stops its jobs while the front commits their results;
 * then the front drains. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/listen.h"
#include "supervisor/notify.h"
#include "supervisor/watch.h"
#include "wire/children.h"
#include "wire/evaluate.h"
#include "wire/frame.h"
#include "wire/role.h"

#define LISTENERS_MAX 16                /* as many as a front takes; one is the control socket */
#define INHERITED_MAX 32
#define DEBOUNCE_MS 200                 /* after the last change of a file */
#define SWEEP_MS 10000
#define TELL_MS 5000
#define FRONT_GRACE_MS 10000            /* for its connections, at the end */
#define FRONT_BACKOFF_MAX_MS 1000       /* it is back within a second, whatever ends it */
#define BACKOFF_MAX_MS 5000
#define FALLS_MAX 20                    /* in a row, and never ready: no restart will help */
#define STEADY_MS 10000                 /* a role that lived so long starts again at once */

enum which { FRONT, RUNNER, ROLES };
enum ending { ENDING_NOT, ENDING_JOBS, ENDING_FRONT, ENDING_FORCED };

struct child {
	struct role role;               /* pid 0: down */
	int fd;                         /* our end of its socket */
	int is_ready;
	int64_t started_ms, start_at_ms;        /* mono; start_at 0: not due */
	int falls;                      /* deaths in a row, each soon after its start */
	int unready_falls;              /* those of them before it was ready */
};

struct supervisor {
	const struct serve_options *o;
	char *site, *state;             /* real paths */
	int state_dirfd, lock_fd, signal_fd, watch_fd;
	struct { int fd, classes; char *address; } listeners[LISTENERS_MAX];
	int n_listeners;
	char *url;                      /* of the first listener that serves pages, else hooks */
	char mark[ROLE_MARK_LEN + 1];
	struct child child[ROLES];
	struct buf rules;               /* the bundle that a new front begins with */
	struct buf offered;             /* the one the front is looking at; empty: none */
	struct evaluation evaluation;
	int64_t reload_at_ms;
	int is_wanted_again;            /* a change came during an evaluation, or while the front looks */
	int is_wanted_when_ready;       /* a bundle came while no front could take it */
	pid_t inherited[INHERITED_MAX]; /* children from before the exec that made us: not ours to end */
	int n_inherited;
	int has_greeted;
	enum ending ending;
	int64_t force_at_ms;
	struct buf scratch;
	int status;
};

/* ---- telling the roles ---- */

static int tell(struct child *c, struct frame *f)
{
	return c->role.pid && frame_send_wait(c->fd, f, TELL_MS) == FRAME_OK ? 0 : -1;
}

static int tell_fd(struct child *c, enum frame_type type, int64_t n0, const char *text, int fd)
{
	struct frame f = FRAME(type, n0);
	f.text = slice_of(text);
	f.fds[0] = fd;
	return tell(c, &f);
}

static int tell_plain(struct child *c, enum frame_type type, int64_t n0)
{
	struct frame f = FRAME(type, n0);
	if (type == FRAME_HELLO)
		f.text = SLICE(PUSHROD_VERSION);
	return tell(c, &f);
}

/* A new socketpair between front and runner, where both are there. */
static void join(struct supervisor *s)
{
	struct err e;
	int pair[2];

	if (!s->child[FRONT].role.pid || !s->child[RUNNER].role.pid)
		return;
	if (frame_pair(pair, &e) < 0) {
		log_error("front and runner cannot be joined", "reason=\"%s\"", e.msg);
		return;
	}
	tell_fd(&s->child[RUNNER], FRAME_PEER, 0, "", pair[0]);
	tell_fd(&s->child[FRONT], FRAME_PEER, 0, "", pair[1]);
	close(pair[0]);
	close(pair[1]);
}

static int tell_rules(struct supervisor *s, struct slice bundle, int is_start, struct err *e)
{
	CLEANUP(fd_closep) int fd = memfd_sealed("rules", bundle, e);
	return fd < 0 ? -1 : tell_fd(&s->child[FRONT], FRAME_RULES, is_start, "", fd);
}

/* ---- what systemd is told of a reload ---- */

static void begin_reloading(void)
{
	struct timespec now;
	char text[128];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=evaluating the rules",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify_systemd(text);
}

/* However it ended: nothing is on offer any more. */
static void end_reloading(struct supervisor *s)
{
	buf_clear(&s->offered);
	if (s->is_wanted_again)
		s->reload_at_ms = mono_ms();
	s->is_wanted_again = 0;
	notify_systemd("READY=1\nSTATUS=serving");
}

/* ---- starting ---- */

static const char *const role_names[] = { [FRONT] = "front", [RUNNER] = "runner" };

static int start_role(struct supervisor *s, enum which which, struct err *e)
{
	/* Secrets in the environment are the front's alone: no job is ever started from it. */
	static const char *const pass_front[] = { "PUSHROD_LOG", "PUSHROD_SECRET_*", "CREDENTIALS_DIRECTORY", "TZ",
						  "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", NULL };
	static const char *const pass_runner[] = { "PUSHROD_LOG", "PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE",
						   "SSL_CERT_DIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", NULL };
	const char *const front[] = { "pushrod", "@front", s->site, s->state, NULL };
	const char *const runner[] = { "pushrod", "@runner", s->state, NULL };
	struct child *c = &s->child[which];
	int pair[2];

	if (frame_pair(pair, e) < 0)
		return -1;
	struct role_options o = { .argv = which == FRONT ? front : runner, .fds = &pair[1], .n_fds = 1,
				  .pass = which == FRONT ? pass_front : pass_runner };
	int r = role_spawn(&o, &c->role, e);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return -1;
	}
	c->fd = pair[0];
	c->is_ready = 0;
	c->started_ms = mono_ms();
	c->start_at_ms = 0;
	return tell_plain(c, FRAME_HELLO, FRAME_VERSION);
}

static int start_front(struct supervisor *s, struct err *e)
{
	struct child *c = &s->child[FRONT];

	if (start_role(s, FRONT, e) < 0 || tell_rules(s, buf_slice(&s->rules), 1, e) < 0)
		return -1;
	for (int i = 0; i < s->n_listeners; i++)
		tell_fd(c, FRAME_LISTEN, s->listeners[i].classes, s->listeners[i].address, s->listeners[i].fd);
	join(s);
	return tell_plain(c, FRAME_GO, 0);
}

static void start_due(struct supervisor *s, enum which which)
{
	struct err e = { 0 };
	int r = which == FRONT ? start_front(s, &e) : start_role(s, which, &e);

	if (r == 0 && which == RUNNER)
		join(s);
	if (r < 0 && !s->child[which].role.pid) {
		log_error("a role cannot be started", "which=%s reason=\"%s\"", role_names[which], e.msg);
		s->child[which].start_at_ms = mono_ms() + BACKOFF_MAX_MS;
	}
}

/* ---- endings of roles ---- */

static int64_t backoff_ms(enum which which, int falls)
{
	static const int64_t steps[] = { 0, 0, 200, 500, 1000, 2000 };
	int64_t ms = falls < (int)COUNT(steps) ? steps[falls] : BACKOFF_MAX_MS;

	return which == FRONT && ms > FRONT_BACKOFF_MAX_MS ? FRONT_BACKOFF_MAX_MS : ms;
}

/* Everything that descends from us, but the roles, an evaluation and what we found when we began. */
static void end_strays(const struct supervisor *s)
{
	pid_t keep[ROLES + 1 + INHERITED_MAX] = { s->child[FRONT].role.pid, s->child[RUNNER].role.pid, s->evaluation.role.pid };

	memcpy(keep + ROLES + 1, s->inherited, (size_t)s->n_inherited * sizeof *keep);
	int left = children_kill(keep, ROLES + 1 + s->n_inherited, SWEEP_MS);
	if (left)
		log_error("processes of dead jobs cannot be ended", "count=%d", left);
}

static void give_up(struct supervisor *s, const char *which)
{
	fprintf(stderr, "pushrod serve: the %s does not start (see above)\n", which);
	s->status = 1;
	s->ending = ENDING_FORCED;
}

static void on_exited(struct supervisor *s, enum which which)
{
	struct child *c = &s->child[which];
	int was_ready = c->is_ready, status = role_reap(&c->role);
	char how[64];

	fd_closep(&c->fd);
	c->is_ready = 0;
	role_status_text(status, how);
	if (which == RUNNER)
		end_strays(s);
	if (s->ending != ENDING_NOT)
		return;
	log_warn("a role ended, starting it anew", "which=%s how=\"%s\"", role_names[which], how);
	c->falls = mono_ms() - c->started_ms > STEADY_MS ? 1 : c->falls + 1;
	c->unready_falls = was_ready ? 0 : c->unready_falls + 1;
	if ((!s->has_greeted && which == FRONT && WIFEXITED(status)) || c->unready_falls == FALLS_MAX) {
		give_up(s, role_names[which]);
		return;
	}
	c->start_at_ms = mono_ms() + backoff_ms(which, c->falls) + 1;
	if (which == FRONT && s->offered.len) {
		log_warn("the front ended over new rules, the old ones stay in force", "bytes=%zu", s->offered.len);
		end_reloading(s);
	}
}

/* ---- what the roles say ---- */

static void greet(struct supervisor *s)
{
	struct err e;
	CLEANUP(buf_fini) struct buf text = BUF(256);

	if (s->has_greeted)
		return;
	s->has_greeted = 1;
	buf_addf(&text, "%lld\n", (long long)getpid());
	if (file_write_durable(s->state_dirfd, "ready", buf_slice(&text), 0600, &e) < 0)
		log_warn("STATE/ready cannot be written", "reason=\"%s\"", e.msg);
	fprintf(stderr, "pushrod %s serves %s (%zu %s, %zu %s)\n", PUSHROD_VERSION, s->url, s->o->n_rules,
		s->o->n_rules == 1 ? "rule" : "rules", s->o->n_sources, s->o->n_sources == 1 ? "source" : "sources");
	notify_systemd("READY=1\nSTATUS=serving");
}

static void on_front_said(struct supervisor *s, const struct frame *f)
{
	if (f->type == FRAME_READY) {
		s->child[FRONT].is_ready = 1;
		greet(s);
		if (s->is_wanted_when_ready)
			s->reload_at_ms = mono_ms();
		s->is_wanted_when_ready = 0;
	} else if (f->type == FRAME_RELOAD) {
		s->reload_at_ms = mono_ms();
	} else if (f->type == FRAME_RULES_DONE && s->offered.len) {
		if (f->n[0] == 1) {
			buf_fini(&s->rules);
			s->rules = s->offered;
			s->offered = BUF(EVALUATE_MAX_BYTES);
			log_info("rules reloaded", "bytes=%zu", s->rules.len);
		} else {
			log_warn("the new rules are refused, the old ones stay in force", "reason=\"" SLICE_FMT "\"", SLICE_ARG(f->text));
		}
		end_reloading(s);
	}
}

/* A second READY of the runner: 1, it has lost its front; 2, its front broke the rules of the frames. */
static void on_runner_said(struct supervisor *s, const struct frame *f)
{
	if (f->type != FRAME_READY)
		return;
	s->child[RUNNER].is_ready = 1;
	if (f->n[0] == 2) {
		log_error("the runner says that the front broke the rules, ending it", "pid=%d", (int)s->child[FRONT].role.pid);
		role_kill(&s->child[FRONT].role);
	} else if (f->n[0] == 1 && s->child[FRONT].is_ready) {
		join(s);
	}
}

static void hear(struct supervisor *s, enum which which)
{
	static const enum frame_peer peers[] = { [FRONT] = PEER_FRONT_OF_SUPERVISOR, [RUNNER] = PEER_RUNNER_OF_SUPERVISOR };
	struct child *c = &s->child[which];
	enum frame_outcome out;
	struct frame f;

	while ((out = frame_recv(c->fd, peers[which], &s->scratch, &f)) == FRAME_OK) {
		if (f.type == FRAME_HELLO && f.n[0] != FRAME_VERSION) {
			out = FRAME_BAD;
			break;
		}
		if (which == FRONT)
			on_front_said(s, &f);
		else
			on_runner_said(s, &f);
	}
	if (out == FRAME_BAD) {
		log_error("a role said what it may not say, ending it", "which=%s", role_names[which]);
		role_kill(&c->role);
	}
	if (out != FRAME_AGAIN)                         /* its end of the socket is gone: the pidfd tells the rest */
		fd_closep(&c->fd);
}

/* ---- reload ---- */

static void begin_reload(struct supervisor *s)
{
	struct err e;

	s->reload_at_ms = 0;
	if (s->evaluation.fd >= 0 || s->offered.len) {
		s->is_wanted_again = 1;
		return;
	}
	begin_reloading();
	if (evaluate_start(s->site, NULL, &s->evaluation, &e) == 0)
		return;
	log_error("the site cannot be evaluated", "reason=\"%s\"", e.msg);
	end_reloading(s);
}

/* Offered also where nothing changed: the front may be showing a mistake that is mended by going back. */
static void end_reload(struct supervisor *s)
{
	struct err e = { 0 };

	buf_clear(&s->offered);
	if (evaluate_finish(&s->evaluation, &s->offered, &e) < 0) {
		log_warn("the site cannot be evaluated, the old rules stay in force", "reason=\"%s\"", e.msg);
		end_reloading(s);
	} else if (!s->child[FRONT].is_ready) {
		s->is_wanted_when_ready = 1;
		end_reloading(s);
	} else if (tell_rules(s, buf_slice(&s->offered), 0, &e) < 0) {
		log_warn("the front did not hear of the new rules", "bytes=%zu", s->offered.len);
		end_reloading(s);
	}
}

/* ---- the end ---- */

static void kill_all(struct supervisor *s)
{
	for (int i = 0; i < ROLES; i++)
		if (s->child[i].role.pid)
			role_kill(&s->child[i].role);
}

static void begin_end(struct supervisor *s)
{
	if (s->ending != ENDING_NOT) {
		log_warn("a second signal: ending at once", "%s", "");
		s->ending = ENDING_FORCED;
		kill_all(s);
		return;
	}
	log_info("ending", "grace_ms=%" PRId64, s->o->grace_ms);
	notify_systemd("STOPPING=1\nSTATUS=waiting for running jobs");
	unlinkat(s->state_dirfd, "ready", 0);
	s->ending = ENDING_JOBS;
	s->force_at_ms = mono_ms() + s->o->grace_ms + 60000;
	tell_plain(&s->child[RUNNER], FRAME_DRAIN, s->o->grace_ms);
}

/* True when all is over. */
static int go_on_ending(struct supervisor *s)
{
	if (s->ending == ENDING_NOT)
		return 0;
	if (s->ending == ENDING_JOBS && !s->child[RUNNER].role.pid) {
		s->ending = ENDING_FRONT;
		s->force_at_ms = mono_ms() + FRONT_GRACE_MS + 10000;
		tell_plain(&s->child[FRONT], FRAME_DRAIN, FRONT_GRACE_MS);
	}
	if (s->ending != ENDING_FORCED && mono_ms() >= s->force_at_ms) {
		log_error("ending by force", "%s", "");
		s->status = 1;
		s->ending = ENDING_FORCED;
	}
	if (s->ending == ENDING_FORCED)
		kill_all(s);
	return !s->child[FRONT].role.pid && !s->child[RUNNER].role.pid;
}

/* ---- the loop ---- */

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP)
			s->reload_at_ms = mono_ms();
		else if (info.ssi_signo != SIGCHLD)
			begin_end(s);
	}
}

/* Process 1 inherits every orphan: reap what is none of ours, and only that. */
static void reap_strangers(const struct supervisor *s)
{
	pid_t pids[256];
	int n = children_list(pids, COUNT(pids));

	for (int i = 0; i < n; i++)
		if (pids[i] != s->child[FRONT].role.pid && pids[i] != s->child[RUNNER].role.pid &&
		    pids[i] != s->evaluation.role.pid)
			waitpid(pids[i], NULL, WNOHANG);
}

static void sooner(int64_t *due, int64_t at)
{
	if (at > 0 && at < *due)
		*due = at;
}

static int timeout_of(const struct supervisor *s)
{
	int64_t now = mono_ms(), due = INT64_MAX;

	sooner(&due, s->reload_at_ms);
	if (s->evaluation.fd >= 0)
		sooner(&due, s->evaluation.deadline_mono_ms);
	for (int i = 0; i < ROLES; i++)
		sooner(&due, s->child[i].start_at_ms);
	if (s->ending != ENDING_NOT)
		sooner(&due, s->force_at_ms);
	if (due == INT64_MAX)
		return -1;
	return due <= now ? 0 : due - now > 3600000 ? 3600000 : (int)(due - now);
}

static void turn(struct supervisor *s)
{
	struct pollfd p[] = {
		{ s->signal_fd, POLLIN, 0 }, { s->watch_fd, POLLIN, 0 }, { s->evaluation.fd, POLLIN, 0 },
		{ s->child[FRONT].fd, POLLIN, 0 }, { s->child[RUNNER].fd, POLLIN, 0 },
		{ s->child[FRONT].role.pid ? s->child[FRONT].role.pidfd : -1, POLLIN, 0 },
		{ s->child[RUNNER].role.pid ? s->child[RUNNER].role.pidfd : -1, POLLIN, 0 },
	};
	int n = poll(p, COUNT(p), timeout_of(s));
	int64_t now = mono_ms();

	if (n < 0 && errno != EINTR)
		abort();
	if (p[0].revents)
		on_signals(s);
	if (p[1].revents && watch_read(s->watch_fd, s->site))
		s->reload_at_ms = now + DEBOUNCE_MS;
	if (s->evaluation.fd >= 0 && (p[2].revents || now >= s->evaluation.deadline_mono_ms) &&
	    evaluate_read(&s->evaluation) == EVALUATE_DONE)
		end_reload(s);
	for (int i = 0; i < ROLES; i++) {
		if (p[3 + i].revents && s->child[i].fd >= 0)
			hear(s, (enum which)i);
		if (p[5 + i].revents && s->child[i].role.pid)
			on_exited(s, (enum which)i);
		if (s->child[i].start_at_ms && now >= s->child[i].start_at_ms && s->ending == ENDING_NOT)
			start_due(s, (enum which)i);
	}
	if (s->reload_at_ms && now >= s->reload_at_ms && s->ending == ENDING_NOT)
		begin_reload(s);
	reap_strangers(s);
}

/* ---- before it ---- */

static int fail(const char *what, const struct err *e)
{
	fprintf(stderr, "pushrod serve: %s%s%s\n", what, *what ? ": " : "", e->msg);
	return -1;
}

static int lock_state(struct supervisor *s, struct err *e)
{
	char pid[32] = "";

	s->lock_fd = openat(s->state_dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0)
		return err_errno(e, "lock");
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		ssize_t n = pread(s->lock_fd, pid, sizeof pid - 1, 0);
		return err_set(e, ERR_UNAVAIL, "another pushrod (pid %.*s) is using it", n > 0 ? (int)strcspn(pid, "\n") : 1,
			       n > 0 ? pid : "?");
	}
	int n = snprintf(pid, sizeof pid, "%lld\n", (long long)getpid());
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
		return err_errno(e, "lock");
	return 0;
}

/* Others have no business in it, however it was made. */
static int close_to_others(int dirfd, struct err *e)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return err_errno(e, "state");
	if ((st.st_mode & 077) && fchmod(dirfd, 0700) < 0)
		return err_errno(e, "state: others may enter it, and that cannot be changed");
	return 0;
}

static int open_state(struct supervisor *s, struct err *e)
{
	s->state_dirfd = dir_open_make(AT_FDCWD, s->o->state, e);
	s->site = realpath(s->o->site, NULL);
	s->state = s->state_dirfd < 0 ? NULL : realpath(s->o->state, NULL);
	if (s->state_dirfd < 0)
		return -1;
	if (!s->site || !s->state)
		return err_errno(e, "%s", s->site ? s->o->state : s->o->site);
	if (lock_state(s, e) < 0 || close_to_others(s->state_dirfd, e) < 0)
		return err_wrap(e, "%s", s->state);
	unlinkat(s->state_dirfd, "ready", 0);
	role_mark(s->state, s->mark);
	int swept = children_sweep(s->mark, s->state, SWEEP_MS);
	if (swept < 0)
		return err_set(e, ERR_UNAVAIL, "processes of an earlier life are still there and cannot be ended");
	if (swept > 0)
		log_warn("ended what an earlier life left behind", "processes=%d", swept);
	return 0;
}

static void class_names(int classes, struct buf *out)
{
	if (classes & LISTEN_HOOKS)
		buf_adds(out, "hooks ");
	if (classes & LISTEN_PAGES)
		buf_adds(out, "pages ");
	if (classes & LISTEN_TOPICS)
		buf_adds(out, "topics ");
}

static int bind_all(struct supervisor *s, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(16 << 10);
	int has_pages = 0;

	for (size_t i = 0; i < s->o->n_listen; i++) {
		CLEANUP(buf_fini) struct buf bound = BUF(256);
		const struct serve_listen *l = &s->o->listen[i];
		if (s->n_listeners == LISTENERS_MAX - 1)
			return err_set(e, ERR_LIMIT, "more than %d listeners", LISTENERS_MAX - 1);
		int fd = listen_tcp(l->address, &bound, e);
		if (fd < 0)
			return -1;
		s->listeners[s->n_listeners].fd = fd;
		s->listeners[s->n_listeners].classes = l->classes;
		s->listeners[s->n_listeners++].address = xstrdup(buf_cstr(&bound));
		class_names(l->classes, &text);
		buf_addf(&text, "http://%s\n", buf_cstr(&bound));
		if (!s->url || ((l->classes & LISTEN_PAGES) && !has_pages)) {
			free(s->url);
			s->url = xprintf("http://%s", buf_cstr(&bound));
		}
		has_pages |= l->classes & LISTEN_PAGES;
	}
	int fd = listen_control(s->state_dirfd, e);
	if (fd < 0)
		return -1;
	s->listeners[s->n_listeners].fd = fd;
	s->listeners[s->n_listeners].classes = LISTEN_CONTROL | LISTEN_PAGES | LISTEN_TOPICS;
	s->listeners[s->n_listeners++].address = xstrdup("control.sock");
	return file_write_durable(s->state_dirfd, "listen", buf_slice(&text), 0600, e);
}

static int take_signals(struct supervisor *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
		return err_errno(e, "signals");
	s->n_inherited = children_list(s->inherited, INHERITED_MAX);
	return 0;
}

static int begin(struct supervisor *s)
{
	struct err e = { 0 };

	if (take_signals(s, &e) < 0 || open_state(s, &e) < 0 || bind_all(s, &e) < 0)
		return fail("", &e);
	if (s->o->watch && (s->watch_fd = watch_open(s->site, &e)) < 0)
		log_warn("the site is not watched, SIGHUP reloads it", "reason=\"%s\"", e.msg);
	if (start_role(s, RUNNER, &e) < 0 || start_front(s, &e) < 0)
		return fail("a role cannot be started", &e);
	return 0;
}

static void end(struct supervisor *s)
{
	evaluate_cancel(&s->evaluation);
	kill_all(s);
	for (int i = 0; i < ROLES; i++)
		if (s->child[i].role.pid)
			role_reap(&s->child[i].role);
	end_strays(s);
	if (s->state_dirfd >= 0 && s->n_listeners) {
		unlinkat(s->state_dirfd, "control.sock", 0);
		unlinkat(s->state_dirfd, "listen", 0);
		unlinkat(s->state_dirfd, "ready", 0);
	}
	for (int i = 0; i < s->n_listeners; i++) {
		fd_closep(&s->listeners[i].fd);
		free(s->listeners[i].address);
	}
	for (int i = 0; i < ROLES; i++)
		fd_closep(&s->child[i].fd);
	fd_closep(&s->watch_fd);
	fd_closep(&s->signal_fd);
	fd_closep(&s->lock_fd);
	fd_closep(&s->state_dirfd);
	buf_fini(&s->rules);
	buf_fini(&s->offered);
	buf_fini(&s->scratch);
	free(s->site);
	free(s->state);
	free(s->url);
}

int supervisor_main(const struct serve_options *o)
{
	struct supervisor s = { .o = o, .state_dirfd = -1, .lock_fd = -1, .signal_fd = -1, .watch_fd = -1, .evaluation = EVALUATION_NONE,
				.rules = BUF(EVALUATE_MAX_BYTES), .offered = BUF(EVALUATE_MAX_BYTES),
				.scratch = BUF(FRAME_MAX_TEXT + 128),
				.child = { { .fd = -1 }, { .fd = -1 } } };

	role_log("supervisor");
	role_harden(0, ROLE_SUBREAPER);         /* our environment may hold secrets: no step shall read it in /proc */
	buf_add(&s.rules, o->bundle);
	if (begin(&s) < 0)
		s.status = 1;
	else
		while (!go_on_ending(&s))
			turn(&s);
	end(&s);
	return s.status;
}
