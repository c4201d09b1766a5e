/* base/mailbox.h - the only crossing between threads: a message and its ownership move together.
 * A thread waits on mailbox_fd() (readable while there is mail) and takes all of it at once.
 * Any thread may post; one thread takes. This file holds the only mutex of the program. */
#pragma once
#include <sys/queue.h>

#include "base/mem.h"

struct mail {                                   /* embed as the first member */
	STAILQ_ENTRY(mail) next;
	void (*deliver)(struct mail *m, void *arg);  /* called by mailbox_deliver with the taker's ARG; owns M */
};
STAILQ_HEAD(mail_list, mail);

struct mailbox;

struct mailbox *mailbox_new(void);
void mailbox_free(struct mailbox *mb);          /* must be empty */
int mailbox_fd(const struct mailbox *mb);       /* borrowed; poll for reading */
void mailbox_post(struct mailbox *mb, struct mail *m);               /* M is taken */
void mailbox_post_all(struct mailbox *mb, struct mail_list *list);   /* LIST is left empty; one wake-up */
/* Move all mail to LIST (initialised here), in order of posting; clears the descriptor. Number moved is not told. */
void mailbox_take(struct mailbox *mb, struct mail_list *list);
void mailbox_deliver(struct mailbox *mb, void *arg);                 /* take, then call each mail's deliver */
