/* front/house.c - prune and sweep. The row goes first, then the file: a journal without a row is a stray that the next
 * sweep takes, a row without its journal would be a lie. The sweep asks the store about one job after the other, a few
 * at a time, so that it never stands in a watcher's way. */
#include "front/house.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "journal/file.h"
#include "rules/ruleset.h"
#include "store/store.h"

#define PRUNE_EVERY_MS 60000
#define ASKED_AT_ONCE 8

struct house {
	struct store *store;
	int journals_dirfd;
	struct mailbox *mail;
	DIR *folder;                    /* while sweeping */
	int asked, swept;
	int64_t prune_at_ms;
};

struct question {
	struct read read;
	int attempt;
};

struct house *house_new(struct store *store, int journals_dirfd, struct mailbox *mail)
{
	struct house *h = xcalloc(1, sizeof *h);

	*h = (struct house){ .store = store, .journals_dirfd = journals_dirfd, .mail = mail };
	int fd = openat(journals_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	h->folder = fd < 0 ? NULL : fdopendir(fd);
	return h;
}

void house_stop(struct house *h)
{
	if (h->folder)
		closedir(h->folder);
	h->folder = NULL;
}

void house_free(struct house *h)
{
	if (h)
		house_stop(h);
	free(h);
}

static void ask_more(struct house *h);

static void on_told(struct mail *m, void *desk)
{
	struct question *q = (struct question *)m;
	struct house *h = q->read.arg;

	if (q->read.outcome == STORE_NOT_FOUND && journal_unlink(h->journals_dirfd, q->read.a, q->attempt) == 0)
		h->swept++;
	h->asked--;
	buf_fini(&q->read.json);
	free(q->read.attempts);
	free(q->read.state_json);
	free(q);
	ask_more(h);
}

static void ask(struct house *h, int64_t job, int attempt)
{
	struct question *q = xcalloc(1, sizeof *q);

	q->attempt = attempt;
	q->read = (struct read){ .mail.deliver = on_told, .reply_to = h->mail, .what = READ_WATCH, .a = job, .limit = 1,
				 .arg = h };
	h->asked++;
	store_read(h->store, &q->read);
}

static void ask_more(struct house *h)
{
	struct dirent *entry;
	int64_t job;
	int attempt;

	while (h->folder && h->asked < ASKED_AT_ONCE) {
		entry = readdir(h->folder);
		if (!entry)
			house_stop(h);
		else if (journal_name_parse(slice_of(entry->d_name), &job, &attempt) == 0)
			ask(h, job, attempt);
	}
	if (!h->folder && h->asked == 0 && h->swept) {
		log_info("swept journals whose jobs are gone", "journals=%d", h->swept);
		h->swept = 0;
	}
}

/* On the store's thread. The folder's descriptor outlives the store. */
static void on_gone(int64_t job, int attempt, void *arg)
{
	const struct house *h = arg;
	journal_unlink(h->journals_dirfd, job, attempt);
}

int64_t house_turn(struct house *h, const struct config *config, int64_t now_mono_ms)
{
	if (now_mono_ms < h->prune_at_ms)
		return h->prune_at_ms;
	if (h->asked == 0)
		ask_more(h);
	const struct keep keep = { .deliveries_ms = config->keep_deliveries_ms, .jobs_ms = config->keep_jobs_ms,
				   .bodies_bytes = config->keep_bodies_bytes };
	store_prune(h->store, &keep, on_gone, h);
	h->prune_at_ms = now_mono_ms + PRUNE_EVERY_MS;
	return h->prune_at_ms;
}
