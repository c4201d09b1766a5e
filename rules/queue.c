/* rules/queue.c - queues compiled, and the keys by which the jobs of a match are in each other's way. */
#include <jansson.h>
#include <string.h>

#include "base/hex.h"
#include "rules/compiler.h"
#include "rules/match.h"
#include "rules/matching.h"
#include "rules/schema.h"
#include "rules/template.h"

#define MAX_WAIT_FACTOR 10              /* of debounce, where max_wait is not said */

/* ---- compile ---- */

static int duration_of(struct compiler *c, const struct node *table, const char *key, int64_t *out)
{
	const struct node *n = node_get(table, key);

	if (n && (n->kind != NODE_STRING || slice_to_duration_ms(n->text, out) < 0))
		return compile_error(c, n, "'%s' is written with its unit, as in \"3s\"", key);
	return 0;
}

int policy_compile(struct compiler *c, const struct node *queue, struct queue_policy *out)
{
	const struct node *limit = node_get(queue, "limit"), *busy = node_get(queue, "busy");

	*out = QUEUE_POLICY_PLAIN;
	if (limit && (limit->kind != NODE_INTEGER || limit->integer < 1 || limit->integer > QUEUE_LIMIT_MAX))
		return compile_error(c, limit, "a queue's limit is a whole number from 1 to %d", QUEUE_LIMIT_MAX);
	if (limit)
		out->limit = (int)limit->integer;
	if (busy && (busy->kind != NODE_STRING || queue_busy_parse(busy->text, &out->busy) < 0))
		return compile_error(c, busy, "busy is \"wait\", \"latest\", \"cancel\" or \"skip\"");
	if (duration_of(c, queue, "debounce", &out->debounce_ms) < 0)
		return -1;
	out->max_wait_ms = out->debounce_ms * MAX_WAIT_FACTOR;
	return duration_of(c, queue, "max_wait", &out->max_wait_ms);
}

static const struct queue *queue_find(const struct ruleset *rs, struct slice name)
{
	for (size_t i = 0; i < rs->n_queues; i++)
		if (slice_eq(name, slice_of(rs->queues[i].name)))
			return &rs->queues[i];
	return NULL;
}

int queue_compile(struct compiler *c, const struct node *queue, struct rule *r)
{
	const struct queue *shared;
	const struct node *key;

	r->queue.policy = QUEUE_POLICY_PLAIN;
	r->has_queue = queue != NULL;
	if (!queue)
		return 0;
	if (queue->kind == NODE_STRING) {
		shared = queue_find(c->rs, queue->text);
		if (!shared)
			return compile_error(c, queue, "there is no queue '" SLICE_FMT "'", SLICE_ARG(slice_upto(queue->text, 64)));
		r->queue.policy = shared->policy;
		r->queue.shared = shared->name;
		return 0;
	}
	key = node_get(queue, "key");
	if (key && key->kind == NODE_STRING)
		r->queue.key = arena_str(c->rs->arena, key->text);
	return policy_compile(c, queue, &r->queue.policy);
}

/* ---- asking ---- */

void rule_queue_policy(const struct rule *r, struct queue_policy *out)
{
	*out = r->queue.policy;
}

void rule_queue_json(const struct rule *r, struct buf *out)
{
	const struct queue_policy *p = &r->queue.policy;
	const char *by = r->queue.shared ? r->queue.shared : r->queue.key;

	buf_adds(out, "{");
	if (by) {
		buf_adds(out, r->queue.shared ? "\"name\":" : "\"key\":");
		buf_add_json(out, slice_of(by));
		buf_addc(out, ',');
	}
	buf_addf(out, "\"limit\":%d,\"busy\":\"%s\"", p->limit, queue_busy_name(p->busy));
	if (p->debounce_ms)
		buf_addf(out, ",\"debounce_ms\":%lld,\"max_wait_ms\":%lld", (long long)p->debounce_ms, (long long)p->max_wait_ms);
	buf_addc(out, '}');
}

int match_key_fill(const struct match *m, size_t i, size_t cell, const char *template, struct buf *out)
{
	struct match *kept = (struct match *)(uintptr_t)m;
	CLEANUP(buf_fini) struct buf event = BUF(BUF_UNLIMITED), filled = BUF(BUF_UNLIMITED);
	char hash[65];

	if (!m->fields) {
		match_event_json(m, &event);
		kept->fields = json_loadb(event.ptr, event.len, 0, NULL);
	}
	int missing = template_fill(template, m->fields, cell_find(match_rule(m, i), slice_of(match_cell(m, i, cell))), &filled);
	if (filled.len > KEY_MAX_BYTES) {
		sha256_hex(buf_slice(&filled), hash);
		buf_addf(out, "sha256:%s", hash);
	} else {
		buf_add(out, buf_slice(&filled));
	}
	return missing;
}

void match_queue_words(const struct match *m, const struct rule *r, struct buf *out)
{
	const struct queue_policy *p = &r->queue.policy;

	if (r->queue.shared)
		buf_adds(out, r->queue.shared);
	else if (!r->queue.key)
		buf_adds(out, "of all jobs of the rule");
	else if (!match_queue_filled(m, r, out))
		buf_adds(out, r->queue.key);
	buf_addf(out, ", limit %d, %s", p->limit, queue_busy_name(p->busy));
	if (!p->debounce_ms)
		return;
	buf_adds(out, ", debounce ");
	schema_add_duration(p->debounce_ms, out);
	buf_adds(out, " up to ");
	schema_add_duration(p->max_wait_ms, out);
}

int match_queue_filled(const struct match *m, const struct rule *r, struct buf *out)
{
	for (size_t i = 0; i < match_count(m) && r->queue.key; i++)
		if (match_rule(m, i) == r && match_cell_count(m, i)) {
			match_key_fill(m, i, 0, r->queue.key, out);
			return 1;
		}
	return 0;
}

int match_queue_key(const struct match *m, size_t i, size_t cell, struct buf *out)
{
	const struct rule *r = match_rule(m, i);

	if (r->queue.shared)
		buf_adds(out, r->queue.shared);
	else if (r->queue.key)
		match_key_fill(m, i, cell, r->queue.key, out);
	return r->queue.shared != NULL;
}

static struct slice field_text(const struct match *m, enum field_id id)
{
	const struct field *f = &m->normal.field[id];
	return f->state == FIELD_PRESENT && f->n == 1 && f->list[0].kind == VALUE_STRING ? f->list[0].text : SLICE_NULL;
}

int match_merge_key(const struct match *m, struct buf *out)
{
	struct slice repo = field_text(m, FIELD_REPO), ref = field_text(m, FIELD_REF);

	if (m->delivery.only || source_is_inner(m->delivery.source) || strcmp(m->normal.event, "push") != 0 || !repo.len || !ref.len)
		return 0;
	buf_addf(out, SLICE_FMT "\n" SLICE_FMT, SLICE_ARG(repo), SLICE_ARG(ref));
	return 1;
}
