-- Azure DevOps service hooks sign nothing: the secret of the source is the user:password of HTTP Basic that the hook sends.
-- A push may tell of several refs at once: branch, ref and sha are then several. Which files changed is never told.
-- https://learn.microsoft.com/azure/devops/service-hooks/events
local zero = "0000000000000000000000000000000000000000"

local function pull(event, ref, sha)
  return { event,
    ref = ref or "resource.sourceRefName", sha = sha or "resource.lastMergeSourceCommit.commitId",
    base = "branch_of:resource.targetRefName", head = "branch_of:resource.sourceRefName",
    number = "resource.pullRequestId", title = "resource.title", message = "resource.description",
    author = "resource.createdBy.uniqueName|resource.createdBy.displayName", sender = "resource.createdBy.uniqueName",
    draft = "resource.isDraft", fork = "exists:resource.forkSource", labels = "resource.labels[].name",
    url = "resource._links.web.href|resource.url" }
end

local function issue(event)
  return { event, repo = "resource.fields[\"System.TeamProject\"]", number = "resource.id",
    title = "resource.fields[\"System.Title\"]", message = "resource.fields[\"System.Description\"]",
    author = "resource.fields[\"System.CreatedBy\"]", sender = "resource.fields[\"System.ChangedBy\"]",
    url = "resource._links.html.href|resource.url" }
end

local merged = pull("pull_request.merged", "resource.targetRefName", "resource.lastMergeCommit.commitId|resource.lastMergeSourceCommit.commitId")
merged.when = { ["resource.status"] = "completed" }
local closed = pull "pull_request.closed"
closed.when = { ["resource.status"] = "abandoned" }

provider "azure-devops" {
  kind = "basic",
  event = "json:eventType", delivery = "json:id", id_in_mac = false, deadline = "10s", retry = "auto",

  fields = {
    repo   = "join:resource.repository.project.name,resource.repository.name",
    owner  = "resource.repository.project.name",
    sender = "resource.pushedBy.uniqueName|resource.pushedBy.displayName",
    url    = "resource.repository.remoteUrl|resource.repository.url",
    ref    = "resource.repository.defaultBranch",
  },

  events = {
    ["git.push"] = {
      { "delete", when = { ["resource.refUpdates[0].newObjectId"] = zero },
        deleted = "is_zero:resource.refUpdates[0].newObjectId" },
      { "tag", when = { ["resource.refUpdates[0].name"] = "refs/tags/*" }, sha = "resource.refUpdates[].newObjectId",
        created = "is_zero:resource.refUpdates[0].oldObjectId" },
      { "push", when = { ["resource.refUpdates[0].name"] = "refs/heads/*" }, sha = "resource.refUpdates[].newObjectId",
        created = "is_zero:resource.refUpdates[0].oldObjectId",
        message = "resource.commits[0].comment", title = "first_line:resource.commits[0].comment",
        author = "resource.commits[0].author.name", paths = { commits = "resource.commits" } },
      ref = "resource.refUpdates[].name", branch = "branch_of:resource.refUpdates[].name", tag = "tag_of:resource.refUpdates[].name",
      before = "resource.refUpdates[].oldObjectId" },

    ["git.pullrequest.created"] = pull "pull_request.opened",
    ["git.pullrequest.updated"] = { merged, closed, pull "pull_request.synchronize" },
    ["ms.vss-code.git-pullrequest-comment-event"] = { "comment.created",
      repo = "join:resource.pullRequest.repository.project.name,resource.pullRequest.repository.name",
      owner = "resource.pullRequest.repository.project.name", number = "resource.pullRequest.pullRequestId",
      title = "resource.pullRequest.title", sha = "resource.pullRequest.lastMergeSourceCommit.commitId",
      fork = "exists:resource.pullRequest.forkSource", message = "resource.comment.content",
      author = "resource.comment.author.uniqueName", sender = "resource.comment.author.uniqueName",
      url = "resource.comment._links.self.href" },

    ["workitem.created"] = issue "issue.opened",
    ["workitem.updated"] = issue "issue.edited",
    ["workitem.deleted"] = issue "issue.deleted",
    ["workitem.restored"] = issue "issue.reopened",
    ["workitem.commented"] = issue "comment.created",
  },
}
