/* provider: who may speak. The vectors are published ones, or made with the vendor's own library or openssl. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "descriptor.h"
#include "no_leaks.h"
#include "rules/form.h"

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
	const char *query, *url;
};

static const struct vector vectors[] = {
	{ "github", "It's a Secret to Everybody", "it's a Secret to Everybody", "X-Hub-Signature-256",
	  "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n", "Hello, World!" },
	{ "gitea", "It's a Secret to Everybody", "It's a Secret", "X-Gitea-Signature",
	  "X-Gitea-Signature: 757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n", "Hello, World!" },
	{ "bitbucket", "It's a Secret to Everybody", "It's a Secret", "X-Hub-Signature",
	  "X-Hub-Signature: sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9\n", "Hello World!" },
	{ "gitlab", "tok-123", "tok-124", "X-Gitlab-Token", "X-Gitlab-Token: tok-123\n", NULL },
	{ "slack", "8f742231b10e8888abcd99yyyzzz85a5", "8f742231b10e8888abcd99yyyzzz85a6", "X-Slack-Signature",
	  "X-Slack-Signature: v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\n"
	  "X-Slack-Request-Timestamp: 1531420618\n" FORM,
	  "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&"
	  "user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F"
	  "commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
	  "803a0bc887a14d10d2c447fce8b6703c", 1531420618, 300 },
	{ "standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", "webhook-signature",
	  "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n"
	  "webhook-timestamp: 1614265330\n", "{\"test\": 2432232314}", 1614265330, 300 },
	{ "gitlab-signing-token", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", "webhook-signature",
	  "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n"
	  "webhook-timestamp: 1614265330\n", "{\"test\": 2432232314}", 1614265330, 300 },
	{ "standard-webhooks-ed25519", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", "whpk_" ED25519_B64, "webhook-signature",
	  "webhook-signature: v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==\n"
	  "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nwebhook-timestamp: 1614265330\n", "{\"test\": 2432232314}", 1614265330, 300 },
	{ "svix", "whsec_plJ3nmyCDGBKInavdOK15jsl", "whsec_plJ3nmyCDGBKInavdOK15jsm", "svix-signature",
	  "svix-signature: v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=\nsvix-id: msg_loFOjxBNrRLzqYUf\nsvix-timestamp: 1731705121\n",
	  "{\"event_type\":\"ping\",\"data\":{\"success\":true}}", 1731705121, 300 },
	{ "twilio", "12345", "12346", "X-Twilio-Signature", "X-Twilio-Signature: 0/KCTR6DLpKmkAf8muzZqo1nDgQ=\n" FORM,
	  "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212", 0, 0, "foo=1&bar=2",
	  "https://mycompany.com/myapp.php?foo=1&bar=2" },
	{ "stripe", "whsec_test_secret", "whsec_test_secreT", "Stripe-Signature",
	  "Stripe-Signature: t=1700000000,v1=248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a\n", "{\"id\":\"evt_1\"}",
	  1700000000, 300 },
	{ "razorpay", "razorpay_secret", "razorpay_secreT", "X-Razorpay-Signature",
	  "X-Razorpay-Signature: 3500b1ceb7e15135296ee60e2c922c90589ab1571df5b8ba7a653d1da86e7154\n", B },
	{ "shopify", "shopify_secret", "shopify_secreT", "X-Shopify-Hmac-Sha256",
	  "X-Shopify-Hmac-Sha256: 5AjD7/iJ1PeueBDKvmAj1GYF8iA7KCmtxTJdd4RkzW8=\n", B },
	{ "sentry", "sentry_secret", "sentry_secreT", "Sentry-Hook-Signature",
	  "Sentry-Hook-Signature: 9ee13f546f38d43749759d999060c4d61354c6c140e2b22a904bed4d8fbd583c\n", B },
	{ "npm", "npm_secret", "npm_secreT", "X-Npm-Signature",
	  "X-Npm-Signature: sha256=a86cd599cbf091adbc458d99289b30f003ad0ddb1efb9047f7c5a2df3976f5d9\n", B },
	{ "discord", ED25519_HEX, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "X-Signature-Ed25519",
	  "X-Signature-Ed25519: 09047712d219a6627d677fe94ecb8845a120c47ce2110e9760e34a93ab43e7fac689a79a828c2eb380ed2c6e558fb604179b533b"
	  "e108d6354493c89e602e670b\nX-Signature-Timestamp: 1700000000\n", "{\"type\":0}", 1700000000, 300 },
	{ "sourcehut", ED25519_B64, "uX7KWyyDNMaBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4=", "X-Payload-Signature",
	  "X-Payload-Signature: f4EhaZo3uA0sS2iR40qBpUouFIgXVVUOWU48TJqkw7I2PnJcU3yiglh+I1o3chbxkeuZ6iMo36vaZnajpw/eCg==\n"
	  "X-Payload-Nonce: nonce123\n", "{\"test\":1}" },
	{ "bearer", "t0ken", "t0kem", "Authorization", "Authorization: bearer t0ken\n", NULL },
	{ "cloudevents", "t0ken", "t0kem", "Authorization", "Authorization: Bearer t0ken\n", NULL },
	{ "basic", "ada:pass:word", "ada:pass", "Authorization", "Authorization: basic YWRhOnBhc3M6d29yZA==\n", NULL },
	{ "azure-devops", "ada:pass:word", "ada:pass:worse", "Authorization", "Authorization: Basic YWRhOnBhc3M6d29yZA==\n", NULL },
};

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

static enum verify_outcome verify(struct trial *t, const char *secret)
{
	struct secret_view one = { slice_of(secret) };
	return provider_verify(t->provider, &t->view, &one, 1, t->why);
}

static enum verify_outcome verify_headers(struct trial *t, const char *headers, const char *secret)
{
	set_headers(t, headers);
	return verify(t, secret);
}

/* ---- every scheme ---- */

#define each_vector(v) for (const struct vector *v = vectors; v < vectors + COUNT(vectors); v++)

Test(provider, accepts_the_vectors)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		cr_assert_eq(verify(&t, v->secret), VERIFY_OK, "%s: %s", v->provider, t.why);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, refuses_a_body_with_any_byte_changed_added_or_gone)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		size_t len = strlen(t.body);
		for (size_t i = 0; v->body && i < len; i++) {
			t.body[i] ^= 1;
			cr_assert_neq(verify(&t, v->secret), VERIFY_OK, "%s, byte %zu", v->provider, i);
			t.body[i] ^= 1;
		}
		t.view.body.len = len - 1;
		cr_assert(!v->body || verify(&t, v->secret) != VERIFY_OK, "%s", v->provider);
		t.view.body.len = len + 1;              /* the NUL behind it */
		cr_assert(!v->body || verify(&t, v->secret) != VERIFY_OK, "%s", v->provider);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, refuses_a_wrong_secret_and_finds_the_right_one_among_several)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		cr_assert_eq(verify(&t, v->wrong), VERIFY_MISMATCH, "%s", v->provider);
		cr_assert(strstr(t.why, v->secret) == NULL && strstr(t.why, v->wrong) == NULL);
		struct secret_view three[] = { { slice_of(v->wrong) }, { slice_of(v->secret) }, { slice_of(v->wrong) } };
		cr_assert_eq(provider_verify(t.provider, &t.view, three, 3, NULL), VERIFY_OK, "%s", v->provider);
		three[0].text = SLICE("");              /* one that is no key must not keep the right one out */
		cr_assert_eq(provider_verify(t.provider, &t.view, three, 3, NULL), VERIFY_OK, "%s", v->provider);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, refuses_a_stale_and_a_future_timestamp)
{
	int seen = 0;
	each_vector(v) {
		struct trial t;
		if (!v->at_s)
			continue;
		trial_init(&t, v);
		int64_t at_ms = t.view.now_ms, most_ms = v->tolerance_s * 1000;
		t.view.now_ms = at_ms + most_ms;
		cr_assert_eq(verify(&t, v->secret), VERIFY_OK, "%s", v->provider);
		t.view.now_ms = at_ms + most_ms + 1000;
		cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH, "%s", v->provider);
		cr_assert(strstr(t.why, "old"), "%s", t.why);
		t.view.now_ms = at_ms - most_ms - 1000;
		cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH, "%s", v->provider);
		cr_assert(strstr(t.why, "future"), "%s", t.why);
		trial_fini(&t);
		seen++;
	}
	cr_assert_geq(seen, 6);
	no_leaks();
}

/* The lines of HEADERS without the Nth, or with it twice. */
static char *without_line(const char *headers, int nth, int twice)
{
	struct buf out = BUF(1 << 14);
	struct slice rest = slice_of(headers), line;
	for (int i = 0; rest.len; i++) {
		slice_cut(rest, '\n', &line, &rest);
		for (int k = 0; k < (i != nth ? 1 : twice ? 2 : 0); k++) {
			buf_add(&out, line);
			buf_addc(&out, '\n');
		}
	}
	buf_addc(&out, '\0');
	return buf_take(&out);
}

Test(provider, refuses_a_missing_an_empty_and_a_doubled_header)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		for (int n = 0; n < 3; n++) {
			struct slice rest = slice_of(v->headers), line;
			for (int i = 0; i <= n && rest.len; i++)
				slice_cut(rest, '\n', &line, &rest);
			CLEANUP(freep) char *missing = without_line(v->headers, n, 0), *twice = without_line(v->headers, n, 1);
			if (strcmp(missing, v->headers) == 0 || slice_starts(line, SLICE("Content-Type")))
				continue;
			cr_assert_eq(verify_headers(&t, missing, v->secret), VERIFY_MISMATCH, "%s without line %d", v->provider, n);
			cr_assert_eq(verify_headers(&t, twice, v->secret), VERIFY_MISMATCH, "%s twice line %d", v->provider, n);
			slice_cut(line, ':', &line, &rest);
			CLEANUP(freep) char *empty = xprintf("%s" SLICE_FMT ":  \n", missing, SLICE_ARG(line));
			cr_assert_eq(verify_headers(&t, empty, v->secret), VERIFY_MISMATCH, "%s empty line %d", v->provider, n);
		}
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, takes_header_names_in_any_case)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		for (char *c = t.headers; *c != ':'; c++)
			*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		cr_assert_eq(verify(&t, v->secret), VERIFY_OK, "%s", v->provider);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, refuses_a_signature_with_any_byte_changed_short_or_long)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		size_t from = strlen(v->sig) + 2, to = strcspn(v->headers, "\n");
		int is_named = strchr("bc", v->provider[0]) && strcmp(v->sig, "Authorization") == 0;
		for (size_t i = from; i < to; i++) {
			CLEANUP(freep) char *changed = xstrdup(v->headers);
			if (is_named && i < from + 6)
				continue;               /* the scheme's word is taken in any case */
			changed[i] = changed[i] == '~' ? '!' : '~';
			cr_assert_neq(verify_headers(&t, changed, v->secret), VERIFY_OK, "%s: %s", v->provider, changed);
		}
		CLEANUP(freep) char *shorter = xprintf("%.*s%s", (int)to - 3, v->headers, v->headers + to);
		cr_assert_neq(verify_headers(&t, shorter, v->secret), VERIFY_OK, "%s", v->provider);
		CLEANUP(freep) char *longer = xprintf("%.*s00%s", (int)to, v->headers, v->headers + to);
		cr_assert_neq(verify_headers(&t, longer, v->secret), VERIFY_OK, "%s", v->provider);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, says_that_a_secret_is_no_key)
{
	static const struct { const char *provider, *secret; } cases[] = {
		{ "github", "" }, { "standard-webhooks", "whsec_" }, { "standard-webhooks", "whsec_?!" }, { "discord", "00ff" },
		{ "discord", "zz" }, { "basic", "no-colon" }, { "bearer", "" }, { "sourcehut", "AAAA" },
	};
	each_vector(v)
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct trial t;
			if (strcmp(v->provider, cases[i].provider) != 0)
				continue;
			trial_init(&t, v);
			cr_assert_eq(verify(&t, cases[i].secret), VERIFY_BAD_SECRET, "%s: %s", v->provider, t.why);
			cr_assert_eq(provider_verify(t.provider, &t.view, NULL, 0, t.why), VERIFY_BAD_SECRET);
			trial_fini(&t);
		}
	no_leaks();
}

/* ---- traps ---- */

static const struct vector *vector_of(const char *provider)
{
	each_vector(v)
		if (!strcmp(v->provider, provider))
			return v;
	cr_assert_fail("no vector of %s", provider);
	return NULL;
}

#define STRIPE_V1 "248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a"

Test(provider, tries_every_candidate_and_no_other_version)
{
	static const struct { enum verify_outcome outcome; const char *value; } cases[] = {
		{ VERIFY_OK, "v1=00,v1=" STRIPE_V1 ",t=1700000000" },
		{ VERIFY_OK, "t=1700000000,v1=zz,,v1,=,v1=" STRIPE_V1 ",v0=1" },
		{ VERIFY_MISMATCH, "t=1700000000,v0=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=1700000000,V1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=1700000000,v1" },
		{ VERIFY_MISMATCH, "t=1700000000," STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=1700000000,t=1700000000,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=1700000000 ,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=+1700000000,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=1.7e9,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=Infinity,v1=" STRIPE_V1 },
		{ VERIFY_MISMATCH, "t=170000000000000000000,v1=" STRIPE_V1 },
	};
	struct trial t;
	trial_init(&t, vector_of("stripe"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *headers = xprintf("Stripe-Signature: %s\n", cases[i].value);
		cr_assert_eq(verify_headers(&t, headers, "whsec_test_secret"), cases[i].outcome, "%s: %s", cases[i].value, t.why);
	}
	trial_fini(&t);
	no_leaks();
}

Test(provider, bounds_candidates_secrets_and_the_header)
{
	struct trial t;
	struct buf headers = BUF(1 << 20);
	struct secret_view many[9];
	trial_init(&t, vector_of("stripe"));
	for (int n = 15; n <= 16; n++) {
		buf_clear(&headers);
		buf_adds(&headers, "Stripe-Signature: t=1700000000");
		for (int i = 0; i < n; i++)
			buf_adds(&headers, ",v1=00");
		buf_adds(&headers, ",v1=" STRIPE_V1 "\n");
		cr_assert_eq(verify_headers(&t, buf_cstr(&headers), "whsec_test_secret"), n == 15 ? VERIFY_OK : VERIFY_MISMATCH);
	}
	buf_clear(&headers);
	buf_adds(&headers, "Stripe-Signature: t=1700000000,v1=" STRIPE_V1);
	while (headers.len < 9000)
		buf_adds(&headers, ",x=0123456789");
	cr_assert_eq(verify_headers(&t, buf_cstr(&headers), "whsec_test_secret"), VERIFY_MALFORMED);
	set_headers(&t, "Stripe-Signature: t=1700000000,v1=" STRIPE_V1);
	for (size_t i = 0; i < COUNT(many); i++)
		many[i].text = SLICE("whsec_test_secret");
	cr_assert_eq(provider_verify(t.provider, &t.view, many, 8, NULL), VERIFY_OK);
	cr_assert_eq(provider_verify(t.provider, &t.view, many, 9, NULL), VERIFY_BAD_SECRET);
	buf_fini(&headers);
	trial_fini(&t);
	no_leaks();
}

Test(provider, a_dot_moved_from_id_to_timestamp_dies_on_the_digits)
{
	struct trial t;
	trial_init(&t, vector_of("standard-webhooks"));
	cr_assert_eq(verify_headers(&t, "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n"
		"webhook-id: msg\nwebhook-timestamp: p5jXN8AQM9LWM0D4loKWxJek.1614265330\n", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
		VERIFY_MISMATCH);
	cr_assert(strstr(t.why, "digits"), "%s", t.why);
	trial_fini(&t);
	no_leaks();
}

Test(provider, sha1_beside_sha256_is_no_way_around)
{
	struct trial t;
	trial_init(&t, vector_of("github"));
	cr_assert_eq(verify_headers(&t, "X-Hub-Signature: sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59\n", "It's a Secret to Everybody"), VERIFY_MISMATCH);
	cr_assert_eq(verify_headers(&t, "X-Hub-Signature-256: sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59\n", "It's a Secret to Everybody"), VERIFY_MISMATCH);
	cr_assert_eq(verify_headers(&t, "X-Hub-Signature-256: sha256=\n", "It's a Secret to Everybody"), VERIFY_MISMATCH);
	cr_assert_eq(verify_headers(&t, "X-Hub-Signature-256: 757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n",
		"It's a Secret to Everybody"), VERIFY_MISMATCH);
	trial_fini(&t);
	no_leaks();
}

Test(provider, a_doubled_delivery_id_or_event_is_refused)
{
	struct trial t;
	const struct vector *v = vector_of("github");
	trial_init(&t, v);
	CLEANUP(freep) char *ids = xprintf("%sX-GitHub-Delivery: a\nx-github-delivery: a\n", v->headers);
	cr_assert_eq(verify_headers(&t, ids, v->secret), VERIFY_MISMATCH);
	CLEANUP(freep) char *events = xprintf("%sX-GitHub-Event: push\nX-GitHub-Event: ping\n", v->headers);
	cr_assert_eq(verify_headers(&t, events, v->secret), VERIFY_MISMATCH);
	trial_fini(&t);
	no_leaks();
}

/* A request with BODY, signed with the provider's own descriptor, at NOW. */
static void sign_as(struct trial *t, const char *provider, const char *secret, const char *head, const char *body, int64_t now_ms)
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

static void sign(struct trial *t, const char *provider, const char *secret, const char *body, int64_t now_ms)
{
	sign_as(t, provider, secret, "", body, now_ms);
}

Test(provider, linear_has_its_timestamp_in_the_signed_body)
{
	struct trial t;
	sign(&t, "linear", "linear_secret", B, 1700000000000);
	cr_assert(strstr(t.headers, "b7e11fc8271ddf7f3abe4ab8e5751744712792fc4691c2e1b935638d511e9dd5"));
	cr_assert_eq(verify(&t, "linear_secret"), VERIFY_MISMATCH);
	trial_fini(&t);
	static const struct { const char *body; enum verify_outcome outcome; } cases[] = {
		{ "{\"webhookTimestamp\":1700000000000}", VERIFY_OK }, { "{\"webhookTimestamp\":1700000060000}", VERIFY_OK },
		{ "{\"webhookTimestamp\":1700000060001}", VERIFY_MISMATCH }, { "{\"webhookTimestamp\":\"1700000000000\"}", VERIFY_MISMATCH },
		{ "{\"webhookTimestamp\":-5}", VERIFY_MISMATCH }, { "{\"webhookTimestamp\":1.7e12}", VERIFY_MISMATCH }, { "not json", VERIFY_MALFORMED },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		sign(&t, "linear", "linear_secret", cases[i].body, 1700000000000);
		cr_assert_eq(verify(&t, "linear_secret"), cases[i].outcome, "%s: %s", cases[i].body, t.why);
		trial_fini(&t);
	}
	no_leaks();
}

Test(provider, gitea_signs_the_json_even_of_a_form_and_github_the_form)
{
	struct trial t;
	sign(&t, "gitea", "s", "{\"a\":\"b c\"}", 1);
	free(t.body);
	t.body = xstrdup("payload=%7B%22a%22%3A%22b+c%22%7D");
	t.view.body = slice_of(t.body);
	CLEANUP(freep) char *headers = xprintf("%s" FORM, t.headers);
	cr_assert_eq(verify_headers(&t, headers, "s"), VERIFY_OK, "%s", t.why);
	static const char *const bad[] = { "payload=%7B%22a%22%3A%22b+c%22%7D&payload=x", "payload=", "x=y", "payload=%7" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		t.view.body = slice_of(bad[i]);
		cr_assert_neq(verify_headers(&t, headers, "s"), VERIFY_OK, "%s", bad[i]);
	}
	trial_fini(&t);
	sign(&t, "github", "s", "payload=%7B%22action%22%3A%22opened%22%7D", 1);
	CLEANUP(freep) char *form = xprintf("%s" FORM, t.headers);
	cr_assert_eq(verify_headers(&t, form, "s"), VERIFY_OK);
	struct identity id = { 0 };
	struct err e;
	cr_assert_eq(provider_identify(t.provider, &t.view, &id, &e), 0, "%s", e.msg);
	cr_assert(slice_eq(buf_slice(&id.json), SLICE("{\"action\":\"opened\"}")));
	cr_assert_str_eq(id.action, "opened");
	identity_fini(&id);
	trial_fini(&t);
	no_leaks();
}

Test(provider, twilio_json_is_bound_by_its_digest_and_else_refused)
{
	struct trial t;
	const struct vector *v = vector_of("twilio");
	char hex[65];
	trial_init(&t, v);
	t.view.body = SLICE("{\"a\":1}");
	set_headers(&t, "X-Twilio-Signature: 0/KCTR6DLpKmkAf8muzZqo1nDgQ=\n" JSON);
	cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH);
	cr_assert(strstr(t.why, "no digest"), "%s", t.why);
	sha256_hex(t.view.body, hex);
	CLEANUP(freep) char *query = xprintf("bodySHA256=%s", hex);
	CLEANUP(freep) char *doubled = xprintf("%s&%s", query, query);
	t.view.query = slice_of(query);
	cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH);
	cr_assert(strstr(t.why, "matches none"), "the digest holds, the URL does not: %s", t.why);
	t.view.query = slice_of(doubled);
	cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH);
	t.view.query = SLICE("bodySHA256=00");
	cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH);
	cr_assert(strstr(t.why, "another digest"), "%s", t.why);
	trial_fini(&t);
	no_leaks();
}

Test(provider, docker_hub_carries_its_secret_in_the_query_once)
{
	static const struct vector v = { .provider = "docker-hub", .headers = "", .query = "a=b&token=s%20t" };
	struct trial t;
	trial_init(&t, &v);
	cr_assert_eq(verify(&t, "s t"), VERIFY_OK, "%s", t.why);
	cr_assert_eq(verify(&t, "s"), VERIFY_MISMATCH);
	t.view.query = SLICE("token=s&token=s");
	cr_assert_eq(verify(&t, "s"), VERIFY_MISMATCH);
	t.view.query = SLICE("");
	cr_assert_eq(verify(&t, "s"), VERIFY_MISMATCH);
	trial_fini(&t);
	sign(&t, "docker-hub", "s &t", "{}", 1);
	cr_assert(slice_eq(t.view.query, SLICE("token=s%20%26t")), SLICE_FMT, SLICE_ARG(t.view.query));
	cr_assert_eq(verify(&t, "s &t"), VERIFY_OK, "%s", t.why);
	trial_fini(&t);
	no_leaks();
}

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
