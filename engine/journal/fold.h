/* journal/fold.h - from what a program prints for a terminal to plain lines: UTF-8 repaired, '\r' and erase-line folded
 * (a progress bar becomes its last state), escapes dropped save SGR (ESC [ … m) and OSC 8 links to http, https and
 * mailto, other control bytes dropped save tabs. Pure; one owner. */
#pragma once
#include "base/buf.h"

#define FOLD_LINE_MAX (64 << 10)        /* bytes; a longer line is handed on in pieces */
#define FOLD_SEQUENCE_MAX 4096

struct fold {
	struct buf line;                /* the unfinished line */
	struct buf sequence;            /* an escape sequence in the middle, from its ESC on */
	char carry[4];                  /* a cut UTF-8 sequence */
	int n_carry;
	int at_start;                   /* after '\r': the next text replaces the line */
};
/* LINE is whole when is_ended; else the piece of a line longer than the bound. Borrowed for the call. */
typedef void fold_line_fn(struct slice line, int is_ended, void *arg);

void fold_init(struct fold *f);
void fold_fini(struct fold *f);
void fold_feed(struct fold *f, struct slice raw, fold_line_fn *on_line, void *arg);
/* The stream ended: what is left becomes a last line, if there is any. */
void fold_end(struct fold *f, fold_line_fn *on_line, void *arg);
