-- sourcehut signs with its own key: the secret of the source is that public key in base64, which each of its services
-- publishes; git.sr.ht's legacy one is uX7KWyyDNMaBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4=.
--
-- Its newer hooks send what their GraphQL query asks for; docs/providers.md has the query that these fields are read from.
-- The older REST hooks (repo:post-update) do not say which repository they are about: there `repo` is missing.
provider "sourcehut" {
  kind = "ed25519", enc = "base64", key = "base64",
  sig = "header:X-Payload-Signature", msgid = "header:X-Payload-Nonce", signed = "{body}{msgid}",
  event = "header:X-Webhook-Event", delivery = "header:X-Webhook-Delivery", id_in_mac = false,
  deadline = "10s", retry = "none",

  events = {
    GIT_POST_RECEIVE = {
      { "delete", when = { ["data.webhook.updates[0].new"] = null, ["data.webhook.updates[0].ref.name"] = "refs/tags/*" },
        tag = "tag_of:data.webhook.updates[].ref.name" },
      { "delete", when = { ["data.webhook.updates[0].new"] = null }, branch = "branch_of:data.webhook.updates[].ref.name" },
      { "tag", when = { ["data.webhook.updates[0].ref.name"] = "refs/tags/*" },
        tag = "tag_of:data.webhook.updates[].ref.name", sha = "data.webhook.updates[].new.id" },
      { "push", when = { ["data.webhook.updates[0].ref.name"] = "refs/heads/*" },
        branch = "branch_of:data.webhook.updates[].ref.name", sha = "data.webhook.updates[].new.id",
        message = "data.webhook.updates[0].new.message", title = "first_line:data.webhook.updates[0].new.message",
        author = "data.webhook.updates[0].new.author.name",
        paths = { commits = "data.webhook.updates" } },         -- which files changed is never told
      repo = "join:data.webhook.repository.owner.canonicalName,data.webhook.repository.name",
      owner = "data.webhook.repository.owner.canonicalName", sender = "data.webhook.pusher.canonicalName",
      ref = "data.webhook.updates[].ref.name", before = "data.webhook.updates[].old.id" },

    ["repo:post-update"] = {
      { "delete", when = { ["refs[0].new"] = null, ["refs[0].name"] = "refs/tags/*" }, tag = "tag_of:refs[].name" },
      { "delete", when = { ["refs[0].new"] = null }, branch = "branch_of:refs[].name" },
      { "tag", when = { ["refs[0].name"] = "refs/tags/*" }, tag = "tag_of:refs[].name", sha = "refs[].new.id" },
      { "push", when = { ["refs[0].name"] = "refs/heads/*" },
        branch = "branch_of:refs[].name", sha = "refs[].new.id", message = "refs[0].new.message",
        title = "first_line:refs[0].new.message", author = "refs[0].new.author.name", paths = { commits = "refs" } },
      sender = "pusher.canonical_name", owner = "pusher.canonical_name", ref = "refs[].name", before = "refs[].old.id" },

    ["ticket:create"] = { "issue.opened", repo = "join:tracker.owner.canonical_name,tracker.name",
      owner = "tracker.owner.canonical_name", number = "id", title = "title", message = "description",
      author = "submitter.canonical_name", sender = "submitter.canonical_name" },
    ["event:create"] = { "comment.created", when = { ["comment.text"] = "*" },
      repo = "join:ticket.tracker.owner.canonical_name,ticket.tracker.name", owner = "ticket.tracker.owner.canonical_name",
      number = "ticket.id", title = "ticket.title", message = "comment.text",
      author = "comment.submitter.canonical_name|user.canonical_name", sender = "user.canonical_name" },
  },
}
