/* base/map.c - open addressing: a key stands in the cell that its hash names, or in the next free one behind. */
#include "base/map.h"

#include <stdlib.h>

#define FIRST_BITS 4

void map_fini(struct map *m)
{
	free(m->cells);
	*m = (struct map){ 0 };
}

static void resize(struct map *m, unsigned bits)
{
	struct map larger = { .n = m->n, .bits = bits };

	larger.cells = xcalloc((size_t)1 << bits, sizeof *larger.cells);
	for (size_t i = 0; m->cells && i < (size_t)1 << m->bits; i++)
		if (m->cells[i].is_used)
			*map_cell(&larger, m->cells[i].key) = m->cells[i];
	free(m->cells);
	*m = larger;
}

void map_reserve(struct map *m, size_t n)
{
	unsigned bits = FIRST_BITS;

	while (2 * n > (size_t)1 << bits)
		bits++;
	resize(m, bits);
}

uint32_t *map_enter(struct map *m, uint64_t key, int *is_new)
{
	if (!m->cells || 2 * (m->n + 1) > (size_t)1 << m->bits)
		resize(m, m->cells ? m->bits + 1 : FIRST_BITS);
	struct map_cell *c = map_cell(m, key);
	*is_new = !c->is_used;
	if (*is_new) {
		*c = (struct map_cell){ key, 0, 1 };
		m->n++;
	}
	return &c->value;
}
