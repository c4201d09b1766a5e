-- Gitea and Forgejo. The signature covers the JSON even where it is sent as a form, and a server without a secret still
-- sends the header, empty: that is refused. https://docs.gitea.com/usage/webhooks
local zero = { "0000000000000000000000000000000000000000",
               "0000000000000000000000000000000000000000000000000000000000000000" }

local function review(event)
  return { event,
    ref = "pull_ref:pull_request.number", base = "pull_request.base.ref", head = "pull_request.head.ref",
    sha = "pull_request.head.sha", number = "pull_request.number", title = "pull_request.title",
    message = "review.content", author = "sender.login", draft = "pull_request.draft",
    fork = "differs:pull_request.head.repo_id,pull_request.base.repo_id",
    labels = "pull_request.labels[].name", url = "pull_request.html_url" }
end

provider "gitea" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Gitea-Signature|header:X-Forgejo-Signature|header:X-Gogs-Signature",
  payload = "form:payload", signed = "{payload}",
  event = "header:X-Gitea-Event|header:X-Forgejo-Event|header:X-Gogs-Event", action = "json:action",
  delivery = "header:X-Gitea-Delivery|header:X-Forgejo-Delivery|header:X-Gogs-Delivery", id_in_mac = false,
  deadline = "5s", retry = "none",

  fields = {
    repo   = "repository.full_name",
    owner  = "repository.owner.login|repository.owner.username",
    sender = "sender.login|sender.username",
    url    = "repository.html_url",
    ref    = "branch_ref:repository.default_branch",
  },

  events = {
    push = {
      { "delete", when = { after = zero },
        ref = "ref", branch = "branch_of:ref", tag = "tag_of:ref", before = "before", deleted = "is_zero:after" },
      { "tag", when = { ref = "refs/tags/*" },
        ref = "ref", tag = "tag_of:ref", sha = "head_commit.id|after", before = "before",
        message = "head_commit.message", title = "first_line:head_commit.message",
        author = "head_commit.author.username|head_commit.author.name", url = "compare_url",
        created = "is_zero:before", deleted = "is_zero:after" },
      { "push", when = { ref = "refs/heads/*" },
        ref = "ref", branch = "branch_of:ref", sha = "after", before = "before",
        message = "head_commit.message", title = "first_line:head_commit.message",
        author = "head_commit.author.username|head_commit.author.name", url = "compare_url",
        created = "is_zero:before", deleted = "is_zero:after",
        paths = { commits = "commits", total = "total_commits", unless = { "is_zero:before" } } },
    },

    delete = {
      { "delete", when = { ref_type = "branch" }, ref = "branch_ref:ref", branch = "ref" },
      { "delete", when = { ref_type = "tag" }, ref = "tag_ref:ref", tag = "ref" },
    },

    pull_request = {
      { "pull_request.merged", when = { action = "closed", ["pull_request.merged"] = true },
        ref = "branch_ref:pull_request.base.ref", sha = "pull_request.merge_commit_sha|pull_request.head.sha" },
      { "pull_request" },
      actions = { synchronized = "synchronize", label_updated = "labeled", label_cleared = "unlabeled" },
      ref = "pull_ref:pull_request.number", base = "pull_request.base.ref", head = "pull_request.head.ref",
      sha = "pull_request.head.sha", number = "pull_request.number",
      title = "pull_request.title", message = "pull_request.body", author = "pull_request.user.login",
      draft = "pull_request.draft", fork = "differs:pull_request.head.repo_id,pull_request.base.repo_id",
      labels = "pull_request.labels[].name", url = "pull_request.html_url" },
    pull_request_approved = review "pull_request.approved",
    pull_request_rejected = review "pull_request.changes_requested",
    pull_request_comment  = review "comment.created",

    issues = { "issue", actions = { label_updated = "labeled", label_cleared = "unlabeled" },
      number = "issue.number", title = "issue.title", message = "issue.body", author = "issue.user.login",
      labels = "issue.labels[].name", url = "issue.html_url" },

    issue_comment = { "comment",
      number = "issue.number", title = "issue.title", message = "comment.body", author = "comment.user.login",
      labels = "issue.labels[].name", url = "comment.html_url" },

    release = { "release", actions = { updated = "edited" },
      ref = "tag_ref:release.tag_name", tag = "release.tag_name", title = "release.name|release.tag_name",
      message = "release.body", author = "release.author.login", draft = "release.draft", url = "release.html_url" },
  },
}
