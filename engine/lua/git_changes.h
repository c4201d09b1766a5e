/* lua/git_changes.h - which files an event changed, by the repository itself. One thread.
 *
 *   a push                  from the commit before to the new one, also where that is no descendant (a force push)
 *   a new branch            from where it left the default branch; the default branch itself, or one of its own history: all files
 *   a tag, new              from the nearest tag in its history, which is what a release brings; without one: all files
 *   a tag, moved            from the commit before
 *   a pull request          from where it left its base
 *
 * A file that was renamed counts under both names. Where the commit before is neither here nor given by the host, nothing
 * is known (GitHub, GitLab and Gitea give any commit by its id; a file:// remote only what its branches and tags lead to). */
#pragma once
#include <jansson.h>

#include "lua/git.h"

#define CHANGES_MAX 50000               /* files; beyond them nothing is known */

enum changes_of { CHANGES_OF_PUSH, CHANGES_OF_TAG, CHANGES_OF_PULL };
struct changes_options {
	struct git_options at;          /* ref: the new commit's id; into is not used */
	enum changes_of of;
	const char *ref;                /* the event's, NULL where it has none */
	const char *before;             /* NULL or zeros: there was none */
	const char *base, *base_sha;    /* of a pull request: the branch, and its commit where that is told */
	const char *default_branch;     /* NULL: what the host said last */
};
struct changes {
	json_t *paths;                  /* owned, sorted; NULL: not known */
	char how[200];                  /* what was compared, or why nothing is known */
};
int git_changes(struct attempt *a, const struct changes_options *o, struct changes *out, struct err *e) MUST_USE;
