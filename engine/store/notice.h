/* store/notice.h - after each commit, what changed, to every mailbox registered. */
#pragma once
#include "base/mailbox.h"
#include "base/slice.h"
#include "model/job.h"

struct store;

struct change {
	int64_t change;                 /* the sequence number: grows with every change, never reused, survives restarts */
	int64_t job, delivery;          /* one of them is 0 */
	enum job_state state;           /* jobs */
	int attempt;
	int attempt_ended;              /* 1: that attempt's journal is whole, log_bytes is its length */
	int64_t log_bytes;
	struct slice json;              /* the list form of the job or delivery, one line */
};
struct notice {                         /* shared, counted: one per commit, however many receive it */
	size_t n;
	struct change *changes;
};
struct notice_mail {                    /* what arrives; store_watch's deliver frees the mail and unrefs the notice */
	struct mail mail;
	struct notice *notice;
};
void notice_unref(struct notice *n);
void store_watch(struct store *s, struct mailbox *to, void (*deliver)(struct mail *m, void *arg));   /* before traffic */
