/* front/desk.c - the way of a job, as the front sees it:
 *
 *     on_claim        the store has committed attempt row and slot: journal, specification
 *     hand_over       START to the runner, in order of claiming, as fast as its socket takes it
 *     on_started      confinement in force: into the store
 *     on_ephemeral    the unfinished line and progress: to the watchers of every loop
 *     on_result       how it ended, the journal settled: finish
 *     on_finished     final state and length are committed: ACK, so that the runner may forget it
 *     take_effects    what that end causes (front/chain.h)
 *
 * and when the runner's connection is new (at start, or because the runner died): on_running for what it lists, then
 * reconcile: what it does not list is over, and its journal tells how (dispatch/recover.h).
 *
 * One thread, one poll(2): the supervisor, the runner, a signalfd, the mailbox and the claims. Nothing here waits for
 * the store: answers come as mail. The roster says what is on its way; every entry leaves it through on_finished. */
#include "front/desk.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "dispatch/link.h"
#include "dispatch/outcome.h"
#include "dispatch/recover.h"
#include "dispatch/roster.h"
#include "front/chain.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/house.h"
#include "front/loops.h"
#include "front/shelf.h"
#include "front/spec.h"
#include "front/timetable.h"
#include "journal/file.h"
#include "store/follow.h"
#include "wire/frame.h"

#define RECOVER_WAIT_MS 30000
#define SUPERVISOR_WAIT_MS 5000
#define GRACE_MS 10000                  /* of a SIGTERM, which names none */

struct desk {
	struct desk_options o;
	struct store *store;
	struct edition *edition;
	struct mailbox *mail;
	struct link *link;
	struct roster *roster;
	struct house *house;
	struct timetable *timetable;
	struct buf scratch;             /* for frames of the supervisor */
	int is_over, grace_ms;         /* over: the store is asked nothing more */
	enum desk_end end;
	int is_settled;                 /* the runner's list has been compared with the roster, since it connected */
	struct { int adopted, again, ended, lost, strangers; } recovered;
};

static void on_frame(const struct frame *f, void *arg);

struct desk *desk_new(const struct desk_options *o)
{
	struct desk *d = xcalloc(1, sizeof *d);

	*d = (struct desk){ .o = *o, .mail = mailbox_new(), .roster = roster_new(), .scratch = BUF(FRAME_MAX_TEXT + 128) };
	d->link = link_new(on_frame, d);
	return d;
}

void desk_stop(struct desk *d)
{
	if (!d)
		return;
	d->is_over = 1;
	if (d->house)
		house_stop(d->house);
	if (d->timetable)
		timetable_stop(d->timetable);
}

void desk_free(struct desk *d)
{
	struct mail_list left;

	if (!d)
		return;
	mailbox_deliver(d->mail, d);
	mailbox_take(d->o.claims, &left);
	while (!STAILQ_EMPTY(&left)) {
		struct claim *c = (struct claim *)STAILQ_FIRST(&left);
		STAILQ_REMOVE_HEAD(&left, next);
		claim_free(c);          /* the store holds it for running; the next front finds no journal and tries again */
	}
	mailbox_take(d->o.effects, &left);
	while (!STAILQ_EMPTY(&left)) {
		struct effect *f = (struct effect *)STAILQ_FIRST(&left);
		STAILQ_REMOVE_HEAD(&left, next);
		effect_free(f);         /* its row stays, and is posted to the next front */
	}
	house_free(d->house);
	timetable_free(d->timetable);
	link_free(d->link);
	roster_free(d->roster);
	mailbox_free(d->mail);
	edition_unref(d->edition);
	buf_fini(&d->scratch);
	free(d);
}

void desk_put_edition(struct desk *d, struct edition *ed)
{
	if (d->edition)
		edition_inherit(ed, d->edition);
	edition_unref(d->edition);
	d->edition = ed;
	if (d->store) {
		store_jobs_max(d->store, ruleset_config(ed->rules)->jobs_max);
		store_listen(d->store, ruleset_listens_to(ed->rules, INNER_JOB), ruleset_listens_to(ed->rules, INNER_RULE));
		timetable_put(d->timetable, ed);
		house_put_edition(d->house, ed);
	}
	loops_put_edition(d->o.front, ed);
}

void desk_put_runner(struct desk *d, int fd)
{
	for (size_t i = 0; i < roster_count(d->roster); i++)
		roster_at(d->roster, i)->is_listed = 0;
	d->is_settled = 0;
	link_open(d->link, fd);
}

int desk_grace_ms(const struct desk *d)
{
	return d->grace_ms;
}

static void stop(struct desk *d, enum desk_end why)
{
	if (!d->is_over)
		d->end = why;
	d->is_over = 1;
}

/* ---- the end of an attempt ---- */

enum origin { FROM_RUNNER, FROM_HERE };

struct ending {
	struct finish finish;
	enum origin origin;             /* the runner holds its results until they are acknowledged */
};

static void on_finished(struct mail *m, void *arg)
{
	struct desk *d = arg;
	struct ending *end = (struct ending *)m;
	const struct job_result *r = &end->finish.result;
	struct attempt *a = roster_find(d->roster, r->job, r->attempt);

	switch (end->finish.outcome) {
	case STORE_OK:
		log_info(end->finish.again ? "attempt closed, another is queued" : "job ended",
			 "job=%" PRId64 " attempt=%d state=%s exit=%d bytes=%" PRId64 " reason=\"%s\"", r->job, r->attempt,
			 job_state_name(r->state), r->exit_code, r->log_bytes, r->reason);
		break;
	case STORE_STALE:
	case STORE_DUPLICATE:
	case STORE_NOT_FOUND:
		log_debug("a result changed nothing", "job=%" PRId64 " attempt=%d", r->job, r->attempt);
		break;
	case STORE_UNKNOWN:             /* not acknowledged, not forgotten: the next front hears of it again */
		stop(d, DESK_BROKEN);
		finish_fini(&end->finish);
		free(end);
		return;
	}
	if (end->origin == FROM_RUNNER)
		link_ack(d->link, r->job, r->attempt);
	if (a)
		roster_remove(d->roster, a);
	finish_fini(&end->finish);
	free(end);
}

static void finish(struct desk *d, const struct job_result *r, int again, enum origin origin)
{
	struct ending *end = xcalloc(1, sizeof *end);
	struct attempt *a = roster_find(d->roster, r->job, r->attempt);
	struct err e;

	if (a)
		a->phase = ATTEMPT_ENDING;
	end->origin = origin;
	end->finish = (struct finish){ .mail.deliver = on_finished, .reply_to = d->mail, .result = *r, .again = again };
	if (!again && outcome_read(d->o.journals_dirfd, &end->finish, &e) < 0)
		log_error("the outputs of a job cannot be read", "job=%" PRId64 " attempt=%d reason=\"%s\"", r->job, r->attempt, e.msg);
	store_finish(d->store, &end->finish);
}

/* An attempt that the runner has never seen ends here: say so in its journal, for those who watch. */
static void finish_here(struct desk *d, struct attempt *a, enum job_state state, const char *why)
{
	struct job_result r = { .job = a->job, .attempt = a->attempt, .state = state };
	struct err e;

	snprintf(r.reason, sizeof r.reason, "%s", why);
	if (a->journal_fd >= 0 && journal_finish(a->journal_fd, &r, mono_ms() - a->since_ms, &e) < 0)
		log_error("a journal could not be settled", "job=%" PRId64 " reason=\"%s\"", a->job, e.msg);
	fd_closep(&a->journal_fd);
	fd_closep(&a->spec_fd);
	finish(d, &r, 0, FROM_HERE);
}

/* ---- the beginning of an attempt ---- */

static int prepare(struct desk *d, struct attempt *a, const struct claim *c, struct err *e)
{
	const struct spec_place at = { .site_dir = d->o.site_dir, .state_dir = d->o.state_dir, .url = d->edition->url,
				       .limits = ruleset_config(d->edition->rules) };

	a->timeout_ms = c->timeout_ms;
	a->journal_fd = journal_create(d->o.journals_dirfd, c->job, c->attempt, e);
	if (a->journal_fd < 0)
		return -1;
	struct ruleset *rs = shelf_find(d->o.shelf, c->ruleset, e);
	if (!rs)
		return -1;
	a->spec_fd = spec_make(c, rs, &at, e);
	ruleset_unref(rs);
	return a->spec_fd < 0 ? -1 : 0;
}

static void hand_over(struct desk *d)
{
	struct attempt *a;

	while ((a = roster_next_to_send(d->roster)) &&
	       link_start(d->link, a->job, a->attempt, a->timeout_ms, a->spec_fd, a->journal_fd)) {
		a->phase = ATTEMPT_SENT;
		a->is_listed = 1;
		fd_closep(&a->spec_fd);
		fd_closep(&a->journal_fd);
	}
}

static void on_claim(struct desk *d, struct claim *c)
{
	struct err e = { 0 };
	struct attempt *last = roster_find_job(d->roster, c->job);

	if (last && last->phase == ATTEMPT_ENDING && last->attempt < c->attempt)
		roster_remove(d->roster, last);         /* its end is committed: only the mail that says so comes later */
	struct attempt *a = roster_add(d->roster, c->job, c->attempt, ATTEMPT_CLAIMED);
	assert(a);                      /* attempts of a job never overlap (I6) */
	log_info("job started", "job=%" PRId64 " attempt=%d rule=\"%s\" delivery=%" PRId64, c->job, c->attempt, c->rule,
		 c->delivery);
	if (prepare(d, a, c, &e) < 0)
		finish_here(d, a, JOB_ERRORED, e.msg);
	claim_free(c);
}

static void take_claims(struct desk *d)
{
	struct mail_list list;

	mailbox_take(d->o.claims, &list);
	while (!STAILQ_EMPTY(&list)) {
		struct claim *c = (struct claim *)STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		on_claim(d, c);
	}
}

/* ---- what the runner says ---- */

static void on_running(struct desk *d, int64_t job, int attempt)
{
	struct attempt *a = roster_find(d->roster, job, attempt);

	if (a) {
		a->is_listed = 1;
		d->recovered.adopted++;
		if (a->wish[0])
			link_cancel(d->link, job, attempt, a->wish);
		return;
	}
	d->recovered.strangers++;
	link_cancel(d->link, job, attempt, "the store does not hold this attempt for running");
}

/* A cancelled attempt that had not begun is not begun again either. */
static void end_as_cancelled(struct desk *d, struct job_result *r, const char *why)
{
	CLEANUP(fd_closep) int fd = journal_open_append(d->o.journals_dirfd, r->job, r->attempt, NULL);

	r->state = JOB_CANCELLED;
	snprintf(r->reason, sizeof r->reason, "%s", why);
	if (fd >= 0 && journal_finish(fd, r, 0, NULL) < 0)
		r->log_bytes = 0;
	finish(d, r, 0, FROM_HERE);
}

static void settle(struct desk *d, const struct attempt *a)
{
	struct job_result r;
	struct err e;
	enum recovered what = recover_attempt(d->o.journals_dirfd, a->job, a->attempt,
					      "its process was gone before it had ended", &r, &e);

	if (e.kind)
		log_error("a journal could not be settled", "job=%" PRId64 " reason=\"%s\"", a->job, e.msg);
	switch (what) {
	case RECOVERED_AGAIN: d->recovered.again++; break;
	case RECOVERED_ENDED: d->recovered.ended++; break;
	case RECOVERED_LOST: d->recovered.lost++; break;
	}
	if (what == RECOVERED_AGAIN && a->wish[0])
		end_as_cancelled(d, &r, a->wish);
	else
		finish(d, &r, what == RECOVERED_AGAIN, FROM_HERE);
}

static void reconcile(struct desk *d)
{
	for (size_t i = 0; i < roster_count(d->roster); i++) {
		const struct attempt *a = roster_at(d->roster, i);
		if (a->phase == ATTEMPT_SENT && !a->is_listed)
			settle(d, a);
	}
	d->is_settled = 1;
	if (d->recovered.adopted + d->recovered.again + d->recovered.ended + d->recovered.lost + d->recovered.strangers)
		log_info("recovered", "adopted=%d again=%d ended=%d lost=%d cancelled_strangers=%d", d->recovered.adopted,
			 d->recovered.again, d->recovered.ended, d->recovered.lost, d->recovered.strangers);
	memset(&d->recovered, 0, sizeof d->recovered);
}

static void on_result(struct desk *d, const struct frame *f)
{
	struct job_result r = { .job = f->n[0], .attempt = (int)f->n[1], .state = (enum job_state)f->n[2],
				.exit_code = (int)f->n[3], .log_bytes = f->n[4] };
	struct attempt *a = roster_find(d->roster, r.job, r.attempt);

	if (a && a->phase == ATTEMPT_ENDING)
		return;                 /* sent again, before our ACK was there */
	if (!job_state_is_final(r.state) || r.state > JOB_LOST)
		r.state = JOB_ERRORED;
	snprintf(r.reason, sizeof r.reason, SLICE_FMT, SLICE_ARG(slice_upto(f->text, sizeof r.reason - 1)));
	finish(d, &r, 0, FROM_RUNNER);
}

static void on_started(struct desk *d, const struct frame *f)
{
	CLEANUP(freep) char *confinement = slice_dup(slice_upto(f->text, 200));
	store_started(d->store, f->n[0], (int)f->n[1], confinement);
}

static void on_frame(const struct frame *f, void *arg)
{
	struct desk *d = arg;

	if (f->type == FRAME_RUNNING)
		on_running(d, f->n[0], (int)f->n[1]);
	else if (f->type == FRAME_RUNNING_END)
		reconcile(d);
	else if (f->type == FRAME_STARTED)
		on_started(d, f);
	else if (f->type == FRAME_RESULT)
		on_result(d, f);
	else if (f->type == FRAME_EPHEMERAL)
		loops_post_ephemeral(d->o.front, f->n[0], (int)f->n[1], f->text);
}

/* ---- what the supervisor says ---- */

static void answer(struct desk *d, enum frame_type type, int64_t n0, const char *text)
{
	struct frame f = FRAME(type, n0);

	f.text = slice_of(text);
	if (frame_send_wait(d->o.supervisor_fd, &f, SUPERVISOR_WAIT_MS) != FRAME_OK)
		stop(d, DESK_ORPHANED);
}

static void on_rules(struct desk *d, int bundle_fd)
{
	CLEANUP(buf_fini) struct buf why = BUF(256 << 10);
	struct ruleset *rs = NULL;
	struct err e = { 0 };

	if (shelf_take(d->o.shelf, bundle_fd, &rs, &why, &e) < 0) {
		log_error("the new rules are refused, the old ones stay in force", "reason=\"%s\"", e.msg);
		const char *told = why.len ? buf_cstr(&why) : e.msg;
		desk_put_edition(d, edition_new(ruleset_ref(d->edition->rules), d->o.addresses, d->o.site_dir, told));
		answer(d, FRAME_RULES_DONE, 0, e.msg);
		return;
	}
	log_info("rules in force", "ruleset=%.12s rules=%zu", ruleset_sha256(rs), ruleset_rule_count(rs));
	desk_put_edition(d, edition_new(rs, d->o.addresses, d->o.site_dir, NULL));
	answer(d, FRAME_RULES_DONE, 1, "the new rules are in force");
}

static void on_order(struct desk *d, struct frame *f)
{
	if (f->type == FRAME_RULES) {
		on_rules(d, f->fds[0]);
	} else if (f->type == FRAME_PEER) {
		log_warn("another runner took over", "running=%zu", roster_count(d->roster));
		desk_put_runner(d, f->fds[0]);
		f->fds[0] = -1;
	} else if (f->type == FRAME_DRAIN) {
		d->grace_ms = f->n[0] > 0 && f->n[0] < 600000 ? (int)f->n[0] : GRACE_MS;
		stop(d, DESK_DRAIN);
	} else {
		log_error("the supervisor sent a frame out of turn", "type=%d", (int)f->type);
		stop(d, DESK_ORPHANED);
	}
	frame_close_fds(f);
}

static void hear_supervisor(struct desk *d)
{
	struct frame f;

	for (;;) {
		enum frame_outcome out = frame_recv(d->o.supervisor_fd, PEER_SUPERVISOR_OF_FRONT, &d->scratch, &f);
		if (out == FRAME_AGAIN)
			return;
		if (out != FRAME_OK) {
			stop(d, DESK_ORPHANED);
			return;
		}
		on_order(d, &f);
	}
}

/* ---- mail from the loops and the store ---- */

struct wish {
	struct mail mail;
	int64_t job;
	int attempt;
	char why[256];
};

/* The store has the wish. */
static void end_attempt(struct desk *d, int64_t job, int attempt, const char *why)
{
	struct attempt *a = d->is_over ? NULL : roster_find(d->roster, job, attempt);

	if (!a)
		return;
	if (!a->wish[0])
		snprintf(a->wish, sizeof a->wish, "%s", why);
	if (a->phase == ATTEMPT_CLAIMED)
		finish_here(d, a, JOB_CANCELLED, why);
	else if (a->phase == ATTEMPT_SENT)
		link_cancel(d->link, job, attempt, why);
}

static void on_cancel(struct mail *m, void *arg)
{
	const struct wish *w = (struct wish *)m;

	end_attempt(arg, w->job, w->attempt, w->why);
	free(m);
}

/* A newer job of its queue takes its place. */
static void on_stop(struct mail *m, void *arg)
{
	const struct stop *s = (struct stop *)m;

	log_info("job is stopped", "job=%" PRId64 " attempt=%d reason=\"%s\"", s->job, s->attempt, s->reason);
	end_attempt(arg, s->job, s->attempt, s->reason);
	free(m);
}

void desk_put_store(struct desk *d, struct store *store)
{
	d->store = store;
	d->house = house_new(store, d->o.journals_dirfd, d->o.shelf, d->mail);
	d->timetable = timetable_new(store, d->mail);
	store_on_stop(store, d->mail, on_stop);
}

static void on_reload(struct mail *m, void *arg)
{
	struct desk *d = arg;

	if (!d->is_over)
		answer(d, FRAME_RELOAD, 0, "");
	free(m);
}

static void on_broken(struct mail *m, void *arg)
{
	stop(arg, DESK_BROKEN);
	free(m);
}

static void post(struct desk *d, void (*deliver)(struct mail *, void *), int64_t job, int attempt, const char *why)
{
	struct wish *w = xcalloc(1, sizeof *w);

	*w = (struct wish){ .mail.deliver = deliver, .job = job, .attempt = attempt };
	snprintf(w->why, sizeof w->why, "%s", why);
	mailbox_post(d->mail, &w->mail);
}

void desk_cancel(struct desk *d, int64_t job, int attempt, const char *why)
{
	post(d, on_cancel, job, attempt, why);
}

void desk_reload(struct desk *d)
{
	post(d, on_reload, 0, 0, "");
}

void desk_store_broke(struct desk *d)
{
	post(d, on_broken, 0, 0, "");
}

/* ---- the loop ---- */

enum { SUPERVISOR, SIGNAL, MAIL, CLAIMS, EFFECTS, TIMER, RUNNER, N_FDS };

static void wait_for_something(struct desk *d, int timeout_ms, struct pollfd fds[N_FDS])
{
	fds[SUPERVISOR] = (struct pollfd){ d->o.supervisor_fd, POLLIN, 0 };
	fds[SIGNAL] = (struct pollfd){ d->o.signal_fd, POLLIN, 0 };
	fds[MAIL] = (struct pollfd){ mailbox_fd(d->mail), POLLIN, 0 };
	fds[CLAIMS] = (struct pollfd){ mailbox_fd(d->o.claims), POLLIN, 0 };
	fds[EFFECTS] = (struct pollfd){ mailbox_fd(d->o.effects), POLLIN, 0 };
	fds[TIMER] = (struct pollfd){ timetable_fd(d->timetable), POLLIN, 0 };
	fds[RUNNER] = (struct pollfd){ link_fd(d->link), POLLIN, 0 };
	if (link_wants_room(d->link))
		fds[RUNNER].events |= POLLOUT;
	if (poll(fds, N_FDS, timeout_ms) < 0) {
		assert(errno == EINTR);
		for (int i = 0; i < N_FDS; i++)
			fds[i].revents = 0;
	}
}

/* Claims go first: a loop's wish to cancel a job was posted after the job was claimed. */
static void take_mail(struct desk *d)
{
	struct mail_list list;

	mailbox_take(d->mail, &list);
	take_claims(d);
	while (!STAILQ_EMPTY(&list)) {
		struct mail *m = STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		m->deliver(m, d);
	}
}

static void take_effects(struct desk *d)
{
	struct mail_list list;

	mailbox_take(d->o.effects, &list);
	while (!STAILQ_EMPTY(&list)) {
		struct effect *f = (struct effect *)STAILQ_FIRST(&list);
		STAILQ_REMOVE_HEAD(&list, next);
		if (d->is_over)
			effect_free(f);
		else
			chain_follow(d->store, d->mail, d->edition, f);
	}
}

static void hear_runner(struct desk *d)
{
	struct err e;

	if (link_turn(d->link, &e) < 0)         /* so too when we all end: the supervisor warns of a death, and we of the next runner */
		log_info("the runner's connection ended", "running=%zu reason=\"%s\"", roster_count(d->roster), e.msg);
}

static void turn(struct desk *d, int timeout_ms)
{
	struct pollfd fds[N_FDS];
	struct signalfd_siginfo info;

	wait_for_something(d, timeout_ms, fds);
	if (fds[SIGNAL].revents && read(d->o.signal_fd, &info, sizeof info) > 0) {
		d->grace_ms = GRACE_MS;
		stop(d, DESK_DRAIN);
	}
	if (fds[SUPERVISOR].revents)
		hear_supervisor(d);
	if (fds[MAIL].revents || fds[CLAIMS].revents)
		take_mail(d);
	if (fds[EFFECTS].revents)
		take_effects(d);
	if (fds[TIMER].revents)
		timetable_turn(d->timetable);
	if (fds[RUNNER].revents && link_fd(d->link) >= 0)
		hear_runner(d);
	hand_over(d);
	if (store_is_broken(d->store))
		stop(d, DESK_BROKEN);
}

int desk_recover(struct desk *d, const struct running *running, size_t n, struct err *e)
{
	int64_t until = mono_ms() + RECOVER_WAIT_MS;

	for (size_t i = 0; i < n; i++) {
		struct attempt *a = roster_add(d->roster, running[i].job, running[i].attempt, ATTEMPT_SENT);
		if (!a)
			return err_set(e, ERR_BUG, "the store holds two attempts of job %" PRId64, running[i].job);
		snprintf(a->wish, sizeof a->wish, "%s", running[i].wish ? running[i].wish : "");
	}
	while (!d->is_over && !d->is_settled) {
		int64_t left = until - mono_ms();
		if (left <= 0)
			return err_set(e, ERR_UNAVAIL, "no runner said what runs within %d s", RECOVER_WAIT_MS / 1000);
		turn(d, (int)left);
	}
	return d->is_over ? err_set(e, ERR_UNAVAIL, "told to end before it had begun") : 0;
}

enum desk_end desk_run(struct desk *d)
{
	while (!d->is_over) {
		int64_t now = mono_ms(), due = house_turn(d->house, ruleset_config(d->edition->rules), now);
		turn(d, (int)(due - now));
	}
	return d->end;
}
