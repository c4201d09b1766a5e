/* rules/check_queue.c - queues: the one that a rule has to itself, those of pushrod.lua, and the work that is lost by them where
 * a newer job ends an older one. Only pushes merge. Of a request the newer event tells all that the older told, so that the older
 * job may go; an issue, a comment, a release, a payment is a thing of its own each time. Names that a sender alone knows, schedules
 * and what jobs cause are not judged: there, only who writes the rule can tell. */
#include <string.h>

#include "model/queue.h"
#include "rules/checker.h"
#include "rules/template.h"

#define WORDS_MAX 128

/* ---- names ---- */

static const struct check_queue *queue_find(const struct checker *c, struct slice name)
{
	for (size_t i = 0; i < c->ctx->n_queues; i++)
		if (slice_eq(c->ctx->queues[i].name, name))
			return &c->ctx->queues[i];
	return NULL;
}

static const struct check_queue *queue_near(const struct checker *c, struct slice name)
{
	for (size_t i = 0; i < c->ctx->n_queues; i++) {
		CLEANUP(freep) char *word = slice_dup(c->ctx->queues[i].name);
		const char *const words[] = { word, NULL };
		if (did_you_mean(name, words))
			return &c->ctx->queues[i];
	}
	return NULL;
}

void check_queue_name(struct checker *c, const struct node *name)
{
	const struct check_queue *near;
	struct slice shown = slice_upto(name->text, 64);

	if (queue_find(c, name->text) || c->ctx->sources_unknown)
		return;
	if ((near = queue_near(c, name->text)))
		check_say(c, name, "E138", "pushrod.lua declares no queue '" SLICE_FMT "', did you mean '" SLICE_FMT "' (pushrod.lua:%d:%d)?",
			  SLICE_ARG(shown), SLICE_ARG(near->name), near->line, near->col);
	else
		check_say(c, name, "E138", "pushrod.lua declares no queue '" SLICE_FMT "': write queue \"" SLICE_FMT "\" { limit = 1 } there, or "
			  "queue = { key = \"{repo} {ref}\" } here", SLICE_ARG(shown), SLICE_ARG(shown));
}

/* ---- one queue ---- */

static struct slice text_of(const struct node *table, const char *key)
{
	const struct node *n = node_get(table, key);
	return n && n->kind == NODE_STRING ? n->text : SLICE_NULL;
}

void check_queue(struct checker *c, const struct node *queue)
{
	const struct node *max_wait = node_get(queue, "max_wait"), *debounce = node_get(queue, "debounce");
	int64_t most, least;

	if (max_wait && !debounce) {
		check_say(c, queue, "E139", "max_wait bounds a debounce, and this queue has none: write debounce = \"3s\" beside it");
		return;
	}
	if (slice_to_duration_ms(text_of(queue, "max_wait"), &most) < 0 || slice_to_duration_ms(text_of(queue, "debounce"), &least) < 0)
		return;
	if (most < least)
		check_say(c, max_wait, "E139", "max_wait: \"" SLICE_FMT "\" is less than debounce, which is \"" SLICE_FMT "\"",
			  SLICE_ARG(max_wait->text), SLICE_ARG(debounce->text));
}

/* ---- what a rule loses by it ---- */

struct use {                            /* of a queue by a rule */
	struct checker *c;
	const struct node *at;          /* the rule's `queue` */
	const struct node *queue;       /* the table: AT, or that of pushrod.lua */
	const struct node *key;         /* NULL without */
	const struct node *when;
	enum queue_busy busy;
	int is_debounced;
	int is_told;                    /* that its key tells too little */
};

static int key_has(const struct use *u, const char *field)
{
	struct slice rest = u->key ? u->key->text : SLICE_NULL, part;

	for (;;)
		switch (template_next(&rest, &part)) {
		case TEMPLATE_END:
			return 0;
		case TEMPLATE_HOLE:
			if (slice_eq(part, slice_of(field)))
				return 1;
			break;
		case TEMPLATE_TEXT:
		case TEMPLATE_OPEN:
			break;
		}
}

static int key_has_one(const struct use *u, const char *const *fields)
{
	for (; *fields; fields++)
		if (key_has(u, *fields))
			return 1;
	return key_has(u, "sha") || key_has(u, "delivery");
}

/* The one value that TEST lets through; NULL where there may be several. */
static const struct node *only_value(const struct node *test)
{
	if (test->kind == NODE_TABLE && test->n_items == 1)
		return only_value(test->items[0]);
	if (test->kind == NODE_TABLE) {
		const struct node *eq = node_get(test, "eq");
		return eq && !(eq->kind == NODE_TABLE && eq->n_items > 1) ? eq : NULL;
	}
	return test->kind == NODE_STRING && (slice_chr(test->text, '*') >= 0 || slice_chr(test->text, '?') >= 0) ? NULL : test;
}

static int is_same(const struct node *a, const struct node *b)
{
	return a->kind == b->kind && a->integer == b->integer && slice_eq(a->text, b->text);
}

static const struct node *pinned(const struct node *when, const char *field);

static const struct node *pinned_by_each(const struct node *list, const char *field)
{
	const struct node *first = list->n_items ? pinned(list->items[0], field) : NULL;

	for (size_t i = 1; i < list->n_items && first; i++) {
		const struct node *other = pinned(list->items[i], field);
		first = other && is_same(first, other) ? first : NULL;
	}
	return first;
}

/* The one value of FIELD that events have for which WHEN holds; NULL where there may be several. */
static const struct node *pinned(const struct node *when, const char *field)
{
	if (!when || when->kind != NODE_TABLE)
		return NULL;
	if (when->n_items)
		return pinned_by_each(when, field);
	const struct node *test = node_get(when, field), *all = node_get(when, "all"), *any = node_get(when, "any");
	const struct node *value = test ? only_value(test) : NULL;
	for (size_t i = 0; all && i < all->n_items && !value; i++)
		value = pinned(all->items[i], field);
	return value || !any ? value : pinned_by_each(any, field);
}

static const char *how_it_ends(const struct use *u)
{
	return u->busy == QUEUE_CANCEL ? "would be cancelled by the next one's" : "would end superseded by the next one's while it waits";
}

/* Each event of KIND that WORD brings is a thing of its own. */
static void check_kind(struct use *u, const struct node *word, const char *kind)
{
	if (!check_hears(u->c, word->text, kind) || key_has(u, "delivery"))
		return;
	if (u->busy == QUEUE_LATEST || u->busy == QUEUE_CANCEL)
		check_warn(u->c, u->at, "W136", "busy = \"%s\": each %s of '" SLICE_FMT "' is a thing of its own, and its job %s; busy = \"wait\" keeps "
			   "them all", queue_busy_name(u->busy), kind, SLICE_ARG(word->text), how_it_ends(u));
	else if (u->is_debounced)
		check_warn(u->c, u->at, "W136", "debounce: pushes of one ref become one job, but each %s of '" SLICE_FMT "' is a thing of its own, and "
			   "only starts later", kind, SLICE_ARG(word->text));
}

static void say_key(struct use *u, const char *what)
{
	u->is_told = 1;
	if (u->at->kind == NODE_STRING)
		check_warn(u->c, u->at, "W134", "queue '" SLICE_FMT "' has busy = \"%s\", and this rule is for several %s: the job of one would be ended by "
			   "that of another; write queue = { key = \"{repo} {ref}\", busy = \"%s\" }", SLICE_ARG(u->at->text),
			   queue_busy_name(u->busy), what, queue_busy_name(u->busy));
	else
		check_warn(u->c, u->key ? u->key : u->at, "W134", "busy = \"%s\", and the key does not tell %s apart: the job of one would be ended by "
			   "that of another; write key = \"{repo} {ref}\"", queue_busy_name(u->busy), what);
}

/* Whether jobs of one thing end those of another. */
static void check_key(struct use *u, const struct node *word)
{
	static const struct { const char *event, *what, *fields[3]; } kinds[] = {
		{ "push", "branches", { "ref", "branch" } }, { "tag", "tags", { "ref", "tag" } }, { "delete", "refs", { "ref" } },
		{ "pull_request", "requests", { "ref", "number" } },
	};
	int is_one = pinned(u->when, "branch") || pinned(u->when, "tag") || pinned(u->when, "ref") || pinned(u->when, "number");
	int is_one_repo = !u->when || u->when->kind != NODE_TABLE || !node_get(u->when, "repo") || pinned(u->when, "repo");

	for (size_t i = 0; i < COUNT(kinds) && !u->is_told; i++) {
		if (!check_hears(u->c, word->text, kinds[i].event))
			continue;
		if (!is_one && !key_has_one(u, kinds[i].fields))
			say_key(u, kinds[i].what);
		else if (!is_one_repo && !key_has(u, "repo") && !key_has(u, "sha") && !key_has(u, "delivery"))
			say_key(u, "repositories");
	}
}

static void check_word(struct use *u, const struct node *word)
{
	static const char *const things[] = { "issue", "comment", "release", "payment" };

	if (word->kind != NODE_STRING)
		return;
	for (size_t i = 0; i < COUNT(things); i++)
		check_kind(u, word, things[i]);
	if (u->busy == QUEUE_LATEST || u->busy == QUEUE_CANCEL)
		check_key(u, word);
}

void check_queue_use(struct checker *c, const struct node *rule)
{
	const struct node *at = node_get(rule, "queue");
	const struct check_queue *shared = at && at->kind == NODE_STRING ? queue_find(c, at->text) : NULL;
	struct use u = { .c = c, .at = at, .queue = shared ? shared->value : at, .when = node_get(rule, "when"), .busy = QUEUE_WAIT };

	if (!c->on || !u.queue || u.queue->kind != NODE_TABLE)
		return;
	const struct node *key = node_get(u.queue, "key");
	u.key = !shared && key && key->kind == NODE_STRING ? key : NULL;
	u.is_debounced = node_get(u.queue, "debounce") != NULL;
	struct slice busy = text_of(u.queue, "busy");
	if (busy.len && queue_busy_parse(busy, &u.busy) < 0)
		return;
	if (c->on->kind == NODE_STRING)
		check_word(&u, c->on);
	for (size_t i = 0; c->on->kind == NODE_TABLE && i < c->on->n_items; i++)
		check_word(&u, c->on->items[i]);
}
