/* What matches is what a slow reference says, whatever the rules and the delivery. An input that begins with '{' is one rule and
 * one delivery as plain JSON, {"when":…,"payload":…,"headers":{…},"query":"…"} (tests/unit/bundle.h says what plain means); any
 * other is the dice of tests/fuzz/match_cases.h: a rule set and deliveries. */
#include <stdint.h>

#define CASES_RULES 4                           /* small samples, so that there are many */
#define CASES_DELIVERIES 4
#include "match_cases.h"
#include "rules/form.h"
#include "rules/match.h"

static void differ(char *said)
{
	if (!said)
		return;
	fprintf(stderr, "%s\n", said);
	abort();
}

static void explain(const struct match *m)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 20);
	match_explain(m, &out, 0);
	match_explain_json(m, &out);
	match_why_json(m, &out);
	match_matched_notes_json(m, &out);
}

static void throw_dice(const uint8_t *bytes, size_t n)
{
	CLEANUP(buf_fini) struct buf shown = BUF(BUF_UNLIMITED);
	struct sample s;

	dice_of = (struct dice){ bytes, n };
	if (sample_init(&s, dice(3) ? PAYLOADS : PUSHES, &shown) < 0)
		differ(xprintf("random rules do not compile: %s", buf_cstr(&shown)));
	for (int i = 0; i < CASES_DELIVERIES && dice_of.n; i++) {
		struct sent sent;
		struct match *m;
		struct err e;
		size_t listen;
		sent_init(&sent, s.world);
		struct delivery_view d = view_of(s.rs, &sent);
		if (ruleset_match(s.rs, &d, &m, &e) < 0)
			differ(xprintf("a random delivery is refused: %s", e.msg));
		differ(compare(&s, &sent, m, &listen));
		explain(m);
		match_free(m);
		sent_fini(&sent);
	}
	sample_fini(&s);
	dice_of = (struct dice){ 0 };
}

/* What plain JSON writes in more than one way, bundle.h reads in one: only that is taken. */
static int is_plain(json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	json_array_foreach(v, i, item)
		if (!is_plain(item))
			return 0;
	json_object_foreach(v, key, item) {
		int is_list = strcmp(key, "#") == 0;
		if (key[0] == '$' || (key[0] == '#' && !is_list) || !is_plain(item))
			return 0;
		if (is_list && (json_array_size(item) == 0 || !json_object_get(v, "except")))
			return 0;
	}
	return 1;
}

static struct ruleset *compile_one(const char *rule)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED), shown = BUF(1 << 20);
	struct bundle_text b = BUNDLE_TEXT;
	struct ruleset *rs = NULL;
	struct diags d = { 0 };
	struct err e;

	bundle_decl(&b, "source", "s", 1, "{'auth':'none'}");
	bundle_decl(&b, "rule", "r0", 1, rule);
	if (ruleset_compile(bundle_end(&b, &text), &rs, &d, &e) < 0)
		rs = NULL;
	diags_print(&d, &shown, 0);
	diags_fini(&d);
	return rs;
}

static void match_text(const struct ruleset *rs, json_t *rule, const json_t *doc)
{
	CLEANUP(buf_fini) struct buf query = BUF(1 << 20);
	char *payload = json_dumps(json_object_get(doc, "payload"), JSON_COMPACT), *headers = json_dumps(json_object_get(doc, "headers"), JSON_COMPACT);
	const char *sent = json_string_value(json_object_get(doc, "query"));
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("e"), .json = slice_of(payload), .delivery_key = "k",
				   .headers_json = slice_of(headers), .query = slice_of(sent), .received_ms = CASES_RECEIVED_MS };
	struct told told = { .payload = json_object_get(doc, "payload"), .headers = json_object_get(doc, "headers") };
	struct match *m;
	struct err e;

	told.fields = plain_json("{'received':'2026-12-01T05:59:59Z','source':'s','event':'e','delivery':'k'}");
	if (sent && form_to_json(slice_of(sent), &query, &e) == 0)
		told.query = json_loadb(query.ptr, query.len, 0, NULL);
	if (ruleset_match(rs, &d, &m, &e) == 0) {
		oracle_is_over = 0;
		int want = rule_fires(rule, &told);
		if (want != (int)match_count(m) && !oracle_is_over)
			differ(xprintf("want %d, got %zu", want, match_count(m)));
		explain(m);
		match_free(m);
	}
	json_decref(told.fields);
	json_decref(told.query);
	free(payload);
	free(headers);
}

static void read_text(const uint8_t *bytes, size_t n)
{
	json_t *doc = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
	json_t *when = json_object_get(doc, "when"), *headers = json_object_get(doc, "headers");

	/* plain_json reads ' as ", so that no text may hold either. */
	if (when && is_plain(when) && (!headers || json_is_object(headers)) && !memchr(bytes, '\'', n)) {
		json_t *rule = json_pack("{s:s,s:O,s:{s:i}}", "on", "s:*", "when", when, "run", "$fn", 1);
		char *text = json_dumps(rule, JSON_COMPACT);
		struct ruleset *rs = compile_one(text);
		if (rs)
			match_text(rs, rule, doc);
		ruleset_unref(rs);
		free(text);
		json_decref(rule);
	}
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	if (n && bytes[0] == '{')
		read_text(bytes, n);
	else
		throw_dice(n ? bytes : (const uint8_t *)"", n);
	return 0;
}
