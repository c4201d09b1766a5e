-- GitHub, and GitHub Enterprise Server. https://docs.github.com/en/webhooks
--
-- The descriptor that explains all others. The first part says who may speak: where the signature is (`sig`), how it is
-- written (`enc`; `pair` and `take`: of "sha256=…" the value), which bytes it covers (`signed`), where the event's name,
-- its action and the delivery's id are (`delivery = "none"`: the sender has none, and nothing is a duplicate). A hook of content type "form" sends the JSON as the field `payload`, and signs
-- the form. The id is not under the signature (`id_in_mac`), and GitHub never tries again by itself (`retry`).
--
-- The second part says what an event means. `fields` holds for every event: name = payload path, alternatives by '|', a
-- converter before a colon. Each of `events` names the common event and adds the fields it has; of several cases the
-- first whose `when` holds is taken, and what stands beside the cases holds for each of them. docs/providers.md has all keys.

provider "github" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Hub-Signature-256", pair = "=", take = "sha256",
  payload = "form:payload", signed = "{body}",
  event = "header:X-GitHub-Event", action = "json:action", delivery = "header:X-GitHub-Delivery", id_in_mac = false,
  deadline = "10s", retry = "none",

  fields = {
    repo   = "repository.full_name",
    owner  = "repository.owner.login|repository.owner.name",
    sender = "sender.login",
    url    = "repository.html_url",
    ref    = "branch_ref:repository.default_branch",
  },

  events = {
    ping = "ping",

    push = {
      { "delete", when = { deleted = true },
        ref = "ref", branch = "branch_of:ref", tag = "tag_of:ref", before = "before",
        created = "created", deleted = "deleted", forced = "forced" },
      { "tag", when = { ref = "refs/tags/*" },
        ref = "ref", tag = "tag_of:ref", sha = "head_commit.id|after", before = "before",
        message = "head_commit.message", title = "first_line:head_commit.message",
        author = "head_commit.author.username|head_commit.author.name", url = "compare",
        created = "created", deleted = "deleted", forced = "forced" },
      { "push", when = { ref = "refs/heads/*" },
        ref = "ref", branch = "branch_of:ref", sha = "after", before = "before",
        message = "head_commit.message", title = "first_line:head_commit.message",
        author = "head_commit.author.username|head_commit.author.name", url = "compare",
        created = "created", deleted = "deleted", forced = "forced",
        paths = { commits = "commits", most = 2048,            -- GitHub lists no more commits than that
                  unless = { "created", "forced" } } },        -- then the commits do not tell what changed
    },

    -- A hook that has both "push" and "branch or tag deletion" ticked tells each deletion twice.
    delete = {
      { "delete", when = { ref_type = "branch" }, ref = "branch_ref:ref", branch = "ref" },
      { "delete", when = { ref_type = "tag" }, ref = "tag_ref:ref", tag = "ref" },
    },

    -- "closed" is what ended without a merge. Of a merge the commit is told that it made on the base branch.
    pull_request = {
      { "pull_request.merged", when = { action = "closed", ["pull_request.merged"] = true },
        ref = "branch_ref:pull_request.base.ref", sha = "pull_request.merge_commit_sha|pull_request.head.sha" },
      { "pull_request" },
      ref = "pull_ref:pull_request.number", base = "pull_request.base.ref", head = "pull_request.head.ref",
      sha = "pull_request.head.sha", before = "before", number = "pull_request.number",
      title = "pull_request.title", message = "pull_request.body", author = "pull_request.user.login",
      draft = "pull_request.draft", fork = "differs:pull_request.head.repo.id,pull_request.base.repo.id",
      labels = "pull_request.labels[].name", url = "pull_request.html_url" },

    pull_request_review = {
      { "pull_request.approved", when = { action = "submitted", ["review.state"] = "approved" } },
      { "pull_request.changes_requested", when = { action = "submitted", ["review.state"] = "changes_requested" } },
      { "comment.created", when = { action = "submitted" } },
      { "comment.edited", when = { action = "edited" } },
      ref = "pull_ref:pull_request.number", base = "pull_request.base.ref", head = "pull_request.head.ref",
      sha = "review.commit_id|pull_request.head.sha", number = "pull_request.number", title = "pull_request.title",
      message = "review.body", author = "review.user.login", draft = "pull_request.draft",
      fork = "differs:pull_request.head.repo.id,pull_request.base.repo.id",
      labels = "pull_request.labels[].name", url = "review.html_url" },

    issues = { "issue",
      number = "issue.number", title = "issue.title", message = "issue.body", author = "issue.user.login",
      labels = "issue.labels[].name", url = "issue.html_url" },

    issue_comment = { "comment",
      number = "issue.number", title = "issue.title", message = "comment.body", author = "comment.user.login",
      labels = "issue.labels[].name", url = "comment.html_url" },
    commit_comment = { "comment",
      sha = "comment.commit_id", message = "comment.body", author = "comment.user.login", url = "comment.html_url" },
    pull_request_review_comment = { "comment",
      ref = "pull_ref:pull_request.number", base = "pull_request.base.ref", head = "pull_request.head.ref",
      sha = "comment.commit_id|pull_request.head.sha", number = "pull_request.number", title = "pull_request.title",
      message = "comment.body", author = "comment.user.login",
      fork = "differs:pull_request.head.repo.id,pull_request.base.repo.id",
      labels = "pull_request.labels[].name", url = "comment.html_url" },

    release = { "release",
      ref = "tag_ref:release.tag_name", tag = "release.tag_name", title = "release.name|release.tag_name",
      message = "release.body", author = "release.author.login", draft = "release.draft", url = "release.html_url" },
  },
}
