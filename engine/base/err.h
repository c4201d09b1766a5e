/* base/err.h - a fault as a value: what kind, and a message for the person who can fix it. */
#pragma once
#include <stdarg.h>

#include "base/mem.h"

enum err_kind { ERR_INPUT = 1, ERR_LIMIT, ERR_UNAVAIL, ERR_IO, ERR_BUG };

struct err {
	enum err_kind kind;
	char msg[480];
};

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4);   /* returns -1; E may be NULL */
int err_errno(struct err *e, const char *fmt, ...) PRINTF(2, 3);                     /* ERR_IO, adds strerror(errno) */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);                      /* "fmt: old message"; returns -1 */
