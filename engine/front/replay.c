/* front/replay.c - read what was kept (READ_KEPT), identify and match it as ingest.c does what arrives, submit it under a key
 * of its own. Nothing is verified again: it was, and who asks has the control key. */
#include "front/replay.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/intake.h"
#include "front/loops.h"
#include "front/verdict.h"
#include "rules/provider.h"

#define REPLY_MAX (16u << 20)
#define HEADERS_MAX 128

struct replay {
	struct submit submit;           /* first: its mail is ours */
	struct loop *loop;
	struct edition *edition;
	struct http_ticket *ticket;
	struct verdict verdict;
	struct identity identity;
	char rule[128];                 /* the only one to run; "": all that match */
	int is_dry;
};

static void replay_free(struct replay *t)
{
	struct edition *ed = t->edition;

	verdict_fini(&t->verdict);
	identity_fini(&t->identity);
	submit_free(&t->submit);
	edition_unref(ed);
}

static void drop(void *arg)
{
	replay_free(arg);
}

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

static int judge(struct replay *t, const struct source *source, const char *key, struct err *e)
{
	struct submit *s = &t->submit;
	const struct provider *p = source_provider(source);
	struct header headers[HEADERS_MAX];
	struct request_view view = { .method = SLICE("POST"), .path = slice_of(source_path(source)), .query = slice_of(s->query),
				     .body = buf_slice(&s->body), .headers = headers, .now_ms = s->received_ms };
	json_t *kept = json_loads(s->headers_json, 0, NULL), *value;
	const char *name;

	json_object_foreach(kept, name, value)
		if (view.n_headers < HEADERS_MAX && json_is_string(value))
			headers[view.n_headers++] = (struct header){ slice_of(name), slice_of(json_string_value(value)) };
	int bad = p && provider_identify(p, &view, &t->identity, e) < 0;
	json_decref(kept);
	if (bad)
		return -1;
	const struct delivery_view d = { .source = source, .event = slice_of(t->identity.event ? t->identity.event : ""),
		.action = slice_of(t->identity.action ? t->identity.action : ""),
		.json = t->identity.json.len ? buf_slice(&t->identity.json) : view.body, .headers_json = slice_of(s->headers_json),
		.query = view.query, .delivery_key = key, .received_ms = s->received_ms };
	return verdict_make(t->edition->rules, &d, s, &t->verdict, e);
}

static char *make_key(const struct http_request *r, int64_t id)
{
	const struct header given = { SLICE("idempotency-key"), http_header(r, "idempotency-key", NULL) };
	CLEANUP(freep) char *own = intake_make_key(&given, 1);
	return xprintf("replay-%" PRId64 "-%s", id, own);
}

/* 0: T is judged, R is still to be answered. -1: it is answered. */
static int prepare(struct http_request *r, struct replay *t, struct ask *q)
{
	struct kept *k = q->read.kept;
	struct submit *s = &t->submit;
	const struct source *source = ruleset_source_find(t->edition->rules, slice_of(k->source));
	CLEANUP(freep) char *key = make_key(r, q->read.a);
	struct err e = { 0 };
	char text[400];

	if (!k->has_body) {
		ask_answer_gone(r, "the body of this delivery is no longer kept");
		return -1;
	}
	if (!source) {
		snprintf(text, sizeof text, "'%.100s' is no source of the rules in force whose deliveries could be replayed", k->source);
		answer_problem(r, 409, "Conflict", text, NULL);
		return -1;
	}
	*s = (struct submit){ .mail.deliver = on_stored, .reply_to = http_loop_mailbox(t->loop->http), .received_ms = wall_ms(),
			      .headers_json = TAKE(&k->headers_json), .query = TAKE(&k->query), .secret = TAKE(&k->secret),
			      .ruleset_keep = t->edition, .replay_of = q->read.a, .body = q->read.json };
	q->read.json = (struct buf){ .max = 0 };
	if (judge(t, source, key, &e) < 0) {
		answer_problem(r, 409, "Conflict", e.msg, NULL);
		return -1;
	}
	if (t->rule[0])
		keep_rule(s, t->rule);
	if (t->rule[0] && s->n_jobs == 0 && !t->is_dry) {
		snprintf(text, sizeof text, "rule '%s' does not match this delivery: dry_run=1 says why", t->rule);
		answer_problem(r, 409, "Conflict", text, NULL);
		return -1;
	}
	return 0;
}

static void on_kept(struct http_request *r, struct ask *q)
{
	struct replay *t = q->arg;

	q->arg = NULL;
	if (prepare(r, t, q) < 0) {
		replay_free(t);
	} else if (t->is_dry) {
		reply_dry(r, &t->submit);
		replay_free(t);
	} else {
		t->ticket = http_park(r);
		store_submit(t->loop->front->store, &t->submit);
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
