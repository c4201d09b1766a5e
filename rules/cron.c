/* rules/cron.c - parse, and walk: days by the calendar, hours and minutes by their bits. */
#include "rules/cron.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "rules/zone.h"

#define DAY 86400
#define YEARS_MAX 12                    /* a 29th of February may be eight years off: 2096 to 2104 */

enum { MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK, FIELDS };

static const struct field {
	const char *name;
	int min, max;
	const char *const *words;       /* of min, min + 1, … */
} fields[FIELDS] = {
	[MINUTE] = { "minute", 0, 59, NULL },
	[HOUR] = { "hour", 0, 23, NULL },
	[DAY_OF_MONTH] = { "day of month", 1, 31, NULL },
	[MONTH] = { "month", 1, 12, (const char *const[]){ "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct",
		"nov", "dec", NULL } },
	[DAY_OF_WEEK] = { "day of week", 0, 7, (const char *const[]){ "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL } },
};

static const struct { const char *word, *fields; } words[] = {
	{ "@hourly", "0 * * * *" }, { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
	{ "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" },
};
const char *const cron_words[] = {
	"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually", NULL,
};
static_assert(COUNT(words) + 1 == COUNT(cron_words), "one list");

/* ---- parse ---- */

static int parse_value(const struct field *f, struct slice s, int *out, struct err *e)
{
	int64_t v;

	for (int i = 0; f->words && f->words[i]; i++)
		if (slice_ieq(s, slice_of(f->words[i]))) {
			*out = f->min + i;
			return 0;
		}
	if (slice_to_i64(s, f->min, f->max, &v) == 0) {
		*out = (int)v;
		return 0;
	}
	if (!f->words)
		return err_set(e, ERR_INPUT, "%s: '" SLICE_FMT "' is not a number from %d to %d", f->name, SLICE_ARG(slice_upto(s, 40)),
			       f->min, f->max);
	return err_set(e, ERR_INPUT, "%s: '" SLICE_FMT "' is neither a name such as '%s' nor a number from %d to %d", f->name,
		       SLICE_ARG(slice_upto(s, 40)), f->words[1], f->min, f->max);
}

static int parse_step(const struct field *f, struct slice s, int *out, struct err *e)
{
	int64_t v;

	if (slice_to_i64(s, 1, f->max, &v) < 0)
		return err_set(e, ERR_INPUT, "%s: the step '" SLICE_FMT "' is not a number from 1 to %d", f->name,
			       SLICE_ARG(slice_upto(s, 40)), f->max);
	*out = (int)v;
	return 0;
}

/* One of a list: "*", "5", "mon-fri", each but the second perhaps with "/2". */
static int parse_item(const struct field *f, struct slice item, uint64_t *bits, struct err *e)
{
	struct slice range, step_text, first, last;
	int from = f->min, to = f->max, step = 1;
	int has_step = slice_cut(item, '/', &range, &step_text);
	int is_range = slice_cut(range, '-', &first, &last);

	if (!slice_eq(range, SLICE("*"))) {
		if (parse_value(f, first, &from, e) < 0)
			return -1;
		to = from;
		if (is_range && parse_value(f, last, &to, e) < 0)
			return -1;
		if (is_range && to == 0 && f->max == 7)
			to = 7;                 /* "sat-sun" */
		if (from > to)
			return err_set(e, ERR_INPUT, "%s: the range '" SLICE_FMT "' goes backwards: write it as two, with a comma",
				       f->name, SLICE_ARG(slice_upto(range, 40)));
		if (has_step && !is_range)
			return err_set(e, ERR_INPUT, "%s: '" SLICE_FMT "' has a step and no range: write '" SLICE_FMT "-%d/" SLICE_FMT "'",
				       f->name, SLICE_ARG(slice_upto(item, 40)), SLICE_ARG(slice_upto(range, 20)), f->max,
				       SLICE_ARG(slice_upto(step_text, 20)));
	}
	if (has_step && parse_step(f, step_text, &step, e) < 0)
		return -1;
	for (int v = from; v <= to; v += step)
		*bits |= (uint64_t)1 << v;
	return 0;
}

static int parse_field(const struct field *f, struct slice text, uint64_t *bits, struct err *e)
{
	struct slice item, rest = text;
	int more = 1;

	*bits = 0;
	while (more) {
		more = slice_cut(rest, ',', &item, &rest);
		if (!item.len)
			return err_set(e, ERR_INPUT, "%s: '" SLICE_FMT "' has a comma with nothing beside it", f->name,
				       SLICE_ARG(slice_upto(text, 40)));
		if (parse_item(f, item, bits, e) < 0)
			return -1;
	}
	return 0;
}

static size_t split(struct slice text, struct slice out[FIELDS + 1])
{
	size_t n = 0, i = 0;

	while (i < text.len && n <= FIELDS) {
		size_t from = i;
		while (i < text.len && text.ptr[i] != ' ' && text.ptr[i] != '\t')
			i++;
		if (i > from)
			out[n++] = (struct slice){ text.ptr + from, i - from };
		else
			i++;
	}
	return n;
}

/* Day 30 in February alone can wait for ever. */
static int refuse_impossible(const struct cron *c, struct err *e)
{
	int latest = 0, first = 1;

	if (!c->any_day && !c->any_weekday)
		return 0;                       /* a weekday is enough */
	for (int m = 1; m <= 12; m++)
		if (c->months & 1u << m && days_of_month(2000, m) > latest)
			latest = days_of_month(2000, m);
	while (!(c->days & 1u << first))
		first++;
	if (first <= latest)
		return 0;
	return err_set(e, ERR_INPUT, "day of month: there is no day %d in these months, which have at most %d days", first, latest);
}

int cron_parse(struct slice text, struct cron *out, struct err *e)
{
	struct slice part[FIELDS + 1], trimmed = slice_trim(text);
	uint64_t bits[FIELDS];

	for (size_t i = 0; i < COUNT(words); i++)
		if (slice_ieq(trimmed, slice_of(words[i].word)))
			trimmed = slice_of(words[i].fields);
	if (slice_starts(trimmed, SLICE("@")))
		return err_set(e, ERR_INPUT, "there is no '" SLICE_FMT "'", SLICE_ARG(slice_upto(trimmed, 40)));
	size_t n = split(trimmed, part);
	if (n != FIELDS)
		return err_set(e, ERR_INPUT, "'" SLICE_FMT "' has %s%zu fields, not five: minute, hour, day of month, month, day of week",
			       SLICE_ARG(slice_upto(text, 80)), n > FIELDS ? "more than " : "", n > FIELDS ? (size_t)FIELDS : n);
	for (int i = 0; i < FIELDS; i++)
		if (parse_field(&fields[i], part[i], &bits[i], e) < 0)
			return -1;
	struct cron c = {
		.minutes = bits[MINUTE], .hours = (uint32_t)bits[HOUR], .days = (uint32_t)bits[DAY_OF_MONTH],
		.months = (uint16_t)bits[MONTH], .weekdays = (uint8_t)((bits[DAY_OF_WEEK] | bits[DAY_OF_WEEK] >> 7) & 0x7f),
		.any_day = part[DAY_OF_MONTH].ptr[0] == '*', .any_weekday = part[DAY_OF_WEEK].ptr[0] == '*',
	};
	if (refuse_impossible(&c, e) < 0)
		return -1;
	*out = c;
	return 0;
}

/* ---- next ---- */

static int fits_day(const struct cron *c, int64_t day, int day_of_month)
{
	int by_day = (c->days >> day_of_month & 1) != 0;
	int by_weekday = (c->weekdays >> ((day + 4) % 7 + 7) % 7 & 1) != 0;

	return c->any_day || c->any_weekday ? by_day && by_weekday : by_day || by_weekday;
}

static int next_bit(uint64_t bits, int from)
{
	uint64_t left = from < 64 ? bits >> from : 0;
	return left ? from + __builtin_ctzll(left) : -1;
}

/* The first minute of DAY that is not before the FROMth, of 1440; -1: none. */
static int next_minute(const struct cron *c, int from)
{
	int hour = from / 60, minute = next_bit(c->minutes, from % 60);

	if (hour < 24 && (c->hours >> hour & 1) && minute >= 0)
		return hour * 60 + minute;
	hour = next_bit(c->hours, hour + 1);
	return hour < 0 ? -1 : hour * 60 + next_bit(c->minutes, 0);
}

/* The first local time, in minutes since 1970, that is not before FROM. */
static int64_t next_local(const struct cron *c, int64_t from)
{
	int64_t today = (from - ((from % 1440) + 1440) % 1440) / 1440, day = today;
	int year, month, of_month;

	date_of_days(day, &year, &month, &of_month);
	for (int until = year + YEARS_MAX; year <= until;) {
		int minute = next_minute(c, day == today ? (int)(from - today * 1440) : 0);
		if ((c->months >> month & 1) && fits_day(c, day, of_month) && minute >= 0)
			return day * 1440 + minute;
		day += c->months >> month & 1 ? 1 : days_of_month(year, month) - of_month + 1;
		date_of_days(day, &year, &month, &of_month);
	}
	assert(!"a schedule that is never due");
	return 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Behind the second coming of an hour its minutes lie in the past: they are walked over. */
int64_t cron_next_ms(const struct cron *c, const struct zone *z, int64_t after_ms)
{
	int64_t after = floor_div(after_ms, 1000);
	int64_t local = next_local(c, floor_div(after + zone_offset(z, after), 60));

	for (;;) {
		int64_t at = zone_instant(z, local * 60);
		if (at > after)
			return at * 1000;
		local = next_local(c, local + 1);
	}
}
