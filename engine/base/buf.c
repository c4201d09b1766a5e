/* base/buf.c - owned, growing bytes with a hard maximum. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scan.h"
#include "base/utf8.h"

void buf_fini(struct buf *b)
{
	free(b->ptr);
	*b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->over = 0;
}

int buf_is_over(const struct buf *b)
{
	return b->over;
}

struct slice buf_slice(const struct buf *b)
{
	return (struct slice){ b->ptr, b->len };
}

/* One byte more than asked for is always there, for the NUL of buf_cstr. */
char *buf_room(struct buf *b, size_t n)
{
	if (n > b->max || b->len > b->max - n) {
		b->over = 1;
		return NULL;
	}
	if (b->len + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < b->len + n + 1)
			cap *= 2;
		b->ptr = xrealloc(b->ptr, cap);
		b->cap = cap;
	}
	return b->ptr + b->len;
}

void buf_grew(struct buf *b, size_t n)
{
	assert(b->len + n < b->cap);
	b->len += n;
}

const char *buf_cstr(struct buf *b)
{
	if (!b->ptr)
		b->ptr = xmalloc(b->cap = 64);
	b->ptr[b->len] = '\0';
	return b->ptr;
}

char *buf_take(struct buf *b)
{
	buf_cstr(b);
	char *out = b->ptr;
	*b = (struct buf){ .max = b->max };
	return out;
}

void buf_drop_front(struct buf *b, size_t n)
{
	assert(n <= b->len);
	b->len -= n;
	if (b->len)
		memmove(b->ptr, b->ptr + n, b->len);
}

void buf_add(struct buf *b, struct slice s)
{
	char *to = s.len ? buf_room(b, s.len) : NULL;
	if (!to)
		return;
	memcpy(to, s.ptr, s.len);
	b->len += s.len;
}

void buf_adds(struct buf *b, const char *cstr)
{
	buf_add(b, slice_of(cstr));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, (struct slice){ &c, 1 });
}

void buf_addi(struct buf *b, int64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%lld", (long long)v);
	buf_add(b, (struct slice){ digits, (size_t)n });
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char small[512], *big = NULL;

	va_start(ap, fmt);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	if (n < (int)sizeof small) {
		buf_add(b, (struct slice){ small, n < 0 ? 0 : (size_t)n });
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&big, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	buf_add(b, (struct slice){ big, (size_t)n });
	free(big);
}

static void add_escaped(struct buf *b, uint32_t c)
{
	switch (c) {
	case '"': buf_adds(b, "\\\""); return;
	case '\\': buf_adds(b, "\\\\"); return;
	case '\n': buf_adds(b, "\\n"); return;
	case '\r': buf_adds(b, "\\r"); return;
	case '\t': buf_adds(b, "\\t"); return;
	default: buf_addf(b, "\\u%04x", c);
	}
}

void buf_add_json(struct buf *b, struct slice s)
{
	size_t i = 0;

	buf_addc(b, '"');
	while (i < s.len) {
		size_t run = scan_json_plain(slice_from(s, i));
		if (run) {
			buf_add(b, (struct slice){ s.ptr + i, run });
			i += run;
			continue;
		}
		uint32_t c;
		size_t n = utf8_next(slice_from(s, i), &c);
		if (n == 0) {
			buf_adds(b, "\xef\xbf\xbd");
			n = 1;
		} else if (c < 0x80 || c == 0x2028 || c == 0x2029) {
			add_escaped(b, c);
		} else {
			buf_add(b, (struct slice){ s.ptr + i, n });
		}
		i += n;
	}
	buf_addc(b, '"');
}
