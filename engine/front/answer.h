/* front/answer.h - replies with what every one of them needs: no sniffing, no caching unless said. On the loop's thread;
 * each answers R for good. */
#pragma once
#include "front/http.h"

void answer_json(struct http_request *r, int status, struct slice body);
/* HEADERS as in http_reply; may be NULL. */
void answer_problem(struct http_request *r, int status, const char *title, const char *detail, const char *const *headers);
void answer_not_found(struct http_request *r, const char *what);

/* Bytes of a file as a resource: conditional requests and one range (RFC 9110, sections 13 and 14). */
struct answer_file {
	int fd;                         /* borrowed */
	int64_t first;                  /* the resource's first byte in the file */
	int64_t length;                 /* what may be shown of it */
	const char *content_type;
	char etag[80];                  /* with its quotes; "" for none: then no conditions and no caching */
	int is_immutable;
};
void answer_file(struct http_request *r, const struct answer_file *f);

enum range { RANGE_NONE, RANGE_OK, RANGE_UNSATISFIABLE };
/* "bytes=0-99", "bytes=100-", "bytes=-100" of LENGTH bytes; several ranges, another unit or nonsense are RANGE_NONE: the
 * whole is a right answer. Pure. */
enum range range_parse(struct slice header, int64_t length, int64_t *from, int64_t *len);
/* 1 where TAG is in HEADER's list of entity tags, or that is "*". Weak comparison. Pure. */
int etag_matches(struct slice header, struct slice tag);
