/* front/loops.c - mail to the loops, and what each keeps. */
#include "front/loops.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/http.h"
#include "front/sse.h"
#include "store/notice.h"
#include "store/store.h"

#define EPHEMERAL_MAX 2048              /* under way to all loops; more are not worth keeping */

void *loops_on_start(struct http_loop *hl, void *front)
{
	struct front *f = front;
	struct loop *l = xcalloc(1, sizeof *l);
	const struct sse_options o = { .loop = hl, .store = f->store, .journals_dirfd = f->journals_dirfd };
	struct err e;

	*l = (struct loop){ .front = f, .http = hl, .edition = edition_ref(f->first_edition) };
	l->sse = sse_hub_new(&o, &e);
	if (!l->sse) {
		log_error("a loop cannot start", "reason=\"%s\"", e.msg);
		abort();
	}
	return l;
}

static void on_notice(struct mail *m, void *http_loop)
{
	struct notice_mail *n = (struct notice_mail *)m;
	struct loop *l = http_loop_data(http_loop);

	sse_on_notice(l->sse, n->notice);
	notice_unref(n->notice);
	free(n);
}

void loops_watch_store(struct front *f)
{
	for (int i = 0; i < http_loop_count(f->http); i++)
		store_watch(f->store, http_loop_mailbox(http_loop_at(f->http, i)), on_notice);
}

struct edition_mail {
	struct mail mail;
	struct edition *edition;
};

static void on_edition(struct mail *m, void *http_loop)
{
	struct edition_mail *em = (struct edition_mail *)m;
	struct loop *l = http_loop_data(http_loop);

	edition_unref(l->edition);
	l->edition = em->edition;
	sse_on_ruleset(l->sse);
	free(em);
}

void loops_put_edition(struct front *f, struct edition *ed)
{
	for (int i = 0; f->http && i < http_loop_count(f->http); i++) {
		struct edition_mail *em = xcalloc(1, sizeof *em);
		*em = (struct edition_mail){ .mail.deliver = on_edition, .edition = edition_ref(ed) };
		mailbox_post(http_loop_mailbox(http_loop_at(f->http, i)), &em->mail);
	}
}

struct ephemeral_mail {
	struct mail mail;
	int64_t job;
	int attempt;
	size_t len;
	char text[];
};

static void on_ephemeral(struct mail *m, void *http_loop)
{
	struct ephemeral_mail *em = (struct ephemeral_mail *)m;
	struct loop *l = http_loop_data(http_loop);

	atomic_fetch_sub(&l->front->ephemerals, 1);
	sse_on_ephemeral(l->sse, em->job, em->attempt, (struct slice){ em->text, em->len });
	free(em);
}

void loops_post_ephemeral(struct front *f, int64_t job, int attempt, struct slice text)
{
	for (int i = 0; f->http && i < http_loop_count(f->http); i++) {
		if (atomic_load(&f->ephemerals) >= EPHEMERAL_MAX)
			return;
		atomic_fetch_add(&f->ephemerals, 1);
		struct ephemeral_mail *em = xmalloc(sizeof *em + text.len);
		em->mail.deliver = on_ephemeral;
		em->job = job;
		em->attempt = attempt;
		em->len = text.len;
		memcpy(em->text, text.ptr, text.len);
		mailbox_post(http_loop_mailbox(http_loop_at(f->http, i)), &em->mail);
	}
}

void loops_on_drain(struct http_loop *hl, void *front)
{
	struct loop *l = http_loop_data(hl);
	sse_drain(l->sse);
}

int loops_count_watchers(struct front *f)
{
	int n = 0;
	for (int i = 0; i < http_loop_count(f->http); i++) {
		const struct loop *l = http_loop_data(http_loop_at(f->http, i));
		n += l ? sse_count(l->sse) : 0;
	}
	return n;
}

void loops_on_end(struct http_loop *hl, void *data)
{
	struct loop *l = data;

	if (!l)
		return;
	sse_hub_free(l->sse);
	edition_unref(l->edition);
	free(l);
}
