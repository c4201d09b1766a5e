/* cli/filter.c - a filter as people write it, made into the API's query. */
#include "cli/filter.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

int filter_is_empty(const struct filter *f)
{
	return !f->source && !f->event && !f->repo && !f->branch && !f->matched && !f->since && !f->until;
}

void filter_add_escaped(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
			buf_addc(out, (char)c);
		else
			buf_addf(out, "%%%02X", c);
	}
}

/* A moment: with a zone as it says, without one as the clock on this wall shows it. 0, or -1. */
static int moment_parse(const char *text, int64_t *out)
{
	static const struct { const char *format; int has_zone; } forms[] = {
		{ "%Y-%m-%dT%H:%M:%S%z", 1 }, { "%Y-%m-%dT%H:%M%z", 1 }, { "%Y-%m-%dT%H:%M:%S", 0 }, { "%Y-%m-%dT%H:%M", 0 },
		{ "%Y-%m-%d %H:%M:%S", 0 }, { "%Y-%m-%d %H:%M", 0 }, { "%Y-%m-%d", 0 },
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i].format, &tm);
		if (!end || *end)
			continue;
		long zone = tm.tm_gmtoff;
		time_t at = forms[i].has_zone ? timegm(&tm) - zone : mktime(&tm);
		*out = (int64_t)at * 1000;
		return at < 0 ? -1 : 0;
	}
	return -1;
}

static int add_time(const struct command *c, const char *name, const char *text, struct buf *out)
{
	struct slice s = slice_of(text);
	int64_t ms;

	if (!text)
		return EXIT_OK;
	if (slice_to_duration_ms(s, &ms) == 0)
		ms = wall_ms() - ms;
	else if (slice_to_i64(s, 0, INT64_MAX, &ms) < 0 && moment_parse(text, &ms) < 0)
		return command_usage(c, "--%s takes a time such as 2h (ago), 2026-11-30T08:00 or 2026-11-30T08:00:00Z, not '%s'", name, text);
	buf_addf(out, "&%s=%" PRId64, name, ms > 0 ? ms : 0);
	return EXIT_OK;
}

static void add_text(const char *name, const char *value, struct buf *out)
{
	if (!value)
		return;
	buf_addf(out, "&%s=", name);
	filter_add_escaped(slice_of(value), out);
}

int filter_query(const struct command *c, const struct filter *f, struct buf *out)
{
	if (f->matched && strcmp(f->matched, "yes") && strcmp(f->matched, "no"))
		return command_usage(c, "--matched takes yes or no, not '%s'", f->matched);
	add_text("source", f->source, out);
	add_text("event", f->event, out);
	add_text("repo", f->repo, out);
	add_text("branch", f->branch, out);
	add_text("matched", f->matched, out);
	if (add_time(c, "since", f->since, out) || add_time(c, "until", f->until, out))
		return EXIT_USAGE;
	return buf_is_over(out) ? command_usage(c, "the filters are over %zu bytes", out->max) : EXIT_OK;
}
