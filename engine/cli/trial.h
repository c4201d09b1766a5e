/* cli/trial.h - a delivery judged offline, by the very library that the server judges with: which rules fire, and why not.
 * One thread. */
#pragma once
#include "rules/fixture.h"
#include "rules/provider.h"
#include "rules/ruleset.h"

struct trial {
	const struct source *source;    /* borrowed from the rule set */
	struct identity identity;
	char *key;                      /* of the delivery */
	struct buf headers_json, body;  /* behind the match */
	char *query, *cause;
	struct match *match;
};
#define TRIAL_NONE ((struct trial){ .headers_json = BUF(1 << 20), .body = BUF(FIXTURE_BODY_MAX) })

/* Judge F by RS. Its source: as F says, else the only one there is. 0: *out (TRIAL_NONE before) is the caller's; neither F nor
 * RS need outlive it. -1 (ERR_INPUT, ERR_LIMIT): no such source, or what the server would have refused, or not matched, too. */
int trial_hold(const struct ruleset *rs, const struct fixture *f, struct trial *out, struct err *e) MUST_USE;
void trial_fini(struct trial *t);
