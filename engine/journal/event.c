/* journal/event.c - the journal format, both ways. */
#include "journal/event.h"

#include <stdio.h>
#include <string.h>

static int digits_of(int64_t v)
{
	int n = 1;
	while (v >= 10) {
		v /= 10;
		n++;
	}
	return n;
}

/* The offset stands in the event that it closes: with D digits the event is D bytes longer, so try the few D that
 * are possible, from the smallest: where one is too few, the next is exact or too few as well. */
static int64_t closing_offset(int64_t at, int64_t length_without_digits)
{
	for (int digits = 1;; digits++) {
		int64_t end = at + length_without_digits + digits;
		if (digits_of(end) <= digits)
			return end;
	}
}

int64_t journal_encode(struct buf *out, int64_t job, int attempt, int64_t at, const char *kind, struct slice data)
{
	char head[64];
	int n = snprintf(head, sizeof head, "id: %lld.%d.", (long long)job, attempt);
	size_t kind_len = strlen(kind);
	int64_t fixed = n + 1 + 7 + (int64_t)kind_len + 1 + 6 + (int64_t)data.len + 2;
	int64_t end = closing_offset(at, fixed);

	buf_adds(out, head);
	buf_addf(out, "%lld\nevent: ", (long long)end);
	buf_add(out, (struct slice){ kind, kind_len });
	buf_adds(out, "\ndata: ");
	buf_add(out, data);
	buf_adds(out, "\n\n");
	return end;
}

int journal_id_parse(struct slice text, struct journal_id *out)
{
	struct slice job, attempt, offset, mark;
	struct journal_id id;
	int64_t n;

	if (text.len > 128 || !slice_cut(text, '.', &job, &attempt) || !slice_cut(attempt, '.', &attempt, &offset))
		return -1;
	id.is_end = slice_cut(offset, '-', &offset, &mark);
	if (id.is_end && !slice_eq(mark, SLICE("1")))
		return -1;
	if (slice_to_i64(job, 0, INT64_MAX, &id.job) < 0 || slice_to_i64(attempt, 0, 1 << 20, &n) < 0 ||
	    slice_to_i64(offset, 0, INT64_MAX, &id.offset) < 0)
		return -1;
	id.attempt = (int)n;
	*out = id;
	return 0;
}

void journal_id_add(struct buf *out, const struct journal_id *id)
{
	buf_addf(out, "%lld.%d.%lld%s", (long long)id->job, id->attempt, (long long)id->offset, id->is_end ? "-1" : "");
}

size_t journal_settled(struct slice bytes)
{
	for (size_t n = bytes.len; n >= 2; n--)
		if (bytes.ptr[n - 1] == '\n' && bytes.ptr[n - 2] == '\n')
			return n;
	return 0;
}

/* Take "NAME: value\n" off the front of *rest. */
static int take_line(struct slice *rest, struct slice name, struct slice *value)
{
	struct slice line;

	if (!slice_starts(*rest, name))
		return 0;
	slice_cut(slice_from(*rest, name.len), '\n', &line, rest);
	*value = line;
	return 1;
}

ptrdiff_t journal_decode(struct slice bytes, struct journal_event *out)
{
	ptrdiff_t blank = slice_find(bytes, SLICE("\n\n"));
	if (blank < 0)
		return 0;
	struct slice rest = slice_upto(bytes, (size_t)blank + 1), id;
	struct journal_event ev;
	if (!take_line(&rest, SLICE("id: "), &id) || !take_line(&rest, SLICE("event: "), &ev.kind) ||
	    !take_line(&rest, SLICE("data: "), &ev.data) || rest.len || journal_id_parse(id, &ev.id) < 0)
		return -1;
	*out = ev;
	return blank + 2;
}
