/* front/house.c - prune and sweep. The row goes first, then the file: a file without a row is a stray that the next sweep
 * takes, a row without its file would be a lie. A sweep walks over a folder and asks the store about one name after the other,
 * a few at a time, so that it never stands in a watcher's way.
 *
 * When a rule set's file may go. A delivery is stored under the rule set of an edition (ingest.c, chain.c, ...), so a set is
 * named by
 *     - rows: `ruleset` has one where a delivery that is kept names it (store/schema.c), and what has jobs is kept;
 *     - editions: the one in force, and earlier ones that requests under way still hold; what these store, they store before
 *       they let go. The house holds each, and knows by the count when it is the last to do so.
 * A set of no edition is asked about. Where the answer is that no row names it, none will, as long as no set has come into
 * force since the question: an edit back brings back an old one, and finds its file there. So then the answer is dropped, and
 * a later sweep asks again. Sets come into force on this thread, so nothing can come between that look and the unlink; and a
 * set that comes back later is written, and synced, anew before it is in force (shelf.c). */
#include "front/house.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "front/edition.h"
#include "front/shelf.h"
#include "journal/file.h"
#include "rules/ruleset.h"
#include "store/store.h"

#define PRUNE_EVERY_MS 60000
#define RULESETS_EVERY_MS (3600 * 1000)         /* and when an edition was let go */
#define LOOK_AGAIN_MS 1000                      /* whether an earlier edition is still held */
#define ASKED_AT_ONCE 8

struct sweep {
	struct house *house;
	DIR *folder;                    /* NULL: not under way, or at its end */
	int asked, swept;
	void (*look)(struct sweep *s, const char *name);        /* at a file: ask about it, or not */
	const char *said;               /* to the log, once files were swept */
};

struct house {
	struct store *store;
	int journals_dirfd;
	struct shelf *shelf;
	struct mailbox *mail;
	int is_over;
	struct edition **held;          /* references: earlier ones, and last the one in force */
	size_t n_held;
	int64_t put;                    /* how many editions came into force */
	struct sweep journals, rulesets;
	int64_t prune_at_ms, rulesets_at_ms;
};

struct question {
	struct read read;               /* first: its mail is ours */
	struct sweep *sweep;
	int attempt;
	int64_t put;                    /* the house's, as it was asked */
};

/* ---- a sweep ---- */

static void sweep_begin(struct sweep *s, int folder_dirfd)
{
	int fd = openat(folder_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	s->folder = fd < 0 ? NULL : fdopendir(fd);
}

static void sweep_stop(struct sweep *s)
{
	if (s->folder)
		closedir(s->folder);
	s->folder = NULL;
}

static int sweep_is_over(const struct sweep *s)
{
	return !s->folder && s->asked == 0;
}

static void sweep_go_on(struct sweep *s)
{
	while (s->folder && s->asked < ASKED_AT_ONCE) {
		struct dirent *entry = readdir(s->folder);
		if (entry)
			s->look(s, entry->d_name);
		else
			sweep_stop(s);
	}
	if (sweep_is_over(s) && s->swept) {
		log_info(s->said, "files=%d", s->swept);
		s->swept = 0;
	}
}

static struct question *question_new(struct sweep *s, enum read_what what, void (*on_told)(struct mail *m, void *desk))
{
	struct question *q = xcalloc(1, sizeof *q);

	q->sweep = s;
	q->put = s->house->put;
	q->read = (struct read){ .mail.deliver = on_told, .reply_to = s->house->mail, .what = what, .limit = 1 };
	s->asked++;
	return q;
}

static void question_end(struct question *q)
{
	struct sweep *s = q->sweep;

	s->asked--;
	buf_fini(&q->read.json);
	free(q->read.attempts);
	free(q->read.state_json);
	free(q);
	sweep_go_on(s);
}

/* ---- journals ---- */

static void on_journal_told(struct mail *m, void *desk)
{
	struct question *q = (struct question *)m;
	struct sweep *s = q->sweep;

	if (q->read.outcome == STORE_NOT_FOUND && journal_unlink(s->house->journals_dirfd, q->read.a, q->attempt) == 0)
		s->swept++;
	question_end(q);
}

static void look_at_journal(struct sweep *s, const char *name)
{
	int64_t job;
	int attempt;

	if (journal_name_parse(slice_of(name), &job, &attempt) < 0)
		return;
	struct question *q = question_new(s, READ_WATCH, on_journal_told);
	q->read.a = job;
	q->attempt = attempt;
	store_read(s->house->store, &q->read);
}

/* ---- rule sets ---- */

static void on_ruleset_told(struct mail *m, void *desk)
{
	struct question *q = (struct question *)m;
	struct sweep *s = q->sweep;
	struct house *h = s->house;

	if (q->read.outcome == STORE_NOT_FOUND && !h->is_over && q->put == h->put && shelf_drop(h->shelf, q->read.text) == 0)
		s->swept++;
	if (q->put != h->put)
		h->rulesets_at_ms = 0;
	question_end(q);
}

static int is_held(const struct house *h, const char *sha256)
{
	for (size_t i = 0; i < h->n_held; i++)
		if (strcmp(ruleset_sha256(h->held[i]->rules), sha256) == 0)
			return 1;
	return 0;
}

static void look_at_ruleset(struct sweep *s, const char *name)
{
	enum shelf_name what = shelf_name_is(name);

	if (what == SHELF_TORN)                 /* sets are written on this thread, and not now */
		s->swept += shelf_drop(s->house->shelf, name) == 0;
	if (what != SHELF_RULESET || is_held(s->house, name))
		return;
	struct question *q = question_new(s, READ_RULESET, on_ruleset_told);
	snprintf(q->read.text, sizeof q->read.text, "%s", name);
	store_read(s->house->store, &q->read);
}

/* Earlier editions that nobody else holds any more. */
static void let_go(struct house *h)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n_held; i++)
		if (i + 1 < h->n_held && edition_is_alone(h->held[i])) {
			edition_unref(h->held[i]);
			h->rulesets_at_ms = 0;
		} else {
			h->held[n++] = h->held[i];
		}
	h->n_held = n;
}

void house_put_edition(struct house *h, struct edition *ed)
{
	h->held = xrealloc(h->held, (h->n_held + 1) * sizeof *h->held);
	h->held[h->n_held++] = edition_ref(ed);
	h->put++;
}

/* ---- beginning and end ---- */

struct house *house_new(struct store *store, int journals_dirfd, struct shelf *shelf, struct mailbox *mail)
{
	struct house *h = xcalloc(1, sizeof *h);

	*h = (struct house){ .store = store, .journals_dirfd = journals_dirfd, .shelf = shelf, .mail = mail,
		.journals = { h, NULL, .look = look_at_journal, .said = "swept journals whose jobs are gone" },
		.rulesets = { h, NULL, .look = look_at_ruleset, .said = "swept rule sets that nothing names any more" } };
	sweep_begin(&h->journals, journals_dirfd);
	return h;
}

void house_stop(struct house *h)
{
	h->is_over = 1;
	sweep_stop(&h->journals);
	sweep_stop(&h->rulesets);
}

void house_free(struct house *h)
{
	if (!h)
		return;
	house_stop(h);
	for (size_t i = 0; i < h->n_held; i++)
		edition_unref(h->held[i]);
	free(h->held);
	free(h);
}

/* On the store's thread. The folder's descriptor outlives the store. */
static void on_gone(int64_t job, int attempt, void *arg)
{
	const struct house *h = arg;
	journal_unlink(h->journals_dirfd, job, attempt);
}

static void prune(struct house *h, const struct config *config)
{
	const struct keep keep = { .deliveries_ms = config->keep_deliveries_ms, .jobs_ms = config->keep_jobs_ms,
				   .bodies_bytes = config->keep_bodies_bytes };

	store_prune(h->store, &keep, on_gone, h);
	if (h->journals.asked == 0)
		sweep_go_on(&h->journals);
}

static int64_t sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t house_turn(struct house *h, const struct config *config, int64_t now_mono_ms)
{
	assert(!h->is_over);
	let_go(h);
	if (now_mono_ms >= h->prune_at_ms) {
		prune(h, config);
		h->prune_at_ms = now_mono_ms + PRUNE_EVERY_MS;
	}
	if (now_mono_ms >= h->rulesets_at_ms && sweep_is_over(&h->rulesets)) {
		h->rulesets_at_ms = now_mono_ms + RULESETS_EVERY_MS;
		sweep_begin(&h->rulesets, shelf_folder(h->shelf));
		sweep_go_on(&h->rulesets);
	}
	int64_t next = h->n_held > 1 ? sooner(h->prune_at_ms, now_mono_ms + LOOK_AGAIN_MS) : h->prune_at_ms;
	return sweep_is_over(&h->rulesets) ? sooner(next, h->rulesets_at_ms) : next;
}
