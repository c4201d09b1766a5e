/* base/slice.h - borrowed bytes: a pointer and a length, passed by value, never assumed NUL-ended.
 * Pure; safe on any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE(literal) ((struct slice){ (literal), sizeof(literal) - 1 })
#define SLICE_NULL ((struct slice){ NULL, 0 })
#define SLICE_FMT "%.*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr

struct slice slice_of(const char *cstr);                     /* NULL gives SLICE_NULL */
int slice_eq(struct slice a, struct slice b);
int slice_ieq(struct slice a, struct slice b);               /* ASCII case folded */
int slice_cmp(struct slice a, struct slice b);               /* as memcmp, the shorter first */
int slice_starts(struct slice s, struct slice prefix);
int slice_ends(struct slice s, struct slice suffix);
ptrdiff_t slice_find(struct slice s, struct slice needle);   /* offset of the first, or -1 */
ptrdiff_t slice_chr(struct slice s, char c);                 /* offset of the first, or -1 */
struct slice slice_from(struct slice s, size_t at);          /* the tail from AT (clamped) */
struct slice slice_upto(struct slice s, size_t n);           /* the first N (clamped) */
struct slice slice_trim(struct slice s);                     /* spaces, tabs, CR, LF at both ends */
/* Split S at the first C: *head before it, *tail behind it. No C: head is all of S, tail is empty; returns 0. */
int slice_cut(struct slice s, char c, struct slice *head, struct slice *tail);
char *slice_dup(struct slice s);                             /* owned, NUL-ended */

/* Decimal digits with an optional '-', nothing else. 0 and *out set, or -1 and *out untouched. */
int slice_to_i64(struct slice s, int64_t min, int64_t max, int64_t *out) MUST_USE;
/* "10s" "5m" "2h" "7d" "250ms" to milliseconds, "64MiB" "4KiB" "1GiB" "10B" to bytes. A bare number is
 * refused. 0, or -1 with *out untouched. */
int slice_to_duration_ms(struct slice s, int64_t *out) MUST_USE;
int slice_to_size_bytes(struct slice s, int64_t *out) MUST_USE;
