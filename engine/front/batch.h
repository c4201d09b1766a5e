/* front/batch.h - the event of a job that took several deliveries in: one push, from where the first began to where the last
 * ended. Pure; any thread. */
#pragma once
#include "base/buf.h"

struct claim;

/* C has merged deliveries. Owned: the newest event with the `before` of the first and the `paths` of all; where one of them does not
 * begin at the commit that the one before it left (a force push), or does not know its own, paths are unknown, and the whole
 * counts as `forced` where one of them was. To BATCH is appended [{"id":delivery, …event…}], oldest first, its own the last, each as
 * it came. */
char *batch_event(const struct claim *c, struct buf *batch);
