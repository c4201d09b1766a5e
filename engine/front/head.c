/* front/head.c - one pass over the lines of a head. Anything optional in the grammar that senders of today do not use
 * (folded lines, bare LF, blanks before the colon, several framing headers) is an error here. */
#include "front/head.h"

#include <string.h>

struct scan {
	struct head head;
	int hosts, lengths, encodings;
	int status;
	const char *why;
};

static int refuse(struct scan *s, int status, const char *why)
{
	s->status = status;
	s->why = why;
	return -1;
}

static int is_token_char(unsigned char c)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c && strchr(others, c));
}

static int is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_token_char((unsigned char)s.ptr[i]))
			return 0;
	return s.len > 0;
}

/* Neither controls nor DEL; a tab only where TAB says so. */
static int is_clean(struct slice s, char tab)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c < 0x20 && c != (unsigned char)tab) || c == 0x7f)
			return 0;
	}
	return 1;
}

static int request_line(struct scan *s, struct slice line)
{
	struct slice method, target, version;

	if (!slice_cut(line, ' ', &method, &target) || !slice_cut(target, ' ', &target, &version) || !is_token(method) ||
	    !target.len || !is_clean(target, ' '))
		return refuse(s, 400, "the request line is malformed");
	if (slice_eq(version, SLICE("HTTP/1.0")))
		s->head.is_1_0 = 1;
	else if (!slice_eq(version, SLICE("HTTP/1.1")))
		return refuse(s, slice_starts(version, SLICE("HTTP/")) ? 505 : 400, "only HTTP/1.1 and HTTP/1.0 are spoken here");
	return 0;
}

static int content_length(struct scan *s, struct slice value)
{
	int64_t n;

	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] < '0' || value.ptr[i] > '9')
			return refuse(s, 400, "Content-Length is not a number");
	if (slice_to_i64(value, 0, INT64_MAX, &n) < 0)
		return refuse(s, 400, "Content-Length is not a number");
	if (s->lengths++)
		return refuse(s, 400, "Content-Length stands twice");
	s->head.has_body |= n > 0;
	return 0;
}

static int header_line(struct scan *s, struct slice line)
{
	struct slice name, value;

	if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
		return refuse(s, 400, "a header is folded over lines");
	if (!slice_cut(line, ':', &name, &value) || !is_token(name))
		return refuse(s, 400, "a header's name is malformed");
	value = slice_trim(value);
	if (!is_clean(value, '\t'))
		return refuse(s, 400, "a header's value holds a control byte");
	if (slice_ieq(name, SLICE("host"))) {
		if (s->hosts++)
			return refuse(s, 400, "Host stands twice");
		s->head.host = value;
	} else if (slice_ieq(name, SLICE("content-length"))) {
		return content_length(s, value);
	} else if (slice_ieq(name, SLICE("transfer-encoding"))) {
		if (s->encodings++ || !slice_ieq(value, SLICE("chunked")))
			return refuse(s, 400, "the only Transfer-Encoding taken is one 'chunked'");
		s->head.has_body = s->head.is_chunked = 1;
	}
	return 0;
}

/* Take the line in front of *rest, which must end with CR LF. */
static int take_line(struct scan *s, struct slice *rest, struct slice *line)
{
	if (!slice_cut(*rest, '\n', line, rest))
		return refuse(s, 431, "the head is longer than 64 KiB");
	if (!line->len || line->ptr[line->len - 1] != '\r')
		return refuse(s, 400, "a line of the head ends with a bare LF");
	line->len--;
	return memchr(line->ptr, '\r', line->len) ? refuse(s, 400, "a line of the head holds a bare CR") : 0;
}

static int walk(struct scan *s, struct slice bytes)
{
	struct slice rest = bytes, line;

	if (slice_starts(rest, SLICE("\r\n")))          /* one empty line in front is tolerated (RFC 9112, 2.2) */
		rest = slice_from(rest, 2);
	if (take_line(s, &rest, &line) < 0 || request_line(s, line) < 0)
		return -1;
	for (;;) {
		if (take_line(s, &rest, &line) < 0)
			return -1;
		if (!line.len)
			break;
		if (header_line(s, line) < 0)
			return -1;
	}
	if (s->lengths && s->encodings)
		return refuse(s, 400, "both Content-Length and Transfer-Encoding");
	if (s->encodings && s->head.is_1_0)
		return refuse(s, 400, "Transfer-Encoding in HTTP/1.0");
	if (!s->hosts && !s->head.is_1_0)
		return refuse(s, 400, "Host is missing");
	s->head.len = (size_t)(rest.ptr - bytes.ptr);
	return 0;
}

int head_parse(struct slice bytes, struct head *out, int *status, const char **why)
{
	struct scan s = { .status = 400 };

	if (walk(&s, slice_upto(bytes, HEAD_MAX_BYTES)) < 0) {
		*status = s.status;
		*why = s.why;
		return -1;
	}
	*out = s.head;
	return 0;
}
