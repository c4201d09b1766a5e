/* store/store.c - the two threads and their mail.
 *
 * A verb wraps its request in an errand and posts it. The writing thread takes all the mail there is, runs it as one
 * transaction, commits once, and only then lets anything out: the claims, the replies, the notice of what changed, so
 * that whoever acts on a reply finds the claim already made. While it waits for the disk the next batch gathers, so
 * batches grow with the load and nothing is ever delayed on purpose. What cannot be committed comes back STORE_UNKNOWN,
 * all of it; but while the disk is merely full, the results of attempts are kept and tried again, for nobody else would:
 * they are as many as jobs may run.
 *
 * The log (WAL) is written back into the database between batches when it has grown past a bound, and when nothing has
 * come for a moment. Only the writing thread does that, and a lock on a file beside the database holds off every other
 * process that would. */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/follow.h"
#include "store/notice.h"
#include "store/prune.h"
#include "store/read.h"
#include "store/submit.h"
#include "store/write.h"

#define BATCH_MAX_REQUESTS 512
#define BATCH_MAX_BYTES ((size_t)64 << 20)
#define WAL_MAX_BYTES (4 << 20)                 /* written back past this: more is a longer pause, no less work */
#define WAL_IDLE_MS 200                         /* written back after this long without mail */
#define FULL_RETRY_MS 1000                      /* results that found the disk full */
#define LOCK_WAIT_MS 10000
#define LOCK_RETRY_MS 20
#define CONFINEMENT_MAX 256

enum errand_kind { DO_SUBMIT, DO_FINISH, DO_CANCEL, DO_STARTED, DO_EFFECT_DONE, DO_ARM, DO_PRUNE, DO_DUE,     /* in the transaction */
		   DO_JOBS_MAX, DO_LISTEN, DO_RECOVER_DONE, DO_WATCH, DO_ON_STOP,       /* the writer's own state */
		   DO_READ, DO_RECOVER,                                         /* the reader's */
		   DO_STOP };

struct errand {
	struct mail mail;
	enum errand_kind kind;
	union {
		struct submit *submit;
		struct finish *finish;
		struct cancel *cancel;
		struct arm *arm;
		int64_t effect;
		struct { int to_jobs, to_rules; } listen;
		struct read *read;
		struct { int64_t job; int attempt; char confinement[CONFINEMENT_MAX]; } started;
		struct { struct prune state; void (*on_gone)(int64_t job, int attempt, void *arg); void *arg; } prune;
		struct { struct mailbox *to; void (*deliver)(struct mail *m, void *arg); } watch;
		struct { struct mailbox *reply_to; struct running *list; size_t n; enum db_rc rc; } recover;
		int jobs_max;
	};
};

struct watcher {
	struct mailbox *to;
	void (*deliver)(struct mail *m, void *arg);
};

struct store {
	int lock_fd;
	struct mailbox *claims, *effects;       /* borrowed; effects may be NULL */
	struct mailbox *to_writer, *to_reader;
	pthread_t writer_thread, reader_thread;
	atomic_int is_broken;
	char why[200];                  /* written before is_broken */

	/* the writing thread's */
	struct writer writer;
	struct watcher *watchers, on_stop;      /* on_stop.to: NULL where nobody wants to know */
	size_t n_watchers;
	int is_due_taken;               /* an errand is under way for those whose debounce is over */
	int wal_pages, wal_done;        /* pages in the log; how many of them are in the database too */
	int is_ending;
	int n_effects;                  /* posted, and not done */
	struct mail_list later;         /* results to try again, not before later_ms (mono) */
	int64_t later_ms;

	/* the reading thread's */
	struct db reader;
};

static struct errand *errand(enum errand_kind kind)
{
	struct errand *e = xcalloc(1, sizeof *e);
	e->kind = kind;
	return e;
}

static void broke(struct store *s, const char *doing)
{
	if (atomic_load_explicit(&s->is_broken, memory_order_acquire))
		return;
	snprintf(s->why, sizeof s->why, "%s: %s", doing, s->writer.db.error);
	atomic_store_explicit(&s->is_broken, 1, memory_order_release);
}

int store_is_broken(struct store *s)
{
	return atomic_load_explicit(&s->is_broken, memory_order_acquire);
}

const char *store_why_broken(struct store *s)
{
	return store_is_broken(s) ? s->why : "";
}

/* ---- the writer: the log goes back into the database ---- */

static int on_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct store *s = arg;

	if (pages < s->wal_done)
		s->wal_done = 0;                /* the log has started over */
	s->wal_pages = pages;
	return SQLITE_OK;
}

/* Without waiting: what a reader's snapshot still needs is left for the next time. A full disk is left, too; any other
 * error means that the database file may not hold what the log did. */
static void checkpoint(struct store *s)
{
	int pages = 0, done = 0;
	int rc = sqlite3_wal_checkpoint_v2(s->writer.db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);

	if (rc == SQLITE_OK) {
		s->wal_done = done < 0 ? 0 : done;
		s->wal_pages = pages < 0 ? 0 : pages;
	} else if ((rc & 0xff) == SQLITE_FULL || (rc & 0xff) == SQLITE_BUSY) {
		s->wal_done = s->wal_pages;
	} else {
		snprintf(s->writer.db.error, sizeof s->writer.db.error, "%s (%d)", sqlite3_errstr(rc), rc);
		broke(s, "checkpoint");
	}
}

static int has_log(const struct store *s)
{
	return s->wal_pages > s->wal_done;
}

static int log_is_long(const struct store *s)
{
	return s->wal_pages - s->wal_done > WAL_MAX_BYTES / STORE_PAGE_BYTES;
}

/* ---- the writer: one batch ---- */

static enum db_rc perform(struct store *s, struct errand *e)
{
	struct writer *w = &s->writer;
	enum db_rc rc;

	switch (e->kind) {
	case DO_SUBMIT: return write_submit(w, e->submit);
	case DO_FINISH: return write_finish(w, e->finish);
	case DO_CANCEL: return write_cancel(w, e->cancel);
	case DO_STARTED: return write_started(w, e->started.job, e->started.attempt, e->started.confinement);
	case DO_EFFECT_DONE: return write_effect_done(w, e->effect);
	case DO_ARM: return write_arm(w, e->arm);
	case DO_PRUNE:                          /* a batch of its own: what is refused undoes all of it */
		rc = prune_piece(w, &e->prune.state);
		return rc == DB_REFUSED ? DB_FULL : rc;
	case DO_DUE: return write_due(w);
	case DO_JOBS_MAX:
	case DO_LISTEN:
	case DO_RECOVER_DONE:
	case DO_WATCH:
	case DO_ON_STOP:
	case DO_STOP: return DB_OK;             /* note() has done it; here they are a turn in which jobs may be claimed */
	case DO_READ:
	case DO_RECOVER: break;
	}
	assert(!"an errand of the reader");
	return DB_BROKEN;
}

/* What no transaction can undo is done when the errand is taken up. */
static void note(struct store *s, const struct errand *e)
{
	if (e->kind == DO_JOBS_MAX)
		s->writer.jobs_max = e->jobs_max;
	if (e->kind == DO_RECOVER_DONE)
		s->writer.may_claim = 1;
	if (e->kind == DO_LISTEN) {
		s->writer.hears_jobs = e->listen.to_jobs;
		s->writer.hears_rules = e->listen.to_rules;
	}
	if (e->kind == DO_WATCH) {
		s->watchers = xrealloc(s->watchers, (s->n_watchers + 1) * sizeof *s->watchers);
		s->watchers[s->n_watchers++] = (struct watcher){ e->watch.to, e->watch.deliver };
	}
	if (e->kind == DO_ON_STOP)
		s->on_stop = (struct watcher){ e->watch.to, e->watch.deliver };
	if (e->kind == DO_STOP)
		s->is_ending = 1;
}

/* What was not committed: nothing of it may be believed. */
static void mark_unknown(struct errand *e)
{
	switch (e->kind) {
	case DO_SUBMIT:
		e->submit->outcome = STORE_UNKNOWN;
		e->submit->delivery = e->submit->same_as = 0;
		free(TAKE(&e->submit->first_jobs_json));
		for (int i = 0; i < e->submit->n_jobs; i++)
			e->submit->jobs[i].job = 0;
		break;
	case DO_FINISH: e->finish->outcome = STORE_UNKNOWN; break;
	case DO_CANCEL: e->cancel->outcome = STORE_UNKNOWN; break;
	case DO_ARM: e->arm->outcome = STORE_UNKNOWN; break;
	case DO_PRUNE: e->prune.state.phase = PRUNE_DONE; e->prune.state.n_gone = 0; break;
	case DO_EFFECT_DONE:
	case DO_STARTED:
	case DO_DUE:
	case DO_JOBS_MAX:
	case DO_LISTEN:
	case DO_RECOVER_DONE:
	case DO_WATCH:
	case DO_ON_STOP:
	case DO_READ:
	case DO_RECOVER:
	case DO_STOP: break;
	}
}

static enum db_rc run_batch(struct store *s, struct mail_list *batch, int is_careful)
{
	struct mail *m;
	enum db_rc rc;

	s->writer.is_careful = is_careful;
	rc = write_begin(&s->writer);
	STAILQ_FOREACH(m, batch, next) {
		if (rc != DB_OK)
			return rc;
		struct errand *e = (struct errand *)m;
		rc = perform(s, e);
		if (rc == DB_REFUSED && is_careful) {
			mark_unknown(e);
			rc = DB_OK;
		}
	}
	if (rc == DB_OK)
		rc = write_claims(&s->writer);
	return rc == DB_OK ? write_commit(&s->writer) : rc;
}

static enum db_rc transact(struct store *s, struct mail_list *batch)
{
	struct mail *m;
	enum db_rc rc = run_batch(s, batch, 0);

	if (rc != DB_REFUSED)
		return rc;
	rc = write_rollback(&s->writer);
	STAILQ_FOREACH(m, batch, next)
		mark_unknown((struct errand *)m);
	return rc == DB_OK ? run_batch(s, batch, 1) : DB_BROKEN;
}

/* Ends errand E: its request goes back to whoever sent it. A prune that is not through goes to the end of PENDING. */
static void settle(struct store *s, struct errand *e, struct mail_list *pending)
{
	switch (e->kind) {
	case DO_SUBMIT:
		s->n_effects -= e->submit->effect != 0;
		mailbox_post(e->submit->reply_to, &e->submit->mail);
		break;
	case DO_EFFECT_DONE: s->n_effects--; break;
	case DO_ARM: mailbox_post(e->arm->reply_to, &e->arm->mail); break;
	case DO_FINISH: mailbox_post(e->finish->reply_to, &e->finish->mail); break;
	case DO_CANCEL: mailbox_post(e->cancel->reply_to, &e->cancel->mail); break;
	case DO_PRUNE:
		for (size_t i = 0; i < e->prune.state.n_gone && e->prune.on_gone; i++)
			e->prune.on_gone(e->prune.state.gone[i].job, e->prune.state.gone[i].attempt, e->prune.arg);
		e->prune.state.n_gone = 0;
		if (e->prune.state.phase != PRUNE_DONE && !s->is_ending) {
			STAILQ_INSERT_TAIL(pending, &e->mail, next);
			return;
		}
		prune_fini(&e->prune.state);
		break;
	case DO_DUE: s->is_due_taken = 0; break;
	case DO_STARTED:
	case DO_JOBS_MAX:
	case DO_LISTEN:
	case DO_RECOVER_DONE:
	case DO_WATCH:
	case DO_ON_STOP:
	case DO_READ:
	case DO_RECOVER:
	case DO_STOP: break;
	}
	free(e);
}

static void settle_all(struct store *s, struct mail_list *batch, struct mail_list *pending)
{
	while (!STAILQ_EMPTY(batch)) {
		struct mail *m = STAILQ_FIRST(batch);
		STAILQ_REMOVE_HEAD(batch, next);
		settle(s, (struct errand *)m, pending);
	}
}

static void give_up(struct store *s, enum db_rc rc, struct mail_list *batch)
{
	struct mail *m;

	if (rc != DB_FULL) {
		broke(s, "write");
	} else if (write_rollback(&s->writer) != DB_OK) {
		broke(s, "rollback");
	}
	STAILQ_FOREACH(m, batch, next)
		mark_unknown((struct errand *)m);
}

/* Before the submits go back: their bytes move on into the claims. */
static void make_claims(struct store *s, struct mail_list *claims)
{
	STAILQ_INIT(claims);
	for (size_t i = 0; i < s->writer.n_claimed; i++) {
		struct claim *c;
		if (write_claim_take(&s->writer, i, &c) != DB_ROW) {
			broke(s, "claim");
			return;
		}
		STAILQ_INSERT_TAIL(claims, &c->mail, next);
	}
}

/* Owned, or NULL: nothing changed, or nobody watches. */
static struct notice *make_notice(struct store *s)
{
	struct notice *n = NULL;

	if (s->n_watchers && write_notice(&s->writer, &n) < DB_OK)
		broke(s, "notice");
	return n;
}

/* N is taken. */
static void post_notice(struct store *s, struct notice *n)
{
	for (size_t i = 0; i < s->n_watchers && n; i++) {
		struct notice_mail *m = xcalloc(1, sizeof *m);
		m->mail.deliver = s->watchers[i].deliver;
		m->notice = notice_ref(n);
		mailbox_post(s->watchers[i].to, &m->mail);
	}
	notice_unref(n);
}

static void post_stops(struct store *s)
{
	for (size_t i = 0; i < s->writer.n_stopping && s->on_stop.to; i++) {
		const struct stopping *t = &s->writer.stopping[i];
		struct stop *m = xcalloc(1, sizeof *m);
		*m = (struct stop){ .mail.deliver = s->on_stop.deliver, .job = t->job, .attempt = t->attempt };
		memcpy(m->reason, t->reason, sizeof t->reason);
		mailbox_post(s->on_stop.to, &m->mail);
	}
}

/* As many as may be under way. */
static void post_effects(struct store *s)
{
	struct effect *f;
	enum db_rc rc = DB_ROW;

	while (s->effects && s->writer.may_claim && s->writer.may_have_effects && s->n_effects < EFFECTS_MAX && rc == DB_ROW) {
		rc = write_effect_take(&s->writer, &f);
		if (rc < DB_OK)
			broke(s, "effects");
		if (rc != DB_ROW)
			return;
		s->n_effects++;
		mailbox_post(s->effects, &f->mail);
	}
}

/* The next batch from the front of PENDING. A piece of pruning is a batch of its own, so that no submit waits for it. */
static void take_batch(struct store *s, struct mail_list *pending, struct mail_list *batch)
{
	size_t n = 0, bytes = 0;
	int is_prune = 0;

	STAILQ_INIT(batch);
	while (!STAILQ_EMPTY(pending) && n < BATCH_MAX_REQUESTS && bytes < BATCH_MAX_BYTES && !is_prune) {
		struct mail *m = STAILQ_FIRST(pending);
		struct errand *e = (struct errand *)m;
		is_prune = e->kind == DO_PRUNE;
		if (is_prune && n)
			break;
		STAILQ_REMOVE_HEAD(pending, next);
		STAILQ_INSERT_TAIL(batch, m, next);
		note(s, e);
		if (e->kind == DO_SUBMIT)
			bytes += e->submit->body.len;
		n++;
	}
}

/* What nobody would send again. */
static int is_ours(const struct errand *e)
{
	return e->kind == DO_FINISH || e->kind == DO_ARM || e->kind == DO_EFFECT_DONE || e->kind == DO_DUE ||
	       (e->kind == DO_SUBMIT && (e->submit->effect || e->submit->cron_rule));
}

/* Takes out of BATCH what is to be tried again. */
static void keep_results(struct store *s, struct mail_list *batch)
{
	struct mail_list others = STAILQ_HEAD_INITIALIZER(others);

	if (STAILQ_EMPTY(&s->later))            /* not put off by every other batch that finds no room */
		s->later_ms = mono_ms() + FULL_RETRY_MS;
	while (!STAILQ_EMPTY(batch)) {
		struct mail *m = STAILQ_FIRST(batch);
		struct mail_list *to = is_ours((struct errand *)m) ? &s->later : &others;
		STAILQ_REMOVE_HEAD(batch, next);
		STAILQ_INSERT_TAIL(to, m, next);
	}
	STAILQ_CONCAT(batch, &others);
}

/* Before anything newer, once their time has come, or the end. */
static void take_later(struct store *s, struct mail_list *pending)
{
	if (STAILQ_EMPTY(&s->later) || (mono_ms() < s->later_ms && !s->is_ending))
		return;
	STAILQ_CONCAT(&s->later, pending);
	STAILQ_CONCAT(pending, &s->later);
}

static void commit_batch(struct store *s, struct mail_list *batch, struct mail_list *pending)
{
	struct mail_list claims;
	enum db_rc rc = transact(s, batch);

	if (rc == DB_OK) {
		struct notice *notice = make_notice(s);
		make_claims(s, &claims);
		mailbox_post_all(s->claims, &claims);
		post_stops(s);
		settle_all(s, batch, pending);
		post_notice(s, notice);
		post_effects(s);
		return;
	}
	give_up(s, rc, batch);
	if (rc == DB_FULL && !store_is_broken(s) && !s->is_ending)
		keep_results(s, batch);
	settle_all(s, batch, pending);
	if (rc == DB_FULL && has_log(s))
		checkpoint(s);       /* the log may start over then, and needs no room */
}

/* A broken store answers, and does nothing else. */
static void refuse_batch(struct store *s, struct mail_list *batch, struct mail_list *pending)
{
	struct mail *m;

	STAILQ_FOREACH(m, batch, next)
		mark_unknown((struct errand *)m);
	settle_all(s, batch, pending);
}

/* ---- the writer: debounces ---- */

/* For how long none is over; -1: for ever. */
static int64_t until_due_ms(const struct store *s)
{
	const struct writer *w = &s->writer;

	if (w->due_ms == INT64_MAX || !w->may_claim || s->is_due_taken || s->is_ending)
		return -1;
	int64_t left = w->due_ms - writer_burst_ms(w);
	return left > 0 ? left : 0;
}

static void take_due(struct store *s, struct mail_list *pending)
{
	if (until_due_ms(s) != 0 || store_is_broken(s))
		return;
	struct errand *e = errand(DO_DUE);
	s->is_due_taken = 1;
	STAILQ_INSERT_HEAD(pending, &e->mail, next);
}

static void look_for_due(struct store *s)
{
	if (s->writer.is_due_stale && !store_is_broken(s) && write_next_due(&s->writer) != DB_OK)
		broke(s, "debounces");
}

/* ---- the threads ---- */

static int64_t sooner(int64_t a, int64_t b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* How long the writing thread may sleep: for good, unless something is left to do. */
static int patience_ms(const struct store *s)
{
	int64_t until_later = s->later_ms - mono_ms(), ms = -1;

	if (!STAILQ_EMPTY(&s->later))
		ms = until_later > 0 ? until_later : 0;
	if (atomic_load_explicit(&s->is_broken, memory_order_acquire))
		return (int)ms;
	if (has_log(s) && ms < 0)
		ms = WAL_IDLE_MS;
	ms = sooner(ms, until_due_ms(s));
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void wait_for_mail(struct mailbox *mb, int timeout_ms)
{
	struct pollfd p = { mailbox_fd(mb), POLLIN, 0 };
	while (poll(&p, 1, timeout_ms) < 0 && errno == EINTR)
		;
}

static void *write_thread(void *arg)
{
	struct store *s = arg;
	struct mail_list pending = STAILQ_HEAD_INITIALIZER(pending), batch, more;

	while (!s->is_ending || !STAILQ_EMPTY(&pending) || !STAILQ_EMPTY(&s->later)) {
		if (STAILQ_EMPTY(&pending) && !s->is_ending)
			wait_for_mail(s->to_writer, patience_ms(s));
		mailbox_take(s->to_writer, &more);
		STAILQ_CONCAT(&pending, &more);
		take_later(s, &pending);
		take_due(s, &pending);
		if (STAILQ_EMPTY(&pending)) {
			if (has_log(s) && !store_is_broken(s))
				checkpoint(s);
			continue;
		}
		take_batch(s, &pending, &batch);
		if (store_is_broken(s))
			refuse_batch(s, &batch, &pending);
		else
			commit_batch(s, &batch, &pending);
		look_for_due(s);
		if (log_is_long(s) && !store_is_broken(s))
			checkpoint(s);
	}
	return NULL;
}

static void answer(struct store *s, struct errand *e)
{
	struct read *r = e->read;

	if (e->kind == DO_RECOVER) {
		e->recover.rc = read_running(&s->reader, &e->recover.list, &e->recover.n);
		mailbox_post(e->recover.reply_to, &e->mail);    /* the caller's stack: gone from here */
		return;
	}
	if (e->kind == DO_READ) {
		if (store_is_broken(s)) {
			r->json = BUF(0);
			r->attempts = NULL;
			r->state_json = NULL;
			r->kept = NULL;
			r->n_attempts = 0;
			r->outcome = STORE_UNKNOWN;
		} else {
			read_answer(&s->reader, r);
		}
		mailbox_post(r->reply_to, &r->mail);
	}
	free(e);
}

static void *read_thread(void *arg)
{
	struct store *s = arg;
	struct mail_list list;
	int is_end = 0;

	while (!is_end) {
		wait_for_mail(s->to_reader, -1);
		mailbox_take(s->to_reader, &list);
		while (!STAILQ_EMPTY(&list)) {
			struct mail *m = STAILQ_FIRST(&list);
			STAILQ_REMOVE_HEAD(&list, next);
			is_end |= ((struct errand *)m)->kind == DO_STOP;
			answer(s, (struct errand *)m);
		}
	}
	return NULL;
}

/* ---- open, close ---- */

/* A lock dies with its holder, so waiting for it is waiting for a draining front to end. */
static int take_lock(int dirfd, struct err *e)
{
	CLEANUP(fd_closep) int fd = openat(dirfd, "pushrod.db.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int64_t until = mono_ms() + LOCK_WAIT_MS;
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_MS * 1000000L };

	if (fd < 0)
		return err_errno(e, "pushrod.db.lock");
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(e, "pushrod.db.lock");
		if (mono_ms() >= until)
			return err_set(e, ERR_UNAVAIL, "another process holds pushrod.db.lock and did not let go within %d s: "
				       "is a second pushrod using this state directory?", LOCK_WAIT_MS / 1000);
		nanosleep(&pause, NULL);
	}
	return fd_take(&fd);
}

static int open_database(struct store *s, const struct store_options *o, struct err *e)
{
	CLEANUP(freep) char *path = xprintf("/proc/self/fd/%d/pushrod.db", o->state_dirfd);
	/* ours alone from its birth; SQLite gives the log the same mode */
	CLEANUP(fd_closep) int fd = openat(o->state_dirfd, "pushrod.db", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_errno(e, "pushrod.db");
	if (writer_open(&s->writer, path, o->jobs_max, e) < 0)
		return -1;
	sqlite3_wal_hook(s->writer.db.handle, on_wal, s);
	return db_open(path, DB_READER, &s->reader, e);
}

static int start_threads(struct store *s, struct err *e)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);       /* signals are for the role's own thread */
	int rc = pthread_create(&s->writer_thread, NULL, write_thread, s);
	if (rc == 0) {
		rc = pthread_create(&s->reader_thread, NULL, read_thread, s);
		if (rc != 0) {
			struct errand *stop = xcalloc(1, sizeof *stop);
			stop->kind = DO_STOP;
			mailbox_post(s->to_writer, &stop->mail);
			pthread_join(s->writer_thread, NULL);
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = rc;
	return rc ? err_errno(e, "threads of the store") : 0;
}

static void store_free(struct store *s)
{
	db_close(&s->reader);
	writer_close(&s->writer);
	mailbox_free(s->to_writer);
	mailbox_free(s->to_reader);
	fd_closep(&s->lock_fd);                         /* last: the next holder finds nothing open */
	free(s->watchers);
	free(s);
}

int store_open(const struct store_options *o, struct store **out, struct err *e)
{
	struct store *s = xcalloc(1, sizeof *s);

	assert(o->jobs_max >= 1 && o->claims);
	s->claims = o->claims;
	s->effects = o->effects;
	s->to_writer = mailbox_new();
	s->to_reader = mailbox_new();
	STAILQ_INIT(&s->later);
	s->lock_fd = take_lock(o->state_dirfd, e);
	if (s->lock_fd < 0 || open_database(s, o, e) < 0 || start_threads(s, e) < 0) {
		store_free(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	mailbox_post(s->to_writer, &errand(DO_STOP)->mail);
	mailbox_post(s->to_reader, &errand(DO_STOP)->mail);
	pthread_join(s->writer_thread, NULL);
	pthread_join(s->reader_thread, NULL);
	if (store_is_broken(s))
		sqlite3_db_config(s->writer.db.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	store_free(s);
}

/* ---- the verbs ---- */

static void post_write(struct store *s, struct errand *e)
{
	mailbox_post(s->to_writer, &e->mail);
}

void store_submit(struct store *s, struct submit *r)
{
	struct errand *e = errand(DO_SUBMIT);
	e->submit = r;
	post_write(s, e);
}

void store_finish(struct store *s, struct finish *r)
{
	struct errand *e = errand(DO_FINISH);
	e->finish = r;
	post_write(s, e);
}

void store_cancel(struct store *s, struct cancel *r)
{
	struct errand *e = errand(DO_CANCEL);
	e->cancel = r;
	post_write(s, e);
}

void store_started(struct store *s, int64_t job, int attempt, const char *confinement)
{
	struct errand *e = errand(DO_STARTED);
	e->started.job = job;
	e->started.attempt = attempt;
	snprintf(e->started.confinement, sizeof e->started.confinement, "%s", confinement);
	post_write(s, e);
}

void store_effect_done(struct store *s, int64_t effect)
{
	struct errand *e = errand(DO_EFFECT_DONE);
	e->effect = effect;
	post_write(s, e);
}

void store_listen(struct store *s, int to_jobs, int to_rules)
{
	struct errand *e = errand(DO_LISTEN);
	e->listen.to_jobs = to_jobs;
	e->listen.to_rules = to_rules;
	post_write(s, e);
}

void store_arm(struct store *s, struct arm *r)
{
	struct errand *e = errand(DO_ARM);
	e->arm = r;
	post_write(s, e);
}

void store_jobs_max(struct store *s, int jobs_max)
{
	struct errand *e = errand(DO_JOBS_MAX);
	assert(jobs_max >= 1);
	e->jobs_max = jobs_max;
	post_write(s, e);
}

void store_recover_done(struct store *s)
{
	post_write(s, errand(DO_RECOVER_DONE));
}

void store_watch(struct store *s, struct mailbox *to, void (*deliver)(struct mail *m, void *arg))
{
	struct errand *e = errand(DO_WATCH);
	e->watch.to = to;
	e->watch.deliver = deliver;
	post_write(s, e);
}

void store_on_stop(struct store *s, struct mailbox *to, void (*deliver)(struct mail *m, void *arg))
{
	struct errand *e = errand(DO_ON_STOP);
	e->watch.to = to;
	e->watch.deliver = deliver;
	post_write(s, e);
}

void store_prune(struct store *s, const struct keep *k, void (*on_gone)(int64_t job, int attempt, void *arg), void *arg)
{
	struct errand *e = errand(DO_PRUNE);
	e->prune.state = (struct prune){ .keep = *k, .now_ms = wall_ms() };
	e->prune.on_gone = on_gone;
	e->prune.arg = arg;
	post_write(s, e);
}

void store_read(struct store *s, struct read *r)
{
	struct errand *e = errand(DO_READ);
	e->read = r;
	mailbox_post(s->to_reader, &e->mail);
}

int store_recover(struct store *s, struct running **out, size_t *n, struct err *e)
{
	struct mailbox *mine = mailbox_new();
	struct errand ask = { .kind = DO_RECOVER, .recover.reply_to = mine };
	struct mail_list list;

	mailbox_post(s->to_reader, &ask.mail);
	do {
		wait_for_mail(mine, -1);
		mailbox_take(mine, &list);
	} while (STAILQ_EMPTY(&list));
	mailbox_free(mine);
	if (ask.recover.rc != DB_OK)
		return err_set(e, ERR_IO, "database: %s", s->reader.error);
	*out = ask.recover.list;
	*n = ask.recover.n;
	return 0;
}

void submit_job_fini(struct submit_job *j)
{
	free(j->cell);
	free(j->queue);
	free(j->merge_key);
	free(j->once_key);
	free(j->residue_json);
}

void submit_free(struct submit *r)
{
	if (!r)
		return;
	char *texts[] = { r->source, r->provider, r->key, r->event, r->action, r->summary_json, r->event_json, r->headers_json,
			  r->why_json, r->notes_json, r->query, r->secret, r->ruleset, r->first_jobs_json, r->cause_json };
	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	buf_fini(&r->body);
	for (int i = 0; i < r->n_jobs; i++)
		submit_job_fini(&r->jobs[i]);
	free(r->jobs);
	free(r);
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	char *texts[] = { k->source, k->key, k->ruleset, k->headers_json, k->query, k->secret, k->event, k->action, k->cause_json,
			  k->only_file, k->only_rule };
	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	free(k);
}

void claim_free(struct claim *c)
{
	if (!c)
		return;
	char *texts[] = { c->rule, c->file, c->cell, c->ruleset, c->source, c->event_json, c->headers_json, c->reason,
			  c->cause_json, c->residue_json };
	for (size_t i = 0; i < COUNT(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < c->n_merged && c->merged; i++)
		free(c->merged[i].event_json);
	free(c->merged);
	buf_fini(&c->body);
	free(c);
}
