/* rules/lookup.c - find a value where a descriptor's source expression says it is.
 *
 * A header that carries one of these and comes twice is no value: which of the two another program would take is not ours
 * to guess. The same holds for form fields, query fields and items of a signature. */
#include <string.h>

#include "base/hex.h"
#include "rules/descriptor.h"
#include "rules/form.h"

static enum lookup by_count(int n)
{
	return n == 1 ? LOOKUP_FOUND : n == 0 ? LOOKUP_ABSENT : n > 1 ? LOOKUP_DOUBLED : LOOKUP_MALFORMED;
}

static enum lookup in_headers(const struct request_view *r, struct slice name, struct slice *out)
{
	int n = 0;

	for (size_t i = 0; i < r->n_headers; i++)
		if (slice_ieq(r->headers[i].name, name)) {
			*out = slice_trim(r->headers[i].value);
			n++;
		}
	return by_count(n);
}

int signature_next(const struct provider *p, struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice item = SLICE_NULL;

	while (item.len == 0) {
		if (rest->len == 0)
			return 0;
		if (p->item) {
			slice_cut(*rest, p->item, &item, rest);
		} else {
			item = *rest;
			*rest = SLICE_NULL;
		}
	}
	*name = SLICE_NULL;
	*value = item;
	if (p->pair && !slice_cut(item, p->pair, name, value))
		*name = SLICE_NULL;             /* an item without its pair is no candidate: no name in `take` is empty */
	return 1;
}

static enum lookup in_signature(const struct lookup_place *at, struct slice wanted, struct slice *out)
{
	struct slice rest = at->signature, name, value;
	int n = 0;

	while (signature_next(at->provider, &rest, &name, &value))
		if (slice_eq(name, wanted)) {
			*out = value;
			n++;
		}
	return by_count(n);
}

static enum lookup in_document(const struct lookup_place *at, const struct source_one *s, struct slice *out)
{
	size_t n = 0;
	const struct value *v = at->values ? values_get(at->values, s->path, &n) : NULL;

	if (n == 0 || (v->kind != VALUE_INTEGER && (v->kind != VALUE_STRING || s->origin == FROM_JSON_INTEGER)))
		return LOOKUP_ABSENT;
	*out = v->text;
	return LOOKUP_FOUND;
}

static enum lookup find_one(const struct source_one *s, const struct lookup_place *at, struct buf *scratch, struct slice *out)
{
	const struct request_view *r = at->request;
	enum lookup found = LOOKUP_FOUND;
	char hex[65];

	switch (s->origin) {
	case FROM_HEADER:
		return in_headers(r, s->name, out);
	case FROM_SIGNATURE:
		return in_signature(at, s->name, out);
	case FROM_JSON:
	case FROM_JSON_INTEGER:
		return in_document(at, s, out);
	case FROM_FORM:
	case FROM_QUERY:
		found = by_count(form_find(s->origin == FROM_FORM ? r->body : r->query, s->name, scratch));
		*out = buf_slice(scratch);
		return found;
	case FROM_CONST:
		*out = s->name;
		return found;
	case FROM_DIGEST:
		sha256_hex(r->body, hex);
		buf_clear(scratch);
		buf_adds(scratch, hex);
		*out = buf_slice(scratch);
		return found;
	}
	return LOOKUP_ABSENT;
}

enum lookup sources_find(const struct sources *s, const struct lookup_place *at, struct buf *scratch, struct slice *out)
{
	for (size_t i = 0; i < s->n; i++) {
		struct slice value = SLICE_NULL;
		enum lookup found = find_one(&s->list[i], at, scratch, &value);
		if (found == LOOKUP_ABSENT || (found == LOOKUP_FOUND && value.len == 0))
			continue;
		*out = value;
		return found;
	}
	return LOOKUP_ABSENT;
}

int sources_use(const struct sources *s, enum origin origin)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].origin == origin)
			return 1;
	return 0;
}
