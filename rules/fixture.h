/* rules/fixture.h - a delivery in a file: what `explain` and `test` judge, and what a delivery is saved as. Pure; any thread.
 *
 * Either the body as it was received, and then its source and event come from elsewhere; or a fixture, which knows them:
 *
 *   { "fixture": 1, "source": "github", "event": "push", "query": "", "delivery": "72d3162e-…", "received_ms": 1795500000000,
 *     "headers": { "x-github-event": "push" }, "cause": { "rule": "docs", "event": { "branch": "main" } },   of source job, rule, local
 *     "only": { "file": "rules/n.lua", "rule": "nightly" },                                                 of source cron, local
 *     "payload": { …the body's JSON… } }            or "body": "…its text…", or "body_base64": "…"
 *
 * All but "fixture" and one form of the body may be left out. docs/offline.md tells the same to users. */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

#define FIXTURE_MAX_BYTES (48 << 20)            /* of the file: a body of 25 MiB, in base64 */
#define FIXTURE_BODY_MAX (25 << 20)
#define FIXTURE_HEADERS_MAX (64 << 10)

struct fixture {
	char *source, *event, *query, *delivery;        /* owned; NULL: not said. EVENT: native */
	/* Of events that no sender brings (sources cron, job, rule, local): the job behind it, as JSON, or the one rule that it is
	 * meant for. Owned; NULL: not said. */
	char *cause, *only_file, *only_rule;
	int64_t received_ms;                            /* 0: not said */
	struct buf headers;                             /* "Name: value\n"… */
	struct buf body;
};
#define FIXTURE_NONE ((struct fixture){ .headers = BUF(FIXTURE_HEADERS_MAX), .body = BUF(FIXTURE_BODY_MAX) })
void fixture_fini(struct fixture *f);

/* TEXT is a fixture or a body. 0: *out (FIXTURE_NONE before) is owned. -1: too large, or a fixture with something wrong in it. */
int fixture_parse(struct slice text, struct fixture *out, struct err *e) MUST_USE;
/* The reverse: a fixture that fixture_parse reads as F again, its body byte for byte but for blanks around a document. */
void fixture_write(const struct fixture *f, struct buf *out);
/* -1: VALUE has a control byte, or there is no room. */
int fixture_add_header(struct fixture *f, struct slice name, struct slice value, struct err *e) MUST_USE;
/* All but the body, from the object that the API gives of a delivery (docs/api.md), into F (FIXTURE_NONE before; owned in any case).
 * -1: its headers cannot be those of a fixture. */
int fixture_of_delivery(const json_t *delivery, struct fixture *f, struct err *e) MUST_USE;
