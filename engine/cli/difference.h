/* cli/difference.h - two texts, line by line: what is gone and what has come. Pure. */
#pragma once
#include "base/buf.h"

#define DIFFERENCE_LINES_MAX 2000               /* of each; longer ones are only said to differ */

/* Appends lines that begin with INDENT and "- " (in WANT alone), "+ " (in GOT alone) or "  " (near one of those). */
void difference_add(struct slice want, struct slice got, const char *indent, struct buf *out);
