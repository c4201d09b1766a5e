/* journal/file.h - journals on disk: <folder>/<job>.<attempt>. One writer at a time: the job's process while it
 * lives, then the runner (or the front, at recovery), which settles it. Any thread, one file per caller. */
#pragma once
#include "base/err.h"
#include "model/job.h"

/* O_CREAT|O_EXCL|O_NOFOLLOW|O_APPEND, mode 0600, read and write. Owned descriptor or -1. */
int journal_create(int dirfd, int64_t job, int attempt, struct err *e) MUST_USE;
int journal_open(int dirfd, int64_t job, int attempt, struct err *e) MUST_USE;         /* for reading */
int journal_open_append(int dirfd, int64_t job, int attempt, struct err *e) MUST_USE;  /* read and write */
int journal_unlink(int dirfd, int64_t job, int attempt);
/* "7.1" (a folder entry's name, as inotify tells it) to its parts; -1 for any other name. */
int journal_name_parse(struct slice name, int64_t *job, int *attempt) MUST_USE;

/* The length up to the last blank line of FD, looking back at most JOURNAL_EVENT_MAX from its end; -1 on I/O error. */
int64_t journal_settled_length(int fd, struct err *e) MUST_USE;
/* The last MOST bytes, or fewer, of the first LENGTH of FD, into OUT (emptied first). -1: I/O error, or the file is shorter. */
int journal_read_tail(int fd, int64_t length, int64_t most, struct buf *out, struct err *e) MUST_USE;
/* Cut a torn tail, append how the attempt ended (an `attempt` event with `ended`), fsync. Sets r->log_bytes.
 * MS is the attempt's age. Call only when no process of the attempt is left. */
int journal_finish(int fd, struct job_result *r, int64_t ms, struct err *e) MUST_USE;
