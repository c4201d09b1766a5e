/* runner/attempt.c - the life of one attempt. What is true of its end is worked out in one place, conclude(), from four
 * facts: what the job said, who stopped it, how its process ended, and whether it kept to the frames. */
#include "runner/attempt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "journal/file.h"
#include "runner/step.h"
#include "wire/role.h"

typedef enum run_phase phase_fn(struct attempt *a);

static void set_due(struct attempt *a, int64_t in_ms)
{
	a->due_ms = mono_ms() + in_ms;
}

/* ---- how it ended ---- */

static void set_reason(struct job_result *r, const char *text)
{
	snprintf(r->reason, sizeof r->reason, "%s", text);
}

static void conclude_stopped(const struct attempt *a, struct job_result *r)
{
	CLEANUP(freep) char *why = xprintf("%s%s", a->stop_reason, !a->was_killed || a->has_said ? "" :
		"; it did not stop by itself and was killed, so no `defer` ran to its end");

	r->state = a->stop_state;
	set_reason(r, why);
}

static void conclude_dead(const struct attempt *a, struct job_result *r)
{
	char how[64];

	role_status_text(a->status, how);
	r->state = JOB_ERRORED;
	r->exit_code = WIFSIGNALED(a->status) ? 128 + WTERMSIG(a->status) : WEXITSTATUS(a->status);
	snprintf(r->reason, sizeof r->reason, WIFSIGNALED(a->status) ? "the job's process died by %s"
								     : "the job's process ended with %s and said no result", how);
}

/* A job that was through before it heard of the stop is what it says it is. */
static void conclude(struct attempt *a, struct job_result *r)
{
	*r = (struct job_result){ .job = a->job, .attempt = a->attempt };
	if (a->has_said)
		*r = a->said;
	if (a->is_illegal) {
		r->state = JOB_ERRORED;
		set_reason(r, "the job's process sent what it may not send, and was killed");
	} else if (a->stop_state && !(a->has_said && job_state_is_ok(a->said.state))) {
		conclude_stopped(a, r);
	} else if (!a->has_said) {
		conclude_dead(a, r);
	}
	if (a->has_leftovers) {
		CLEANUP(freep) char *why = xprintf("%.180s%sprocesses that it started cannot be ended", r->reason,
						   r->reason[0] ? "; " : "");
		set_reason(r, why);
	}
}

static void settle_journal(struct attempt *a, struct job_result *r)
{
	struct err e, unheard;

	if (journal_finish(a->journal_fd, r, mono_ms() - a->started_ms, &e) == 0)
		return;
	log_error("a journal could not be settled", "job=%" PRId64 " attempt=%d reason=\"%s\"", a->job, a->attempt, e.msg);
	r->state = JOB_ERRORED;
	snprintf(r->reason, sizeof r->reason, "its log could not be completed: %.200s", e.msg);
	int64_t length = journal_settled_length(a->journal_fd, &unheard);
	r->log_bytes = length < 0 ? 0 : length;
}

/* ---- phases ---- */

static void kill_now(struct attempt *a)
{
	if (a->pid > 0)
		kill(a->pid, SIGKILL);
}

static enum run_phase stay(struct attempt *a)
{
	return a->phase;
}

static enum run_phase end_soon(struct attempt *a)
{
	set_due(a, ENDING_MS);
	return RUN_ENDING;
}

/* It has said its result and does not go: the result stands. */
static enum run_phase kill_idler(struct attempt *a)
{
	kill_now(a);
	set_due(a, KILL_AGAIN_MS);
	return RUN_KILLING;
}

static enum run_phase kill_it(struct attempt *a)
{
	a->was_killed = 1;
	return kill_idler(a);
}

static enum run_phase ask_to_stop(struct attempt *a)
{
	struct frame f = FRAME(FRAME_CANCEL, a->job, a->attempt, a->stop_state);

	f.text = slice_of(a->stop_reason);
	if (frame_send(a->control_fd, &f) != FRAME_OK)
		return kill_it(a);
	set_due(a, DEFER_MS);
	return RUN_STOPPING;
}

static enum run_phase time_out(struct attempt *a)
{
	a->stop_state = JOB_TIMED_OUT;
	snprintf(a->stop_reason, sizeof a->stop_reason, "timed out: it ran longer than %.1f s", (double)a->timeout_ms / 1000);
	return ask_to_stop(a);
}

static enum run_phase reaped(struct attempt *a)
{
	set_due(a, CLEAR_MS);
	return RUN_REAPED;
}

static enum run_phase settle(struct attempt *a)
{
	conclude(a, &a->result);
	settle_journal(a, &a->result);
	a->due_ms = -1;
	a->owes = (a->owes & OWES_RUNNING) | OWES_RESULT;
	fd_closep(&a->journal_fd);
	fd_closep(&a->control_fd);
	log_info("attempt ended", "job=%" PRId64 " attempt=%d state=%s exit=%d ms=%" PRId64 " reason=\"%s\"", a->job, a->attempt,
		 job_state_name(a->result.state), a->result.exit_code, mono_ms() - a->started_ms, a->result.reason);
	return RUN_SETTLED;
}

static enum run_phase settle_with_leftovers(struct attempt *a)
{
	a->has_leftovers = 1;
	log_error("processes of an attempt cannot be ended", "job=%" PRId64 " attempt=%d waited_s=%d", a->job, a->attempt,
		  CLEAR_MS / 1000);
	return settle(a);
}

static phase_fn *const table[RUN_SETTLED + 1][RUN_CLEAR + 1] = {
	/*                 SAID      STOP         DUE                    EXITED   CLEAR */
	[RUN_RUNNING]  = { end_soon, ask_to_stop, time_out,              reaped,  stay },
	[RUN_ENDING]   = { stay,     stay,        kill_idler,            reaped,  stay },
	[RUN_STOPPING] = { end_soon, stay,        kill_it,               reaped,  stay },
	[RUN_KILLING]  = { stay,     stay,        kill_idler,            reaped,  stay },
	[RUN_REAPED]   = { stay,     stay,        settle_with_leftovers, stay,    settle },
	[RUN_SETTLED]  = { stay,     stay,        stay,                  stay,    stay },
};

void attempt_happens(struct attempt *a, enum run_event what)
{
	a->phase = table[a->phase][what](a);
}

/* ---- events ---- */

void attempt_stop(struct attempt *a, enum job_state state, struct slice why)
{
	if (a->phase != RUN_RUNNING)
		return;
	a->stop_state = state;
	snprintf(a->stop_reason, sizeof a->stop_reason, SLICE_FMT, SLICE_ARG(slice_upto(why, sizeof a->stop_reason - 1)));
	attempt_happens(a, RUN_STOP);
}

/* What a job may claim of itself; the rest is for others to say. */
static int may_claim(int64_t state)
{
	switch (state) {
	case JOB_SUCCEEDED: case JOB_FAILED: case JOB_ERRORED: case JOB_TIMED_OUT: case JOB_CANCELLED: case JOB_SKIPPED:
	case JOB_REFUSED:
		return 1;
	}
	return 0;
}

static int take_result(struct attempt *a, const struct frame *f)
{
	if (a->has_said || !may_claim(f->n[2]) || f->n[3] < 0 || f->n[3] > 255)
		return -1;
	a->said = (struct job_result){ .job = a->job, .attempt = a->attempt, .state = (enum job_state)f->n[2],
				       .exit_code = (int)f->n[3] };
	memcpy(a->said.reason, f->text.ptr, slice_upto(f->text, sizeof a->said.reason - 1).len);
	a->has_said = 1;
	attempt_happens(a, RUN_SAID);
	return 0;
}

static int take_frame(struct attempt *a, struct frame *f, void (*on_ephemeral)(const struct frame *f, void *arg), void *arg)
{
	if (f->n[0] != a->job || f->n[1] != a->attempt)
		return -1;
	if (f->type == FRAME_RESULT)
		return take_result(a, f);
	if (f->type == FRAME_EPHEMERAL) {
		on_ephemeral(f, arg);
	} else if (f->type == FRAME_STARTED) {
		snprintf(a->confinement, sizeof a->confinement, SLICE_FMT,
			 SLICE_ARG(slice_upto(f->text, sizeof a->confinement - 1)));
		a->owes |= a->phase == RUN_SETTLED ? 0 : OWES_STARTED;
	}
	return 0;
}

static void on_illegal(struct attempt *a)
{
	log_error("a job's process broke the rules of its frames", "job=%" PRId64 " attempt=%d", a->job, a->attempt);
	a->is_illegal = 1;
	fd_closep(&a->control_fd);
	if (a->pid > 0)
		a->phase = kill_it(a);
}

void attempt_hear(struct attempt *a, int max, struct buf *scratch, void (*on_ephemeral)(const struct frame *f, void *arg),
		  void *arg)
{
	struct frame f;

	while (a->control_fd >= 0 && max-- > 0) {
		enum frame_outcome out = frame_recv(a->control_fd, PEER_JOB_OF_RUNNER, scratch, &f);
		if (out == FRAME_AGAIN)
			return;
		if (out == FRAME_EOF)
			fd_closep(&a->control_fd);
		else if (out == FRAME_BAD || take_frame(a, &f, on_ephemeral, arg) < 0)
			on_illegal(a);
	}
}

void attempt_exited(struct attempt *a)
{
	pid_t got;

	do
		got = waitpid(a->pid, &a->status, 0);
	while (got < 0 && errno == EINTR);
	assert(got == a->pid);
	a->pid = 0;
	fd_closep(&a->pidfd);
	attempt_happens(a, RUN_EXITED);
}

void attempt_tick(struct attempt *a, int64_t now_ms)
{
	if (a->due_ms >= 0 && now_ms >= a->due_ms)
		attempt_happens(a, RUN_DUE);
}

int attempt_is_live(const struct attempt *a)
{
	return a->pid > 0;
}

int attempt_start(const struct job_inheritance *what, int64_t timeout_ms, int keep_privileges, job_main_fn *job,
		  struct attempt **out, struct err *e)
{
	CLEANUP(fd_closep) int journal_fd = fcntl(what->journal_fd, F_DUPFD_CLOEXEC, 3);
	struct spawned s;

	if (journal_fd < 0)
		return err_errno(e, "journal");
	if (spawn_job(what, keep_privileges, job, &s, e) < 0)
		return -1;
	struct attempt *a = xcalloc(1, sizeof *a);
	*a = (struct attempt){ .job = what->job, .attempt = what->attempt, .pid = s.pid, .pidfd = s.pidfd,
			       .control_fd = s.control_fd, .journal_fd = fd_take(&journal_fd), .timeout_ms = timeout_ms,
			       .started_ms = mono_ms(), .owes = OWES_STARTED };
	set_due(a, timeout_ms);
	snprintf(a->confinement, sizeof a->confinement, "%s", keep_privileges ? "none" : step_confinement());
	*out = a;
	return 0;
}

void attempt_free(struct attempt *a)
{
	if (!a)
		return;
	assert(!attempt_is_live(a));
	fd_closep(&a->pidfd);
	fd_closep(&a->control_fd);
	fd_closep(&a->journal_fd);
	free(a);
}
