-- Bitbucket Data Center and Server. A push may tell of several refs at once: branch, ref and sha are then several. Which
-- files changed is never told; issues and releases it has none.
-- https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
local function pull(event, ref, sha)
  return { event,
    ref = ref or "pullRequest.fromRef.id", sha = sha or "pullRequest.fromRef.latestCommit", before = "previousFromHash",
    base = "pullRequest.toRef.displayId", head = "pullRequest.fromRef.displayId", number = "pullRequest.id",
    title = "pullRequest.title", message = "pullRequest.description", author = "pullRequest.author.user.name",
    draft = "pullRequest.draft", fork = "differs:pullRequest.fromRef.repository.id,pullRequest.toRef.repository.id",
    url = "pullRequest.links.self[0].href" }
end

local function comment(event)
  return { event, number = "pullRequest.id", title = "pullRequest.title", sha = "pullRequest.fromRef.latestCommit|commit",
    message = "comment.text", author = "comment.author.name",
    fork = "differs:pullRequest.fromRef.repository.id,pullRequest.toRef.repository.id", url = "pullRequest.links.self[0].href" }
end

provider "bitbucket-server" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Hub-Signature", pair = "=", take = "sha256", signed = "{body}",
  event = "header:X-Event-Key", delivery = "header:X-Request-Id", id_in_mac = false,
  deadline = "10s", retry = "none",

  fields = {
    repo   = "join:repository.project.key,repository.slug" ..
             "|join:pullRequest.toRef.repository.project.key,pullRequest.toRef.repository.slug",
    owner  = "repository.project.key|pullRequest.toRef.repository.project.key",
    sender = "actor.name",
    url    = "repository.links.self[0].href",
  },

  events = {
    ["diagnostics:ping"] = "ping",

    ["repo:refs_changed"] = {
      { "delete", when = { ["changes[0].type"] = "DELETE", ["changes[0].ref.type"] = "TAG" },
        tag = "changes[].ref.displayId", deleted = "is_zero:changes[0].toHash" },
      { "delete", when = { ["changes[0].type"] = "DELETE" },
        branch = "changes[].ref.displayId", deleted = "is_zero:changes[0].toHash" },
      { "tag", when = { ["changes[0].ref.type"] = "TAG" },
        tag = "changes[].ref.displayId", sha = "changes[].toHash", created = "is_zero:changes[0].fromHash" },
      { "push", when = { ["changes[0].ref.type"] = "BRANCH" },
        branch = "changes[].ref.displayId", sha = "changes[].toHash", created = "is_zero:changes[0].fromHash",
        message = "toCommit.message", title = "first_line:toCommit.message", author = "toCommit.author.name",
        paths = { commits = "commits" } },
      ref = "changes[].ref.id", before = "changes[].fromHash" },

    ["pr:opened"]           = pull "pull_request.opened",
    ["pr:from_ref_updated"] = pull "pull_request.synchronize",
    ["pr:modified"]         = pull "pull_request.edited",
    ["pr:merged"]           = pull("pull_request.merged", "pullRequest.toRef.id",
                                   "pullRequest.properties.mergeCommit.id|pullRequest.fromRef.latestCommit"),
    ["pr:declined"]         = pull "pull_request.closed",
    ["pr:deleted"]          = pull "pull_request.closed",
    ["pr:reviewer:approved"]   = pull "pull_request.approved",
    ["pr:reviewer:unapproved"] = pull "pull_request.unapproved",
    ["pr:reviewer:needs_work"] = pull "pull_request.changes_requested",
    ["pr:reviewer:changes_requested"] = pull "pull_request.changes_requested",

    ["pr:comment:added"]     = comment "comment.created",
    ["pr:comment:edited"]    = comment "comment.edited",
    ["pr:comment:deleted"]   = comment "comment.deleted",
    ["repo:comment:added"]   = comment "comment.created",
    ["repo:comment:edited"]  = comment "comment.edited",
    ["repo:comment:deleted"] = comment "comment.deleted",
  },
}
