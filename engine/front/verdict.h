/* front/verdict.h - what the rules say of one event, whoever brought it: a sender, a replay, a clock or another job. It
 * becomes a submission to the store: the delivery's columns and the jobs it causes. Pure work; any thread. */
#pragma once
#include "rules/match.h"
#include "rules/ruleset.h"
#include "store/submit.h"

struct verdict {
	int is_heard;                   /* some rule listens to this event */
	struct buf notes;               /* [{"rule","note"}]: fired on an unknown, says so; owned: verdict_fini */
};

/* Ask RS about D and fill S: source to event_json, why_json, ruleset, jobs. Left to the caller: headers_json, received_ms,
 * body, and all that makes it a request. The jobs borrow names from RS, which S.ruleset_keep must hold until the reply.
 * -1: the JSON is malformed or beyond a bound (ERR_INPUT, ERR_LIMIT); S is as it was. */
int verdict_make(const struct ruleset *rs, const struct delivery_view *d, struct submit *s, struct verdict *out,
		 struct err *e) MUST_USE;
void verdict_fini(struct verdict *v);
/* Once S is stored: the members of "matched", {"rule","cell","job","url"}, MATCHED_MAX of them, then how many more. */
#define MATCHED_MAX 100
void verdict_add_matched(const struct submit *s, const char *base_url, struct buf *out);
