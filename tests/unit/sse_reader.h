/* tests/unit/sse_reader.h - an event stream read as the standards say: chunks (RFC 9112, 7.1) taken apart strictly, then
 * lines, blocks and ids (WHATWG HTML 9.2.6). What does not parse fails the test. */
#pragma once
#include "raw_client.h"

struct reader {
	int fd, is_chunked, has_head, has_ended;        /* ended: by the last chunk, or where there are none by the close */
	struct buf raw;                                 /* as it came, not yet taken apart */
	struct buf body;                                /* all of the body, for comparing bytes */
	size_t parsed;                                  /* of body */
	int64_t retry_ms;
	char id[160];                                   /* the position */
};

struct happening {
	char kind[32];
	char id[160];                                   /* of this block, "" where it had none */
	struct slice data;                              /* borrowed from the body until it grows */
};

static inline struct reader reader_of(int fd)
{
	return (struct reader){ .fd = fd, .raw = BUF(256 << 20), .body = BUF(256 << 20), .retry_ms = -1 };
}

static inline struct reader reader_open(int port, const char *path, const char *last_id, int rcvbuf)
{
	struct reader rd = reader_of(raw_connect_with(port, rcvbuf));
	struct buf say = BUF(4096);

	buf_addf(&say, "GET %s HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n", path);
	if (last_id)
		buf_addf(&say, "Last-Event-ID: %s\r\n", last_id);
	buf_adds(&say, "\r\n");
	raw_send(rd.fd, buf_slice(&say));
	buf_fini(&say);
	return rd;
}

static inline void reader_close(struct reader *rd)
{
	if (rd->fd >= 0)
		close(rd->fd);
	rd->fd = -1;
	buf_fini(&rd->raw);
	buf_fini(&rd->body);
}

/* Move whole chunks from raw to body. */
static inline void reader_dechunk(struct reader *rd)
{
	static const char digits[] = "0123456789abcdef";

	if (!rd->is_chunked) {
		buf_add(&rd->body, buf_slice(&rd->raw));
		buf_clear(&rd->raw);
		return;
	}
	size_t at = 0;
	while (!rd->has_ended) {
		struct slice rest = slice_from(buf_slice(&rd->raw), at);
		ptrdiff_t line = slice_find(rest, SLICE("\r\n"));
		if (line < 0)
			break;
		size_t n = 0;
		cr_assert(line >= 1 && line <= 16, "a chunk's head is malformed: %.*s", (int)slice_upto(rest, 40).len, rest.ptr);
		for (ptrdiff_t i = 0; i < line; i++) {
			const char *digit = memchr(digits, rest.ptr[i], 16);
			cr_assert(digit, "a chunk's head is malformed: %.*s", (int)slice_upto(rest, 40).len, rest.ptr);
			n = n * 16 + (size_t)(digit - digits);
		}
		size_t need = (size_t)line + 2 + n + 2;
		if (rest.len < need)
			break;
		cr_assert(rest.ptr[need - 2] == '\r' && rest.ptr[need - 1] == '\n', "a chunk does not end where it says");
		if (n)
			buf_add(&rd->body, (struct slice){ rest.ptr + line + 2, n });
		else
			rd->has_ended = 1;
		at += need;
	}
	cr_assert(!rd->has_ended || at == rd->raw.len, "bytes behind the last chunk");
	buf_drop_front(&rd->raw, at);
}

static inline void reader_head(struct reader *rd)
{
	ptrdiff_t end = slice_find(buf_slice(&rd->raw), SLICE("\r\n\r\n"));

	if (end < 0)
		return;
	struct slice head = slice_upto(buf_slice(&rd->raw), (size_t)end + 2);
	cr_assert(slice_starts(head, SLICE("HTTP/1.1 200 OK\r\n")), "%.*s", (int)rd->raw.len, rd->raw.ptr);
	rd->is_chunked = slice_find(head, SLICE("\r\ntransfer-encoding: chunked\r\n")) > 0;
	rd->has_head = 1;
	buf_drop_front(&rd->raw, (size_t)end + 4);
}

/* 1 more came, 0 the stream is over, -1 nothing within WAIT_MS. */
static inline int reader_more(struct reader *rd, int wait_ms)
{
	if (rd->has_ended)
		return 0;
	int n = raw_recv_within(rd->fd, &rd->raw, wait_ms);
	if (n < 0)
		return -1;
	if (!rd->has_head)
		reader_head(rd);
	if (rd->has_head)
		reader_dechunk(rd);
	if (n == 0) {
		if (!rd->is_chunked)
			rd->has_ended = 1;
		return 0;
	}
	return 1;
}

static inline void copy_to(char *to, size_t room, struct slice s)
{
	s = slice_upto(s, room - 1);
	memcpy(to, s.ptr, s.len);
	to[s.len] = '\0';
}

/* Parse one block of the body. 1: an event; 0: no whole block is there. Blocks without data move the position alone. */
static inline int reader_parse(struct reader *rd, struct happening *out)
{
	for (;;) {
		struct slice rest = slice_from(buf_slice(&rd->body), rd->parsed);
		ptrdiff_t blank = slice_find(rest, SLICE("\n\n"));
		struct slice block, line, name, value;
		int has_data = 0;
		int64_t ms;

		if (blank < 0)
			return 0;
		block = slice_upto(rest, (size_t)blank + 1);
		rd->parsed += (size_t)blank + 2;
		*out = (struct happening){ .kind = "message" };
		while (block.len) {
			slice_cut(block, '\n', &line, &block);
			slice_cut(line, ':', &name, &value);
			if (value.len && value.ptr[0] == ' ')
				value = slice_from(value, 1);
			if (slice_eq(name, SLICE("event"))) {
				copy_to(out->kind, sizeof out->kind, value);
			} else if (slice_eq(name, SLICE("data"))) {
				cr_assert_not(has_data, "two data lines");
				has_data = 1;
				out->data = value;
			} else if (slice_eq(name, SLICE("id"))) {
				cr_assert(value.len, "an empty id");
				copy_to(out->id, sizeof out->id, value);
				copy_to(rd->id, sizeof rd->id, value);
			} else if (slice_eq(name, SLICE("retry"))) {
				cr_assert_eq(slice_to_i64(value, 1, 100000, &ms), 0);
				rd->retry_ms = ms;
			} else {
				cr_assert_fail("an unknown field: %.*s", (int)line.len, line.ptr);
			}
		}
		if (has_data)
			return 1;
	}
}

/* The next event; 0 where the stream ends before one. */
static inline int reader_next(struct reader *rd, struct happening *out)
{
	for (;;) {
		if (reader_parse(rd, out))
			return 1;
		int n = reader_more(rd, RAW_WAIT_MS);
		cr_assert_neq(n, -1, "no event within %d ms; so far: %.*s", RAW_WAIT_MS, (int)rd->body.len, rd->body.ptr);
		if (n == 0)
			return reader_parse(rd, out);
	}
}

/* The next event is of KIND. */
static inline struct happening reader_expect(struct reader *rd, const char *kind)
{
	struct happening h;

	cr_assert(reader_next(rd, &h), "the stream ended before a `%s`: %.*s", kind, (int)rd->body.len, rd->body.ptr);
	cr_assert_str_eq(h.kind, kind, "wanted `%s`, got `%s` %.*s", kind, h.kind, (int)h.data.len, h.data.ptr);
	return h;
}

static inline struct happening reader_until(struct reader *rd, const char *kind)
{
	struct happening h;

	do
		cr_assert(reader_next(rd, &h), "the stream ended before a `%s`", kind);
	while (strcmp(h.kind, kind) != 0);
	return h;
}

/* Nothing but the end comes any more. */
static inline void reader_expect_close(struct reader *rd)
{
	struct happening h;

	cr_assert_not(reader_next(rd, &h), "a `%s` where the end was due", h.kind);
	cr_assert(rd->has_ended, "the stream was cut, not ended");
}

static inline void reader_expect_silence(struct reader *rd, int ms)
{
	struct happening h;
	int64_t until = mono_ms() + ms;

	do
		cr_assert_not(reader_parse(rd, &h), "a `%s` came: %.*s", h.kind, (int)h.data.len, h.data.ptr);
	while (until > mono_ms() && reader_more(rd, (int)(until - mono_ms())) > 0);
}

/* The events of the body that have an id, as bytes: what the journal says. KIND `beat`, `reset` and `end` are not its. */
static inline void reader_journal(const struct reader *rd, struct buf *out)
{
	struct slice rest = buf_slice(&rd->body);
	ptrdiff_t blank;

	while ((blank = slice_find(rest, SLICE("\n\n"))) >= 0) {
		struct slice block = slice_upto(rest, (size_t)blank + 2);
		if (slice_starts(block, SLICE("id: ")) && slice_find(block, SLICE("\nevent: ")) > 0 &&
		    slice_find(block, SLICE("\nevent: beat\n")) < 0 &&
		    slice_find(block, SLICE("\nevent: reset\n")) < 0 && slice_find(block, SLICE("\nevent: end\n")) < 0)
			buf_add(out, block);
		rest = slice_from(rest, (size_t)blank + 2);
	}
}
