/* dispatch/link.h - the front's end of the connection to the runner: greeting, the runner's list of what runs, and the
 * frames that must not be lost while the socket is full. One owner, one thread.
 *
 *     GREETING --HELLO--> LISTING --RUNNING* RUNNING_END--> LIVE --EOF or a bad frame--> (closed: link_is_open is 0)
 *
 * START goes out by link_start, straight from the caller's own books; CANCEL and ACK are kept here until they fit. */
#pragma once
#include "base/err.h"
#include "wire/frame.h"

#define LINK_NOTES_MAX 8192     /* CANCEL and ACK that wait for room; past it the link is closed: the runner reads no more */

enum link_phase { LINK_CLOSED, LINK_GREETING, LINK_LISTING, LINK_LIVE };

/* What the runner said, one call per frame that matters: RUNNING, RUNNING_END, STARTED, RESULT, EPHEMERAL. F is borrowed. */
typedef void link_frame_fn(const struct frame *f, void *arg);

struct link;
struct link *link_new(link_frame_fn *on_frame, void *arg);
void link_free(struct link *l);                         /* NULL is fine */
/* Use FD (taken) from now on; an older connection is closed first. Sends HELLO. */
void link_open(struct link *l, int fd);
enum link_phase link_phase(const struct link *l);
int link_fd(const struct link *l);                      /* -1 where closed; poll for reading */
int link_wants_room(const struct link *l);              /* poll for writing too */
/* Read what is there (a bounded number of frames) and send what waits. -1 where the runner is gone or said something
 * illegal, which *E names; the link is closed then. */
int link_turn(struct link *l, struct err *e) MUST_USE;
/* Hand an attempt over, with its descriptors (borrowed). 1 sent; 0 not now: call again after link_turn. */
int link_start(struct link *l, int64_t job, int attempt, int64_t timeout_ms, int spec_fd, int journal_fd);
/* Sent now or as soon as there is room; nothing where the link is closed. WHY is copied, at most 255 bytes. */
void link_cancel(struct link *l, int64_t job, int attempt, const char *why);
void link_ack(struct link *l, int64_t job, int attempt);
