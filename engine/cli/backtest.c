/* cli/backtest.c - pushrod backtest: the edited directory over the deliveries that a running server keeps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/plural.h"
#include "cli/options.h"
#include "cli/site.h"
#include "cli/stored.h"
#include "cli/talk.h"
#include "cli/trial.h"
#include "rules/match.h"

#define PAGE 100
#define IDS_SHOWN 10

struct tally {                          /* of one rule, or cell of its matrix */
	char *label;                    /* owned */
	int64_t *starts, *stops;        /* owned: numbers of deliveries, newest first */
	size_t n_starts, n_stops, same;
};

struct backtest {
	const struct command *self;
	const char *source, *state, *since, *against;
	int as_json, is_strict, is_history;
	int64_t from_ms;
	struct ruleset *edited, *force; /* force: NULL against history */
	struct tally *list;
	size_t n, deliveries, left_out, refused, starts, stops;
};

/* ---- labels: a sorted set of those that fire ---- */

struct labels {
	char **list;                    /* owned */
	size_t n;
};

static void labels_fini(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->list[i]);
	free(l->list);
	*l = (struct labels){ 0 };
}

static void labels_add(struct labels *l, const char *rule, const char *cell)
{
	if ((l->n & (l->n - 1)) == 0)
		l->list = xrealloc(l->list, (l->n ? 2 * l->n : 1) * sizeof *l->list);
	l->list[l->n++] = *cell ? xprintf("%s (%s)", rule, cell) : xstrdup(rule);
}

static int has(const struct labels *l, const char *label)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->list[i], label))
			return 1;
	return 0;
}

/* What of RS fires. 0, or -1 where the delivery cannot be judged by it: then nothing does. */
static int judge(const struct ruleset *rs, const struct fixture *f, struct labels *out)
{
	struct trial t = TRIAL_NONE;
	struct err e;

	if (trial_hold(rs, f, &t, &e) < 0)
		return -1;
	for (size_t i = 0; i < match_count(t.match); i++)
		for (size_t k = 0; k < match_cell_count(t.match, i); k++)
			labels_add(out, rule_name(match_rule(t.match, i)), match_cell(t.match, i, k));
	trial_fini(&t);
	return 0;
}

/* What was started then; a job that was run again counts once. */
static void recall(const json_t *delivery, struct labels *out)
{
	size_t i;
	const json_t *job;

	json_array_foreach(json_object_get(delivery, "job_list"), i, job) {
		struct labels one = { 0 };
		labels_add(&one, talk_string(job, "rule"), talk_string(job, "cell"));
		if (!has(out, one.list[0]))
			labels_add(out, talk_string(job, "rule"), talk_string(job, "cell"));
		labels_fini(&one);
	}
}

/* ---- tallies ---- */

static struct tally *tally_of(struct backtest *b, const char *label)
{
	for (size_t i = 0; i < b->n; i++)
		if (!strcmp(b->list[i].label, label))
			return &b->list[i];
	if ((b->n & (b->n - 1)) == 0)
		b->list = xrealloc(b->list, (b->n ? 2 * b->n : 1) * sizeof *b->list);
	b->list[b->n] = (struct tally){ .label = xstrdup(label) };
	return &b->list[b->n++];
}

static void add_id(int64_t **list, size_t *n, int64_t id)
{
	if ((*n & (*n - 1)) == 0)
		*list = xrealloc(*list, (*n ? 2 * *n : 1) * sizeof **list);
	(*list)[(*n)++] = id;
}

static void compare(struct backtest *b, int64_t id, const struct labels *before, const struct labels *after)
{
	for (size_t i = 0; i < after->n; i++) {
		struct tally *t = tally_of(b, after->list[i]);
		if (has(before, after->list[i]))
			t->same++;
		else
			add_id(&t->starts, &t->n_starts, id);
		b->starts += !has(before, after->list[i]);
	}
	for (size_t i = 0; i < before->n; i++) {
		if (has(after, before->list[i]))
			continue;
		struct tally *t = tally_of(b, before->list[i]);
		add_id(&t->stops, &t->n_stops, id);
		b->stops++;
	}
}

/* ---- deliveries ---- */

static int take(struct backtest *b, int64_t id)
{
	struct fixture f = FIXTURE_NONE;
	struct labels before = { 0 }, after = { 0 };
	json_t *delivery = NULL;
	int code = stored_fetch(b->self, b->state, id, &f, &delivery);

	if (code == STORED_GONE) {
		b->left_out++;
		return EXIT_OK;
	}
	if (code)
		return code == EXIT_NOT_FOUND ? EXIT_OK : code;         /* it went meanwhile */
	b->deliveries++;
	b->refused += judge(b->edited, &f, &after) < 0;
	if (b->is_history)
		recall(delivery, &before);
	else
		b->refused += judge(b->force, &f, &before) < 0;
	compare(b, id, &before, &after);
	labels_fini(&before);
	labels_fini(&after);
	json_decref(delivery);
	fixture_fini(&f);
	return EXIT_OK;
}

static char *page_path(const struct backtest *b, int64_t before)
{
	CLEANUP(buf_fini) struct buf path = BUF(4096);

	buf_addf(&path, "/api/v1/deliveries?limit=%d", PAGE);
	if (before)
		buf_addf(&path, "&before=%" PRId64, before);
	if (b->source)
		buf_addf(&path, "&source=%s", b->source);
	return buf_take(&path);
}

/* One page. *next gets the number that the next one is before; 0: that was the last. */
static int take_page(struct backtest *b, int64_t before, int64_t *next)
{
	CLEANUP(freep) char *path = page_path(b, before);
	json_t *answer = NULL, *item;
	int code = talk_json(b->self, b->state, NULL, path, &answer);
	size_t i, n;

	*next = 0;
	if (code)
		return code;
	json_t *list = json_object_get(answer, "deliveries");
	n = json_array_size(list);
	json_array_foreach(list, i, item) {
		int64_t id = talk_integer(item, "id");
		if (code || talk_integer(item, "received_ms") < b->from_ms)
			break;
		code = take(b, id);
		*next = i + 1 == n && n == PAGE ? id : 0;
	}
	json_decref(answer);
	if (isatty(STDERR_FILENO) && !code)
		fprintf(stderr, "\r%zu deliveries\r", b->deliveries);
	return code;
}

static int take_all(struct backtest *b)
{
	int64_t next = 0;
	int code;

	do
		code = take_page(b, next, &next);
	while (!code && next);
	return code;
}

/* ---- what is told ---- */

static void put_ids(const char *what, const int64_t *ids, size_t n)
{
	if (n == 0)
		return;
	printf("   %zu would %s: ", n, what);
	for (size_t i = 0; i < n && i < IDS_SHOWN; i++)
		printf("%s%" PRId64, i ? ", " : "", ids[i]);
	if (n > IDS_SHOWN)
		fputs(", \xe2\x80\xa6", stdout);
}

static void put_text(const struct backtest *b)
{
	int wide = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].n_starts + b->list[i].n_stops && (int)strlen(b->list[i].label) > wide)
			wide = (int)strlen(b->list[i].label);
	for (size_t i = 0; i < b->n; i++) {
		const struct tally *t = &b->list[i];
		if (t->n_starts + t->n_stops == 0)
			continue;
		printf("%-*s", wide, t->label);
		put_ids("start", t->starts, t->n_starts);
		put_ids("stop", t->stops, t->n_stops);
		putchar('\n');
	}
	printf("%zu %s of the last %s: %zu %s would start, %zu would stop, against %s\n", b->deliveries,
	       plural((int64_t)b->deliveries, "delivery", "deliveries"), b->since, b->starts, plural((int64_t)b->starts, "job", "jobs"),
	       b->stops, b->is_history ? "what was started then" : "the rules in force");
	if (b->left_out)
		printf("%zu left out: their bodies are no longer kept\n", b->left_out);
	if (b->refused)
		printf("%zu times one of the two could not judge a delivery (no such source, or refused): nothing fires then\n", b->refused);
}

static void add_ids(json_t *to, const char *key, const int64_t *ids, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(ids[i]));
	json_object_set_new(to, key, list);
}

static void put_json(const struct backtest *b)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < b->n; i++) {
		const struct tally *t = &b->list[i];
		json_t *one = json_pack("{s:s,s:I}", "rule", t->label, "same", (json_int_t)t->same);
		add_ids(one, "start", t->starts, t->n_starts);
		add_ids(one, "stop", t->stops, t->n_stops);
		json_array_append_new(rules, one);
	}
	json_t *all = json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:o}", "against", b->is_history ? "history" : "force",
		"deliveries", (json_int_t)b->deliveries, "left_out", (json_int_t)b->left_out, "refused", (json_int_t)b->refused,
		"starts", (json_int_t)b->starts, "stops", (json_int_t)b->stops, "rules", rules);
	json_dumpf(all, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(all);
}

/* ---- the whole ---- */

static int load_force(struct backtest *b)
{
	json_t *status = NULL;
	int code = talk_json(b->self, b->state, NULL, "/api/v1/status", &status);

	if (!code && !b->is_history)
		code = stored_ruleset(b->self, b->state, talk_string(status, "ruleset"), &b->force);
	json_decref(status);
	return code;
}

static int work(struct backtest *b, const char *dir)
{
	int code = site_load_or_say(b->self, dir, &b->edited);

	if (!code)
		code = load_force(b);
	if (!code)
		code = take_all(b);
	if (code)
		return code;
	if (b->as_json)
		put_json(b);
	else
		put_text(b);
	return b->is_strict && b->starts + b->stops ? EXIT_FAILED : EXIT_OK;
}

static void backtest_fini(struct backtest *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->list[i].label);
		free(b->list[i].starts);
		free(b->list[i].stops);
	}
	free(b->list);
	ruleset_unref(b->edited);
	ruleset_unref(b->force);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct backtest b = { .self = self, .since = "7d", .against = "force" };
	const char *word = NULL;
	int64_t ms;
	int code;
	const struct option_spec specs[] = { { "since", 0, &b.since, NULL }, { "source", 's', &b.source, NULL },
		{ "against", 0, &b.against, NULL }, { "fail-on-difference", 0, NULL, &b.is_strict }, { "state", 0, &b.state, NULL },
		{ "json", 0, NULL, &b.as_json }, { 0 } };

	if (options_parse(self, argc, argv, specs, &word, 1, &code) < 0)
		return code;
	if (slice_to_duration_ms(slice_of(b.since), &ms) < 0 || ms <= 0)
		return command_usage(self, "--since takes a duration such as 12h or 7d, not '%s'", b.since);
	if (strcmp(b.against, "force") && strcmp(b.against, "history"))
		return command_usage(self, "--against is force or history, not '%s'", b.against);
	for (const char *c = b.source; c && *c; c++)
		if (strchr("&=#?% ", *c))
			return command_usage(self, "'%s' is not a source's name", b.source);
	b.is_history = !strcmp(b.against, "history");
	b.from_ms = wall_ms() - ms;
	code = work(&b, site_dir(word));
	backtest_fini(&b);
	return code;
}

const struct command cmd_backtest = {
	"backtest", "[DIR] [--since 7d] [--source NAME] [--fail-on-difference] [--json]", "what an edited directory changes, over stored deliveries",
	"      --since DURATION      how far back (7d)\n"
	"  -s, --source NAME         deliveries of that source alone\n"
	"      --against WHAT        force: the rules in force (unless said); history: the jobs that were started then\n"
	"      --fail-on-difference  exit 1 where something would start or stop\n"
	"      --state DIR           the server's state folder\n"
	"      --json                by rule: the numbers of the deliveries that start or stop it\n",
	run,
};
