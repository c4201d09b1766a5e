/* lua/values.h - JSON to Lua values and back. Stack effects as in the Lua manual. One thread. */
#pragma once
#include <jansson.h>

#include "base/buf.h"

struct lua_State;

/* [-0, +1, m] null within an object is left out, within an array it is the value `null`; integers stay integers. */
void values_push(struct lua_State *lua, const json_t *v);
/* [-0, +1, -] The constant null. */
void values_push_null(struct lua_State *lua);
/* Append the value at AT as JSON. A table with items 1..n is an array, an empty one an object. 0, or -1 and *why (static)
 * for what JSON has no form for. [-0, +0] */
int values_to_json(struct lua_State *lua, int at, struct buf *out, const char **why);
/* [-0, +1] Leaves the table { encode, decode } on the stack. */
void values_push_library(struct lua_State *lua);
