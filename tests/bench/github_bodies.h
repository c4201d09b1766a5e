/* tests/bench/github_bodies.h - deliveries of the shape, density and length that GitHub's have (compact JSON, an object of a
 * repository of some 6 KB, of a user of 1 KB), made up here. */
#pragma once
#include "base/buf.h"

/* Members of an object of the API that name its parts by links: "labels_url": BASE/labels{/name}. */
static inline void put_links(struct buf *b, const char *base, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_addf(b, ",\"%s_url\":\"%s/%s{/number}\"", names[i], base, names[i]);
}

static inline void put_user(struct buf *b, const char *login)
{
	static const char *const links[] = { "followers", "following", "gists", "starred", "subscriptions", "organizations", "repos",
		"events", "received_events" };
	CLEANUP(buf_fini) struct buf base = BUF(BUF_UNLIMITED);

	buf_addf(&base, "https://api.github.com/users/%s", login);
	buf_addf(b, "{\"login\":\"%s\",\"id\":1406523,\"node_id\":\"MDQ6VXNlcjE0MDY1MjM=\",\"avatar_url\":\"https://avatars.githubusercontent.com/u/1406523?v=4\","
	    "\"gravatar_id\":\"\",\"url\":\"%s\",\"html_url\":\"https://github.com/%s\"", login, buf_cstr(&base), login);
	put_links(b, buf_cstr(&base), links, COUNT(links));
	buf_adds(b, ",\"type\":\"User\",\"user_view_type\":\"public\",\"site_admin\":false}");
}

static inline void put_repository(struct buf *b)
{
	static const char *const links[] = { "forks", "keys", "collaborators", "teams", "hooks", "issue_events", "events", "assignees", "branches",
		"tags", "blobs", "git_tags", "git_refs", "trees", "statuses", "languages", "stargazers", "contributors", "subscribers",
		"subscription", "commits", "git_commits", "comments", "issue_comment", "contents", "compare", "merges", "archive", "downloads",
		"issues", "pulls", "milestones", "notifications", "labels", "releases", "deployments" };

	buf_adds(b, "{\"id\":35129377,\"node_id\":\"R_kgDOAhgJ4Q\",\"name\":\"handbook\",\"full_name\":\"acme/handbook\",\"private\":false,\"owner\":");
	put_user(b, "acme");
	buf_adds(b, ",\"html_url\":\"https://github.com/acme/handbook\",\"description\":\"How we work, for everyone who joins \\u2014 kept by all of us\","
	    "\"fork\":false,\"url\":\"https://api.github.com/repos/acme/handbook\"");
	put_links(b, "https://api.github.com/repos/acme/handbook", links, COUNT(links));
	buf_adds(b, ",\"created_at\":1430869212,\"updated_at\":\"2026-11-20T09:11:14Z\",\"pushed_at\":1795600000,\"git_url\":\"git://github.com/acme/handbook.git\","
	    "\"ssh_url\":\"git@github.com:acme/handbook.git\",\"clone_url\":\"https://github.com/acme/handbook.git\",\"svn_url\":\"https://github.com/acme/handbook\","
	    "\"homepage\":null,\"size\":48213,\"stargazers_count\":211,\"watchers_count\":211,\"language\":\"TypeScript\",\"has_issues\":true,\"has_projects\":true,"
	    "\"has_downloads\":true,\"has_wiki\":false,\"has_pages\":true,\"has_discussions\":false,\"forks_count\":41,\"mirror_url\":null,\"archived\":false,"
	    "\"disabled\":false,\"open_issues_count\":17,\"license\":{\"key\":\"mit\",\"name\":\"MIT License\",\"spdx_id\":\"MIT\",\"url\":\"https://api.github.com/licenses/mit\","
	    "\"node_id\":\"MDc6TGljZW5zZTEz\"},\"allow_forking\":true,\"is_template\":false,\"web_commit_signoff_required\":false,\"topics\":[\"docs\",\"handbook\"],"
	    "\"visibility\":\"public\",\"forks\":41,\"open_issues\":17,\"watchers\":211,\"default_branch\":\"main\"}");
}

static inline void put_commit(struct buf *b, int i)
{
	buf_addf(b, "{\"id\":\"%08x7b662c5660732c80c615c80878%04x\",\"tree_id\":\"%08x4c5f0a1d2e3b4f5a6c7d8e9f0a%04x\",\"distinct\":true,"
	    "\"message\":\"docs: say what a reviewer looks for (#%d)\\n\\nThe list was scattered over three pages; now it is one, and the others \\\"link\\\" to it.\\n\\n"
	    "Co-authored-by: Zo\xc3\xab Example <zoe@example.org>\",\"timestamp\":\"2026-11-%02dT10:%02d:11+01:00\","
	    "\"url\":\"https://github.com/acme/handbook/commit/%08x7b662c5660732c80c615c80878%04x\","
	    "\"author\":{\"name\":\"Ada Example\",\"email\":\"ada@example.org\",\"username\":\"ada\"},"
	    "\"committer\":{\"name\":\"GitHub\",\"email\":\"noreply@github.com\",\"username\":\"web-flow\"},\"added\":[],\"removed\":[],"
	    "\"modified\":[\"docs/review/part-%d.md\",\"docs/review/index.md\",\"mkdocs.yml\"]}",
	    i * 7919, i, i * 104729, i, i, i % 28 + 1, i % 60, i * 7919, i, i);
}

static inline void put_push(struct buf *b, int commits)
{
	buf_adds(b, "{\"ref\":\"refs/heads/main\",\"before\":\"e6f7754b662c5660732c80c615c808780b98fb9c\",\"after\":\"1aaf67056fd78ae62258b520755d947d566119b1\",\"repository\":");
	put_repository(b);
	buf_adds(b, ",\"pusher\":{\"name\":\"ada\",\"email\":\"ada@example.org\"},\"organization\":");
	put_user(b, "acme");
	buf_adds(b, ",\"sender\":");
	put_user(b, "ada");
	buf_adds(b, ",\"created\":false,\"deleted\":false,\"forced\":false,\"base_ref\":null,\"compare\":\"https://github.com/acme/handbook/compare/e6f7754b662c...1aaf67056fd7\",\"commits\":[");
	for (int i = 0; i < commits; i++) {
		buf_adds(b, i ? "," : "");
		put_commit(b, i);
	}
	buf_adds(b, "],\"head_commit\":");
	put_commit(b, commits);
	buf_addc(b, '}');
}

static inline void put_branch(struct buf *b, const char *ref)
{
	buf_addf(b, "{\"label\":\"acme:%s\",\"ref\":\"%s\",\"sha\":\"1aaf67056fd78ae62258b520755d947d566119b1\",\"user\":", ref, ref);
	put_user(b, "acme");
	buf_adds(b, ",\"repo\":");
	put_repository(b);
	buf_addc(b, '}');
}

static inline void put_pull_request(struct buf *b)
{
	buf_adds(b, "{\"action\":\"synchronize\",\"number\":1347,\"pull_request\":{\"url\":\"https://api.github.com/repos/acme/handbook/pulls/1347\",\"id\":279147437,"
	    "\"html_url\":\"https://github.com/acme/handbook/pull/1347\",\"number\":1347,\"state\":\"open\",\"locked\":false,\"title\":\"Say what a reviewer looks for\",\"user\":");
	put_user(b, "ada");
	buf_adds(b, ",\"body\":\"## What\\r\\n\\r\\nOne page instead of three.\\r\\n\\r\\n## Why\\r\\n\\r\\n- people ask\\r\\n- the answer differs by who gives it\\r\\n\","
	    "\"created_at\":\"2026-11-19T09:11:14Z\",\"merged_at\":null,\"assignees\":[],\"requested_reviewers\":[");
	put_user(b, "bob");
	buf_adds(b, "],\"labels\":[{\"id\":208045946,\"node_id\":\"MDU6TGFiZWwyMDgwNDU5NDY=\",\"url\":\"https://api.github.com/repos/acme/handbook/labels/docs\","
	    "\"name\":\"docs\",\"color\":\"f29513\",\"default\":false,\"description\":\"Words\"}],\"milestone\":null,\"draft\":false,\"head\":");
	put_branch(b, "review-page");
	buf_adds(b, ",\"base\":");
	put_branch(b, "main");
	buf_adds(b, ",\"author_association\":\"MEMBER\",\"auto_merge\":null,\"merged\":false,\"mergeable\":null,\"comments\":3,\"review_comments\":1,\"commits\":2,"
	    "\"additions\":41,\"deletions\":97,\"changed_files\":4},\"before\":\"e6f7754b662c5660732c80c615c808780b98fb9c\",\"repository\":");
	put_repository(b);
	buf_adds(b, ",\"organization\":");
	put_user(b, "acme");
	buf_adds(b, ",\"sender\":");
	put_user(b, "ada");
	buf_addc(b, '}');
}
