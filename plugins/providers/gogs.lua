-- Gogs: Gitea's ancestor. It signs as Gitea does, tells no head commit (the newest of the list is the first), and names
-- branches and repositories of a pull request otherwise; the head commit of a pull request it does not tell at all.
-- https://gogs.io/docs/features/webhook
local zero = "0000000000000000000000000000000000000000"

provider "gogs" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Gogs-Signature", payload = "form:payload", signed = "{payload}",
  event = "header:X-Gogs-Event", action = "json:action", delivery = "header:X-Gogs-Delivery", id_in_mac = false,
  deadline = "15s", retry = "none",

  fields = {
    repo   = "repository.full_name",
    owner  = "repository.owner.username|repository.owner.login",
    sender = "sender.username|sender.login",
    url    = "repository.html_url",
    ref    = "branch_ref:repository.default_branch",
  },

  events = {
    push = {
      { "delete", when = { after = zero },
        ref = "ref", branch = "branch_of:ref", tag = "tag_of:ref", before = "before", deleted = "is_zero:after" },
      { "tag", when = { ref = "refs/tags/*" },
        ref = "ref", tag = "tag_of:ref", sha = "after", before = "before",
        created = "is_zero:before", deleted = "is_zero:after", url = "compare_url" },
      { "push", when = { ref = "refs/heads/*" },
        ref = "ref", branch = "branch_of:ref", sha = "after", before = "before",
        message = "commits[0].message", title = "first_line:commits[0].message",
        author = "commits[0].author.username|commits[0].author.name", url = "compare_url",
        created = "is_zero:before", deleted = "is_zero:after",
        paths = { commits = "commits", unless = { "is_zero:before" } } },
    },

    delete = {
      { "delete", when = { ref_type = "branch" }, ref = "branch_ref:ref", branch = "ref" },
      { "delete", when = { ref_type = "tag" }, ref = "tag_ref:ref", tag = "ref" },
    },

    -- A new tag is told by this event alone.
    create = { "tag", when = { ref_type = "tag" }, ref = "tag_ref:ref", tag = "ref", sha = "sha" },

    pull_request = {
      { "pull_request.merged", when = { action = "closed", ["pull_request.merged"] = true },
        ref = "branch_ref:pull_request.base_branch", sha = "pull_request.merge_commit_sha" },
      { "pull_request" },
      actions = { synchronized = "synchronize", label_updated = "labeled", label_cleared = "unlabeled" },
      ref = "pull_ref:pull_request.number", base = "pull_request.base_branch", head = "pull_request.head_branch",
      number = "pull_request.number", title = "pull_request.title", message = "pull_request.body",
      author = "pull_request.user.username|pull_request.user.login",
      fork = "differs:pull_request.head_repo.id,pull_request.base_repo.id",
      labels = "pull_request.labels[].name", url = "pull_request.html_url" },

    issues = { "issue", actions = { label_updated = "labeled", label_cleared = "unlabeled" },
      number = "issue.number", title = "issue.title", message = "issue.body",
      author = "issue.user.username|issue.user.login", labels = "issue.labels[].name", url = "repository.html_url" },

    issue_comment = { "comment",
      number = "issue.number", title = "issue.title", message = "comment.body",
      author = "comment.user.username|comment.user.login", labels = "issue.labels[].name", url = "comment.html_url" },

    release = { "release",
      ref = "tag_ref:release.tag_name", tag = "release.tag_name", title = "release.name|release.tag_name",
      message = "release.body", author = "release.author.username|release.author.login", draft = "release.draft" },
  },
}
