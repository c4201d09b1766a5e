/* front/explain.h - why the rules that listen to a kept delivery do or do not fire: every condition, what it wanted, what was there,
 * where it is written (rules/explain.c). Nothing is changed by asking. */
#pragma once
#include "front/ask.h"

#define EXPLAIN_WAITING_MAX 8           /* at once; then 503 */
#define EXPLAIN_MAX_BYTES (4 << 20)     /* of an answer; rules past it are counted, not told */

struct explain;
/* FOLDER (state/rulesets) is borrowed. */
struct explain *explain_new(int folder_dirfd);
void explain_stop(struct explain *x);           /* what is asked goes back to its loop; nothing may come after */
void explain_free(struct explain *x);           /* after the loops have ended; NULL is fine for both */

/* POST …/deliveries/{id}/explain?ruleset=&rule=&file=&text=&colour=. On the loop's thread. */
void explain_delivery(const struct call *c);
