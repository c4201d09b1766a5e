/* rules/provider_identify.c - after verification: the event, its action, the delivery's key, the document. What the
 * messages here say may go to the sender, who has proven to be one. */
#include <stdlib.h>
#include <string.h>

#include "rules/descriptor.h"
#include "rules/form.h"

#define DOCUMENT_MAX (32 << 20)
#define EVENT_MAX_BYTES 200
#define KEY_MAX_BYTES 256

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

/* A request that only asks whether we are there. */
static void take_hello(struct identifying *i, struct identity *out)
{
	const struct provider *p = i->at.provider;
	struct slice value = SLICE_NULL;

	if (!p->hello_status || sources_find(&p->hello_when, &i->at, &i->scratch, &value) != LOOKUP_FOUND ||
	    !slice_eq(value, p->hello_is))
		return;
	out->answer_status = p->hello_status;
	out->answer = BUF(64 << 10);
	if (sources_find(&p->hello_answer, &i->at, &i->scratch, &value) == LOOKUP_FOUND)
		buf_add(&out->answer, value);
}

static int take_names(struct identifying *i, struct identity *out)
{
	const struct provider *p = i->at.provider;

	take_hello(i, out);
	if (out->answer_status) {                       /* a handshake has no event and no id of its own */
		out->event = xstrdup("");
		out->action = xstrdup("");
		out->delivery_key = xstrdup("hello");
		return 0;
	}
	if (take_name(i, &p->event, "event's name", EVENT_MAX_BYTES, &out->event) < 0 ||
	    take_name(i, &p->delivery, "delivery's id", KEY_MAX_BYTES, &out->delivery_key) < 0)
		return -1;
	return take_action(i, &out->action);
}

static int identify(struct identifying *i, struct identity *out)
{
	struct values *values = NULL;

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
	*i = (struct identity){ 0 };
}
