/* front/api_deliveries.c - deliveries: the list, one with all that is known of it, its body. */
#include "front/api_deliveries.h"

#include <inttypes.h>
#include <stdio.h>

#include "front/answer.h"

static int ask_matched(struct http_request *r, struct filter *f)
{
	char word[8];

	if (ask_text(r, "matched", word, sizeof word) < 0)
		return -1;
	struct slice w = slice_of(word);
	f->matched = slice_eq(w, SLICE("yes")) ? HAS_MATCHED : slice_eq(w, SLICE("no")) ? HAS_NOT_MATCHED : ANY_MATCH;
	return w.len && !f->matched ? ask_refuse(r, "matched", "yes or no") : 0;
}

void api_list_deliveries(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_DELIVERIES, 0);

	q->then = ask_tell_list;
	if (ask_list(c->r, &q->read) < 0 || ask_matched(c->r, &q->read.filter) < 0)
		ask_free(q);
	else
		ask_store(c->r, q);
}

void api_show_delivery(const struct call *c)
{
	ask_store(c->r, ask_new(c->loop, READ_DELIVERY, c->id));
}

/* Bytes of a stranger: never as anything that a browser would run or render. */
static void tell_body(struct http_request *r, struct ask *q)
{
	char disposition[80];
	const char *const headers[] = { "x-content-type-options", "nosniff", "cache-control", "no-store",
		"content-security-policy", "default-src 'none'; sandbox", "content-disposition", disposition, NULL };

	snprintf(disposition, sizeof disposition, "attachment; filename=\"delivery-%" PRId64 ".bin\"", q->read.a);
	http_reply(r, &(struct http_reply){ .status = 200, .content_type = "application/octet-stream",
					    .body = buf_slice(&q->read.json), .headers = headers });
}

void api_show_body(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_BODY, c->id);
	q->then = tell_body;
	ask_store(c->r, q);
}
