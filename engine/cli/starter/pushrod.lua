-- Settings of the whole server. Every key: docs/rules.md, or the completion of your editor (types/ is for it).
config {
  listen = { { "127.0.0.1:8787", serve = { "hooks", "pages" } } },
  -- url = "https://ci.example.org",            -- how the world reaches it: the beginning of links
  jobs   = { timeout = "30m" },                 -- for rules that say nothing else
  keep   = { deliveries = "30d", jobs = "90d" },
}

-- Who sends. Its webhook's address is <url>/hooks/github, its secret the text in secrets/github.
-- Other providers: gitlab, gitea, bitbucket, stripe, razorpay, …
source "github" { provider = "github", secret = secret "github" }
