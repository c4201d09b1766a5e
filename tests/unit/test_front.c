/* The front as a role of its own: what its supervisor hands it, what it refuses, how it ends. */
#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "front/front.h"
#include "front_parts.h"
#include "raw_client.h"
#include "wire/frame.h"

static const char *const RULES[] = { "docs", "{'on':'push','when':'always','run':{'$fn':1}}", NULL };

static struct place place;
static int supervisor, runner, port;
static pid_t role;
static struct buf scratch = BUF(FRAME_MAX_TEXT + 128);

static void say(int fd, struct frame f)
{
	cr_assert_eq(frame_send(fd, &f), FRAME_OK);
}

static struct frame hear(int fd, enum frame_peer sender)
{
	struct pollfd p = { fd, POLLIN, 0 };
	struct frame f;
	enum frame_outcome out;

	while ((out = frame_recv(fd, sender, &scratch, &f)) == FRAME_AGAIN)
		cr_assert_eq(poll(&p, 1, RAW_WAIT_MS), 1, "nothing was said");
	cr_assert_eq(out, FRAME_OK);
	return f;
}

static void expect_frame(int fd, enum frame_peer sender, enum frame_type want)
{
	struct frame f = hear(fd, sender);
	cr_assert_eq(f.type, want, "frame %d (" SLICE_FMT "), not %d", (int)f.type, SLICE_ARG(f.text), (int)want);
	frame_close_fds(&f);
}

/* The state folder is the test's place, and so is the site: its secrets lie there. */
static void start_role(void)
{
	char *argv[] = { (char[]){ "pushrod" }, (char[]){ "@front" }, place.path, place.path, NULL };
	struct err e;
	int pair[2];

	cr_assert_eq(frame_pair(pair, &e), 0);
	role = fork();
	cr_assert(role >= 0);
	if (role == 0) {
		close(pair[1]);
		if (pair[0] != 3 && dup2(pair[0], 3) < 0)
			_exit(3);
		_exit(front_main(4, argv));
	}
	close(pair[0]);
	supervisor = pair[1];
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_HELLO);
	say(supervisor, FRAME(FRAME_HELLO, FRAME_VERSION));
}

static void hand(enum frame_type type, int fd, int64_t n0, const char *text)      /* FD is taken */
{
	struct frame f = FRAME(type, n0);
	f.fds[0] = fd;
	f.text = slice_of(text);
	say(supervisor, f);
	close(fd);
}

static void hand_runner(void)
{
	struct err e;
	int pair[2];
	cr_assert_eq(frame_pair(pair, &e), 0);
	runner = pair[1];
	hand(FRAME_PEER, pair[0], 0, "");
	say(runner, FRAME(FRAME_HELLO, FRAME_VERSION));
	say(runner, FRAME(FRAME_RUNNING_END, 0));
}

static void serve(void)
{
	place_open(&place);
	start_role();
	hand(FRAME_RULES, place_bundle(RULES, NULL), 1, "");
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_RULES_DONE);
	int fd = raw_listen(&port);
	hand(FRAME_LISTEN, fd, LISTEN_HOOKS | LISTEN_PAGES, "127.0.0.1:0");
	hand_runner();
	say(supervisor, FRAME(FRAME_GO, 0));
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_READY);
	expect_frame(runner, PEER_FRONT_OF_RUNNER, FRAME_HELLO);
}

static int role_ends(void)
{
	int status;
	cr_assert_eq(waitpid(role, &status, 0), role);
	close(supervisor);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

static void clean(void)
{
	place_close(&place);
	buf_fini(&scratch);
}

static int get(const char *path, struct buf *in)
{
	int fd = raw_connect(port);
	CLEANUP(freep) char *text = xprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
	raw_send(fd, slice_of(text));
	raw_until_eof(fd, in);
	close(fd);
	return raw_status(in);
}

static int push(const char *key)
{
	struct buf text = BUF(1 << 16), in = BUF(1 << 20);
	char signature[80];
	int fd = raw_connect(port);

	sign_body(SLICE(BODY), signature);
	buf_addf(&text, "POST /hooks/github HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
		 "X-GitHub-Event: push\r\nX-GitHub-Delivery: %s\r\nX-Hub-Signature-256: %s\r\nContent-Length: %zu\r\n\r\n%s", key,
		 signature, sizeof BODY - 1, BODY);
	raw_send(fd, buf_slice(&text));
	raw_until_eof(fd, &in);
	close(fd);
	int status = raw_status(&in);
	buf_fini(&text);
	buf_fini(&in);
	return status;
}

TestSuite(front, .timeout = 60);

Test(front, serves_from_a_push_to_a_start_and_drains)
{
	struct buf in = BUF(1 << 20);
	serve();
	cr_expect_eq(get("/readyz", &in), 200);
	buf_clear(&in);
	cr_expect_eq(get("/", &in), 200);
	cr_expect_eq(push("k1"), 202);
	struct frame f = hear(runner, PEER_FRONT_OF_RUNNER);
	cr_expect_eq(f.type, FRAME_START);
	frame_close_fds(&f);
	say(supervisor, FRAME(FRAME_DRAIN, 2000));
	cr_expect_eq(role_ends(), 0);
	close(runner);
	buf_fini(&in);
	clean();
}

Test(front, what_was_answered_is_there_after_a_kill)
{
	struct buf in = BUF(1 << 20);
	int status;
	serve();
	cr_assert_eq(push("k1"), 202);
	kill(role, SIGKILL);
	waitpid(role, &status, 0);
	close(supervisor);
	close(runner);
	struct place old = place;
	start_role();
	hand(FRAME_RULES, place_bundle(RULES, NULL), 1, "");
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_RULES_DONE);
	int fd = raw_listen(&port);
	hand(FRAME_LISTEN, fd, LISTEN_HOOKS | LISTEN_PAGES, "127.0.0.1:0");
	hand_runner();
	say(supervisor, FRAME(FRAME_GO, 0));
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_READY);
	cr_expect_eq(push("k1"), 200, "the same delivery is a duplicate");
	expect_frame(runner, PEER_FRONT_OF_RUNNER, FRAME_HELLO);
	struct frame f = hear(runner, PEER_FRONT_OF_RUNNER);
	cr_expect(f.type == FRAME_START && f.n[1] == 2, "the attempt that never began is made again");
	frame_close_fds(&f);
	kill(role, SIGTERM);
	cr_expect_eq(role_ends(), 0);
	close(runner);
	place = old;
	buf_fini(&in);
	clean();
}

Test(front, pages_do_not_leave_this_host_without_users)
{
	struct sockaddr_in any = { .sin_family = AF_INET };
	place_open(&place);
	start_role();
	hand(FRAME_RULES, place_bundle(RULES, NULL), 1, "");
	expect_frame(supervisor, PEER_FRONT_OF_SUPERVISOR, FRAME_RULES_DONE);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(bind(fd, (struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 8) == 0);
	hand(FRAME_LISTEN, fd, LISTEN_HOOKS | LISTEN_PAGES, "0.0.0.0:0");
	cr_expect_eq(role_ends(), 1);
	clean();
}

Test(front, does_not_start_on_rules_that_are_wrong)
{
	static const char *const wrong[] = { "docs", "{'on':'push','when':'always','rnu':{'$fn':1}}", NULL };
	place_open(&place);
	start_role();
	hand(FRAME_RULES, place_bundle(wrong, NULL), 1, "");
	struct frame f = hear(supervisor, PEER_FRONT_OF_SUPERVISOR);
	cr_expect(f.type == FRAME_RULES_DONE && f.n[0] == 0);
	cr_expect(slice_find(f.text, SLICE("rules/r.lua")) >= 0, SLICE_FMT, SLICE_ARG(f.text));
	cr_expect_eq(role_ends(), 1);
	clean();
}

Test(front, ends_when_its_supervisor_does)
{
	serve();
	close(supervisor);
	supervisor = dup(0);
	cr_expect_eq(role_ends(), 1);
	close(runner);
	clean();
}
