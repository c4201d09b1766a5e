/* front/chunk.c - counted, framed bytes. */
#include "front/chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

size_t chunk_head(char out[CHUNK_HEAD_MAX + 8], uint64_t n)
{
	char digits[16];
	size_t len = 0, at = 0;

	do
		digits[len++] = "0123456789abcdef"[n & 15];
	while (n >>= 4);
	while (len)
		out[at++] = digits[--len];
	out[at++] = '\r';
	out[at++] = '\n';
	return at;
}

struct chunk *chunk_new(struct slice payload)
{
	char head[CHUNK_HEAD_MAX + 8];
	size_t n = chunk_head(head, payload.len);
	struct chunk *c = xmalloc(sizeof *c + n + payload.len + 2);

	assert(payload.len && payload.len < UINT32_MAX / 2);
	*c = (struct chunk){ .refs = 1, .head = (uint32_t)n, .payload = (uint32_t)payload.len,
			     .len = (uint32_t)(n + payload.len + 2) };
	memcpy(c->bytes, head, n);
	memcpy(c->bytes + n, payload.ptr, payload.len);
	memcpy(c->bytes + n + payload.len, "\r\n", 2);
	return c;
}

struct chunk *chunk_raw(struct slice bytes)
{
	struct chunk *c = xmalloc(sizeof *c + bytes.len);

	*c = (struct chunk){ .refs = 1, .head = (uint32_t)bytes.len, .len = (uint32_t)bytes.len };
	memcpy(c->bytes, bytes.ptr, bytes.len);
	return c;
}

struct chunk *chunk_ref(struct chunk *c)
{
	c->refs++;
	return c;
}

void chunk_unref(struct chunk *c)
{
	if (c && !--c->refs)
		free(c);
}
