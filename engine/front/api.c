/* front/api.c - the table of requests, and for each a function that checks its parameters and asks the store (ask.c). The
 * answer of the store is JSON already; where something is missing that the database does not know (the plan of a job, the
 * version), it is spliced in. Deliveries are in api_deliveries.c. */
#include "front/api.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "front/answer.h"
#include "front/api_deliveries.h"
#include "front/ask.h"
#include "front/auth.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/explain.h"
#include "front/front.h"
#include "front/http.h"
#include "front/ingest.h"
#include "front/log_text.h"
#include "front/loops.h"
#include "front/refusals.h"
#include "front/replay.h"
#include "front/save.h"
#include "front/sse.h"
#include "front/trigger.h"
#include "journal/file.h"
#include "store/store.h"

#define JSON_MAX (64u << 20)

/* ---- jobs ---- */

static void list_jobs(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_JOBS, 0);
	struct filter *f = &q->read.filter;
	enum job_state state;

	q->then = ask_tell_list;
	if (ask_text(c->r, "state", f->state, sizeof f->state) < 0 || ask_text(c->r, "rule", f->rule, sizeof f->rule) < 0 ||
	    ask_list(c->r, &q->read) < 0) {
		ask_free(q);
	} else if (f->state[0] && job_state_parse(slice_of(f->state), &state) < 0) {
		ask_refuse(c->r, "state", "the name of one state, as in docs/api.md");
		ask_free(q);
	} else {
		ask_store(c->r, q);
	}
}

/* The names of the rule's steps, where the rule set in force still is the one that has the rule. */
static void add_plan(const struct loop *l, struct slice job_json, struct buf *out)
{
	json_t *job = json_loadb(job_json.ptr, job_json.len, 0, NULL), *described = NULL;
	const char *file = json_string_value(json_object_get(job, "file"));
	const char *name = json_string_value(json_object_get(job, "rule"));
	const char *sha = json_string_value(json_object_get(job, "ruleset"));
	const struct ruleset *rs = l->edition->rules;
	CLEANUP(buf_fini) struct buf text = BUF(JSON_MAX);

	const struct rule *rule = file && name && (!sha || !strcmp(sha, ruleset_sha256(rs)))
		? ruleset_rule_find(rs, slice_of(file), slice_of(name)) : NULL;
	if (rule) {
		rule_describe_json(rule, &text);
		described = json_loadb(text.ptr, text.len, 0, NULL);
	}
	json_t *steps = json_object_get(described, "steps");
	char *list = steps ? json_dumps(steps, JSON_COMPACT) : NULL;
	buf_addf(out, ",\"plan\":{\"steps\":%s}", list ? list : "[]");
	free(list);
	json_decref(described);
	json_decref(job);
}

static void tell_job(struct http_request *r, struct ask *q)
{
	struct slice job = slice_trim(buf_slice(&q->read.json));
	CLEANUP(buf_fini) struct buf body = BUF(JSON_MAX);

	if (!slice_ends(job, SLICE("}"))) {
		ask_answer_unknown(r);
		return;
	}
	buf_add(&body, slice_upto(job, job.len - 1));
	add_plan(q->loop, job, &body);
	buf_addc(&body, '}');
	answer_json(r, 200, buf_slice(&body));
}

static void show_job(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_JOB, c->id);
	q->then = tell_job;
	ask_store(c->r, q);
}

struct cancelling {
	struct cancel cancel;
	struct loop *loop;
	struct http_ticket *ticket;
};

static void on_cancelled(struct mail *m, void *http_loop)
{
	struct cancelling *w = (struct cancelling *)m;
	struct http_request *r = http_unpark(w->ticket);
	char text[80];

	if (w->cancel.outcome == STORE_OK && w->cancel.state == JOB_RUNNING)
		desk_cancel(w->loop->front->desk, w->cancel.job, w->cancel.attempt, w->cancel.reason);
	if (r && w->cancel.outcome == STORE_OK) {
		snprintf(text, sizeof text, "{\"state\":\"%s\"}\n", job_state_name(w->cancel.state));
		answer_json(r, 202, slice_of(text));
	} else if (r && w->cancel.outcome == STORE_NOT_FOUND) {
		snprintf(text, sizeof text, "no job %" PRId64, w->cancel.job);
		answer_not_found(r, text);
	} else if (r && w->cancel.outcome == STORE_STALE) {
		snprintf(text, sizeof text, "job %" PRId64 " has ended already: %s", w->cancel.job,
			 job_state_name(w->cancel.state));
		answer_problem(r, 409, "Conflict", text, NULL);
	} else if (r) {
		ask_answer_unknown(r);
	}
	free(w);
}

static void cancel_job(const struct call *c)
{
	struct cancelling *w = xcalloc(1, sizeof *w);

	w->loop = c->loop;
	w->cancel = (struct cancel){ .mail.deliver = on_cancelled, .reply_to = http_loop_mailbox(c->loop->http),
				     .job = c->id, .reason = "cancelled by the operator" };
	w->ticket = http_park(c->r);
	store_cancel(c->loop->front->store, &w->cancel);
}

static void follow_job(const struct call *c)
{
	sse_job_events(c->r, c->loop->sse, c->id);
}

/* ---- a job's journal and log ---- */

/* The attempt that the request names, or the last; NULL where there is none. */
static const struct watch_attempt *pick(const struct read *read, int64_t wanted)
{
	const struct watch_attempt *found = NULL;

	for (int i = 0; i < read->n_attempts; i++) {
		const struct watch_attempt *a = &read->attempts[i];
		if (wanted ? a->attempt == wanted : !found || a->attempt > found->attempt)
			found = a;
	}
	return found;
}

struct journal {
	int fd;                         /* owned */
	int64_t length;                 /* what may be shown: whole events, and nothing behind a settled end */
	int attempt, is_final;
};

/* 1 and *out; 0: R has been answered (an attempt that has not begun is an empty text, not an error). */
static int open_journal(struct http_request *r, struct ask *q, struct journal *out)
{
	const char *const headers[] = { "x-content-type-options", "nosniff", "cache-control", "no-store", NULL };
	int64_t wanted;
	struct err e;

	if (ask_number(r, "attempt", 1, 1 << 20, 0, &wanted) < 0)
		return 0;
	const struct watch_attempt *a = pick(&q->read, wanted);
	if (!a && wanted) {
		answer_not_found(r, "the job has no such attempt");
		return 0;
	}
	int fd = a ? journal_open(q->loop->front->journals_dirfd, q->read.a, a->attempt, &e) : -1;
	if (fd < 0 && a && a->is_final && a->log_bytes > 0) {
		log_error("a journal is missing", "job=%" PRId64 " reason=\"%s\"", q->read.a, e.msg);
		answer_problem(r, 410, "Gone", "the journal of this attempt is no longer there", NULL);
		return 0;
	}
	if (fd < 0) {
		http_reply(r, &(struct http_reply){ .status = 200, .content_type = "text/plain; charset=utf-8",
						    .headers = headers });
		return 0;
	}
	*out = (struct journal){ .fd = fd, .attempt = a->attempt, .is_final = a->is_final };
	out->length = a->is_final ? a->log_bytes : journal_settled_length(fd, &e);
	if (out->length >= 0)
		return 1;
	close(fd);
	http_problem(r, 500, "Internal Server Error", "the journal cannot be read");
	return 0;
}

static void tell_journal(struct http_request *r, struct ask *q)
{
	struct journal j;

	if (!open_journal(r, q, &j))
		return;
	struct answer_file f = { .fd = j.fd, .length = j.length, .content_type = "text/plain; charset=utf-8",
				 .is_immutable = j.is_final };
	snprintf(f.etag, sizeof f.etag, "\"%" PRId64 ".%d.%" PRId64 "\"", q->read.a, j.attempt, j.length);
	answer_file(r, &f);
	close(j.fd);
}

static void show_journal(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_WATCH, c->id);
	q->then = tell_journal;
	ask_store(c->r, q);
}

static void tell_log(struct http_request *r, struct ask *q)
{
	struct log_wanted w = { .job = q->read.a };
	struct journal j;
	int is_plain;

	if (ask_flag(r, "plain", &is_plain) < 0 || ask_number(r, "tail", 0, INT64_MAX, -1, &w.tail) < 0 || !open_journal(r, q, &j))
		return;
	w.attempt = j.attempt;
	w.journal_fd = j.fd;
	w.length = j.length;
	w.is_final = j.is_final;
	w.form = is_plain ? TEXT_PLAIN : TEXT_AS_PRINTED;
	log_text_answer(r, q->loop, &w);
}

static void show_log(const struct call *c)
{
	int is_followed;

	if (ask_flag(c->r, "follow", &is_followed) < 0)
		return;
	if (is_followed) {
		sse_log_follow(c->r, c->loop->sse, c->id);
		return;
	}
	struct ask *q = ask_new(c->loop, READ_WATCH, c->id);
	q->then = tell_log;
	ask_store(c->r, q);
}

/* ---- rules, changes, status, reload ---- */

static void add_text_or_null(struct buf *out, const char *text)
{
	if (text)
		buf_add_json(out, slice_of(text));
	else
		buf_adds(out, "null");
}

/* The members of what was refused, behind what an object has already. */
static void add_refused(const struct refused *no, struct buf *out)
{
	buf_addf(out, "\"count\":%" PRId64 ",\"last_ms\":%" PRId64 ",\"status\":%" PRId64 ",\"reason\":", no->count, no->last_ms, no->status);
	buf_add_json(out, slice_of(no->why));
}

static void add_source(const struct edition *ed, const struct hook *h, struct buf *out)
{
	const struct provider *p = source_provider(h->source);
	size_t n;
	const struct source_secret *secrets = source_secrets(h->source, &n);
	struct refused no;

	buf_adds(out, "{\"name\":");
	buf_add_json(out, slice_of(source_name(h->source)));
	buf_adds(out, ",\"provider\":");
	buf_add_json(out, slice_of(p ? provider_name(p) : ""));
	buf_adds(out, ",\"path\":");
	buf_add_json(out, slice_of(source_path(h->source)));
	buf_adds(out, ",\"secrets\":[");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_addc(out, ',');
		buf_add_json(out, slice_of(secrets[i].name));
	}
	buf_addf(out, "],\"heard\":%s,\"error\":", ruleset_hears(ed->rules, h->source) ? "true" : "false");
	add_text_or_null(out, h->error);
	refusals_tell(h->refusals, &no);
	buf_adds(out, ",\"refused\":");
	buf_adds(out, no.count ? "{" : "null");
	if (no.count)
		add_refused(&no, out);
	buf_adds(out, no.count ? "}}" : "}");
}

static void show_rules(const struct call *c)
{
	const struct edition *ed = c->loop->edition;
	CLEANUP(buf_fini) struct buf body = BUF(JSON_MAX);

	buf_addf(&body, "{\"ruleset\":\"%s\",\"loaded_ms\":%" PRId64 ",\"error\":", ruleset_sha256(ed->rules), ed->loaded_ms);
	add_text_or_null(&body, ed->error);
	buf_adds(&body, ",\"rules\":[");
	for (size_t i = 0; i < ruleset_rule_count(ed->rules); i++) {
		if (i)
			buf_addc(&body, ',');
		rule_describe_json(ruleset_rule_at(ed->rules, i), &body);
	}
	buf_adds(&body, "],\"sources\":[");
	for (size_t i = 0; i < ed->n_hooks; i++) {
		if (i)
			buf_addc(&body, ',');
		add_source(ed, &ed->hooks[i], &body);
	}
	buf_adds(&body, "]}\n");
	answer_json(c->r, 200, buf_slice(&body));
}

static void follow_changes(const struct call *c)
{
	sse_changes(c->r, c->loop->sse);
}

/* The names of those that no rule listens to. */
static void add_silent_sources(const struct edition *ed, struct buf *out)
{
	int n = 0;

	buf_adds(out, ",\"silent_sources\":[");
	for (size_t i = 0; i < ed->n_hooks; i++) {
		if (ruleset_hears(ed->rules, ed->hooks[i].source))
			continue;
		buf_adds(out, n++ ? "," : "");
		buf_add_json(out, slice_of(source_name(ed->hooks[i].source)));
	}
	buf_addc(out, ']');
}

/* Who was turned away since the start. */
static void add_all_refused(const struct edition *ed, struct buf *out)
{
	struct refused no;
	int n = 0;

	buf_adds(out, ",\"refused\":[");
	for (size_t i = 0; i < ed->n_hooks; i++) {
		refusals_tell(ed->hooks[i].refusals, &no);
		if (no.count == 0)
			continue;
		buf_adds(out, n++ ? ",{\"source\":" : "{\"source\":");
		buf_add_json(out, slice_of(source_name(ed->hooks[i].source)));
		buf_addc(out, ',');
		add_refused(&no, out);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void add_strays(const struct loop *l, struct buf *out)
{
	struct strays_told told = { 0 };

	if (l->front->ingest)
		strays_tell(ingest_strays(l->front->ingest), &told);
	buf_addf(out, ",\"unknown_paths\":{\"count\":%" PRId64 ",\"last\":[", told.count);
	for (size_t i = 0; i < STRAYS_KEPT && told.last[i].count; i++) {
		const struct stray *s = &told.last[i];
		buf_adds(out, i ? ",{\"path\":" : "{\"path\":");
		buf_add_json(out, slice_of(s->path));
		buf_addf(out, ",\"count\":%" PRId64 ",\"last_ms\":%" PRId64 ",\"did_you_mean\":", s->count, s->last_ms);
		add_text_or_null(out, edition_near_path(l->edition, slice_of(s->path)));
		buf_addc(out, '}');
	}
	buf_adds(out, "]}");
}

static void tell_status(struct http_request *r, struct ask *q)
{
	const struct loop *l = q->loop;
	struct slice counts = slice_trim(buf_slice(&q->read.json));
	CLEANUP(buf_fini) struct buf body = BUF(JSON_MAX);

	buf_adds(&body, "{\"version\":\"" PUSHROD_VERSION "\",\"url\":");
	buf_add_json(&body, slice_of(l->edition->url));
	buf_addf(&body, ",\"started_ms\":%" PRId64 ",\"from_future\":%" PRId64, l->front->started_ms,
		 l->front->ingest ? ingest_from_future(l->front->ingest) : 0);
	buf_addf(&body, ",\"watchers\":%d,\"ruleset\":\"%s\",\"rules\":%zu,\"rules_error\":",
		 loops_count_watchers(l->front), ruleset_sha256(l->edition->rules), ruleset_rule_count(l->edition->rules));
	add_text_or_null(&body, l->edition->error);
	add_silent_sources(l->edition, &body);
	add_all_refused(l->edition, &body);
	add_strays(l, &body);
	buf_addc(&body, counts.len > 2 ? ',' : '}');
	if (counts.len > 2)
		buf_add(&body, slice_from(counts, 1));
	answer_json(r, 200, buf_slice(&body));
}

static void show_status(const struct call *c)
{
	struct ask *q = ask_new(c->loop, READ_STATUS, 0);
	q->then = tell_status;
	ask_store(c->r, q);
}

static void reload(const struct call *c)
{
	desk_reload(c->loop->front->desk);
	answer_json(c->r, 202, SLICE("{\"state\":\"reloading\"}\n"));
}

/* ---- the table ---- */

static void run_rule(const struct call *c)
{
	trigger_rule(c->r, c->loop, c->name);
}

static void send_local(const struct call *c)
{
	trigger_local(c->r, c->loop, c->name);
}

struct route {
	const char *method, *path;      /* {id}: a whole number from 1; {name}: one segment */
	enum need need;
	void (*answer)(const struct call *c);
};

static const struct route routes[] = {
	{ "GET", "/api/v1/jobs", NEED_READ, list_jobs },
	{ "GET", "/api/v1/jobs/{id}", NEED_READ, show_job },
	{ "POST", "/api/v1/jobs/{id}/cancel", NEED_WRITE, cancel_job },
	{ "GET", "/api/v1/jobs/{id}/events", NEED_READ, follow_job },
	{ "GET", "/api/v1/jobs/{id}/journal", NEED_READ, show_journal },
	{ "GET", "/api/v1/jobs/{id}/log", NEED_READ, show_log },
	{ "GET", "/api/v1/deliveries", NEED_READ, api_list_deliveries },
	{ "GET", "/api/v1/deliveries/{id}", NEED_READ, api_show_delivery },
	{ "GET", "/api/v1/deliveries/{id}/body", NEED_READ, api_show_body },
	{ "GET", "/api/v1/deliveries/{id}/fixture", NEED_READ, save_delivery },
	{ "POST", "/api/v1/deliveries/{id}/explain", NEED_READ, explain_delivery },       /* changes nothing */
	{ "POST", "/api/v1/deliveries/{id}/replay", NEED_WRITE, replay_delivery },
	{ "GET", "/api/v1/rules", NEED_READ, show_rules },
	{ "POST", "/api/v1/rules/{name}/trigger", NEED_WRITE, run_rule },
	{ "POST", "/api/v1/local/{name}", NEED_WRITE, send_local },
	{ "GET", "/api/v1/events", NEED_READ, follow_changes },
	{ "GET", "/api/v1/status", NEED_READ, show_status },
	{ "POST", "/api/v1/reload", NEED_WRITE, reload },
};

static int fits(struct slice pattern, struct slice path, struct call *c)
{
	struct slice want, got;

	while (pattern.len && path.len) {
		slice_cut(pattern, '/', &want, &pattern);
		slice_cut(path, '/', &got, &path);
		if (slice_eq(want, SLICE("{name}")))
			c->name = got;
		else if (slice_eq(want, SLICE("{id}")) ? slice_to_i64(got, 1, INT64_MAX, &c->id) < 0 : !slice_eq(want, got))
			return 0;
	}
	return pattern.len == 0 && path.len == 0;
}

static int is_method(struct slice method, const char *wanted)
{
	return slice_eq(method, slice_of(wanted)) || (slice_eq(method, SLICE("HEAD")) && !strcmp(wanted, "GET"));
}

void api_on_request(struct http_request *r, struct loop *l)
{
	const struct route *other = NULL;

	for (size_t i = 0; i < COUNT(routes); i++) {
		struct call c = { .r = r, .loop = l };
		if (!fits(slice_of(routes[i].path), http_path(r), &c))
			continue;
		if (is_method(http_method(r), routes[i].method)) {
			if (auth_allows(r, l->edition, l->front->control_key, routes[i].need))
				routes[i].answer(&c);
			return;
		}
		other = &routes[i];
	}
	if (!other) {
		answer_not_found(r, "nothing is here; docs/api.md lists what is");
		return;
	}
	const char *const allow[] = { "allow", strcmp(other->method, "GET") ? other->method : "GET, HEAD", NULL };
	answer_problem(r, 405, "Method Not Allowed", "not with this method", allow);
}

void api_on_health(struct http_request *r, struct loop *l)
{
	struct front *f = l->front;
	int is_ready = !atomic_load(&f->is_draining) && !store_is_broken(f->store);

	if (slice_eq(http_path(r), SLICE("/readyz")) && !is_ready)
		answer_problem(r, 503, "Service Unavailable", "draining, or the store is broken", NULL);
	else
		answer_json(r, 200, SLICE("{\"status\":\"ok\"}\n"));
}
