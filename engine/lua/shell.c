/* lua/shell.c - run one program as a confined step.
 *
 * One poll loop over both pipes, the process and the runner. A step is over when its process has been reaped and both pipes
 * are at their end; a grandchild that holds a pipe open after that has a moment, then it is killed, and the log says so.
 * Reading stops while the journal cannot be written, so a flood is slowed by the disk and costs no memory. To be stopped is
 * TERM, a while later KILL for all that descends from it. */
#include "lua/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "lua/effect.h"
#include "runner/step.h"
#include "wire/children.h"

#define READ_BYTES (256 << 10)
#define TERM_GRACE_MS 5000              /* from TERM to KILL */
#define LINGER_MS 500                   /* for pipes that outlive the step's process; and, once more, for their end */
#define ENV_MAX 256
#define COUNT_EVERY_MS 100              /* no limit of the kernel's counts the processes of one job without a cgroup */

struct run {
	struct attempt *a;
	const struct shell_options *o;
	struct shell_result *result;
	struct step step;
	struct journal_stream *out, *err;
	int64_t began_ms;
	int64_t deadline_ms;                    /* mono; 0: none. To stop it */
	int64_t kill_ms;                        /* mono; 0: it has not been told to stop, or has been killed */
	int64_t linger_ms;                      /* mono; 0: not reaped yet. For pipes that are open still */
	int64_t count_ms;                       /* mono; when the processes are counted next */
	int is_reaped, is_stopped, is_swept, is_over;
	char *bytes;
};

static void add_pair(const char **env, int *n, const char *key, const char *value)
{
	if (*n < ENV_MAX && *value)
		env[(*n)++] = xprintf("%s=%s", key, value);
}

static const char *event_text(const struct attempt *a, const char *key)
{
	const char *s = json_string_value(json_object_get(json_object_get(a->spec, "event"), key));
	return s ? s : "";
}

/* The names people know from other systems. All owned. */
static int make_env(struct attempt *a, const char *const *more, const char **env)
{
	static const char *const fields[][2] = { { "CI_COMMIT_SHA", "sha" }, { "CI_COMMIT_BRANCH", "branch" }, { "CI_COMMIT_TAG", "tag" },
		{ "CI_COMMIT_REF", "ref" }, { "CI_COMMIT_BEFORE", "before" }, { "CI_REPO", "repo" }, { "CI_EVENT", "event" },
		{ "CI_SENDER", "sender" }, { "CI_PULL_REQUEST_BASE", "base" }, { "CI_PULL_REQUEST_HEAD", "head" } };
	CLEANUP(freep) char *home = xprintf("%s/home", a->workspace), *tmp = xprintf("%s/tmp", a->workspace);
	CLEANUP(freep) char *job = xprintf("%lld", (long long)a->in.job), *attempt = xprintf("%d", a->in.attempt);
	const char *key;
	json_t *value;
	int n = 0;

	add_pair(env, &n, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	add_pair(env, &n, "HOME", home);
	add_pair(env, &n, "TMPDIR", tmp);
	add_pair(env, &n, "LANG", "C.UTF-8");
	add_pair(env, &n, "CI", "true");
	add_pair(env, &n, "FORCE_COLOR", "1");
	add_pair(env, &n, "CLICOLOR_FORCE", "1");
	add_pair(env, &n, "CI_JOB_ID", job);
	add_pair(env, &n, "CI_JOB_ATTEMPT", attempt);
	add_pair(env, &n, "CI_JOB_URL", attempt_text(a, "url"));
	add_pair(env, &n, "CI_RULE", attempt_text(a, "rule"));
	add_pair(env, &n, "CI_WORKSPACE", a->workspace);
	for (size_t i = 0; i < COUNT(fields); i++)
		add_pair(env, &n, fields[i][0], event_text(a, fields[i][1]));
	json_object_foreach(json_object_get(json_object_get(a->spec, "plan"), "env"), key, value)
		if (n < ENV_MAX)
			env[n++] = xprintf("%s=%s", key, json_string_value(value) ? json_string_value(value) : "");
	for (; more && *more && n < ENV_MAX; more++)
		env[n++] = xstrdup(*more);
	return n;
}

/* A name given twice: the later one counts. */
static void drop_doubles(const char **env, int n)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		size_t len = strcspn(env[i], "=");
		int later = 0;
		for (int k = i + 1; k < n && !later; k++)
			later = !strncmp(env[i], env[k], len + 1);
		if (later)
			free((char *)(uintptr_t)env[i]);
		else
			env[kept++] = env[i];
	}
	env[kept] = NULL;
}

static int start(struct run *r, struct err *e)
{
	struct attempt *a = r->a;
	const char *env[ENV_MAX + 1];
	CLEANUP(freep) char *mirrors = xprintf("%s/mirrors", attempt_text(a, "state"));
	const char *cwd = r->o->cwd, *base = a->tree ? a->tree : a->workspace;
	CLEANUP(freep) char *below = cwd && cwd[0] != '/' ? xprintf("%s/%s", base, cwd) : NULL;
	const char *readable[] = { mirrors, NULL };
	CLEANUP(fd_closep) int in = r->o->stdin_text.len ? memfd_sealed("stdin", r->o->stdin_text, e) : -1;

	if (r->o->stdin_text.len && in < 0)
		return -1;
	drop_doubles(env, make_env(a, r->o->env, env));
	struct step_options o = {
		.argv = r->o->argv, .env = env, .cwd = below ? below : cwd ? cwd : base,
		.workspace = a->workspace, .readable = readable, .state = attempt_text(a, "state"), .stdin_fd = in,
		.memory_bytes = attempt_number(a, "memory_bytes"), .file_bytes = attempt_number(a, "file_bytes"),
		.cpu_seconds = attempt_number(a, "cpu_seconds"), .job = a->in.job, .attempt = a->in.attempt,
	};
	int result = step_start(&o, &r->step, e);
	for (int i = 0; env[i]; i++)
		free((char *)(uintptr_t)env[i]);
	return result;
}

/* What there is on FD, once. At the end of the pipe FD is closed and set to -1. */
static int drain(struct run *r, int *fd, struct journal_stream *s, struct err *e)
{
	ssize_t n = read(*fd, r->bytes, READ_BYTES);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		close(*fd);
		*fd = -1;
		return 0;
	}
	struct slice bytes = { r->bytes, (size_t)n };
	if (r->o->capture && s == r->out)
		buf_add(r->o->capture, slice_upto(bytes, r->o->capture->max - r->o->capture->len));
	return journal_stream_feed(s, bytes, e);
}

static void stop(struct run *r, int64_t now)
{
	if (r->is_stopped || r->is_reaped)
		return;
	r->is_stopped = 1;
	r->kill_ms = now + TERM_GRACE_MS;
	step_signal(&r->step, SIGTERM);
}

/* The step and all that descends from it. Its own exit status stays to be reaped. */
static void kill_all(struct run *r)
{
	pid_t own = r->step.pid;

	step_signal(&r->step, SIGKILL);
	step_kill_stragglers(&own, own > 0);
}

/* Behind a reaped step: what it left running ends, and the log says so. */
static int sweep(struct run *r, struct err *e)
{
	pid_t left[64];

	r->is_swept = 1;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;                                       /* what is over already counts for nothing */
	int n = children_list(left, COUNT(left));
	if (n <= 0)
		return 0;
	kill_all(r);
	if (r->is_stopped)
		return 0;                               /* that its processes are killed goes without saying */
	CLEANUP(freep) char *text = xprintf("the step left %d process%s running: %s killed", n, n == 1 ? "" : "es",
					    n == 1 ? "it was" : "they were");
	return journal_note(r->a->w, r->a->step, "warn", slice_of(text), e);
}

/* Its process is reaped and a pipe is open still. */
static int linger(struct run *r, int64_t now, struct err *e)
{
	if (!r->linger_ms) {
		r->linger_ms = now + LINGER_MS;
	} else if (now >= r->linger_ms && !r->is_swept) {
		r->linger_ms = now + LINGER_MS;
		return sweep(r, e);
	} else if (now >= r->linger_ms) {
		r->is_over = 1;
		return journal_note(r->a->w, r->a->step, "warn",
				    SLICE("a process that is none of the step's holds its output open: it is read no further"), e);
	}
	return 0;
}

/* More processes than a job may have: all of the step is killed, and the log says why. */
static int count_processes(struct run *r, int64_t now, struct err *e)
{
	int most = (int)attempt_number(r->a, "processes");

	r->count_ms = now + COUNT_EVERY_MS;
	if (most <= 0 || children_count(most + 1) <= most)     /* 0: a specification that bounds none */
		return 0;
	r->is_stopped = 1;
	kill_all(r);
	CLEANUP(freep) char *text = xprintf("over %d processes at one time (config jobs.processes): all of the step were killed", most);
	return journal_note(r->a->w, r->a->step, "error", slice_of(text), e);
}

/* What is due by time; *WAIT gets ms until the next thing is. */
static int look_at_clock(struct run *r, int *wait, struct err *e)
{
	int64_t now = mono_ms(), next = now + 1000;

	if (r->deadline_ms && now >= r->deadline_ms && !r->is_stopped && !r->is_reaped) {
		r->result->is_timed_out = 1;
		stop(r, now);
	}
	if (r->a->ending == ENDING_CANCEL && !r->a->is_deferring && !r->is_reaped) {
		r->result->is_cancelled = !r->result->is_timed_out;
		stop(r, now);
	}
	if (r->kill_ms && now >= r->kill_ms) {
		r->kill_ms = 0;
		kill_all(r);
	}
	if (r->is_reaped && linger(r, now, e) < 0)
		return -1;
	if (!r->is_stopped && now >= r->count_ms && count_processes(r, now, e) < 0)
		return -1;
	int64_t due[] = { r->is_stopped ? 0 : r->deadline_ms, r->kill_ms, r->linger_ms, r->is_stopped ? 0 : r->count_ms };
	for (size_t i = 0; i < COUNT(due); i++)
		if (due[i] && due[i] < next)
			next = due[i];
	int tick = journal_writer_tick(r->a->w, e);
	*wait = next <= now ? 0 : tick >= 0 && tick < next - now ? tick : (int)(next - now);
	return 0;
}

static int turn(struct run *r, struct err *e)
{
	int wait;

	if (look_at_clock(r, &wait, e) < 0)
		return -1;
	struct pollfd p[] = {
		{ r->step.out_fd, POLLIN, 0 }, { r->step.err_fd, POLLIN, 0 },
		{ r->is_reaped ? -1 : r->step.pidfd, POLLIN, 0 }, { r->a->in.control_fd, POLLIN, 0 },
	};
	if (poll(p, COUNT(p), wait) < 0)
		return errno == EINTR ? 0 : err_errno(e, "poll");
	if (p[3].revents)
		attempt_listen(r->a);
	if (p[0].revents && drain(r, &r->step.out_fd, r->out, e) < 0)
		return -1;
	if (p[1].revents && drain(r, &r->step.err_fd, r->err, e) < 0)
		return -1;
	if (p[2].revents) {
		r->result->code = step_reap(&r->step);
		r->is_reaped = 1;
	}
	return 0;
}

static int follow(struct run *r, struct err *e)
{
	while (!r->is_over && (!r->is_reaped || r->step.out_fd >= 0 || r->step.err_fd >= 0))
		if (turn(r, e) < 0)
			return -1;
	return r->is_swept ? 0 : sweep(r, e);
}

int shell_run(struct attempt *a, const struct shell_options *o, struct shell_result *out, struct err *e)
{
	struct run r = { .a = a, .o = o, .result = out, .began_ms = mono_ms() };

	*out = (struct shell_result){ 0 };
	if (effect_is_on(a)) {
		effect_command(a, o, out);
		return 0;
	}
	if (start(&r, e) < 0)
		return -1;
	if (o->timeout_ms)
		r.deadline_ms = r.began_ms + o->timeout_ms;
	if (a->is_deferring && (!r.deadline_ms || a->defer_until_ms < r.deadline_ms))
		r.deadline_ms = a->defer_until_ms;
	r.bytes = xmalloc(READ_BYTES);
	r.out = journal_stream_new(a->w, a->step, 0);
	r.err = journal_stream_new(a->w, a->step, 1);
	int result = follow(&r, e);
	if (result < 0)
		kill_all(&r);
	if (result == 0)
		result = journal_stream_end(r.out, e);
	if (result == 0)
		result = journal_stream_end(r.err, e);
	journal_stream_free(r.out);
	journal_stream_free(r.err);
	free(r.bytes);
	step_close(&r.step);
	out->ms = mono_ms() - r.began_ms;
	return result;
}
