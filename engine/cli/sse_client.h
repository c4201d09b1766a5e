/* cli/sse_client.h - read a stream of server-sent events as the standard says (WHATWG HTML 9.2.6), from pieces cut anywhere.
 * Pure; one owner. */
#pragma once
#include "base/buf.h"

struct sse_event {
	struct slice type, data, id;            /* id: the last event id as of this event. Borrowed for the call */
};
struct sse_client {
	struct buf line, data, type, last_id, id;       /* id: that of the block in the middle */
	int64_t retry_ms;                       /* -1 until told */
	int is_after_cr, has_begun;
};

void sse_client_init(struct sse_client *c);
void sse_client_fini(struct sse_client *c);
/* ON_EVENT other than 0 ends the feeding and is returned. A line over 4 MiB makes it -1. */
int sse_client_feed(struct sse_client *c, struct slice bytes, int (*on_event)(const struct sse_event *ev, void *arg), void *arg);
void sse_client_cut(struct sse_client *c);      /* the connection broke: drop the block in the middle, keep the position */
struct slice sse_client_position(const struct sse_client *c);   /* for Last-Event-ID; empty: none */
