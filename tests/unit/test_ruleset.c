/* ruleset: from a bundle to what the front asks: settings, sources, plans, and why a rule did not fire. */
#include <criterion/criterion.h>

#include "no_leaks.h"
#include "rules/match.h"
#include "rules/provider.h"
#include "rules_kit.h"
#include "wire/frame.h"

Test(ruleset, settings_have_the_documented_defaults)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}");
	const struct config *c = ruleset_config(rs);

	cr_assert_eq(c->n_listen, 1);
	cr_assert_str_eq(c->listen[0].address, "127.0.0.1:8787");
	cr_assert_eq(c->listen[0].classes, LISTEN_HOOKS | LISTEN_PAGES);
	cr_assert_eq(c->jobs_max, 8);
	cr_assert_eq(c->job_timeout_ms, 3600 * 1000);
	cr_assert_eq(c->job_memory_bytes, 4LL << 30);
	cr_assert_eq(c->job_log_bytes, 256 << 20);
	cr_assert_eq(c->job_processes, 512);
	cr_assert_eq(c->keep_deliveries_ms, 30LL * 24 * 3600 * 1000);
	cr_assert_eq(c->keep_bodies_bytes, 2LL << 30);
	cr_assert_eq(c->keep_jobs_ms, 90LL * 24 * 3600 * 1000);
	cr_assert_eq(c->keep_failed_workspaces_ms, 2LL * 24 * 3600 * 1000);
	cr_assert_null(c->url);
	cr_assert_not(c->allow_file_urls);
	cr_assert_eq(strlen(ruleset_sha256(rs)), 64);
	ruleset_unref(rs);
	no_leaks();
}

Test(ruleset, settings_are_taken_as_written)
{
	struct ruleset *rs = MUST_COMPILE("config", "",
		"{'url':'https://ci.example.org',"
		" 'listen':[{'#':['0.0.0.0:8443'],'serve':['hooks']},'127.0.0.1:80',{'#':['127.0.0.1:8787'],'serve':['pages','topics']}],"
		" 'jobs':{'max':3,'timeout':'90s','memory':'1GiB','log':'1MiB','roots':['/srv/www','www'],'file_urls':true},"
		" 'keep':{'deliveries':'1d','bodies':'64MiB','jobs':'2d','failed_workspaces':'90m'}}");
	const struct config *c = ruleset_config(rs);

	cr_assert_str_eq(c->url, "https://ci.example.org");
	cr_assert_eq(c->n_listen, 3);
	cr_assert_eq(c->listen[0].classes, LISTEN_HOOKS);
	cr_assert_eq(c->listen[1].classes, LISTEN_HOOKS | LISTEN_PAGES);
	cr_assert_eq(c->listen[2].classes, LISTEN_PAGES | LISTEN_TOPICS);
	cr_assert_eq(c->jobs_max, 3);
	cr_assert_eq(c->job_timeout_ms, 90000);
	cr_assert_eq(c->job_memory_bytes, 1 << 30);
	cr_assert_eq(c->job_log_bytes, 1 << 20);
	cr_assert_eq(c->n_roots, 2);
	cr_assert_str_eq(c->roots[1], "www");
	cr_assert(c->allow_file_urls);
	cr_assert_eq(c->keep_deliveries_ms, 86400 * 1000);
	cr_assert_eq(c->keep_bodies_bytes, 64 << 20);
	cr_assert_eq(c->keep_jobs_ms, 2 * 86400 * 1000);
	cr_assert_eq(c->keep_failed_workspaces_ms, 90 * 60 * 1000);
	ruleset_unref(rs);
	no_leaks();
}

Test(ruleset, a_source_is_found_by_its_path_and_may_have_several_secrets)
{
	struct ruleset *rs = MUST_COMPILE(
		"source", "lan", "{'auth':'none'}",
		"source", "own", "{'provider':'forge','path':'/webhooks/own','reply':'terse',"
		"'secret':[{'$secret':'a'},{'#':[{'$secret':'b'}],'not_after':'2026-12-01'}]}");
	const struct source *s = ruleset_source_by_path(rs, SLICE("/webhooks/own"));
	size_t n;

	cr_assert_str_eq(source_name(s), "own");
	cr_assert_str_eq(source_path(ruleset_source_find(rs, SLICE("lan"))), "/hooks/lan");
	cr_assert_null(ruleset_source_by_path(rs, SLICE("/hooks/own")));
	cr_assert_null(ruleset_source_find(rs, SLICE("other")));
	const struct source_secret *secrets = source_secrets(s, &n);
	cr_assert_eq(n, 2);
	cr_assert_str_eq(secrets[0].name, "a");
	cr_assert_eq(secrets[0].not_after_ms, 0);
	cr_assert_eq(secrets[1].not_after_ms, 1796169600000LL, "the end of that day, got %lld", (long long)secrets[1].not_after_ms);
	cr_assert(source_is_terse(s) && !source_auth_is_none(s));
	cr_assert_str_eq(provider_name(source_provider(s)), "forge");
	cr_assert(source_auth_is_none(ruleset_source_at(rs, 0)) && !source_provider(ruleset_source_at(rs, 0)));
	ruleset_unref(rs);
	no_leaks();
}

Test(ruleset, a_source_is_heard_where_an_enabled_rule_may_listen_to_something_of_it)
{
	static const struct { const char *rule; int lan, own; } cases[] = {
		{ "{'on':'push','when':'always','run':{'$fn':1}}", 0, 1 },
		{ "{'on':'push','when':{'branch':'main'},'run':{'$fn':1}}", 0, 1 },
		{ "{'on':'pull_request.opened','when':'always','run':{'$fn':1}}", 0, 1 },
		{ "{'on':'payment','when':'always','run':{'$fn':1}}", 0, 0 },
		{ "{'on':'push','enabled':false,'when':'always','run':{'$fn':1}}", 0, 0 },
		{ "{'on':'lan:*','when':{'payload':{'x':{'exists':false}}},'run':{'$fn':1}}", 1, 0 },
		{ "{'on':'lan:a','when':{'payload':{'x':'1'}},'run':{'$fn':1}}", 1, 0 },
		{ "{'on':'own:*','when':{'payload':{'x':{'gt':1}}},'run':{'$fn':1}}", 0, 1 },
		{ "{'on':['own:push','lan:b'],'when':'always','run':{'$fn':1}}", 1, 1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ruleset *rs = MUST_COMPILE("source", "lan", "{'auth':'none'}", "source", "own", "{'provider':'forge','secret':{'$secret':'a'}}",
						  "rule", "r", cases[i].rule);
		cr_expect_eq(ruleset_hears(rs, ruleset_source_find(rs, SLICE("lan"))), cases[i].lan, "%s", cases[i].rule);
		cr_expect_eq(ruleset_hears(rs, ruleset_source_find(rs, SLICE("own"))), cases[i].own, "%s", cases[i].rule);
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(ruleset, what_only_the_meaning_can_break_is_said_with_its_place)
{
	static const struct { const char *decls[8]; const char *says; } t[] = {
		{ { "source", "a", "{'auth':'none'}", "source", "a", "{'auth':'none'}" }, "pushrod.lua:2:1: error:" },
		{ { "source", "a", "{'auth':'none','path':'/x'}", "source", "b", "{'auth':'none','path':'/x'}" }, "source 'a'" },
		{ { "source", "a", "{}" }, "error:" },
		{ { "source", "s", "{'auth':'none'}", "rule", "r", "{'on':'t:push','when':'always','run':{'$fn':1}}" }, "'t'" },
		{ { "source", "s", "{'auth':'none'}", "rule", "r", "{'on':'s:e','when':{'payload':{'a..b':1}},'run':{'$fn':1}}" }, "error:" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		struct buf shown = BUF(BUF_UNLIMITED);
		cr_assert_null(compile(t[i].decls, &shown), "%zu", i);
		cr_assert(strstr(buf_cstr(&shown), t[i].says), "%zu: wanted %s in:\n%s", i, t[i].says, buf_cstr(&shown));
		buf_fini(&shown);
	}
	no_leaks();
}

Test(ruleset, a_bundle_that_is_none_is_refused)
{
	static const char *const bad[] = { "", "[]", "{}", "{\"version\":2}", "{\"version\":1,\"files\":[{}]}",
		"{\"version\":1,\"files\":[{\"path\":\"x\",\"decls\":[{}]}]}", "{\"version\":1,\"providers\":[{}]}" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct ruleset *rs;
		struct diags d = { 0 };
		struct err e;
		cr_assert_eq(ruleset_compile(slice_of(bad[i]), &rs, &d, &e), -1, "%s", bad[i]);
		cr_assert(e.msg[0]);
		diags_fini(&d);
	}
	no_leaks();
}

/* ---- plans ---- */

Test(plan, holds_the_steps_and_fills_templates_from_the_event)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "ci",
		"{'on':'s:push','when':'always','checkout':true,'timeout':'5m','secrets':['npm'],"
		" 'env':{'TITLE':'{title}!','SET':'{{x}','FILES':'{paths}','GONE':'[{tag}]','N':'{number}'},"
		" 'steps':[{'#':['build'],'sh':'make \\'{title}\\'','timeout':'2m','env':{'A':'{title}'},'cwd':'web'},"
		"          {'#':['lint'],'exec':['make','{title}'],'allow_failure':true}]}");
	const struct rule *r = ruleset_rule_find(rs, SLICE("rules/r.lua"), SLICE("ci"));
	struct buf out = BUF(1 << 16);
	struct err e;
	size_t n;

	cr_assert_eq(rule_plan_json(r, SLICE_NULL, SLICE("{\"title\":\"Fix \\\"it\\\" $(x)\",\"paths\":[\"a\",\"b\"],\"number\":7}"), &out, &e), 0);
	cr_assert_str_eq(buf_cstr(&out),
		"{\"rule\":\"ci\",\"steps\":[{\"name\":\"build\",\"sh\":\"make \\\"{title}\\\"\",\"timeout_ms\":120000,\"cwd\":\"web\","
		"\"env\":{\"A\":\"Fix \\\"it\\\" $(x)\"}},"
		"{\"name\":\"lint\",\"exec\":[\"make\",\"{title}\"],\"allow_failure\":true}],"
		"\"env\":{\"FILES\":\"a\\nb\",\"GONE\":\"[]\",\"N\":\"7\",\"SET\":\"{x}\",\"TITLE\":\"Fix \\\"it\\\" $(x)!\"},"
		"\"checkout\":true,\"has_run\":false,\"secrets\":[\"npm\"]}");
	buf_clear(&out);
	rule_describe_json(r, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"name\":\"ci\",\"file\":\"rules/r.lua\",\"line\":2,\"on\":[\"s:push\"],\"steps\":[\"build\",\"lint\"]}");
	cr_assert_eq(rule_timeout_ms(r), 300000);
	cr_assert_str_eq(rule_secrets(r, &n)[0], "npm");
	cr_assert_eq(n, 1);
	cr_assert_eq(rule_plan_json(r, SLICE_NULL, SLICE("[]"), &out, &e), -1);
	cr_assert(slice_eq(ruleset_file_source(rs, "rules/r.lua"), SLICE("rule text")));
	buf_clear(&out);
	ruleset_modules_json(rs, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"m\":\"return 1\"}");
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

/* ---- why ---- */

static void says(const struct ruleset *rs, const char *json, const char *why)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct match *m = match(rs, "e", json);
	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), why);
	match_free(m);
}

#define RULE(name, when) "rule", name, "{'on':'s:e','when':" when ",'run':{'$fn':1}}"

Test(plan, leaves_the_changed_files_open_where_git_is_to_tell_them)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "ci",
		"{'on':'s:push','when':'always','paths_from':'git','env':{'A':'{paths}','B':'x{title}{paths}{{paths}{paths}y','C':'{title}'},"
		" 'steps':[{'sh':'x','env':{'D':'{paths}.'}}]}");
	const struct rule *r = ruleset_rule_find(rs, SLICE("rules/r.lua"), SLICE("ci"));
	struct buf out = BUF(1 << 16);
	struct err e;

	cr_assert_eq(rule_plan_json(r, SLICE_NULL, SLICE("{\"title\":\"T\",\"paths\":[\"stale\"]}"), &out, &e), 0);
	cr_assert(slice_find(buf_slice(&out), SLICE("\"env\":{\"D\":[\"\",\".\"]}")) > 0, "%s", buf_cstr(&out));
	cr_assert(slice_find(buf_slice(&out), SLICE("\"env\":{\"A\":[\"\",\"\"],\"B\":[\"xT\",\"{paths}\",\"y\"],\"C\":\"T\"}")) > 0, "%s", buf_cstr(&out));
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

Test(why, names_what_was_wanted_and_what_was_there)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", RULE("r", "{'payload':{'ref':'main','n':1}}"));

	says(rs, "{\"ref\":\"dev\",\"n\":1}", "[{\"rule\":\"r\",\"because\":\"ref: want \\\"main\\\", got \\\"dev\\\"\"}]");
	says(rs, "{\"ref\":\"main\",\"n\":\"1\"}", "[{\"rule\":\"r\",\"because\":\"n: want number 1, got string \\\"1\\\"\"}]");
	says(rs, "{\"ref\":\"main\",\"n\":1}", "[]");
	says(rs, "{\"ref\":\"main\",\"m\":{}}", "[{\"rule\":\"r\",\"because\":\"n: want 1, not in the payload; nearest: ref, m\"}]");
	ruleset_unref(rs);
	no_leaks();
}

Test(why, goes_into_any_and_none)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}",
		RULE("r", "{'any':[{'payload':{'a':1}},{'payload':{'b':2}}],'none':[{'payload':{'c':{'has':'skip'}}}]}"));

	says(rs, "{\"a\":2,\"b\":3,\"c\":\"\"}",
	     "[{\"rule\":\"r\",\"because\":\"any: #1 a: want 1, got 2; #2 b: want 2, got 3\"}]");
	says(rs, "{\"a\":1,\"c\":\"[skip ci]\"}", "[{\"rule\":\"r\",\"because\":\"none: #1 holds: c: \\\"[skip ci]\\\", wanted containing \\\"skip\\\"\"}]");
	ruleset_unref(rs);
	no_leaks();
}

Test(why, of_elements_counts_those_that_pass_and_of_a_search_that_was_given_up_says_so)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}",
		RULE("all", "{'payload':{'checks':{'every':{'state':'ok'}}}}"), RULE("re", "{'payload':{'t':{'re':'^(a+)+$'}}}"));
	struct buf json = BUF(BUF_UNLIMITED), why = BUF(BUF_UNLIMITED);

	says(rs, "{\"checks\":[{\"state\":\"ok\"},{\"state\":\"bad\"},{}],\"t\":\"aa\"}", "[{\"rule\":\"all\",\"because\":\"checks: want every "
	     "{ state: \\\"ok\\\" }, got 3 values, of which 1 pass; #2 does not\"}]");
	says(rs, "{\"checks\":[],\"t\":\"aa\"}", "[{\"rule\":\"all\",\"because\":\"checks: want every { state: \\\"ok\\\" }, got no values\"}]");
	says(rs, "{\"checks\":\"x\",\"t\":\"aa\"}", "[{\"rule\":\"all\",\"because\":\"checks: want every { state: \\\"ok\\\" }, got \\\"x\\\", which is no list\"}]");
	buf_adds(&json, "{\"checks\":[{\"state\":\"ok\"}],\"t\":\"");
	buf_adds(&why, "[{\"rule\":\"re\",\"because\":\"t: want matching \\\"^(a+)+$\\\", got \\\"");
	for (int i = 0; i < 100; i++) {
		buf_addc(&json, 'a');
		buf_adds(&why, i < 80 ? "a" : "");
	}
	buf_adds(&json, "!\"}");
	buf_adds(&why, "\\\"…; given up, which counts as no match: the search takes too many steps\"}]");
	says(rs, buf_cstr(&json), buf_cstr(&why));
	buf_fini(&json);
	buf_fini(&why);
	ruleset_unref(rs);
	no_leaks();
}

/* Each beginning of an event's name is a name that it listens to. */
Test(on, a_name_has_as_many_parts_as_the_bound_and_no_more)
{
	enum { MOST = 10 };
	const char *decls[3 * (MOST + 2) + 1] = { "source", "s", "{'auth':'none'}" };
	static char names[MOST + 1][8], values[MOST + 1][128];
	CLEANUP(buf_fini) struct buf event = BUF(256), shown = BUF(BUF_UNLIMITED);
	CLEANUP(freep) char *over = NULL;

	for (int i = 0; i <= MOST; i++) {
		buf_adds(&event, i == 0 ? "" : i == 1 ? "e" : ".e");
		snprintf(names[i], sizeof names[i], "r%d", i);
		snprintf(values[i], sizeof values[i], "{'on':'s:%s','when':'always','run':{'$fn':1}}", i ? buf_cstr(&event) : "*");
		decls[3 + 3 * i] = "rule";
		decls[4 + 3 * i] = names[i];
		decls[5 + 3 * i] = values[i];
	}
	struct ruleset *rs = must_compile(decls);
	for (int more = 0; more < 20; more++) {
		struct match *m = match(rs, buf_cstr(&event), "{}");
		cr_assert_eq(match_count(m), MOST + 1, "%s: %zu", buf_cstr(&event), match_count(m));
		match_free(m);
		buf_adds(&event, ".e");
	}
	ruleset_unref(rs);
	over = xprintf("{'on':'s:e.e.e.e.e.e.e.e.e.e.e','when':'always','run':{'$fn':1}}");
	cr_assert_null(COMPILE(&shown, "source", "s", "{'auth':'none'}", "rule", "r", over));
	cr_assert(strstr(buf_cstr(&shown), "has 11 parts, an event has 10 at most"), "%s", buf_cstr(&shown));
	no_leaks();
}

static void fifty_of(const char *const *on, size_t n_on)
{
	const char *decls[3 * 122 + 1] = { "source", "s", "{'auth':'none'}" };
	static char names[120][16], values[120][128];

	for (int i = 0; i < 120; i++) {
		snprintf(names[i], sizeof names[i], "r%d", i);
		snprintf(values[i], sizeof values[i], "{'on':%s,'when':{'payload':{'repo':'site-%d','n':%d}},'run':{'$fn':1}}", on[(size_t)i % n_on],
			 i / 2, i % 2);
		decls[3 + 3 * i] = "rule";
		decls[4 + 3 * i] = names[i];
		decls[5 + 3 * i] = values[i];
	}
	struct ruleset *rs = must_compile(decls);
	struct match *m = match(rs, "e.x", "{\"repo\":\"site-30\",\"n\":0}");
	struct buf out = BUF(BUF_UNLIMITED);

	cr_assert_eq(match_count(m), 1);
	cr_assert_str_eq(rule_name(match_rule(m, 0)), "r60");
	match_why_json(m, &out);
	json_t *why = json_loads(buf_cstr(&out), 0, NULL);
	cr_assert_eq(json_array_size(why), 51);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(why, 0), "rule")), "r61", "the nearest miss comes first");
	for (size_t i = 1; i < 50; i++)
		cr_assert_str_eq(json_string_value(json_object_get(json_array_get(why, i), "rule")), names[i - 1], "then as in the file");
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(why, 50), "because")), "and 69 more");
	json_decref(why);
	buf_fini(&out);
	match_free(m);
	ruleset_unref(rs);
}

Test(why, stops_at_fifty_rules_and_counts_the_rest)
{
	static const char *const one[] = { "'s:e'" };
	static const char *const several[] = { "['s:e','s:e.x']", "'s:e'", "['s:*','s:e','s:f']", "'s:e.x'", "['s:e.x','s:e','s:*']", "'s:*'", "['s:e','s:f']" };

	fifty_of(one, COUNT(one));
	fifty_of(several, COUNT(several));
	no_leaks();
}

Test(why, an_event_that_no_rule_hears_costs_no_question)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", RULE("r", "{'payload':{'a':1}}"));
	struct match *m = match(rs, "other", "{\"a\":1}");
	struct buf out = BUF(BUF_UNLIMITED);

	cr_assert_eq(match_count(m), 0);
	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "[]");
	buf_clear(&out);
	match_event_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"source\":\"s\",\"provider\":\"\",\"event\":\"other\",\"action\":\"\",\"native\":\"other\","
		"\"delivery\":\"k\",\"received\":\"1970-01-01T00:00:00Z\"}");
	buf_fini(&out);
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

Test(match_of, a_payload_that_is_no_document_matches_nothing)
{
	static const char *const bad[] = { "", "1", "{", "{\"a\":1}x", "{\"a\":01}", "{\"a\":\"\xff\"}" };
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", RULE("r", "'always'"));

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("e"), .json = slice_of(bad[i]) };
		struct match *m;
		struct err e;
		cr_assert_eq(ruleset_match(rs, &d, &m, &e), -1, "%s", bad[i]);
	}
	ruleset_unref(rs);
	no_leaks();
}

Test(match_of, a_list_in_the_payload_means_any_element_with_or_without_brackets)
{
	static const struct { const char *when, *json; int fires; } t[] = {
		{ "{'payload':{'l':'b'}}", "{\"l\":[\"a\",\"b\"]}", 1 },
		{ "{'payload':{'l[]':'b'}}", "{\"l\":[\"a\",\"b\"]}", 1 },
		{ "{'payload':{'l[].n':'b'}}", "{\"l\":[{\"n\":\"a\"},{\"n\":\"b\"}]}", 1 },
		{ "{'payload':{'l[].n':{'ne':'b'}}}", "{\"l\":[{\"n\":\"a\"},{\"n\":\"b\"}]}", 0 },
		{ "{'payload':{'l[].n':{'ne':'b'}}}", "{\"l\":[]}", 1 },
		{ "{'payload':{'l[].n':{'ne':'b'}}}", "{}", 0 },
		{ "{'payload':{'l[].n':{'exists':false}}}", "{\"l\":[]}", 1 },
		{ "{'payload':{'l':{'exists':true}}}", "{\"l\":[]}", 1 },
		{ "{'payload':{'l[].t':{'exists':true}}}", "{\"l\":[{\"t\":[]}]}", 1 },
		{ "{'payload':{'l[].t':{'exists':true}}}", "{\"l\":[{},1]}", 0 },
		{ "{'payload':{'l':{'ge':10,'lt':20}}}", "{\"l\":[5,25]}", 0 },
		{ "{'payload':{'l':{'ge':10,'lt':20}}}", "{\"l\":[5,15]}", 1 },
		{ "{'payload':{'l':{'some':{'n':'b','k':1}}}}", "{\"l\":[{\"n\":\"b\"},{\"n\":\"b\",\"k\":1}]}", 1 },
		{ "{'payload':{'l':{'some':{'n':'b','k':1}}}}", "{\"l\":[{\"n\":\"b\"},{\"n\":\"a\",\"k\":1}]}", 0 },
		{ "{'payload':{'l[].t':'x'}}", "{\"l\":[{\"t\":[\"y\",\"x\"]},{\"t\":\"z\"}]}", 1 },
		{ "{'payload':{'l[].t':'z'}}", "{\"l\":[{\"t\":[\"y\",\"x\"]},{\"t\":\"z\"}]}", 1 },
		{ "{'payload':{'l[1]':'b'}}", "{\"l\":[\"a\",\"b\"]}", 1 },
		{ "{'payload':{'[\\\"x.y\\\"].z':1}}", "{\"x.y\":{\"z\":1}}", 1 },
		{ "{'payload':{'o':{'exists':true}}}", "{\"o\":{}}", 1 },
		{ "{'payload':{'o':'x'}}", "{\"o\":{}}", 0 },
		{ "[{'payload':{'a':1}},{'payload':{'b':1}}]", "{\"b\":1}", 1 },
		{ "{'source':'s','event':'e','delivery':'k*'}", "{}", 1 },
		{ "{'source':'t'}", "{}", 0 },
		{ "{'action':{'exists':false}}", "{}", 1 },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *rule = xprintf("{'on':'s:e','when':%s,'run':{'$fn':1}}", t[i].when);
		struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "r", rule);
		struct match *m = match(rs, "e", t[i].json);
		cr_assert_eq((int)match_count(m), t[i].fires, "%s over %s", t[i].when, t[i].json);
		match_free(m);
		ruleset_unref(rs);
	}
	no_leaks();
}

/* What a rule with WHEN does of a delivery with these headers and this query. */
static int fires_on_request(const char *when, const char *headers, const char *query, char *why, size_t size)
{
	CLEANUP(freep) char *rule = xprintf("{'on':'s:e','when':%s,'run':{'$fn':1}}", when);
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "r", rule);
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("e"), .json = SLICE("{}"), .delivery_key = "k",
				   .headers_json = slice_of(headers), .query = slice_of(query), .received_ms = 1796104799999 };
	struct match *m;
	struct err e;

	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	int n = (int)match_count(m);
	if (n)
		match_matched_notes_json(m, &out);
	else
		match_why_json(m, &out);
	snprintf(why, size, "%s", buf_cstr(&out));
	match_free(m);
	ruleset_unref(rs);
	return n;
}

Test(match_of, headers_the_query_and_the_time_are_asked_like_fields)
{
	static const char headers[] = "{\"user-agent\":\"GitHub-Hookshot/1\",\"x-env\":\"Prod\",\"x.y\\\"z\":\"1\"}";
	static const char query[] = "env=staging&tag=a&tag=b&x=%41+b&empty=&env2";
	static const struct { const char *when; int fires; const char *says; } t[] = {
		{ "{'header':{'User-Agent':'GitHub-Hookshot/*'}}", 1, "[]" },
		{ "{'header':{'x-env':{'icase':'prod'}}}", 1, "[]" },
		{ "{'header':{'x-env':'prod'}}", 0, "header x-env: want \\\"prod\\\", got \\\"Prod\\\"" },
		{ "{'header':{'x-emv':'prod'}}", 0, "header x-emv: want \\\"prod\\\", there is no such header; did you mean x-env?" },
		{ "{'header':{'zebra':{'exists':false},'x.y\\\"z':'1'}}", 1, "[]" },
		{ "{'query':{'env':'staging'}}", 1, "[]" },
		{ "{'query':{'Env':'staging'}}", 0, "query Env: want \\\"staging\\\", not in the query; did you mean env?" },
		{ "{'query':{'tag':'b'}}", 1, "[]" },
		{ "{'query':{'tag':{'every':['a','b']}}}", 1, "[]" },
		{ "{'query':{'tag':{'ne':'b'}}}", 0, "query tag" },
		{ "{'query':{'x':'A b','empty':'','env2':{'exists':true}}}", 1, "[]" },
		{ "{'query':{'zebra':'1'}}", 0, "not in the query; there are env, tag, x, empty, env2" },
		{ "{'any':[{'header':{'x-env':'a'}},{'query':{'env':'staging'}}]}", 1, "[]" },
		{ "{'received':{'ge':'2026-12','lt':'2027'}}", 1, "[]" },
		{ "{'received':'2026-12-01T05:59:59Z'}", 1, "[]" },
		{ "{'received':{'lt':'2026-12-01'}}", 0, "received: want < \\\"2026-12-01\\\", got \\\"2026-12-01T05:59:59Z\\\"" },
		{ "{'received':'2026-12-01T*'}", 1, "[]" },
	};
	char why[1000];
	for (size_t i = 0; i < COUNT(t); i++) {
		int n = fires_on_request(t[i].when, headers, query, why, sizeof why);
		cr_assert_eq(n, t[i].fires, "%s: %s", t[i].when, why);
		cr_assert(strstr(why, t[i].says), "%s: wanted %s in %s", t[i].when, t[i].says, why);
	}
	no_leaks();
}

Test(match_of, headers_and_a_query_that_are_not_at_hand_are_unknown)
{
	char why[1000];

	cr_assert_eq(fires_on_request("{'header':{'a':'1'},'query':{'b':'1'}}", NULL, NULL, why, sizeof why), 1);
	cr_assert_str_eq(why, "[{\"rule\":\"r\",\"note\":\"header a: want \\\"1\\\", not known: the headers of this delivery are not at hand; "
		"query b: want \\\"1\\\", not known: the query of this delivery is not at hand\"}]");
	cr_assert_eq(fires_on_request("{'query':{'b':'1'}}", "{}", "b=%zz", why, sizeof why), 1);
	cr_assert(strstr(why, "not known: the query is ill-formed"), "%s", why);
	cr_assert_eq(fires_on_request("{'query':{'b':'1'},'header':{'a':{'exists':false}}}", "{}", "", why, sizeof why), 0);
	cr_assert(strstr(why, "query b: want \\\"1\\\", there is no query"), "%s", why);
	no_leaks();
}

Test(match_of, unknowns_under_any_all_and_none_are_what_logic_says)
{
	/* header a is unknown; the payload has y = 1 */
	static const struct { const char *when; int fires; } t[] = {
		{ "{'header':{'a':'1'}}", 1 },
		{ "{'header':{'a':'1'},'payload':{'y':2}}", 0 },
		{ "{'any':[{'header':{'a':'1'}},{'payload':{'y':2}}]}", 1 },
		{ "{'any':[{'header':{'a':'1'},'payload':{'y':2}},{'payload':{'y':3}}]}", 0 },
		{ "{'all':[{'header':{'a':'1'}},{'payload':{'y':1}}]}", 1 },
		{ "{'all':[{'header':{'a':'1'}},{'payload':{'y':2}}]}", 0 },
		{ "{'none':[{'header':{'a':'1'}}]}", 1 },
		{ "{'none':[{'header':{'a':'1'}},{'payload':{'y':1}}]}", 0 },
		{ "{'none':[{'header':{'a':'1'},'payload':{'y':1}}]}", 1 },
		{ "{'none':[{'none':[{'header':{'a':'1'}}]}]}", 1 },
		{ "{'none':[{'any':[{'header':{'a':'1'}},{'payload':{'y':1}}]}]}", 0 },
		{ "{'header':{'a':{'exists':false}}}", 1 },
	};
	static const int sure[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	for (size_t i = 0; i < COUNT(t); i++)
		for (int skip = 0; skip < 2; skip++) {
			CLEANUP(freep) char *rule = xprintf("{'on':'s:e','when':%s,'run':{'$fn':1}%s}", t[i].when, skip ? ",'unknown':'skip'" : "");
			struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "r", rule);
			struct match *m = match(rs, "e", "{\"y\":1}");
			cr_assert_eq((int)match_count(m), skip ? sure[i] : t[i].fires, "%s", rule);
			match_free(m);
			ruleset_unref(rs);
		}
	no_leaks();
}

Test(match_of, a_name_of_on_means_itself_and_what_continues_it_after_a_dot)
{
	static const struct { const char *on, *event; int fires; } t[] = {
		{ "s:pay", "pay.done", 1 }, { "s:pay.done", "pay.done", 1 }, { "s:pay", "payment", 0 }, { "s:pay.d", "pay.done", 0 },
		{ "s:*", "anything", 1 }, { "t:pay", "pay", 0 }, { "s:pay.done", "pay", 0 },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *rule = xprintf("{'on':'%s','when':'always','run':{'$fn':1}}", t[i].on);
		struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "source", "t", "{'auth':'none'}", "rule", "r", rule);
		struct match *m = match(rs, t[i].event, "{}");
		cr_assert_eq((int)match_count(m), t[i].fires, "%s, %s", t[i].on, t[i].event);
		match_free(m);
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(explain, shows_every_condition_of_every_rule_that_listens)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}",
		RULE("docs", "{'payload':{'files[]':{'#':['docs/**'],'except':'docs/drafts/**'},'ref':'main'}}"),
		RULE("all", "'always'"),
		RULE("pick", "{'any':[{'payload':{'a':1}},{'payload':{'b':{'ge':2}}}]}"),
		"rule", "deaf", "{'on':'s:x','when':'always','run':{'$fn':1}}");
	struct match *m = match(rs, "e", "{\"ref\":\"dev\",\"files\":[\"src/a\",\"docs/a.md\",\"docs/drafts/x\"],\"b\":3}");
	struct buf out = BUF(BUF_UNLIMITED);

	match_explain(m, &out, 0);
	const char *lines[] = {
		"docs   no match   rules/r.lua:2\n", "all    match   rules/r.lua:3\n", "  ok   on       s:e\n",
		"  ok   files[]  1 of 3 values: \"docs/a.md\" (\"docs/drafts/x\" excluded)\n",
		"  NO   ref      want \"main\", got \"dev\"", "  ok   when  always\n",
		"  ok   any  #1 a: want 1, not in the payload; nearest: ref, files, b\n", "            #2 b: 3, wanted >= 2\n",
		"3 rules listen to s:e, 2 match\n", "1 rule does not listen to it: deaf\n",
	};
	for (size_t i = 0; i < COUNT(lines); i++)
		cr_assert(strstr(buf_cstr(&out), lines[i]), "wanted %s in:\n%s", lines[i], buf_cstr(&out));
	buf_clear(&out);
	match_explain_json(m, &out);
	json_t *j = json_loads(buf_cstr(&out), 0, NULL);
	cr_assert(j, "%s", buf_cstr(&out));
	cr_assert_eq(json_integer_value(json_object_get(j, "listen")), 3);
	cr_assert_eq(json_array_size(json_object_get(j, "explained")), 3);
	json_decref(j);
	buf_fini(&out);
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

/* OUT as JSON; owned. */
static json_t *said(struct buf *out)
{
	json_t *j = json_loads(buf_cstr(out), 0, NULL);
	cr_assert(j, "%s", buf_cstr(out));
	buf_clear(out);
	return j;
}

Test(explain, tells_that_a_rule_has_a_filter_and_what_a_deaf_one_listens_to)
{
	struct ruleset *rs = MUST_COMPILE("source", "s", "{'auth':'none'}", "rule", "fine", "{'on':'s:e','when':'always','filter':{'$fn':1},'run':{'$fn':1}}",
		"rule", "deaf", "{'on':['s:x','push'],'when':'always','run':{'$fn':1}}");
	struct match *m = match(rs, "e", "{}");
	struct buf out = BUF(BUF_UNLIMITED);

	match_explain(m, &out, 0);
	cr_assert(strstr(buf_cstr(&out), "  ??   filter  asked last, when the job starts "), "%s", buf_cstr(&out));
	cr_assert(strstr(buf_cstr(&out), "  rules/r.lua:2:1\n"), "%s", buf_cstr(&out));
	buf_clear(&out);
	match_explain_json(m, &out);
	cr_assert(strstr(buf_cstr(&out), "\"verdict\":\"match\",\"conditions\":[],\"filter\":{\"line\":2,\"col\":1,\"text\":\"asked last"), "%s", buf_cstr(&out));
	json_decref(said(&out));
	match_explain_rule_json(m, ruleset_rule_at(rs, 1), &out);
	cr_assert(strstr(buf_cstr(&out), "\"on\":[\"s:x\",\"push\"],\"listens\":false,\"result\":\"no\",\"fires\":false"), "%s", buf_cstr(&out));
	json_decref(said(&out));
	match_free(m);
	const struct delivery_view d = { .source = ruleset_inner_source(rs, INNER_LOCAL), .event = SLICE("trigger"), .json = SLICE("{}"),
					 .only = ruleset_rule_at(rs, 1), .delivery_key = "1" };
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	match_explain_json(m, &out);
	cr_assert(strstr(buf_cstr(&out), "\"fires\":true,\"only\":true,\"verdict\":\"match\",\"conditions\":[]"), "%s", buf_cstr(&out));
	json_decref(said(&out));
	buf_fini(&out);
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

/* N rules that listen to s:e, of which the last FIRE. */
static struct ruleset *many(size_t n, size_t fire)
{
	const char **decls = xcalloc(3 * n + 4, sizeof *decls);
	char **names = xcalloc(n, sizeof *names);

	memcpy(decls, (const char *const[]){ "source", "s", "{'auth':'none'}" }, 3 * sizeof *decls);
	for (size_t i = 0; i < n; i++) {
		names[i] = xprintf("r%zu", i);
		decls[3 * i + 3] = "rule";
		decls[3 * i + 4] = names[i];
		decls[3 * i + 5] = i + fire < n ? "{'on':'s:e','when':{'payload':{'a':2}},'run':{'$fn':1}}" : "{'on':'s:e','when':{'payload':{'a':1}},'run':{'$fn':1}}";
	}
	struct ruleset *rs = must_compile(decls);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	free(decls);
	return rs;
}

struct bounded { size_t rules, fire, told, more; };

Test(explain, tells_of_so_many_rules_and_no_more_and_first_of_those_that_fire)
{
	static const struct bounded cases[] = { { EXPLAIN_RULES_MAX, 3, EXPLAIN_RULES_MAX, 0 }, { EXPLAIN_RULES_MAX + 1, 3, EXPLAIN_RULES_MAX, 1 },
						{ EXPLAIN_RULES_MAX + 9, EXPLAIN_RULES_MAX + 1, EXPLAIN_RULES_MAX, 9 } };
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ruleset *rs = many(cases[i].rules, cases[i].fire);
		struct match *m = match(rs, "e", "{\"a\":1}");
		struct buf out = BUF(BUF_UNLIMITED);
		match_explain_json(m, &out);
		json_t *j = said(&out), *told = json_object_get(j, "explained"), *one;
		size_t k, fire = 0;
		json_array_foreach(told, k, one)
			fire += json_is_true(json_object_get(one, "fires"));
		cr_assert_eq(json_array_size(told), cases[i].told);
		cr_assert_eq(json_integer_value(json_object_get(j, "more")), (json_int_t)cases[i].more);
		cr_assert_eq(fire, cases[i].fire < EXPLAIN_RULES_MAX ? cases[i].fire : EXPLAIN_RULES_MAX);
		cr_assert_eq(json_integer_value(json_object_get(j, "listen")), (json_int_t)cases[i].rules);
		match_explain(m, &out, 0);
		cr_assert_eq(strstr(buf_cstr(&out), "more rules listen") != NULL, cases[i].more > 0, "%s", buf_cstr(&out));
		json_decref(j);
		buf_fini(&out);
		match_free(m);
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(explain, is_whole_json_at_any_maximum)
{
	struct ruleset *rs = many(40, 1);
	struct match *m = match(rs, "e", "{\"a\":1}");

	for (size_t max = 4096; max < 12000; max += 7) {
		struct buf out = BUF(max);
		match_explain_json(m, &out);
		cr_assert_not(buf_is_over(&out));
		json_t *j = said(&out);
		cr_assert_eq(json_array_size(json_object_get(j, "explained")) + (size_t)json_integer_value(json_object_get(j, "more")), 40);
		json_decref(j);
		buf_fini(&out);
	}
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

/* ---- with a provider ---- */

#define PUSH(more) "{\"ref\":\"refs/heads/main\",\"after\":\"5f3c\",\"message\":\"Fix it\\n\\nwell\",\"repository\":{\"full_name\":\"acme/site\"}," \
	"\"sender\":{\"login\":\"ada\"},\"commits\":[{\"added\":[\"docs/a.md\"],\"removed\":[],\"modified\":[\"docs/drafts/b.md\"]}]" more "}"

struct heard { const char *on, *event, *action, *json; int fires; };

static int fires(const struct ruleset *rs, const char *event, const char *action, const char *json)
{
	struct delivery_view d = { .source = ruleset_source_find(rs, SLICE("hub")), .event = slice_of(event), .action = slice_of(action),
				   .json = slice_of(json), .delivery_key = "k" };
	struct match *m;
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	int n = (int)match_count(m);
	match_free(m);
	return n;
}

Test(listening, is_by_common_names_from_any_source_and_by_native_ones_with_it)
{
	static const struct heard t[] = {
		{ "push", "push", "", PUSH(""), 1 },
		{ "hub:push", "push", "", PUSH(""), 1 },
		{ "tag", "push", "", "{\"ref\":\"refs/tags/v1\"}", 1 },
		{ "push", "push", "", "{\"ref\":\"refs/tags/v1\"}", 0 },
		{ "hub:push", "push", "", "{\"ref\":\"refs/tags/v1\"}", 0 },
		{ "delete", "push", "", "{\"ref\":\"refs/heads/x\",\"deleted\":true}", 1 },
		{ "pull_request", "pull_request", "opened", "{}", 1 },
		{ "pull_request.opened", "pull_request", "opened", "{}", 1 },
		{ "pull_request.opened", "pull_request", "labeled", "{}", 0 },
		{ "pull_request.ended", "pull_request", "closed", "{}", 1 },
		{ "hub:pull_request.closed", "pull_request", "closed", "{}", 1 },
		{ "hub:fork", "fork", "", "{}", 1 },
		{ "hub:*", "ping", "", "{}", 1 },
		{ "ping", "ping", "", "{}", 1 },
		{ "lan:*", "ping", "", "{}", 0 },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *rule = xprintf("{'on':'%s','when':'always','run':{'$fn':1}}", t[i].on);
		struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}",
						  "source", "lan", "{'auth':'none'}", "rule", "r", rule);
		cr_assert_eq(fires(rs, t[i].event, t[i].action, t[i].json), t[i].fires, "%s, %s.%s", t[i].on, t[i].event, t[i].action);
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(fields, are_asked_by_their_common_names)
{
	static const struct { const char *when; int fires; } t[] = {
		{ "{'repo':'acme/*','branch':'main','sender':'ada'}", 1 },
		{ "{'repo':'acme/other'}", 0 },
		{ "{'branch':{'except':'main'}}", 0 },
		{ "{'paths':{'#':['docs/**'],'except':'docs/drafts/**'}}", 1 },
		{ "{'paths':'docs/drafts/**'}", 1 },
		{ "{'paths':'src/**'}", 0 },
		{ "{'paths':{'except':'docs/**'}}", 0 },
		{ "{'title':'Fix it'}", 1 },
		{ "{'none':[{'title':{'has':'skip'}}]}", 1 },
		{ "{'any':[{'repo':'acme/other'},{'payload':{'repository.full_name':'acme/site'}}]}", 1 },
		{ "{'provider':'forge','source':'hub'}", 1 },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *rule = xprintf("{'on':'push','when':%s,'run':{'$fn':1}}", t[i].when);
		struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}", "rule", "r", rule);
		cr_assert_eq(fires(rs, "push", "", PUSH("")), t[i].fires, "%s", t[i].when);
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(fields, that_cannot_be_known_fire_and_say_so)
{
	struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}",
		"rule", "docs", "{'on':'push','when':{'paths':'docs/**','branch':'main'},'run':{'$fn':1}}",
		"rule", "dev", "{'on':'push','when':{'paths':'docs/**','branch':'dev'},'run':{'$fn':1}}");
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .delivery_key = "k", .received_ms = 5 };
	struct buf out = BUF(BUF_UNLIMITED);
	struct match *m;
	struct err e;

	d.json = slice_of(PUSH(",\"created\":true"));
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	cr_assert_eq(match_count(m), 1);
	match_matched_notes_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "[{\"rule\":\"docs\",\"note\":\"paths: want \\\"docs/**\\\", not known: "
		"the payload of a new branch does not tell it\"}]");
	buf_clear(&out);
	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "[{\"rule\":\"dev\",\"because\":\"branch: want \\\"dev\\\", got \\\"main\\\"\"}]");
	buf_clear(&out);
	match_event_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"source\":\"hub\",\"provider\":\"forge\",\"event\":\"push\",\"action\":\"\","
		"\"native\":\"push\",\"delivery\":\"k\",\"received\":\"1970-01-01T00:00:00Z\",\"repo\":\"acme/site\",\"branch\":\"main\","
		"\"ref\":\"refs/heads/main\",\"sha\":\"5f3c\",\"title\":\"Fix it\",\"sender\":\"ada\",\"created\":true,"
		"\"unknown\":[\"paths\"]}");
	buf_clear(&out);
	match_summary_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"repo\":\"acme/site\",\"ref\":\"refs/heads/main\",\"branch\":\"main\","
		"\"sha\":\"5f3c\",\"title\":\"Fix it\",\"sender\":\"ada\"}");
	cr_assert_str_eq(match_event(m), "push");
	match_free(m);
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

Test(rule, that_skips_what_is_unknown_or_is_not_enabled_does_not_fire_and_says_so)
{
	struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}",
		"rule", "careful", "{'on':'push','when':{'paths':'docs/**'},'unknown':'skip','run':{'$fn':1}}",
		"rule", "parked", "{'on':'push','when':'always','enabled':false,'run':{'$fn':1}}",
		"rule", "on", "{'on':'push','when':'always','enabled':true,'run':{'$fn':1}}");
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .delivery_key = "k" };
	struct buf out = BUF(BUF_UNLIMITED);
	struct match *m;
	struct err e;

	d.json = slice_of(PUSH(",\"forced\":true"));
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	cr_assert_eq(match_count(m), 1);
	cr_assert_str_eq(rule_name(match_rule(m, 0)), "on");
	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "[{\"rule\":\"careful\",\"because\":\"paths: want \\\"docs/**\\\", not known: "
		"the payload of a force push does not tell it, and the rule says unknown = \\\"skip\\\"\"},"
		"{\"rule\":\"parked\",\"because\":\"it is not enabled\"}]");
	buf_clear(&out);
	match_explain(m, &out, 0);
	cr_assert(strstr(buf_cstr(&out), "careful   no match, as unknown = \"skip\"   rules/r.lua:2\n"), "%s", buf_cstr(&out));
	cr_assert(strstr(buf_cstr(&out), "parked    not enabled   rules/r.lua:3\n"), "%s", buf_cstr(&out));
	buf_clear(&out);
	match_explain_json(m, &out);
	cr_assert(strstr(buf_cstr(&out), "\"result\":\"yes\",\"fires\":false,\"enabled\":false"), "%s", buf_cstr(&out));
	buf_clear(&out);
	rule_describe_json(ruleset_rule_at(rs, 1), &out);
	cr_assert(strstr(buf_cstr(&out), "\"enabled\":false}"), "%s", buf_cstr(&out));
	match_free(m);
	d.json = slice_of(PUSH(""));
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	cr_assert_eq(match_count(m), 2, "what is known is no matter of unknown = \"skip\"");
	match_free(m);
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

Test(fields, of_an_event_that_no_rule_hears_are_known_all_the_same)
{
	struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}",
		"rule", "r", "{'on':'tag','when':{'payload':{'x':1}},'run':{'$fn':1}}");
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("pull_request"), .action = SLICE("opened"),
				   .json = SLICE("{\"number\":7,\"repository\":{\"full_name\":\"acme/site\"}}") };
	struct buf out = BUF(BUF_UNLIMITED);
	struct match *m;
	struct err e;

	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	match_summary_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "{\"repo\":\"acme/site\"}");
	cr_assert_str_eq(match_action(m), "opened");
	match_free(m);
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

Test(fields, that_no_event_has_at_once_are_warned_of)
{
	static const struct { const char *on, *when, *says; } t[] = {
		{ "['push','tag']", "{'branch':'a','tag':'b'}", "no event of `on` has both 'tag' and 'branch', which is asked at line 0" },
		{ "['push','tag']", "{'any':[{'branch':'a'},{'tag':'b'}]}", NULL },
		{ "['push','tag']", "{'branch':'a','any':[{'tag':'b'},{'title':'x'}]}", "has both 'tag' and 'branch'" },
		{ "['push','tag']", "{'branch':'a','tag':{'exists':false}}", NULL },
		{ "['push','tag']", "{'branch':'a','none':[{'tag':'b'}]}", NULL },
		{ "['push','hub:fork']", "{'branch':'a','tag':'b'}", NULL },
		{ "'push'", "{'tag':'b'}", "no event of `on` has the field 'tag': this never holds; a pushed tag is an event of its own: on = \"tag\"" },
		{ "'pull_request'", "{'branch':'b'}", "no event of `on` has the field 'branch': this never holds; a pull request has base" },
		{ "'push'", "{'base':'b'}", "of a push it is branch = …" },
		{ "'pull_request'", "{'paths':'b'}", "write paths_from = \"git\" in the rule, and the job finds out [W120]" },
		{ "['push','pull_request']", "{'base':'a','paths':'b'}", "has both 'paths' and 'base', which is asked at line 0, column 0: this never holds; no sender" },
		{ "['push','pull_request']", "{'repo':'a','branch':'b','ref':'c','sender':'d'}", NULL },
		{ "['push','pull_request']", "{'repo':'a','base':'b','sha':'c'}", "has both 'sha' and 'base'" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
		CLEANUP(freep) char *rule = xprintf("{'on':%s,'when':%s,'run':{'$fn':1}}", t[i].on, t[i].when);
		struct ruleset *rs = COMPILE(&shown, "source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}", "rule", "r", rule);
		cr_assert(rs, "a warning is no error:\n%s", buf_cstr(&shown));
		if (t[i].says)
			cr_assert(strstr(buf_cstr(&shown), t[i].says), "%s: wanted %s in:\n%s", t[i].when, t[i].says, buf_cstr(&shown));
		else
			cr_assert_str_eq(buf_cstr(&shown), "", "%s", t[i].when);
		ruleset_unref(rs);
	}
	no_leaks();
}

/* What no sender tells of a tag or a request: the rule fires, and the job decides. */
Test(fields, that_the_job_finds_out_from_git_are_no_contradiction)
{
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
	struct ruleset *rs = COMPILE(&shown, "source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}", "rule", "r",
		"{'on':'tag','paths_from':'git','when':{'tag':'v*','paths':'src/**'},'run':{'$fn':1}}");

	cr_assert(rs);
	cr_assert(!strstr(buf_cstr(&shown), "'paths'"), "%s", buf_cstr(&shown));
	ruleset_unref(rs);
	no_leaks();
}

Test(check_names, of_rules_that_are_waited_for_are_names_of_rules)
{
	static const struct { const char *when, *says; } t[] = {
		{ "{'rule':'first'}", NULL }, { "{'rule':['first','f*']}", NULL }, { "{'rule':{'ne':'second'}}", NULL },
		{ "{'rule':'frist'}", "warning: there is no rule 'frist', did you mean 'first'? [W133]" },
		{ "{'rule':['first','third']}", "there is no rule 'third' [W133]" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
		CLEANUP(freep) char *rule = xprintf("{'on':'rule:failed','when':%s,'run':{'$fn':1}}", t[i].when);
		struct ruleset *rs = COMPILE(&shown, "rule", "first", "{'cron':'@daily','run':{'$fn':1}}", "rule", "second", rule);
		cr_assert(rs, "%s", buf_cstr(&shown));
		cr_assert(t[i].says ? strstr(buf_cstr(&shown), t[i].says) != NULL : !*buf_cstr(&shown), "%s: %s", t[i].when, buf_cstr(&shown));
		ruleset_unref(rs);
	}
	no_leaks();
}

Test(fields, that_an_event_never_has_are_told_as_such)
{
	struct ruleset *rs = MUST_COMPILE("source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}",
		"rule", "r", "{'on':['push','pull_request'],'when':{'any':[{'branch':'main'},{'base':'main'}]},'run':{'$fn':1}}");
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("pull_request"), .json = SLICE("{\"base\":\"dev\"}") };
	struct buf out = BUF(BUF_UNLIMITED);
	struct match *m;
	struct err e;

	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0);
	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out), "[{\"rule\":\"r\",\"because\":\"any: #1 branch: want \\\"main\\\", not present on "
		"pull_request events; #2 base: want \\\"main\\\", got \\\"dev\\\"\"}]");
	match_free(m);
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

/* ---- matrix ---- */

static struct match *push_of(const struct ruleset *rs, const char *json)
{
	struct delivery_view d = { .source = ruleset_source_find(rs, SLICE("hub")), .event = SLICE("push"), .json = slice_of(json),
				   .delivery_key = "k" };
	struct match *m;
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	return m;
}

#define HUB "source", "hub", "{'provider':'forge','secret':{'$secret':'s'}}"

/* The cells that run for PUSH, one to a line. */
static void expect_cells(const char *matrix, const char *want)
{
	CLEANUP(freep) char *rule = xprintf("{'on':'push','when':'always','matrix':%s,'run':{'$fn':1}}", matrix);
	CLEANUP(buf_fini) struct buf got = BUF(BUF_UNLIMITED);
	struct ruleset *rs = MUST_COMPILE(HUB, "rule", "r", rule);
	struct match *m = push_of(rs, PUSH(""));

	for (size_t i = 0; i < match_count(m); i++)
		for (size_t k = 0; k < match_cell_count(m, i); k++)
			buf_addf(&got, "%s\n", match_cell(m, i, k));
	cr_assert_str_eq(buf_cstr(&got), want, "%s gives\n%s", matrix, buf_cstr(&got));
	match_free(m);
	ruleset_unref(rs);
}

Test(matrix, is_a_list_of_cells_or_a_product_of_values)
{
	expect_cells("[{'part':'web','cc':'gcc'},{'part':'api','cc':'clang'}]", "cc=gcc part=web\ncc=clang part=api\n");
	expect_cells("{'cc':['gcc','clang'],'arch':['x86','arm']}",
		     "arch=x86 cc=gcc\narch=x86 cc=clang\narch=arm cc=gcc\narch=arm cc=clang\n");
	expect_cells("{'n':[1,1.5,2.0,true,'a b']}", "n=1\nn=1.5\nn=2.0\nn=true\nn=\"a b\"\n");
	expect_cells("[{'part':'web','when':{'branch':'main'}},{'part':'api','when':{'branch':'dev'}},{'part':'doc','when':'always'}]",
		     "part=web\npart=doc\n");
	expect_cells("[{'part':'web','when':{'branch':'dev'}}]", "");
	expect_cells("[{'p':1,'when':{'payload':{'sender.login':'ada'}}},{'p':2,'when':{'payload':{'after':'x'}}}]", "p=1\n");
	no_leaks();
}

Test(matrix, tells_of_each_cell_that_does_not_run_why)
{
	struct ruleset *rs = MUST_COMPILE(HUB,
		"rule", "some", "{'on':'push','when':'always','matrix':[{'p':'web','when':{'branch':'dev'}},{'p':'api'}],'run':{'$fn':1}}",
		"rule", "none", "{'on':'push','when':'always','matrix':[{'p':'web','when':{'branch':'dev'}}],'run':{'$fn':1}}");
	struct match *m = push_of(rs, PUSH(""));
	struct buf out = BUF(BUF_UNLIMITED);

	match_why_json(m, &out);
	cr_assert_str_eq(buf_cstr(&out),
		"[{\"rule\":\"some\",\"cell\":\"p=web\",\"because\":\"branch: want \\\"dev\\\", got \\\"main\\\"\"},"
		"{\"rule\":\"none\",\"because\":\"no cell of its matrix runs: p=web (branch: want \\\"dev\\\", got \\\"main\\\")\"}]");
	buf_clear(&out);
	match_explain(m, &out, 0);
	cr_assert(strstr(buf_cstr(&out), "  NO   cell  p=web  branch: want \"dev\", got \"main\""), "%s", buf_cstr(&out));
	cr_assert(strstr(buf_cstr(&out), "  ok   cell  p=api\n"), "%s", buf_cstr(&out));
	cr_assert(strstr(buf_cstr(&out), "none   no match, as no cell of its matrix runs"), "%s", buf_cstr(&out));
	buf_clear(&out);
	match_explain_json(m, &out);
	json_t *j = json_loads(buf_cstr(&out), 0, NULL);
	cr_assert(j, "%s", buf_cstr(&out));
	cr_assert(strstr(buf_cstr(&out), "\"cells\":[{\"cell\":\"p=web\",\"result\":\"no\",\"runs\":false,"), "%s", buf_cstr(&out));
	json_decref(j);
	buf_fini(&out);
	match_free(m);
	ruleset_unref(rs);
	no_leaks();
}

Test(matrix, fills_templates_and_the_plan)
{
	struct ruleset *rs = MUST_COMPILE(HUB, "rule", "r", "{'on':'push','when':'always','matrix':{'cc':['gcc','clang'],'n':[3]},"
		"'env':{'CC':'{matrix.cc}-{matrix.n}','B':'{branch}{{'},'steps':[{'#':['x'],'sh':'true','env':{'N':'{matrix.n}'}}]}");
	const struct rule *r = ruleset_rule_at(rs, 0);
	struct buf out = BUF(BUF_UNLIMITED);
	struct err e;

	cr_assert_eq(rule_plan_json(r, SLICE("cc=clang n=3"), SLICE("{\"branch\":\"main\"}"), &out, &e), 0);
	cr_assert_str_eq(buf_cstr(&out), "{\"rule\":\"r\",\"matrix\":{\"cc\":\"clang\",\"n\":3},\"steps\":[{\"name\":\"x\",\"sh\":\"true\","
		"\"env\":{\"N\":\"3\"}}],\"env\":{\"B\":\"main{\",\"CC\":\"clang-3\"},\"checkout\":false,\"has_run\":false,\"secrets\":[]}");
	cr_assert_eq(rule_plan_json(r, SLICE("cc=tcc n=3"), SLICE("{}"), &out, &e), -1);
	cr_assert(strstr(e.msg, "no cell 'cc=tcc n=3'"), "%s", e.msg);
	buf_clear(&out);
	rule_describe_json(r, &out);
	cr_assert(strstr(buf_cstr(&out), "\"cells\":[\"cc=gcc n=3\",\"cc=clang n=3\"]"), "%s", buf_cstr(&out));
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

/* {'n':[0,1,…]} of N cells. */
static char *counted(int n)
{
	struct buf out = BUF(BUF_UNLIMITED);
	buf_adds(&out, "{'on':'push','when':'always','run':{'$fn':1},'matrix':{'n':[0");
	for (int i = 1; i < n; i++)
		buf_addf(&out, ",%d", i);
	buf_adds(&out, "]}}");
	return buf_take(&out);
}

/* A value of N bytes; a cell whose text, `a=… b=… …`, has N. */
static char *long_value(size_t n)
{
	CLEANUP(freep) char *value = xcalloc(n + 1, 1);
	return xprintf("{'on':'push','when':'always','run':{'$fn':1},'matrix':[{'a':'%s'}]}", (char *)memset(value, 'v', n));
}

static char *long_cell(size_t n)
{
	struct buf out = BUF(BUF_UNLIMITED);

	buf_adds(&out, "{'on':'push','when':'always','run':{'$fn':1},'matrix':[{");
	for (char name = 'a'; n; name++) {
		size_t len = n < 100 ? n : 100;
		buf_addf(&out, "%s'%c':'", name > 'a' ? "," : "", name);
		for (size_t i = name > 'a' ? 3 : 2; i < len; i++)
			buf_addc(&out, 'v');
		buf_adds(&out, "'");
		n -= len;
	}
	buf_adds(&out, "}]}");
	return buf_take(&out);
}

Test(matrix, a_value_and_a_cell_are_as_long_as_their_bounds_and_no_longer)
{
	CLEANUP(freep) char *value = long_value(256), *longer = long_value(257), *cell = long_cell(1024), *over = long_cell(1025);
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);

	ruleset_unref(MUST_COMPILE(HUB, "rule", "r", value));
	ruleset_unref(MUST_COMPILE(HUB, "rule", "r", cell));
	cr_assert_null(COMPILE(&shown, HUB, "rule", "r", longer));
	cr_assert(strstr(buf_cstr(&shown), "this value of 'a' has 257 bytes, the most is 256"), "%s", buf_cstr(&shown));
	cr_assert_null(COMPILE(&shown, HUB, "rule", "r", over));
	cr_assert(strstr(buf_cstr(&shown), "make 1025 bytes, the most is 1024"), "%s", buf_cstr(&shown));
	no_leaks();
}

Test(matrix, has_bounds_and_no_two_cells_that_are_one)
{
	CLEANUP(freep) char *most = counted(256), *over = counted(257);
	static const char *const twice[] = {
		"{'a':['x','x']}", "[{'a':1},{'a':'1'}]", "[{'a':1,'b':2},{'b':2,'a':1}]",
	};
	struct ruleset *rs = MUST_COMPILE(HUB, "rule", "r", most);
	struct match *m = push_of(rs, PUSH(""));

	cr_assert_eq(match_cell_count(m, 0), 256);
	match_free(m);
	ruleset_unref(rs);
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
	cr_assert_null(COMPILE(&shown, HUB, "rule", "r", over));
	cr_assert(strstr(buf_cstr(&shown), "more than 256 cells"), "%s", buf_cstr(&shown));
	for (size_t i = 0; i < COUNT(twice); i++) {
		CLEANUP(freep) char *rule = xprintf("{'on':'push','when':'always','run':{'$fn':1},'matrix':%s}", twice[i]);
		buf_clear(&shown);
		cr_assert_null(COMPILE(&shown, HUB, "rule", "r", rule), "%s", twice[i]);
		cr_assert(strstr(buf_cstr(&shown), "two cells of the matrix are a="), "%s: %s", twice[i], buf_cstr(&shown));
	}
	buf_fini(&shown);
	no_leaks();
}

/* ---- forks and once ---- */

static struct match *event_of(const struct ruleset *rs, const char *event, const char *json)
{
	struct delivery_view d = { .source = ruleset_source_find(rs, SLICE("hub")), .event = slice_of(event), .json = slice_of(json),
				   .delivery_key = "k" };
	struct match *m;
	struct err e;
	cr_assert_eq(ruleset_match(rs, &d, &m, &e), 0, "%s", e.msg);
	return m;
}

#define ANY_PULL(name, forks) "rule", name, "{'on':['pull_request','push'],'when':'always','run':{'$fn':1}" forks "}"

Test(forks, say_what_a_strangers_job_may_do)
{
	struct ruleset *rs = MUST_COMPILE(HUB, ANY_PULL("asks", ""), ANY_PULL("too", ",'forks':'approve'"), ANY_PULL("few", ",'forks':'limited'"),
					  ANY_PULL("all", ",'forks':'trust'"), ANY_PULL("none", ",'forks':'ignore'"));
	/* The provider "forge" does not tell of a pull request where it comes from: nobody we know. */
	static const enum job_trust wanted[] = { TRUST_ASKED, TRUST_ASKED, TRUST_LIMITED, TRUST_GIVEN };
	struct match *m = event_of(rs, "pull_request", "{}");
	struct buf out = BUF(BUF_UNLIMITED);

	cr_assert_eq(match_count(m), 4);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(match_trust(m, i), wanted[i], "%s", rule_name(match_rule(m, i)));
	match_why_json(m, &out);
	cr_assert(strstr(buf_cstr(&out), "{\"rule\":\"none\",\"because\":\"the request is from a fork, or may be, and the rule says forks"),
		  "%s", buf_cstr(&out));
	buf_clear(&out);
	match_explain(m, &out, 0);
	cr_assert(strstr(buf_cstr(&out), "none   no match, as it is from a fork, or may be, and forks = \"ignore\""), "%s", buf_cstr(&out));
	match_free(m);
	m = event_of(rs, "push", PUSH(""));
	cr_assert_eq(match_count(m), 5);
	for (size_t i = 0; i < 5; i++)
		cr_assert_eq(match_trust(m, i), TRUST_FULL);
	match_free(m);
	buf_fini(&out);
	ruleset_unref(rs);
	no_leaks();
}

Test(once, has_a_key_filled_from_event_and_cell_where_the_event_has_it)
{
	struct ruleset *rs = MUST_COMPILE(HUB,
		"rule", "a", "{'on':'push','when':'always','run':{'$fn':1},'matrix':{'n':[1,2]},'once':{'key':'{branch} {matrix.n}','within':'90d'}}",
		"rule", "b", "{'on':'push','when':'always','run':{'$fn':1},'once':{'key':'{title}','within':'1h'}}",
		"rule", "c", "{'on':'push','when':'always','run':{'$fn':1}}");
	struct match *m = event_of(rs, "push", "{\"ref\":\"refs/heads/main\",\"after\":\"5f3c\"}");
	struct buf key = BUF(BUF_UNLIMITED);
	int64_t within;

	cr_assert_eq(match_once_key(m, 0, 1, &key, &within), 1);
	cr_assert_str_eq(buf_cstr(&key), "main 2");
	cr_assert_eq(within, 90LL * 24 * 3600 * 1000);
	cr_assert_eq(match_once_key(m, 1, 0, &key, &within), 0, "the event has no title");
	cr_assert_eq(match_once_key(m, 2, 0, &key, &within), 0);
	buf_clear(&key);
	match_matched_notes_json(m, &key);
	cr_assert_str_eq(buf_cstr(&key), "[{\"rule\":\"b\",\"note\":\"once does not apply: the event lacks a field of its key\"}]");
	match_free(m);
	for (int n = 512; n <= 513; n++) {
		CLEANUP(freep) char *json = xprintf("{\"ref\":\"refs/heads/main\",\"message\":\"%0*d\"}", n, 0);
		m = event_of(rs, "push", json);
		buf_clear(&key);
		cr_assert_eq(match_once_key(m, 1, 0, &key, &within), 1);
		cr_assert_eq(key.len, n == 512 ? 512 : 71, "a long key is its hash");
		match_free(m);
	}
	buf_fini(&key);
	ruleset_unref(rs);
	no_leaks();
}
