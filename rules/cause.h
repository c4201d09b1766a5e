/* rules/cause.h - the job behind an event of `job:`, `rule:` or `local:`, as ruleset.h's cause_json has it. Its own event's
 * fields are the new event's too, so that a rule of a chain can ask for the repository, and a fork's stays a fork's. Only
 * rules/match.c includes it. Pure. */
#pragma once
#include "rules/normalise.h"

struct cause;
/* JSON is borrowed, not kept. -1: it is no object (ERR_INPUT). */
int cause_parse(struct slice json, struct cause **out, struct err *e) MUST_USE;
void cause_free(struct cause *c);                       /* NULL is fine */
struct slice cause_rule(const struct cause *c);         /* borrowed from C; empty where no rule's job is behind it */
int64_t cause_job(const struct cause *c);               /* 0: none */
int cause_is_untrusted(const struct cause *c);          /* what is behind it came from a fork, or may have */
void cause_fields(const struct cause *c, struct normal *out);    /* borrows from C; end it with normal_fini */
