/* tests/unit/trial.h - one attempt, driven as the runner does: a sealed specification, a journal, a socket, a process of its
 * own; or within the test, where leaks are seen. */
#pragma once
#include "no_leaks.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/event.h"
#include "lua/job.h"
#include "model/job.h"
#include "wire/frame.h"

#define TRIAL __attribute__((unused)) static

struct trial {
	/* set before a run; trial_begin says 1, NULL, -1, 60000 */
	int job;
	const char *payload;            /* the document as received; NULL: a small one */
	const char *more;               /* members of the spec, with a comma behind; NULL: an empty plan */
	int cancel_after_ms;            /* -1: no cancel */
	int deadline_ms;                /* then it is killed, as the runner does */
	/* what came of it */
	char folder[64];                /* state/ www/ and journal lie in it */
	struct buf journal;
	enum job_state state;           /* 0: it said no result */
	int exit_code;
	char reason[400];
	char confinement[128];
	int n_progress;
};

TRIAL void trial_begin(struct trial *t)
{
	struct err e;

	*t = (struct trial){ .job = 7, .cancel_after_ms = -1, .deadline_ms = 60000, .folder = "/tmp/pushrod-lua-XXXXXX",
			     .journal = BUF(64 << 20) };
	cr_assert_not_null(mkdtemp(t->folder));
	CLEANUP(freep) char *state = xprintf("%s/state", t->folder);
	cr_assert_eq(dir_make(state, 0700, &e), 0);
}

TRIAL void trial_sh(const char *folder, const char *script)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (chdir(folder) < 0)
			_exit(1);
		execl("/bin/sh", "sh", "-ec", script, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", script);
}

TRIAL void trial_end(struct trial *t)
{
	CLEANUP(freep) char *remove = xprintf("chmod -R u+rwx %s; rm -rf %s", t->folder, t->folder);
	trial_sh("/", remove);
	buf_fini(&t->journal);
}

TRIAL void trial_spec(const struct trial *t, const char *lua, struct buf *out)
{
	const char *payload = t->payload ? t->payload : "{\"a\":{\"b\":[1,null,3],\"x.y\":[{\"z\":5}]},\"n\":null,\"big\":9007199254740993}";
	buf_addf(out, "%zu\n%s{\"job\":%d,\"attempt\":1,\"delivery\":3,\"reason\":\"\",\"rule\":\"r\",\"file\":\"rules/r.lua\",\"cell\":\"\","
		 "\"url\":\"http://x/jobs/7\",\"modules\":{\"words\":\"return { hello = 'hello from a module' }\",\"me\":\"require 'me'\"},"
		 "\"headers\":{\"x-event\":\"push\"},\"secrets\":{\"key\":\"s3cr3t-value\"},\"timeout_ms\":60000,\"roots\":[\"%s/www\"],"
		 "\"state\":\"%s/state\",\"site\":\"%s\",", strlen(payload), payload, t->job, t->folder, t->folder, t->folder);
	buf_adds(out, t->more ? t->more : "\"plan\":{},");
	if (!t->more || !strstr(t->more, "\"event\""))
		buf_adds(out, "\"event\":{\"event\":\"push\",\"branch\":\"main\",\"sha\":\"0000000000000000000000000000000000000000\"},");
	if (!t->more || !strstr(t->more, "\"workspace_kept_ms\""))
		buf_adds(out, "\"workspace_kept_ms\":172800000,");
	if (!t->more || !strstr(t->more, "\"file_urls\""))
		buf_adds(out, "\"file_urls\":true,");
	buf_adds(out, "\"source_text\":");
	buf_add_json(out, slice_of(lua));
	buf_addc(out, '}');
	cr_assert_not(buf_is_over(out));
}

TRIAL _Noreturn void trial_child(int job, int spec_fd, int journal_fd, int control_fd)
{
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	lua_warm();
	struct job_inheritance in = { job, 1, spec_fd, journal_fd, control_fd };
	_exit(lua_job_main(&in));
}

TRIAL void trial_hear(struct trial *t, const struct frame *f)
{
	if (f->type == FRAME_RESULT) {
		cr_assert_eq(t->state, 0, "two results");
		cr_assert(f->n[3] >= 0 && f->n[3] <= 255, "the exit code %lld", (long long)f->n[3]);
		t->state = (enum job_state)f->n[2];
		t->exit_code = (int)f->n[3];
		snprintf(t->reason, sizeof t->reason, SLICE_FMT, SLICE_ARG(f->text));
	} else if (f->type == FRAME_STARTED) {
		snprintf(t->confinement, sizeof t->confinement, SLICE_FMT, SLICE_ARG(f->text));
	} else if (f->type == FRAME_EPHEMERAL && slice_starts(f->text, SLICE("progress "))) {
		t->n_progress++;
	}
}

TRIAL void trial_talk(struct trial *t, int fd)
{
	CLEANUP(buf_fini) struct buf scratch = BUF(FRAME_MAX_TEXT + 128);
	int64_t until = mono_ms() + t->deadline_ms, cancel_at = t->cancel_after_ms < 0 ? 0 : mono_ms() + t->cancel_after_ms;
	enum frame_outcome o = FRAME_AGAIN;
	struct frame f;

	while (o != FRAME_EOF && mono_ms() < until) {
		struct pollfd p = { fd, POLLIN, 0 };
		poll(&p, 1, 20);
		if (cancel_at && mono_ms() >= cancel_at) {
			struct frame cancel = FRAME(FRAME_CANCEL, t->job, 1);
			cancel.text = SLICE("cancelled by a test");
			frame_send(fd, &cancel);
			cancel_at = 0;
		}
		o = frame_recv(fd, PEER_JOB_OF_RUNNER, &scratch, &f);
		cr_assert_neq(o, FRAME_BAD);
		if (o == FRAME_OK)
			trial_hear(t, &f);
	}
}

/* What is in the journal is well-formed to its last byte. */
TRIAL void trial_check_journal(const struct trial *t)
{
	struct slice rest = buf_slice(&t->journal);
	struct journal_event event;

	while (rest.len) {
		ptrdiff_t n = journal_decode(rest, &event);
		cr_assert_gt(n, 0, "at byte %zu of %zu", t->journal.len - rest.len, t->journal.len);
		rest = slice_from(rest, (size_t)n);
	}
}

/* The specification, the journal and both ends of the socket, for a run in the folder of those before. */
struct trial_fds { int spec, journal, ours, theirs; };

TRIAL struct trial_fds trial_open(struct trial *t, const char *lua)
{
	CLEANUP(buf_fini) struct buf spec = BUF(64 << 20);
	CLEANUP(freep) char *journal = xprintf("%s/journal.%d", t->folder, t->job);
	struct err e;
	int fds[2];

	t->state = 0;
	t->exit_code = 0;
	t->reason[0] = t->confinement[0] = '\0';
	t->n_progress = 0;
	buf_clear(&t->journal);
	trial_spec(t, lua, &spec);
	cr_assert_eq(frame_pair(fds, &e), 0);
	return (struct trial_fds){ memfd_sealed("spec", buf_slice(&spec), &e),
				   open(journal, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600), fds[0], fds[1] };
}

TRIAL void trial_close(struct trial *t, const struct trial_fds *fds)
{
	struct stat st;
	struct err e;

	lseek(fds->journal, 0, SEEK_SET);
	cr_assert(fstat(fds->journal, &st) == 0 && (!S_ISREG(st.st_mode) || fd_read_all(fds->journal, &t->journal, &e) == 0));
	if (t->state)
		trial_check_journal(t);
	close(fds->journal);
	close(fds->ours);
}

/* Run LUA as the rule file. */
TRIAL void trial_run(struct trial *t, const char *lua)
{
	struct trial_fds fds = trial_open(t, lua);
	int status;

	pid_t pid = fork();
	if (pid == 0) {
		close(fds.ours);
		trial_child(t->job, fds.spec, fds.journal, fds.theirs);
	}
	close(fds.spec);
	close(fds.theirs);
	trial_talk(t, fds.ours);
	if (!t->state)
		kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(!t->state || (WIFEXITED(status) && WEXITSTATUS(status) == 0), "status %x", status);
	trial_close(t, &fds);
}

/* The same within this process, which it closes the socket of. */
TRIAL void trial_run_here(struct trial *t, const char *lua)
{
	struct trial_fds fds = trial_open(t, lua);
	struct job_inheritance in = { t->job, 1, fds.spec, fds.journal, fds.theirs };

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	lua_warm();
	cr_assert_eq(lua_job_main(&in), 0);
	close(fds.theirs);
	trial_talk(t, fds.ours);
	trial_close(t, &fds);
}

/* A trial of one run. */
TRIAL void attempt(struct trial *t, const char *lua)
{
	trial_begin(t);
	trial_run(t, lua);
}

TRIAL int has(const struct trial *t, const char *text)
{
	return slice_find(buf_slice(&t->journal), slice_of(text)) >= 0;
}

/* How often TEXT is in the journal. */
TRIAL int count(const struct trial *t, const char *text)
{
	struct slice rest = buf_slice(&t->journal), needle = slice_of(text);
	int n = 0;

	for (ptrdiff_t at; (at = slice_find(rest, needle)) >= 0; n++)
		rest = slice_from(rest, (size_t)at + needle.len);
	return n;
}

/* True where PATH, below the trial's folder, is there (a link counts). */
TRIAL int is_there(const struct trial *t, const char *path)
{
	CLEANUP(freep) char *whole = xprintf("%s/%s", t->folder, path);
	return faccessat(AT_FDCWD, whole, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

#define RULE(body) "rule \"r\" { run = function(job)\n" body "\nend }"
#define assert_state(t, want) cr_assert_eq((t)->state, want, "%s: %s\n%s", job_state_name((t)->state ? (t)->state : JOB_LOST), \
					   (t)->reason, buf_cstr(&(t)->journal))
#define assert_reason(t, text) cr_assert_not_null(strstr((t)->reason, text), "%s", (t)->reason)
