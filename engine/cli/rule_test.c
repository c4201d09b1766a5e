/* cli/rule_test.c - one test beside the rules. What came of the delivery is made into the same form as the expectation, part by
 * part, and the two are compared; a difference in `match` is told with the reason, which is what one asks next. */
#include "cli/rule_test.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/difference.h"
#include "cli/fixture_file.h"
#include "cli/rehearsal.h"
#include "rules/diag.h"
#include "rules/match.h"

#define EXPECT_MAX (16 << 20)
#define INDENT "      "

static const char *const keys[] = { "match", "no_match", "effects", "answers", "queues", NULL };

struct running {
	struct rule_test *test;
	const struct ruleset *rs;
	struct trial trial;
	json_t *want;                   /* NULL: there is no expectation yet */
	json_t *got;                    /* of "match", "effects", "queues" */
};

void rule_test_init(struct rule_test *t, const char *dir, const char *name)
{
	*t = (struct rule_test){ .name = xstrdup(name), .path = xprintf("%s/tests/%s.json", dir, name),
				 .expect_path = xprintf("%s/tests/%s.expect.json", dir, name), .what = BUF(1 << 20) };
}

void rule_test_fini(struct rule_test *t)
{
	free(t->name);
	free(t->path);
	free(t->expect_path);
	buf_fini(&t->what);
}

static int wrong(struct running *r, const char *path, const char *text)
{
	buf_addf(&r->test->what, INDENT "%s: %s\n", path, text);
	return -1;
}

/* ---- the expectation ---- */

static int is_list_of_strings(const json_t *v)
{
	size_t i;
	const json_t *item;

	json_array_foreach(v, i, item)
		if (!json_is_string(item))
			return 0;
	return json_is_array(v);
}

static int check_expectation(struct running *r)
{
	const char *key;
	json_t *value;

	if (!json_is_object(r->want))
		return wrong(r, r->test->expect_path, "an object is wanted: { \"match\": [\"docs\"] }");
	json_object_foreach(r->want, key, value) {
		const char *near = did_you_mean(slice_of(key), keys);
		CLEANUP(freep) char *unknown = xprintf("there is no \"%.60s\"%s%s%s", key, near ? ", did you mean \"" : "", near ? near : "",
						       near ? "\"?" : "");
		int is_list = !strcmp(key, "match") || !strcmp(key, "no_match");
		int is_map = !strcmp(key, "effects") || !strcmp(key, "answers") || !strcmp(key, "queues");
		if (!is_list && !is_map)
			return wrong(r, r->test->expect_path, unknown);
		if (is_list && !is_list_of_strings(value))
			return wrong(r, r->test->expect_path, "\"match\" and \"no_match\" are lists of rules' names");
		if (is_map && !json_is_object(value))
			return wrong(r, r->test->expect_path, "\"effects\", \"queues\" and \"answers\" are objects by rules' names");
	}
	return 0;
}

static int read_expectation(struct running *r)
{
	CLEANUP(buf_fini) struct buf text = BUF(EXPECT_MAX);
	json_error_t bad;
	struct err e;

	if (access(r->test->expect_path, F_OK) != 0)
		return 0;
	if (file_read(AT_FDCWD, r->test->expect_path, &text, &e) < 0)
		return wrong(r, r->test->expect_path, e.msg);
	r->want = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &bad);
	if (!r->want) {
		CLEANUP(freep) char *said = xprintf("line %d: %s", bad.line, bad.text);
		return wrong(r, r->test->expect_path, said);
	}
	return check_expectation(r);
}

static int wants(const struct running *r, const char *part)
{
	return !r->want || json_object_get(r->want, part);
}

/* ---- what came of it ---- */

static int judge(struct running *r)
{
	struct fixture f = FIXTURE_NONE;
	struct err e;
	int bad = fixture_read(r->test->path, &f, &e);

	if (bad) {
		buf_addf(&r->test->what, INDENT "%s\n", e.msg);
		return -1;
	}
	bad = trial_hold(r->rs, &f, &r->trial, &e);
	fixture_fini(&f);
	return bad ? wrong(r, r->test->path, e.msg) : 0;
}

static int is_named(const json_t *list, const char *name)
{
	size_t i;
	const json_t *item;

	json_array_foreach(list, i, item)
		if (!strcmp(json_string_value(item), name))
			return 1;
	return 0;
}

/* Whether NAMED (NULL, or empty: all) has RULE, or a cell of it: "ci", "ci (cc=gcc part=web)". */
static int has_rule(const json_t *named, const char *rule)
{
	const char *key;
	json_t *value;
	size_t len = strlen(rule);

	json_object_foreach((json_t *)(uintptr_t)named, key, value)
		if (!strncmp(key, rule, len) && (!key[len] || !strncmp(key + len, " (", 2)))
			return 1;
	return json_object_size(named) == 0;
}

/* "ci (cc=gcc part=web)"; owned. */
static char *label_of(const struct running *r, size_t i, size_t k)
{
	const char *rule = rule_name(match_rule(r->trial.match, i)), *cell = match_cell(r->trial.match, i, k);
	return *cell ? xprintf("%s (%s)", rule, cell) : xstrdup(rule);
}

static int rehearse_cells(struct running *r, size_t i, json_t *effects)
{
	const struct rule *rule = match_rule(r->trial.match, i);
	json_t *answers = json_object_get(json_object_get(r->want, "answers"), rule_name(rule)), *list;
	struct err e;

	for (size_t k = 0; k < match_cell_count(r->trial.match, i); k++) {
		CLEANUP(freep) char *label = label_of(r, i, k);
		if (rehearse(r->rs, rule, match_cell(r->trial.match, i, k), &r->trial, answers, &list, &e) < 0)
			return wrong(r, label, e.msg);
		json_object_set_new(effects, label, list);
	}
	return 0;
}

static int rehearse_all(struct running *r)
{
	json_t *effects = json_object();

	json_object_set_new(r->got, "effects", effects);
	for (size_t i = 0; i < match_count(r->trial.match); i++)
		if (has_rule(json_object_get(r->want, "effects"), rule_name(match_rule(r->trial.match, i))) &&
		    rehearse_cells(r, i, effects) < 0)
			return -1;
	return 0;
}

/* By which key each job waits for others: {"key":"acme/app refs/heads/main"}, or {"name":"production"} of a shared queue. */
static void fill_queues(struct running *r)
{
	const json_t *want = json_object_get(r->want, "queues");
	json_t *queues = json_object();

	for (size_t i = 0; i < match_count(r->trial.match); i++)
		for (size_t k = 0; k < match_cell_count(r->trial.match, i) && has_rule(want, rule_name(match_rule(r->trial.match, i))); k++) {
			CLEANUP(buf_fini) struct buf key = BUF(1 << 16);
			CLEANUP(freep) char *label = label_of(r, i, k);
			int is_shared = match_queue_key(r->trial.match, i, k, &key);
			json_object_set_new(queues, label, json_pack("{s:s}", is_shared ? "name" : "key", buf_cstr(&key)));
		}
	json_object_set_new(r->got, "queues", queues);
}

static int fill_got(struct running *r)
{
	json_t *match = json_array();

	r->got = json_object();
	json_object_set_new(r->got, "match", match);
	for (size_t i = 0; i < match_count(r->trial.match); i++)
		json_array_append_new(match, json_string(rule_name(match_rule(r->trial.match, i))));
	if (json_object_get(r->want, "queues"))
		fill_queues(r);
	return wants(r, "effects") ? rehearse_all(r) : 0;
}

/* ---- differences ---- */

/* Why a rule that is wanted does not fire; owned. */
static char *why_not(const struct running *r, const char *name)
{
	CLEANUP(buf_fini) struct buf why = BUF(1 << 20);
	const struct rule *rule = NULL;
	size_t i;
	json_t *item;

	match_why_json(r->trial.match, &why);
	json_t *list = json_loadb(why.ptr, why.len, 0, NULL);
	char *out = NULL;
	json_array_foreach(list, i, item)
		if (!out && !strcmp(json_string_value(json_object_get(item, "rule")), name))
			out = xstrdup(json_string_value(json_object_get(item, "because")));
	json_decref(list);
	for (size_t k = 0; k < ruleset_rule_count(r->rs) && !rule; k++)
		if (!strcmp(rule_name(ruleset_rule_at(r->rs, k)), name))
			rule = ruleset_rule_at(r->rs, k);
	return out ? out : xstrdup(!rule ? "there is no such rule" : rule_is_enabled(rule) ? "it does not listen to this event" :
				   "it says enabled = false");
}

static int compare_match(struct running *r)
{
	const json_t *want = json_object_get(r->want, "match"), *never = json_object_get(r->want, "no_match"), *item;
	const json_t *got = json_object_get(r->got, "match");
	struct buf *out = &r->test->what;
	size_t i, before = out->len;

	json_array_foreach(want, i, item) {
		if (is_named(got, json_string_value(item)))
			continue;
		CLEANUP(freep) char *why = why_not(r, json_string_value(item));
		buf_addf(out, INDENT "- %s does not fire: %s\n", json_string_value(item), why);
	}
	json_array_foreach(got, i, item)
		if ((want && !is_named(want, json_string_value(item))) || is_named(never, json_string_value(item)))
			buf_addf(out, INDENT "+ %s fires\n", json_string_value(item));
	return out->len == before;
}

static int compare_effects(struct running *r)
{
	const json_t *want = json_object_get(r->want, "effects"), *got = json_object_get(r->got, "effects");
	struct buf *out = &r->test->what;
	size_t before = out->len;
	const char *rule;
	json_t *list;

	json_object_foreach((json_t *)(uintptr_t)want, rule, list) {
		const json_t *done = json_object_get(got, rule);
		if (!done)
			buf_addf(out, INDENT "effects of %s: it does not fire\n", rule);
		if (!done || json_equal(list, done))
			continue;
		char *a = json_dumps(list, JSON_INDENT(2) | JSON_SORT_KEYS), *b = json_dumps(done, JSON_INDENT(2) | JSON_SORT_KEYS);
		buf_addf(out, INDENT "effects of %s:\n", rule);
		difference_add(slice_of(a), slice_of(b), INDENT "  ", out);
		free(a);
		free(b);
	}
	json_object_foreach((json_t *)(uintptr_t)got, rule, list)
		if (json_object_size(want) && !json_object_get(want, rule))
			buf_addf(out, INDENT "+ %s fires\n", rule);
	return out->len == before;
}

static int compare_queues(struct running *r)
{
	const json_t *got = json_object_get(r->got, "queues");
	struct buf *out = &r->test->what;
	size_t before = out->len;
	const char *rule;
	json_t *want;

	json_object_foreach(json_object_get(r->want, "queues"), rule, want) {
		json_t *is = json_object_get(got, rule);
		if (is && json_equal(want, is))
			continue;
		char *a = json_dumps(want, JSON_ENCODE_ANY), *b = is ? json_dumps(is, 0) : xstrdup("no job: it does not fire");
		buf_addf(out, INDENT "queue of %s: want %s, got %s\n", rule, a, b);
		free(a);
		free(b);
	}
	return out->len == before;
}

/* ---- writing it ---- */

static void add_compact(const char *before, const json_t *v, struct buf *out)
{
	char *text = json_dumps(v, 0);

	buf_adds(out, before);
	buf_adds(out, text);
	free(text);
}

/* One effect a line: so a change of one is a change of one line where it is reviewed. */
static void add_effects(const json_t *effects, struct buf *out)
{
	const char *rule;
	json_t *list, *one;
	size_t i, n = 0;

	buf_addc(out, '{');
	json_object_foreach((json_t *)(uintptr_t)effects, rule, list) {
		buf_adds(out, n++ ? ",\n    " : "\n    ");
		buf_add_json(out, slice_of(rule));
		buf_adds(out, ": [");
		json_array_foreach(list, i, one)
			add_compact(i ? ",\n      " : "\n      ", one, out);
		buf_adds(out, i ? "\n    ]" : "]");
	}
	buf_adds(out, n ? "\n  }" : "}");
}

static void write_expectation(const json_t *all, struct buf *out)
{
	const char *part;
	json_t *value;
	int n = 0;

	json_object_foreach((json_t *)(uintptr_t)all, part, value) {
		buf_addf(out, "%s  \"%s\": ", n++ ? ",\n" : "{\n", part);
		if (!strcmp(part, "effects"))
			add_effects(value, out);
		else
			add_compact("", value, out);
	}
	buf_adds(out, n ? "\n}\n" : "{}\n");
}

static int update(struct running *r)
{
	json_t *new = r->want ? json_deep_copy(r->want) : json_object();
	const char *const parts[] = { "match", "effects", "queues" };
	struct err e = { 0 };
	int result = 0;

	for (size_t i = 0; i < COUNT(parts); i++)
		if (wants(r, parts[i]) && json_object_get(r->got, parts[i]))
			json_object_set(new, parts[i], json_object_get(r->got, parts[i]));
	if (!r->want || !json_equal(new, r->want)) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		write_expectation(new, &text);
		result = file_write_durable(AT_FDCWD, r->test->expect_path, buf_slice(&text), 0644, &e);
		r->test->is_written = result == 0;
	}
	json_decref(new);
	return result < 0 ? wrong(r, r->test->expect_path, e.msg) : 0;
}

static int run(struct running *r, enum rule_test_mode mode)
{
	if (read_expectation(r) < 0 || judge(r) < 0 || fill_got(r) < 0)
		return 0;
	if (mode == RULE_TEST_UPDATE && update(r) < 0)
		return 0;
	if (mode == RULE_TEST_UPDATE && r->test->is_written)
		return 1;
	if (!r->want)
		return wrong(r, r->test->expect_path, "is not there; pushrod test --update writes it"), 0;
	int match = compare_match(r), effects = compare_effects(r), queues = compare_queues(r);
	return match && effects && queues;
}

void rule_test_run(struct rule_test *t, const struct ruleset *rs, enum rule_test_mode mode)
{
	struct running r = { .test = t, .rs = rs, .trial = TRIAL_NONE };

	t->is_ok = run(&r, mode);
	trial_fini(&r.trial);
	json_decref(r.want);
	json_decref(r.got);
}
