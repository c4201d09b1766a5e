-- The smallest useful installation: one source, one rule. Start it with
--     PUSHROD_SECRET_GITHUB=… pushrod serve examples/quickstart
config {
  listen = { { "127.0.0.1:8787", serve = { "hooks", "pages" } } },
  jobs   = { timeout = "10m", file_urls = true },     -- file_urls: the demo's repository lies on this machine
}

source "github" { provider = "github", secret = secret "github" }
