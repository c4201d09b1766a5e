/* lua/api_job.c - the job as the rule sees it: its methods behind its data, and job:get. The payload becomes Lua values when it
 * is first asked for: a large one would cost every job time and memory that few need. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/effect.h"
#include "lua/event.h"
#include "lua/options.h"
#include "lua/state.h"
#include "lua/values.h"

#define METHODS_MAX 64
#define PATH_MAX_LENGTH 1024

static const char job_key;              /* its address is the registry's key of the job */

void api_enter(lua_State *lua)
{
	lua_Debug ar;

	lua_rawgetp(lua, LUA_REGISTRYINDEX, &job_key);
	int is_job = lua_rawequal(lua, 1, -1);
	lua_pop(lua, 1);
	if (!is_job) {
		const char *name = lua_getstack(lua, 0, &ar) && lua_getinfo(lua, "n", &ar) && ar.name ? ar.name : "method";
		luaL_error(lua, "the job is missing: write job:%s(…), with a colon", name);
	}
	state_check(lua);
}

int api_fail(lua_State *lua, const struct failure *f)
{
	struct attempt *a = attempt_of(lua);

	luaL_where(lua, 1);
	lua_pushstring(lua, f->e.msg);
	lua_concat(lua, 2);
	a->failure = *f;
	err_set(&a->failure.e, f->e.kind, "%s", lua_tostring(lua, -1));
	return lua_error(lua);
}

int api_fault(lua_State *lua, const struct err *e)
{
	return api_fail(lua, &(struct failure){ .e = *e });
}

/* ---- data ---- */

static const char *near_method(lua_State *lua, const char *name)
{
	const char *names[METHODS_MAX + 1];
	int n = 0;

	for (lua_pushnil(lua); lua_next(lua, lua_upvalueindex(1)); lua_pop(lua, 1))
		if (n < METHODS_MAX && lua_type(lua, -2) == LUA_TSTRING)
			names[n++] = lua_tostring(lua, -2);     /* the table keeps it */
	names[n] = NULL;
	return options_nearest(name, names);
}

/* The deliveries that the job runs for: of most jobs it is one, the event itself. */
static void push_batch(lua_State *lua, const struct attempt *a)
{
	const json_t *batch = json_object_get(a->spec, "batch");

	if (batch) {
		values_push(lua, batch);
		for (lua_Integer i = 1; i <= (lua_Integer)json_array_size(batch); i++) {
			lua_rawgeti(lua, -1, i);
			event_guard(lua);
			lua_pop(lua, 1);
		}
		return;
	}
	lua_newtable(lua);
	values_push(lua, json_object_get(a->spec, "event"));
	values_push(lua, json_object_get(a->spec, "delivery"));
	lua_setfield(lua, -2, "id");
	event_guard(lua);
	lua_rawseti(lua, -2, 1);
}

/* __index. Upvalue 1: the methods. */
static int no_field(lua_State *lua)
{
	static const char *const may_be_nil[] = { "tree", "cause", "matrix", "replay" };
	struct attempt *a = attempt_of(lua);

	lua_pushvalue(lua, 2);
	if (lua_rawget(lua, lua_upvalueindex(1)) != LUA_TNIL)
		return 1;
	const char *name = luaL_tolstring(lua, 2, NULL);
	int is_batch = strcmp(name, "batch") == 0;
	if (is_batch || strcmp(name, "payload") == 0) {
		if (is_batch)
			push_batch(lua, a);
		else
			values_push(lua, attempt_payload(a));
		lua_pushvalue(lua, 2);
		lua_pushvalue(lua, -2);
		lua_rawset(lua, 1);
		return 1;
	}
	for (size_t i = 0; i < COUNT(may_be_nil); i++)
		if (strcmp(name, may_be_nil[i]) == 0) {
			lua_pushnil(lua);
			return 1;
		}
	const char *near = near_method(lua, name);
	return near ? luaL_error(lua, "a job has no '%s', did you mean '%s'?", name, near) : luaL_error(lua, "a job has no '%s'", name);
}

void api_push_job(lua_State *lua, struct attempt *a)
{
	static const char *const data[][2] = { { "event", "event" }, { "headers", "headers" }, { "rule", "rule" }, { "id", "job" },
		{ "attempt", "attempt" }, { "url", "url" }, { "delivery", "delivery" } };
	static const char *const seldom[] = { "cause", "replay" };

	lua_newtable(lua);
	for (size_t i = 0; i < COUNT(data); i++) {
		values_push(lua, json_object_get(a->spec, data[i][1]));
		if (!strcmp(data[i][0], "event"))
			event_guard(lua);
		lua_setfield(lua, -2, data[i][0]);
	}
	values_push(lua, json_object_get(json_object_get(a->spec, "plan"), "matrix"));
	lua_setfield(lua, -2, "matrix");
	for (size_t i = 0; i < COUNT(seldom); i++)
		if (json_object_get(a->spec, seldom[i])) {
			values_push(lua, json_object_get(a->spec, seldom[i]));
			lua_setfield(lua, -2, seldom[i]);
		}
	if (a->tree) {
		lua_pushstring(lua, a->tree);
		lua_setfield(lua, -2, "tree");
	}
	lua_pushstring(lua, a->workspace);
	lua_setfield(lua, -2, "workspace");
	lua_pushvalue(lua, -1);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &job_key);
	lua_newtable(lua);                              /* the metatable */
	lua_newtable(lua);                              /* the methods */
	api_add_data(lua);
	api_add_shell(lua);
	api_add_log(lua);
	api_add_flow(lua);
	api_add_sync(lua);
	api_add_chain(lua);
	if (effect_is_on(a))
		effect_wrap(lua);
	lua_pushcclosure(lua, no_field, 1);
	lua_setfield(lua, -2, "__index");
	lua_pushliteral(lua, "locked");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
}

/* ---- job:get("a[0].b", default) ---- */

/* Take one step off PATH: the member or item that it names, NULL where there is none; *bad: it is no path. */
static const json_t *descend(const json_t *at, struct slice *path, int *bad)
{
	const char *const stops = ".[";
	char name[PATH_MAX_LENGTH + 1];
	size_t n = 0;
	int64_t item;

	if (path->len > 2 && slice_starts(*path, SLICE("[\""))) {
		ptrdiff_t end = slice_find(slice_from(*path, 2), SLICE("\"]"));
		*bad = end < 0;
		n = end < 0 ? 0 : (size_t)end;
		memcpy(name, path->ptr + 2, n);
		*path = slice_from(*path, n + 4);
	} else if (path->len && path->ptr[0] == '[') {
		ptrdiff_t end = slice_chr(*path, ']');
		*bad = end < 0 || slice_to_i64((struct slice){ path->ptr + 1, (size_t)end - 1 }, 0, INT32_MAX, &item) < 0;
		*path = slice_from(*path, (size_t)end + 1);
		return *bad ? NULL : json_array_get(at, (size_t)item);
	} else {
		if (path->len && path->ptr[0] == '.')
			*path = slice_from(*path, 1);
		while (n < path->len && !strchr(stops, path->ptr[n]))
			n++;
		*bad = n == 0;
		memcpy(name, path->ptr, n);
		*path = slice_from(*path, n);
	}
	name[n] = '\0';
	return json_object_get(at, name);
}

static int on_get(lua_State *lua)
{
	size_t len;
	int bad = 0;

	api_enter(lua);
	const char *text = luaL_checklstring(lua, 2, &len);
	struct slice path = { text, len };
	const json_t *at = attempt_payload(attempt_of(lua));
	luaL_argcheck(lua, len > 0 && len <= PATH_MAX_LENGTH && strlen(text) == len, 2, "a path such as \"a[0].b\" is wanted");
	while (path.len && !bad)
		at = descend(at, &path, &bad);
	if (bad)
		return luaL_error(lua, "job:get: '%s' is no path: write \"a.b\", \"a[0].b\" or 'a[\"x.y\"]'", text);
	lua_settop(lua, 3);
	if (at && !json_is_null(at))
		values_push(lua, at);
	return 1;
}

void api_add_data(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "get", on_get }, { NULL, NULL } };
	luaL_setfuncs(lua, methods, 0);
}
