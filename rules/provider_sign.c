/* rules/provider_sign.c - a descriptor read backwards: what its sender would add to a request. For `simulate` and tests. */
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "rules/descriptor.h"
#include "rules/form.h"

#define WHOLE_MAX (64 << 20)
#define SEED_BYTES 32

struct signing {
	const struct provider *p;
	const struct request_view *request;
	const struct sender *by;
	struct slice id, event;
	char ts[24];
	struct buf payload, form, url;          /* pieces that are not in the request as they are */
	const struct values *values;            /* of a JSON body; else NULL */
	struct buf *out, *query;
	struct err *e;
};

/* ---- headers and query ---- */

static int has_header(const struct signing *s, struct slice wanted)
{
	struct slice rest = buf_slice(s->out), line, name, value;

	for (size_t i = 0; i < s->request->n_headers; i++)
		if (slice_ieq(s->request->headers[i].name, wanted))
			return 1;
	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		slice_cut(line, ':', &name, &value);
		if (slice_ieq(name, wanted))
			return 1;
	}
	return 0;
}

/* The header that carries a value, where one does: the first alternative that is a header. */
static struct slice header_of(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].origin == FROM_HEADER)
			return s->list[i].name;
	return SLICE_NULL;
}

static struct slice query_of(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].origin == FROM_QUERY)
			return s->list[i].name;
	return SLICE_NULL;
}

/* The request says it already: in a header, or in its document. */
static int is_said(const struct signing *s, const struct sources *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct source_one *one = &from->list[i];
		const struct lookup_place at = { .request = s->request, .provider = s->p, .values = s->values };
		CLEANUP(buf_fini) struct buf scratch = BUF(1024);
		struct sources alone = { { *one }, 1 };
		struct slice value;
		if (one->origin == FROM_HEADER ? has_header(s, one->name)
					       : one->origin != FROM_DIGEST && one->origin != FROM_CONST &&
							 sources_find(&alone, &at, &scratch, &value) == LOOKUP_FOUND)
			return 1;
	}
	return 0;
}

/* Two sources may name one header: the second would double it. */
static void add_header(struct signing *s, struct slice name, struct slice value)
{
	if (name.len == 0 || value.len == 0 || has_header(s, name))
		return;
	buf_add(s->out, name);
	buf_adds(s->out, ": ");
	buf_add(s->out, value);
	buf_addc(s->out, '\n');
}

static void add_query(struct signing *s, struct slice name, struct slice value)
{
	buf_adds(s->query, s->query->len ? "&" : "");
	buf_add(s->query, name);
	buf_addc(s->query, '=');
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
			buf_addc(s->query, (char)c);
		else
			buf_addf(s->query, "%%%02X", c);
	}
}

static int is_line(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return 0;
	return 1;
}

/* ---- the pieces ---- */

static int is_form(const struct signing *s)
{
	return request_body_kind(s->request) == BODY_FORM;
}

static int take_payload(struct signing *s, struct slice *out)
{
	const struct lookup_place at = { .request = s->request, .provider = s->p };

	*out = s->request->body;
	if (!is_form(s) || sources_find(&s->p->payload, &at, &s->payload, out) == LOOKUP_FOUND)
		return 0;
	return err_set(s->e, ERR_INPUT, "the form has no readable field '" SLICE_FMT "', or several", SLICE_ARG(s->p->payload.list[0].name));
}

/* What stands for the body is in the address already where it is no form: see add_digest. */
static int take_form(struct signing *s, struct slice *out)
{
	*out = SLICE_NULL;
	if (!is_form(s))
		return 0;
	if (form_sorted(s->request->body, &s->form, s->e) < 0)
		return -1;
	*out = buf_slice(&s->form);
	return 0;
}

static int take_url(struct signing *s, struct slice *out)
{
	if (s->request->url.len == 0)
		return err_set(s->e, ERR_INPUT, "provider '%s' signs the address, which is not known", s->p->name);
	buf_clear(&s->url);
	buf_add(&s->url, s->request->url);
	buf_adds(&s->url, s->query->len ? "?" : "");
	buf_add(&s->url, buf_slice(s->query));
	*out = buf_slice(&s->url);
	return 0;
}

static int take_piece(struct signing *s, const struct piece *piece, struct slice *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
		*out = piece->text;
		return 0;
	case PIECE_BODY:
		*out = s->request->body;
		return 0;
	case PIECE_PAYLOAD:
		return take_payload(s, out);
	case PIECE_TS:
		*out = slice_of(s->ts);
		return 0;
	case PIECE_MSGID:
		*out = s->id;
		return 0;
	case PIECE_URL:
		return take_url(s, out);
	case PIECE_FORM_SORTED:
		return take_form(s, out);
	case PIECE_KINDS:
		break;
	}
	abort();
}

/* ---- the keys ---- */

static int mac_of(const struct signing *s, const struct slice *pieces, unsigned char out[64])
{
	CLEANUP(buf_fini) struct buf key = BUF(64 << 10);

	if (provider_key(s->p, s->by->secret, &key) < 0)
		return err_set(s->e, ERR_INPUT, "the secret is no key of provider '%s'", s->p->name);
	int bad = provider_hmac(s->p, buf_slice(&key), pieces, s->p->n_pieces, out);
	OPENSSL_cleanse(key.ptr, key.cap);
	return bad ? err_set(s->e, ERR_BUG, "HMAC failed") : 0;
}

static EVP_PKEY *key_of_pem(struct slice text)
{
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)text.len);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (key && EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

/* PEM; or the seed, or the seed with the public key behind it, in hex or base64, perhaps after whsk_. */
static EVP_PKEY *private_key(struct slice text)
{
	CLEANUP(buf_fini) struct buf bytes = BUF(256);
	EVP_PKEY *key = NULL;

	text = slice_trim(text);
	if (slice_starts(text, SLICE("-----BEGIN")))
		return key_of_pem(text);
	if (slice_starts(text, SLICE("whsk_")))
		text = slice_from(text, 5);
	if (hex_parse(text, &bytes) < 0 || (bytes.len != SEED_BYTES && bytes.len != 2 * SEED_BYTES)) {
		buf_clear(&bytes);
		if (base64_parse(text, &bytes) < 0)
			buf_clear(&bytes);
	}
	if (bytes.len == SEED_BYTES || bytes.len == 2 * SEED_BYTES)
		key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)bytes.ptr, SEED_BYTES);
	if (bytes.ptr)
		OPENSSL_cleanse(bytes.ptr, bytes.cap);
	return key;
}

static int ed25519_of(const struct signing *s, const struct slice *pieces, unsigned char out[64])
{
	CLEANUP(buf_fini) struct buf whole = BUF(WHOLE_MAX);
	EVP_PKEY *key = private_key(s->by->secret);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = 64;

	for (size_t i = 0; i < s->p->n_pieces; i++)
		buf_add(&whole, pieces[i]);
	int ok = key && ctx && !buf_is_over(&whole) && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		 EVP_DigestSign(ctx, out, &len, (const unsigned char *)buf_cstr(&whole), whole.len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok ? 0 : err_set(s->e, ERR_INPUT, "this is no Ed25519 private key: PEM, or its 32 bytes in hex or base64");
}

static int add_signature(struct signing *s, struct buf *text)
{
	struct slice pieces[PIECES_MAX];
	unsigned char bytes[64];

	for (size_t i = 0; i < s->p->n_pieces; i++)
		if (take_piece(s, &s->p->pieces[i], &pieces[i]) < 0)
			return -1;
	if ((s->p->kind == KIND_HMAC ? mac_of(s, pieces, bytes) : ed25519_of(s, pieces, bytes)) < 0)
		return -1;
	struct slice signature = { (const char *)bytes, s->p->signature_bytes };
	if (s->p->enc == TEXT_HEX)
		hex_add(text, signature);
	else
		base64_add(text, signature);
	return 0;
}

/* ---- the kinds ---- */

/* "t=1700000000,v1=…": what else the header carries stands before the signature. */
static void add_items(const struct signing *s, const struct sources *from, struct slice value, struct buf *out)
{
	for (size_t i = 0; i < from->n; i++)
		if (from->list[i].origin == FROM_SIGNATURE) {
			buf_add(out, from->list[i].name);
			buf_addc(out, s->p->pair);
			buf_add(out, value);
			buf_addc(out, s->p->item);
			return;
		}
}

/* A body that is no form is bound by its digest in the address. */
static void add_digest(struct signing *s)
{
	char hex[65];

	if (!s->p->digest.n || is_form(s) || query_of(&s->p->digest).len == 0)
		return;
	sha256_hex(s->request->body, hex);
	add_query(s, query_of(&s->p->digest), slice_of(hex));
}

static int sign_bytes(struct signing *s)
{
	CLEANUP(buf_fini) struct buf value = BUF(VALUE_MAX_BYTES);

	add_digest(s);
	add_items(s, &s->p->ts, slice_of(s->ts), &value);
	add_items(s, &s->p->msgid, s->id, &value);
	buf_add(&value, s->p->prefix);
	if (s->p->n_take) {
		buf_add(&value, s->p->take[0]);
		buf_addc(&value, s->p->pair);
	}
	if (add_signature(s, &value) < 0)
		return -1;
	add_header(s, header_of(&s->p->sig), buf_slice(&value));
	add_header(s, header_of(&s->p->ts), slice_of(s->ts));
	add_header(s, header_of(&s->p->msgid), s->id);
	return 0;
}

static void sign_plain(struct signing *s)
{
	CLEANUP(buf_fini) struct buf value = BUF(128 << 10);

	if (header_of(&s->p->sig).len == 0) {
		add_query(s, query_of(&s->p->sig), s->by->secret);
		return;
	}
	if (s->p->kind == KIND_BASIC) {
		buf_adds(&value, "Basic ");
		base64_add(&value, s->by->secret);
	} else {
		buf_add(&value, s->p->prefix);
		buf_add(&value, s->by->secret);
	}
	add_header(s, header_of(&s->p->sig), buf_slice(&value));
}

static int sign(struct signing *s)
{
	switch (s->p->kind) {
	case KIND_HMAC:
	case KIND_ED25519:
		return sign_bytes(s);
	case KIND_TOKEN:
	case KIND_BASIC:
		sign_plain(s);
		return 0;
	case KIND_NONE:
		return 0;
	}
	abort();
}

static int check(const struct signing *s)
{
	const struct provider *p = s->p;
	int is_plain = p->kind == KIND_TOKEN || p->kind == KIND_BASIC;

	if (!is_line(s->id) || !is_line(s->event) || (is_plain && !is_line(s->by->secret)))
		return err_set(s->e, ERR_INPUT, "a delivery id, event or token has a control byte");
	if (s->by->secret.len == 0 && p->kind != KIND_NONE)
		return err_set(s->e, ERR_INPUT, "the secret is empty");
	if (p->kind != KIND_NONE && header_of(&p->sig).len == 0 && (!is_plain || query_of(&p->sig).len == 0))
		return err_set(s->e, ERR_INPUT, "provider '%s' has its signature in no header", p->name);
	return 0;
}

int provider_label(const struct provider *p, const char *delivery_id, const char *event, struct buf *header_lines, struct err *e)
{
	const struct request_view none = { 0 };
	struct signing s = { .p = p, .request = &none, .id = slice_of(delivery_id), .event = slice_of(event), .out = header_lines };

	if (!is_line(s.id) || !is_line(s.event))
		return err_set(e, ERR_INPUT, "a delivery id or event has a control byte");
	add_header(&s, header_of(&p->event), s.event);
	add_header(&s, header_of(&p->delivery[p->n_delivery - 1]), s.id);
	return buf_is_over(header_lines) ? err_set(e, ERR_LIMIT, "the headers are too long") : 0;
}

int provider_sign(const struct provider *p, const struct request_view *r, const struct sender *by, struct signed_parts *out,
		  struct err *e)
{
	struct signing s = { .p = p, .request = r, .by = by, .id = slice_of(by->delivery_id), .event = slice_of(by->event),
		.payload = BUF(WHOLE_MAX), .form = BUF(WHOLE_MAX), .url = BUF(64 << 10), .out = &out->header_lines, .query = &out->query,
		.e = e };
	CLEANUP(buf_fini) struct buf ts = BUF(sizeof s.ts - 1);
	struct values *values = NULL;

	*out = (struct signed_parts){ BUF(64 << 10), BUF(64 << 10) };
	buf_add(s.query, r->query);
	buf_addi(&ts, r->now_ms / p->ts_unit_ms);
	memcpy(s.ts, buf_cstr(&ts), ts.len + 1);
	int bad = check(&s) < 0 || sign(&s) < 0;
	if (!bad && extract(p->documents, r->body, &values, NULL) == 0)
		s.values = values;
	if (!bad && !is_said(&s, &p->event))
		add_header(&s, header_of(&p->event), s.event);
	const struct sources *id = &p->delivery[p->n_delivery - 1];     /* of parts, the id is the last */
	if (!bad && !is_said(&s, id))
		add_header(&s, header_of(id), s.id);
	values_free(values);
	buf_fini(&s.payload);
	buf_fini(&s.form);
	buf_fini(&s.url);
	if (!bad && (buf_is_over(s.out) || buf_is_over(s.query)))
		bad = err_set(e, ERR_LIMIT, "the headers are too long");
	if (bad)
		signed_parts_fini(out);
	return bad ? -1 : 0;
}

void signed_parts_fini(struct signed_parts *s)
{
	buf_fini(&s->header_lines);
	buf_fini(&s->query);
}
