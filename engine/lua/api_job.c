/* lua/api_job.c - the job as the rule sees it: its methods behind its data. */
#include <lauxlib.h>
#include <lua.h>

#include "lua/api.h"
#include "lua/values.h"

static int no_field(lua_State *lua)
{
	lua_pushvalue(lua, 2);
	if (lua_rawget(lua, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	const char *name = luaL_tolstring(lua, 2, NULL);
	static const char *const may_be_nil[] = { "tree", "payload", "cause", "batch", "matrix" };
	for (size_t i = 0; i < COUNT(may_be_nil); i++)
		if (slice_eq(slice_of(name), slice_of(may_be_nil[i]))) {
			lua_pushnil(lua);
			return 1;
		}
	return luaL_error(lua, "a job has no '%s'", name);
}

void api_push_job(lua_State *lua, struct attempt *a)
{
	static const char *const data[][2] = { { "event", "event" }, { "payload", "payload" }, { "headers", "headers" },
		{ "rule", "rule" }, { "id", "job" }, { "attempt", "attempt" }, { "url", "url" }, { "delivery", "delivery" } };

	lua_newtable(lua);
	for (size_t i = 0; i < COUNT(data); i++) {
		values_push(lua, json_object_get(a->spec, data[i][1]));
		lua_setfield(lua, -2, data[i][0]);
	}
	if (a->tree) {
		lua_pushstring(lua, a->tree);
		lua_setfield(lua, -2, "tree");
	}
	lua_pushstring(lua, a->workspace);
	lua_setfield(lua, -2, "workspace");
	lua_newtable(lua);                              /* the metatable */
	lua_newtable(lua);                              /* the methods */
	api_add_shell(lua);
	api_add_log(lua);
	api_add_flow(lua);
	api_add_sync(lua);
	lua_pushcclosure(lua, no_field, 1);
	lua_setfield(lua, -2, "__index");
	lua_pushliteral(lua, "locked");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
}
