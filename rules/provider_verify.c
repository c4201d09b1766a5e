/* rules/provider_verify.c - the interpreter of descriptors: is a request from whom it says?
 *
 *  1. The bytes signed are those received; nothing is parsed and printed again. Nothing of a JSON body is looked at before
 *     the signature holds, even a timestamp in it.
 *  2. A missing or empty signature, id or timestamp refuses; one that comes twice refuses.
 *  3. Every candidate of the header is decoded to bytes of the exact length and compared, without an early end, with what
 *     every secret gives. Both are bounded in number.
 *  4. Timestamps are digits, compared both ways; what is signed is their text.
 *
 * The sender learns none of the reasons, our log does. */
#include <inttypes.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "rules/descriptor.h"
#include "rules/form.h"

#define DECODED_MAX (32 << 20)
#define SIGNATURE_MAX_BYTES 64

struct candidate { unsigned char bytes[SIGNATURE_MAX_BYTES]; };
struct verification {
	struct lookup_place at;
	const struct secret_view *secrets;
	size_t n_secrets;
	struct slice ts, msgid;
	struct buf ts_text, msgid_text, payload, form, whole;
	struct slice pieces[PIECES_MAX];
	struct candidate candidates[CANDIDATES_MAX];
	size_t n_candidates;
	char *why;
};

static enum verify_outcome because(struct verification *v, enum verify_outcome outcome, const char *text, struct slice name)
{
	if (v->why && name.len)
		snprintf(v->why, 160, "%.*s %s", name.len > 60 ? 60 : (int)name.len, name.ptr, text);
	else if (v->why)
		snprintf(v->why, 160, "%s", text);
	return outcome;
}

static struct slice first_name(const struct sources *s)
{
	return s->n ? s->list[0].name : SLICE_NULL;
}

/* A value that verification cannot do without. */
static enum verify_outcome need(struct verification *v, const struct sources *s, struct buf *scratch, struct slice *out)
{
	switch (sources_find(s, &v->at, scratch, out)) {
	case LOOKUP_FOUND:
		return VERIFY_OK;
	case LOOKUP_ABSENT:
		return because(v, VERIFY_MISMATCH, "is missing or empty", first_name(s));
	case LOOKUP_DOUBLED:
		return because(v, VERIFY_MISMATCH, "comes more than once", first_name(s));
	case LOOKUP_MALFORMED:
		return because(v, VERIFY_MALFORMED, "is not decodable", first_name(s));
	}
	abort();
}

/* ---- the parts ---- */

static int64_t parse_ts(const struct provider *p, struct slice ts)
{
	int64_t n;

	for (size_t i = 0; i < ts.len; i++)
		if (ts.ptr[i] < '0' || ts.ptr[i] > '9')
			return -1;
	if (ts.len < 1 || ts.len > 14 || slice_to_i64(ts, 0, INT64_MAX, &n) < 0)
		return -1;
	return n * p->ts_unit_ms;
}

static enum verify_outcome out_of_time(struct verification *v, enum verify_outcome outcome, int64_t off_s, const char *how)
{
	if (v->why)
		snprintf(v->why, 160, "the timestamp is %" PRId64 " %s; the window is %" PRId64 " s", off_s, how,
			 (int64_t)v->at.provider->tolerance_ms / 1000);
	return outcome;
}

static enum verify_outcome check_ts(struct verification *v, struct slice ts)
{
	const struct provider *p = v->at.provider;
	int64_t at_ms = parse_ts(p, ts), now_ms = v->at.request->now_ms;
	now_ms -= now_ms % p->ts_unit_ms;               /* compared in the sender's unit */

	if (at_ms < 0)
		return because(v, VERIFY_MISMATCH, "the timestamp is not a number of 1 to 14 digits", SLICE_NULL);
	if (at_ms < now_ms - p->tolerance_ms)
		return out_of_time(v, VERIFY_MISMATCH, (now_ms - at_ms) / 1000, "s old");
	if (at_ms > now_ms + p->tolerance_ms)
		return out_of_time(v, VERIFY_FUTURE, (at_ms - now_ms) / 1000, "s in the future, or our clock is slow");
	return VERIFY_OK;
}

static int is_form(const struct verification *v)
{
	return request_body_kind(v->at.request) == BODY_FORM;
}

/* The document of a form, or the body. */
static enum verify_outcome take_payload(struct verification *v, struct slice *out)
{
	const struct provider *p = v->at.provider;

	*out = v->at.request->body;
	return is_form(v) && p->payload.n ? need(v, &p->payload, &v->payload, out) : VERIFY_OK;
}

/* What stands for the body where only the URL is signed: the form's fields, or else a digest in the URL. */
static enum verify_outcome take_form(struct verification *v, struct slice *out)
{
	const struct provider *p = v->at.provider;
	struct slice body = v->at.request->body, digest;
	CLEANUP(buf_fini) struct buf scratch = BUF(1024);
	char hex[65];

	*out = SLICE_NULL;
	if (p->digest.n && sources_find(&p->digest, &v->at, &scratch, &digest) != LOOKUP_ABSENT) {
		enum verify_outcome outcome = need(v, &p->digest, &scratch, &digest);
		if (outcome != VERIFY_OK)
			return outcome;
		sha256_hex(body, hex);
		return slice_ieq(digest, slice_of(hex)) ? VERIFY_OK
							: because(v, VERIFY_MISMATCH, "the body has another digest", SLICE_NULL);
	}
	if (!is_form(v) && body.len)
		return because(v, VERIFY_MISMATCH, "the body is no form, and no digest covers it", SLICE_NULL);
	if (form_sorted(body, &v->form, NULL) < 0)
		return because(v, VERIFY_MALFORMED, "the form is ill-formed", SLICE_NULL);
	*out = buf_slice(&v->form);
	return VERIFY_OK;
}

static enum verify_outcome take_piece(struct verification *v, const struct piece *piece, struct slice *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
		*out = piece->text;
		return VERIFY_OK;
	case PIECE_BODY:
		*out = v->at.request->body;
		return VERIFY_OK;
	case PIECE_PAYLOAD:
		return take_payload(v, out);
	case PIECE_TS:
		*out = v->ts;
		return VERIFY_OK;
	case PIECE_MSGID:
		*out = v->msgid;
		return VERIFY_OK;
	case PIECE_URL:
		*out = v->at.request->url;
		return out->len ? VERIFY_OK : because(v, VERIFY_MISMATCH, "our public URL is not known", SLICE_NULL);
	case PIECE_FORM_SORTED:
		return take_form(v, out);
	case PIECE_KINDS:
		break;
	}
	abort();
}

static enum verify_outcome take_parts(struct verification *v)
{
	const struct provider *p = v->at.provider;
	int ts_is_later = sources_use(&p->ts, FROM_JSON) || sources_use(&p->ts, FROM_JSON_INTEGER);
	enum verify_outcome outcome = VERIFY_OK;

	if (p->ts.n && !ts_is_later)
		outcome = need(v, &p->ts, &v->ts_text, &v->ts);
	if (outcome == VERIFY_OK && p->ts.n && !ts_is_later && parse_ts(p, v->ts) < 0)
		outcome = check_ts(v, v->ts);
	if (outcome == VERIFY_OK && p->msgid.n)
		outcome = need(v, &p->msgid, &v->msgid_text, &v->msgid);
	for (size_t i = 0; i < p->n_pieces && outcome == VERIFY_OK; i++)
		outcome = take_piece(v, &p->pieces[i], &v->pieces[i]);
	return outcome;
}

/* ---- candidates ---- */

static int is_taken(const struct provider *p, struct slice name)
{
	for (size_t i = 0; i < p->n_take; i++)
		if (slice_eq(p->take[i], name))
			return 1;
	return p->n_take == 0;
}

/* Keep VALUE where it decodes to as many bytes as a signature has; one that does not must not end the search. */
static void take_candidate(struct verification *v, struct slice value)
{
	const struct provider *p = v->at.provider;
	CLEANUP(buf_fini) struct buf bytes = BUF(VALUE_MAX_BYTES);
	int bad = p->enc == TEXT_HEX ? hex_parse(value, &bytes) : base64_parse(value, &bytes);

	if (bad || bytes.len != p->signature_bytes)
		return;
	memcpy(v->candidates[v->n_candidates++].bytes, bytes.ptr, bytes.len);
}

static enum verify_outcome take_candidates(struct verification *v)
{
	const struct provider *p = v->at.provider;
	struct slice rest = v->at.signature, name, value;
	int n = 0;

	while (signature_next(p, &rest, &name, &value)) {
		if (!is_taken(p, name))
			continue;
		if (++n > CANDIDATES_MAX)
			return because(v, VERIFY_MISMATCH, "carries too many signatures", first_name(&p->sig));
		take_candidate(v, value);
	}
	if (v->n_candidates == 0)
		return because(v, VERIFY_MISMATCH, "carries no well-formed signature of an accepted kind", first_name(&p->sig));
	return VERIFY_OK;
}

/* ---- keys and their work ---- */

int provider_key(const struct provider *p, struct slice secret, struct buf *out)
{
	if (p->strip.len && slice_starts(secret, p->strip))
		secret = slice_from(secret, p->strip.len);
	int bad = 0;
	if (p->key == TEXT_PLAIN)
		buf_add(out, secret);
	else
		bad = p->key == TEXT_HEX ? hex_parse(secret, out) : base64_parse(secret, out);
	if (bad || out->len == 0 || buf_is_over(out))
		return -1;
	return p->kind == KIND_ED25519 && out->len != 32 ? -1 : 0;
}

int provider_hmac(const struct provider *p, struct slice key, const struct slice *pieces, size_t n, unsigned char out[64])
{
	char hash[16];
	snprintf(hash, sizeof hash, "%s", p->hash);
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0), OSSL_PARAM_construct_end() };
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(p->mac);
	size_t len = 0;
	int ok = ctx && EVP_MAC_init(ctx, (const unsigned char *)key.ptr, key.len, params);

	for (size_t i = 0; ok && i < n; i++)
		ok = pieces[i].len == 0 || EVP_MAC_update(ctx, (const unsigned char *)pieces[i].ptr, pieces[i].len);
	ok = ok && EVP_MAC_final(ctx, out, &len, 64) && len == p->signature_bytes;
	EVP_MAC_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int matches_hmac(struct verification *v, struct slice key, int *is_match)
{
	const struct provider *p = v->at.provider;
	unsigned char mac[64];

	if (provider_hmac(p, key, v->pieces, p->n_pieces, mac) < 0)
		return -1;
	for (size_t i = 0; i < v->n_candidates; i++)
		*is_match |= CRYPTO_memcmp(mac, v->candidates[i].bytes, p->signature_bytes) == 0;
	return 0;
}

static int matches_ed25519(struct verification *v, struct slice key, int *is_match)
{
	if (v->whole.len == 0)
		for (size_t i = 0; i < v->at.provider->n_pieces; i++)
			buf_add(&v->whole, v->pieces[i]);
	EVP_PKEY *public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)key.ptr, key.len);
	if (!public_key || buf_is_over(&v->whole)) {
		EVP_PKEY_free(public_key);
		return -1;
	}
	for (size_t i = 0; i < v->n_candidates; i++) {
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		*is_match |= EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, public_key) == 1 &&
			     EVP_DigestVerify(ctx, v->candidates[i].bytes, 64, (const unsigned char *)buf_cstr(&v->whole),
					      v->whole.len) == 1;
		EVP_MD_CTX_free(ctx);
	}
	EVP_PKEY_free(public_key);
	return 0;
}

static enum verify_outcome verdict(struct verification *v, int is_match, int bad_secrets)
{
	if (is_match)
		return VERIFY_OK;
	return bad_secrets ? because(v, VERIFY_BAD_SECRET, "a configured secret cannot be a key of this scheme", SLICE_NULL)
			   : because(v, VERIFY_MISMATCH, "matches none of the secrets", first_name(&v->at.provider->sig));
}

static enum verify_outcome try_secrets(struct verification *v)
{
	int is_match = 0, bad = 0;

	for (size_t i = 0; i < v->n_secrets; i++) {
		struct buf key = BUF(64 << 10);
		if (provider_key(v->at.provider, v->secrets[i].text, &key) < 0)
			bad++;
		else if (v->at.provider->kind == KIND_HMAC)
			bad += matches_hmac(v, buf_slice(&key), &is_match) < 0;
		else
			bad += matches_ed25519(v, buf_slice(&key), &is_match) < 0;
		if (key.ptr)
			OPENSSL_cleanse(key.ptr, key.cap);
		buf_fini(&key);
	}
	return verdict(v, is_match, bad);
}

/* The time this takes tells nothing: what is compared are digests. */
static enum verify_outcome try_equality(struct verification *v, struct slice given)
{
	unsigned char mine[SHA256_DIGEST_LENGTH], theirs[SHA256_DIGEST_LENGTH];
	int is_match = 0, bad = 0;

	SHA256((const unsigned char *)given.ptr, given.len, theirs);
	for (size_t i = 0; i < v->n_secrets; i++) {
		struct slice secret = v->secrets[i].text;
		if (secret.len == 0 || (v->at.provider->kind == KIND_BASIC && slice_chr(secret, ':') < 0)) {
			bad++;
			continue;
		}
		SHA256((const unsigned char *)secret.ptr, secret.len, mine);
		is_match |= CRYPTO_memcmp(mine, theirs, sizeof mine) == 0;
	}
	return verdict(v, is_match, bad);
}

/* ---- the kinds ---- */

/* After the MAC: a timestamp that stands in the signed document. */
static enum verify_outcome check_inner_ts(struct verification *v)
{
	const struct provider *p = v->at.provider;
	struct values *values = NULL;
	struct slice ts = SLICE_NULL;

	if (extract(p->documents, v->at.request->body, &values, NULL) < 0)
		return because(v, VERIFY_MALFORMED, "the body is not JSON, which holds the timestamp", SLICE_NULL);
	v->at.values = values;
	enum verify_outcome outcome = need(v, &p->ts, &v->ts_text, &ts);
	if (outcome == VERIFY_OK)
		outcome = check_ts(v, ts);
	v->at.values = NULL;
	values_free(values);
	return outcome;
}

static enum verify_outcome by_signature(struct verification *v)
{
	enum verify_outcome outcome = take_candidates(v);

	if (outcome == VERIFY_OK)
		outcome = take_parts(v);
	if (outcome == VERIFY_OK)
		outcome = try_secrets(v);
	if (outcome == VERIFY_OK && v->ts.len)
		outcome = check_ts(v, v->ts);
	else if (outcome == VERIFY_OK && v->at.provider->ts.n)
		outcome = check_inner_ts(v);
	return outcome;
}

static enum verify_outcome by_basic(struct verification *v)
{
	CLEANUP(buf_fini) struct buf pair = BUF(VALUE_MAX_BYTES);
	struct slice word, code;

	slice_cut(v->at.signature, ' ', &word, &code);
	if (!slice_ieq(word, SLICE("Basic")) || base64_parse(slice_trim(code), &pair) < 0 || pair.len == 0)
		return because(v, VERIFY_MISMATCH, "is not of the form 'Basic …'", SLICE("Authorization"));
	return try_equality(v, buf_slice(&pair));       /* a user's name has no colon, so the whole is equal where both parts are */
}

static enum verify_outcome check_once(struct verification *v, const struct sources *s)
{
	CLEANUP(buf_fini) struct buf scratch = BUF(64 << 10);
	struct slice value;

	for (size_t k = 0; k < s->n; k++) {
		struct sources one = { { s->list[k] }, 1 };
		if (s->list[k].origin == FROM_HEADER && sources_find(&one, &v->at, &scratch, &value) == LOOKUP_DOUBLED)
			return because(v, VERIFY_MISMATCH, "comes more than once", s->list[k].name);
	}
	return VERIFY_OK;
}

/* What has been verified must also be unambiguous for those who read it next. */
static enum verify_outcome check_ids(struct verification *v)
{
	enum verify_outcome outcome = check_once(v, &v->at.provider->event);

	for (size_t i = 0; i < v->at.provider->n_delivery && outcome == VERIFY_OK; i++)
		outcome = check_once(v, &v->at.provider->delivery[i]);
	return outcome;
}

/* A token in the address has no word before it. */
static int is_in_header(const struct verification *v)
{
	const struct sources *s = &v->at.provider->sig;
	CLEANUP(buf_fini) struct buf scratch = BUF(VALUE_MAX_BYTES);
	struct slice value;

	for (size_t i = 0; i < s->n; i++) {
		struct sources one = { { s->list[i] }, 1 };
		if (sources_find(&one, &v->at, &scratch, &value) == LOOKUP_FOUND)
			return s->list[i].origin == FROM_HEADER;
	}
	return 1;
}

static enum verify_outcome take_signature(struct verification *v, struct buf *scratch)
{
	const struct provider *p = v->at.provider;
	enum verify_outcome outcome = need(v, &p->sig, scratch, &v->at.signature);

	if (outcome != VERIFY_OK)
		return outcome;
	if (v->at.signature.len > VALUE_MAX_BYTES)
		return because(v, VERIFY_MALFORMED, "is too long", first_name(&p->sig));
	if (p->prefix.len == 0 || !is_in_header(v))
		return VERIFY_OK;
	if (!slice_ieq(slice_upto(v->at.signature, p->prefix.len), p->prefix))
		return because(v, VERIFY_MISMATCH, "does not begin as it should", first_name(&p->sig));
	v->at.signature = slice_trim(slice_from(v->at.signature, p->prefix.len));
	return VERIFY_OK;
}

static enum verify_outcome verify(struct verification *v, struct buf *scratch)
{
	enum verify_outcome outcome = take_signature(v, scratch);

	if (outcome == VERIFY_OK)
		outcome = check_ids(v);
	if (outcome != VERIFY_OK)
		return outcome;
	switch (v->at.provider->kind) {
	case KIND_HMAC:
	case KIND_ED25519:
		return by_signature(v);
	case KIND_TOKEN:
		return try_equality(v, v->at.signature);
	case KIND_BASIC:
		return by_basic(v);
	case KIND_NONE:
		break;
	}
	abort();
}

static struct verification verification_of(const struct provider *p, const struct request_view *r)
{
	return (struct verification){ .at = { .request = r, .provider = p }, .ts_text = BUF(1024), .msgid_text = BUF(1024),
		.payload = BUF(DECODED_MAX), .form = BUF(DECODED_MAX), .whole = BUF(2 * DECODED_MAX) };
}

static void verification_fini(struct verification *v)
{
	buf_fini(&v->ts_text);
	buf_fini(&v->msgid_text);
	buf_fini(&v->payload);
	buf_fini(&v->form);
	buf_fini(&v->whole);
}

enum verify_outcome provider_verify(const struct provider *p, const struct request_view *r,
				    const struct secret_view *secrets, size_t n, char why[160])
{
	CLEANUP(verification_fini) struct verification v = verification_of(p, r);
	CLEANUP(buf_fini) struct buf scratch = BUF(64 << 10);

	v.secrets = secrets;
	v.n_secrets = n;
	v.why = why;
	if (p->kind == KIND_NONE)
		return VERIFY_OK;
	if (n == 0 || n > SECRETS_MAX)
		return because(&v, VERIFY_BAD_SECRET, n ? "more secrets than may be tried" : "no secret is in force", SLICE_NULL);
	return verify(&v, &scratch);
}

/* The pieces that were signed; the body alone where none are, or where they cannot be had (which verification excludes). */
static size_t signed_pieces(struct verification *v, struct buf *scratch)
{
	const struct provider *p = v->at.provider;

	if ((p->kind == KIND_HMAC || p->kind == KIND_ED25519) && take_signature(v, scratch) == VERIFY_OK && take_parts(v) == VERIFY_OK)
		return p->n_pieces;
	v->pieces[0] = v->at.request->body;
	return 1;
}

void provider_digest(const struct provider *p, const struct request_view *r, unsigned char out[16])
{
	CLEANUP(verification_fini) struct verification v = verification_of(p, r);
	CLEANUP(buf_fini) struct buf scratch = BUF(64 << 10);
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t n = signed_pieces(&v, &scratch);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(ctx, v.pieces[i].ptr, v.pieces[i].len) == 1;
	if (!ok || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
		abort();                        /* no memory */
	EVP_MD_CTX_free(ctx);
	memcpy(out, digest, 16);
}
