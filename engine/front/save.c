/* front/save.c - what the API says of a delivery (READ_DELIVERY), then its body (READ_BODY), made a fixture on the thread of large
 * bodies: the body is read once more, to see in which form it can stand in a file. */
#include "front/save.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/answer.h"
#include "front/bodies.h"
#include "front/front.h"
#include "rules/fixture.h"

struct saving {
	struct body_work work;          /* first */
	struct loop *loop;
	struct http_ticket *ticket;
	int64_t delivery;
	struct buf said;                /* of it, as JSON */
	struct fixture fixture;
	struct buf text;
	int is_bad;                     /* then the text says why */
};

static void saving_free(void *arg)
{
	struct saving *s = arg;

	buf_fini(&s->said);
	fixture_fini(&s->fixture);
	buf_fini(&s->text);
	free(s);
}

/* On the thread. */
static void make(struct body_work *w)
{
	struct saving *s = (struct saving *)w;
	json_t *delivery = json_loadb(s->said.ptr, s->said.len, 0, NULL);
	struct err e;

	if (fixture_of_delivery(delivery, &s->fixture, &e) == 0) {
		fixture_write(&s->fixture, &s->text);
	} else {
		s->is_bad = 1;
		buf_adds(&s->text, e.msg);
	}
	json_decref(delivery);
}

static void reply(struct http_request *r, const struct saving *s)
{
	char disposition[80];
	const char *const headers[] = { "x-content-type-options", "nosniff", "cache-control", "no-store",
		"content-security-policy", "default-src 'none'; sandbox", "content-disposition", disposition, NULL };

	snprintf(disposition, sizeof disposition, "attachment; filename=\"delivery-%" PRId64 ".json\"", s->delivery);
	http_reply(r, &(struct http_reply){ .status = 200, .content_type = "application/json", .body = buf_slice(&s->text), .headers = headers });
}

static void on_made(struct body_work *w)
{
	struct saving *s = (struct saving *)w;
	struct http_request *r = http_unpark(s->ticket);

	if (r && s->is_bad)
		answer_problem(r, 409, "Conflict", buf_cstr(&s->text), NULL);
	else if (r)
		reply(r, s);
	saving_free(s);
}

static void on_body(struct http_request *r, struct ask *q)
{
	static const char *const headers[] = { "retry-after", "5", NULL };
	struct saving *s = q->arg;
	struct bodies *bodies = s->loop->front->bodies;
	size_t bytes = q->read.json.len;

	if (bodies_reserve(bodies, bytes) < 0) {
		answer_problem(r, 503, "Service Unavailable", "too many large deliveries at once", headers);
		return;
	}
	q->arg = NULL;
	s->fixture.body = q->read.json;
	q->read.json = (struct buf){ .max = 0 };
	s->ticket = http_park(r);
	s->work = (struct body_work){ .home = http_loop_mailbox(s->loop->http), .judge = make, .judged = on_made };
	bodies_send(bodies, bytes, &s->work);
}

static struct ask *ask_of(struct saving *s, enum read_what what, void (*then)(struct http_request *r, struct ask *q))
{
	struct ask *q = ask_new(s->loop, what, s->delivery);

	q->then = then;
	q->arg = s;
	q->drop = saving_free;
	return q;
}

static void on_said(struct http_request *r, struct ask *q)
{
	struct saving *s = q->arg;

	q->arg = NULL;
	s->said = q->read.json;
	q->read.json = (struct buf){ .max = 0 };
	ask_store(r, ask_of(s, READ_BODY, on_body));
}

void save_delivery(const struct call *c)
{
	struct saving *s = xcalloc(1, sizeof *s);

	*s = (struct saving){ .loop = c->loop, .delivery = c->id, .fixture = FIXTURE_NONE, .text = BUF(FIXTURE_MAX_BYTES) };
	ask_store(c->r, ask_of(s, READ_DELIVERY, on_said));
}
