/* lua/values.c - JSON to Lua values and back. */
#include "lua/values.h"

#include <lauxlib.h>
#include <lua.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 64
#define ENCODE_MAX (16 << 20)
#define DECODE_MAX (16 << 20)           /* as values it takes several times that, outside of Lua's own bound */
#define BOX "pushrod.box"

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

/* As few digits as give the same number again. */
static void add_number(struct buf *out, double v)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(out, text);
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
		if (n && lua_isinteger(lua, -2) && lua_tointeger(lua, -2) >= 1 && lua_tointeger(lua, -2) <= n) {
			lua_pop(lua, 1);
			continue;
		}
		if (n || lua_type(lua, -2) != LUA_TSTRING) {
			lua_pop(lua, 2);
			return fail(why, n ? "a table is either a list without holes or has names" : "a key of an object must be text");
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
			add_number(out, lua_tonumber(lua, at));
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

/* ---- json: what C holds meanwhile lies in a box that Lua collects, for pushing may raise ---- */

struct box {
	struct buf text;
	json_t *value;
};

static void box_close(struct box *b)
{
	buf_fini(&b->text);
	json_decref(b->value);
	b->value = NULL;
}

static int on_collected(lua_State *lua)
{
	box_close(luaL_checkudata(lua, 1, BOX));
	return 0;
}

static struct box *box_new(lua_State *lua)
{
	struct box *b = lua_newuserdatauv(lua, sizeof *b, 0);

	*b = (struct box){ .text = BUF(ENCODE_MAX) };
	luaL_setmetatable(lua, BOX);
	return b;
}

static int on_encode(lua_State *lua)
{
	const char *why = NULL;

	luaL_checkany(lua, 1);
	struct box *b = box_new(lua);
	if (values_to_json(lua, 1, &b->text, &why) < 0)
		return luaL_error(lua, "json.encode: %s", why);
	if (buf_is_over(&b->text))
		return luaL_error(lua, "json.encode: more than %d bytes", ENCODE_MAX);
	lua_pushlstring(lua, b->text.ptr, b->text.len);
	box_close(b);
	return 1;
}

static int on_decode(lua_State *lua)
{
	size_t len;
	const char *text = luaL_checklstring(lua, 1, &len);
	json_error_t bad;

	if (len > DECODE_MAX)
		return luaL_error(lua, "json.decode: more than %d bytes", DECODE_MAX);
	struct box *b = box_new(lua);
	b->value = json_loadb(text, len, JSON_DECODE_ANY, &bad);
	if (!b->value)
		return luaL_error(lua, "json.decode: line %d, column %d: %s", bad.line, bad.column, bad.text);
	push(lua, b->value, 0);
	box_close(b);
	return 1;
}

void values_push_library(lua_State *lua)
{
	static const luaL_Reg functions[] = { { "encode", on_encode }, { "decode", on_decode }, { NULL, NULL } };

	luaL_newmetatable(lua, BOX);
	lua_pushcfunction(lua, on_collected);
	lua_setfield(lua, -2, "__gc");
	lua_pop(lua, 1);
	luaL_newlib(lua, functions);
}
