/* cli/explain.c - pushrod explain: why the rules that listen to a delivery do or do not fire. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/options.h"
#include "cli/site.h"
#include "cli/stored.h"
#include "cli/talk.h"
#include "cli/trial.h"

struct explaining {
	const struct command *self;
	const char *source, *event, *query, *rule, *state;
	struct option_list headers;
	int as_json;
	struct fixture fixture;
	json_t *delivery;               /* of a delivery: the API's object */
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
		int code = stored_fetch(x->self, x->state, id, &x->fixture, &x->delivery);
		if (code == STORED_GONE)
			fprintf(stderr, "pushrod %s: the body of delivery %s is no longer kept\n", x->self->name, what);
		if (code)
			return code == STORED_GONE ? EXIT_NOT_FOUND : code;
		return dir ? site_load_or_say(x->self, dir, &x->rules) : stored_ruleset(x->self, x->state, talk_string(x->delivery, "ruleset"), &x->rules);
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

/* By which rules a stored delivery was judged. */
static void tell_origin(const struct explaining *x, const char *dir)
{
	json_t *status = NULL;

	if (!x->delivery || dir || talk_json(x->self, x->state, NULL, "/api/v1/status", &status))
		return;
	const char *then = talk_string(x->delivery, "ruleset"), *now = talk_string(status, "ruleset");
	fprintf(stderr, "judged by the rules of then%s\n", !strcmp(then, now) ? ", which are in force" :
		"; they have changed since: name the directory to judge by the new ones");
	json_decref(status);
}

static int explain(struct explaining *x, const char *what, const char *dir)
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
	else
		tell_origin(x, dir);
	int fires = only ? match_fires_rule(t.match, only) : match_count(t.match) > 0;
	trial_fini(&t);
	return fires ? EXIT_OK : EXIT_NO_MATCH;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct explaining x = { .self = self, .fixture = FIXTURE_NONE };
	const char *words[2] = { NULL, NULL };
	int code;
	const struct option_spec specs[] = { { "source", 's', &x.source, NULL }, { "event", 'e', &x.event, NULL },
		{ "header", 'H', .list = &x.headers }, { "query", 'q', &x.query, NULL }, { "rule", 'r', &x.rule, NULL },
		{ "state", 0, &x.state, NULL }, { "json", 0, NULL, &x.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, 2, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which delivery? A file with its body, or the number of a delivery");
	code = load(&x, words[0], words[1]);
	if (code == EXIT_OK)
		code = take_options(&x);
	if (code == EXIT_OK)
		code = explain(&x, words[0], words[1]);
	ruleset_unref(x.rules);
	json_decref(x.delivery);
	fixture_fini(&x.fixture);
	return code;
}

const struct command cmd_explain = {
	"explain", "FILE|DELIVERY [DIR] [--rule NAME] [--json]", "say why the rules that listen do or do not fire",
	"FILE is the body of a delivery, a fixture (docs/offline.md), or - for standard input; DELIVERY the number of one that the\n"
	"running server keeps. DIR is the folder with pushrod.lua ($PUSHROD_SITE, else the current one); a stored delivery is\n"
	"judged by the rules of then, unless DIR is given.\n"
	"\n"
	"  -s, --source NAME    the source that sent it (of several)\n"
	"  -e, --event EVENT    the sender's own name of the event, where a header tells it\n"
	"  -H, --header 'N: V'  a header it came with; again for more\n"
	"  -q, --query TEXT     the query of its address: token=1&x=2\n"
	"  -r, --rule NAME      that rule alone, also where it does not listen\n"
	"      --json           every condition with result, line, col, want and got\n"
	"      --state DIR      the server's state folder\n"
	"\n"
	"exit code: 0 a rule fires, 3 none does\n",
	run,
};
