/* Whatever a request carries, verifying it ends, and no request holds under two different secrets. The input: a digit that
 * chooses the scheme, a line of the query, header lines, an empty line, the body. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/provider.h"

#define MAX_HEADERS 32

static const struct { const char *json, *secret, *other; } schemes[] = {
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha256\",\"enc\":\"hex\",\"sig\":\"header:Sig\",\"pair\":\"=\",\"take\":\"sha256\",\"signed\":\"{body}\","
	  "\"event\":\"header:Event\",\"action\":\"json:action\",\"delivery\":\"header:Id\",\"payload\":\"form:payload\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha256\",\"enc\":\"hex\",\"sig\":\"header:Sig\",\"item\":\",\",\"pair\":\"=\",\"take\":\"v1\","
	  "\"ts\":\"sig:t\",\"tol\":\"5m\",\"signed\":\"{ts}.{body}\",\"event\":\"json:type\",\"delivery\":\"json:id\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha512\",\"enc\":\"base64\",\"key\":\"base64\",\"strip\":\"whsec_\",\"sig\":\"header:Sig\",\"item\":\" \","
	  "\"pair\":\",\",\"take\":\"v1\",\"ts\":\"header:Ts\",\"tol\":\"5m\",\"msgid\":\"header:Id\",\"signed\":\"{msgid}.{ts}.{body}\","
	  "\"event\":\"json:type\",\"delivery\":\"header:Id\"}}", "whsec_c2VjcmV0", "b3RoZXI=" },
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha256\",\"enc\":\"hex\",\"sig\":\"header:Sig|header:Sig-Old\",\"payload\":\"form:payload\","
	  "\"signed\":\"{payload}\",\"event\":\"header:Event|const:x\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha1\",\"enc\":\"base64\",\"sig\":\"header:Sig\",\"signed\":\"{url}{form_sorted}\","
	  "\"digest\":\"query:bodySHA256\",\"event\":\"json:E|const:x\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"hmac\",\"hash\":\"sha256\",\"enc\":\"hex\",\"sig\":\"header:Sig\",\"ts\":\"json#:ts\",\"ts_unit\":\"ms\",\"tol\":\"5m\","
	  "\"signed\":\"{body}\",\"event\":\"json:type\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"ed25519\",\"enc\":\"hex\",\"key\":\"hex\",\"sig\":\"header:Sig\",\"ts\":\"header:Ts\",\"tol\":\"5m\",\"signed\":\"{ts}{body}\","
	  "\"event\":\"json:type\"}}", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c" },
	{ "{\"m\":{\"kind\":\"token\",\"sig\":\"header:Authorization\",\"prefix\":\"Bearer \",\"event\":\"json:type|const:x\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"token\",\"sig\":\"query:token\",\"event\":\"const:x\"}}", "secret", "other" },
	{ "{\"m\":{\"kind\":\"basic\",\"event\":\"query:e|const:x\"}}", "ada:secret", "ada:other" },
};

static const struct provider *provider_of(size_t i)
{
	static struct provider *made[COUNT(schemes)];   /* for the life of the process */
	struct diags diags = { 0 };
	struct node_doc *doc;
	struct err e;

	if (!made[i]) {
		if (node_doc_parse(slice_of(schemes[i].json), &doc, &e) < 0 ||
		    provider_compile(&(struct descriptor){ "fuzz", "fuzz", node_doc_root(doc), NULL }, &made[i], &diags) < 0) {
			fprintf(stderr, "scheme %zu: %s\n", i, diags.n ? diags.list[0].text : e.msg);
			abort();
		}
		node_doc_free(doc);
		diags_fini(&diags);
	}
	return made[i];
}

static void read_request(struct slice text, struct request_view *r, struct header *headers)
{
	struct slice line, name, value;

	slice_cut(text, '\n', &r->query, &text);
	while (text.len && r->n_headers < MAX_HEADERS) {
		slice_cut(text, '\n', &line, &text);
		if (line.len == 0)
			break;
		slice_cut(line, ':', &name, &value);
		headers[r->n_headers++] = (struct header){ name, value };
	}
	r->headers = headers;
	r->body = text;
}

static void name_it(const struct provider *p, const struct request_view *r)
{
	struct identity id = { 0 };
	struct err e;

	if (provider_identify(p, r, &id, &e) < 0)
		return;
	if (!id.event || !id.action || !id.delivery_key || !id.delivery_key[0])
		abort();
	identity_fini(&id);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct header headers[MAX_HEADERS];
	struct request_view r = { .method = SLICE("POST"), .url = SLICE("https://a.example/x"), .now_ms = 1700000000000 };
	char why[160];

	if (n == 0 || (size_t)(bytes[0] - '0') >= COUNT(schemes))
		return 0;
	size_t i = (size_t)(bytes[0] - '0');
	read_request((struct slice){ (const char *)bytes + 1, n - 1 }, &r, headers);
	struct secret_view mine = { slice_of(schemes[i].secret) }, other = { slice_of(schemes[i].other) };
	if (provider_verify(provider_of(i), &r, &mine, 1, why) == VERIFY_OK &&
	    provider_verify(provider_of(i), &r, &other, 1, why) != VERIFY_MISMATCH)
		abort();
	name_it(provider_of(i), &r);
	return 0;
}
