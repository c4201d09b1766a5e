/* cli/adnanh.h - a hooks file of adnanh/webhook as a directory of rules that behaves as it does, with a note wherever it cannot.
 * Pure: files are handed back as texts. */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define ADNANH_HOOKS_MAX 1000

struct adnanh_file {
	char *path, *text;              /* owned; below the directory */
	int is_secret;                  /* for its owner alone */
};
struct adnanh {
	struct adnanh_file *files;      /* owned */
	size_t n;
	struct buf notes;               /* "hook 'x': what differs\n"… */
	size_t n_hooks, n_rules, n_notes;
};
/* HOOKS: the list, as JSON. NAME: of the file, for comments. PREFIX: the original's -urlprefix, "hooks". 0: *out is owned:
 * adnanh_fini. -1: it is no list of hooks (ERR_INPUT), or of more than ADNANH_HOOKS_MAX (ERR_LIMIT). */
int adnanh_convert(json_t *hooks, const char *name, const char *prefix, struct adnanh *out, struct err *e) MUST_USE;
void adnanh_fini(struct adnanh *a);
