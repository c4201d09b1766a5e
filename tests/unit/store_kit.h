/* tests/unit/store_kit.h - a store in a folder of its own, and each verb as a call that waits for its reply. */
#pragma once
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/follow.h"
#include "store/notice.h"
#include "store/submit.h"

#define KIT_WAIT_MS 20000

struct kit {
	char folder[64];
	int dirfd;
	struct mailbox *replies, *claims, *effects, *notices;
	struct store *store;
	struct mail_list claimed;       /* taken from the mailbox, not yet looked at */
};

static inline void kit_open(struct kit *k, int jobs_max)
{
	struct err e;
	const struct store_options o = { .state_dirfd = k->dirfd, .jobs_max = jobs_max, .claims = k->claims,
					 .effects = k->effects };

	cr_assert_eq(store_open(&o, &k->store, &e), 0, "%s", e.msg);
}

static inline void kit_init(struct kit *k)
{
	*k = (struct kit){ .folder = "/tmp/store.XXXXXX" };
	STAILQ_INIT(&k->claimed);
	cr_assert(mkdtemp(k->folder));
	k->dirfd = open(k->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(k->dirfd, 0);
	k->replies = mailbox_new();
	k->claims = mailbox_new();
	k->effects = mailbox_new();
	k->notices = mailbox_new();
}

static inline void kit_on_notice(struct mail *m, void *arg)
{
	notice_unref(((struct notice_mail *)m)->notice);
	free(m);
}

static inline void kit_drop_claims(struct kit *k)
{
	struct mail_list more;

	mailbox_take(k->claims, &more);
	STAILQ_CONCAT(&k->claimed, &more);
	while (!STAILQ_EMPTY(&k->claimed)) {
		struct claim *c = (struct claim *)STAILQ_FIRST(&k->claimed);
		STAILQ_REMOVE_HEAD(&k->claimed, next);
		claim_free(c);
	}
}

static inline void kit_drop_effects(struct kit *k)
{
	struct mail_list list;

	mailbox_take(k->effects, &list);
	while (!STAILQ_EMPTY(&list)) {
		struct effect *f = (struct effect *)STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		effect_free(f);
	}
}

static inline void kit_close(struct kit *k)
{
	store_close(k->store);
	k->store = NULL;
	kit_drop_claims(k);
	kit_drop_effects(k);
	mailbox_deliver(k->notices, NULL);
}

static inline void kit_fini(struct kit *k)
{
	struct dirent *d;
	DIR *dir;

	if (k->store)
		kit_close(k);
	dir = opendir(k->folder);
	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(k->folder);
	close(k->dirfd);
	mailbox_free(k->replies);
	mailbox_free(k->claims);
	mailbox_free(k->effects);
	mailbox_free(k->notices);
}

static inline struct mail *kit_take(struct mailbox *mb, struct mail_list *list)
{
	while (STAILQ_EMPTY(list)) {
		struct pollfd p = { mailbox_fd(mb), POLLIN, 0 };
		struct mail_list more;
		cr_assert_eq(poll(&p, 1, KIT_WAIT_MS), 1, "no reply");
		mailbox_take(mb, &more);
		STAILQ_CONCAT(list, &more);
	}
	struct mail *m = STAILQ_FIRST(list);
	STAILQ_REMOVE_HEAD(list, next);
	return m;
}

/* For tests with one request in flight. */
static inline struct mail *kit_reply(struct kit *k)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct mail *m = kit_take(k->replies, &list);
	cr_assert(STAILQ_EMPTY(&list));
	return m;
}

static inline struct claim *kit_claim(struct kit *k)
{
	return (struct claim *)kit_take(k->claims, &k->claimed);
}

static inline int kit_has_claim(struct kit *k)
{
	struct mail_list more;

	mailbox_take(k->claims, &more);
	STAILQ_CONCAT(&k->claimed, &more);
	return !STAILQ_EMPTY(&k->claimed);
}

/* A push to source "github" with N_JOBS rules r0, r1, … each in a queue of its own. */
static inline struct submit *kit_push(struct kit *k, const char *key, int n_jobs)
{
	static const char *const rules[] = { "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7" };
	struct submit *s = xcalloc(1, sizeof *s);

	*s = (struct submit){
		.reply_to = k->replies, .source = xstrdup("github"), .provider = xstrdup("github"), .key = xstrdup(key),
		.event = xstrdup("push"), .action = xstrdup(""), .summary_json = xstrdup("{\"repo\":\"acme/handbook\",\"title\":\"Fix\"}"),
		.event_json = xprintf("{\"key\":\"%s\"}", key), .headers_json = xstrdup("{\"a\":\"b\"}"),
		.why_json = xstrdup("[{\"rule\":\"x\",\"because\":\"y\"}]"), .ruleset = xstrdup("abc123"), .received_ms = wall_ms(),
		.body = BUF(1 << 20), .n_jobs = n_jobs,
	};
	buf_addf(&s->body, "{\"push\":\"%s\"}", key);
	s->jobs = xcalloc(n_jobs ? (size_t)n_jobs : 1, sizeof *s->jobs);
	cr_assert_leq(n_jobs, (int)COUNT(rules));
	for (int i = 0; i < n_jobs; i++)
		s->jobs[i] = (struct submit_job){ .rule = rules[i], .file = "rules/a.lua", .queue = xstrdup(rules[i]), .policy.limit = 1,
						  .timeout_ms = 60000 };
	return s;
}

static inline enum store_outcome kit_submit(struct kit *k, struct submit *s)
{
	store_submit(k->store, s);
	cr_assert_eq(kit_reply(k), &s->mail);
	return s->outcome;
}

/* One job in queue QUEUE; its id. */
static inline int64_t kit_job(struct kit *k, const char *key, const char *queue, int limit)
{
	struct submit *s = kit_push(k, key, 1);

	free(s->jobs[0].queue);
	s->jobs[0].queue = xstrdup(queue);
	s->jobs[0].policy.limit = limit;
	cr_assert_eq(kit_submit(k, s), STORE_OK);
	int64_t job = s->jobs[0].job;
	submit_free(s);
	return job;
}

static inline enum store_outcome kit_finish_with(struct kit *k, struct job_result r, int again)
{
	struct finish *f = xcalloc(1, sizeof *f);

	*f = (struct finish){ .reply_to = k->replies, .result = r, .again = again };
	store_finish(k->store, f);
	cr_assert_eq(kit_reply(k), &f->mail);
	enum store_outcome outcome = f->outcome;
	free(f);
	return outcome;
}

static inline enum store_outcome kit_finish(struct kit *k, int64_t job, int attempt, enum job_state state)
{
	return kit_finish_with(k, (struct job_result){ .job = job, .attempt = attempt, .state = state, .exit_code = 3,
						       .log_bytes = 812, .reason = "done" }, 0);
}

static inline struct cancel kit_cancel(struct kit *k, int64_t job)
{
	struct cancel c = { .reply_to = k->replies, .job = job, .reason = "cancelled by ada" };

	store_cancel(k->store, &c);
	cr_assert_eq(kit_reply(k), &c.mail);
	return c;
}

/* READ's json, or NULL with the outcome in *outcome. Owned. */
static inline char *kit_read(struct kit *k, struct read r, enum store_outcome *outcome)
{
	r.reply_to = k->replies;
	if (!r.limit)
		r.limit = 50;
	store_read(k->store, &r);
	cr_assert_eq(kit_reply(k), &r.mail);
	if (outcome)
		*outcome = r.outcome;
	free(r.attempts);
	free(r.state_json);
	if (r.outcome == STORE_OK)
		return buf_take(&r.json);
	buf_fini(&r.json);
	return NULL;
}

#define KIT_SAYS(k, text_, ...) do { \
	CLEANUP(freep) char *says_ = kit_read((k), (struct read){ __VA_ARGS__ }, NULL); \
	cr_assert(says_ && strstr(says_, (text_)), "%s\nis not in\n%s", (text_), says_ ? says_ : "(nothing)"); \
} while (0)
