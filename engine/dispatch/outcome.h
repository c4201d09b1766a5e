/* dispatch/outcome.h - what an attempt leaves besides its result: outputs and emitted events. The job process writes them
 * as the last event of its own (journal/event.h, `outcome`), so that they are as safe as its log, and are found again
 * whoever settles the attempt. Blocking file I/O; the desk's thread. */
#pragma once
#include "base/err.h"

struct finish;
/* Fills outputs_json and emits of R, whose result says which attempt of which length; they stay empty where its journal holds
 * none. -1: the journal cannot be read (ERR_IO). */
int outcome_read(int journals_dirfd, struct finish *r, struct err *e) MUST_USE;
