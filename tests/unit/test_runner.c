/* runner: the real loop over real sockets, with real job processes; the test is its supervisor and its front. What a job
 * does is named by its specification. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/event.h"
#include "journal/file.h"
#include "no_leaks.h"
#include "runner/runner.h"
#include "wire/children.h"
#include "wire/frame.h"
#include "wire/role.h"

#define WAIT_MS 20000

static char folder[64];
static int journals = -1, supervisor_fd = -1, front_fd = -1;
static pid_t runner;
static struct buf scratch;

/* ---- jobs ---- */

static void say(const struct job_inheritance *in, enum frame_type type, int64_t n2, int64_t n3, const char *text)
{
	struct frame f = FRAME(type, in->job, in->attempt, n2, n3);

	f.text = slice_of(text);
	if (frame_send(in->control_fd, &f) != FRAME_OK)
		_exit(99);
}

static void append(const struct job_inheritance *in, const char *json)
{
	struct buf b = BUF(4096);
	int64_t at = lseek(in->journal_fd, 0, SEEK_END);

	journal_encode(&b, in->job, in->attempt, at, "log", slice_of(json));
	if (fd_write_all(in->journal_fd, buf_slice(&b)) < 0)
		_exit(98);
	buf_fini(&b);
}

static void wait_for_cancel(const struct job_inheritance *in, char *why, size_t size)
{
	struct buf got = BUF(FRAME_MAX_TEXT + 128);
	struct frame f;
	struct pollfd p = { in->control_fd, POLLIN, 0 };

	poll(&p, 1, -1);
	if (frame_recv(in->control_fd, PEER_RUNNER_OF_JOB, &got, &f) != FRAME_OK || f.type != FRAME_CANCEL)
		_exit(97);
	snprintf(why, size, SLICE_FMT, SLICE_ARG(f.text));
}

/* A grandchild with a session of its own, whose parent is gone: its pid goes out as ephemeral text. Returns once it has
 * said it. */
static void daemonise(const struct job_inheritance *in)
{
	char text[32], byte;
	int told[2];

	if (pipe(told) < 0)
		_exit(94);
	if (fork() == 0) {
		setsid();
		if (fork() == 0) {
			setsid();
			snprintf(text, sizeof text, "partial %d", (int)getpid());
			say(in, FRAME_EPHEMERAL, 0, 0, text);
			close(told[1]);
			for (;;)
				pause();
		}
		_exit(0);
	}
	close(told[1]);
	wait(NULL);
	if (read(told[0], &byte, 1) != 0)
		_exit(93);
	close(told[0]);
}

static const char *check_inheritance(const struct job_inheritance *in)
{
	struct rlimit core;
	struct dirent *entry;
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");

	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.' && (int)strtol(entry->d_name, NULL, 10) != dirfd(dir);
	closedir(dir);
	if (n != 6)
		return "not six descriptors";
	if (prctl(PR_GET_DUMPABLE) || !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
		return "dumpable, or may gain privileges";
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max)
		return "may leave a core";
	if (getsid(0) != getpid())
		return "no session of its own";
	if (!(fcntl(in->control_fd, F_GETFD) & FD_CLOEXEC) || !(fcntl(in->journal_fd, F_GETFD) & FD_CLOEXEC))
		return "descriptors survive an exec";
	return "";
}

static int job(const struct job_inheritance *in)
{
	struct buf spec = BUF(4096);
	char why[256];

	if (fd_read_all(in->spec_fd, &spec, NULL) < 0)
		return 96;
	const char *what = buf_cstr(&spec);
	append(in, "{\"t\":0,\"l\":[\"begun\"]}");
	if (strcmp(what, "succeed") == 0) {
		say(in, FRAME_RESULT, JOB_SUCCEEDED, 0, "");
	} else if (strcmp(what, "inheritance") == 0) {
		const char *wrong = check_inheritance(in);
		say(in, FRAME_RESULT, *wrong ? JOB_FAILED : JOB_SUCCEEDED, 0, wrong);
	} else if (strcmp(what, "wait") == 0) {
		say(in, FRAME_EPHEMERAL, 0, 0, "partial waiting");
		wait_for_cancel(in, why, sizeof why);
		say(in, FRAME_RESULT, JOB_FAILED, 143, "the step was ended");
	} else if (strcmp(what, "through") == 0) {
		say(in, FRAME_EPHEMERAL, 0, 0, "partial waiting");
		wait_for_cancel(in, why, sizeof why);
		say(in, FRAME_RESULT, JOB_SUCCEEDED, 0, why);
	} else if (strcmp(what, "deaf") == 0) {
		shutdown(in->control_fd, SHUT_RD);
		say(in, FRAME_EPHEMERAL, 0, 0, "partial waiting");
		for (;;)
			pause();
	} else if (strcmp(what, "daemon") == 0) {
		daemonise(in);
		for (;;)
			pause();
	} else if (strcmp(what, "daemon and succeed") == 0) {
		daemonise(in);
		say(in, FRAME_RESULT, JOB_SUCCEEDED, 0, "");
	} else if (strcmp(what, "twice") == 0) {
		say(in, FRAME_RESULT, JOB_SUCCEEDED, 0, "");
		say(in, FRAME_RESULT, JOB_SUCCEEDED, 0, "");
		for (;;)
			pause();
	} else if (strcmp(what, "another's") == 0) {
		struct frame f = FRAME(FRAME_RESULT, in->job + 1, in->attempt, JOB_SUCCEEDED);
		frame_send(in->control_fd, &f);
		for (;;)
			pause();
	} else if (strcmp(what, "torn") == 0) {
		if (fd_write_all(in->journal_fd, SLICE("id: 1.1.9999\nevent: log\ndata: {\"l\":[\"to")) < 0)
			return 95;
		abort();
	} else if (strcmp(what, "quit") == 0) {
		return 3;
	}
	return 0;
}

/* ---- the test as supervisor and front ---- */

static struct frame hear(int fd, enum frame_peer sender)
{
	struct frame f = FRAME(FRAME_LAST);
	struct pollfd p = { fd, POLLIN, 0 };
	enum frame_outcome out;

	while ((out = frame_recv(fd, sender, &scratch, &f)) == FRAME_AGAIN)
		cr_assert(poll(&p, 1, WAIT_MS) > 0, "nothing was said for %d s", WAIT_MS / 1000);
	cr_assert_eq(out, FRAME_OK, "outcome %d", (int)out);
	return f;
}

static struct frame expect(enum frame_type type)
{
	struct frame f = hear(front_fd, PEER_RUNNER_OF_FRONT);

	cr_assert_eq(f.type, type, "wanted frame %d, got %d of job %lld: " SLICE_FMT, (int)type, (int)f.type, (long long)f.n[0],
		     SLICE_ARG(f.text));
	return f;
}

static void tell(int fd, const struct frame *f)
{
	cr_assert_eq(frame_send(fd, f), FRAME_OK);
}

/* A new front: what stands in the list is LISTED attempts. */
static void connect_front(int listed)
{
	int pair[2];
	struct err e;

	if (front_fd >= 0)
		close(front_fd);
	cr_assert_eq(frame_pair(pair, &e), 0);
	struct frame peer = FRAME(FRAME_PEER);
	peer.fds[0] = pair[0];
	tell(supervisor_fd, &peer);
	close(pair[0]);
	front_fd = pair[1];
	struct frame hello = FRAME(FRAME_HELLO, FRAME_VERSION);
	tell(front_fd, &hello);
	expect(FRAME_HELLO);
	for (int i = 0; i < listed; i++)
		expect(FRAME_RUNNING);
	expect(FRAME_RUNNING_END);
}

static void begin(void)
{
	int pair[2];
	struct err e;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	scratch = BUF(FRAME_MAX_TEXT + 128);
	strncpy(folder, "/tmp/pushrod-runner-XXXXXX", sizeof folder - 1);
	cr_assert(mkdtemp(folder));
	journals = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(frame_pair(pair, &e), 0);
	runner = fork();
	if (runner == 0) {
		char *argv[] = { "pushrod", "@runner", folder, NULL };
		dup2(pair[1], ROLE_FD);
		close_range(ROLE_FD + 1, ~0u, 0);
		_exit(runner_main(3, argv, NULL, job));
	}
	supervisor_fd = pair[0];
	close(pair[1]);
	struct frame hello = FRAME(FRAME_HELLO, FRAME_VERSION);
	tell(supervisor_fd, &hello);
	cr_assert_eq(hear(supervisor_fd, PEER_RUNNER_OF_SUPERVISOR).type, FRAME_HELLO);
	cr_assert_eq(hear(supervisor_fd, PEER_RUNNER_OF_SUPERVISOR).type, FRAME_READY);
	connect_front(0);
}

static void finish(void)
{
	if (runner > 0)
		kill(runner, SIGKILL);
	children_kill(NULL, 0, 5000);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", folder, (char *)NULL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static void start(int64_t number, const char *what, int64_t timeout_ms)
{
	struct err e;
	struct frame f = FRAME(FRAME_START, number, 1, timeout_ms);

	f.fds[0] = memfd_sealed("spec", slice_of(what), &e);
	f.fds[1] = journal_create(journals, number, 1, &e);
	cr_assert(f.fds[0] >= 0 && f.fds[1] >= 0, "%s", e.msg);
	tell(front_fd, &f);
	frame_close_fds(&f);
}

static void acknowledge(int64_t number)
{
	struct frame f = FRAME(FRAME_ACK, number, 1);
	tell(front_fd, &f);
}

static void expect_result(int64_t number, enum job_state state, const char *reason_holds)
{
	struct frame f = expect(FRAME_RESULT);
	struct err e;
	CLEANUP(fd_closep) int fd = journal_open(journals, number, 1, &e);

	cr_assert_eq(f.n[0], number);
	cr_assert_eq(f.n[2], state, "state %s: " SLICE_FMT, job_state_name((enum job_state)f.n[2]), SLICE_ARG(f.text));
	cr_assert(slice_find(f.text, slice_of(reason_holds)) >= 0, SLICE_FMT, SLICE_ARG(f.text));
	struct stat st;
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(st.st_size, f.n[4], "the length reported is the file's");
	cr_assert_eq(journal_settled_length(fd, &e), f.n[4]);
}

static pid_t pid_of_ephemeral(void)
{
	struct frame f = expect(FRAME_EPHEMERAL);
	int64_t pid;

	cr_assert_eq(slice_to_i64(slice_from(f.text, 8), 2, INT32_MAX, &pid), 0);
	return (pid_t)pid;
}

static void cancel(int64_t number, const char *why)
{
	struct frame f = FRAME(FRAME_CANCEL, number, 1);

	f.text = slice_of(why);
	tell(front_fd, &f);
}

TestSuite(runner, .init = begin, .fini = finish, .timeout = 60);

Test(runner, runs_a_job_and_reports_the_settled_length)
{
	start(7, "succeed", 60000);
	struct frame f = expect(FRAME_STARTED);
	cr_assert_eq(f.n[0], 7);
	cr_assert(f.n[2] > 0 && f.text.len > 0);
	expect_result(7, JOB_SUCCEEDED, "");
	acknowledge(7);
}

Test(runner, a_job_has_its_three_descriptors_and_no_way_to_more)
{
	start(1, "inheritance", 60000);
	expect(FRAME_STARTED);
	expect_result(1, JOB_SUCCEEDED, "");
}

Test(runner, a_job_that_is_killed_is_errored_and_its_torn_log_is_cut)
{
	start(1, "wait", 60000);
	pid_t pid = (pid_t)expect(FRAME_STARTED).n[2];
	expect(FRAME_EPHEMERAL);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	expect_result(1, JOB_ERRORED, "died by signal 9");
	start(2, "torn", 60000);
	expect(FRAME_STARTED);
	expect_result(2, JOB_ERRORED, "died by signal 6");
	start(3, "quit", 60000);
	expect(FRAME_STARTED);
	expect_result(3, JOB_ERRORED, "status 3");
}

Test(runner, no_daemonised_grandchild_is_left_when_the_result_is_told)
{
	start(1, "daemon", 60000);
	pid_t pid = (pid_t)expect(FRAME_STARTED).n[2], daemon = pid_of_ephemeral();
	cr_assert_eq(kill(daemon, 0), 0);
	cr_assert_eq(kill(pid, SIGKILL), 0);
	expect_result(1, JOB_ERRORED, "signal 9");
	cr_assert(kill(daemon, 0) < 0 && errno == ESRCH);
	start(2, "daemon and succeed", 60000);
	expect(FRAME_STARTED);
	daemon = pid_of_ephemeral();
	expect_result(2, JOB_SUCCEEDED, "");
	cr_assert(kill(daemon, 0) < 0 && errno == ESRCH);
}

Test(runner, a_dead_job_takes_no_other_with_it)
{
	start(1, "through", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	start(2, "daemon", 60000);
	pid_t pid = (pid_t)expect(FRAME_STARTED).n[2];
	pid_of_ephemeral();
	cr_assert_eq(kill(pid, SIGKILL), 0);
	expect_result(2, JOB_ERRORED, "");
	cancel(1, "now");
	expect_result(1, JOB_SUCCEEDED, "now");
}

Test(runner, a_deadline_ends_a_job_as_timed_out)
{
	start(1, "wait", 150);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	expect_result(1, JOB_TIMED_OUT, "longer than 0.1 s");
}

Test(runner, a_cancelled_job_says_why_and_one_that_was_through_has_succeeded)
{
	start(1, "wait", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	cancel(1, "by ada");
	expect_result(1, JOB_CANCELLED, "by ada");
	start(2, "through", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	cancel(2, "by ada");
	expect_result(2, JOB_SUCCEEDED, "by ada");
	cancel(99, "unknown ones are nobody's fault");
}

Test(runner, a_job_that_cannot_hear_is_killed_and_the_log_says_so)
{
	start(1, "deaf", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	cancel(1, "by ada");
	expect_result(1, JOB_CANCELLED, "by ada; it did not stop by itself and was killed");
}

Test(runner, a_job_that_breaks_the_rules_is_killed_and_errored)
{
	start(1, "twice", 60000);
	expect(FRAME_STARTED);
	expect_result(1, JOB_ERRORED, "may not send");
	start(2, "another's", 60000);
	expect(FRAME_STARTED);
	expect_result(2, JOB_ERRORED, "may not send");
}

Test(runner, a_result_is_told_to_each_new_front_until_it_is_acknowledged)
{
	start(1, "succeed", 60000);
	expect(FRAME_STARTED);
	expect_result(1, JOB_SUCCEEDED, "");
	start(2, "wait", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	connect_front(2);
	expect(FRAME_STARTED);
	expect_result(1, JOB_SUCCEEDED, "");
	connect_front(2);
	expect(FRAME_STARTED);
	expect_result(1, JOB_SUCCEEDED, "");
	acknowledge(1);
	acknowledge(1);
	cancel(2, "enough");
	expect_result(2, JOB_CANCELLED, "enough");
	acknowledge(2);
	connect_front(0);
}

Test(runner, jobs_go_on_and_end_without_a_front)
{
	start(1, "wait", 300);
	pid_t pid = (pid_t)expect(FRAME_STARTED).n[2];
	expect(FRAME_EPHEMERAL);
	close(front_fd);
	front_fd = -1;
	while (kill(pid, 0) == 0)
		poll(NULL, 0, 10);
	connect_front(1);
	expect_result(1, JOB_TIMED_OUT, "");
}

Test(runner, a_front_that_breaks_the_rules_is_reported_and_harms_no_job)
{
	struct err e;

	start(1, "through", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	struct frame f = FRAME(FRAME_START, 2, 1, 60000);
	f.fds[0] = memfd_create("not sealed", MFD_CLOEXEC);
	f.fds[1] = journal_create(journals, 2, 1, &e);
	tell(front_fd, &f);
	frame_close_fds(&f);
	struct pollfd p = { front_fd, POLLIN, 0 };
	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	cr_assert_eq(frame_recv(front_fd, PEER_RUNNER_OF_FRONT, &scratch, &f), FRAME_EOF);
	f = hear(supervisor_fd, PEER_RUNNER_OF_SUPERVISOR);
	cr_assert_eq(f.type, FRAME_READY);
	cr_assert_eq(f.n[0], 2);
	connect_front(1);
	expect(FRAME_STARTED);
	cancel(1, "fine");
	expect_result(1, JOB_SUCCEEDED, "fine");
}

static int runner_status(void)
{
	int status;

	cr_assert_eq(waitpid(runner, &status, 0), runner);
	runner = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void drain(int64_t grace_ms)
{
	struct frame f = FRAME(FRAME_DRAIN, grace_ms);
	tell(supervisor_fd, &f);
}

Test(runner, a_drain_waits_for_what_runs_begins_nothing_and_ends_when_all_is_acknowledged)
{
	start(1, "wait", 400);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	drain(30000);
	connect_front(1);               /* by the same socket as the drain, so behind it */
	expect(FRAME_STARTED);
	start(2, "succeed", 60000);
	expect_result(1, JOB_TIMED_OUT, "");
	acknowledge(1);
	cr_assert_eq(runner_status(), 0);
	struct err e;
	CLEANUP(fd_closep) int untouched = journal_open(journals, 2, 1, &e);
	cr_assert_eq(lseek(untouched, 0, SEEK_END), 0);
}

Test(runner, a_drain_whose_grace_is_over_cancels)
{
	start(1, "wait", 60000);
	expect(FRAME_STARTED);
	expect(FRAME_EPHEMERAL);
	drain(0);
	expect_result(1, JOB_CANCELLED, "stopped");
	acknowledge(1);
	cr_assert_eq(runner_status(), 0);
}

Test(runner, nothing_outlives_the_supervisor)
{
	start(1, "daemon", 60000);
	pid_t pid = (pid_t)expect(FRAME_STARTED).n[2], daemon = pid_of_ephemeral();
	close(supervisor_fd);
	supervisor_fd = -1;
	cr_assert_eq(runner_status(), 1);
	cr_assert(kill(pid, 0) < 0 && errno == ESRCH);
	cr_assert(kill(daemon, 0) < 0 && errno == ESRCH);
}

Test(runner, many_jobs_end_each_with_its_own_result)
{
	enum { N = 60 };
	int seen[N + 1] = { 0 }, left = N;

	for (int i = 1; i <= N; i++)
		start(i, i % 3 ? "succeed" : "quit", 60000);
	while (left) {
		struct frame f = hear(front_fd, PEER_RUNNER_OF_FRONT);
		if (f.type != FRAME_RESULT)
			continue;
		cr_assert_eq(f.n[2], f.n[0] % 3 ? JOB_SUCCEEDED : JOB_ERRORED);
		cr_assert_eq(seen[f.n[0]]++, 0);
		acknowledge(f.n[0]);
		left--;
	}
	connect_front(0);
}
