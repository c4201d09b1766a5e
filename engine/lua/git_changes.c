/* lua/git_changes.c - the comparison happens in a child like a checkout's, which may read the mirror and nothing else of the state
 * folder. It says its answer as lines: `H how`, `F "path"` for each file, `N` where nothing is known. */
#include "lua/git_changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/git_work.h"

#define TAGS_MAX 100000
#define WALK_MAX 1000000

static void freep_repository(git_repository **r) { git_repository_free(*r); }
static void freep_object(git_object **o) { git_object_free(*o); }
static void freep_tree(git_tree **t) { git_tree_free(*t); }
static void freep_diff(git_diff **d) { git_diff_free(*d); }
static void freep_walk(git_revwalk **w) { git_revwalk_free(*w); }

/* ---- in the child: from which commit ---- */

enum from { FROM_COMMIT, FROM_NOTHING, FROM_UNKNOWN };  /* nothing: all files are new */

struct base {
	enum from from;
	git_oid oid;
	char how[160];
};

static struct base unknown(const char *why)
{
	struct base b = { .from = FROM_UNKNOWN };
	snprintf(b.how, sizeof b.how, "%s", why);
	return b;
}

static struct base all_files(const char *why)
{
	struct base b = { .from = FROM_NOTHING };
	snprintf(b.how, sizeof b.how, "%s: all files", why);
	return b;
}

static struct base since(const git_oid *oid, const char *what)
{
	struct base b = { .from = FROM_COMMIT, .oid = *oid };
	char hex[GIT_OID_HEXSZ + 1];

	git_oid_tostr(hex, sizeof hex, oid);
	snprintf(b.how, sizeof b.how, "since %s, %.12s", what, hex);
	return b;
}

/* The commit that SPEC leads to; 0 where there is none. */
static int commit_of(git_repository *repo, const char *spec, git_oid *oid)
{
	CLEANUP(freep_object) git_object *o = NULL;
	CLEANUP(freep) char *peeled = xprintf("%s^{commit}", spec);

	if (git_revparse_single(&o, repo, peeled) < 0)
		return 0;
	git_oid_cpy(oid, git_object_id(o));
	return 1;
}

static int branch_of(git_repository *repo, const char *branch, git_oid *oid)
{
	CLEANUP(freep) char *name = xprintf("refs/heads/%s", branch);
	return commit_of(repo, name, oid);
}

static struct base before_of(git_repository *repo, const struct changes_options *o)
{
	git_oid oid;

	if (commit_of(repo, o->before, &oid))
		return since(&oid, "the commit before");
	return unknown("the commit before is gone, and the host does not give it");
}

static struct base of_new_branch(git_repository *repo, const struct changes_options *o, const git_oid *head)
{
	CLEANUP(freep) char *ref = o->default_branch ? xprintf("refs/heads/%s", o->default_branch) : xstrdup("HEAD");
	git_oid tip, fork;

	if (o->default_branch && o->ref && strcmp(ref, o->ref) == 0)
		return all_files("the default branch is new");
	if (!commit_of(repo, ref, &tip))
		return all_files("a new branch, and no default branch");
	if (git_merge_base(&fork, repo, &tip, head) < 0)
		return all_files("a new branch with a history of its own");
	return since(&fork, "it left the default branch");
}

struct tags {
	git_oid *list;
	size_t n;
	git_repository *repo;
};

static int add_tag(const char *name, git_oid *oid, void *arg)
{
	struct tags *t = arg;
	CLEANUP(freep_object) git_object *o = NULL, *commit = NULL;

	if (t->n == TAGS_MAX)
		return 1;
	if (git_object_lookup(&o, t->repo, oid, GIT_OBJECT_ANY) < 0 || git_object_peel(&commit, o, GIT_OBJECT_COMMIT) < 0)
		return 0;                               /* of a tree, of a blob */
	t->list = xrealloc(t->list, (t->n + 1) * sizeof *t->list);
	git_oid_cpy(&t->list[t->n++], git_object_id(commit));
	return 0;
}

static int by_oid(const void *a, const void *b)
{
	return git_oid_cmp(a, b);
}

static struct base of_new_tag(git_repository *repo, const git_oid *head)
{
	CLEANUP(freep_walk) git_revwalk *walk = NULL;
	struct tags tags = { .repo = repo };
	struct base out = all_files("no earlier tag");
	git_oid oid;

	git_tag_foreach(repo, add_tag, &tags);
	if (tags.n)
		qsort(tags.list, tags.n, sizeof *tags.list, by_oid);
	if (git_revwalk_new(&walk, repo) < 0 || git_revwalk_sorting(walk, GIT_SORT_TIME) < 0 || git_revwalk_push(walk, head) < 0)
		out = unknown("its history cannot be walked");
	for (int n = 0; out.from == FROM_NOTHING && n < WALK_MAX && git_revwalk_next(&oid, walk) == 0; n++)
		if (git_oid_cmp(&oid, head) && bsearch(&oid, tags.list, tags.n, sizeof *tags.list, by_oid))
			out = since(&oid, "the nearest earlier tag");
	free(tags.list);
	return out;
}

static struct base of_pull(git_repository *repo, const struct changes_options *o, const git_oid *head)
{
	git_oid base, fork;

	if (!(o->base_sha && git_is_commit_id(o->base_sha) && commit_of(repo, o->base_sha, &base)) &&
	    !(o->base && branch_of(repo, o->base, &base)))
		return unknown("the branch that it is to go into is gone");
	if (git_merge_base(&fork, repo, &base, head) < 0)
		return all_files("it has no history in common with its base");
	return since(&fork, "it left its base");
}

static int has_before(const struct changes_options *o)
{
	return o->before && git_is_commit_id(o->before) && strspn(o->before, "0") != 40;
}

static struct base base_of(git_repository *repo, const struct changes_options *o, const git_oid *head)
{
	if (o->of == CHANGES_OF_PULL)
		return of_pull(repo, o, head);
	if (has_before(o))
		return before_of(repo, o);
	return o->of == CHANGES_OF_TAG ? of_new_tag(repo, head) : of_new_branch(repo, o, head);
}

/* ---- in the child: the comparison ---- */

static int tree_of(git_repository *repo, const git_oid *commit, git_tree **out)
{
	CLEANUP(freep_object) git_object *o = NULL;
	return git_object_lookup(&o, repo, commit, GIT_OBJECT_COMMIT) < 0 || git_object_peel((git_object **)out, o, GIT_OBJECT_TREE) < 0 ? -1 : 0;
}

static int say_path(struct work *w, const char *path)
{
	CLEANUP(buf_fini) struct buf line = BUF(64 << 10);

	buf_adds(&line, "F ");
	buf_add_json(&line, slice_of(path));
	return dprintf(w->fd, "%s\n", buf_cstr(&line)) < 0 ? -1 : 0;
}

static int say_files(struct work *w, git_diff *diff)
{
	size_t n = git_diff_num_deltas(diff);

	for (size_t i = 0; i < n; i++) {
		const git_diff_delta *d = git_diff_get_delta(diff, i);
		const char *old = d->old_file.path, *new = d->new_file.path;
		if (say_path(w, new ? new : old) < 0 || (old && new && strcmp(old, new) && say_path(w, old) < 0))
			return -1;
	}
	return 0;
}

static int compare(struct work *w)
{
	const struct changes_options *o = w->arg;
	CLEANUP(freep_repository) git_repository *repo = NULL;
	CLEANUP(freep_tree) git_tree *old = NULL, *new = NULL;
	CLEANUP(freep_diff) git_diff *diff = NULL;
	git_diff_options options = GIT_DIFF_OPTIONS_INIT;

	if (git_repository_open_bare(&repo, w->mirror) < 0)
		return -1;
	struct base b = base_of(repo, o, &w->oid);
	if (b.from == FROM_UNKNOWN)
		return dprintf(w->fd, "H %s\nN\n", b.how) < 0 ? -1 : 0;
	options.flags = GIT_DIFF_SKIP_BINARY_CHECK | GIT_DIFF_INCLUDE_TYPECHANGE;
	if ((b.from == FROM_COMMIT && tree_of(repo, &b.oid, &old) < 0) || tree_of(repo, &w->oid, &new) < 0 ||
	    git_diff_tree_to_tree(&diff, repo, old, new, &options) < 0)
		return -1;
	if (git_diff_num_deltas(diff) > CHANGES_MAX)
		return dprintf(w->fd, "H more than %d files changed\nN\n", CHANGES_MAX) < 0 ? -1 : 0;
	return dprintf(w->fd, "H %s\n", b.how) < 0 ? -1 : say_files(w, diff);
}

/* ---- in the parent ---- */

struct answer {
	struct changes_options o;
	struct changes *out;
	int is_unknown;
};

static void on_line(struct work *w, struct slice word, struct slice rest)
{
	struct answer *answer = w->arg;

	if (slice_eq(word, SLICE("H")))
		snprintf(answer->out->how, sizeof answer->out->how, SLICE_FMT, SLICE_ARG(slice_upto(rest, sizeof answer->out->how - 1)));
	else if (slice_eq(word, SLICE("N")))
		answer->is_unknown = 1;
	else if (slice_eq(word, SLICE("F")))
		json_array_append_new(answer->out->paths, json_loadb(rest.ptr, rest.len, JSON_DECODE_ANY, NULL));
}

int git_changes(struct attempt *a, const struct changes_options *o, struct changes *out, struct err *e)
{
	CLEANUP(freep) char *mirror = NULL;
	struct answer answer = { .o = *o, .out = out };
	struct work get;
	struct err unheard;

	if (!git_is_commit_id(o->at.ref))
		return err_set(e, ERR_INPUT, "changed files: '%.80s' is no commit", o->at.ref);
	if (git_mirror(a, &o->at, &get, &mirror, e) < 0)
		return -1;
	CLEANUP(freep) char *target = xprintf("%s/tmp", a->workspace);
	struct work w = { .a = a, .o = &o->at, .mirror = mirror, .oid = get.oid, .run = compare, .target = target, .unit = "files",
			  .deadline_ms = get.deadline_ms, .on_line = on_line, .arg = &answer };
	if (o->of != CHANGES_OF_PULL && has_before(o) && git_fetch_commit(&w, o->before, &unheard) < 0 && attempt_is_stopped(a))
		return err_set(e, ERR_UNAVAIL, "was stopped");
	*out = (struct changes){ .paths = json_array() };
	int r = git_work_run(&w, "changed files of", e);
	if (r < 0 || answer.is_unknown) {
		json_decref(out->paths);
		out->paths = NULL;
	}
	return r;
}
