/* base/mailbox.c - a mutexed list and an eventfd. The eventfd is written only when the list was empty, so a
 * burst of posts costs one wake-up. */
#include "base/mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct mailbox {
	pthread_mutex_t lock;
	struct mail_list list;
	int fd;
};

struct mailbox *mailbox_new(void)
{
	struct mailbox *mb = xcalloc(1, sizeof *mb);
	pthread_mutex_init(&mb->lock, NULL);
	STAILQ_INIT(&mb->list);
	mb->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mb->fd < 0)
		abort();
	return mb;
}

void mailbox_free(struct mailbox *mb)
{
	if (!mb)
		return;
	assert(STAILQ_EMPTY(&mb->list));
	close(mb->fd);
	pthread_mutex_destroy(&mb->lock);
	free(mb);
}

int mailbox_fd(const struct mailbox *mb)
{
	return mb->fd;
}

static void wake(struct mailbox *mb)
{
	uint64_t one = 1;
	ssize_t n = write(mb->fd, &one, sizeof one);
	assert(n == sizeof one);
	(void)n;
}

void mailbox_post(struct mailbox *mb, struct mail *m)
{
	pthread_mutex_lock(&mb->lock);
	int was_empty = STAILQ_EMPTY(&mb->list);
	STAILQ_INSERT_TAIL(&mb->list, m, next);
	pthread_mutex_unlock(&mb->lock);
	if (was_empty)
		wake(mb);
}

void mailbox_post_all(struct mailbox *mb, struct mail_list *list)
{
	if (STAILQ_EMPTY(list))
		return;
	pthread_mutex_lock(&mb->lock);
	int was_empty = STAILQ_EMPTY(&mb->list);
	STAILQ_CONCAT(&mb->list, list);
	pthread_mutex_unlock(&mb->lock);
	if (was_empty)
		wake(mb);
}

void mailbox_take(struct mailbox *mb, struct mail_list *list)
{
	uint64_t count;

	STAILQ_INIT(list);
	if (read(mb->fd, &count, sizeof count) < 0)
		count = 0;                      /* nothing announced; the list may still be looked at */
	pthread_mutex_lock(&mb->lock);
	STAILQ_CONCAT(list, &mb->list);
	pthread_mutex_unlock(&mb->lock);
}

void mailbox_deliver(struct mailbox *mb, void *arg)
{
	struct mail_list list;

	mailbox_take(mb, &list);
	while (!STAILQ_EMPTY(&list)) {
		struct mail *m = STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		m->deliver(m, arg);
	}
}
