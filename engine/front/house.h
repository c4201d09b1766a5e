/* front/house.h - keeping house: once a minute rows past their age go, and their journals after them; at start journals whose
 * rows are gone are swept; and rule sets that nothing names any more. One owner, the desk's thread. */
#pragma once
#include <stdint.h>

struct config;
struct edition;
struct house;
struct mailbox;
struct shelf;
struct store;

/* All borrowed. Answers of the store come through MAIL. */
struct house *house_new(struct store *store, int journals_dirfd, struct shelf *shelf, struct mailbox *mail);
/* ED (borrowed: the house takes a reference of its own) came into force. Rule sets of earlier ones stay on disk until nobody
 * else holds such an edition, and nothing in the store names the set. */
void house_put_edition(struct house *h, struct edition *ed);
void house_stop(struct house *h);               /* asks the store nothing more, drops nothing more */
void house_free(struct house *h);               /* the store must be closed; NULL is fine */
/* Do what is due now; returns the mono_ms at which it wants to be called again. */
int64_t house_turn(struct house *h, const struct config *config, int64_t now_mono_ms);
