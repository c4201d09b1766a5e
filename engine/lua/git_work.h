/* lua/git_work.h - what git.c and git_changes.c share: a mirror, and work on it in a child. No one else includes it. */
#pragma once
#include <git2.h>

#include "lua/git.h"

struct work {
	struct attempt *a;
	const struct git_options *o;
	const char *mirror;
	git_oid oid;                            /* of REF of the options, once the mirror has it */
	int (*run)(struct work *w);             /* in the child; -1: git_error_last() says why */
	const char *target;                     /* the folder that it writes below */
	const char *unit;                       /* of its progress */
	int64_t deadline_ms;                    /* mono */
	const char *commit;                     /* of a fetch: this commit alone */
	void (*on_line)(struct work *w, struct slice word, struct slice rest);  /* in the parent: what the child says besides; or NULL */
	void *arg;                              /* of whoever runs it */
	int fd;                                 /* the pipe: ours in the parent, the child's in it */
	int64_t told_ms;                        /* in the child */
	pid_t pid;
	struct buf text;                        /* in the parent */
	int is_done;
	char message[300];
};

int git_is_commit_id(const char *ref);
/* WHAT names it in messages. */
int git_work_run(struct work *w, const char *what, struct err *e) MUST_USE;
/* The mirror of O's url, with the commit of its ref. *PATH is owned, and OUT is how it was made: oid and deadline hold; its other
 * pointers do not. */
int git_mirror(struct attempt *a, const struct git_options *o, struct work *out, char **path, struct err *e) MUST_USE;
/* Have the mirror of W hold commit SHA too, which no branch may show any more. -1: the host has it not, or gives it not. */
int git_fetch_commit(struct work *w, const char *sha, struct err *e) MUST_USE;
