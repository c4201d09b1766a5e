/* lua/effect.c - a rehearsal of a job. The role has bounds of its own, as what it runs is a rule's Lua: memory, time, and
 * Landlock with no rule at all, so that what slips through effect_wrap one day still does nothing. */
#include "lua/effect.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "lua/api.h"
#include "lua/changed.h"
#include "lua/job.h"
#include "lua/shell.h"
#include "lua/state.h"
#include "lua/values.h"
#include "runner/sandbox.h"
#include "runner/spec.h"
#include "wire/role.h"

#define DEADLINE_S 9                    /* its parent waits a little longer (wire/evaluate.h) */
#define ADDRESS_SPACE_BYTES ((rlim_t)1 << 30)
#define ARGUMENT_DEPTH 16
#define SPEC_FD (ROLE_FD + 1)

static const char *const knowing[] = {
	"get", "sh", "exec", "step", "log", "warn", "notice", "progress", "fail", "skip", "cancel", "defer", "tmp", "secret",
	"checkout", "publish", NULL
};

int effect_is_on(const struct attempt *a)
{
	return a->effects != NULL;
}

void effect_add(struct attempt *a, json_t *what)
{
	if (json_array_size(a->effects) == EFFECTS_MAX) {
		attempt_end(a, ENDING_FAIL, "a rehearsal takes no more than 10000 effects");
		json_decref(what);
		return;
	}
	if (a->step_name)
		json_object_set_new(what, "step", json_string(a->step_name));
	json_array_append_new(a->effects, what);
}

void effect_note(struct attempt *a, const char *what, struct slice text)
{
	json_t *value = json_stringn(text.ptr ? text.ptr : "", text.len);
	effect_add(a, json_pack("{s:o}", what, value ? value : json_string("(bytes)")));
}

/* The next answer for METHOD, borrowed; NULL where there is none (left). */
static const json_t *next_answer(const struct attempt *a, const char *method)
{
	json_t *list = json_object_get(json_object_get(a->spec, "answers"), method), *taken = json_object_get(a->spec, "answered");
	json_int_t n = json_integer_value(json_object_get(taken, method));

	if (!taken) {
		taken = json_object();
		json_object_set_new(a->spec, "answered", taken);
	}
	json_object_set_new(taken, method, json_integer(n + 1));
	return json_array_get(list, (size_t)n);
}

/* ---- a command ---- */

static json_t *env_object(const char *const *env)
{
	json_t *out = json_object();

	for (; *env; env++) {
		struct slice name, value;
		slice_cut(slice_of(*env), '=', &name, &value);
		CLEANUP(freep) char *key = slice_dup(name);
		json_object_set_new(out, key, json_stringn(value.ptr, value.len));
	}
	return out;
}

/* What api_shell.c makes of a script, told as it was written. */
static json_t *command_object(const struct shell_options *o, int *is_script)
{
	size_t n = 0;

	while (o->argv[n])
		n++;
	int is_sh = n == 4 && !strcmp(o->argv[0], "/bin/sh") && !strcmp(o->argv[2], "-c");
	int is_bash = n == 6 && !strcmp(o->argv[0], "/bin/bash") && !strcmp(o->argv[4], "-c");
	*is_script = is_sh || is_bash;
	if (is_sh)
		return json_pack("{s:s}", "sh", o->argv[3]);
	if (is_bash)
		return json_pack("{s:s,s:s}", "sh", o->argv[5], "shell", "bash");
	json_t *argv = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(argv, json_string(o->argv[i]));
	return json_pack("{s:o}", "exec", argv);
}

void effect_command(struct attempt *a, const struct shell_options *o, struct shell_result *out)
{
	int is_script;
	json_t *what = command_object(o, &is_script);
	const json_t *answer = next_answer(a, is_script ? "sh" : "exec");
	const json_t *text = json_object_get(answer, "out");

	if (o->cwd)
		json_object_set_new(what, "cwd", json_string(o->cwd));
	if (o->env && *o->env)
		json_object_set_new(what, "env", env_object(o->env));
	if (o->stdin_text.len)
		json_object_set_new(what, "stdin", json_stringn(o->stdin_text.ptr, o->stdin_text.len));
	if (o->timeout_ms)
		json_object_set_new(what, "timeout_ms", json_integer(o->timeout_ms));
	effect_add(a, what);
	*out = (struct shell_result){ .code = (int)json_integer_value(json_object_get(answer, "code")),
				      .is_timed_out = json_is_true(json_object_get(answer, "timed_out")) };
	if (o->capture && json_is_string(text))
		buf_add(o->capture, (struct slice){ json_string_value(text), json_string_length(text) });
}

/* ---- methods that know nothing of rehearsals ---- */

/* The value at AT as JSON; what has no such form by the name of its type. */
static json_t *argument(lua_State *lua, int at, int depth)
{
	size_t len;

	switch (lua_type(lua, at)) {
	case LUA_TBOOLEAN:
		return json_boolean(lua_toboolean(lua, at));
	case LUA_TNUMBER:
		return lua_isinteger(lua, at) ? json_integer(lua_tointeger(lua, at)) : json_real(lua_tonumber(lua, at));
	case LUA_TSTRING: {
		const char *s = lua_tolstring(lua, at, &len);
		json_t *text = json_stringn(s, len);
		return text ? text : json_string("(bytes)");
	}
	case LUA_TTABLE:
		break;
	case LUA_TNIL:
		return json_null();
	default:
		return json_string(luaL_typename(lua, at));
	}
	if (depth == ARGUMENT_DEPTH || !lua_checkstack(lua, 4))
		return json_string("(too deep)");
	json_t *list = json_array(), *map = json_object();
	at = lua_absindex(lua, at);
	for (lua_pushnil(lua); lua_next(lua, at); lua_pop(lua, 1)) {
		json_t *value = argument(lua, -1, depth + 1);
		if (lua_isinteger(lua, -2))
			json_array_append_new(list, value);
		else
			json_object_set_new(map, lua_type(lua, -2) == LUA_TSTRING ? lua_tostring(lua, -2) : "(no text)", value);
	}
	if (json_array_size(list) && json_object_size(map))
		json_object_set(map, "list", list);
	int is_list = json_object_size(map) == 0 && json_array_size(list);
	json_t *out = json_incref(is_list ? list : map);
	json_decref(list);
	json_decref(map);
	return out;
}

/* Functions among the arguments, or in a list that is one, are what would be done there: they are gone through once, in order.
 * Leaves what the last one returned, if anything. */
static void call_functions(lua_State *lua, int n)
{
	for (int i = 2; i <= n; i++) {
		if (lua_isfunction(lua, i)) {
			lua_settop(lua, n);
			lua_pushvalue(lua, i);
			lua_call(lua, 0, 1);
		}
		for (lua_Integer k = 1; lua_istable(lua, i) && k <= (lua_Integer)lua_rawlen(lua, i); k++) {
			lua_rawgeti(lua, i, k);
			if (lua_isfunction(lua, -1))
				lua_call(lua, 0, 0);
			else
				lua_pop(lua, 1);
		}
	}
}

/* Upvalue 1: the method's name. */
static int on_method(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	const char *name = lua_tostring(lua, lua_upvalueindex(1));
	int n;

	api_enter(lua);
	n = lua_gettop(lua);
	json_t *arguments = json_array();               /* nothing of argument() raises */
	for (int i = 2; i <= n; i++)
		json_array_append_new(arguments, argument(lua, i, 0));
	json_t *only = json_array_size(arguments) == 1 ? json_incref(json_array_get(arguments, 0)) : json_incref(arguments);
	json_decref(arguments);
	effect_add(a, json_pack("{s:o}", name, only));
	state_check(lua);
	luaL_checkstack(lua, 8, name);
	const json_t *answer = next_answer(a, name);
	call_functions(lua, n);
	if (answer)
		values_push(lua, answer);
	return answer || lua_gettop(lua) > n ? 1 : 0;
}

static int is_knowing(const char *name)
{
	for (const char *const *k = knowing; *k; k++)
		if (!strcmp(*k, name))
			return 1;
	return 0;
}

void effect_wrap(lua_State *lua)
{
	int methods = lua_gettop(lua);

	for (lua_pushnil(lua); lua_next(lua, methods);) {
		lua_pop(lua, 1);
		if (is_knowing(lua_tostring(lua, -1)))
			continue;
		lua_pushvalue(lua, -1);
		lua_pushvalue(lua, -1);
		lua_pushcclosure(lua, on_method, 1);
		lua_rawset(lua, methods);               /* of a key that is there: the traversal goes on */
	}
}

/* ---- the role ---- */

static void on_alarm(int signal_number)
{
	static const char text[] = "the rehearsal was still running after 9 seconds";
	_exit(write(ROLE_FD, text, sizeof text - 1) < 0 ? 2 : 1);
}

static int confine(struct err *e)
{
	static const struct { __rlimit_resource_t what; rlim_t most; } limits[] = {
		{ RLIMIT_AS, MEM_HAS_SHADOW ? RLIM_INFINITY : ADDRESS_SPACE_BYTES },
		{ RLIMIT_CPU, DEADLINE_S + 1 }, { RLIMIT_FSIZE, 0 }, { RLIMIT_NOFILE, 64 }, { RLIMIT_NPROC, 0 },
	};
	for (size_t i = 0; i < COUNT(limits); i++)
		setrlimit(limits[i].what, &(struct rlimit){ limits[i].most, limits[i].most });
	role_harden(0, ROLE_NO_NEW_PRIVS);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGALRM, on_alarm);
	signal(SIGXCPU, on_alarm);
	alarm(DEADLINE_S);
	CLEANUP(fd_closep) int nothing = sandbox_ruleset_of_nothing();
	return sandbox_enter(nothing) < 0 ? err_errno(e, "the rehearsal cannot be confined") : 0;
}

/* The environment of all commands, told once. */
static void note_env(struct attempt *a)
{
	json_t *env = json_object_get(json_object_get(a->spec, "plan"), "env");

	if (json_object_size(env))
		effect_add(a, json_pack("{s:O}", "env", env));
}

static void rehearse(struct attempt *a, struct job_result *result)
{
	struct err e = { 0 };
	lua_State *lua = state_new(a);

	int r = changed_fill_env(a, &e);
	if (r == 0) {
		note_env(a);
		r = job_act(a, lua, &e);
	}
	api_run_defers(lua, a);
	lua_close(lua);
	job_result_set(a, r, &e, result);
}

static int answer(struct attempt *a, const struct job_result *result)
{
	json_t *all = json_pack("{s:O,s:s,s:s}", "effects", a->effects, "end", job_state_name(result->state), "reason", result->reason);
	char *text = json_dumps(all, JSON_COMPACT);
	int bad = !text || fd_write_all(ROLE_FD, slice_of(text)) < 0;

	free(text);
	json_decref(all);
	return bad ? 2 : 0;
}

int effect_main(int argc, char **argv)
{
	CLEANUP(fd_closep) int nowhere = open("/dev/null", O_WRONLY | O_APPEND | O_CLOEXEC);
	struct attempt a = { .in = { .job = 1, .attempt = 1, .control_fd = -1 }, .traceback = BUF(16 << 10), .effects = json_array(),
			     .workspace = xstrdup("/workspace") };
	struct buf spec = BUF(SPEC_MAX_BYTES);
	struct job_result result = { .job = 1, .attempt = 1 };
	struct err e;
	int code;

	if (argc != 2 || nowhere < 0)
		return 2;
	if (confine(&e) < 0 || fd_read_all(SPEC_FD, &spec, &e) < 0 || attempt_read_spec(&a, buf_slice(&spec), &e) < 0) {
		code = fd_write_all(ROLE_FD, slice_of(e.msg)) < 0 ? 2 : 1;
	} else {
		a.w = journal_writer_new(&(struct journal_options){ .fd = nowhere, .job = 1, .attempt = 1 });
		rehearse(&a, &result);
		alarm(0);
		code = answer(&a, &result);
		journal_writer_free(a.w);
	}
	json_decref(a.spec);
	json_decref(a.payload);
	json_decref(a.effects);
	buf_fini(&spec);
	free(a.workspace);
	free(a.tree);
	buf_fini(&a.traceback);
	buf_fini(&a.capture);
	_exit(code);                            /* no handler of others': there is nothing left that it could open */
}
