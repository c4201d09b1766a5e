/* eval/eval.h - a user's directory becomes the bundle of rules/ruleset.h: every file's declarations as data, the texts of its
 * modules, the providers, and all that is wrong. One thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define EVAL_MAX_BUNDLE_BYTES (32 << 20)
#define EVAL_DEADLINE_S 9               /* of the role; its parent waits a little longer (wire/evaluate.h) */

/* In this process, with no bound on time but the count of Lua's steps. Appends to BUNDLE. Mistakes in files are in the
 * bundle's diags, and that is a success; -1: no directory DIR (ERR_INPUT), unreadable (ERR_IO), or the bundle would pass
 * EVAL_MAX_BUNDLE_BYTES (ERR_LIMIT). */
int eval_directory(const char *dir, struct buf *bundle, struct err *e) MUST_USE;

/* The role: `pushrod @eval DIR`, descriptor 3 the writing end of a pipe. Exit 0: the bundle was written to it, past the deadline
 * one of that mistake alone; 1: one line that says why there is none. */
int eval_main(int argc, char **argv);
