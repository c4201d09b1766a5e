/* wire/frame.h - what the roles say to each other over SOCK_SEQPACKET pairs: one packet, one frame.
 *
 * A frame is a type, five numbers, one text of at most 16 KiB, and at most two descriptors. What the numbers
 * mean stands at the type. Both ends first send HELLO (n[0] = FRAME_VERSION, text = build). frame_is_legal() says
 * which types an end may send; anything else is a bug of the SENDER: end the connection, and let the supervisor
 * end the process. Large payloads travel as sealed memfds (base/file.h). Not thread-safe per socket. */
#pragma once
#include "base/err.h"
#include "base/buf.h"

#define FRAME_VERSION 1
#define FRAME_MAX_TEXT (16 << 10)
#define FRAME_MAX_FDS 2

enum frame_type {
	FRAME_HELLO = 1,        /* both ends, first.  n0 version; text: build */

	/* supervisor -> front */
	FRAME_RULES,            /* fds: bundle memfd (what eval handed back). n0: 1 at start, 0 at reload */
	FRAME_LISTEN,           /* fds: listening socket. n0: enum listen_class bits; text: address as configured */
	FRAME_PEER,             /* to front and to runner: fds: their new socketpair end. Replaces the old one */
	FRAME_DRAIN,            /* finish what is in hand and exit. n0: grace in ms */
	FRAME_GO,               /* to front: all is handed over; start serving */

	/* front -> supervisor */
	FRAME_READY,            /* front and runner: serving. A runner's second one: n0 1, it has lost its front; 2, that front broke the rules */
	FRAME_RULES_DONE,       /* n0: 1 in force, 0 refused; text: one line */
	FRAME_RELOAD,           /* a client asked for a reload */

	/* front -> runner */
	FRAME_START,            /* n0 job, n1 attempt, n2 timeout ms, n3 1: keep privileges; fds: spec memfd, journal (O_APPEND, write) */
	FRAME_CANCEL,           /* also runner -> job (n2: the state it will get). n0 job, n1 attempt; text: why */
	FRAME_ACK,              /* n0 job, n1 attempt: the result is committed, forget it */

	/* runner -> front */
	FRAME_RUNNING,          /* on a new connection, once per live attempt: n0 job, n1 attempt */
	FRAME_RUNNING_END,      /* that was all; results not yet acknowledged follow as RESULT */
	FRAME_STARTED,          /* n0 job, n1 attempt, n2 pid; text: confinement in force ("landlock 7, seccomp") */
	FRAME_RESULT,           /* also job -> runner. n0 job, n1 attempt, n2 enum job_state, n3 exit code, n4 log bytes; text: reason */
	FRAME_EPHEMERAL,        /* also job -> runner. n0 job, n1 attempt; text: "partial {json}" or "progress {json}" */
	FRAME_LAST
};

enum listen_class { LISTEN_HOOKS = 1, LISTEN_PAGES = 2, LISTEN_TOPICS = 4, LISTEN_CONTROL = 8 };

/* Who is at the other end of a socket, seen from here: decides what it may send. */
enum frame_peer { PEER_SUPERVISOR_OF_FRONT = 1, PEER_SUPERVISOR_OF_RUNNER, PEER_FRONT_OF_SUPERVISOR,
		  PEER_RUNNER_OF_SUPERVISOR, PEER_FRONT_OF_RUNNER, PEER_RUNNER_OF_FRONT, PEER_RUNNER_OF_JOB,
		  PEER_JOB_OF_RUNNER };

struct frame {
	enum frame_type type;
	int64_t n[5];
	struct slice text;              /* borrowed: by frame_recv from the caller's scratch */
	int fds[FRAME_MAX_FDS];         /* -1 where none. Sent: borrowed. Received: owned by the caller */
};

#define FRAME(t, ...) ((struct frame){ .type = (t), .n = { __VA_ARGS__ }, .fds = { -1, -1 } })

enum frame_outcome { FRAME_OK, FRAME_AGAIN, FRAME_EOF, FRAME_BAD };

int frame_pair(int fds[2], struct err *e) MUST_USE;              /* CLOEXEC, NONBLOCK, both owned */
/* Pure codec (fuzzed): encode appends to OUT; decode borrows from BYTES. -1: not a frame of this version. */
void frame_encode(const struct frame *f, struct buf *out);
int frame_decode(struct slice bytes, struct frame *f) MUST_USE;
int frame_is_legal(enum frame_peer sender, enum frame_type type);

/* FRAME_AGAIN: the socket is full (or, on recv, empty). FRAME_EOF: the peer is gone. FRAME_BAD: the peer sent
 * something illegal; close the socket. */
enum frame_outcome frame_send(int fd, const struct frame *f);
enum frame_outcome frame_send_wait(int fd, const struct frame *f, int timeout_ms);   /* polls while full */
/* SCRATCH must have max >= FRAME_MAX_TEXT + 64; the text borrows from it until the next call. */
enum frame_outcome frame_recv(int fd, enum frame_peer sender, struct buf *scratch, struct frame *f);
void frame_close_fds(struct frame *f);
