/* lua/remove.c - delete a folder. Descriptors, not paths: a link that appears meanwhile leads nowhere. A tree that is deeper
 * than we have descriptors for is taken apart: what lies too deep is moved up to the top, and is next. */
#include "lua/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 100
#define ROUNDS_MAX 10000

struct removal {
	int top;                                /* descriptor of the folder that goes */
	int n_moved;
};

/* A build may have made it unreadable, which its owner can undo. */
static int open_folder(int dirfd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd = openat(dirfd, name, flags);

	if (fd < 0 && errno == EACCES && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	    fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, flags);
	if (fd >= 0)
		fchmod(fd, 0700);
	return fd;
}

static void empty(struct removal *r, int fd, int depth);

static void remove_entry(struct removal *r, int dirfd, const char *name, int depth)
{
	char moved[32];

	if (unlinkat(dirfd, name, 0) == 0 || (errno != EISDIR && errno != EPERM))
		return;
	if (depth > DEPTH_MAX) {
		snprintf(moved, sizeof moved, ".deep.%d", r->n_moved++);
		renameat(dirfd, name, r->top, moved);
		return;
	}
	int fd = open_folder(dirfd, name);
	if (fd >= 0)
		empty(r, fd, depth + 1);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* Takes FD. */
static void empty(struct removal *r, int fd, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *entry;

	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove_entry(r, fd, entry->d_name, depth);
	if (d)
		closedir(d);
	else
		close(fd);
}

void remove_below(int dirfd, const char *name)
{
	struct removal r = { .top = open_folder(dirfd, name) };
	int moved = -1;

	/* A round that moved nothing up has seen all there was. */
	for (int round = 0; r.top >= 0 && moved != r.n_moved && round < ROUNDS_MAX; round++) {
		moved = r.n_moved;
		int fd = openat(r.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			empty(&r, fd, 0);
	}
	if (r.top >= 0)
		close(r.top);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

void remove_folder(const char *path)
{
	remove_below(AT_FDCWD, path);
}
