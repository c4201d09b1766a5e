/* rules/descriptor.h - the inside of a provider, for the files of rules/ that make and interpret it; no one else includes
 * it. Immutable once provider_compile has returned. */
#pragma once
#include <openssl/types.h>

#include "rules/arena.h"
#include "rules/event_case.h"
#include "rules/provider.h"

#define TAKE_MAX 8
#define DELIVERY_MAX 3                          /* parts of a delivery's key */
#define HELLO_HEADERS_MAX 8
#define PIECES_MAX 16
#define VALUE_MAX_BYTES (8 << 10)               /* of a header that carries a signature */
#define CANDIDATES_MAX 16
#define SECRETS_MAX 8

enum provider_kind { KIND_HMAC = 1, KIND_ED25519, KIND_TOKEN, KIND_BASIC, KIND_NONE };
enum text_form { TEXT_PLAIN, TEXT_HEX, TEXT_BASE64 };

/* ---- sources: where a value stands in a request ---- */
enum origin { FROM_HEADER = 1, FROM_SIGNATURE, FROM_JSON, FROM_JSON_INTEGER, FROM_FORM, FROM_QUERY, FROM_CONST, FROM_DIGEST };
struct source_one {
	enum origin origin;
	struct slice name;              /* of the header, field, item; the path; the text */
	int path;                       /* FROM_JSON*: in provider.documents */
};
struct sources {
	struct source_one list[ALTERNATIVES_MAX];
	size_t n;
};
enum lookup { LOOKUP_FOUND, LOOKUP_ABSENT, LOOKUP_DOUBLED, LOOKUP_MALFORMED };
struct lookup_place {
	const struct request_view *request;
	const struct provider *provider;
	struct slice signature;         /* for FROM_SIGNATURE; else empty */
	const struct values *values;    /* of the document, for FROM_JSON*; else NULL */
};
/* The first of the alternatives that is there and not empty. *OUT borrows from the request, the values or SCRATCH. */
enum lookup sources_find(const struct sources *s, const struct lookup_place *at, struct buf *scratch, struct slice *out);
int sources_use(const struct sources *s, enum origin origin);
/* Take the next item off the value of a signature header; NAME is empty where items have no names. 0 at the end. */
int signature_next(const struct provider *p, struct slice *rest, struct slice *name, struct slice *value);

/* ---- what is signed ---- */
enum piece_kind { PIECE_TEXT, PIECE_BODY, PIECE_PAYLOAD, PIECE_TS, PIECE_MSGID, PIECE_URL, PIECE_FORM_SORTED, PIECE_KINDS };
struct piece {
	enum piece_kind kind;
	struct slice text;
};

/* ---- a handshake ---- */
struct hello {
	int status;                     /* 0: the sender has none */
	struct slice method;            /* empty: it comes as a POST */
	struct sources when;
	struct slice is;                /* ptr NULL: whatever there is */
	struct sources answer;
	struct { struct slice name; struct sources value; } headers[HELLO_HEADERS_MAX];
	size_t n_headers;
};

struct provider {
	const char *name;
	struct arena *arena;
	enum provider_kind kind;
	const char *hash;               /* OpenSSL's name; NULL for kinds without */
	size_t signature_bytes;
	enum text_form enc, key;
	struct sources sig, ts, msgid, payload, digest, event, action, delivery[DELIVERY_MAX];
	size_t n_delivery;
	struct slice prefix, strip;
	struct hello hello;
	char item, pair;                /* 0: none */
	struct slice take[TAKE_MAX];
	size_t n_take;
	int64_t ts_unit_ms, tolerance_ms;
	struct piece pieces[PIECES_MAX];
	size_t n_pieces;
	int has_no_id;                  /* delivery = "none" */
	int id_in_mac, retries, answer_status;
	int64_t deadline_ms;
	EVP_MAC *mac;                   /* KIND_HMAC */
	struct paths *documents;        /* of json: sources */

	struct paths *fields;           /* of the mapping */
	const struct spec *spec[FIELD_COUNT];   /* of every event */
	struct event_case *cases;
	struct provider_event *events;  /* as many as cases */
	size_t n_events;
};

/* ---- compiling, in two files ---- */
struct descriptor_reader {
	struct provider *p;
	const char *file;
	struct diags *diags;
	int errors;
};
/* Say what is wrong with the node AT (NULL: of the whole descriptor). */
void descriptor_wrong(struct descriptor_reader *d, const struct node *at, const char *fmt, ...) PRINTF(3, 4);
void descriptor_unknown(struct descriptor_reader *d, const struct node_member *m, const char *what, const char *const *known);
void descriptor_refuse_unknown(struct descriptor_reader *d, const struct node *table, const char *what,
			       const char *const *known);
/* `fields` and `events` of VALUE over those of BASE, which may be NULL and is known to be right. */
void mapping_compile(struct descriptor_reader *d, const struct node *value, const struct node *base);

/* ---- verification and its reverse share these ---- */
/* The bytes of a key; -1 where SECRET is none. */
int provider_key(const struct provider *p, struct slice secret, struct buf *out) MUST_USE;
int provider_hmac(const struct provider *p, struct slice key, const struct slice *pieces, size_t n, unsigned char out[64]) MUST_USE;
