/* rules/zone.h - a time zone, read from the bytes of a TZif file (RFC 8536): the offsets of the past from its table, those
 * of the future from the POSIX rule in its footer. The C library's own reader serves one zone per process. Pure; immutable;
 * any thread. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

#define ZONE_MAX_BYTES (64 << 10)
#define ZONE_MAX_TRANSITIONS 4096

struct zone;
/* BYTES are borrowed, not kept. -1: they are no TZif file of version 2 or later (ERR_INPUT) or beyond a bound (ERR_LIMIT). */
int zone_parse(struct slice bytes, struct zone **out, struct err *e) MUST_USE;
void zone_free(struct zone *z);                         /* NULL is fine */

/* All in seconds since 1970; Z NULL is UTC. */
int64_t zone_offset(const struct zone *z, int64_t at);                  /* of local time, east positive */
/* The first instant after AT at which the offset may be another; INT64_MAX: none. */
int64_t zone_next_change(const struct zone *z, int64_t at);
/* The instant of a local time, LOCAL being the seconds that a UTC clock would show so: the first of two where it comes
 * twice, the moment of the change where it is skipped. Grows with LOCAL. */
int64_t zone_instant(const struct zone *z, int64_t local);

/* Days since 1970-01-01 to a date and back (proleptic Gregorian). month 1 to 12. */
int64_t days_of_date(int year, int month, int day);
void date_of_days(int64_t days, int *year, int *month, int *day);
int days_of_month(int year, int month);
