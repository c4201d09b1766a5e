/* lua/publish.c - releases beside a link that is switched by rename(2), which is atomic.
 *
 * Everything below a root is reached from the root's own descriptor with openat2 (RESOLVE_BENEATH, no magic links), so no
 * symbolic link that a build left behind leads out of it. */
#include "lua/publish.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "lua/remove.h"

#define DEPTH_MAX 64
#define COPY_BYTES (256 << 10)

static int open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	return (int)syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof how);
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
			return err_errno(e, "mkdir %s", path);
		int next = open_beneath(at, name, O_RDONLY | O_DIRECTORY);
		close(at);
		at = next;
	}
	return at < 0 ? err_errno(e, "%s", path) : fd_take(&at);
}

/* Where DEST lies: the parent folder's descriptor (made where missing), and its last name. */
struct target { int parent; char *name; };

static int find_target(struct attempt *a, const char *dest, struct target *out, struct err *e)
{
	const json_t *roots = json_object_get(a->spec, "roots"), *v;
	size_t i;

	if (dest[0] != '/')
		return err_set(e, ERR_INPUT, "publish: '%s' is not an absolute path", dest);
	json_array_foreach(roots, i, v) {
		const char *root = json_string_value(v), *last;
		size_t n = strlen(root);
		while (n > 1 && root[n - 1] == '/')
			n--;
		if (strncmp(dest, root, n) || dest[n] != '/')
			continue;
		CLEANUP(freep) char *below = xstrdup(dest + n + 1);
		for (size_t k = strlen(below); k && below[k - 1] == '/'; k--)
			below[k - 1] = '\0';
		last = strrchr(below, '/') ? strrchr(below, '/') + 1 : below;
		if (!*last || !strcmp(last, ".") || !strcmp(last, ".."))
			return err_set(e, ERR_INPUT, "publish: '%s' names no folder below the root %s", dest, root);
		if (dir_make(root, 0755, e) < 0)
			return -1;
		CLEANUP(fd_closep) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(e, "%s", root);
		CLEANUP(freep) char *parent = slice_dup((struct slice){ below, (size_t)(last - below) });
		out->parent = make_beneath(fd, parent, e);
		out->name = xstrdup(last);
		return out->parent < 0 ? -1 : 0;
	}
	return err_set(e, ERR_INPUT, "publish: '%s' is below none of the roots in config { jobs = { roots = { … } } }", dest);
}

static void target_fini(struct target *t)
{
	fd_closep(&t->parent);
	freep(&t->name);
}

/* ---- copying ---- */

struct copying {
	struct attempt *a;
	struct published *count;
	char *bytes;
};

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
	}
	if (n < 0 || fsync(out) < 0)
		return err_errno(e, "%s", name);
	c->count->files++;
	journal_progress(c->a->w, c->a->step, c->count->files, 0, SLICE("files"));
	return 0;
}

static int copy_link(int from, int to, const char *name, struct err *e)
{
	char target[4096];
	ssize_t n = readlinkat(from, name, target, sizeof target - 1);

	if (n < 0)
		return err_errno(e, "%s", name);
	target[n] = '\0';
	if (target[0] == '/' || strstr(target, ".."))
		return err_set(e, ERR_INPUT, "publish: the link %s leads to %s: only links within the folder are published", name, target);
	return symlinkat(target, to, name) < 0 ? err_errno(e, "%s", name) : 0;
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct err *e);

static int copy_entry(struct copying *c, int from, int to, const char *name, int depth, struct err *e)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "%s", name);
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name, &st, e);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to, name, e);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_INPUT, "publish: %s is neither a file, a folder nor a link", name);
	if (mkdirat(to, name, 0755) < 0)
		return err_errno(e, "mkdir %s", name);
	CLEANUP(fd_closep) int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP(fd_closep) int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (in < 0 || out < 0)
		return err_errno(e, "%s", name);
	if (copy_folder(c, in, out, depth + 1, e) < 0)
		return err_wrap(e, "%s", name);
	return 0;
}

static int is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
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
		if (!is_dots(entry->d_name))
			r = go(entry->d_name, arg);
	closedir(d);
	return r;
}

struct copy_step { struct copying *c; int from, to, depth; struct err *e; };

static int copy_one(const char *name, void *arg)
{
	struct copy_step *s = arg;

	attempt_listen(s->c->a);
	if (s->c->a->ending == ENDING_CANCEL)
		return err_set(s->e, ERR_UNAVAIL, "cancelled while publishing");
	if (s->depth == 0 && !strcmp(name, ".git"))
		return 0;
	return copy_entry(s->c, s->from, s->to, name, s->depth, s->e);
}

static int copy_folder(struct copying *c, int from, int to, int depth, struct err *e)
{
	struct copy_step s = { c, from, to, depth, e };

	if (depth > DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "publish: folders are nested deeper than %d", DEPTH_MAX);
	if (each_entry(from, copy_one, &s, e) < 0)
		return -1;
	return fsync(to) < 0 ? err_errno(e, "fsync") : 0;
}

/* ---- releases ---- */

static int switch_link(const struct target *t, const char *release, struct err *e)
{
	CLEANUP(freep) char *to = xprintf("%s.releases/%s", t->name, release), *tmp = xprintf(".%s.switch", t->name);
	struct stat st;

	if (fstatat(t->parent, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(st.st_mode))
		return err_set(e, ERR_INPUT, "publish: %s is there already and is no link made by publish: move it away first", t->name);
	unlinkat(t->parent, tmp, 0);
	if (symlinkat(to, t->parent, tmp) < 0 || renameat(t->parent, tmp, t->parent, t->name) < 0 || fsync(t->parent) < 0)
		return err_errno(e, "publish: switch %s", t->name);
	return 0;
}

static void current_release(const struct target *t, char out[64])
{
	char target[512];
	ssize_t n = readlinkat(t->parent, t->name, target, sizeof target - 1);
	const char *slash;

	out[0] = '\0';
	if (n <= 0)
		return;
	target[n] = '\0';
	slash = strrchr(target, '/');
	snprintf(out, 64, "%.63s", slash ? slash + 1 : target);
}

struct release { int64_t job, attempt; char name[64]; };
struct releases { struct release list[512]; size_t n; };

static int note_release(const char *name, void *arg)
{
	struct releases *r = arg;
	struct slice job, attempt;
	struct release x;

	if (r->n < COUNT(r->list) && slice_cut(slice_of(name), '.', &job, &attempt) && slice_to_i64(job, 0, INT64_MAX, &x.job) == 0 &&
	    slice_to_i64(attempt, 0, INT64_MAX, &x.attempt) == 0) {
		snprintf(x.name, sizeof x.name, "%s", name);
		r->list[r->n++] = x;
	}
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct release *x = a, *y = b;
	return x->job != y->job ? (x->job < y->job) - (x->job > y->job) : (x->attempt < y->attempt) - (x->attempt > y->attempt);
}

static void drop_old(int releases, int keep, const char *current, const char *previous)
{
	struct releases *r = xcalloc(1, sizeof *r);
	struct err e;

	if (each_entry(releases, note_release, r, &e) == 0) {
		qsort(r->list, r->n, sizeof *r->list, newest_first);
		for (size_t i = (size_t)keep; i < r->n; i++)
			if (strcmp(r->list[i].name, current) && strcmp(r->list[i].name, previous))
				remove_below(releases, r->list[i].name);
	}
	free(r);
}

int publish_folder(struct attempt *a, const struct publish_options *o, struct published *out, struct err *e)
{
	CLEANUP(target_fini) struct target t = { -1, NULL };
	CLEANUP(fd_closep) int from = open(o->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return err_errno(e, "publish: %s", o->from);
	*out = (struct published){ 0 };
	if (find_target(a, o->dest, &t, e) < 0)
		return -1;
	CLEANUP(freep) char *folder = xprintf("%s.releases", t.name);
	CLEANUP(fd_closep) int releases = make_beneath(t.parent, folder, e);
	if (releases < 0)
		return -1;
	current_release(&t, out->previous);
	snprintf(out->release, sizeof out->release, "%lld.%d", (long long)a->in.job, a->in.attempt);
	remove_below(releases, out->release);         /* a second publish of one attempt replaces the first */
	CLEANUP(fd_closep) int to = make_beneath(releases, out->release, e);
	CLEANUP(freep) char *bytes = xmalloc(COPY_BYTES);
	struct copying c = { a, out, bytes };
	if (to < 0 || copy_folder(&c, from, to, 0, e) < 0 || fsync(releases) < 0 || switch_link(&t, out->release, e) < 0) {
		remove_below(releases, out->release);
		return -1;
	}
	drop_old(releases, o->keep, out->release, out->previous);
	return 0;
}

int publish_switch(struct attempt *a, const char *dest, const char *name, struct err *e)
{
	CLEANUP(target_fini) struct target t = { -1, NULL };

	if (find_target(a, dest, &t, e) < 0)
		return -1;
	CLEANUP(freep) char *path = xprintf("%s.releases/%s", t.name, name);
	if (faccessat(t.parent, path, F_OK, 0) < 0)
		return err_errno(e, "publish: release %s", name);
	return switch_link(&t, name, e);
}
