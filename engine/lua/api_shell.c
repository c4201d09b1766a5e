/* lua/api_shell.c - job:sh, job:exec, job:step, and the declared steps. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lua/api.h"
#include "lua/options.h"
#include "lua/shell.h"
#include "lua/state.h"

#define ARGV_MAX 256
#define ENV_MAX 128

int api_fault(lua_State *lua, const struct err *e)
{
	return luaL_error(lua, "%s", e->msg);
}

static const char *state_of(const struct shell_result *r, int allowed)
{
	if (r->is_cancelled)
		return "cancelled";
	if (r->is_timed_out)
		return "timed_out";
	return r->code == 0 ? "succeeded" : allowed ? "allowed" : "failed";
}

/* The name of a step that was given none: the beginning of its command. */
static void name_of(const char *command, char out[48])
{
	struct slice line = slice_trim(slice_of(command)), first, rest;

	slice_cut(line, '\n', &first, &rest);
	struct slice cut = slice_upto(slice_trim(first), 40);
	snprintf(out, 48, SLICE_FMT "%s", SLICE_ARG(cut), cut.len < line.len ? "\xe2\x80\xa6" : "");
}

/* Run inside of the step that is open, or of one of its own. */
static int run_in_step(struct attempt *a, const char *command, const struct shell_options *o, int allowed,
		       struct shell_result *r, struct err *e)
{
	struct outer_step outer;
	char name[48];
	int own = a->step == 0;

	name_of(command, name);
	if (own && attempt_step_begin(a, name, &outer, e) < 0)
		return -1;
	int result = shell_run(a, o, r, e);
	struct err other;
	if (result < 0)
		r->code = 127;
	if (result < 0 && journal_note(a->w, a->step, "error", slice_of(e->msg), &other) < 0)
		return -1;
	if (own && attempt_step_end(a, result < 0 ? "failed" : state_of(r, allowed), r->code, &outer, e) < 0)
		return -1;
	return result;
}

/* [-0, +1] { code, out, secs }; raises where the step failed and that was not allowed. */
static int answer(lua_State *lua, const struct shell_result *r, int allowed, struct buf *capture, const char *command)
{
	struct attempt *a = attempt_of(lua);
	char name[48];

	if (r->is_timed_out) {
		a->exit_code = r->code;
		name_of(command, name);
		buf_fini(capture);
		return luaL_error(lua, "timed out after %d s: %s", (int)(r->ms / 1000), name);
	}
	if (r->code && !allowed) {
		a->exit_code = r->code;
		name_of(command, name);
		buf_fini(capture);
		state_check(lua);
		return luaL_error(lua, "exit %d: %s", r->code, name);
	}
	lua_createtable(lua, 0, 3);
	lua_pushinteger(lua, r->code);
	lua_setfield(lua, -2, "code");
	lua_pushnumber(lua, (lua_Number)r->ms / 1000);
	lua_setfield(lua, -2, "secs");
	if (capture->ptr) {
		lua_pushlstring(lua, capture->ptr, capture->len);
		lua_setfield(lua, -2, "out");
	}
	buf_fini(capture);
	return 1;
}

/* The env table at option `env` as "K=V" strings kept on the Lua stack. Pushes up to ENV_MAX values. */
static int read_env(lua_State *lua, int at, const char **env)
{
	int n = 0;

	env[0] = NULL;
	if (lua_isnoneornil(lua, at) || lua_getfield(lua, at, "env") == LUA_TNIL)
		return 0;
	luaL_checkstack(lua, ENV_MAX + 8, "env");
	int table = lua_gettop(lua);
	luaL_checktype(lua, table, LUA_TTABLE);
	for (lua_pushnil(lua); lua_next(lua, table);) {
		if (lua_type(lua, -2) != LUA_TSTRING || !lua_isstring(lua, -1) || strchr(lua_tostring(lua, -2), '='))
			return luaL_error(lua, "env wants names and texts: env = { NAME = \"value\" }");
		if (n == ENV_MAX)
			return luaL_error(lua, "env has more than %d entries", ENV_MAX);
		lua_pushfstring(lua, "%s=%s", lua_tostring(lua, -2), lua_tostring(lua, -1));
		env[n++] = lua_tostring(lua, -1);
		lua_rotate(lua, table, 1);              /* below the table's key and value, where it stays */
		table++;
		lua_pop(lua, 1);
	}
	env[n] = NULL;
	return 0;
}

static const char *const sh_options[] = { "cwd", "env", "timeout", "stdin", "capture", "allow_failure", "shell", NULL };

/* Options at AT, a command that starts with ARGV. */
static int run_command(lua_State *lua, int at, const char *const *argv, const char *command)
{
	struct attempt *a = attempt_of(lua);
	const char *env[ENV_MAX + 1];
	struct buf capture = BUF(SHELL_CAPTURE_MAX);
	struct shell_result r;
	struct err e;

	read_env(lua, at, env);
	int allowed = options_is(lua, at, "allow_failure"), captures = options_is(lua, at, "capture");
	struct shell_options o = { .argv = argv, .env = env, .cwd = options_text(lua, at, "cwd"),
				   .stdin_text = options_bytes(lua, at, "stdin"), .timeout_ms = options_duration_ms(lua, at, "timeout") };
	if (captures) {
		o.capture = &capture;
		buf_cstr(&capture);
	}
	if (run_in_step(a, command, &o, allowed, &r, &e) < 0) {
		buf_fini(&capture);
		a->exit_code = 127;
		return api_fault(lua, &e);
	}
	return answer(lua, &r, allowed, &capture, command);
}

static int on_sh(lua_State *lua)
{
	state_check(lua);
	const char *script = luaL_checkstring(lua, 2);
	options_known(lua, 3, "job:sh", sh_options, OPTIONS_NO_ITEMS);
	const char *shell = options_text(lua, 3, "shell");
	if (shell && strcmp(shell, "sh") && strcmp(shell, "bash"))
		return luaL_error(lua, "job:sh: shell is \"sh\" or \"bash\", not \"%s\"", shell);
	const char *const sh[] = { "/bin/sh", "-e", "-c", script, NULL };
	const char *const bash[] = { "/bin/bash", "-e", "-o", "pipefail", "-c", script, NULL };
	return run_command(lua, 3, shell && !strcmp(shell, "bash") ? bash : sh, script);
}

static int on_exec(lua_State *lua)
{
	const char *argv[ARGV_MAX + 1];
	int n;

	state_check(lua);
	luaL_checktype(lua, 2, LUA_TTABLE);
	options_known(lua, 2, "job:exec", sh_options, OPTIONS_WITH_ITEMS);
	n = (int)lua_rawlen(lua, 2);
	if (n < 1 || n > ARGV_MAX)
		return luaL_error(lua, "job:exec wants a program and its arguments, %d at most: job:exec { \"make\", \"test\" }", ARGV_MAX);
	for (int i = 0; i < n; i++) {
		lua_rawgeti(lua, 2, i + 1);
		if (lua_type(lua, -1) != LUA_TSTRING || strlen(lua_tostring(lua, -1)) != lua_rawlen(lua, -1))
			return luaL_error(lua, "job:exec: argument %d is not text", i + 1);
		argv[i] = lua_tostring(lua, -1);                /* the table keeps it */
		lua_pop(lua, 1);
	}
	argv[n] = NULL;
	lua_settop(lua, 2);
	lua_pushliteral(lua, "");
	for (int i = 0; i < n; i++) {
		lua_pushfstring(lua, "%s%s%s", lua_tostring(lua, 3), i ? " " : "", argv[i]);
		lua_replace(lua, 3);
	}
	return run_command(lua, 2, argv, lua_tostring(lua, 3));
}

/* job:step(name, [options,] function) */
static int on_step(lua_State *lua)
{
	static const char *const names[] = { "allow_failure", NULL };
	struct attempt *a = attempt_of(lua);
	struct outer_step outer;
	struct err e;

	state_check(lua);
	const char *name = luaL_checkstring(lua, 2);
	int has_options = lua_type(lua, 3) == LUA_TTABLE, function = 3 + has_options;
	options_known(lua, has_options ? 3 : 99, "job:step", names, OPTIONS_NO_ITEMS);
	luaL_checktype(lua, function, LUA_TFUNCTION);
	int allowed = has_options && options_is(lua, 3, "allow_failure");
	if (attempt_step_begin(a, name, &outer, &e) < 0)
		return api_fault(lua, &e);
	lua_pushvalue(lua, function);
	int base = lua_gettop(lua), status = lua_pcall(lua, 0, LUA_MULTRET, 0);
	const char *state = status == LUA_OK ? "succeeded" : a->ending == ENDING_SKIP ? "skipped" :
			    a->ending == ENDING_CANCEL ? "cancelled" : allowed && a->ending == ENDING_NONE ? "allowed" : "failed";
	if (attempt_step_end(a, state, status == LUA_OK ? 0 : a->exit_code, &outer, &e) < 0)
		return api_fault(lua, &e);
	if (status == LUA_OK)
		return lua_gettop(lua) - base + 1;
	if (!allowed || a->ending != ENDING_NONE)
		return lua_error(lua);
	if (lua_isstring(lua, -1) && journal_note(a->w, a->step, "warn", slice_of(lua_tostring(lua, -1)), &e) < 0)
		return api_fault(lua, &e);
	return 0;
}

void api_add_shell(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "sh", on_sh }, { "exec", on_exec }, { "step", on_step }, { NULL, NULL } };
	luaL_setfuncs(lua, methods, 0);
}

/* ---- declared steps ---- */

static int plan_step(struct attempt *a, const json_t *step, struct err *e)
{
	const char *argv[ARGV_MAX + 1] = { "/bin/sh", "-e", "-c", json_string_value(json_object_get(step, "sh")), NULL };
	const char *name = json_string_value(json_object_get(step, "name")), *key, *env[ENV_MAX + 1];
	json_t *exec = json_object_get(step, "exec"), *value;
	int allowed = json_is_true(json_object_get(step, "allow_failure")), n = 0;
	struct outer_step outer;
	struct shell_result r = { 0 };
	struct err run_e;
	size_t i;

	json_array_foreach(exec, i, value)
		if (i < ARGV_MAX) {
			argv[i] = json_string_value(value);
			argv[i + 1] = NULL;
		}
	json_object_foreach(json_object_get(step, "env"), key, value)
		if (n < ENV_MAX)
			env[n++] = xprintf("%s=%s", key, json_string_value(value));
	env[n] = NULL;
	const char *cwd = json_string_value(json_object_get(step, "cwd"));
	CLEANUP(freep) char *below = cwd && cwd[0] != '/' ? xprintf("%s/%s", a->tree ? a->tree : a->workspace, cwd) : xstrdup(cwd);
	struct shell_options o = { .argv = argv, .env = env, .cwd = below,
				   .timeout_ms = json_integer_value(json_object_get(step, "timeout_ms")) };
	if (attempt_step_begin(a, name, &outer, e) < 0)
		return -1;
	int result = shell_run(a, &o, &r, &run_e);
	for (int k = 0; k < n; k++)
		free((char *)(uintptr_t)env[k]);
	if (result < 0 && journal_note(a->w, a->step, "error", slice_of(run_e.msg), e) < 0)
		return -1;
	if (result < 0)
		r.code = 127;
	if (attempt_step_end(a, result < 0 ? "failed" : state_of(&r, allowed), r.code, &outer, e) < 0)
		return -1;
	if (r.is_cancelled || (!r.code && !r.is_timed_out && result == 0) || (allowed && !r.is_timed_out))
		return 0;
	a->exit_code = r.code;
	return r.is_timed_out ? err_set(e, ERR_INPUT, "step \"%s\" timed out after %d s", name, (int)(r.ms / 1000)) :
	       result < 0 ? err_set(e, ERR_INPUT, "step \"%s\": %s", name, run_e.msg) :
			    err_set(e, ERR_INPUT, "step \"%s\" failed: exit %d", name, r.code);
}

int api_run_plan(struct attempt *a, struct err *e)
{
	const json_t *steps = json_object_get(json_object_get(a->spec, "plan"), "steps"), *step;
	int result = 0;
	struct err other;
	size_t i;

	json_array_foreach(steps, i, step) {
		attempt_listen(a);
		if (result == 0 && a->ending == ENDING_NONE)
			result = plan_step(a, step, e);
		else if (attempt_step_skipped(a, json_string_value(json_object_get(step, "name")), &other) < 0)
			return result < 0 ? -1 : err_set(e, ERR_IO, "%s", other.msg);
	}
	return result;
}
