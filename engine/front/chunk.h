/* front/chunk.h - bytes that many streams send: one counted block, framed once as a chunk of HTTP/1.1. One thread. */
#pragma once
#include "base/slice.h"

#define CHUNK_HEAD_MAX 12

struct chunk {
	int refs;
	uint32_t head;                  /* bytes before the payload: its length in hex, CR LF */
	uint32_t payload;
	uint32_t len;                   /* of all of it, with the CR LF behind */
	char bytes[];
};

struct chunk *chunk_new(struct slice payload);          /* copies; PAYLOAD is not empty. One reference, owned */
/* As it is: no frame, all of it head, so that a stream without chunks sends nothing of it. */
struct chunk *chunk_raw(struct slice bytes);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c);                      /* NULL is fine */
/* "1f4\r\n" for a payload of N bytes; its length. */
size_t chunk_head(char out[CHUNK_HEAD_MAX + 8], uint64_t n);
