/* eval/data.h - a Lua value as the VALUE text of rules/node.h, with the places that the token pass knows. */
#pragma once
#include <lua.h>

#include "base/buf.h"
#include "rules/diag.h"

#define DATA_MAX_DEPTH 32
#define DATA_MAX_VALUES 200000

struct place_table;
struct data_writer {
	struct buf *out;
	struct diags *diags;            /* what is no data, under the name FILE */
	const char *file;
	int line, col;                  /* of the nearest thing whose place is known; set it to the declaration's */
	int values, depth;              /* so far; begin with 0 */
};
/* The value at INDEX; TABLE: where it is written, NULL where that is not known. May raise Lua errors: call it from
 * protected code, with OUT and DIAGS owned by whoever is outside. */
void data_write(lua_State *L, int index, const struct place_table *table, struct data_writer *w);
