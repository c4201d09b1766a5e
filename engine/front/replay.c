/* front/replay.c - read what was kept (READ_KEPT), judge it as what arrives is judged, submit it under a key of its own. Nothing is
 * verified again: it was, and who asks has the control key.
 *
 *     replay_delivery   parameters; asks the store                              400
 *     on_kept           is there a body? (a large one goes over bodies.c)       410 503
 *     judge             what it was when it came (recall.c), asked of the rules in force
 *     answer            what cannot be; what would run; or to the store         409 200
 *     on_stored                                                                 202 200 503
 *
 * What a replay causes: it is the beginning of a chain (its root is itself), for what the first time caused must not use up what
 * this time may. But a job's event keeps its cause, and so its depth: who replays the last event of a circle gets no further round
 * than the circle had, and one past the bound is refused here as it was then (chain.h). So no chain of causes is longer than
 * CHAIN_DEPTH_MAX, however often its parts are replayed, and none has more events than CHAIN_EVENTS_MAX for each time that somebody
 * asked. A schedule's moment is not taken again (I10): the submission names no schedule, just its rule. */
#include "front/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/bodies.h"
#include "front/chain.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/intake.h"
#include "front/loops.h"
#include "front/recall.h"
#include "front/verdict.h"
#include "store/submit.h"

#define REPLY_MAX (16u << 20)

struct replay {
	struct submit submit;           /* first: its mail is ours */
	struct body_work work;          /* of a large body */
	struct loop *loop;
	struct edition *edition;
	struct http_ticket *ticket;
	struct verdict verdict;
	struct kept *kept;
	char *key;
	char rule[128];                 /* the only one to run; "": all that match */
	char refusal[sizeof ((struct err *)0)->msg];    /* "": it can be */
	int is_dry;
};

static void replay_free(struct replay *t)
{
	struct edition *ed = t->edition;

	verdict_fini(&t->verdict);
	kept_free(t->kept);
	free(t->key);
	submit_free(&t->submit);
	edition_unref(ed);
}

static void drop(void *arg)
{
	replay_free(arg);
}

/* ---- the answer ---- */

static void on_stored(struct mail *m, void *http_loop)
{
	struct replay *t = (struct replay *)m;
	const struct submit *s = &t->submit;
	struct http_request *r = http_unpark(t->ticket);
	CLEANUP(buf_fini) struct buf body = BUF(REPLY_MAX);

	if (s->outcome == STORE_OK) {
		log_info("replayed", "delivery=%" PRId64 " replay_of=%" PRId64 " jobs=%d", s->delivery, s->replay_of, s->n_jobs);
		buf_addf(&body, "{\"delivery\":%" PRId64 ",\"replay_of\":%" PRId64 ",\"matched\":[", s->delivery, s->replay_of);
		verdict_add_matched(s, t->edition->url, &body);
		buf_addf(&body, "],\"not_matched\":%s}\n", s->why_json);
	} else if (s->outcome == STORE_DUPLICATE) {
		buf_addf(&body, "{\"delivery\":%" PRId64 ",\"duplicate\":true,\"matched\":", s->delivery);
		intake_add_urls(slice_of(s->first_jobs_json), t->edition->url, &body);
		buf_adds(&body, "}\n");
	} else {
		desk_store_broke(t->loop->front->desk);
	}
	if (r && body.len)
		answer_json(r, s->outcome == STORE_OK ? 202 : 200, buf_slice(&body));
	else if (r)
		answer_problem(r, 503, "Service Unavailable", "the store could not say whether the replay is safe: ask again with the "
			       "same Idempotency-Key", NULL);
	replay_free(t);
}

/* What would run. */
static void reply_dry(struct http_request *r, const struct submit *s)
{
	CLEANUP(buf_fini) struct buf body = BUF(REPLY_MAX);

	buf_addf(&body, "{\"replay_of\":%" PRId64 ",\"dry_run\":true,\"matched\":[", s->replay_of);
	for (int i = 0; i < s->n_jobs; i++) {
		buf_adds(&body, i ? ",{\"rule\":" : "{\"rule\":");
		buf_add_json(&body, slice_of(s->jobs[i].rule));
		buf_adds(&body, ",\"cell\":");
		buf_add_json(&body, slice_of(s->jobs[i].cell ? s->jobs[i].cell : ""));
		buf_addc(&body, '}');
	}
	buf_addf(&body, "],\"not_matched\":%s}\n", s->why_json);
	answer_json(r, 200, buf_slice(&body));
}

/* R answered, or T on its way to the store: either way both have found their owner. */
static void answer(struct replay *t, struct http_request *r)
{
	if (t->refusal[0]) {
		answer_problem(r, 409, "Conflict", t->refusal, NULL);
		replay_free(t);
	} else if (t->is_dry) {
		reply_dry(r, &t->submit);
		replay_free(t);
	} else {
		t->ticket = http_park(r);
		store_submit(t->loop->front->store, &t->submit);
	}
}

/* ---- the verdict: pure work ---- */

static void keep_rule(struct submit *s, const char *rule)
{
	int n = 0;

	for (int i = 0; i < s->n_jobs; i++)
		if (!strcmp(s->jobs[i].rule, rule))
			s->jobs[n++] = s->jobs[i];
		else
			submit_job_fini(&s->jobs[i]);
	s->n_jobs = n;
}

static int depth_of(const char *cause_json)
{
	json_t *cause = cause_json ? json_loads(cause_json, 0, NULL) : NULL;
	int depth = (int)json_integer_value(json_object_get(cause, "depth"));

	json_decref(cause);
	return depth;
}

/* What is kept goes into the submission, once nothing borrows from it any more. */
static void take_kept(struct kept *k, struct submit *s)
{
	s->headers_json = TAKE(&k->headers_json);
	s->query = TAKE(&k->query);
	s->secret = TAKE(&k->secret);
	s->cause_json = TAKE(&k->cause_json);
}

static int make_verdict(struct replay *t, struct err *e)
{
	struct submit *s = &t->submit;
	int depth = depth_of(t->kept->cause_json);
	struct recalled r;

	if (depth > CHAIN_DEPTH_MAX)
		return err_set(e, ERR_LIMIT, "this event is number %d in a row that jobs caused, the most is %d", depth, CHAIN_DEPTH_MAX);
	if (recall(t->edition->rules, t->kept, buf_slice(&s->body), &r, e) < 0)
		return -1;
	r.view.delivery_key = t->key;
	r.view.received_ms = s->received_ms;
	int bad = r.view.only && !rule_is_enabled(r.view.only) ? err_set(e, ERR_INPUT, "rule '%s' says enabled = false", rule_name(r.view.only)) :
		  verdict_make(t->edition->rules, &r.view, s, &t->verdict, e);
	recalled_fini(&r);
	return bad;
}

static void judge(struct replay *t)
{
	struct submit *s = &t->submit;
	struct err e = { 0 };

	if (make_verdict(t, &e) < 0) {
		snprintf(t->refusal, sizeof t->refusal, "%s", e.msg);
		return;
	}
	take_kept(t->kept, s);
	if (t->rule[0])
		keep_rule(s, t->rule);
	if (t->rule[0] && s->n_jobs == 0 && !t->is_dry)
		snprintf(t->refusal, sizeof t->refusal, "rule '%s' does not match this delivery: a dry run (--dry-run, dry_run=1) says why", t->rule);
}

/* ---- what was kept ---- */

static char *make_key(const struct http_request *r, int64_t id)
{
	const struct header given = { SLICE("idempotency-key"), http_header(r, "idempotency-key", NULL) };
	CLEANUP(freep) char *own = intake_make_key(&given, 1);
	return xprintf("replay-%" PRId64 "-%s", id, own);
}

/* All but what the rules say of it. */
static void fill(struct replay *t, const struct http_request *r, struct ask *q)
{
	t->kept = TAKE(&q->read.kept);
	t->key = make_key(r, q->read.a);
	t->submit = (struct submit){ .mail.deliver = on_stored, .reply_to = http_loop_mailbox(t->loop->http), .received_ms = wall_ms(),
				     .ruleset_keep = t->edition, .replay_of = q->read.a, .body = q->read.json };
	q->read.json = (struct buf){ .max = 0 };
}

static struct replay *replay_of_work(struct body_work *w)
{
	return (struct replay *)((char *)w - offsetof(struct replay, work));
}

static void judge_large(struct body_work *w)
{
	judge(replay_of_work(w));
}

static void on_judged(struct body_work *w)
{
	struct replay *t = replay_of_work(w);
	struct http_request *r = http_unpark(t->ticket);

	if (r)
		answer(t, r);
	else
		replay_free(t);         /* who asked has left, and nothing is stored: it may be asked for again */
}

/* T, and R with it, go to the thread of large bodies; or R is told to come again. */
static void send_large(struct replay *t, struct http_request *r)
{
	static const char *const headers[] = { "retry-after", "5", NULL };
	struct bodies *b = t->loop->front->bodies;
	size_t bytes = t->submit.body.len;

	if (bodies_reserve(b, bytes) < 0) {
		answer_problem(r, 503, "Service Unavailable", "too many large deliveries at once", headers);
		replay_free(t);
		return;
	}
	t->ticket = http_park(r);
	t->work = (struct body_work){ .home = http_loop_mailbox(t->loop->http), .judge = judge_large, .judged = on_judged };
	bodies_send(b, bytes, &t->work);
}

/* 1 where there is no such rule, and R has been told so. */
static int lacks_rule(const struct replay *t, struct http_request *r)
{
	CLEANUP(buf_fini) struct buf why = BUF(4096);
	const struct ruleset *rs = t->edition->rules;

	for (size_t i = 0; i < ruleset_rule_count(rs); i++)
		if (!strcmp(rule_name(ruleset_rule_at(rs, i)), t->rule))
			return 0;
	edition_no_rule(rs, t->rule, "", &why);
	answer_not_found(r, buf_cstr(&why));
	return 1;
}

static void on_kept(struct http_request *r, struct ask *q)
{
	struct replay *t = q->arg;

	q->arg = NULL;
	fill(t, r, q);
	if (!t->kept->has_body) {
		ask_answer_gone(r, "the body of this delivery is no longer kept");
		replay_free(t);
	} else if (t->rule[0] && lacks_rule(t, r)) {
		replay_free(t);
	} else if (t->submit.body.len > BODY_LOOP_BYTES) {
		send_large(t, r);
	} else {
		judge(t);
		answer(t, r);
	}
}

void replay_delivery(const struct call *c)
{
	struct replay *t = xcalloc(1, sizeof *t);
	struct ask *q = ask_new(c->loop, READ_KEPT, c->id);

	t->loop = c->loop;
	t->edition = edition_ref(c->loop->edition);
	q->then = on_kept;
	q->arg = t;
	q->drop = drop;
	if (ask_text(c->r, "rule", t->rule, sizeof t->rule) < 0 || ask_flag(c->r, "dry_run", &t->is_dry) < 0)
		ask_free(q);
	else
		ask_store(c->r, q);
}
