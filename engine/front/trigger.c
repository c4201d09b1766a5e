/* front/trigger.c - a request becomes a submission of the source `local`. */
#include "front/trigger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/http.h"
#include "front/intake.h"
#include "front/query.h"
#include "front/verdict.h"
#include "rules/match.h"
#include "rules/schema.h"
#include "store/store.h"
#include "store/submit.h"

#define REPLY_MAX (16u << 20)

struct trigger {
	struct submit submit;           /* first: its mail is ours */
	struct loop *loop;
	struct edition *edition;
	struct http_ticket *ticket;
	struct verdict verdict;
};

static void trigger_free(struct trigger *t)
{
	struct edition *ed = t->edition;

	verdict_fini(&t->verdict);
	submit_free(&t->submit);
	edition_unref(ed);
}

/* ---- the answer ---- */

static void reply_stored(struct http_request *r, const struct trigger *t)
{
	const struct submit *s = &t->submit;
	CLEANUP(buf_fini) struct buf body = BUF(REPLY_MAX);

	buf_addf(&body, "{\"delivery\":%" PRId64 ",\"matched\":[", s->delivery);
	verdict_add_matched(s, t->edition->url, &body);
	buf_addf(&body, "],\"not_matched\":%s%s}\n", s->why_json,
		 t->verdict.is_heard ? "" : ",\"note\":\"no rule listens to this event\"");
	answer_json(r, 202, buf_slice(&body));
}

static void on_stored(struct mail *m, void *http_loop)
{
	struct trigger *t = (struct trigger *)m;
	const struct submit *s = &t->submit;
	struct http_request *r = http_unpark(t->ticket);
	char text[96];

	if (s->outcome == STORE_OK) {
		log_info("triggered", "event=%s delivery=%" PRId64 " jobs=%d", s->event, s->delivery, s->n_jobs);
		if (r)
			reply_stored(r, t);
	} else if (s->outcome == STORE_DUPLICATE) {
		snprintf(text, sizeof text, "{\"delivery\":%" PRId64 ",\"duplicate\":true}\n", s->delivery);
		if (r)
			answer_json(r, 200, slice_of(text));
	} else {
		if (r)
			answer_problem(r, 503, "Service Unavailable", "the store could not say whether the event is safe", NULL);
		desk_store_broke(t->loop->front->desk);
	}
	trigger_free(t);
}

/* ---- the event ---- */

static char *key_of(struct http_request *r)
{
	const struct header given = { SLICE("idempotency-key"), http_header(r, "idempotency-key", NULL) };
	return intake_make_key(&given, 1);
}

static void submit(struct http_request *r, struct loop *l, struct slice event, const struct rule *only)
{
	struct trigger *t = xcalloc(1, sizeof *t);
	struct submit *s = &t->submit;
	struct slice body = http_body(r);
	CLEANUP(freep) char *key = key_of(r);
	struct err e = { 0 };

	t->loop = l;
	t->edition = edition_ref(l->edition);
	*s = (struct submit){ .mail.deliver = on_stored, .reply_to = http_loop_mailbox(l->http), .headers_json = xstrdup("{}"),
			      .received_ms = wall_ms(), .ruleset_keep = t->edition, .body = BUF(body.len + 3) };
	buf_add(&s->body, body.len ? body : SLICE("{}"));
	const struct delivery_view d = { .source = ruleset_inner_source(t->edition->rules, INNER_LOCAL), .event = event,
		.json = buf_slice(&s->body), .headers_json = SLICE("{}"), .delivery_key = key, .received_ms = s->received_ms, .only = only };
	if (verdict_make(t->edition->rules, &d, s, &t->verdict, &e) < 0) {
		answer_problem(r, 400, "Bad Request", e.msg, NULL);
		trigger_free(t);
		return;
	}
	t->ticket = http_park(r);
	store_submit(l->front->store, s);
}

void trigger_rule(struct http_request *r, struct loop *l, struct slice name)
{
	const struct ruleset *rs = l->edition->rules;
	const struct rule *found = NULL;
	CLEANUP(buf_fini) struct buf file = BUF(4096);
	char text[400];
	int n = 0;

	if (query_get(http_query(r), "file", &file) < 0) {
		answer_problem(r, 400, "Bad Request", "parameter 'file': the path of a rule file, once", NULL);
		return;
	}
	for (size_t i = 0; i < ruleset_rule_count(rs); i++) {
		const struct rule *rule = ruleset_rule_at(rs, i);
		if (!slice_eq(slice_of(rule_name(rule)), name) || (file.len && !slice_eq(buf_slice(&file), slice_of(rule_file(rule)))))
			continue;
		found = rule;
		n++;
	}
	if (n == 0) {
		snprintf(text, sizeof text, "there is no rule '" SLICE_FMT "'%s%.100s", SLICE_ARG(slice_upto(name, 100)), file.len ? " in " : "",
			 file.len ? buf_cstr(&file) : "");
		answer_not_found(r, text);
	} else if (n > 1) {
		snprintf(text, sizeof text, "%d rules are called '" SLICE_FMT "': say which, with file=%s or the like", n,
			 SLICE_ARG(slice_upto(name, 100)), rule_file(found));
		answer_problem(r, 409, "Conflict", text, NULL);
	} else if (!rule_is_enabled(found)) {
		answer_problem(r, 409, "Conflict", "the rule says enabled = false", NULL);
	} else {
		submit(r, l, SLICE("trigger"), found);
	}
}

void trigger_local(struct http_request *r, struct loop *l, struct slice name)
{
	if (schema_name_is_valid(name))
		submit(r, l, name, NULL);
	else
		answer_problem(r, 400, "Bad Request", "the name of a local event is made of letters, digits, '.', '_' and '-', 64 at most", NULL);
}
