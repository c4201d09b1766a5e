/* base/buf.h - owned, growing bytes with a hard maximum. What would pass the maximum is not added, and
 * buf_is_over() says so from then on: a writer appends freely and asks once, at the end.
 * Pure; one owner, any thread. */
#pragma once
#include "base/slice.h"

struct buf {
	char *ptr;
	size_t len, cap, max;
	int over;
};

#define BUF_UNLIMITED ((size_t)1 << 40)
#define BUF(max_bytes) ((struct buf){ .max = (max_bytes) })     /* allocates nothing until used */

void buf_fini(struct buf *b);                        /* for CLEANUP(buf_fini); leaves it empty and usable */
void buf_clear(struct buf *b);                       /* keeps the memory */
int buf_is_over(const struct buf *b);
struct slice buf_slice(const struct buf *b);         /* borrowed from B until it changes */
char *buf_take(struct buf *b);                       /* owned by the caller, NUL-ended; B is empty after */
const char *buf_cstr(struct buf *b);                 /* borrowed, NUL-ended (the NUL is not counted) */

/* Room for N more bytes behind len, for read(2) and the like; NULL when that would pass the maximum.
 * Follow by buf_grew(b, how many were written). */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
void buf_drop_front(struct buf *b, size_t n);        /* O(rest) */

void buf_add(struct buf *b, struct slice s);
void buf_adds(struct buf *b, const char *cstr);
void buf_addc(struct buf *b, char c);
void buf_addi(struct buf *b, int64_t v);             /* decimal */
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* S as a JSON string with its quotes. Ill-formed UTF-8 becomes U+FFFD; controls, '"', '\' and U+2028/9 are
 * escaped, so the result never holds a raw CR or LF (RFC 8259, and safe as an SSE data line). */
void buf_add_json(struct buf *b, struct slice s);
