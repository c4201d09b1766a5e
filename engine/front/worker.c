/* front/worker.c - a mailbox with a thread behind it. */
#include "front/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#define STACK_BYTES (1 << 20)

struct worker {
	struct mailbox *mail;
	pthread_t thread;
	struct mail stop;
	int is_stopped;                 /* the worker's thread alone looks at it */
};

static void on_stop(struct mail *m, void *arg)
{
	struct worker *w = (struct worker *)((char *)m - offsetof(struct worker, stop));
	w->is_stopped = 1;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	while (!w->is_stopped) {
		struct pollfd p = { .fd = mailbox_fd(w->mail), .events = POLLIN };
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			abort();
		mailbox_deliver(w->mail, NULL);
	}
	return NULL;
}

struct worker *worker_new(const char *name)
{
	struct worker *w = xcalloc(1, sizeof *w);
	pthread_attr_t attr;

	w->mail = mailbox_new();
	w->stop.deliver = on_stop;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(&w->thread, &attr, run, w) != 0)
		abort();
	pthread_attr_destroy(&attr);
	pthread_setname_np(w->thread, name);
	return w;
}

void worker_post(struct worker *w, struct mail *m)
{
	mailbox_post(w->mail, m);
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	worker_post(w, &w->stop);
	pthread_join(w->thread, NULL);
	mailbox_free(w->mail);
	free(w);
}
