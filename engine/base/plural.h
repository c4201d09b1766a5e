/* base/plural.h - "1 file", "2 files": a number and its noun agree. Pure. */
#pragma once
#include <stdint.h>

/* ONE for 1 ("delivery"), else MANY ("deliveries"). */
static inline const char *plural(int64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}
