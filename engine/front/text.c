/* front/text.c - journal events as plain text. Events are ours (journal/writer.c made them), so their JSON is read by
 * jansson without further checks; what is not of the expected shape adds no line. */
#include "front/text.h"

#include <jansson.h>
#include <string.h>

#include "journal/event.h"

#define ESC '\x1b'

/* Length of the escape sequence that S begins with: CSI up to its final byte, OSC up to BEL or ST, else two bytes. */
static size_t escape_length(struct slice s)
{
	size_t i = 2;

	if (s.len < 2)
		return s.len;
	if (s.ptr[1] == '[') {
		while (i < s.len && (s.ptr[i] < 0x40 || s.ptr[i] > 0x7e))
			i++;
		return i < s.len ? i + 1 : i;
	}
	if (s.ptr[1] == ']') {
		while (i < s.len && s.ptr[i] != '\a' && s.ptr[i] != ESC)
			i++;
		if (i < s.len && s.ptr[i] == ESC)
			i++;
		return i < s.len ? i + 1 : i;
	}
	return 2;
}

void text_strip(struct slice line, struct buf *out)
{
	while (line.len) {
		const char *esc = memchr(line.ptr, ESC, line.len);
		size_t run = esc ? (size_t)(esc - line.ptr) : line.len;
		buf_add(out, slice_upto(line, run));
		line = slice_from(line, run);
		line = slice_from(line, escape_length(line));
	}
}

static void add_line(json_t *text, enum text_form form, struct buf *out)
{
	struct slice line = { json_string_value(text), json_string_length(text) };

	if (!line.ptr)
		return;
	if (form == TEXT_PLAIN)
		text_strip(line, out);
	else
		buf_add(out, line);
	buf_addc(out, '\n');
}

static void add_event(const struct journal_event *event, enum text_form form, struct buf *out)
{
	int is_log = slice_eq(event->kind, SLICE("log")), is_note = slice_eq(event->kind, SLICE("note"));
	json_t *item;
	size_t i;

	if (!is_log && !is_note)
		return;
	json_t *data = json_loadb(event->data.ptr, event->data.len, JSON_ALLOW_NUL, NULL);
	if (is_log) {
		json_array_foreach(json_object_get(data, "l"), i, item)
			add_line(item, form, out);
	} else if (json_string_value(json_object_get(data, "level"))) {
		buf_addf(out, "%s: ", json_string_value(json_object_get(data, "level")));
		add_line(json_object_get(data, "text"), form, out);
	}
	json_decref(data);
}

size_t text_of_events(struct slice events, enum text_form form, struct buf *out)
{
	struct journal_event event;
	size_t done = 0;

	for (;;) {
		ptrdiff_t n = journal_decode(slice_from(events, done), &event);
		if (n <= 0)
			return done;
		add_event(&event, form, out);
		done += (size_t)n;
	}
}

size_t text_tail(struct slice text, int64_t n)
{
	size_t at = text.len;

	if (n <= 0)
		return at;
	if (at && text.ptr[at - 1] == '\n')
		at--;
	while (at > 0) {
		const char *lf = memrchr(text.ptr, '\n', at);
		at = lf ? (size_t)(lf - text.ptr) : 0;
		if (!lf)
			return 0;
		if (--n == 0)
			return at + 1;
	}
	return 0;
}
