-- Content sync: a push to the handbook is built and published by an atomic switch.
config {
  listen = { { "127.0.0.1:8787", serve = { "hooks", "pages" } } },
  jobs   = { roots = { "www" }, file_urls = true },   -- a relative root lies in this directory
}

source "github" { provider = "github", secret = secret "github" }
