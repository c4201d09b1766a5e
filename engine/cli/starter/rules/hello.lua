-- A rule says which events (`on`), of these which (`when`), and what is done: `steps`, or a function `run`.
-- See it work:
--     pushrod serve SITE                                   in one terminal, and in another
--     pushrod simulate github push --site SITE             a signed sample of a push, to any branch
--     pushrod watch                                        its log, live
rule "hello" {
  on    = "push",
  when  = "always",
  env   = { REPO = "{repo}", TITLE = "{title}" },           -- event text reaches a script by its environment alone
  steps = {
    { "greet", sh = [[echo "a push to $REPO: $TITLE"]] },
  },
}

-- A push to the main branch of one repository, tested:
--
-- rule "ci" {
--   on       = "push",
--   when     = { repo = "acme/app", branch = "main", paths = { "src/**", except = "**/*.md" } },
--   checkout = true,
--   timeout  = "20m",
--   steps    = {
--     { "build", sh = "make" },
--     { "test",  sh = "make test", timeout = "10m" },
--   },
-- }
--
-- The same in Lua, where steps need conditions, loops or results:
--
-- rule "release" {
--   on      = "release.published",
--   when    = { repo = "acme/app", draft = false },
--   secrets = { "upload-token" },
--   run     = function(job)
--     job:checkout()
--     job:exec { "make", "dist", cwd = job.tree }
--     job:sh("./upload", { cwd = job.tree, env = { TOKEN = job:secret "upload-token", TAG = job.event.tag } })
--   end,
-- }
