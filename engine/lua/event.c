/* lua/event.c - one metatable for all events of a state; the fields themselves are plain members, so pairs and json.encode see no
 * difference. */
#include "lua/event.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "lua/options.h"
#include "rules/normalise.h"
#include "rules/schema.h"

#define NAMES_MAX (FIELD_COUNT + 20)

static const char metatable_key;        /* its address is the registry's key */

/* Members of the normalised event that `when` has no word for; `id` is there in a batch. */
static const char *const others[] = { "native", "planned", "only", "unknown", "id", NULL };

/* __index: what the event has not. */
static int no_field(lua_State *lua)
{
	const char *names[NAMES_MAX + 1], *name = luaL_tolstring(lua, 2, NULL);
	size_t n = 0;

	for (int f = 0; f < FIELD_COUNT; f++)
		names[n++] = field_name((enum field_id)f);
	for (const char *const *w = schema_facts; *w && n < NAMES_MAX; w++)
		names[n++] = *w;
	for (const char *const *w = others; *w && n < NAMES_MAX; w++)
		names[n++] = *w;
	names[n] = NULL;
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, names[i])) {
			lua_pushnil(lua);
			return 1;
		}
	const char *near = options_nearest(name, names);
	if (near)
		return luaL_error(lua, "an event has no '%s', did you mean '%s'?", name, near);
	return luaL_error(lua, "an event has no '%s'; what the sender sent is in job.payload", name);
}

void event_guard(lua_State *lua)
{
	if (!lua_istable(lua, -1))
		return;
	if (lua_rawgetp(lua, LUA_REGISTRYINDEX, &metatable_key) != LUA_TTABLE) {
		lua_pop(lua, 1);
		lua_createtable(lua, 0, 2);
		lua_pushcfunction(lua, no_field);
		lua_setfield(lua, -2, "__index");
		lua_pushliteral(lua, "locked");
		lua_setfield(lua, -2, "__metatable");
		lua_pushvalue(lua, -1);
		lua_rawsetp(lua, LUA_REGISTRYINDEX, &metatable_key);
	}
	lua_setmetatable(lua, -2);
}
