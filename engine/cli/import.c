/* cli/import.c - pushrod import: somebody else's configuration becomes a directory of rules. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/plural.h"
#include "cli/adnanh.h"
#include "cli/options.h"
#include "cli/site.h"
#include "cli/yaml_read.h"

#define HOOKS_MAX_BYTES (16 << 20)

static int fault(const struct command *c, const struct err *e)
{
	fprintf(stderr, "pushrod %s: %s\n", c->name, e->msg);
	return EXIT_FAILED;
}

static int is_yaml(const char *path)
{
	struct slice s = slice_of(path);
	return slice_ends(s, SLICE(".yaml")) || slice_ends(s, SLICE(".yml"));
}

static int read_hooks(const char *path, json_t **out, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(HOOKS_MAX_BYTES);
	CLEANUP(fd_closep) int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
	json_error_t bad;

	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fd_read_all(fd, &text, e) < 0)
		return err_wrap(e, "%s", path);
	if (is_yaml(path))
		return yaml_read(buf_slice(&text), out, e) < 0 ? err_wrap(e, "%s", path) : 0;
	*out = json_loadb(text.ptr ? text.ptr : "", text.len, 0, &bad);
	if (*out)
		return 0;
	if (slice_find(buf_slice(&text), SLICE("{{")) >= 0)
		return err_set(e, ERR_INPUT, "%s:%d: it is a template of Go: let the original fill it, then import what comes out", path, bad.line);
	return err_set(e, ERR_INPUT, "%s:%d: %s", path, bad.line, bad.text);
}

/* DIR is made, or is there and empty: nobody's work is written over. */
static int make_folder(const char *dir, struct err *e)
{
	if (dir_make(dir, 0755, e) < 0)
		return -1;
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	while (d && (entry = readdir(d)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	if (!d)
		return err_errno(e, "%s", dir);
	closedir(d);
	return n ? err_set(e, ERR_INPUT, "%s is not empty", dir) : 0;
}

static int write_file(const char *dir, const struct adnanh_file *f, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("%s/%s", dir, f->path), *folder = xstrdup(path);

	*strrchr(folder, '/') = '\0';
	if (dir_make(folder, f->is_secret ? 0700 : 0755, e) < 0)
		return -1;
	return file_write_durable(AT_FDCWD, path, slice_of(f->text), f->is_secret ? 0600 : 0644, e);
}

static int write_all(const struct adnanh *a, const char *dir, struct err *e)
{
	if (make_folder(dir, e) < 0)
		return -1;
	for (size_t i = 0; i < a->n; i++)
		if (write_file(dir, &a->files[i], e) < 0)
			return -1;
	return 0;
}

static int import(const struct command *self, const char *path, const char *dir, const char *prefix)
{
	const char *slash = strrchr(path, '/');
	struct ruleset *rs = NULL;
	json_t *hooks = NULL;
	struct adnanh made;
	struct err e;

	if (read_hooks(path, &hooks, &e) < 0)
		return fault(self, &e);
	int bad = adnanh_convert(hooks, slash ? slash + 1 : path, prefix, &made, &e);
	json_decref(hooks);
	if (bad) {
		err_wrap(&e, "%s", path);
		return fault(self, &e);
	}
	int code = write_all(&made, dir, &e) < 0 ? fault(self, &e) : site_load_or_say(self, dir, &rs);
	if (code == EXIT_OK) {
		fputs(buf_cstr(&made.notes), stderr);
		printf("%s: %zu %s, %zu %s, %zu %s (each is also in its rule's file)\n", dir, made.n_hooks,
		       plural((int64_t)made.n_hooks, "hook", "hooks"), made.n_rules, plural((int64_t)made.n_rules, "rule", "rules"), made.n_notes,
		       plural((int64_t)made.n_notes, "note", "notes"));
	}
	ruleset_unref(rs);
	adnanh_fini(&made);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *words[3] = { NULL, NULL, NULL }, *prefix = "hooks";
	int code;
	const struct option_spec specs[] = { { "prefix", 0, &prefix, NULL }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, 3, &code);

	if (n < 0)
		return code;
	if (n < 3)
		return command_usage(self, "what, from where, to where? pushrod import adnanh hooks.json site");
	if (strcmp(words[0], "adnanh") != 0)
		return command_usage(self, "adnanh (the hooks file of adnanh/webhook) can be imported, '%s' cannot", words[0]);
	return import(self, words[1], words[2], prefix);
}

const struct command cmd_import = {
	"import", "adnanh HOOKS.json|.yaml DIR [--prefix hooks]", "make a directory of rules from another program's configuration",
	"HOOKS is the hooks file of adnanh/webhook, JSON or YAML; DIR is made, and must be empty where it is there. It behaves as the\n"
	"original does; where it cannot, a note says so, on stderr and in the rule's file. A rule that would have to fire without a\n"
	"condition of the original is not enabled.\n"
	"\n"
	"      --prefix PATH  the original's -urlprefix (hooks)\n",
	run,
};
