/* rules/mapping.c - the part of a descriptor that says how native events become common ones, read from its table.
 *
 *   fields = { repo = "repository.full_name", owner = "repository.owner.login|repository.owner.name" },      of every event
 *   events = {
 *     ping = "ping",                                                          native = common
 *     push = { { "delete", when = { deleted = true }, ref = "ref" },          a list of cases: the first that holds
 *              { "tag", when = { ref = { "refs/tags/v1", … } }, tag = "tag_of:ref" },
 *              { "push", ref = "ref", branch = "branch_of:ref" } },
 *     ["payment_intent.succeeded"] = { "payment.succeeded", amount = "data.object.amount" },    a single case, an action
 *     merge_request = { "pull_request", actions = { open = "opened" }, number = "object_attributes.iid" },
 *     issues = { { "issue.moved", when = { … } }, { "issue" }, number = "issue.number" },       what stands beside cases: of all
 *   }
 *
 * A key of `events` is a native event, or "event.action". A text in `when` that ends in '*' is a beginning, "*" alone is
 * anything but null. A field is a payload path, alternatives of them ('|', the first that is there and not empty), each
 * perhaps with a converter before it, or `false` to drop one of `fields`. With like = "other" the fields and events of that
 * provider hold too, as far as none of the same name stands here. */
#include <stdlib.h>
#include <string.h>

#include "rules/descriptor.h"

static const char *const converters[CONV_COUNT] = {
	[CONV_COPY] = "", [CONV_TEXT] = "text", [CONV_BRANCH_OF] = "branch_of", [CONV_TAG_OF] = "tag_of",
	[CONV_BRANCH_REF] = "branch_ref", [CONV_TAG_REF] = "tag_ref",
	[CONV_PULL_REF] = "pull_ref", [CONV_MERGE_REF] = "merge_ref", [CONV_OWNER_OF] = "owner_of",
	[CONV_FIRST_LINE] = "first_line", [CONV_LOWER] = "lower", [CONV_LAST] = "last",
	[CONV_IS_ZERO] = "is_zero", [CONV_NOT] = "not", [CONV_EXISTS] = "exists", [CONV_DIFFERS] = "differs", [CONV_JOIN] = "join",
};

static int add_path(struct descriptor_reader *d, const struct node *at, struct slice path)
{
	struct err e = { 0 };
	int index = paths_add(d->p->fields, path, &e);

	if (index < 0)
		descriptor_wrong(d, at, "%s", e.msg);
	return index;
}

static int add_path_to(struct descriptor_reader *d, const struct node *at, struct slice path, const char *tail)
{
	CLEANUP(buf_fini) struct buf whole = BUF(4096);

	buf_add(&whole, path);
	buf_adds(&whole, tail);
	return add_path(d, at, buf_slice(&whole));
}

/* ---- one field ---- */

static enum conversion conversion_named(struct slice word)
{
	for (int i = CONV_TEXT; i < CONV_COUNT; i++)
		if (slice_eq(word, slice_of(converters[i])))
			return (enum conversion)i;
	return CONV_COUNT;
}

/* "path", "converter:path", "differs:path,path", "join:path,path", "text:anything". A quoted key of a path may hold a colon. */
static int read_one(struct descriptor_reader *d, const struct node *at, struct slice text, struct spec_one *out)
{
	struct slice word, path = text, other;

	*out = (struct spec_one){ .other = -1, .list = -1 };
	ptrdiff_t quote = slice_chr(text, '"'), colon = slice_chr(text, ':');
	if (colon >= 0 && (quote < 0 || colon < quote)) {
		slice_cut(text, ':', &word, &path);
		out->conversion = conversion_named(word);
		if (out->conversion == CONV_COUNT) {
			descriptor_wrong(d, at, "there is no converter '" SLICE_FMT "': branch_of, tag_of, branch_ref, tag_ref, pull_ref, "
					 "merge_ref, owner_of, first_line, lower, last, is_zero, not, exists, differs, join, text", SLICE_ARG(word));
			return -1;
		}
	}
	if (out->conversion == CONV_TEXT) {
		out->text = path;
		return 0;
	}
	if (out->conversion == CONV_DIFFERS || out->conversion == CONV_JOIN) {
		if (!slice_cut(path, ',', &path, &other)) {
			descriptor_wrong(d, at, "%s needs two paths: %s:a.id,b.id", converters[out->conversion], converters[out->conversion]);
			return -1;
		}
		if ((out->other = add_path(d, at, slice_trim(other))) < 0)
			return -1;
	}
	path = slice_trim(path);
	ptrdiff_t walk = slice_find(path, SLICE("[]"));
	if (walk > 0 && out->conversion != CONV_LAST && (out->list = add_path(d, at, slice_upto(path, (size_t)walk))) < 0)
		return -1;
	out->path = add_path(d, at, path);
	return out->path < 0 ? -1 : 0;
}

static void read_alternatives(struct descriptor_reader *d, const struct node *n, struct spec *out)
{
	struct slice rest = arena_copy(d->p->arena, n->text), one;

	while (rest.len) {
		slice_cut(rest, '|', &one, &rest);
		if (out->n == ALTERNATIVES_MAX) {
			descriptor_wrong(d, n, "more than %d alternatives", ALTERNATIVES_MAX);
			return;
		}
		if (read_one(d, n, slice_trim(one), &out->list[out->n]) < 0)
			return;
		out->n++;
	}
	if (out->n == 0)
		descriptor_wrong(d, n, "a payload path is empty");
}

static void read_unless(struct descriptor_reader *d, const struct node *n, struct spec *out)
{
	for (size_t i = 0; n && i < n->n_items; i++) {
		if (n->items[i]->kind != NODE_STRING || out->n_unless == UNLESS_MAX) {
			descriptor_wrong(d, n->items[i], "unless is a list of up to %d payload paths", UNLESS_MAX);
			return;
		}
		if (read_one(d, n->items[i], arena_copy(d->p->arena, n->items[i]->text), &out->unless[out->n_unless]) < 0)
			return;
		out->n_unless++;
	}
}

/* { commits = "commits", total = "total_commits", most = 2048, unless = { "created", "forced" } } */
static void read_files(struct descriptor_reader *d, const struct node *n, struct spec *out)
{
	static const char *const keys[] = { "commits", "total", "most", "unless", NULL };
	static const char *const lists[] = { "[].added", "[].modified", "[].removed" };
	static const char *const files[] = { "[].added[]", "[].modified[]", "[].removed[]" };
	const struct node *commits = node_get(n, "commits"), *total = node_get(n, "total"), *most = node_get(n, "most");

	descriptor_refuse_unknown(d, n, "key of paths", keys);
	if (!commits || commits->kind != NODE_STRING || (total && total->kind != NODE_STRING) ||
	    (most && most->kind != NODE_INTEGER)) {
		descriptor_wrong(d, n, "files of commits need commits = \"path\", and may have total = \"path\", "
				 "most = number, unless = { … }");
		return;
	}
	out->is_files = 1;
	out->commits = add_path_to(d, commits, commits->text, "[]");
	for (size_t i = 0; i < COUNT(lists); i++) {
		out->lists[i] = add_path_to(d, commits, commits->text, lists[i]);
		out->files[i] = add_path_to(d, commits, commits->text, files[i]);
	}
	out->total = total ? add_path(d, total, total->text) : -1;
	out->most = most ? most->integer : INT64_MAX;
	read_unless(d, node_get(n, "unless"), out);
}

static const struct spec *read_spec(struct descriptor_reader *d, enum field_id field, const struct node *n)
{
	struct spec *out = arena_alloc(d->p->arena, 1, sizeof *out);

	if (n->kind == NODE_STRING)
		read_alternatives(d, n, out);
	else if (n->kind == NODE_TABLE && field == FIELD_PATHS)
		read_files(d, n, out);
	else
		descriptor_wrong(d, n, "%s must be a payload path, this is %s", field_name(field), node_kind_name(n->kind));
	return out;
}

static const char *const *field_words(const char *const *others)
{
	static const char *words[FIELD_COUNT + 4];
	size_t n = 0;

	for (; n < FIELD_COUNT; n++)
		words[n] = field_name((enum field_id)n);
	for (; *others; others++)
		words[n++] = *others;
	return words;
}

/* The fields of TABLE, except OTHERS, into SPECS. */
static void read_field_table(struct descriptor_reader *d, const struct node *table, const char *const *others,
			     const struct spec **specs)
{
	for (size_t i = 0; i < table->n_members; i++) {
		const struct node_member *m = &table->members[i];
		int field = field_find(m->key), is_other = 0;
		for (size_t k = 0; others[k]; k++)
			is_other |= slice_eq(m->key, slice_of(others[k]));
		if (is_other)
			continue;
		if (field < 0)
			descriptor_unknown(d, m, "field of an event", field_words(others));
		else if (m->value->kind == NODE_BOOL && !m->value->integer)
			specs[field] = NULL;
		else
			specs[field] = read_spec(d, (enum field_id)field, m->value);
	}
}

/* ---- one case ---- */

static int read_literal(struct descriptor_reader *d, const struct node *n, struct literal *out)
{
	switch (n->kind) {
	case NODE_STRING:
		out->kind = VALUE_STRING;
		out->text = arena_copy(d->p->arena, n->text);
		out->is_prefix = slice_ends(out->text, SLICE("*"));
		out->text.len -= (size_t)out->is_prefix;
		return 0;
	case NODE_INTEGER:
		out->kind = VALUE_INTEGER;
		out->integer = n->integer;
		return 0;
	case NODE_BOOL:
		out->kind = n->integer ? VALUE_TRUE : VALUE_FALSE;
		return 0;
	case NODE_NULL:
		out->kind = VALUE_NULL;
		return 0;
	case NODE_NUMBER:
	case NODE_SECRET:
	case NODE_FUNCTION:
	case NODE_TABLE:
		break;
	}
	descriptor_wrong(d, n, "a condition is a string, an integer, true, false or null, this is %s", node_kind_name(n->kind));
	return -1;
}

static void read_conditions(struct descriptor_reader *d, const struct node *n, struct event_case *out)
{
	if (!n)
		return;
	if (n->kind != NODE_TABLE || n->n_items) {
		descriptor_wrong(d, n, "when must be a table of payload paths and values");
		return;
	}
	out->conditions = arena_alloc(d->p->arena, n->n_members, sizeof *out->conditions);
	for (size_t i = 0; i < n->n_members; i++) {
		struct node *value = n->members[i].value;
		int is_list = value->kind == NODE_TABLE;
		struct condition *c = &out->conditions[out->n_conditions];
		c->path = add_path(d, value, n->members[i].key);
		c->n = is_list ? value->n_items : 1;
		c->literals = arena_alloc(d->p->arena, c->n, sizeof *c->literals);
		for (size_t k = 0; k < c->n; k++)
			if (read_literal(d, is_list ? value->items[k] : value, &c->literals[k]) < 0)
				return;
		if (c->path < 0)
			return;
		out->n_conditions++;
	}
}

static void read_renames(struct descriptor_reader *d, const struct node *n, struct event_case *out)
{
	if (!n)
		return;
	if (n->kind != NODE_TABLE || n->n_items) {
		descriptor_wrong(d, n, "actions must be a table: native = \"common\"");
		return;
	}
	out->renames = arena_alloc(d->p->arena, n->n_members, sizeof *out->renames);
	for (size_t i = 0; i < n->n_members; i++) {
		const struct node_member *m = &n->members[i];
		if (m->value->kind != NODE_STRING) {
			descriptor_wrong(d, m->value, "an action is a string");
			return;
		}
		out->renames[out->n_renames++] = (struct rename){
			arena_copy(d->p->arena, m->key), arena_copy(d->p->arena, m->value->text) };
	}
}

/* The common events, as DESIGN has them: a rule could listen to no other. */
static int is_common(struct slice event)
{
	static const char *const common[] = { "push", "tag", "delete", "pull_request", "issue", "comment", "release", "payment",
		"ping" };

	for (size_t i = 0; i < COUNT(common); i++)
		if (slice_eq(event, slice_of(common[i])))
			return 1;
	return 0;
}

/* What holds for all cases of one event: fields, and renames of actions. */
struct shared {
	const struct spec *spec[FIELD_COUNT];
	const struct node *actions;
};

static int add_case(struct descriptor_reader *d, const struct node_member *event, const struct node *name,
		    const struct node *table, const struct shared *shared)
{
	static const char *const others[] = { "when", "actions", NULL };
	struct provider *p = d->p;
	struct event_case *c = &p->cases[p->n_events];
	struct provider_event *told = &p->events[p->n_events];
	struct slice common, action;

	if (!name || name->kind != NODE_STRING) {
		descriptor_wrong(d, table, "a case of an event begins with the common name: { \"push\", … }");
		return -1;
	}
	slice_cut(name->text, '.', &common, &action);
	if (!is_common(common)) {
		descriptor_wrong(d, name, "'" SLICE_FMT "' is no common event: push, tag, delete, pull_request, issue, comment, release, "
				 "payment, ping", SLICE_ARG(common));
		return -1;
	}
	*c = (struct event_case){ .told = told, .native = arena_copy(p->arena, event->key), .action = arena_copy(p->arena, action) };
	memcpy(c->spec, shared->spec, sizeof c->spec);
	const struct node *actions = table ? node_get(table, "actions") : NULL;
	if (table) {
		read_field_table(d, table, others, c->spec);
		read_conditions(d, node_get(table, "when"), c);
	}
	read_renames(d, actions ? actions : shared->actions, c);
	*told = (struct provider_event){ c->native.ptr, arena_str(p->arena, common), action.len ? c->action.ptr : NULL, 0 };
	for (int f = 0; f < FIELD_COUNT; f++)
		told->fields |= (uint64_t)(c->spec[f] != NULL) << f;
	p->n_events++;
	return 0;
}

static int add_event(struct descriptor_reader *d, const struct node_member *m)
{
	static const char *const others[] = { "actions", NULL };
	const struct node *n = m->value;
	struct shared shared = { 0 };

	memcpy(shared.spec, d->p->spec, sizeof shared.spec);
	if (n->kind == NODE_STRING)
		return add_case(d, m, n, NULL, &shared);
	if (n->kind != NODE_TABLE || n->n_items == 0) {
		descriptor_wrong(d, n, "an event is mapped to a common name, a case or a list of cases");
		return -1;
	}
	if (n->items[0]->kind == NODE_STRING)
		return add_case(d, m, n->items[0], n, &shared);
	read_field_table(d, n, others, shared.spec);
	shared.actions = node_get(n, "actions");
	for (size_t i = 0; i < n->n_items; i++) {
		const struct node *one = n->items[i];
		if (add_case(d, m, one->kind == NODE_TABLE && one->n_items ? one->items[0] : NULL, one, &shared) < 0)
			return -1;
	}
	return 0;
}

static size_t count_cases(const struct node *events)
{
	size_t n = 0;

	for (size_t i = 0; events && i < events->n_members; i++)
		n += events->members[i].value->n_items + 1;
	return n;
}

/* NULL, said, where KEY of VALUE is no table; NULL where it is not there. */
static const struct node *table_of(struct descriptor_reader *d, const struct node *value, const char *key)
{
	const struct node *n = value ? node_get(value, key) : NULL;

	if (!n || n->kind == NODE_TABLE)
		return n;
	descriptor_wrong(d, n, "%s must be a table, this is %s", key, node_kind_name(n->kind));
	return NULL;
}

static int has_member(const struct node *table, struct slice key)
{
	for (size_t i = 0; table && i < table->n_members; i++)
		if (slice_eq(table->members[i].key, key))
			return 1;
	return 0;
}

void mapping_compile(struct descriptor_reader *d, const struct node *value, const struct node *base)
{
	static const char *const none[] = { NULL };
	const struct node *base_fields = table_of(d, base, "fields"), *fields = table_of(d, value, "fields");
	const struct node *base_events = table_of(d, base, "events"), *events = table_of(d, value, "events");
	size_t n = count_cases(base_events) + count_cases(events);
	struct provider *p = d->p;

	if (base_fields)
		read_field_table(d, base_fields, none, p->spec);
	if (fields)
		read_field_table(d, fields, none, p->spec);
	p->cases = arena_alloc(p->arena, n, sizeof *p->cases);
	p->events = arena_alloc(p->arena, n, sizeof *p->events);
	for (size_t i = 0; events && i < events->n_members; i++)
		add_event(d, &events->members[i]);
	for (size_t i = 0; base_events && i < base_events->n_members; i++)
		if (!has_member(events, base_events->members[i].key))
			add_event(d, &base_events->members[i]);
}

const struct provider_event *provider_events(const struct provider *p, size_t *n)
{
	*n = p->n_events;
	return p->events;
}
