/* rules/provider.h - a provider's descriptor, compiled, and the one interpreter of descriptors: authenticate, find event
 * and delivery id, normalise. The formats are those of facts "webhook providers", section 3; its eleven rules of
 * verification hold. Pure: the caller gives headers, bytes, keys and the time; any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"
#include "rules/diag.h"
#include "rules/node.h"

struct provider;

/* A descriptor as it was read; all borrowed, and not kept. */
struct descriptor {
	const char *name, *file;                /* FILE: in diagnostics */
	const struct node *value;
	const struct node *base;                /* what its `like` names: a descriptor that compiles and has none; else NULL */
};
/* The name that stands as `like` in a descriptor: whose events it has. Empty where there is none. */
struct slice provider_like(const struct node *value);
/* 0: *out owned. -1: said in DIAGS. */
int provider_compile(const struct descriptor *from, struct provider **out, struct diags *diags) MUST_USE;
void provider_free(struct provider *p);
const char *provider_name(const struct provider *p);
int64_t provider_deadline_ms(const struct provider *p);
int provider_retries(const struct provider *p);                 /* 1: the sender tries again by itself, 503 loses nothing */
/* Not 0: what the sender wants to hear of a delivery that is accepted: this status, and no body. */
int provider_answer_status(const struct provider *p);
/* "OPTIONS" where the sender's handshake comes so; empty where all comes as a POST. Borrowed from P. */
struct slice provider_hello_method(const struct provider *p);
/* What P reads a header for, or an item of the query; NAME of a header in any case. PROVES: where its signature or token stands,
 * whatever else it is. TELLS: event, action, delivery id. */
enum provider_use { PROVIDER_UNREAD, PROVIDER_TELLS, PROVIDER_PROVES };
enum provider_use provider_reads_header(const struct provider *p, struct slice name);
enum provider_use provider_reads_query(const struct provider *p, struct slice name);
/* 1: the delivery id is part of what is signed. 0: who has seen one delivery can send its body again under another id. */
int provider_signs_id(const struct provider *p);

struct header { struct slice name, value; };
struct request_view {                           /* all borrowed */
	struct slice method, path, query, body;
	const struct header *headers;           /* as received, doubles included */
	size_t n_headers;
	struct slice url;                       /* public URL, for schemes that sign it */
	int64_t now_ms;
};
/* One configured secret, as text (the descriptor says how it becomes key bytes); expired ones are left out by the caller. */
struct secret_view { struct slice text; };

enum verify_outcome {
	VERIFY_OK,
	VERIFY_MISMATCH,        /* 401: wrong, missing or doubled signature, id or timestamp; stale; says no more to the sender */
	VERIFY_FUTURE,          /* 401: well signed, but of a time that our clock has not reached: is it right? */
	VERIFY_MALFORMED,       /* 400 */
	VERIFY_BAD_SECRET,      /* a configured secret cannot be a key of this scheme: an operator's error, 503 */
};
/* WHY (may be NULL) gets one line for our own log and the delivery page: never secret material. */
enum verify_outcome provider_verify(const struct provider *p, const struct request_view *r,
				    const struct secret_view *secrets, size_t n, char why[160]);
/* After VERIFY_OK: what says whether two requests carry the same signed text, whatever their unsigned ids and headers. Of a
 * scheme that signs nothing (a token) it is the body. */
void provider_digest(const struct provider *p, const struct request_view *r, unsigned char out[16]);
/* The reverse, for `simulate` and tests: what the sender of R adds. R has its body, its headers so far, its query, its URL
 * without that, and its time. */
struct sender {
	struct slice secret;                    /* of ed25519 the private key: PEM, or 32 or 64 bytes in hex or base64 */
	const char *delivery_id;
	const char *event;                      /* where R does not say it; NULL: nothing is added */
};
struct signed_parts {
	struct buf header_lines;                /* "Name: value\n"…, to be added to R's */
	struct buf query;                       /* whole, R's among it */
};
/* 0: end *out with signed_parts_fini. -1: the secret is no key (ERR_INPUT), or R cannot be signed. */
int provider_sign(const struct provider *p, const struct request_view *r, const struct sender *by, struct signed_parts *out,
		  struct err *e) MUST_USE;
void signed_parts_fini(struct signed_parts *s);
/* The part of it that proves nothing: the headers that name event and delivery, as far as HEADER_LINES lacks them. For what is
 * judged without having been sent. */
int provider_label(const struct provider *p, const char *delivery_id, const char *event, struct buf *header_lines,
		   struct err *e) MUST_USE;
int provider_needs_private_key(const struct provider *p);       /* to sign: what verifies is public */

/* What the request's Content-Type announces: application/json, any +json or none; a urlencoded form; else 415. */
enum body_kind { BODY_JSON, BODY_FORM, BODY_OTHER };
enum body_kind request_body_kind(const struct request_view *r);

/* After verification. */
struct identity {
	char *event, *action;           /* native names; owned */
	char *delivery_key;             /* header or digest; empty: the sender has none (delivery = "none") */
	struct buf json;                /* the document when it came as a form; else empty: the body is the document */
	int answer_status;              /* not 0: a handshake, to be answered at once with this status and `answer` as */
	struct buf answer;              /* text/plain, and not stored */
	struct buf answer_headers;      /* "Name: value\n"…, besides */
};
/* -1, ERR_INPUT: no event name, unusable delivery id, no document; the message may go to the sender (400; where R is no
 * POST, it is no handshake either: 405). */
int provider_identify(const struct provider *p, const struct request_view *r, struct identity *out, struct err *e) MUST_USE;
void identity_fini(struct identity *i);

/* The mapping of a native event to common names and fields: rules/normalise.h. */
