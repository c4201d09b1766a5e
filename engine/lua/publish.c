/* lua/publish.c - releases beside a link that is switched by rename(2), which is atomic.
 *
 *     <dest>                        → <name>.releases/<job>.<attempt>
 *     <dest>.releases/7.1/            a whole release, never changed again
 *     <dest>.releases/.8.1.part/      one that is being copied; its copier holds a lock on it, so one without is a leftover
 *
 * Everything is reached from a root's or the workspace's own descriptor with openat2 (RESOLVE_BENEATH, no magic links), so no
 * symbolic link that a build left behind leads out of either. Those who publish to one place take turns at the switch, by a
 * lock on its folder of releases. */
#include "lua/publish.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "lua/remove.h"

#define DEPTH_MAX 64
#define COPY_BYTES (256 << 10)
#define PROGRESS_MS 100
#define LOCK_MS 60000
#define LOCK_LOOK_MS 50
#define SAME_ATTEMPT_MAX 1000
#define RELEASES_MAX 1024

/* ---- places ---- */

static int open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	return (int)syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof how);
}

/* What of PATH lies below the folder TOP ("" for TOP itself), NULL where it does not. By the letters alone. */
static const char *part_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	while (n > 0 && top[n - 1] == '/')
		n--;
	if (strncmp(path, top, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return NULL;
	for (path += n; *path == '/'; path++)
		;
	return path;
}

static const char *find_root(const struct attempt *a, const char *path, const char **below)
{
	const json_t *roots = json_object_get(a->spec, "roots"), *v;
	size_t i;

	json_array_foreach(roots, i, v)
		if (json_is_string(v) && (*below = part_below(path, json_string_value(v))) != NULL)
			return json_string_value(v);
	return NULL;
}

static int open_source(const struct attempt *a, const char *from, struct err *e)
{
	CLEANUP(freep) char *path = from[0] == '/' ? xstrdup(from) : xprintf("%s/%s", a->tree ? a->tree : a->workspace, from);
	const char *top = a->workspace, *below = part_below(path, top);

	if (!below)
		top = find_root(a, path, &below);
	if (!top)
		return err_set(e, ERR_INPUT, "publish: '%s' lies neither in the workspace nor below one of the roots in "
			       "config { jobs = { roots = { … } } }", from);
	CLEANUP(fd_closep) int at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = at < 0 ? -1 : open_beneath(at, below, O_RDONLY | O_DIRECTORY);
	if (fd >= 0)
		return fd;
	if (errno == EXDEV)
		return err_set(e, ERR_INPUT, "publish: '%s' leads out of %s by a symbolic link", from, top);
	return err_set(e, ERR_INPUT, "publish: '%s': %s", from, strerror(errno));
}

/* Make the folders of PATH below DIRFD one by one, following nothing out; an owned descriptor of the last. */
static int make_beneath(int dirfd, const char *path, struct err *e)
{
	CLEANUP(fd_closep) int at = open_beneath(dirfd, ".", O_RDONLY | O_DIRECTORY);
	struct slice part, rest = slice_of(path);

	while (at >= 0 && rest.len) {
		slice_cut(rest, '/', &part, &rest);
		if (!part.len)
			continue;
		CLEANUP(freep) char *name = slice_dup(part);
		if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
			return err_errno(e, "publish: mkdir %s", path);
		int next = open_beneath(at, name, O_RDONLY | O_DIRECTORY);
		if (next < 0 && errno == EXDEV)
			return err_set(e, ERR_INPUT, "publish: %s leads out of its root by a symbolic link", path);
		if (next < 0 && (errno == ENOTDIR || errno == ELOOP))
			return err_set(e, ERR_INPUT, "publish: %s is no folder", path);
		close(at);
		at = next;
	}
	return at < 0 ? err_errno(e, "publish: %s", path) : fd_take(&at);
}

static int has_dots(const char *path)
{
	struct slice part, rest = slice_of(path);

	while (rest.len) {
		slice_cut(rest, '/', &part, &rest);
		if (slice_eq(part, SLICE(".")) || slice_eq(part, SLICE("..")))
			return 1;
	}
	return 0;
}

/* Where DEST lies: the parent folder's descriptor (made where missing), its last name, and its folder of releases. */
struct target { int parent, releases; char *name; };

static void target_fini(struct target *t)
{
	fd_closep(&t->parent);
	fd_closep(&t->releases);
	freep(&t->name);
}

static int target_open(struct attempt *a, const char *dest, struct target *t, struct err *e)
{
	const char *below, *root = find_root(a, dest, &below);

	*t = (struct target){ -1, -1, NULL };
	if (dest[0] != '/')
		return err_set(e, ERR_INPUT, "publish: '%s' is not an absolute path", dest);
	if (!root)
		return err_set(e, ERR_INPUT, "publish: '%s' is below none of the roots in config { jobs = { roots = { … } } }", dest);
	CLEANUP(freep) char *path = xstrdup(below);
	for (size_t n = strlen(path); n && path[n - 1] == '/'; n--)
		path[n - 1] = '\0';
	if (!*path || has_dots(path))
		return err_set(e, ERR_INPUT, "publish: '%s' names no folder below the root %s", dest, root);
	const char *slash = strrchr(path, '/'), *last = slash ? slash + 1 : path;
	if (dir_make(root, 0755, e) < 0)
		return -1;
	CLEANUP(fd_closep) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "publish: root %s", root);
	CLEANUP(freep) char *parent = slice_dup((struct slice){ path, (size_t)(last - path) }), *folder = xprintf("%s.releases", last);
	t->name = xstrdup(last);
	t->parent = make_beneath(fd, parent, e);
	t->releases = t->parent < 0 ? -1 : make_beneath(t->parent, folder, e);
	return t->releases < 0 ? -1 : 0;
}

/* ---- copying ---- */

struct copying {
	struct attempt *a;
	struct published *count;
	char *bytes;
	int top;                        /* of what is copied */
	struct buf path;                /* of the folder being copied, below top; "" or with a slash at its end */
	int64_t told_ms;
};

static void tell(struct copying *c)
{
	int64_t now = mono_ms();

	if (now - c->told_ms < PROGRESS_MS)
		return;
	c->told_ms = now;
	journal_progress(c->a->w, c->a->step, c->count->files, 0, SLICE("files"));
}

static int copy_file(struct copying *c, int from, int to, const char *name, const struct stat *st, struct err *e)
{
	CLEANUP(fd_closep) int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(fd_closep) int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, st->st_mode & 0111 ? 0755 : 0644);
	ssize_t n;

	if (in < 0 || out < 0)
		return err_errno(e, "%s", name);
	while ((n = read(in, c->bytes, COPY_BYTES)) > 0) {
		if (fd_write_all(out, (struct slice){ c->bytes, (size_t)n }) < 0)
			return err_errno(e, "%s", name);
		c->count->bytes += n;
		if (n == COPY_BYTES && attempt_is_stopped(c->a))
			return err_set(e, ERR_UNAVAIL, "stopped");
	}
	if (n < 0)
		return err_errno(e, "%s", name);
	c->count->files++;
	tell(c);
	return 0;
}

/* A link goes along where it cannot lead out of what is published: it has no ".." at all, or leads, from where it stands, to
 * something that is in there. */
static int copy_link(struct copying *c, int from, int to, const char *name, struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return err_errno(e, "%s", name);
	target[n] = '\0';
	int is_within = target[0] != '/';
	if (is_within && has_dots(target)) {
		CLEANUP(freep) char *path = xprintf("%s%s", buf_cstr(&c->path), target);
		CLEANUP(fd_closep) int there = open_beneath(c->top, path, O_PATH);
		is_within = there >= 0;
	}
	if (!is_within)
		return err_set(e, ERR_INPUT, "the link %s leads to %s: only links within the folder are published", name, target);
	return symlinkat(target, to, name) < 0 ? err_errno(e, "%s", name) : 0;
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct err *e);

static int copy_below(struct copying *c, int from, int to, const char *name, int depth, struct err *e)
{
	size_t len = c->path.len;

	if (mkdirat(to, name, 0755) < 0)
		return err_errno(e, "mkdir %s", name);
	CLEANUP(fd_closep) int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(fd_closep) int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 || out < 0)
		return err_errno(e, "%s", name);
	buf_adds(&c->path, name);
	buf_addc(&c->path, '/');
	int result = copy_folder(c, in, out, depth + 1, e);
	if (result == 0)
		c->path.len = len;                      /* else it says where */
	return result;
}

static int copy_entry(struct copying *c, int from, int to, const char *name, int depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name, &st, e);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, from, to, name, e);
	if (S_ISDIR(st.st_mode))
		return copy_below(c, from, to, name, depth, e);
	return err_set(e, ERR_INPUT, "%s is neither a file, a folder nor a link", name);
}

/* Each entry of the folder FD, by name. Stops at the first that says -1. */
static int each_entry(int fd, int (*go)(const char *name, void *arg), void *arg, struct err *e)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!d)
		return err_errno(e, "folder");
	while (r == 0 && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = go(entry->d_name, arg);
	closedir(d);
	return r;
}

struct copy_step { struct copying *c; int from, to, depth; struct err *e; };

static int copy_one(const char *name, void *arg)
{
	struct copy_step *s = arg;

	if (attempt_is_stopped(s->c->a))
		return err_set(s->e, ERR_UNAVAIL, "stopped");
	if (s->depth == 0 && strcmp(name, ".git") == 0)
		return 0;
	return copy_entry(s->c, s->from, s->to, name, s->depth, s->e);
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct err *e)
{
	struct copy_step s = { c, from, to, depth, e };

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "folders are nested deeper than %d", DEPTH_MAX);
	return each_entry(from, copy_one, &s, e);
}

/* ---- releases ---- */

static int lock_releases(struct attempt *a, const struct target *t, struct err *e)
{
	int64_t until = mono_ms() + LOCK_MS;

	while (flock(t->releases, LOCK_EX | LOCK_NB) < 0) {
		struct pollfd p = { a->in.control_fd, POLLIN, 0 };
		if (mono_ms() > until)
			return err_set(e, ERR_UNAVAIL, "publish: another job has been switching %s for %d s", t->name, LOCK_MS / 1000);
		if (poll(&p, 1, LOCK_LOOK_MS) < 0 && errno != EINTR)
			return err_errno(e, "poll");
		if (attempt_is_stopped(a))
			return err_set(e, ERR_UNAVAIL, "publish: stopped");
	}
	return 0;
}

/* The rest are under that lock. */

static int switch_link(const struct target *t, const char *release, struct err *e)
{
	CLEANUP(freep) char *to = xprintf("%s.releases/%s", t->name, release), *tmp = xprintf(".%s.switch", t->name);
	struct stat st;

	if (fstatat(t->parent, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
		return err_set(e, ERR_INPUT, "publish: %s is there already and is no link made by publish: move it away first", t->name);
	unlinkat(t->parent, tmp, 0);                    /* of one that died right here */
	if (symlinkat(to, t->parent, tmp) < 0 || renameat(t->parent, tmp, t->parent, t->name) < 0 || fsync(t->parent) < 0)
		return err_errno(e, "publish: switch %s", t->name);
	return 0;
}

static void current_release(const struct target *t, char out[RELEASE_BYTES])
{
	CLEANUP(freep) char *prefix = xprintf("%s.releases/", t->name);
	char target[512];
	ssize_t n = readlinkat(t->parent, t->name, target, sizeof target);
	struct slice s = { target, n > 0 ? (size_t)n : 0 };

	out[0] = '\0';
	if (slice_starts(s, slice_of(prefix)))
		snprintf(out, RELEASE_BYTES, SLICE_FMT, SLICE_ARG(slice_from(s, strlen(prefix))));
}

struct release { int64_t job, attempt, number; char name[RELEASE_BYTES]; };
struct releases { int fd; struct release list[RELEASES_MAX]; size_t n; };

/* "7.1", "7.1-2": the second release of one attempt. -1: none of ours. */
static int release_parse(const char *name, struct release *out)
{
	struct slice job, rest, attempt, number;

	*out = (struct release){ 0 };
	if (strlen(name) >= sizeof out->name || !slice_cut(slice_of(name), '.', &job, &rest))
		return -1;
	if (slice_cut(rest, '-', &attempt, &number) && slice_to_i64(number, 0, INT64_MAX, &out->number) < 0)
		return -1;
	if (slice_to_i64(job, 0, INT64_MAX, &out->job) < 0 || slice_to_i64(attempt, 0, INT64_MAX, &out->attempt) < 0)
		return -1;
	snprintf(out->name, sizeof out->name, "%s", name);
	return 0;
}

/* A copy that nobody works on any more. */
static void remove_leftover(int releases, const char *name)
{
	CLEANUP(fd_closep) int fd = openat(releases, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		remove_below(releases, name);
}

static int note_release(const char *name, void *arg)
{
	struct releases *r = arg;

	if (name[0] == '.' && slice_ends(slice_of(name), SLICE(".part")))
		remove_leftover(r->fd, name);
	else if (r->n < RELEASES_MAX && release_parse(name, &r->list[r->n]) == 0)
		r->n++;
	return 0;
}

static int order(int64_t a, int64_t b)
{
	return (a < b) - (a > b);
}

static int newest_first(const void *a, const void *b)
{
	const struct release *x = a, *y = b;
	int by_job = order(x->job, y->job), by_attempt = order(x->attempt, y->attempt);

	return by_job ? by_job : by_attempt ? by_attempt : order(x->number, y->number);
}

/* The newest KEEP stay, and in any case what is in place and what a rollback leads to. */
static void drop_old(int releases, int keep, const struct published *p)
{
	struct releases *r = xcalloc(1, sizeof *r);
	struct err e;

	r->fd = releases;
	if (each_entry(releases, note_release, r, &e) == 0) {
		qsort(r->list, r->n, sizeof *r->list, newest_first);
		for (size_t i = (size_t)keep; i < r->n; i++)
			if (strcmp(r->list[i].name, p->release) != 0 && strcmp(r->list[i].name, p->previous) != 0)
				remove_below(releases, r->list[i].name);
	}
	free(r);
}

/* PART gets the first free name of this attempt. */
static int name_release(const struct attempt *a, int releases, const char *part, struct published *out, struct err *e)
{
	for (int n = 1; n <= SAME_ATTEMPT_MAX; n++) {
		char number[16] = "";
		if (n > 1)
			snprintf(number, sizeof number, "-%d", n);
		snprintf(out->release, sizeof out->release, "%lld.%d%s", (long long)a->in.job, a->in.attempt, number);
		if (faccessat(releases, out->release, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		if (renameat(releases, part, releases, out->release) < 0 || fsync(releases) < 0)
			return err_errno(e, "publish: release %s", out->release);
		return 0;
	}
	return err_set(e, ERR_LIMIT, "publish: one job publishes to one place %d times at the most", SAME_ATTEMPT_MAX);
}

static int put_in_place(struct attempt *a, const struct target *t, const char *part, int keep, struct published *out, struct err *e)
{
	if (lock_releases(a, t, e) < 0)
		return -1;
	current_release(t, out->previous);
	if (name_release(a, t->releases, part, out, e) < 0)
		return -1;
	if (switch_link(t, out->release, e) < 0) {
		remove_below(t->releases, out->release);
		return -1;
	}
	drop_old(t->releases, keep, out);
	return 0;
}

/* Copied, and on disk: one syncfs, for an fsync per file takes seconds where there are thousands. */
static int copy_all(struct attempt *a, int from, int to, struct published *out, struct err *e)
{
	CLEANUP(freep) char *bytes = xmalloc(COPY_BYTES);
	struct copying c = { .a = a, .count = out, .bytes = bytes, .top = from, .path = BUF(64 << 10) };

	int result = copy_folder(&c, from, to, 0, e);
	if (result < 0)
		err_wrap(e, "publish: %s", buf_cstr(&c.path));
	else if (syncfs(to) < 0)
		result = err_errno(e, "publish: sync");
	buf_fini(&c.path);
	return result;
}

int publish_folder(struct attempt *a, const struct publish_options *o, struct published *out, struct err *e)
{
	CLEANUP(target_fini) struct target t = { -1, -1, NULL };
	struct published p = { 0 };

	assert(o->keep > 0);
	CLEANUP(fd_closep) int from = open_source(a, o->from, e);
	if (from < 0 || target_open(a, o->dest, &t, e) < 0)
		return -1;
	CLEANUP(freep) char *part = xprintf(".%lld.%d.part", (long long)a->in.job, a->in.attempt);
	CLEANUP(fd_closep) int to = make_beneath(t.releases, part, e);
	if (to < 0)
		return -1;
	if (flock(to, LOCK_EX | LOCK_NB) < 0)
		return err_errno(e, "publish: %s.releases/%s", t.name, part);
	if (copy_all(a, from, to, &p, e) < 0 || put_in_place(a, &t, part, o->keep, &p, e) < 0) {
		remove_below(t.releases, part);
		return -1;
	}
	*out = p;
	return 0;
}

int publish_rollback(struct attempt *a, const char *dest, const char *from, const char *to, struct err *e)
{
	CLEANUP(target_fini) struct target t = { -1, -1, NULL };
	char current[RELEASE_BYTES];

	if (target_open(a, dest, &t, e) < 0 || lock_releases(a, &t, e) < 0)
		return -1;
	current_release(&t, current);
	if (strcmp(current, from) != 0)
		return err_set(e, ERR_INPUT, "rollback: %s has release %s by now, not %s of this job", dest, current[0] ? current : "(none)", from);
	if (faccessat(t.releases, to, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(e, ERR_INPUT, "rollback: release %s of %s is no more: raise keep", to, dest);
	return switch_link(&t, to, e);
}
