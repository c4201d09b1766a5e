/* The way of attempts through the desk's books, the runner's connection, and what a journal tells after a death. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "dispatch/link.h"
#include "dispatch/recover.h"
#include "dispatch/roster.h"
#include "journal/event.h"
#include "journal/file.h"
#include "no_leaks.h"

/* ---- roster ---- */

Test(roster, a_job_has_at_most_one_attempt)
{
	struct roster *r = roster_new();
	cr_assert(roster_add(r, 7, 1, ATTEMPT_CLAIMED));
	cr_assert_null(roster_add(r, 7, 2, ATTEMPT_CLAIMED));
	cr_assert_null(roster_find(r, 7, 2));
	cr_assert(roster_find(r, 7, 1));
	roster_free(r);
	no_leaks();
}

Test(roster, what_was_claimed_first_is_sent_first)
{
	struct roster *r = roster_new();
	static const int64_t jobs[] = { 30, 10, 20, 40 };
	for (size_t i = 0; i < COUNT(jobs); i++)
		roster_add(r, jobs[i], 1, i == 3 ? ATTEMPT_SENT : ATTEMPT_CLAIMED);
	for (size_t i = 0; i < 3; i++) {
		struct attempt *a = roster_next_to_send(r);
		cr_assert_eq(a->job, jobs[i]);
		a->phase = ATTEMPT_SENT;
	}
	cr_assert_null(roster_next_to_send(r));
	for (size_t i = 1; i < roster_count(r); i++)
		cr_assert_lt(roster_at(r, i - 1)->job, roster_at(r, i)->job);
	roster_remove(r, roster_find(r, 20, 1));
	cr_assert_eq(roster_count(r), 3);
	roster_free(r);
	no_leaks();
}

Test(roster, an_entry_that_goes_closes_its_descriptors)
{
	int ends[2];
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	struct roster *r = roster_new();
	roster_add(r, 1, 1, ATTEMPT_CLAIMED)->spec_fd = ends[0];
	roster_add(r, 2, 1, ATTEMPT_CLAIMED)->journal_fd = ends[1];
	roster_remove(r, roster_find(r, 1, 1));
	cr_expect_eq(fcntl(ends[0], F_GETFD), -1);
	roster_free(r);
	cr_expect_eq(fcntl(ends[1], F_GETFD), -1);
	no_leaks();
}

/* ---- link: the other end is a plain socket that this test speaks for ---- */

struct seen {
	int n;
	enum frame_type type[64];
	int64_t job[64];
};

static void on_frame(const struct frame *f, void *arg)
{
	struct seen *seen = arg;
	seen->type[seen->n] = f->type;
	seen->job[seen->n++] = f->n[0];
}

static void runner_says(int fd, enum frame_type type, int64_t a, int64_t b)
{
	struct frame f = FRAME(type, a, b);
	cr_assert_eq(frame_send(fd, &f), FRAME_OK);
}

static enum frame_outcome runner_hears(int fd, struct frame *f)
{
	static char memory[FRAME_MAX_TEXT + 256];
	struct buf scratch = BUF(FRAME_MAX_TEXT + 128);
	enum frame_outcome out = frame_recv(fd, PEER_FRONT_OF_RUNNER, &scratch, f);
	if (out == FRAME_OK) {
		memcpy(memory, f->text.ptr, f->text.len);
		f->text.ptr = memory;
	}
	buf_fini(&scratch);
	return out;
}

static struct link *connected(struct seen *seen, int *peer)
{
	int ends[2];
	struct err e;
	cr_assert_eq(frame_pair(ends, &e), 0);
	struct link *l = link_new(on_frame, seen);
	link_open(l, ends[0]);
	*peer = ends[1];
	struct frame hello;
	cr_assert_eq(runner_hears(*peer, &hello), FRAME_OK);
	cr_assert_eq(hello.type, FRAME_HELLO);
	return l;
}

Test(link, the_runner_greets_then_lists_then_lives)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	int peer;
	struct link *l = connected(&seen, &peer);

	runner_says(peer, FRAME_HELLO, FRAME_VERSION, 0);
	runner_says(peer, FRAME_RUNNING, 7, 1);
	cr_assert_eq(link_turn(l, &e), 0);
	cr_assert_eq(link_phase(l), LINK_LISTING);
	runner_says(peer, FRAME_RUNNING_END, 0, 0);
	runner_says(peer, FRAME_RESULT, 5, 2);
	cr_assert_eq(link_turn(l, &e), 0);
	cr_assert_eq(link_phase(l), LINK_LIVE);
	cr_assert_eq(seen.n, 3);
	cr_expect_eq(seen.type[0], FRAME_RUNNING);
	cr_expect_eq(seen.type[2], FRAME_RESULT);
	cr_expect_eq(seen.job[2], 5);
	link_free(l);
	close(peer);
	no_leaks();
}

Test(link, a_runner_that_skips_the_greeting_is_cut_off)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	int peer;
	struct link *l = connected(&seen, &peer);

	runner_says(peer, FRAME_RUNNING, 7, 1);
	cr_assert_eq(link_turn(l, &e), -1);
	cr_expect_eq(link_phase(l), LINK_CLOSED);
	cr_expect_eq(seen.n, 0);
	cr_expect_eq(link_start(l, 1, 1, 1, -1, -1), 0);
	link_cancel(l, 1, 1, "nobody is there");
	link_free(l);
	close(peer);
	no_leaks();
}

Test(link, what_does_not_fit_waits_and_keeps_its_order)
{
	struct seen seen = { 0 };
	struct err e = { 0 };
	struct frame f;
	int peer;
	struct link *l = connected(&seen, &peer);

	runner_says(peer, FRAME_HELLO, FRAME_VERSION, 0);
	runner_says(peer, FRAME_RUNNING_END, 0, 0);
	cr_assert_eq(link_turn(l, &e), 0);
	for (int i = 1; i <= 5000; i++)
		link_cancel(l, i, 1, "enough");
	cr_assert(link_wants_room(l), "5000 frames fit into the socket");
	cr_assert_eq(link_start(l, 9999, 1, 1000, peer, peer), 0);
	for (int64_t next = 1; next <= 5000;) {
		while (runner_hears(peer, &f) == FRAME_OK) {
			cr_assert_eq(f.type, FRAME_CANCEL);
			cr_assert_eq(f.n[0], next++);
			cr_assert(slice_eq(f.text, SLICE("enough")));
		}
		cr_assert_eq(link_turn(l, &e), 0);
	}
	cr_assert(!link_wants_room(l));
	cr_assert_eq(link_start(l, 9999, 1, 1000, peer, peer), 1);
	cr_assert_eq(runner_hears(peer, &f), FRAME_OK);
	cr_expect_eq(f.type, FRAME_START);
	cr_expect_geq(f.fds[1], 0);
	frame_close_fds(&f);
	link_free(l);
	close(peer);
	no_leaks();
}

/* ---- recovery ---- */

struct folder {
	char path[64];
	int fd;
};

static struct folder folder_new(void)
{
	struct folder f;
	snprintf(f.path, sizeof f.path, "/tmp/test-recover-XXXXXX");
	cr_assert(mkdtemp(f.path));
	f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f;
}

static void folder_end(struct folder *f)
{
	DIR *d = fdopendir(f->fd);
	for (struct dirent *entry; (entry = readdir(d));)
		unlinkat(f->fd, entry->d_name, 0);
	closedir(d);
	rmdir(f->path);
}

/* A journal of an attempt that has begun, with TAIL behind its whole events. */
static void begun(struct folder *f, int64_t job, const char *tail)
{
	struct buf text = BUF(1 << 16);
	int64_t at = journal_encode(&text, job, 1, 0, "attempt", SLICE("{\"t\":0,\"attempt\":1,\"job\":7}"));
	journal_encode(&text, job, 1, at, "log", SLICE("{\"t\":1204,\"s\":1,\"l\":[\"compiling\"]}"));
	buf_adds(&text, tail);
	CLEANUP(fd_closep) int fd = journal_create(f->fd, job, 1, NULL);
	cr_assert(fd >= 0 && fd_write_all(fd, buf_slice(&text)) == 0);
	buf_fini(&text);
}

Test(recover, an_attempt_without_one_event_may_run_again)
{
	struct folder f = folder_new();
	struct job_result r;
	struct err e;

	cr_expect_eq(recover_attempt(f.fd, 7, 1, "x", &r, &e), RECOVERED_AGAIN, "no file at all");
	CLEANUP(fd_closep) int fd = journal_create(f.fd, 8, 2, NULL);
	cr_expect_eq(recover_attempt(f.fd, 8, 2, "x", &r, &e), RECOVERED_AGAIN, "an empty file");
	cr_expect_str_eq(r.reason, "the engine stopped before attempt 2 began");
	cr_assert(fd_write_all(fd, SLICE("id: 8.2.4")) == 0);
	cr_expect_eq(recover_attempt(f.fd, 8, 2, "x", &r, &e), RECOVERED_AGAIN, "a torn first event");
	cr_expect_eq(recover_attempt(f.fd, 9, RECOVER_AGAIN_MAX, "x", &r, &e), RECOVERED_LOST, "not for ever");
	folder_end(&f);
	no_leaks();
}

Test(recover, an_attempt_in_the_middle_is_settled_and_lost)
{
	struct folder f = folder_new();
	struct job_result r;
	struct err e;
	struct buf text = BUF(1 << 16);

	begun(&f, 7, "id: 7.1.400\nevent: log\nda");
	cr_assert_eq(recover_attempt(f.fd, 7, 1, "the runner died", &r, &e), RECOVERED_LOST);
	cr_expect_eq(r.state, JOB_LOST);
	cr_assert_eq(file_read(f.fd, "7.1", &text, &e), 0);
	cr_expect_eq((int64_t)text.len, r.log_bytes);
	cr_expect(strstr(buf_cstr(&text), "\"t\":1204,\"ended\":\"lost\",\"exit\":0,\"reason\":\"the runner died\""));
	cr_expect_null(strstr(buf_cstr(&text), "\nda\n"), "the torn tail is still there");
	buf_fini(&text);
	folder_end(&f);
	no_leaks();
}

Test(recover, one_that_the_runner_settled_keeps_its_result)
{
	struct folder f = folder_new();
	struct job_result r = { .job = 7, .attempt = 1, .state = JOB_FAILED, .exit_code = 2, .reason = "step 'build'" };
	struct job_result got;
	struct err e;

	begun(&f, 7, "");
	CLEANUP(fd_closep) int fd = journal_open_append(f.fd, 7, 1, &e);
	cr_assert_eq(journal_finish(fd, &r, 1300, &e), 0);
	cr_assert_eq(recover_attempt(f.fd, 7, 1, "the runner died", &got, &e), RECOVERED_ENDED);
	cr_expect_eq(got.state, JOB_FAILED);
	cr_expect_eq(got.exit_code, 2);
	cr_expect_eq(got.log_bytes, r.log_bytes);
	cr_expect_str_eq(got.reason, "step 'build'");
	folder_end(&f);
	no_leaks();
}

Test(recover, a_line_of_the_log_that_looks_like_an_end_is_none)
{
	struct folder f = folder_new();
	struct job_result r;
	struct err e;
	struct buf text = BUF(1 << 16);

	int64_t at = journal_encode(&text, 7, 1, 0, "attempt", SLICE("{\"t\":0,\"attempt\":1}"));
	journal_encode(&text, 7, 1, at, "log", SLICE("{\"t\":9,\"s\":1,\"ended\":\"succeeded\",\"l\":[\"x\"]}"));
	CLEANUP(fd_closep) int fd = journal_create(f.fd, 7, 1, NULL);
	cr_assert(fd >= 0 && fd_write_all(fd, buf_slice(&text)) == 0);
	cr_expect_eq(recover_attempt(f.fd, 7, 1, "gone", &r, &e), RECOVERED_LOST);
	buf_fini(&text);
	folder_end(&f);
	no_leaks();
}

Test(recover, every_attempt_has_a_journal_afterwards_even_one_that_never_had)
{
	struct folder f = folder_new();
	struct buf text = BUF(1 << 16);
	struct job_result r;
	struct err e;

	cr_assert_eq(recover_attempt(f.fd, 7, 1, "x", &r, &e), RECOVERED_AGAIN);
	cr_expect_eq(e.kind, 0);
	cr_assert_eq(file_read(f.fd, "7.1", &text, &e), 0, "%s", e.msg);
	cr_expect_eq(text.len, 0, "nothing ran, so nothing is said");
	cr_assert_eq(recover_attempt(f.fd, 8, RECOVER_AGAIN_MAX, "x", &r, &e), RECOVERED_LOST);
	cr_assert_eq(file_read(f.fd, "8.5", &text, &e), 0, "%s", e.msg);
	cr_expect(strstr(buf_cstr(&text), "\"ended\":\"lost\""), "a watcher is never told that it ended");
	cr_expect_eq((int64_t)text.len, r.log_bytes);
	buf_fini(&text);
	folder_end(&f);
	no_leaks();
}
