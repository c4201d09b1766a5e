/* bench_extract - one pass over GitHub's payloads for what its descriptor and some rules ask, beside jansson's tree of the
 * same bytes in the same run: MB/s of processor time on one core, the best of several rounds, and the ratio. The aim is at
 * least 400 MB/s. bench_extract [MILLISECONDS per round] */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "github_bodies.h"
#include "rules/extract.h"

#define ROUNDS 7
#define AIM_MB 400

/* What plugins/providers/github.lua asks of a payload, and rules with `payload` besides. */
static const char *const wanted[] = {
	"repository.full_name", "repository.owner.login", "repository.owner.name", "sender.login", "repository.html_url",
	"repository.default_branch", "ref", "before", "created", "deleted", "forced", "head_commit.id", "after", "head_commit.message",
	"head_commit.author.username", "head_commit.author.name", "compare", "commits", "commits[].added", "commits[].modified",
	"commits[].removed", "commits[].added[]", "commits[].modified[]", "commits[].removed[]", "commits[]", "ref_type", "action",
	"pull_request.number", "pull_request.base.ref", "pull_request.head.ref", "pull_request.head.sha", "number", "pull_request.title",
	"pull_request.body", "pull_request.user.login", "pull_request.draft", "pull_request.head.repo.id", "pull_request.base.repo.id",
	"pull_request.labels", "pull_request.labels[].name", "pull_request.html_url", "issue.number", "issue.title", "issue.body",
	"issue.user.login", "issue.labels[].name", "issue.html_url", "comment.body", "comment.user.login", "comment.html_url",
	"comment.commit_id", "release.tag_name", "release.name", "release.body", "release.author.login", "release.draft",
	"release.html_url", "repository.private", "repository.topics", "repository.topics[]", "commits[].author.email", "pusher.name",
};

typedef void pass_fn(const struct paths *p, struct slice json);

static void by_extract(const struct paths *p, struct slice json)
{
	struct values *v;
	struct err e;

	if (extract(p, json, &v, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		exit(1);
	}
	values_free(v);
}

static void by_jansson(const struct paths *p, struct slice json)
{
	json_t *tree = json_loadb(json.ptr, json.len, 0, NULL);

	if (!tree)
		exit(1);
	json_decref(tree);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Microseconds of one pass: the best round. */
static double measure(pass_fn *pass, const struct paths *p, struct slice json, double budget)
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double begin = cpu_seconds(), now;
		int n = 0;
		do {
			for (int i = 0; i < 8; i++)
				pass(p, json);
			n += 8;
			now = cpu_seconds();
		} while (now - begin < budget);
		double each = (now - begin) * 1e6 / n;
		best = round && best < each ? best : each;
	}
	return best;
}

static void row(const char *what, const struct paths *p, const struct buf *body, double budget)
{
	double ours = measure(by_extract, p, buf_slice(body), budget), theirs = measure(by_jansson, p, buf_slice(body), budget);
	double bytes = (double)body->len;

	printf("extract: %s, %zu bytes | %.1f us, %.0f MB/s | jansson %.1f us, %.0f MB/s | %.1f | >= %d MB/s%s\n", what, body->len, ours, bytes / ours,
	       theirs, bytes / theirs, theirs / ours, AIM_MB, bytes / ours < AIM_MB ? " MISSED" : "");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int commits; } pushes[] = {
		{ "push, 1 commit", 1 }, { "push, 20 commits", 20 }, { "push, 2048 commits", 2048 },
	};
	struct paths *p = paths_new();
	struct buf body = BUF(BUF_UNLIMITED);
	int64_t budget_ms = 100;
	struct err e;

	if (argc > 1 && slice_to_i64(slice_of(argv[1]), 1, 60000, &budget_ms) < 0) {
		fprintf(stderr, "usage: bench_extract [MILLISECONDS]\n");
		return 2;
	}
	for (size_t i = 0; i < COUNT(wanted); i++)
		if (paths_add(p, slice_of(wanted[i]), &e) < 0)
			return 1;
	for (size_t i = 0; i < COUNT(pushes); i++) {
		buf_clear(&body);
		put_push(&body, pushes[i].commits);
		row(pushes[i].name, p, &body, (double)budget_ms / 1000);
	}
	buf_clear(&body);
	put_pull_request(&body);
	row("pull_request", p, &body, (double)budget_ms / 1000);
	buf_fini(&body);
	paths_free(p);
	return 0;
}
