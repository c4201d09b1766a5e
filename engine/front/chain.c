/* front/chain.c - from an effect to a delivery. The cause goes with it, as JSON: what `when` may ask (rule, and the fields of
 * the event at the beginning), and what the job finds as job.cause. An event that nobody listens to is dropped, save those
 * that a rule emitted: who wrote `emit` wants to see that it is heard by none. */
#include "front/chain.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/edition.h"
#include "front/verdict.h"
#include "store/follow.h"
#include "store/submit.h"

#define WHY_MAX (1u << 20)
#define BODY_MAX (32u << 20)

struct link {
	struct submit submit;           /* first: its mail is ours */
	struct edition *edition;
	int depth;
};

static json_t *parse(const char *json)
{
	json_t *v = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
	return v ? v : json_object();
}

/* Of all jobs of the rule, the word that tells most. */
static const char *state_of_rule(json_t *jobs)
{
	static const char *const bad[] = { "failed", "errored", "timed_out", "lost", "refused" };
	static const char *const others[] = { "cancelled", "superseded", "succeeded" };
	json_t *one;
	size_t i;

	json_array_foreach(jobs, i, one)
		for (size_t k = 0; k < COUNT(bad); k++)
			if (!strcmp(json_string_value(json_object_get(one, "state")), bad[k]))
				return "failed";
	for (size_t k = 0; k < COUNT(others); k++)
		json_array_foreach(jobs, i, one)
			if (!strcmp(json_string_value(json_object_get(one, "state")), others[k]))
				return others[k];
	return "skipped";
}

static json_t *outputs_of(const struct effect *f, json_t *jobs)
{
	json_t *all = parse(f->outputs_json), *one;
	size_t i;

	json_array_foreach(jobs, i, one)
		json_object_update(all, json_object_get(one, "outputs"));
	return all;
}

/* Owned. */
static json_t *make_cause(const struct effect *f, int depth)
{
	json_t *jobs = f->jobs_json ? parse(f->jobs_json) : NULL;
	const char *state = jobs ? state_of_rule(jobs) : job_state_name(f->state);
	json_t *cause = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:i, s:s, s:i, s:o, s:o}", "rule", f->rule, "file", f->file,
		"cell", f->cell, "job", (json_int_t)f->job, "delivery", (json_int_t)f->delivery, "state", state, "attempt", f->attempt,
		"exit_code", f->exit_code, "reason", f->reason, "depth", depth, "outputs", outputs_of(f, jobs),
		"event", parse(f->event_json));

	if (jobs)
		json_object_set_new(cause, "jobs", jobs);
	if (f->trust != TRUST_FULL)
		json_object_set_new(cause, "untrusted", json_true());
	return cause;
}

static int depth_of(const struct effect *f)
{
	json_t *before = parse(f->cause_json);
	int depth = (int)json_integer_value(json_object_get(before, "depth"));

	json_decref(before);
	return depth + 1;
}

/* ---- the bounds ---- */

static void drop_jobs(struct submit *s)
{
	for (int i = 0; i < s->n_jobs; i++)
		submit_job_fini(&s->jobs[i]);
	s->n_jobs = 0;
}

/* It is kept, and says of each rule why it does not run. */
static void refuse(struct submit *s, const char *why)
{
	struct buf json = BUF(WHY_MAX);
	const char *last = "";

	buf_addc(&json, '[');
	for (int i = 0; i < s->n_jobs; i++) {
		if (!strcmp(s->jobs[i].rule, last))
			continue;               /* another cell */
		last = s->jobs[i].rule;
		buf_adds(&json, json.len > 1 ? ",{\"rule\":" : "{\"rule\":");
		buf_add_json(&json, slice_of(last));
		buf_adds(&json, ",\"because\":");
		buf_add_json(&json, slice_of(why));
		buf_addc(&json, '}');
	}
	if (strlen(s->why_json) > 2)
		buf_addf(&json, "%s%s", json.len > 1 ? "," : "", s->why_json + 1);
	else
		buf_addc(&json, ']');
	drop_jobs(s);
	free(s->why_json);
	s->why_json = buf_take(&json);
}

static void hold_bounds(struct link *l, const struct effect *f)
{
	char why[200] = "";

	if (l->submit.n_jobs == 0)
		return;
	if (l->depth > CHAIN_DEPTH_MAX)
		snprintf(why, sizeof why, "refused: this event is number %d in a row that jobs caused, the most is %d: do rules cause each "
			 "other in a circle?", l->depth, CHAIN_DEPTH_MAX);
	else if (f->chain_length >= CHAIN_EVENTS_MAX)
		snprintf(why, sizeof why, "refused: delivery %" PRId64 " has caused %d events already, the most is %d: do rules cause each "
			 "other in a circle?", f->root, f->chain_length, CHAIN_EVENTS_MAX);
	if (!why[0])
		return;
	log_warn("a chain of events is cut", "rule=\"%s\" job=%" PRId64 " root=%" PRId64 " depth=%d events=%d reason=\"%s\"", f->rule, f->job,
		 f->root, l->depth, f->chain_length, why);
	refuse(&l->submit, why);
}

/* ---- to the store ---- */

static void link_free(struct link *l)
{
	struct edition *ed = l->edition;
	submit_free(&l->submit);
	edition_unref(ed);
}

static void on_stored(struct mail *m, void *desk)
{
	struct link *l = (struct link *)m;
	const struct submit *s = &l->submit;

	if (s->outcome == STORE_OK)
		log_info("a job caused an event", "source=%s event=%s action=%s key=%s delivery=%" PRId64 " jobs=%d depth=%d", s->source,
			 s->event, s->action, s->key, s->delivery, s->n_jobs, l->depth);
	link_free(l);
}

static char *key_of(const struct effect *f)
{
	return f->kind == EFFECT_EMIT ? xprintf("%" PRId64 "-%d", f->job, f->ordinal) : xprintf("%" PRId64, f->job);
}

/* 1 where it is to be stored. */
static int judge(struct link *l, const struct effect *f, json_t *cause)
{
	static const enum inner sources[] = { [EFFECT_JOB] = INNER_JOB, [EFFECT_RULE] = INNER_RULE, [EFFECT_EMIT] = INNER_LOCAL };
	CLEANUP(freep) char *key = key_of(f);
	struct submit *s = &l->submit;
	const char *state = json_string_value(json_object_get(cause, "state"));
	struct verdict verdict = { 0 };
	struct err e = { 0 };

	s->cause_json = json_dumps(cause, JSON_COMPACT);
	s->body = BUF(BODY_MAX);
	buf_adds(&s->body, f->kind == EFFECT_EMIT ? f->data_json : s->cause_json);
	const struct delivery_view d = {
		.source = ruleset_inner_source(l->edition->rules, sources[f->kind]), .json = buf_slice(&s->body),
		.event = slice_of(f->kind == EFFECT_EMIT ? f->name : f->kind == EFFECT_RULE ? "finished" : state),
		.action = f->kind == EFFECT_RULE ? slice_of(state) : SLICE_NULL, .delivery_key = key, .received_ms = s->received_ms,
		.headers_json = SLICE("{}"), .cause_json = slice_of(s->cause_json) };
	if (verdict_make(l->edition->rules, &d, s, &verdict, &e) < 0) {
		log_error("an event that a job caused is lost", "job=%" PRId64 " reason=\"%s\"", f->job, e.msg);
		return 0;
	}
	verdict_fini(&verdict);
	hold_bounds(l, f);
	return verdict.is_heard || f->kind == EFFECT_EMIT;
}

void chain_follow(struct store *store, struct mailbox *mail, struct edition *ed, struct effect *f)
{
	struct link *l = xcalloc(1, sizeof *l);

	l->edition = edition_ref(ed);
	l->depth = depth_of(f);
	l->submit = (struct submit){ .mail.deliver = on_stored, .reply_to = mail, .headers_json = xstrdup("{}"), .root = f->root,
				     .received_ms = wall_ms(), .effect = f->id, .ruleset_keep = l->edition };
	json_t *cause = make_cause(f, l->depth);
	if (judge(l, f, cause)) {
		store_submit(store, &l->submit);
	} else {
		store_effect_done(store, f->id);
		link_free(l);
	}
	json_decref(cause);
	effect_free(f);
}
