/* front/ui.c - serve the embedded files. The page does its own routing: every path that it knows is its index, and so is,
 * with a 404, any other that a browser asks for. A file whose name holds its hash never changes; the index is asked for again
 * each time, which costs a 304. */
#include "front/ui.h"

#include <string.h>

#include "front/answer.h"
#include "front/http.h"
#include "ui/asset.h"

static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static int is_page(struct slice path)
{
	static const char *const pages[] = { "/", "/jobs", "/deliveries", "/rules" };
	struct slice id;
	int64_t number;

	for (size_t i = 0; i < COUNT(pages); i++)
		if (slice_eq(path, slice_of(pages[i])))
			return 1;
	if (slice_starts(path, SLICE("/jobs/")))
		id = slice_from(path, 6);
	else if (slice_starts(path, SLICE("/deliveries/")))
		id = slice_from(path, 12);
	else
		return 0;
	return slice_to_i64(id, 1, INT64_MAX, &number) == 0;
}

/* 1 where WHAT, an encoding or a type, is accepted: named with a quality above zero. */
static int accepts(struct slice header, struct slice what)
{
	struct slice item, name, parameters;

	while (header.len) {
		slice_cut(header, ',', &item, &header);
		slice_cut(item, ';', &name, &parameters);
		if (!slice_ieq(slice_trim(name), what))
			continue;
		parameters = slice_trim(parameters);
		return !slice_eq(parameters, SLICE("q=0")) && !slice_starts(parameters, SLICE("q=0.0")) ;
	}
	return 0;
}

static void serve(struct http_request *r, const struct asset *a, int status)
{
	struct slice accepted = http_header(r, "accept-encoding", NULL), body = a->plain;
	const char *encoding = NULL;
	const char *headers[20] = { "x-content-type-options", "nosniff", "content-security-policy", policy,
		"referrer-policy", "no-referrer", "cross-origin-opener-policy", "same-origin", "vary", "accept-encoding",
		"cache-control", a->is_immutable ? "public, max-age=31536000, immutable" : "no-cache", "etag", a->etag };

	if (a->brotli.len && accepts(accepted, SLICE("br"))) {
		body = a->brotli;
		encoding = "br";
	} else if (a->gzip.len && accepts(accepted, SLICE("gzip"))) {
		body = a->gzip;
		encoding = "gzip";
	}
	if (status == 200 && etag_matches(http_header(r, "if-none-match", NULL), slice_of(a->etag))) {
		http_reply(r, &(struct http_reply){ .status = 304, .headers = headers });
		return;
	}
	if (encoding) {
		headers[14] = "content-encoding";
		headers[15] = encoding;
	}
	http_reply(r, &(struct http_reply){ .status = status, .content_type = a->content_type, .body = body,
					    .headers = headers });
}

void ui_on_request(struct http_request *r)
{
	static const char *const allow[] = { "allow", "GET, HEAD", NULL };
	struct slice method = http_method(r), path = http_path(r);

	if (!slice_eq(method, SLICE("GET")) && !slice_eq(method, SLICE("HEAD"))) {
		answer_problem(r, 405, "Method Not Allowed", "a page is read", allow);
		return;
	}
	const struct asset *index = asset_find(SLICE("/index.html")), *a = is_page(path) ? index : asset_find(path);
	if (a)
		serve(r, a, 200);
	else if (index && accepts(http_header(r, "accept", NULL), SLICE("text/html")))
		serve(r, index, 404);           /* a browser: the page says that there is none of this address */
	else
		answer_not_found(r, "no such page");
}
