/* base/err.c - a fault as a value. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void append(struct err *e, const char *text)
{
	size_t at = strlen(e->msg);
	size_t room = sizeof e->msg - at - 1, n = strlen(text);
	memcpy(e->msg + at, text, n < room ? n : room);
	e->msg[at + (n < room ? n : room)] = '\0';
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->kind = kind;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	va_list ap;
	int number = errno;

	if (!e)
		return -1;
	e->kind = ERR_IO;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	append(e, ": ");
	append(e, strerror(number));
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	va_list ap;
	struct err old;

	if (!e)
		return -1;
	old = *e;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	append(e, ": ");
	append(e, old.msg);
	return -1;
}
