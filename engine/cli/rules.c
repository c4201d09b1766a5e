/* cli/rules.c - pushrod rules: what a directory declares: a list, one of them as it is written, who triggers whom, or all of it as
 * JSON. Offline: from the files, as `serve` would read them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"
#include "cli/rules_graph.h"
#include "cli/site.h"
#include "rules/declared.h"

struct request {
	const struct command *self;
	const char *dir, *show;         /* SHOW: NULL: all */
	int as_json, as_graph, as_declared;
	const char *format;             /* of the graph */
};

static void add_on(const struct listed_rule *r, struct buf *out)
{
	for (size_t i = 0; i < listed_rule_triggers(r); i++)
		buf_addf(out, "%s%s%s", i ? ", " : "", listed_rule_is_scheduled(r, i) ? "cron " : "", listed_rule_trigger(r, i));
}

/* "  queue production", "  queue {repo} {ref} (cancel, limit 2)". */
static void add_queue(const struct listed_rule *r, struct buf *out)
{
	const json_t *own = json_object_get(r->queue, "m");
	const char *key = json_string_value(json_object_get(own, "key")), *busy = json_string_value(json_object_get(own, "busy"));
	const char *debounce = json_string_value(json_object_get(own, "debounce")), *gap = " (";
	json_int_t limit = json_integer_value(json_object_get(own, "limit"));

	if (!r->queue)
		return;
	buf_addf(out, "  queue%s%s", r->shared_queue || key ? " " : "", r->shared_queue ? r->shared_queue : key ? key : "");
	if (busy && strcmp(busy, "wait") != 0) {
		buf_addf(out, "%s%s", gap, busy);
		gap = ", ";
	}
	if (limit > 1) {
		buf_addf(out, "%slimit %lld", gap, (long long)limit);
		gap = ", ";
	}
	if (debounce) {
		buf_addf(out, "%sdebounce %s", gap, debounce);
		gap = ", ";
	}
	buf_adds(out, *gap == ',' ? ")" : "");
}

static void print_list(const struct listed_rules *l)
{
	int name_width = 4, place_width = 4;

	for (size_t i = 0; i < l->n; i++) {
		int name = (int)strlen(l->list[i].name), place = snprintf(NULL, 0, "%s:%d", l->list[i].file, l->list[i].line);
		name_width = name > name_width ? name : name_width;
		place_width = place > place_width ? place : place_width;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct listed_rule *r = &l->list[i];
		CLEANUP(buf_fini) struct buf on = BUF(BUF_UNLIMITED);
		CLEANUP(freep) char *place = xprintf("%s:%d", r->file, r->line);
		add_on(r, &on);
		add_queue(r, &on);
		printf("%-*s  %-*s  %s%s\n", name_width, r->name, place_width, place, buf_cstr(&on), r->is_disabled ? "  (not enabled)" : "");
	}
}

static int print_rules_json(const struct ruleset *rs, const char *only)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	int n = 0;

	for (size_t i = 0; i < ruleset_rule_count(rs); i++) {
		const struct rule *r = ruleset_rule_at(rs, i);
		if (only && strcmp(rule_name(r), only) != 0)
			continue;
		buf_adds(&out, n++ ? ",\n" : "");
		rule_describe_json(r, &out);
	}
	printf("{\"rules\":[%s]}\n", n ? buf_cstr(&out) : "");
	return n;
}

static int no_rule(const struct request *q, const struct listed_rules *l)
{
	CLEANUP(freep) const char **names = xcalloc(l->n + 1, sizeof *names);

	for (size_t i = 0; i < l->n; i++)
		names[i] = l->list[i].name;
	const char *near = did_you_mean(slice_of(q->show), names);
	fprintf(stderr, "pushrod rules: no rule '%s' in %s%s%s%s\n", q->show, q->dir, near ? ", did you mean '" : "", near ? near : "",
		near ? "'?" : "");
	return EXIT_NOT_FOUND;
}

static int show(const struct request *q, const struct listed_rules *l, const struct ruleset *rs)
{
	int n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct listed_rule *r = &l->list[i];
		if (strcmp(r->name, q->show) != 0)
			continue;
		if (!q->as_json)
			printf("%s-- %s:%d\n" SLICE_FMT "\n", n ? "\n" : "", r->file, r->line, SLICE_ARG(r->text));
		n++;
	}
	if (n && q->as_json)
		print_rules_json(rs, q->show);
	return n ? EXIT_OK : no_rule(q, l);
}

static int answer(const struct request *q, struct slice bundle, const struct ruleset *rs)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	CLEANUP(listed_rules_fini) struct listed_rules l = { 0 };
	struct err e;

	if (q->as_declared) {
		if (declared_json(bundle, &out, &e) < 0) {
			fprintf(stderr, "pushrod rules: %s\n", e.msg);
			return EXIT_FAILED;
		}
		fputs(buf_cstr(&out), stdout);
		return EXIT_OK;
	}
	listed_rules_init(&l, bundle);
	if (q->show)
		return show(q, &l, rs);
	if (q->as_graph) {
		(strcmp(q->format, "dot") == 0 ? rules_graph_dot : q->as_json ? rules_graph_json : rules_graph_text)(&l, &out);
		fputs(buf_cstr(&out), stdout);
	} else if (q->as_json) {
		print_rules_json(rs, NULL);
	} else {
		print_list(&l);
	}
	return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct request q = { .self = self, .format = "text" };
	const char *words[3] = { NULL };
	int code;
	const struct option_spec specs[] = { { "graph", 0, NULL, &q.as_graph }, { "format", 0, &q.format, NULL },
		{ "declared", 0, NULL, &q.as_declared }, { "json", 0, NULL, &q.as_json }, { 0 } };
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	struct ruleset *rs = NULL;
	int n = options_parse(self, argc, argv, specs, words, 3, &code);

	if (n < 0)
		return code;
	int is_show = n > 0 && strcmp(words[0], "show") == 0;
	if (n > (is_show ? 3 : 1))
		return command_usage(self, "'%s' is one word too many", words[1]);
	if (is_show && n < 2)
		return command_usage(self, "which rule?");
	if (strcmp(q.format, "text") && strcmp(q.format, "dot"))
		return command_usage(self, "--format is text or dot, not '%s'", q.format);
	q.show = is_show ? words[1] : NULL;
	q.dir = site_dir(words[is_show ? 2 : 0]);
	code = site_load(self, q.dir, &bundle, &diags, &rs);
	if (code && diags.errors)
		fprintf(stderr, "pushrod rules: %s has mistakes: 'pushrod check %s' tells them\n", q.dir, q.dir);
	if (code == EXIT_OK)
		code = answer(&q, buf_slice(&bundle), rs);
	ruleset_unref(rs);
	diags_fini(&diags);
	return code;
}

const struct command cmd_rules = {
	"rules", "[show NAME] [DIR] [--graph [--format dot]] [--declared] [--json]", "list a directory's rules, show one, draw who triggers whom",
	"      --graph          events and rules, each with what it triggers\n"
	"      --format FORMAT  of the graph: text, or dot (for Graphviz)\n"
	"      --declared       all that the directory declares, as JSON (docs/rules.schema.json)\n"
	"      --json           the list, the rule or the graph as JSON\n"
	"\n"
	"`rules show NAME` prints the rule as it is written. DIR: $PUSHROD_SITE, else the current folder. Exit 5: no such rule.\n",
	run,
};
