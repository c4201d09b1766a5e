/* eval/thing.h - the values of rule files that Lua does not have: secrets, null, a declaration that waits for its table, and
 * what stands in for a name that is not there, so that one mistake does not hide the next. Functions here may raise Lua
 * errors: call them from protected code. */
#pragma once
#include <lua.h>

enum thing_kind {
	THING_NULL = 1,
	THING_SECRET,
	THING_WRONG,                    /* has been reported: whatever is done with it gives another one */
	THING_LATER,                    /* of the job's world: may be named while files are read, and no more */
	THING_PENDING,                  /* `rule "x"`: called with a table it is declared */
};
struct thing {
	enum thing_kind kind;
	int number;                     /* PENDING: which declaration */
	char name[];
};

struct thing_callbacks {                /* constant; both return a number of results, as functions for Lua do */
	int (*on_declared)(lua_State *L, const struct thing *pending);          /* the table is at index 2 */
	int (*on_misuse)(lua_State *L, const char *message);                    /* to be reported; Lua code goes on */
};
void things_open(lua_State *L, const struct thing_callbacks *callbacks);
struct thing *thing_push(lua_State *L, enum thing_kind kind, const char *name);
const struct thing *thing_at(lua_State *L, int index);          /* NULL: another value. Does not raise. */
