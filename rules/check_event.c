/* rules/check_event.c - the words of `on`, and what their events can be asked: which fields they have. Common names are
 * known to the language; native ones to the sender, and only in part to its provider's descriptor, so that an unknown one
 * is a guess at most. */
#include <string.h>

#include "rules/checker.h"
#include "rules/glob.h"
#include "rules/normalise.h"
#include "rules/template.h"

#define WORDS_MAX 128
#define ALL_FIELDS (~(uint64_t)0)

static struct slice head_of(struct slice word)
{
	struct slice head, rest;
	slice_cut(word, '.', &head, &rest);
	return head;
}

static int is_common(struct slice word)
{
	for (const char *const *w = schema_events; *w; w++)
		if (slice_eq(head_of(word), slice_of(*w)))
			return 1;
	return 0;
}

static const struct check_source *source_find(const struct checker *c, struct slice name)
{
	for (size_t i = 0; i < c->ctx->n_sources; i++)
		if (slice_eq(c->ctx->sources[i].name, name))
			return &c->ctx->sources[i];
	return NULL;
}

/* A native word "push" or "pull_request.opened" against a case "pull_request". */
static int is_native_of(const struct provider *p, struct slice word)
{
	size_t n = 0;
	const struct provider_event *events = p ? provider_events(p, &n) : NULL;

	for (size_t i = 0; i < n; i++)
		if (slice_eq(head_of(word), head_of(slice_of(events[i].native))))
			return 1;
	return 0;
}

/* ---- fields ---- */

/* "payment.succeeded" hears the cases payment with that action, and those whose action is the native one. */
static int hears(struct slice word, const struct provider_event *e, int with_native)
{
	struct slice head = head_of(word), action = slice_from(word, head.len + 1);

	if (slice_eq(word, SLICE("*")))
		return 1;
	if (slice_eq(head, slice_of(e->common)))
		return !action.len || !e->common_action || slice_eq(action, slice_of(e->common_action));
	return with_native && !is_common(word) && slice_eq(head, head_of(slice_of(e->native)));
}

/* What the job finds out itself: `paths_from = "git"`, where there is a commit to look at. */
static uint64_t fields_of_case(const struct checker *c, const struct provider_event *e)
{
	int from_git = c->paths_from_git && e->fields & (uint64_t)1 << FIELD_SHA;
	return e->fields | (from_git ? (uint64_t)1 << FIELD_PATHS : 0);
}

static uint64_t fields_of_source(const struct checker *c, const struct check_source *s, struct slice word, int with_native, int *is_heard)
{
	size_t n = 0;
	const struct provider_event *events = s->provider ? provider_events(s->provider, &n) : NULL;
	uint64_t fields = 0;

	for (size_t i = 0; i < n; i++)
		if (hears(word, &events[i], with_native)) {
			fields |= fields_of_case(c, &events[i]);
			*is_heard = 1;
		}
	if (!s->provider)
		*is_heard = 1;
	return s->provider ? fields : ALL_FIELDS;
}

/* A source that is not known, or an event that no mapping names, may have any. */
uint64_t check_event_fields(const struct checker *c, struct slice word)
{
	struct slice source, event = word;
	int is_heard = 0, is_named = slice_cut(word, ':', &source, &event);
	uint64_t fields = 0;

	if (!is_named)
		event = word;
	for (size_t i = 0; i < c->ctx->n_sources; i++)
		if (!is_named || slice_eq(source, c->ctx->sources[i].name))
			fields |= fields_of_source(c, &c->ctx->sources[i], event, is_named, &is_heard);
	return is_heard ? fields : ALL_FIELDS;
}

uint64_t check_fields_of_on(const struct checker *c)
{
	uint64_t fields = 0;

	if (!c->on || (c->on->kind != NODE_STRING && c->on->kind != NODE_TABLE))
		return ALL_FIELDS;
	if (c->on->kind == NODE_STRING)
		return check_event_fields(c, c->on->text);
	for (size_t i = 0; i < c->on->n_items; i++)
		fields |= c->on->items[i]->kind == NODE_STRING ? check_event_fields(c, c->on->items[i]->text) : ALL_FIELDS;
	return fields;
}

/* Some case of WORD has all of FIELDS, or it is not known which cases there are. */
static int word_has(const struct checker *c, struct slice word, uint64_t fields)
{
	struct slice source, event = word;
	int is_heard = 0, is_named = slice_cut(word, ':', &source, &event);
	size_t n;

	if (!is_named)
		event = word;
	for (size_t i = 0; i < c->ctx->n_sources; i++) {
		const struct check_source *s = &c->ctx->sources[i];
		if (is_named && !slice_eq(source, s->name))
			continue;
		const struct provider_event *events = s->provider ? provider_events(s->provider, &n) : NULL;
		if (!events)
			return 1;
		for (size_t k = 0; k < n; k++) {
			if (!hears(event, &events[k], is_named))
				continue;
			is_heard = 1;
			if ((fields_of_case(c, &events[k]) & fields) == fields)
				return 1;
		}
	}
	return !is_heard;
}

int check_events_have(const struct checker *c, uint64_t fields)
{
	if (!c->on || (c->on->kind != NODE_STRING && c->on->kind != NODE_TABLE))
		return 1;
	if (c->on->kind == NODE_STRING)
		return word_has(c, c->on->text, fields);
	for (size_t i = 0; i < c->on->n_items; i++)
		if (c->on->items[i]->kind != NODE_STRING || word_has(c, c->on->items[i]->text, fields))
			return 1;
	return c->on->n_items == 0;
}

int check_hears(const struct checker *c, struct slice word, const char *kind)
{
	struct slice source, event;
	size_t n;

	if (!slice_cut(word, ':', &source, &event))
		return slice_eq(head_of(word), slice_of(kind));
	const struct check_source *s = source_find(c, source);
	const struct provider_event *events = s && s->provider ? provider_events(s->provider, &n) : NULL;
	for (size_t i = 0; events && i < n; i++)
		if (hears(event, &events[i], 1) && strcmp(events[i].common, kind) == 0)
			return 1;
	return 0;
}

/* ---- `on` ---- */

static size_t add_natives(const struct provider *p, const char **words, size_t n)
{
	size_t count = 0;
	const struct provider_event *events = p ? provider_events(p, &count) : NULL;

	for (size_t i = 0; i < count && n < WORDS_MAX; i++)
		if (!strchr(events[i].native, '.'))
			words[n++] = events[i].native;
	return n;
}

static void check_source(struct checker *c, const struct node *word, struct slice name)
{
	const char *words[WORDS_MAX + 1] = { 0 };
	CLEANUP(buf_fini) struct buf names = BUF(BUF_UNLIMITED);
	char hint[HINT_BYTES];
	size_t n = c->ctx->n_sources < WORDS_MAX ? c->ctx->n_sources : WORDS_MAX;
	size_t at[WORDS_MAX];

	if (c->ctx->sources_unknown)
		return;
	for (size_t i = 0; i < n; i++) {
		at[i] = names.len;
		buf_add(&names, c->ctx->sources[i].name);
		buf_addc(&names, '\0');
	}
	for (size_t i = 0; i < n; i++)
		words[i] = names.ptr + at[i];
	check_hint(name, words, hint);
	check_say(c, word, "E112", "pushrod.lua declares no source '" SLICE_FMT "'%s", SLICE_ARG(name), hint);
}

/* Actions that forges and gateways tell. Any other may be right, so that what is near one of these is a guess at most. */
static const char *const actions[] = {
	"opened", "synchronize", "closed", "merged", "edited", "reopened", "labeled", "unlabeled", "approved", "changes_requested", "assigned",
	"unassigned", "review_requested", "ready_for_review", "converted_to_draft", "created", "deleted", "published", "released",
	"prereleased", "completed", "requested", "in_progress", "submitted", "dismissed", "resolved", "succeeded", "failed", "refunded", "disputed",
	"locked", "unlocked", "transferred", "pinned", "unpinned", "milestoned", "demilestoned", "queued", "started", "auto_merge_enabled",
	"auto_merge_disabled", "enqueued", "dequeued", "review_request_removed", "unresolved", "rerequested", "requested_action", "unpublished",
	"waiting", "added", "removed", "updated", "renamed", "archived", "unarchived", "answered", "unanswered", "reassigned", "reordered", NULL
};
/* What people say of an event that has another word for it; those that a native event may have are not among them. */
static const struct { const char *head, *action, *here; } other_actions[] = {
	{ "pull_request", "open", "opened" }, { "pull_request", "close", "closed" }, { "pull_request", "merge", "merged" },
	{ "pull_request", "update", "synchronize" }, { "pull_request", "updated", "synchronize" }, { "pull_request", "sync", "synchronize" },
	{ "pull_request", "synchronized", "synchronize" }, { "pull_request", "push", "synchronize" }, { "pull_request", "created", "opened" },
	{ "pull_request", "create", "opened" }, { "pull_request", "approve", "approved" }, { "pull_request", "reopen", "reopened" },
	{ "pull_request", "review_approved", "approved" },
	{ "issue", "open", "opened" }, { "issue", "close", "closed" }, { "issue", "created", "opened" },
	{ "comment", "create", "created" }, { "release", "publish", "published" }, { "release", "create", "created" },
	{ "payment", "success", "succeeded" }, { "payment", "paid", "succeeded" }, { "payment", "completed", "succeeded" },
	{ "payment", "captured", "succeeded" }, { "payment", "failure", "failed" }, { "payment", "refund", "refunded" },
	{ "payment", "dispute", "disputed" }, { "payment", "error", "failed" },
};

/* The action behind the dot of EVENT, where another one is more likely meant. */
static void check_action(struct checker *c, const struct node *word, struct slice event)
{
	struct slice head = head_of(event), action = slice_from(event, head.len + 1);
	const char *near = NULL;

	for (size_t i = 0; i < COUNT(other_actions) && !near; i++)
		if (slice_eq(head, slice_of(other_actions[i].head)) && slice_eq(action, slice_of(other_actions[i].action)))
			near = other_actions[i].here;
	if (!near && action.len && !check_is_word(action, actions))
		near = did_you_mean(action, actions);
	if (near)
		check_warn(c, word, "W113", "'" SLICE_FMT "' is no action that is known of '" SLICE_FMT "', did you mean '" SLICE_FMT ".%s'?",
			   SLICE_ARG(action), SLICE_ARG(head), SLICE_ARG(head), near);
}

static void check_native(struct checker *c, const struct node *word, const struct check_source *s, struct slice event)
{
	const char *words[WORDS_MAX + 1] = { 0 };
	size_t n = 0;

	check_action(c, word, event);
	if (!s->provider || is_common(event) || is_native_of(s->provider, event))
		return;
	for (const char *const *w = schema_events; *w; w++)
		words[n++] = *w;
	add_natives(s->provider, words, n);
	const char *near = did_you_mean(head_of(event), words);
	if (near)
		check_warn(c, word, "W113", "'" SLICE_FMT "' is no event that is known of '" SLICE_FMT "', did you mean '%s'?",
			   SLICE_ARG(head_of(event)), SLICE_ARG(s->name), near);
}

/* A rule of this directory is called NAME. */
static int is_rule_name(const struct checker *c, struct slice name)
{
	for (size_t i = 0; i < c->ctx->n_decls; i++)
		if (slice_eq(c->ctx->decls[i].kind, SLICE("rule")) && slice_eq(c->ctx->decls[i].name, name))
			return 1;
	return 0;
}

/* "job:succeeded": the states that a job ends in. "rule:finished". "local:NAME", whatever rules emit. */
static void check_inner(struct checker *c, const struct node *word, struct slice source, struct slice event)
{
	static const char *const jobs[] = { "succeeded", "failed", "errored", "timed_out", "cancelled", "skipped", "superseded", "refused",
					    "lost", "*", NULL };
	static const char *const rules[] = { "succeeded", "failed", "finished", NULL };
	int is_rule = slice_eq(source, SLICE("rule"));
	struct slice name, state = SLICE_NULL;
	char hint[HINT_BYTES];

	if (slice_eq(source, SLICE("cron"))) {
		check_say(c, word, "E114", "a schedule is no event to listen to: write cron = \"0 3 * * *\" beside on, or in its place");
		return;
	}
	if (slice_eq(source, SLICE("local"))) {
		if (!slice_eq(event, SLICE("*")) && !schema_name_is_valid(event))
			check_say(c, word, "E114", "the name of a local event is made of letters, digits, '.', '_' and '-', not \"" SLICE_FMT "\"",
				  SLICE_ARG(slice_upto(event, 80)));
		return;
	}
	if (check_is_word(event, is_rule ? rules : jobs))
		return;
	if (slice_cut(event, '.', &name, &state) || (is_rule_name(c, event) && (name = event).len)) {
		check_say(c, word, "E114", "whose jobs are meant is said by when: write on = \"" SLICE_FMT ":" SLICE_FMT "\", when = { rule = \""
			  SLICE_FMT "\" }", SLICE_ARG(source),
			  SLICE_ARG(check_is_word(state, is_rule ? rules : jobs) ? state : SLICE("succeeded")), SLICE_ARG(name));
		return;
	}
	check_hint(event, is_rule ? rules : jobs, hint);
	check_say(c, word, "E114", is_rule ? "'rule:" SLICE_FMT "' never happens: a rule's jobs end as rule:succeeded or rule:failed, and as "
		  "rule:finished in any case%s" : "'job:" SLICE_FMT "' never happens: a job ends in a state%s",
		  SLICE_ARG(slice_upto(event, 40)), hint);
}

static void check_qualified(struct checker *c, const struct node *word, struct slice source, struct slice event)
{
	const struct check_source *s = source_find(c, source);

	for (const char *const *r = schema_reserved_sources; *r; r++)
		if (slice_eq(source, slice_of(*r))) {
			check_inner(c, word, source, event);
			return;
		}
	if (event.len == 0)
		check_say(c, word, "E113", "'" SLICE_FMT "' names no event: write \"" SLICE_FMT ":push\", or \"" SLICE_FMT ":*\" for all",
			  SLICE_ARG(word->text), SLICE_ARG(source), SLICE_ARG(source));
	else if (slice_chr(event, '*') >= 0 && event.len != 1)
		check_say(c, word, "E113", "'*' stands for all events of a source, as in \"" SLICE_FMT ":*\", and nowhere else",
			  SLICE_ARG(source));
	else if (!s)
		check_source(c, word, source);
	else if (slice_chr(event, '*') < 0)
		check_native(c, word, s, event);
}

/* Without a source only common names are meant. */
static void say_not_common(struct checker *c, const struct node *word)
{
	char hint[HINT_BYTES];

	for (size_t i = 0; i < c->ctx->n_sources; i++) {
		const struct check_source *s = &c->ctx->sources[i];
		if (slice_eq(s->name, word->text)) {
			check_say(c, word, "E113", "'" SLICE_FMT "' is a source: write \"" SLICE_FMT ":*\" for all of its events",
				  SLICE_ARG(s->name), SLICE_ARG(s->name));
			return;
		}
		if (is_native_of(s->provider, word->text)) {
			check_say(c, word, "E113", "'" SLICE_FMT "' is an event of '" SLICE_FMT "' alone: write \"" SLICE_FMT ":" SLICE_FMT "\"",
				  SLICE_ARG(word->text), SLICE_ARG(s->name), SLICE_ARG(s->name), SLICE_ARG(word->text));
			return;
		}
	}
	if (slice_eq(word->text, SLICE("schedule")) || slice_eq(word->text, SLICE("cron"))) {
		check_say(c, word, "E113", "a schedule is no event: write cron = \"0 3 * * *\" in place of on and when");
		return;
	}
	check_hint(head_of(word->text), schema_events, hint);
	check_say(c, word, "E113", "unknown event '" SLICE_FMT "'%s", SLICE_ARG(slice_upto(word->text, 80)), hint);
}

void check_event(struct checker *c, const struct node *word)
{
	struct slice source, event;

	if (slice_cut(word->text, ':', &source, &event))
		check_qualified(c, word, source, event);
	else if (slice_chr(word->text, '*') >= 0)
		check_say(c, word, "E113", "'*' stands for all events of one source, as in \"github:*\"");
	else if (!is_common(word->text))
		say_not_common(c, word);
	else if (word->text.ptr[word->text.len - 1] == '.')
		check_say(c, word, "E113", "'" SLICE_FMT "' ends in a dot: an action follows it, or nothing", SLICE_ARG(word->text));
	else
		check_action(c, word, word->text);
}

/* ---- templates ---- */

static int is_fact(struct slice name)
{
	for (const char *const *f = schema_facts; *f; f++)
		if (slice_eq(name, slice_of(*f)))
			return 1;
	return 0;
}

static void say_no_field(struct checker *c, const struct node *text, struct slice name)
{
	const char *words[FIELD_COUNT + WORDS_MAX] = { 0 };
	char hint[HINT_BYTES];
	size_t n = 0;

	for (int f = 0; f < FIELD_COUNT; f++)
		words[n++] = field_name((enum field_id)f);
	for (const char *const *f = schema_facts; *f; f++)
		words[n++] = *f;
	check_hint(name, words, hint);
	check_say(c, text, "E115", "{" SLICE_FMT "} is no field of an event%s; {{ stands for a brace", SLICE_ARG(slice_upto(name, 60)), hint);
}

/* The case of WORD whose event has no FIELD: the source that sends it, and its native name; NULL where all have it, or where
 * nothing is known. */
static const char *case_without(const struct checker *c, struct slice word, int field, struct slice *sender)
{
	struct slice source, event;
	int is_named = slice_cut(word, ':', &source, &event);

	for (size_t i = 0; i < c->ctx->n_sources; i++) {
		const struct check_source *s = &c->ctx->sources[i];
		size_t n = 0;
		const struct provider_event *events = s->provider ? provider_events(s->provider, &n) : NULL;
		if (is_named && !slice_eq(source, s->name))
			continue;
		for (size_t k = 0; k < n; k++)
			if (hears(is_named ? event : word, &events[k], is_named) && !(events[k].fields & (uint64_t)1 << field)) {
				*sender = s->name;
				return events[k].native;
			}
	}
	return NULL;
}

static void check_hole_on(struct checker *c, const struct node *text, int field, const struct node *word)
{
	const char *name = field_name((enum field_id)field), *native;
	struct slice sender;

	if (word->kind != NODE_STRING)
		return;
	if (!(check_event_fields(c, word->text) & (uint64_t)1 << field))
		check_say(c, text, "E115", "{%s} is never there on '" SLICE_FMT "'", name, SLICE_ARG(word->text));
	else if ((native = case_without(c, word->text, field, &sender)))
		check_say(c, text, "E115", "{%s} is not there on every '" SLICE_FMT "': %s of '" SLICE_FMT "' has none", name, SLICE_ARG(word->text),
			  native, SLICE_ARG(sender));
}

static void check_hole(struct checker *c, const struct node *text, struct slice name)
{
	struct slice in_matrix = template_matrix_name(name);
	int field = field_find(name);

	if (is_fact(name))
		return;
	if (in_matrix.len) {
		check_matrix_name(c, text, in_matrix);
		return;
	}
	if (field < 0) {
		say_no_field(c, text, name);
		return;
	}
	if (c->on && c->on->kind == NODE_STRING)
		check_hole_on(c, text, field, c->on);
	for (size_t i = 0; c->on && c->on->kind == NODE_TABLE && i < c->on->n_items; i++)
		check_hole_on(c, text, field, c->on->items[i]);
	if (c->cron && !c->on)
		check_say(c, text, "E115", "{%s} is never there when a schedule fires", field_name((enum field_id)field));
}

void check_template(struct checker *c, const struct node *text)
{
	struct slice rest = text->text, part;

	check_braces(c, text);
	for (;;)
		switch (template_next(&rest, &part)) {
		case TEMPLATE_END:
			return;
		case TEMPLATE_HOLE:
			check_hole(c, text, part);
			break;
		case TEMPLATE_OPEN:
			check_say(c, text, "E115", "a { that is never closed; {{ stands for a brace");
			break;
		case TEMPLATE_TEXT:
			break;
		}
}

/* ---- loops ---- */

/* The test of `rule` in a table of conditions, wherever it stands; NULL: none. */
static const struct node *rule_test(const struct node *when)
{
	const struct node *found = NULL;

	if (!when || when->kind != NODE_TABLE)
		return NULL;
	for (size_t i = 0; i < when->n_items && !found; i++)
		found = rule_test(when->items[i]);
	for (size_t i = 0; i < when->n_members && !found; i++)
		found = slice_eq(when->members[i].key, SLICE("rule")) ? when->members[i].value : rule_test(when->members[i].value);
	return found;
}

static int names(const struct node *test, struct slice rule)
{
	if (test->kind == NODE_STRING)
		return slice_eq(test->text, rule) || slice_eq(test->text, SLICE("*")) || slice_eq(test->text, SLICE("**"));
	for (size_t i = 0; test->kind == NODE_TABLE && i < test->n_items; i++)
		if (names(test->items[i], rule))
			return 1;
	return 0;
}

static int hears_of_jobs(const struct node *word)
{
	return word->kind == NODE_STRING && (slice_starts(word->text, SLICE("job:")) || slice_starts(word->text, SLICE("rule:")));
}

/* The names that TEST wants: of a rule that there is not, no job ever ends. */
static void check_rule_names(struct checker *c, const struct node *test)
{
	const char *words[WORDS_MAX + 1] = { 0 };
	char hint[HINT_BYTES];
	size_t n = 0;

	for (size_t i = 0; test->kind == NODE_TABLE && i < test->n_items; i++)
		check_rule_names(c, test->items[i]);
	if (test->kind != NODE_STRING || !glob_is_literal(test->text) || is_rule_name(c, test->text) || !c->ctx->decls || c->ctx->rules_unknown)
		return;
	for (size_t i = 0; i < c->ctx->n_decls && n < WORDS_MAX; i++)
		if (slice_eq(c->ctx->decls[i].kind, SLICE("rule")))
			words[n++] = c->ctx->decls[i].name.ptr;
	check_hint(test->text, words, hint);
	check_warn(c, test, "W133", "there is no rule '" SLICE_FMT "'%s", SLICE_ARG(test->text), hint);
}

void check_loop(struct checker *c, const struct node *when)
{
	const struct node *heard = c->on && hears_of_jobs(c->on) ? c->on : NULL, *test = rule_test(when);

	for (size_t i = 0; c->on && c->on->kind == NODE_TABLE && i < c->on->n_items && !heard; i++)
		heard = hears_of_jobs(c->on->items[i]) ? c->on->items[i] : NULL;
	if (!heard)
		return;
	if (test)
		check_rule_names(c, test);
	if (!test)
		check_warn(c, heard, "W119", "rule '" SLICE_FMT "' hears of its own jobs too, and may cause itself again: say whose are meant, "
			   "as in when = { rule = \"docs\" } or { rule = { ne = \"" SLICE_FMT "\" } }", SLICE_ARG(c->rule), SLICE_ARG(c->rule));
	else if (names(test, c->rule))
		check_warn(c, test, "W119", "rule '" SLICE_FMT "' waits for its own jobs: it causes itself again and again", SLICE_ARG(c->rule));
}
