/* tests/unit/vector.h - requests that are known to be good: the vectors beside the samples of plugins/providers, each of which
 * says where it comes from, and what a descriptor signs itself. */
#pragma once
#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor.h"
#include "no_leaks.h"

#define JSON "Content-Type: application/json\n"
#define FORM "Content-Type: application/x-www-form-urlencoded\n"
#define B "{\"event\":\"payment.captured\",\"payload\":{\"payment\":{\"entity\":{\"id\":\"pay_1\",\"amount\":100}}}}"
#define ED25519_HEX "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define ED25519_B64 "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

struct vector {
	const char *provider, *secret, *wrong;  /* wrong: another secret of the same form */
	const char *sig;                        /* the header of the signature; first of `headers` */
	const char *headers, *body;
	int64_t at_s;                           /* 0: no timestamp */
	int64_t tolerance_s;
	const char *query, *url, *made;
	json_t *list;                           /* what the texts are borrowed from */
	int is_refused, is_first;               /* among those that hold are some to be refused; first of its provider */
};

#define VECTORS_MAX 64
static struct vector vectors[VECTORS_MAX];      /* of plugins/providers/samples: PROVIDER/vectors.json; for the life of the process */
static size_t n_vectors;

static const char *member(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

static char *header_text(json_t *headers)
{
	struct buf out = BUF(1 << 14);
	const char *name;
	json_t *value;

	json_object_foreach(headers, name, value)
		buf_addf(&out, "%s: %s\n", name, json_string_value(value));
	buf_addc(&out, '\0');
	return buf_take(&out);
}

static void read_vectors(const char *path)
{
	json_error_t e;
	json_t *list = json_load_file(path, 0, &e), *v;
	char *provider = xcalloc(1, 64);
	size_t i;

	cr_assert(list, "%s:%d: %s", path, e.line, e.text);
	cr_assert_eq(sscanf(path, SOURCE "/plugins/providers/samples/%63[^/]", provider), 1);
	json_array_foreach(list, i, v) {
		cr_assert_lt(n_vectors, VECTORS_MAX);
		char *headers = header_text(json_object_get(v, "headers"));
		vectors[n_vectors++] = (struct vector){ .provider = provider, .secret = member(v, "secret"), .wrong = member(v, "wrong"),
			.sig = slice_dup(slice_upto(slice_of(headers), strcspn(headers, ":"))), .headers = headers, .body = member(v, "body"),
			.at_s = json_integer_value(json_object_get(v, "at")), .tolerance_s = json_integer_value(json_object_get(v, "tolerance")),
			.query = member(v, "query"), .url = member(v, "url"), .made = member(v, "from"), .list = list,
			.is_refused = json_is_true(json_object_get(v, "refused")), .is_first = i == 0 };
	}
}

static const struct vector *first_vector(void)
{
	static int is_read;
	glob_t g = { 0 };

	if (is_read++)
		return vectors;
	cr_assert_eq(glob(SOURCE "/plugins/providers/samples/*/vectors.json", 0, NULL, &g), 0);
	for (size_t i = 0; i < g.gl_pathc; i++)
		read_vectors(g.gl_pathv[i]);
	globfree(&g);
	cr_assert_geq(n_vectors, 30);
	return vectors;
}

/* ---- helpers ---- */

struct trial {
	struct provider *provider;
	char *headers, *body;
	struct header list[32];
	struct request_view view;
	char why[160], url[400];
};

static void set_headers(struct trial *t, const char *text)
{
	free(t->headers);
	t->headers = xstrdup(text);
	t->view.n_headers = 0;
	for (struct slice rest = slice_of(t->headers), line, name, value; rest.len;) {
		slice_cut(rest, '\n', &line, &rest);
		slice_cut(line, ':', &name, &value);
		t->list[t->view.n_headers++] = (struct header){ name, value };
	}
}

static void trial_init(struct trial *t, const struct vector *v)
{
	*t = (struct trial){ .provider = provider_of(v->provider), .body = xstrdup(v->body ? v->body : "{\"type\":\"x\"}") };
	set_headers(t, v->headers);
	t->view.headers = t->list;
	t->view.method = SLICE("POST");
	t->view.body = slice_of(t->body);
	t->view.query = slice_of(v->query);
	t->view.url = slice_of(v->url);
	t->view.now_ms = v->at_s ? v->at_s * 1000 : 1700000000000;
}

static void trial_fini(struct trial *t)
{
	provider_free(t->provider);
	free(t->headers);
	free(t->body);
}

static inline enum verify_outcome verify(struct trial *t, const char *secret)
{
	struct secret_view one = { slice_of(secret) };
	return provider_verify(t->provider, &t->view, &one, 1, t->why);
}

static inline enum verify_outcome verify_headers(struct trial *t, const char *headers, const char *secret)
{
	set_headers(t, headers);
	return verify(t, secret);
}

#define each_vector_at_all(v) for (const struct vector *v = first_vector(); v < vectors + n_vectors; v++)
#define each_vector(v) each_vector_at_all(v) if (!v->is_refused)
#define each_first_vector(v) each_vector(v) if (v->is_first)

static inline const struct vector *vector_of(const char *provider)
{
	each_first_vector(v)
		if (!strcmp(v->provider, provider))
			return v;
	cr_assert_fail("no vector of %s", provider);
	return NULL;
}

/* A request with BODY, signed with the provider's own descriptor, at NOW. */
static inline void sign_as(struct trial *t, const char *provider, const char *secret, const char *head, const char *body, int64_t now_ms)
{
	struct signed_parts parts;
	struct err e;
	*t = (struct trial){ .provider = provider_of(provider), .body = xstrdup(body) };
	t->view.headers = t->list;
	set_headers(t, head);
	t->view.body = slice_of(t->body);
	t->view.url = SLICE("https://ci.example.org/hooks/x");
	t->view.now_ms = now_ms;
	const struct sender by = { slice_of(secret), "id-1", "push" };
	cr_assert_eq(provider_sign(t->provider, &t->view, &by, &parts, &e), 0, "%s", e.msg);
	CLEANUP(freep) char *whole = xprintf("%s%s", head, buf_cstr(&parts.header_lines));
	CLEANUP(freep) char *url = xprintf("https://ci.example.org/hooks/x%s%s", parts.query.len ? "?" : "", buf_cstr(&parts.query));
	set_headers(t, whole);
	snprintf(t->url, sizeof t->url, "%s", url);
	t->view.url = slice_of(t->url);
	t->view.query = slice_from(t->view.url, 31);
	signed_parts_fini(&parts);
}

static inline void sign(struct trial *t, const char *provider, const char *secret, const char *body, int64_t now_ms)
{
	sign_as(t, provider, secret, "", body, now_ms);
}
