/* tests/fuzz/match_cases.h - random rule sets and deliveries, and what both the program and the oracle say of them. The dice
 * are rand(), or the bytes that a fuzzer gives. Shared by the fuzz target and the unit test. */
#pragma once
#include <stdio.h>

#include "match_oracle.h"
#include "rules/match.h"
#include "rules/ruleset.h"

#ifndef CASES_RULES
#define CASES_RULES 12
#define CASES_DELIVERIES 20
#endif
#define CASES_RECEIVED_MS 1796104799000         /* 2026-12-01T05:59:59Z */

enum world { PAYLOADS, PUSHES };        /* raw paths of any document; fields of a forge's pushes */

struct dice { const unsigned char *bytes; size_t n; };  /* bytes NULL: rand(); at their end every throw is 0 */
ORACLE struct dice dice_of;

ORACLE unsigned dice(unsigned n)
{
	if (!dice_of.bytes)
		return (unsigned)rand() % n;
	if (dice_of.n == 0)
		return 0;
	dice_of.n--;
	return *dice_of.bytes++ % n;
}

#define PICK(array) (array)[dice(COUNT(array))]

/* ---- values ---- */

ORACLE void add_scalar(struct buf *out)
{
	static const char *const s[] = { "'a'", "'b'", "'A'", "'x/a'", "'x/y/b'", "'X/a'", "''", "1", "2", "1.0", "2.5", "true", "false", "null",
		"'10.0.0.1'", "'::ffff:10.1.2.3'", "'2001:db8::1'", "9223372036854775807", "-9223372036854775808", "9.3e18", "'aaaaaaaaaa!'" };
	buf_adds(out, PICK(s));
}

ORACLE void add_many(struct buf *out, unsigned least, unsigned most, void (*add)(struct buf *))
{
	buf_addc(out, '[');
	for (unsigned i = 0, n = least + dice(most - least + 1); i < n; i++) {
		buf_adds(out, i ? "," : "");
		add(out);
	}
	buf_addc(out, ']');
}

ORACLE void add_element(struct buf *out)
{
	unsigned d = dice(8);

	if (d < 2) {
		add_scalar(out);
	} else if (d < 3) {
		add_many(out, 0, 2, add_scalar);
	} else {
		buf_adds(out, "{'k':");
		add_scalar(out);
		if (dice(2)) {
			buf_adds(out, ",'n':");
			add_many(out, 0, 2, add_scalar);
		}
		buf_addc(out, '}');
	}
}

static const char *const top_paths[] = { "a", "b", "c", "d", "a.k", "a[].k", "b[0]", "c[].n", "[\\\"x.y\\\"].k", "d[].n[]", "b.n" };

ORACLE void add_payload(struct buf *out)
{
	static const char *const names[] = { "a", "b", "c", "d", "x.y" };

	buf_addc(out, '{');
	for (size_t i = 0, n = 0; i < COUNT(names); i++) {
		unsigned d = dice(10);
		if (d < 2)
			continue;
		buf_addf(out, "%s'%s':", n++ ? "," : "", names[i]);
		if (d < 5)
			add_scalar(out);
		else if (d < 7)
			add_many(out, 0, 3, add_scalar);
		else
			d < 9 ? add_many(out, 0, 3, add_element) : add_element(out);
	}
	buf_addc(out, '}');
}

static const char *const texts[] = { "a", "b", "x/a", "x/y/b", "A", "X/a", "aaaaaaaaaa!" };

/* A push, and what it says in common terms. */
ORACLE void add_push(struct buf *out, struct buf *fields)
{
	const char *repo = PICK(texts), *branch = PICK(texts), *title = PICK(texts);
	CLEANUP(buf_fini) struct buf files = BUF(BUF_UNLIMITED);
	int is_new = dice(3) == 0, has_title = dice(3) != 0;

	for (unsigned i = 0, n = dice(4); i < n; i++)
		buf_addf(&files, "%s'%s'", i ? "," : "", PICK(texts));
	buf_addf(out, "{'repository':{'full_name':'%s'},'ref':'refs/heads/%s','created':%s,'commits':[{'added':[],'modified':[%s],"
		 "'removed':[]}]", repo, branch, is_new ? "true" : "false", buf_cstr(&files));
	buf_addf(fields, ",'repo':'%s','branch':'%s','paths':", repo, branch);
	buf_addf(fields, is_new ? "{'$unknown':1}" : "[%s]", buf_cstr(&files));
	if (has_title) {
		buf_addf(out, ",'message':'%s\\n\\nmore'", title);
		buf_addf(fields, ",'title':'%s'", title);
	}
	buf_addc(out, '}');
}

/* ---- tests ---- */

ORACLE void add_text_pattern(struct buf *out)
{
	static const char *const s[] = { "'a'", "'b'", "'x/a'", "'x/*'", "'x/**'", "'x/y/*'", "'*'", "'**/b'", "'?'", "'*a'", "'x*'",
		"'**/y/**'", "'*/y/*'" };
	buf_adds(out, PICK(s));
}

ORACLE void add_any_pattern(struct buf *out)
{
	static const char *const s[] = { "1", "2.5", "1.0", "true", "null", "9223372036854775807" };
	if (dice(4))
		add_text_pattern(out);
	else
		buf_adds(out, PICK(s));
}

ORACLE void add_text_operators(struct buf *out)
{
	static const char *const s[] = {
		"{'eq':'a'}", "{'ne':'a'}", "{'has':'a'}", "{'exists':true}", "{'exists':true,'ne':'a'}", "{'starts':'x/'}", "{'starts':['x/y/','a']}",
		"{'starts':'x/y','ends':'b'}", "{'ends':['a','/b']}", "{'icase':'A'}", "{'icase':['x/A','b']}", "{'icase':'X/*'}", "{'re':'^x'}",
		"{'re':['a$','y']}", "{'re':'^(a+)+$'}", "{'eq':['x/a','b']}", "{'ge':'b','lt':'y'}", "{'le':'a','ne':['A','a']}", "{'exists':false}",
		"{'starts':'x/','ne':'x/a'}", "{'icase':'x/y/b','eq':'x/y/b'}", "{'ne':['a','b']}", "{'has':['x','b'],'starts':'x/y/b'}",
	};
	buf_adds(out, PICK(s));
}

ORACLE void add_any_operators(struct buf *out)
{
	static const char *const s[] = {
		"{'eq':['x/a',1]}", "{'ne':['a',1]}", "{'ge':1,'lt':2}", "{'gt':1}", "{'le':2}", "{'cidr':'10.0.0.0/8'}", "{'cidr':['::/0','10.0.0.1']}",
		"{'ge':-9223372036854775808}", "{'lt':9223372036854775807}", "{'gt':9223372036854775807}", "{'eq':null}", "{'ne':null}",
		"{'cidr':'::ffff:10.1.0.0/112'}", "{'eq':1.0}", "{'exists':false}",
	};
	if (dice(2))
		add_text_operators(out);
	else
		buf_adds(out, PICK(s));
}

ORACLE void add_elements_test(struct buf *out)
{
	static const char *const s[] = {
		"'a'", "{'ge':1}", "{'k':'a'}", "{'k':{'starts':'x/'},'n':1}", "{'n':{'some':'a'}}", "{'n':{'every':{'ge':1}}}", "['a','x/**']",
		"{'any':[{'k':'a'},{'k':{'ge':1}}]}", "{'none':[{'k':'a'}],'k':{'exists':true}}", "{'n[0]':'a'}", "{'n[]':{'ne':1}}", "{'k':{'exists':false}}",
		"{'#':['x/*'],'except':'x/a'}", "{'ne':'a'}", "{'some':'a'}", "{'all':[{'k':{'ne':'a'}},{'k':{'ne':1}}]}",
	};
	buf_addf(out, "{'%s':", dice(2) ? "some" : "every");
	buf_adds(out, PICK(s));
	if (dice(4) == 0)
		buf_adds(out, ",'exists':true");
	buf_addc(out, '}');
}

ORACLE void add_test(struct buf *out, int is_text)
{
	void (*add_pattern)(struct buf *) = is_text ? add_text_pattern : add_any_pattern;
	unsigned d = dice(20);

	if (d < 6) {
		add_pattern(out);
	} else if (d < 9) {
		add_many(out, 1, 3, add_pattern);
	} else if (d < 11) {
		buf_adds(out, "{'#':");
		add_many(out, 1, 3, add_pattern);
		buf_adds(out, ",'except':");
		add_pattern(out);
		buf_addc(out, '}');
	} else if (d < 12) {
		buf_adds(out, "{'except':");
		add_many(out, 1, 3, add_pattern);
		buf_addc(out, '}');
	} else if (d < 14 && !is_text) {
		add_elements_test(out);
	} else {
		(is_text ? add_text_operators : add_any_operators)(out);
	}
}

/* ,'header':{…},'query':{…} now and then */
ORACLE void add_request_tests(struct buf *out, const char *gap)
{
	static const char *const header[] = { "x-a", "X-B", "x-c" }, *const query[] = { "q", "r", "Q" };
	static const char *const received[] = { "{'ge':'2026-12-01'}", "{'lt':'2026-12-01'}", "'2026-12-01T*'", "{'gt':'2027'}" };

	if (dice(6) == 0) {
		buf_addf(out, "%s'header':{'%s':", gap, PICK(header));
		add_test(out, 1);
		buf_addc(out, '}');
		gap = ",";
	}
	if (dice(6) == 0) {
		buf_addf(out, "%s'query':{'%s':", gap, PICK(query));
		add_test(out, 1);
		buf_addc(out, '}');
		gap = ",";
	}
	if (dice(12) == 0)
		buf_addf(out, "%s'received':%s", gap, PICK(received));
}

ORACLE void add_when(struct buf *out, enum world world, int depth)
{
	static const char *const lists[] = { "any", "all", "none" }, *const fields[] = { "repo", "branch", "title", "paths" };
	unsigned n = 1 + dice(2), first = dice(world == PUSHES ? COUNT(fields) : COUNT(top_paths));

	buf_adds(out, world == PUSHES ? "{" : "{'payload':{");
	for (unsigned i = 0; i < n; i++) {
		if (world == PUSHES)
			buf_addf(out, "%s'%s':", i ? "," : "", fields[(first + i) % COUNT(fields)]);
		else
			buf_addf(out, "%s'%s':", i ? "," : "", top_paths[(first + i) % COUNT(top_paths)]);
		add_test(out, world == PUSHES);
	}
	buf_adds(out, world == PUSHES ? "" : "}");
	add_request_tests(out, ",");
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

static const char *const events[] = { "e", "e.x", "f", "f.y.z", "g" };

ORACLE void add_rule(struct buf *out, enum world world)
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
	if (dice(8) == 0) {
		buf_addc(out, '[');
		add_when(out, world, 1);
		buf_addc(out, ',');
		add_when(out, world, 1);
		buf_addc(out, ']');
	} else {
		add_when(out, world, 2);
	}
	buf_adds(out, dice(4) ? "" : ",'unknown':'skip'");
	buf_adds(out, dice(16) ? "" : ",'enabled':false");
	buf_adds(out, ",'run':{'$fn':1}}");
}

/* ---- a rule set, a delivery ---- */

struct sample {
	enum world world;
	struct ruleset *rs;
	json_t *rules[CASES_RULES];
};

ORACLE int sample_init(struct sample *s, enum world world, struct buf *shown)
{
	struct bundle_text b = BUNDLE_TEXT;
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	struct diags d = { 0 };
	struct err e;

	s->world = world;
	bundle_forge(&b);
	bundle_decl(&b, "source", "s", 1, world == PUSHES ? "{'provider':'forge','secret':{'$secret':'x'}}" : "{'auth':'none'}");
	for (int i = 0; i < CASES_RULES; i++) {
		CLEANUP(buf_fini) struct buf rule = BUF(BUF_UNLIMITED);
		char name[16];
		snprintf(name, sizeof name, "r%d", i);
		add_rule(&rule, world);
		s->rules[i] = plain_json(buf_cstr(&rule));
		bundle_decl(&b, "rule", name, i + 1, buf_cstr(&rule));
	}
	int made = ruleset_compile(bundle_end(&b, &text), &s->rs, &d, &e);
	diags_print(&d, shown, 0);
	diags_fini(&d);
	return made;
}

ORACLE void sample_fini(struct sample *s)
{
	for (int i = 0; i < CASES_RULES; i++)
		json_decref(s->rules[i]);
	ruleset_unref(s->rs);
}

struct sent {
	const char *event;
	struct buf payload, headers, query;     /* as JSON, JSON and a query; over: not at hand */
	struct told told;
};

/* The same twice: as it is sent, and plain. */
ORACLE void sent_init(struct sent *s, enum world world)
{
	static const char *const headers[] = { "{}", "{'x-a':'a'}", "{'x-a':'x/a','x-b':'b'}", "{'x-b':'A','x-c':''}" };
	static const char *const query[][2] = { { "", "{}" }, { "q=a", "{'q':'a'}" }, { "q=x/a&r=b&q=b", "{'q':['x/a','b'],'r':'b'}" },
		{ "Q=%41&r", "{'Q':'A','r':''}" } };
	CLEANUP(buf_fini) struct buf fields = BUF(BUF_UNLIMITED), payload = BUF(BUF_UNLIMITED);
	unsigned h = dice(5), q = dice(5);

	*s = (struct sent){ .event = world == PUSHES ? "push" : PICK(events), .payload = BUF(BUF_UNLIMITED), .headers = BUF(BUF_UNLIMITED),
			    .query = BUF(BUF_UNLIMITED) };
	buf_adds(&fields, "{'received':'2026-12-01T05:59:59Z'");
	if (world == PUSHES)
		add_push(&payload, &fields);
	else
		add_payload(&payload);
	buf_addc(&fields, '}');
	s->told.payload = plain_json(buf_cstr(&payload));
	s->told.fields = plain_json(buf_cstr(&fields));
	char *json = json_dumps(s->told.payload, JSON_COMPACT);
	buf_adds(&s->payload, json);
	free(json);
	if (h < COUNT(headers)) {
		s->told.headers = plain_json(headers[h]);
		json = json_dumps(s->told.headers, JSON_COMPACT);
		buf_adds(&s->headers, json);
		free(json);
	}
	if (q < COUNT(query)) {
		s->told.query = plain_json(query[q][1]);
		buf_adds(&s->query, query[q][0]);
	}
}

ORACLE void sent_fini(struct sent *s)
{
	json_decref(s->told.payload);
	json_decref(s->told.fields);
	json_decref(s->told.headers);
	json_decref(s->told.query);
	buf_fini(&s->payload);
	buf_fini(&s->headers);
	buf_fini(&s->query);
}

ORACLE struct delivery_view view_of(const struct ruleset *rs, struct sent *s)
{
	return (struct delivery_view){
		.source = ruleset_source_at(rs, 0), .event = slice_of(s->event), .json = slice_of(buf_cstr(&s->payload)), .delivery_key = "k",
		.headers_json = slice_of(s->told.headers ? buf_cstr(&s->headers) : NULL),
		.query = slice_of(s->told.query ? buf_cstr(&s->query) : NULL), .received_ms = CASES_RECEIVED_MS,
	};
}

ORACLE int on_says(json_t *rule, const char *event)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(rule, "on"), i, item) {
		const char *colon = strchr(json_string_value(item), ':'), *name = colon ? colon + 1 : json_string_value(item);
		size_t len = strlen(name);
		if (strcmp(name, "*") == 0 || (strncmp(name, event, len) == 0 && (event[len] == '\0' || event[len] == '.')))
			return 1;
	}
	return 0;
}

/* NULL, or the rule and the delivery that the two sides differ about; owned. *listen counts the rules that hear it. */
ORACLE char *compare(const struct sample *s, const struct sent *sent, const struct match *m, size_t *listen)
{
	size_t next = 0;

	*listen = 0;
	oracle_is_over = 0;
	for (size_t i = 0; i < CASES_RULES; i++) {
		int listens = on_says(s->rules[i], sent->event);
		int want = listens && rule_fires(s->rules[i], &sent->told);
		int got = next < match_count(m) && match_rule(m, next) == ruleset_rule_at(s->rs, i);
		*listen += (size_t)listens;
		next += (size_t)got;
		if (want == got || oracle_is_over)
			continue;
		char *rule = json_dumps(s->rules[i], JSON_COMPACT), *doc = json_dumps(sent->told.payload, JSON_COMPACT);
		char *headers = json_dumps(sent->told.headers, JSON_COMPACT), *query = json_dumps(sent->told.query, JSON_COMPACT);
		char *said = xprintf("rule %s over %s %s, headers %s, query %s: want %d, got %d", rule, sent->event, doc,
				     headers ? headers : "unknown", query ? query : "unknown", want, got);
		free(rule);
		free(doc);
		free(headers);
		free(query);
		return said;
	}
	return next == match_count(m) || oracle_is_over ? NULL : xstrdup("a rule fired twice, or out of order");
}
