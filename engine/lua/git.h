/* lua/git.h - a commit from a repository elsewhere to a folder here, by libgit2: an incremental bare mirror, and a checkout of
 * exactly one commit from it. Both happen in children with a deadline, a step's limits and, where the kernel has it, Landlock:
 * libgit2 1.5 has no time-outs of its own, and what it reads is a stranger's. One thread. */
#pragma once
#include "lua/attempt.h"

void git_warm(void);

struct git_options {
	const char *url;                /* https, ssh; file and paths only where the spec's file_urls is true */
	const char *ref;                /* a commit's 40 hex digits, or the name of a branch or tag, or a whole refs/… */
	const char *also;               /* a whole refs/… where the commit may be found that is on no branch; or NULL */
	const char *into;               /* the folder to make; what is there goes. Its parent exists */
	int64_t timeout_ms;             /* of the whole, the wait for the mirror's lock included */
};
/* Progress goes to the journal under the running step. *SHA gets the commit that was checked out. -1: the message is for the
 * rule's author; also when the job was cancelled meanwhile. */
int git_checkout_commit(struct attempt *a, const struct git_options *o, char sha[65], struct err *e) MUST_USE;
/* URL without the password or token that it may hold. Owned. */
char *git_public_url(const char *url);
