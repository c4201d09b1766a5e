/* front/bodies.h - bodies that are too large to be judged on a loop: they take a thread beside the loops, one after the other, and
 * no more than so many bytes of them are on their way. What a sender brings and what is replayed share it. */
#pragma once
#include "base/mailbox.h"

#define BODY_LOOP_BYTES (256 << 10)             /* a larger one does not stay on the loop */
#define BODY_WAY_MAX (64u << 20)                /* bytes on their way there and back; what is past it is told to come again */

struct bodies;
struct body_work {                              /* embed it */
	struct mail mail;
	struct mailbox *home;                   /* of the loop that it comes back to */
	void (*judge)(struct body_work *w);     /* on the thread */
	void (*judged)(struct body_work *w);    /* on the loop */
	struct bodies *bodies;                  /* bodies.c's, like what follows */
	size_t bytes;
};

struct bodies *bodies_new(void);
void bodies_stop(struct bodies *b);             /* what is there goes back to its loop; nothing may come after */
void bodies_free(struct bodies *b);             /* after the loops have ended; NULL is fine for both */

/* A place for BYTES: 0, or -1 where there is no room now. Any thread. */
int bodies_reserve(struct bodies *b, size_t bytes) MUST_USE;
/* W (taken) goes there with the place of BYTES that was reserved for it; the place is given back before judged is called. */
void bodies_send(struct bodies *b, size_t bytes, struct body_work *w);
