/* front/loops.h - the loops as a whole: what each has from its start, and what reaches all of them by mail. */
#pragma once
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct edition;
struct front;
struct http_loop;

#define LOOPS_MAX 4

/* For http_options.on_loop_start; ARG is the front. Returns the loop's struct loop. */
void *loops_on_start(struct http_loop *l, void *front);
/* Notices of the store reach every loop from here on. The desk's thread, after http_new, before http_start. */
void loops_watch_store(struct front *f);
/* Each loop gets a reference of ED, and its watchers hear of it where the rule set is another. Before the loops run: a no-op
 * (they begin with front.first_edition). The desk's thread. */
void loops_put_edition(struct front *f, struct edition *ed);
/* What FRAME_EPHEMERAL carries, copied; dropped where the loops are far behind. The desk's thread. */
void loops_post_ephemeral(struct front *f, int64_t job, int attempt, struct slice text);
/* For http_drain: ends the loop's streams. */
void loops_on_drain(struct http_loop *l, void *front);
int loops_count_watchers(struct front *f);              /* any thread; a snapshot */
/* For http_free: ends what the loop has. DATA is its struct loop. */
void loops_on_end(struct http_loop *l, void *data);
