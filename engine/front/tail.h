/* front/tail.h - the growing end of an attempt's journal, as watchers may see it: whole events only, and once the
 * attempt has ended nothing behind the length stored with it. One thread. */
#pragma once
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"

struct job_watcher;
LIST_HEAD(job_watcher_list, job_watcher);

struct tail {
	int64_t job;
	int attempt;
	int fd;                         /* -1: not opened yet, or not there yet */
	int64_t settled;                /* what may be shown: always the end of an event */
	int64_t limit;                  /* the stored length, -1 while the attempt runs */
	int is_dirty;                   /* it has grown, or may have; on the list below */
	int64_t again_us;               /* not before that its watchers get another piece */
	struct job_watcher_list live;   /* those that have all of it */
	int n_live;
	TAILQ_ENTRY(tail) dirty;
};

struct tail *tail_new(int64_t job, int attempt);
void tail_free(struct tail *t);         /* NULL is fine; no watcher may be on it */
/* Open the journal below DIRFD and find what may be shown. 0 also where there is no such file (yet); -1 on any other
 * error (ERR_LIMIT: no descriptor is left). */
int tail_open(struct tail *t, int dirfd, struct err *e) MUST_USE;
/* The attempt has ended with LOG_BYTES (-1 where that is not known). */
void tail_end(struct tail *t, int64_t log_bytes);
int tail_is_whole(const struct tail *t);        /* it has ended, and all of it is settled */
/* The next events, whole, at most SCRATCH's worth; t->settled is behind them then. SLICE_NULL: nothing new. Borrowed from
 * SCRATCH, which grows to an event's maximum where it must. */
struct slice tail_next(struct tail *t, struct buf *scratch);
/* Bytes FROM… that are settled, at most N; appended to OUT. 0, or -1 where they cannot be read. */
int tail_read(const struct tail *t, int64_t from, size_t n, struct buf *out) MUST_USE;
int tail_is_boundary(const struct tail *t, int64_t offset);     /* an event begins or could begin there */
