/* job_api: what the reference says of `job` is what lua/ registers. */
#include <criterion/criterion.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/state.h"
#include "rules/job_api.h"

static struct attempt a;
static lua_State *lua;

static void begin(void)
{
	a = (struct attempt){ .spec = json_pack("{s{}s{}s{}sssssssisisi}", "event", "headers", "payload", "rule", "r", "site", "/", "url", "http://x/",
				"job", 7, "attempt", 1, "delivery", 3),
			      .workspace = xstrdup("/nowhere"), .traceback = BUF(4096) };
	lua = state_new(&a);
	api_push_job(lua, &a);
}

static void end(void)
{
	lua_close(lua);
	json_decref(a.spec);
	free(a.workspace);
	buf_fini(&a.traceback);
}

TestSuite(job_api, .init = begin, .fini = end, .timeout = 30);

static const struct job_method *method_find(const char *name)
{
	for (size_t i = 0; i < job_method_count; i++)
		if (strcmp(job_methods[i].name, name) == 0)
			return &job_methods[i];
	return NULL;
}

static int has_word(const struct job_word *words, struct slice name)
{
	for (; words && words->name; words++)
		if (slice_eq(slice_of(words->name), name))
			return 1;
	return 0;
}

Test(job_api, every_method_is_told_and_none_that_is_not_there)
{
	size_t n = 0;

	cr_assert(lua_getmetatable(lua, 1));
	lua_getfield(lua, -1, "__index");
	cr_assert_not_null(lua_getupvalue(lua, -1, 1));
	for (lua_pushnil(lua); lua_next(lua, -2); lua_pop(lua, 1), n++)
		cr_assert(method_find(lua_tostring(lua, -2)), "job:%s is not in rules/job_api.c", lua_tostring(lua, -2));
	for (size_t i = 0; i < job_method_count; i++, lua_pop(lua, 1))
		cr_assert_neq(lua_getfield(lua, -1, job_methods[i].name), LUA_TNIL, "there is no job:%s", job_methods[i].name);
	cr_assert_eq(n, job_method_count);
}

Test(job_api, every_value_is_told)
{
	for (lua_pushnil(lua); lua_next(lua, 1); lua_pop(lua, 1))
		cr_assert(has_word(job_data, slice_of(lua_tostring(lua, -2))), "job.%s is not in rules/job_api.c", lua_tostring(lua, -2));
	for (const struct job_word *d = job_data; d->name; d++) {
		lua_getglobal(lua, "pcall");
		luaL_loadstring(lua, "local job, name = ... return job[name]");
		lua_pushvalue(lua, 1);
		lua_pushstring(lua, d->name);
		lua_call(lua, 3, 2);
		cr_assert(lua_toboolean(lua, -2), "job.%s: %s", d->name, lua_tostring(lua, -1));
		lua_settop(lua, 1);
	}
}

/* The call with one option that cannot be, which every call refuses with the list of those that can. */
static const char *refusal(const struct job_method *m)
{
	int n = 1;

	lua_settop(lua, 1);
	lua_getfield(lua, 1, m->name);
	lua_pushvalue(lua, 1);
	for (const struct job_word *p = m->params; p && p->name; p++, n++) {
		if (slice_starts(slice_of(p->name), SLICE("options"))) {
			lua_newtable(lua);
			lua_pushliteral(lua, "x");
			if (m->has_items)
				lua_rawseti(lua, -2, 1);
			else
				lua_pop(lua, 1);
			lua_pushboolean(lua, 1);
			lua_setfield(lua, -2, "zzzzzzzz");
		} else if (slice_starts(slice_of(p->type), SLICE("fun"))) {
			lua_pushcfunction(lua, lua_error);
		} else {
			lua_pushliteral(lua, "x");
		}
	}
	cr_assert_neq(lua_pcall(lua, n, 0, 0), LUA_OK, "job:%s takes any option", m->name);
	return lua_tostring(lua, -1);
}

Test(job_api, the_options_are_those_that_the_calls_know)
{
	for (size_t i = 0; i < job_method_count; i++) {
		const struct job_method *m = &job_methods[i];
		size_t told = 0, known = 0;
		if (!m->options)
			continue;
		struct slice list, name, text = slice_of(refusal(m));
		ptrdiff_t at = slice_find(text, SLICE("; there are "));
		cr_assert_geq(at, 0, "job:%s: %s", m->name, lua_tostring(lua, -1));
		list = slice_from(text, (size_t)at + strlen("; there are "));
		while (list.len) {
			slice_cut(list, ',', &name, &list);
			name = slice_trim(name);
			cr_assert(has_word(m->options, name), "job:%s knows an option " SLICE_FMT " that rules/job_api.c does not", m->name, SLICE_ARG(name));
			known++;
		}
		while (m->options[told].name)
			told++;
		cr_assert_eq(told, known, "job:%s: %zu options are told, it knows %zu", m->name, told, known);
	}
}
