/* base/clock.h - time: wall_ms for people and records, mono_ms for waiting. Never mixed. Any thread. */
#pragma once
#include <stdint.h>

int64_t wall_ms(void);                          /* since 1970 */
/* 0: a clock that says so is not set: signatures with a time, and the last day of a secret, cannot be judged by it. */
int wall_is_plausible(int64_t at_ms);
int64_t mono_ms(void);                          /* since boot, counts suspended time */
int64_t mono_us(void);
/* "2026-11-24T14:13:23.123Z" into OUT. */
void wall_format(int64_t at_ms, char out[32]);
