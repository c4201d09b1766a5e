/* front/head.h - is a request's head what it seems? A strict second look at the bytes that the HTTP library has read
 * leniently: whatever two readers could frame differently is refused (RFC 9112, sections 2.2, 3, 5.1, 5.2, 6.3).
 * Pure; any thread. */
#pragma once
#include "base/slice.h"

#define HEAD_MAX_BYTES (64 << 10)

struct head {
	size_t len;                     /* of the head, with its blank line */
	struct slice host;              /* borrowed; empty where there is none (HTTP/1.0 only) */
	int is_1_0;
	int has_body;                   /* Content-Length above 0, or chunked */
	int is_chunked;
};

/* BYTES begin with a head. 0 and *out, or -1: *status (400, 431 or 505) and *why (static text) say what is wrong. */
int head_parse(struct slice bytes, struct head *out, int *status, const char **why) MUST_USE;
