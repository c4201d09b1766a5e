/* lua/job.c - one attempt from its specification to its result.
 *
 * Order matters: secrets are registered with the mask before a byte can be logged, and the `attempt` event is in the journal
 * before anything acts, for an empty journal tells a later recovery that nothing ran. */
#include "lua/job.h"

#include <fcntl.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "lua/api.h"
#include "lua/changed.h"
#include "lua/filter.h"
#include "lua/git.h"
#include "lua/remove.h"
#include "lua/state.h"
#include "lua/workspace.h"
#include "runner/sandbox.h"
#include "runner/spec.h"
#include "runner/step.h"
#include "wire/frame.h"

#define SEND_MS 10000

void lua_warm(void)
{
	git_warm();
	json_decref(json_loads("{\"warm\":[1,2.5,\"x\"]}", 0, NULL));
	struct attempt a = { 0 };
	lua_close(state_new(&a));
}

/* The bytes stay mapped for as long as the process lives: the payload is read from them when it is asked for. */
static int read_spec(struct attempt *a, struct err *e)
{
	struct stat st;

	if (!memfd_is_sealed(a->in.spec_fd, SPEC_MAX_BYTES) || fstat(a->in.spec_fd, &st) < 0 || st.st_size == 0)
		return err_set(e, ERR_BUG, "the specification is no sealed memfd of at most %d bytes", SPEC_MAX_BYTES);
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, a->in.spec_fd, 0);
	if (bytes == MAP_FAILED)
		return err_errno(e, "the specification");
	close(a->in.spec_fd);
	return attempt_read_spec(a, (struct slice){ bytes, (size_t)st.st_size }, e);
}

static void add_secrets(struct attempt *a)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(a->spec, "secrets"), name, value) {
		struct slice text = { json_string_value(value), json_string_length(value) };
		if (mask_add(journal_writer_mask(a->w), text) == 0)
			continue;
		struct err e;
		CLEANUP(freep) char *note = xprintf("secret '%s' is too short to be masked: it has less than %d bytes", name, MASK_MIN_BYTES);
		if (journal_note(a->w, 0, "warn", slice_of(note), &e) < 0)
			return;
	}
}

static void on_ephemeral(const char *kind, struct slice data, void *arg)
{
	const struct attempt *a = arg;
	CLEANUP(buf_fini) struct buf text = BUF(FRAME_MAX_TEXT);

	buf_adds(&text, kind);
	buf_addc(&text, ' ');
	buf_add(&text, data);
	if (buf_is_over(&text))
		return;
	struct frame f = FRAME(FRAME_EPHEMERAL, a->in.job, a->in.attempt);
	f.text = buf_slice(&text);
	frame_send(a->in.control_fd, &f);               /* a full socket drops it: the next one is as good */
}

static int write_beginning(struct attempt *a, struct err *e)
{
	CLEANUP(buf_fini) struct buf data = BUF(8192);
	char at[32];
	const char *reason = attempt_text(a, "reason");

	wall_format(wall_ms(), at);
	buf_addf(&data, "{\"t\":0,\"attempt\":%d,\"job\":%lld,\"rule\":", a->in.attempt, (long long)a->in.job);
	buf_add_json(&data, slice_of(attempt_text(a, "rule")));
	buf_addf(&data, ",\"at\":\"%s\"", at);
	if (*reason) {
		buf_adds(&data, ",\"because\":");
		buf_add_json(&data, slice_of(reason));
	}
	buf_addc(&data, '}');
	return journal_write(a->w, "attempt", buf_slice(&data), e);
}

static void tell_started(const struct attempt *a)
{
	struct frame f = FRAME(FRAME_STARTED, a->in.job, a->in.attempt, getpid());
	f.text = slice_of(step_confinement());
	frame_send_wait(a->in.control_fd, &f, SEND_MS);
}

/* Protected, for the job's data may be more than a job's Lua may hold. Takes the rule's table; true where it has a `run`. */
static int call_run(lua_State *lua)
{
	lua_getfield(lua, 1, "run");
	if (!lua_isfunction(lua, -1)) {
		lua_pushboolean(lua, 0);
		return 1;
	}
	api_push_job(lua, attempt_of(lua));
	lua_call(lua, 1, 0);
	lua_pushboolean(lua, 1);
	return 1;
}

/* What a stranger may have written runs only where it can be confined. */
static int is_refused(struct attempt *a, struct err *e)
{
	if (!json_is_true(json_object_get(a->spec, "limited")) || sandbox_landlock_abi() > 0)
		return 0;
	attempt_end(a, ENDING_REFUSE, "forks = \"limited\" wants confined steps, and this kernel has no Landlock");
	err_set(e, ERR_INPUT, "%s", a->reason);
	return 1;
}

int job_act(struct attempt *a, lua_State *lua, struct err *e)
{
	if (state_load_rule(lua, e) < 0)
		return -1;
	if (changed_decide(a, e) < 0 || changed_fill_env(a, e) < 0 || filter_ask(lua, e) < 0) {
		api_skip_plan(a);
		return -1;
	}
	if (json_is_true(json_object_get(json_object_get(a->spec, "plan"), "checkout")) && api_checkout(a, NULL, NULL, NULL, 0, e) < 0) {
		a->failure = (struct failure){ .e = *e, .exit_code = 1 };
		api_skip_plan(a);
		return -1;
	}
	lua_pushcfunction(lua, call_run);
	lua_insert(lua, -2);
	if (state_call(lua, 1, 1, e) < 0)
		return -1;
	int has_run = lua_toboolean(lua, -1);
	lua_pop(lua, 1);
	return has_run ? 0 : api_run_plan(a, e);
}

void job_result_set(struct attempt *a, int r, const struct err *e, struct job_result *out)
{
	static const enum job_state ends[] = { [ENDING_FAIL] = JOB_FAILED, [ENDING_SKIP] = JOB_SKIPPED, [ENDING_CANCEL] = JOB_CANCELLED,
					       [ENDING_REFUSE] = JOB_REFUSED };
	CLEANUP(buf_fini) struct buf masked = BUF(4096);
	const char *reason = "";

	out->state = JOB_SUCCEEDED;
	if (a->ending != ENDING_NONE) {
		out->state = ends[a->ending];
		reason = a->reason;
	} else if (r < 0) {
		out->state = e->kind == ERR_IO || e->kind == ERR_BUG ? JOB_ERRORED : JOB_FAILED;
		reason = e->msg;
	}
	if (out->state == JOB_FAILED && a->ending == ENDING_NONE && !strcmp(e->msg, a->failure.e.msg))
		out->exit_code = a->failure.exit_code & 0xff;
	mask_text(journal_writer_mask(a->w), slice_of(reason), &masked);
	for (size_t i = 0; i < masked.len; i++)
		if ((unsigned char)masked.ptr[i] < 0x20)
			masked.ptr[i] = ' ';
	snprintf(out->reason, sizeof out->reason, "%s", buf_cstr(&masked));
}

/* An error of the rule's Lua shows where it came from; that a command failed shows its own output. */
static void note_traceback(struct attempt *a, const struct err *e)
{
	struct slice trace = buf_slice(&a->traceback);
	struct err unheard;             /* a broken journal comes out at the flush */

	if (a->ending == ENDING_NONE && strcmp(e->msg, a->failure.e.msg) && slice_starts(trace, slice_upto(slice_of(e->msg), 200)) &&
	    journal_note(a->w, 0, "error", trace, &unheard) < 0)
		return;
}

static int run(struct attempt *a, struct err *e)
{
	if (write_beginning(a, e) < 0)
		return -1;
	tell_started(a);
	if (is_refused(a, e) || workspace_make(a, e) < 0)
		return -1;
	lua_State *lua = state_new(a);
	int r = job_act(a, lua, e);
	if (r < 0)
		note_traceback(a, e);
	api_run_defers(lua, a);
	lua_close(lua);
	return r;
}

static int tell_result(const struct attempt *a, const struct job_result *r)
{
	struct frame f = FRAME(FRAME_RESULT, r->job, r->attempt, r->state, r->exit_code, 0);

	f.text = slice_of(r->reason);
	return frame_send_wait(a->in.control_fd, &f, SEND_MS) == FRAME_OK ? 0 : 1;
}

int lua_job_main(const struct job_inheritance *in)
{
	struct attempt a = { .in = *in, .traceback = BUF(16 << 10) };
	struct job_result result = { .job = in->job, .attempt = in->attempt };
	struct err e = { 0 };

	int r = read_spec(&a, &e);
	a.w = journal_writer_new(&(struct journal_options){ .fd = in->journal_fd, .job = in->job, .attempt = in->attempt,
		.cap_bytes = a.spec ? attempt_number(&a, "log_bytes") : 0, .on_ephemeral = on_ephemeral, .arg = &a });
	if (r == 0) {
		add_secrets(&a);
		r = run(&a, &e);
	}
	struct err unkept;
	if (a.w && api_write_outcome(&a, &unkept) < 0 && r == 0) {
		r = -1;
		e = unkept;
	}
	job_result_set(&a, r, &e, &result);
	struct err flush;
	if (journal_writer_flush(a.w, &flush) < 0 && result.state != JOB_CANCELLED) {
		result.state = JOB_ERRORED;
		result.exit_code = 0;
		snprintf(result.reason, sizeof result.reason, "%.250s", flush.msg);
	}
	if (a.workspace && result.state != JOB_FAILED)
		remove_folder(a.workspace);             /* that of a failed job is there to be looked at */
	r = tell_result(&a, &result);
	if (a.workspace)
		workspace_sweep(&a);
	journal_writer_free(a.w);
	json_decref(a.spec);
	json_decref(a.payload);
	free(a.workspace);
	free(a.tree);
	buf_fini(&a.traceback);
	buf_fini(&a.capture);
	buf_fini(&a.encoded);
	json_decref(a.outputs);
	json_decref(a.emits);
	return r;
}
