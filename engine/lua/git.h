/* lua/git.h - a commit from a repository elsewhere to a folder here, by libgit2: an incremental bare mirror, and a checkout of
 * exactly one commit from it. The fetch runs in a child with a deadline, as libgit2 1.5 has no time-outs of its own. One thread. */
#pragma once
#include "lua/attempt.h"

void git_warm(void);

struct git_options {
	const char *url;                /* https, ssh; file and paths only where the spec's file_urls is true */
	const char *ref;                /* a commit's 40 hex digits, or the name of a branch or tag, or a whole refs/… */
	const char *into;               /* the folder to make; its parent exists */
	int64_t timeout_ms;             /* of the fetch */
};
/* Progress goes to the journal under the running step. *SHA gets the commit that was checked out. -1: the message is for the
 * rule's author; also when the job was cancelled meanwhile. */
int git_checkout_commit(struct attempt *a, const struct git_options *o, char sha[65], struct err *e) MUST_USE;
