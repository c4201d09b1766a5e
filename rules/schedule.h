/* rules/schedule.h - when a rule with `cron` fires: which instants are due, which were missed, and what then. It knows no
 * clock: the time is asked with. Pure; immutable; any thread. */
#pragma once
#include "base/slice.h"
#include "rules/ruleset.h"

#define SCHEDULE_INSTANTS_MAX 100       /* of one look: the newest; missed = "all" fires no more of them */
#define SCHEDULE_LATE_MS 60000          /* later than this an instant was missed */

/* What it says, in one line: another text is another schedule. Borrowed from S. */
const char *schedule_text(const struct schedule *s);
const char *schedule_zone(const struct schedule *s);            /* "UTC" unless said */
/* The first instant after SINCE_MS, and in *due_ms when it is to fire: later by the jitter of rule R. */
int64_t schedule_next_ms(const struct schedule *s, const struct rule *r, int64_t since_ms, int64_t *due_ms);
/* The instants after SINCE_MS that are to fire at NOW_MS, in order; returns how many. What is to be passed over is left out.
 * *through_ms: the last instant that is settled by this, SINCE_MS where none is. */
size_t schedule_due(const struct schedule *s, const struct rule *r, int64_t since_ms, int64_t now_ms,
		    int64_t out[SCHEDULE_INSTANTS_MAX], int64_t *through_ms);
