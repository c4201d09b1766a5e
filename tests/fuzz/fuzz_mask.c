/* A stream with a secret in it, cut anywhere: the secret never comes out, and text without it comes out as it was. The first
 * byte says how long the pieces are. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "journal/mask.h"

static const struct slice secret = SLICE("hunter2-s3cr3t");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mask *m;
	struct mask_state s = { 0 };
	struct buf out = BUF(BUF_UNLIMITED);

	if (!m) {
		m = mask_new();
		if (mask_add(m, secret) < 0)
			return 0;
	}
	if (!size)
		return 0;
	size_t piece = data[0] % 37 + 1;
	struct slice text = { (const char *)data + 1, size - 1 };
	for (struct slice rest = text; rest.len; rest = slice_from(rest, piece))
		mask_feed(m, &s, slice_upto(rest, piece), &out);
	mask_flush(&s, &out);
	assert(slice_find(buf_slice(&out), secret) < 0);
	struct buf whole = BUF(BUF_UNLIMITED);
	mask_text(m, text, &whole);
	assert(slice_eq(buf_slice(&whole), buf_slice(&out)));   /* the cuts change nothing */
	buf_fini(&whole);
	buf_fini(&out);
	mask_state_fini(&s);
	return 0;
}
