/* front/timetable.c - the clock's side of rules/schedule.h.
 *
 * The timer is one of the wall clock, and is woken when somebody sets that: what is due is worked out anew each time from the
 * time that it is now, and from how far each schedule is settled. Nothing fires before the store has said how far that is.
 * A moment that fires twice for whatever reason is one row in the store, and the second submission a duplicate (I10). */
#include "front/timetable.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "front/edition.h"
#include "front/verdict.h"
#include "rules/match.h"
#include "rules/schedule.h"
#include "store/follow.h"
#include "store/submit.h"

#define BODY_MAX (1u << 20)

struct entry {
	const struct rule *rule;        /* of the edition */
	const struct schedule *schedule;
	int64_t since_ms;               /* settled up to here */
};
struct timetable {
	struct store *store;
	struct mailbox *mail;
	struct edition *edition;
	struct entry *list;
	size_t n;
	int fd, is_armed, is_over;
	struct arming *asked;           /* the newest question; an older one's answer is dropped */
};
struct arming {
	struct arm arm;                 /* first: its mail is ours */
	struct timetable *timetable;
	struct edition *edition;        /* what the items borrow from */
};
struct firing {
	struct submit submit;           /* first: its mail is ours */
	struct edition *edition;
	int64_t late_ms;
};

struct timetable *timetable_new(struct store *store, struct mailbox *mail)
{
	struct timetable *t = xcalloc(1, sizeof *t);

	*t = (struct timetable){ .store = store, .mail = mail };
	t->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	assert(t->fd >= 0);
	return t;
}

void timetable_stop(struct timetable *t)
{
	t->is_over = 1;
}

void timetable_free(struct timetable *t)
{
	if (!t)
		return;
	fd_closep(&t->fd);
	edition_unref(t->edition);
	free(t->list);
	free(t);
}

int timetable_fd(const struct timetable *t)
{
	return t->fd;
}

/* ---- firing ---- */

static void firing_free(struct firing *f)
{
	struct edition *ed = f->edition;
	submit_free(&f->submit);
	edition_unref(ed);
}

static void on_stored(struct mail *m, void *desk)
{
	struct firing *f = (struct firing *)m;
	const struct submit *s = &f->submit;

	if (s->outcome == STORE_OK)
		log_info("a schedule fired", "rule=\"%s\" key=\"%s\" delivery=%" PRId64 " late_ms=%" PRId64, s->cron_rule, s->key, s->delivery,
			 f->late_ms);
	else if (s->outcome == STORE_DUPLICATE)
		log_info("a schedule had fired for this moment before", "rule=\"%s\" key=\"%s\"", s->cron_rule, s->key);
	firing_free(f);
}

static void add_body(struct buf *out, const struct entry *n, int64_t at_ms, int64_t now_ms)
{
	char planned[32], now[32];

	wall_format(at_ms, planned);
	wall_format(now_ms, now);
	buf_adds(out, "{\"schedule\":");
	buf_add_json(out, slice_of(schedule_text(n->schedule)));
	buf_adds(out, ",\"zone\":");
	buf_add_json(out, slice_of(schedule_zone(n->schedule)));
	buf_addf(out, ",\"planned\":\"%s\",\"planned_ms\":%" PRId64 ",\"fired\":\"%s\"}", planned, at_ms, now);
}

static void fire(struct timetable *t, const struct entry *n, int64_t at_ms, int64_t through_ms, int64_t now_ms)
{
	struct firing *f = xcalloc(1, sizeof *f);
	struct submit *s = &f->submit;
	struct verdict verdict;
	struct err e = { 0 };
	char planned[32];

	wall_format(at_ms, planned);
	CLEANUP(freep) char *key = xprintf("%s:%s@%s", rule_file(n->rule), rule_name(n->rule), planned);
	f->edition = edition_ref(t->edition);
	f->late_ms = now_ms - at_ms;
	*s = (struct submit){ .mail.deliver = on_stored, .reply_to = t->mail, .headers_json = xstrdup("{}"), .received_ms = now_ms,
			      .ruleset_keep = f->edition, .cron_rule = rule_name(n->rule), .cron_file = rule_file(n->rule),
			      .cron_ms = at_ms, .cron_through_ms = through_ms, .body = BUF(BODY_MAX) };
	add_body(&s->body, n, at_ms, now_ms);
	const struct delivery_view d = { .source = ruleset_inner_source(t->edition->rules, INNER_CRON), .event = SLICE("cron"),
		.json = buf_slice(&s->body), .headers_json = SLICE("{}"), .delivery_key = key, .received_ms = now_ms, .only = n->rule,
		.planned_ms = at_ms };
	if (verdict_make(t->edition->rules, &d, s, &verdict, &e) < 0) {
		log_error("a schedule could not fire", "rule=\"%s\" reason=\"%s\"", rule_name(n->rule), e.msg);
		firing_free(f);
		return;
	}
	verdict_fini(&verdict);
	store_submit(t->store, s);
}

/* What is due now. Returns when the next is. */
static int64_t settle(struct timetable *t, struct entry *n, int64_t now_ms)
{
	int64_t instants[SCHEDULE_INSTANTS_MAX], through_ms, due_ms;

	if (n->since_ms > now_ms)
		n->since_ms = now_ms;           /* the clock was set back: the store knows what has been */
	size_t count = schedule_due(n->schedule, n->rule, n->since_ms, now_ms, instants, &through_ms);
	for (size_t i = 0; i < count; i++)
		fire(t, n, instants[i], through_ms, now_ms);
	n->since_ms = through_ms;
	schedule_next_ms(n->schedule, n->rule, n->since_ms, &due_ms);
	return due_ms;
}

static void set_timer(struct timetable *t, int64_t at_ms)
{
	struct itimerspec at = { 0 };

	if (at_ms != INT64_MAX)
		at.it_value = (struct timespec){ at_ms / 1000, at_ms % 1000 * 1000000 };
	if (timerfd_settime(t->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) < 0)
		log_error("the timer of schedules cannot be set", "at_ms=%" PRId64, at_ms);
}

void timetable_turn(struct timetable *t)
{
	int64_t next = INT64_MAX, now = wall_ms();
	uint64_t expired;

	if (read(t->fd, &expired, sizeof expired) < 0)
		expired = 0;                    /* ECANCELED: the clock was set, which is as good a reason */
	if (!t->is_armed || t->is_over)
		return;
	for (size_t i = 0; i < t->n; i++) {
		int64_t due = settle(t, &t->list[i], now);
		next = due < next ? due : next;
	}
	set_timer(t, next);
}

/* ---- coming into force ---- */

static void on_armed(struct mail *m, void *desk)
{
	struct arming *a = (struct arming *)m;
	struct timetable *t = a->timetable;

	if (a == t->asked && a->arm.outcome == STORE_OK) {
		for (size_t i = 0; i < t->n; i++)
			t->list[i].since_ms = a->arm.items[i].since_ms;
		t->is_armed = 1;
		t->asked = NULL;
		timetable_turn(t);
	}
	edition_unref(a->edition);
	free(a->arm.items);
	free(a);
}

static void arm(struct timetable *t)
{
	struct arming *a = xcalloc(1, sizeof *a);

	a->timetable = t;
	a->edition = edition_ref(t->edition);
	a->arm = (struct arm){ .mail.deliver = on_armed, .reply_to = t->mail, .items = xcalloc(t->n + 1, sizeof *a->arm.items), .n = t->n };
	for (size_t i = 0; i < t->n; i++)
		a->arm.items[i] = (struct arm_item){ .file = rule_file(t->list[i].rule), .rule = rule_name(t->list[i].rule),
						     .text = schedule_text(t->list[i].schedule) };
	t->asked = a;
	store_arm(t->store, &a->arm);
}

void timetable_put(struct timetable *t, struct edition *ed)
{
	const struct ruleset *rs = ed->rules;

	edition_ref(ed);
	edition_unref(t->edition);
	t->edition = ed;
	free(t->list);
	t->list = xcalloc(ruleset_rule_count(rs) + 1, sizeof *t->list);
	t->n = 0;
	t->is_armed = 0;
	for (size_t i = 0; i < ruleset_rule_count(rs); i++) {
		const struct rule *r = ruleset_rule_at(rs, i);
		if (rule_schedule(r))
			t->list[t->n++] = (struct entry){ .rule = r, .schedule = rule_schedule(r) };
	}
	set_timer(t, INT64_MAX);
	if (!t->is_over)
		arm(t);
}
