/* front/recall.c - the way of ingest.c from the columns of a delivery. */
#include "front/recall.h"

#include <jansson.h>

#include "rules/inner.h"
#include "store/store.h"

void recalled_fini(struct recalled *r)
{
	identity_fini(&r->identity);
}

int recall_identity(const struct provider *p, struct request_view r, const char *headers_json, struct identity *out, struct err *e)
{
	struct header headers[RECALL_HEADERS_MAX];
	json_t *kept = json_loads(headers_json, 0, NULL), *value;
	const char *name;

	r.method = SLICE("POST");
	r.headers = headers;
	r.n_headers = 0;
	json_object_foreach(kept, name, value)
		if (r.n_headers < RECALL_HEADERS_MAX && json_is_string(value))
			headers[r.n_headers++] = (struct header){ slice_of(name), slice_of(json_string_value(value)) };
	int bad = provider_identify(p, &r, out, e);
	json_decref(kept);
	return bad;
}

static int recall_sent(const struct kept *k, struct slice body, struct recalled *out, struct err *e)
{
	struct delivery_view *d = &out->view;
	const struct provider *p = source_provider(d->source);
	const struct request_view r = { .path = slice_of(source_path(d->source)), .query = slice_of(k->query), .body = body,
					.now_ms = k->received_ms };

	if (p && recall_identity(p, r, k->headers_json, &out->identity, e) < 0)
		return -1;
	const struct identity *i = &out->identity;
	d->event = slice_of(i->event ? i->event : "");
	d->action = slice_of(i->action ? i->action : "");
	d->json = i->json.len ? buf_slice(&i->json) : body;
	d->headers_json = slice_of(k->headers_json);
	d->query = slice_of(k->query);
	return 0;
}

static int recall_inner(const struct ruleset *rs, const struct kept *k, struct slice body, struct recalled *out, struct err *e)
{
	const struct inner_said said = { .event = slice_of(k->event), .action = slice_of(k->action), .only_file = slice_of(k->only_file),
					 .only_rule = slice_of(k->only_rule), .cause_json = slice_of(k->cause_json), .body = body };
	return inner_recall(rs, &said, &out->view, e);
}

int recall(const struct ruleset *rs, const struct kept *k, struct slice body, struct recalled *out, struct err *e)
{
	const struct source *inner = ruleset_inner_find(rs, slice_of(k->source));
	struct recalled r = { .view = { .source = inner ? inner : ruleset_source_find(rs, slice_of(k->source)), .delivery_key = k->key,
					.received_ms = k->received_ms } };

	if (!r.view.source)
		return err_set(e, ERR_INPUT, "the rules have no source '%.100s' any more", k->source);
	if ((inner ? recall_inner(rs, k, body, &r, e) : recall_sent(k, body, &r, e)) < 0)
		return -1;
	*out = r;
	return 0;
}
