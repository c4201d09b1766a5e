-- GitLab with a secret token, which every request carries in clear. Where GitLab is 19.0 or newer, use
-- "gitlab-signing-token". https://docs.gitlab.com/user/project/integrations/webhook_events/
--
-- The native events are GitLab's `object_kind`: push, tag_push, merge_request, issue, note, pipeline, job, release, …
provider "gitlab" {
  kind = "token", sig = "header:X-Gitlab-Token",
  event = "json:object_kind|header:X-Gitlab-Event", action = "json:object_attributes.action|json:action",
  delivery = "header:Idempotency-Key|header:X-Gitlab-Event-UUID|digest", id_in_mac = false,
  deadline = "10s", retry = "none", keep = "7d",

  fields = {
    repo   = "project.path_with_namespace",
    owner  = "owner_of:project.path_with_namespace",
    sender = "user_username|user.username",
    url    = "project.web_url",
    ref    = "branch_ref:project.default_branch",
  },

  events = {
    push = {
      { "delete", when = { after = { "0000000000000000000000000000000000000000",
                                     "0000000000000000000000000000000000000000000000000000000000000000" } },
        ref = "ref", branch = "branch_of:ref", before = "before", deleted = "is_zero:after" },
      { "push", when = { ref = "refs/heads/*" },
        ref = "ref", branch = "branch_of:ref", sha = "checkout_sha|after", before = "before",
        message = "last:commits[].message", title = "last:commits[].title", author = "last:commits[].author.name",
        created = "is_zero:before", deleted = "is_zero:after",
        paths = { commits = "commits", total = "total_commits_count", unless = { "is_zero:before" } } },
    },

    tag_push = {
      { "delete", when = { after = { "0000000000000000000000000000000000000000",
                                     "0000000000000000000000000000000000000000000000000000000000000000" } },
        ref = "ref", tag = "tag_of:ref", before = "before", deleted = "is_zero:after" },
      { "tag",
        ref = "ref", tag = "tag_of:ref", sha = "checkout_sha|after", before = "before",
        message = "last:commits[].message", title = "last:commits[].title", author = "last:commits[].author.name",
        created = "is_zero:before", deleted = "is_zero:after" },
    },

    merge_request = {
      { "pull_request.synchronize", when = { ["object_attributes.action"] = "update", ["object_attributes.oldrev"] = "*" },
        ref = "merge_ref:object_attributes.iid", base = "object_attributes.target_branch",
        head = "object_attributes.source_branch", sha = "object_attributes.last_commit.id",
        before = "object_attributes.oldrev", number = "object_attributes.iid", title = "object_attributes.title",
        message = "object_attributes.description", draft = "object_attributes.draft|object_attributes.work_in_progress",
        fork = "differs:object_attributes.source_project_id,object_attributes.target_project_id",
        labels = "labels[].title", url = "object_attributes.url" },
      { "pull_request",
        actions = { open = "opened", close = "closed", reopen = "reopened", merge = "closed", update = "edited" },
        ref = "merge_ref:object_attributes.iid", base = "object_attributes.target_branch",
        head = "object_attributes.source_branch", sha = "object_attributes.last_commit.id",
        number = "object_attributes.iid", title = "object_attributes.title",
        message = "object_attributes.description", draft = "object_attributes.draft|object_attributes.work_in_progress",
        fork = "differs:object_attributes.source_project_id,object_attributes.target_project_id",
        labels = "labels[].title", url = "object_attributes.url" },
    },

    issue = { "issue", actions = { open = "opened", close = "closed", reopen = "reopened", update = "edited" },
      number = "object_attributes.iid", title = "object_attributes.title", message = "object_attributes.description",
      labels = "labels[].title", url = "object_attributes.url" },

    note = { "comment", actions = { create = "created", update = "edited" },
      number = "merge_request.iid|issue.iid", title = "merge_request.title|issue.title",
      sha = "merge_request.last_commit.id|commit.id", message = "object_attributes.note",
      author = "user.username", url = "object_attributes.url" },

    release = { "release", actions = { create = "published", update = "edited", delete = "deleted" },
      ref = "tag_ref:tag", tag = "tag", sha = "commit.id", title = "name|tag", message = "description", url = "url" },
  },
}
