/* lua/git.c - mirrors and checkouts by libgit2; the only file that knows it.
 *
 *     url → <state>/mirrors/<sha256 of url>.git   bare, fetched when the commit is not there yet, under a file lock
 *         → into/                                 a repository whose objects are the mirror's (alternates), HEAD at the commit
 *
 * The fetch is a child of the job: it tells its progress and its end as lines on a pipe, and is killed when its time is over
 * or the job is cancelled. Nothing of the host's git configuration is read. */
#include "lua/git.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"

#define LOCK_MS 600000
#define PROGRESS_MS 100
#define OBJECTS_MAX 20000000

static void freep_repository(git_repository **r) { git_repository_free(*r); }
static void freep_object(git_object **o) { git_object_free(*o); }

void git_warm(void)
{
	static const int levels[] = { GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG,
				      GIT_CONFIG_LEVEL_PROGRAMDATA };
	if (git_libgit2_init() < 0)
		abort();
	for (size_t i = 0; i < COUNT(levels); i++)
		git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t)OBJECTS_MAX);
}

static int said(struct err *e, const char *what)
{
	const git_error *g = git_error_last();
	return err_set(e, ERR_IO, "%s: %s", what, g && g->message ? g->message : "failed");
}

static int check_url(const struct attempt *a, const char *url, struct err *e)
{
	struct slice s = slice_of(url);

	if (slice_starts(s, SLICE("https://")) || slice_starts(s, SLICE("ssh://")))
		return 0;
	if (slice_starts(s, SLICE("file://")) || url[0] == '/') {
		if (json_is_true(json_object_get(a->spec, "file_urls")))
			return 0;
		return err_set(e, ERR_INPUT, "checkout from '%s': local repositories are allowed by config { jobs = { file_urls = true } } alone", url);
	}
	if (slice_chr(s, '@') > 0 && slice_chr(s, ':') > slice_chr(s, '@') && slice_find(s, SLICE("://")) < 0)
		return 0;                               /* git@host:path, which is ssh */
	return err_set(e, ERR_INPUT, "checkout from '%s': only https, ssh and, where allowed, file addresses", url);
}

static int check_ref(const char *ref, struct err *e)
{
	CLEANUP(freep) char *full = xprintf("refs/heads/%s", ref);
	int valid = 0;

	if (git_reference_name_is_valid(&valid, strncmp(ref, "refs/", 5) ? full : ref) == 0 && valid)
		return 0;
	return err_set(e, ERR_INPUT, "'%s' is not the name of a commit, branch or tag", ref);
}

/* ---- the mirror ---- */

/* The commit of REF in the mirror: 1 and *OID, or 0 where it is not there. */
static int find_commit(git_repository *repo, const char *ref, git_oid *oid)
{
	static const char *const prefixes[] = { "", "refs/heads/", "refs/tags/" };
	int is_id = strlen(ref) == 40 && strspn(ref, "0123456789abcdef") == 40;

	for (size_t i = is_id || !strncmp(ref, "refs/", 5) ? 0 : 1; i < COUNT(prefixes); i++) {
		CLEANUP(freep) char *spec = xprintf("%s%s^{commit}", prefixes[i], ref);
		CLEANUP(freep_object) git_object *o = NULL;
		if (git_revparse_single(&o, repo, spec) == 0) {
			git_oid_cpy(oid, git_object_id(o));
			return 1;
		}
		if (is_id)
			return 0;
	}
	return 0;
}

struct telling {
	int fd;
	int64_t last_ms;
};

static int on_transfer(const git_indexer_progress *p, void *arg)
{
	struct telling *t = arg;
	int64_t now = mono_ms();

	if (now - t->last_ms < PROGRESS_MS && p->received_objects < p->total_objects)
		return 0;
	t->last_ms = now;
	return dprintf(t->fd, "P %u %u %zu\n", p->received_objects, p->total_objects, p->received_bytes) < 0 ? -1 : 0;
}

/* In the child. Exits. */
static _Noreturn void fetch(const char *mirror, const char *url, const char *ref, int fd)
{
	git_repository *repo = NULL;
	git_remote *remote = NULL;
	git_fetch_options o = GIT_FETCH_OPTIONS_INIT;
	struct telling t = { fd, 0 };
	char *specs[3] = { "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", NULL };
	git_strarray list = { specs, 2 };

	if (!strncmp(ref, "refs/", 5) && strncmp(ref, "refs/heads/", 11) && strncmp(ref, "refs/tags/", 10)) {
		specs[2] = xprintf("+%s:%s", ref, ref);
		list.count = 3;
	}
	o.callbacks.transfer_progress = on_transfer;
	o.callbacks.payload = &t;
	o.prune = GIT_FETCH_PRUNE;
	o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	int bad = git_repository_open_bare(&repo, mirror) < 0 && git_repository_init(&repo, mirror, 1) < 0;
	bad = bad || git_remote_create_anonymous(&remote, repo, url) < 0 || git_remote_fetch(remote, &list, &o, NULL) < 0;
	const git_error *g = git_error_last();
	if (bad)
		dprintf(fd, "E %s\n", g && g->message ? g->message : "the fetch failed");
	else
		dprintf(fd, "OK\n");
	_exit(bad);
}

struct fetching {
	struct attempt *a;
	pid_t pid;
	int fd;
	int64_t deadline_ms;
	struct buf text;
	int is_done;
	char message[300];
};

static void on_line(struct fetching *f, struct slice line)
{
	struct slice word, rest, done, total, bytes;
	int64_t n, m;

	slice_cut(line, ' ', &word, &rest);
	if (slice_eq(word, SLICE("OK"))) {
		f->is_done = 1;
	} else if (slice_eq(word, SLICE("E"))) {
		snprintf(f->message, sizeof f->message, SLICE_FMT, SLICE_ARG(rest));
	} else if (slice_eq(word, SLICE("P"))) {
		slice_cut(rest, ' ', &done, &rest);
		slice_cut(rest, ' ', &total, &bytes);
		if (slice_to_i64(done, 0, INT64_MAX, &n) == 0 && slice_to_i64(total, 0, INT64_MAX, &m) == 0)
			journal_progress(f->a->w, f->a->step, n, m, SLICE("objects"));
	}
}

/* Until the child has closed its pipe. -1: out of time, or cancelled. */
static int follow_fetch(struct fetching *f, struct err *e)
{
	struct slice line, rest;

	for (;;) {
		struct pollfd p[] = { { f->fd, POLLIN, 0 }, { f->a->in.control_fd, POLLIN, 0 } };
		int64_t left = f->deadline_ms - mono_ms();
		if (left <= 0)
			return err_set(e, ERR_UNAVAIL, "the fetch took too long and was ended");
		if (poll(p, 2, left < 1000 ? (int)left : 1000) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (p[1].revents)
			attempt_listen(f->a);
		if (f->a->ending == ENDING_CANCEL && !f->a->is_deferring)
			return err_set(e, ERR_UNAVAIL, "cancelled during a fetch");
		if (!p[0].revents)
			continue;
		char *to = buf_room(&f->text, 4096);
		ssize_t n = to ? read(f->fd, to, 4096) : 0;
		if (n <= 0)
			return 0;
		buf_grew(&f->text, (size_t)n);
		while (slice_chr(buf_slice(&f->text), '\n') >= 0) {
			slice_cut(buf_slice(&f->text), '\n', &line, &rest);
			on_line(f, line);
			buf_drop_front(&f->text, line.len + 1);
		}
	}
}

static int run_fetch(struct attempt *a, const char *mirror, const struct git_options *o, struct err *e)
{
	int fds[2];
	struct fetching f = { .a = a, .deadline_ms = mono_ms() + o->timeout_ms, .text = BUF(64 << 10) };

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	f.pid = fork();
	if (f.pid == 0) {
		struct rlimit core = { 0, 0 };
		setrlimit(RLIMIT_CORE, &core);
		close(fds[0]);
		fetch(mirror, o->url, o->ref, fds[1]);
	}
	close(fds[1]);
	f.fd = fds[0];
	int result = f.pid < 0 ? err_errno(e, "fork") : follow_fetch(&f, e);
	if (f.pid > 0) {
		kill(f.pid, SIGKILL);                   /* done already, or to be ended */
		waitpid(f.pid, NULL, 0);
	}
	close(f.fd);
	buf_fini(&f.text);
	if (result == 0 && !f.is_done)
		return err_set(e, ERR_UNAVAIL, "fetch from %s: %s", o->url, f.message[0] ? f.message : "ended without a word");
	return result;
}

/* The mirror's lock, held for the fetch alone. Owned descriptor. */
static int lock_mirror(struct attempt *a, const char *mirror, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s.lock", mirror);
	CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int64_t until = mono_ms() + LOCK_MS;

	if (fd < 0)
		return err_errno(e, "%s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct pollfd p = { a->in.control_fd, POLLIN, 0 };
		if (mono_ms() > until)
			return err_set(e, ERR_UNAVAIL, "another job has held this mirror for %d minutes", LOCK_MS / 60000);
		if (poll(&p, 1, 100) > 0)
			attempt_listen(a);
		if (a->ending == ENDING_CANCEL)
			return err_set(e, ERR_UNAVAIL, "cancelled while waiting for a mirror");
	}
	return fd_take(&fd);
}

static int has_commit(const char *mirror, const char *ref, git_oid *oid)
{
	CLEANUP(freep_repository) git_repository *repo = NULL;
	return git_repository_open_bare(&repo, mirror) == 0 && find_commit(repo, ref, oid);
}

/* A commit's id names one thing for ever: no fetch where it is there. A branch is always fetched. */
static int update_mirror(struct attempt *a, const char *mirror, const struct git_options *o, git_oid *oid, struct err *e)
{
	int is_id = strlen(o->ref) == 40 && strspn(o->ref, "0123456789abcdef") == 40;

	if (is_id && has_commit(mirror, o->ref, oid))
		return 0;
	CLEANUP(fd_closep) int lock = lock_mirror(a, mirror, e);
	if (lock < 0)
		return -1;
	if (is_id && has_commit(mirror, o->ref, oid))
		return 0;                               /* who held the lock brought it */
	if (run_fetch(a, mirror, o, e) < 0)
		return -1;
	if (!has_commit(mirror, o->ref, oid))
		return err_set(e, ERR_INPUT, "%s has no commit '%s' on any branch or tag", o->url, o->ref);
	return 0;
}

/* ---- the checkout ---- */

static void on_checkout(const char *path, size_t done, size_t total, void *arg)
{
	struct attempt *a = arg;
	if (total)
		journal_progress(a->w, a->step, (int64_t)done, (int64_t)total, SLICE("files"));
}

static int write_alternates(const char *into, const char *mirror, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s/.git/objects/info/alternates", into), *line = xprintf("%s/objects\n", mirror);
	return file_write_durable(AT_FDCWD, path, slice_of(line), 0600, e);
}

static int checkout(struct attempt *a, const char *mirror, const char *into, const git_oid *oid, struct err *e)
{
	CLEANUP(freep_repository) git_repository *made = NULL, *repo = NULL;
	CLEANUP(freep_object) git_object *commit = NULL;
	git_checkout_options o = GIT_CHECKOUT_OPTIONS_INIT;

	if (git_repository_init(&made, into, 0) < 0)
		return said(e, into);
	if (write_alternates(into, mirror, e) < 0)
		return -1;
	o.checkout_strategy = GIT_CHECKOUT_FORCE;
	o.progress_cb = on_checkout;
	o.progress_payload = a;
	if (git_repository_open(&repo, into) < 0 || git_object_lookup(&commit, repo, oid, GIT_OBJECT_COMMIT) < 0 ||
	    git_checkout_tree(repo, commit, &o) < 0 || git_repository_set_head_detached(repo, oid) < 0)
		return said(e, "checkout");
	return 0;
}

int git_checkout_commit(struct attempt *a, const struct git_options *o, char sha[65], struct err *e)
{
	char hash[65];
	git_oid oid;

	if (check_url(a, o->url, e) < 0 || check_ref(o->ref, e) < 0)
		return -1;
	sha256_hex(slice_of(o->url), hash);
	CLEANUP(freep) char *folder = xprintf("%s/mirrors", attempt_text(a, "state")), *mirror = xprintf("%s/%s.git", folder, hash);
	if (dir_make(folder, 0700, e) < 0 || update_mirror(a, mirror, o, &oid, e) < 0)
		return -1;
	git_oid_tostr(sha, 65, &oid);
	return checkout(a, mirror, o->into, &oid, e);
}
