/* base/clock.c - time. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int wall_is_plausible(int64_t at_ms)
{
	return at_ms >= 1704067200000 && at_ms < 7258118400000; /* from 2024, when this did not exist, to 2200 */
}

int64_t mono_ms(void)
{
	return read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t mono_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

void wall_format(int64_t at_ms, char out[32])
{
	time_t s = (time_t)(at_ms / 1000);
	struct tm tm;
	char date[24];

	gmtime_r(&s, &tm);
	strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, 32, "%s.%03dZ", date, (int)(at_ms % 1000));
}
