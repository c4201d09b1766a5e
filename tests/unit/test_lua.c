/* lua: one attempt, driven as the runner does: a sealed specification, a journal, a socket, a process of its own. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/event.h"
#include "lua/job.h"
#include "model/job.h"
#include "wire/frame.h"

struct trial {
	char folder[64];
	struct buf journal;
	enum job_state state;
	int exit_code;
	char reason[400];
	char confinement[128];
};

static void spec_of(struct buf *out, const char *folder, const char *lua, const char *more)
{
	buf_addf(out, "{\"job\":7,\"attempt\":1,\"delivery\":3,\"reason\":\"\",\"rule\":\"r\",\"file\":\"rules/r.lua\",\"cell\":\"\","
		 "\"url\":\"http://x/jobs/7\",\"modules\":{\"words\":\"return { hello = 'hello from a module' }\"},"
		 "\"event\":{\"event\":\"push\",\"branch\":\"main\",\"sha\":\"0000000000000000000000000000000000000000\"},"
		 "\"headers\":{},\"payload\":{\"a\":{\"b\":[1,null,3]},\"n\":null,\"big\":9007199254740993},"
		 "\"secrets\":{\"key\":\"s3cr3t-value\"},\"timeout_ms\":60000,\"memory_bytes\":0,\"log_bytes\":0,\"roots\":[\"%s/www\"],"
		 "\"file_urls\":true,\"state\":\"%s/state\",\"site\":\"%s\",%s\"source_text\":", folder, folder, folder, more);
	buf_add_json(out, slice_of(lua));
	buf_addc(out, '}');
}

/* Run LUA as the rule file; CANCEL_AFTER_MS >= 0 sends a cancel then. MORE: members of the spec, with a comma behind. */
static void attempt_with(struct trial *t, const char *lua, const char *more, int cancel_after_ms)
{
	CLEANUP(buf_fini) struct buf spec = BUF(1 << 20), scratch = BUF(FRAME_MAX_TEXT + 128);
	struct err e;
	int fds[2], status;
	struct frame f;

	*t = (struct trial){ .folder = "/tmp/pushrod-lua-XXXXXX", .journal = BUF(64 << 20) };
	cr_assert_not_null(mkdtemp(t->folder));
	CLEANUP(freep) char *state = xprintf("%s/state", t->folder), *journal = xprintf("%s/journal", t->folder);
	cr_assert_eq(dir_make(state, 0700, &e), 0);
	spec_of(&spec, t->folder, lua, more);
	int spec_fd = memfd_sealed("spec", buf_slice(&spec), &e);
	int journal_fd = open(journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	cr_assert_eq(frame_pair(fds, &e), 0);
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		close(fds[0]);
		struct job_inheritance in = { 7, 1, spec_fd, journal_fd, fds[1] };
		_exit(lua_job_main(&in));
	}
	close(fds[1]);
	int64_t until = mono_ms() + 60000, cancel_at = cancel_after_ms < 0 ? 0 : mono_ms() + cancel_after_ms;
	for (enum frame_outcome o = FRAME_AGAIN; o != FRAME_EOF && mono_ms() < until;) {
		struct pollfd p = { fds[0], POLLIN, 0 };
		poll(&p, 1, 20);
		if (cancel_at && mono_ms() >= cancel_at) {
			struct frame cancel = FRAME(FRAME_CANCEL, 7, 1);
			cancel.text = SLICE("cancelled by a test");
			frame_send(fds[0], &cancel);
			cancel_at = 0;
		}
		o = frame_recv(fds[0], PEER_JOB_OF_RUNNER, &scratch, &f);
		cr_assert_neq(o, FRAME_BAD);
		if (o == FRAME_OK && f.type == FRAME_RESULT) {
			cr_assert_eq(t->state, 0, "two results");
			t->state = (enum job_state)f.n[2];
			t->exit_code = (int)f.n[3];
			snprintf(t->reason, sizeof t->reason, SLICE_FMT, SLICE_ARG(f.text));
		} else if (o == FRAME_OK && f.type == FRAME_STARTED) {
			snprintf(t->confinement, sizeof t->confinement, SLICE_FMT, SLICE_ARG(f.text));
		}
	}
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	lseek(journal_fd, 0, SEEK_SET);
	cr_assert_eq(fd_read_all(journal_fd, &t->journal, &e), 0);
	close(journal_fd);
	close(spec_fd);
	close(fds[0]);
}

static void attempt(struct trial *t, const char *lua)
{
	attempt_with(t, lua, "\"plan\":{},", -1);
}

static void finish(struct trial *t)
{
	CLEANUP(freep) char *command = xprintf("%s", t->folder);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	buf_fini(&t->journal);
}

static int has(const struct trial *t, const char *text)
{
	return slice_find(buf_slice(&t->journal), slice_of(text)) >= 0;
}

#define RULE(body) "rule \"r\" { run = function(job)\n" body "\nend }"

Test(lua, a_step_runs_in_the_workspace_and_its_output_is_in_the_journal)
{
	struct trial t;
	attempt(&t, RULE("job:step('one', function() local r = job:sh('pwd; echo $CI_COMMIT_BRANCH; echo oops >&2', { capture = true })\n"
			 "job:log('captured ' .. #r.out > '' and r.code) end)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s\n%s", t.reason, buf_cstr(&t.journal));
	cr_assert(has(&t, "workspaces/7.1\",\"main\"") && has(&t, "\"oops\"") && has(&t, "\"e\":1"), "%s", buf_cstr(&t.journal));
	cr_assert(has(&t, "\"name\":\"one\",\"state\":\"running\"") && has(&t, "\"state\":\"succeeded\""));
	cr_assert(slice_starts(buf_slice(&t.journal), SLICE("id: 7.1.")) && has(&t, "event: attempt\ndata: {\"t\":0"));
	cr_assert(t.confinement[0]);
	finish(&t);
}

Test(lua, data_of_the_event_keeps_its_types_and_modules_are_found)
{
	struct trial t;
	attempt(&t, RULE("assert(job.payload.a.b[1] == 1 and job.payload.a.b[2] == null and job.payload.n == nil)\n"
			 "assert(math.type(job.payload.big) == 'integer' and job.payload.big == 9007199254740993)\n"
			 "assert(job.event.branch == 'main' and job.id == 7 and job.attempt == 1 and job.url == 'http://x/jobs/7')\n"
			 "assert(require('words').hello == 'hello from a module')\n"
			 "assert(json.encode(json.decode('{\"a\":[1,null,2.5,\"x\"]}')) == '{\"a\":[1,null,2.5,\"x\"]}')\n"
			 "job:log('100%d') print('printed', 1)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s", t.reason);
	cr_assert(has(&t, "100%d") && has(&t, "printed\\t1"));
	finish(&t);
}

Test(lua, no_pcall_stops_an_ending)
{
	static const char *const ways[] = {
		RULE("pcall(function() job:skip('enough') end) job:log('unreached')"),
		RULE("xpcall(function() job:skip('enough') end, tostring) job:log('unreached')"),
		RULE("coroutine.wrap(function() pcall(job.skip, job, 'enough') end)() job:log('unreached')"),
		RULE("local c = coroutine.create(function() job:skip('enough') end) coroutine.resume(c) job:log('unreached')"),
		RULE("job:step('x', function() job:skip('enough') end) job:log('unreached')"),
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct trial t;
		attempt(&t, ways[i]);
		cr_assert_eq(t.state, JOB_SKIPPED, "%zu: %s", i, t.reason);
		cr_assert_str_eq(t.reason, "enough");
		cr_assert_not(has(&t, "unreached"), "%zu", i);
		finish(&t);
	}
}

Test(lua, a_failed_command_fails_the_job_with_its_code_and_place)
{
	struct trial t;
	attempt(&t, RULE("job:defer(function() job:log('deferred') end)\njob:exec { 'sh', '-c', 'exit 4' }"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_eq(t.exit_code, 4);
	cr_assert_not_null(strstr(t.reason, "rules/r.lua:3: exit 4"), "%s", t.reason);
	cr_assert(has(&t, "deferred"));
	finish(&t);
	attempt(&t, RULE("local r = job:sh('exit 5', { allow_failure = true }) assert(r.code == 5)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s", t.reason);
	cr_assert(has(&t, "\"state\":\"allowed\""));
	finish(&t);
	attempt(&t, RULE("job:exec { 'no-such-program' }"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_not_null(strstr(t.reason, "no-such-program"), "%s", t.reason);
	finish(&t);
	attempt(&t, RULE("job:sh('true', { tiemout = '5s' })"));
	cr_assert_not_null(strstr(t.reason, "unknown option 'tiemout'"), "%s", t.reason);
	finish(&t);
}

Test(lua, a_time_out_ends_a_step_and_a_cancel_ends_even_an_endless_loop)
{
	struct trial t;
	int64_t began = mono_ms();
	attempt(&t, RULE("job:sh('sleep 60', { timeout = '200ms' })"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert(has(&t, "\"state\":\"timed_out\"") && mono_ms() - began < 20000);
	finish(&t);
	attempt_with(&t, RULE("while true do pcall(function() while true do end end) end"), "\"plan\":{},", 200);
	cr_assert_eq(t.state, JOB_CANCELLED, "%s", t.reason);
	cr_assert_str_eq(t.reason, "cancelled by a test");
	finish(&t);
	attempt_with(&t, RULE("job:defer(function() job:sh('echo cleaning') end) job:sh('sleep 60')"), "\"plan\":{},", 300);
	cr_assert_eq(t.state, JOB_CANCELLED);
	cr_assert(has(&t, "\"cleaning\""), "%s", buf_cstr(&t.journal));
	finish(&t);
}

Test(lua, what_is_hostile_ends_in_a_clear_error)
{
	static const char *const cases[][2] = {
		{ RULE("return ('x'):rep(1e9)"), "memory" },
		{ RULE("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"), "memory" },
		{ RULE("local function f() return f() + 1 end f()"), "" },
		{ RULE("return load('\\27Lua')()"), "attempt to call a nil value" },
		{ RULE("return io.open('/etc/passwd')"), "undefined name 'io'" },
		{ RULE("return os.execute('id')"), "os.execute" },
		{ RULE("return string.dump(print)"), "" },
		{ RULE("x = 1"), "without local" },
		{ RULE("getmetatable('').__index = nil"), "" },
		{ RULE("job:secret('other')"), "secrets = { \"other\" }" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial t;
		attempt(&t, cases[i][0]);
		cr_assert_eq(t.state, JOB_FAILED, "%zu: state %d, %s", i, t.state, t.reason);
		const char *want = strcmp(cases[i][1], "os.execute") ? cases[i][1] : "execute";
		cr_assert_not_null(strstr(t.reason, want), "%zu: %s", i, t.reason);
		finish(&t);
	}
}

Test(I11, a_secret_is_in_no_byte_of_the_journal_nor_in_the_reason)
{
	struct trial t;
	attempt(&t, RULE("local k = job:secret('key')\njob:log(k) job:warn(k) job:sh('echo $K; printf %s $K | base64', { env = { K = k } })\n"
			 "job:step(k, function() end) error('bad ' .. k)"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_null(strstr(t.reason, "s3cr3t-value"), "%s", t.reason);
	cr_assert_not(has(&t, "s3cr3t-value"));
	cr_assert_not(has(&t, "czNjcjN0LXZhbH"));
	finish(&t);
}

Test(lua, declared_steps_run_in_order_and_the_rest_is_skipped_after_a_failure)
{
	struct trial t;
	attempt_with(&t, "rule \"r\" { steps = {} }", "\"plan\":{\"env\":{\"A\":\"1\"},\"steps\":["
		     "{\"name\":\"one\",\"sh\":\"echo A=$A B=$B\",\"env\":{\"B\":\"2\"}},{\"name\":\"may\",\"exec\":[\"false\"],\"allow_failure\":true},"
		     "{\"name\":\"bad\",\"sh\":\"exit 9\"},{\"name\":\"never\",\"sh\":\"echo never\"}]},", -1);
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_eq(t.exit_code, 9);
	cr_assert(has(&t, "A=1 B=2") && has(&t, "\"state\":\"allowed\"") && has(&t, "\"name\":\"never\",\"state\":\"skipped\""));
	finish(&t);
}

static void sh(const char *folder, const char *script)
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

Test(git, checkout_takes_exactly_the_commit_and_publish_switches_and_rolls_back)
{
	char repo[] = "/tmp/pushrod-repo-XXXXXX";
	struct trial t;
	cr_assert_not_null(mkdtemp(repo));
	sh(repo, "export GIT_CONFIG_GLOBAL=/dev/null; git init -qb main . && git config user.name a && git config user.email a@b && echo one >f"
		 " && git add . && git commit -qm one && echo two >f && git commit -qam two && git tag v1 && echo three >f && git commit -qam three");
	CLEANUP(freep) char *lua = xprintf(RULE(
		"local tree = job:checkout { url = 'file://%s', ref = 'v1' }\nassert(tree == job.tree)\n"
		"local r = job:sh('cat f; git log --oneline | wc -l; git status --porcelain | wc -l', { capture = true })\n"
		"assert(r.out == 'two\\n2\\n0\\n', r.out)\n"
		"job:checkout { url = 'file://%s', ref = 'main', into = 'other' }\n"
		"local dest = job.workspace:match('^(.*)/state/') .. '/www/site'\n"
		"local one = job:publish(job.tree, dest)\n"
		"assert(not pcall(function() one:rollback() end))\n"
		"assert(not pcall(function() job:publish(job.tree, '/tmp/elsewhere') end))\n"
		"local ok, why = pcall(function() job:checkout { url = 'file://%s', ref = 'nobody', into = 'third' } end)\n"
		"assert(not ok and why:find('nobody'), why)"), repo, repo, repo);
	attempt(&t, lua);
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s\n%s", t.reason, buf_cstr(&t.journal));
	CLEANUP(freep) char *page = xprintf("%s/www/site/f", t.folder);
	CLEANUP(buf_fini) struct buf text = BUF(64);
	int fd = open(page, O_RDONLY);
	struct err e;
	cr_assert(fd >= 0);
	cr_assert_eq(fd_read_all(fd, &text, &e), 0);
	close(fd);
	cr_assert(slice_eq(buf_slice(&text), SLICE("two\n")));
	CLEANUP(freep) char *git_dir = xprintf("%s/www/site/.git", t.folder);
	cr_assert_neq(access(git_dir, F_OK), 0, "the repository itself is not published");
	finish(&t);
	CLEANUP(freep) char *clean = xprintf("rm -rf %s", repo);
	sh("/", clean);
}
