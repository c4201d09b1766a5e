/* Any bytes as a step's output: what the journal encodes, a parser by the standard decodes to the same lines, in pieces cut
 * anywhere; and any bytes as a stream are parsed the same however they are cut. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/sse_client.h"
#include "journal/event.h"

static int collect(const struct sse_event *ev, void *arg)
{
	struct buf *out = arg;

	buf_add(out, ev->type);
	buf_addc(out, '|');
	buf_add(out, ev->id);
	buf_addc(out, '|');
	buf_add(out, ev->data);
	buf_addc(out, '\n');
	return 0;
}

static void parse(struct slice bytes, size_t piece, struct buf *out)
{
	struct sse_client c;
	sse_client_init(&c);
	for (; bytes.len; bytes = slice_from(bytes, piece))
		if (sse_client_feed(&c, slice_upto(bytes, piece), collect, out) < 0)
			break;
	sse_client_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice raw = { (const char *)data, size };
	struct buf json = BUF(BUF_UNLIMITED), event = BUF(BUF_UNLIMITED), want = BUF(BUF_UNLIMITED);
	struct buf whole = BUF(BUF_UNLIMITED), cut = BUF(BUF_UNLIMITED);
	size_t piece = size ? data[0] % 13 + 1 : 1;

	buf_add_json(&json, raw);
	int64_t end = journal_encode(&event, 7, 1, 0, "log", buf_slice(&json));
	buf_addf(&want, "log|7.1.%lld|", (long long)end);
	buf_add(&want, buf_slice(&json));
	buf_addc(&want, '\n');
	parse(buf_slice(&event), piece, &cut);
	assert(slice_eq(buf_slice(&cut), buf_slice(&want)));
	buf_clear(&cut);
	parse(raw, raw.len ? raw.len : 1, &whole);
	parse(raw, piece, &cut);
	assert(slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_fini(&json);
	buf_fini(&event);
	buf_fini(&want);
	buf_fini(&whole);
	buf_fini(&cut);
	return 0;
}
