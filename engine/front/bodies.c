/* front/bodies.c - a worker, and a count of the bytes that are with it. */
#include "front/bodies.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "front/worker.h"

struct bodies {
	struct worker *worker;
	_Atomic size_t bytes;
};

struct bodies *bodies_new(void)
{
	struct bodies *b = xcalloc(1, sizeof *b);
	b->worker = worker_new("bodies");
	return b;
}

void bodies_stop(struct bodies *b)
{
	if (!b)
		return;
	worker_free(b->worker);
	b->worker = NULL;
}

void bodies_free(struct bodies *b)
{
	bodies_stop(b);
	free(b);
}

int bodies_reserve(struct bodies *b, size_t bytes)
{
	if (atomic_fetch_add(&b->bytes, bytes) + bytes <= BODY_WAY_MAX)
		return 0;
	atomic_fetch_sub(&b->bytes, bytes);
	return -1;
}

static void on_judged(struct mail *m, void *loop)
{
	struct body_work *w = (struct body_work *)m;

	atomic_fetch_sub(&w->bodies->bytes, w->bytes);
	w->judged(w);
}

static void on_work(struct mail *m, void *none)
{
	struct body_work *w = (struct body_work *)m;

	w->judge(w);
	w->mail.deliver = on_judged;
	mailbox_post(w->home, &w->mail);
}

void bodies_send(struct bodies *b, size_t bytes, struct body_work *w)
{
	w->bodies = b;
	w->bytes = bytes;
	w->mail.deliver = on_work;
	worker_post(b->worker, &w->mail);
}
