/* eval/files.c - pushrod.lua, rules/, plugins/ and plugins/providers/, and after the user's own providers those that are built
 * in, as far as no file of that name takes their place. */
#include "eval/files.h"

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
#include "base/utf8.h"
#include "eval/builtin.h"
#include "eval/places.h"

struct reading {
	struct eval_files *files;
	struct diags *diags;
	int dir_fd, is_full;
};

static PRINTF(3, 4) void complain(struct diags *d, const char *path, const char *fmt, ...)
{
	va_list ap;
	CLEANUP(freep) char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	diags_add(d, DIAG_ERROR, path, 0, 0, 0, "E010", "%s", text);
}

/* Where the first byte stands that is no part of a text. */
static int check_bytes(const struct eval_file *f, struct diags *d)
{
	struct slice s = buf_slice(&f->text);
	int line = 1, col = 1;

	if (slice_starts(s, SLICE("\xef\xbb\xbf"))) {
		diags_add(d, DIAG_ERROR, f->path, 1, 1, 0, "E010",
			  "begins with a byte order mark, which is no part of a Lua text: save it as UTF-8 without one");
		return -1;
	}
	while (s.len) {
		uint32_t code;
		size_t n = utf8_next(s, &code);
		if (n == 0 || code == 0) {
			diags_add(d, DIAG_ERROR, f->path, line, col, 0, "E010",
				  n ? "a NUL byte is no part of a Lua text" : "this byte is not UTF-8");
			return -1;
		}
		line += code == '\n';
		col = code == '\n' ? 1 : col + (int)n;
		s = slice_from(s, n);
	}
	return 0;
}

/* A link may lead to another file of the directory. What it shows of a file elsewhere, a line in an error would be enough, is
 * nothing that whoever writes rules should decide. */
static int open_beneath(int dir_fd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_BENEATH };
	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

static int read_text(struct reading *r, struct eval_file *f)
{
	struct err e;
	struct stat st;
	CLEANUP(fd_closep) int fd = open_beneath(r->dir_fd, f->path);

	if (fd < 0 && errno == EXDEV) {
		complain(r->diags, f->path, "leads out of the directory by a symbolic link");
		return -1;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		complain(r->diags, f->path, "cannot be read: %s", strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		complain(r->diags, f->path, "is not a regular file");
		return -1;
	}
	f->text = BUF(EVAL_MAX_FILE_BYTES);
	if (fd_read_all(fd, &f->text, &e) < 0) {
		complain(r->diags, f->path, "%s", e.kind == ERR_LIMIT ? "is larger than 1 MiB" : e.msg);
		return -1;
	}
	return check_bytes(f, r->diags);
}

static void file_fini(struct eval_file *f)
{
	places_free(f->places);
	buf_fini(&f->readable);
	salvage_lost_fini(&f->lost);
	free(f->path);
	free(f->name);
	buf_fini(&f->text);
}

static struct eval_file *add(struct eval_files *files, const struct eval_file *f)
{
	files->list = xrealloc(files->list, (files->n + 1) * sizeof *files->list);
	files->list[files->n] = *f;
	return &files->list[files->n++];
}

/* PATH and NAME are taken. */
static void add_file(struct reading *r, enum eval_role role, char *path, char *name)
{
	struct eval_file f = { .role = role, .path = path, .name = name };

	if (r->files->n == EVAL_MAX_FILES && !r->is_full) {
		r->is_full = 1;
		complain(r->diags, path, "there are more than %d files", EVAL_MAX_FILES);
	}
	if (!r->is_full && read_text(r, &f) == 0)
		add(r->files, &f);
	else
		file_fini(&f);
}

static int is_lua(const struct dirent *d)
{
	struct slice name = slice_of(d->d_name);
	return name.ptr[0] != '.' && slice_ends(name, SLICE(".lua")) && name.len > 4;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* A folder that is not there holds nothing. */
static void read_folder(struct reading *r, enum eval_role role, const char *folder)
{
	struct dirent **names = NULL;
	int n = scandirat(r->dir_fd, folder, &names, is_lua, by_name);

	if (n < 0 && errno != ENOENT)
		complain(r->diags, folder, "cannot be read: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		struct slice name = slice_of(names[i]->d_name);
		add_file(r, role, xprintf("%s/%s", folder, names[i]->d_name), slice_dup(slice_upto(name, name.len - 4)));
		free(names[i]);
	}
	free(names);
}

static void add_builtins(struct eval_files *files)
{
	for (size_t i = 0; i < eval_builtin_count; i++) {
		const struct eval_builtin *b = &eval_builtins[i];
		if (eval_files_find(files, EVAL_PROVIDER, b->name))
			continue;
		struct eval_file *f = add(files, &(struct eval_file){
			.role = EVAL_PROVIDER, .name = xstrdup(b->name), .is_builtin = 1, .text = BUF(BUF_UNLIMITED),
			.path = xprintf("plugins/providers/%s.lua", b->name) });
		buf_add(&f->text, (struct slice){ (const char *)b->text, b->len });
	}
}

int eval_files_read(const char *dir, struct eval_files *out, struct diags *diags, struct err *e)
{
	CLEANUP(fd_closep) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct reading r = { out, diags, dir_fd, 0 };

	if (dir_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return err_set(e, ERR_INPUT, "there is no directory '%s'", dir);
	if (dir_fd < 0)
		return err_errno(e, "%s", dir);
	*out = (struct eval_files){ 0 };
	if (faccessat(dir_fd, "pushrod.lua", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		add_file(&r, EVAL_SETTINGS, xstrdup("pushrod.lua"), xstrdup("pushrod"));
	read_folder(&r, EVAL_RULES, "rules");
	read_folder(&r, EVAL_MODULE, "plugins");
	read_folder(&r, EVAL_PROVIDER, "plugins/providers");
	add_builtins(out);
	return 0;
}

void eval_files_fini(struct eval_files *f)
{
	for (size_t i = 0; i < f->n; i++)
		file_fini(&f->list[i]);
	free(f->list);
	*f = (struct eval_files){ 0 };
}

const struct eval_file *eval_files_find(const struct eval_files *f, enum eval_role role, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].role == role && strcmp(f->list[i].name, name) == 0)
			return &f->list[i];
	return NULL;
}
