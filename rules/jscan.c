/* rules/jscan.c - a strict scanner of JSON text.
 *
 * The measure is jansson 2.14, json_loadb with no flags, for a payload that passes here is parsed by it later: UTF-8 is
 * well-formed everywhere, \u escapes pair their surrogates, \u0000 is refused, integers fit int64_t, reals fit a double,
 * numbers have no leading zero. Two things differ: depth, 64 brackets here and 2048 there; and a NUL byte behind a number
 * or a word, which jansson overlooks (its one pushed-back byte is taken for none when it is 0), is refused here.
 *
 * What is skipped is checked as strictly as what is kept; the speed comes from strings, which are most of a payload: their
 * ordinary bytes are passed sixteen at a time. */
#include "rules/jscan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

void jscan_init(struct jscan *s, struct slice json, struct err *e)
{
	const char *at = json.len ? json.ptr : "";
	*s = (struct jscan){ at, at, at + json.len, e };
}

int jscan_fail(struct jscan *s, const char *what)
{
	return err_set(s->err, ERR_INPUT, "malformed JSON at byte %td: %s", s->p - s->begin, what);
}

/* ---- strings ---- */

static int is_plain(char c)                     /* as signed chars, the bytes from 0x80 on are below 0x20, too */
{
	return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

/* The first byte from P on that is not an ordinary ASCII one, or END. */
static inline const char *plain_end(const char *p, const char *end)
{
#ifdef __SSE2__
	while (end - p >= 16) {
		__m128i v;
		memcpy(&v, p, sizeof v);
		__m128i special = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
			_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))));
		int mask = _mm_movemask_epi8(special);
		if (mask)
			return p + __builtin_ctz((unsigned)mask);
		p += 16;
	}
#endif
	while (p < end && is_plain(*p))
		p++;
	return p;
}

static int is_tail(const char *p, const char *end)
{
	return p < end && ((unsigned char)*p & 0xc0) == 0x80;
}

/* Length of the well-formed sequence of two to four bytes at P, or 0. */
static size_t utf8_length(const char *p, const char *end)
{
	unsigned char lead = (unsigned char)p[0];
	unsigned char second = end - p > 1 ? (unsigned char)p[1] : 0;

	if (lead < 0xc2 || lead > 0xf4 || (second & 0xc0) != 0x80)
		return 0;
	if (lead < 0xe0)
		return 2;
	if (!is_tail(p + 2, end) || (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f))
		return 0;
	if (lead < 0xf0)
		return 3;
	if (!is_tail(p + 3, end) || (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f))
		return 0;
	return 4;
}

/* The code unit of a "\uXXXX" at P; 0, which is refused anyway, for anything else. */
static unsigned unit_at(const char *p, const char *end)
{
	unsigned v = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return 0;
	for (int i = 2; i < 6; i++) {
		char c = p[i];
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned)((c | 0x20) - 'a' + 10);
		else
			return 0;
		v = v << 4 | digit;
	}
	return v;
}

/* The code point of the escape at P and, through LEN, how long it is; LEN is 0 where it is ill-formed. */
static unsigned escape_at(const char *p, const char *end, size_t *len)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";

	*len = 0;
	if (end - p < 2)
		return 0;
	if (p[1] != 'u') {
		const char *at = memchr(names, p[1], sizeof names - 1);
		*len = at ? 2 : 0;
		return at ? (unsigned char)values[at - names] : 0;
	}
	unsigned code = unit_at(p, end);
	if (code == 0 || (code >= 0xdc00 && code <= 0xdfff))
		return 0;
	*len = 6;
	if (code < 0xd800 || code > 0xdbff)
		return code;
	unsigned low = unit_at(p + 6, end);
	*len = low >= 0xdc00 && low <= 0xdfff ? 12 : 0;
	return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* What stands at P, no ordinary byte: its length, or 0 where it may not stand in a string. */
static size_t special_length(const char *p, const char *end, struct jstring *out)
{
	size_t n = 0;

	if (*p == '\\') {
		escape_at(p, end, &n);
		out->has_escape = 1;
	} else if ((unsigned char)*p >= 0x80) {
		n = utf8_length(p, end);
	}
	return n;
}

static inline int take_string(struct jscan *s, struct jstring *out)
{
	const char *start = s->p + 1, *p = start, *end = s->end;

	out->has_escape = 0;
	for (;;) {
		p = plain_end(p, end);
		if (p == end) {
			s->p = p;
			return jscan_fail(s, "a string without its end");
		}
		if (*p == '"')
			break;
		size_t n = special_length(p, end, out);
		if (n == 0) {
			s->p = p;
			return jscan_fail(s, *p == '\\' ? "no such escape" :
					     *p & 0x80 ? "ill-formed UTF-8" : "a control byte in a string");
		}
		p += n;
	}
	out->raw = (struct slice){ start, (size_t)(p - start) };
	s->p = p + 1;
	return 0;
}

int jscan_string(struct jscan *s, struct jstring *out)
{
	return take_string(s, out);
}

static inline int take_key(struct jscan *s, struct jstring *out)
{
	if (jscan_peek(s) != '"')
		return jscan_fail(s, "a key, which is a string, was expected");
	if (take_string(s, out) < 0)
		return -1;
	jscan_space(s);
	if (jscan_peek(s) != ':')
		return jscan_fail(s, "a colon was expected");
	s->p++;
	jscan_space(s);
	return 0;
}

int jscan_key(struct jscan *s, struct jstring *out)
{
	return take_key(s, out);
}

static size_t utf8_put(unsigned code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	out[0] = (char)(lead[n] | code);
	return n;
}

size_t jscan_unescape(struct slice raw, char *out)
{
	const char *p = raw.ptr, *end = raw.ptr + raw.len;
	char *at = out;

	while (p < end) {
		const char *stop = memchr(p, '\\', (size_t)(end - p));
		size_t n = (size_t)((stop ? stop : end) - p);
		memcpy(at, p, n);
		at += n;
		p += n;
		if (p == end)
			break;
		unsigned code = escape_at(p, end, &n);
		at += utf8_put(code, at);
		p += n;
	}
	return (size_t)(at - out);
}

/* ---- numbers and words ---- */

static inline int is_digit(const struct jscan *s)
{
	return s->p < s->end && (unsigned char)(*s->p - '0') < 10;
}

/* The digits at p, one at least. */
static int digits(struct jscan *s)
{
	if (!is_digit(s))
		return jscan_fail(s, "a digit was expected");
	while (is_digit(s))
		s->p++;
	return 0;
}

/* The process never calls setlocale, so the decimal point is a dot. */
static int to_real(struct jscan *s, struct slice token, double *out)
{
	char small[128], *copy = token.len < sizeof small ? small : xmalloc(token.len + 1);

	memcpy(copy, token.ptr, token.len);
	copy[token.len] = '\0';
	*out = strtod(copy, NULL);
	if (copy != small)
		free(copy);
	return isinf(*out) ? jscan_fail(s, "a number too big for a double") : 0;
}

static int to_integer(struct jscan *s, struct slice token, int64_t *out)
{
	return slice_to_i64(token, INT64_MIN, INT64_MAX, out) < 0 ? jscan_fail(s, "an integer beyond 64 bits") : 0;
}

/* OUT may be NULL: then a number that cannot overflow is not converted. */
static int take_number(struct jscan *s, struct jnumber *out)
{
	const char *start = s->p;
	int is_integer = 1, has_exponent = 0;

	s->p += *s->p == '-';
	const char *first = s->p;
	if (digits(s) < 0)
		return -1;
	if (*first == '0' && s->p - first > 1)
		return jscan_fail(s, "a number with a leading zero");
	if (jscan_peek(s) == '.') {
		is_integer = 0;
		s->p++;
		if (digits(s) < 0)
			return -1;
	}
	if (jscan_peek(s) == 'e' || jscan_peek(s) == 'E') {
		is_integer = 0;
		has_exponent = 1;
		s->p++;
		s->p += jscan_peek(s) == '+' || jscan_peek(s) == '-';
		if (digits(s) < 0)
			return -1;
	}
	struct slice token = { start, (size_t)(s->p - start) };
	if (!out && (is_integer ? token.len <= 18 : !has_exponent && token.len < 300))
		return 0;
	struct jnumber n = { .is_integer = is_integer };
	if (is_integer ? to_integer(s, token, &n.integer) : to_real(s, token, &n.real))
		return -1;
	if (is_integer)
		n.real = (double)n.integer;
	if (out)
		*out = n;
	return 0;
}

int jscan_number(struct jscan *s, struct jnumber *out)
{
	return take_number(s, out);
}

static int take_word(struct jscan *s, struct slice word)
{
	if ((size_t)(s->end - s->p) < word.len || memcmp(s->p, word.ptr, word.len) != 0)
		return jscan_fail(s, "a value was expected");
	s->p += word.len;
	return 0;
}

static inline int take_scalar(struct jscan *s)
{
	struct jstring text;

	switch (jscan_peek(s)) {
	case '"':
		return take_string(s, &text);
	case 't':
		return take_word(s, SLICE("true"));
	case 'f':
		return take_word(s, SLICE("false"));
	case 'n':
		return take_word(s, SLICE("null"));
	case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
		return take_number(s, NULL);
	}
	return jscan_fail(s, "a value was expected");
}

int jscan_scalar(struct jscan *s)
{
	return take_scalar(s);
}

/* ---- whole values ---- */

int jscan_enter(struct jscan *s, int depth)
{
	if (depth > JSCAN_MAX_DEPTH)
		return err_set(s->err, ERR_LIMIT, "JSON nested deeper than %d at byte %td", JSCAN_MAX_DEPTH, s->p - s->begin);
	s->p++;
	jscan_space(s);
	return 0;
}

/* What follows a value inside the LEVEL innermost brackets, of which bit 0 of OBJECTS tells the innermost's kind: closes
 * as many as end here. On return with *level > 0 the next value begins at p. */
static inline int after_value(struct jscan *s, uint64_t *objects, int *level)
{
	struct jstring key;

	for (; *level > 0; --*level, *objects >>= 1) {
		int is_object = *objects & 1;
		jscan_space(s);
		char c = jscan_peek(s);
		if (c == ',') {
			s->p++;
			jscan_space(s);
			return is_object ? take_key(s, &key) : 0;
		}
		if (c != (is_object ? '}' : ']'))
			return jscan_fail(s, is_object ? "',' or '}' was expected" : "',' or ']' was expected");
		s->p++;
	}
	return 0;
}

int jscan_skip(struct jscan *s, int depth)
{
	uint64_t objects = 0;
	int level = 0;
	struct jstring key;

	do {
		char c = jscan_peek(s);
		if (c != '{' && c != '[') {
			if (take_scalar(s) < 0 || after_value(s, &objects, &level) < 0)
				return -1;
			continue;
		}
		if (jscan_enter(s, depth + ++level) < 0)
			return -1;
		objects = objects << 1 | (c == '{');
		if (jscan_peek(s) == (c == '{' ? '}' : ']')) {
			s->p++;
			objects >>= 1;
			level--;
			if (after_value(s, &objects, &level) < 0)
				return -1;
		} else if (c == '{' && take_key(s, &key) < 0) {
			return -1;
		}
	} while (level > 0);
	return 0;
}

int jscan_end(struct jscan *s)
{
	jscan_space(s);
	return s->p == s->end ? 0 : jscan_fail(s, "nothing was expected after the end");
}
