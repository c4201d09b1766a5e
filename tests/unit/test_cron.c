/* Schedules: what is taken and what is refused, with its words; when they are due, held against a reference that walks
 * minute by minute; and the reader of time zones, held against the C library's own. */
#include "no_leaks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "rules/cron.h"
#include "rules/zone.h"

static struct zone *zone_of(const char *name)
{
	CLEANUP(freep) char *path = xprintf("/usr/share/zoneinfo/%s", name);
	CLEANUP(buf_fini) struct buf bytes = BUF(ZONE_MAX_BYTES + 1);
	struct zone *z = NULL;
	struct err e;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s: the package tzdata is needed", path);
	cr_assert_eq(fd_read_all(fd, &bytes, &e), 0, "%s", e.msg);
	close(fd);
	cr_assert_eq(zone_parse(buf_slice(&bytes), &z, &e), 0, "%s: %s", name, e.msg);
	return z;
}

static int64_t utc(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	cr_assert(end && !*end, "%s", text);
	return (int64_t)timegm(&tm);
}

/* ---- time zones ---- */

Test(zone, agrees_with_the_c_library_wherever_the_clock_changes)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata",
		"America/St_Johns", "Africa/Casablanca", "Europe/Dublin", "Asia/Tehran", "America/Sao_Paulo", "Antarctica/Troll",
		"Pacific/Kiritimati", "Asia/Gaza", "Etc/UTC", "Asia/Riyadh" };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct zone *z = zone_of(names[i]);
		setenv("TZ", names[i], 1);
		tzset();
		for (int64_t at = utc("1970-01-01 00:00:00"); at < utc("2101-01-01 00:00:00"); at += 86400 / 2 + 61) {
			time_t t = (time_t)at;
			struct tm tm;
			localtime_r(&t, &tm);
			cr_assert_eq(zone_offset(z, at), tm.tm_gmtoff, "%s at %lld", names[i], (long long)at);
		}
		for (int64_t at = utc("1971-01-01 00:00:00"); at < utc("2100-01-01 00:00:00"); at = zone_next_change(z, at))
			for (int64_t near = at - 1; near <= at && at > utc("1971-01-01 00:00:00"); near++) {
				time_t t = (time_t)near;
				struct tm tm;
				localtime_r(&t, &tm);
				cr_assert_eq(zone_offset(z, near), tm.tm_gmtoff, "%s at %lld", names[i], (long long)near);
			}
		zone_free(z);
	}
	unsetenv("TZ");
	tzset();
	no_leaks();
}

Test(zone, a_local_time_that_is_skipped_is_the_moment_of_the_change_and_a_doubled_one_the_first)
{
	static const struct { const char *zone, *local, *instant; } cases[] = {
		{ "Europe/Berlin", "2026-03-29 01:59:00", "2026-03-29 00:59:00" },
		{ "Europe/Berlin", "2026-03-29 02:00:00", "2026-03-29 01:00:00" },      /* skipped */
		{ "Europe/Berlin", "2026-03-29 02:59:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-03-29 03:00:00", "2026-03-29 01:00:00" },
		{ "Europe/Berlin", "2026-10-25 02:30:00", "2026-10-25 00:30:00" },      /* doubled */
		{ "Europe/Berlin", "2026-10-25 03:00:00", "2026-10-25 02:00:00" },
		{ "Europe/Berlin", "2099-07-01 12:00:00", "2099-07-01 10:00:00" },      /* by the footer */
		{ "Australia/Lord_Howe", "2026-10-04 02:15:00", "2026-10-03 15:30:00" },        /* half an hour is skipped */
		{ "Australia/Lord_Howe", "2026-04-05 01:45:00", "2026-04-04 14:45:00" },
		{ "Pacific/Apia", "2011-12-29 23:59:00", "2011-12-30 09:59:00" },
		{ "Pacific/Apia", "2011-12-30 12:00:00", "2011-12-30 10:00:00" },       /* a day that never was */
		{ "Pacific/Apia", "2011-12-31 00:00:00", "2011-12-30 10:00:00" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct zone *z = zone_of(cases[i].zone);
		cr_expect_eq(zone_instant(z, utc(cases[i].local)), utc(cases[i].instant), "%s %s: %lld, not %lld", cases[i].zone,
			     cases[i].local, (long long)zone_instant(z, utc(cases[i].local)), (long long)utc(cases[i].instant));
		zone_free(z);
	}
	cr_assert_eq(zone_instant(NULL, 1234567), 1234567);
	no_leaks();
}

Test(zone, refuses_what_is_no_zone_and_takes_no_harm)
{
	CLEANUP(buf_fini) struct buf bytes = BUF(ZONE_MAX_BYTES + 1);
	struct zone *z = NULL;
	struct err e;
	int fd = open("/usr/share/zoneinfo/Europe/Berlin", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(fd_read_all(fd, &bytes, &e), 0);
	close(fd);
	for (size_t n = 0; n < bytes.len; n++)
		cr_assert_lt(zone_parse(slice_upto(buf_slice(&bytes), n), &z, &e), 0, "%zu bytes of %zu", n, bytes.len);
	cr_assert_lt(zone_parse(SLICE("Europe/Berlin"), &z, &e), 0);
	CLEANUP(freep) char *big = xcalloc(ZONE_MAX_BYTES + 1, 1);
	cr_assert_lt(zone_parse((struct slice){ big, ZONE_MAX_BYTES + 1 }, &z, &e), 0);
	cr_assert_eq(e.kind, ERR_LIMIT);
	srand(3);
	for (int i = 0; i < 20000; i++) {
		size_t at = (size_t)rand() % bytes.len;
		char was = bytes.ptr[at];
		bytes.ptr[at] = (char)rand();
		if (zone_parse(buf_slice(&bytes), &z, &e) == 0) {
			zone_instant(z, utc("2030-03-31 02:30:00"));
			zone_next_change(z, utc("2400-03-31 02:30:00"));
			zone_free(z);
		}
		bytes.ptr[at] = was;
	}
	no_leaks();
}

/* ---- what may be written ---- */

Test(cron, what_is_wrong_is_named_with_its_field_its_value_and_the_bound)
{
	static const struct { const char *text, *says; } cases[] = {
		{ "", "has 0 fields" }, { "0 3 * *", "has 4 fields, not five" }, { "0 3 * * * *", "has more than 5 fields" },
		{ "60 3 * * *", "minute: '60' is not a number from 0 to 59" }, { "-1 3 * * *", "minute: ''" },
		{ "0 24 * * *", "hour: '24' is not a number from 0 to 23" }, { "0 3 0 * *", "day of month: '0' is not a number from 1 to 31" },
		{ "0 3 32 * *", "from 1 to 31" }, { "0 3 * 13 *", "month: '13' is neither a name such as 'feb' nor a number from 1 to 12" },
		{ "0 3 * * 8", "day of week: '8' is neither a name such as 'mon' nor a number from 0 to 7" },
		{ "0 3 * * monday", "'monday'" }, { "0 3 * * 5-1", "goes backwards" }, { "0 3 * * fri-mon", "goes backwards" },
		{ "*/0 3 * * *", "the step '0' is not a number from 1 to 59" }, { "*/60 3 * * *", "the step '60'" },
		{ "5/15 3 * * *", "write '5-59/15'" }, { "1,,2 3 * * *", "nothing beside it" }, { "1, 3 * * *", "nothing beside it" },
		{ "0 3 30 2 *", "there is no day 30 in these months, which have at most 29 days" },
		{ "0 3 31 feb,apr,jun *", "there is no day 31 in these months, which have at most 30 days" },
		{ "0 3 30 2 */2", "there is no day 30" }, { "@fortnightly", "there is no '@fortnightly'" }, { "@every 5m", "there is no '@every 5m'" },
		{ "0 3 L * *", "'L'" }, { "0 3 * * 1#2", "'1#2'" },
	};
	struct cron c;
	struct err e;

	for (size_t i = 0; i < COUNT(cases); i++) {
		cr_assert_lt(cron_parse(slice_of(cases[i].text), &c, &e), 0, "%s", cases[i].text);
		cr_expect(strstr(e.msg, cases[i].says), "%s: %s", cases[i].text, e.msg);
	}
}

static int64_t next(const char *text, const struct zone *z, const char *after)
{
	struct cron c;
	struct err e;

	cr_assert_eq(cron_parse(slice_of(text), &c, &e), 0, "%s: %s", text, e.msg);
	return cron_next_ms(&c, z, utc(after) * 1000) / 1000;
}

Test(cron, is_due_when_crontab_says)
{
	static const struct { const char *text, *after, *due; } cases[] = {
		{ "0 3 * * *", "2026-11-30 02:59:59", "2026-11-30 03:00:00" }, { "0 3 * * *", "2026-11-30 03:00:00", "2026-12-01 03:00:00" },
		{ "*/15 * * * *", "2026-11-30 23:50:01", "2026-12-01 00:00:00" }, { "7-59/20 9-17 * * mon-fri", "2026-11-28 00:00:00", "2026-11-30 09:07:00" },
		{ "0 0 13 * fri", "2026-11-10 12:00:00", "2026-11-13 00:00:00" },       /* the 13th, or a Friday */
		{ "0 0 13 * fri", "2026-11-13 00:00:00", "2026-11-20 00:00:00" },
		{ "0 0 */2 * mon", "2026-11-01 00:00:00", "2026-11-09 00:00:00" },      /* a '*' in it: both */
		{ "0 0 29 2 *", "2026-11-30 00:00:00", "2028-02-29 00:00:00" }, { "0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00" },
		{ "59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00" }, { "0 0 1 JAN sun", "2026-12-28 00:00:00", "2027-01-01 00:00:00" },
		{ "0 12 * * 7", "2026-11-30 00:00:00", "2026-12-06 12:00:00" }, { "0 12 * * sat-sun", "2026-11-30 00:00:00", "2026-12-05 12:00:00" },
		{ "0 12 * * sat-sun", "2026-12-05 12:00:00", "2026-12-06 12:00:00" }, { "0 0 30 2 mon", "2026-02-01 00:00:00", "2026-02-02 00:00:00" },
		{ "@hourly", "2026-11-30 02:00:00", "2026-11-30 03:00:00" }, { "@daily", "2026-11-30 02:00:00", "2026-12-01 00:00:00" },
		{ "@Midnight", "2026-11-30 02:00:00", "2026-12-01 00:00:00" }, { "@weekly", "2026-11-30 02:00:00", "2026-12-06 00:00:00" },
		{ "@monthly", "2026-11-30 02:00:00", "2026-12-01 00:00:00" }, { "@yearly", "2026-11-30 02:00:00", "2027-01-01 00:00:00" },
		{ "@annually", "2027-01-01 00:00:00", "2028-01-01 00:00:00" }, { " 0\t3  *  * * ", "2026-11-30 00:00:00", "2026-11-30 03:00:00" },
		{ "0 0 31 * *", "2026-11-30 00:00:00", "2026-12-31 00:00:00" }, { "0 0 1 3 *", "2100-02-28 00:00:00", "2100-03-01 00:00:00" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		cr_expect_eq(next(cases[i].text, NULL, cases[i].after), utc(cases[i].due), "%s after %s: %lld, not %lld", cases[i].text,
			     cases[i].after, (long long)next(cases[i].text, NULL, cases[i].after), (long long)utc(cases[i].due));
}

Test(cron, a_skipped_hour_runs_at_the_next_minute_and_a_doubled_one_once)
{
	static const struct { const char *zone, *text, *after, *due; } cases[] = {
		{ "Europe/Berlin", "30 2 * * *", "2026-03-28 12:00:00", "2026-03-29 01:00:00" },        /* 03:00 local: 02:30 is not */
		{ "Europe/Berlin", "30 2 * * *", "2026-03-29 01:00:00", "2026-03-30 00:30:00" },
		{ "Europe/Berlin", "30 2 * * *", "2026-10-24 12:00:00", "2026-10-25 00:30:00" },        /* the first 02:30 */
		{ "Europe/Berlin", "30 2 * * *", "2026-10-25 00:30:00", "2026-10-26 01:30:00" },        /* not the second */
		{ "Europe/Berlin", "*/20 * * * *", "2026-10-25 00:40:00", "2026-10-25 02:00:00" },
		{ "Europe/Berlin", "*/20 * * * *", "2026-10-25 01:10:00", "2026-10-25 02:00:00" },      /* asked in the second */
		{ "Europe/Berlin", "*/20 * * * *", "2026-03-29 00:40:00", "2026-03-29 01:00:00" },      /* 02:00 … 03:00 are one */
		{ "Europe/Berlin", "*/20 * * * *", "2026-03-29 01:00:00", "2026-03-29 01:20:00" },
		{ "America/New_York", "15 2 * * sun", "2026-03-07 12:00:00", "2026-03-08 07:00:00" },
		{ "America/New_York", "0 1 * * *", "2026-11-01 04:59:00", "2026-11-01 05:00:00" },
		{ "America/New_York", "0 1 * * *", "2026-11-01 05:00:00", "2026-11-02 06:00:00" },
		{ "Australia/Lord_Howe", "10 2 * * *", "2026-10-03 12:00:00", "2026-10-03 15:30:00" },
		{ "Australia/Lord_Howe", "45 1 * * *", "2026-04-04 14:45:00", "2026-04-05 15:15:00" },
		{ "Pacific/Apia", "0 9 30 12 *", "2011-12-29 12:00:00", "2011-12-30 10:00:00" },        /* that day was skipped */
		{ "Pacific/Apia", "0 9 30 12 *", "2011-12-30 10:00:00", "2012-12-29 19:00:00" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct zone *z = zone_of(cases[i].zone);
		int64_t got = next(cases[i].text, z, cases[i].after);
		cr_expect_eq(got, utc(cases[i].due), "%s: %s after %s: %lld, not %lld", cases[i].zone, cases[i].text, cases[i].after,
			     (long long)got, (long long)utc(cases[i].due));
		zone_free(z);
	}
	no_leaks();
}

/* ---- the reference ---- */

struct wanted {                         /* fields as they were drawn, not as they were parsed */
	int minutes[60], hours[24], days[32], months[13], weekdays[7], star_day, star_weekday;
};

static int fits(const struct wanted *w, int64_t local)
{
	time_t t = (time_t)local;
	struct tm tm;

	gmtime_r(&t, &tm);
	int day = w->days[tm.tm_mday], weekday = w->weekdays[tm.tm_wday];
	int by_day = w->star_day || w->star_weekday ? day && weekday : day || weekday;
	return w->minutes[tm.tm_min] && w->hours[tm.tm_hour] && w->months[tm.tm_mon + 1] && by_day;
}

/* Minute by minute. AT is due where its local minute fits and has not been before, or where a minute that was skipped just
 * now would have. */
static int64_t slow_next(const struct wanted *w, const struct zone *z, int64_t after, int64_t until)
{
	for (int64_t at = after - after % 60 + 60; at < until; at += 60) {
		int64_t local = at + zone_offset(z, at), before = at - 60 + zone_offset(z, at - 60);
		for (int64_t skipped = before + 60; skipped < local; skipped += 60)
			if (fits(w, skipped))
				return at;
		int is_second = 0;
		for (int64_t back = 60; back <= 3 * 3600 && !is_second; back += 60)
			is_second = at - back + zone_offset(z, at - back) == local;
		if (!is_second && fits(w, local))
			return at;
	}
	return 0;
}

/* A field of cron text, and the same in an array. */
static void draw(struct buf *text, int *set, int min, int max, int star_in, int *is_star)
{
	int n = rand() % 3 + 1;

	buf_adds(text, text->len ? " " : "");
	if (rand() % star_in) {
		int step = rand() % 3 ? 1 : rand() % 5 + 1;
		buf_addf(text, step > 1 ? "*/%d" : "*", step);
		for (int v = min; v <= max; v += step)
			set[v] = 1;
		if (is_star)
			*is_star = 1;
		return;
	}
	for (int i = 0; i < n; i++) {
		int from = min + rand() % (max - min + 1), to = rand() % 2 ? from : from + rand() % (max - from + 1), step = to > from ? rand() % 4 + 1 : 1;
		buf_addf(text, i ? ",%d" : "%d", from);
		if (to > from)
			buf_addf(text, "-%d/%d", to, step);
		for (int v = from; v <= to; v += step)
			set[v] = 1;
	}
}

Test(cron, agrees_with_a_walk_minute_by_minute, .timeout = 110)
{
	static const char *const names[] = { "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns" };
	struct zone *zones[COUNT(names)];
	int n_due = 0;

	srand(7);
	for (size_t i = 0; i < COUNT(names); i++)
		zones[i] = zone_of(names[i]);
	for (int round = 0; round < 500; round++) {
		struct wanted w = { 0 };
		CLEANUP(buf_fini) struct buf text = BUF(1024);
		struct cron c;
		struct err e;
		const struct zone *z = zones[(size_t)rand() % COUNT(names)];
		draw(&text, w.minutes, 0, 59, 3, NULL);
		draw(&text, w.hours, 0, 23, 2, NULL);
		draw(&text, w.days, 1, 31, 3, &w.star_day);
		draw(&text, w.months, 1, 12, 6, NULL);
		draw(&text, w.weekdays, 0, 6, 3, &w.star_weekday);
		if (cron_parse(buf_slice(&text), &c, &e) < 0) {
			cr_assert(strstr(e.msg, "there is no day"), "%s: %s", buf_cstr(&text), e.msg);
			continue;
		}
		/* some begin beside a change of the clock */
		int64_t after = utc("2024-01-01 00:00:00") + (int64_t)rand() % (6 * 365 * 86400);
		if (rand() % 2 && zone_next_change(z, after) != INT64_MAX)
			after = zone_next_change(z, after) - 7200 + rand() % 14400;
		for (int i = 0; i < 4; i++) {
			int64_t until = after + 3 * 86400, slow = slow_next(&w, z, after, until);
			int64_t quick = cron_next_ms(&c, z, after * 1000 + rand() % 1000) / 1000;
			cr_assert(slow ? quick == slow : quick >= until, "%s after %lld: %lld, not %lld", buf_cstr(&text), (long long)after,
				  (long long)quick, (long long)slow);
			cr_assert_gt(quick, after);
			n_due += slow != 0;
			after = quick;
		}
	}
	for (size_t i = 0; i < COUNT(names); i++)
		zone_free(zones[i]);
	cr_assert_gt(n_due, 300, "%d", n_due);
	no_leaks();
}
