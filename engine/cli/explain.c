/* cli/explain.c - pushrod explain: why the rules that listen to a delivery do or do not fire. A file, and a delivery by the rules
 * of a directory, are judged here; a delivery by the server's own rules there (front/explain.c), with the same library: it has the
 * body, those rules and the ones of then at hand. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/fixture_file.h"
#include "cli/options.h"
#include "cli/site.h"
#include "cli/stored.h"
#include "cli/talk.h"
#include "cli/trial.h"
#include "rules/match.h"
#include "rules/schema.h"

struct explaining {
	const struct command *self;
	const char *source, *event, *query, *rule, *state;
	struct option_list headers;
	int as_json, is_of_then;
	struct fixture fixture;
	struct ruleset *rules;
};

static int say(const struct explaining *x, const char *what, const struct err *e)
{
	fprintf(stderr, "pushrod %s: %s%s%s\n", x->self->name, what ? what : "", what ? ": " : "", e->msg);
	return EXIT_FAILED;
}

/* What is said on the command line wins over what the file says. */
static int take_options(struct explaining *x)
{
	struct fixture *f = &x->fixture;
	struct slice name, value;
	struct err e;

	for (size_t i = 0; i < x->headers.n; i++) {
		if (!slice_cut(slice_of(x->headers.values[i]), ':', &name, &value))
			return command_usage(x->self, "--header is written 'Name: value', not '%s'", x->headers.values[i]);
		if (fixture_add_header(f, slice_trim(name), slice_trim(value), &e) < 0)
			return command_usage(x->self, "%s", e.msg);
	}
	if (x->source) {
		freep(&f->source);
		f->source = xstrdup(x->source);
	}
	if (x->event) {
		freep(&f->event);
		f->event = xstrdup(x->event);
	}
	if (x->query) {
		freep(&f->query);
		f->query = xstrdup(x->query);
	}
	if (!f->received_ms)
		f->received_ms = wall_ms();
	return EXIT_OK;
}

static int load(struct explaining *x, const char *what, const char *dir)
{
	struct err e;
	int64_t id;

	if (slice_to_i64(slice_of(what), 1, INT64_MAX, &id) == 0) {
		int code = stored_fetch(x->self, x->state, id, &x->fixture, NULL);
		if (code == STORED_GONE)
			fprintf(stderr, "pushrod %s: the body of delivery %s is no longer kept\n", x->self->name, what);
		return code == STORED_GONE ? EXIT_NOT_FOUND : code ? code : site_load_or_say(x->self, dir, &x->rules);
	}
	if (fixture_read(what, &x->fixture, &e) < 0)
		return say(x, NULL, &e);
	return site_load_or_say(x->self, site_dir(dir), &x->rules);
}

static const struct rule *find_rule(const struct explaining *x)
{
	const char *words[256];
	size_t n = 0;

	for (size_t i = 0; i < ruleset_rule_count(x->rules); i++) {
		const struct rule *r = ruleset_rule_at(x->rules, i);
		if (!strcmp(rule_name(r), x->rule))
			return r;
		if (n < COUNT(words) - 1)
			words[n++] = rule_name(r);
	}
	words[n] = NULL;
	const char *near = did_you_mean(slice_of(x->rule), words);
	fprintf(stderr, "pushrod %s: no rule '%s'%s%s%s\n", x->self->name, x->rule, near ? ", did you mean '" : "", near ? near : "",
		near ? "'?" : "");
	return NULL;
}

static int explain(struct explaining *x, const char *what)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct trial t = TRIAL_NONE;
	const struct rule *only = NULL;
	struct err e;

	if (x->rule && !(only = find_rule(x)))
		return EXIT_NOT_FOUND;
	if (trial_hold(x->rules, &x->fixture, &t, &e) < 0)
		return say(x, what, &e);
	if (x->as_json && only)
		match_explain_rule_json(t.match, only, &out);
	else if (x->as_json)
		match_explain_json(t.match, &out);
	else if (only)
		match_explain_rule(t.match, only, &out, talk_has_colour());
	else
		match_explain(t.match, &out, talk_has_colour());
	fputs(buf_cstr(&out), stdout);
	if (x->as_json)
		putchar('\n');
	int fires = only ? match_fires_rule(t.match, only) : match_count(t.match) > 0;
	trial_fini(&t);
	return fires ? EXIT_OK : EXIT_NO_MATCH;
}

/* ---- by the server ---- */

static void tell_origin(const json_t *answer)
{
	int in_force = json_is_true(json_object_get(answer, "in_force"));
	int is_of_then = !strcmp(talk_string(answer, "ruleset"), talk_string(answer, "then"));

	fprintf(stderr, "by the rules %s\n", !is_of_then ? "in force, which have changed since it came: --then asks those of then" :
		in_force ? "in force, which are those of then" : "of then, which are no longer in force");
}

static int has_fired(const struct explaining *x, const json_t *answer)
{
	if (!x->as_json)
		return json_is_true(json_object_get(answer, "fires"));
	if (!x->rule)
		return talk_integer(answer, "match") > 0;
	return json_is_true(json_object_get(json_array_get(json_object_get(answer, "explained"), 0), "fires"));
}

static int ask(const struct explaining *x, int64_t id)
{
	CLEANUP(buf_fini) struct buf path = BUF(1024);
	json_t *answer = NULL;

	if (x->source || x->event || x->query || x->headers.n)
		return command_usage(x->self, "--source, --event, --header and --query tell what a file does not: of a delivery it is known");
	if (x->rule && !schema_name_is_valid(slice_of(x->rule)))
		return command_usage(x->self, "'%s' is not a rule's name", x->rule);
	buf_addf(&path, "/api/v1/deliveries/%" PRId64 "/explain?ruleset=%s", id, x->is_of_then ? "then" : "now");
	if (x->rule)
		buf_addf(&path, "&rule=%s", x->rule);
	if (!x->as_json)
		buf_addf(&path, "&text=1&colour=%d", talk_has_colour());
	int code = talk_json(x->self, x->state, "POST", buf_cstr(&path), &answer);
	if (code)
		return code;
	if (x->as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		fputs(talk_string(answer, "text"), stdout);
		tell_origin(answer);
	}
	code = has_fired(x, answer) ? EXIT_OK : EXIT_NO_MATCH;
	json_decref(answer);
	return code;
}

static int judge_here(struct explaining *x, const char *what, const char *dir)
{
	if (x->is_of_then)
		return command_usage(x->self, "--then is for a delivery that the server keeps, by the rules that judged it: without a directory");
	int code = load(x, what, dir);
	if (code == EXIT_OK)
		code = take_options(x);
	if (code == EXIT_OK)
		code = explain(x, what);
	ruleset_unref(x->rules);
	fixture_fini(&x->fixture);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct explaining x = { .self = self, .fixture = FIXTURE_NONE };
	const char *words[2] = { NULL, NULL };
	int64_t id;
	int code;
	const struct option_spec specs[] = { { "source", 's', &x.source, NULL }, { "event", 'e', &x.event, NULL },
		{ "header", 'H', .list = &x.headers }, { "query", 'q', &x.query, NULL }, { "rule", 'r', &x.rule, NULL },
		{ "state", 0, &x.state, NULL }, { "then", 0, NULL, &x.is_of_then }, { "json", 0, NULL, &x.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, 2, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which delivery? A file with its body, or the number of a delivery");
	if (n == 1 && slice_to_i64(slice_of(words[0]), 1, INT64_MAX, &id) == 0)
		return ask(&x, id);
	return judge_here(&x, words[0], words[1]);
}

const struct command cmd_explain = {
	"explain", "FILE|DELIVERY [DIR] [--then] [--rule NAME] [--json]", "say why the rules that listen do or do not fire",
	"FILE is the body of a delivery, a fixture (docs/offline.md), or - for standard input; DELIVERY the number of one that the\n"
	"running server keeps. A delivery is judged by the rules in force, or by those of DIR; a file by those of DIR, the folder\n"
	"with pushrod.lua ($PUSHROD_SITE, else the current one).\n"
	"\n"
	"      --then           by the rules that judged the delivery when it came\n"
	"  -r, --rule NAME      that rule alone, also where it does not listen\n"
	"      --json           every condition with result, line, col, want and got (docs/api.md)\n"
	"      --state DIR      the server's state folder\n"
	"\n"
	"  -s, --source NAME    of a file: the source that sent it (of several)\n"
	"  -e, --event EVENT    the sender's own name of the event, where a header tells it\n"
	"  -H, --header 'N: V'  a header it came with; again for more\n"
	"  -q, --query TEXT     the query of its address: token=1&x=2\n"
	"\n"
	"exit code: 0 a rule fires, 3 none does\n",
	run,
};
