/* rules/zone.c - TZif (RFC 8536): a header, a block of 32-bit data that is passed over, the same again in 64 bits, and a
 * footer in the form of POSIX's TZ. Nothing is believed: every count is held against the bytes there are. */
#include "rules/zone.h"

#include <stdlib.h>
#include <string.h>

#define DAY 86400
#define OFFSET_MAX (26 * 3600)          /* RFC 8536, section 3.2: -24:59:59 to 25:59:59 */
#define HEAD_BYTES 44

/* One end of summer time, as "M3.5.0/2" says it. */
struct day_rule {
	enum { BY_WEEKDAY = 'M', BY_JULIAN = 'J', BY_NUMBER = 'n' } kind;
	int month, week, day;           /* BY_WEEKDAY: day 0 is Sunday; else only day */
	int time;                       /* seconds behind local midnight */
};
struct footer {
	int is_there, has_summer;
	int standard, summer;           /* offsets */
	struct day_rule begins, ends;   /* summer time */
};
struct change { int64_t at; int32_t offset; };
struct zone {
	int32_t first;                  /* before the first change */
	struct change *changes;
	size_t n;
	struct footer footer;
};

/* ---- dates ---- */

int64_t days_of_date(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_of_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(y + era * 400 + (*month <= 2));
}

static int is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

int days_of_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* ---- the footer ---- */

static int take_number(struct slice *s, int max, int *out)
{
	int n = 0, digits = 0;

	while (s->len && s->ptr[0] >= '0' && s->ptr[0] <= '9' && digits < 4) {
		n = n * 10 + (s->ptr[0] - '0');
		*s = slice_from(*s, 1);
		digits++;
	}
	*out = n;
	return digits && n <= max ? 0 : -1;
}

static int take_char(struct slice *s, char c)
{
	if (!s->len || s->ptr[0] != c)
		return 0;
	*s = slice_from(*s, 1);
	return 1;
}

/* "CET" or "<+0330>": of no use but to end. */
static int take_name(struct slice *s)
{
	size_t n = 0;

	if (take_char(s, '<')) {
		ptrdiff_t end = slice_chr(*s, '>');
		if (end < 1)
			return -1;
		*s = slice_from(*s, (size_t)end + 1);
		return 0;
	}
	while (n < s->len && ((s->ptr[n] | 0x20) >= 'a' && (s->ptr[n] | 0x20) <= 'z'))
		n++;
	*s = slice_from(*s, n);
	return n >= 3 ? 0 : -1;
}

/* [+-]hh[:mm[:ss]] */
static int take_time(struct slice *s, int hours_max, int *out)
{
	int sign = take_char(s, '-') ? -1 : 1, h, m = 0, sec = 0;

	if (sign > 0)
		take_char(s, '+');
	if (take_number(s, hours_max, &h) < 0)
		return -1;
	if (take_char(s, ':') && take_number(s, 59, &m) < 0)
		return -1;
	if (take_char(s, ':') && take_number(s, 59, &sec) < 0)
		return -1;
	*out = sign * (h * 3600 + m * 60 + sec);
	return 0;
}

static int take_day(struct slice *s, struct day_rule *out)
{
	*out = (struct day_rule){ .kind = BY_NUMBER, .time = 2 * 3600 };
	if (!take_char(s, ','))
		return -1;
	if (take_char(s, 'M')) {
		out->kind = BY_WEEKDAY;
		if (take_number(s, 12, &out->month) < 0 || out->month < 1 || !take_char(s, '.') ||
		    take_number(s, 5, &out->week) < 0 || out->week < 1 || !take_char(s, '.') || take_number(s, 6, &out->day) < 0)
			return -1;
	} else if (take_char(s, 'J')) {
		out->kind = BY_JULIAN;
		if (take_number(s, 365, &out->day) < 0 || out->day < 1)
			return -1;
	} else if (take_number(s, 365, &out->day) < 0) {
		return -1;
	}
	return take_char(s, '/') ? take_time(s, 167, &out->time) : 0;
}

static int parse_footer(struct slice s, struct footer *out)
{
	struct footer f = { .is_there = s.len > 0 };
	int west;

	if (!f.is_there) {
		*out = f;
		return 0;
	}
	if (take_name(&s) < 0 || take_time(&s, 24, &west) < 0)
		return -1;
	f.standard = -west;
	f.has_summer = s.len > 0;
	if (f.has_summer) {
		f.summer = f.standard + 3600;
		if (take_name(&s) < 0)
			return -1;
		if (s.len && s.ptr[0] != ',') {
			if (take_time(&s, 24, &west) < 0)
				return -1;
			f.summer = -west;
		}
		if (take_day(&s, &f.begins) < 0 || take_day(&s, &f.ends) < 0)
			return -1;
	}
	*out = f;
	return s.len ? -1 : 0;
}

/* ---- the file ---- */

static int64_t big_endian(const char *p, int bytes)
{
	uint64_t v = (unsigned char)p[0] & 0x80 ? ~(uint64_t)0 : 0;
	for (int i = 0; i < bytes; i++)
		v = v << 8 | (unsigned char)p[i];
	return (int64_t)v;
}

struct head {                           /* counts, as they stand in it */
	size_t is_ut, is_std, leaps, times, types, chars;
};

static int parse_head(struct slice s, struct head *h)
{
	if (s.len < HEAD_BYTES || memcmp(s.ptr, "TZif", 4) != 0 || s.ptr[4] < '2')
		return -1;
	size_t *const to[] = { &h->is_ut, &h->is_std, &h->leaps, &h->times, &h->types, &h->chars };
	for (size_t i = 0; i < COUNT(to); i++) {
		int64_t n = big_endian(s.ptr + 20 + i * 4, 4);
		if (n < 0 || n > ZONE_MAX_BYTES)
			return -1;
		*to[i] = (size_t)n;
	}
	return 0;
}

static size_t block_bytes(const struct head *h, size_t time_bytes)
{
	return h->times * time_bytes + h->times + h->types * 6 + h->chars + h->leaps * (time_bytes + 4) + h->is_std + h->is_ut;
}

static int read_changes(struct slice block, const struct head *h, struct zone *z, struct err *e)
{
	const char *index = block.ptr + h->times * 8, *types = index + h->times;
	int32_t offsets[256];

	for (size_t i = 0; i < h->types; i++) {
		int64_t offset = big_endian(types + i * 6, 4);
		if (offset < -OFFSET_MAX || offset > OFFSET_MAX)
			return err_set(e, ERR_INPUT, "time zone: an offset of %lld seconds", (long long)offset);
		offsets[i] = (int32_t)offset;
	}
	z->first = offsets[0];
	z->changes = xcalloc(h->times + 1, sizeof *z->changes);
	for (size_t i = 0; i < h->times; i++) {
		size_t type = (unsigned char)index[i];
		int64_t at = big_endian(block.ptr + i * 8, 8);
		if (type >= h->types || (i && at <= z->changes[i - 1].at))
			return err_set(e, ERR_INPUT, "time zone: its change %zu is out of order", i);
		z->changes[i] = (struct change){ at, offsets[type] };
	}
	z->n = h->times;
	return 0;
}

static int parse_file(struct slice bytes, struct zone *z, struct err *e)
{
	struct head h;
	struct slice footer;

	if (bytes.len > ZONE_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "time zone: %zu bytes, the most is %d", bytes.len, ZONE_MAX_BYTES);
	if (parse_head(bytes, &h) < 0)
		return err_set(e, ERR_INPUT, "time zone: no TZif file of version 2 or later");
	struct slice second = slice_from(bytes, HEAD_BYTES + block_bytes(&h, 4));
	if (parse_head(second, &h) < 0 || h.types < 1 || h.types > 256)
		return err_set(e, ERR_INPUT, "time zone: its second part is malformed");
	if (h.times > ZONE_MAX_TRANSITIONS)
		return err_set(e, ERR_LIMIT, "time zone: %zu changes, the most is %d", h.times, ZONE_MAX_TRANSITIONS);
	struct slice block = slice_from(second, HEAD_BYTES);
	size_t n = block_bytes(&h, 8);
	if (block.len < n + 2 || block.ptr[n] != '\n' || block.ptr[block.len - 1] != '\n')
		return err_set(e, ERR_INPUT, "time zone: it is cut short");
	footer = (struct slice){ block.ptr + n + 1, block.len - n - 2 };
	if (read_changes(block, &h, z, e) < 0)
		return -1;
	if (parse_footer(footer, &z->footer) < 0)
		return err_set(e, ERR_INPUT, "time zone: its rule '" SLICE_FMT "' is malformed", SLICE_ARG(slice_upto(footer, 80)));
	return 0;
}

int zone_parse(struct slice bytes, struct zone **out, struct err *e)
{
	struct zone *z = xcalloc(1, sizeof *z);

	if (parse_file(bytes, z, e) < 0) {
		zone_free(z);
		return -1;
	}
	*out = z;
	return 0;
}

void zone_free(struct zone *z)
{
	if (!z)
		return;
	free(z->changes);
	free(z);
}

/* ---- asking it ---- */

static int64_t day_of_rule(const struct day_rule *r, int year)
{
	int64_t january = days_of_date(year, 1, 1);

	if (r->kind == BY_NUMBER)
		return january + r->day;
	if (r->kind == BY_JULIAN)               /* the 29th of February is not counted */
		return january + r->day - 1 + (r->day >= 60 && is_leap(year));
	int64_t first = days_of_date(year, r->month, 1);
	int weekday = (int)((first + 4) % 7 + 7) % 7, day = (r->day - weekday + 7) % 7 + (r->week - 1) * 7;
	while (day >= days_of_month(year, r->month))
		day -= 7;
	return first + day;
}

/* Both changes of YEAR as instants, in order. */
static void changes_of_year(const struct footer *f, int year, struct change out[2])
{
	struct change a = { day_of_rule(&f->begins, year) * DAY + f->begins.time - f->standard, f->summer };
	struct change b = { day_of_rule(&f->ends, year) * DAY + f->ends.time - f->summer, f->standard };
	int swapped = b.at < a.at;

	out[swapped] = a;
	out[!swapped] = b;
}

static int year_of(int64_t at)
{
	int year, month, day;
	date_of_days(floor_div(at, DAY), &year, &month, &day);
	return year;
}

/* By the footer: the last change that is not after AT, or the first that is. */
static struct change footer_change(const struct footer *f, int64_t at, int is_next)
{
	struct change two[2], found = { is_next ? INT64_MAX : INT64_MIN, (int32_t)f->standard };
	int year = year_of(at);

	for (int y = year - 1; y <= year + 1; y++) {
		changes_of_year(f, y, two);
		for (int i = 0; i < 2; i++) {
			if (!is_next && two[i].at <= at)
				found = two[i];
			else if (is_next && two[i].at > at && two[i].at < found.at)
				found = two[i];
		}
	}
	return found;
}

/* How many changes of the table are not after AT. */
static size_t count_until(const struct zone *z, int64_t at)
{
	size_t from = 0, n = z->n;

	while (n) {
		size_t half = n / 2;
		if (z->changes[from + half].at <= at) {
			from += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return from;
}

int64_t zone_offset(const struct zone *z, int64_t at)
{
	if (!z)
		return 0;
	size_t n = count_until(z, at);
	if (n == z->n && z->footer.is_there)
		return z->footer.has_summer ? footer_change(&z->footer, at, 0).offset : z->footer.standard;
	return n ? z->changes[n - 1].offset : z->first;
}

int64_t zone_next_change(const struct zone *z, int64_t at)
{
	if (!z)
		return INT64_MAX;
	size_t n = count_until(z, at);
	if (n < z->n)
		return z->changes[n].at;
	return z->footer.has_summer ? footer_change(&z->footer, at, 1).at : INT64_MAX;
}

int64_t zone_instant(const struct zone *z, int64_t local)
{
	int64_t begin = INT64_MIN, at = local - OFFSET_MAX;

	for (;;) {
		int64_t offset = zone_offset(z, at), end = zone_next_change(z, at);
		if (local - offset < end)
			return local - offset < begin ? begin : local - offset;
		begin = at = end;
	}
}
