-- A push to the main branch is checked out and tested; everything it prints can be watched live.
rule "ci" {
  on       = "push",
  when     = { branch = "main" },
  checkout = true,
  timeout  = "5m",
  env      = { TITLE = "{title}" },
  steps    = {
    { "greet",   sh = [[printf 'building \033[1m%s\033[0m: %s\n' "$CI_REPO" "$TITLE"]] },
    { "history", sh = "git log --oneline -5" },
    { "test",    sh = "sh ./test.sh", timeout = "2m" },
  },
}

-- Other branches only get a greeting: open its delivery in the page to see why "ci" did not fire.
rule "branches" {
  on    = "push",
  when  = { branch = { except = "main" } },
  run   = function(job)
    job:log("a push to %s by %s", job.event.branch, job.event.sender)
  end,
}
