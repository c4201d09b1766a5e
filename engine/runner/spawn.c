/* runner/spawn.c - the child is a copy of the warm runner: what it must not have is taken from it before the job's code
 * runs. The descriptors it keeps get the lowest numbers, everything above is closed, so a connection to the front or the
 * supervisor cannot stay open by oversight. */
#include "runner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "wire/frame.h"
#include "wire/role.h"

#define FDS_ABOVE 64                    /* where descriptors wait while the lowest numbers are taken */

enum { SPEC = 3, JOURNAL, CONTROL, N_FDS };

static int place(const int *from)
{
	int waiting[N_FDS];

	for (int i = SPEC; i < N_FDS; i++)
		if ((waiting[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FDS_ABOVE)) < 0)
			return -1;
	for (int i = SPEC; i < N_FDS; i++)
		if (dup3(waiting[i], i, O_CLOEXEC) < 0)
			return -1;
	return close_range(N_FDS, ~0u, 0);
}

static void run_child(const struct job_inheritance *what, int control_fd, pid_t runner, int keep_privileges, job_main_fn *job)
{
	int from[N_FDS] = { [SPEC] = what->spec_fd, [JOURNAL] = what->journal_fd, [CONTROL] = control_fd };
	char name[16];

	role_reset_signals();
	setsid();
	role_harden(runner, ROLE_SUBREAPER | (keep_privileges ? 0 : ROLE_NO_NEW_PRIVS));
	if (place(from) < 0)
		_exit(126);
	umask(022);                     /* what a job publishes is for others to read */
	snprintf(name, sizeof name, "job %lld.%d", (long long)what->job, what->attempt);
	prctl(PR_SET_NAME, name);
	role_log("job");
	_exit(job(&(struct job_inheritance){ .job = what->job, .attempt = what->attempt, .spec_fd = SPEC,
					     .journal_fd = JOURNAL, .control_fd = CONTROL }));
}

int spawn_job(const struct job_inheritance *what, int keep_privileges, job_main_fn *job, struct spawned *out, struct err *e)
{
	int pair[2];
	pid_t runner = getpid();

	if (frame_pair(pair, e) < 0)
		return -1;
	CLEANUP(fd_closep) int ours = pair[0], theirs = pair[1];
	pid_t pid = fork();
	if (pid < 0)
		return err_errno(e, "fork");
	if (pid == 0)
		run_child(what, theirs, runner, keep_privileges, job);
	int pidfd = pidfd_open(pid, 0);
	if (pidfd < 0) {
		err_errno(e, "pidfd");
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return -1;
	}
	*out = (struct spawned){ pid, pidfd, fd_take(&ours) };
	return 0;
}
