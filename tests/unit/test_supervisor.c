/* supervisor: the real program, started as a user starts it; what it says on standard error is what the tests wait for. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "wire/children.h"
#include "wire/role.h"

#define WAIT_MS 20000
#define CONFIG "config { listen = { { \"127.0.0.1:0\", serve = { \"hooks\", \"pages\" } } } }\n"

static char home[64], site[80], state[80];
static pid_t server;
static int log_fd = -1;
static struct buf log_text;
static size_t log_seen;                 /* up to where a test has waited */

static void write_site(const char *name, const char *text)
{
	CLEANUP(freep) char *path = xprintf("%s/%s", site, name);
	struct err e;

	cr_assert_eq(file_write_durable(AT_FDCWD, path, slice_of(text), 0644, &e), 0, "%s", e.msg);
}

static void begin(void)
{
	struct err e;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strncpy(home, "/tmp/pushrod-supervisor-XXXXXX", sizeof home - 1);
	cr_assert(mkdtemp(home));
	snprintf(site, sizeof site, "%s/site", home);
	snprintf(state, sizeof state, "%s/state", home);
	CLEANUP(freep) char *rules = xprintf("%s/rules", site);
	cr_assert_eq(dir_make(rules, 0755, &e), 0);
	write_site("pushrod.lua", CONFIG);
	log_text = BUF(16 << 20);
}

static void finish(void)
{
	children_kill(NULL, 0, 10000);
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", home, (char *)NULL);
		_exit(1);
	}
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* SCRIPT is run by sh with the program as $0, the site as $1 and the state folder as $2. */
static void launch(const char *script)
{
	int out[2];

	cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
	server = fork();
	if (server == 0) {
		dup2(out[1], STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", script, PUSHROD, site, state, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	log_fd = out[0];
	log_seen = log_text.len;
}

/* Until the log says TEXT behind what was waited for before; it starts with the end of the first such place. */
static void wait_for(const char *text)
{
	struct pollfd p = { log_fd, POLLIN, 0 };
	ptrdiff_t at;

	while ((at = slice_find(slice_from(buf_slice(&log_text), log_seen), slice_of(text))) < 0) {
		cr_assert(poll(&p, 1, WAIT_MS) > 0, "not said: %s\n%s", text, buf_cstr(&log_text));
		ssize_t n = read(log_fd, buf_room(&log_text, 65536), 65536);
		cr_assert(n > 0, "the server ended without saying: %s\n%s", text, buf_cstr(&log_text));
		buf_grew(&log_text, (size_t)n);
	}
	log_seen += (size_t)at + strlen(text);
}

static void serve(void)
{
	launch("exec \"$0\" serve \"$1\" --state \"$2\"");
	wait_for(" serves http://");
}

static int status_of_server(void)
{
	int status;

	cr_assert_eq(waitpid(server, &status, 0), server);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void stop(void)
{
	kill(server, SIGTERM);
	cr_assert_eq(status_of_server(), 0);
}

/* The role's process, by its command line; 0 for none. */
static pid_t role_pid(const char *role)
{
	CLEANUP(freep) char *path = xprintf("/proc/%d/task/%d/children", (int)server, (int)server);
	CLEANUP(buf_fini) struct buf children = BUF(4096);
	pid_t found = 0;

	if (file_read(AT_FDCWD, path, &children, NULL) < 0)
		return 0;
	for (char *at = buf_take(&children), *start = at, *end; at; at = end) {
		long pid = strtol(at, &end, 10);
		if (end == at) {
			free(start);
			break;
		}
		CLEANUP(freep) char *cmdline = xprintf("/proc/%ld/cmdline", pid);
		CLEANUP(buf_fini) struct buf words = BUF(4096);
		if (file_read(AT_FDCWD, cmdline, &words, NULL) == 0 && slice_find(buf_slice(&words), slice_of(role)) >= 0)
			found = (pid_t)pid;
	}
	return found;
}

static int port_of_server(void)
{
	CLEANUP(freep) char *path = xprintf("%s/listen", state);
	CLEANUP(buf_fini) struct buf text = BUF(4096);
	int port = 0;
	struct err e;

	cr_assert_eq(file_read(AT_FDCWD, path, &text, &e), 0, "%s", e.msg);
	cr_assert_eq(sscanf(buf_cstr(&text), "hooks pages http://127.0.0.1:%d\n", &port), 1, "%s", buf_cstr(&text));
	return port;
}

/* GET /livez; true where it is answered with 200. */
static int answers(int port)
{
	static const char request[] = "GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
	CLEANUP(fd_closep) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval patience = { .tv_sec = WAIT_MS / 1000 };
	char head[16] = "";

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&at, sizeof at) < 0 || write(fd, request, sizeof request - 1) < 0)
		return 0;
	return read(fd, head, 12) == 12 && strcmp(head, "HTTP/1.1 200") == 0;
}

static mode_t mode_of(const char *name)
{
	CLEANUP(freep) char *path = xprintf("%s/%s", state, name);
	struct stat st;

	return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

TestSuite(supervisor, .init = begin, .fini = finish, .timeout = 100);

Test(supervisor, serves_and_ends_in_order_and_leaves_nothing_behind)
{
	cr_assert_eq(mkdir(state, 0755), 0);
	serve();
	cr_assert(answers(port_of_server()));
	cr_assert_eq(mode_of("."), 0700);
	cr_assert_eq(mode_of("control.sock"), 0600);
	cr_assert_eq(mode_of("ready"), 0600);
	stop();
	pid_t left;
	cr_assert_eq(children_list(&left, 1), 0);
	cr_assert_eq(mode_of("control.sock") | mode_of("listen") | mode_of("ready"), 0);
}

Test(supervisor, no_process_of_it_leaves_a_core_or_shows_its_environment)
{
	static const char *const files[] = { "limits", "status" };
	setenv("PUSHROD_SECRET_OF_TEST", "x", 1);
	serve();
	pid_t pids[] = { server, role_pid("@front"), role_pid("@runner") };
	for (size_t i = 0; i < COUNT(pids); i++) {
		CLEANUP(buf_fini) struct buf text = BUF(65536);
		for (size_t f = 0; f < COUNT(files); f++) {
			CLEANUP(freep) char *path = xprintf("/proc/%d/%s", (int)pids[i], files[f]);
			cr_assert_eq(file_read(AT_FDCWD, path, &text, NULL), 0, "%s", path);
		}
		cr_assert(strstr(buf_cstr(&text), "Max core file size        0                    0"), "%s", buf_cstr(&text));
	}
	for (size_t i = 0; i < COUNT(pids); i++) {
		CLEANUP(freep) char *path = xprintf("/proc/%d/environ", (int)pids[i]);
		CLEANUP(buf_fini) struct buf env = BUF(65536);
		int is_read = file_read(AT_FDCWD, path, &env, NULL) == 0;
		cr_assert(geteuid() == 0 || !is_read, "the environment of %d is open to its user", (int)pids[i]);
		if (pids[i] == role_pid("@runner"))
			cr_assert(slice_find(buf_slice(&env), SLICE("PUSHROD_SECRET")) < 0, "the runner has a secret");
	}
	stop();
}

Test(supervisor, a_front_that_is_killed_is_back_on_the_same_address)
{
	serve();
	int port = port_of_server();
	for (int i = 0; i < 6; i++) {
		pid_t front = role_pid("@front");
		cr_assert(front > 0);
		cr_assert_eq(kill(front, SIGKILL), 0);
		int64_t at = mono_ms();
		wait_for("which=front");
		cr_assert(answers(port));
		cr_assert(mono_ms() - at < 3000, "after %lld ms", (long long)(mono_ms() - at));
		cr_assert_neq(role_pid("@front"), front);
	}
	stop();
}

Test(supervisor, a_runner_that_is_killed_is_started_anew)
{
	serve();
	pid_t runner = role_pid("@runner");
	cr_assert_eq(kill(runner, SIGKILL), 0);
	wait_for("another runner took over");
	cr_assert(role_pid("@runner") > 0 && role_pid("@runner") != runner);
	stop();
}

Test(supervisor, roles_do_not_outlive_a_supervisor_that_is_killed)
{
	serve();
	kill(server, SIGKILL);
	cr_assert_eq(status_of_server(), 137);
	while (waitpid(-1, NULL, 0) > 0)        /* re-parented to us, they end by themselves, or the suite's time is over */
		;
	cr_assert_eq(errno, ECHILD);
	serve();
	stop();
}

Test(supervisor, a_second_one_is_refused_and_told_who_is_there)
{
	serve();
	pid_t first = server;
	CLEANUP(freep) char *who = xprintf("another pushrod (pid %d) is using it", (int)first);
	int first_log = log_fd;
	launch("exec \"$0\" serve \"$1\" --state \"$2\"");
	wait_for(who);
	cr_assert_eq(status_of_server(), 1);
	server = first;
	log_fd = first_log;
	cr_assert(answers(port_of_server()));
	stop();
}

Test(supervisor, what_an_earlier_life_left_behind_is_ended_before_anything_starts)
{
	char mark[ROLE_MARK_LEN + 1];
	struct err e;

	cr_assert_eq(dir_make(state, 0700, &e), 0);
	role_mark(state, mark);
	CLEANUP(freep) char *marked = xprintf("PUSHROD_MARK=%s", mark);
	char *const env[] = { marked, NULL }, *const argv[] = { "sleep", "600", NULL };
	pid_t leftover = fork();
	if (leftover == 0) {
		execve("/bin/sleep", argv, env);
		_exit(127);
	}
	char path[64], word[32] = "";
	snprintf(path, sizeof path, "/proc/%d/comm", (int)leftover);
	while (strcmp(word, "sleep\n") != 0) {
		CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
		memset(word, 0, sizeof word);
		cr_assert(read(fd, word, sizeof word - 1) > 0);
	}
	launch("exec \"$0\" serve \"$1\" --state \"$2\"");
	wait_for("ended what an earlier life left behind");
	wait_for(" serves http://");
	int status;
	cr_assert_eq(waitpid(leftover, &status, WNOHANG), leftover);
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	stop();
}

Test(supervisor, a_child_from_before_its_exec_is_not_its_to_end)
{
	launch("sleep 600 & echo \"other $! \" >&2; exec \"$0\" serve \"$1\" --state \"$2\"");
	wait_for("other ");
	wait_for(" serves http://");
	const char *at = strstr(buf_cstr(&log_text), "other ");
	pid_t other = (pid_t)strtol(at + 6, NULL, 10);
	cr_assert_eq(kill(role_pid("@runner"), SIGKILL), 0);
	wait_for("another runner took over");
	cr_assert_eq(kill(other, 0), 0);
	stop();
	cr_assert_eq(kill(other, 0), 0);
}

Test(supervisor, rules_are_reloaded_on_change_and_a_bad_file_leaves_the_old_in_force)
{
	serve();
	write_site("rules/a.lua", "rule \"a\" { on = \"push\", when = \"always\", steps = { { \"s\", sh = \"true\" } } }\n");
	wait_for("rules reloaded");
	write_site("rules/a.lua", "rule \"a\" { on = \"push\", when = \"always\", stepz = {} }\n");
	wait_for("the old ones stay in force");
	cr_assert(answers(port_of_server()));
	write_site("rules/a.lua", "rule \"b\" { on = \"push\", when = \"always\", steps = { { \"s\", sh = \"true\" } } }\n");
	wait_for("rules reloaded");
	kill(role_pid("@front"), SIGKILL);
	wait_for("which=front");
	wait_for("rules=1");                    /* a new front begins with the newest that were accepted */
	cr_assert(answers(port_of_server()));
	stop();
}

Test(supervisor, a_site_with_mistakes_does_not_start)
{
	write_site("rules/a.lua", "rule \"a\" { on = \"push\", when = \"always\", stepz = {} }\n");
	launch("exec \"$0\" serve \"$1\" --state \"$2\"");
	wait_for("rules/a.lua:1:");
	cr_assert_eq(status_of_server(), 1);
}

/* ---- systemd ---- */

static int notify_fd;

static void expect_notice(const char *holds)
{
	char text[512];
	struct pollfd p = { notify_fd, POLLIN, 0 };

	cr_assert_eq(poll(&p, 1, WAIT_MS), 1, "systemd is not told: %s", holds);
	ssize_t n = recv(notify_fd, text, sizeof text - 1, 0);
	cr_assert(n > 0);
	text[n] = '\0';
	cr_assert(strstr(text, holds), "wanted %s, got %s", holds, text);
}

Test(supervisor, systemd_is_told_of_start_reload_and_end)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", home);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(notify_fd, (struct sockaddr *)&at, sizeof at), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	launch("exec \"$0\" serve \"$1\" --state \"$2\" --no-watch");
	expect_notice("READY=1");
	kill(server, SIGHUP);
	expect_notice("RELOADING=1\nMONOTONIC_USEC=");
	expect_notice("READY=1");
	write_site("rules/a.lua", "this is no Lua\n");
	kill(server, SIGHUP);
	expect_notice("RELOADING=1");
	expect_notice("READY=1");
	kill(server, SIGTERM);
	expect_notice("STOPPING=1");
	cr_assert_eq(status_of_server(), 0);
}
