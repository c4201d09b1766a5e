/* match: the index never changes what matches. A reference that knows nothing of compiled rules evaluates the same tables
 * over the same payload, for many random rule sets and events. PUSHROD_MATCH_CASES says how many. */
#include <criterion/criterion.h>

#include "bundle.h"
#include "no_leaks.h"
#include "rules/glob.h"
#include "rules/ruleset.h"

/* ---- the reference: plain tables over a plain payload ---- */

static int glob_says(const char *pattern, const char *text)
{
	struct glob *g;
	if (glob_compile(slice_of(pattern), &g, NULL) < 0)
		abort();
	int yes = glob_matches(g, slice_of(text));
	glob_free(g);
	return yes;
}

static int is_equal(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	return json_equal(a, b);
}

static int plain_takes(const json_t *want, const json_t *v)
{
	return json_is_string(want) && json_is_string(v) ? glob_says(json_string_value(want), json_string_value(v)) : is_equal(want, v);
}

static int one_of(const json_t *list, const json_t *v, int (*takes)(const json_t *, const json_t *))
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list))
		return list && takes(list, v);
	json_array_foreach(list, i, item)
		if (takes(item, v))
			return 1;
	return 0;
}

static int order_is(const char *op, const json_t *want, const json_t *v)
{
	double a, b;
	if (json_is_number(want) && json_is_number(v)) {
		a = json_number_value(v);
		b = json_number_value(want);
	} else if (json_is_string(want) && json_is_string(v)) {
		a = strcmp(json_string_value(v), json_string_value(want));
		b = 0;
	} else {
		return 0;
	}
	return op[0] == 'l' ? (op[1] == 't' ? a < b : a <= b) : (op[1] == 't' ? a > b : a >= b);
}

static int operator_says(const char *op, const json_t *want, json_t *const *v, size_t n)
{
	if (strcmp(op, "exists") == 0)
		return json_is_true(want);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(op, "eq") == 0 && one_of(want, v[i], is_equal))
			return 1;
		if (strcmp(op, "ne") == 0 && one_of(want, v[i], is_equal))
			return 0;
		if (strcmp(op, "has") == 0 && json_is_string(v[i]) && strstr(json_string_value(v[i]), json_string_value(want)))
			return 1;
		if ((op[0] == 'l' || op[0] == 'g') && order_is(op, want, v[i]))
			return 1;
	}
	return strcmp(op, "ne") == 0;
}

enum { NO, UNKNOWN, YES };

static int list_says(const json_t *list, const json_t *except, json_t *const *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((!list || one_of(list, values[i], plain_takes)) && !(except && one_of(except, values[i], plain_takes)))
			return YES;
	return NO;
}

static int test_says(const json_t *test, json_t *held)
{
	json_t *values[64], *item, *want;
	const char *op;
	size_t n = 0, i;

	if (json_object_get(held, "$unknown"))
		return UNKNOWN;
	if (!held)
		return json_object_get(test, "exists") && json_is_false(json_object_get(test, "exists")) ? YES : NO;
	if (json_is_array(held)) {
		json_array_foreach(held, i, item)
			values[n++] = item;
	} else {
		values[n++] = held;
	}
	const json_t *list = json_is_object(test) ? json_object_get(test, "#") : test;
	const json_t *except = json_is_object(test) ? json_object_get(test, "except") : NULL;
	if (list || except)
		return list_says(list, except, values, n);
	json_object_foreach((json_t *)(uintptr_t)test, op, want)
		if (!operator_says(op, want, values, n))
			return NO;
	return YES;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

static int when_says(json_t *when, json_t *event);

/* The truth of `any`, `all` or `none` over a list. */
static int list_of_whens_says(const char *kind, json_t *list, json_t *event)
{
	json_t *item;
	size_t i;
	int all = YES, any = NO;

	json_array_foreach(list, i, item) {
		int t = when_says(item, event);
		all = least(all, t);
		any = t > any ? t : any;
	}
	return strcmp(kind, "all") == 0 ? all : strcmp(kind, "any") == 0 ? any : YES - any;
}

/* EVENT: what is held under each name, of fields and of the payload alike. */
static int when_says(json_t *when, json_t *event)
{
	json_t *v, *test;
	const char *key, *path;
	int t = YES;

	json_object_foreach(when, key, v) {
		if (strcmp(key, "any") == 0 || strcmp(key, "all") == 0 || strcmp(key, "none") == 0) {
			t = least(t, list_of_whens_says(key, v, event));
		} else if (strcmp(key, "payload") == 0) {
			json_object_foreach(v, path, test)
				t = least(t, test_says(test, json_object_get(event, path)));
		} else {
			t = least(t, test_says(v, json_object_get(event, key)));
		}
	}
	return t;
}

static int on_says(json_t *rule, const char *event)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rule, "on"), i, item) {
		const char *name = strchr(json_string_value(item), ':') + 1;
		size_t len = strlen(name);
		if (strcmp(name, "*") == 0 || (strncmp(name, event, len) == 0 && (event[len] == '\0' || event[len] == '.')))
			return 1;
	}
	return 0;
}

/* ---- random rules and events ---- */

enum world { PAYLOADS, PUSHES };        /* raw paths of any document; fields of a forge's pushes */

static unsigned dice(unsigned n)
{
	return (unsigned)rand() % n;
}

#define PICK(array) (array)[dice(COUNT(array))]
static const char *const paths[] = { "a", "b", "c", "d" };
static const char *const fields[] = { "repo", "branch", "title", "paths" };
static const char *const events[] = { "e", "e.x", "f", "f.y.z", "g" };

static void add_scalar(struct buf *out)
{
	static const char *const s[] = { "'a'", "'b'", "'x/a'", "'x/y/b'", "''", "1", "2", "1.0", "2.5", "true", "false", "null" };
	buf_adds(out, PICK(s));
}

static void add_text_pattern(struct buf *out)
{
	static const char *const s[] = { "'a'", "'b'", "'x/a'", "'x/*'", "'x/**'", "'x/y/*'", "'*'", "'**/b'", "'?'" };
	buf_adds(out, PICK(s));
}

static void add_any_pattern(struct buf *out)
{
	static const char *const s[] = { "1", "2.5", "1.0", "true" };
	if (dice(4))
		add_text_pattern(out);
	else
		buf_adds(out, PICK(s));
}

static void add_list(struct buf *out, void (*add)(struct buf *))
{
	buf_addc(out, '[');
	for (unsigned i = 0, n = 1 + dice(3); i < n; i++) {
		buf_adds(out, i ? "," : "");
		add(out);
	}
	buf_addc(out, ']');
}

static void add_test(struct buf *out, enum world world)
{
	static const char *const operators[] = {                /* the first five fit any text */
		"{'eq':'a'}", "{'ne':'a'}", "{'has':'a'}", "{'exists':true}", "{'exists':true,'ne':'a'}",
		"{'eq':['x/a',1]}", "{'ne':['a',1]}", "{'ge':1,'lt':2}", "{'gt':1}", "{'le':'b'}", "{'exists':false}",
	};
	void (*add_pattern)(struct buf *) = world == PUSHES ? add_text_pattern : add_any_pattern;
	unsigned d = dice(10);
	if (d < 4) {
		add_pattern(out);
	} else if (d < 6) {
		add_list(out, add_pattern);
	} else if (d < 7) {
		buf_adds(out, "{'#':");
		add_list(out, add_pattern);
		buf_adds(out, ",'except':");
		add_pattern(out);
		buf_addc(out, '}');
	} else if (d < 8) {
		buf_adds(out, "{'except':");
		add_list(out, add_pattern);
		buf_addc(out, '}');
	} else {
		buf_adds(out, operators[dice(world == PUSHES ? 5 : COUNT(operators))]);
	}
}

static void add_when(struct buf *out, enum world world, int depth)
{
	static const char *const lists[] = { "any", "all", "none" };
	const char *const *names = world == PUSHES ? fields : paths;
	unsigned first = dice(COUNT(fields)), n = 1 + dice(2);

	buf_adds(out, world == PUSHES ? "{" : "{'payload':{");
	for (unsigned i = 0; i < n; i++) {
		buf_addf(out, "%s'%s':", i ? "," : "", names[(first + i) % COUNT(fields)]);
		add_test(out, world);
	}
	buf_adds(out, world == PUSHES ? "" : "}");
	for (size_t k = 0; depth && k < COUNT(lists); k++) {
		if (dice(3))
			continue;
		buf_addf(out, ",'%s':[", lists[k]);
		for (unsigned i = 0, m = 1 + dice(2); i < m; i++) {
			buf_adds(out, i ? "," : "");
			add_when(out, world, depth - 1);
		}
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

static void add_rule(struct buf *out, enum world world)
{
	buf_adds(out, "{'on':[");
	for (unsigned i = 0, n = 1 + dice(2); i < n; i++) {
		buf_adds(out, i ? "," : "");
		if (world == PUSHES)
			buf_adds(out, dice(2) ? "'s:push'" : "'push'");
		else
			buf_addf(out, "'s:%s'", dice(8) ? PICK(events) : "*");
	}
	buf_adds(out, "],'when':");
	add_when(out, world, 2);
	buf_adds(out, ",'run':{'$fn':1}}");
}

static void add_payload(struct buf *out)
{
	buf_addc(out, '{');
	for (size_t i = 0, n = 0; i < COUNT(paths); i++) {
		unsigned d = dice(10);
		if (d < 2)
			continue;
		buf_addf(out, "%s'%s':", n++ ? "," : "", paths[i]);
		if (d < 7)
			add_scalar(out);
		else if (d < 9)
			add_list(out, add_scalar);
		else
			buf_adds(out, dice(2) ? "[]" : "{'k':1}");
	}
	buf_addc(out, '}');
}

/* A push and what it says in common terms. */
static void add_push(struct buf *out, struct buf *held)
{
	static const char *const texts[] = { "a", "b", "x/a", "x/y/b" };
	const char *repo = PICK(texts), *branch = PICK(texts), *title = PICK(texts);
	CLEANUP(buf_fini) struct buf files = BUF(BUF_UNLIMITED);
	int is_new = dice(3) == 0, has_title = dice(3) != 0;

	for (unsigned i = 0, n = dice(4); i < n; i++)
		buf_addf(&files, "%s'%s'", i ? "," : "", PICK(texts));
	buf_addf(out, "{'repository':{'full_name':'%s'},'ref':'refs/heads/%s','created':%s,'commits':[{'added':[],'modified':[%s],"
		 "'removed':[]}]", repo, branch, is_new ? "true" : "false", buf_cstr(&files));
	buf_addf(held, "{'repo':'%s','branch':'%s','paths':", repo, branch);
	buf_addf(held, is_new ? "{'$unknown':1}" : "[%s]", buf_cstr(&files));
	if (has_title) {
		buf_addf(out, ",'message':'%s\\n\\nmore'", title);
		buf_addf(held, ",'title':'%s'", title);
	}
	buf_addc(out, '}');
	buf_addc(held, '}');
}

/* ---- both, side by side ---- */

#define RULES 12
#define DELIVERIES 20

struct sample {
	enum world world;
	struct ruleset *rs;
	json_t *rules[RULES];
};

static void sample_init(struct sample *s, enum world world)
{
	struct bundle_text b = BUNDLE_TEXT;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED);
	struct diags d = { 0 };
	struct err e;

	s->world = world;
	bundle_forge(&b);
	bundle_decl(&b, "source", "s", 1, world == PUSHES ? "{'provider':'forge','secret':{'$secret':'x'}}" : "{'auth':'none'}");
	for (int i = 0; i < RULES; i++) {
		CLEANUP(buf_fini) struct buf rule = BUF(BUF_UNLIMITED);
		char name[16];
		snprintf(name, sizeof name, "r%d", i);
		add_rule(&rule, world);
		s->rules[i] = plain_json(buf_cstr(&rule));
		bundle_decl(&b, "rule", name, i + 1, buf_cstr(&rule));
	}
	int made = ruleset_compile(bundle_end(&b, &text), &s->rs, &d, &e);
	diags_print(&d, &shown, 0);
	cr_assert_eq(made, 0, "%s\n%s", e.msg, buf_cstr(&shown));
	diags_fini(&d);
}

static void sample_fini(struct sample *s)
{
	for (int i = 0; i < RULES; i++)
		json_decref(s->rules[i]);
	ruleset_unref(s->rs);
}

/* What rule I says about EVENT, HELD: by the reference and by M, whose matches are told in order. */
static int compare_rule(const struct sample *s, size_t i, const char *event, json_t *held, const struct match *m, size_t *next)
{
	int listens = s->world == PUSHES || on_says(s->rules[i], event);
	int want = listens && when_says(json_object_get(s->rules[i], "when"), held) != NO;
	int got = *next < match_count(m) && match_rule(m, *next) == ruleset_rule_at(s->rs, i);

	if (want != got) {
		char *rule = json_dumps(s->rules[i], JSON_COMPACT), *doc = json_dumps(held, JSON_COMPACT);
		cr_assert_fail("rule %s over %s %s: want %d, got %d", rule, event, doc, want, got);
	}
	*next += (size_t)got;
	return listens;
}

static int compare_one(const struct sample *s)
{
	CLEANUP(buf_fini) struct buf payload = BUF(BUF_UNLIMITED), common = BUF(BUF_UNLIMITED), why = BUF(BUF_UNLIMITED);
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	const char *event = s->world == PUSHES ? "push" : PICK(events);
	size_t next = 0, listen = 0;
	struct match *m;
	struct err e;

	if (s->world == PUSHES)
		add_push(&payload, &common);
	else
		add_payload(&payload);
	json_t *doc = plain_json(buf_cstr(&payload)), *held = s->world == PUSHES ? plain_json(buf_cstr(&common)) : json_incref(doc);
	char *json = json_dumps(doc, JSON_COMPACT);
	struct delivery_view d = {
		.source = ruleset_source_at(s->rs, 0), .event = slice_of(event), .json = slice_of(json), .delivery_key = "k",
	};
	cr_assert_eq(ruleset_match(s->rs, &d, &m, &e), 0, "%s: %s", e.msg, json);
	for (size_t i = 0; i < RULES; i++)
		listen += (size_t)compare_rule(s, i, event, held, m, &next);
	cr_assert_eq(next, match_count(m));
	match_why_json(m, &why);
	if (dice(10) == 0)
		match_explain(m, &text, 1);
	json_t *reasons = json_loads(buf_cstr(&why), 0, NULL);
	cr_assert_eq(json_array_size(reasons), listen - next, "%s", buf_cstr(&why));
	json_decref(reasons);
	match_free(m);
	free(json);
	json_decref(doc);
	json_decref(held);
	return next > 0;
}

Test(match, the_index_never_changes_what_matches, .timeout = 300)
{
	const char *wanted = getenv("PUSHROD_MATCH_CASES");
	int64_t cases = 20000, hits = 0, n = 0;

	if (wanted)
		cr_assert_eq(slice_to_i64(slice_of(wanted), 1, INT64_MAX, &cases), 0);
	srand(11);
	while (n < cases) {
		struct sample s;
		sample_init(&s, dice(3) ? PAYLOADS : PUSHES);
		for (int i = 0; i < DELIVERIES && n < cases; i++, n++)
			hits += compare_one(&s);
		sample_fini(&s);
	}
	cr_assert_gt(hits, cases / 10);
	cr_assert_lt(hits, cases);
	no_leaks();
}
