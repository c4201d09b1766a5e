/* Whatever a descriptor says, compiling it ends, and one that compiles can verify, sign, identify and normalise. */
#include <stdint.h>
#include <stdlib.h>

#include "rules/normalise.h"
#include "rules/provider.h"

static const char *const document = "{\"ref\":\"refs/heads/main\",\"action\":\"opened\",\"type\":\"x\",\"id\":7,\"ts\":1700000000,\"l\":[{\"n\":\"a\"},"
	"{\"n\":\"b\"}],\"repository\":{\"full_name\":\"a/b\",\"id\":1},\"commits\":[{\"added\":[\"f\"],\"modified\":[],\"removed\":[]}]}";

static void normalise(const struct provider *p, const struct request_view *r)
{
	struct paths *paths = paths_new();
	struct mapping *m = mapping_new(p, paths);
	struct values *v;
	struct normal n;
	struct err e;

	if (extract(paths, r->body, &v, &e) < 0)
		abort();
	provider_normalise(m, SLICE("push"), SLICE("opened"), v, &n);
	for (int f = 0; f < FIELD_COUNT; f++)
		if (n.field[f].state == FIELD_PRESENT && n.field[f].n == 0 && field_type((enum field_id)f) != FIELD_STRINGS)
			abort();
	normal_fini(&n);
	values_free(v);
	mapping_free(m);
	paths_free(paths);
}

static void use(const struct provider *p)
{
	const struct header headers[] = { { SLICE("Sig"), SLICE("t=1700000000,v1=00") }, { SLICE("Event"), SLICE("push") },
		{ SLICE("Authorization"), SLICE("Basic YTpi") } };
	const struct request_view r = { .method = SLICE("POST"), .query = SLICE("token=a&b=%41"), .body = slice_of(document),
		.headers = headers, .n_headers = COUNT(headers), .url = SLICE("https://a.example/"), .now_ms = 1700000000000 };
	const struct secret_view secret = { SLICE("a:b") };
	const struct sender by = { secret.text, "id", "push" };
	struct signed_parts parts;
	struct identity id = { 0 };
	struct err e;
	char why[160];

	provider_verify(p, &r, &secret, 1, why);
	if (provider_sign(p, &r, &by, &parts, &e) == 0)
		signed_parts_fini(&parts);
	else if (e.kind == ERR_BUG)
		abort();
	if (provider_identify(p, &r, &id, &e) == 0)
		identity_fini(&id);
	struct request_view hello = r;
	hello.method = provider_hello_method(p);
	if (hello.method.len && provider_identify(p, &hello, &id, &e) == 0) {
		if (!id.answer_status)
			abort();
		identity_fini(&id);
	}
	normalise(p, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct provider *p;
	struct node_doc *doc;
	struct diags diags = { 0 };
	struct err e;

	if (node_doc_parse((struct slice){ (const char *)bytes, n }, &doc, &e) < 0)
		return 0;
	if (provider_compile(&(struct descriptor){ "fuzz", "fuzz.lua", node_doc_root(doc), NULL }, &p, &diags) == 0) {
		use(p);
		provider_free(p);
	} else if (diags.errors == 0) {
		abort();
	}
	diags_fini(&diags);
	node_doc_free(doc);
	return 0;
}
