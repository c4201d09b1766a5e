/* lua/api_shell.c - job:sh, job:exec, job:step, and the declared steps. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lua/api.h"
#include "lua/effect.h"
#include "lua/options.h"
#include "lua/shell.h"
#include "lua/state.h"

#define ARGV_MAX 256
#define ENV_MAX 128
#define NAME_BYTES 64
#define CODE_NOT_RUN 127                /* as a shell says it */

static const char *state_of(const struct shell_result *r, int allowed)
{
	if (r->is_cancelled)
		return "cancelled";
	if (r->is_timed_out)
		return "timed_out";
	return r->code == 0 ? "succeeded" : allowed ? "allowed" : "failed";
}

/* The beginning of a command, as the name of a step that was given none, and in messages. */
static void name_of(const char *command, char out[NAME_BYTES])
{
	struct slice all = slice_trim(slice_of(command)), first, rest;
	size_t n = NAME_BYTES - 8;

	slice_cut(all, '\n', &first, &rest);
	first = slice_trim(first);
	while (first.len > n && ((unsigned char)first.ptr[n] & 0xc0) == 0x80)
		n--;                                    /* between characters */
	first = slice_upto(first, n);
	snprintf(out, NAME_BYTES, SLICE_FMT "%s", SLICE_ARG(first), first.len < all.len ? "\xe2\x80\xa6" : "");
}

static void note_cut(struct attempt *a, const struct shell_options *o, struct err *e, int *result)
{
	if (*result == 0 && o->capture && o->capture->len == o->capture->max)
		*result = journal_note(a->w, a->step, "warn", SLICE("the captured output is cut at 1 MiB; the log has all of it"), e);
}

/* Run inside of the step that is open, or of one of its own. -1: it could not be run; *e says why. */
static int run_in_step(struct attempt *a, const char *command, const struct shell_options *o, int allowed,
		       struct shell_result *r, struct err *e)
{
	struct outer_step outer;
	char name[NAME_BYTES];
	struct err other;
	int own = a->step == 0 && !effect_is_on(a);

	name_of(command, name);
	if (own && attempt_step_begin(a, name, &outer, e) < 0)
		return -1;
	int result = shell_run(a, o, r, e);
	note_cut(a, o, e, &result);
	if (result < 0)
		r->code = CODE_NOT_RUN;
	if (result < 0 && journal_note(a->w, a->step, "error", slice_of(e->msg), &other) < 0)
		return -1;
	if (own && attempt_step_end(a, state_of(r, allowed), r->code, &outer, result < 0 ? &other : e) < 0)
		return -1;
	return result;
}

/* How a command failed, in words. */
static void describe(const struct attempt *a, const struct shell_result *r, const char *command, struct failure *f)
{
	char name[NAME_BYTES];

	name_of(command, name);
	*f = (struct failure){ .exit_code = r->code, .is_timed_out = r->is_timed_out };
	if (r->is_timed_out)
		err_set(&f->e, ERR_INPUT, "timed out after %.1f s: %s", (double)r->ms / 1000, name);
	else
		err_set(&f->e, ERR_INPUT, "exit %d: %s", r->code, name);
	if (a->step) {
		struct err what = f->e;
		err_set(&f->e, ERR_INPUT, "%.300s, in step \"%.100s\"", what.msg, a->step_name);
	}
}

/* [-0, +1] { code, secs, out, timed_out }; raises where the command failed and that was not allowed. */
static int answer(lua_State *lua, const struct shell_result *r, int allowed, int captures, const char *command)
{
	struct attempt *a = attempt_of(lua);
	struct failure f;

	if (r->is_cancelled)
		state_check(lua);
	if ((r->code || r->is_timed_out) && !allowed) {
		describe(a, r, command, &f);
		return api_fail(lua, &f);
	}
	lua_createtable(lua, 0, 4);
	lua_pushinteger(lua, r->code);
	lua_setfield(lua, -2, "code");
	lua_pushnumber(lua, (lua_Number)r->ms / 1000);
	lua_setfield(lua, -2, "secs");
	if (r->is_timed_out) {
		lua_pushboolean(lua, 1);
		lua_setfield(lua, -2, "timed_out");
	}
	if (captures) {
		lua_pushlstring(lua, a->capture.len ? a->capture.ptr : "", a->capture.len);
		lua_setfield(lua, -2, "out");
	}
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
static const char *const exec_options[] = { "cwd", "env", "timeout", "stdin", "capture", "allow_failure", NULL };

/* Options at AT, a command that starts with ARGV. */
static int run_command(lua_State *lua, int at, const char *const *argv, const char *command)
{
	struct attempt *a = attempt_of(lua);
	const char *env[ENV_MAX + 1];
	struct shell_result r = { 0 };
	struct err e;

	read_env(lua, at, env);
	int allowed = options_is(lua, at, "allow_failure"), captures = options_is(lua, at, "capture");
	struct shell_options o = { .argv = argv, .env = env, .cwd = options_text(lua, at, "cwd"),
				   .stdin_text = options_bytes(lua, at, "stdin"), .timeout_ms = options_duration_ms(lua, at, "timeout"),
				   .capture = captures ? &a->capture : NULL };
	buf_clear(&a->capture);
	a->capture.max = SHELL_CAPTURE_MAX;
	if (run_in_step(a, command, &o, allowed, &r, &e) < 0 && !(allowed && e.kind == ERR_INPUT))
		return api_fail(lua, &(struct failure){ .e = e, .exit_code = CODE_NOT_RUN });
	return answer(lua, &r, allowed, captures, command);
}

static int on_sh(lua_State *lua)
{
	api_enter(lua);
	lua_settop(lua, 3);
	const char *script = luaL_checkstring(lua, 2);
	luaL_argcheck(lua, strlen(script) == lua_rawlen(lua, 2), 2, "a script cannot hold a NUL byte");
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

	api_enter(lua);
	if (!lua_istable(lua, 2))
		return luaL_error(lua, "job:exec takes a table: write job:exec { \"program\", \"argument\" }, with braces");
	options_known(lua, 2, "job:exec", exec_options, OPTIONS_WITH_ITEMS);
	lua_Integer n = (lua_Integer)lua_rawlen(lua, 2);
	if (n < 1 || n > ARGV_MAX)
		return luaL_error(lua, "job:exec wants a program and its arguments, %d at most: job:exec { \"make\", \"test\" }", ARGV_MAX);
	for (lua_Integer i = 0; i < n; i++) {
		lua_rawgeti(lua, 2, i + 1);
		if (lua_type(lua, -1) != LUA_TSTRING || strlen(lua_tostring(lua, -1)) != lua_rawlen(lua, -1))
			return luaL_error(lua, "job:exec: argument %d is not text", (int)i + 1);
		argv[i] = lua_tostring(lua, -1);                /* the table keeps it */
		lua_pop(lua, 1);
	}
	argv[n] = NULL;
	lua_settop(lua, 2);
	lua_pushliteral(lua, "");
	for (lua_Integer i = 0; i < n; i++) {
		lua_pushfstring(lua, "%s%s%s", lua_tostring(lua, 3), i ? " " : "", argv[i]);
		lua_replace(lua, 3);
	}
	return run_command(lua, 2, argv, lua_tostring(lua, 3));
}

/* The state of a step whose function raised the value on top of the stack; *CODE is that of the command that failed, else 1. */
static const char *state_of_error(lua_State *lua, int allowed, int *code)
{
	const struct attempt *a = attempt_of(lua);
	const char *message = lua_tostring(lua, -1);
	int is_failure = message && !strcmp(message, a->failure.e.msg);

	*code = a->ending == ENDING_SKIP ? 0 : 1;
	switch (a->is_deferring ? ENDING_NONE : a->ending) {
	case ENDING_SKIP:
		return "skipped";
	case ENDING_CANCEL:
		return "cancelled";
	case ENDING_FAIL:
	case ENDING_REFUSE:
		return "failed";
	case ENDING_NONE:
		break;
	}
	if (is_failure && a->failure.exit_code)
		*code = a->failure.exit_code;
	if (is_failure && a->failure.is_timed_out)
		return "timed_out";
	return allowed ? "allowed" : "failed";
}

/* job:step(name, [options,] function) */
static int on_step(lua_State *lua)
{
	static const char *const names[] = { "allow_failure", NULL };
	struct attempt *a = attempt_of(lua);
	struct outer_step outer;
	struct err e;
	int code = 0;

	api_enter(lua);
	const char *name = luaL_checkstring(lua, 2), *state = "succeeded";
	if (lua_type(lua, 3) == LUA_TFUNCTION) {
		lua_settop(lua, 3);
		lua_pushnil(lua);
		lua_insert(lua, 3);                     /* no options */
	}
	lua_settop(lua, 4);
	options_known(lua, 3, "job:step", names, OPTIONS_NO_ITEMS);
	luaL_checktype(lua, 4, LUA_TFUNCTION);
	int allowed = options_is(lua, 3, "allow_failure");
	lua_pushcfunction(lua, state_on_error);
	lua_insert(lua, 4);
	if (attempt_step_begin(a, name, &outer, &e) < 0)
		return api_fault(lua, &e);
	int status = lua_pcall(lua, 0, LUA_MULTRET, 4);
	if (status != LUA_OK)
		state = state_of_error(lua, allowed, &code);
	if (attempt_step_end(a, state, code, &outer, &e) < 0)
		return api_fault(lua, &e);
	if (status == LUA_OK)
		return lua_gettop(lua) - 4;
	state_check(lua);
	if (!allowed)
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

/* The program of a declared step, borrowed from it: its own list, or its script for a shell. */
static int read_argv(const json_t *step, const char **argv, struct err *e)
{
	const json_t *list = json_object_get(step, "exec"), *value;
	const char *sh = json_string_value(json_object_get(step, "sh"));
	size_t i;

	if (sh) {
		memcpy(argv, (const char *[]){ "/bin/sh", "-e", "-c", sh, NULL }, 5 * sizeof *argv);
		return 0;
	}
	if (json_array_size(list) == 0 || json_array_size(list) > ARGV_MAX)
		return err_set(e, ERR_INPUT, "a program and its arguments, %d at most, are wanted", ARGV_MAX);
	json_array_foreach(list, i, value)
		argv[i] = json_string_value(value);
	argv[i] = NULL;
	return 0;
}

static int run_declared(struct attempt *a, const json_t *step, struct shell_result *r, struct err *e)
{
	const char *argv[ARGV_MAX + 1], *env[ENV_MAX + 1], *key;
	json_t *value;
	int n = 0;

	*r = (struct shell_result){ 0 };
	if (read_argv(step, argv, e) < 0)
		return -1;
	json_object_foreach(json_object_get(step, "env"), key, value)
		if (n < ENV_MAX && json_is_string(value))
			env[n++] = xprintf("%s=%s", key, json_string_value(value));
	env[n] = NULL;
	struct shell_options o = { .argv = argv, .env = env, .cwd = json_string_value(json_object_get(step, "cwd")),
				   .timeout_ms = json_integer_value(json_object_get(step, "timeout_ms")) };
	int result = shell_run(a, &o, r, e);
	while (n > 0)
		free((char *)(uintptr_t)env[--n]);
	return result;
}

static int plan_step(struct attempt *a, const json_t *step, struct err *e)
{
	const char *name = json_string_value(json_object_get(step, "name"));
	int allowed = json_is_true(json_object_get(step, "allow_failure"));
	struct outer_step outer;
	struct shell_result r;
	struct err run_e = { 0 };

	if (attempt_step_begin(a, name, &outer, e) < 0)
		return -1;
	int result = run_declared(a, step, &r, &run_e);
	if (result < 0)
		r.code = CODE_NOT_RUN;
	if (result < 0 && journal_note(a->w, a->step, "error", slice_of(run_e.msg), e) < 0)
		return -1;
	if (attempt_step_end(a, state_of(&r, allowed), r.code, &outer, e) < 0)
		return -1;
	if (r.is_cancelled || (r.code == 0 && !r.is_timed_out) || (allowed && (result == 0 || run_e.kind == ERR_INPUT)))
		return 0;
	if (result < 0)
		err_set(e, run_e.kind, "step \"%.100s\": %.300s", name, run_e.msg);
	else if (r.is_timed_out)
		err_set(e, ERR_INPUT, "step \"%.100s\" timed out after %.1f s", name, (double)r.ms / 1000);
	else
		err_set(e, ERR_INPUT, "step \"%.100s\" failed: exit %d", name, r.code);
	a->failure = (struct failure){ .e = *e, .exit_code = r.code, .is_timed_out = r.is_timed_out };
	return -1;
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

void api_skip_plan(struct attempt *a)
{
	const json_t *steps = json_object_get(json_object_get(a->spec, "plan"), "steps"), *step;
	struct err e;
	size_t i;

	json_array_foreach(steps, i, step)
		if (attempt_step_skipped(a, json_string_value(json_object_get(step, "name")), &e) < 0)
			return;
}
