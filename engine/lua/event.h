/* lua/event.h - an event as rules see it: a field that it lacks is nil, a name that is no field raises with the nearest one. */
#pragma once
struct lua_State;

/* The table on top, of an event, is guarded from here on. [-0, +0, m] */
void event_guard(struct lua_State *lua);
