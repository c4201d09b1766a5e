/* front/worker.h - a thread beside the loops for what takes longer than a loop may: hashing and matching large bodies,
 * writing a journal out as text. It takes mail, one after the other; what may wait for it is bounded by those who post. */
#pragma once
#include "base/mailbox.h"

struct worker;
struct worker *worker_new(const char *name);            /* at most 15 characters; the thread's name */
/* M is taken; its deliver runs on the worker's thread with arg NULL. Any thread. */
void worker_post(struct worker *w, struct mail *m);
/* Does what was posted before, then ends the thread. Nothing may be posted from then on. NULL is fine. */
void worker_free(struct worker *w);
