/* rules/provider.c - a descriptor read from its table, and checked.
 *
 * A descriptor is data that decides who may start a job, so it is refused unless it is whole: a field that no scheme has, a
 * template whose timestamp no one sends, a timestamp that no signature covers are errors here, not surprises later. */
#include "rules/provider.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/descriptor.h"

static const char *const keys[] = {
	"kind", "hash", "enc", "sig", "prefix", "item", "pair", "take", "key", "strip", "ts", "ts_unit", "tol", "msgid", "payload",
	"signed", "digest", "event", "action", "delivery", "id_in_mac", "hello", "answer", "deadline", "retry", "like", "fields",
	"events", NULL
};
static const char *const kinds[] = { "", "hmac", "ed25519", "token", "basic", "none", NULL };
static const char *const hashes[] = { "sha1", "sha256", "sha512", NULL };
static const char *const forms[] = { "text", "hex", "base64", NULL };
static const char *const units[] = { "s", "ms", NULL };
static const char *const retries[] = { "none", "auto", NULL };

/* ---- saying what is wrong ---- */

void descriptor_wrong(struct descriptor_reader *d, const struct node *at, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	d->errors++;
	diags_add(d->diags, DIAG_ERROR, d->file, at ? at->line : 0, at ? at->col : 0, 0, "E301", "provider '%s': %s",
		  d->p->name, text);
}

void descriptor_unknown(struct descriptor_reader *d, const struct node_member *m, const char *what, const char *const *known)
{
	const char *nearest = did_you_mean(m->key, known);
	const char *before = nearest ? ", did you mean '" : "", *after = nearest ? "'?" : "";

	d->errors++;
	diags_add(d->diags, DIAG_ERROR, d->file, m->line, m->col, 0, "E302", "provider '%s': unknown %s '" SLICE_FMT "'%s%s%s",
		  d->p->name, what, SLICE_ARG(m->key), before, nearest ? nearest : "", after);
}

static int is_known(struct slice word, const char *const *known)
{
	for (; *known; known++)
		if (slice_eq(word, slice_of(*known)))
			return 1;
	return 0;
}

void descriptor_refuse_unknown(struct descriptor_reader *d, const struct node *table, const char *what, const char *const *known)
{
	for (size_t i = 0; i < table->n_members; i++)
		if (!is_known(table->members[i].key, known))
			descriptor_unknown(d, &table->members[i], what, known);
	for (size_t i = 0; i < table->n_items; i++)
		descriptor_wrong(d, table->items[i], "an item without a key stands where none is meant");
}

/* ---- values by type ---- */

/* SLICE_NULL where absent or no string. */
static struct slice string_of(struct descriptor_reader *d, const struct node *table, const char *key)
{
	const struct node *n = node_get(table, key);

	if (n && n->kind != NODE_STRING)
		descriptor_wrong(d, n, "%s must be a string, this is %s", key, node_kind_name(n->kind));
	return n && n->kind == NODE_STRING ? arena_copy(d->p->arena, n->text) : SLICE_NULL;
}

static int word_of(struct descriptor_reader *d, const struct node *table, const char *key, const char *const *words, int absent)
{
	struct slice s = string_of(d, table, key);

	if (!s.ptr)
		return absent;
	for (int i = 0; words[i]; i++)
		if (s.len && slice_eq(s, slice_of(words[i])))
			return i;
	const char *nearest = did_you_mean(s, words);
	descriptor_wrong(d, node_get(table, key), "%s = '" SLICE_FMT "' is none of its words%s%s", key, SLICE_ARG(s),
			 nearest ? ", did you mean " : "", nearest ? nearest : "");
	return absent;
}

static int64_t duration_of(struct descriptor_reader *d, const struct node *table, const char *key, int64_t absent)
{
	struct slice s = string_of(d, table, key);
	int64_t ms = absent;

	if (s.ptr && slice_to_duration_ms(s, &ms) < 0)
		descriptor_wrong(d, node_get(table, key), "%s = '" SLICE_FMT "' is no duration such as 10s, 5m, 30d", key, SLICE_ARG(s));
	return ms;
}

static int bool_of(struct descriptor_reader *d, const struct node *table, const char *key)
{
	const struct node *n = node_get(table, key);

	if (n && n->kind != NODE_BOOL)
		descriptor_wrong(d, n, "%s must be true or false, this is %s", key, node_kind_name(n->kind));
	return n && n->kind == NODE_BOOL && n->integer;
}

static char char_of(struct descriptor_reader *d, const struct node *table, const char *key)
{
	struct slice s = string_of(d, table, key);

	if (s.ptr && s.len != 1)
		descriptor_wrong(d, node_get(table, key), "%s must be one character", key);
	return s.len ? s.ptr[0] : '\0';
}

/* ---- source expressions ---- */

static int add_source(struct descriptor_reader *d, const struct node *at, struct slice text, struct sources *out)
{
	static const struct { const char *word; enum origin origin; } origins[] = {
		{ "header", FROM_HEADER }, { "sig", FROM_SIGNATURE }, { "json", FROM_JSON }, { "json#", FROM_JSON_INTEGER },
		{ "form", FROM_FORM }, { "query", FROM_QUERY }, { "const", FROM_CONST },
	};
	struct source_one one = { 0 };
	struct slice word, name;
	struct err e;

	if (slice_eq(text, SLICE("digest"))) {
		one.origin = FROM_DIGEST;
	} else if (slice_cut(text, ':', &word, &name) && name.len) {
		for (size_t i = 0; i < COUNT(origins); i++)
			if (slice_eq(word, slice_of(origins[i].word)))
				one.origin = origins[i].origin;
		one.name = name;
	}
	if (!one.origin) {
		descriptor_wrong(d, at, "'" SLICE_FMT "' is none of header:Name, sig:name, json:path, json#:path, form:name, query:name, "
				 "const:text, digest", SLICE_ARG(text));
		return -1;
	}
	if (one.origin == FROM_JSON || one.origin == FROM_JSON_INTEGER)
		if ((one.path = paths_add(d->p->documents, name, &e)) < 0) {
			descriptor_wrong(d, at, "%s", e.msg);
			return -1;
		}
	out->list[out->n++] = one;
	return 0;
}

static void read_sources_at(struct descriptor_reader *d, const struct node *n, const char *key, struct sources *out)
{
	if (!n)
		return;
	if (n->kind != NODE_STRING) {
		descriptor_wrong(d, n, "%s must be a string, this is %s", key, node_kind_name(n->kind));
		return;
	}
	struct slice rest = arena_copy(d->p->arena, n->text), one;
	while (rest.len) {
		slice_cut(rest, '|', &one, &rest);
		if (out->n == ALTERNATIVES_MAX) {
			descriptor_wrong(d, n, "%s has more than %d alternatives", key, ALTERNATIVES_MAX);
			return;
		}
		if (add_source(d, n, slice_trim(one), out) < 0)
			return;
	}
	if (out->n == 0)
		descriptor_wrong(d, n, "%s is empty", key);
}

static void read_sources(struct descriptor_reader *d, const struct node *table, const char *key, struct sources *out)
{
	read_sources_at(d, node_get(table, key), key, out);
}

/* ---- the signed text ---- */

static enum piece_kind piece_named(struct slice name)
{
	static const char *const names[PIECE_KINDS] = { "", "body", "payload", "ts", "msgid", "url", "form_sorted" };

	for (int i = 1; i < PIECE_KINDS; i++)
		if (slice_eq(name, slice_of(names[i])))
			return (enum piece_kind)i;
	return PIECE_KINDS;
}

static int add_piece(struct descriptor_reader *d, const struct node *at, struct piece piece)
{
	if (piece.kind == PIECE_KINDS) {
		descriptor_wrong(d, at, "signed: {" SLICE_FMT "} is none of {body} {payload} {ts} {msgid} {url} {form_sorted}",
				 SLICE_ARG(piece.text));
		return -1;
	}
	if (d->p->n_pieces == PIECES_MAX) {
		descriptor_wrong(d, at, "signed has more than %d parts", PIECES_MAX);
		return -1;
	}
	d->p->pieces[d->p->n_pieces++] = piece;
	return 0;
}

static void read_signed(struct descriptor_reader *d, const struct node *table)
{
	const struct node *at = node_get(table, "signed");
	struct slice rest = string_of(d, table, "signed"), text, name;

	while (rest.len) {
		int has_brace = slice_cut(rest, '{', &text, &rest);
		if (text.len && add_piece(d, at, (struct piece){ PIECE_TEXT, text }) < 0)
			return;
		if (!has_brace)
			return;
		if (!slice_cut(rest, '}', &name, &rest)) {
			descriptor_wrong(d, at, "signed: a '{' is not closed");
			return;
		}
		if (add_piece(d, at, (struct piece){ piece_named(name), name }) < 0)
			return;
	}
}

static int has_piece(const struct provider *p, enum piece_kind kind)
{
	for (size_t i = 0; i < p->n_pieces; i++)
		if (p->pieces[i].kind == kind)
			return 1;
	return 0;
}

static void read_take(struct descriptor_reader *d, const struct node *table)
{
	const struct node *n = node_get(table, "take");
	struct provider *p = d->p;
	size_t n_words = n && n->kind == NODE_TABLE ? n->n_items : n != NULL;

	if (n_words > TAKE_MAX)
		descriptor_wrong(d, n, "take has more than %d names", TAKE_MAX);
	for (size_t i = 0; i < n_words && i < TAKE_MAX; i++) {
		const struct node *word = n->kind == NODE_TABLE ? n->items[i] : n;
		if (word->kind != NODE_STRING || word->text.len == 0)
			descriptor_wrong(d, word, "take must be a name or a list of names");
		else
			p->take[p->n_take++] = arena_copy(p->arena, word->text);
	}
}

/* A header that says how a body is framed or read is not a sender's to choose. */
static int is_answer_header(struct slice name)
{
	return name.len && slice_chr(name, ':') < 0 && slice_chr(name, ' ') < 0 && !slice_ieq(name, SLICE("Transfer-Encoding")) &&
	       !slice_ieq(slice_upto(name, 8), SLICE("Content-")) && !slice_ieq(name, SLICE("Connection"));
}

static void read_hello_headers(struct descriptor_reader *d, const struct node *n)
{
	struct hello *h = &d->p->hello;

	if (n && (n->kind != NODE_TABLE || n->n_items || n->n_members > HELLO_HEADERS_MAX)) {
		descriptor_wrong(d, n, "headers of hello are a table of up to %d: name = source", HELLO_HEADERS_MAX);
		return;
	}
	for (size_t i = 0; n && i < n->n_members; i++) {
		const struct node_member *m = &n->members[i];
		if (!is_answer_header(m->key)) {
			descriptor_wrong(d, m->value, "'" SLICE_FMT "' is no header for an answer", SLICE_ARG(m->key));
			return;
		}
		h->headers[h->n_headers].name = arena_copy(d->p->arena, m->key);
		read_sources_at(d, m->value, "a header of hello", &h->headers[h->n_headers].value);
		h->n_headers++;
	}
}

/* hello = { when = "json:type", is = "url_verification", status = 200, answer = "json:challenge" }
 * hello = { method = "OPTIONS", when = "header:Origin", status = 200, headers = { Allow = "const:POST" } } */
static void read_hello(struct descriptor_reader *d, const struct node *table)
{
	static const char *const hello_keys[] = { "method", "when", "is", "status", "answer", "headers", NULL };
	const struct node *n = node_get(table, "hello");
	struct hello *h = &d->p->hello;

	if (!n)
		return;
	if (n->kind != NODE_TABLE) {
		descriptor_wrong(d, n, "hello must be a table, this is %s", node_kind_name(n->kind));
		return;
	}
	descriptor_refuse_unknown(d, n, "key of hello", hello_keys);
	read_sources(d, n, "when", &h->when);
	read_sources(d, n, "answer", &h->answer);
	h->is = string_of(d, n, "is");
	h->method = string_of(d, n, "method");
	read_hello_headers(d, node_get(n, "headers"));
	const struct node *status = node_get(n, "status");
	h->status = status && status->kind == NODE_INTEGER ? (int)status->integer : 0;
	if (h->status < 200 || h->status > 299 || !h->when.n || (!h->is.ptr && !h->method.len))
		descriptor_wrong(d, n, "hello needs when, is (or a method of its own), and a status from 200 to 299");
	if (h->method.len && !slice_eq(h->method, SLICE("OPTIONS")) && !slice_eq(h->method, SLICE("GET")))
		descriptor_wrong(d, n, "method of hello is \"OPTIONS\" or \"GET\"; without it, it comes as a POST");
}

/* delivery = "header:Id", or a list of parts that are unique together only. */
static void read_delivery(struct descriptor_reader *d, const struct node *table)
{
	const struct node *n = node_get(table, "delivery");
	struct provider *p = d->p;
	int is_list = n && n->kind == NODE_TABLE;
	size_t parts = is_list ? n->n_items : n != NULL;

	p->has_no_id = n && n->kind == NODE_STRING && slice_eq(n->text, SLICE("none"));
	if (p->has_no_id) {
		p->n_delivery = 1;                      /* of no source */
		return;
	}
	if (parts > DELIVERY_MAX || (is_list && parts == 0)) {
		descriptor_wrong(d, n, "delivery is a source, or a list of up to %d", DELIVERY_MAX);
		return;
	}
	for (size_t i = 0; i < parts; i++)
		read_sources_at(d, is_list ? n->items[i] : n, "delivery", &p->delivery[p->n_delivery++]);
	if (parts == 0)
		p->delivery[p->n_delivery++] = (struct sources){ { { .origin = FROM_DIGEST } }, 1 };
}

static void read_answer(struct descriptor_reader *d, const struct node *table)
{
	const struct node *n = node_get(table, "answer");

	if (n && (n->kind != NODE_INTEGER || (n->integer != 200 && n->integer != 201 && n->integer != 202 && n->integer != 204)))
		descriptor_wrong(d, n, "answer is the status of an accepted delivery, then without a body: 200, 201, 202 or 204");
	else if (n)
		d->p->answer_status = (int)n->integer;
}

/* ---- the whole ---- */

static void read_fields(struct descriptor_reader *d, const struct node *t)
{
	struct provider *p = d->p;
	static const char *const hash_names[] = { "SHA1", "SHA256", "SHA512" };
	static const size_t hash_bytes[] = { 20, 32, 64 };

	p->kind = (enum provider_kind)word_of(d, t, "kind", kinds, 0);
	int hash = word_of(d, t, "hash", hashes, -1);
	p->hash = hash < 0 ? NULL : hash_names[hash];
	p->signature_bytes = p->kind == KIND_ED25519 ? 64 : hash < 0 ? 0 : hash_bytes[hash];
	p->enc = (enum text_form)word_of(d, t, "enc", forms, TEXT_PLAIN);
	p->key = (enum text_form)word_of(d, t, "key", forms, TEXT_PLAIN);
	p->ts_unit_ms = word_of(d, t, "ts_unit", units, 0) ? 1 : 1000;
	p->tolerance_ms = duration_of(d, t, "tol", 0);
	p->retries = word_of(d, t, "retry", retries, 0);
	p->deadline_ms = duration_of(d, t, "deadline", 10000);
	p->id_in_mac = bool_of(d, t, "id_in_mac");
	p->item = char_of(d, t, "item");
	p->pair = char_of(d, t, "pair");
	p->prefix = string_of(d, t, "prefix");
	p->strip = string_of(d, t, "strip");
	read_sources(d, t, "sig", &p->sig);
	read_sources(d, t, "ts", &p->ts);
	read_sources(d, t, "msgid", &p->msgid);
	read_sources(d, t, "payload", &p->payload);
	read_sources(d, t, "digest", &p->digest);
	read_sources(d, t, "event", &p->event);
	read_sources(d, t, "action", &p->action);
	read_delivery(d, t);
	read_answer(d, t);
	if (p->kind == KIND_BASIC && p->sig.n == 0)
		p->sig = (struct sources){ { { .origin = FROM_HEADER, .name = SLICE("Authorization") } }, 1 };
	read_take(d, t);
	read_signed(d, t);
	read_hello(d, t);
}

static void need(struct descriptor_reader *d, const struct node *t, int holds, const char *text)
{
	if (!holds)
		descriptor_wrong(d, t, "%s", text);
}

static void check_signature(struct descriptor_reader *d, const struct node *t)
{
	const struct provider *p = d->p;
	int later = sources_use(&p->ts, FROM_JSON) || sources_use(&p->ts, FROM_JSON_INTEGER);

	need(d, t, p->kind == KIND_ED25519 || p->hash, "kind = 'hmac' needs a hash: sha1, sha256 or sha512");
	need(d, t, p->kind == KIND_HMAC || !p->hash, "hash belongs to kind = 'hmac'");
	need(d, t, p->kind == KIND_HMAC || p->key != TEXT_PLAIN, "kind = 'ed25519' needs key = 'hex' or 'base64'");
	need(d, t, p->enc != TEXT_PLAIN, "enc must be 'hex' or 'base64'");
	need(d, t, p->n_pieces > 0, "signed is missing: which bytes does the signature cover? Often \"{body}\"");
	need(d, t, has_piece(p, PIECE_BODY) || has_piece(p, PIECE_PAYLOAD) || has_piece(p, PIECE_FORM_SORTED),
	     "signed covers no body: {body}, {payload} or {form_sorted} is missing");
	need(d, t, !has_piece(p, PIECE_PAYLOAD) || p->payload.n, "signed has {payload}, payload is missing");
	need(d, t, !has_piece(p, PIECE_FORM_SORTED) || !p->digest.n || has_piece(p, PIECE_URL),
	     "digest needs {url} in signed, which covers it");
	need(d, t, !has_piece(p, PIECE_TS) || (p->ts.n && !later), "signed has {ts}, ts is missing or stands in the body");
	need(d, t, !p->ts.n || later || has_piece(p, PIECE_TS), "the signature does not cover ts: {ts} is missing in signed");
	need(d, t, !later || has_piece(p, PIECE_BODY), "a ts in the body needs {body} in signed");
	need(d, t, !p->ts.n || p->tolerance_ms > 0, "ts needs tol, the difference allowed, such as \"5m\"");
	need(d, t, !has_piece(p, PIECE_MSGID) || p->msgid.n, "signed has {msgid}, msgid is missing");
	need(d, t, !p->n_take || p->pair, "take needs pair, which ends a name");
	need(d, t, !p->item || p->pair, "item needs pair");
	need(d, t, !p->pair || p->n_take, "pair needs take: the names whose values are signatures");
	for (size_t i = 0; i < p->sig.n; i++) {
		enum origin o = p->sig.list[i].origin;
		need(d, t, o == FROM_HEADER || o == FROM_QUERY || o == FROM_FORM, "sig must be in a header, the query or a form");
	}
}

static void check_whole(struct descriptor_reader *d, const struct node *t)
{
	struct provider *p = d->p;
	int is_signed = p->kind == KIND_HMAC || p->kind == KIND_ED25519;

	if (!node_get(t, "kind"))
		descriptor_wrong(d, t, "kind is missing: hmac, ed25519, token, basic or none");
	need(d, t, p->event.n > 0, "event is missing: where the event's name is, such as \"header:X-Event\" or \"const:push\"");
	need(d, t, p->sig.n > 0 || p->kind == KIND_NONE || !p->kind, "sig is missing: where the signature is");
	if (is_signed)
		check_signature(d, t);
	else if (p->kind)
		need(d, t, !p->n_pieces && !p->ts.n && !p->hash, "signed, ts and hash belong to the kinds that sign");
	if (p->kind == KIND_HMAC) {
		p->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
		need(d, t, p->mac != NULL, "this OpenSSL has no HMAC");
	}
}

static void provider_freep(struct provider **p)
{
	provider_free(*p);
}

struct slice provider_like(const struct node *value)
{
	const struct node *like = value && value->kind == NODE_TABLE ? node_get(value, "like") : NULL;
	return like && like->kind == NODE_STRING ? like->text : SLICE_NULL;
}

static void check_like(struct descriptor_reader *d, const struct descriptor *from)
{
	struct slice like = string_of(d, from->value, "like");

	if (like.ptr && !from->base)
		descriptor_wrong(d, node_get(from->value, "like"), "like = '" SLICE_FMT "' is no provider without errors that has "
				 "events of its own", SLICE_ARG(like));
}

int provider_compile(const struct descriptor *from, struct provider **out, struct diags *diags)
{
	CLEANUP(provider_freep) struct provider *p = xcalloc(1, sizeof *p);
	struct descriptor_reader d = { .p = p, .file = from->file, .diags = diags };
	const struct node *value = from->value;

	p->arena = arena_new();
	p->name = arena_str(p->arena, slice_of(from->name));
	p->documents = paths_new();
	p->fields = paths_new();
	if (!value || value->kind != NODE_TABLE) {
		descriptor_wrong(&d, value, "a descriptor is a table");
		return -1;
	}
	descriptor_refuse_unknown(&d, value, "field", keys);
	read_fields(&d, value);
	check_whole(&d, value);
	check_like(&d, from);
	mapping_compile(&d, value, from->base);
	if (d.errors)
		return -1;
	*out = TAKE(&p);
	return 0;
}

void provider_free(struct provider *p)
{
	if (!p)
		return;
	EVP_MAC_free(p->mac);
	paths_free(p->documents);
	paths_free(p->fields);
	arena_free(p->arena);
	free(p);
}

const char *provider_name(const struct provider *p)
{
	return p->name;
}

int64_t provider_deadline_ms(const struct provider *p)
{
	return p->deadline_ms;
}

int provider_retries(const struct provider *p)
{
	return p->retries;
}

int provider_needs_private_key(const struct provider *p)
{
	return p->kind == KIND_ED25519;
}

int provider_answer_status(const struct provider *p)
{
	return p->answer_status;
}

struct slice provider_hello_method(const struct provider *p)
{
	return p->hello.method;
}

static int reads(const struct sources *s, enum origin origin, struct slice name)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].origin == origin &&
		    (origin == FROM_HEADER ? slice_ieq(s->list[i].name, name) : slice_eq(s->list[i].name, name)))
			return 1;
	return 0;
}

static enum provider_use use_of(const struct provider *p, enum origin origin, struct slice name)
{
	const struct sources *tell[] = { &p->event, &p->action, &p->msgid };
	int is_told = 0;

	if (reads(&p->sig, origin, name))
		return PROVIDER_PROVES;
	for (size_t i = 0; i < COUNT(tell); i++)
		is_told |= reads(tell[i], origin, name);
	for (size_t i = 0; i < p->n_delivery; i++)
		is_told |= reads(&p->delivery[i], origin, name);
	return is_told ? PROVIDER_TELLS : PROVIDER_UNREAD;
}

enum provider_use provider_reads_header(const struct provider *p, struct slice name)
{
	return use_of(p, FROM_HEADER, name);
}

enum provider_use provider_reads_query(const struct provider *p, struct slice name)
{
	return use_of(p, FROM_QUERY, name);
}

int provider_signs_id(const struct provider *p)
{
	return p->id_in_mac;
}
