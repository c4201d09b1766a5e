/* tests/fuzz/match_oracle.h - a reference that knows nothing of compiled rules, paths or indexes: it evaluates the plain tables
 * of `when` (tests/unit/bundle.h) over the plain documents of a delivery, slowly. What it shares with the program are the two
 * matchers that have tests of their own: glob and regex. */
#pragma once
#include <arpa/inet.h>

#include "../unit/bundle.h"
#include "rules/glob.h"
#include "rules/regex.h"

#define ORACLE __attribute__((unused)) static

enum { NO, UNKNOWN, YES };

/* Set where the oracle cannot say: more values than it keeps, or a search that was given up (which one is given up depends on
 * their order). */
ORACLE int oracle_is_over;

struct told {                           /* a delivery, in the plain */
	json_t *payload;                /* asked by paths */
	json_t *fields;                 /* name → value; {"$unknown":1} */
	json_t *headers, *query;        /* NULL: not known */
};

/* ---- one value ---- */

ORACLE int glob_says(const char *pattern, const char *text)
{
	struct glob *g;
	if (glob_compile(slice_of(pattern), &g, NULL) < 0)
		abort();
	int yes = glob_matches(g, slice_of(text));
	glob_free(g);
	return yes;
}

ORACLE int regex_says(const char *pattern, const char *text, int64_t *work)
{
	static struct { char *pattern; struct regex *r; } known[16];    /* to compile one is slow */
	const char *why;
	struct err e;
	size_t i = 0;

	while (i < COUNT(known) - 1 && known[i].pattern && strcmp(known[i].pattern, pattern) != 0)
		i++;
	if (!known[i].pattern || strcmp(known[i].pattern, pattern) != 0) {
		free(known[i].pattern);
		regex_free(known[i].r);
		known[i].pattern = xstrdup(pattern);
		if (regex_compile(slice_of(pattern), &known[i].r, &e) < 0)
			abort();
	}
	enum regex_outcome o = regex_search(known[i].r, slice_of(text), work, &why);
	oracle_is_over |= o == REGEX_GAVE_UP;
	return o == REGEX_YES;
}

ORACLE int order_of(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b))
		return (json_integer_value(a) > json_integer_value(b)) - (json_integer_value(a) < json_integer_value(b));
	long double x = json_is_integer(a) ? (long double)json_integer_value(a) : (long double)json_real_value(a);
	long double y = json_is_integer(b) ? (long double)json_integer_value(b) : (long double)json_real_value(b);
	return (x > y) - (x < y);
}

ORACLE int is_equal(const json_t *want, const json_t *v)
{
	if (json_is_number(want) && json_is_number(v))
		return order_of(want, v) == 0;
	return !json_is_object(v) && !json_is_array(v) && json_equal(want, v);
}

ORACLE int is_in_order(const char *op, const json_t *want, const json_t *v)
{
	int c;

	if (json_is_number(want) && json_is_number(v))
		c = order_of(v, want);
	else if (json_is_string(want) && json_is_string(v))
		c = strcmp(json_string_value(v), json_string_value(want));
	else
		return 0;
	return op[0] == 'l' ? (op[1] == 't' ? c < 0 : c <= 0) : (op[1] == 't' ? c > 0 : c >= 0);
}

ORACLE void lower_text(const char *from, struct buf *out)
{
	for (; *from; from++)
		buf_addc(out, *from >= 'A' && *from <= 'Z' ? (char)(*from + 32) : *from);
}

ORACLE int icase_says(const char *pattern, const char *text)
{
	CLEANUP(buf_fini) struct buf p = BUF(BUF_UNLIMITED), t = BUF(BUF_UNLIMITED);
	lower_text(pattern, &p);
	lower_text(text, &t);
	return glob_says(buf_cstr(&p), buf_cstr(&t));
}

/* The bits of an address, as text of 0 and 1. "" for none. */
ORACLE void bits_of(const char *text, size_t len, char out[129])
{
	unsigned char b[16];
	char word[64] = { 0 };
	int n = 4;

	out[0] = '\0';
	if (len >= sizeof word)
		return;
	memcpy(word, text, len);
	if (inet_pton(AF_INET, word, b) != 1) {
		n = 16;
		if (inet_pton(AF_INET6, word, b) != 1)
			return;
	}
	for (int i = 0; i < n * 8; i++)
		out[i] = b[i / 8] >> (7 - i % 8) & 1 ? '1' : '0';
	out[n * 8] = '\0';
}

/* Take the ::ffff: off an IPv4 address within IPv6. */
ORACLE int is_unmapped(char bits[129])
{
	if (strlen(bits) != 128 || strspn(bits, "0") < 80 || strspn(bits + 80, "1") < 16)
		return 0;
	memmove(bits, bits + 96, 33);
	return 1;
}

ORACLE int cidr_says(const char *network, const char *text)
{
	const char *slash = strchr(network, '/');
	char want[129], got[129];

	bits_of(network, slash ? (size_t)(slash - network) : strlen(network), want);
	bits_of(text, strlen(text), got);
	size_t prefix = slash ? (size_t)strtol(slash + 1, NULL, 10) : strlen(want);
	if (prefix >= 96 && is_unmapped(want))
		prefix -= 96;
	is_unmapped(got);
	return got[0] && strlen(want) == strlen(got) && strncmp(want, got, prefix) == 0;
}

/* One value against one operand of OP; "" is the plain value of a list. */
ORACLE int operand_says(const char *op, const json_t *want, const json_t *v, int64_t *work)
{
	const char *w = json_string_value(want), *t = json_string_value(v);

	if (strcmp(op, "") == 0 && w && t)
		return glob_says(w, t);
	if (strcmp(op, "") == 0 || strcmp(op, "eq") == 0 || strcmp(op, "ne") == 0)
		return is_equal(want, v);
	if (strlen(op) == 2 && (op[0] == 'l' || op[0] == 'g'))
		return is_in_order(op, want, v);
	if (!w || !t)
		return 0;
	if (strcmp(op, "has") == 0)
		return strstr(t, w) != NULL;
	if (strcmp(op, "starts") == 0)
		return strncmp(t, w, strlen(w)) == 0;
	if (strcmp(op, "ends") == 0)
		return strlen(t) >= strlen(w) && strcmp(t + strlen(t) - strlen(w), w) == 0;
	if (strcmp(op, "re") == 0)
		return regex_says(w, t, work);
	if (strcmp(op, "icase") == 0)
		return icase_says(w, t);
	if (strcmp(op, "cidr") == 0)
		return cidr_says(w, t);
	abort();
}

ORACLE int one_of(const char *op, const json_t *list, const json_t *v, int64_t *work)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list))
		return operand_says(op, list, v, work);
	json_array_foreach(list, i, item)
		if (operand_says(op, item, v, work))
			return 1;
	return 0;
}

/* ---- what a path leads to ---- */

#define HELD_MAX 4096

struct held {
	json_t *list[HELD_MAX];
	size_t n;
	int is_there, is_list, none_had_it;
};

/* The step at the front of *PATH; 'k' with KEY, 'i' with *AT, '*' for any element. */
ORACLE char next_step(const char **path, struct buf *key, long *at)
{
	const char *p = *path + (**path == '.');
	char quote = 0;

	buf_clear(key);
	if (*p == '[' && p[1] == ']') {
		*path = p + 2;
		return '*';
	}
	if (*p == '[' && p[1] != '"') {
		char *end;
		*at = strtol(p + 1, &end, 10);
		*path = end + 1;
		return 'i';
	}
	if (*p == '[') {
		quote = 1;
		p += 2;
	}
	while (*p && (quote ? *p != '"' : *p != '.' && *p != '[')) {
		p += quote && *p == '\\';
		buf_addc(key, *p++);
	}
	*path = quote ? p + 2 : p;
	return 'k';
}

ORACLE void keep(struct held *h, json_t *v)
{
	if (h->n < HELD_MAX)
		h->list[h->n++] = v;
	else
		oracle_is_over = 1;
}

ORACLE void collect(json_t *v, const char *path, struct held *out)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
	long at = 0;
	json_t *item;
	size_t i;

	if (!v)
		return;
	if (!*path) {
		keep(out, v);
		return;
	}
	char kind = next_step(&path, &key, &at);
	if (kind == 'k') {
		collect(json_object_getn(v, buf_cstr(&key), key.len), path, out);
	} else if (kind == 'i') {
		collect(json_array_get(v, (size_t)at), path, out);
	} else {
		json_array_foreach(v, i, item)
			collect(item, path, out);
	}
}

/* The list that the first [] of PATH walks, by a path of its own; NULL without one. */
ORACLE char *walked_list(const char *path)
{
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);
	const char *rest = path;
	long at;

	while (*rest) {
		const char *before = rest;
		if (next_step(&rest, &key, &at) == '*')
			return slice_dup((struct slice){ path, (size_t)(before - path) });
	}
	return NULL;
}

ORACLE void spread_lists(struct held *h)
{
	struct held out;
	json_t *item;
	size_t k;

	out.n = 0;
	for (size_t i = 0; i < h->n; i++) {
		if (!json_is_array(h->list[i])) {
			keep(&out, h->list[i]);
			continue;
		}
		h->is_list = 1;
		json_array_foreach(h->list[i], k, item)
			keep(&out, item);
	}
	memcpy(h->list, out.list, out.n * sizeof *out.list);
	h->n = out.n;
}

ORACLE void hold(json_t *doc, const char *path, struct held *h)
{
	CLEANUP(freep) char *walk = walked_list(path);
	static __thread struct held list;

	h->n = 0;
	collect(doc, path, h);
	h->is_list = walk != NULL;
	h->is_there = h->n > 0;
	h->none_had_it = walk && h->n == 0;
	if (h->none_had_it) {
		list.n = 0;
		collect(doc, walk, &list);
		h->is_there = list.n > 0 && json_is_array(list.list[0]);
	}
	spread_lists(h);
}

/* A value that stands by itself, which may be a list. */
ORACLE void hold_value(json_t *v, struct held *h)
{
	h->n = 1;
	h->list[0] = v;
	h->is_there = 1;
	h->is_list = h->none_had_it = 0;
	spread_lists(h);
}

/* ---- a test ---- */

ORACLE int test_says(json_t *test, const struct held *h, int64_t *work);

ORACLE int is_operator(const char *key)
{
	static const char *const words[] = { "eq", "ne", "has", "starts", "ends", "re", "lt", "le", "gt", "ge", "exists", "some", "every",
					     "icase", "cidr", "except", "#" };
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(key, words[i]) == 0)
			return 1;
	return 0;
}

ORACLE int least(int a, int b)
{
	return a < b ? a : b;
}

ORACLE int elements_table_says(json_t *tests, json_t *element, int64_t *work);

ORACLE int combine(const char *kind, json_t *list, json_t *about, int64_t *work, int (*says)(json_t *, json_t *, int64_t *))
{
	json_t *item;
	size_t i;
	int all = YES, any = NO;

	json_array_foreach(list, i, item) {
		int t = says(item, about, work);
		all = least(all, t);
		any = t > any ? t : any;
	}
	return strcmp(kind, "all") == 0 ? all : strcmp(kind, "any") == 0 ? any : YES - any;
}

ORACLE int is_combinator(const char *key, const json_t *v)
{
	return (strcmp(key, "any") == 0 || strcmp(key, "all") == 0 || strcmp(key, "none") == 0) && json_is_object(json_array_get(v, 0));
}

ORACLE int elements_table_says(json_t *tests, json_t *element, int64_t *work)
{
	struct held *h = xmalloc(sizeof *h);
	const char *path;
	json_t *test;
	int t = YES;

	json_object_foreach(tests, path, test) {
		if (is_combinator(path, test)) {
			t = least(t, combine(path, test, element, work, elements_table_says));
			continue;
		}
		hold(element, path, h);
		t = least(t, test_says(test, h, work));
	}
	free(h);
	return t;
}

ORACLE int element_says(json_t *tests, json_t *element, int64_t *work)
{
	const char *key;
	json_t *v;
	int is_plain = 1;

	if (json_is_object(tests))
		json_object_foreach(tests, key, v)
			is_plain &= is_operator(key);
	if (!is_plain)
		return elements_table_says(tests, element, work);
	struct held *h = xmalloc(sizeof *h);
	hold_value(element, h);
	int t = test_says(tests, h, work);
	free(h);
	return t;
}

ORACLE int elements_say(const char *op, json_t *tests, const struct held *h, int64_t *work)
{
	int all = YES, any = NO;

	for (size_t i = 0; h->is_list && i < h->n; i++) {
		int t = element_says(tests, h->list[i], work);
		all = least(all, t);
		any = t > any ? t : any;
	}
	return strcmp(op, "some") == 0 ? any : h->is_list && h->n ? all : NO;
}

/* Does V alone pass all operators that ask about one value? */
ORACLE int value_passes(json_t *test, const json_t *v, int64_t *work)
{
	json_t *list = json_is_object(test) ? json_object_get(test, "#") : test, *except = json_object_get(test, "except"), *want;
	const char *op;

	if (list || except)
		return (!list || one_of("", list, v, work)) && !(except && one_of("", except, v, work));
	json_object_foreach(test, op, want)
		if (strcmp(op, "ne") != 0 && strcmp(op, "exists") != 0 && strcmp(op, "some") != 0 && strcmp(op, "every") != 0 &&
		    !one_of(op, want, v, work))
			return 0;
	return 1;
}

ORACLE int operator_says(const char *op, json_t *want, const struct held *h, int64_t *work)
{
	if (strcmp(op, "exists") == 0)
		return !h->none_had_it == json_is_true(want) ? YES : NO;
	if (strcmp(op, "some") == 0 || strcmp(op, "every") == 0)
		return elements_say(op, want, h, work);
	for (size_t i = 0; strcmp(op, "ne") == 0 && i < h->n; i++)
		if (one_of(op, want, h->list[i], work))
			return NO;
	return YES;
}

ORACLE int asks_values(json_t *test)
{
	const char *op;
	json_t *want;

	if (!json_is_object(test) || json_object_get(test, "#") || json_object_get(test, "except"))
		return 1;
	json_object_foreach(test, op, want)
		if (strcmp(op, "ne") != 0 && strcmp(op, "exists") != 0 && strcmp(op, "some") != 0 && strcmp(op, "every") != 0)
			return 1;
	return 0;
}

ORACLE int test_says(json_t *test, const struct held *h, int64_t *work)
{
	const char *op;
	json_t *want;
	int t = YES, any = 0;

	if (!h->is_there)
		return json_is_object(test) && json_object_size(test) == 1 && json_is_false(json_object_get(test, "exists")) ? YES : NO;
	if (asks_values(test)) {
		for (size_t i = 0; i < h->n && !any; i++)
			any = value_passes(test, h->list[i], work);
		t = any ? YES : NO;
	}
	if (json_is_object(test))
		json_object_foreach(test, op, want)
			t = least(t, operator_says(op, want, h, work));
	return t;
}

/* ---- a whole `when` ---- */

ORACLE int held_says(json_t *test, json_t *v, struct held *h)
{
	int64_t work = REGEX_WORK_MAX;

	if (json_object_get(v, "$unknown"))
		return UNKNOWN;
	h->n = 0;
	h->is_there = h->is_list = h->none_had_it = 0;
	if (v)
		hold_value(v, h);
	return test_says(test, h, &work);
}

/* Of the tables payload, header, query. */
ORACLE int open_says(const char *kind, json_t *tests, const struct told *d)
{
	struct held *h = xmalloc(sizeof *h);
	const char *key;
	json_t *test;
	int t = YES;

	json_object_foreach(tests, key, test) {
		int64_t work = REGEX_WORK_MAX;
		CLEANUP(buf_fini) struct buf name = BUF(BUF_UNLIMITED);
		json_t *from = kind[0] == 'h' ? d->headers : d->query;
		if (kind[0] == 'p') {
			hold(d->payload, key, h);
			t = least(t, test_says(test, h, &work));
			continue;
		}
		if (kind[0] == 'h')
			lower_text(key, &name);
		else
			buf_adds(&name, key);
		t = least(t, from ? held_says(test, json_object_get(from, buf_cstr(&name)), h) : UNKNOWN);
	}
	free(h);
	return t;
}

ORACLE int when_says(json_t *when, const struct told *d);

ORACLE int table_says(json_t *when, json_t *told, int64_t *unused)
{
	return when_says(when, (const struct told *)(void *)told);
}

ORACLE int when_says(json_t *when, const struct told *d)
{
	struct held *h = xmalloc(sizeof *h);
	json_t *v;
	const char *key;
	int t = YES;

	if (json_is_array(when))
		t = combine("any", when, (json_t *)(uintptr_t)d, NULL, table_says);
	json_object_foreach(when, key, v) {
		if (strcmp(key, "any") == 0 || strcmp(key, "all") == 0 || strcmp(key, "none") == 0)
			t = least(t, combine(key, v, (json_t *)(uintptr_t)d, NULL, table_says));
		else if (strcmp(key, "payload") == 0 || strcmp(key, "header") == 0 || strcmp(key, "query") == 0)
			t = least(t, open_says(key, v, d));
		else
			t = least(t, held_says(v, json_object_get(d->fields, key), h));
	}
	free(h);
	return t;
}

ORACLE int rule_fires(json_t *rule, const struct told *d)
{
	json_t *when = json_object_get(rule, "when");
	int t = json_is_string(when) ? YES : when_says(when, d);

	if (json_is_false(json_object_get(rule, "enabled")))
		return 0;
	return t == YES || (t == UNKNOWN && !json_object_get(rule, "unknown"));
}
