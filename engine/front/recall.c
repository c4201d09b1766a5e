/* front/recall.c - the way of ingest.c from the columns of a delivery. */
#include "front/recall.h"

#include <jansson.h>

#include "rules/inner.h"
#include "store/store.h"

void recalled_fini(struct recalled *r)
{
	identity_fini(&r->identity);
}

/* The headers that were kept borrow from KEPT, as does R. */
static void add_headers(json_t *kept, struct header *headers, struct request_view *r)
{
	const char *name;
	json_t *value;

	json_object_foreach(kept, name, value)
		if (r->n_headers < RECALL_HEADERS_MAX && json_is_string(value))
			headers[r->n_headers++] = (struct header){ slice_of(name), slice_of(json_string_value(value)) };
	r->headers = headers;
}

static int identify(const struct provider *p, const struct kept *k, struct slice body, struct recalled *out, struct err *e)
{
	struct header headers[RECALL_HEADERS_MAX];
	struct request_view r = { .method = SLICE("POST"), .path = slice_of(source_path(out->view.source)), .query = slice_of(k->query),
				  .body = body, .now_ms = k->received_ms };
	json_t *kept = json_loads(k->headers_json, 0, NULL);

	add_headers(kept, headers, &r);
	int bad = p && provider_identify(p, &r, &out->identity, e) < 0;
	json_decref(kept);
	return bad ? -1 : 0;
}

static int recall_sent(const struct kept *k, struct slice body, struct recalled *out, struct err *e)
{
	struct delivery_view *d = &out->view;

	if (identify(source_provider(d->source), k, body, out, e) < 0)
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
