/* Whatever a request's head and target say: what is taken has one reading, and a path never leaves the root. */
#include <stdint.h>
#include <stdlib.h>

#include "front/head.h"
#include "front/query.h"

static void use_head(struct slice bytes)
{
	struct head head;
	const char *why;
	int status;

	if (head_parse(bytes, &head, &status, &why) < 0) {
		if (!why || (status != 400 && status != 431 && status != 505))
			abort();
		return;
	}
	if (head.len > bytes.len || head.len > HEAD_MAX_BYTES || !slice_ends(slice_upto(bytes, head.len), SLICE("\r\n\r\n")))
		abort();
	if (head.is_chunked && (head.is_1_0 || !head.has_body))
		abort();
	/* nothing behind the head changes what it means */
	struct head again;
	if (head_parse(slice_upto(bytes, head.len), &again, &status, &why) < 0 || again.len != head.len)
		abort();
}

static void use_target(struct slice bytes)
{
	CLEANUP(buf_fini) struct buf path = BUF(PATH_MAX_BYTES);
	CLEANUP(buf_fini) struct buf value = BUF(4096);
	struct slice raw, query;

	slice_cut(bytes, '?', &raw, &query);
	if (path_resolve(raw, &path) == 0) {
		struct slice p = buf_slice(&path);
		if (!slice_starts(p, SLICE("/")) || slice_find(p, SLICE("/../")) >= 0 || slice_ends(p, SLICE("/..")) ||
		    slice_chr(p, '\0') >= 0)
			abort();
	}
	if (query_get(query, "after", &value) < 0 && value.len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice all = { (const char *)bytes, n };

	use_head(all);
	use_target(all);
	return 0;
}
