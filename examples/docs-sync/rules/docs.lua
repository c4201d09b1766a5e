rule "docs" {
  on   = "push",
  when = { branch = "main", paths = { "docs/**", "build.sh", except = "docs/drafts/**" } },
  run  = function(job)
    job:checkout()                                        -- the event's commit, from a local mirror; job.tree is the path
    job:step("build", function()
      job:exec { "sh", "build.sh", cwd = job.tree, timeout = "5m" }
    end)
    job:publish(job.tree .. "/site", "www/handbook")      -- the old release stays until the new one is whole
  end,
}
