/* rules/normalise.c - a native event becomes a common one: the case that holds, then each of its fields from the values
 * that one pass took out of the payload.
 *
 * A mapping is a list of numbers: where each path of the descriptor stands among the paths of the pass. */
#include "rules/normalise.h"

#include <stdlib.h>
#include <string.h>

#include "rules/descriptor.h"

struct mapping {
	const struct provider *provider;
	int index[];                            /* by path of provider.fields */
};
struct gathering {                              /* one provider_normalise */
	const struct mapping *m;
	const struct values *values;
	struct normal *out;
};

/* ---- the fields ---- */

static const struct { const char *name; enum field_type type; } fields[FIELD_COUNT] = {
	[FIELD_REPO] = { "repo", FIELD_STRING }, [FIELD_OWNER] = { "owner", FIELD_STRING },
	[FIELD_BRANCH] = { "branch", FIELD_STRING }, [FIELD_TAG] = { "tag", FIELD_STRING },
	[FIELD_REF] = { "ref", FIELD_STRING }, [FIELD_BASE] = { "base", FIELD_STRING },
	[FIELD_HEAD] = { "head", FIELD_STRING }, [FIELD_BEFORE] = { "before", FIELD_STRING },
	[FIELD_SHA] = { "sha", FIELD_STRING }, [FIELD_NUMBER] = { "number", FIELD_INTEGER },
	[FIELD_TITLE] = { "title", FIELD_STRING }, [FIELD_MESSAGE] = { "message", FIELD_STRING },
	[FIELD_AUTHOR] = { "author", FIELD_STRING }, [FIELD_SENDER] = { "sender", FIELD_STRING },
	[FIELD_DRAFT] = { "draft", FIELD_BOOL }, [FIELD_FORK] = { "fork", FIELD_BOOL },
	[FIELD_LABELS] = { "labels", FIELD_STRINGS }, [FIELD_PATHS] = { "paths", FIELD_STRINGS },
	[FIELD_CREATED] = { "created", FIELD_BOOL }, [FIELD_DELETED] = { "deleted", FIELD_BOOL },
	[FIELD_FORCED] = { "forced", FIELD_BOOL }, [FIELD_URL] = { "url", FIELD_STRING },
	[FIELD_PAYMENT] = { "payment", FIELD_STRING }, [FIELD_ORDER] = { "order", FIELD_STRING },
	[FIELD_AMOUNT] = { "amount", FIELD_INTEGER }, [FIELD_CURRENCY] = { "currency", FIELD_STRING },
	[FIELD_CUSTOMER] = { "customer", FIELD_STRING }, [FIELD_LIVE] = { "live", FIELD_BOOL },
};

const char *field_name(enum field_id f)
{
	return fields[f].name;
}

enum field_type field_type(enum field_id f)
{
	return fields[f].type;
}

int field_find(struct slice name)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (slice_eq(name, slice_of(fields[f].name)))
			return f;
	return -1;
}

/* ---- the mapping ---- */

struct mapping *mapping_new(const struct provider *p, struct paths *paths)
{
	size_t n = paths_count(p->fields);
	struct mapping *m = xcalloc(1, sizeof *m + n * sizeof m->index[0]);

	m->provider = p;
	for (size_t i = 0; i < n; i++)
		m->index[i] = paths_add(paths, paths_text(p->fields, (int)i), NULL);
	return m;
}

void mapping_free(struct mapping *m)
{
	free(m);
}

/* Where paths_add refused for their number, nothing is found. */
static const struct value *get(const struct gathering *g, int path, size_t *n)
{
	int index = path < 0 ? -1 : g->m->index[path];

	*n = 0;
	return index < 0 ? NULL : values_get(g->values, index, n);
}

/* ---- conversions ---- */

static struct arena *made(struct gathering *g)
{
	if (!g->out->made)
		g->out->made = arena_new();
	return g->out->made;
}

static struct value text_value(struct slice text)
{
	return (struct value){ .kind = VALUE_STRING, .text = text };
}

static struct value bool_value(int holds)
{
	return (struct value){ .kind = holds ? VALUE_TRUE : VALUE_FALSE };
}

static struct value without(struct slice text, struct slice prefix)
{
	return slice_starts(text, prefix) ? text_value(slice_from(text, prefix.len)) : (struct value){ 0 };
}

static struct value between(struct gathering *g, const char *before, struct slice text, const char *after)
{
	CLEANUP(freep) char *whole = xprintf("%s" SLICE_FMT "%s", before, SLICE_ARG(text), after);
	return text_value(arena_copy(made(g), slice_of(whole)));
}

static struct value lower(struct gathering *g, struct slice text)
{
	char *copy = arena_str(made(g), text);

	for (size_t i = 0; i < text.len; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] | 0x20);
	return text_value((struct slice){ copy, text.len });
}

static int is_zero(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] != '0')
			return 0;
	return text.len > 0;
}

/* "group/sub" of "group/sub/project". */
static struct value owner_of(struct slice text)
{
	const char *slash = text.len ? memrchr(text.ptr, '/', text.len) : NULL;
	return slash ? text_value(slice_upto(text, (size_t)(slash - text.ptr))) : (struct value){ 0 };
}

static struct value convert_text(struct gathering *g, enum conversion c, struct slice text)
{
	ptrdiff_t end = slice_chr(text, '\n');

	switch (c) {
	case CONV_BRANCH_OF:
		return without(text, SLICE("refs/heads/"));
	case CONV_TAG_OF:
		return without(text, SLICE("refs/tags/"));
	case CONV_BRANCH_REF:
		return between(g, "refs/heads/", text, "");
	case CONV_TAG_REF:
		return between(g, "refs/tags/", text, "");
	case CONV_PULL_REF:
		return between(g, "refs/pull/", text, "/head");
	case CONV_MERGE_REF:
		return between(g, "refs/merge-requests/", text, "/head");
	case CONV_OWNER_OF:
		return owner_of(text);
	case CONV_FIRST_LINE:
		return text_value(slice_trim(end < 0 ? text : slice_upto(text, (size_t)end)));
	case CONV_LOWER:
		return lower(g, text);
	case CONV_IS_ZERO:
		return bool_value(is_zero(text));
	case CONV_COPY:
	case CONV_LAST:
		return text_value(text);
	case CONV_TEXT:
	case CONV_NOT:
	case CONV_EXISTS:
	case CONV_DIFFERS:
	case CONV_JOIN:
	case CONV_COUNT:
		break;
	}
	return (struct value){ 0 };
}

/* A value of kind 0 is none. */
static struct value convert(struct gathering *g, enum conversion c, const struct value *v)
{
	if (c == CONV_NOT && (v->kind == VALUE_TRUE || v->kind == VALUE_FALSE))
		return bool_value(v->kind == VALUE_FALSE);
	if (v->kind == VALUE_STRING || (v->kind == VALUE_INTEGER && c != CONV_COPY))
		return convert_text(g, c, v->text);
	return c == CONV_COPY ? *v : (struct value){ 0 };
}

/* To the type of the field: an id that is a number is a text, too. */
static int fits(enum field_type type, struct value *v)
{
	switch (type) {
	case FIELD_STRING:
	case FIELD_STRINGS:
		if (v->kind == VALUE_INTEGER)
			*v = text_value(v->text);
		return v->kind == VALUE_STRING;
	case FIELD_INTEGER:
		return v->kind == VALUE_INTEGER;
	case FIELD_BOOL:
		return v->kind == VALUE_TRUE || v->kind == VALUE_FALSE;
	}
	return 0;
}

/* Two ids differ unless both are there and equal: what is not known is not taken for the same. None at all is no answer. */
static struct value differs(const struct gathering *g, const struct spec_one *s)
{
	size_t n, m;
	const struct value *a = get(g, s->path, &n), *b = get(g, s->other, &m);
	int has_a = n && a->kind != VALUE_NULL, has_b = m && b->kind != VALUE_NULL;

	if (!has_a && !has_b)
		return (struct value){ 0 };
	return bool_value(!has_a || !has_b || a->kind != b->kind || !slice_eq(a->text, b->text));
}

/* "project/repository" of the two, where both are there. */
static struct value join(struct gathering *g, const struct spec_one *s)
{
	size_t n, m;
	const struct value *a = get(g, s->path, &n), *b = get(g, s->other, &m);

	if (!n || !m || (a->kind != VALUE_STRING && a->kind != VALUE_INTEGER) || (b->kind != VALUE_STRING && b->kind != VALUE_INTEGER))
		return (struct value){ 0 };
	CLEANUP(freep) char *whole = xprintf(SLICE_FMT "/" SLICE_FMT, SLICE_ARG(a->text), SLICE_ARG(b->text));
	return text_value(arena_copy(made(g), slice_of(whole)));
}

/* ---- one field ---- */

static struct value scalar_of(struct gathering *g, const struct spec_one *s)
{
	size_t n;

	if (s->conversion == CONV_TEXT)
		return text_value(s->text);
	if (s->conversion == CONV_DIFFERS)
		return differs(g, s);
	if (s->conversion == CONV_JOIN)
		return join(g, s);
	const struct value *v = get(g, s->path, &n);
	if (n && s->conversion == CONV_LAST)
		v += n - 1;
	if (s->conversion == CONV_EXISTS)
		return bool_value(n && v->kind != VALUE_NULL);
	return n && v->kind != VALUE_NULL ? convert(g, s->conversion, v) : (struct value){ 0 };
}

static int take_list(struct gathering *g, enum field_id f, const struct spec_one *s)
{
	struct field *out = &g->out->field[f];
	size_t n, n_lists;
	const struct value *found = get(g, s->path, &n), *list = get(g, s->list, &n_lists);

	if (!n_lists || list->kind != VALUE_ARRAY)
		return 0;
	struct value *kept = arena_alloc(made(g), n, sizeof *kept);
	*out = (struct field){ FIELD_PRESENT, kept, 0 };
	for (size_t i = 0; i < n; i++) {
		struct value v = convert(g, s->conversion, &found[i]);
		if (fits(field_type(f), &v))
			kept[out->n++] = v;
	}
	if (out->n == 0 && field_type(f) != FIELD_STRINGS)
		out->state = FIELD_MISSING;
	if (values_is_truncated(g->values))
		out->state = FIELD_UNKNOWN;
	return out->state != FIELD_MISSING;
}

static int take_scalar(struct gathering *g, enum field_id f, const struct spec_one *s)
{
	struct value v = scalar_of(g, s);

	if (!fits(field_type(f), &v))
		return 0;
	g->out->one[f] = v;
	g->out->field[f] = (struct field){ FIELD_PRESENT, &g->out->one[f], 1 };
	return v.kind != VALUE_STRING || v.text.len > 0;
}

/* ---- the files of commits ---- */

static int count_is(const struct gathering *g, int path, size_t wanted)
{
	size_t n;

	get(g, path, &n);
	return n == wanted;
}

/* Whether the files that the commits name are all the files that changed. */
static int files_are_known(struct gathering *g, const struct spec *s, size_t n_commits)
{
	size_t n;
	const struct value *total = get(g, s->total, &n);

	for (size_t i = 0; i < s->n_unless; i++)
		if (scalar_of(g, &s->unless[i]).kind == VALUE_TRUE)
			return 0;
	if (n_commits == 0 || (int64_t)n_commits >= s->most || values_is_truncated(g->values))
		return 0;
	if (n && total->kind == VALUE_INTEGER && total->integer != (int64_t)n_commits)
		return 0;
	for (size_t i = 0; i < COUNT(s->lists); i++)
		if (!count_is(g, s->lists[i], n_commits))
			return 0;
	return 1;
}

static int by_text(const void *a, const void *b)
{
	return slice_cmp(((const struct value *)a)->text, ((const struct value *)b)->text);
}

static void take_files(struct gathering *g, enum field_id f, const struct spec *s)
{
	const struct value *found[COUNT(s->files)];
	size_t n[COUNT(s->files)], all = 0, n_commits, kept = 0;

	get(g, s->commits, &n_commits);
	if (!files_are_known(g, s, n_commits)) {
		g->out->field[f].state = FIELD_UNKNOWN;
		return;
	}
	for (size_t i = 0; i < COUNT(s->files); i++) {
		found[i] = get(g, s->files[i], &n[i]);
		all += n[i];
	}
	struct value *list = arena_alloc(made(g), all + 1, sizeof *list);
	all = 0;
	for (size_t i = 0; i < COUNT(s->files); i++)
		for (size_t k = 0; k < n[i]; k++)
			if (found[i][k].kind == VALUE_STRING)
				list[all++] = found[i][k];
	qsort(list, all, sizeof *list, by_text);
	for (size_t i = 0; i < all; i++)
		if (kept == 0 || !slice_eq(list[kept - 1].text, list[i].text))
			list[kept++] = list[i];
	g->out->field[f] = (struct field){ FIELD_PRESENT, list, kept };
}

static void take_field(struct gathering *g, enum field_id f, const struct spec *s)
{
	if (s->is_files) {
		take_files(g, f, s);
		return;
	}
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].list >= 0 ? take_list(g, f, &s->list[i]) : take_scalar(g, f, &s->list[i]))
			return;
}

/* ---- the case ---- */

static int literal_is(const struct literal *l, const struct value *v)
{
	if (l->is_prefix && l->text.len == 0)
		return v->kind != VALUE_NULL;
	if (l->kind != v->kind)
		return 0;
	if (l->kind == VALUE_INTEGER)
		return l->integer == v->integer;
	if (l->kind != VALUE_STRING)
		return 1;
	return l->is_prefix ? slice_starts(v->text, l->text) : slice_eq(v->text, l->text);
}

static int condition_holds(const struct gathering *g, const struct condition *c)
{
	size_t n;
	const struct value *v = get(g, c->path, &n);

	for (size_t i = 0; n && i < c->n; i++)
		if (literal_is(&c->literals[i], v))
			return 1;
	return 0;
}

static int case_holds(const struct gathering *g, const struct event_case *c)
{
	for (size_t i = 0; i < c->n_conditions; i++)
		if (!condition_holds(g, &c->conditions[i]))
			return 0;
	return 1;
}

static int is_event_and_action(struct slice native, struct slice event, struct slice action)
{
	return native.len == event.len + 1 + action.len && slice_starts(native, event) && native.ptr[event.len] == '.' &&
	       slice_ends(native, action);
}

/* A case for the event with its action goes before those for the event alone. */
static const struct event_case *find_case(const struct gathering *g, struct slice event, struct slice action)
{
	const struct provider *p = g->m->provider;
	const struct event_case *found = NULL;

	for (size_t i = 0; i < p->n_events; i++) {
		const struct event_case *c = &p->cases[i];
		if (action.len && is_event_and_action(c->native, event, action) && case_holds(g, c))
			return c;
		if (!found && slice_eq(c->native, event) && case_holds(g, c))
			found = c;
	}
	return found;
}

static struct slice common_action(const struct event_case *c, struct slice action)
{
	if (c->action.len)
		return c->action;
	for (size_t i = 0; i < c->n_renames; i++)
		if (slice_eq(c->renames[i].from, action))
			return c->renames[i].to;
	return action;
}

void provider_normalise(const struct mapping *m, struct slice event, struct slice action, const struct values *values,
			struct normal *out)
{
	struct gathering g = { m, values, out };
	*out = (struct normal){ .event = "" };
	const struct event_case *c = find_case(&g, event, action);
	const struct spec *const *spec = c ? c->spec : m->provider->spec;

	if (c) {
		out->event = c->told->common;
		out->action = common_action(c, action);
	}
	for (int f = 0; f < FIELD_COUNT; f++) {
		out->field[f].state = FIELD_MISSING;
		if (spec[f])
			take_field(&g, (enum field_id)f, spec[f]);
	}
}

void normal_fini(struct normal *n)
{
	arena_free(n->made);
	n->made = NULL;
}
