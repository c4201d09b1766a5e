/* base/map.h - numbers by number: a map that is as large as what was entered, whatever the numbers are. It is the one hash map
 * here; where the set is known beforehand, a sorted array does. Keys are ids or hashes made by us, spread by a multiplication:
 * none that a sender could choose to fall together. One owner. */
#pragma once
#include <stdint.h>

#include "base/mem.h"

struct map_cell {
	uint64_t key;
	uint32_t value;
	uint32_t is_used;
};
struct map {                            /* all zero: empty */
	struct map_cell *cells;
	size_t n;
	unsigned bits;                  /* 1 << bits cells, half of them free or more */
};
void map_fini(struct map *m);           /* empty afterwards */
void map_reserve(struct map *m, size_t n);      /* M is empty: room for N keys at once */
/* The value of KEY, 0 where it is new (*is_new). Borrowed until the next map_enter. */
uint32_t *map_enter(struct map *m, uint64_t key, int *is_new);

/* The cell of KEY, or the free one where it belongs. M has cells. */
static inline struct map_cell *map_cell(const struct map *m, uint64_t key)
{
	size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> (64 - m->bits)), last = ((size_t)1 << m->bits) - 1;

	while (m->cells[at].is_used && m->cells[at].key != key)
		at = (at + 1) & last;
	return &m->cells[at];
}
/* NULL where KEY was never entered. Borrowed until the next map_enter. */
static inline uint32_t *map_find(const struct map *m, uint64_t key)
{
	struct map_cell *c = m->cells ? map_cell(m, key) : NULL;
	return c && c->is_used ? &c->value : NULL;
}
