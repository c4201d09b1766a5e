/* front/verdict.c - a match, written down as columns and jobs. */
#include "front/verdict.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rules/match.h"
#include "rules/provider.h"
#include "store/submit.h"

#define KEY_MAX 4096                    /* of a queue, of `once`, of what merges */
#define JSON_MAX (32u << 20)            /* of one derived column: the normalised event, the reasons */

static void fill_columns(struct submit *s, const struct ruleset *rs, const struct delivery_view *d, const struct match *m)
{
	const struct provider *p = source_provider(d->source);
	struct buf json = BUF(JSON_MAX);

	s->source = xstrdup(source_name(d->source));
	s->provider = xstrdup(p ? provider_name(p) : "");
	s->key = xstrdup(d->delivery_key);
	s->event = xstrdup(match_event(m));
	s->action = xstrdup(match_action(m));
	match_summary_json(m, &json);
	s->summary_json = buf_take(&json);
	match_event_json(m, &json);
	s->event_json = buf_take(&json);
	match_why_json(m, &json);
	s->why_json = buf_take(&json);
	s->ruleset = xstrdup(ruleset_sha256(rs));
}

/* A slot is of a queue and a cell: the rule's own by its key, or one that rules share. No file's path begins as these do. */
static char *slot_of(const struct match *m, size_t i, size_t k)
{
	const struct rule *rule = match_rule(m, i);
	const char *cell = match_cell(m, i, k);
	CLEANUP(buf_fini) struct buf key = BUF(KEY_MAX);

	if (match_queue_key(m, i, k, &key))
		return xprintf("queue:%s\n%s", buf_cstr(&key), cell);
	return xprintf("%s\n%s\n%s\n%s", rule_file(rule), rule_name(rule), cell, buf_cstr(&key));
}

static struct submit_job job_of(const struct match *m, size_t i, size_t k)
{
	const struct rule *rule = match_rule(m, i);
	const char *cell = match_cell(m, i, k);
	struct buf key = BUF(KEY_MAX), residue = BUF(JSON_MAX);
	CLEANUP(buf_fini) struct buf merge = BUF(KEY_MAX);
	struct submit_job j = { .rule = rule_name(rule), .file = rule_file(rule), .cell = *cell ? xstrdup(cell) : NULL,
		.queue = slot_of(m, i, k),
		.timeout_ms = rule_timeout_ms(rule), .trust = match_trust(m, i) };
	rule_queue_policy(rule, &j.policy);
	if (match_merge_key(m, &merge) && !buf_is_over(&merge))
		j.merge_key = buf_take(&merge);
	if (match_once_key(m, i, k, &key, &j.once_within_ms))
		j.once_key = buf_take(&key);
	match_residue_json(m, i, k, &residue);
	if (residue.len)
		j.residue_json = buf_take(&residue);
	return j;
}

static void fill_jobs(struct submit *s, const struct match *m)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < match_count(m); i++)
		n += match_cell_count(m, i);
	s->jobs = xcalloc(n, sizeof *s->jobs);
	s->n_jobs = (int)n;
	for (size_t i = 0; i < match_count(m); i++)
		for (size_t k = 0; k < match_cell_count(m, i); k++)
			s->jobs[at++] = job_of(m, i, k);
}

int verdict_make(const struct ruleset *rs, const struct delivery_view *d, struct submit *s, struct verdict *out, struct err *e)
{
	struct match *m;

	if (ruleset_match(rs, d, &m, e) < 0)
		return -1;
	fill_columns(s, rs, d, m);
	fill_jobs(s, m);
	*out = (struct verdict){ .notes = BUF(JSON_MAX) };
	match_matched_notes_json(m, &out->notes);
	s->notes_json = slice_dup(buf_slice(&out->notes));
	out->is_heard = match_count(m) > 0 || strcmp(s->why_json, "[]") != 0;
	match_free(m);
	return 0;
}

void verdict_fini(struct verdict *v)
{
	buf_fini(&v->notes);
}

void verdict_add_matched(const struct submit *s, const char *base_url, struct buf *out)
{
	for (int i = 0; i < s->n_jobs && i < MATCHED_MAX; i++) {
		const struct submit_job *j = &s->jobs[i];
		CLEANUP(freep) char *url = xprintf("%s/jobs/%" PRId64, base_url, j->job);
		buf_adds(out, i ? ",{\"rule\":" : "{\"rule\":");
		buf_add_json(out, slice_of(j->rule));
		if (j->cell) {
			buf_adds(out, ",\"cell\":");
			buf_add_json(out, slice_of(j->cell));
		}
		buf_addf(out, ",\"job\":%" PRId64 ",\"url\":", j->job);
		buf_add_json(out, slice_of(url));
		if (j->is_merged)
			buf_adds(out, ",\"merged\":true");
		if (j->state != JOB_QUEUED || j->is_merged) {
			buf_addf(out, ",\"state\":\"%s\",\"reason\":", job_state_name(j->state));
			buf_add_json(out, slice_of(j->reason));
		}
		buf_addc(out, '}');
	}
	if (s->n_jobs > MATCHED_MAX)
		buf_addf(out, ",{\"rule\":\"\",\"more\":%d}", s->n_jobs - MATCHED_MAX);
}
