/* queues of rules: what a rule's jobs wait for, by which key, which pushes merge, and what check says of it. */
#include <criterion/criterion.h>

#include "model/queue.h"
#include "no_leaks.h"
#include "rules/match.h"
#include "rules_kit.h"

#define RULE(name, when) "rule", name, "{'on':'s:e','when':" when ",'run':{'$fn':1}}"

static void expect_policy(const struct ruleset *rs, const char *rule, struct queue_policy want)
{
	struct queue_policy p;

	rule_queue_policy(ruleset_rule_find(rs, SLICE("rules/r.lua"), slice_of(rule)), &p);
	cr_assert_eq(p.busy, want.busy, "%s", rule);
	cr_assert_eq(p.limit, want.limit, "%s", rule);
	cr_assert_eq(p.debounce_ms, want.debounce_ms, "%s", rule);
	cr_assert_eq(p.max_wait_ms, want.max_wait_ms, "%s: %lld", rule, (long long)p.max_wait_ms);
}

static void expect_told(const struct ruleset *rs, const char *rule, const char *want)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);

	rule_describe_json(ruleset_rule_find(rs, SLICE("rules/r.lua"), slice_of(rule)), &out);
	cr_assert(strstr(buf_cstr(&out), want), "%s", buf_cstr(&out));
}

#define QUEUED(name, queue) "rule", name, "{'on':'push','when':'always','queue':" queue ",'run':{'$fn':1}}"

Test(queue, has_the_documented_policy_and_is_told)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'provider':'forge','secret':{'$secret':'k'}}",
		"queue", "production", "{'limit':2,'busy':'skip'}", RULE("plain", "'always'"), QUEUED("empty", "{}"), QUEUED("shared", "'production'"),
		QUEUED("own", "{'key':'{repo} {ref}','limit':1000,'busy':'cancel','debounce':'3s'}"),
		QUEUED("bound", "{'debounce':'500ms','max_wait':'2s'}"));

	expect_policy(rs, "plain", (struct queue_policy){ .busy = QUEUE_WAIT, .limit = 1 });
	expect_policy(rs, "empty", (struct queue_policy){ .busy = QUEUE_WAIT, .limit = 1 });
	expect_policy(rs, "shared", (struct queue_policy){ .busy = QUEUE_SKIP, .limit = 2 });
	expect_policy(rs, "own", (struct queue_policy){ .busy = QUEUE_CANCEL, .limit = 1000, .debounce_ms = 3000, .max_wait_ms = 30000 });
	expect_policy(rs, "bound", (struct queue_policy){ .busy = QUEUE_WAIT, .limit = 1, .debounce_ms = 500, .max_wait_ms = 2000 });
	expect_told(rs, "plain", "\"steps\":[]}");
	expect_told(rs, "shared", ",\"queue\":{\"name\":\"production\",\"limit\":2,\"busy\":\"skip\"}}");
	expect_told(rs, "own", ",\"queue\":{\"key\":\"{repo} {ref}\",\"limit\":1000,\"busy\":\"cancel\",\"debounce_ms\":3000,\"max_wait_ms\":30000}}");
	ruleset_unref(rs);
	no_leaks();
}

static void expect_key(const struct match *m, size_t i, size_t cell, int is_shared, const char *want)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);

	cr_assert_eq(match_queue_key(m, i, cell, &key), is_shared, "%zu", i);
	cr_assert_str_eq(buf_cstr(&key), want);
}

#define PUSH "{'repository':{'full_name':'a/b'},'ref':'refs/heads/main','after':'c1','message':'x','created':false,'forced':false}"

static char *json_of(const char *plain)
{
	json_t *v = plain_json(plain);
	char *out = json_dumps(v, JSON_COMPACT);
	json_decref(v);
	return out;
}

Test(queue, keys_are_filled_from_the_event_and_its_cell)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", "queue", "production", "{}",
		"rule", "plain", "{'on':'push','when':'always','run':{'$fn':1}}", QUEUED("shared", "'production'"), QUEUED("own", "{'key':'{repo} {ref} {{'}"),
		"rule", "cells", "{'on':'push','when':'always','matrix':{'cc':['gcc','clang']},'queue':{'key':'{branch}/{matrix.cc}'},'run':{'$fn':1}}",
		"rule", "long", "{'on':'push','when':'always','queue':{'key':'{title}'},'run':{'$fn':1}}");
	CLEANUP(freep) char *text = json_of(PUSH);
	struct match *m = match(rs, "push", text);

	cr_assert_eq(match_count(m), 5);
	expect_key(m, 0, 0, 0, "");
	expect_key(m, 1, 0, 1, "production");
	expect_key(m, 2, 0, 0, "a/b refs/heads/main {");
	expect_key(m, 3, 0, 0, "main/gcc");
	expect_key(m, 3, 1, 0, "main/clang");
	expect_key(m, 4, 0, 0, "x");
	match_free(m);
	for (int n = 512; n <= 513; n++) {
		char title[514] = { 0 };
		memset(title, 't', (size_t)n);
		CLEANUP(freep) char *long_text = xprintf("{\"repository\":{\"full_name\":\"a/b\"},\"ref\":\"refs/heads/main\",\"message\":\"%s\"}", title);
		CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
		m = match(rs, "push", long_text);
		match_queue_key(m, 4, 0, &key);
		cr_assert_eq(key.len, n > 512 ? strlen("sha256:") + 64 : 512, "%zu", key.len);
		match_free(m);
	}
	ruleset_unref(rs);
	no_leaks();
}

static void expect_explained(const struct match *m, const char *want)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), json = BUF(BUF_UNLIMITED);

	match_explain(m, &text, 0);
	match_explain_json(m, &json);
	cr_assert(strstr(buf_cstr(&text), want) || strstr(buf_cstr(&json), want), "no %s in\n%s\n%s", want, buf_cstr(&text), buf_cstr(&json));
}

Test(queue, explain_says_where_a_job_would_wait)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", "queue", "production", "{'limit':2}",
		"rule", "plain", "{'on':'push','when':'always','run':{'$fn':1}}", QUEUED("shared", "'production'"),
		QUEUED("own", "{'key':'{repo} {ref}','busy':'cancel','debounce':'90s'}"), QUEUED("all", "{'busy':'skip'}"),
		"rule", "not", "{'on':'push','when':{'branch':'dev'},'queue':{'key':'{repo}'},'run':{'$fn':1}}");
	CLEANUP(freep) char *text = json_of(PUSH);
	struct match *m = match(rs, "push", text);

	expect_explained(m, "  ok   queue  production, limit 2, wait\n");
	expect_explained(m, "  ok   queue  a/b refs/heads/main, limit 1, cancel, debounce 90s up to 15m\n");
	expect_explained(m, "  ok   queue  of all jobs of the rule, limit 1, skip\n");
	expect_explained(m, "  ok   queue   {repo}, limit 1, wait\n");
	expect_explained(m, "\"queue\":{\"name\":\"production\",\"limit\":2,\"busy\":\"wait\"}}");
	expect_explained(m, "\"max_wait_ms\":900000},\"queue_key\":\"a/b refs/heads/main\"}");
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

static void expect_merge(const struct ruleset *rs, const char *event, const char *plain, const char *want)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *text = json_of(plain);
	struct match *m = match(rs, event, text);

	cr_assert_eq(match_merge_key(m, &key), want != NULL, "%s", plain);
	cr_assert_str_eq(buf_cstr(&key), want ? want : "");
	match_free(m);
}

Test(queue, only_pushes_of_a_known_repository_and_ref_merge)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", RULE("r", "'always'"),
		"rule", "n", "{'cron':'0 3 * * *','run':{'$fn':1}}");

	expect_merge(rs, "push", PUSH, "a/b\nrefs/heads/main");
	expect_merge(rs, "push", "{'ref':'refs/heads/main','after':'c1'}", NULL);
	expect_merge(rs, "push", "{'repository':{'full_name':'a/b'},'ref':'refs/tags/v1','after':'c1'}", NULL);
	expect_merge(rs, "push", "{'repository':{'full_name':'a/b'},'ref':'refs/heads/main','deleted':true}", NULL);
	expect_merge(rs, "pull_request", "{'repository':{'full_name':'a/b'},'number':1,'action':'opened'}", NULL);
	expect_merge(rs, "ping", "{'repository':{'full_name':'a/b'}}", NULL);

	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *text = json_of(PUSH);
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .json = slice_of(text), .delivery_key = "k",
				   .only = ruleset_rule_find(rs, SLICE("rules/r.lua"), SLICE("r")) };
	struct match *m;
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	cr_assert_eq(match_merge_key(m, &key), 0, "what a person starts stands for itself");
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

Test(queue, a_field_that_an_event_can_lack_and_a_queue_that_is_not_there_are_errors)
{
	static const struct { const char *rule, *says; } t[] = {
		{ "{'on':'pull_request','when':'always','queue':{'key':'{branch}'},'run':{'$fn':1}}", "{branch} is never there on 'pull_request'" },
		{ "{'on':'push','when':'always','queue':{'key':'{number}'},'run':{'$fn':1}}", "{number} is never there on 'push'" },
		{ "{'on':'push','when':'always','queue':'prodution','run':{'$fn':1}}", "did you mean 'production' (pushrod.lua:2:1)?" },
		{ "{'on':'s:*','when':'always','queue':{'busy':'latest'},'run':{'$fn':1}}", "does not tell branches apart" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
		ruleset_unref(COMPILE(&shown, "source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", "queue", "production", "{}", "rule", "r", t[i].rule));
		cr_assert(strstr(buf_cstr(&shown), t[i].says), "wanted %s in:\n%s", t[i].says, buf_cstr(&shown));
	}
	no_leaks();
}

Test(queue, one_that_rules_share_and_that_ends_their_jobs_is_told_where_it_is_declared)
{
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED), alone = BUF(BUF_UNLIMITED);

#define MAIN(name) "rule", name, "{'on':'push','when':{'branch':'main'},'queue':'q','run':{'$fn':1}}"
	ruleset_unref(COMPILE(&shown, "source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", "queue", "q", "{'busy':'cancel'}", MAIN("a"), MAIN("b")));
	cr_assert(strstr(buf_cstr(&shown), "busy = \"cancel\" in a queue of 2 rules ('a', 'b'): a job of one would end those of the others"), "%s", buf_cstr(&shown));
	cr_assert(strstr(buf_cstr(&shown), "[W135]"));
	ruleset_unref(COMPILE(&alone, "source", "s", "{'provider':'forge','secret':{'$secret':'k'}}", "queue", "q", "{'busy':'cancel'}", MAIN("a")));
	cr_assert_str_eq(buf_cstr(&alone), "");
	no_leaks();
}
