/* front/shelf.c - a folder of bundles and a short list, the last used first. */
#include "front/shelf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "rules/ruleset.h"

struct shelf {
	int folder_dirfd;
	struct ruleset *list[SHELF_AT_HAND];    /* NULL at the end where it is not full */
};

struct shelf *shelf_new(int folder_dirfd)
{
	struct shelf *s = xcalloc(1, sizeof *s);
	s->folder_dirfd = folder_dirfd;
	return s;
}

void shelf_free(struct shelf *s)
{
	for (size_t i = 0; s && i < SHELF_AT_HAND; i++)
		if (s->list[i])
			ruleset_unref(s->list[i]);
	free(s);
}

static void to_front(struct shelf *s, size_t at)
{
	struct ruleset *rs = s->list[at];
	memmove(s->list + 1, s->list, at * sizeof *s->list);
	s->list[0] = rs;
}

/* RS is taken. */
static void keep_at_hand(struct shelf *s, struct ruleset *rs)
{
	struct ruleset *last = s->list[SHELF_AT_HAND - 1];

	memmove(s->list + 1, s->list, (SHELF_AT_HAND - 1) * sizeof *s->list);
	s->list[0] = rs;
	if (last)
		ruleset_unref(last);
}

static struct ruleset *find_at_hand(struct shelf *s, const char *sha256)
{
	for (size_t i = 0; i < SHELF_AT_HAND && s->list[i]; i++)
		if (strcmp(ruleset_sha256(s->list[i]), sha256) == 0) {
			to_front(s, i);
			return s->list[0];
		}
	return NULL;
}

static int put(struct shelf *s, struct slice bundle, struct ruleset *rs, struct err *e)
{
	const char *name = ruleset_sha256(rs);

	/* a file under this name is whole, and was synced with its folder: it was renamed to it */
	if (faccessat(s->folder_dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
	    file_write_durable(s->folder_dirfd, name, bundle, 0600, e) < 0)
		return err_wrap(e, "rulesets");
	if (!find_at_hand(s, name))
		keep_at_hand(s, ruleset_ref(rs));
	return 0;
}

/* The first error in one line: where, and what. */
static int say_first(const struct diags *diags, struct err *e)
{
	for (size_t i = 0; i < diags->n; i++) {
		const struct diag *d = &diags->list[i];
		if (d->severity == DIAG_ERROR)
			return err_set(e, ERR_INPUT, "%s:%d:%d: %s%s", d->file ? d->file : "", d->line, d->col, d->text,
				       diags->errors > 1 ? " (and more)" : "");
	}
	return err_set(e, ERR_INPUT, "the rule set is refused without a reason");
}

int shelf_take(struct shelf *s, int bundle_fd, struct ruleset **out, struct buf *why, struct err *e)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUNDLE_MAX_BYTES);
	CLEANUP(diags_fini) struct diags diags = { 0 };
	struct ruleset *rs;

	if (!memfd_is_sealed(bundle_fd, BUNDLE_MAX_BYTES))
		return err_set(e, ERR_BUG, "the bundle is not a sealed memfd of at most %d bytes", BUNDLE_MAX_BYTES);
	if (lseek(bundle_fd, 0, SEEK_SET) < 0 || fd_read_all(bundle_fd, &bundle, e) < 0)
		return err_wrap(e, "bundle");
	*e = (struct err){ 0 };
	int r = ruleset_compile(buf_slice(&bundle), &rs, &diags, e);
	if (diags.errors)
		diags_keep_errors(&diags);
	if (why)
		diags_print(&diags, why, 0);
	if (r < 0)
		return e->kind ? -1 : say_first(&diags, e);
	if (put(s, buf_slice(&bundle), rs, e) < 0) {
		ruleset_unref(rs);
		return -1;
	}
	*out = rs;
	return 0;
}

static int is_sha256(const char *name)
{
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

struct ruleset *shelf_find(struct shelf *s, const char *sha256, struct err *e)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUNDLE_MAX_BYTES);
	CLEANUP(diags_fini) struct diags diags = { 0 };
	struct ruleset *rs = find_at_hand(s, sha256);
	char digest[65];

	if (rs)
		return ruleset_ref(rs);
	if (!is_sha256(sha256)) {
		err_set(e, ERR_INPUT, "'%s' names no rule set", sha256);
		return NULL;
	}
	if (file_read(s->folder_dirfd, sha256, &bundle, e) < 0) {
		err_wrap(e, "rule set");
		return NULL;
	}
	sha256_hex(buf_slice(&bundle), digest);
	if (strcmp(digest, sha256) != 0) {
		err_set(e, ERR_IO, "rule set %.12s on disk is not what was written", sha256);
		return NULL;
	}
	*e = (struct err){ 0 };
	if (ruleset_compile(buf_slice(&bundle), &rs, &diags, e) < 0) {
		if (!e->kind)
			say_first(&diags, e);
		err_wrap(e, "rule set %.12s does not compile any more", sha256);
		return NULL;
	}
	keep_at_hand(s, ruleset_ref(rs));
	return rs;
}

enum shelf_name shelf_name_is(const char *name)
{
	struct slice whole = slice_of(name);

	if (is_sha256(name))
		return SHELF_RULESET;
	return slice_ends(whole, SLICE(".tmp")) && whole.len > 65 && name[64] == '.' &&
	       strspn(name, "0123456789abcdef") == 64 ? SHELF_TORN : SHELF_FOREIGN;
}

int shelf_folder(const struct shelf *s)
{
	return s->folder_dirfd;
}

int shelf_drop(struct shelf *s, const char *name)
{
	return unlinkat(s->folder_dirfd, name, 0);
}
