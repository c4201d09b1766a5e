/* lua/options.h - the options table of an API call: known names only, each of its type, said clearly. Functions raise Lua
 * errors; texts borrow from the Lua stack's values. One thread. */
#pragma once
#include <stdint.h>

#include "base/slice.h"

struct lua_State;

/* Raise where the table at AT has a name that is not in NAMES (NULL-ended); list items pass where WITH_ITEMS. */
enum { OPTIONS_NO_ITEMS, OPTIONS_WITH_ITEMS };
void options_known(struct lua_State *lua, int at, const char *call, const char *const *names, int items);
const char *options_text(struct lua_State *lua, int at, const char *name);              /* NULL where absent */
struct slice options_bytes(struct lua_State *lua, int at, const char *name);
int options_is(struct lua_State *lua, int at, const char *name);                        /* a boolean */
int64_t options_duration_ms(struct lua_State *lua, int at, const char *name);           /* 0 where absent */
int64_t options_integer(struct lua_State *lua, int at, const char *name, int64_t min, int64_t max, int64_t otherwise);

/* How many letters apart two words are (a swap of neighbours counts as one); more than 32 letters: far. Pure. */
int options_distance(const char *a, const char *b);
/* The one of WORDS (NULL-ended) that WORD was perhaps meant to be, or NULL. Pure. */
const char *options_nearest(const char *word, const char *const *words);
