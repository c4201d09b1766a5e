/* A frame from the other end of a socket: whatever decodes must encode to the same bytes. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = { (const char *)data, size };
	struct frame f;

	if (frame_decode(bytes, &f) < 0)
		return 0;
	struct buf again = BUF(FRAME_MAX_TEXT + 128);
	struct frame g;
	frame_encode(&f, &again);
	assert(frame_decode(buf_slice(&again), &g) == 0 && g.type == f.type && slice_eq(g.text, f.text));
	for (int i = 0; i < 5; i++)
		assert(g.n[i] == f.n[i]);
	buf_fini(&again);
	return 0;
}
