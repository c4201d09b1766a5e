/* provider: descriptors, what they sign, and what is found in a request once it is verified (test_verification.c). */
#include "base/hex.h"
#include "rules/form.h"
#include "rules/normalise.h"
#include "rules/recording.h"
#include "vector.h"

#define SEED "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define SEED_PEM "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n"

/* For each: the key that signs, and the secret that verifies. */
static const struct { const char *provider, *key, *secret, *head; } signers[] = {
	{ "github", "s", NULL, "" }, { "gitea", "s", NULL, "" }, { "gogs", "s", NULL, "" }, { "bitbucket", "s", NULL, "" },
	{ "bitbucket-server", "s", NULL, "" }, { "gitlab", "s", NULL, "" }, { "gitlab-signing-token", "whsec_AAEC", NULL, "" },
	{ "stripe", "whsec_s", NULL, "" }, { "razorpay", "s", NULL, "" }, { "standard-webhooks", "whsec_AAEC", NULL, "" },
	{ "svix", "whsec_AAEC", NULL, "" }, { "shopify", "s", NULL, "" }, { "slack", "s", NULL, "" }, { "sentry", "s", NULL, "" },
	{ "npm", "s", NULL, "" }, { "convoy-advanced", "s", NULL, "" }, { "bearer", "s", NULL, "" }, { "basic", "u:p", NULL, "" },
	{ "cloudevents", "s", NULL, "" }, { "generic-hmac", "s", NULL, "" }, { "azure-devops", "u:p", NULL, "" },
	{ "docker-hub", "s", NULL, "" }, { "twilio", "s", NULL, "" }, { "twilio", "s", NULL, FORM }, { "gitea", "s", NULL, FORM },
	{ "discord", SEED, ED25519_HEX, "" }, { "discord", SEED_PEM, ED25519_HEX, "" }, { "sourcehut", SEED, ED25519_B64, "" },
	{ "sourcehut", "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", ED25519_B64, "" },
	{ "standard-webhooks-ed25519", SEED ED25519_HEX, "whpk_" ED25519_B64, "" },
};

Test(provider, what_it_signs_it_verifies)
{
	for (size_t i = 0; i < COUNT(signers); i++) {
		struct trial t;
		const char *secret = signers[i].secret ? signers[i].secret : signers[i].key;
		const char *body = *signers[i].head ? "payload=%7B%22type%22%3A%22push%22%7D&a=b+c" : "{\"type\":\"push\"}";
		sign_as(&t, signers[i].provider, signers[i].key, signers[i].head, body, 1700000000123);
		cr_assert_eq(verify(&t, secret), VERIFY_OK, "%s: %s\n%s", signers[i].provider, t.why, t.headers);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, does_not_sign_what_would_break_a_header_nor_without_a_key)
{
	static const struct { const char *provider, *secret, *id, *says; } cases[] = {
		{ "github", "s", "id\r\nX: y", "control byte" }, { "github", "", "id", "is empty" }, { "bearer", "s\nt", "id", "control byte" },
		{ "standard-webhooks", "?", "id", "no key" }, { "discord", ED25519_HEX "00", "id", "private key" },
		{ "discord", "-----BEGIN x", "id", "private key" }, { "twilio", "s", "id", "address" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct provider *p = provider_of(cases[i].provider);
		const struct request_view r = { .body = SLICE("{}"), .now_ms = 1 };
		const struct sender by = { slice_of(cases[i].secret), cases[i].id, "push" };
		struct signed_parts parts;
		struct err e;
		cr_assert_eq(provider_sign(p, &r, &by, &parts, &e), -1, "%zu", i);
		cr_assert(strstr(e.msg, cases[i].says), "%s", e.msg);
		provider_free(p);
	}
	no_leaks();
}

Test(provider, says_nothing_twice_that_the_request_says)
{
	static const struct { const char *provider, *head, *body, *never; } cases[] = {
		{ "github", "x-github-event: ping\n", "{}", "X-GitHub-Event" }, { "shopify", "shopify-topic: a\n", "{}", "X-Shopify-Topic" },
		{ "gitlab", "", "{\"object_kind\":\"push\"}", "X-Gitlab-Event:" }, { "cloudevents", "", "{\"type\":\"x\",\"id\":\"y\"}", "ce-" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct trial t;
		sign_as(&t, cases[i].provider, "s", cases[i].head, cases[i].body, 1);
		cr_assert_null(strstr(t.headers, cases[i].never), "%s", t.headers);
		trial_fini(&t);
	}
	no_leaks();
}

/* ---- recordings ---- */

Test(recording, fills_its_holes_and_leaves_those_of_others)
{
	struct recording r;
	struct err e;
	cr_assert_eq(recording_parse(SLICE("X-Id: ${id}\r\nX-Time: ${now}\n\n{\"a\":${now_ms},\"b\":\"${HOME} ${ ${id}\"}\n\n"), "i", 1700000000123, &r, &e), 0);
	cr_assert_eq(r.n_headers, 3);
	cr_assert(slice_eq(r.headers[0].value, SLICE("i")));
	cr_assert(slice_eq(r.headers[1].value, SLICE("1700000000")));
	cr_assert(slice_eq(r.headers[2].value, SLICE("application/json")));
	cr_assert(slice_eq(r.body, SLICE("{\"a\":1700000000123,\"b\":\"${HOME} ${ i\"}\n")), SLICE_FMT, SLICE_ARG(r.body));
	recording_fini(&r);
	cr_assert_eq(recording_parse(SLICE("content-type: text/plain\n\n"), "i", 0, &r, &e), 0);
	cr_assert_eq(r.n_headers, 1);
	cr_assert_eq(r.body.len, 0);
	recording_fini(&r);
	cr_assert_eq(recording_parse(SLICE("\nbody"), "i", 0, &r, &e), 0);
	cr_assert(slice_eq(r.body, SLICE("body")));
	recording_fini(&r);
	no_leaks();
}

Test(recording, refuses_what_is_none_and_says_the_line)
{
	static const struct { const char *text, *says; } bad[] = {
		{ "A: b", "no empty line" }, { "", NULL }, { "A: b\nno colon\n\n", "line 2" }, { "A b: c\n\n", "line 1" }, { ": c\n\n", "line 1" },
		{ "{\"a\":1}\n\n", "line 1" },
	};
	struct recording r;
	struct buf many = BUF(1 << 12);
	struct err e;
	for (size_t i = 0; i < COUNT(bad); i++) {
		int is_bad = recording_parse(slice_of(bad[i].text), "i", 0, &r, &e) < 0;
		cr_assert_eq(is_bad, bad[i].says != NULL, "%s", bad[i].text);
		cr_assert(!is_bad || strstr(e.msg, bad[i].says), "%s", e.msg);
		if (!is_bad)
			recording_fini(&r);
	}
	for (int n = RECORDING_MAX_HEADERS - 1; n <= RECORDING_MAX_HEADERS; n++) {
		buf_clear(&many);
		for (int i = 0; i < n; i++)
			buf_addf(&many, "H%d: x\n", i);
		buf_adds(&many, "\n{}\n");
		int status = recording_parse(buf_slice(&many), "i", 0, &r, &e);
		cr_assert_eq(status, n < RECORDING_MAX_HEADERS ? 0 : -1);
		if (status == 0)
			recording_fini(&r);
	}
	buf_fini(&many);
	no_leaks();
}

/* ---- identify ---- */

static int identify(struct trial *t, const char *headers, struct slice body, struct identity *out, struct err *e)
{
	set_headers(t, headers);
	t->view.body = body;
	*out = (struct identity){ 0 };
	return provider_identify(t->provider, &t->view, out, e);
}

Test(provider, identifies_event_action_and_delivery)
{
	struct trial t;
	struct identity id;
	struct err e;
	trial_init(&t, vector_of("github"));
	cr_assert_eq(identify(&t, JSON "X-GitHub-Event: pull_request\nX-GitHub-Delivery: 72d3162e\n", SLICE("{\"action\":\"opened\"}"), &id, &e), 0);
	cr_assert_str_eq(id.event, "pull_request");
	cr_assert_str_eq(id.action, "opened");
	cr_assert_str_eq(id.delivery_key, "72d3162e");
	cr_assert_eq(id.json.len, 0);
	cr_assert_eq(id.answer_status, 0);
	identity_fini(&id);
	cr_assert_eq(identify(&t, JSON "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n", SLICE("{\"action\":{}}"), &id, &e), 0);
	cr_assert_str_eq(id.action, "");
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, refuses_to_identify_without_event_id_or_document)
{
	static const struct { const char *headers, *body; } bad[] = {
		{ "X-GitHub-Delivery: 1\n", "{}" }, { "X-GitHub-Event: push\n", "{}" }, { "X-GitHub-Event: push\nX-GitHub-Delivery: \n", "{}" },
		{ "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n", "" }, { "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n", "{" },
		{ "X-GitHub-Event: push\nX-GitHub-Delivery: \x01\n", "{}" }, { "X-GitHub-Event: p\nX-GitHub-Event: q\nX-GitHub-Delivery: 1\n", "{}" },
		{ "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n" FORM, "payload=%zz" }, { "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n" FORM, "payload=a&payload=b" },
	};
	struct trial t;
	struct identity id;
	trial_init(&t, vector_of("github"));
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err e = { 0 };
		cr_assert_eq(identify(&t, bad[i].headers, slice_of(bad[i].body), &id, &e), -1, "%zu", i);
		cr_assert_eq(e.kind, ERR_INPUT);
	}
	struct err e = { 0 };
	cr_assert_eq(identify(&t, "X-GitHub-Event: push\nX-GitHub-Delivery: 1\n" FORM, SLICE(" {\"ref\":\"x\"}"), &id, &e), -1);
	cr_assert_str_eq(e.msg, "the content type says that this is a form, and the body is JSON: send it as application/json");
	trial_fini(&t);
	no_leaks();
}

Test(provider, without_an_id_the_digest_of_the_body_is_the_key)
{
	struct trial t;
	struct identity id;
	struct err e;
	char hex[65];
	trial_init(&t, vector_of("npm"));
	cr_assert_eq(identify(&t, "", SLICE("{\"event\":\"package:publish\"}"), &id, &e), 0, "%s", e.msg);
	sha256_hex(t.view.body, hex);
	cr_assert_str_eq(id.delivery_key, hex);
	cr_assert_str_eq(id.event, "package:publish");
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, tells_whether_the_delivery_id_is_signed)
{
	static const struct { const char *provider; int signs; } cases[] = {
		{ "github", 0 }, { "gitea", 0 }, { "gitlab", 0 }, { "razorpay", 0 }, { "gitlab-signing-token", 1 }, { "stripe", 1 },
		{ "standard-webhooks", 1 }, { "slack", 1 }, { "discord", 1 }, { "npm", 1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct provider *p = provider_of(cases[i].provider);
		cr_assert_eq(provider_signs_id(p), cases[i].signs, "%s", cases[i].provider);
		provider_free(p);
	}
	no_leaks();
}

Test(provider, a_form_without_a_document_becomes_one)
{
	struct trial t;
	struct identity id;
	struct err e;
	trial_init(&t, vector_of("slack"));
	cr_assert_eq(identify(&t, FORM, SLICE("command=%2Fgo&text=a+b&trigger_id=7&x=1&x=2&&e"), &id, &e), 0, "%s", e.msg);
	cr_assert_str_eq(buf_cstr(&id.json), "{\"command\":\"/go\",\"text\":\"a b\",\"trigger_id\":\"7\",\"x\":[\"1\",\"2\"],\"e\":\"\"}");
	cr_assert_str_eq(id.event, "/go");
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, handshakes_are_answered_and_not_stored)
{
	struct trial t;
	struct identity id;
	struct err e;
	trial_init(&t, vector_of("slack"));
	cr_assert_eq(identify(&t, JSON, SLICE("{\"type\":\"url_verification\",\"challenge\":\"3eZbrw\"}"), &id, &e), 0);
	cr_assert_eq(id.answer_status, 200);
	cr_assert(slice_eq(buf_slice(&id.answer), SLICE("3eZbrw")));
	identity_fini(&id);
	trial_fini(&t);
	trial_init(&t, vector_of("discord"));
	cr_assert_eq(identify(&t, JSON, SLICE("{\"type\":0}"), &id, &e), 0);
	cr_assert_eq(id.answer_status, 204);
	cr_assert_eq(id.answer.len, 0);
	identity_fini(&id);
	cr_assert_eq(identify(&t, JSON, SLICE("{\"type\":1,\"event\":{\"type\":\"X\"}}"), &id, &e), 0);
	cr_assert_eq(id.answer_status, 0);
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, a_key_in_parts_is_unique_with_all_of_them)
{
	struct trial t;
	struct identity id;
	struct err e;
	struct buf head = BUF(4000);
	char hex[65];
	trial_init(&t, vector_of("cloudevents"));
	cr_assert_eq(identify(&t, "ce-type: x\nce-source: /a\nce-id: 1\n", SLICE("{}"), &id, &e), 0, "%s", e.msg);
	cr_assert_str_eq(id.delivery_key, "/a 1");
	identity_fini(&id);
	cr_assert_eq(identify(&t, JSON, SLICE("{\"type\":\"x\",\"source\":\"/b\",\"id\":\"1\"}"), &id, &e), 0, "%s", e.msg);
	cr_assert_str_eq(id.delivery_key, "/b 1");
	identity_fini(&id);
	cr_assert_eq(identify(&t, "ce-type: x\nce-id: 1\n", SLICE("{}"), &id, &e), -1);
	for (size_t n = 254; n <= 255; n++) {           /* with a space and the id: a key of 256 bytes, and one more */
		buf_clear(&head);
		buf_addf(&head, "ce-type: x\nce-id: 1\nce-source: %0*d\n", (int)n, 7);
		cr_assert_eq(identify(&t, buf_cstr(&head), SLICE("{}"), &id, &e), 0, "%s", e.msg);
		CLEANUP(freep) char *whole = xprintf("%0*d 1", (int)n, 7);
		sha256_hex(slice_of(whole), hex);
		cr_assert_str_eq(id.delivery_key, n == 254 ? whole : hex);
		identity_fini(&id);
	}
	buf_fini(&head);
	trial_fini(&t);
	no_leaks();
}

Test(provider, a_handshake_may_have_a_method_and_headers_of_its_own)
{
	struct trial t;
	struct identity id;
	struct err e;
	trial_init(&t, vector_of("cloudevents"));
	cr_assert(slice_eq(provider_hello_method(t.provider), SLICE("OPTIONS")));
	t.view.method = SLICE("OPTIONS");
	cr_assert_eq(identify(&t, "WebHook-Request-Origin: events.example.org\nWebHook-Request-Rate: 120\n", SLICE_NULL, &id, &e), 0, "%s", e.msg);
	cr_assert_eq(id.answer_status, 200);
	cr_assert(strstr(buf_cstr(&id.answer_headers), "WebHook-Allowed-Origin: events.example.org\n"));
	cr_assert(strstr(buf_cstr(&id.answer_headers), "WebHook-Allowed-Rate: *\n"));
	cr_assert(strstr(buf_cstr(&id.answer_headers), "Allow: POST\n"));
	identity_fini(&id);
	cr_assert_eq(identify(&t, "WebHook-Request-Origin: a\x01\n", SLICE_NULL, &id, &e), 0);
	cr_assert_null(strstr(buf_cstr(&id.answer_headers), "Allowed-Origin"), "what could not stand in a header is left out");
	identity_fini(&id);
	cr_assert_eq(identify(&t, "", SLICE_NULL, &id, &e), -1, "no consent without an origin");
	t.view.method = SLICE("POST");
	cr_assert_eq(identify(&t, "WebHook-Request-Origin: a\nce-type: x\nce-id: 1\nce-source: s\n", SLICE("{}"), &id, &e), 0, "%s", e.msg);
	cr_assert_eq(id.answer_status, 0, "a delivery names its origin too");
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, tells_json_forms_and_other_bodies_apart)
{
	static const struct { const char *headers; enum body_kind kind; } cases[] = {
		{ "", BODY_JSON }, { "Content-Type: application/json; charset=utf-8\n", BODY_JSON }, { "content-type: APPLICATION/JSON\n", BODY_JSON },
		{ "Content-Type: application/cloudevents+json\n", BODY_JSON }, { FORM, BODY_FORM }, { "Content-Type: text/plain\n", BODY_OTHER },
		{ "Content-Type: multipart/form-data; boundary=x\n", BODY_OTHER }, { JSON FORM, BODY_OTHER },
	};
	struct trial t;
	trial_init(&t, vector_of("github"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		set_headers(&t, cases[i].headers);
		cr_assert_eq(request_body_kind(&t.view), cases[i].kind, "%s", cases[i].headers);
	}
	trial_fini(&t);
	no_leaks();
}

/* ---- descriptors ---- */

Test(provider, all_that_come_with_the_program_compile)
{
	glob_t g = { 0 };
	cr_assert_eq(glob(SOURCE "/plugins/providers/*.lua", 0, NULL, &g), 0);
	cr_assert_geq(g.gl_pathc, 24);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		CLEANUP(freep) char *code = descriptor_text(g.gl_pathv[i]);
		CLEANUP(freep) char *name = xstrdup(strrchr(g.gl_pathv[i], '/') + 1);
		name[strlen(name) - 4] = '\0';
		CLEANUP(freep) char *head = xprintf("provider \"%s\" {", name);
		cr_assert(strstr(code, head), "%s declares another name", g.gl_pathv[i]);
		struct provider *p = descriptor_of_code(name, code);
		cr_assert_str_eq(provider_name(p), name);
		cr_assert_gt(provider_deadline_ms(p), 0);
		provider_free(p);
	}
	globfree(&g);
	no_leaks();
}

#define HMAC "kind='hmac', hash='sha256', enc='hex', sig='header:S', signed='{body}', event='const:x'"

Test(provider, a_descriptor_in_error_is_refused_and_says_why)
{
	static const struct { const char *fields, *says; } cases[] = {
		{ "", "kind is missing" },
		{ HMAC ", sgined='x'", "did you mean 'signed'" },
		{ "kind='hmca', event='const:x'", "did you mean hmac" },
		{ HMAC ", event='heder:X'", "is none of header:Name" },
		{ HMAC ", event='header:'", "is none of header:Name" },
		{ HMAC ", event=''", "event is empty" },
		{ HMAC ", event=7", "must be a string" },
		{ HMAC ", action='json:a..b'", "a key is empty" },
		{ HMAC ", signed='{body'", "not closed" },
		{ HMAC ", signed='{bdoy}'", "{bdoy} is none of" },
		{ HMAC ", signed='const'", "covers no body" },
		{ HMAC ", signed='{ts}{body}'", "ts is missing" },
		{ HMAC ", signed='{msgid}{body}'", "msgid is missing" },
		{ HMAC ", signed='{payload}'", "payload is missing" },
		{ HMAC ", ts='header:T', tol='5m'", "does not cover ts" },
		{ HMAC ", ts='header:T', signed='{ts}{body}'", "ts needs tol" },
		{ HMAC ", ts='header:T', signed='{ts}{body}', tol='300'", "is no duration" },
		{ HMAC ", ts='json:t', signed='{ts}{body}', tol='5m'", "stands in the body" },
		{ HMAC ", take='v1'", "take needs pair" },
		{ HMAC ", pair='='", "pair needs take" },
		{ HMAC ", item=','", "item needs pair" },
		{ HMAC ", item=', '", "one character" },
		{ HMAC ", id_in_mac='no'", "true or false" },
		{ HMAC ", sig='json:a'", "must be in a header" },
		{ HMAC ", hello={ when='json:a' }", "hello needs" },
		{ HMAC ", hello={ wehn='json:a' }", "did you mean 'when'" },
		{ HMAC ", hello={ method='PUT', when='header:A', status=200 }", "OPTIONS" },
		{ HMAC ", hello={ when='header:A', status=200 }", "hello needs" },
		{ HMAC ", hello={ method='OPTIONS', when='header:A', status=200, headers={ ['Content-Length']='const:1' } }", "no header for an answer" },
		{ HMAC ", hello={ method='OPTIONS', when='header:A', status=200, headers='x' }", "are a table" },
		{ HMAC ", delivery={}", "a list of up to 3" },
		{ HMAC ", delivery={ 'const:a', 'const:b', 'const:c', 'const:d' }", "a list of up to 3" },
		{ HMAC ", answer=500", "200, 201, 202 or 204" },
		{ HMAC ", like='nobody'", "is no provider without errors" },
		{ HMAC ", fields={ repo='join:a' }", "two paths" },
		{ "kind='hmac', enc='hex', sig='header:S', signed='{body}', event='const:x'", "needs a hash" },
		{ "kind='ed25519', enc='hex', sig='header:S', signed='{body}', event='const:x'", "needs key" },
		{ "kind='token', event='const:x'", "sig is missing" },
		{ "kind='token', sig='header:S', signed='{body}', event='const:x'", "belong to the kinds that sign" },
		{ HMAC ", 'stray'", "an item without a key" },
		{ HMAC ", fields={ repoo='a' }", "did you mean 'repo'" },
		{ HMAC ", fields={ repo='a[' }", "is not closed" },
		{ HMAC ", fields={ repo='lowr:a' }", "no converter" },
		{ HMAC ", fields={ fork='differs:a' }", "two paths" },
		{ HMAC ", fields={ repo={ 'a' } }", "must be a payload path" },
		{ HMAC ", events={ push='psuh' }", "no common event" },
		{ HMAC ", events={ push={} }", "is mapped to" },
		{ HMAC ", events={ push={ 'push', branhc='a' } }", "did you mean 'branch'" },
		{ HMAC ", events={ push={ { 'push' }, { when={} } } }", "begins with the common name" },
		{ HMAC ", events={ push={ 'push', when={ a={ { 1 } } } } }", "a condition is" },
		{ HMAC ", events={ push={ 'push', actions={ 'x' } } }", "actions must be" },
		{ HMAC ", events={ push={ 'push', paths={ commit='c' } } }", "did you mean 'commits'" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *code = xprintf("provider \"p\" { %s }", cases[i].fields);
		struct diags diags = { 0 };
		struct buf said = BUF(1 << 16);
		struct provider *p = descriptor_compile("p", code, &diags);
		diags_print(&diags, &said, 0);
		cr_assert_null(p, "%s", cases[i].fields);
		cr_assert(strstr(buf_cstr(&said), cases[i].says), "%s\nsaid: %swanted: %s", cases[i].fields, buf_cstr(&said), cases[i].says);
		diags_fini(&diags);
		buf_fini(&said);
	}
	no_leaks();
}

/* Each list of a descriptor at its bound, and one past it. */
Test(provider, the_lists_of_a_descriptor_are_as_long_as_their_bounds_and_no_longer)
{
	static const struct { const char *before, *each, *after; int most; const char *says; } t[] = {
		{ HMAC ", delivery='", "header:A|", "const:x'", 3, "has more than 4 alternatives" },
		{ HMAC ", fields={ repo='", "a|", "b' }", 3, "more than 4 alternatives" },
		{ HMAC ", delivery={ ", "'const:a', ", "}", 3, "a list of up to 3" },
		{ HMAC ", fields={ paths={ commits='c', unless={ ", "'a', ", "} } }", 4, "a list of up to 4 payload paths" },
		{ "kind='hmac', hash='sha256', enc='hex', sig='header:S', event='const:x', signed='", "{body}.", "'", 8, "signed has more than 16 parts" },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		for (int over = 0; over < 2; over++) {
			CLEANUP(buf_fini) struct buf code = BUF(BUF_UNLIMITED), said = BUF(1 << 16);
			struct diags diags = { 0 };
			buf_addf(&code, "provider \"p\" { %s", t[i].before);
			for (int k = 0; k < t[i].most + over; k++)
				buf_adds(&code, t[i].each);
			buf_addf(&code, "%s }", t[i].after);
			struct provider *p = descriptor_compile("p", buf_cstr(&code), &diags);
			diags_print(&diags, &said, 0);
			cr_expect(over ? !p && strstr(buf_cstr(&said), t[i].says) : p != NULL, "%s\nsaid: %s", buf_cstr(&code), buf_cstr(&said));
			provider_free(p);
			diags_fini(&diags);
		}
	no_leaks();
}

Test(provider, what_is_like_another_has_its_events_and_its_own_before_them)
{
	struct provider *p = descriptor_of_code("p", "provider \"p\" { kind='none', event='const:x', like='gitlab', fields={ owner='o' }, "
		"events={ push='tag', deploy='release.published' } }");
	struct provider *base = provider_of("gitlab");
	size_t n, n_base, pushes = 0, deploys = 0, merges = 0;
	const struct provider_event *e = provider_events(p, &n);
	provider_events(base, &n_base);
	for (size_t i = 0; i < n; i++) {
		pushes += !strcmp(e[i].native, "push");
		deploys += !strcmp(e[i].native, "deploy");
		merges += !strcmp(e[i].native, "merge_request");
		cr_assert(strcmp(e[i].native, "push") || !strcmp(e[i].common, "tag"));
	}
	cr_assert_eq(pushes, 1);
	cr_assert_eq(deploys, 1);
	cr_assert_eq(merges, 8);
	cr_assert_eq(n, n_base, "two cases of push went, two events came");
	provider_free(p);
	provider_free(base);
	no_leaks();
}

Test(provider, kind_none_needs_no_secret_and_identifies)
{
	struct provider *p = descriptor_of_code("p", "provider \"p\" { kind='none', event='json:e|const:any' }");
	struct request_view r = { .body = SLICE("{\"e\":7}") };
	struct identity id = { 0 };
	struct err e;
	cr_assert_eq(provider_verify(p, &r, NULL, 0, NULL), VERIFY_OK);
	cr_assert_eq(provider_identify(p, &r, &id, &e), 0);
	cr_assert_str_eq(id.event, "7");
	identity_fini(&id);
	provider_free(p);
	no_leaks();
}

/* ---- forms ---- */

Test(form, decodes_strictly_and_counts_doubles)
{
	struct buf out = BUF(100);
	cr_assert_eq(form_find(SLICE("a=1&b=%41+%2b&a=2"), SLICE("b"), &out), 1);
	cr_assert_str_eq(buf_cstr(&out), "A +");
	cr_assert_eq(form_find(SLICE("a=1&%61=2"), SLICE("a"), &out), 2);
	cr_assert_eq(form_find(SLICE("a=1"), SLICE("c"), &out), 0);
	cr_assert_eq(form_find(SLICE(""), SLICE("c"), &out), 0);
	static const char *const bad[] = { "a=%", "a=%4", "a=%4g", "%=1&a=1" };
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_assert_eq(form_find(slice_of(bad[i]), SLICE("a"), &out), -1, "%s", bad[i]);
	buf_fini(&out);
	no_leaks();
}

Test(form, sorts_pairs_and_bounds_their_number)
{
	struct buf out = BUF(1000), many = BUF(10000);
	struct err e;
	cr_assert_eq(form_sorted(SLICE("b=2&a=z&a=y&a=z"), &out, &e), 0);
	cr_assert_str_eq(buf_cstr(&out), "ayazb2");
	for (int i = 0; i <= FORM_MAX_FIELDS; i++)
		buf_adds(&many, "a&");
	cr_assert_eq(form_to_json(buf_slice(&many), &out, &e), -1);
	buf_fini(&out);
	buf_fini(&many);
	no_leaks();
}

