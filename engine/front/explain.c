/* front/explain.c - a kept delivery before the rules once more, for an answer in words:
 *
 *     explain_delivery  the parameters, a place among those that wait       400 503
 *     on_kept           what is kept of it, from the store                  404 410
 *     judge             on a thread of its own: the rules of then have to be read and compiled, thousands of rules may listen and
 *                       the body may be large; neither a loop nor a hook waits for that
 *       find_rules      those in force, or those that judged it             410
 *       recall, match   as the first time (recall.c)                        409
 *       say             JSON, or a text for people                          404
 *     on_said           the answer                                          200 */
#include "front/explain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/answer.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/recall.h"
#include "front/shelf.h"
#include "front/worker.h"

#define FRAME_BYTES 1024                /* of the answer, besides what there is to say */

struct explain {
	struct worker *worker;
	int folder_dirfd;
	_Atomic int waiting;
};

struct question {
	struct mail mail;               /* to the worker, and back */
	struct explain *explain;
	struct loop *loop;
	struct http_ticket *ticket;
	struct edition *edition;        /* in force when it was asked */
	int64_t delivery;
	struct kept *kept;
	struct buf body;
	char rule[128], file[256];      /* the only one to tell of; "": all */
	int is_of_then, is_text, has_colour;
	int status;                     /* of the answer */
	const char *title;              /* of a problem */
	struct buf answer;              /* JSON; or what the problem is */
};

struct explain *explain_new(int folder_dirfd)
{
	struct explain *x = xcalloc(1, sizeof *x);
	x->worker = worker_new("explain");
	x->folder_dirfd = folder_dirfd;
	return x;
}

void explain_stop(struct explain *x)
{
	if (!x)
		return;
	worker_free(x->worker);
	x->worker = NULL;
}

void explain_free(struct explain *x)
{
	explain_stop(x);
	free(x);
}

static void question_free(struct question *q)
{
	atomic_fetch_sub(&q->explain->waiting, 1);
	edition_unref(q->edition);
	kept_free(q->kept);
	buf_fini(&q->body);
	buf_fini(&q->answer);
	free(q);
}

/* ---- on the worker's thread ---- */

PRINTF(4, 5) static int refuse(struct question *q, int status, const char *title, const char *fmt, ...)
{
	char detail[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof detail, fmt, args);
	va_end(args);
	q->status = status;
	q->title = title;
	buf_clear(&q->answer);
	buf_adds(&q->answer, detail);
	return -1;
}

/* One reference; NULL: refused. */
static struct ruleset *find_rules(struct question *q)
{
	struct ruleset *in_force = q->edition->rules;
	struct err e = { 0 };

	if (!q->is_of_then || !strcmp(q->kept->ruleset, ruleset_sha256(in_force)))
		return ruleset_ref(in_force);
	struct shelf *shelf = shelf_new(q->explain->folder_dirfd);
	struct ruleset *rs = shelf_find(shelf, q->kept->ruleset, &e);
	shelf_free(shelf);
	if (!rs)
		refuse(q, 410, "Gone", "the rules of then cannot be had any more: %s", e.msg);
	return rs;
}

static const struct rule *find_rule(struct question *q, const struct ruleset *rs)
{
	CLEANUP(buf_fini) struct buf why = BUF(4096);

	for (size_t i = 0; i < ruleset_rule_count(rs); i++) {
		const struct rule *r = ruleset_rule_at(rs, i);
		if (!strcmp(rule_name(r), q->rule) && (!q->file[0] || !strcmp(rule_file(r), q->file)))
			return r;
	}
	edition_no_rule(rs, q->rule, q->file, &why);
	refuse(q, 404, "Not Found", "%s", buf_cstr(&why));
	return NULL;
}

/* {"delivery":7,"ruleset":…,"then":…,"in_force":…, and then as match_explain_json says, or the text. */
static void say(struct question *q, const struct ruleset *rs, const struct match *m, const struct rule *only)
{
	CLEANUP(buf_fini) struct buf words = BUF(EXPLAIN_MAX_BYTES - FRAME_BYTES);

	if (q->is_text && only)
		match_explain_rule(m, only, &words, q->has_colour);
	else if (q->is_text)
		match_explain(m, &words, q->has_colour);
	else if (only)
		match_explain_rule_json(m, only, &words);
	else
		match_explain_json(m, &words);
	buf_addf(&q->answer, "{\"delivery\":%" PRId64 ",\"ruleset\":\"%s\",\"then\":", q->delivery, ruleset_sha256(rs));
	buf_add_json(&q->answer, slice_of(q->kept->ruleset));
	buf_addf(&q->answer, ",\"in_force\":%s,", strcmp(ruleset_sha256(rs), ruleset_sha256(q->edition->rules)) ? "false" : "true");
	if (q->is_text) {
		buf_addf(&q->answer, "\"fires\":%s,\"text\":", (only ? match_fires_rule(m, only) : match_count(m) > 0) ? "true" : "false");
		buf_add_json(&q->answer, buf_slice(&words));
		buf_addc(&q->answer, '}');
	} else {
		buf_add(&q->answer, slice_from(buf_slice(&words), 1));
	}
	q->status = 200;
	if (buf_is_over(&words) || buf_is_over(&q->answer))
		refuse(q, 409, "Conflict", "what there is to say is over %d MiB%s", EXPLAIN_MAX_BYTES >> 20, only ? "" : ": ask for one rule");
}

static void explain(struct question *q, const struct ruleset *rs)
{
	struct recalled r;
	struct match *m;
	struct err e;
	const struct rule *only = q->rule[0] ? find_rule(q, rs) : NULL;

	if (q->rule[0] && !only)
		return;
	if (recall(rs, q->kept, buf_slice(&q->body), &r, &e) < 0) {
		refuse(q, 409, "Conflict", "%s", e.msg);
		return;
	}
	if (ruleset_match(rs, &r.view, &m, &e) < 0) {
		refuse(q, 409, "Conflict", "%s", e.msg);
	} else {
		say(q, rs, m, only);
		match_free(m);
	}
	recalled_fini(&r);
}

static void on_said(struct mail *m, void *http_loop);

static void judge(struct mail *m, void *none)
{
	struct question *q = (struct question *)m;
	struct ruleset *rs = find_rules(q);

	if (rs) {
		explain(q, rs);
		ruleset_unref(rs);
	}
	q->mail.deliver = on_said;
	mailbox_post(http_loop_mailbox(q->loop->http), &q->mail);
}

/* ---- on the loop's ---- */

static void on_said(struct mail *m, void *http_loop)
{
	struct question *q = (struct question *)m;
	struct http_request *r = http_unpark(q->ticket);

	if (r && q->status == 200)
		answer_json(r, 200, buf_slice(&q->answer));
	else if (r)
		answer_problem(r, q->status, q->title, buf_cstr(&q->answer), NULL);
	question_free(q);
}

static void on_kept(struct http_request *r, struct ask *a)
{
	struct question *q = a->arg;

	if (!a->read.kept->has_body) {
		ask_answer_gone(r, "the body of this delivery is no longer kept");
		return;
	}
	a->arg = NULL;
	q->kept = TAKE(&a->read.kept);
	q->body = a->read.json;
	a->read.json = (struct buf){ .max = 0 };
	q->ticket = http_park(r);
	q->mail.deliver = judge;
	worker_post(q->explain->worker, &q->mail);
}

static void drop(void *question)
{
	question_free(question);
}

static int take_parameters(struct http_request *r, struct question *q)
{
	char which[8];

	if (ask_text(r, "ruleset", which, sizeof which) < 0 || ask_text(r, "rule", q->rule, sizeof q->rule) < 0 ||
	    ask_text(r, "file", q->file, sizeof q->file) < 0 || ask_flag(r, "text", &q->is_text) < 0 ||
	    ask_flag(r, "colour", &q->has_colour) < 0)
		return -1;
	q->is_of_then = !strcmp(which, "then");
	if (which[0] && !q->is_of_then && strcmp(which, "now"))
		return ask_refuse(r, "ruleset", "now (those in force) or then (those that judged it)");
	return 0;
}

void explain_delivery(const struct call *c)
{
	static const char *const headers[] = { "retry-after", "2", NULL };
	struct explain *x = c->loop->front->explain;

	if (atomic_fetch_add(&x->waiting, 1) >= EXPLAIN_WAITING_MAX) {
		atomic_fetch_sub(&x->waiting, 1);
		answer_problem(c->r, 503, "Service Unavailable", "too many explanations are asked for at once", headers);
		return;
	}
	struct question *q = xcalloc(1, sizeof *q);
	*q = (struct question){ .explain = x, .loop = c->loop, .edition = edition_ref(c->loop->edition), .delivery = c->id,
				.answer = BUF(2 * EXPLAIN_MAX_BYTES) };
	if (take_parameters(c->r, q) < 0) {
		question_free(q);
		return;
	}
	struct ask *a = ask_new(c->loop, READ_KEPT, c->id);
	a->then = on_kept;
	a->arg = q;
	a->drop = drop;
	ask_store(c->r, a);
}
