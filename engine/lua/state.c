/* lua/state.c - the Lua state in which a rule's action runs.
 *
 * It was evaluated once before, as data, without any power; here the same text runs again so that its functions exist, and
 * declarations only remember the rule that is wanted. An ending (fail, skip, cancel) is raised as an error whose value is
 * a private address; pcall and its kin are wrapped to raise it again. A count hook hears of a cancel within pure Lua and ends
 * with the instruction after it; what no hook can stop, the runner kills. */
#include "lua/state.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lua/filter.h"
#include "lua/values.h"

#define HOOK_EVERY 200000

static const char ending_key, rules_key, modules_key;   /* their addresses are values and registry keys */

struct attempt *attempt_of(lua_State *lua)
{
	return *(struct attempt **)lua_getextraspace(lua);
}

static void *allocate(void *arg, void *ptr, size_t old, size_t size)
{
	struct attempt *a = arg;
	size_t had = ptr ? old : 0;

	if (size == 0) {
		free(ptr);
		a->memory -= had;
		return NULL;
	}
	if (size > had && a->memory + (size - had) > LUA_MEMORY_MAX)
		return NULL;
	void *out = realloc(ptr, size);
	if (out)
		a->memory += size - had;
	return out;
}

int state_raise_ending(lua_State *lua)
{
	lua_pushlightuserdata(lua, (void *)(uintptr_t)&ending_key);
	return lua_error(lua);
}

static int must_end(const struct attempt *a)
{
	return a->is_deferring ? mono_ms() >= a->defer_until_ms : a->ending != ENDING_NONE;
}

void state_check(lua_State *lua)
{
	if (must_end(attempt_of(lua)))
		state_raise_ending(lua);
}

static void end_filter(lua_State *lua, lua_Debug *ar)
{
	struct attempt *a = attempt_of(lua);
	char why[sizeof a->reason];

	lua_getinfo(lua, "Sl", ar);
	snprintf(why, sizeof why, "%s:%d: the filter went over its %d million instructions", ar->short_src, ar->currentline,
		 FILTER_INSTRUCTIONS / 1000000);
	attempt_end(a, ENDING_FAIL, why);
}

static void on_count(lua_State *lua, lua_Debug *ar)
{
	struct attempt *a = attempt_of(lua);

	attempt_listen(a);
	if (a->instructions_left > 0 && (a->instructions_left -= HOOK_EVERY) <= 0)
		end_filter(lua, ar);
	if (!must_end(a))
		return;
	lua_sethook(lua, on_count, LUA_MASKCOUNT, 1);
	state_raise_ending(lua);
}

/* ---- pcall and its kin ---- */

static int after(lua_State *lua, int status, lua_KContext context)
{
	if (must_end(attempt_of(lua)))
		return state_raise_ending(lua);
	return lua_gettop(lua);
}

static int guarded(lua_State *lua)
{
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_insert(lua, 1);
	lua_callk(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0, after);
	return after(lua, LUA_OK, 0);
}

/* The field NAME of the table on top: a function that raises the ending again. */
static void guard(lua_State *lua, const char *name)
{
	lua_getfield(lua, -1, name);
	lua_pushcclosure(lua, guarded, 1);
	lua_setfield(lua, -2, name);
}

/* ---- libraries ---- */

/* load(text, name, mode, env): texts only, of Lua only. */
static int text_only_load(lua_State *lua)
{
	size_t len;
	const char *text = luaL_checklstring(lua, 1, &len), *name = luaL_optstring(lua, 2, "=load");
	int has_env = !lua_isnone(lua, 4);

	if (luaL_loadbufferx(lua, text, len, name, "t") != LUA_OK) {
		lua_pushnil(lua);
		lua_insert(lua, -2);
		return 2;
	}
	if (has_env) {
		lua_pushvalue(lua, 4);
		lua_setupvalue(lua, -2, 1);
	}
	return 1;
}

/* Modules of the specification alone: Lua's own table of what is loaded holds the whole of `os`. */
static int on_require(lua_State *lua)
{
	const struct attempt *a = attempt_of(lua);
	const char *name = luaL_checkstring(lua, 1);
	const json_t *text = json_object_get(json_object_get(a->spec, "modules"), name);

	lua_settop(lua, 1);
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &modules_key);
	lua_pushvalue(lua, 1);
	if (lua_rawget(lua, 2) == LUA_TBOOLEAN && !lua_toboolean(lua, -1))
		return luaL_error(lua, "module '%s' requires itself", name);
	if (!lua_isnil(lua, -1))
		return 1;
	if (!text)
		return luaL_error(lua, "no module '%s': it would be plugins/%s.lua", name, name);
	lua_pushfstring(lua, "@plugins/%s.lua", name);
	if (luaL_loadbufferx(lua, json_string_value(text), json_string_length(text), lua_tostring(lua, -1), "t") != LUA_OK)
		return lua_error(lua);
	lua_pushvalue(lua, 1);
	lua_pushboolean(lua, 0);
	lua_rawset(lua, 2);                     /* being loaded */
	lua_call(lua, 0, 1);
	if (lua_isnil(lua, -1) || (lua_isboolean(lua, -1) && !lua_toboolean(lua, -1))) {
		lua_pop(lua, 1);
		lua_pushboolean(lua, 1);
	}
	lua_pushvalue(lua, 1);
	lua_pushvalue(lua, -2);
	lua_rawset(lua, 2);
	return 1;
}

static void keep_only(lua_State *lua, const char *table, const char *const *names)
{
	lua_newtable(lua);
	lua_getglobal(lua, table);
	for (; *names; names++) {
		lua_getfield(lua, -1, *names);
		lua_setfield(lua, -3, *names);
	}
	lua_pop(lua, 1);
	lua_setglobal(lua, table);
}

static void open_libraries(lua_State *lua)
{
	static const luaL_Reg libraries[] = { { LUA_GNAME, luaopen_base }, { "string", luaopen_string }, { "table", luaopen_table },
		{ "math", luaopen_math }, { "utf8", luaopen_utf8 }, { "coroutine", luaopen_coroutine }, { "os", luaopen_os },
		{ NULL, NULL } };
	static const char *const os_names[] = { "time", "date", "clock", NULL };
	static const char *const gone[] = { "dofile", "loadfile", "collectgarbage", "print", "warn", NULL };

	for (const luaL_Reg *l = libraries; l->func; l++) {
		luaL_requiref(lua, l->name, l->func, 1);
		lua_pop(lua, 1);
	}
	keep_only(lua, "os", os_names);
	lua_newtable(lua);                      /* what tracebacks look for names in */
	lua_pushglobaltable(lua);
	lua_setfield(lua, -2, LUA_GNAME);
	lua_setfield(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_newtable(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &modules_key);
	lua_pushglobaltable(lua);
	for (size_t i = 0; gone[i]; i++) {
		lua_pushnil(lua);
		lua_setfield(lua, -2, gone[i]);
	}
	guard(lua, "pcall");
	guard(lua, "xpcall");
	lua_pop(lua, 1);
	lua_getglobal(lua, "coroutine");
	guard(lua, "resume");
	guard(lua, "close");
	lua_pop(lua, 1);
	lua_getglobal(lua, "string");
	lua_pushnil(lua);
	lua_setfield(lua, -2, "dump");
	lua_pop(lua, 1);
	lua_pushliteral(lua, "");
	lua_getmetatable(lua, -1);
	lua_pushliteral(lua, "locked");
	lua_setfield(lua, -2, "__metatable");
	lua_pop(lua, 2);
	lua_register(lua, "load", text_only_load);
	lua_register(lua, "require", on_require);
	values_push_library(lua);
	lua_setglobal(lua, "json");
	values_push_null(lua);
	lua_setglobal(lua, "null");
}

/* ---- the words of a rule file: only `rule` is kept ---- */

static int ignore_body(lua_State *lua)
{
	return 0;
}

static int ignore_named(lua_State *lua)
{
	lua_pushcfunction(lua, ignore_body);
	return 1;
}

static int on_rule_body(lua_State *lua)
{
	luaL_checktype(lua, 1, LUA_TTABLE);
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &rules_key);
	lua_pushvalue(lua, lua_upvalueindex(1));
	lua_pushvalue(lua, 1);
	lua_rawset(lua, -3);
	return 0;
}

static int on_rule(lua_State *lua)
{
	luaL_checkstring(lua, 1);
	lua_settop(lua, 1);
	lua_pushcclosure(lua, on_rule_body, 1);
	return 1;
}

static int on_secret(lua_State *lua)
{
	lua_settop(lua, 0);
	lua_newtable(lua);
	return 1;
}

static void open_words(lua_State *lua)
{
	static const char *const named[] = { "source", "provider", "destination", "credential", "channel", "queue", "pool", "topic",
					     "user" };
	lua_newtable(lua);
	lua_rawsetp(lua, LUA_REGISTRYINDEX, &rules_key);
	for (size_t i = 0; i < COUNT(named); i++)
		lua_register(lua, named[i], ignore_named);
	lua_register(lua, "config", ignore_body);
	lua_register(lua, "secret", on_secret);
	lua_register(lua, "rule", on_rule);
}

/* What Lua has elsewhere and a job has not, and what to take for it. */
static const struct { const char *name, *instead; } absent[] = {
	{ "os.execute", "use job:sh or job:exec" }, { "os.exit", "use job:fail, job:skip or job:cancel" },
	{ "os.getenv", "a step gets what `env` says; in Lua use job.event, or job:secret" },
	{ "os.remove", "use job:exec { \"rm\", … }" }, { "os.rename", "use job:exec { \"mv\", … }" }, { "os.tmpname", "use job:tmp()" },
	{ "io", "use job:sh or job:exec, with capture = true for what they print" }, { "loadfile", "use require" }, { "dofile", "use require" },
	{ "package", "require finds plugins/NAME.lua" }, { "debug", "job:log says what a value is" },
};

static int no_such_name(lua_State *lua)
{
	const char *in = lua_tostring(lua, lua_upvalueindex(1)), *name = lua_pushfstring(lua, "%s%s", in, luaL_tolstring(lua, 2, NULL));

	for (size_t i = 0; i < COUNT(absent); i++)
		if (!strcmp(name, absent[i].name))
			return luaL_error(lua, "'%s' is not there for a job: %s", name, absent[i].instead);
	return luaL_error(lua, "undefined name '%s'", name);
}

static int no_assignment(lua_State *lua)
{
	const char *name = luaL_tolstring(lua, 2, NULL);
	return luaL_error(lua, "'%s' is set without local: write local %s = …", name, name);
}

/* [-1, +0] The table on top answers for names that it has not, and takes none. IN: "os.", or "" for the globals. */
static void lock(lua_State *lua, const char *in)
{
	lua_createtable(lua, 0, 3);
	lua_pushstring(lua, in);
	lua_pushcclosure(lua, no_such_name, 1);
	lua_setfield(lua, -2, "__index");
	lua_pushcfunction(lua, no_assignment);
	lua_setfield(lua, -2, "__newindex");
	lua_pushliteral(lua, "locked");
	lua_setfield(lua, -2, "__metatable");
	lua_setmetatable(lua, -2);
	lua_pop(lua, 1);
}

static void make_strict(lua_State *lua)
{
	lua_getglobal(lua, "os");
	lock(lua, "os.");
	lua_pushglobaltable(lua);
	lock(lua, "");
}

static int open_all(lua_State *lua)
{
	open_libraries(lua);
	open_words(lua);
	make_strict(lua);
	return 0;
}

lua_State *state_new(struct attempt *a)
{
	lua_State *lua = lua_newstate(allocate, a);

	if (!lua)
		abort();
	*(struct attempt **)lua_getextraspace(lua) = a;
	lua_pushcfunction(lua, open_all);
	if (lua_pcall(lua, 0, 0, 0) != LUA_OK)
		abort();
	return lua;
}

/* ---- calls ---- */

static int is_ending(lua_State *lua, int at)
{
	return lua_touserdata(lua, at) == (const void *)&ending_key;
}

/* The same error passes here once per protected call on its way: the first, innermost traceback of it stays. */
int state_on_error(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	struct slice kept = buf_slice(&a->traceback);

	if (is_ending(lua, 1))
		return 1;
	lua_settop(lua, 1);
	if (!lua_tostring(lua, 1)) {
		luaL_tolstring(lua, 1, NULL);
		lua_replace(lua, 1);
	}
	if (kept.len && slice_starts(kept, slice_of(lua_tostring(lua, 1))))
		return 1;
	luaL_traceback(lua, lua, lua_tostring(lua, 1), 1);
	buf_clear(&a->traceback);
	buf_add(&a->traceback, slice_upto(slice_of(lua_tostring(lua, -1)), a->traceback.max));
	lua_settop(lua, 1);
	return 1;
}

/* What the value on top says as an error. */
static void explain(lua_State *lua, int status, struct err *e)
{
	const struct attempt *a = attempt_of(lua);
	const char *message = lua_tostring(lua, -1);

	if (is_ending(lua, -1))
		err_set(e, ERR_INPUT, "%s", a->is_deferring ? "the deferred functions took longer than they may" : a->reason);
	else if (status == LUA_ERRMEM)
		err_set(e, ERR_LIMIT, "not enough memory: the Lua of a job may use %d MiB", LUA_MEMORY_MAX >> 20);
	else
		err_set(e, ERR_INPUT, "%s", message ? message : "an error that is no text");
	if (!strcmp(e->msg, a->failure.e.msg))
		e->kind = a->failure.e.kind;
}

int state_call(lua_State *lua, int n, int results, struct err *e)
{
	int base = lua_gettop(lua) - n;

	lua_pushcfunction(lua, state_on_error);
	lua_insert(lua, base);
	lua_sethook(lua, on_count, LUA_MASKCOUNT, HOOK_EVERY);
	int status = lua_pcall(lua, n, results, base);
	lua_sethook(lua, NULL, 0, 0);
	if (status == LUA_OK) {
		lua_remove(lua, base);
		return 0;
	}
	explain(lua, status, e);
	lua_settop(lua, base - 1);
	return -1;
}

/* Protected: it allocates. Leaves the rule's table. */
static int load_rule(lua_State *lua)
{
	const struct attempt *a = attempt_of(lua);
	const json_t *text = json_object_get(a->spec, "source_text");
	const char *name = attempt_text(a, "rule");

	lua_pushfstring(lua, "@%s", attempt_text(a, "file"));
	if (luaL_loadbufferx(lua, json_string_value(text), json_string_length(text), lua_tostring(lua, -1), "t") != LUA_OK)
		return lua_error(lua);
	lua_call(lua, 0, 0);
	lua_rawgetp(lua, LUA_REGISTRYINDEX, &rules_key);
	if (lua_getfield(lua, -1, name) != LUA_TTABLE)
		return luaL_error(lua, "%s has no rule '%s'", attempt_text(a, "file"), name);
	return 1;
}

int state_load_rule(lua_State *lua, struct err *e)
{
	lua_pushcfunction(lua, load_rule);
	return state_call(lua, 0, 1, e);
}
