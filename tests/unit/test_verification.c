/* verification: is a request from whom it says? The vectors, and the eleven rules, each of which is a trap that verifiers have
 * fallen into (facts "webhook providers", section 4; what needs a server stands in tests/e2e/test_providers.py). */
#include <openssl/hmac.h>

#include "base/hex.h"
#include "vector.h"

Test(verification, accepts_the_vectors)
{
	each_vector(v) {
		struct trial t;
		trial_init(&t, v);
		cr_assert_eq(verify(&t, v->secret), VERIFY_OK, "%s, %s: %s", v->provider, v->made, t.why);
		trial_fini(&t);
	}
	no_leaks();
}

Test(verification, refuses_what_a_vendor_publishes_to_be_refused)
{
	int seen = 0;
	each_vector_at_all(v) {
		struct trial t;
		if (!v->is_refused)
			continue;
		trial_init(&t, v);
		cr_assert_eq(verify(&t, v->secret), VERIFY_MISMATCH, "%s, %s", v->provider, v->made);
		trial_fini(&t);
		seen++;
	}
	cr_assert_eq(seen, 7);
	no_leaks();
}

Test(verification, refuses_a_body_with_any_byte_changed_added_or_gone)
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

Test(verification, rule_3_refuses_a_wrong_secret_and_finds_the_right_one_among_several)
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

Test(verification, rule_5_refuses_a_stale_and_a_future_timestamp)
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
		cr_assert_eq(verify(&t, v->secret), VERIFY_FUTURE, "%s", v->provider);
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

Test(verification, rules_4_and_6_refuses_a_missing_an_empty_and_a_doubled_header)
{
	each_first_vector(v) {
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

Test(verification, rule_6_takes_header_names_in_any_case)
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

Test(verification, rule_2_refuses_a_signature_with_any_byte_changed_short_or_long)
{
	each_first_vector(v) {
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

Test(verification, says_that_a_secret_is_no_key)
{
	static const struct { const char *provider, *secret; } cases[] = {
		{ "github", "" }, { "standard-webhooks", "whsec_" }, { "standard-webhooks", "whsec_?!" }, { "discord", "00ff" },
		{ "discord", "zz" }, { "basic", "no-colon" }, { "bearer", "" }, { "sourcehut", "AAAA" },
	};
	each_first_vector(v)
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

#define STRIPE_V1 "248a374f50f943a28b0f6ab50faf9a7e7e29b710fa26df9fb1618b9bf8ea9c9a"

Test(verification, rules_3_5_and_7_tries_every_candidate_and_no_other_version)
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

Test(verification, rule_3_bounds_candidates_secrets_and_the_header)
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

Test(verification, rule_5_a_dot_moved_from_id_to_timestamp_dies_on_the_digits)
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

Test(verification, rule_7_sha1_beside_sha256_is_no_way_around)
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

Test(verification, rule_6_a_doubled_delivery_id_or_event_is_refused)
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

Test(verification, linear_has_its_timestamp_in_the_signed_body)
{
	struct trial t;
	sign(&t, "linear", "linear_secret", B, 1700000000000);
	cr_assert(strstr(t.headers, "b7e11fc8271ddf7f3abe4ab8e5751744712792fc4691c2e1b935638d511e9dd5"));
	cr_assert_eq(verify(&t, "linear_secret"), VERIFY_MISMATCH);
	trial_fini(&t);
	static const struct { const char *body; enum verify_outcome outcome; } cases[] = {
		{ "{\"webhookTimestamp\":1700000000000}", VERIFY_OK }, { "{\"webhookTimestamp\":1700000060000}", VERIFY_OK },
		{ "{\"webhookTimestamp\":1700000060001}", VERIFY_FUTURE }, { "{\"webhookTimestamp\":\"1700000000000\"}", VERIFY_MISMATCH },
		{ "{\"webhookTimestamp\":-5}", VERIFY_MISMATCH }, { "{\"webhookTimestamp\":1.7e12}", VERIFY_MISMATCH }, { "not json", VERIFY_MALFORMED },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		sign(&t, "linear", "linear_secret", cases[i].body, 1700000000000);
		cr_assert_eq(verify(&t, "linear_secret"), cases[i].outcome, "%s: %s", cases[i].body, t.why);
		trial_fini(&t);
	}
	no_leaks();
}

Test(verification, gitea_signs_the_json_even_of_a_form_and_github_the_form)
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

/* Independent of the code under test: OpenSSL's one-shot HMAC. */
static void hmac_hex(const char *key, struct slice body, char out[65])
{
	unsigned char mac[32];
	struct buf hex = BUF(65);

	HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)body.ptr, body.len, mac, NULL);
	hex_add(&hex, (struct slice){ (const char *)mac, sizeof mac });
	memcpy(out, buf_cstr(&hex), 65);
	buf_fini(&hex);
}

Test(verification, gitea_and_its_kin_sign_under_names_of_their_own_and_the_first_that_says_something_counts)
{
	static const struct { const char *format; enum verify_outcome outcome; } cases[] = {
		{ "X-Gitea-Signature: %s\n", VERIFY_OK }, { "X-Forgejo-Signature: %s\n", VERIFY_OK }, { "X-Gogs-Signature: %s\n", VERIFY_OK },
		{ "X-Gitea-Signature: \nX-Forgejo-Signature: %s\n", VERIFY_OK }, { "X-Gitea-Signature: 00\nX-Forgejo-Signature: %s\n", VERIFY_MISMATCH },
		{ "X-Gogs-Signature: 00\nX-Forgejo-Signature: %s\n", VERIFY_OK }, { "X-Gitea-Signature: \nX-Forgejo-Signature:\n", VERIFY_MISMATCH },
		{ "X-Forgejo-Signature: %s\nx-forgejo-signature: 00\n", VERIFY_MISMATCH }, { "X-Hub-Signature-256: sha256=%s\n", VERIFY_MISMATCH },
	};
	struct trial t;
	char hex[65];
	trial_init(&t, vector_of("gitea"));
	hmac_hex("s", t.view.body, hex);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice before, after;
		CLEANUP(buf_fini) struct buf head = BUF(1 << 10);
		if (slice_find(slice_of(cases[i].format), SLICE("%s")) >= 0) {
			slice_cut(slice_of(cases[i].format), '%', &before, &after);
			buf_add(&head, before);
			buf_adds(&head, hex);
			buf_add(&head, slice_from(after, 1));
		} else {
			buf_adds(&head, cases[i].format);
		}
		cr_assert_eq(verify_headers(&t, buf_cstr(&head), "s"), cases[i].outcome, "%s: %s", cases[i].format, t.why);
	}
	trial_fini(&t);
	no_leaks();
}

Test(verification, twilio_json_is_bound_by_its_digest_and_else_refused)
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

Test(verification, docker_hub_carries_its_secret_in_the_query_once)
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

/* ---- the rest of the rules ---- */

Test(verification, rule_1_the_bytes_are_signed_as_they_are_received)
{
	struct buf large = BUF(1 << 20);
	while (large.len < 300 << 10)
		buf_adds(&large, "{\"a\":\"0123456789\"}\n");
	const struct slice bodies[] = {
		SLICE("{\"a\":\"\0b\"}"), SLICE("\xef\xbb\xbf{}"), SLICE("{\r\n}\r\n"), SLICE("{}\n"), SLICE("{}"), SLICE("{\"b\":1, \"a\":1.0}"),
		SLICE("{\"a\":1.0,\"b\":1}"), SLICE("not json \xff\xfe"), buf_slice(&large),
	};
	struct trial t;
	char hex[65];
	trial_init(&t, vector_of("github"));
	for (size_t i = 0; i < COUNT(bodies); i++) {
		hmac_hex("s", bodies[i], hex);
		CLEANUP(freep) char *head = xprintf("X-Hub-Signature-256: sha256=%s\n", hex);
		t.view.body = bodies[i];
		cr_assert_eq(verify_headers(&t, head, "s"), VERIFY_OK, "%zu", i);
		for (size_t k = 0; k < COUNT(bodies); k++) {
			t.view.body = bodies[k];
			cr_assert_eq(verify(&t, "s") == VERIFY_OK, k == i, "%zu for %zu", k, i);
		}
	}
	buf_fini(&large);
	trial_fini(&t);
	no_leaks();
}

Test(verification, rule_3_one_malformed_item_does_not_end_the_search)
{
	static const char good[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
	static const char *const bad[] = { "v1", "v1,", ",", "v1,?!", "v1,AAAA", "v1a,g0hM9SsE", "v9,x", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=x" };
	const struct vector *v = vector_of("standard-webhooks");
	struct trial t;
	trial_init(&t, v);
	for (size_t i = 0; i < COUNT(bad); i++)
		for (int is_first = 0; is_first < 2; is_first++) {
			CLEANUP(freep) char *head = xprintf("webhook-signature: %s %s\nwebhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\n"
				"webhook-timestamp: 1614265330\n", is_first ? bad[i] : good, is_first ? good : bad[i]);
			cr_assert_eq(verify_headers(&t, head, v->secret), VERIFY_OK, "%s: %s", head, t.why);
		}
	trial_fini(&t);
	no_leaks();
}

/* Stripe's scheme over BODY at T, by OpenSSL. */
static char *stripe_head(const char *ts, const char *body)
{
	CLEANUP(freep) char *text = xprintf("%s.%s", ts, body);
	char hex[65];
	hmac_hex("whsec_s", slice_of(text), hex);
	return xprintf("Stripe-Signature: t=%s,v1=%s\n", ts, hex);
}

Test(verification, rule_5_the_window_holds_at_its_bound_and_not_one_past_it)
{
	static const struct { const char *ts; enum verify_outcome outcome; } cases[] = {
		{ "1699999700", VERIFY_OK }, { "1699999699", VERIFY_MISMATCH }, { "1700000300", VERIFY_OK }, { "1700000301", VERIFY_FUTURE },
		{ "01700000000", VERIFY_OK },           /* digits, and what is signed is their text */
		{ "00001700000000", VERIFY_OK }, { "000001700000000", VERIFY_MISMATCH },        /* 14 and 15 of them */
		{ "1e9", VERIFY_MISMATCH }, { "1700000000.0", VERIFY_MISMATCH }, { "0x6553f100", VERIFY_MISMATCH }, { "-1", VERIFY_MISMATCH },
		{ "NaN", VERIFY_MISMATCH }, { "Infinity", VERIFY_MISMATCH }, { " 1700000000", VERIFY_MISMATCH }, { "\xd9\xa1", VERIFY_MISMATCH },
	};
	struct trial t;
	trial_init(&t, vector_of("stripe"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *head = stripe_head(cases[i].ts, t.body);
		cr_assert_eq(verify_headers(&t, head, "whsec_s"), cases[i].outcome, "%s: %s", cases[i].ts, t.why);
	}
	trial_fini(&t);
	no_leaks();
}

Test(verification, rule_10_only_who_knows_the_secret_is_told_to_be_of_the_future)
{
	struct trial t;
	trial_init(&t, vector_of("stripe"));
	CLEANUP(freep) char *head = stripe_head("1800000000", t.body);
	cr_assert_eq(verify_headers(&t, head, "whsec_s"), VERIFY_FUTURE);
	cr_assert_eq(verify(&t, "whsec_other"), VERIFY_MISMATCH, "else anybody could make us doubt our clock");
	trial_fini(&t);
	no_leaks();
}

static char *basic_head(const char *word, const char *pair)
{
	struct buf out = BUF(1 << 10);
	buf_addf(&out, "Authorization: %s ", word);
	base64_add(&out, slice_of(pair));
	buf_adds(&out, "\n");
	buf_addc(&out, '\0');
	return buf_take(&out);
}

Test(verification, rule_11_basic_ends_the_user_at_the_first_colon_and_takes_the_word_in_any_case)
{
	static const struct { const char *word, *pair, *secret; int is_good; } cases[] = {
		{ "Basic", "ada:pass", "ada:pass", 1 }, { "BASIC", "ada:pass", "ada:pass", 1 }, { "basic", "ada:p:a:s:s", "ada:p:a:s:s", 1 },
		{ "Basic", "ada:", "ada:", 1 }, { "Basic", ":pass", ":pass", 1 }, { "Basic", "ada:p", "ada:p:a", 0 }, { "Basic", "ada:p:a", "ada:p", 0 },
		{ "Basic", "ada", "ada:pass", 0 }, { "Basic", "", "ada:pass", 0 }, { "Bearer", "ada:pass", "ada:pass", 0 }, { "Basi", "ada:pass", "ada:pass", 0 },
		{ "Basic", "Ada:pass", "ada:pass", 0 },
	};
	struct trial t;
	trial_init(&t, vector_of("basic"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP(freep) char *head = basic_head(cases[i].word, cases[i].pair);
		cr_assert_eq(verify_headers(&t, head, cases[i].secret) == VERIFY_OK, cases[i].is_good, "%zu: %s", i, t.why);
	}
	cr_assert_neq(verify_headers(&t, "Authorization: Basic ?\n", "ada:pass"), VERIFY_OK);
	cr_assert_neq(verify_headers(&t, "Authorization: Basic\n", "ada:pass"), VERIFY_OK);
	trial_fini(&t);
	no_leaks();
}

Test(verification, a_token_may_stand_in_the_header_or_in_the_address)
{
	static const struct { const char *head, *query; int is_good; } cases[] = {
		{ "Authorization: Bearer t\n", "", 1 }, { "", "access_token=t", 1 }, { "", "a=b&access_token=%74", 1 }, { "", "access_token=x", 0 },
		{ "", "access_token=Bearer%20t", 0 }, { "", "access_token=t&access_token=t", 0 }, { "Authorization: t\n", "", 0 },
		{ "Authorization: Bearer x\n", "access_token=t", 0 }, { "", "", 0 },
	};
	struct trial t;
	trial_init(&t, vector_of("cloudevents"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		t.view.query = slice_of(cases[i].query);
		cr_assert_eq(verify_headers(&t, cases[i].head, "t") == VERIFY_OK, cases[i].is_good, "%zu: %s", i, t.why);
	}
	trial_fini(&t);
	no_leaks();
}

/* Convoy's other settings are a descriptor of one's own; its vectors of them. */
Test(verification, convoys_other_hashes_and_forms_are_a_line_each)
{
	static const char body[] = "{\"event\":\"charge.success\",\"amount\":1000,\"currency\":\"NGN\"}";
	static const struct { const char *hash, *enc; const EVP_MD *(*md)(void); } cases[] = {
		{ "sha256", "base64", EVP_sha256 }, { "sha512", "hex", EVP_sha512 }, { "sha512", "base64", EVP_sha512 },
	};
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		int is_advanced = i >= COUNT(cases);
		unsigned char mac[64];
		unsigned int len;
		struct buf text = BUF(200);
		struct trial t;
		trial_init(&t, vector_of("convoy"));
		provider_free(t.provider);
		CLEANUP(freep) char *code = xprintf("provider \"c\" { kind='hmac', hash='%s', enc='%s', sig='header:X-Convoy-Signature', event='const:x', %s }",
			cases[i % 3].hash, cases[i % 3].enc, is_advanced ? "item=',', pair='=', take='v1', ts='sig:t', tol='5m', signed='{ts},{body}'" : "signed='{body}'");
		t.provider = descriptor_of_code("c", code);
		CLEANUP(freep) char *whole = xprintf("%s%s", is_advanced ? "1700000000," : "", body);
		HMAC(cases[i % 3].md(), "convoy-webhook-secret", 21, (const unsigned char *)whole, strlen(whole), mac, &len);
		(*cases[i % 3].enc == 'h' ? hex_add : base64_add)(&text, (struct slice){ (const char *)mac, len });
		CLEANUP(freep) char *head = xprintf("X-Convoy-Signature: %s%s\n", is_advanced ? "t=1700000000,v1=" : "", buf_cstr(&text));
		t.view.body = slice_of(body);
		cr_assert_eq(verify_headers(&t, head, "convoy-webhook-secret"), VERIFY_OK, "%s: %s", code, t.why);
		cr_assert_eq(verify(&t, "wrong-secret-a"), VERIFY_MISMATCH);
		buf_fini(&text);
		trial_fini(&t);
	}
	no_leaks();
}

Test(verification, a_digest_is_of_what_was_signed)
{
	each_vector(v) {
		unsigned char first[16], second[16];
		struct trial t;
		trial_init(&t, v);
		provider_digest(t.provider, &t.view, first);
		provider_digest(t.provider, &t.view, second);
		cr_assert_arr_eq(first, second, 16, "%s", v->provider);
		size_t len = strlen(t.body);
		if (len) {
			t.body[len / 2] ^= 1;
			provider_digest(t.provider, &t.view, second);
			cr_assert(memcmp(first, second, 16) != 0, "%s", v->provider);
		}
		trial_fini(&t);
	}
	no_leaks();
}
