/* base/slice.c - borrowed bytes. */
#include "base/slice.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct slice slice_of(const char *cstr)
{
	return cstr ? (struct slice){ cstr, strlen(cstr) } : SLICE_NULL;
}

int slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

int slice_ieq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
	return order ? order : (a.len > b.len) - (a.len < b.len);
}

int slice_starts(struct slice s, struct slice prefix)
{
	return s.len >= prefix.len && slice_eq(slice_upto(s, prefix.len), prefix);
}

int slice_ends(struct slice s, struct slice suffix)
{
	return s.len >= suffix.len && slice_eq(slice_from(s, s.len - suffix.len), suffix);
}

ptrdiff_t slice_find(struct slice s, struct slice needle)
{
	if (needle.len == 0)
		return 0;
	if (s.len < needle.len)
		return -1;
	const char *at = memmem(s.ptr, s.len, needle.ptr, needle.len);
	return at ? at - s.ptr : -1;
}

ptrdiff_t slice_chr(struct slice s, char c)
{
	const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;
	return at ? at - s.ptr : -1;
}

struct slice slice_from(struct slice s, size_t at)
{
	if (at > s.len)
		at = s.len;
	return (struct slice){ s.ptr ? s.ptr + at : NULL, s.len - at };
}

struct slice slice_upto(struct slice s, size_t n)
{
	return (struct slice){ s.ptr, n < s.len ? n : s.len };
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
	while (s.len && is_blank(s.ptr[0]))
		s = slice_from(s, 1);
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

int slice_cut(struct slice s, char c, struct slice *head, struct slice *tail)
{
	ptrdiff_t at = slice_chr(s, c);
	if (at < 0) {
		*head = s;
		*tail = slice_from(s, s.len);
		return 0;
	}
	*head = slice_upto(s, (size_t)at);
	*tail = slice_from(s, (size_t)at + 1);
	return 1;
}

char *slice_dup(struct slice s)
{
	char *out = xmalloc(s.len + 1);
	if (s.len)
		memcpy(out, s.ptr, s.len);
	out[s.len] = '\0';
	return out;
}

int slice_to_i64(struct slice s, int64_t min, int64_t max, int64_t *out)
{
	int64_t v = 0;
	int negative = s.len && s.ptr[0] == '-';
	struct slice digits = slice_from(s, (size_t)negative);

	if (digits.len == 0)
		return -1;
	for (size_t i = 0; i < digits.len; i++) {
		if (!isdigit((unsigned char)digits.ptr[i]))
			return -1;
		int d = digits.ptr[i] - '0';
		if (__builtin_mul_overflow(v, 10, &v) ||
		    (negative ? __builtin_sub_overflow(v, d, &v) : __builtin_add_overflow(v, d, &v)))
			return -1;
	}
	if (v < min || v > max)
		return -1;
	*out = v;
	return 0;
}

struct unit {
	const char *name;
	int64_t factor;
};

static int with_unit(struct slice s, const struct unit *units, size_t n, int64_t *out)
{
	size_t digits = 0;
	int64_t v;

	while (digits < s.len && isdigit((unsigned char)s.ptr[digits]))
		digits++;
	if (slice_to_i64(slice_upto(s, digits), 0, INT64_MAX, &v) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (slice_eq(slice_from(s, digits), slice_of(units[i].name))) {
			if (__builtin_mul_overflow(v, units[i].factor, &v))
				return -1;
			*out = v;
			return 0;
		}
	return -1;
}

int slice_to_duration_ms(struct slice s, int64_t *out)
{
	static const struct unit units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
	};
	return with_unit(s, units, COUNT(units), out);
}

int slice_to_size_bytes(struct slice s, int64_t *out)
{
	static const struct unit units[] = {
		{ "B", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { "TiB", 1LL << 40 },
	};
	return with_unit(s, units, COUNT(units), out);
}
