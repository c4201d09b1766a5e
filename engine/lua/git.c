/* lua/git.c - mirrors and checkouts by libgit2, which the files called git know alone.
 *
 *     url → <state>/mirrors/<sha256 of url>.git   bare, fetched when the commit is not there yet, under a file lock
 *         → into/                                 a repository whose objects are the mirror's (alternates), HEAD at the commit
 *
 * Both arrows are children of the job: each tells its progress and its end as lines on a pipe, may write below its target
 * alone, and is killed when its time is over or the job is cancelled. Nothing of the host's git configuration is read. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/mem.h"
#include "lua/git_work.h"
#include "lua/remove.h"
#include "runner/limits.h"
#include "runner/sandbox.h"
#include "runner/step.h"
#include "wire/role.h"

#define PROGRESS_MS 100
#define LOCK_LOOK_MS 100
#define OBJECTS_MAX 20000000

static void freep_repository(git_repository **r) { git_repository_free(*r); }
static void freep_object(git_object **o) { git_object_free(*o); }

static char untrusted[200];            /* why SSL_CERT_FILE and SSL_CERT_DIR are of no use; "": they are, or are not set */

/* The authorities that the environment names instead of the system's, which libgit2 does not look for by itself. */
static void trust(void)
{
	const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");

	file = file && *file ? file : NULL;
	dir = dir && *dir ? dir : NULL;
	if ((!file && !dir) || git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, file, dir) == 0)
		return;
	const git_error *g = git_error_last();
	snprintf(untrusted, sizeof untrusted, "%.60s='%.80s' cannot be used: %.40s", file ? "SSL_CERT_FILE" : "SSL_CERT_DIR", file ? file : dir,
		 g && g->message ? g->message : "no certificates");
}

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
	trust();
}

/* ---- what may be asked for ---- */

static int is_local(const char *url)
{
	return slice_starts(slice_of(url), SLICE("file://")) || url[0] == '/';
}

static int check_url(const struct attempt *a, const char *url, struct err *e)
{
	struct slice s = slice_of(url);

	if (slice_starts(s, SLICE("https://")) && *untrusted)
		return err_set(e, ERR_INPUT, "fetch over https: %s", untrusted);
	if (slice_starts(s, SLICE("https://")) || slice_starts(s, SLICE("ssh://")))
		return 0;
	if (is_local(url)) {
		if (json_is_true(json_object_get(a->spec, "file_urls")))
			return 0;
		return err_set(e, ERR_INPUT, "checkout from '%s': repositories of this machine are allowed by "
			       "config { jobs = { file_urls = true } } alone", url);
	}
	if (slice_chr(s, '@') > 0 && slice_chr(s, ':') > slice_chr(s, '@') && slice_find(s, SLICE("://")) < 0)
		return 0;                               /* git@host:path, which is ssh */
	CLEANUP(freep) char *shown = git_public_url(url);
	return err_set(e, ERR_INPUT, "checkout from '%s': only https, ssh and, where allowed, file addresses", shown);
}

int git_is_commit_id(const char *ref)
{
	return strlen(ref) == 40 && strspn(ref, "0123456789abcdef") == 40;
}

static int check_ref(const char *ref, struct err *e)
{
	CLEANUP(freep) char *full = xprintf("refs/heads/%s", ref);
	int valid = 0;

	if (git_is_commit_id(ref) && strspn(ref, "0") == 40)
		return err_set(e, ERR_INPUT, "checkout: the event deleted its branch or tag, there is no commit");
	if (git_reference_name_is_valid(&valid, strncmp(ref, "refs/", 5) ? full : ref) == 0 && valid)
		return 0;
	return err_set(e, ERR_INPUT, "'%s' is not the name of a commit, branch or tag", ref);
}

char *git_public_url(const char *url)
{
	const char *host = strstr(url, "://"), *at;

	host = host ? host + 3 : url;
	at = host + strcspn(host, "/@");
	if (host == url || *at != '@')
		return xstrdup(url);
	return xprintf("%.*s%s", (int)(host - url), url, at + 1);
}

/* ---- work in a child ---- */

static int tell(struct work *w, size_t done, size_t total, size_t bytes)
{
	int64_t now = mono_ms();

	if (now - w->told_ms < PROGRESS_MS && done < total)
		return 0;
	w->told_ms = now;
	return dprintf(w->fd, "P %zu %zu %zu\n", done, total, bytes) < 0 ? -1 : 0;
}

/* The child: nothing of the job but its pipe, then the limits of a step. RULES is of Landlock; -2: none. Exits. */
static _Noreturn void run_child(struct work *w, pid_t parent, int rules)
{
	struct limits limits = {
		.memory_bytes = MEM_HAS_SHADOW ? 0 : attempt_number(w->a, "memory_bytes"),
		.file_bytes = attempt_number(w->a, "file_bytes"), .cpu_seconds = (w->deadline_ms - mono_ms()) / 1000 + 1,
	};

	role_reset_signals();
	signal(SIGPIPE, SIG_IGN);
	role_harden(parent, ROLE_NO_NEW_PRIVS);
	close(w->a->in.journal_fd);
	close(w->a->in.control_fd);
	if (limits_enter(&limits) < 0 || sandbox_enter(rules) < 0) {
		dprintf(w->fd, "E cannot be confined\n");
		_exit(1);
	}
	int bad = w->run(w) < 0;
	const git_error *g = git_error_last();
	if (bad)
		dprintf(w->fd, "E %s\n", g && g->message ? g->message : "failed");
	else
		dprintf(w->fd, "OK\n");
	_exit(bad);
}

static void on_progress(const struct work *w, struct slice numbers)
{
	struct slice part[3];
	int64_t n[3];
	char unit[64];

	for (size_t i = 0; i < COUNT(part); i++) {
		slice_cut(numbers, ' ', &part[i], &numbers);
		if (slice_to_i64(part[i], 0, INT64_MAX, &n[i]) < 0)
			return;
	}
	if (n[2])
		snprintf(unit, sizeof unit, "%s, %.1f MiB", w->unit, (double)n[2] / (1 << 20));
	else
		snprintf(unit, sizeof unit, "%s", w->unit);
	journal_progress(w->a->w, w->a->step, n[0], n[1], slice_of(unit));
}

static void on_line(struct work *w, struct slice line)
{
	struct slice word, rest;

	slice_cut(line, ' ', &word, &rest);
	if (slice_eq(word, SLICE("OK")))
		w->is_done = 1;
	else if (slice_eq(word, SLICE("E")))
		snprintf(w->message, sizeof w->message, SLICE_FMT, SLICE_ARG(rest));
	else if (slice_eq(word, SLICE("P")))
		on_progress(w, rest);
	else if (w->on_line)
		w->on_line(w, word, rest);
}

static int read_lines(struct work *w)
{
	struct slice line, rest;
	char *to = buf_room(&w->text, 4096);
	ssize_t n = to ? read(w->fd, to, 4096) : 0;

	if (n <= 0)
		return 0;
	buf_grew(&w->text, (size_t)n);
	while (slice_chr(buf_slice(&w->text), '\n') >= 0) {
		slice_cut(buf_slice(&w->text), '\n', &line, &rest);
		on_line(w, line);
		buf_drop_front(&w->text, line.len + 1);
	}
	return 1;
}

/* Until the child has closed its pipe. -1: out of time, or stopped. */
static int follow(struct work *w, struct err *e)
{
	for (;;) {
		struct pollfd p[] = { { w->fd, POLLIN, 0 }, { w->a->in.control_fd, POLLIN, 0 } };
		int64_t left = w->deadline_ms - mono_ms();
		if (left <= 0)
			return err_set(e, ERR_UNAVAIL, "took longer than %.1f s and was ended", (double)w->o->timeout_ms / 1000);
		if (poll(p, COUNT(p), left < 1000 ? (int)left : 1000) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (attempt_is_stopped(w->a))
			return err_set(e, ERR_UNAVAIL, "was stopped");
		if (p[0].revents && !read_lines(w))
			return 0;
	}
}

/* What the child may reach: the system, the mirror, its target. A local repository may borrow objects from anywhere. */
static int make_rules(const struct work *w, struct err *e)
{
	const char *const readable[] = { w->mirror, NULL };
	struct step_options o = { .workspace = w->target, .readable = readable, .state = attempt_text(w->a, "state") };

	return is_local(w->o->url) && strcmp(w->target, w->mirror) == 0 ? -2 : sandbox_ruleset(&o, e);
}

static int start_child(struct work *w, struct err *e)
{
	CLEANUP(fd_closep) int rules = make_rules(w, e);
	pid_t parent = getpid();
	int fds[2];

	if (rules == -1)
		return -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	w->pid = fork();
	if (w->pid == 0) {
		close(fds[0]);
		w->fd = fds[1];
		run_child(w, parent, rules);
	}
	close(fds[1]);
	w->fd = fds[0];
	if (w->pid > 0)
		return 0;
	close(w->fd);
	return err_errno(e, "fork");
}

int git_work_run(struct work *w, const char *what, struct err *e)
{
	CLEANUP(freep) char *shown = git_public_url(w->o->url);
	int status = 0;

	w->text = BUF(64 << 10);
	if (start_child(w, e) < 0)
		return -1;
	int result = follow(w, e);
	kill(w->pid, SIGKILL);                          /* done already, or to be ended */
	waitpid(w->pid, &status, 0);
	close(w->fd);
	buf_fini(&w->text);
	if (result < 0)
		return err_wrap(e, "%s %s", what, shown);
	if (w->is_done)
		return 0;
	char how[64];
	role_status_text(status, how);
	return err_set(e, ERR_UNAVAIL, "%s %s: %s", what, shown, w->message[0] ? w->message : how);
}

/* ---- the mirror ---- */

/* The commit of REF in the mirror: 1 and *OID, or 0 where it is not there. */
static int find_commit(git_repository *repo, const char *ref, git_oid *oid)
{
	static const char *const prefixes[] = { "", "refs/heads/", "refs/tags/" };
	size_t first = git_is_commit_id(ref) || !strncmp(ref, "refs/", 5) ? 0 : 1, n = first ? COUNT(prefixes) : 1;

	for (size_t i = first; i < n; i++) {
		CLEANUP(freep) char *spec = xprintf("%s%s^{commit}", prefixes[i], ref);
		CLEANUP(freep_object) git_object *o = NULL;
		if (git_revparse_single(&o, repo, spec) == 0) {
			git_oid_cpy(oid, git_object_id(o));
			return 1;
		}
	}
	return 0;
}

static int has_commit(const char *mirror, const char *ref, git_oid *oid)
{
	CLEANUP(freep_repository) git_repository *repo = NULL;
	return git_repository_open_bare(&repo, mirror) == 0 && find_commit(repo, ref, oid);
}

static int on_transfer(const git_indexer_progress *p, void *arg)
{
	return tell(arg, p->received_objects, p->total_objects, p->received_bytes);
}

/* Called where the other end wants to know who we are. */
static int on_credentials(git_credential **out, const char *url, const char *user, unsigned allowed, void *arg)
{
	git_error_set_str(GIT_ERROR_NET, allowed & GIT_CREDENTIAL_USERPASS_PLAINTEXT
		? "the host wants a user and a token: give url = \"https://user:\" .. job:secret \"…\" .. \"@host/…\""
		: "the host wants a key, and jobs have none yet: use its https address");
	return GIT_EAUTH;
}

static int is_extra(const char *ref)
{
	return ref && !strncmp(ref, "refs/", 5) && strncmp(ref, "refs/heads/", 11) && strncmp(ref, "refs/tags/", 10);
}

/* The default branch there is HEAD here; where it cannot be told, what was known stays. */
static void keep_head(git_repository *repo, git_remote *remote)
{
	git_buf name = { 0 };

	if (git_remote_default_branch(&name, remote) == 0)
		(void)git_repository_set_head(repo, name.ptr);
	git_buf_dispose(&name);
}

static int fetch(struct work *w)
{
	CLEANUP(freep_repository) git_repository *repo = NULL;
	git_remote *remote = NULL;
	git_fetch_options o = GIT_FETCH_OPTIONS_INIT;
	char *specs[4] = { "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*" };
	git_strarray list = { specs, 2 };
	const char *extra[] = { w->o->ref, w->o->also };

	for (size_t i = 0; i < COUNT(extra) && !w->commit; i++)
		if (is_extra(extra[i]))
			specs[list.count++] = xprintf("+%s:%s", extra[i], extra[i]);
	if (w->commit) {
		specs[0] = xprintf("+%s:refs/pushrod/%s", w->commit, w->commit);
		list.count = 1;
	}
	o.callbacks.transfer_progress = on_transfer;
	o.callbacks.credentials = on_credentials;
	o.callbacks.payload = w;
	o.prune = w->commit ? GIT_FETCH_NO_PRUNE : GIT_FETCH_PRUNE;
	o.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
	if (git_repository_open_bare(&repo, w->mirror) < 0 && git_repository_init(&repo, w->mirror, 1) < 0)
		return -1;
	if (git_remote_create_anonymous(&remote, repo, w->o->url) < 0 || git_remote_fetch(remote, &list, &o, NULL) < 0)
		return -1;
	keep_head(repo, remote);
	return 0;
}

/* The mirror's lock, held for the fetch alone. Owned descriptor. */
static int lock_mirror(struct attempt *a, const char *mirror, int64_t deadline_ms, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s.lock", mirror);
	CLEANUP(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, "%s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		struct pollfd p = { a->in.control_fd, POLLIN, 0 };
		if (mono_ms() > deadline_ms)
			return err_set(e, ERR_UNAVAIL, "checkout: other jobs have kept this repository's mirror busy for all of the time given");
		if (poll(&p, 1, LOCK_LOOK_MS) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (attempt_is_stopped(a))
			return err_set(e, ERR_UNAVAIL, "checkout: stopped while waiting for a mirror");
	}
	return fd_take(&fd);
}

/* A commit's id names one thing for ever: no fetch where it is there. A branch is always fetched. */
static int update_mirror(struct work *w, struct err *e)
{
	int is_id = git_is_commit_id(w->o->ref);

	if (is_id && has_commit(w->mirror, w->o->ref, &w->oid))
		return 0;
	CLEANUP(fd_closep) int lock = lock_mirror(w->a, w->mirror, w->deadline_ms, e);
	if (lock < 0)
		return -1;
	if (is_id && has_commit(w->mirror, w->o->ref, &w->oid))
		return 0;                               /* who held the lock brought it */
	if (dir_make(w->mirror, 0700, e) < 0 || git_work_run(w, "fetch from", e) < 0)
		return -1;
	if (has_commit(w->mirror, w->o->ref, &w->oid))
		return 0;
	CLEANUP(freep) char *shown = git_public_url(w->o->url);
	return err_set(e, ERR_INPUT, "%s has no commit '%s' on any branch or tag%s", shown, w->o->ref,
		       is_id ? ": a later push may have replaced it" : "");
}

/* ---- the checkout ---- */

static void on_checkout(const char *path, size_t done, size_t total, void *arg)
{
	if (total)
		tell(arg, done, total, 0);
}

static int write_alternates(const char *into, const char *mirror)
{
	CLEANUP(freep) char *path = xprintf("%s/.git/objects/info/alternates", into), *line = xprintf("%s/objects\n", mirror);
	struct err e;

	if (file_write_durable(AT_FDCWD, path, slice_of(line), 0600, &e) == 0)
		return 0;
	git_error_set_str(GIT_ERROR_OS, e.msg);
	return -1;
}

static int checkout(struct work *w)
{
	CLEANUP(freep_repository) git_repository *made = NULL, *repo = NULL;
	CLEANUP(freep_object) git_object *commit = NULL;
	git_checkout_options o = GIT_CHECKOUT_OPTIONS_INIT;

	if (git_repository_init(&made, w->target, 0) < 0 || write_alternates(w->target, w->mirror) < 0)
		return -1;
	o.checkout_strategy = GIT_CHECKOUT_FORCE;
	o.progress_cb = on_checkout;
	o.progress_payload = w;
	return git_repository_open(&repo, w->target) < 0 || git_object_lookup(&commit, repo, &w->oid, GIT_OBJECT_COMMIT) < 0 ||
	       git_checkout_tree(repo, commit, &o) < 0 || git_repository_set_head_detached(repo, &w->oid) < 0 ? -1 : 0;
}

/* A step may have put a link where the folder is to be: what is there goes, unfollowed. */
static int make_anew(const char *path, struct err *e)
{
	if (unlink(path) < 0 && (errno == EISDIR || errno == EPERM))
		remove_folder(path);
	return mkdir(path, 0755) < 0 ? err_errno(e, "checkout into %s", path) : 0;
}

static int note_submodules(const struct work *w, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s/.gitmodules", w->target);

	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return journal_note(w->a->w, w->a->step, "warn", SLICE("the repository has submodules: they are not fetched"), e);
}

int git_fetch_commit(struct work *w, const char *sha, struct err *e)
{
	git_oid oid;

	if (has_commit(w->mirror, sha, &oid))
		return 0;
	CLEANUP(fd_closep) int lock = lock_mirror(w->a, w->mirror, w->deadline_ms, e);
	if (lock < 0)
		return -1;
	struct work get = { .a = w->a, .o = w->o, .mirror = w->mirror, .run = fetch, .target = w->mirror, .unit = "objects",
			    .deadline_ms = w->deadline_ms, .commit = sha };
	return git_work_run(&get, "fetch from", e);
}

int git_mirror(struct attempt *a, const struct git_options *o, struct work *out, char **path, struct err *e)
{
	char hash[65];

	if (check_url(a, o->url, e) < 0 || check_ref(o->ref, e) < 0)
		return -1;
	sha256_hex(slice_of(o->url), hash);
	CLEANUP(freep) char *folder = xprintf("%s/mirrors", attempt_text(a, "state")), *mirror = xprintf("%s/%s.git", folder, hash);
	*out = (struct work){ .a = a, .o = o, .mirror = mirror, .run = fetch, .target = mirror, .unit = "objects",
			      .deadline_ms = mono_ms() + o->timeout_ms };
	if (dir_make(folder, 0700, e) < 0 || update_mirror(out, e) < 0)
		return -1;
	*path = TAKE(&mirror);
	return 0;
}

int git_checkout_commit(struct attempt *a, const struct git_options *o, char sha[65], struct err *e)
{
	CLEANUP(freep) char *mirror = NULL;
	struct work get;

	if (git_mirror(a, o, &get, &mirror, e) < 0)
		return -1;
	git_oid_tostr(sha, 65, &get.oid);
	struct work put = { .a = a, .o = o, .mirror = mirror, .oid = get.oid, .run = checkout, .target = o->into, .unit = "files",
			    .deadline_ms = get.deadline_ms };
	if (make_anew(o->into, e) < 0 || git_work_run(&put, "checkout of", e) < 0)
		return -1;
	return note_submodules(&put, e);
}
