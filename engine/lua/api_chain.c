/* lua/api_chain.c - job:output and job:emit: what the job leaves for others. Both are kept here, checked and bounded at once, and
 * written to the journal as one event when the job is through: so they count with its result, and an attempt that is lost
 * has said nothing that the next one would say again. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/values.h"

#define OUTPUTS_MAX 32
#define OUTPUT_BYTES (8 << 10)
#define EMITS_MAX 16
#define EMIT_BYTES (16 << 10)
#define TOTAL_BYTES (64 << 10)          /* of either kind */
#define NAME_BYTES 64

static const char *check_name(lua_State *lua, const char *call)
{
	size_t len;
	const char *name = luaL_checklstring(lua, 2, &len);
	size_t fits = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

	if (len < 1 || len > NAME_BYTES || fits != len || name[0] == '.')
		luaL_error(lua, "%s: a name is made of letters, digits, '.', '_' and '-', at most %d, not '%s'", call, NAME_BYTES, name);
	return name;
}

/* The value at 3 as JSON, of at most MOST bytes. Owned. */
static json_t *check_value(lua_State *lua, const char *call, const char *name, int most)
{
	struct attempt *a = attempt_of(lua);
	const char *why = "";

	buf_fini(&a->encoded);
	a->encoded = BUF((size_t)most);
	if (values_to_json(lua, 3, &a->encoded, &why) < 0)
		luaL_error(lua, "%s: '%s' has no form in JSON: %s", call, name, why);
	if (buf_is_over(&a->encoded))
		luaL_error(lua, "%s: '%s' is more than %d bytes of JSON", call, name, most);
	json_t *v = json_loadb(a->encoded.ptr, a->encoded.len, JSON_DECODE_ANY, NULL);
	if (!v)
		luaL_error(lua, "%s: '%s' has no form in JSON", call, name);
	return v;
}

static int on_output(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);

	api_enter(lua);
	const char *name = check_name(lua, "job:output");
	luaL_checkany(lua, 3);
	if (!a->outputs)
		a->outputs = json_object();
	if (!json_object_get(a->outputs, name) && json_object_size(a->outputs) >= OUTPUTS_MAX)
		return luaL_error(lua, "job:output: '%s' is one too many, the most is %d", name, OUTPUTS_MAX);
	json_object_set_new(a->outputs, name, check_value(lua, "job:output", name, OUTPUT_BYTES));
	if (json_dumpb(a->outputs, NULL, 0, JSON_COMPACT) <= TOTAL_BYTES)
		return 0;
	json_object_del(a->outputs, name);
	return luaL_error(lua, "job:output: with '%s' all outputs come to more than %d bytes", name, TOTAL_BYTES);
}

static int on_emit(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);

	api_enter(lua);
	const char *name = check_name(lua, "job:emit");
	lua_settop(lua, 3);
	if (lua_isnil(lua, 3)) {
		lua_newtable(lua);
		lua_replace(lua, 3);
	}
	luaL_checktype(lua, 3, LUA_TTABLE);
	if (!a->emits)
		a->emits = json_array();
	if (json_array_size(a->emits) >= EMITS_MAX)
		return luaL_error(lua, "job:emit: '%s' is one too many, the most is %d in a job", name, EMITS_MAX);
	json_t *data = check_value(lua, "job:emit", name, EMIT_BYTES);
	json_array_append_new(a->emits, json_pack("{s:s, s:o}", "name", name, "data", data));
	if (json_dumpb(a->emits, NULL, 0, JSON_COMPACT) <= TOTAL_BYTES)
		return 0;
	json_array_remove(a->emits, json_array_size(a->emits) - 1);
	return luaL_error(lua, "job:emit: with '%s' all that is emitted comes to more than %d bytes", name, TOTAL_BYTES);
}

void api_add_chain(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "output", on_output }, { "emit", on_emit }, { NULL, NULL } };
	luaL_setfuncs(lua, methods, 0);
}

int api_write_outcome(struct attempt *a, struct err *e)
{
	CLEANUP(buf_fini) struct buf masked = BUF(BUF_UNLIMITED);
	json_t *whole = json_object(), *valid;

	if (!json_object_size(a->outputs) && !json_array_size(a->emits)) {
		json_decref(whole);
		return 0;
	}
	json_object_set_new(whole, "t", json_integer(journal_writer_age_ms(a->w)));
	if (json_object_size(a->outputs))
		json_object_set(whole, "outputs", a->outputs);
	if (json_array_size(a->emits))
		json_object_set(whole, "emits", a->emits);
	char *text = json_dumps(whole, JSON_COMPACT);
	json_decref(whole);
	mask_text(journal_writer_mask(a->w), slice_of(text), &masked);
	free(text);
	valid = json_loadb(masked.ptr, masked.len, 0, NULL);
	if (!valid)                             /* a secret stood where a number or a name belongs */
		return err_set(e, ERR_INPUT, "an output or an emitted event holds a secret, and cannot be kept");
	json_decref(valid);
	return journal_write(a->w, "outcome", buf_slice(&masked), e);
}
