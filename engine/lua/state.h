/* lua/state.h - the Lua state in which a rule's action runs, and how its errors end a job. One thread. */
#pragma once
#include "lua/attempt.h"

/* A state with the allowed libraries, the words of a rule file, and a memory cap. Owned: lua_close. */
struct lua_State *state_new(struct attempt *a);
/* Run the rule file's text; finds the rule NAME and leaves its table on the stack. [-0, +1]. 0, or -1 with the message. */
int state_load_rule(struct lua_State *lua, const char *name, struct err *e);
/* Call what is on the stack with N arguments; a Lua error is kept as the attempt's traceback and becomes -1 with its message
 * in *e (ERR_INPUT), also where the rule asked for an ending. [-(n+1), +0] */
int state_call(struct lua_State *lua, int n, struct err *e);
/* Raise the ending that is asked for; called by every function of the API first. Returns where there is none. */
void state_check(struct lua_State *lua);
int state_raise_ending(struct lua_State *lua);
