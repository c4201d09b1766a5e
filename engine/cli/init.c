/* cli/init.c - pushrod init: a directory to begin with, that runs as it is. What is there is never written over: whoever has a
 * site only lacks the types for the editor, which follow the program and may be made anew at any time. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "cli/options.h"
#include "cli/site.h"
#include "rules/reference.h"
#include "starter.inc"

#define SECRET_BYTES 20

struct starter_file {
	const char *path;
	const char *text;               /* NULL: made, see text_of */
	mode_t mode;
};
static const struct starter_file files[] = {
	{ "pushrod.lua", starter_pushrod_lua, 0666 },
	{ "rules/hello.lua", starter_rules_hello_lua, 0666 },
	{ ".luarc.json", starter_luarc_json, 0666 },
	{ ".gitignore", starter_gitignore, 0666 },
	{ "types/pushrod.lua", NULL, 0666 },
	{ "secrets/github", NULL, 0600 },
};
static const struct { const char *path; mode_t mode; } folders[] = { { "rules", 0777 }, { "types", 0777 }, { "secrets", 0700 } };

static int is_types(const struct starter_file *f)
{
	return strcmp(f->path, "types/pushrod.lua") == 0;
}

/* The commands in the comments name this very directory. */
static void add_text(struct slice text, const char *dir, struct buf *out)
{
	for (ptrdiff_t at; (at = slice_find(text, SLICE("SITE"))) >= 0; text = slice_from(text, (size_t)at + 4)) {
		buf_add(out, slice_upto(text, (size_t)at));
		buf_adds(out, dir);
	}
	buf_add(out, text);
}

static void text_of(const struct starter_file *f, const char *dir, struct buf *out)
{
	unsigned char random[SECRET_BYTES];

	if (is_types(f)) {
		reference_types(out);
	} else if (f->text) {
		add_text(slice_of(f->text), dir, out);
	} else {
		if (getrandom(random, sizeof random, 0) != sizeof random)
			abort();
		hex_add(out, (struct slice){ (const char *)random, sizeof random });
		buf_addc(out, '\n');
	}
}

/* Open for writing, or -1: it is there already, or cannot be made. */
static int create(int dir_fd, const struct starter_file *f, int may_replace, struct err *e)
{
	int how = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (may_replace ? O_TRUNC : O_EXCL);
	int fd = openat(dir_fd, f->path, how, f->mode);

	return fd < 0 ? err_errno(e, "%s", f->path) : fd;
}

static int write_one(int dir_fd, const char *dir, const struct starter_file *f, int may_replace, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	CLEANUP(fd_closep) int fd = create(dir_fd, f, may_replace, e);

	if (fd < 0)
		return -1;
	text_of(f, dir, &text);
	return fd_write_all(fd, buf_slice(&text)) < 0 ? err_errno(e, "%s", f->path) : 0;
}

static int make_folders(int dir_fd, struct err *e)
{
	for (size_t i = 0; i < COUNT(folders); i++)
		if (mkdirat(dir_fd, folders[i].path, folders[i].mode) < 0 && errno != EEXIST)
			return err_errno(e, "%s", folders[i].path);
	return 0;
}

static int refuse_existing(const struct command *self, const char *dir, int dir_fd)
{
	int n = 0;

	for (size_t i = 0; i < COUNT(files); i++) {
		if (faccessat(dir_fd, files[i].path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (n++ == 0)
			fprintf(stderr, "pushrod %s: nothing was written, as there is already:\n", self->name);
		fprintf(stderr, "  %s/%s\n", dir, files[i].path);
	}
	if (n)
		fprintf(stderr, "'pushrod init --types %s' makes the types for the editor anew, and nothing else\n", dir);
	return n;
}

static void tell(const char *dir)
{
	for (size_t i = 0; i < COUNT(files); i++)
		printf("%s/%s\n", dir, files[i].path);
	fprintf(stderr, "\nnext:\n"
			"  pushrod check %s\n"
			"  pushrod serve %s\n"
			"  pushrod simulate github push --site %s     # in another terminal, then: pushrod watch\n", dir, dir, dir);
}

static int write_all(const struct command *self, const char *dir, int only_types, struct err *e)
{
	if (dir_make(dir, 0777, e) < 0)
		return EXIT_FAILED;
	CLEANUP(fd_closep) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		err_errno(e, "%s", dir);
		return EXIT_FAILED;
	}
	if (!only_types && refuse_existing(self, dir, dir_fd)) {
		e->msg[0] = '\0';
		return EXIT_FAILED;
	}
	if (make_folders(dir_fd, e) < 0)
		return EXIT_FAILED;
	for (size_t i = 0; i < COUNT(files); i++)
		if ((!only_types || is_types(&files[i])) && write_one(dir_fd, dir, &files[i], only_types, e) < 0)
			return EXIT_FAILED;
	if (!only_types)
		tell(dir);
	return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *word = NULL;
	int only_types = 0, code;
	struct err e;
	const struct option_spec specs[] = { { "types", 0, NULL, &only_types }, { 0 } };

	if (options_parse(self, argc, argv, specs, &word, 1, &code) < 0)
		return code;
	code = write_all(self, site_dir(word), only_types, &e);
	if (code && e.msg[0])
		fprintf(stderr, "pushrod %s: %s\n", self->name, e.msg);
	return code;
}

const struct command cmd_init = {
	"init", "[DIR] [--types]", "write a first directory: settings, a rule, a secret, types for the editor",
	"      --types  only types/pushrod.lua, anew: after an upgrade\n"
	"\n"
	"DIR is made where it is not there ($PUSHROD_SITE, else the current folder). Nothing that exists is written over.\n",
	run,
};
