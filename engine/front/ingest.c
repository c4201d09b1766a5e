/* front/ingest.c - the life of a webhook, as far as its answer:
 *
 *     ingest_on_hook    which source, from where, which method and type of content  404 403 405 415 503
 *     judge             (a large body: on a thread of its own, bodies.c)
 *       authenticate    the signature over the raw bytes, before anything is read  401 400 503
 *       identify        event and delivery id, as the provider's descriptor says   400
 *       match           against the edition's rules (verdict.c)                    400
 *     submit            to the store, and park the request                         503 where too much waits
 *     on_stored         the transaction is on disk: answer                         202 200 503
 *
 * An arrival owns copies of all it needs, so that it may change threads and outlive its request. What it holds of the
 * rules it holds by its edition; a reload meanwhile does not touch it. Bounds: bytes of large bodies (bodies.h), bytes waiting for
 * the store; the connections themselves are bounded by http.c. */
#include "front/ingest.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "front/answer.h"
#include "front/bodies.h"
#include "front/desk.h"
#include "front/edition.h"
#include "front/front.h"
#include "front/http.h"
#include "front/intake.h"
#include "front/refusals.h"
#include "front/verdict.h"
#include "rules/headers.h"
#include "rules/match.h"
#include "store/store.h"
#include "store/submit.h"

#define REPLY_MAX (64u << 20)           /* of an answer */
#define HANDSHAKE_HEADERS_MAX 8
#define FORWARDED_MAX 16                /* headers X-Forwarded-For */
#define SAY_AGAIN_MS 60000              /* "no rule listens", per source */

struct ingest {
	struct store *store;
	_Atomic size_t waiting_bytes;
	_Atomic int64_t from_future;
	struct strays *strays;
};

struct refusal {
	int status;                     /* 0: none */
	const char *title;
	char detail[sizeof ((struct err *)0)->msg];
};

struct arrival {
	struct body_work work;          /* first: of a large body */
	struct ingest *ingest;
	struct loop *loop;
	struct http_ticket *ticket;
	struct edition *edition;
	struct hook *hook;
	struct request_view view;       /* borrows from text, headers and the submission's body */
	struct buf text;
	struct header *headers;
	struct identity identity;
	struct refusal refusal;
	struct verdict verdict;
	struct submit *submit;
	size_t bytes;                   /* of the body, which the store may take out of the submission */
	int64_t began_us;
};

struct ingest *ingest_new(struct store *store)
{
	struct ingest *g = xcalloc(1, sizeof *g);
	g->store = store;
	g->strays = strays_new();
	return g;
}

void ingest_free(struct ingest *g)
{
	if (g)
		strays_free(g->strays);
	free(g);
}

struct strays *ingest_strays(const struct ingest *g)
{
	return g->strays;
}

int64_t ingest_from_future(const struct ingest *g)
{
	return atomic_load(&g->from_future);
}

/* ---- an arrival, and its copies of the request ---- */

static void copy_headers(struct arrival *a, const struct http_request *r)
{
	size_t n = http_header_count(r), at = 0;
	struct slice name, value;

	a->headers = xcalloc(n, sizeof *a->headers);
	for (size_t i = 0; i < n; i++) {
		http_header_at(r, i, &name, &value);
		buf_add(&a->text, name);
		buf_add(&a->text, value);
	}
	for (size_t i = 0; i < n; i++) {
		http_header_at(r, i, &name, &value);
		a->headers[i].name = (struct slice){ a->text.ptr + at, name.len };
		a->headers[i].value = (struct slice){ a->text.ptr + at + name.len, value.len };
		at += name.len + value.len;
	}
	a->view.headers = a->headers;
	a->view.n_headers = n;
}

/* PATH, query and public URL, with room for the NUL-free slices that the view borrows. */
static void copy_target(struct arrival *a, const struct http_request *r, size_t at)
{
	struct slice path = http_path(r), query = http_query(r), base = slice_of(a->edition->url);
	size_t url_len = base.len + path.len + (query.len ? query.len + 1 : 0);
	const char *text = a->text.ptr + at;

	a->view.url = (struct slice){ text, url_len };
	a->view.path = (struct slice){ text + base.len, path.len };
	a->view.query = (struct slice){ text + url_len - query.len, query.len };
}

/* POST, or that of the provider's handshake: is_acceptable has seen to it. Borrowed from the edition. */
static struct slice method_of(const struct http_request *r, const struct hook *h)
{
	return slice_eq(http_method(r), SLICE("POST")) ? SLICE("POST") : provider_hello_method(source_provider(h->source));
}

static struct arrival *arrival_new(struct http_request *r, struct loop *l, struct hook *hook)
{
	struct arrival *a = xcalloc(1, sizeof *a);
	struct slice body = http_body(r), query = http_query(r);

	*a = (struct arrival){ .ingest = l->front->ingest, .loop = l, .edition = edition_ref(l->edition), .hook = hook,
			       .text = BUF(BUF_UNLIMITED), .bytes = body.len, .began_us = mono_us() };
	a->submit = xcalloc(1, sizeof *a->submit);
	a->submit->body = BUF(body.len + 1);
	buf_add(&a->submit->body, body);
	/* All texts go into one buffer; it must have its final size before anything borrows from it. */
	size_t header_bytes = 0, n = http_header_count(r);
	for (size_t i = 0; i < n; i++) {
		struct slice name, value;
		http_header_at(r, i, &name, &value);
		header_bytes += name.len + value.len;
	}
	buf_room(&a->text, header_bytes + strlen(l->edition->url) + http_path(r).len + query.len + 1);
	copy_headers(a, r);
	assert(a->text.len == header_bytes);
	buf_adds(&a->text, l->edition->url);
	buf_add(&a->text, http_path(r));
	if (query.len)
		buf_addc(&a->text, '?');
	buf_add(&a->text, query);
	copy_target(a, r, header_bytes);
	a->view.method = method_of(r, hook);
	a->view.body = buf_slice(&a->submit->body);
	a->view.now_ms = a->submit->received_ms = wall_ms();
	return a;
}

static void arrival_free(struct arrival *a)
{
	submit_free(a->submit);
	identity_fini(&a->identity);
	verdict_fini(&a->verdict);
	buf_fini(&a->text);
	free(a->headers);
	edition_unref(a->edition);
	free(a);
}

static const char *name_of(const struct arrival *a)
{
	return source_name(a->hook->source);
}

/* ---- refusing ---- */

static int refuse(struct arrival *a, int status, const char *title, const char *detail)
{
	a->refusal = (struct refusal){ .status = status, .title = title };
	snprintf(a->refusal.detail, sizeof a->refusal.detail, "%s", detail);
	return -1;
}

static void log_refusal(struct hook *h, int status, const char *why)
{
	int64_t unsaid;

	if (refusals_note(h->refusals, status, why, &unsaid))
		log_warn("a delivery was refused", "source=%s status=%d reason=\"%s\" unsaid=%" PRId64, source_name(h->source),
			 status, why, unsaid);
}

static void reply_busy(struct http_request *r, const char *detail)
{
	static const char *const headers[] = { "retry-after", "5", NULL };
	answer_problem(r, 503, "Service Unavailable", detail, headers);
}

static void reply_refusal(struct http_request *r, const struct refusal *no)
{
	static const char *const allow[] = { "allow", "POST", NULL };

	if (no->status == 503)
		reply_busy(r, no->detail);
	else if (no->status == 405)
		answer_problem(r, 405, no->title, no->detail, allow);
	else
		http_problem(r, no->status, no->title, no->detail);
}

/* ---- the verdict: pure work, on whichever thread has the arrival ---- */

/* Which of the secrets it was, for the delivery's page; and what was signed, where the id is not part of it: who has seen
 * one delivery can send its body again under another id. */
static void note_proof(struct arrival *a, const struct provider *p, const struct secret_view *secrets, const char *const *names,
		       size_t n)
{
	size_t i = 0;

	while (i + 1 < n && provider_verify(p, &a->view, &secrets[i], 1, NULL) != VERIFY_OK)
		i++;
	a->submit->secret = xstrdup(names[i]);
	if (!provider_signs_id(p)) {
		a->submit->has_digest = 1;
		provider_digest(p, &a->view, a->submit->digest);
	}
}

static int cannot_verify(struct arrival *a, const char *why)
{
	log_refusal(a->hook, 503, why);
	return refuse(a, 503, "Service Unavailable", "this source cannot verify deliveries now");
}

static int authenticate(struct arrival *a)
{
	const struct provider *p = source_provider(a->hook->source);
	struct secret_view secrets[HOOK_SECRETS_MAX];
	const char *names[HOOK_SECRETS_MAX];
	char why[160] = "";
	size_t n = 0;

	if (!p || source_auth_is_none(a->hook->source))
		return 0;
	if (!wall_is_plausible(a->view.now_ms))
		return cannot_verify(a, "this machine's clock is not set");
	for (size_t i = 0; i < a->hook->n_secrets; i++)
		if (!a->hook->secrets[i].not_after_ms || a->hook->secrets[i].not_after_ms > a->view.now_ms) {
			names[n] = a->hook->secrets[i].name;
			secrets[n++].text = buf_slice(&a->hook->secrets[i].text);
		}
	if (n == 0)
		return cannot_verify(a, "all secrets of the source have expired");
	enum verify_outcome outcome = provider_verify(p, &a->view, secrets, n, why);
	if (outcome == VERIFY_FUTURE)
		atomic_fetch_add(&a->ingest->from_future, 1);
	switch (outcome) {
	case VERIFY_OK:
		note_proof(a, p, secrets, names, n);
		return 0;
	case VERIFY_FUTURE:
	case VERIFY_MISMATCH:
		log_refusal(a->hook, 401, why);
		return refuse(a, 401, "Unauthorized", "the delivery could not be verified");
	case VERIFY_MALFORMED:
		log_refusal(a->hook, 400, why);
		return refuse(a, 400, "Bad Request", "the delivery is malformed");
	case VERIFY_BAD_SECRET:
		return cannot_verify(a, why);
	}
	abort();
}

static int identify(struct arrival *a)
{
	const struct provider *p = source_provider(a->hook->source);
	struct err e = { 0 };

	if (!p) {
		a->identity = (struct identity){ .event = xstrdup(""), .action = xstrdup(""),
						 .delivery_key = intake_make_key(a->headers, a->view.n_headers) };
		return 0;
	}
	if (provider_identify(p, &a->view, &a->identity, &e) == 0) {
		if (!*a->identity.delivery_key) {               /* a sender without ids: none of its deliveries is a duplicate */
			free(a->identity.delivery_key);
			a->identity.delivery_key = intake_make_key(a->headers, a->view.n_headers);
		}
		return 0;
	}
	int is_post = slice_eq(a->view.method, SLICE("POST"));
	log_refusal(a->hook, is_post ? 400 : 405, e.msg);
	return is_post ? refuse(a, 400, "Bad Request", e.msg) : refuse(a, 405, "Method Not Allowed", "a hook takes POST");
}

static int match(struct arrival *a)
{
	const struct provider *p = source_provider(a->hook->source);
	struct buf headers = BUF(HEADERS_KEPT_MAX + 4096), query = BUF(a->view.query.len + 1);
	struct err e = { 0 };

	headers_json(p, a->headers, a->view.n_headers, HEADERS_KEPT_MAX, &headers);
	a->submit->headers_json = buf_take(&headers);
	query_kept(p, a->view.query, &query);
	a->submit->query = buf_take(&query);
	struct slice json = a->identity.json.len ? buf_slice(&a->identity.json) : a->view.body;
	const struct delivery_view d = { .source = a->hook->source, .event = slice_of(a->identity.event),
		.action = slice_of(a->identity.action), .json = json, .headers_json = slice_of(a->submit->headers_json),
		.query = slice_of(a->submit->query), .delivery_key = a->identity.delivery_key, .received_ms = a->submit->received_ms };
	if (verdict_make(a->edition->rules, &d, a->submit, &a->verdict, &e) == 0)
		return 0;
	log_refusal(a->hook, 400, e.msg);
	return refuse(a, 400, "Bad Request", e.msg);
}

static void judge(struct arrival *a)
{
	if (authenticate(a) < 0 || identify(a) < 0)
		assert(a->refusal.status);
	else if (!a->identity.answer_status && match(a) < 0)
		assert(a->refusal.status);
}

/* ---- the answer ---- */

static void log_delivery(const struct arrival *a, const char *outcome)
{
	const struct submit *s = a->submit;
	log_info("delivery", "outcome=%s source=%s event=%s key=\"%s\" delivery=%" PRId64 " jobs=%d bytes=%zu us=%" PRId64,
		 outcome, s->source, a->identity.event, s->key, s->delivery, s->n_jobs, a->bytes,
		 mono_us() - a->began_us);
	if (s->same_as)
		log_warn("what was signed for another delivery came again under a new id", "source=%s delivery=%" PRId64 " same_as=%" PRId64,
			 s->source, s->delivery, s->same_as);
	if (a->verdict.is_heard)
		return;
	int64_t now = mono_ms(), last = atomic_load(&a->hook->said_idle_ms);
	if ((last && now - last < SAY_AGAIN_MS) || !atomic_compare_exchange_strong(&a->hook->said_idle_ms, &last, now))
		return;
	log_warn("no rule listens to this event", "source=%s event=%s", s->source, a->identity.event);
}

/* What the sender wants to hear, where it has no ear for more. */
static int reply_briefly(struct http_request *r, const struct arrival *a)
{
	const struct provider *p = source_provider(a->hook->source);
	int status = p ? provider_answer_status(p) : 0;

	if (status)
		http_reply(r, &(struct http_reply){ .status = status });
	return status;
}

static void reply_stored(struct http_request *r, const struct arrival *a)
{
	const struct submit *s = a->submit;
	CLEANUP(buf_fini) struct buf body = BUF(REPLY_MAX);

	buf_addf(&body, "{\"delivery\":%" PRId64, s->delivery);
	if (!source_is_terse(a->hook->source)) {
		if (s->same_as)
			buf_addf(&body, ",\"same_as\":%" PRId64, s->same_as);
		buf_adds(&body, ",\"matched\":[");
		verdict_add_matched(s, a->edition->url, &body);
		buf_addf(&body, "],\"not_matched\":%s", s->why_json);
		if (a->verdict.notes.len > 2)
			buf_addf(&body, ",\"notes\":" SLICE_FMT, SLICE_ARG(buf_slice(&a->verdict.notes)));
		if (s->n_jobs == 0 && !ruleset_hears(a->edition->rules, a->hook->source))
			buf_adds(&body, ",\"note\":\"no rule listens to this source\"");
		else if (!a->verdict.is_heard)
			buf_adds(&body, ",\"note\":\"no rule listens to this event\"");
	}
	buf_adds(&body, "}\n");
	answer_json(r, 202, buf_slice(&body));
}

static void reply_duplicate(struct http_request *r, const struct arrival *a)
{
	CLEANUP(buf_fini) struct buf body = BUF(REPLY_MAX);

	buf_addf(&body, "{\"delivery\":%" PRId64 ",\"duplicate\":true", a->submit->delivery);
	if (!source_is_terse(a->hook->source)) {
		buf_adds(&body, ",\"matched\":");
		intake_add_urls(slice_of(a->submit->first_jobs_json), a->edition->url, &body);
	}
	buf_adds(&body, "}\n");
	answer_json(r, 200, buf_slice(&body));
}

static void on_stored(struct mail *m, void *loop)
{
	struct submit *s = (struct submit *)m;
	struct arrival *a = s->arg;
	struct http_request *r = http_unpark(a->ticket);        /* NULL: the sender left; it will send again or not */

	atomic_fetch_sub(&a->ingest->waiting_bytes, a->bytes);
	switch (s->outcome) {
	case STORE_OK:
		log_delivery(a, "stored");
		if (r && !reply_briefly(r, a))
			reply_stored(r, a);
		break;
	case STORE_DUPLICATE:
		log_delivery(a, "duplicate");
		if (r && !reply_briefly(r, a))
			reply_duplicate(r, a);
		break;
	case STORE_STALE:
	case STORE_NOT_FOUND:
	case STORE_UNKNOWN:
		if (r)
			reply_busy(r, "the store could not say whether the delivery is safe: send it again");
		desk_store_broke(a->loop->front->desk);
		break;
	}
	arrival_free(a);
}

/* A verified request that only asks whether we are there: answered as the provider's descriptor says, and not kept. */
static void reply_handshake(struct http_request *r, const struct arrival *a)
{
	const char *headers[4 + 2 * HANDSHAKE_HEADERS_MAX + 1] = { "x-content-type-options", "nosniff", "cache-control", "no-store" };
	CLEANUP(freep) char *lines = slice_dup(buf_slice(&a->identity.answer_headers));
	size_t n = 4;

	/* "Name: value\n"…, cut apart in place */
	for (char *line = lines, *next; line && *line && n < COUNT(headers) - 1; line = next) {
		next = strchr(line, '\n');
		*next++ = '\0';
		char *colon = strchr(line, ':');
		*colon = '\0';
		headers[n++] = line;
		headers[n++] = colon + 2;
	}
	log_info("handshake", "source=%s status=%d", name_of(a), a->identity.answer_status);
	http_reply(r, &(struct http_reply){ .status = a->identity.answer_status, .headers = headers,
					    .content_type = a->identity.answer.len ? "text/plain; charset=utf-8" : NULL,
					    .body = buf_slice(&a->identity.answer) });
}

/* R answered, or A on its way to the store: either way both have found their owner. */
static void submit(struct arrival *a, struct http_request *r)
{
	struct submit *s = a->submit;
	struct ingest *g = a->ingest;

	if (!a->refusal.status && atomic_load(&a->loop->front->is_draining))
		refuse(a, 503, "Service Unavailable", "the engine is being restarted");
	if (a->refusal.status || a->identity.answer_status) {
		if (a->refusal.status)
			reply_refusal(r, &a->refusal);
		else
			reply_handshake(r, a);
		arrival_free(a);
		return;
	}
	if (atomic_fetch_add(&g->waiting_bytes, a->bytes) + a->bytes > INGEST_WAITING_MAX) {
		atomic_fetch_sub(&g->waiting_bytes, a->bytes);
		log_refusal(a->hook, 503, "too many bytes wait for the store");
		reply_busy(r, "too many deliveries wait to be stored");
		arrival_free(a);
		return;
	}
	s->arg = a;
	s->mail.deliver = on_stored;
	s->reply_to = http_loop_mailbox(a->loop->http);
	s->ruleset_keep = a->edition;
	a->ticket = http_park(r);
	store_submit(g->store, s);
}

/* ---- large bodies: there and back ---- */

static void judge_large(struct body_work *w)
{
	judge((struct arrival *)w);
}

static void on_judged(struct body_work *w)
{
	struct arrival *a = (struct arrival *)w;
	struct http_request *r = http_unpark(a->ticket);

	if (r)
		submit(a, r);
	else
		arrival_free(a);
}

/* ---- the door ---- */

/* Whose request it is: the peer, or whom a proxy of ours says it is. ptr NULL: nobody can tell. */
static struct slice client_of(const struct http_request *r, const struct loop *l, char peer[64])
{
	struct slice forwarded[FORWARDED_MAX], name, value;
	size_t n = 0;

	http_peer(r, peer);
	for (size_t i = 0; i < http_header_count(r); i++) {
		http_header_at(r, i, &name, &value);
		if (!slice_eq(name, SLICE("x-forwarded-for")))
			continue;
		if (n == FORWARDED_MAX)
			return SLICE_NULL;
		forwarded[n++] = value;
	}
	return client_address(&ruleset_config(l->edition->rules)->proxies, slice_of(peer), forwarded, n);
}

/* 1 where the source takes deliveries from there; else R has been answered. Who comes by the control socket is the owner. */
static int is_allowed(struct http_request *r, struct loop *l, struct hook *h)
{
	char peer[64];
	struct slice client = client_of(r, l, peer);

	if (strcmp(peer, "unix") == 0 || source_allows(h->source, client))
		return 1;
	CLEANUP(freep) char *why = client.ptr ? xprintf("address " SLICE_FMT " is not in its allow", SLICE_ARG(client)) :
					       xprintf("proxy %s names no address", peer);
	log_refusal(h, 403, why);
	http_problem(r, 403, "Forbidden", "this source takes no deliveries from this address");
	return 0;
}

/* 0 where the content can be read at all; else the status, with the words for the sender in *why. */
static int is_unfit(const struct http_request *r, const struct hook *h, const char **why)
{
	const struct provider *p = source_provider(h->source);
	struct slice encoding = http_header(r, "content-encoding", NULL);
	int is_post = slice_eq(http_method(r), SLICE("POST"));

	if (!is_post && (!p || !slice_eq(http_method(r), provider_hello_method(p)))) {
		*why = "a hook takes POST";
		return 405;
	}
	*why = "a body with a content-encoding is not taken";
	if (encoding.len && !slice_ieq(encoding, SLICE("identity")))
		return 415;
	*why = "taken are application/json, …+json and application/x-www-form-urlencoded";
	if (is_post && !intake_takes_type(http_header(r, "content-type", NULL)))
		return 415;
	*why = "this source cannot verify deliveries now";
	return h->error ? 503 : 0;
}

/* 1 where the content can be read at all; else R has been answered. */
static int is_acceptable(struct http_request *r, struct hook *h)
{
	struct refusal no = { .title = "Unsupported Media Type" };
	const char *why;

	no.status = is_unfit(r, h, &why);
	if (!no.status)
		return 1;
	if (no.status == 405)
		no.title = "Method Not Allowed";
	snprintf(no.detail, sizeof no.detail, "%s", why);
	log_refusal(h, no.status, no.status == 503 ? h->error : why);
	reply_refusal(r, &no);
	return 0;
}

void ingest_on_stray(const struct http_request *r, struct loop *l)
{
	char shown[STRAY_PATH_MAX];
	int64_t unsaid;

	if (!slice_eq(http_method(r), SLICE("POST")) || !strays_note(l->front->ingest->strays, http_path(r), shown, &unsaid))
		return;
	const char *near = edition_near_path(l->edition, slice_of(shown));
	log_warn("a delivery came to a path that no source has", "path=\"%s\" did_you_mean=\"%s\" unsaid=%" PRId64, shown,
		 near ? near : "", unsaid);
}

void ingest_on_hook(struct http_request *r, struct loop *l)
{
	struct hook *hook = edition_hook(l->edition, http_path(r));
	size_t bytes = http_body(r).len;

	if (!hook) {
		ingest_on_stray(r, l);
		http_problem(r, 404, "Not Found", "no source has this path");
		return;
	}
	if (!is_allowed(r, l, hook) || !is_acceptable(r, hook))
		return;
	if (bytes <= BODY_LOOP_BYTES) {
		struct arrival *a = arrival_new(r, l, hook);
		judge(a);
		submit(a, r);
		return;
	}
	if (bodies_reserve(l->front->bodies, bytes) < 0) {
		log_refusal(hook, 503, "too many large bodies at once");
		reply_busy(r, "too many large deliveries at once");
		return;
	}
	struct arrival *a = arrival_new(r, l, hook);
	a->ticket = http_park(r);
	a->work = (struct body_work){ .home = http_loop_mailbox(l->http), .judge = judge_large, .judged = on_judged };
	bodies_send(l->front->bodies, bytes, &a->work);
}
