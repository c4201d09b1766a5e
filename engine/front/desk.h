/* front/desk.h - the front's main thread: it hands claimed jobs to the runner and their results to the store, takes the
 * supervisor's orders, and keeps house. It never faces the network. One desk; its functions belong to its thread, save
 * the four that say otherwise. */
#pragma once
#include <stdint.h>

#include "base/err.h"

struct addresses;
struct edition;
struct front;
struct mailbox;
struct running;
struct shelf;
struct store;

struct desk_options {                   /* all borrowed, valid while the desk lives */
	struct front *front;
	struct shelf *shelf;
	const struct addresses *addresses;
	const char *site_dir, *state_dir;       /* absolute */
	int journals_dirfd;
	int supervisor_fd;
	int signal_fd;                  /* SIGTERM */
	struct mailbox *claims;         /* where the store posts claimed jobs, and nothing else comes */
	struct mailbox *effects;        /* where it posts what ended jobs cause */
};

enum desk_end {
	DESK_DRAIN,                     /* told to: finish what is in hand */
	DESK_BROKEN,                    /* the store does not know what is on disk: start anew */
	DESK_ORPHANED,                  /* the supervisor is gone or said something illegal */
};

struct desk *desk_new(const struct desk_options *o);
void desk_stop(struct desk *d);                         /* asks the store nothing more, claims nothing more */
void desk_free(struct desk *d);                         /* the store must be closed; NULL is fine for both */
/* The edition in force from here on (one reference is taken over): for the loops too, once they run. */
void desk_put_edition(struct desk *d, struct edition *ed);
void desk_put_store(struct desk *d, struct store *store);       /* borrowed */
void desk_put_runner(struct desk *d, int fd);                   /* its socket; taken */

/* Ask the runner what runs and settle the rest (DESIGN, adoption). RUNNING: what the store holds for running; borrowed.
 * -1 where no runner could be talked to within 30 s, or the desk's end came (*e says so). */
int desk_recover(struct desk *d, const struct running *running, size_t n, struct err *e) MUST_USE;
enum desk_end desk_run(struct desk *d);                 /* serves until there is a reason not to */
int desk_grace_ms(const struct desk *d);                /* after DESK_DRAIN */

/* ---- any thread ---- */
void desk_cancel(struct desk *d, int64_t job, int attempt, const char *why);    /* tell whoever runs it; WHY is copied */
void desk_reload(struct desk *d);                       /* ask the supervisor to evaluate the site again */
void desk_store_broke(struct desk *d);
