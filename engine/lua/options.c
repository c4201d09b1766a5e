/* lua/options.c - the options table of an API call. Texts stay anchored: each is also left in the table it came from. */
#include "lua/options.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#define WORD_MAX 32

static int least(int a, int b, int c)
{
	int ab = a < b ? a : b;
	return ab < c ? ab : c;
}

int options_distance(const char *a, const char *b)
{
	int n = (int)strnlen(a, WORD_MAX + 1), m = (int)strnlen(b, WORD_MAX + 1);
	int row[WORD_MAX + 1][WORD_MAX + 1];

	if (n > WORD_MAX || m > WORD_MAX)
		return WORD_MAX;
	for (int i = 0; i <= n; i++)
		row[i][0] = i;
	for (int k = 0; k <= m; k++)
		row[0][k] = k;
	for (int i = 1; i <= n; i++)
		for (int k = 1; k <= m; k++) {
			int differs = a[i - 1] != b[k - 1];
			row[i][k] = least(row[i - 1][k] + 1, row[i][k - 1] + 1, row[i - 1][k - 1] + differs);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] && row[i - 2][k - 2] + 1 < row[i][k])
				row[i][k] = row[i - 2][k - 2] + 1;
		}
	return row[n][m];
}

const char *options_nearest(const char *word, const char *const *words)
{
	int best = (int)strlen(word) / 3 + 1;
	const char *found = NULL;

	for (; *words; words++) {
		int d = options_distance(word, *words);
		if (d > best || d >= (int)strlen(*words))
			continue;
		best = d - 1;
		found = *words;
	}
	return found;
}

/* [-0, +0] Raises. */
static void say_unknown(lua_State *lua, const char *call, const char *key, const char *const *names)
{
	const char *near = options_nearest(key, names);
	luaL_Buffer all;

	if (near)
		luaL_error(lua, "%s: unknown option '%s', did you mean '%s'?", call, key, near);
	luaL_buffinit(lua, &all);
	for (const char *const *n = names; *n; n++) {
		luaL_addstring(&all, n == names ? "" : ", ");
		luaL_addstring(&all, *n);
	}
	luaL_pushresult(&all);
	luaL_error(lua, "%s: unknown option '%s'; there are %s", call, key, lua_tostring(lua, -1));
}

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
		const char *key = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : "(no text)";
		const char *const *n = names;
		while (*n && strcmp(*n, key) != 0)
			n++;
		if (!*n)
			say_unknown(lua, call, key, names);
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
