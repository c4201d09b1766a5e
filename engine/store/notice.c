/* store/notice.c - what a commit changed, told to all who watch: one counted block with one text for all of them. */
#include "store/notice.h"
#include "store/write.h"

#include <stdatomic.h>
#include <stdlib.h>

#define NOTICE_MAX_BYTES ((size_t)256 << 20)

struct box {
	struct notice notice;           /* first: what others see */
	atomic_int refs;
	struct buf texts;
};

static struct box *box_of(struct notice *n)
{
	return (struct box *)(void *)n;
}

struct notice *notice_new(size_t room)
{
	struct box *b = xcalloc(1, sizeof *b);

	b->notice.changes = room ? xcalloc(room, sizeof *b->notice.changes) : NULL;
	atomic_init(&b->refs, 1);
	b->texts = BUF(NOTICE_MAX_BYTES);
	return &b->notice;
}

struct notice *notice_ref(struct notice *n)
{
	atomic_fetch_add_explicit(&box_of(n)->refs, 1, memory_order_relaxed);
	return n;
}

void notice_unref(struct notice *n)
{
	if (!n || atomic_fetch_sub_explicit(&box_of(n)->refs, 1, memory_order_acq_rel) > 1)
		return;
	buf_fini(&box_of(n)->texts);
	free(n->changes);
	free(box_of(n));
}

struct buf *notice_texts(struct notice *n)
{
	return &box_of(n)->texts;
}
