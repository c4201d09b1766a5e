/* wire/role.h - start this program again as one of its roles: a fresh address space, and all that it inherits is said
 * here: its arguments, an environment by a list of names, and the descriptors given. The role is in a session of its own,
 * is killed when the thread that started it ends, has default signals, /dev/null as input and our stderr as output.
 * One thread. */
#pragma once
#include <sys/types.h>

#include "base/err.h"

#define ROLE_FD 3                       /* the first of the descriptors given */
#define ROLE_MAX_FDS 8
#define ROLE_MARK_LEN 32

struct role_options {
	const char *const *argv;        /* NULL-ended; argv[0] for show */
	const int *fds;                 /* borrowed; become ROLE_FD, ROLE_FD + 1, … */
	int n_fds;
	const char *const *pass;        /* names of environment variables to hand on, "X_*" for a prefix; NULL-ended; may be NULL */
	const char *const *env;         /* "K=V" to add, NULL-ended; may be NULL */
	const char *exe;                /* NULL: /proc/self/exe */
	int keep_privileges;            /* else no_new_privs holds for it and all it starts */
};
struct role {
	pid_t pid;
	int pidfd;                      /* owned; readable when it has exited */
};
int role_spawn(const struct role_options *o, struct role *out, struct err *e) MUST_USE;
void role_kill(const struct role *r);
/* Wait (blocking), close the pidfd; returns the wait status, -1 where it is not our child any more. Leaves r->pid 0. */
int role_reap(struct role *r);

/* For the entry of a role, and of a forked job: no core file, not dumpable, killed when PARENT ends (0: not), a
 * subreaper. Ends the process where PARENT is gone already. */
enum { ROLE_SUBREAPER = 1, ROLE_NO_NEW_PRIVS = 2 };
void role_harden(pid_t parent, int flags);
/* Log as NAME (borrowed for good), at the level of $PUSHROD_LOG: debug, info (where it says nothing else), warn, error. */
void role_log(const char *name);
/* Default action for every signal, none blocked. Async-signal-safe. */
void role_reset_signals(void);

/* The mark that every step of the state folder STATE carries as PUSHROD_MARK: 32 hex digits of its real path. */
void role_mark(const char *state, char out[ROLE_MARK_LEN + 1]);
/* "signal 9 (killed)", "status 3": how a wait status reads. */
void role_status_text(int status, char out[64]);
