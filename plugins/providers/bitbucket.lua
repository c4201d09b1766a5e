-- Bitbucket Cloud; Data Center is "bitbucket-server". The header has the name of GitHub's SHA-1 one and holds SHA-256. A
-- push may tell of several branches at once: branch, ref and sha are then several. Which files changed is never told, and
-- whether an update of a pull request brought commits is not told either.
-- https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
local function pull(event, ref, sha)
  return { event,
    ref = ref or "branch_ref:pullrequest.source.branch.name", sha = sha or "pullrequest.source.commit.hash",
    base = "pullrequest.destination.branch.name", head = "pullrequest.source.branch.name", number = "pullrequest.id",
    title = "pullrequest.title", message = "pullrequest.description", author = "pullrequest.author.nickname",
    draft = "pullrequest.draft", fork = "differs:pullrequest.source.repository.uuid,pullrequest.destination.repository.uuid",
    url = "pullrequest.links.html.href" }
end

local function comment(event)
  return { event, number = "pullrequest.id|issue.id", title = "pullrequest.title|issue.title",
    sha = "pullrequest.source.commit.hash|commit.hash", message = "comment.content.raw", author = "comment.user.nickname",
    fork = "differs:pullrequest.source.repository.uuid,pullrequest.destination.repository.uuid",
    url = "comment.links.html.href" }
end

local function issue(event)
  return { event, number = "issue.id", title = "issue.title", message = "issue.content.raw",
    author = "issue.reporter.nickname", url = "issue.links.html.href" }
end

provider "bitbucket" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Hub-Signature", pair = "=", take = "sha256", signed = "{body}",
  event = "header:X-Event-Key", delivery = "header:X-Request-UUID|header:X-Request-Id", id_in_mac = false,
  deadline = "10s", retry = "auto",

  fields = {
    repo   = "repository.full_name",
    owner  = "repository.workspace.slug|owner_of:repository.full_name",
    sender = "actor.nickname|actor.name",
    url    = "repository.links.html.href",
    ref    = "branch_ref:repository.mainbranch.name",
  },

  events = {
    ["repo:push"] = {
      { "delete", when = { ["push.changes[0].closed"] = true, ["push.changes[0].old.type"] = "branch" },
        ref = "branch_ref:push.changes[].old.name", branch = "push.changes[].old.name",
        before = "push.changes[].old.target.hash", deleted = "push.changes[0].closed" },
      { "delete", when = { ["push.changes[0].closed"] = true },
        ref = "tag_ref:push.changes[].old.name", tag = "push.changes[].old.name",
        before = "push.changes[].old.target.hash", deleted = "push.changes[0].closed" },
      { "tag", when = { ["push.changes[0].new.type"] = "tag" },
        ref = "tag_ref:push.changes[].new.name", tag = "push.changes[].new.name",
        sha = "push.changes[].new.target.hash", message = "push.changes[0].new.target.message",
        title = "first_line:push.changes[0].new.target.message", author = "push.changes[0].new.target.author.user.nickname",
        created = "push.changes[0].created", forced = "push.changes[0].forced", url = "push.changes[0].links.html.href" },
      { "push", when = { ["push.changes[0].new.type"] = "branch" },
        ref = "branch_ref:push.changes[].new.name", branch = "push.changes[].new.name",
        sha = "push.changes[].new.target.hash", before = "push.changes[].old.target.hash",
        message = "push.changes[0].new.target.message", title = "first_line:push.changes[0].new.target.message",
        author = "push.changes[0].new.target.author.user.nickname",
        created = "push.changes[0].created", forced = "push.changes[0].forced", url = "push.changes[0].links.html.href",
        paths = { commits = "push.changes[0].commits" } },
    },

    ["pullrequest:created"]   = pull "pull_request.opened",
    ["pullrequest:updated"]   = pull "pull_request.synchronize",
    ["pullrequest:fulfilled"] = pull("pull_request.merged", "branch_ref:pullrequest.destination.branch.name",
                                     "pullrequest.merge_commit.hash|pullrequest.source.commit.hash"),
    ["pullrequest:rejected"]  = pull "pull_request.closed",
    ["pullrequest:approved"]  = pull "pull_request.approved",
    ["pullrequest:unapproved"] = pull "pull_request.unapproved",
    ["pullrequest:changes_request_created"] = pull "pull_request.changes_requested",

    ["pullrequest:comment_created"] = comment "comment.created",
    ["pullrequest:comment_updated"] = comment "comment.edited",
    ["pullrequest:comment_deleted"] = comment "comment.deleted",
    ["repo:commit_comment_created"] = comment "comment.created",
    ["issue:comment_created"]       = comment "comment.created",

    ["issue:created"] = issue "issue.opened",
    ["issue:updated"] = issue "issue.edited",
  },
}
