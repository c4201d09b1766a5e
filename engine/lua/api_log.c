/* lua/api_log.c - job:log, job:warn, job:notice, job:progress, print. A lone argument is text, never a format. */
#include <lauxlib.h>
#include <lua.h>

#include "lua/api.h"
#include "lua/effect.h"
#include "lua/state.h"

/* [-0, +1] The text of the arguments from 2 on. */
static struct slice message(lua_State *lua)
{
	size_t len;
	int n = lua_gettop(lua);

	luaL_checkany(lua, 2);
	if (n > 2) {
		lua_getglobal(lua, "string");
		lua_getfield(lua, -1, "format");
		lua_replace(lua, -2);
		for (int i = 2; i <= n; i++)
			lua_pushvalue(lua, i);
		lua_call(lua, n - 1, 1);
	} else {
		luaL_tolstring(lua, 2, NULL);
	}
	const char *text = lua_tolstring(lua, -1, &len);
	return (struct slice){ text, len };
}

static int on_log(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	struct err e;

	api_enter(lua);
	struct slice text = message(lua);
	if (effect_is_on(a))
		effect_note(a, "log", text);
	return journal_log(a->w, a->step, text, &e) < 0 ? api_fault(lua, &e) : 0;
}

static int on_note(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	struct err e;

	api_enter(lua);
	const char *level = lua_tostring(lua, lua_upvalueindex(1));
	struct slice text = message(lua);
	if (effect_is_on(a))
		effect_note(a, level, text);
	return journal_note(a->w, a->step, level, text, &e) < 0 ? api_fault(lua, &e) : 0;
}

static int on_progress(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	size_t len;

	api_enter(lua);
	int64_t done = (int64_t)luaL_checknumber(lua, 2), total = (int64_t)luaL_optnumber(lua, 3, 0);
	const char *unit = luaL_optlstring(lua, 4, "", &len);
	journal_progress(a->w, a->step, done, total, (struct slice){ unit, len });
	return 0;
}

/* print of a rule file: a line of the log. */
static int on_print(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	struct err e;
	size_t len;
	luaL_Buffer line;
	int n = lua_gettop(lua);

	state_check(lua);
	luaL_buffinit(lua, &line);
	for (int i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&line, '\t');
		luaL_tolstring(lua, i, NULL);
		luaL_addvalue(&line);
	}
	luaL_pushresult(&line);
	const char *text = lua_tolstring(lua, -1, &len);
	if (effect_is_on(a))
		effect_note(a, "log", (struct slice){ text, len });
	return journal_log(a->w, a->step, (struct slice){ text, len }, &e) < 0 ? api_fault(lua, &e) : 0;
}

void api_add_log(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "log", on_log }, { "progress", on_progress }, { NULL, NULL } };
	static const char *const notes[] = { "warn", "notice" };

	lua_pushglobaltable(lua);
	lua_pushliteral(lua, "print");
	lua_pushcfunction(lua, on_print);
	lua_rawset(lua, -3);                            /* names are closed to assignment by now */
	lua_pop(lua, 1);
	luaL_setfuncs(lua, methods, 0);
	for (size_t i = 0; i < COUNT(notes); i++) {
		lua_pushstring(lua, notes[i]);
		lua_pushcclosure(lua, on_note, 1);
		lua_setfield(lua, -2, notes[i]);
	}
}
