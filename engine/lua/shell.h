/* lua/shell.h - run one program as a confined step: its outputs to the journal as they come, its time bounded, its whole tree
 * gone at the end. Plain C, raises nothing. One thread. */
#pragma once
#include "lua/attempt.h"

#define SHELL_CAPTURE_MAX (1 << 20)

struct shell_options {
	const char *const *argv;        /* NULL-ended */
	const char *const *env;         /* "K=V" to add to the job's environment, NULL-ended; may be NULL */
	const char *cwd;                /* NULL, or what a relative path starts at: the checkout, else the workspace */
	struct slice stdin_text;
	int64_t timeout_ms;             /* 0: none of its own */
	struct buf *capture;            /* NULL, or where standard output goes as well, up to its maximum */
};
struct shell_result {
	int code;                       /* 128+N for signal N */
	int is_timed_out, is_cancelled;
	int64_t ms;
};
/* -1: it could not be run (ERR_INPUT where the rule is at fault), or the journal cannot be written. */
int shell_run(struct attempt *a, const struct shell_options *o, struct shell_result *out, struct err *e) MUST_USE;
