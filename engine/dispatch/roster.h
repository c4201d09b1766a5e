/* dispatch/roster.h - the attempts that the store holds for running, and how far each has come on its way through the
 * runner. It decides nothing that the store decides; it is what the desk must not forget. One owner, one thread.
 *
 *     CLAIMED --START sent--> SENT --RESULT, or lost--> ENDING --store says so--> (gone)
 *        \------------- cancelled, or could not be started -----/ */
#pragma once
#include "base/err.h"
#include "model/job.h"

enum attempt_phase { ATTEMPT_CLAIMED = 1, ATTEMPT_SENT, ATTEMPT_ENDING };

struct attempt {
	int64_t job;
	int attempt;
	enum attempt_phase phase;
	int is_listed;                  /* the runner named it since the connection was made */
	char wish[256];                 /* why it is to end; the store knows it, and it will not be tried again. "": it is not */
	int64_t since_ms;               /* mono: claimed, or taken over at recovery */
	int64_t timeout_ms;
	int spec_fd, journal_fd;        /* owned until START is sent, then -1 */
	unsigned order;                 /* of claiming */
};

struct roster;
struct roster *roster_new(void);
void roster_free(struct roster *r);             /* closes the descriptors of those left; NULL is fine */
size_t roster_count(const struct roster *r);
struct attempt *roster_at(struct roster *r, size_t i);          /* sorted by job; borrowed until add or remove */
/* A new entry, without descriptors, in PHASE. A job has at most one attempt at a time (I6): NULL where it has one. */
struct attempt *roster_add(struct roster *r, int64_t job, int attempt, enum attempt_phase phase);
struct attempt *roster_find(struct roster *r, int64_t job, int attempt);        /* borrowed, or NULL */
struct attempt *roster_find_job(struct roster *r, int64_t job);         /* whichever attempt of it is here, or NULL */
void roster_remove(struct roster *r, struct attempt *a);
/* The one claimed first among those still to be sent; NULL for none. */
struct attempt *roster_next_to_send(struct roster *r);
