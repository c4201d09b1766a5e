/* runner/spec.h - a job's specification in a sealed memfd, made by the front (front/spec.c), read by the job process alone
 * (attempt_read_spec). At most SPEC_MAX_BYTES: the length of the payload in decimal, a line feed, the payload (the document as
 * it was received, which is parsed only where the job asks for it), and one JSON object:
 *
 * {"job":7,"attempt":1,"delivery":3,"reason":"","rule":"docs","file":"rules/docs.lua","cell":"","url":"http://…/jobs/7",
 *  "source_text":"…the rule file's Lua…", "modules":{"name":"Lua text"},
 *  "plan":{…},                     rules/ruleset.h rule_plan_json: steps, env, matrix, checkout, secrets
 *  "event":{…normalised…}, "headers":{…}, "cause":{…} (where a job caused the event),
 *  "replay":{"delivery":3},        where its delivery repeats another: the first of all
 *  "batch":[{"id":3,…event…}],     where its delivery took others in: each as it came, oldest first, its own the last
 *  "residue":{…},                  where the rule says paths_from = "git": what the job decides (rules/residue.h)
 *  "limited":false,                 a stranger's event: no secrets, and refused where its steps could not be confined
 *  "secrets":{"name":"value"},     those that the rule names, and no other
 *  "timeout_ms":3600000, "memory_bytes":…, "processes":512, "log_bytes":…, "file_bytes":…, "cpu_seconds":…,
 *  "roots":["/srv/www"], "file_urls":false, "workspace_kept_ms":…,
 *  "state":"/abs/state",           workspaces/<job>.<attempt>, mirrors/ and tmp lie below it
 *  "site":"/abs/site"}             where relative targets of publish lie; roots are absolute
 */
#pragma once
#define SPEC_MAX_BYTES (64 << 20)
