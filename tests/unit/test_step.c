/* step: a shell step is confined, limited, marked, streamed, and leaves nobody behind. Real processes. */
#include <criterion/criterion.h>
#include <errno.h>
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
#include "no_leaks.h"
#include "runner/sandbox.h"
#include "runner/step.h"
#include "wire/children.h"
#include "wire/role.h"

static char base[64], state[96], workspace[128];
static const char *const env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "GREETING=hello", NULL };

static void make_folders(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strncpy(base, "/tmp/pushrod-step-XXXXXX", sizeof base - 1);
	cr_assert(mkdtemp(base));
	snprintf(state, sizeof state, "%s/state", base);
	snprintf(workspace, sizeof workspace, "%s/workspaces/7.1", state);
	struct err e;
	cr_assert_eq(dir_make(workspace, 0700, &e), 0, "%s", e.msg);
}

static void remove_folders(void)
{
	step_kill_stragglers(NULL, 0);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", base, (char *)NULL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static struct step_options options(const char *const *argv)
{
	return (struct step_options){ .argv = argv, .env = env, .cwd = workspace, .workspace = workspace, .state = state,
				      .stdin_fd = -1, .job = 7, .attempt = 1 };
}

struct result {
	int code;
	struct buf out, err;
};

static int drain(int fd, struct buf *to)
{
	char *room = buf_room(to, 65536);
	ssize_t n = read(fd, room, 65536);

	if (n > 0)
		buf_grew(to, (size_t)n);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* Read both outputs until they and the process have ended. */
static struct result finish(struct step *s)
{
	struct result r = { 0, BUF(1 << 24), BUF(1 << 24) };
	struct pollfd p[] = { { s->out_fd, POLLIN, 0 }, { s->err_fd, POLLIN, 0 }, { s->pidfd, POLLIN, 0 } };

	while (p[0].fd >= 0 || p[1].fd >= 0 || p[2].fd >= 0) {
		cr_assert(poll(p, 3, 30000) > 0, "the step hangs");
		if (p[0].revents && !drain(s->out_fd, &r.out))
			p[0].fd = -1;
		if (p[1].revents && !drain(s->err_fd, &r.err))
			p[1].fd = -1;
		if (p[2].revents)
			p[2].fd = -1;
	}
	r.code = step_reap(s);
	step_close(s);
	buf_cstr(&r.out);
	buf_cstr(&r.err);
	return r;
}

static struct result run(const struct step_options *o)
{
	struct step s;
	struct err e;

	cr_assert_eq(step_start(o, &s, &e), 0, "%s", e.msg);
	return finish(&s);
}

static struct result sh(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	struct step_options o = options(argv);
	return run(&o);
}

static void result_fini(struct result *r)
{
	buf_fini(&r->out);
	buf_fini(&r->err);
}

#define EXPECT_SH(script, want_code, want_out) do { \
		struct result r_ = sh(script); \
		cr_expect_eq(r_.code, (want_code), "%s: exit %d, err %s", (script), r_.code, r_.err.ptr); \
		cr_expect_str_eq(r_.out.ptr, (want_out), "%s: %s%s", (script), r_.out.ptr, r_.err.ptr); \
		result_fini(&r_); \
	} while (0)

TestSuite(step, .init = make_folders, .fini = remove_folders);

Test(step, streams_both_outputs_and_tells_the_exit_as_shells_do)
{
	struct result r = sh("echo out; echo err >&2; echo $GREETING; pwd; exit 3");
	char want[256];

	snprintf(want, sizeof want, "out\nhello\n%s\n", workspace);
	cr_assert_eq(r.code, 3);
	cr_assert_str_eq(r.out.ptr, want);
	cr_assert_str_eq(r.err.ptr, "err\n");
	result_fini(&r);
	EXPECT_SH("kill -9 $$", 137, "");
	no_leaks();
}

Test(step, carries_the_marks_that_a_later_start_finds_it_by)
{
	char mark[ROLE_MARK_LEN + 1], want[128];

	role_mark(state, mark);
	snprintf(want, sizeof want, "7.1 %s\n", mark);
	EXPECT_SH("echo $PUSHROD_JOB $PUSHROD_MARK", 0, want);
}

Test(step, a_program_that_is_not_there_is_said_in_words)
{
	struct step s;
	struct err e;
	const char *const missing[] = { "mkdocs-of-nobody", NULL };
	struct step_options o = options(missing);

	cr_assert_eq(step_start(&o, &s, &e), -1);
	cr_assert_str_eq(e.msg, "cannot run 'mkdocs-of-nobody': No such file or directory");
	cr_assert_eq(e.kind, ERR_INPUT);
	const char *const true_program[] = { "true", NULL };
	o = options(true_program);
	o.cwd = "/no/such/folder";
	cr_assert_eq(step_start(&o, &s, &e), -1);
	cr_assert_str_eq(e.msg, "cannot enter the folder '/no/such/folder': No such file or directory");
	no_leaks();
}

Test(step, has_only_the_standard_descriptors_default_signals_and_its_own_session)
{
	int open_fd = open("/etc/passwd", O_RDONLY);

	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	cr_assert(open_fd > 2);
	EXPECT_SH("ls /proc/$$/fd; true", 0, "0\n1\n2\n");
	EXPECT_SH("grep -E 'SigIgn|SigBlk' /proc/self/status | tr -d '\\t'", 0, "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
	EXPECT_SH("test \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ && echo leader", 0, "leader\n");
	EXPECT_SH("ulimit -c; cat; grep NoNewPrivs /proc/self/status | tr -d '\\t'", 0, "0\nNoNewPrivs:1\n");
	close(open_fd);
}

Test(step, reads_its_input_from_the_descriptor_given)
{
	const char *const argv[] = { "cat", NULL };
	struct step_options o = options(argv);
	struct err e;
	CLEANUP(fd_closep) int in = memfd_sealed("input", SLICE("fed\n"), &e);

	o.stdin_fd = in;
	struct result r = run(&o);
	cr_assert_str_eq(r.out.ptr, "fed\n");
	result_fini(&r);
}

Test(step, limits_hold_for_files_and_processor_time)
{
	const char *const argv[] = { "sh", "-c", "head -c 100000 /dev/zero > big; stat -c %s big", NULL };
	struct step_options o = options(argv);

	o.file_bytes = 4096;
	struct result r = run(&o);
	cr_assert_str_eq(r.out.ptr, "4096\n");
	result_fini(&r);
	const char *const spin[] = { "sh", "-c", "while :; do :; done", NULL };
	o = options(spin);
	o.cpu_seconds = 1;
	r = run(&o);
	cr_assert(r.code == 128 + SIGXCPU || r.code == 128 + SIGKILL, "exit %d", r.code);
	result_fini(&r);
	const char *const eat[] = { "sh", "-c", "head -c 200000000 /dev/zero | tail -c 200000000 | wc -c", NULL };
	o = options(eat);
	o.memory_bytes = 32 << 20;
	r = run(&o);
	cr_assert_str_eq(r.out.ptr, "0\n");
	result_fini(&r);
}

/* ---- confinement ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[256];
	struct err e;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	cr_assert_eq(file_write_durable(AT_FDCWD, path, slice_of(text), 0644, &e), 0, "%s", e.msg);
}

Test(confinement, allows_the_workspace_and_denies_the_state_folder, .init = make_folders, .fini = remove_folders)
{
	if (!sandbox_landlock_abi())
		cr_skip("no Landlock in this kernel");
	write_file(state, "control.key", "key");
	write_file(base, "beside", "not yours");
	EXPECT_SH("mkdir d && echo in > d/f && mv d/f g && ln -s g h && cat h", 0, "in\n");
	EXPECT_SH("cat ../../control.key 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("ls ../.. 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("cat ../../../beside 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("echo x 2>/dev/null > ../other || echo denied", 0, "denied\n");
	EXPECT_SH("{ echo x > /tmp/pushrod-step-out; } 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("{ true > ../../control.key; } 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("head -c 1 /etc/passwd >/dev/null && echo x > /dev/null && head -c 1 /dev/urandom | wc -c", 0, "1\n");
}

Test(confinement, named_folders_can_be_read_or_written, .init = make_folders, .fini = remove_folders)
{
	if (!sandbox_landlock_abi())
		cr_skip("no Landlock in this kernel");
	char mirrors[160], data[160];
	struct err e;
	snprintf(mirrors, sizeof mirrors, "%s/mirrors", state);
	snprintf(data, sizeof data, "%s/data", base);
	cr_assert_eq(dir_make(mirrors, 0700, &e), 0);
	cr_assert_eq(dir_make(data, 0700, &e), 0);
	write_file(mirrors, "HEAD", "ref");
	const char *const argv[] = { "sh", "-c",
		"cat ../../mirrors/HEAD; { echo x > ../../mirrors/HEAD; } 2>/dev/null || echo read-only; echo y > ../../../data/f && cat ../../../data/f",
		NULL };
	struct step_options o = options(argv);
	o.readable = (const char *const[]){ mirrors, NULL };
	o.writable = (const char *const[]){ data, NULL };
	struct result r = run(&o);
	cr_assert_str_eq(r.out.ptr, "refread-only\ny\n", "%s%s", r.out.ptr, r.err.ptr);
	result_fini(&r);
}

Test(confinement, a_folder_that_holds_the_state_is_granted_without_it, .init = make_folders, .fini = remove_folders)
{
	if (!sandbox_landlock_abi())
		cr_skip("no Landlock in this kernel");
	char data[160];
	struct err e;
	snprintf(data, sizeof data, "%s/data", base);
	cr_assert_eq(dir_make(data, 0700, &e), 0);
	write_file(data, "f", "data\n");
	write_file(state, "control.key", "key");
	const char *const argv[] = { "sh", "-c", "cat ../../../data/f; cat ../../control.key 2>/dev/null || echo denied; echo w > mine && cat mine", NULL };
	struct step_options o = options(argv);
	o.writable = (const char *const[]){ base, NULL };
	struct result r = run(&o);
	cr_assert_str_eq(r.out.ptr, "data\ndenied\nw\n", "%s%s", r.out.ptr, r.err.ptr);
	result_fini(&r);
}

Test(confinement, dangerous_system_calls_are_refused, .init = make_folders, .fini = remove_folders)
{
	if (!sandbox_has_seccomp())
		cr_skip("no seccomp in this kernel");
	EXPECT_SH("unshare -U true 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("unshare -m true 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("mount -t tmpfs none . 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("dmesg >/dev/null 2>&1 || echo denied", 0, "denied\n");
	EXPECT_SH("prlimit --pid $PPID --nofile=10:10 2>/dev/null || echo denied", 0, "denied\n");
	EXPECT_SH("prlimit --pid $$ --nofile >/dev/null && (ulimit -n 100; ulimit -n) && echo $(ls -d . | cat)", 0, "100\n.\n");
	EXPECT_SH("grep -c '^Seccomp:.2' /proc/self/status", 0, "1\n");
}

Test(confinement, a_step_cannot_signal_the_process_that_started_it, .init = make_folders, .fini = remove_folders)
{
	if (sandbox_landlock_abi() < 6)
		cr_skip("this kernel's Landlock does not confine signals");
	EXPECT_SH("kill -0 $PPID 2>/dev/null || echo denied; sleep 60 & kill $! && echo own", 0, "denied\nown\n");
}

Test(confinement, privileges_are_kept_where_the_rule_says_so, .init = make_folders, .fini = remove_folders)
{
	const char *const argv[] = { "sh", "-c", "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'", NULL };
	struct step_options o = options(argv);
	o.keep_privileges = 1;
	struct result r = run(&o);
	cr_assert_str_eq(r.out.ptr, "NoNewPrivs:0\nSeccomp:0\n");
	result_fini(&r);
}

/* ---- stragglers ---- */

/* A grandchild with a session of its own, its parents gone; it answers with its pid once it is on its own. */
#define DAEMON(what) "setsid sh -c '(setsid sh -c \"echo \\$\\$ > pid.tmp; mv pid.tmp pid; " what "\" </dev/null >/dev/null 2>&1 &)'; " \
	"while ! test -s pid; do sleep 0.01; done; cat pid"

static pid_t daemon_of(const char *script)
{
	struct result r = sh(script);
	pid_t pid = (pid_t)strtol(r.out.ptr, NULL, 10);

	cr_assert_eq(r.code, 0, "%s", r.err.ptr);
	cr_assert(pid > 0 && kill(pid, 0) == 0, "no daemon: '%s' %s", r.out.ptr, r.err.ptr);
	result_fini(&r);
	return pid;
}

Test(step, a_daemonised_grandchild_does_not_outlive_it)
{
	pid_t pid = daemon_of(DAEMON("exec sleep 600"));

	cr_assert_eq(step_kill_stragglers(NULL, 0), 0);
	cr_assert(kill(pid, 0) < 0 && errno == ESRCH);
	cr_assert_eq(children_list(&pid, 1), 0);
	no_leaks();
}

Test(step, stragglers_that_keep_forking_are_all_ended)
{
	pid_t pid = daemon_of(DAEMON("while :; do sleep 600 & (sleep 600 & sleep 600) & sleep 0.002; done")), left;

	cr_assert_eq(step_kill_stragglers(NULL, 0), 0);
	cr_assert(kill(pid, 0) < 0 && errno == ESRCH);
	cr_assert_eq(children_list(&left, 1), 0);
}

Test(step, other_steps_are_left_alone)
{
	const char *const argv[] = { "sh", "-c", "sleep 0.3 & wait; echo survived", NULL };
	struct step_options o = options(argv);
	struct step live;
	struct err e;

	cr_assert_eq(step_start(&o, &live, &e), 0, "%s", e.msg);
	daemon_of(DAEMON("exec sleep 600"));
	cr_assert_eq(step_kill_stragglers(&live.pid, 1), 0);
	struct result r = finish(&live);
	cr_assert_str_eq(r.out.ptr, "survived\n");
	cr_assert_eq(r.code, 0);
	result_fini(&r);
}

Test(step, term_reaches_the_whole_group_and_kill_ends_who_ignores_it)
{
	const char *const argv[] = { "sh", "-c",
		"sh -c 'trap \"echo child; exit\" TERM; echo ready; while :; do sleep 0.05; done' & trap '' TERM; while :; do sleep 0.05; done", NULL };
	struct step_options o = options(argv);
	struct step s;
	struct err e;
	char line[16] = "";

	cr_assert_eq(step_start(&o, &s, &e), 0, "%s", e.msg);
	struct pollfd p = { s.out_fd, POLLIN, 0 };
	cr_assert_eq(poll(&p, 1, 10000), 1);
	cr_assert(read(s.out_fd, line, sizeof line - 1) > 0);
	step_signal(&s, SIGTERM);
	cr_assert_eq(poll(&p, 1, 10000), 1);
	memset(line, 0, sizeof line);
	cr_assert(read(s.out_fd, line, sizeof line - 1) > 0);
	cr_assert_str_eq(line, "child\n");
	step_signal(&s, SIGKILL);
	struct result r = finish(&s);
	cr_assert_eq(r.code, 137);
	result_fini(&r);
}

Test(sweep, finds_marked_leftovers_and_only_those, .init = make_folders, .fini = remove_folders)
{
	char mark[ROLE_MARK_LEN + 1];
	pid_t pid = daemon_of(DAEMON("exec sleep 600"));

	role_mark(state, mark);
	cr_assert_eq(children_sweep("0123456789abcdef0123456789abcdef", "/no/state", 1000), 0);
	cr_assert_eq(kill(pid, 0), 0);
	cr_assert_eq(children_sweep(mark, state, 5000), 1);
	cr_assert_eq(children_kill(NULL, 0, 1000), 0);
	cr_assert(kill(pid, 0) < 0 && errno == ESRCH);
	no_leaks();
}

/* ---- roles ---- */

Test(role, inherits_what_is_said_and_nothing_else, .init = make_folders, .fini = remove_folders)
{
	struct err e;
	struct role role;
	int out[2], extra = open("/etc/passwd", O_RDONLY);

	setenv("SECRET_OF_NOBODY", "x", 1);
	setenv("PUSHROD_SECRET_A", "a", 1);
	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	cr_assert_eq(role_spawn(&(struct role_options){
		.exe = "/bin/sh", .fds = &out[1], .n_fds = 1,
		.argv = (const char *const[]){ "sh", "-c", "exec >&3; ls /proc/$$/fd; env | grep -E '^(SEC|PUSH|ADD)' | sort; cut -d' ' -f6 /proc/$$/stat | grep -c $$", NULL },
		.pass = (const char *const[]){ "PATH", "PUSHROD_SECRET_*", NULL },
		.env = (const char *const[]){ "ADDED=1", NULL } }, &role, &e), 0, "%s", e.msg);
	close(out[1]);
	struct buf got = BUF(4096);
	cr_assert_eq(fd_read_all(out[0], &got, &e), 0);
	cr_expect_str_eq(buf_cstr(&got), "0\n1\n2\n3\nADDED=1\nPUSHROD_SECRET_A=a\n1\n");
	cr_assert_eq(role_reap(&role), 0);
	cr_assert_eq(role.pid, 0);
	buf_fini(&got);
	close(out[0]);
	close(extra);
	no_leaks();
}

Test(role, says_why_it_cannot_start)
{
	struct err e;
	struct role role;

	cr_assert_eq(role_spawn(&(struct role_options){ .exe = "/no/such", .argv = (const char *const[]){ "pushrod", "@front", NULL } },
				&role, &e), -1);
	cr_assert_str_eq(e.msg, "start /no/such @front: No such file or directory");
}
