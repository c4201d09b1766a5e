/* lua/api_flow.c - job:fail, job:skip, job:cancel, job:defer, job:tmp, job:secret. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "lua/api.h"
#include "lua/effect.h"
#include "lua/state.h"

#define DEFER_BUDGET_MS 30000

static int on_end(lua_State *lua)
{
	api_enter(lua);
	attempt_end(attempt_of(lua), (enum ending)lua_tointeger(lua, lua_upvalueindex(1)), luaL_optstring(lua, 2, ""));
	return state_raise_ending(lua);
}

static int on_defer(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);

	api_enter(lua);
	luaL_checktype(lua, 2, LUA_TFUNCTION);
	if (a->n_defers == DEFERS_MAX)
		return luaL_error(lua, "job:defer: more than %d functions", DEFERS_MAX);
	lua_settop(lua, 2);
	a->defers[a->n_defers++] = luaL_ref(lua, LUA_REGISTRYINDEX);
	return 0;
}

static int on_tmp(lua_State *lua)
{
	const struct attempt *a = attempt_of(lua);
	char path[4096];

	api_enter(lua);
	if (effect_is_on(a)) {
		lua_pushfstring(lua, "%s/tmp/new", a->workspace);
		return 1;
	}
	if (snprintf(path, sizeof path, "%s/tmp/XXXXXX", a->workspace) >= (int)sizeof path || !mkdtemp(path))
		return luaL_error(lua, "job:tmp: cannot make a folder below %s/tmp", a->workspace);
	lua_pushstring(lua, path);
	return 1;
}

static int on_secret(lua_State *lua)
{
	const struct attempt *a = attempt_of(lua);

	api_enter(lua);
	const char *name = luaL_checkstring(lua, 2);
	const json_t *value = json_object_get(json_object_get(a->spec, "secrets"), name);
	if (json_is_true(json_object_get(a->spec, "limited")))
		return luaL_error(lua, "secret '%s': a job of a fork's request has no secrets (forks = \"limited\")", name);
	if (!value)
		return luaL_error(lua, "secret '%s' is not among this rule's: write secrets = { \"%s\" } in the rule", name, name);
	lua_pushlstring(lua, json_string_value(value), json_string_length(value));
	return 1;
}

void api_add_flow(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "defer", on_defer }, { "tmp", on_tmp }, { "secret", on_secret }, { NULL, NULL } };
	static const struct { const char *name; enum ending ending; } ends[] = {
		{ "fail", ENDING_FAIL }, { "skip", ENDING_SKIP }, { "cancel", ENDING_CANCEL },
	};

	luaL_setfuncs(lua, methods, 0);
	for (size_t i = 0; i < COUNT(ends); i++) {
		lua_pushinteger(lua, ends[i].ending);
		lua_pushcclosure(lua, on_end, 1);
		lua_setfield(lua, -2, ends[i].name);
	}
}

/* What cannot be written here comes out at the flush that ends the attempt. */
static void note(struct attempt *a, const char *text)
{
	struct err e;

	if (journal_note(a->w, 0, "error", slice_of(text), &e) < 0)
		return;
}

void api_run_defers(lua_State *lua, struct attempt *a)
{
	struct err e;

	a->is_deferring = 1;
	a->defer_until_ms = mono_ms() + DEFER_BUDGET_MS;
	while (a->n_defers && mono_ms() < a->defer_until_ms) {
		lua_rawgeti(lua, LUA_REGISTRYINDEX, a->defers[--a->n_defers]);
		if (state_call(lua, 0, 0, &e) < 0)
			note(a, e.msg);
	}
	if (a->n_defers) {
		CLEANUP(freep) char *text = xprintf("%d deferred functions did not run: their %d s are over", a->n_defers,
						    DEFER_BUDGET_MS / 1000);
		note(a, text);
	}
	a->is_deferring = 0;
}
