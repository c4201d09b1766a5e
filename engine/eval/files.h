/* eval/files.h - the Lua texts of a user's directory, read within bounds. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "eval/salvage.h"
#include "rules/diag.h"

#define EVAL_MAX_FILE_BYTES (1 << 20)
#define EVAL_MAX_FILES 2000

enum eval_role { EVAL_SETTINGS, EVAL_RULES, EVAL_MODULE, EVAL_PROVIDER };
struct places;
struct eval_file {
	enum eval_role role;
	char *path;                     /* "rules/docs.lua" */
	char *name;                     /* "docs" */
	struct buf text;                /* valid UTF-8 without NUL, or the file is left out */
	struct buf readable;            /* not empty: what Lua is given in its place, without what it could not read (salvage.h) */
	struct salvage_lost lost;
	int is_builtin;
	struct places *places;          /* eval.c's; ended with the file */
};
struct eval_files {
	struct eval_file *list;         /* by role, then by path */
	size_t n;
};

/* What cannot be used is said in DIAGS and left out. 0, or -1: there is no directory DIR (ERR_INPUT), or it cannot be read. */
int eval_files_read(const char *dir, struct eval_files *out, struct diags *diags, struct err *e) MUST_USE;
void eval_files_fini(struct eval_files *f);
const struct eval_file *eval_files_find(const struct eval_files *f, enum eval_role role, const char *name);
