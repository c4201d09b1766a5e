/* front/status.h - status codes in words, and problem details. Pure. */
#pragma once
#include "base/buf.h"

const char *status_reason(int status);  /* "Not Found"; "Unknown" for another number. Static */
/* RFC 9457: {"type":"about:blank","title":…,"status":…,"detail":…}. At most 2,000 bytes of DETAIL. */
void problem_add(struct buf *out, int status, const char *title, const char *detail);
