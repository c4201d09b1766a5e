/* lua: the job's Lua: what it may do, how it ends, what of it is in the journal. */
#include "trial.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "lua/options.h"

Test(lua, a_step_runs_in_the_workspace_and_its_output_is_in_the_journal)
{
	struct trial t;
	attempt(&t, RULE("job:step('one', function() local r = job:sh('pwd; echo $CI_COMMIT_BRANCH; echo oops >&2', { capture = true })\n"
			 "job:log('captured ' .. #r.out > '' and r.code) end)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s\n%s", t.reason, buf_cstr(&t.journal));
	cr_assert(has(&t, "workspaces/7.1\",\"main\"") && has(&t, "\"oops\"") && has(&t, "\"e\":1"), "%s", buf_cstr(&t.journal));
	cr_assert(has(&t, "\"name\":\"one\",\"state\":\"running\"") && has(&t, "\"state\":\"succeeded\""));
	cr_assert(slice_starts(buf_slice(&t.journal), SLICE("id: 7.1.")) && has(&t, "event: attempt\ndata: {\"t\":0"));
	cr_assert(t.confinement[0]);
	trial_end(&t);
}

Test(lua, data_of_the_event_keeps_its_types_and_modules_are_found)
{
	struct trial t;
	attempt(&t, RULE("assert(job.payload.a.b[1] == 1 and job.payload.a.b[2] == null and job.payload.n == nil)\n"
			 "assert(math.type(job.payload.big) == 'integer' and job.payload.big == 9007199254740993)\n"
			 "assert(job.event.branch == 'main' and job.id == 7 and job.attempt == 1 and job.url == 'http://x/jobs/7')\n"
			 "assert(job.event.tag == nil and job.event.planned == nil and os.time() > 0)\n"
			 "for k, v in pairs(job.event) do assert(job.event[k] == v) end assert(json.encode(job.event):find('main'))\n"
			 "assert(require('words').hello == 'hello from a module')\n"
			 "assert(json.encode(json.decode('{\"a\":[1,null,2.5,\"x\"]}')) == '{\"a\":[1,null,2.5,\"x\"]}')\n"
			 "job:log('100%d') print('printed', 1)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s", t.reason);
	cr_assert(has(&t, "100%d") && has(&t, "printed\\t1"));
	trial_end(&t);
}

Test(lua, a_batch_is_what_the_job_runs_for_and_of_most_it_is_one)
{
	struct trial t;

	trial_begin(&t);
	t.more = "\"plan\":{},\"event\":{\"sha\":\"c3\"},";
	trial_run(&t, "rule \"r\" { on = \"push\", when = \"always\", run = function(job)\n"
		  "  assert(#job.batch == 1 and job.batch[1].id == 3 and job.batch[1].sha == 'c3' and job.event.id == nil)\n"
		  "  assert(job.batch == job.batch and job.batch[1].branch == nil)\n"
		  "  assert(not pcall(function() return job.batch[1].bransh end))\nend }");
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s", t.reason);
	trial_end(&t);
	trial_begin(&t);
	t.more = "\"plan\":{},\"event\":{\"sha\":\"c3\"},\"batch\":[{\"id\":7,\"sha\":\"c2\"},{\"id\":3,\"sha\":\"c3\"}],";
	trial_run(&t, "rule \"r\" { on = \"push\", when = \"always\", run = function(job)\n"
		  "  local s = ''\n  for _, d in ipairs(job.batch) do s = s .. d.id .. d.sha .. ' ' end\n  job:fail(s)\nend }");
	cr_assert_str_eq(t.reason, "7c2 3c3 ");
	trial_end(&t);
	no_leaks();
}

Test(lua, no_pcall_stops_an_ending)
{
	static const char *const ways[] = {
		RULE("pcall(function() job:skip('enough') end) job:log('unreached')"),
		RULE("xpcall(function() job:skip('enough') end, tostring) job:log('unreached')"),
		RULE("coroutine.wrap(function() pcall(job.skip, job, 'enough') end)() job:log('unreached')"),
		RULE("local c = coroutine.create(function() job:skip('enough') end) coroutine.resume(c) job:log('unreached')"),
		RULE("job:step('x', function() job:skip('enough') end) job:log('unreached')"),
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct trial t;
		attempt(&t, ways[i]);
		cr_assert_eq(t.state, JOB_SKIPPED, "%zu: %s", i, t.reason);
		cr_assert_str_eq(t.reason, "enough");
		cr_assert_not(has(&t, "unreached"), "%zu", i);
		trial_end(&t);
	}
}

Test(lua, a_failed_command_fails_the_job_with_its_code_and_place)
{
	struct trial t;
	attempt(&t, RULE("job:defer(function() job:log('deferred') end)\njob:exec { 'sh', '-c', 'exit 4' }"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_eq(t.exit_code, 4);
	cr_assert_not_null(strstr(t.reason, "rules/r.lua:3: exit 4"), "%s", t.reason);
	cr_assert(has(&t, "deferred"));
	trial_end(&t);
	attempt(&t, RULE("local r = job:sh('exit 5', { allow_failure = true }) assert(r.code == 5)"));
	cr_assert_eq(t.state, JOB_SUCCEEDED, "%s", t.reason);
	cr_assert(has(&t, "\"state\":\"allowed\""));
	trial_end(&t);
	attempt(&t, RULE("job:exec { 'no-such-program' }"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_not_null(strstr(t.reason, "no-such-program"), "%s", t.reason);
	trial_end(&t);
	attempt(&t, RULE("job:sh('true', { tiemout = '5s' })"));
	cr_assert_not_null(strstr(t.reason, "unknown option 'tiemout'"), "%s", t.reason);
	trial_end(&t);
}

Test(lua, a_time_out_ends_a_step_and_a_cancel_ends_even_an_endless_loop)
{
	struct trial t;
	int64_t began = mono_ms();
	attempt(&t, RULE("job:sh('sleep 60', { timeout = '200ms' })"));
	assert_state(&t, JOB_FAILED);
	cr_assert(has(&t, "\"state\":\"timed_out\"") && mono_ms() - began < 20000);
	assert_reason(&t, "timed out after 0.");
	t.cancel_after_ms = 200;
	trial_run(&t, RULE("while true do pcall(function() while true do end end) end"));
	assert_state(&t, JOB_CANCELLED);
	cr_assert_str_eq(t.reason, "cancelled by a test");
	t.cancel_after_ms = 300;
	trial_run(&t, RULE("job:defer(function() job:sh('echo cleaning') end) job:sh('sleep 60')"));
	assert_state(&t, JOB_CANCELLED);
	cr_assert(has(&t, "\"cleaning\""), "%s", buf_cstr(&t.journal));
	trial_end(&t);
	no_leaks();
}

Test(lua, a_step_that_times_out_within_a_named_step_is_shown_as_that)
{
	struct trial t;
	attempt(&t, RULE("job:step('slow', function() job:sh('sleep 60', { timeout = '100ms' }) end)"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "in step \"slow\"");
	cr_assert(has(&t, "\"s\":1,\"state\":\"timed_out\",\"exit\":143"), "%s", buf_cstr(&t.journal));
	trial_run(&t, RULE("local r = job:sh('sleep 60', { timeout = '100ms', allow_failure = true })\n"
			   "assert(r.timed_out and r.code == 143) job:log('went on')"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(has(&t, "went on"));
	trial_end(&t);
}

Test(lua, what_ignores_TERM_is_killed_and_its_exit_status_is_kept)
{
	struct trial t;
	attempt(&t, RULE("job:sh('trap \"\" TERM; sleep 60 & wait; sleep 60', { timeout = '100ms' })"));
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 137);
	trial_end(&t);
}

static int is_running(const char *mark)
{
	CLEANUP(freep) char *script = xprintf("! pgrep -f '^sleep %s' >/dev/null", mark);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

Test(lua, a_daemonised_grandchild_does_not_outlive_its_step_and_the_log_says_so)
{
	struct trial t;
	attempt(&t, RULE("job:sh('(setsid sleep 7123.41 >/dev/null 2>&1 &) ; echo started')\n"
			 "job:sh('setsid sleep 7123.42 & echo holds the pipe')\n"
			 "job:sh('echo nothing left')"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert_eq(count(&t, "the step left 1 process running: it was killed"), 2, "%s", buf_cstr(&t.journal));
	cr_assert_not(is_running("7123.4"));
	trial_end(&t);
}

Test(lua, what_is_hostile_ends_in_a_clear_error)
{
	static const char *const cases[][2] = {
		{ RULE("return ('x'):rep(1e9)"), "not enough memory: the Lua of a job may use 64 MiB" },
		{ RULE("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end"), "not enough memory" },
		{ RULE("local s = 'x' while true do s = s .. s end"), "not enough memory" },
		{ RULE("local function f() return f() + 1 end f()"), "" },
		{ RULE("local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end f()"), "C stack overflow" },
		{ RULE("local function f() return (string.gsub('x', 'x', f)) end f()"), "C stack overflow" },
		{ RULE("local t = setmetatable({}, { __tostring = function(t) return tostring(t) end }) tostring(t)"), "C stack overflow" },
		{ RULE("assert(load(('('):rep(1000) .. ')'))"), "C stack overflow" },
		{ RULE("return load('\\27Lua')()"), "attempt to call a nil value" },
		{ RULE("assert(load(string.rep('\\27LuaT', 10), 'x', 'b'))"), "attempt to load a binary chunk" },
		{ RULE("return io.open('/etc/passwd')"), "'io' is not there for a job: use job:sh or job:exec" },
		{ RULE("return os.execute('id')"), "'os.execute' is not there for a job: use job:sh or job:exec" },
		{ RULE("return os.getenv('HOME')"), "'os.getenv' is not there for a job: " },
		{ RULE("return os.zeit()"), "undefined name 'os.zeit'" },
		{ RULE("return loadfile('x')"), "'loadfile' is not there for a job: use require" },
		{ RULE("return job.event.titel"), "an event has no 'titel', did you mean 'title'?" },
		{ RULE("return job.event.nonsense"), "an event has no 'nonsense'; what the sender sent is in job.payload" },
		{ RULE("setmetatable(job.event, nil)"), "protected metatable" },
		{ RULE("return require('os').execute('id')"), "no module 'os'" },
		{ RULE("return require('_G').pcall"), "no module '_G'" },
		{ RULE("return require('string').dump(print)"), "no module 'string'" },
		{ RULE("require('me')"), "module 'me' requires itself" },
		{ RULE("return string.dump(print)"), "field 'dump'" },
		{ RULE("return collectgarbage()"), "undefined name 'collectgarbage'" },
		{ RULE("return debug.sethook()"), "'debug' is not there for a job: " },
		{ RULE("x = 1"), "without local" },
		{ RULE("setmetatable(_G, nil)"), "protected metatable" },
		{ RULE("getmetatable('').__index = nil"), "attempt to index a string value" },
		{ RULE("setmetatable(job, {})"), "protected metatable" },
		{ RULE("job:secret('other')"), "secrets = { \"other\" }" },
		{ RULE("local t = {} t.t = t json.encode(t)"), "nested too deep" },
		{ RULE("json.decode(('['):rep(5000))"), "json.decode" },
		{ RULE("coroutine.wrap(function() error({}) end)()"), "table: " },
		{ "rule \"r\" { run = function(job) ", "rules/r.lua:1:" },
		{ "rule \"other\" { }", "has no rule 'r'" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial t;
		attempt(&t, cases[i][0]);
		assert_state(&t, JOB_FAILED);
		cr_assert_not_null(strstr(t.reason, cases[i][1]), "%zu: %s", i, t.reason);
		trial_end(&t);
	}
}

Test(lua, what_no_hook_can_stop_is_for_the_runner_to_kill)
{
	static const char *const ways[] = {
		RULE("string.find(('a'):rep(40), ('a-'):rep(40) .. 'b')"),
		RULE("setmetatable({}, { __gc = function() while true do end end })"),
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct trial t;
		trial_begin(&t);
		t.cancel_after_ms = 100;
		t.deadline_ms = 1000;
		trial_run(&t, ways[i]);
		cr_assert_eq(t.state, 0, "%zu: %s", i, t.reason);
		trial_end(&t);
	}
}

Test(lua, a_payload_that_is_too_large_for_Lua_is_an_error_only_for_those_who_ask_for_it)
{
	CLEANUP(buf_fini) struct buf payload = BUF(8 << 20);
	struct trial t;
	trial_begin(&t);
	buf_adds(&payload, "[{}");
	for (int i = 0; i < 1500000; i++)
		buf_adds(&payload, ",{}");
	buf_adds(&payload, "]");
	t.payload = buf_cstr(&payload);
	trial_run(&t, RULE("local all = #job.payload"));
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "not enough memory");
	trial_run(&t, RULE("job:log('%s', job.event.branch) assert(json.encode(job:get('[7]')) == '{}')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(lua, an_error_of_the_rule_shows_its_place_and_where_it_came_from)
{
	struct trial t;
	attempt(&t, "local function inner() error('broken') end\n"
		    RULE("job:step('one', function()\ninner() end)"));
	assert_state(&t, JOB_FAILED);
	cr_assert_str_eq(t.reason, "rules/r.lua:1: broken");
	cr_assert(has(&t, "\"level\":\"error\",\"text\":\"rules/r.lua:1: broken\\nstack traceback:"), "%s", buf_cstr(&t.journal));
	cr_assert(has(&t, "in upvalue 'inner'"), "the step's own frames: %s", buf_cstr(&t.journal));
	trial_run(&t, RULE("pcall(error, 'swallowed')\njob:sh('exit 3')"));
	cr_assert_not(has(&t, "traceback"), "%s", buf_cstr(&t.journal));
	trial_end(&t);
}

Test(lua, only_the_failure_that_ends_the_job_gives_it_an_exit_code)
{
	struct trial t;
	attempt(&t, RULE("pcall(function() job:sh('exit 3') end) error('another')"));
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 0);
	trial_run(&t, RULE("pcall(function() job:sh('exit 3') end) job:fail('because')"));
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 0);
	cr_assert_str_eq(t.reason, "because");
	trial_run(&t, RULE("local ok, why = pcall(function() job:sh('exit 3') end) error(why, 0)"));
	cr_assert_eq(t.exit_code, 3);
	trial_run(&t, RULE("pcall(function() job:sh('exit 3') end)"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(lua, deferred_functions_run_last_first_whatever_happened)
{
	static const struct { const char *end; enum job_state state; } ways[] = {
		{ "", JOB_SUCCEEDED }, { "job:fail('x')", JOB_FAILED }, { "job:skip('x')", JOB_SKIPPED }, { "job:cancel('x')", JOB_CANCELLED },
		{ "error('x')", JOB_FAILED }, { "job:sh('false')", JOB_FAILED },
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct trial t;
		CLEANUP(freep) char *lua = xprintf(RULE("local order = ''\njob:defer(function() job:log('order ' .. order .. 'a') end)\n"
			"job:defer(function() order = order .. 'b' error('in between') end)\njob:defer(function() order = order .. 'c' end)\n%s"), ways[i].end);
		attempt(&t, lua);
		assert_state(&t, ways[i].state);
		cr_assert(has(&t, "order cba") && has(&t, "in between"), "%zu: %s", i, buf_cstr(&t.journal));
		trial_end(&t);
	}
}

Test(lua, misspelt_names_are_answered_with_the_near_one)
{
	static const char *const cases[][2] = {
		{ RULE("job:sh('true', { tiemout = '5s' })"), "job:sh: unknown option 'tiemout', did you mean 'timeout'?" },
		{ RULE("job:sh('true', { zzz = '5s' })"), "there are cwd, env" },
		{ RULE("job:exec { 'true', shell = 'bash' }"), "unknown option 'shell'" },
		{ RULE("job:chekout()"), "a job has no 'chekout', did you mean 'checkout'?" },
		{ RULE("job:step('x', { allow_failur = true }, function() end)"), "did you mean 'allow_failure'?" },
		{ RULE("job.sh('true')"), "write job:sh(…), with a colon" },
		{ RULE("job:exec('ls')"), "job:exec takes a table: write job:exec { \"program\", \"argument\" }, with braces" },
		{ RULE("job.checkout { ref = 'x' }"), "write job:checkout(…), with a colon" },
		{ RULE("job:sh('true', { timeout = 5 })"), "timeout wants a duration" },
		{ RULE("job:sh('true', { env = { 'A=1' } })"), "env = { NAME = \"value\" }" },
		{ RULE("job:sh('a\\0b')"), "NUL" },
		{ RULE("job:exec { }"), "job:exec wants a program" },
		{ RULE("job:get('a..b')"), "no path" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial t;
		attempt(&t, cases[i][0]);
		assert_state(&t, JOB_FAILED);
		cr_assert_not_null(strstr(t.reason, cases[i][1]), "%zu: %s", i, t.reason);
		trial_end(&t);
	}
	cr_assert_eq(options_distance("cheese", "chesee"), 1);
	cr_assert_eq(options_distance("", "abc"), 3);
	cr_assert_null(options_nearest("zzzz", (const char *[]){ "cwd", "env", NULL }));
}

Test(lua, get_walks_the_payload_and_has_a_default)
{
	struct trial t;
	attempt(&t, RULE("assert(job:get('a.b[0]') == 1 and job:get('a.b[2]') == 3 and job:get('a[\"x.y\"][0].z') == 5)\n"
			 "assert(job:get('a.b[1]', 'd') == 'd' and job:get('a.b[9]') == nil and job:get('no.such.thing', 7) == 7)\n"
			 "assert(job:get('n', false) == false and job:get('big') == 9007199254740993 and #job:get('a.b') == 3)\n"
			 "assert(job.headers['x-event'] == 'push' and job.delivery == 3 and job.rule == 'r' and job.tree == nil)"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_run(&t, RULE("assert(job.replay == nil and (job.replay or job).delivery == 3)"));
	assert_state(&t, JOB_SUCCEEDED);
	t.more = "\"plan\":{},\"replay\":{\"delivery\":2},";
	trial_run(&t, RULE("assert(job.replay.delivery == 2 and job.delivery == 3 and (job.replay or job).delivery == 2)"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(lua, json_keeps_numbers_and_refuses_what_it_has_no_form_for)
{
	struct trial t;
	attempt(&t, RULE("for _, s in ipairs { '[0.1,1e100,-0.5,3,1e15]', '{\"a\":{}}', '\"\\\\u00e9\"' } do json.decode(s) end\n"
			 "assert(json.encode { 0.1, 1/3, 2^53, 7 } == '[0.1,0.3333333333333333,9.00719925474099e+15,7]' or\n"
			 "       json.encode { 0.1, 1/3 } == '[0.1,0.3333333333333333]')\n"
			 "assert(json.decode(json.encode(1/3)) == 1/3 and json.decode(json.encode(2^53)) == 2^53)\n"
			 "for _, v in ipairs { print, 0/0, 1/0, { 1, a = 2 }, { [1] = 1, [5] = 5 }, { [true] = 1 } } do assert(not pcall(json.encode, v)) end\n"
			 "assert(json.encode { a = null } == '{\"a\":null}')\n"
			 "local f = load('return x', 'n', 't', { x = 5 }) assert(f() == 5)"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

Test(lua, no_line_of_a_flood_is_lost)
{
	struct trial t;
	attempt(&t, RULE("local r = job:sh('seq 1 1000000; echo end >&2', { capture = true })\nassert(#r.out == 1 << 20, #r.out)"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(has(&t, "the captured output is cut at 1 MiB"));
	struct slice rest = buf_slice(&t.journal);
	struct journal_event event;
	int64_t next = 1, n;
	while (rest.len) {
		rest = slice_from(rest, (size_t)journal_decode(rest, &event));
		ptrdiff_t at = slice_find(event.data, SLICE("\"l\":["));
		if (!slice_eq(event.kind, SLICE("log")) || at < 0 || slice_find(event.data, SLICE("\"e\":1")) >= 0)
			continue;
		struct slice lines = slice_from(event.data, (size_t)at + 5), line;
		lines.len -= 2;
		while (lines.len) {
			slice_cut(lines, ',', &line, &lines);
			cr_assert_eq(slice_to_i64((struct slice){ line.ptr + 1, line.len - 2 }, 1, 1000000, &n), 0, SLICE_FMT, SLICE_ARG(line));
			cr_assert_eq(n, next++);
		}
	}
	cr_assert_eq(next, 1000001);
	trial_end(&t);
}

Test(lua, a_failed_workspace_stays_to_be_looked_at_and_others_go_however_deep)
{
	struct trial t;
	attempt(&t, RULE("job:sh('echo kept >f') job:fail('look')"));
	cr_assert(is_there(&t, "state/workspaces/7.1/f"));
	t.job = 8;
	trial_run(&t, RULE("job:sh('i=0; while [ $i -lt 1500 ]; do mkdir d && cd -P d || exit 1; i=$((i+1)); done; : >leaf')\n"
			   "job:sh('mkdir -p locked/in && : >locked/in/f && chmod 0 locked/in && chmod 0500 locked; ln -s /etc/passwd link')"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert_not(is_there(&t, "state/workspaces/8.1"));
	cr_assert_eq(access("/etc/passwd", F_OK), 0);
	trial_end(&t);
}

Test(lua, steps_nest_in_name_and_a_relative_folder_starts_where_steps_do)
{
	struct trial t;
	attempt(&t, RULE("job:sh('mkdir -p sub')\n"
			 "job:step('outer', function() job:step('inner', function() job:sh('pwd', { cwd = 'sub' }) end) end)\n"
			 "local ok, why = pcall(job.sh, job, 'pwd', { cwd = 'none' }) assert(not ok and why:find('none'), why)\n"
			 "assert(job:step('value', function() return 1, nil, 3 end) == 1)\n"
			 "job:step('soft', { allow_failure = true }, function() error('never mind') end)\n"
			 "assert(job:exec { 'no-such-program', allow_failure = true }.code == 127)\n"
			 "local d = job:tmp() job:sh('test -d \"$D\" && test \"$TMPDIR\" = \"${D%/*}\" && cat', { env = { D = d }, stdin = 'from stdin' })"));
	assert_state(&t, JOB_SUCCEEDED);
	cr_assert(has(&t, "outer › inner") && has(&t, "workspaces/7.1/sub\"") && has(&t, "\"from stdin\""), "%s", buf_cstr(&t.journal));
	cr_assert(has(&t, "\"state\":\"allowed\"") && has(&t, "never mind"));
	trial_end(&t);
}

Test(I11, a_secret_is_in_no_byte_of_the_journal_nor_in_the_reason)
{
	struct trial t;
	attempt(&t, RULE("local k = job:secret('key')\njob:log(k) job:warn(k) job:sh('echo $K; printf %s $K | base64', { env = { K = k } })\n"
			 "job:step(k, function() end) error('bad ' .. k)"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_null(strstr(t.reason, "s3cr3t-value"), "%s", t.reason);
	cr_assert_not(has(&t, "s3cr3t-value"));
	cr_assert_not(has(&t, "czNjcjN0LXZhbH"));
	trial_end(&t);
}

#define PLAN(steps) "\"plan\":{\"env\":{\"A\":\"1\"},\"steps\":[" steps "]},"

Test(lua, declared_steps_run_in_order_and_the_rest_is_skipped_after_a_failure)
{
	struct trial t;
	trial_begin(&t);
	t.more = PLAN("{\"name\":\"one\",\"sh\":\"echo A=$A B=$B\",\"env\":{\"B\":\"2\"}},{\"name\":\"may\",\"exec\":[\"false\"],\"allow_failure\":true},"
		      "{\"name\":\"bad\",\"sh\":\"exit 9\"},{\"name\":\"never\",\"sh\":\"echo never\"}");
	trial_run(&t, "rule \"r\" { steps = {} }");
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 9);
	assert_reason(&t, "step \"bad\" failed: exit 9");
	cr_assert(has(&t, "A=1 B=2") && has(&t, "\"state\":\"allowed\"") && has(&t, "\"name\":\"never\",\"state\":\"skipped\""));
	t.more = PLAN("{\"name\":\"slow\",\"sh\":\"sleep 60\",\"timeout_ms\":100},{\"name\":\"never\",\"sh\":\"true\"}");
	trial_run(&t, "rule \"r\" { steps = {} }");
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "step \"slow\" timed out after 0.");
	t.more = PLAN("{\"name\":\"missing\",\"exec\":[\"no-such-program\"]},{\"name\":\"never\",\"sh\":\"true\"}");
	trial_run(&t, "rule \"r\" { steps = {} }");
	assert_state(&t, JOB_FAILED);
	cr_assert_eq(t.exit_code, 127);
	t.cancel_after_ms = 200;
	t.more = PLAN("{\"name\":\"long\",\"sh\":\"sleep 60\"},{\"name\":\"never\",\"sh\":\"true\"}");
	trial_run(&t, "rule \"r\" { steps = {} }");
	assert_state(&t, JOB_CANCELLED);
	cr_assert(has(&t, "\"state\":\"cancelled\"") && has(&t, "\"name\":\"never\",\"state\":\"skipped\""), "%s", buf_cstr(&t.journal));
	trial_end(&t);
}

Test(lua, nothing_runs_after_a_checkout_that_failed_and_the_steps_say_so)
{
	struct trial t;
	trial_begin(&t);
	t.more = "\"plan\":{\"checkout\":true,\"steps\":[{\"name\":\"never\",\"sh\":\"true\"}]},";
	trial_run(&t, "rule \"r\" { steps = {} }");
	assert_state(&t, JOB_FAILED);
	assert_reason(&t, "the event names no repository");
	cr_assert(has(&t, "\"name\":\"never\",\"state\":\"skipped\""), "%s", buf_cstr(&t.journal));
	trial_end(&t);
}

Test(lua, an_attempt_leaves_no_memory_behind_however_it_ends)
{
	static const char *const ways[] = {
		"job:step('x', function() job:sh('echo', { capture = true, env = { A = '1' }, stdin = 'x' }) end)", "error('x')",
		"pcall(json.encode, { ('x'):rep(1 << 24) }) pcall(json.decode, '[1,') pcall(json.decode, ('{}'):rep(9))", "job:fail('x')",
		"job:step('x', function() job:step('y', function() job:sh('exit 3') end) end)", "job:exec { 'no-such-program' }",
		"job:publish('none', 'www/site')", "job:sh('mkdir site') job:publish('site', 'www/site'):rollback()",
		"job:checkout { url = '/no/such/repository', ref = 'main' }", "return ('x'):rep(1e9)", "job:get('a[')",
	};
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct trial t;
		CLEANUP(freep) char *lua = xprintf("rule \"r\" { run = function(job) job:defer(function() job:tmp() end) %s end }", ways[i]);
		trial_begin(&t);
		trial_run_here(&t, lua);
		cr_assert(t.state == JOB_SUCCEEDED || t.state == JOB_FAILED, "%zu: %s", i, t.reason);
		trial_end(&t);
	}
	no_leaks();
}

Test(lua, a_journal_that_cannot_be_written_is_our_fault_and_not_the_rules)
{
	struct trial t;
	trial_begin(&t);
	CLEANUP(freep) char *journal = xprintf("%s/journal.7", t.folder);
	cr_assert_eq(symlink("/dev/full", journal), 0);
	trial_run(&t, RULE("job:log('x')"));
	assert_state(&t, JOB_ERRORED);
	assert_reason(&t, "No space left");
	trial_end(&t);
}

Test(I12, workspaces_of_failed_jobs_go_after_two_days_but_never_one_that_is_in_use)
{
	struct trial t;
	trial_begin(&t);
	trial_sh(t.folder, "mkdir -p state/workspaces/1.1/tmp state/workspaces/2.1 state/workspaces/3.1 state/workspaces/notes; cd state/workspaces;"
		 " touch -d '3 days ago' 1.1 2.1 notes; touch -d '1 day ago' 3.1");
	CLEANUP(freep) char *used = xprintf("%s/state/workspaces/2.1", t.folder);
	int fd = open(used, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	trial_run(&t, RULE("job:fail('stays to be looked at')"));
	cr_assert_eq(t.state, JOB_FAILED);
	cr_assert_not(is_there(&t, "state/workspaces/1.1"));
	cr_assert(is_there(&t, "state/workspaces/2.1") && is_there(&t, "state/workspaces/3.1") && is_there(&t, "state/workspaces/notes"));
	cr_assert(is_there(&t, "state/workspaces/7.1"));
	close(fd);
	trial_end(&t);
}

Test(I12, workspaces_of_failed_jobs_go_after_the_time_that_is_set_for_them)
{
	struct trial t;
	trial_begin(&t);
	trial_sh(t.folder, "mkdir -p state/workspaces/1.1/tmp state/workspaces/2.1; cd state/workspaces;"
		 " touch -d '2 hours ago' 1.1; touch -d '30 minutes ago' 2.1");
	t.more = "\"plan\":{},\"workspace_kept_ms\":3600000,";
	trial_run(&t, RULE("job:log('fine')"));
	cr_assert_eq(t.state, JOB_SUCCEEDED);
	cr_assert_not(is_there(&t, "state/workspaces/1.1"));
	cr_assert(is_there(&t, "state/workspaces/2.1"));
	cr_assert_not(is_there(&t, "state/workspaces/7.1"), "its own goes with it");
	trial_end(&t);
}

/* ---- a stranger's event ---- */

/* From here on this process and its children have a kernel without Landlock. */
static void forget_landlock(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { COUNT(code), code };

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

#define LIMITED "\"plan\":{},\"limited\":true,"

Test(lua, a_limited_job_is_refused_where_its_steps_could_not_be_confined)
{
	struct trial t;

	forget_landlock();
	trial_begin(&t);
	t.more = LIMITED;
	trial_run(&t, RULE("job:log('ran')"));
	assert_state(&t, JOB_REFUSED);
	assert_reason(&t, "forks = \"limited\" wants confined steps, and this kernel has no Landlock");
	cr_assert_not(has(&t, "ran"));
	t.more = NULL;
	trial_run(&t, RULE("job:log('ran')"));
	assert_state(&t, JOB_SUCCEEDED);
	trial_end(&t);
}

/* ---- filter ---- */

#define FILTERED "\"plan\":{\"has_filter\":true},"
#define FILTER(body) "rule \"r\" {\nfilter = function(event)\n" body "\nend,\nrun = function(job) job:log('ran') end }"

static void filtered(struct trial *t, const char *lua)
{
	trial_begin(t);
	t->more = FILTERED;
	trial_run(t, lua);
}

Test(lua, a_filter_has_the_last_word)
{
	static const struct { const char *lua; enum job_state state; const char *reason; } all[] = {
		{ FILTER("return event.branch == 'main'"), JOB_SUCCEEDED, "" },
		{ FILTER("return false, 'not for ' .. event.branch"), JOB_SKIPPED, "not for main" },
		{ FILTER("return event.bransh == 'main'"), JOB_FAILED, "rules/r.lua:3: an event has no 'bransh', did you mean 'branch'?" },
		{ FILTER("return event.tag == nil and event.native == nil"), JOB_SUCCEEDED, "" },
		{ FILTER("return os.execute('true')"), JOB_FAILED, "'os.execute' is not there for a job" },
		{ FILTER("return false"), JOB_SKIPPED, "the rule's filter said no" },
		{ FILTER("return false, 7"), JOB_SKIPPED, "7" },
		{ FILTER("return nil"), JOB_FAILED, "rules/r.lua:2: a filter returns true or false, not nil" },
		{ FILTER("return 'yes'"), JOB_FAILED, "rules/r.lua:2: a filter returns true or false, not string" },
		{ FILTER("local x = event.tag.more return true"), JOB_FAILED, "rules/r.lua:3: attempt to index a nil value (field 'tag')" },
		{ FILTER("event.branch = 'other' return true"), JOB_SUCCEEDED, "" },
		{ FILTER("return job ~= nil"), JOB_FAILED, "undefined name 'job'" },
	};
	for (size_t i = 0; i < COUNT(all); i++) {
		struct trial t;
		filtered(&t, all[i].lua);
		assert_state(&t, all[i].state);
		assert_reason(&t, all[i].reason);
		cr_assert_eq(has(&t, "\"ran\""), all[i].state == JOB_SUCCEEDED, "%s", all[i].lua);
		trial_end(&t);
	}
}

Test(lua, a_filter_that_does_not_end_is_ended_and_says_where_it_was)
{
	static const struct { const char *lua, *reason; } all[] = {
		{ FILTER("while true do end"), "rules/r.lua:3: the filter went over its 50 million instructions" },
		{ FILTER("while true do pcall(function() while true do end end) end"), "the filter went over its 50 million instructions" },
		{ FILTER("local t = {} while true do t[#t + 1] = ('x'):rep(1 << 20) end"), "not enough memory" },
		{ FILTER("return ('x'):rep(1 << 30) == ''"), "not enough memory" },
		{ FILTER("return (('a'):rep(40000)):find(('.-'):rep(100) .. 'b') == 1"), "the filter took longer than 5 s and was ended" },
	};
	for (size_t i = 0; i < COUNT(all); i++) {
		struct trial t;
		int64_t began = mono_ms();
		filtered(&t, all[i].lua);
		assert_state(&t, JOB_FAILED);
		assert_reason(&t, all[i].reason);
		cr_assert_not(has(&t, "\"ran\""));
		cr_assert_lt(mono_ms() - began, 15000, "%s", all[i].lua);
		trial_end(&t);
	}
}

Test(lua, a_job_is_cancelled_while_its_filter_runs)
{
	struct trial t;

	trial_begin(&t);
	t.more = FILTERED;
	t.cancel_after_ms = 300;
	trial_run(&t, FILTER("return (('a'):rep(40000)):find(('.-'):rep(100) .. 'b') == 1"));
	assert_state(&t, JOB_CANCELLED);
	trial_end(&t);
}
