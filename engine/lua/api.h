/* lua/api.h - the methods of `job`, one file per family; each adds its functions to the table on top of the stack. Every
 * function takes the job as its first argument. One thread. */
#pragma once
#include "lua/attempt.h"

struct lua_State;

void api_add_data(struct lua_State *lua);       /* get */
void api_add_shell(struct lua_State *lua);      /* sh exec step */
void api_add_log(struct lua_State *lua);        /* log warn notice progress */
void api_add_flow(struct lua_State *lua);       /* fail skip cancel defer tmp secret */
void api_add_chain(struct lua_State *lua);      /* output emit */
void api_add_sync(struct lua_State *lua);       /* checkout publish */
/* [-0, +1] The job itself: its methods and its data. May raise for want of memory. */
void api_push_job(struct lua_State *lua, struct attempt *a);
/* First call of every method: raises where the job is not the first argument (`job.sh` for `job:sh`) or has to end. */
void api_enter(struct lua_State *lua);
/* Raise F's message with its place, and remember F as what decides, should nothing catch it. */
int api_fail(struct lua_State *lua, const struct failure *f);
int api_fault(struct lua_State *lua, const struct err *e);      /* the same, without an exit code */

/* What job:output and job:emit were given goes to the journal, masked; nothing where they were not called. */
int api_write_outcome(struct attempt *a, struct err *e) MUST_USE;

/* The declared steps of the plan, in order. 0, or -1: one failed (*e says which, and a->failure how). */
int api_run_plan(struct attempt *a, struct err *e);
/* All of them are recorded as skipped: what came before them failed. */
void api_skip_plan(struct attempt *a);
/* The functions given to job:defer, last first, each on its own; what they raise is noted in the log. */
void api_run_defers(struct lua_State *lua, struct attempt *a);
/* Where the event's repository can be cloned from; NULL where it does not tell. Borrowed from the specification. */
const char *api_clone_url(struct attempt *a);
/* The event's commit (or REF of URL) to <workspace>/tree (or INTO): what `checkout = true` does before the steps. NULL and 0
 * are the defaults. */
int api_checkout(struct attempt *a, const char *url, const char *ref, const char *into, int64_t timeout_ms, struct err *e) MUST_USE;
