/* Bytes as a time zone: what is taken must answer for any time, and its local times must lead back where they are not doubled
 * or skipped; bytes as a schedule: what is taken must be due some day. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "rules/cron.h"
#include "rules/zone.h"

static const int64_t times[] = { -2000000000, 0, 1774745999, 1774746000, 1792890000, 4102444800, 32503680000 };

static void check_zone(const struct zone *z)
{
	for (size_t i = 0; i < COUNT(times); i++) {
		int64_t local = times[i] + zone_offset(z, times[i]), back = zone_instant(z, local);
		if (zone_next_change(z, times[i]) <= times[i] || back > times[i])
			abort();
		if (back < times[i] && back + zone_offset(z, back) != local)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice s = { (const char *)bytes, n };
	struct zone *z = NULL;
	struct cron c;
	struct err e;

	if (zone_parse(s, &z, &e) == 0)
		check_zone(z);
	if (cron_parse(s, &c, &e) == 0)
		for (size_t i = 0; i < COUNT(times); i++)
			if (cron_next_ms(&c, NULL, times[i] * 1000) <= times[i] * 1000)
				abort();
	zone_free(z);
	return 0;
}
