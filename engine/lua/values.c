/* lua/values.c - JSON to Lua values and back. */
#include "lua/values.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdint.h>

#define DEPTH_MAX 64
#define ENCODE_MAX (16 << 20)

static const char null_key;             /* its address is the constant */

void values_push_null(lua_State *lua)
{
	lua_pushlightuserdata(lua, (void *)(uintptr_t)&null_key);
}

static void push(lua_State *lua, const json_t *v, int in_array)
{
	const char *key;
	json_t *item;
	size_t i;

	luaL_checkstack(lua, 4, "JSON is nested too deep");
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		lua_createtable(lua, 0, (int)json_object_size(v));
		json_object_foreach((json_t *)(uintptr_t)v, key, item) {
			push(lua, item, 0);
			lua_setfield(lua, -2, key);
		}
		return;
	case JSON_ARRAY:
		lua_createtable(lua, (int)json_array_size(v), 0);
		json_array_foreach(v, i, item) {
			push(lua, item, 1);
			lua_rawseti(lua, -2, (lua_Integer)i + 1);
		}
		return;
	case JSON_STRING:
		lua_pushlstring(lua, json_string_value(v), json_string_length(v));
		return;
	case JSON_INTEGER:
		lua_pushinteger(lua, json_integer_value(v));
		return;
	case JSON_REAL:
		lua_pushnumber(lua, json_real_value(v));
		return;
	case JSON_TRUE:
	case JSON_FALSE:
		lua_pushboolean(lua, json_is_true(v));
		return;
	case JSON_NULL:
		if (in_array)
			values_push_null(lua);
		else
			lua_pushnil(lua);
	}
}

void values_push(lua_State *lua, const json_t *v)
{
	if (v)
		push(lua, v, 0);
	else
		lua_pushnil(lua);
}

static int encode(lua_State *lua, int at, int depth, struct buf *out, const char **why);

static int fail(const char **why, const char *text)
{
	*why = text;
	return -1;
}

static int encode_table(lua_State *lua, int at, int depth, struct buf *out, const char **why)
{
	lua_Integer n = (lua_Integer)lua_rawlen(lua, at);
	int r = 0, count = 0;

	buf_addc(out, n ? '[' : '{');
	for (lua_Integer i = 1; i <= n && r == 0; i++) {
		if (i > 1)
			buf_addc(out, ',');
		lua_rawgeti(lua, at, i);
		r = encode(lua, lua_gettop(lua), depth + 1, out, why);
		lua_pop(lua, 1);
	}
	lua_pushnil(lua);
	while (r == 0 && lua_next(lua, at)) {
		size_t len;
		if (n && lua_isinteger(lua, -2)) {
			lua_pop(lua, 1);
			continue;
		}
		if (n || lua_type(lua, -2) != LUA_TSTRING) {
			lua_pop(lua, 2);
			return fail(why, n ? "a table is either a list or has names" : "a key of an object must be text");
		}
		const char *key = lua_tolstring(lua, -2, &len);
		if (count++)
			buf_addc(out, ',');
		buf_add_json(out, (struct slice){ key, len });
		buf_addc(out, ':');
		r = encode(lua, lua_gettop(lua), depth + 1, out, why);
		lua_pop(lua, 1);
	}
	buf_addc(out, n ? ']' : '}');
	return r;
}

static int encode(lua_State *lua, int at, int depth, struct buf *out, const char **why)
{
	size_t len;
	const char *text;

	if (depth > DEPTH_MAX || !lua_checkstack(lua, 6))
		return fail(why, "tables are nested too deep, or within themselves");
	switch (lua_type(lua, at)) {
	case LUA_TNIL:
		buf_adds(out, "null");
		return 0;
	case LUA_TBOOLEAN:
		buf_adds(out, lua_toboolean(lua, at) ? "true" : "false");
		return 0;
	case LUA_TNUMBER:
		if (lua_isinteger(lua, at))
			buf_addi(out, lua_tointeger(lua, at));
		else if (isfinite(lua_tonumber(lua, at)))
			buf_addf(out, "%.17g", lua_tonumber(lua, at));
		else
			return fail(why, "a number that is not finite");
		return 0;
	case LUA_TSTRING:
		text = lua_tolstring(lua, at, &len);
		buf_add_json(out, (struct slice){ text, len });
		return 0;
	case LUA_TLIGHTUSERDATA:
		if (lua_touserdata(lua, at) == (const void *)&null_key) {
			buf_adds(out, "null");
			return 0;
		}
		return fail(why, "a value without a form in JSON");
	case LUA_TTABLE:
		return encode_table(lua, at, depth, out, why);
	default:
		return fail(why, "a value without a form in JSON");
	}
}

int values_to_json(lua_State *lua, int at, struct buf *out, const char **why)
{
	int top = lua_gettop(lua), r = encode(lua, lua_absindex(lua, at), 0, out, why);
	lua_settop(lua, top);
	return r;
}

static int on_encode(lua_State *lua)
{
	const char *why = NULL;
	struct buf out = BUF(ENCODE_MAX);

	luaL_checkany(lua, 1);
	int r = values_to_json(lua, 1, &out, &why), over = buf_is_over(&out);
	if (r == 0 && !over)
		lua_pushlstring(lua, out.ptr, out.len);         /* may raise for memory: the process is ending then */
	buf_fini(&out);
	if (r < 0)
		return luaL_error(lua, "json.encode: %s", why);
	return over ? luaL_error(lua, "json.encode: more than %d bytes", ENCODE_MAX) : 1;
}

static int on_decode(lua_State *lua)
{
	size_t len;
	const char *text = luaL_checklstring(lua, 1, &len);
	json_error_t bad;
	json_t *v = json_loadb(text, len, JSON_DECODE_ANY, &bad);

	if (!v)
		return luaL_error(lua, "json.decode: line %d, column %d: %s", bad.line, bad.column, bad.text);
	push(lua, v, 0);
	json_decref(v);
	return 1;
}

void values_push_library(lua_State *lua)
{
	static const luaL_Reg functions[] = { { "encode", on_encode }, { "decode", on_decode }, { NULL, NULL } };
	luaL_newlib(lua, functions);
}
