/* lua/filter.h - the rule's own last word on an event: filter = function(event) return false, "why" end. One thread. */
#pragma once
#include "lua/attempt.h"

struct lua_State;

#define FILTER_INSTRUCTIONS 50000000    /* what it may execute; a little more before that is noticed */
#define FILTER_MS 5000                  /* what it may take; then it is killed */

/* The rule's table is on top and stays. 0: it has no filter, or the filter said true. -1: it said false, and the attempt's
 * ending is a skip with its reason; or it failed, went over its bounds or said neither, and *e tells where. [-0, +0] */
int filter_ask(struct lua_State *lua, struct err *e) MUST_USE;
