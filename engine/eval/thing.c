/* eval/thing.c - one userdata type; every operator of Lua that could be tried on it leads to one function, which knows what
 * to say. */
#include "eval/thing.h"

#include <lauxlib.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define TYPE "pushrod.thing"

const struct thing *thing_at(lua_State *L, int index)
{
	/* nothing else that a file can lay hands on is a userdata: there is no io library */
	return lua_type(L, index) == LUA_TUSERDATA ? lua_touserdata(L, index) : NULL;
}

struct thing *thing_push(lua_State *L, enum thing_kind kind, const char *name)
{
	size_t len = strlen(name) + 1;
	struct thing *t = lua_newuserdatauv(L, sizeof *t + len, 0);

	t->kind = kind;
	t->number = -1;
	memcpy(t->name, name, len);
	luaL_setmetatable(L, TYPE);
	return t;
}

static int on_tostring(lua_State *L)
{
	const struct thing *t = thing_at(L, 1);

	if (t->kind == THING_SECRET)
		lua_pushfstring(L, "‹secret %s›", t->name);
	else
		lua_pushstring(L, t->kind == THING_NULL ? "null" : t->name);
	return 1;
}

static const char *secret_misuse(lua_State *L, const struct thing *t, const char *event)
{
	if (strcmp(event, "__call") == 0)
		return lua_pushfstring(L, "a comma is missing after secret \"%s\": Lua takes what follows as its argument", t->name);
	if (strcmp(event, "__concat") == 0)
		return lua_pushfstring(L, "secret \"%s\" cannot be joined to a text: its value is not known here", t->name);
	return lua_pushfstring(L, "secret \"%s\" can only be handed on: its value is not known here", t->name);
}

static int use_wrong(lua_State *L, int at, int is_index)
{
	if (is_index && lua_type(L, 2) == LUA_TNUMBER)
		lua_pushnil(L);                         /* so that ipairs ends */
	else
		lua_pushvalue(L, at);
	return 1;
}

/* Upvalue 1: the metamethod's name; 2: the callbacks. */
static int on_use(lua_State *L)
{
	const char *event = lua_tostring(L, lua_upvalueindex(1));
	const struct thing_callbacks *call = lua_touserdata(L, lua_upvalueindex(2));
	int at = thing_at(L, 1) ? 1 : 2, is_index = strcmp(event, "__index") == 0;
	const struct thing *t = thing_at(L, at);

	switch (t->kind) {
	case THING_WRONG:
		return use_wrong(L, at, is_index);
	case THING_SECRET:
		return call->on_misuse(L, secret_misuse(L, t, event));
	case THING_NULL:
		return call->on_misuse(L, "null is a value of its own: it cannot be called, joined or computed with");
	case THING_LATER:
		if (!is_index)
			return call->on_misuse(L, lua_pushfstring(L, "'%s' is not there while the files are read: use it inside of run", t->name));
		lua_pushvalue(L, 1);
		return 1;
	case THING_PENDING:
		if (strcmp(event, "__call") == 0)
			return call->on_declared(L, t);
		return call->on_misuse(L, lua_pushfstring(L, "%s is a declaration: a table follows it", t->name));
	}
	return 0;
}

void things_open(lua_State *L, const struct thing_callbacks *callbacks)
{
	static const char *const events[] = {
		"__index", "__newindex", "__call", "__concat", "__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm", "__idiv",
		"__band", "__bor", "__bxor", "__shl", "__shr", "__bnot", "__len", "__lt", "__le",
	};

	luaL_newmetatable(L, TYPE);
	for (size_t i = 0; i < COUNT(events); i++) {
		lua_pushstring(L, events[i]);
		lua_pushlightuserdata(L, (void *)(uintptr_t)callbacks);
		lua_pushcclosure(L, on_use, 2);
		lua_setfield(L, -2, events[i]);
	}
	lua_pushcfunction(L, on_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}
