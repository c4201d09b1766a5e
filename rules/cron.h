/* rules/cron.h - a schedule of five fields, as crontab(5) has them: what it says, and when it is due next. Pure; immutable;
 * any thread.
 *
 * It names minutes of local time. A minute that the clock skips is due at once, when it has been skipped; one that comes
 * twice is due the first time. So no instant is due twice, and none is left out. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

struct zone;

struct cron {
	uint64_t minutes;               /* bit 0 to 59 */
	uint32_t hours, days;           /* 0 to 23; 1 to 31 */
	uint16_t months;                /* 1 to 12 */
	uint8_t weekdays;               /* 0 to 6, Sunday first */
	uint8_t any_day, any_weekday;   /* written with a '*': then both must fit; else either is enough */
};

/* "0 3 * * mon-fri", "@daily". *E names the field, the value and the bound; also where no day can ever be meant. */
int cron_parse(struct slice text, struct cron *out, struct err *e) MUST_USE;
/* The first instant after AFTER_MS; Z NULL is UTC. Always a later one: cron_parse has seen to it. */
int64_t cron_next_ms(const struct cron *c, const struct zone *z, int64_t after_ms);
extern const char *const cron_words[];          /* "@hourly" …; NULL-ended */
