/* wire/evaluate.h - have a directory evaluated by a process of its own: `pushrod @eval DIR`, which writes the bundle of
 * rules/ruleset.h into a pipe and exits. Bounds: EVALUATE_MAX_BYTES, EVALUATE_TIMEOUT_MS, then it is killed.
 *
 *     if (evaluate_start(dir, NULL, &ev, e) < 0) …
 *     poll ev.fd for reading, at most until ev.deadline_mono_ms; on either:
 *         if (evaluate_read(&ev) == EVALUATE_DONE) { evaluate_finish(&ev, &bundle, &e); … }
 *
 * One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "wire/role.h"

#define EVALUATE_TIMEOUT_MS 10000
#define EVALUATE_MAX_BYTES (32 << 20)

struct evaluation {
	int fd;                         /* poll for reading; owned by it; -1: none is under way */
	int64_t deadline_mono_ms;
	int is_late, is_over;           /* why it was killed */
	struct role role;
	struct buf out;
};
#define EVALUATION_NONE ((struct evaluation){ .fd = -1, .role = { 0, -1 } })

/* EXE: NULL for this program itself. */
int evaluate_start(const char *dir, const char *exe, struct evaluation *ev, struct err *e) MUST_USE;
/* Reads what is there without waiting; past the deadline or the bound, kills. */
enum evaluate_outcome { EVALUATE_AGAIN, EVALUATE_DONE };
enum evaluate_outcome evaluate_read(struct evaluation *ev);
/* Reaps it, which waits no longer than a process takes that has closed its end. 0: the bundle is appended to BUNDLE. -1: *e
 * says why there is none: ERR_INPUT what it said itself, ERR_LIMIT, ERR_UNAVAIL where it died. EV is EVALUATION_NONE after. */
int evaluate_finish(struct evaluation *ev, struct buf *bundle, struct err *e) MUST_USE;
void evaluate_cancel(struct evaluation *ev);                    /* kill and forget; none is fine */

/* A job's specification (runner/spec.h) rehearsed by `pushrod @dry`, which says what the job would do (lua/effect.h). The same
 * bounds; waits. SPEC is borrowed. */
int evaluate_dry(struct slice spec, struct buf *answer, struct err *e) MUST_USE;
/* All of it, waiting. TIMEOUT_MS counts where it is shorter than EVALUATE_TIMEOUT_MS. */
int evaluate_now(const char *dir, int timeout_ms, struct buf *bundle, struct err *e) MUST_USE;
