/* rules/fixture.c - a delivery in a file. The payload of a fixture is taken out of the file as it stands there, byte for byte:
 * written anew, a number might no longer be what the sender wrote. */
#include "rules/fixture.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/utf8.h"
#include "rules/diag.h"
#include "rules/extract.h"

static const char *const keys[] = {
	"fixture", "source", "event", "query", "delivery", "received_ms", "headers", "cause", "only", "payload", "body", "body_base64", NULL
};

void fixture_fini(struct fixture *f)
{
	free(f->source);
	free(f->event);
	free(f->query);
	free(f->delivery);
	free(f->cause);
	free(f->only_file);
	free(f->only_rule);
	buf_fini(&f->headers);
	buf_fini(&f->body);
	*f = FIXTURE_NONE;
}

int fixture_add_header(struct fixture *f, struct slice name, struct slice value, struct err *e)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t')
			return err_set(e, ERR_INPUT, "header '" SLICE_FMT "': its value has a control byte", SLICE_ARG(name));
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] <= 0x20 || name.ptr[i] == ':' || name.ptr[i] == 0x7f)
			return err_set(e, ERR_INPUT, "'" SLICE_FMT "' is no name of a header", SLICE_ARG(name));
	if (name.len == 0)
		return err_set(e, ERR_INPUT, "a header has no name");
	buf_addf(&f->headers, SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(name), SLICE_ARG(value));
	return buf_is_over(&f->headers) ? err_set(e, ERR_LIMIT, "the headers are over %d bytes", FIXTURE_HEADERS_MAX) : 0;
}

/* ---- a fixture's members ---- */

static int refuse_unknown(const json_t *doc, struct err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)doc, key, value) {
		const char *const *k = keys;
		while (*k && strcmp(*k, key) != 0)
			k++;
		const char *near = *k ? NULL : did_you_mean(slice_of(key), keys);
		if (!*k && near)
			return err_set(e, ERR_INPUT, "a fixture has no '%.60s', did you mean '%s'?", key, near);
		if (!*k)
			return err_set(e, ERR_INPUT, "a fixture has no '%.60s'", key);
	}
	return 0;
}

static int take_text(const json_t *doc, const char *key, char **out, struct err *e)
{
	const json_t *v = json_object_get(doc, key);

	if (!v)
		return 0;
	if (!json_is_string(v))
		return err_set(e, ERR_INPUT, "\"%s\" of a fixture must be a string", key);
	*out = xstrdup(json_string_value(v));
	return 0;
}

static int take_headers(const json_t *doc, struct fixture *out, struct err *e)
{
	json_t *headers = json_object_get(doc, "headers"), *value;
	const char *name;

	if (headers && !json_is_object(headers))
		return err_set(e, ERR_INPUT, "\"headers\" of a fixture must be an object: { \"x-github-event\": \"push\" }");
	json_object_foreach(headers, name, value) {
		if (!json_is_string(value))
			return err_set(e, ERR_INPUT, "header '%.60s' of a fixture must be a string", name);
		if (fixture_add_header(out, slice_of(name), slice_of(json_string_value(value)), e) < 0)
			return -1;
	}
	return 0;
}

/* The rule that an event of cron is for, or of a person who ran it by its name. */
static int take_only(const json_t *doc, struct fixture *out, struct err *e)
{
	const json_t *only = json_object_get(doc, "only");
	const char *file = json_string_value(json_object_get(only, "file")), *rule = json_string_value(json_object_get(only, "rule"));

	if (!only)
		return 0;
	if (!file || !rule || json_object_size(only) != 2)
		return err_set(e, ERR_INPUT, "\"only\" of a fixture must be a rule: { \"file\": \"rules/a.lua\", \"rule\": \"nightly\" }");
	out->only_file = xstrdup(file);
	out->only_rule = xstrdup(rule);
	return 0;
}

/* The raw text of "payload". */
static int take_payload(struct slice text, struct fixture *out, struct err *e)
{
	struct paths *p = paths_new();
	struct values *values = NULL;
	size_t n = 0;
	int path = paths_add(p, SLICE("payload"), e), bad = path < 0 || extract(p, text, &values, e) < 0;
	const struct value *v = bad ? NULL : values_get(values, path, &n);

	if (!bad && v && (v->kind == VALUE_OBJECT || v->kind == VALUE_ARRAY))
		buf_add(&out->body, v->text);
	else if (!bad)
		bad = err_set(e, ERR_INPUT, "\"payload\" of a fixture must be an object or an array; other bodies go to \"body\"");
	values_free(values);
	paths_free(p);
	return bad ? -1 : 0;
}

static int take_body(const json_t *doc, struct slice text, struct fixture *out, struct err *e)
{
	const json_t *plain = json_object_get(doc, "body"), *coded = json_object_get(doc, "body_base64");
	int forms = (json_object_get(doc, "payload") != NULL) + (plain != NULL) + (coded != NULL);

	if (forms != 1)
		return err_set(e, ERR_INPUT, "a fixture has one of \"payload\", \"body\" and \"body_base64\", not %d", forms);
	if ((plain && !json_is_string(plain)) || (coded && !json_is_string(coded)))
		return err_set(e, ERR_INPUT, "\"%s\" of a fixture must be a string", plain ? "body" : "body_base64");
	if (plain)
		buf_add(&out->body, (struct slice){ json_string_value(plain), json_string_length(plain) });
	else if (coded && base64_parse(slice_of(json_string_value(coded)), &out->body) < 0)
		return err_set(e, ERR_INPUT, "\"body_base64\" of a fixture is not base64");
	else if (!coded && take_payload(text, out, e) < 0)
		return -1;
	return buf_is_over(&out->body) ? err_set(e, ERR_LIMIT, "the body is over %d MiB", FIXTURE_BODY_MAX >> 20) : 0;
}

static int take_members(const json_t *doc, struct slice text, struct fixture *out, struct err *e)
{
	const json_t *version = json_object_get(doc, "fixture"), *received = json_object_get(doc, "received_ms");

	if (json_integer_value(version) != 1)
		return err_set(e, ERR_INPUT, "\"fixture\" must be 1, the only form that this program knows");
	if (received && (!json_is_integer(received) || json_integer_value(received) < 0))
		return err_set(e, ERR_INPUT, "\"received_ms\" of a fixture must be a number of milliseconds since 1970");
	out->received_ms = json_integer_value(received);
	if (refuse_unknown(doc, e) < 0 || take_text(doc, "source", &out->source, e) < 0 ||
	    take_text(doc, "event", &out->event, e) < 0 || take_text(doc, "query", &out->query, e) < 0 ||
	    take_text(doc, "delivery", &out->delivery, e) < 0 || take_headers(doc, out, e) < 0 || take_only(doc, out, e) < 0)
		return -1;
	const json_t *cause = json_object_get(doc, "cause");
	if (cause && !json_is_object(cause))
		return err_set(e, ERR_INPUT, "\"cause\" of a fixture must be an object: { \"rule\": \"docs\" }");
	out->cause = cause ? json_dumps(cause, JSON_COMPACT) : NULL;
	return take_body(doc, text, out, e);
}

int fixture_parse(struct slice text, struct fixture *out, struct err *e)
{
	json_t *doc = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
	struct fixture f = FIXTURE_NONE;
	int bad = 0;

	if (json_object_get(doc, "fixture")) {
		bad = take_members(doc, text, &f, e);
	} else {
		buf_add(&f.body, text);
		if (buf_is_over(&f.body))
			bad = err_set(e, ERR_LIMIT, "the body is over %d MiB", FIXTURE_BODY_MAX >> 20);
	}
	json_decref(doc);
	if (bad) {
		fixture_fini(&f);
		return -1;
	}
	*out = f;
	return 0;
}

/* ---- of what the API says of a delivery ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

static char *text_of(const json_t *object, const char *key)
{
	const char *s = string_of(object, key);
	return *s ? xstrdup(s) : NULL;
}

int fixture_of_delivery(const json_t *delivery, struct fixture *f, struct err *e)
{
	const json_t *cause = json_object_get(delivery, "cause"), *event = json_object_get(delivery, "normalised");
	const json_t *only = json_object_get(event, "only");
	json_t *value;
	const char *name;

	f->source = text_of(delivery, "source");
	f->delivery = text_of(delivery, "key");
	f->query = text_of(delivery, "query");
	f->event = text_of(event, "native");
	f->received_ms = json_integer_value(json_object_get(delivery, "received_ms"));
	f->cause = json_is_object(cause) ? json_dumps(cause, JSON_COMPACT) : NULL;
	f->only_file = text_of(only, "file");
	f->only_rule = text_of(only, "rule");
	if (f->source && !strcmp(f->source, "rule")) {          /* finished.succeeded */
		free(f->event);
		f->event = xprintf("finished.%s", string_of(event, "action"));
	}
	json_object_foreach(json_object_get(delivery, "headers"), name, value) {
		const char *text = json_string_value(value);
		if (text && fixture_add_header(f, slice_of(name), slice_of(text), e) < 0)
			return -1;
	}
	return 0;
}

/* ---- writing ---- */

static void put_text(const char *key, const char *text, struct buf *out)
{
	if (!text)
		return;
	buf_addf(out, ",\n  \"%s\": ", key);
	buf_add_json(out, slice_of(text));
}

static void put_headers(struct slice lines, struct buf *out)
{
	struct slice line, name, value;
	int n = 0;

	buf_adds(out, ",\n  \"headers\": {");
	while (lines.len) {
		slice_cut(lines, '\n', &line, &lines);
		if (!slice_cut(line, ':', &name, &value))
			continue;
		buf_adds(out, n++ ? ",\n    " : "\n    ");
		buf_add_json(out, name);
		buf_adds(out, ": ");
		buf_add_json(out, slice_trim(value));
	}
	buf_adds(out, n ? "\n  }" : "}");
}

/* True where BODY can stand in a file as it is, as a member of an object, and be taken out again. */
static int is_document(struct slice body)
{
	CLEANUP(buf_fini) struct buf whole = BUF(FIXTURE_MAX_BYTES);
	struct paths *p = paths_new();
	struct values *values = NULL;
	size_t n = 0;
	int path = paths_add(p, SLICE("payload"), NULL);

	buf_adds(&whole, "{\"payload\":");
	buf_add(&whole, body);
	buf_addc(&whole, '}');
	int is = extract(p, buf_slice(&whole), &values, NULL) == 0;
	const struct value *v = is ? values_get(values, path, &n) : NULL;
	is = v && (v->kind == VALUE_OBJECT || v->kind == VALUE_ARRAY) && slice_eq(v->text, body);
	values_free(values);
	paths_free(p);
	return is;
}

void fixture_write(const struct fixture *f, struct buf *out)
{
	struct slice body = buf_slice(&f->body);

	buf_adds(out, "{\n  \"fixture\": 1");
	put_text("source", f->source, out);
	put_text("event", f->event, out);
	put_text("delivery", f->delivery, out);
	put_text("query", f->query, out);
	if (f->received_ms)
		buf_addf(out, ",\n  \"received_ms\": %lld", (long long)f->received_ms);
	put_headers(buf_slice(&f->headers), out);
	if (f->cause)
		buf_addf(out, ",\n  \"cause\": %s", f->cause);
	if (f->only_rule) {
		buf_adds(out, ",\n  \"only\": { \"file\": ");
		buf_add_json(out, slice_of(f->only_file));
		buf_adds(out, ", \"rule\": ");
		buf_add_json(out, slice_of(f->only_rule));
		buf_adds(out, " }");
	}
	if (is_document(slice_trim(body))) {
		buf_adds(out, ",\n  \"payload\": ");
		buf_add(out, slice_trim(body));
	} else if (utf8_is_valid(body) && !memchr(body.ptr ? body.ptr : "", '\0', body.len)) {
		buf_adds(out, ",\n  \"body\": ");
		buf_add_json(out, body);
	} else {
		buf_adds(out, ",\n  \"body_base64\": \"");
		base64_add(out, body);
		buf_addc(out, '"');
	}
	buf_adds(out, "\n}\n");
}
