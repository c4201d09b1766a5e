/* runner/step.h - start a shell step from a job process: own process group, Landlock, seccomp, limits, a mark in the
 * environment, its outputs on pipes. Used by lua/sh.c. One thread. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct step_options {
	const char *const *argv;        /* NULL-ended; argv[0] is searched in PATH of env */
	const char *const *env;         /* "K=V", NULL-ended; the mark is added */
	const char *cwd;
	const char *workspace;          /* read and write; "" for none */
	const char *const *writable;    /* further folders, NULL-ended; may be NULL */
	const char *const *readable;    /* mirrors, NULL-ended; may be NULL. /usr /lib /bin /etc … always are */
	const char *state;              /* the state folder: nothing below it is reachable save what is named above; NULL: none */
	int stdin_fd;                   /* -1: /dev/null */
	int keep_privileges;            /* privileges = "keep" */
	int64_t memory_bytes;           /* private writable memory of each process; 0: none */
	int64_t file_bytes;             /* largest file; 0: none */
	int64_t cpu_seconds;            /* 0: none */
	int64_t job;                    /* for the mark PUSHROD_JOB=<job>.<attempt> */
	int attempt;
};
struct step {
	pid_t pid;                      /* also its process group and session */
	int pidfd;                      /* owned; readable when it has exited */
	int out_fd, err_fd;             /* owned, nonblocking */
};
/* Returns once the program runs, or says why it does not: ERR_INPUT where the rule is at fault ("cannot run 'mkdocs': No
 * such file or directory"), else ERR_IO. *out is owned: step_reap when its pidfd is readable, then step_close. */
int step_start(const struct step_options *o, struct step *out, struct err *e) MUST_USE;
void step_signal(const struct step *s, int signal);              /* the whole group */
/* KILL for the group and for every descendant of this process that is not one of KEEP (a daemonised grandchild is
 * re-parented to us: we are a subreaper), in a loop over /proc/self/task/<tid>/children until none is left; reaps them.
 * Returns how many would not go within 10 s (uninterruptible, or of another uid): 0 but for that. */
int step_kill_stragglers(const pid_t *keep, int n_keep);
/* Exit status as shells say it: 0..255, 128+N for signal N. Reaps; call when pidfd is readable, else it waits.
 * -1: reaped before. */
int step_reap(struct step *s);
void step_close(struct step *s);                                /* the descriptors; a live step is killed and reaped */
/* What holds here: "landlock 7, seccomp", "none". Static. */
const char *step_confinement(void);
