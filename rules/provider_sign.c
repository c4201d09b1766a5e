/* rules/provider_sign.c - a descriptor read backwards: the headers that its sender would send. For `simulate` and tests. */
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "rules/descriptor.h"

struct signing {
	const struct provider *p;
	struct slice secret, body, id, event;
	char ts[24];
	struct buf *out;
	struct err *e;
};

/* The header that carries a value, where one does: the first alternative that is a header. */
static struct slice header_of(const struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].origin == FROM_HEADER)
			return s->list[i].name;
	return SLICE_NULL;
}

static int is_line(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return 0;
	return 1;
}

static int has_header(const struct buf *lines, struct slice wanted)
{
	struct slice rest = buf_slice(lines), line, name, value;

	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		slice_cut(line, ':', &name, &value);
		if (slice_ieq(name, wanted))
			return 1;
	}
	return 0;
}

/* Two sources may name one header: the second would double it. */
static void add_header(struct signing *s, struct slice name, struct slice value)
{
	if (name.len == 0 || value.len == 0 || has_header(s->out, name))
		return;
	buf_add(s->out, name);
	buf_adds(s->out, ": ");
	buf_add(s->out, value);
	buf_addc(s->out, '\n');
}

static int piece_text(const struct signing *s, const struct piece *piece, struct slice *out)
{
	switch (piece->kind) {
	case PIECE_TEXT:
		*out = piece->text;
		return 0;
	case PIECE_BODY:
	case PIECE_PAYLOAD:
		*out = s->body;
		return 0;
	case PIECE_TS:
		*out = slice_of(s->ts);
		return 0;
	case PIECE_MSGID:
		*out = s->id;
		return 0;
	case PIECE_URL:
	case PIECE_FORM_SORTED:
	case PIECE_KINDS:
		break;
	}
	return err_set(s->e, ERR_INPUT, "provider '%s' signs its address and a form: that cannot be made here", s->p->name);
}

static int compute(const struct signing *s, struct buf *text)
{
	CLEANUP(buf_fini) struct buf key = BUF(64 << 10);
	struct slice pieces[PIECES_MAX];
	unsigned char mac[64];

	for (size_t i = 0; i < s->p->n_pieces; i++)
		if (piece_text(s, &s->p->pieces[i], &pieces[i]) < 0)
			return -1;
	if (provider_key(s->p, s->secret, &key) < 0)
		return err_set(s->e, ERR_INPUT, "the secret is no key of provider '%s'", s->p->name);
	int bad = provider_hmac(s->p, buf_slice(&key), pieces, s->p->n_pieces, mac);
	OPENSSL_cleanse(key.ptr, key.cap);
	if (bad)
		return err_set(s->e, ERR_BUG, "HMAC failed");
	struct slice bytes = { (const char *)mac, s->p->signature_bytes };
	if (s->p->enc == TEXT_HEX)
		hex_add(text, bytes);
	else
		base64_add(text, bytes);
	return 0;
}

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

static int sign_hmac(struct signing *s)
{
	CLEANUP(buf_fini) struct buf value = BUF(VALUE_MAX_BYTES);

	add_items(s, &s->p->ts, slice_of(s->ts), &value);
	add_items(s, &s->p->msgid, s->id, &value);
	buf_add(&value, s->p->prefix);
	if (s->p->n_take) {
		buf_add(&value, s->p->take[0]);
		buf_addc(&value, s->p->pair);
	}
	if (compute(s, &value) < 0)
		return -1;
	add_header(s, header_of(&s->p->sig), buf_slice(&value));
	add_header(s, header_of(&s->p->ts), slice_of(s->ts));
	add_header(s, header_of(&s->p->msgid), s->id);
	return 0;
}

static int sign_plain(struct signing *s)
{
	CLEANUP(buf_fini) struct buf value = BUF(128 << 10);

	if (s->p->kind == KIND_BASIC) {
		buf_adds(&value, "Basic ");
		base64_add(&value, s->secret);
	} else {
		buf_add(&value, s->p->prefix);
		buf_add(&value, s->secret);
	}
	add_header(s, header_of(&s->p->sig), buf_slice(&value));
	return 0;
}

static int sign(struct signing *s)
{
	if (s->p->kind != KIND_NONE && header_of(&s->p->sig).len == 0)
		return err_set(s->e, ERR_INPUT, "provider '%s' carries its secret in the address, in no header", s->p->name);
	switch (s->p->kind) {
	case KIND_HMAC:
		return sign_hmac(s);
	case KIND_ED25519:
		return err_set(s->e, ERR_INPUT, "provider '%s' signs with a private key that only the sender has", s->p->name);
	case KIND_TOKEN:
	case KIND_BASIC:
		return sign_plain(s);
	case KIND_NONE:
		return 0;
	}
	abort();
}

int provider_label(const struct provider *p, const char *delivery_id, const char *event, struct buf *header_lines, struct err *e)
{
	struct signing s = { .p = p, .id = slice_of(delivery_id), .event = slice_of(event), .out = header_lines };

	if (!is_line(s.id) || !is_line(s.event))
		return err_set(e, ERR_INPUT, "a delivery id or event has a control byte");
	add_header(&s, header_of(&p->event), s.event);
	add_header(&s, header_of(&p->delivery), s.id);
	return buf_is_over(header_lines) ? err_set(e, ERR_LIMIT, "the headers are too long") : 0;
}

int provider_sign(const struct provider *p, struct slice secret, struct slice body, int64_t now_ms, const char *delivery_id,
		  const char *event, struct buf *header_lines, struct err *e)
{
	struct signing s = { .p = p, .secret = secret, .body = body, .id = slice_of(delivery_id), .event = slice_of(event),
		.out = header_lines, .e = e };
	CLEANUP(buf_fini) struct buf ts = BUF(sizeof s.ts - 1);

	if (!is_line(s.id) || (p->kind != KIND_HMAC && !is_line(secret)))
		return err_set(e, ERR_INPUT, "a delivery id or token has a control byte");
	if (secret.len == 0 && p->kind != KIND_NONE)
		return err_set(e, ERR_INPUT, "the secret is empty");
	buf_addi(&ts, now_ms / p->ts_unit_ms);
	memcpy(s.ts, buf_cstr(&ts), ts.len + 1);
	if (sign(&s) < 0)
		return -1;
	return provider_label(p, delivery_id, event, header_lines, e);
}
