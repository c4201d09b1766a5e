/* front/replay.h - a delivery that is kept, matched anew by the rules in force: a new delivery, which names the one that it
 * repeats. On the loop's thread. */
#pragma once
#include "front/ask.h"

/* POST …/deliveries/{id}/replay?rule=&dry_run=; an Idempotency-Key makes a second request a duplicate of the first. */
void replay_delivery(const struct call *c);
