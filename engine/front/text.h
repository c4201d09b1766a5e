/* front/text.h - a journal as plain text: what was printed, line by line, as it was printed; notes as "warn: …". Pure. */
#pragma once
#include "base/buf.h"

enum text_form {
	TEXT_AS_PRINTED,                /* with colours (SGR) and links (OSC 8), which is what a journal keeps */
	TEXT_PLAIN,                     /* without any escape sequence */
};

/* Append the lines of the whole events that EVENTS (from an event's beginning) starts with. Returns how many bytes were
 * read; an incomplete event at the end is left, as is all from the first bytes that are no event. OUT's maximum cuts. */
size_t text_of_events(struct slice events, enum text_form form, struct buf *out);
/* Append LINE without escape sequences. */
void text_strip(struct slice line, struct buf *out);
/* Offset of the last N lines of TEXT (a cut last line counts as one). */
size_t text_tail(struct slice text, int64_t n);
