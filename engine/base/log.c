/* base/log.c - one event, one line on stderr. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static const char *log_role = "pushrod";
static enum log_level log_least = LOG_INFO;

void log_init(const char *role, enum log_level least)
{
	log_role = role;
	log_least = least;
}

void log_line(enum log_level level, const char *msg, const char *kv_fmt, ...)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };
	char at[32], line[2048], clean[2 * sizeof line];
	va_list ap;
	size_t n = 0;

	if (level < log_least)
		return;
	wall_format(wall_ms(), at);
	int head = snprintf(line, sizeof line, "ts=%s level=%s role=%s msg=\"%s\" ", at, names[level], log_role, msg);
	va_start(ap, kv_fmt);
	vsnprintf(line + head, sizeof line - (size_t)head, kv_fmt, ap);
	va_end(ap);
	for (const char *c = line; *c && n < sizeof clean - 6; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			n += (size_t)snprintf(clean + n, 5, "\\x%02x", (unsigned char)*c);
		else
			clean[n++] = *c;
	while (n && clean[n - 1] == ' ')
		n--;
	clean[n++] = '\n';
	if (write(STDERR_FILENO, clean, n) < 0)
		return;                         /* nowhere left to say it */
}
