/* rules/check.c - declarations against the schema. A value is held against the alternatives of its row: the first whose
 * kind of Lua value fits is the one that was meant, and what is wrong is said in its terms. */
#include "rules/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rules/checker.h"
#include "rules/cidr.h"
#include "rules/cron.h"

#define NAME_MAX_BYTES 100

/* ---- saying it ---- */

static PRINTF(6, 0) void say(struct checker *c, enum severity s, int line, int col, const char *code, const char *fmt,
			     va_list ap)
{
	CLEANUP(freep) char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	diags_add(c->out, s, c->file->path, line, col, 0, code, "%s", text);
}

void check_say(struct checker *c, const struct node *at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(c, DIAG_ERROR, at->line, at->col, code, fmt, ap);
	va_end(ap);
}

void check_warn(struct checker *c, const struct node *at, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(c, DIAG_WARNING, at->line, at->col, code, fmt, ap);
	va_end(ap);
}

void check_say_key(struct checker *c, const struct node_member *m, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(c, DIAG_ERROR, m->line, m->col, code, fmt, ap);
	va_end(ap);
}

static PRINTF(4, 5) void say_decl(struct checker *c, const struct check_decl *d, const char *code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	say(c, DIAG_ERROR, d->line, d->col, code, fmt, ap);
	va_end(ap);
}

void check_hint(struct slice word, const char *const *words, char hint[HINT_BYTES])
{
	const char *near = did_you_mean(word, words);
	hint[0] = '\0';
	if (near)
		snprintf(hint, HINT_BYTES, ", did you mean '%s'?", near);
}

void check_got(const struct node *n, char got[GOT_BYTES])
{
	struct slice text = slice_upto(n->text, 40);

	switch (n->kind) {
	case NODE_STRING:
		snprintf(got, GOT_BYTES, "\"" SLICE_FMT "%s\"", SLICE_ARG(text), text.len < n->text.len ? "…" : "");
		return;
	case NODE_INTEGER:
		snprintf(got, GOT_BYTES, "the number %lld", (long long)n->integer);
		return;
	case NODE_NUMBER:
		snprintf(got, GOT_BYTES, "the number %.14g", n->number);
		return;
	case NODE_BOOL:
		snprintf(got, GOT_BYTES, "%s", n->integer ? "true" : "false");
		return;
	case NODE_SECRET:
		snprintf(got, GOT_BYTES, "secret \"" SLICE_FMT "\"", SLICE_ARG(text));
		return;
	case NODE_NULL:
	case NODE_FUNCTION:
	case NODE_TABLE:
		break;
	}
	snprintf(got, GOT_BYTES, "%s", node_kind_name(n->kind));
}

static void add_sketch(const struct node *n, struct buf *out)
{
	if (n->kind == NODE_STRING && n->text.len <= 20)
		buf_addf(out, "\"" SLICE_FMT "\"", SLICE_ARG(n->text));
	else if (n->kind == NODE_BOOL)
		buf_adds(out, n->integer ? "true" : "false");
	else if (n->kind == NODE_TABLE)
		buf_adds(out, "{ … }");
	else
		buf_adds(out, "…");
}

void check_shape(const struct node *table, struct buf *out)
{
	const char *gap = "{ ";

	for (size_t i = 0; i < table->n_items && i < 3; i++, gap = ", ") {
		buf_adds(out, gap);
		add_sketch(table->items[i], out);
	}
	for (size_t i = 0; i < table->n_members && i < 3; i++, gap = ", ") {
		buf_addf(out, "%s" SLICE_FMT " = ", gap, SLICE_ARG(table->members[i].key));
		add_sketch(table->members[i].value, out);
	}
	buf_adds(out, table->n_items > 3 || table->n_members > 3 ? ", … }" : " }");
}

/* ---- types ---- */

static enum node_kind lua_kind(enum schema_kind kind)
{
	switch (kind) {
	case SCHEMA_STRING: case SCHEMA_DURATION: case SCHEMA_SIZE: case SCHEMA_WORD: case SCHEMA_DATE: case SCHEMA_ADDRESS:
	case SCHEMA_PATH: case SCHEMA_NAME: case SCHEMA_TEMPLATE: case SCHEMA_PROVIDER: case SCHEMA_EVENT:
	case SCHEMA_CRON: case SCHEMA_QUEUE: case SCHEMA_NETWORK:
		return NODE_STRING;
	case SCHEMA_INTEGER:
		return NODE_INTEGER;
	case SCHEMA_BOOL:
		return NODE_BOOL;
	case SCHEMA_SECRET:
		return NODE_SECRET;
	case SCHEMA_FUNCTION: case SCHEMA_FILTER:
		return NODE_FUNCTION;
	case SCHEMA_TABLE: case SCHEMA_LIST: case SCHEMA_MAP: case SCHEMA_CONDITIONS: case SCHEMA_MATRIX: case SCHEMA_ANYTHING:
		return NODE_TABLE;
	}
	abort();
}

static int has_kind(const struct schema_type *types, enum schema_kind kind)
{
	for (; types->kind; types++)
		if (types->kind == kind)
			return 1;
	return 0;
}

/* "make test" as the words of a command. */
static void add_words(struct slice text, struct buf *out)
{
	const char *gap = "";

	for (struct slice word, rest; text.len; text = rest) {
		if (!slice_cut(text, ' ', &word, &rest)) {
			word = text;
			rest = SLICE_NULL;
		}
		if (word.len)
			buf_addf(out, "%s\"" SLICE_FMT "\"", gap, SLICE_ARG(word));
		gap = word.len ? ", " : gap;
	}
}

/* A text where something else is wanted: how it is written there, as far as it is short. */
static void add_fix(const char *key, const struct schema_type *types, const struct node *n, struct buf *out)
{
	struct slice text = n->text;

	if (n->kind != NODE_STRING || text.len > 40 || slice_chr(text, '"') >= 0 || slice_chr(text, '\n') >= 0)
		return;
	if (strcmp(key, "steps") == 0) {
		buf_addf(out, ": write steps = { { \"name\", sh = \"" SLICE_FMT "\" } }", SLICE_ARG(text));
	} else if (strcmp(key, "exec") == 0) {
		buf_adds(out, ": write exec = { ");
		add_words(text, out);
		buf_adds(out, " }");
	} else if (strcmp(key, "run") == 0) {
		buf_addf(out, ": write run = function(job) job:sh(\"" SLICE_FMT "\") end, or steps", SLICE_ARG(text));
	} else if (has_kind(types, SCHEMA_SECRET)) {
		buf_addf(out, ": write %s = secret \"name\", and put its text into secrets/name", key);
	} else {
		for (; types->kind; types++)
			if (types->kind == SCHEMA_LIST && (has_kind(types->of, SCHEMA_STRING) || has_kind(types->of, SCHEMA_NAME) ||
							   has_kind(types->of, SCHEMA_WORD)))
				buf_addf(out, ": write %s = { \"" SLICE_FMT "\" }", key, SLICE_ARG(text));
	}
}

static void say_type(struct checker *c, const char *key, const struct schema_type *types, const struct node *n)
{
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED), fix = BUF(BUF_UNLIMITED);
	char got[GOT_BYTES];

	schema_wants(types, &want);
	check_got(n, got);
	add_fix(key, types, n, &fix);
	check_say(c, n, "E103", "%s: want %s, got %s%s", key, buf_cstr(&want), got, buf_cstr(&fix));
}

const struct schema_type *check_meant(const struct schema_type *types, const struct node *n)
{
	const struct schema_type *list = NULL, *table = NULL;

	for (const struct schema_type *t = types; t->kind; t++) {
		if (t->kind == SCHEMA_CONDITIONS && n->kind == NODE_STRING)
			return t;
		if (lua_kind(t->kind) != n->kind)
			continue;
		if (n->kind != NODE_TABLE)
			return t;
		if (t->kind == SCHEMA_LIST)
			list = t;
		else
			table = t;
	}
	return table && (!list || n->n_members) ? table : list;
}

/* ---- strings with a meaning ---- */

static int is_date(struct slice s)
{
	CLEANUP(freep) char *text = slice_dup(s);
	struct tm tm = { 0 };
	const char *day = strptime(text, "%Y-%m-%d", &tm);

	if (day && *day == '\0')
		return s.len == 10;
	const char *moment = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return moment && *moment == '\0';
}

static int is_address(struct slice s)
{
	const char *colon = s.len ? memrchr(s.ptr, ':', s.len) : NULL;
	int64_t port;

	return colon && colon > s.ptr && slice_to_i64(slice_from(s, (size_t)(colon - s.ptr) + 1), 0, 65535, &port) == 0;
}

static int is_url_path(struct slice s)
{
	if (s.len < 2 || s.ptr[0] != '/')
		return 0;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] == 0x7f || strchr("?#%\\", s.ptr[i]) || (i && s.ptr[i] == '/' && s.ptr[i - 1] == '/'))
			return 0;
	return 1;
}

int check_is_word(struct slice s, const char *const *words)
{
	for (; *words; words++)
		if (slice_eq(s, slice_of(*words)))
			return 1;
	return 0;
}

static void say_no_such_time(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	CLEANUP(buf_fini) struct buf bounds = BUF(BUF_UNLIMITED);

	schema_add_duration(t->min, &bounds);
	buf_adds(&bounds, " and ");
	schema_add_duration(t->max, &bounds);
	check_say(c, n, "E104", "%s: \"" SLICE_FMT "\" is not between %s", key, SLICE_ARG(n->text), buf_cstr(&bounds));
}

static void check_measure(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	int64_t v;
	int is_duration = t->kind == SCHEMA_DURATION;
	int bad = is_duration ? slice_to_duration_ms(n->text, &v) : slice_to_size_bytes(n->text, &v);

	if (bad < 0)
		say_type(c, key, (struct schema_type[]){ *t, { 0 } }, n);
	else if ((v < t->min || v > t->max) && is_duration)
		say_no_such_time(c, key, t, n);
	else if (v < t->min || v > t->max)
		check_say(c, n, "E104", "%s: \"" SLICE_FMT "\" is less than %lld bytes", key, SLICE_ARG(n->text), (long long)t->min);
}

static void check_word(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	char hint[HINT_BYTES];
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED);

	if (check_is_word(n->text, t->words))
		return;
	check_hint(n->text, t->words, hint);
	schema_wants((struct schema_type[]){ *t, { 0 } }, &want);
	check_say(c, n, "E103", "%s: want %s, got \"" SLICE_FMT "\"%s", key, buf_cstr(&want), SLICE_ARG(n->text), hint);
}

static void check_provider(struct checker *c, const struct node *n)
{
	char hint[HINT_BYTES];

	if (!c->ctx->providers || check_is_word(n->text, c->ctx->providers))
		return;
	check_hint(n->text, c->ctx->providers, hint);
	check_say(c, n, "E105", "there is no provider '" SLICE_FMT "'%s", SLICE_ARG(n->text), hint);
}

static void check_secret(struct checker *c, const struct node *n)
{
	CLEANUP(freep) char *name = slice_dup(n->text);
	struct err why;

	if (c->ctx->secret_find && c->ctx->secret_find(name, c->ctx->secret_arg, &why) < 0)
		check_say(c, n, "E140", "%s", why.msg);
}

static void check_cron(struct checker *c, const char *key, const struct node *n)
{
	struct cron unused;
	char hint[HINT_BYTES];
	struct err e;

	if (cron_parse(n->text, &unused, &e) == 0)
		return;
	check_hint(slice_trim(n->text), cron_words, hint);
	check_say(c, n, "E141", "%s: %s%s", key, e.msg, slice_starts(slice_trim(n->text), SLICE("@")) ? hint : "");
}

void check_network(struct checker *c, const char *what, const struct node *n)
{
	struct cidr network;
	char meant[64] = "";
	struct err e;

	if (cidr_parse(n->text, &network, &e) < 0)
		check_say(c, n, "E124", "%s: %s", what, e.msg);
	else if (!cidr_is_exact(&network, meant))
		check_warn(c, n, "W125", "%s: \"" SLICE_FMT "\" has bits behind its prefix, and means %s", what, SLICE_ARG(n->text), meant);
}

static void check_string(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	if (t->kind == SCHEMA_DURATION || t->kind == SCHEMA_SIZE)
		check_measure(c, key, t, n);
	else if (t->kind == SCHEMA_WORD)
		check_word(c, key, t, n);
	else if (t->kind == SCHEMA_PROVIDER)
		check_provider(c, n);
	else if (t->kind == SCHEMA_EVENT)
		check_event(c, n);
	else if (t->kind == SCHEMA_CRON)
		check_cron(c, key, n);
	else if (t->kind == SCHEMA_NETWORK)
		check_network(c, key, n);
	else if (t->kind == SCHEMA_QUEUE)
		check_queue_name(c, n);
	else if ((t->kind == SCHEMA_STRING || t->kind == SCHEMA_TEMPLATE) && (int64_t)n->text.len < t->min)
		check_say(c, n, "E104", "%s: the string is empty", key);
	else if (t->kind == SCHEMA_TEMPLATE && t->max && (int64_t)n->text.len > t->max)
		check_say(c, n, "E104", "%s: the string has %zu bytes, the most is %lld", key, n->text.len, (long long)t->max);
	else if (t->kind == SCHEMA_TEMPLATE)
		check_template(c, n);
	else if ((t->kind == SCHEMA_DATE && !is_date(n->text)) || (t->kind == SCHEMA_ADDRESS && !is_address(n->text)) ||
		 (t->kind == SCHEMA_PATH && !is_url_path(n->text)))
		say_type(c, key, (struct schema_type[]){ *t, { 0 } }, n);
	else if (t->kind == SCHEMA_NAME && !schema_name_is_valid(n->text))
		check_say(c, n, "E104", "%s: a secret's name is made of letters, digits, '.', '_' and '-', not \"" SLICE_FMT "\"", key,
			  SLICE_ARG(slice_upto(n->text, 80)));
	else if (t->kind == SCHEMA_NAME)
		check_secret(c, n);
	if (memchr(n->text.ptr, 0, n->text.len))
		check_say(c, n, "E104", "%s: the string holds a NUL byte", key);
}

/* ---- tables ---- */

static void check_value(struct checker *c, const char *key, const struct schema_type *types, const struct node *n);
static void check_table(struct checker *c, const char *what, const struct schema_table *t, const struct node *n);

/* { "a", key = x } in the place of a list of tables. */
static void say_list_with_keys(struct checker *c, const char *key, const struct schema_type *list, const struct node *n)
{
	const struct schema_table *inner = NULL;
	CLEANUP(buf_fini) struct buf shape = BUF(BUF_UNLIMITED);

	for (const struct schema_type *t = list->of; t->kind; t++)
		if (t->kind == SCHEMA_TABLE)
			inner = t->table;
	check_shape(n, &shape);
	if (inner && schema_key_find(inner, n->members[0].key))
		check_say(c, n, "E106", "%s holds a list of tables, one brace is missing: write %s = { %s }", key, key, buf_cstr(&shape));
	else
		check_say_key(c, &n->members[0], "E106", "%s is a list, and '" SLICE_FMT "' is a key in it", key,
			      SLICE_ARG(n->members[0].key));
}

static void check_list(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	if (n->n_members) {
		say_list_with_keys(c, key, t, n);
		return;
	}
	if ((int64_t)n->n_items < t->min)
		check_say(c, n, "E104", "%s: the list is empty", key);
	else if (t->max && (int64_t)n->n_items > t->max)
		check_say(c, n, "E104", "%s: the list has %zu values, the most is %lld", key, n->n_items, (long long)t->max);
	for (size_t i = 0; i < n->n_items; i++)
		check_value(c, key, t->of, n->items[i]);
}

static int is_variable_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char ch = s.ptr[i];
		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_' || (i && ch >= '0' && ch <= '9')))
			return 0;
	}
	return s.len > 0;
}

static void check_map(struct checker *c, const char *key, const struct schema_type *t, const struct node *n)
{
	if (n->n_items)
		check_say(c, n->items[0], "E107", "%s: write %s = { NAME = … }: this one has no name", key, key);
	for (size_t i = 0; i < n->n_members; i++) {
		const struct node_member *m = &n->members[i];
		CLEANUP(freep) char *name = slice_dup(m->key);
		if (!is_variable_name(m->key))
			check_say_key(c, m, "E104", "%s: '%s' cannot be the name of an environment variable", key, name);
		check_value(c, name, t->of, m->value);
	}
}

static void check_value(struct checker *c, const char *key, const struct schema_type *types, const struct node *n)
{
	const struct schema_type *t = check_meant(types, n);

	if (n->is_bad)
		return;
	if (!t)
		say_type(c, key, types, n);
	else if (t->kind == SCHEMA_CONDITIONS)
		check_conditions(c, n);
	else if (t->kind == SCHEMA_MATRIX)
		check_matrix(c, n);
	else if (t->kind == SCHEMA_TABLE)
		check_table(c, key, t->table, n);
	else if (t->kind == SCHEMA_LIST)
		check_list(c, key, t, n);
	else if (t->kind == SCHEMA_MAP)
		check_map(c, key, t, n);
	else if (t->kind == SCHEMA_SECRET)
		check_secret(c, n);
	else if (n->kind == NODE_STRING)
		check_string(c, key, t, n);
	else if (t->kind == SCHEMA_INTEGER && (n->integer < t->min || n->integer > t->max))
		say_type(c, key, types, n);
}

static void say_unknown_key(struct checker *c, const char *what, const struct schema_table *t, const struct node_member *m)
{
	CLEANUP(freep) const char **words = xcalloc(t->n + 1, sizeof *words);
	char hint[HINT_BYTES];

	for (size_t i = 0; i < t->n; i++)
		words[i] = t->keys[i].name;
	const char *here = check_foreign(what, m->key);
	if (here) {
		check_say_key(c, m, "E101", "unknown %s key '" SLICE_FMT "': here it is %s", what, SLICE_ARG(m->key), here);
		return;
	}
	check_hint(m->key, words, hint);
	check_say_key(c, m, "E101", "unknown %s key '" SLICE_FMT "'%s", what, SLICE_ARG(m->key), hint);
}

static void check_items(struct checker *c, const char *what, const struct schema_table *t, const struct node *n)
{
	if (n->n_items && !t->item)
		check_say(c, n->items[0], "E107", "%s is a table of keys: this value has none", what);
	else if (n->n_items > 1 && !t->takes_many)
		check_say(c, n->items[1], "E107", "only the %s stands without a key in '%s': this value needs one", t->item->name, what);
	else if (!n->n_items && t->item && t->item->is_required)
		check_say(c, n, "E102", "%s: the %s is missing: write { %s, … }", what, t->item->name, t->item->example);
	if (n->n_items && t->item)
		check_value(c, t->item->name, t->item->types, n->items[0]);
	for (size_t i = 1; i < n->n_items && t->takes_many; i++)
		check_value(c, t->item->name, t->item->types, n->items[i]);
}

static void check_step(struct checker *c, const struct node *n)
{
	int has_sh = node_get(n, "sh") != NULL, has_exec = node_get(n, "exec") != NULL;

	check_step_texts(c, n);
	if (has_sh && has_exec)
		check_say(c, n, "E109", "this step has both sh and exec: it can do only one");
	else if (!has_sh && !has_exec)
		check_say(c, n, "E109", "this step does nothing: give it sh = \"…\" or exec = { … }");
}

/* The beginning of links. */
static void check_address(struct checker *c, const struct node *url)
{
	if (url && url->kind == NODE_STRING && !slice_starts(url->text, SLICE("https://")) && !slice_starts(url->text, SLICE("http://")))
		check_warn(c, url, "W139", "url: links begin with it: write \"https://" SLICE_FMT "\"", SLICE_ARG(slice_upto(url->text, 80)));
}

/* With that the server would not start. */
static void check_listener(struct checker *c, const struct node *n)
{
	static const struct slice near[] = { SLICE("127."), SLICE("localhost:"), SLICE("[::1]:") };
	const struct node *serve = node_get(n, "serve"), *address = n->n_items ? n->items[0] : NULL;

	if (!address || address->kind != NODE_STRING || !serve || serve->kind != NODE_TABLE)
		return;
	for (size_t i = 0; i < COUNT(near); i++)
		if (slice_starts(address->text, near[i]))
			return;
	for (size_t i = 0; i < serve->n_items; i++)
		if (serve->items[i]->kind == NODE_STRING && !slice_eq(serve->items[i]->text, SLICE("hooks")))
			check_warn(c, serve->items[i], "W140", "pages do not leave this machine yet, and 'serve' would not start: "
				   "write serve = { \"hooks\" } here, and { \"127.0.0.1:8787\", serve = { \"pages\" } } beside it");
}

/* What every row asks, then what no row can say. */
static void check_table(struct checker *c, const char *what, const struct schema_table *t, const struct node *n)
{
	check_items(c, what, t, n);
	for (size_t i = 0; i < n->n_members; i++) {
		const struct schema_key *k = schema_key_find(t, n->members[i].key);
		if (k)
			check_value(c, k->name, k->types, n->members[i].value);
		else
			say_unknown_key(c, what, t, &n->members[i]);
	}
	if (strcmp(what, "steps") == 0)
		check_step(c, n);
	else if (strcmp(what, "config") == 0)
		check_address(c, node_get(n, "url"));
	else if (strcmp(what, "listen") == 0)
		check_listener(c, n);
	else if (strcmp(what, "queue") == 0)
		check_queue(c, n);
}

/* ---- declarations ---- */

static int has_unknown_near(const struct schema_table *t, const struct node *value, const char *name)
{
	const char *const words[] = { name, NULL };

	for (size_t i = 0; i < value->n_members; i++)
		if (!schema_key_find(t, value->members[i].key) && did_you_mean(value->members[i].key, words))
			return 1;
	return 0;
}

/* A key that is there under a misspelt name is not missing too. */
static void check_required(struct checker *c, const struct check_decl *d, const struct schema_table *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct schema_key *k = &t->keys[i];
		if (!k->is_required || node_get(d->value, k->name) || has_unknown_near(t, d->value, k->name))
			continue;
		say_decl(c, d, "E102", SLICE_FMT " '" SLICE_FMT "' has no %s: write %s = %s", SLICE_ARG(d->kind),
			 SLICE_ARG(d->name), k->name, k->name, k->example);
	}
}

/* `when` belongs to `on`: a schedule has nothing to test. */
static void check_causes(struct checker *c, const struct check_decl *d, const struct schema_table *t)
{
	int has_on = node_get(d->value, "on") || has_unknown_near(t, d->value, "on");
	int has_cron = node_get(d->value, "cron") || has_unknown_near(t, d->value, "cron");
	const struct node *when = node_get(d->value, "when");

	if (!has_on && !has_cron)
		say_decl(c, d, "E102", "rule '" SLICE_FMT "' has no on: write on = %s, or cron = %s", SLICE_ARG(d->name),
			 schema_key_find(t, SLICE("on"))->example, schema_key_find(t, SLICE("cron"))->example);
	else if (has_on && !when && !has_unknown_near(t, d->value, "when"))
		say_decl(c, d, "E108", "rule '" SLICE_FMT "' has no when: say which events it is for, or write when = \"always\"",
			 SLICE_ARG(d->name));
	else if (!has_on && when)
		check_say(c, when, "E109", "when tests the events of `on`, and this rule has cron alone: a schedule fires by itself");
}

static void check_rule(struct checker *c, const struct check_decl *d, const struct schema_table *t)
{
	int has_run = node_get(d->value, "run") || has_unknown_near(t, d->value, "run");
	int has_steps = node_get(d->value, "steps") || has_unknown_near(t, d->value, "steps");

	check_loop(c, node_get(d->value, "when"));
	check_queue_use(c, d->value);
	if (has_run && has_steps)
		say_decl(c, d, "E109", "rule '" SLICE_FMT "' has both run and steps: it can have only one", SLICE_ARG(d->name));
	else if (!has_run && !has_steps)
		say_decl(c, d, "E109", "rule '" SLICE_FMT "' does nothing: give it steps = { … } or run = function(job) … end",
			 SLICE_ARG(d->name));
}

/* What rules and addresses name. That one has no name is eval's to say. */
static void check_settings_name(struct checker *c, const struct check_decl *d)
{
	if (d->name.len && !schema_name_is_valid(d->name))
		say_decl(c, d, "E104", "a " SLICE_FMT "'s name is made of letters, digits, '.', '_' and '-'", SLICE_ARG(d->kind));
}

static void check_source_decl(struct checker *c, const struct check_decl *d, const struct schema_table *t)
{
	int is_open = node_get(d->value, "auth") || has_unknown_near(t, d->value, "auth");
	int has_secret = node_get(d->value, "secret") || has_unknown_near(t, d->value, "secret");
	int has_provider = node_get(d->value, "provider") || has_unknown_near(t, d->value, "provider");

	check_settings_name(c, d);
	if (check_is_word(d->name, schema_reserved_sources))
		say_decl(c, d, "E104", "'" SLICE_FMT "' is a word of the language and cannot be a source's name", SLICE_ARG(d->name));
	if (!is_open && !has_provider)
		say_decl(c, d, "E102", "source '" SLICE_FMT "' has no provider: write provider = \"github\", or auth = \"none\"",
			 SLICE_ARG(d->name));
	else if (!is_open && !has_secret)
		say_decl(c, d, "E102", "source '" SLICE_FMT "' has no secret: write secret = secret \"" SLICE_FMT "\", or auth = \"none\"",
			 SLICE_ARG(d->name), SLICE_ARG(d->name));
	else if (is_open && has_secret)
		say_decl(c, d, "E109", "source '" SLICE_FMT "' has a secret and auth = \"none\": only one can be meant", SLICE_ARG(d->name));
}

static void check_name(struct checker *c, const struct check_decl *d, const struct schema_decl *s)
{
	for (size_t k = 0; s->has_name && k < d->name.len; k++)
		if ((unsigned char)d->name.ptr[k] < 0x20 || d->name.len > NAME_MAX_BYTES) {
			say_decl(c, d, "E104", "a name has at most %d bytes and no control characters", NAME_MAX_BYTES);
			break;
		}
}

static enum schema_place place_of(const char *path)
{
	return slice_starts(slice_of(path), SLICE("rules/")) ? SCHEMA_RULES :
	       slice_starts(slice_of(path), SLICE("plugins/")) ? SCHEMA_PROVIDERS : SCHEMA_SETTINGS;
}

static void check_decl(struct checker *c, const struct check_decl *d)
{
	static const char *const homes[] = {
		[SCHEMA_SETTINGS] = "pushrod.lua", [SCHEMA_RULES] = "rules/*.lua", [SCHEMA_PROVIDERS] = "plugins/providers/*.lua",
	};
	const struct schema_decl *s = schema_decl_find(d->kind);

	if (!s) {
		say_decl(c, d, "E101", "unknown declaration '" SLICE_FMT "'", SLICE_ARG(d->kind));
		return;
	}
	if (s->place != place_of(c->file->path))
		say_decl(c, d, "E111", "a " SLICE_FMT " belongs in %s", SLICE_ARG(d->kind), homes[s->place]);
	check_name(c, d, s);
	if (!s->table || !d->value || d->value->is_bad)
		return;
	if (d->value->kind != NODE_TABLE) {
		check_say(c, d->value, "E103", SLICE_FMT ": want a table, got %s", SLICE_ARG(d->kind), node_kind_name(d->value->kind));
		return;
	}
	int is_rule = s->table == schema_decl_find(SLICE("rule"))->table;
	c->on = is_rule ? node_get(d->value, "on") : NULL;
	c->matrix = is_rule ? node_get(d->value, "matrix") : NULL;
	c->cron = is_rule ? node_get(d->value, "cron") : NULL;
	c->paths_from_git = is_rule && node_get(d->value, "paths_from");
	c->rule = d->name;
	check_table(c, s->kind, s->table, d->value);
	check_required(c, d, s->table);
	if (is_rule) {
		check_causes(c, d, s->table);
		check_rule(c, d, s->table);
	} else if (strcmp(s->kind, "source") == 0) {
		check_source_decl(c, d, s->table);
	} else if (s->has_name) {
		check_settings_name(c, d);
	}
}

/* ---- names given twice ---- */

static int by_name(const void *a, const void *b)
{
	const struct check_decl *x = *(const struct check_decl *const *)a, *y = *(const struct check_decl *const *)b;
	int order = slice_cmp(x->kind, y->kind);

	if (!order)
		order = slice_cmp(x->name, y->name);
	return order ? order : (x > y) - (x < y);
}

/* It should have a name, and has none. */
static int is_nameless(const struct check_decl *d)
{
	const struct schema_decl *s = schema_decl_find(d->kind);
	return s && s->has_name && !d->name.len;
}

static int is_same(const struct check_decl *a, const struct check_decl *b)
{
	return slice_eq(a->kind, b->kind) && slice_eq(a->name, b->name) && (a->name.len || !is_nameless(a));
}

static void say_again(struct checker *c, const struct check_decl *first, const struct check_decl *d)
{
	const struct schema_decl *s = schema_decl_find(d->kind);

	if (s && s->has_name)
		say_decl(c, d, "E110", "there is a " SLICE_FMT " '" SLICE_FMT "' already, at line %d", SLICE_ARG(d->kind),
			 SLICE_ARG(d->name), first->line);
	else if (s)
		say_decl(c, d, "E110", "there is a " SLICE_FMT " already, at line %d", SLICE_ARG(d->kind), first->line);
}

static void check_names(struct checker *c)
{
	const struct check_file *f = c->file;
	CLEANUP(freep) const struct check_decl **sorted = xcalloc(f->n + 1, sizeof *sorted);
	size_t first = 0;

	for (size_t i = 0; i < f->n; i++)
		sorted[i] = &f->decls[i];
	if (f->n)
		qsort(sorted, f->n, sizeof *sorted, by_name);
	for (size_t i = 1; i < f->n; i++)
		if (is_same(sorted[first], sorted[i]))
			say_again(c, sorted[first], sorted[i]);
		else
			first = i;
}

void check_file(const struct check_file *f, const struct check_context *ctx, struct diags *out)
{
	struct checker c = { .file = f, .ctx = ctx, .out = out };

	for (size_t i = 0; i < f->n; i++)
		check_decl(&c, &f->decls[i]);
	check_names(&c);
	diags_show(out, f->path, f->text);
}
