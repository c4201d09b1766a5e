/* lua/remove.c - delete a folder. Descriptors, not paths: a link that appears meanwhile leads nowhere. */
#include "lua/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 200

static void remove_at(int dirfd, const char *name, int depth)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d;
	struct dirent *entry;

	if (fd < 0 || depth > DEPTH_MAX) {
		if (fd >= 0)
			close(fd);
		return;
	}
	fchmod(fd, 0700);                               /* a build may have made it read-only */
	d = fdopendir(fd);
	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") && unlinkat(fd, entry->d_name, 0) < 0 &&
		    (errno == EISDIR || errno == EPERM))
			remove_at(fd, entry->d_name, depth + 1);
	if (d)
		closedir(d);
	else
		close(fd);
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

void remove_below(int dirfd, const char *name)
{
	remove_at(dirfd, name, 0);
}

void remove_folder(const char *path)
{
	remove_at(AT_FDCWD, path, 0);
}
