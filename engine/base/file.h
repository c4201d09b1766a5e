/* base/file.h - descriptors and files: closed on exec at birth, read and written whole, made durable. Any thread. */
#pragma once
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

void fd_closep(int *fd);                        /* for CLEANUP(fd_closep) int fd = -1; sets it to -1 */
int fd_take(int *fd);                           /* moves the descriptor out of the scope */
int fd_nonblock(int fd);
int fd_write_all(int fd, struct slice s) MUST_USE;          /* blocking descriptor; -1 with errno */

/* Append the whole of FD (from its position) or of the file at PATH below DIRFD (AT_FDCWD is fine; no symlink
 * as the last part) to OUT. More than OUT's maximum is ERR_LIMIT. */
int fd_read_all(int fd, struct buf *out, struct err *e) MUST_USE;
int file_read(int dirfd, const char *path, struct buf *out, struct err *e) MUST_USE;
/* Write S to a temporary beside PATH, fsync, rename over it, fsync the folder: whole or not at all. */
int file_write_durable(int dirfd, const char *path, struct slice s, mode_t mode, struct err *e) MUST_USE;
/* Make the folder PATH and its parents (mode 0700) unless there; open it O_PATH-less O_DIRECTORY. Returns an
 * owned descriptor, or -1. */
int dir_open_make(int dirfd, const char *path, struct err *e) MUST_USE;
int dir_make(const char *path, mode_t mode, struct err *e) MUST_USE;     /* with parents */

/* A sealed memfd (no write, grow, shrink) holding S, positioned at 0: how large payloads cross processes. Owned. */
int memfd_sealed(const char *name, struct slice s, struct err *e) MUST_USE;
/* True where FD is a memfd sealed against change, of at most MAX bytes: only then may it be mapped and trusted to stay. */
int memfd_is_sealed(int fd, size_t max);
