/* eval/salvage.h - a file that Lua cannot read, without the declaration that is to blame: so the mistakes of all others show too.
 * Pure; any thread. */
#pragma once
#include "base/buf.h"

struct places;

#define SALVAGE_MAX 8                   /* declarations that are left out of one file */

struct salvage_lost { char **names; size_t n; };        /* names of locals that were left out; owned by the caller */
/* The declaration at the left margin that LINE stands in is blanked in TEXT, which P is the places of and after that no more: lines
 * stay where they are. 0, or -1 where LINE stands in none, but in code around it. */
int salvage(const struct places *p, int line, struct buf *text, struct salvage_lost *lost);
int salvage_is_lost(const struct salvage_lost *lost, const char *name);
void salvage_lost_fini(struct salvage_lost *lost);
