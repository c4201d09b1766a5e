/* base/file.c - descriptors and files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int fd_take(int *fd)
{
	int out = *fd;
	*fd = -1;
	return out;
}

int fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int fd_write_all(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = write(fd, s.ptr, s.len);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -1;
		}
		s = slice_from(s, (size_t)n);
	}
	return 0;
}

int fd_read_all(int fd, struct buf *out, struct err *e)
{
	for (;;) {
		size_t left = out->max - out->len;
		char probe, *to = left ? buf_room(out, left < 65536 ? left : 65536) : &probe;
		ssize_t n = read(fd, to, left ? (left < 65536 ? left : 65536) : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read");
		if (n == 0)
			return 0;
		if (!left)
			return err_set(e, ERR_LIMIT, "more than %zu bytes", out->max);
		buf_grew(out, (size_t)n);
	}
}

int file_read(int dirfd, const char *path, struct buf *out, struct err *e)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fd_read_all(fd, out, e) < 0)
		return err_wrap(e, "%s", path);
	return 0;
}

static int sync_folder_of(int dirfd, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? slice_dup((struct slice){ path, (size_t)(slash - path) + 1 }) : xstrdup(".");
	CLEANUP(fd_closep) int fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	return fd < 0 ? -1 : fsync(fd);
}

int file_write_durable(int dirfd, const char *path, struct slice s, mode_t mode, struct err *e)
{
	CLEANUP(freep) char *tmp = xprintf("%s.%d.tmp", path, (int)getpid());
	CLEANUP(fd_closep) int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_errno(e, "%s", tmp);
	if (fd_write_all(fd, s) < 0 || fsync(fd) < 0 || renameat(dirfd, tmp, dirfd, path) < 0 ||
	    sync_folder_of(dirfd, path) < 0) {
		err_errno(e, "%s", path);
		unlinkat(dirfd, tmp, 0);
		return -1;
	}
	return 0;
}

static int make_at(int dirfd, const char *path, mode_t mode)
{
	CLEANUP(freep) char *copy = xstrdup(path);
	for (char *c = copy + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
			return -1;
		*c = '/';
	}
	return mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST ? -1 : 0;
}

int dir_make(const char *path, mode_t mode, struct err *e)
{
	return make_at(AT_FDCWD, path, mode) < 0 ? err_errno(e, "mkdir %s", path) : 0;
}

int dir_open_make(int dirfd, const char *path, struct err *e)
{
	if (make_at(dirfd, path, 0700) < 0)
		return err_errno(e, "mkdir %s", path);
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_errno(e, "%s", path) : fd;
}

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)

int memfd_sealed(const char *name, struct slice s, struct err *e)
{
	CLEANUP(fd_closep) int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || fd_write_all(fd, s) < 0 || lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return err_errno(e, "memfd %s of %zu bytes", name, s.len);
	return fd_take(&fd);
}

int memfd_is_sealed(int fd, size_t max)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	return seals >= 0 && (seals & SEALS) == SEALS && fstat(fd, &st) == 0 && (uint64_t)st.st_size <= max;
}
