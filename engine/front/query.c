/* front/query.c - percent-decoding, strictly: "%" without two hex digits is malformed, never taken literally. */
#include "front/query.h"

#include <string.h>

#include "base/scan.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that S begins with, decoded; *used: how much of S it took. -1 malformed. */
static int decode_one(struct slice s, size_t *used)
{
	*used = 1;
	if (s.ptr[0] != '%')
		return (unsigned char)s.ptr[0];
	int high = s.len >= 3 ? hex_digit(s.ptr[1]) : -1;
	int low = s.len >= 3 ? hex_digit(s.ptr[2]) : -1;
	*used = 3;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static int decode_form(struct slice s, struct buf *out)
{
	size_t before = out->len, used;

	while (s.len) {
		int c = s.ptr[0] == '+' ? ' ' : decode_one(s, &used);
		if (s.ptr[0] == '+')
			used = 1;
		if (c < 0 || buf_is_over(out)) {
			out->len = before;
			return -1;
		}
		buf_addc(out, (char)c);
		s = slice_from(s, used);
	}
	return buf_is_over(out) ? -1 : 0;
}

static int name_is(struct slice raw, const char *name)
{
	size_t used;

	for (; raw.len && *name; raw = slice_from(raw, used), name++) {
		used = 1;
		if (decode_one(raw, &used) != (unsigned char)*name)
			return 0;
	}
	return !raw.len && !*name;
}

int query_get(struct slice query, const char *name, struct buf *out)
{
	struct slice pair, rest = query, key, value, found = SLICE_NULL;
	int n = 0;

	while (rest.len) {
		slice_cut(rest, '&', &pair, &rest);
		slice_cut(pair, '=', &key, &value);
		if (!name_is(key, name))
			continue;
		found = value;
		n++;
	}
	if (n != 1)
		return n ? -1 : 0;
	return decode_form(found, out) < 0 ? -1 : 1;
}

int query_get_i64(struct slice query, const char *name, int64_t min, int64_t max, int64_t *out)
{
	CLEANUP(buf_fini) struct buf text = BUF(32);
	int n = query_get(query, name, &text);

	if (n <= 0)
		return n;
	return slice_to_i64(buf_slice(&text), min, max, out) < 0 ? -1 : 1;
}

/* The segment that ends OUT has just been completed, with a '/' in front of it: resolve it if it is dots. */
static int close_segment(struct buf *out, size_t start, int more)
{
	struct slice seg = { out->ptr + start, out->len - start };

	if (slice_eq(seg, SLICE("."))) {
		out->len = start;
		return 0;
	}
	if (!slice_eq(seg, SLICE(".."))) {
		if (more)
			buf_addc(out, '/');
		return 0;
	}
	if (start <= 1)
		return -1;
	out->len = start - 1;                           /* the '/' before "..", then back to the one before that */
	while (out->ptr[out->len - 1] != '/')
		out->len--;
	return 0;
}

int path_resolve(struct slice raw, struct buf *out)
{
	size_t base = out->len, start, used;

	if (!raw.len || raw.ptr[0] != '/' || raw.len > PATH_MAX_BYTES || base)
		return -1;
	buf_addc(out, '/');
	start = out->len;
	for (raw = slice_from(raw, 1); raw.len; raw = slice_from(raw, used)) {
		int c = decode_one(raw, &used);
		if (c < 0x20 || c == 0x7f)
			return -1;
		if (c != '/') {
			buf_addc(out, (char)c);
			continue;
		}
		if (close_segment(out, start, 1) < 0)
			return -1;
		start = out->len;
	}
	return close_segment(out, start, 0) < 0 || buf_is_over(out) ? -1 : 0;
}
