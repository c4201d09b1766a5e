-- GitLab with a secret token, which every request carries in clear. Where GitLab is 19.0 or newer, use
-- "gitlab-signing-token". https://docs.gitlab.com/user/project/integrations/webhook_events/
--
-- The native events are GitLab's `object_kind`: push, tag_push, merge_request, issue, note, pipeline, job, release, …
local zero = { "0000000000000000000000000000000000000000",
               "0000000000000000000000000000000000000000000000000000000000000000" }

provider "gitlab" {
  kind = "token", sig = "header:X-Gitlab-Token",
  event = "json:object_kind|header:X-Gitlab-Event", action = "json:object_attributes.action|json:action",
  delivery = "header:Idempotency-Key|header:X-Gitlab-Event-UUID|digest", id_in_mac = false,
  deadline = "10s", retry = "none",

  fields = {
    repo   = "project.path_with_namespace",
    owner  = "owner_of:project.path_with_namespace",
    sender = "user_username|user.username",
    url    = "project.web_url",
    ref    = "branch_ref:project.default_branch",
  },

  events = {
    push = {
      { "delete", when = { after = zero },
        ref = "ref", branch = "branch_of:ref", before = "before", deleted = "is_zero:after" },
      { "push", when = { ref = "refs/heads/*" },
        ref = "ref", branch = "branch_of:ref", sha = "checkout_sha|after", before = "before",
        message = "last:commits[].message", title = "last:commits[].title", author = "last:commits[].author.name",
        created = "is_zero:before", deleted = "is_zero:after",
        paths = { commits = "commits", total = "total_commits_count", unless = { "is_zero:before" } } },
    },

    tag_push = {
      { "delete", when = { after = zero },
        ref = "ref", tag = "tag_of:ref", before = "before", deleted = "is_zero:after" },
      { "tag",
        ref = "ref", tag = "tag_of:ref", sha = "checkout_sha|after", before = "before",
        message = "last:commits[].message", title = "last:commits[].title", author = "last:commits[].author.name",
        created = "is_zero:before", deleted = "is_zero:after" },
    },

    -- An "update" is new commits (it has `oldrev`), another label, another draft state, or a new text.
    merge_request = {
      { "pull_request.synchronize", when = { ["object_attributes.action"] = "update", ["object_attributes.oldrev"] = "*" },
        before = "object_attributes.oldrev" },
      { "pull_request.labeled", when = { ["object_attributes.action"] = "update", ["changes.labels.current[0]"] = "*" } },
      { "pull_request.unlabeled", when = { ["object_attributes.action"] = "update", ["changes.labels"] = "*" } },
      { "pull_request.converted_to_draft", when = { ["object_attributes.action"] = "update", ["changes.draft.current"] = true } },
      { "pull_request.ready_for_review", when = { ["object_attributes.action"] = "update", ["changes.draft.current"] = false } },
      { "pull_request.merged", when = { ["object_attributes.action"] = "merge" },
        ref = "branch_ref:object_attributes.target_branch",
        sha = "object_attributes.merge_commit_sha|object_attributes.squash_commit_sha|object_attributes.last_commit.id" },
      { "pull_request.opened", when = { ["object_attributes.action"] = "open" }, author = "user.username" },
      { "pull_request" },
      actions = { close = "closed", reopen = "reopened", update = "edited", approval = "approved", unapproval = "unapproved" },
      ref = "merge_ref:object_attributes.iid", base = "object_attributes.target_branch",
      head = "object_attributes.source_branch", sha = "object_attributes.last_commit.id",
      number = "object_attributes.iid", title = "object_attributes.title",
      message = "object_attributes.description", draft = "object_attributes.draft|object_attributes.work_in_progress",
      fork = "differs:object_attributes.source_project_id,object_attributes.target_project_id",
      labels = "labels[].title", url = "object_attributes.url" },

    issue = {
      { "issue.labeled", when = { ["object_attributes.action"] = "update", ["changes.labels.current[0]"] = "*" } },
      { "issue.unlabeled", when = { ["object_attributes.action"] = "update", ["changes.labels"] = "*" } },
      { "issue.opened", when = { ["object_attributes.action"] = "open" }, author = "user.username" },
      { "issue" },
      actions = { close = "closed", reopen = "reopened", update = "edited" },
      number = "object_attributes.iid", title = "object_attributes.title", message = "object_attributes.description",
      labels = "labels[].title", url = "object_attributes.url" },

    note = { "comment", actions = { create = "created", update = "edited" },
      number = "merge_request.iid|issue.iid", title = "merge_request.title|issue.title",
      sha = "merge_request.last_commit.id|commit.id", message = "object_attributes.note",
      author = "user.username", url = "object_attributes.url",
      fork = "differs:merge_request.source_project_id,merge_request.target_project_id" },

    release = { "release", actions = { create = "published", update = "edited", delete = "deleted" },
      ref = "tag_ref:tag", tag = "tag", sha = "commit.id", title = "name|tag", message = "description", url = "url" },
  },
}
