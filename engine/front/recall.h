/* front/recall.h - a delivery that is kept, as ingest.c knew it when it came: identified by its provider, or put back into the words
 * of an inner source. Nothing is verified again: it was. Pure; any thread. */
#pragma once
#include "rules/match.h"
#include "rules/provider.h"
#include "rules/ruleset.h"

struct kept;

#define RECALL_HEADERS_MAX 128

struct recalled {
	struct delivery_view view;      /* for ruleset_match; borrows from RS, K, BODY and identity */
	struct identity identity;
};
/* What P says of a request that it took before: R, whose method and headers are left out, with those of HEADERS_JSON ({"name":"value"},
 * as they were kept). 0: *out is owned (identity_fini) and borrows nothing. -1: as provider_identify; E may be NULL. */
int recall_identity(const struct provider *p, struct request_view r, const char *headers_json, struct identity *out, struct err *e) MUST_USE;
/* 0: *out is owned (recalled_fini); K, BODY and RS must outlive it. -1 (ERR_INPUT): RS has no such source, its provider does not
 * take the delivery any more, or what it was for is not there. */
int recall(const struct ruleset *rs, const struct kept *k, struct slice body, struct recalled *out, struct err *e) MUST_USE;
void recalled_fini(struct recalled *r);
