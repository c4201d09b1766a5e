/* rules/arena.h - memory that is allocated piece by piece and freed as one: what a compiled rule set lives in.
 * Pure; one owner while it grows, any thread once it does not. */
#pragma once
#include "base/slice.h"

struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *a);                                /* NULL is fine */
void *arena_alloc(struct arena *a, size_t n, size_t size);       /* zeroed, aligned for anything; borrowed from A */
struct slice arena_copy(struct arena *a, struct slice s);        /* also NUL-ended */
char *arena_str(struct arena *a, struct slice s);
