/* dispatch/recover.h - an attempt that no process runs any more: what became of it, read from its journal. The journal
 * is enough: the job process writes its first event before any action (I5), and the runner writes, and syncs, how the
 * attempt ended before it says so to anyone. Blocking file I/O; the desk's thread, or at start. */
#pragma once
#include "base/err.h"
#include "model/job.h"

enum recovered {
	RECOVERED_AGAIN,        /* not one event: nothing ran; it may be tried again as the next attempt */
	RECOVERED_ENDED,        /* the runner settled it: the result is that of the journal's last event */
	RECOVERED_LOST,         /* it was in the middle; settled here, with WHY in its last event */
};

#define RECOVER_AGAIN_MAX 5     /* attempts that never began, one after the other: then it is lost, whatever ails us */

/* Settles the journal in the folder JOURNALS where that is still to be done (and makes an empty one where there is none:
 * every attempt has one), and fills *R: job, attempt, state, exit code, reason, log_bytes. A journal that is there but
 * cannot be read or settled counts as lost; *E (kind 0 otherwise) says what was wrong with a journal. */
enum recovered recover_attempt(int journals_dirfd, int64_t job, int attempt, const char *why, struct job_result *r,
			       struct err *e);
