/* tests/unit/descriptor.h - the providers of plugins/providers, compiled from their own Lua text; a descriptor is data, so
 * evaluating it needs no more than the table it hands to `provider`. */
#pragma once
#include <criterion/criterion.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "rules/provider.h"

static void descriptor_add_value(lua_State *L, int at, struct buf *out);

static void descriptor_add_table(lua_State *L, int at, struct buf *out)
{
	size_t n = lua_rawlen(L, at), members = 0;

	buf_adds(out, "{\"at\":[1,1]");
	for (size_t i = 1; i <= n; i++) {
		buf_adds(out, i == 1 ? ",\"l\":[" : ",");
		lua_rawgeti(L, at, (lua_Integer)i);
		descriptor_add_value(L, lua_gettop(L), out);
		lua_pop(L, 1);
	}
	buf_adds(out, n ? "]" : "");
	for (lua_pushnil(L); lua_next(L, at); lua_pop(L, 1)) {
		if (lua_type(L, -2) != LUA_TSTRING)
			continue;
		size_t len;
		const char *key = lua_tolstring(L, -2, &len);
		buf_adds(out, members++ == 0 ? ",\"m\":{" : ",");
		buf_add_json(out, (struct slice){ key, len });
		buf_addc(out, ':');
		descriptor_add_value(L, lua_gettop(L), out);
	}
	buf_adds(out, members ? "}}" : "}");
}

static void descriptor_add_value(lua_State *L, int at, struct buf *out)
{
	size_t len;
	const char *text;

	switch (lua_type(L, at)) {
	case LUA_TSTRING:
		text = lua_tolstring(L, at, &len);
		buf_add_json(out, (struct slice){ text, len });
		break;
	case LUA_TNUMBER:
		buf_addi(out, lua_tointeger(L, at));
		break;
	case LUA_TBOOLEAN:
		buf_adds(out, lua_toboolean(L, at) ? "true" : "false");
		break;
	case LUA_TTABLE:
		descriptor_add_table(L, at, out);
		break;
	case LUA_TLIGHTUSERDATA:
		buf_adds(out, "{\"null\":1}");
		break;
	default:
		cr_assert_fail("a descriptor holds no %s", lua_typename(L, lua_type(L, at)));
	}
}

static int descriptor_take(lua_State *L)
{
	descriptor_add_table(L, 1, *(struct buf **)lua_getextraspace(L));
	return 0;
}

static int descriptor_named(lua_State *L)
{
	lua_pushcfunction(L, descriptor_take);
	return 1;
}

/* The JSON form (rules/node.h) of the table that Lua CODE (borrowed) hands to `provider "…"`. */
static void descriptor_json(const char *code, struct buf *out)
{
	lua_State *L = luaL_newstate();

	*(struct buf **)lua_getextraspace(L) = out;
	lua_pushcfunction(L, descriptor_named);
	lua_setglobal(L, "provider");
	lua_pushlightuserdata(L, NULL);
	lua_setglobal(L, "null");
	int bad = luaL_dostring(L, code);
	cr_assert(!bad, "%s", lua_tostring(L, -1));
	lua_close(L);
}

/* A text file within the sources; owned. */
static char *descriptor_text(const char *path)
{
	struct buf b = BUF(1 << 20);
	struct err e;

	cr_assert_eq(file_read(AT_FDCWD, path, &b, &e), 0, "%s", e.msg);
	return buf_take(&b);
}

static struct node_doc *descriptor_doc(const char *code)
{
	CLEANUP(buf_fini) struct buf json = BUF(1 << 20);
	struct node_doc *doc = NULL;
	struct err e = { 0 };

	descriptor_json(code, &json);
	cr_assert_eq(node_doc_parse(buf_slice(&json), &doc, &e), 0, "%s", e.msg);
	return doc;
}

/* The provider of Lua CODE; NULL, with what is wrong in DIAGS, where it is not one. What it is `like` is one that is built in. */
static struct provider *descriptor_compile(const char *name, const char *code, struct diags *diags)
{
	struct node_doc *doc = descriptor_doc(code), *base = NULL;
	struct descriptor d = { name, "p.lua", node_doc_root(doc), NULL };
	struct slice like = provider_like(d.value);
	struct provider *p = NULL;

	CLEANUP(freep) char *path = xprintf(SOURCE "/plugins/providers/" SLICE_FMT ".lua", SLICE_ARG(like));
	if (like.len && access(path, R_OK) == 0) {
		CLEANUP(freep) char *text = descriptor_text(path);
		base = descriptor_doc(text);
		d.base = node_doc_root(base);
	}
	int bad = provider_compile(&d, &p, diags);
	cr_assert_eq(bad, p ? 0 : -1);
	node_doc_free(doc);                             /* a provider keeps nothing of it */
	node_doc_free(base);
	return p;
}

/* One that must be right. */
static struct provider *descriptor_of_code(const char *name, const char *code)
{
	struct diags diags = { 0 };
	struct buf said = BUF(1 << 16);
	struct provider *p = descriptor_compile(name, code, &diags);

	diags_print(&diags, &said, 0);
	cr_assert(p, "%s", buf_cstr(&said));
	diags_fini(&diags);
	buf_fini(&said);
	return p;
}

static inline struct provider *provider_of(const char *name)
{
	CLEANUP(freep) char *path = xprintf(SOURCE "/plugins/providers/%s.lua", name);
	CLEANUP(freep) char *code = descriptor_text(path);
	return descriptor_of_code(name, code);
}
