/* rules/arena.c - blocks in a list, filled from the front, each twice as large as the last up to a bound: a small document
 * stays small. A large piece gets a block of its own. */
#include "rules/arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN_BYTES 512
#define BLOCK_MAX_BYTES (64 << 10)
#define ALIGN 16

struct block {
	struct block *next;
	size_t used, size;
	_Alignas(ALIGN) char bytes[];
};
struct arena {
	struct block *first;
	size_t next_bytes;              /* of the next block */
};

struct arena *arena_new(void)
{
	struct arena *a = xcalloc(1, sizeof *a);
	a->next_bytes = BLOCK_MIN_BYTES;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct block *b = a->first, *next; b; b = next) {
		next = b->next;
		free(b);
	}
	free(a);
}

/* Room for BYTES: a block of its own behind the one in use, or a new one to go on with. */
static struct block *add_block(struct arena *a, size_t bytes)
{
	int is_large = bytes > a->next_bytes / 4;
	size_t size = is_large ? bytes : a->next_bytes;
	struct block *b = xcalloc(1, sizeof *b + size);

	b->size = size;
	if (a->next_bytes < BLOCK_MAX_BYTES)
		a->next_bytes *= 2;
	if (is_large && a->first) {
		b->next = a->first->next;
		a->first->next = b;
	} else {
		b->next = a->first;
		a->first = b;
	}
	return b;
}

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - ALIGN)
		abort();
	bytes = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *b = a->first;
	if (!b || b->size - b->used < bytes)
		b = add_block(a, bytes);
	void *out = b->bytes + b->used;
	b->used += bytes;
	return out;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1, 1);
	if (s.len)
		memcpy(to, s.ptr, s.len);
	return (struct slice){ to, s.len };
}

char *arena_str(struct arena *a, struct slice s)
{
	char *to = arena_alloc(a, s.len + 1, 1);
	if (s.len)
		memcpy(to, s.ptr, s.len);
	return to;
}
