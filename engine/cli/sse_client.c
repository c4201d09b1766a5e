/* cli/sse_client.c - read server-sent events. */
#include "cli/sse_client.h"

#define LINE_MAX_BYTES (4 << 20)

void sse_client_init(struct sse_client *c)
{
	*c = (struct sse_client){ .line = BUF(LINE_MAX_BYTES), .data = BUF(LINE_MAX_BYTES), .type = BUF(1024),
				  .last_id = BUF(1024), .id = BUF(1024), .retry_ms = -1 };
}

void sse_client_fini(struct sse_client *c)
{
	buf_fini(&c->line);
	buf_fini(&c->data);
	buf_fini(&c->type);
	buf_fini(&c->last_id);
	buf_fini(&c->id);
}

struct slice sse_client_position(const struct sse_client *c)
{
	return buf_slice(&c->last_id);
}

static void set(struct buf *b, struct slice s)
{
	buf_clear(b);
	buf_add(b, s);
}

void sse_client_cut(struct sse_client *c)
{
	buf_clear(&c->line);
	buf_clear(&c->data);
	buf_clear(&c->type);
	set(&c->id, buf_slice(&c->last_id));
	c->is_after_cr = c->has_begun = 0;
}

static int dispatch(struct sse_client *c, int (*on_event)(const struct sse_event *ev, void *arg), void *arg)
{
	int r = 0;

	set(&c->last_id, buf_slice(&c->id));
	if (c->data.len) {
		struct sse_event ev = { .type = c->type.len ? buf_slice(&c->type) : SLICE("message"),
					.data = slice_upto(buf_slice(&c->data), c->data.len - 1),
					.id = buf_slice(&c->last_id) };
		r = on_event(&ev, arg);
	}
	buf_clear(&c->data);
	buf_clear(&c->type);
	return r;
}

static void field(struct sse_client *c, struct slice name, struct slice value)
{
	if (slice_eq(name, SLICE("data"))) {
		buf_add(&c->data, value);
		buf_addc(&c->data, '\n');
	} else if (slice_eq(name, SLICE("event"))) {
		set(&c->type, value);
	} else if (slice_eq(name, SLICE("id"))) {
		if (slice_chr(value, '\0') < 0)
			set(&c->id, value);
	} else if (slice_eq(name, SLICE("retry"))) {
		int64_t ms;
		if (value.len && value.ptr[0] != '-' && slice_to_i64(value, 0, 86400000, &ms) == 0)
			c->retry_ms = ms;
	}
}

static int end_line(struct sse_client *c, int (*on_event)(const struct sse_event *ev, void *arg), void *arg)
{
	struct slice line = buf_slice(&c->line), name, value;
	int r = 0;

	if (!c->has_begun && slice_starts(line, SLICE("\xef\xbb\xbf")))
		line = slice_from(line, 3);
	c->has_begun = 1;
	if (line.len == 0) {
		r = dispatch(c, on_event, arg);
	} else if (line.ptr[0] != ':') {
		slice_cut(line, ':', &name, &value);
		if (value.len && value.ptr[0] == ' ')
			value = slice_from(value, 1);
		field(c, name, value);
	}
	buf_clear(&c->line);
	return r;
}

int sse_client_feed(struct sse_client *c, struct slice bytes, int (*on_event)(const struct sse_event *ev, void *arg), void *arg)
{
	while (bytes.len) {
		size_t n = 0;
		if (c->is_after_cr && bytes.ptr[0] == '\n')
			bytes = slice_from(bytes, 1);
		c->is_after_cr = 0;
		while (n < bytes.len && bytes.ptr[n] != '\n' && bytes.ptr[n] != '\r')
			n++;
		buf_add(&c->line, slice_upto(bytes, n));
		if (buf_is_over(&c->line) || buf_is_over(&c->data))
			return -1;
		if (n < bytes.len) {
			c->is_after_cr = bytes.ptr[n++] == '\r';
			int r = end_line(c, on_event, arg);
			if (r)
				return r;
		}
		bytes = slice_from(bytes, n);
	}
	return 0;
}
