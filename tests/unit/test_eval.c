/* eval: directories become data; mistakes are found all at once, with their places; nothing a file does gets out of hand. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "eval/eval.h"
#include "eval/places.h"
#include "no_leaks.h"
#include "rules/diag.h"
#include "wire/evaluate.h"

/* ---- a directory, and what eval makes of it ---- */

static char site[64];

static void put(const char *path, const char *text)
{
	char full[256];
	CLEANUP(freep) char *folder = NULL;
	struct err e;
	snprintf(full, sizeof full, "%s/%s", site, path);
	folder = xstrdup(full);
	*strrchr(folder, '/') = '\0';
	cr_assert_eq(dir_make(folder, 0700, &e), 0);
	FILE *f = fopen(full, "w");
	fputs(text, f);
	fclose(f);
}

static void make_site(void)
{
	snprintf(site, sizeof site, "/tmp/pushrod-eval-XXXXXX");
	cr_assert_not_null(mkdtemp(site));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void remove_site(void)
{
	nftw(site, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(eval, .init = make_site, .fini = remove_site, .timeout = 60);

static json_t *bundle;
static char *diags_text;

/* The bundle, and its diagnostics as they are printed. */
static void evaluate(void)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED), print = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	struct err e = { 0 };
	json_error_t at;

	cr_assert_eq(eval_directory(site, &out, &e), 0, "%s", e.msg);
	bundle = json_loadb(out.ptr, out.len, 0, &at);
	cr_assert_not_null(bundle, "%s", at.text);
	CLEANUP(freep) char *list = json_dumps(json_object_get(bundle, "diags"), 0);
	cr_assert_eq(diags_parse_json(slice_of(list), &diags), 0);
	diags_print(&diags, &print, 0);
	diags_text = buf_take(&print);
	diags_fini(&diags);
}

static void done(void)
{
	json_decref(bundle);
	free(diags_text);
	bundle = NULL;
	diags_text = NULL;
}

static void expect_diag(const char *want)
{
	cr_assert(strstr(diags_text, want), "no \"%s\" in:\n%s", want, diags_text);
}

static void expect_none(void)
{
	cr_assert_str_eq(diags_text, "");
}

/* The value of declaration NUMBER of file FILE, in the short form of this test. */
static char *value_of(size_t file, size_t number)
{
	json_t *f = json_array_get(json_object_get(bundle, "files"), file);
	json_t *d = json_array_get(json_object_get(f, "decls"), number);
	return json_dumps(json_object_get(d, "value"), JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

static void expect_value(size_t file, size_t number, const char *want)
{
	CLEANUP(freep) char *got = value_of(file, number);
	cr_assert_not_null(got);
	cr_assert_str_eq(got, want);
}

/* One file of rules, and one line that must be among what is said of it. */
static void expect_in_rules(const char *text, const char *want)
{
	put("rules/r.lua", text);
	evaluate();
	expect_diag(want);
	done();
}

/* ---- what is right ---- */

Test(eval, an_empty_directory_is_a_site_and_a_missing_one_is_not)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct err e;

	evaluate();
	expect_none();
	cr_assert_eq(json_array_size(json_object_get(bundle, "files")), 0);
	done();
	cr_assert_eq(eval_directory("/nowhere/at/all", &out, &e), -1);
	cr_assert_eq(e.kind, ERR_INPUT);
	cr_assert(strstr(e.msg, "/nowhere/at/all"));
	no_leaks();
}

Test(eval, declarations_become_data_with_their_places)
{
	put("pushrod.lua", "source \"github\" { provider = \"github\",\n  secret = secret \"hook\" }\n");
	put("rules/a.lua", "rule 'one' {\n  on = { 'push', [[tag]] },\n  run = function(job) end,\n  n = 1.5, yes = true, none = null,\n}\n");
	evaluate();
	expect_none();
	expect_value(0, 0, "{\"at\":[1,17],\"m\":{\"provider\":\"github\",\"secret\":{\"secret\":\"hook\"}},"
			   "\"mat\":{\"provider\":[1,19,1,30],\"secret\":[2,3,2,12]}}");
	expect_value(1, 0, "{\"at\":[1,12],\"m\":{\"n\":1.5,\"none\":{\"null\":1},\"on\":{\"at\":[2,8],\"l\":[\"push\",\"tag\"],"
			   "\"lat\":[[2,10],[2,18]]},\"run\":{\"fn\":1},\"yes\":true},"
			   "\"mat\":{\"n\":[4,3,4,7],\"none\":[4,24,4,31],\"on\":[2,3,2,8],\"run\":[3,3,3,9],\"yes\":[4,12,4,18]}}");
	json_t *d = json_array_get(json_object_get(json_array_get(json_object_get(bundle, "files"), 1), "decls"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(d, "name")), "one");
	cr_assert_str_eq(json_string_value(json_object_get(d, "kind")), "rule");
	done();
	no_leaks();
}

Test(eval, a_value_from_a_local_has_the_places_of_the_local)
{
	put("rules/a.lua", "local web <const> = { 'a' }\nlocal f = function() return { 'b' } end\nrule 'x' { paths = web,\n more = f() }\n");
	evaluate();
	expect_none();
	expect_value(0, 0, "{\"at\":[3,10],\"m\":{\"more\":{\"at\":[4,9],\"l\":[\"b\"]},\"paths\":{\"at\":[1,21],\"l\":[\"a\"],\"lat\":[[1,23]]}},"
			   "\"mat\":{\"more\":[4,2,4,9],\"paths\":[3,12,3,20]}}");
	done();
	no_leaks();
}

Test(eval, rules_may_be_made_in_loops_and_with_computed_names)
{
	put("rules/a.lua", "for name, branch in pairs { z = 'm', a = 'n' } do\n  rule('r-' .. name) { branch = branch, n = #name + math.floor(2.5) }\nend\n");
	evaluate();
	expect_none();
	json_t *decls = json_object_get(json_array_get(json_object_get(bundle, "files"), 0), "decls");
	cr_assert_eq(json_array_size(decls), 2);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(decls, 0), "name")), "r-a", "in the order of the keys");
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(decls, 1), "name")), "r-z");
	expect_value(0, 0, "{\"at\":[2,22],\"m\":{\"branch\":\"n\",\"n\":3},\"mat\":{\"branch\":[2,24,2,33],\"n\":[2,41,2,45]}}");
	done();
	no_leaks();
}

Test(eval, modules_are_handed_on_and_may_be_required)
{
	put("plugins/slack.lua", "local clock = os.time\nlocal M = { channel = 'ops' }\nfunction M.post(job) return clock() end\nreturn M\n");
	put("plugins/broken.lua", "return {\n  a = = 1,\n}\n");
	put("rules/a.lua", "local slack = require 'slack'\nlocal again = require('slack')\nassert(slack == again)\nrule 'x' { to = slack.channel }\n");
	evaluate();
	expect_diag("plugins/broken.lua:2:");
	cr_assert(!strstr(diags_text, "rules/a.lua") && !strstr(diags_text, "slack.lua"), "%s", diags_text);
	cr_assert_not_null(json_object_get(json_object_get(bundle, "modules"), "slack"));
	done();
	expect_in_rules("require 'nothing'", "there is no module 'nothing'");
	put("plugins/loop.lua", "return require 'loop'\n");
	expect_in_rules("require 'loop'", "requires itself");
	put("plugins/rude.lua", "rule 'x' {}\n");
	expect_in_rules("require 'rude'", "'rule' has no meaning in a module");
	no_leaks();
}

Test(eval, a_provider_of_the_users_takes_the_place_of_one_that_is_built_in)
{
	put("plugins/providers/github.lua", "provider 'github' { event = { header = 'X-Mine' } }\n");
	put("plugins/providers/mine.lua", "provider 'other' { }\n");
	put("plugins/providers/none.lua", "local x = 1\n");
	put("plugins/providers/rules.lua", "rule 'x' { }\n");
	evaluate();
	expect_diag("mine.lua:1:1: error: this file is that of provider \"mine\", not \"other\"");
	expect_diag("none.lua: error: this file declares no provider \"none\"");
	expect_diag("rules.lua:1:1: error: a rule has no place in a provider's file");
	json_t *p;
	size_t i, found = 0;
	json_array_foreach(json_object_get(bundle, "providers"), i, p)
		if (strcmp(json_string_value(json_object_get(p, "name")), "github") == 0) {
			found++;
			cr_assert(strstr(json_string_value(json_object_get(p, "source")), "X-Mine"));
		}
	cr_assert_eq(found, 1);
	done();
	no_leaks();
}

/* ---- mistakes ---- */

Test(eval, mistakes_of_all_files_are_told_at_once)
{
	put("rules/a.lua", "rule \"undefined\" { branch = mian }\nrule \"twice\" { on = 1,\n  on = 2 }\nx = 5\nrule \"nil\" { a = nil }\nprint(x)\n");
	put("rules/b.lua", "rule \"open\" { on = \"push\",\n  when = \"always\"\n  run = 1 }\n");
	put("rules/c.lua", "rule \"d\" { a = 1, ['a'] = 2, }\nif then\n");
	evaluate();
	expect_diag("rules/a.lua:1:29: error: undefined name 'mian'");
	expect_diag("rules/a.lua:3:3: error: 'on' is given twice, first at line 2");
	expect_diag("rules/a.lua:4:1: error: 'x' would be a global");
	expect_diag("rules/a.lua:5:18: error: nil is nothing: 'a'");
	expect_diag("rules/a.lua:6:1: error: 'print' is not there");
	expect_diag("rules/b.lua:2:18: error: a comma is missing here, before 'run' at line 3");
	expect_diag("    2 |   when = \"always\"\n      |                  ^\n");
	expect_diag("rules/c.lua:1:19: error: 'a' is given twice");
	expect_diag("rules/c.lua:2:4: error: unexpected symbol near 'then'");
	cr_assert(!strstr(diags_text, "rules/b.lua:3"), "Lua's own complaint is a consequence");
	done();
	no_leaks();
}

Test(eval, a_missing_comma_that_lua_reads_as_a_call_is_told)
{
	expect_in_rules("rule \"x\" { a = secret \"s\"\n  { 1 } }", "rules/r.lua:1:26: error: a comma is missing");
	expect_in_rules("local f = tostring\nrule \"x\" { a = { f\n (\"b\") } }", "rules/r.lua:2:19: error: a comma is missing");
	expect_in_rules("rule \"x\" { \"a\" \"b\" }", "a comma is missing here, before '\"b\"'");
	put("rules/r.lua", "rule \"x\"\n{\n  a = (\"b\"):rep(2), c = (function() return \"d\" end)(), e = #\"f\" .. \"g\",\n}\n");
	evaluate();
	expect_none();
	done();
	no_leaks();
}

/* Of text TEXT, how many mistakes are told, and one of them. */
static void expect_of(const char *text, int n, const char *want)
{
	int got = 0;

	put("rules/r.lua", text);
	evaluate();
	for (const char *at = diags_text; (at = strstr(at, ": error: ")); at++)
		got++;
	cr_assert_eq(got, n, "%s\n%s", text, diags_text);
	cr_assert(strstr(diags_text, want), "%s\nno \"%s\" in\n%s", text, want, diags_text);
	done();
}

Test(eval, a_declaration_that_cannot_be_read_hides_no_other)
{
	/* a fault in a function, a brace, a text: the others are read, and their columns are right */
	expect_of("rule \"a\" { run = function(job) job:sh( end }\nrule \"b\" { x = undefined, y = 1, y = 2 }\n", 3, "rules/r.lua:2:16: error: undefined name");
	expect_of("rule \"a\" { x = 1 y = 2 }\nrule \"b\" { z = nil }\n", 2, "rules/r.lua:2:16: error: nil is nothing");
	expect_of("rule \"a\" {\n  x = { 1 }\n\nrule \"b\" { z = nil }\n", 2, "rules/r.lua:4:16: error: nil is nothing");
	expect_of("rule \"a\" { x = \"1 }\nrule \"b\" { z = nil }\n", 3, "rules/r.lua:2:16: error: nil is nothing");
	/* two of them; what stands between is kept, and locals too */
	expect_of("rule \"a\" { x = = 1 }\nlocal t = \"5m\"\nrule \"b\" { x = = 1 }\nrule \"c\" { t = t, u = v }\n", 3, "rules/r.lua:4:23: error: undefined name 'v'");
	expect_of("rule \"a\" { x = = 1 }\nrule \"b\" { x = = 1 }\n", 2, "rules/r.lua:2:14: error: unexpected symbol near '='");
	/* a local that went with it is not undefined */
	expect_of("rule \"a\" { x = = 1 }\n  local t = 1\n  local function f() end\nrule \"b\" { t = t, f = f() }\n", 1, "rules/r.lua:1:14: error: unexpected symbol");
	/* in code around declarations it is not known what belongs to what: the first error alone */
	expect_of("for i = 1, 2 do\nrule(\"a\" .. i) { x = = 1 }\nend\nrule \"b\" { z = undefined }\n", 1, "rules/r.lua:2:20: error: unexpected symbol");
	expect_of("local x = {\nrule \"b\" { z = undefined }\n", 1, "this brace is not closed");
	expect_of("  rule \"a\" { x = = 1 }\n  rule \"b\" { z = undefined }\n", 1, "unexpected symbol");
	expect_of("rule \"a\" { x = [[\nrule \"b\" { z = undefined }\n", 1, "this brace is not closed");
	expect_of("local s = [[\nrule \"no\" { x = = 1 }\n]]\nrule \"b\" { z = = 1 }\nrule \"c\" { z = undefined }\n", 2, "rules/r.lua:5:16: error: undefined name");
	/* eight are left out, a ninth is too many: then the first error alone */
	for (int n = 8; n <= 9; n++) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		for (int i = 0; i < n; i++)
			buf_addf(&text, "rule \"a%d\" { x = = 1 }\n", i);
		buf_adds(&text, "rule \"z\" { z = undefined }\n");
		expect_of(buf_cstr(&text), n == 8 ? 9 : 1, "rules/r.lua:1:15: error: unexpected symbol");
	}
	no_leaks();
}

Test(eval, a_hole_in_the_script_of_a_function_is_told)
{
#define RUN_IS(body) "rule \"x\" { on = \"push\", when = \"always\", run = function(job)\n" body "\nend }\n"
	static const char *const good[] = {
		RUN_IS("job:sh('echo ${title} {a,b}')"), RUN_IS("job:sh('jq {title} x')"), RUN_IS("job:sh(('echo {title}'):gsub('{(%w+)}', vars))"),
		RUN_IS("job:log('{title}')"), RUN_IS("job:sh('echo {' .. x .. '}')"),
	};
	expect_in_rules(RUN_IS("  job:sh('echo {title}')"), "rules/r.lua:2:10: warning: '{title}' stands for nothing in a script, which is taken as it is: "
			"write job:sh('… \"$TITLE\" …', { env = { TITLE = job.event.title } }) [W132]");
	expect_in_rules(RUN_IS("job:sh [[make ${{ matrix.cc }}]]"), "write job:sh('… \"$CC\" …', { env = { CC = job.matrix.cc } })");
	expect_in_rules(RUN_IS("job:sh('echo {{ github.ref }}', { timeout = '5m' })"), "{ env = { REF = job.event.ref } }");
	for (size_t i = 0; i < COUNT(good); i++) {
		put("rules/r.lua", good[i]);
		evaluate();
		cr_assert(!strstr(diags_text, "W132"), "%s\n%s", good[i], diags_text);
		done();
	}
	no_leaks();
}

/* The body of a function `run`, and how often it is warned of. */
static void expect_injections(const char *body, int want)
{
	CLEANUP(freep) char *text = xprintf("rule \"x\" { on = \"push\", when = \"always\", run = function(job)\n%s\nend }\n", body);
	int n = 0;

	put("rules/r.lua", text);
	evaluate();
	for (const char *at = diags_text; (at = strstr(at, "[W130]")); at++)
		n++;
	cr_assert_eq(n, want, "%s\n%s", body, diags_text);
	done();
}

Test(eval, text_of_an_event_in_a_shell_script_is_warned_of)
{
	static const char *const bad[] = {
		"job:sh('echo ' .. job.event.title)",
		"job:sh(\"git checkout \" .. job.payload.ref .. ' && make', { timeout = '5m' })",
		"job:sh(('echo %s'):format(job.event.title))",
		"job:sh(string.format('echo %s %d', job.event.branch, 1))",
		"job:sh(job.payload.script)",
		"job:sh(job:get('head_commit.message', ''))",
		"local e = job.event\njob:sh('echo ' .. e.title)",
		"local cmd = 'echo ' .. job.event.title\nlocal again = cmd\njob:sh(again)",
		"local t\nt = job.event.title\njob:sh('echo ' .. t)",
		"for _, path in ipairs(job.event.paths) do job:sh('cat ' .. path) end",
		"job:sh('cat ' .. table.concat(job.event.paths, ' '))",
		"job:exec { 'sh', '-c', 'echo ' .. job.event.title }",
		"job:exec({ \"/bin/bash\", \"-ec\", job.payload.x, cwd = job.tree })",
		"job:step('a', function() job:sh('echo ' .. tostring(job.headers['x'])) end)",
		"local title = job.event.title:lower()\njob:sh('echo ' .. title)",
	};
	static const char *const good[] = {
		"job:sh('echo \"$T\"', { env = { T = 'x ' .. job.event.title } })",
		"job:sh('make -C ' .. job.tree)",
		"job:sh('git checkout ' .. job.event.sha)",
		"job:sh('echo ' .. job.event.number)",
		"job:sh('echo ' .. job.event.title:gsub('[^%w]', ''))",
		"local n = #job.event.paths\njob:sh('echo ' .. n)",
		"local t = quoted(job.event.title)\njob:sh('echo ' .. t)",
		"local r = job:exec { 'git', 'log', job.event.branch, capture = true }\njob:sh('echo ' .. r.code)",
		"job:exec { 'echo', 'x' .. job.event.title }",
		"job:exec { 'sh', '-c', 'echo \"$1\"', 'sh', job.event.title }",
		"local e = job.event\nlocal e = 'safe'\njob:sh('echo ' .. e)",
		"local main = job.event.branch == 'main'\njob:sh('make ' .. (main and 'release' or 'debug'))",
		"if job.event.title then job:sh('make') end",
		"job:log('a push by ' .. job.event.sender)\njob:sh [[make test]]",
		"local t = job.event.title\nlocal function f(t) job:sh('echo ' .. t) end",
		"for i, path in ipairs(job.event.paths) do job:sh('echo ' .. i) end",
	};
	for (size_t i = 0; i < COUNT(bad); i++)
		expect_injections(bad[i], 1);
	for (size_t i = 0; i < COUNT(good); i++)
		expect_injections(good[i], 0);
	expect_in_rules("rule \"x\" { on = \"push\", when = \"always\", run = function(j)\n  j:sh('a' .. j.event.title)\nend }",
			"rules/r.lua:2:15: warning: text of the event becomes part of a shell script");
	no_leaks();
}

Test(eval, a_missing_brace_is_told_where_it_opens)
{
	expect_in_rules("rule \"a\" {\n  when = { b = 1,\n           c = 2 }\n\nrule \"b\" { }\n", "rules/r.lua:1:10: error: this brace is not closed before 'rule' at line 5");
	expect_in_rules("rule \"a\" {\n  b = { 1,\n", "rules/r.lua:2:7: error: this brace is not closed");
	expect_in_rules("rule \"a\" {\n  when = { b = 1 } },\n  c = 2,\n}\n",
			"rules/r.lua:2:20: error: this brace closes the 'rule' of line 1, and more of it follows: here or before it one brace is too many");
	expect_in_rules("rule \"a\" {\n  b = 1,\n}\n}\nrule \"b\" { }\n", "rules/r.lua:3:1: error: this brace closes the 'rule' of line 1");
	expect_in_rules("rule ci {\n  b = 1,\n}\n", "rules/r.lua:1:6: error: a name is a text and needs quotes: rule \"ci\" { … }");
	expect_in_rules("rule \"a\" { b = \"^v\\d\" }\n", "rules/r.lua:1:19: error: invalid escape sequence");
	expect_in_rules("rule \"a\" {\n  b = \"\\\\d \\n\", c = '\\d' }\n", "rules/r.lua:2:22: error: invalid escape sequence");
	expect_in_rules("rule \"a\" { b = \"^v\\d\" }\n", "; a text with backslashes is written [[…]], or each of them twice");
	expect_in_rules("rule \"a\" {\n  run = function(job) if job then end\n}\n", "rules/r.lua:2:9: error: this 'function' has no 'end' before '}' at line 3");
	expect_in_rules("rule \"a\" {\n  run = function(job)\n", "'end' expected (to close 'function' at line 2)");
	expect_in_rules("local f = function()\n  local t = {\n  1\n  2 }\nend", "rules/r.lua:2:13: note: this is the brace that is open");
	no_leaks();
}

Test(eval, a_brace_that_is_missing_is_told_by_what_stands_below)
{
	expect_in_rules("rule \"a\" {\n  when = { b = 1,\n  run = f,\n}\n\nrule \"b\" { }\n",
			"rules/r.lua:2:10: error: this brace is not closed before 'run' at line 3, which stands where its own line begins");
	expect_in_rules("rule \"a\" {\n  steps = {\n    { \"x\" },\n  run = f,\n}\n", "rules/r.lua:2:11: error: this brace is not closed before 'run'");
	put("rules/r.lua", "rule \"a\" {\nwhen = {\nb = 1,\n},\nrun = 1,\n}\n");
	evaluate();
	expect_none();
	done();
	no_leaks();
}

Test(eval, what_other_languages_write_is_told_in_words_of_this_one)
{
	expect_in_rules("rule \"a\" {\n  on: \"push\",\n}\n", "rules/r.lua:2:5: error: a key is followed by one =: on = …");
	expect_in_rules("rule \"a\" { when = { branch == \"main\" } }\n", "rules/r.lua:1:28: error: a key is followed by one =: branch = …");
	expect_in_rules("rule \"a\" = { on = \"push\" }\n", "rules/r.lua:1:10: error: no = stands between a declaration's name and its table");
	expect_in_rules("rule \"a\" { when = { branch != \"x\" } }\n", "rules/r.lua:1:28: error: Lua writes ~=");
	expect_in_rules("rule \"a\" { run = function(job)\n  if a && b then end\nend }\n", "rules/r.lua:2:8: error: Lua writes and;");
	expect_in_rules("rule \"a\" { run = function(job)\n  if a || b then end\nend }\n", "rules/r.lua:2:8: error: Lua writes or;");
	expect_in_rules("// a comment\nrule \"a\" { }\n", "rules/r.lua:1:1: error: a comment begins with --");
	put("rules/r.lua", "rule \"a\" {\n  on = 'push\", when = { },\n}\n");
	evaluate();
	expect_diag("rules/r.lua:2:8: error: this text has no second quote");
	cr_assert(!strstr(diags_text, "brace"), "the line hides its braces");
	done();
	expect_in_rules("--[[ open", "unfinished long comment");
	put("rules/r.lua", "local s = \"x\"\nrule \"a\" { s:rep(3), b = 7 // 2, c = 1 & 3, d = 4 | 1, e = s == \"x\" }\n");
	evaluate();
	expect_none();
	done();
	expect_in_rules("rule(\"a\", {\n  on = nil,\n})\n", "rules/r.lua:2:8: error: nil is nothing");
	no_leaks();
}

Test(eval, undefined_names_come_with_the_name_that_was_meant)
{
	expect_in_rules("local master = 1\nrule \"x\" { a = mater }", "undefined name 'mater', did you mean 'master'?");
	expect_in_rules("rul \"x\" { }", "rules/r.lua:1:1: error: undefined name 'rul', did you mean 'rule'?");
	expect_in_rules("rule \"x\" { a = main }", "if it is text, it needs quotes: \"main\"");
	expect_in_rules("pool \"x\" { slots = 1 }", "rules/r.lua:1:1: error: this version does not know 'pool' yet");
	expect_in_rules("rule \"x\" { at = os.time() }", "'os' is not there while the files are read");
	expect_in_rules("rule \"x\" { at = os }", "'os' is not there while the files are read");
	expect_in_rules("for _, v in ipairs(nothing) do end for k in pairs(nothing.at.all) do end local x = nothing() + 1 .. nothing", "undefined name 'nothing'");
	no_leaks();
}

Test(eval, a_secret_is_a_name_and_nothing_else)
{
	expect_in_rules("rule \"x\" { a = \"Bearer \" .. secret \"key\" }", "rules/r.lua:1: error: secret \"key\" cannot be joined to a text");
	expect_in_rules("local s = secret \"key\" rule \"x\" { a = s.value }", "secret \"key\" can only be handed on");
	expect_in_rules("rule \"x\" { a = secret \"../etc\" }", "a secret has a name of letters");
	expect_in_rules("rule \"x\" { a = secret { } }", "a secret has a name of letters");
	no_leaks();
}

Test(eval, what_is_no_data_is_told)
{
	expect_in_rules("rule \"x\" { a = { [1] = 1, [3] = 3 } }", "rules/r.lua:1:16: error: item 2 of this list is nil");
	expect_in_rules("rule \"x\" { a = { [1.5] = 1 } }", "a key is a string");
	expect_in_rules("rule \"x\" { a = 1/0 }", "this number is not finite");
	expect_in_rules("rule \"x\" { a = \"\\xff\" }", "is not UTF-8");
	expect_in_rules("rule \"x\" { a = \"\\0\" }", "is not UTF-8");
	expect_in_rules("rule \"x\" { [\"\\xff\"] = 1 }", "a key of this table is not UTF-8");
	expect_in_rules("local t = {} t.t = t rule \"x\" { a = t }", "nested deeper than 32");
	expect_in_rules("local t = { 1 } for i = 1, 25 do t = { t, t } end rule \"x\" { a = t }", "more than 200000 values");
	expect_in_rules("rule \"x\" { a = rule \"y\" }", "rule \"y\" is a declaration: it cannot stand in a table");
	expect_in_rules("rule \"x\"", "rule \"x\" has no table");
	expect_in_rules("rule { }", "rules/r.lua:1:1: error: a rule begins with its name: rule \"name\" { … } [E006]");
	expect_in_rules("\n  rule \"\" { }", "rules/r.lua:2:3: error: a rule begins with its name");
	expect_in_rules("rule(nil) { }", "rules/r.lua:1:1: error: a rule begins with its name");
	expect_in_rules("rule()", "rules/r.lua:1:1: error: a rule begins with its name");
	expect_in_rules("rule { a = undefined }", "undefined name 'undefined'");
	expect_in_rules("rule { }\nrule { }\nother()", "rules/r.lua:3:1: error: undefined name 'other'");
	expect_in_rules("local r = rule \"x\" r { } r { }", "has its table already");
	expect_in_rules("config \"x\"", "a table follows config");
	no_leaks();
}

Test(eval, what_differs_between_two_readings_is_told)
{
	expect_in_rules("rule \"x\" { }\nrule \"y\" { a = tostring({}) }", "rules/r.lua:2:1: error: read a second time, this file says something else");
	no_leaks();
}

Test(eval, errors_at_run_time_have_their_line_and_word)
{
	expect_in_rules("rule \"x\" { }\nlocal t = { }\nlocal y = t.a.b", "rules/r.lua:3:13: error: attempt to index a nil value (field 'a')");
	expect_in_rules("error('no good')", "rules/r.lua:1: error: no good");
	expect_in_rules("error({})", "rules/r.lua: error: the error is table");
	put("plugins/m.lua", "\n\nerror 'in here'\n");
	expect_in_rules("require 'm'", "plugins/m.lua:3: error: in here");
	no_leaks();
}

/* ---- bounds ---- */

Test(eval, nothing_gets_out_of_a_file)
{
	static const char *const names[] = {
		"io", "debug", "load", "loadfile", "dofile", "collectgarbage", "package", "print", "string.dump", "math.random",
	};
	for (size_t i = 0; i < COUNT(names); i++) {
		char text[200];
		snprintf(text, sizeof text, "rule \"x\" { a = type(%s) == 'nil' }", names[i]);
		put("rules/r.lua", text);
		evaluate();
		CLEANUP(freep) char *got = value_of(0, 0);
		cr_assert(diags_text[0] || strstr(got, "\"a\":true"), "%s is there", names[i]);
		done();
	}
	put("rules/r.lua", "\x1bLua");
	evaluate();
	expect_diag("attempt to load a binary chunk");
	done();
	no_leaks();
}

Test(eval, an_endless_loop_ends_with_its_line_whatever_catches_errors)
{
	expect_in_rules("\nwhile true do end", "rules/r.lua:2: error: this file is still running");
	expect_in_rules("while true do\n pcall(function() while true do end end)\nend", "this file is still running");
	no_leaks();
}

Test(eval, memory_is_bounded)
{
	expect_in_rules("local t = ('x'):rep(1e9)", "this file needs more than 64 MiB");
	expect_in_rules("local t = {} while true do t[#t + 1] = { } end", "this file needs more than 64 MiB");
	expect_in_rules("local function f() return 1 + f() end f()", "rules/r.lua");
	no_leaks();
}

Test(eval, files_that_cannot_be_used_are_named)
{
	char path[128];
	snprintf(path, sizeof path, "%s/rules", site);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/rules/fifo.lua", site);
	mkfifo(path, 0600);
	snprintf(path, sizeof path, "%s/rules/folder.lua", site);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/rules/gone.lua", site);
	cr_assert_eq(symlink("nowhere", path), 0);
	put("real.txt", "rule \"linked\" { }\n");
	snprintf(path, sizeof path, "%s/rules/link.lua", site);
	cr_assert_eq(symlink("../real.txt", path), 0);
	put("rules/latin.lua", "-- ok\n-- caf\xe9\n");
	put("rules/.hidden.lua", "if");
	put("rules/note.txt", "if");
	CLEANUP(freep) char *big = xmalloc((1 << 20) + 3);
	memset(big, ' ', (1 << 20) + 2);
	big[(1 << 20) + 2] = '\0';
	put("rules/big.lua", big);
	evaluate();
	expect_diag("rules/fifo.lua: error: is not a regular file");
	expect_diag("rules/folder.lua: error: is not a regular file");
	expect_diag("rules/gone.lua: error: cannot be read: No such file");
	expect_diag("rules/latin.lua:2:7: error: this byte is not UTF-8");
	expect_diag("rules/big.lua: error: is larger than 1 MiB");
	cr_assert_eq(json_array_size(json_object_get(bundle, "files")), 1, "the link to a regular file");
	done();
	no_leaks();
}

/* ---- the role ---- */

static enum evaluate_outcome wait_for(struct evaluation *ev)
{
	enum evaluate_outcome got;
	while ((got = evaluate_read(ev)) == EVALUATE_AGAIN) {
		int64_t left = ev->deadline_mono_ms - mono_ms();
		poll(&(struct pollfd){ ev->fd, POLLIN, 0 }, 1, left > 0 ? (int)left : 0);
	}
	return got;
}

Test(eval, the_role_hands_its_bundle_through_a_pipe)
{
	CLEANUP(buf_fini) struct buf here = BUF(BUF_UNLIMITED), there = BUF(BUF_UNLIMITED);
	struct evaluation ev;
	struct err e;

	put("rules/a.lua", "rule \"x\" { on = \"push\" }\n");
	cr_assert_eq(eval_directory(site, &here, &e), 0);
	cr_assert_eq(evaluate_start(site, EVAL_ROLE, &ev, &e), 0, "%s", e.msg);
	cr_assert_eq(wait_for(&ev), EVALUATE_DONE);
	cr_assert_eq(evaluate_finish(&ev, &there, &e), 0, "%s", e.msg);
	cr_assert(slice_eq(buf_slice(&here), buf_slice(&there)), "the same bytes");
	cr_assert_eq(ev.fd, -1);
	no_leaks();
}

Test(eval, the_role_says_why_there_is_no_bundle)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct evaluation ev;
	struct err e;

	cr_assert_eq(evaluate_start("/nowhere", EVAL_ROLE, &ev, &e), 0);
	wait_for(&ev);
	cr_assert_eq(evaluate_finish(&ev, &out, &e), -1);
	cr_assert(strstr(e.msg, "there is no directory '/nowhere'"), "%s", e.msg);
	cr_assert_eq(evaluate_start("/nowhere", "/bin/false-that-is-not-there", &ev, &e), -1);
	cr_assert_eq(out.len, 0);
	no_leaks();
}

Test(eval, what_does_not_end_is_killed_at_the_deadline)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct evaluation ev;
	struct err e;

	put("rules/a.lua", "string.find(('a'):rep(40), ('a-'):rep(40) .. 'b')\n");
	cr_assert_eq(evaluate_start(site, EVAL_ROLE, &ev, &e), 0);
	ev.deadline_mono_ms = mono_ms() + 300;
	wait_for(&ev);
	cr_assert_eq(evaluate_finish(&ev, &out, &e), -1);
	cr_assert(strstr(e.msg, "took too long"), "%s", e.msg);
	cr_assert_eq(evaluate_start(site, EVAL_ROLE, &ev, &e), 0);
	evaluate_cancel(&ev);
	evaluate_cancel(&ev);
	no_leaks();
}

/* ---- the token pass ---- */

static size_t lex_all(const char *text, char *kinds, size_t max)
{
	struct lexer l;
	struct token t;
	size_t n = 0;

	lexer_init(&l, slice_of(text));
	for (lexer_next(&l, &t); t.kind != TOKEN_END && n < max; lexer_next(&l, &t))
		kinds[n++] = "?nsd.!"[t.kind];
	kinds[n] = '\0';
	return n;
}

Test(lex, reads_what_lua_reads)
{
	static const struct { const char *text, *want; } t[] = {
		{ "a = 1", "n.d" }, { "#!shebang\nx", "n" }, { "--[[ long\n]] x -- y", "n" }, { "--[==[ ]] ]==] x", "n" },
		{ "'a\\'b' \"c\\\nd\" [[e]] [=[ ]] ]=]", "ssss" }, { "'a\\z   \n  b' c", "sn" }, { "0x1p-4 1e+5 .5 3..4", "dddd" },
		{ "a..b ... == ~= // ::", "n.n....." }, { "'open", "!" }, { "'open\nx", "!n" }, { "[[open", "!" }, { "$", "!" },
		{ "--[[ open", "!" }, { "a[1][=[x]=]", "n.d.s" }, { "\xc3\xa9", "!!" },
	};
	for (size_t i = 0; i < COUNT(t); i++) {
		char kinds[32];
		lex_all(t[i].text, kinds, sizeof kinds - 1);
		cr_assert_str_eq(kinds, t[i].want, "%s", t[i].text);
	}
}

Test(lex, knows_the_value_of_a_string)
{
	static const struct { const char *text, *want; } t[] = {
		{ "'a\\n\\x41\\065\\u{20AC}\\z  \n b'", "a\nAA\xe2\x82\xac" "b" }, { "[[\nline]]", "line" }, { "[==[a]]b]==]", "a]]b" },
		{ "\"\\\\\\\"\"", "\\\"" }, { "''", "" }, { "'\\\r\nx'", "\nx" },
	};
	static const char *const wrong[] = { "'\\q'", "'\\xZZ'", "'\\300'", "'\\u{}'", "'\\u{FFFFFFFFF}'" };
	struct lexer l;
	struct token tok;

	for (size_t i = 0; i < COUNT(t) + COUNT(wrong); i++) {
		CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
		const char *text = i < COUNT(t) ? t[i].text : wrong[i - COUNT(t)];
		lexer_init(&l, slice_of(text));
		lexer_next(&l, &tok);
		cr_assert_eq(tok.kind, TOKEN_STRING, "%s", text);
		cr_assert_eq(token_string(&tok, &out), i < COUNT(t) ? 0 : -1, "%s", text);
		if (i < COUNT(t))
			cr_assert_str_eq(buf_cstr(&out), t[i].want, "%s", text);
	}
	no_leaks();
}

Test(lex, a_large_table_takes_no_long_time)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	struct diags d = { 0 };

	buf_adds(&text, "rule \"x\" {");
	for (int i = 0; i < 60000; i++)
		buf_addf(&text, "k%d=%d,%d,", i, i, i);
	buf_adds(&text, "}");
	int64_t begin = mono_ms();
	struct places *p = places_new(buf_slice(&text), "f", &d);
	const struct place_table *t;
	cr_assert_eq(places_declaration(p, "rule", SLICE("x"), 1, &t), 1);
	for (size_t i = 0; i < 60000; i++)
		cr_assert_not_null(place_item(t, i));
	cr_assert_not_null(place_key(t, SLICE("k59999")));
	cr_assert_null(place_key(t, SLICE("k60000")));
	cr_assert_lt(mono_ms() - begin, 5000);
	places_free(p);
	diags_fini(&d);
	no_leaks();
}
