/* lua/options.c - the options table of an API call. Texts stay anchored: each is also left in the table it came from. */
#include "lua/options.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

void options_known(lua_State *lua, int at, const char *call, const char *const *names, int items)
{
	if (lua_isnoneornil(lua, at))
		return;
	luaL_checktype(lua, at, LUA_TTABLE);
	lua_pushnil(lua);
	while (lua_next(lua, at)) {
		lua_pop(lua, 1);
		if (lua_isinteger(lua, -1) && items == OPTIONS_WITH_ITEMS)
			continue;
		const char *key = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
		int known = 0;
		for (const char *const *n = names; key && *n && !known; n++)
			known = !strcmp(*n, key);
		if (known)
			continue;
		luaL_Buffer all;
		luaL_buffinit(lua, &all);
		for (const char *const *n = names; *n; n++) {
			luaL_addstring(&all, n == names ? "" : ", ");
			luaL_addstring(&all, *n);
		}
		luaL_pushresult(&all);
		luaL_error(lua, "%s: unknown option '%s'; there are %s", call, key ? key : "(a number)", lua_tostring(lua, -1));
	}
}

/* [-0, +1] */
static int field(lua_State *lua, int at, const char *name)
{
	if (lua_isnoneornil(lua, at)) {
		lua_pushnil(lua);
		return LUA_TNIL;
	}
	lua_pushstring(lua, name);
	lua_rawget(lua, at);
	return lua_type(lua, -1);
}

struct slice options_bytes(lua_State *lua, int at, const char *name)
{
	size_t len = 0;
	const char *out = NULL;

	if (field(lua, at, name) != LUA_TNIL) {
		if (lua_type(lua, -1) != LUA_TSTRING)
			luaL_error(lua, "%s wants text, got %s", name, luaL_typename(lua, -1));
		out = lua_tolstring(lua, -1, &len);
	}
	lua_pop(lua, 1);
	return (struct slice){ out, len };
}

const char *options_text(lua_State *lua, int at, const char *name)
{
	struct slice s = options_bytes(lua, at, name);
	if (s.ptr && strlen(s.ptr) != s.len)
		luaL_error(lua, "%s must not hold a NUL byte", name);
	return s.ptr;
}

int options_is(lua_State *lua, int at, const char *name)
{
	int type = field(lua, at, name), out = lua_toboolean(lua, -1);

	if (type != LUA_TNIL && type != LUA_TBOOLEAN)
		luaL_error(lua, "%s wants true or false, got %s", name, luaL_typename(lua, -1));
	lua_pop(lua, 1);
	return out;
}

int64_t options_duration_ms(lua_State *lua, int at, const char *name)
{
	int64_t out = 0;

	if (field(lua, at, name) != LUA_TNIL)
		if (lua_type(lua, -1) != LUA_TSTRING || slice_to_duration_ms(slice_of(lua_tostring(lua, -1)), &out) < 0 || out <= 0)
			luaL_error(lua, "%s wants a duration such as \"10s\" or \"5m\"", name);
	lua_pop(lua, 1);
	return out;
}

int64_t options_integer(lua_State *lua, int at, const char *name, int64_t min, int64_t max, int64_t otherwise)
{
	int64_t out = otherwise;

	if (field(lua, at, name) != LUA_TNIL) {
		out = lua_tointeger(lua, -1);
		if (!lua_isinteger(lua, -1) || out < min || out > max)
			luaL_error(lua, "%s wants a whole number from %d to %d", name, (int)min, (int)max);
	}
	lua_pop(lua, 1);
	return out;
}
