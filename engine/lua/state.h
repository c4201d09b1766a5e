/* lua/state.h - the Lua state in which a rule's action runs, and how its errors end a job. One thread. */
#pragma once
#include "lua/attempt.h"

/* A state with the allowed libraries, the words of a rule file, and a memory cap. Owned: lua_close. */
struct lua_State *state_new(struct attempt *a);
/* Run the rule file's text; finds the rule of the specification and leaves its table on the stack. [-0, +1], or [-0, +0] and
 * -1 with the message. */
int state_load_rule(struct lua_State *lua, struct err *e);
/* Call what is on the stack with N arguments for RESULTS values. A Lua error becomes -1 with its message in *e (ERR_INPUT; the
 * kind of a->failure where it is that), its traceback stays in the attempt; also where the rule asked for an ending.
 * [-(n+1), +results], +0 with -1. */
int state_call(struct lua_State *lua, int n, int results, struct err *e);
/* The message handler of state_call: keeps the traceback of what is raised. */
int state_on_error(struct lua_State *lua);
/* Raise the ending that is asked for; called by every function of the API first. Returns where there is none. */
void state_check(struct lua_State *lua);
int state_raise_ending(struct lua_State *lua);
