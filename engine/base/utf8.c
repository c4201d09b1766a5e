/* base/utf8.c - decode UTF-8 by the table of well-formed sequences (Unicode, table 3-7). */
#include "base/utf8.h"

struct shape {
	unsigned char lead_min, lead_max, second_min, second_max, len;
};

static const struct shape shapes[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

/* How many bytes of S fit SHAPE, counted from the lead. */
static size_t fits(struct slice s, const struct shape *shape)
{
	size_t n = 1;
	while (n < shape->len && n < s.len) {
		unsigned char c = (unsigned char)s.ptr[n];
		unsigned char min = n == 1 ? shape->second_min : 0x80;
		unsigned char max = n == 1 ? shape->second_max : 0xbf;
		if (c < min || c > max)
			break;
		n++;
	}
	return n;
}

static const struct shape *shape_of(unsigned char lead)
{
	for (size_t i = 0; i < COUNT(shapes); i++)
		if (lead >= shapes[i].lead_min && lead <= shapes[i].lead_max)
			return &shapes[i];
	return NULL;
}

size_t utf8_next(struct slice s, uint32_t *code)
{
	if (s.len == 0)
		return 0;
	unsigned char lead = (unsigned char)s.ptr[0];
	if (lead < 0x80) {
		*code = lead;
		return 1;
	}
	const struct shape *shape = shape_of(lead);
	if (!shape || fits(s, shape) < shape->len)
		return 0;
	uint32_t c = lead & (0xffu >> (shape->len + 1));
	for (size_t i = 1; i < shape->len; i++)
		c = c << 6 | ((unsigned char)s.ptr[i] & 0x3f);
	*code = c;
	return shape->len;
}

int utf8_is_cut(struct slice s)
{
	if (s.len == 0)
		return 0;
	const struct shape *shape = shape_of((unsigned char)s.ptr[0]);
	return shape && s.len < shape->len && fits(s, shape) == s.len;
}

int utf8_is_valid(struct slice s)
{
	while (s.len) {
		uint32_t c;
		size_t n = utf8_next(s, &c);
		if (n == 0)
			return 0;
		s = slice_from(s, n);
	}
	return 1;
}
