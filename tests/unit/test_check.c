/* check: what may be written, and what is said of the rest. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bundle.h"
#include "no_leaks.h"
#include "rules/arena.h"
#include "rules/check.h"
#include "rules/normalise.h"
#include "rules/predicate.h"
#include "rules/provider.h"
#include "rules/schema.h"

static const char *const providers[] = { "github", "stripe", NULL };

/* Check one declaration of plain data (bundle.h), with a source "github" that is known by name alone, and queues "production" and
 * "newest"; returns what is said. */
static char *check(const char *path, const char *kind, const char *name, const char *plain)
{
	CLEANUP(freep) char *text = value_text(plain);
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct check_source source = { SLICE("github"), NULL };
	CLEANUP(freep) char *latest_text = value_text("{'busy':'latest'}"), *plain_text = value_text("{}");
	struct node_doc *latest, *plain_queue;
	struct diags diags = { 0 };
	struct node_doc *doc;
	struct err e;

	cr_assert_eq(node_doc_parse(slice_of(text), &doc, &e), 0, "%s", e.msg);
	cr_assert_eq(node_doc_parse(slice_of(latest_text), &latest, &e), 0);
	cr_assert_eq(node_doc_parse(slice_of(plain_text), &plain_queue, &e), 0);
	struct check_queue queues[] = { { SLICE("production"), 7, 3, node_doc_root(plain_queue) }, { SLICE("newest"), 8, 1, node_doc_root(latest) } };
	struct check_context ctx = { .sources = &source, .n_sources = 1, .queues = queues, .n_queues = 2, .providers = providers };
	struct check_decl d = { slice_of(kind), slice_of(name), 1, 1, node_doc_root(doc) };
	struct check_file f = { path, SLICE_NULL, &d, 1 };
	check_file(&f, &ctx, &diags);
	diags_print(&diags, &out, 0);
	diags_fini(&diags);
	node_doc_free(doc);
	node_doc_free(latest);
	node_doc_free(plain_queue);
	return buf_take(&out);
}

static void expect(const char *path, const char *kind, const char *plain, const char *want)
{
	CLEANUP(freep) char *got = check(path, kind, strcmp(kind, "config") ? "x" : "", plain);
	if (want)
		cr_assert(strstr(got, want), "%s\nno \"%s\" in:\n%s", plain, want, got);
	else
		cr_assert_str_eq(got, "", "%s:\n%s", plain, got);
}

/* A rule that is right but for MEMBERS. */
static void expect_rule(const char *members, const char *want)
{
	CLEANUP(freep) char *plain = xprintf("{%s}", members);
	expect("rules/r.lua", "rule", plain, want);
}

#define RUN ",'run':{'$fn':1}"
static void expect_when(const char *when, const char *want)
{
	CLEANUP(freep) char *plain = xprintf("{'on':'push','when':%s" RUN "}", when);
	expect("rules/r.lua", "rule", plain, want);
}

Test(check, what_is_kept_has_bounds_and_they_are_said)
{
	static const char *const good[] = { "'deliveries':'60s','jobs':'1m','failed_workspaces':'60000ms','bodies':'1MiB'",
		"'deliveries':'3650d','jobs':'3650d','failed_workspaces':'3650d','bodies':'1048576B'" };
	static const struct { const char *keep, *says; } bad[] = {
		{ "'deliveries':'59999ms'", "deliveries: " }, { "'jobs':'59s'", "jobs: " }, { "'failed_workspaces':'3650d1'", "failed_workspaces" },
		{ "'failed_workspaces':'59s'", "failed_workspaces: " }, { "'deliveries':'3651d'", "deliveries: " },
		{ "'bodies':'1048575B'", "bodies: \"1048575B\" is less than 1048576 bytes" }, { "'bodies':1048576", "bodies" }, { "'jobs':90", "jobs" },
		{ "'failed_workspace':'2d'", "did you mean 'failed_workspaces'?" }, { "'delivery':'2d'", "unknown keep key 'delivery'" },
	};
	for (size_t i = 0; i < COUNT(good); i++) {
		CLEANUP(freep) char *plain = xprintf("{'keep':{%s}}", good[i]);
		expect("pushrod.lua", "config", plain, NULL);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(freep) char *plain = xprintf("{'keep':{%s}}", bad[i].keep), *got = check("pushrod.lua", "config", "x", plain);
		cr_expect(strstr(got, "error:") && strstr(got, bad[i].says), "%s\nno \"%s\" in:\n%s", plain, bad[i].says, got);
	}
	no_leaks();
}

Test(check, takes_what_is_right)
{
	expect_rule("'on':'push','when':'always'" RUN, NULL);
	expect_rule("'on':['push','github:*','github:workflow_run.completed'],'when':{'branch':'main'},'timeout':'20m',"
		    "'env':{'A':'{title} {{x}'},'secrets':['npm-token'],'checkout':true,"
		    "'steps':[{'#':['a'],'sh':'make','timeout':'1m','cwd':'web','env':{'B':''},'allow_failure':true},{'exec':['make','-j2']}]", NULL);
	expect("pushrod.lua", "config", "{'url':'https://x','listen':[{'#':['0.0.0.0:1'],'serve':['hooks']},'[::1]:2'],"
	       "'jobs':{'max':3,'timeout':'1h','memory':'4GiB','log':'1MiB','roots':['/srv'],'file_urls':false},"
	       "'keep':{'deliveries':'30d','bodies':'2GiB','jobs':'90d'}}", NULL);
	expect("pushrod.lua", "config", "{'listen':'127.0.0.1:80'}", NULL);
	expect("pushrod.lua", "source", "{'provider':'github','secret':{'$secret':'a'},'path':'/in/x','reply':'terse'}", NULL);
	expect("pushrod.lua", "source", "{'provider':'github','secret':[{'$secret':'a'},{'#':[{'$secret':'b'}],'not_after':'2026-12-01'}]}", NULL);
	expect("pushrod.lua", "source", "{'auth':'none'}", NULL);
	no_leaks();
}

Test(check, tells_unknown_keys_with_the_one_that_was_meant)
{
	expect_rule("'on':'push','when':'always','timout':'5m'" RUN, "unknown rule key 'timout', did you mean 'timeout'? [E101]");
	expect_rule("'on':'push','when':'always','concurrency':{'group':'x'}" RUN, "unknown rule key 'concurrency': here it is queue = { key");
	expect_rule("'om':'push','when':'always'" RUN, "unknown rule key 'om', did you mean 'on'?");
	expect("pushrod.lua", "config", "{'job':{}}", "unknown config key 'job', did you mean 'jobs'?");
	expect("pushrod.lua", "config", "{'jobs':{'maxx':1}}", "unknown jobs key 'maxx', did you mean 'max'?");
	CLEANUP(freep) char *got = check("rules/r.lua", "rule", "x", "{'om':'push','when':'always'" RUN "}");
	cr_assert(!strstr(got, "has no on"), "a misspelt key is not missing too:\n%s", got);
	no_leaks();
}

Test(check, tells_what_words_of_other_systems_are_here)
{
	expect_rule("'on':'push','when':'always','steps':[{'name':'x','run':'make'}]", "unknown steps key 'run': here it is sh = \"…\"");
	expect_rule("'on':'push','when':'always','steps':[{'name':'x','sh':'make'}]", "here it is the first value, without a key");
	expect_rule("'on':'push','when':'always','name':'CI'" RUN, "unknown rule key 'name': here it is rule \"name\" { … }");
	expect_when("{'paths-ignore':'x'}", "unknown field 'paths-ignore' in when: here it is paths = { except = … }");
	expect_when("{'branch':{'startswith':'x'}}", "branch: unknown operator 'startswith': here it is starts = \"…\" [E118]");
	expect_when("{'branch':{'neq':'x'}}", "here it is ne = …");
	expect_when("{'message':{'contains':'x'}}", "here it is has = \"…\"");
	expect("pushrod.lua", "config", "{'url':'ci.example.org'}", "warning: url: links begin with it: write \"https://ci.example.org\" [W139]");
	expect("pushrod.lua", "config", "{'listen':[{'#':['0.0.0.0:80'],'serve':['hooks','pages']}]}", "pages do not leave this machine yet");
	expect("pushrod.lua", "config", "{'listen':[{'#':['127.0.0.1:80'],'serve':['hooks','pages']},{'#':['[::]:80'],'serve':['hooks']}]}", NULL);
	expect("pushrod.lua", "config", "{'port':80}", "unknown config key 'port': here it is listen =");
	expect_rule("'on':'push','when':'always','branches':['main']" RUN, "unknown rule key 'branches': here it is when = { branch = … }");
	no_leaks();
}

/* No mistake as such, and never what was meant. */
Test(check, warns_of_patterns_and_templates_of_other_systems)
{
	expect_when("{'paths':['docs/**','!docs/x.md']}", "warning: '!' takes nothing away: write { …, except = \"docs/x.md\" } [W131]");
	expect_when("{'paths':'./src/**'}", "without '/' or './': write \"src/**\"");
	expect_when("{'paths':{'except':'/src/**'}}", "write \"src/**\"");
	expect_when("{'paths':'docs/'}", "no file's path ends in '/': write \"docs/**\"");
	expect_when("{'paths':['src/*.{js,ts}']}", "a pattern has no alternatives in it: write a list");
	expect_when("{'branch':'main|dev'}", "a pattern has no alternatives in it");
	expect_when("{'branch':'^release/'}", "this reads like a regular expression, and is a pattern of * and **: write { re = [[^release/]] }");
	expect_when("{'branch':'/rel/'}", "write { re = [[rel]] }");
	expect_when("{'repo':'https://x/acme/app'}", "repo is the owner and the name");
	expect_when("{'paths':['a/[id].tsx','**/{x}.c','$a'],'branch':['v*','a{b}'],'title':'!a|b{c,d}^','message':{'has':'a|b'},'sender':{'eq':'a|b'}}", NULL);
	no_leaks();
}

Test(check, tells_types_in_words_of_the_file)
{
	expect_rule("'on':'push','when':'always','timeout':10" RUN, "timeout: want a duration such as \"10m\", got the number 10");
	expect_rule("'on':'push','when':'always','timeout':'10'" RUN, "timeout: want a duration such as \"10m\", got \"10\"");
	expect_rule("'on':'push','when':'always','timeout':'0s'" RUN, "timeout: \"0s\" is not between 1s and 30d");
	expect_rule("'on':'push','when':'always','checkout':'yes'" RUN, "checkout: want true or false, got \"yes\"");
	expect_rule("'on':'push','when':'always','env':{'A':1}" RUN, "A: want a string, got the number 1");
	expect_rule("'on':'push','when':'always','env':{'A':{'$secret':'k'}}" RUN, "A: want a string, got secret \"k\"");
	expect_rule("'on':'push','when':'always','env':{'9A':''}" RUN, "'9A' cannot be the name of an environment variable");
	expect_rule("'on':'push','when':'always','env':['A']" RUN, "env: write env = { NAME = … }");
	expect_rule("'on':'push','when':'always','secrets':['a/b']" RUN, "a secret's name is made of");
	expect_rule("'on':'push','when':'always','secrets':'a'" RUN, "secrets: want a list of these: the name of a secret, got \"a\"");
	expect_rule("'on':'push','when':'always','run':'make'", "run: want a function, got \"make\"");
	expect_rule("'on':'push','when':'always','secrets':'a'" RUN, "got \"a\": write secrets = { \"a\" } [E103]");
	expect_rule("'on':'push','when':'always','steps':'make'", "got \"make\": write steps = { { \"name\", sh = \"make\" } } [E103]");
	expect_rule("'on':'push','when':'always','steps':[{'exec':'make  -j 2'}]", "write exec = { \"make\", \"-j\", \"2\" } [E103]");
	expect_rule("'on':'push','when':'always','run':'make'", "write run = function(job) job:sh(\"make\") end, or steps [E103]");
	expect("pushrod.lua", "source", "{'provider':'github','secret':'plain'}", "write secret = secret \"name\", and put its text into secrets/name [E103]");
	expect("pushrod.lua", "config", "{'jobs':{'max':0}}", "max: want a whole number from 1 to 1024, got the number 0");
	expect("pushrod.lua", "config", "{'jobs':{'max':1.5}}", "got the number 1.5");
	expect("pushrod.lua", "config", "{'jobs':{'memory':'1GB'}}", "memory: want a size such as \"64MiB\", got \"1GB\"");
	expect("pushrod.lua", "config", "{'jobs':8}", "jobs: want a table, got the number 8");
	expect("pushrod.lua", "config", "{'listen':'localhost'}", "listen: want an address");
	expect("pushrod.lua", "config", "{'listen':[{'#':['a:1'],'serve':['page']}]}", "want \"hooks\" or \"pages\" or \"topics\", got \"page\", did you mean 'pages'?");
	expect("pushrod.lua", "config", "{'listen':[{'serve':['hooks']}]}", "the address is missing");
	expect("pushrod.lua", "source", "{'provider':'githb','secret':{'$secret':'a'}}", "there is no provider 'githb', did you mean 'github'?");
	expect("pushrod.lua", "source", "{'provider':'github','secret':'plain'}", "secret: want secret \"name\" or a table or a list of these: secret \"name\" or a table, got \"plain\"");
	expect("pushrod.lua", "source", "{'provider':'github','secret':{'$secret':'a'},'path':'x y'}", "path: want a path");
	expect("pushrod.lua", "source", "{'provider':'github','secret':[{'#':[{'$secret':'b'}],'not_after':'soon'}]}", "not_after: want a day");
	no_leaks();
}

Test(check, tells_of_one_brace_too_few_and_how_it_should_be)
{
	expect_rule("'on':'push','when':'always','steps':{'#':['x'],'sh':'true'}", "write steps = { { \"x\", sh = \"true\" } }");
	expect("pushrod.lua", "config", "{'listen':{'#':['0.0.0.0:8443'],'serve':['hooks']}}", "write listen = { { \"0.0.0.0:8443\", serve = { … } } }");
	expect_when("{'any':{'branch':'main'}}", "write any = { { branch = \"main\" } }");
	expect_rule("'on':'push','when':'always','secrets':{'#':['a'],'b':1}" RUN, "secrets is a list, and 'b' is a key in it");
	no_leaks();
}

Test(check, a_rule_does_one_thing_for_events_that_it_names)
{
	expect_rule("'on':'push','when':'always'", "does nothing");
	expect_rule("'on':'push','when':'always','steps':[{'sh':'x'}]" RUN, "has both run and steps");
	expect_rule("'on':'push','when':'always','steps':[]", "steps: the list is empty");
	expect_rule("'on':'push','when':'always','steps':[{'#':['x']}]", "this step does nothing");
	expect_rule("'on':'push','when':'always','steps':[{'sh':'x','exec':['y']}]", "both sh and exec");
	expect_rule("'on':'push','when':'always','steps':[{'#':['x','y'],'sh':'z'}]", "only the name stands without a key");
	expect_rule("'on':'push','when':'always','steps':[{'sh':''}]", "sh: the string is empty");
	expect_rule("'on':'push','when':'always','steps':['make']", "got \"make\"");
	expect_rule("'when':'always'" RUN, "rule 'x' has no on");
	expect_rule("'on':'push'" RUN, "rule 'x' has no when");
	expect_rule("'on':'push','when':'always','unknown':'skip','enabled':false" RUN, NULL);
	expect_rule("'on':'push','when':'always','unknown':'fire'" RUN, "unknown: want \"skip\", got \"fire\"");
	expect_rule("'on':'push','when':'always','enabled':'no'" RUN, "enabled: want true or false, got \"no\"");
	expect_rule("'on':'push','when':'sometimes'" RUN, "want a table of tests or \"always\"");
	expect_when("{}", "when is empty");
	no_leaks();
}

Test(check, a_declaration_has_its_place_and_its_name_once)
{
	struct check_decl d[2] = { { SLICE("rule"), SLICE("a"), 1, 1, NULL }, { SLICE("rule"), SLICE("a"), 5, 1, NULL } };
	struct check_file f = { "rules/r.lua", SLICE_NULL, d, 2 };
	struct check_context ctx = { 0 };
	struct diags diags = { 0 };

	check_file(&f, &ctx, &diags);
	cr_assert_eq(diags.n, 1);
	cr_assert_eq(diags.list[0].line, 5);
	cr_assert_str_eq(diags.list[0].text, "there is a rule 'a' already, at line 1");
	diags_fini(&diags);
	struct check_decl nameless[2] = { { SLICE("rule"), SLICE_NULL, 1, 1, NULL }, { SLICE("rule"), SLICE_NULL, 5, 1, NULL } };
	struct check_file g = { "rules/r.lua", SLICE_NULL, nameless, 2 };
	check_file(&g, &ctx, &diags);
	cr_assert_eq(diags.n, 0, "that they have no name, eval has said");
	expect("rules/r.lua", "config", "{}", "a config belongs in pushrod.lua");
	expect("pushrod.lua", "rule", "{'on':'push','when':'always'" RUN "}", "a rule belongs in rules/*.lua");
	expect("pushrod.lua", "source", "{'provider':'github'}", "source 'x' has no secret");
	expect("pushrod.lua", "source", "{'secret':{'$secret':'a'}}", "source 'x' has no provider");
	expect("pushrod.lua", "source", "{'auth':'none','secret':{'$secret':'a'}}", "only one can be meant");
	CLEANUP(freep) char *reserved = check("pushrod.lua", "source", "cron", "{'auth':'none'}");
	CLEANUP(freep) char *odd = check("pushrod.lua", "source", "a:b", "{'auth':'none'}");
	cr_assert(strstr(reserved, "is a word of the language"), "%s", reserved);
	cr_assert(strstr(odd, "a source's name is made of"), "%s", odd);
	no_leaks();
}

Test(check, on_names_events_that_there_are)
{
	expect_rule("'on':'psuh','when':'always'" RUN, "unknown event 'psuh', did you mean 'push'?");
	expect_rule("'on':['push','pul_request.opened'],'when':'always'" RUN, "did you mean 'pull_request'?");
	expect_rule("'on':'githb:push','when':'always'" RUN, "pushrod.lua declares no source 'githb', did you mean 'github'?");
	expect_rule("'on':'github','when':'always'" RUN, "'github' is a source: write \"github:*\"");
	expect_rule("'on':'*','when':'always'" RUN, "'*' stands for all events of one source");
	expect_rule("'on':'github:pu*','when':'always'" RUN, "and nowhere else");
	expect_rule("'on':'github:','when':'always'" RUN, "names no event");
	expect_rule("'on':'push.','when':'always'" RUN, "ends in a dot");
	expect_rule("'on':'rule:succeded','when':'always'" RUN, "'rule:succeded' never happens");
	expect_rule("'on':'rule:docs.failed','when':'always'" RUN, "write on = \"rule:failed\", when = { rule = \"docs\" } [E114]");
	expect_rule("'on':'schedule','when':'always'" RUN, "a schedule is no event: write cron = \"0 3 * * *\"");
	expect_rule("'on':'pull_request.open','when':'always'" RUN, "'open' is no action that is known of 'pull_request', did you mean 'pull_request.opened'? [W113]");
	expect_rule("'on':'pull_request.synchronised','when':'always'" RUN, "did you mean 'pull_request.synchronize'?");
	expect_rule("'on':'payment.success','when':'always'" RUN, "did you mean 'payment.succeeded'?");
	expect_rule("'on':'github:workflow_run.complete','when':'always'" RUN, "did you mean 'workflow_run.completed'?");
	expect_rule("'on':['pull_request.opened','issue.pinned','github:x.frobnicated','release.created'],'when':'always'" RUN, NULL);
	expect_rule("'on':5,'when':'always'" RUN, "on: want an event such as \"push\"");
	expect_rule("'on':[],'when':'always'" RUN, "on: the list is empty");
	no_leaks();
}

Test(check, a_missing_source_is_not_held_against_a_rule_where_pushrod_lua_is_broken)
{
	CLEANUP(freep) char *text = value_text("{'on':'other:push','when':'always'" RUN "}");
	struct check_context ctx = { .sources_unknown = 1 };
	struct diags diags = { 0 };
	struct node_doc *doc;
	struct err e;

	cr_assert_eq(node_doc_parse(slice_of(text), &doc, &e), 0);
	struct check_decl d = { SLICE("rule"), SLICE("x"), 1, 1, node_doc_root(doc) };
	struct check_file f = { "rules/r.lua", SLICE_NULL, &d, 1 };
	check_file(&f, &ctx, &diags);
	cr_assert_eq(diags.n, 0);
	node_doc_free(doc);
	no_leaks();
}

Test(check, when_asks_about_fields_that_there_are)
{
	expect_when("{'brunch':'main'}", "unknown field 'brunch' in when, did you mean 'branch'?");
	expect_when("{'zebra':'main'}", "what the payload holds is asked under payload");
	expect_when("{'any':[{'bsae':'x'}]}", "did you mean 'base'?");
	expect_when("[{'branch':'a'},{'tag':'b'}]", NULL);
	expect_when("[{'branch':'a'},{}]", "an empty table holds for every event");
	expect_when("['main']", "when: want a table of tests, as in { branch = \"main\" }, got \"main\"");
	expect_when("{'#':[{'branch':'a'}],'tag':'b'}", "either a table of tests or a list");
	expect_when("{'any':'main'}", "any: want a list of tables of tests");
	expect_when("{'none':[]}", "none: want a list of tables of tests");
	expect_when("{'all':[{'#':['x'],'branch':'a'}]}", "this value tests no field");
	no_leaks();
}

Test(check, tests_compare_with_what_could_be_equal)
{
	expect_when("{'branch':['main','v*'],'paths':{'#':['docs/**'],'except':['a','b']},'draft':false,'number':5}", NULL);
	expect_when("{'branch':{'except':'main'},'number':{'ge':5,'lt':9},'message':{'has':['a','b']},'tag':{'exists':true}}", NULL);
	expect_when("{'branch':5}", "branch is a string, and never equals the number 5: nothing is converted");
	expect_when("{'draft':'false'}", "draft is true or false, and never equals \"false\"");
	expect_when("{'number':['5']}", "number is a number, and never equals \"5\"");
	expect_when("{'branch':{'eq':5}}", "branch is a string, and never equals the number 5");
	expect_when("{'branch':[]}", "branch: an empty table tests nothing");
	expect_when("{'branch':[['a']]}", "not with a table");
	expect_when("{'branch':{'$secret':'a'}}", "not with secret \"a\"");
	expect_when("{'branch':{'end':'x'}}", "branch: unknown operator 'end'");
	expect_when("{'branch':{'hass':'x'}}", "did you mean 'has'?");
	expect_when("{'branch':{'#':['x'],'has':'y'}}", "a list and operators cannot stand in one table");
	expect_when("{'branch':{'exists':'yes'}}", "exists: want true or false, got \"yes\"");
	expect_when("{'number':{'ge':true}}", "ge: want a number or a string, got true");
	expect_when("{'message':{'has':5}}", "has: want a string, got the number 5");
	expect_when("{'branch':{'starts':['a','b'],'ends':'c','icase':'A*','re':'^.*x$'},'paths':{'every':{'ends':'.md'},'some':'docs/**'}}", NULL);
	expect_when("{'payload':{'ip':{'cidr':['10.0.0.0/8','::1']},'checks':{'some':{'name':'ci','app.id':{'ge':7}}}}}", NULL);
	expect_when("{'payload':{'l':{'some':{'any':[{'a':1},{'b':2}],'c':{'every':'x'}}}}}", NULL);
	expect_when("{'title':{'re':'a(b'}}", "title: re: at its end: missing closing parenthesis [E122]");
	expect_when("{'title':{'re':['a','*']}}", "title: re: at byte 1, near '*': quantifier does not follow a repeatable item");
	expect_when("{'title':{'re':5}}", "re: want a string, got the number 5");
	expect_when("{'number':{'re':'5'}}", "number is a number: re never holds of it");
	expect_when("{'draft':{'starts':'t'}}", "draft is true or false: starts never holds of it");
	expect_when("{'title':{'re':'fix'},'message':{'re':'x$'}}", NULL);
	expect_when("{'branch':{'re':'main'}}", "warning: branch: re searches anywhere, and this takes more than it shows: begin it with ^, end it with $;");
	expect_when("{'repo':{'re':'^acme/'}}", "repo: re searches anywhere, and this takes more than it shows: end it with $;");
	expect_when("{'any':[{'sender':{'re':['^a$','b$']}}]}", "sender: re searches anywhere, and this takes more than it shows: begin it with ^;");
	expect_when("{'ref':{'re':'^refs/(heads|tags)/v1$'}}", NULL);
	expect_when("{'sender':{'re':'^a$|^b$'}}", "W123");
	expect_when("{'payload':{'ip':{'cidr':'10.0.0.0/33'}}}", "ip: cidr: '/33' is not from /0 to /32 [E124]");
	expect_when("{'payload':{'ip':{'cidr':'localhost'}}}", "'localhost' is no network such as");
	expect_when("{'payload':{'ip':{'cidr':'10.1.2.3/8'}}}", "has bits behind its prefix, and means 10.0.0.0/8 [W125]");
	expect_when("{'branch':{'some':'x'}}", "branch is a string: some asks about the elements of a list");
	expect_when("{'labels':{'some':{'name':'x'}}}", "labels holds strings, which have no parts");
	expect_when("{'labels':{'every':{'begins':'x'}}}", "labels holds strings, which have no parts");
	expect_when("{'labels':{'every':5}}", "labels.every is a string, and never equals the number 5");
	expect_when("{'payload':{'l':{'some':{'name':'x','has':'y'}}}}", "l.some: 'has' is an operator, and stands beside paths: write [\"[\\\"has\\\"]\"]");
	expect_when("{'payload':{'l':{'some':{'a..b':1}}}}", "a key is empty");
	expect_when("{'payload':{'l':{'some':{'a':{'gee':1}}}}}", "l.some.a: unknown operator 'gee', did you mean 'ge'?");
	expect_when("{'payload':{'l':{'some':{}}}}", "l.some: an empty table tests nothing");
	expect_when("{'payload':{'l':{'every':{'any':[{}],'b':1}}}}", "want a table of tests by path");
	expect_when("{'branch':'refs/heads/main'}", "warning: branch is the short name: write \"main\"");
	no_leaks();
}

Test(check, payload_is_open_and_its_paths_are_read)
{
	expect_when("{'payload':{'a.b':1,'a[0].b':'x','a[].b':{'exists':true},'n':null}}", NULL);
	expect_when("{'payload':{'a..b':1}}", "a..b");
	expect_when("{'payload':{}}", "payload: want a table of paths");
	expect_when("{'payload':'x'}", "payload: want a table of paths");
	expect_when("{'header':{'User-Agent':'x*','x-env':{'re':'a'}},'query':{'env':['a','b'],'t':{'some':'x'}},'received':{'ge':'2026'}}", NULL);
	expect_when("{'header':'x'}", "header: want a table of names");
	expect_when("{'query':{}}", "query: want a table of names");
	expect_when("{'header':{'x-env':1}}", "x-env is a string, and never equals the number 1");
	expect_when("{'query':{'n':{'ge':1}}}", "n is a list of strings, and never equals the number 1");
	expect_when("{'header':{'X-Hub-Signature-256':'x'}}", "warning: header 'X-Hub-Signature-256' may hold a secret and is not kept: this never holds [W127]");
	expect_when("{'header':{'':'x'}}", "a header's name has 1 to 506 bytes");
	expect_when("{'headers':{'a':'x'}}", "unknown field 'headers' in when, did you mean 'header'?");
	expect_when("{'received':{'ge':'yesterday'}}", "received is a time such as \"2026-12-01T06:00:00Z\" or the beginning of one, and never \"yesterday\"");
	expect_when("{'received':5}", "received is a string, and never equals the number 5");
	expect_when("{'source':{'lt':5}}", "source is a string, and never equals the number 5");
	expect_when("{'payload':{'a':{'gee':1}}}", "a: unknown operator 'gee'");
	no_leaks();
}

Test(check, tests_that_cannot_hold_together_are_told_with_both_places)
{
	static const struct { const char *when, *says; } t[] = {
		{ "{'branch':'main','all':[{'branch':'dev'}]}", "branch cannot be \"main\" here and \"dev\" at line 0, column 0: both are asked, so this never holds [W128]" },
		{ "{'branch':['a','b'],'all':[{'branch':['b','c']}]}", NULL },
		{ "{'branch':['a','b'],'all':[{'branch':'c*'}]}", "W128" },
		{ "{'branch':['a','b'],'all':[{'branch':{'re':'^[ac]$'}}]}", NULL },
		{ "{'branch':['a','b'],'all':[{'branch':{'re':'^[cd]$'}}]}", "W128" },
		{ "{'branch':'a*','all':[{'branch':'b*'}]}", NULL },
		{ "{'branch':'main','any':[{'branch':'dev'},{'tag':'x'}]}", "W128" },
		{ "{'branch':'main','any':[{'branch':'main'},{'title':'x'}]}", NULL },
		{ "{'any':[{'branch':'main'},{'branch':'dev'}]}", NULL },
		{ "{'branch':'main','any':[{'branch':'dev'}]}", "W128" },
		{ "{'branch':'main','none':[{'branch':'m*'}]}", "branch cannot be" },
		{ "{'branch':'main','none':[{'branch':'main','title':'x'}]}", NULL },
		{ "{'branch':'main','none':[{'branch':'dev'}]}", NULL },
		{ "{'none':[{'branch':'main','all':[{'branch':'dev'}]}]}", "W128" },
		{ "{'number':{'ge':20,'lt':10}}", "number can never be >= 20 and < 10 [W128]" },
		{ "{'number':{'gt':10,'le':10}}", "number can never be" },
		{ "{'number':{'ge':10,'le':10}}", NULL },
		{ "{'number':{'ge':10},'all':[{'number':{'lt':10}}]}", "W128" },
		{ "{'number':{'ge':10},'all':[{'number':5}]}", "W128" },
		{ "{'number':{'ge':10},'none':[{'number':{'lt':20}}]}", NULL },
		{ "{'draft':true,'all':[{'draft':false}]}", "W128" },
		{ "{'draft':true,'none':[{'draft':true}]}", "W128" },
		{ "{'tag':{'exists':false},'all':[{'tag':'v*'}]}", "tag cannot be" },
		{ "{'tag':{'exists':false,'eq':'a'}}", "tag can never be" },
		{ "{'branch':{'eq':'a','starts':'b'}}", "branch can never be" },
		{ "{'branch':{'#':['main','dev'],'except':['m*','d*']}}", "branch can never be" },
		{ "{'branch':{'eq':'a','ne':['a','b']}}", "W128" },
		{ "{'labels':'a','all':[{'labels':'b'}]}", NULL },
		{ "{'labels':{'exists':false},'all':[{'labels':'b'}]}", "W128" },
		{ "{'labels':{'ge':'b','lt':'a'}}", "W128" },
		{ "{'labels':{'eq':'a','every':'a'}}", NULL },
		{ "{'payload':{'a':1},'all':[{'payload':{'a':2}}]}", NULL },
		{ "{'payload':{'a':{'ge':2,'lt':1}}}", "W128" },
		{ "{'payload':{'a':{'ge':'2','lt':1}}}", NULL },
		{ "{'header':{'X-A':'1'},'all':[{'header':{'x-a':'2'}}]}", "-A cannot be" },
		{ "{'header':{'x-a':'1'},'query':{'x-a':'2'}}", NULL },
		{ "{'event':'push','all':[{'event':'tag'}]}", "W128" },
		{ "{'branch':{'icase':'A'},'all':[{'branch':'A'}]}", NULL },
		{ "[{'branch':'a'},{'branch':'b','all':[{'branch':'c'}]}]", "W128" },
	};
	for (size_t i = 0; i < COUNT(t); i++)
		expect_when(t[i].when, t[i].says);
	no_leaks();
}

Test(check, tables_of_tests_are_nested_to_a_bound)
{
	for (int n = 16; n <= 17; n++) {
		CLEANUP(buf_fini) struct buf when = BUF(BUF_UNLIMITED);
		for (int i = 0; i < n; i++)
			buf_addf(&when, "{'%s':[", i % 2 ? "any" : "none");
		buf_adds(&when, "{'title':'x'}");
		for (int i = 0; i < n; i++)
			buf_adds(&when, "]}");
		expect_when(buf_cstr(&when), n > 16 ? "any, all and none are nested deeper than 16 [E126]" : NULL);
	}
	no_leaks();
}

/* A test of payload path, pattern or list of N bytes or items. */
static void expect_sized(const char *when, char fill, size_t n, const char *want)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	const char *hole = strchr(when, '%');

	buf_add(&out, (struct slice){ when, (size_t)(hole - when) });
	for (size_t i = 0; i < n; i++)
		if (fill == ',')
			buf_addf(&out, "%s'v%zu'", i ? "," : "", i);
		else if (fill == '.')
			buf_adds(&out, i ? ".a" : "a");
		else
			buf_addc(&out, fill);
	buf_adds(&out, hole + 1);
	expect_when(buf_cstr(&out), want);
}

Test(check, what_is_at_its_bound_passes_and_one_past_it_is_told)
{
	expect_sized("{'title':'%'}", 'a', 1024, NULL);
	expect_sized("{'title':'%'}", 'a', 1025, "title: the pattern has 1025 bytes, the most is 1024");
	expect_sized("{'title':{'icase':'%'}}", 'a', 1024, NULL);
	expect_sized("{'title':{'icase':'%'}}", 'a', 1025, "the pattern has 1025 bytes");
	expect_sized("{'title':{'re':'%'}}", 'a', 1024, NULL);
	expect_sized("{'title':{'re':'%'}}", 'a', 1025, "title: re: it has 1025 bytes, the most is 1024");
	expect_sized("{'payload':{'%':1}}", 'a', 510, NULL);
	expect_sized("{'payload':{'%':1}}", 'a', 511, "a path of 511 bytes, the most is 510");
	expect_sized("{'payload':{'%':1}}", '.', 63, NULL);
	expect_sized("{'payload':{'%':1}}", '.', 64, "is deeper than 64");
	expect_sized("{'header':{'%':'x'}}", 'a', 506, NULL);
	expect_sized("{'header':{'%':'x'}}", 'a', 507, "a header's name has 1 to 506 bytes");
	expect_sized("{'query':{'%':'x'}}", 'a', 506, NULL);
	expect_sized("{'query':{'%':'x'}}", 'a', 507, "a name of a query has at most 506 bytes");
	expect_sized("{'title':[%]}", ',', 1000, NULL);
	expect_sized("{'title':[%]}", ',', 1001, "title: a list of 1001 values, the most is 1000");
	expect_sized("{'title':{'starts':[%]}}", ',', 1001, "title: a list of 1001 values, the most is 1000");
	expect_sized("{'title':{'except':[%]}}", ',', 1001, "title: a list of 1001 values, the most is 1000");
	no_leaks();
}

Test(check, templates_name_fields)
{
	expect_rule("'on':'push','when':'always','env':{'T':'{titel}'}" RUN, "{titel} is no field of an event, did you mean 'title'?");
	expect_rule("'on':'push','when':'always','env':{'T':'{title'}" RUN, "a { that is never closed");
	expect_rule("'on':'push','when':'always','env':{'T':'{source} {{}'}" RUN, NULL);
	no_leaks();
}

static void expect_networks(const char *kind, const char *before, size_t n, const char *want)
{
	CLEANUP(buf_fini) struct buf plain = BUF(BUF_UNLIMITED);

	buf_adds(&plain, before);
	for (size_t i = 0; i < n; i++)
		buf_addf(&plain, "%s'10.0.%zu.0/24'", i ? "," : "", i % 256);
	buf_adds(&plain, "]}");
	expect("pushrod.lua", kind, buf_cstr(&plain), want);
}

Test(check, networks_are_networks_and_not_too_many)
{
	static const struct { const char *list, *says; } t[] = {
		{ "['192.168.0.0/16','10.1.2.3','2001:db8::/32','::1','0.0.0.0/0']", NULL },
		{ "[]", "allow: the list is empty" },
		{ "'192.168.0.0/16'", "allow: want a list of these: a network such as \"10.0.0.0/8\", got \"192.168.0.0/16\"" },
		{ "['localhost']", "allow: 'localhost' is no network such as \"10.0.0.0/8\" or \"2001:db8::/32\" [E124]" },
		{ "['10.0.0.0/33']", "allow: '/33' is not from /0 to /32" },
		{ "['2001:db8::/129']", "allow: '/129' is not from /0 to /128" },
		{ "['10.0.0']", "'10.0.0' is no network" }, { "['']", "is no network" }, { "['10.0.0.0/']", "'/' is not from" },
		{ "['10.1.2.3/8']", "warning: allow: \"10.1.2.3/8\" has bits behind its prefix, and means 10.0.0.0/8 [W125]" },
		{ "[5]", "allow: want a network such as \"10.0.0.0/8\", got the number 5" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *plain = xprintf("{'auth':'none','allow':%s}", t[i].list);
		expect("pushrod.lua", "source", plain, t[i].says);
	}
	expect("pushrod.lua", "config", "{'proxies':['127.0.0.1','nginx']}", "proxies: 'nginx' is no network");
	expect_networks("source", "{'provider':'github','secret':{'$secret':'a'},'allow':[", 256, NULL);
	expect_networks("source", "{'provider':'github','secret':{'$secret':'a'},'allow':[", 257, "allow: the list has 257 values, the most is 256");
	expect_networks("config", "{'proxies':[", 256, NULL);
	expect_networks("config", "{'proxies':[", 257, "proxies: the list has 257 values, the most is 256");
	no_leaks();
}

#define ALWAYS "'on':'push','when':'always'" RUN
Test(check, a_queue_has_bounds_and_each_is_told)
{
	static const struct { const char *queue, *says; } t[] = {
		{ "{}", NULL }, { "{'key':'{repo} {ref}'}", NULL }, { "'production'", NULL },
		{ "{'limit':1}", NULL }, { "{'limit':1000}", NULL },
		{ "{'limit':0}", "limit: want a whole number from 1 to 1000, got the number 0" },
		{ "{'limit':1001}", "limit: want a whole number from 1 to 1000, got the number 1001" },
		{ "{'debounce':'100ms'}", NULL }, { "{'debounce':'1h'}", NULL },
		{ "{'debounce':'99ms'}", "debounce: \"99ms\" is not between 100ms and 1h" },
		{ "{'debounce':'3601s'}", "debounce: \"3601s\" is not between 100ms and 1h" },
		{ "{'debounce':3}", "debounce: want a duration such as \"10m\", got the number 3" },
		{ "{'debounce':'3s','max_wait':'3s'}", NULL }, { "{'debounce':'3s','max_wait':'1d'}", NULL },
		{ "{'debounce':'3s','max_wait':'2999ms'}", "max_wait: \"2999ms\" is less than debounce, which is \"3s\" [E139]" },
		{ "{'debounce':'3s','max_wait':'86401s'}", "max_wait: \"86401s\" is not between 100ms and 1d" },
		{ "{'max_wait':'30s'}", "max_wait bounds a debounce, and this queue has none: write debounce = \"3s\" beside it [E139]" },
		{ "{'busy':'skip'}", NULL }, { "{'busy':'wait'}", NULL },
		{ "{'busy':'newest'}", "busy: want \"wait\" or \"latest\" or \"cancel\" or \"skip\", got \"newest\"" },
		{ "{'busy':'cancle'}", "did you mean 'cancel'?" },
		{ "{'key':''}", "key: the string is empty" },
		{ "{'key':'{brunch}'}", "{brunch} is no field of an event, did you mean 'branch'?" },
		{ "{'key':'{matrix.cc}'}", "{matrix.cc}: the rule has no matrix" },
		{ "{'kay':'{repo}'}", "unknown queue key 'kay', did you mean 'key'?" },
		{ "{'cancel-in-progress':true}", "unknown queue key 'cancel-in-progress': here it is busy = \"cancel\"" },
		{ "'prodction'", "pushrod.lua declares no queue 'prodction', did you mean 'production' (pushrod.lua:7:3)? [E138]" },
		{ "'zebra'", "pushrod.lua declares no queue 'zebra': write queue \"zebra\" { limit = 1 } there, or queue = { key = \"{repo} {ref}\" } here" },
		{ "5", "queue: want a table or the name of a queue, got the number 5" },
		{ "['production']", "queue is a table of keys: this value has none" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *members = xprintf(ALWAYS ",'queue':%s", t[i].queue);
		expect_rule(members, t[i].says);
	}
	for (int n = 512; n <= 513; n++) {
		CLEANUP(freep) char *members = xprintf(ALWAYS ",'queue':{'key':'%*s'},'once':{'key':'%*s','within':'1d'}", n, "x", n, "x");
		expect_rule(members, n > 512 ? "key: the string has 513 bytes, the most is 512" : NULL);
	}
	no_leaks();
}

Test(check, a_shared_queue_is_declared_in_the_settings)
{
	CLEANUP(freep) char *odd = check("pushrod.lua", "queue", "a b", "{}"), *good = check("pushrod.lua", "queue", "production",
		"{'limit':2,'busy':'wait','debounce':'1s','max_wait':'9s'}");

	cr_assert_str_eq(good, "");
	cr_assert(strstr(odd, "a queue's name is made of letters, digits"), "%s", odd);
	expect("pushrod.lua", "queue", "{'key':'{repo}'}", "unknown queue key 'key': here it is a matter of the rule: queue = { key = … } in it");
	expect("pushrod.lua", "queue", "{'max_wait':'9s'}", "max_wait bounds a debounce");
	expect("rules/r.lua", "queue", "{}", "a queue belongs in pushrod.lua");
	no_leaks();
}

Test(check, work_that_a_queue_would_lose_is_told)
{
	static const struct { const char *members, *says; } t[] = {
		{ "'on':'payment.succeeded','when':'always','queue':{'busy':'latest'}", "busy = \"latest\": each payment of 'payment.succeeded' is a thing "
		  "of its own, and its job would end superseded by the next one's while it waits; busy = \"wait\" keeps them all [W136]" },
		{ "'on':['push','comment'],'when':{'branch':'main'},'queue':{'busy':'cancel'}", "busy = \"cancel\": each comment of 'comment' is a thing of "
		  "its own, and its job would be cancelled by the next one's" },
		{ "'on':'issue.opened','when':'always','queue':{'debounce':'3s'}", "debounce: pushes of one ref become one job, but each issue of "
		  "'issue.opened' is a thing of its own" },
		{ "'on':'release','when':'always','queue':'newest'", "each release of 'release' is a thing of its own" },
		{ "'on':'payment','when':'always','queue':{'busy':'skip'}", NULL },
		{ "'on':'payment','when':'always','queue':'production'", NULL },
		{ "'on':'payment','when':'always','queue':{'busy':'latest','key':'{delivery}'}", NULL },
		{ "'on':'ping','when':'always','queue':{'busy':'latest'}", NULL },
		{ "'on':'github:workflow_run','when':'always','queue':{'busy':'latest'}", NULL },
		{ "'on':'rule:succeeded','when':{'rule':'docs'},'queue':{'busy':'latest'}", NULL },
		{ "'cron':'0 3 * * *','queue':{'busy':'latest','debounce':'1m'}", NULL },
		/* branches and requests */
		{ "'on':'push','when':'always','queue':{'busy':'cancel'}", "busy = \"cancel\", and the key does not tell branches apart: the job of one "
		  "would be ended by that of another; write key = \"{repo} {ref}\" [W134]" },
		{ "'on':'push','when':'always','queue':{'busy':'latest','key':'{repo}'}", "does not tell branches apart" },
		{ "'on':'push','when':'always','queue':{'busy':'latest','key':'{repo} {ref}'}", NULL },
		{ "'on':'push','when':'always','queue':{'busy':'latest','key':'{branch}'}", NULL },
		{ "'on':'push','when':'always','queue':{'busy':'wait'}", NULL },
		{ "'on':'push','when':'always','queue':{'debounce':'3s'}", NULL },
		{ "'on':'push','when':{'branch':'main'},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':{'branch':['main']},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':{'branch':{'eq':'main'}},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':{'branch':['main','dev']},'queue':{'busy':'latest'}", "does not tell branches apart" },
		{ "'on':'push','when':{'branch':'release/*'},'queue':{'busy':'latest'}", "does not tell branches apart" },
		{ "'on':'push','when':{'all':[{'branch':'main'}]},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':{'any':[{'branch':'main','title':'a'},{'branch':'main'}]},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':[{'branch':'main'},{'branch':'dev'}],'queue':{'busy':'latest'}", "does not tell branches apart" },
		{ "'on':'push','when':{'branch':'main','repo':['a/b','a/c']},'queue':{'busy':'latest'}", "does not tell repositories apart" },
		{ "'on':'push','when':{'branch':'main','repo':'a/*'},'queue':{'busy':'latest','key':'{ref}'}", "does not tell repositories apart" },
		{ "'on':'push','when':{'branch':'main','repo':'a/b'},'queue':{'busy':'latest'}", NULL },
		{ "'on':'push','when':{'branch':'main'},'queue':'newest'", NULL },
		{ "'on':'push','when':'always','queue':'newest'", "queue 'newest' has busy = \"latest\", and this rule is for several branches: the job of one "
		  "would be ended by that of another; write queue = { key = \"{repo} {ref}\", busy = \"latest\" }" },
		{ "'on':'pull_request','when':{'base':'main'},'queue':{'busy':'cancel'}", "does not tell requests apart" },
		{ "'on':'pull_request','when':{'base':'main'},'queue':{'busy':'cancel','key':'{head}'}", "does not tell requests apart" },
		{ "'on':'pull_request','when':{'base':'main'},'queue':{'busy':'cancel','key':'{repo} {number}'}", NULL },
		{ "'on':['push','pull_request'],'when':'always','queue':{'busy':'cancel','key':'{repo} {ref}'}", NULL },
		{ "'on':'tag','when':'always','queue':{'busy':'latest'}", "does not tell tags apart" },
		{ "'on':'tag','when':'always','queue':{'busy':'latest','key':'{repo} {tag}'}", NULL },
		{ "'on':'delete','when':'always','queue':{'busy':'latest'}", "does not tell refs apart" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *members = xprintf("%s" RUN, t[i].members);
		expect_rule(members, t[i].says);
	}
	no_leaks();
}

#define STEP(text) "{'on':'push','when':'always','matrix':{'cc':['gcc']},'steps':[" text "]}"
Test(check, what_looks_like_a_template_and_is_none_is_told_with_what_to_write)
{
	static const struct { const char *step, *says; } t[] = {
		{ "{'sh':'echo {title}'}", "'{title}' stands for nothing in a script, which is taken as it is: write env = { TITLE = \"{title}\" }, and "
		  "\"$TITLE\" in the script [W132]" },
		{ "{'sh':'make CC={matrix.cc}'}", "write env = { CC = \"{matrix.cc}\" }, and \"$CC\" in the script" },
		{ "{'sh':'echo {{ title }}'}", "'{{ title }}' stands for nothing in a script" },
		{ "{'sh':'echo ${{ github.ref_name }}'}", "'${{ github.ref_name }}' stands for nothing in a script, which is taken as it is: write env = { BRANCH = "
		  "\"{branch}\" }, and \"$BRANCH\" in the script" },
		{ "{'sh':'echo {{github.sha}}'}", "write env = { SHA = \"{sha}\" }" },
		{ "{'sh':'echo ${{ github.event.client_payload.x }}'}", "run = function(job) … job:get \"client_payload.x\" … end" },
		{ "{'sh':'curl -H ${{ secrets.NPM_TOKEN }}'}", "name it, secrets = { \"npm-token\" }, and take it in a function: env = { TOKEN = job:secret \"npm-token\" }" },
		{ "{'sh':'echo ${{ env.CC }}'}", "a script reads \"$CC\"" },
		{ "{'sh':'echo ${{ runner.os }}'}", "{field} in env is the event's, {matrix.x} the cell's" },
		{ "{'exec':['echo','{title}']}", "'{title}' stands for nothing in an argument, which is taken as it is: write env = { TITLE = \"{title}\" }, and "
		  "\"$TITLE\" in sh = \"…\" in place of exec" },
		{ "{'sh':'make','cwd':'{matrix.cc}'}", "'{matrix.cc}' stands for nothing in cwd" },
		{ "{'sh':'make','env':{'T':'{{ title }}'}}", "'{{ title }}' is text, as {{ is one brace: write {title} [W132]" },
		{ "{'sh':'make','env':{'T':'${{ github.event.head_commit.message }}'}}", "is text, as {{ is one brace: write {message}" },
		{ "{'sh':'make','env':{'T':'${{ secrets.T }}'}}", "name it, secrets = { \"t\" }" },
		{ "{'sh':'make','env':{'T':'${{ matrix.cc }}'}}", "write {matrix.cc}" },
		/* shells, git, curl, other languages, and braces that are meant */
		{ "{'sh':'echo ${A} {{'}", NULL }, { "{'sh':'echo ${title} ${branch:-x} {branch,tag} $title'}", NULL },
		{ "{'sh':'git rev-parse HEAD^{tag} @{ref} && curl -w %{url} x'}", NULL },
		{ "{'sh':'curl x | jq \\\"{title}\\\"'}", NULL }, { "{'sh':'awk {number} x'}", NULL }, { "{'sh':'python3 -c {title}'}", NULL },
		{ "{'exec':['jq','{title}','x']}", NULL },
		{ "{'sh':'docker inspect -f {{.Name}} x {{json .}} {{ titel }}'}", NULL },
		{ "{'sh':'f() { title; }; {title'}", NULL }, { "{'sh':'{{ title\\n}}'}", NULL },
		{ "{'sh':'make','env':{'T':'{{x} {{.Title}} {title} {{\\n'}}", NULL },
		{ "{'sh':'sed s/{}/x/ {1..3} {'}", NULL },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *rule = xprintf(STEP("%s"), t[i].step);
		expect("rules/r.lua", "rule", rule, t[i].says);
	}
	expect_rule("'on':'push','when':'always','queue':{'key':'${{ github.ref }}'}" RUN, "'${{ github.ref }}' is text, as {{ is one brace: write {ref}");
	CLEANUP(freep) char *many = check("rules/r.lua", "rule", "x", STEP("{'sh':'{title} {title} {sha} {ref} {repo} {owner}'}"));
	int n = 0;
	for (const char *at = many; (at = strstr(at, "[W132]")); at++)
		n++;
	cr_assert_eq(n, 4, "each once, four at most:\n%s", many);
	no_leaks();
}

Test(check, every_operator_of_the_schema_compiles_and_every_row_says_what_it_is)
{
	struct arena *a = arena_new();

	for (size_t i = 0; i < schema_operator_count; i++) {
		static const char *const operands[] = {
			[OPERAND_SCALAR] = "{\"null\":1}", [OPERAND_ORDERED] = "1.5", [OPERAND_TEXT] = "\"x\"", [OPERAND_PATTERN] = "\"X*\"",
			[OPERAND_REGEX] = "\"^x\"", [OPERAND_NETWORK] = "\"::/0\"", [OPERAND_BOOL] = "true", [OPERAND_TEST] = "\"x\"",
		};
		CLEANUP(freep) char *text = xprintf("{\"m\":{\"%s\":%s}}", schema_operators[i].name, operands[schema_operators[i].operand]);
		cr_assert(schema_operators[i].doc && schema_operators[i].example);
		struct diags d = { 0 };
		struct predicate p;
		struct node_doc *doc;
		struct err e;
		cr_assert_eq(node_doc_parse(slice_of(text), &doc, &e), 0);
		cr_assert_eq(predicate_compile(node_doc_root(doc), "f", a, &p, &d), 0, "%s", schema_operators[i].name);
		predicate_fini(&p);
		node_doc_free(doc);
		diags_fini(&d);
	}
	for (size_t i = 0; i < schema_decl_count; i++)
		for (size_t k = 0; schema_decls[i].table && k < schema_decls[i].table->n; k++) {
			const struct schema_key *key = &schema_decls[i].table->keys[k];
			cr_assert(key->doc && key->types[0].kind && (key->example || key->types[0].table), "%s", key->name);
		}
	arena_free(a);
	no_leaks();
}

Test(check, a_matrix_has_two_forms_and_its_names_are_known)
{
	static const struct { const char *matrix, *want; } t[] = {
		{ "[{'cc':'gcc','n':1,'f':1.5,'on':true,'when':{'branch':'main'}}]", NULL },
		{ "{'cc':['gcc','clang']}", NULL },
		{ "{'cc':'gcc'}", "'cc' wants a list of values" },
		{ "{'cc':[]}", "'cc' wants a list of values" },
		{ "{'cc':[['gcc']]}", "'cc' wants a string, a number, true or false, got a table" },
		{ "[{'cc':{'$secret':'x'}}]", "'cc' wants a string, a number, true or false, got secret" },
		{ "[{'when':{'branch':'main'}}]", "this cell has no value" },
		{ "[{'cc':'gcc','when':{'brunch':'main'}}]", "did you mean 'branch'" },
		{ "['gcc']", "a cell is a table of names and values" },
		{ "{'when':{'branch':'main'}}", "a product has no when" },
		{ "{'a-b':['x']}", "a name is made of letters" },
		{ "{'#':[{'cc':'gcc'}],'os':['x']}", "a list of cells holds no 'os'" },
		{ "{}", "there is no cell in it" },
		{ "'gcc'", "matrix: want a list of cells or a table of lists, got \"gcc\"" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		CLEANUP(freep) char *members = xprintf("'on':'push','when':'always'" RUN ",'matrix':%s", t[i].matrix);
		expect_rule(members, t[i].want);
	}
	static const struct { const char *matrix, *hole, *want; } holes[] = {
		{ ",'matrix':{'cc':['gcc']}", "{matrix.cc}", NULL },
		{ ",'matrix':[{'cc':'gcc'},{'os':'x'}]", "{matrix.cc}", "{matrix.cc}: cell 2 of the matrix has no such value" },
		{ ",'matrix':{'compiler':['gcc']}", "{matrix.compilr}", "the matrix has no such value, did you mean 'compiler'?" },
		{ ",'matrix':[{'cc':'gcc','when':{'branch':'x'}}]", "{matrix.when}", "cell 1 of the matrix has no such value" },
		{ "", "{matrix.cc}", "{matrix.cc}: the rule has no matrix" },
	};
	for (size_t i = 0; i < COUNT(holes); i++) {
		CLEANUP(freep) char *members = xprintf("'on':'push','when':'always'" RUN ",'env':{'X':'%s'}%s", holes[i].hole, holes[i].matrix);
		expect_rule(members, holes[i].want);
	}
	no_leaks();
}

Test(check, a_file_of_100000_rules_takes_no_long_time, .timeout = 60)
{
	enum { MANY = 100000 };
	struct check_decl *decls = xcalloc(MANY, sizeof *decls);
	struct check_context ctx = { .sources_unknown = 1 };
	struct diags diags = { 0 };

	for (int i = 0; i < MANY; i++) {
		char *name = xprintf("rule %d", i == MANY - 1 ? 7 : i);
		decls[i] = (struct check_decl){ SLICE("rule"), slice_of(name), i + 1, 1, NULL };
	}
	struct check_file f = { "rules/r.lua", SLICE_NULL, decls, MANY };
	int64_t begin = mono_ms();
	check_file(&f, &ctx, &diags);
	cr_assert_lt(mono_ms() - begin, 4000);
	cr_assert_eq(diags.n, 1);
	cr_assert_str_eq(diags.list[0].text, "there is a rule 'rule 7' already, at line 8");
	cr_assert_eq(diags.list[0].line, MANY);
	for (int i = 0; i < MANY; i++)
		free((char *)(uintptr_t)decls[i].name.ptr);
	free(decls);
	diags_fini(&diags);
	no_leaks();
}
