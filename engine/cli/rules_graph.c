/* cli/rules_graph.c - an edge leads from an event to a rule that listens to it; and, where that event is what a rule's end makes
 * ("rule:succeeded", "job:failed") or what its function emits ("local:…"), from that rule. Which rules are meant by the former is
 * what `when = { rule = … }` says: all, if nothing. */
#include "cli/rules_graph.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rules/glob.h"

#define DEPTH_MAX 12

/* ---- the list ---- */

static const json_t *member(const json_t *value, const char *key)
{
	return json_object_get(json_object_get(value, "m"), key);
}

static const char *text_of(const json_t *v)
{
	const char *s = json_string_value(v);
	return s ? s : "";
}

/* From LINE to before NEXT (0: to the end), without blank lines and comments at its end. */
static struct slice lines_of(struct slice source, int line, int next)
{
	struct slice rest = source, one, text;
	const char *begin = NULL, *end = NULL;

	for (int n = 1; rest.len && (!next || n < next); n++) {
		slice_cut(rest, '\n', &one, &rest);
		if (n == line)
			begin = one.ptr;
		text = slice_trim(one);
		if (begin && text.len && !slice_starts(text, SLICE("--")))
			end = one.ptr + one.len;
	}
	return begin && end ? (struct slice){ begin, (size_t)(end - begin) } : SLICE_NULL;
}

static int line_of(const json_t *decl)
{
	return (int)json_integer_value(json_array_get(json_object_get(decl, "at"), 0));
}

static void add_file(struct listed_rules *l, const json_t *file)
{
	const json_t *decls = json_object_get(file, "decls"), *d;
	const json_t *source = json_object_get(file, "source");
	struct slice text = { json_string_value(source), json_string_length(source) };
	size_t i;

	json_array_foreach(decls, i, d) {
		const json_t *next = json_array_get(decls, i + 1), *value = json_object_get(d, "value");
		int line = line_of(d), next_line = next ? line_of(next) : 0;
		if (strcmp(text_of(json_object_get(d, "kind")), "rule") != 0)
			continue;
		l->list = xrealloc(l->list, (l->n + 1) * sizeof *l->list);
		l->list[l->n++] = (struct listed_rule){
			.name = text_of(json_object_get(d, "name")), .file = text_of(json_object_get(file, "path")), .line = line, .value = value,
			.queue = member(value, "queue"), .shared_queue = json_string_value(member(value, "queue")),
			.is_disabled = json_is_false(member(value, "enabled")),
			.text = lines_of(text, line, next_line > line ? next_line : 0),
		};
	}
}

void listed_rules_init(struct listed_rules *out, struct slice bundle)
{
	const json_t *file;
	size_t i;

	*out = (struct listed_rules){ .root = json_loadb(bundle.ptr, bundle.len, 0, NULL) };
	json_array_foreach(json_object_get(out->root, "files"), i, file)
		add_file(out, file);
}

void listed_rules_fini(struct listed_rules *l)
{
	free(l->list);
	json_decref(l->root);
}

/* A text, or a list of them. */
static size_t count(const json_t *v)
{
	return json_is_string(v) ? 1 : json_array_size(json_object_get(v, "l"));
}

static const char *nth(const json_t *v, size_t i)
{
	return json_is_string(v) ? text_of(v) : text_of(json_array_get(json_object_get(v, "l"), i));
}

static const json_t *schedule(const struct listed_rule *r)
{
	return member(r->value, "cron");
}

size_t listed_rule_triggers(const struct listed_rule *r)
{
	return count(member(r->value, "on")) + (schedule(r) ? 1 : 0);
}

const char *listed_rule_trigger(const struct listed_rule *r, size_t i)
{
	const json_t *on = member(r->value, "on");
	return i < count(on) ? nth(on, i) : nth(schedule(r), 0);
}

int listed_rule_is_scheduled(const struct listed_rule *r, size_t i)
{
	return i >= count(member(r->value, "on"));
}

/* ---- edges ---- */

static int emits(const struct listed_rule *r, struct slice event)
{
	struct slice rest = r->text;

	for (ptrdiff_t at; (at = slice_find(rest, SLICE(":emit"))) >= 0;) {
		rest = slice_from(rest, (size_t)at + 5);
		struct slice word = rest;
		while (word.len && memchr(" (\"'", word.ptr[0], 4))
			word = slice_from(word, 1);
		if (slice_starts(word, SLICE("local:")))
			word = slice_from(word, 6);
		if (slice_starts(word, event) && word.len > event.len && memchr("\"'", word.ptr[event.len], 2))
			return 1;
	}
	return 0;
}

static int matches(const char *pattern, const char *name)
{
	struct glob *g;
	struct err e;

	if (glob_compile(slice_of(pattern), &g, &e) < 0)
		return 0;
	int result = glob_matches(g, slice_of(name));
	glob_free(g);
	return result;
}

/* Whether `when = { rule = … }` of R means NAME; also where it says nothing of it. */
static int means(const struct listed_rule *r, const char *name)
{
	const json_t *wanted = member(member(r->value, "when"), "rule");

	for (size_t i = 0; i < count(wanted); i++)
		if (matches(nth(wanted, i), name))
			return 1;
	return count(wanted) == 0;
}

/* Whether FROM's end, or its function, makes the event by which TO's trigger I is meant. */
static int leads_to(const struct listed_rule *from, const struct listed_rule *to, size_t i)
{
	struct slice head, event;

	if (listed_rule_is_scheduled(to, i) || !slice_cut(slice_of(listed_rule_trigger(to, i)), ':', &head, &event))
		return 0;
	if (slice_eq(head, SLICE("rule")) || slice_eq(head, SLICE("job")))
		return means(to, from->name);
	return slice_eq(head, SLICE("local")) && emits(from, event);
}

static int has_rule_before(const struct listed_rules *l, const struct listed_rule *to, size_t i)
{
	struct slice head;

	if (listed_rule_is_scheduled(to, i) || !slice_cut(slice_of(listed_rule_trigger(to, i)), ':', &head, &(struct slice){ 0 }))
		return 0;
	if (!slice_eq(head, SLICE("rule")) && !slice_eq(head, SLICE("job")) && !slice_eq(head, SLICE("local")))
		return 0;
	for (size_t k = 0; k < l->n; k++)
		if (leads_to(&l->list[k], to, i))
			return 1;
	return 0;
}

/* ---- text ---- */

struct drawing {
	const struct listed_rules *l;
	struct buf *out;
	size_t path[DEPTH_MAX];         /* the rules above */
	char *is_drawn;                 /* by number */
};

static void draw_rule(struct drawing *d, size_t number, const char *by, size_t depth)
{
	const struct listed_rule *r = &d->l->list[number];

	d->is_drawn[number] = 1;
	buf_addf(d->out, "%*s-> %s%s%s%s  %s:%d%s%s%s", (int)depth * 4 + 2, "", r->name, by ? " (" : "", by ? by : "", by ? ")" : "", r->file, r->line,
		 r->shared_queue ? "  queue " : "", r->shared_queue ? r->shared_queue : "", r->is_disabled ? "  (not enabled)" : "");
	for (size_t i = 0; i < depth; i++)
		if (d->path[i] == number) {
			buf_adds(d->out, "  … a loop\n");
			return;
		}
	buf_addc(d->out, '\n');
	if (depth + 1 >= DEPTH_MAX)
		return;
	d->path[depth] = number;
	for (size_t k = 0; k < d->l->n; k++)
		for (size_t i = 0; i < listed_rule_triggers(&d->l->list[k]); i++)
			if (leads_to(r, &d->l->list[k], i))
				draw_rule(d, k, listed_rule_trigger(&d->l->list[k], i), depth + 1);
}

static int is_first_of(const struct listed_rules *l, size_t rule, size_t trigger)
{
	const char *event = listed_rule_trigger(&l->list[rule], trigger);

	for (size_t k = 0; k <= rule; k++)
		for (size_t i = 0; i < (k < rule ? listed_rule_triggers(&l->list[k]) : trigger); i++)
			if (strcmp(listed_rule_trigger(&l->list[k], i), event) == 0 && !has_rule_before(l, &l->list[k], i))
				return 0;
	return 1;
}

/* Below each event, once, all rules that listen to it. */
static void draw_event(struct drawing *d, size_t rule, size_t trigger)
{
	const char *event = listed_rule_trigger(&d->l->list[rule], trigger);

	buf_addf(d->out, "%s%s\n", listed_rule_is_scheduled(&d->l->list[rule], trigger) ? "cron " : "", event);
	for (size_t k = rule; k < d->l->n; k++)
		for (size_t i = 0; i < listed_rule_triggers(&d->l->list[k]); i++)
			if (strcmp(listed_rule_trigger(&d->l->list[k], i), event) == 0)
				draw_rule(d, k, NULL, 0);
}

void rules_graph_text(const struct listed_rules *l, struct buf *out)
{
	CLEANUP(freep) char *is_drawn = xcalloc(l->n + 1, 1);
	struct drawing d = { .l = l, .out = out, .is_drawn = is_drawn };

	for (size_t k = 0; k < l->n; k++)
		for (size_t i = 0; i < listed_rule_triggers(&l->list[k]); i++)
			if (!has_rule_before(l, &l->list[k], i) && is_first_of(l, k, i))
				draw_event(&d, k, i);
	for (size_t k = 0; k < l->n; k++)               /* only rules lead to them, in a circle */
		if (!is_drawn[k] && listed_rule_triggers(&l->list[k]))
			draw_event(&d, k, 0);
}

/* ---- for programs ---- */

typedef void edge_fn(const struct listed_rule *from, const char *by, const struct listed_rule *to, struct buf *out);     /* FROM NULL: an event */

static void each_edge(const struct listed_rules *l, edge_fn *put, struct buf *out)
{
	for (size_t k = 0; k < l->n; k++)
		for (size_t i = 0; i < listed_rule_triggers(&l->list[k]); i++) {
			const char *by = listed_rule_trigger(&l->list[k], i);
			if (!has_rule_before(l, &l->list[k], i))
				put(NULL, by, &l->list[k], out);
			for (size_t from = 0; from < l->n; from++)
				if (leads_to(&l->list[from], &l->list[k], i))
					put(&l->list[from], by, &l->list[k], out);
		}
}

static void put_dot(const struct listed_rule *from, const char *by, const struct listed_rule *to, struct buf *out)
{
	CLEANUP(freep) char *event = xprintf("on %s", by);

	buf_adds(out, "  ");
	buf_add_json(out, slice_of(from ? from->name : event));
	buf_adds(out, " -> ");
	buf_add_json(out, slice_of(to->name));
	if (from) {
		buf_adds(out, " [label=");
		buf_add_json(out, slice_of(by));
		buf_addc(out, ']');
	} else {
		buf_adds(out, ";  ");
		buf_add_json(out, slice_of(event));
		buf_adds(out, " [shape=plaintext]");
	}
	buf_adds(out, ";\n");
}

/* A line without an arrow: whoever has one to the same queue waits for the others. */
static void put_dot_queue(const struct listed_rule *r, struct buf *out)
{
	CLEANUP(freep) char *queue = xprintf("queue %s", r->shared_queue);

	buf_adds(out, "  ");
	buf_add_json(out, slice_of(queue));
	buf_adds(out, " [shape=cds];  ");
	buf_add_json(out, slice_of(r->name));
	buf_adds(out, " -> ");
	buf_add_json(out, slice_of(queue));
	buf_adds(out, " [dir=none, style=dotted];\n");
}

void rules_graph_dot(const struct listed_rules *l, struct buf *out)
{
	buf_adds(out, "digraph rules {\n  rankdir=LR;\n  node [shape=box];\n");
	for (size_t i = 0; i < l->n; i++) {
		buf_adds(out, "  ");
		buf_add_json(out, slice_of(l->list[i].name));
		buf_adds(out, l->list[i].is_disabled ? " [style=dashed];\n" : ";\n");
		if (l->list[i].shared_queue)
			put_dot_queue(&l->list[i], out);
	}
	each_edge(l, put_dot, out);
	buf_adds(out, "}\n");
}

static void put_json(const struct listed_rule *from, const char *by, const struct listed_rule *to, struct buf *out)
{
	buf_adds(out, out->ptr[out->len - 1] == '[' ? "{" : ",\n{");
	if (from) {
		buf_adds(out, "\"from\":");
		buf_add_json(out, slice_of(from->name));
		buf_addc(out, ',');
	}
	buf_adds(out, "\"by\":");
	buf_add_json(out, slice_of(by));
	buf_adds(out, ",\"to\":");
	buf_add_json(out, slice_of(to->name));
	buf_addc(out, '}');
}

static void put_json_queues(const struct listed_rules *l, struct buf *out)
{
	json_t *queues = json_object();

	for (size_t i = 0; i < l->n; i++) {
		const char *name = l->list[i].shared_queue;
		if (!name)
			continue;
		if (!json_object_get(queues, name))
			json_object_set_new(queues, name, json_array());
		json_array_append_new(json_object_get(queues, name), json_string(l->list[i].name));
	}
	char *text = json_dumps(queues, JSON_COMPACT);
	buf_adds(out, text);
	free(text);
	json_decref(queues);
}

void rules_graph_json(const struct listed_rules *l, struct buf *out)
{
	buf_adds(out, "{\"edges\":[");
	each_edge(l, put_json, out);
	buf_adds(out, "],\"queues\":");
	put_json_queues(l, out);
	buf_adds(out, "}\n");
}
