/* front/answer.c - the ways in which the API answers. */
#include "front/answer.h"

#include <assert.h>
#include <stdio.h>

#define COMMON "x-content-type-options", "nosniff"

void answer_json(struct http_request *r, int status, struct slice body)
{
	static const char *const headers[] = { COMMON, "cache-control", "no-store", NULL };
	http_reply(r, &(struct http_reply){ .status = status, .content_type = "application/json", .body = body,
					    .headers = headers });
}

void answer_problem(struct http_request *r, int status, const char *title, const char *detail, const char *const *more)
{
	CLEANUP(buf_fini) struct buf body = BUF(64 << 10);
	const char *headers[12] = { COMMON, "cache-control", "no-store" };

	for (size_t i = 0; more && more[i]; i++) {
		assert(i + 5 < COUNT(headers));
		headers[4 + i] = more[i];
	}
	buf_adds(&body, "{\"type\":\"about:blank\",\"title\":");
	buf_add_json(&body, slice_of(title));
	buf_addf(&body, ",\"status\":%d,\"detail\":", status);
	buf_add_json(&body, slice_of(detail));
	buf_adds(&body, "}\n");
	http_reply(r, &(struct http_reply){ .status = status, .content_type = "application/problem+json",
					    .body = buf_slice(&body), .headers = headers });
}

void answer_not_found(struct http_request *r, const char *what)
{
	answer_problem(r, 404, "Not Found", what, NULL);
}

enum range range_parse(struct slice header, int64_t length, int64_t *from, int64_t *len)
{
	struct slice first, last;
	int64_t a, b;

	if (!slice_starts(header, SLICE("bytes=")) || !slice_cut(slice_from(header, 6), '-', &first, &last))
		return RANGE_NONE;
	if (first.len == 0) {
		if (slice_to_i64(last, 0, INT64_MAX, &b) < 0)
			return RANGE_NONE;
		if (b == 0 || length == 0)
			return RANGE_UNSATISFIABLE;
		*len = b < length ? b : length;
		*from = length - *len;
		return RANGE_OK;
	}
	if (slice_to_i64(first, 0, INT64_MAX, &a) < 0 || (last.len && slice_to_i64(last, a, INT64_MAX, &b) < 0))
		return RANGE_NONE;
	if (a >= length)
		return RANGE_UNSATISFIABLE;
	*from = a;
	*len = !last.len || b >= length ? length - a : b - a + 1;
	return RANGE_OK;
}

int etag_matches(struct slice header, struct slice tag)
{
	struct slice item;

	while (header.len) {
		slice_cut(header, ',', &item, &header);
		item = slice_trim(item);
		if (slice_starts(item, SLICE("W/")))
			item = slice_from(item, 2);
		if (slice_eq(item, tag) || slice_eq(item, SLICE("*")))
			return 1;
	}
	return 0;
}

void answer_file(struct http_request *r, const struct answer_file *f)
{
	struct slice tag = slice_of(f->etag), wanted = http_header(r, "range", NULL), if_range = http_header(r, "if-range", NULL);
	const char *cache = !f->etag[0] ? "no-store" : f->is_immutable ? "private, max-age=31536000, immutable" : "no-cache";
	int64_t from = 0, len = f->length;
	enum range range = RANGE_NONE;
	char place[80];
	const char *headers[] = { COMMON, "accept-ranges", "bytes", "cache-control", cache, NULL, NULL, NULL, NULL, NULL };
	size_t n = 6;

	if (f->etag[0]) {
		headers[n++] = "etag";
		headers[n++] = f->etag;
	}
	if (f->etag[0] && etag_matches(http_header(r, "if-none-match", NULL), tag)) {
		http_reply(r, &(struct http_reply){ .status = 304, .headers = headers });
		return;
	}
	if (wanted.len && (if_range.len == 0 || slice_eq(if_range, tag)))
		range = range_parse(wanted, f->length, &from, &len);
	if (range == RANGE_UNSATISFIABLE) {
		snprintf(place, sizeof place, "bytes */%lld", (long long)f->length);
		const char *const told[] = { "content-range", place, NULL };
		answer_problem(r, 416, "Range Not Satisfiable", "the range begins beyond the end", told);
		return;
	}
	if (range == RANGE_OK) {
		snprintf(place, sizeof place, "bytes %lld-%lld/%lld", (long long)from, (long long)(from + len - 1),
			 (long long)f->length);
		headers[n++] = "content-range";
		headers[n++] = place;
	}
	http_reply_file(r, &(struct http_reply){ .status = range == RANGE_OK ? 206 : 200,
						 .content_type = f->content_type, .headers = headers }, f->fd, f->first + from, len);
}
