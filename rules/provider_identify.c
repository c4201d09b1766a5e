/* rules/provider_identify.c - after verification: the event, its action, the delivery's key, the document. What the
 * messages here say may go to the sender, who has proven to be one. */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "rules/descriptor.h"
#include "rules/form.h"

#define DOCUMENT_MAX (32 << 20)
#define EVENT_MAX_BYTES 200
#define KEY_MAX_BYTES 256
#define PART_MAX_BYTES 2048             /* of a key in parts */

struct identifying {
	struct lookup_place at;
	struct buf scratch;
	struct err *e;
};

/* ---- the content type ---- */

enum body_kind request_body_kind(const struct request_view *r)
{
	struct slice type = SLICE_NULL, rest;
	int n = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (slice_ieq(r->headers[i].name, SLICE("Content-Type"))) {
			slice_cut(r->headers[i].value, ';', &type, &rest);
			type = slice_trim(type);
			n++;
		}
	if (n > 1)
		return BODY_OTHER;
	if (slice_ieq(type, SLICE("application/x-www-form-urlencoded")))
		return BODY_FORM;
	struct slice suffix = slice_from(type, type.len > 5 ? type.len - 5 : 0);
	int is_json = type.len == 0 || slice_ieq(type, SLICE("application/json")) || slice_ieq(suffix, SLICE("+json"));
	return is_json ? BODY_JSON : BODY_OTHER;
}

/* ---- the document ---- */

/* Of a form: the field that the descriptor names, or where there is none, the fields themselves as an object. */
static int take_document(struct identifying *i, struct buf *json)
{
	const struct provider *p = i->at.provider;
	const struct request_view *r = i->at.request;
	struct slice payload;

	if (request_body_kind(r) != BODY_FORM)
		return r->body.len ? 0 : err_set(i->e, ERR_INPUT, "the body is empty");
	if (slice_starts(slice_trim(r->body), SLICE("{")))
		return err_set(i->e, ERR_INPUT, "the content type says that this is a form, and the body is JSON: send it as application/json");
	*json = BUF(DOCUMENT_MAX);
	enum lookup found = p->payload.n ? sources_find(&p->payload, &i->at, json, &payload) : LOOKUP_ABSENT;
	if (found == LOOKUP_ABSENT) {
		buf_clear(json);
		return form_to_json(r->body, json, i->e);
	}
	if (found != LOOKUP_FOUND)
		return err_set(i->e, ERR_INPUT, "the form has no readable field '" SLICE_FMT "', or several",
			       SLICE_ARG(p->payload.list[0].name));
	if (json->len == 0)                             /* it came from elsewhere than the form */
		buf_add(json, payload);
	return 0;
}

static int needs_document(const struct provider *p)
{
	return paths_count(p->documents) > 0;
}

/* ---- names ---- */

/* A name to be shown and stored: of bytes 0x21 to 0x7e and spaces within. */
static int is_name(struct slice s, size_t max)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x20 || s.ptr[i] > 0x7e)
			return 0;
	return s.len > 0 && s.len <= max;
}

static int take_name(struct identifying *i, const struct sources *s, const char *what, size_t max, char **out)
{
	struct slice value = SLICE_NULL;

	switch (sources_find(s, &i->at, &i->scratch, &value)) {
	case LOOKUP_FOUND:
		if (!is_name(value, max))
			return err_set(i->e, ERR_INPUT, "the %s is longer than %zu bytes or has unprintable ones", what, max);
		*out = slice_dup(value);
		return 0;
	case LOOKUP_ABSENT:
		return err_set(i->e, ERR_INPUT, "the %s is missing (" SLICE_FMT ")", what, SLICE_ARG(s->list[0].name));
	case LOOKUP_DOUBLED:
		return err_set(i->e, ERR_INPUT, "the %s comes more than once", what);
	case LOOKUP_MALFORMED:
		return err_set(i->e, ERR_INPUT, "the %s is not decodable", what);
	}
	abort();
}

static int take_action(struct identifying *i, char **out)
{
	struct slice value = SLICE_NULL;

	if (sources_find(&i->at.provider->action, &i->at, &i->scratch, &value) != LOOKUP_FOUND || !is_name(value, EVENT_MAX_BYTES))
		value = SLICE_NULL;
	*out = slice_dup(value);
	return 0;
}

/* ---- a request that only asks whether we are there ---- */

static int is_post(const struct request_view *r)
{
	return r->method.len == 0 || slice_eq(r->method, SLICE("POST"));
}

/* Values that could not stand in a header are left out. */
static void add_answer_headers(struct identifying *i, struct buf *out)
{
	const struct hello *h = &i->at.provider->hello;
	struct slice value;

	*out = BUF(16 << 10);
	for (size_t k = 0; k < h->n_headers; k++) {
		if (sources_find(&h->headers[k].value, &i->at, &i->scratch, &value) != LOOKUP_FOUND || !is_name(value, 1024))
			continue;
		buf_add(out, h->headers[k].name);
		buf_adds(out, ": ");
		buf_add(out, value);
		buf_addc(out, '\n');
	}
}

static int take_hello(struct identifying *i, struct identity *out)
{
	const struct hello *h = &i->at.provider->hello;
	struct slice value = SLICE_NULL, method = h->method.len ? h->method : SLICE("POST");
	int is_method = slice_eq(method, is_post(i->at.request) ? SLICE("POST") : i->at.request->method);

	if (!h->status || !is_method || sources_find(&h->when, &i->at, &i->scratch, &value) != LOOKUP_FOUND ||
	    (h->is.ptr && !slice_eq(value, h->is)))
		return 0;
	out->answer_status = h->status;
	out->answer = BUF(64 << 10);
	if (sources_find(&h->answer, &i->at, &i->scratch, &value) == LOOKUP_FOUND)
		buf_add(&out->answer, value);
	add_answer_headers(i, &out->answer_headers);
	out->event = xstrdup("");                       /* it has no event and no id of its own */
	out->action = xstrdup("");
	out->delivery_key = xstrdup("hello");
	return 1;
}

/* ---- names and key ---- */

/* Parts that are unique together only, behind each other; too long for a key, their digest. */
static int take_key(struct identifying *i, char **out)
{
	const struct provider *p = i->at.provider;
	CLEANUP(buf_fini) struct buf whole = BUF(BUF_UNLIMITED);
	char hex[65];

	if (p->has_no_id) {
		*out = xstrdup("");
		return 0;
	}
	if (p->n_delivery == 1)
		return take_name(i, &p->delivery[0], "delivery's id", KEY_MAX_BYTES, out);
	for (size_t k = 0; k < p->n_delivery; k++) {
		CLEANUP(freep) char *part = NULL;
		if (take_name(i, &p->delivery[k], "delivery's id", PART_MAX_BYTES, &part) < 0)
			return -1;
		buf_adds(&whole, k ? " " : "");
		buf_adds(&whole, part);
	}
	sha256_hex(buf_slice(&whole), hex);
	*out = whole.len > KEY_MAX_BYTES ? xstrdup(hex) : buf_take(&whole);
	return 0;
}

static int take_names(struct identifying *i, struct identity *out)
{
	if (take_hello(i, out))
		return 0;
	if (take_name(i, &i->at.provider->event, "event's name", EVENT_MAX_BYTES, &out->event) < 0 || take_key(i, &out->delivery_key) < 0)
		return -1;
	return take_action(i, &out->action);
}

static int identify(struct identifying *i, struct identity *out)
{
	struct values *values = NULL;

	if (!is_post(i->at.request))
		return take_hello(i, out) ? 0 : err_set(i->e, ERR_INPUT, "this is no handshake of provider '%s'", i->at.provider->name);
	if (take_document(i, &out->json) < 0)
		return -1;
	if (needs_document(i->at.provider)) {
		struct slice document = out->json.len ? buf_slice(&out->json) : i->at.request->body;
		if (extract(i->at.provider->documents, document, &values, i->e) < 0)
			return -1;
		i->at.values = values;
	}
	int bad = take_names(i, out);
	values_free(values);
	return bad;
}

int provider_identify(const struct provider *p, const struct request_view *r, struct identity *out, struct err *e)
{
	struct identifying i = { .at = { .request = r, .provider = p }, .scratch = BUF(64 << 10), .e = e };
	struct identity found = { 0 };
	int bad = identify(&i, &found);

	buf_fini(&i.scratch);
	if (bad) {
		identity_fini(&found);
		return -1;
	}
	*out = found;
	return 0;
}

void identity_fini(struct identity *i)
{
	free(i->event);
	free(i->action);
	free(i->delivery_key);
	buf_fini(&i->json);
	buf_fini(&i->answer);
	buf_fini(&i->answer_headers);
	*i = (struct identity){ 0 };
}
