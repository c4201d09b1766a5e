/* lua/workspace.c - the folder of an attempt. Each process holds a lock on its own, so that no other sweeps it away. */
#include "lua/workspace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/file.h"
#include "lua/remove.h"

int workspace_make(struct attempt *a, struct err *e)
{
	static const char *const below[] = { "home", "tmp" };

	a->workspace = xprintf("%s/workspaces/%lld.%d", attempt_text(a, "state"), (long long)a->in.job, a->in.attempt);
	if (dir_make(a->workspace, 0700, e) < 0)
		return -1;
	int fd = open(a->workspace, O_RDONLY | O_DIRECTORY | O_CLOEXEC);        /* stays open, and the lock with it */
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fchdir(fd) < 0)
		return err_errno(e, "%s", a->workspace);
	for (size_t i = 0; i < COUNT(below); i++)
		if (mkdirat(fd, below[i], 0700) < 0 && errno != EEXIST)
			return err_errno(e, "%s/%s", a->workspace, below[i]);
	return 0;
}

static int is_left_behind(int workspaces, const char *name, int64_t kept_ms)
{
	int64_t job;
	int attempt;
	struct stat st;

	if (journal_name_parse(slice_of(name), &job, &attempt) < 0)
		return 0;
	CLEANUP(fd_closep) int fd = openat(workspaces, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 > kept_ms &&
	       flock(fd, LOCK_EX | LOCK_NB) == 0;
}

void workspace_sweep(const struct attempt *a)
{
	CLEANUP(freep) char *path = xprintf("%s/workspaces", attempt_text(a, "state"));
	DIR *d = opendir(path);
	int64_t kept_ms = attempt_number(a, "workspace_kept_ms");
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (is_left_behind(dirfd(d), entry->d_name, kept_ms))
			remove_below(dirfd(d), entry->d_name);
	if (d)
		closedir(d);
}
