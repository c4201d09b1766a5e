/* rules/ruleset.h - a directory's rules, checked, compiled and indexed. Immutable, counted: every loop holds the same
 * one. Pure: no I/O, no clock, no logging, no Lua; any thread.
 *
 * The BUNDLE is eval's output, one JSON object:
 *   {"version":1, "files":[{"path":"rules/docs.lua","source":"…text…","decls":[DECL…]}…],   pushrod.lua among them
 *    "modules":{"name":"…text of plugins/name.lua…"},  "zones":{"Europe/Berlin":"…base64 of its TZif file…"},
 *    "providers":[{"name":"github","path":"plugins/providers/github.lua","value":VALUE}…],    built-in and the user's
 *    "diags":[…]}                                                                              of the token pass and of Lua
 *   DECL = {"kind":"rule|config|source|queue|…","name":"docs","at":[line,col],"value":VALUE}   VALUE: rules/node.h
 * A rule set is known by the SHA-256 of this text. */
#pragma once
#include "rules/diag.h"
#include "base/err.h"
#include "model/job.h"
#include "rules/client.h"

struct ruleset;
struct source;                                  /* an endpoint: name, path, provider, secrets */
struct rule;
struct schedule;                                /* rules/schedule.h */
struct provider;

/* Always fills DIAGS (eval's and ours, sorted). 0: *out is owned (one reference), there may be warnings. -1: errors
 * in DIAGS, or *e where the bundle itself is broken. */
int ruleset_compile(struct slice bundle_json, struct ruleset **out, struct diags *diags, struct err *e) MUST_USE;
/* The same, and FIND is asked for each secret that is named; one that is not there is an error at its place. */
int ruleset_compile_with_secrets(struct slice bundle_json, int (*find)(const char *name, void *arg, struct err *why), void *arg,
				 struct ruleset **out, struct diags *diags, struct err *e) MUST_USE;
struct ruleset *ruleset_ref(struct ruleset *rs);
void ruleset_unref(struct ruleset *rs);
const char *ruleset_sha256(const struct ruleset *rs);           /* hex */

struct listen { const char *address; int classes; };            /* "127.0.0.1:8787"; enum listen_class bits of wire/frame.h */
struct config {
	const char *url;                        /* base of links; NULL: from the first listener */
	const struct listen *listen;
	size_t n_listen;
	int jobs_max;                           /* 8 */
	int64_t job_timeout_ms, job_memory_bytes, job_log_bytes;        /* 1 h, 4 GiB, 256 MiB */
	int job_processes;                      /* 512; of one job at one time */
	const char *const *roots;               /* where publish may write */
	size_t n_roots;
	int allow_file_urls;                    /* jobs = { file_urls = true }: checkout from file:// */
	struct networks proxies;                /* whose X-Forwarded-For is believed */
	int64_t keep_deliveries_ms, keep_bodies_bytes, keep_jobs_ms;    /* 30 d, 2 GiB, 90 d */
	int64_t keep_failed_workspaces_ms;      /* 2 d */
};
const struct config *ruleset_config(const struct ruleset *rs);

size_t ruleset_rule_count(const struct ruleset *rs);
const struct rule *ruleset_rule_at(const struct ruleset *rs, size_t i);
const struct rule *ruleset_rule_find(const struct ruleset *rs, struct slice file, struct slice name);
const char *rule_name(const struct rule *r);
const char *rule_file(const struct rule *r);
int rule_line(const struct rule *r);
int rule_is_enabled(const struct rule *r);
int64_t rule_timeout_ms(const struct rule *r);
const char *const *rule_secrets(const struct rule *r, size_t *n);       /* names the job may read */
/* NULL: the rule has no `cron`, or is not enabled. */
const struct schedule *rule_schedule(const struct rule *r);
struct queue_policy;
/* Of the queue that its jobs are in: its own, or the shared one that it names. */
void rule_queue_policy(const struct rule *r, struct queue_policy *out);
/* {"name","file","line","on":[…],"steps":[names]}, where there are such: "cells":[texts], "cron":[text], "queue":{"name" or "key","limit",
 * "busy","debounce_ms","max_wait_ms"}, "enabled":false */
void rule_describe_json(const struct rule *r, struct buf *out);
/* {"rule":…,"steps":[{"name","sh" or "exec":[argv],"timeout_ms","cwd","env":{…},"allow_failure":true}…],"env":{…},
 * "checkout":true,"has_run":false,"secrets":[…]}: what the job process needs to know besides the file's text; members of a
 * step that were not written are left out, as are "matrix":{…} and "has_filter":true. {field} in env is filled from EVENT_JSON, {matrix.x}
 * from CELL: nothing where the event has no such field, a list one to a line. Where the rule says paths_from = "git", a value with
 * {paths} is the list of the texts around them, which the job fills. CELL: its text, len 0 without a matrix. -1:
 * EVENT_JSON is no object (ERR_INPUT), the rule has no such cell (ERR_BUG). */
int rule_plan_json(const struct rule *r, struct slice cell, struct slice event_json, struct buf *out, struct err *e) MUST_USE;
struct slice ruleset_file_source(const struct ruleset *rs, const char *file);           /* Lua text */
void ruleset_modules_json(const struct ruleset *rs, struct buf *out);                   /* {"name":"text"} */

size_t ruleset_source_count(const struct ruleset *rs);
const struct source *ruleset_source_at(const struct ruleset *rs, size_t i);
const struct source *ruleset_source_by_path(const struct ruleset *rs, struct slice path);   /* "/hooks/github" or its own `path` */
const struct source *ruleset_source_find(const struct ruleset *rs, struct slice name);
const char *source_name(const struct source *s);
const char *source_path(const struct source *s);                        /* "/hooks/github", or its own */
const struct provider *source_provider(const struct source *s);         /* NULL only with auth = "none" and no provider */
int source_is_terse(const struct source *s);
int source_auth_is_none(const struct source *s);
int source_allows(const struct source *s, struct slice address);        /* 1 also where it has no `allow`; 0 where ADDRESS is none */
/* What no sender brings. They are no endpoints: not among ruleset_source_at, without path and provider. */
enum inner { INNER_CRON, INNER_JOB, INNER_RULE, INNER_LOCAL, INNER_COUNT };
const struct source *ruleset_inner_source(const struct ruleset *rs, enum inner which);
const struct source *ruleset_inner_find(const struct ruleset *rs, struct slice name);    /* "cron", "job", …; or NULL */
int source_is_inner(const struct source *s);
/* 0: whatever S sends, no enabled rule can listen to it. */
int ruleset_hears(const struct ruleset *rs, const struct source *s);
int ruleset_listens_to(const struct ruleset *rs, enum inner which);     /* 1: some enabled rule does */
struct source_secret { const char *name; int64_t not_after_ms; };       /* 0: for ever */
const struct source_secret *source_secrets(const struct source *s, size_t *n);
