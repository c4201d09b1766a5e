/* wire/role.c - fork and exec of ourselves. Everything that may fail in words is prepared before the fork; the child
 * makes system calls only, and tells where it failed through a pipe that a successful exec closes. */
#include "wire/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"

#define FDS_ABOVE 64                    /* where descriptors wait while 0 to ROLE_FD + n are put in place */

extern char **environ;

struct plan {                           /* what the child needs, made before the fork */
	const struct role_options *o;
	const char *exe;
	char **env;
	int null_fd, fail_fd;
	pid_t parent;
};

void role_reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		if (s != SIGKILL && s != SIGSTOP)
			signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void role_harden(pid_t parent, int flags)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
	if (flags & ROLE_SUBREAPER)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (flags & ROLE_NO_NEW_PRIVS)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!parent)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

void role_log(const char *name)
{
	static const char *const names[] = { [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn",
					     [LOG_ERROR] = "error" };
	const char *wanted = getenv("PUSHROD_LOG");
	enum log_level level = LOG_INFO;

	for (size_t i = 0; wanted && i < COUNT(names); i++)
		if (strcmp(wanted, names[i]) == 0)
			level = (enum log_level)i;
	log_init(name, level);
}

static int is_passed(const char *variable, const char *const *names)
{
	const char *equals = strchr(variable, '=');
	size_t len = equals ? (size_t)(equals - variable) : 0;

	for (; len && names && *names; names++) {
		size_t n = strlen(*names);
		if (n && (*names)[n - 1] == '*' ? len >= n - 1 && memcmp(variable, *names, n - 1) == 0
						: len == n && memcmp(variable, *names, n) == 0)
			return 1;
	}
	return 0;
}

/* Owned array, borrowed strings. */
static char **environment(const struct role_options *o)
{
	size_t n = 0, at = 0;

	for (char **v = environ; v && *v; v++)
		n++;
	for (const char *const *v = o->env; v && *v; v++)
		n++;
	char **env = xcalloc(n + 1, sizeof *env);
	for (char **v = environ; v && *v; v++)
		if (is_passed(*v, o->pass))
			env[at++] = *v;
	for (const char *const *v = o->env; v && *v; v++)
		env[at++] = (char *)(uintptr_t)*v;
	return env;
}

static void fail(int fail_fd)
{
	int why = errno;
	if (write(fail_fd, &why, sizeof why) < 0)
		_exit(126);
	_exit(127);
}

static void run_child(const struct plan *p)
{
	int fds[ROLE_MAX_FDS], n = p->o->n_fds, out = fcntl(STDERR_FILENO, F_GETFD) < 0 ? p->null_fd : STDERR_FILENO;

	role_reset_signals();
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != p->parent)
		_exit(1);
	if (!p->o->keep_privileges)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int fail_fd = fcntl(p->fail_fd, F_DUPFD_CLOEXEC, FDS_ABOVE);
	for (int i = 0; i < n; i++)
		if ((fds[i] = fcntl(p->o->fds[i], F_DUPFD_CLOEXEC, FDS_ABOVE)) < 0)
			fail(fail_fd);
	if (dup2(p->null_fd, STDIN_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		fail(fail_fd);
	for (int i = 0; i < n; i++)
		if (dup2(fds[i], ROLE_FD + i) < 0)
			fail(fail_fd);
	if (close_range((unsigned)(ROLE_FD + n), ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		fail(fail_fd);
	execve(p->exe, (char *const *)(uintptr_t)p->o->argv, p->env);
	fail(fail_fd);
}

/* The child's errno, or 0 once the exec has closed the pipe. */
static int failure(int fd)
{
	int why = 0;
	ssize_t n;

	do
		n = read(fd, &why, sizeof why);
	while (n < 0 && errno == EINTR);
	return n == sizeof why ? why : 0;
}

int role_spawn(const struct role_options *o, struct role *out, struct err *e)
{
	CLEANUP(freep) char **env = environment(o);
	CLEANUP(fd_closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fail_pipe[2];

	if (null_fd < 0)
		return err_errno(e, "/dev/null");
	if (pipe2(fail_pipe, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	CLEANUP(fd_closep) int read_fd = fail_pipe[0], write_fd = fail_pipe[1];
	struct plan p = { o, o->exe ? o->exe : "/proc/self/exe", env, null_fd, write_fd, getpid() };
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(e, "fork");
	if (pid == 0)
		run_child(&p);
	close(fd_take(&write_fd));
	errno = failure(read_fd);
	int pidfd = errno ? -1 : pidfd_open(pid, 0);
	if (pidfd < 0) {
		err_errno(e, "start %s %s", p.exe, o->argv[1] ? o->argv[1] : "");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	*out = (struct role){ pid, pidfd };
	return 0;
}

void role_kill(const struct role *r)
{
	if (r->pid > 0)
		kill(r->pid, SIGKILL);
}

int role_reap(struct role *r)
{
	int status = -1;
	pid_t got = -1;

	if (r->pid > 0)
		do
			got = waitpid(r->pid, &status, 0);
		while (got < 0 && errno == EINTR);
	fd_closep(&r->pidfd);
	*r = (struct role){ 0, -1 };
	return got < 0 ? -1 : status;
}

void role_mark(const char *state, char out[ROLE_MARK_LEN + 1])
{
	CLEANUP(freep) char *real = realpath(state, NULL);
	char hex[65];

	sha256_hex(slice_of(real ? real : state), hex);
	memcpy(out, hex, ROLE_MARK_LEN);
	out[ROLE_MARK_LEN] = '\0';
}

void role_status_text(int status, char out[64])
{
	if (WIFSIGNALED(status))
		snprintf(out, 64, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(out, 64, "status %d", WEXITSTATUS(status));
}
