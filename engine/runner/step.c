/* runner/step.c - one shell step. What can fail in words is made before the fork: the list of programs to try, the
 * environment, the Landlock rule set, the pipes. Behind the fork there are system calls only. A pipe that the exec closes
 * carries home which of them failed. */
#include "runner/step.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "runner/limits.h"
#include "runner/sandbox.h"
#include "wire/children.h"
#include "wire/role.h"

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"
#define PIPE_BYTES (256 << 10)          /* fewer turns for a step that prints much */
#define STRAGGLERS_MS 10000
#define FDS_ABOVE 16                    /* where descriptors wait while 0 to 2 are put in place */

enum stage { STAGE_SETUP = 1, STAGE_FOLDER, STAGE_LIMITS, STAGE_CONFINE, STAGE_RUN };
struct failure { int stage, why, program; };

struct plan {
	const struct step_options *o;
	char **programs;                /* to try in order, NULL-ended; owned */
	char **env;                     /* owned array; the last two strings are ours */
	char *marks[2];
	int ruleset_fd, in_fd, out_fd, err_fd, fail_fd;
	pid_t parent;
};

static const char *env_find(const char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

/* As execvp searches: a name with a slash is a path; an empty part of PATH is the step's folder. */
static char **find_programs(const char *name, const char *path)
{
	size_t n = 1, at = 0;

	for (const char *c = path; *c; c++)
		n += *c == ':';
	char **list = xcalloc(n + 1, sizeof *list);
	if (strchr(name, '/')) {
		list[0] = xstrdup(name);
		return list;
	}
	struct slice rest = slice_of(path), dir;
	int more = 1;
	while (more) {
		more = slice_cut(rest, ':', &dir, &rest);
		list[at++] = dir.len ? xprintf(SLICE_FMT "/%s", SLICE_ARG(dir), name) : xprintf("./%s", name);
	}
	return list;
}

static void plan_init(struct plan *p, const struct step_options *o)
{
	const char *path = env_find(o->env, "PATH");
	char mark[ROLE_MARK_LEN + 1] = "";
	size_t n = 0, at = 0;

	*p = (struct plan){ .o = o, .ruleset_fd = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1, .fail_fd = -1, .parent = getpid() };
	p->programs = find_programs(o->argv[0], path && *path ? path : PATH_DEFAULT);
	while (o->env && o->env[n])
		n++;
	p->env = xcalloc(n + 3, sizeof *p->env);
	for (size_t i = 0; i < n; i++)
		if (strncmp(o->env[i], "PUSHROD_JOB=", 12) != 0 && strncmp(o->env[i], "PUSHROD_MARK=", 13) != 0)
			p->env[at++] = (char *)(uintptr_t)o->env[i];
	if (o->state)
		role_mark(o->state, mark);
	p->marks[0] = xprintf("PUSHROD_JOB=%lld.%d", (long long)o->job, o->attempt);
	p->marks[1] = xprintf("PUSHROD_MARK=%s", mark);
	p->env[at++] = p->marks[0];
	p->env[at++] = p->marks[1];
}

static void plan_fini(struct plan *p)
{
	for (char **program = p->programs; *program; program++)
		free(*program);
	free(p->programs);
	free(p->env);
	free(p->marks[0]);
	free(p->marks[1]);
	fd_closep(&p->ruleset_fd);
	fd_closep(&p->in_fd);
	fd_closep(&p->out_fd);
	fd_closep(&p->err_fd);
	fd_closep(&p->fail_fd);
}

/* ---- the child ---- */

static void fail(const struct plan *p, enum stage stage, int program)
{
	struct failure f = { stage, errno, program };

	_exit(write(p->fail_fd, &f, sizeof f) == sizeof f ? 127 : 126);
}

static void place(const struct plan *p, int fd, int target)
{
	if (dup2(fd, target) < 0)
		fail(p, STAGE_SETUP, 0);
}

/* As execvp tries: what is not there or may not run does not end the search. */
static void run(const struct plan *p)
{
	int denied = -1;

	for (int i = 0; p->programs[i]; i++) {
		execve(p->programs[i], (char *const *)(uintptr_t)p->o->argv, p->env);
		if (errno == EACCES && denied < 0)
			denied = i;
		else if (errno != EACCES && errno != ENOENT && errno != ENOTDIR)
			fail(p, STAGE_RUN, i);
	}
	errno = denied >= 0 ? EACCES : ENOENT;
	fail(p, STAGE_RUN, denied >= 0 ? denied : 0);
}

static void run_child(const struct plan *p)
{
	const struct step_options *o = p->o;

	role_reset_signals();
	setsid();
	role_harden(p->parent, 0);
	place(p, p->in_fd, STDIN_FILENO);
	place(p, p->out_fd, STDOUT_FILENO);
	place(p, p->err_fd, STDERR_FILENO);
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		fail(p, STAGE_SETUP, 0);
	umask(022);
	if (o->cwd && chdir(o->cwd) < 0)
		fail(p, STAGE_FOLDER, 0);
	if (limits_enter(&(struct limits){ o->memory_bytes, o->file_bytes, o->cpu_seconds }) < 0)
		fail(p, STAGE_LIMITS, 0);
	if (!o->keep_privileges && sandbox_enter(p->ruleset_fd) < 0)
		fail(p, STAGE_CONFINE, 0);
	run(p);
}

/* ---- the parent ---- */

static int high_fd(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, FDS_ABOVE);

	close(fd);
	return high;
}

/* A pipe whose ends are above the standard three. */
static int make_pipe(int *read_end, int *write_end, struct err *e)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	*read_end = high_fd(fds[0]);
	*write_end = high_fd(fds[1]);
	return *read_end < 0 || *write_end < 0 ? err_errno(e, "pipe") : 0;
}

static int explain(const struct plan *p, const struct failure *f, struct err *e)
{
	const struct step_options *o = p->o;
	const char *why = strerror(f->why), *hint = "";

	switch ((enum stage)f->stage) {
	case STAGE_FOLDER:
		return err_set(e, ERR_INPUT, "cannot enter the folder '%s': %s", o->cwd, why);
	case STAGE_RUN:
		if (f->why == ENOENT && strchr(o->argv[0], '/') && access(o->argv[0], F_OK) == 0)
			hint = " (the interpreter that it names)";
		else if (f->why == EACCES && access(p->programs[f->program], X_OK) == 0 && !o->keep_privileges)
			hint = " (it lies outside of what a step may reach)";
		else if (f->why == ENOEXEC)
			hint = " (no program, and no #! line)";
		return err_set(e, f->why == ENOMEM || f->why == EAGAIN ? ERR_UNAVAIL : ERR_INPUT, "cannot run '%s': %s%s",
			       o->argv[0], why, hint);
	case STAGE_LIMITS:
		return err_set(e, ERR_IO, "cannot set a step's limits: %s", why);
	case STAGE_CONFINE:
		return err_set(e, ERR_IO, "cannot confine a step: %s", why);
	case STAGE_SETUP:
		break;
	}
	return err_set(e, ERR_IO, "cannot start a step: %s", why);
}

/* Fork, and wait until the program runs or the child has told why not. */
static pid_t launch(struct plan *p, int told_fd, struct err *e)
{
	struct failure f;
	ssize_t n;
	pid_t pid = fork();

	if (pid < 0)
		return (pid_t)err_errno(e, "fork");
	if (pid == 0)
		run_child(p);
	fd_closep(&p->fail_fd);
	do
		n = read(told_fd, &f, sizeof f);
	while (n < 0 && errno == EINTR);
	if (n != sizeof f)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return (pid_t)explain(p, &f, e);
}

static int start(struct plan *p, struct step *out, struct err *e)
{
	CLEANUP(fd_closep) int out_fd = -1, err_fd = -1, told_fd = -1, pidfd = -1;

	if (!p->o->keep_privileges && (p->ruleset_fd = sandbox_ruleset(p->o, e)) == -1)
		return -1;
	int in = p->o->stdin_fd >= 0 ? fcntl(p->o->stdin_fd, F_DUPFD_CLOEXEC, FDS_ABOVE) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	p->in_fd = in >= 0 && in < FDS_ABOVE ? high_fd(in) : in;
	if (p->in_fd < 0)
		return err_errno(e, "a step's input");
	if (make_pipe(&out_fd, &p->out_fd, e) < 0 || make_pipe(&err_fd, &p->err_fd, e) < 0 ||
	    make_pipe(&told_fd, &p->fail_fd, e) < 0)
		return -1;
	if (fd_nonblock(out_fd) < 0 || fd_nonblock(err_fd) < 0)
		return err_errno(e, "pipe");
	fcntl(out_fd, F_SETPIPE_SZ, PIPE_BYTES);
	pid_t pid = launch(p, told_fd, e);
	if (pid < 0)
		return -1;
	pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		err_errno(e, "pidfd");
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	*out = (struct step){ pid, fd_take(&pidfd), fd_take(&out_fd), fd_take(&err_fd) };
	return 0;
}

int step_start(const struct step_options *o, struct step *out, struct err *e)
{
	struct plan p;

	assert(o->argv && o->argv[0]);
	plan_init(&p, o);
	int result = start(&p, out, e);
	plan_fini(&p);
	return result;
}

void step_signal(const struct step *s, int signal)
{
	if (s->pid > 0)
		kill(-s->pid, signal);
}

int step_kill_stragglers(const pid_t *keep, int n_keep)
{
	return children_kill(keep, n_keep, STRAGGLERS_MS);
}

int step_reap(struct step *s)
{
	int status;
	pid_t got;

	if (s->pid <= 0)
		return -1;
	do
		got = waitpid(s->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	s->pid = 0;
	if (got < 0)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void step_close(struct step *s)
{
	if (s->pid > 0) {
		step_signal(s, SIGKILL);
		step_reap(s);
	}
	fd_closep(&s->pidfd);
	fd_closep(&s->out_fd);
	fd_closep(&s->err_fd);
}

const char *step_confinement(void)
{
	static char text[48];

	if (text[0])
		return text;
	int abi = sandbox_landlock_abi();
	if (abi)
		snprintf(text, sizeof text, "landlock %d%s", abi, sandbox_has_seccomp() ? ", seccomp" : "");
	else
		snprintf(text, sizeof text, "%s", sandbox_has_seccomp() ? "seccomp" : "none");
	return text;
}
