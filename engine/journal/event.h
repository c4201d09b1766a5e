/* journal/event.h - the journal format: an attempt's log is a file that holds, byte for byte, the SSE events
 * that a watcher receives (WHATWG HTML 9.2, server-sent events):
 *
 *     id: <job>.<attempt>.<offset of the byte after this event's blank line>\n
 *     event: <kind>\n
 *     data: <one line of JSON>\n
 *     \n
 *
 * The offset counts itself: it is the smallest one that closes. Kinds and their JSON (t = ms since the attempt
 * started, s = step number, 0 outside of steps):
 *   attempt   {"t":0,"attempt":1,"job":7,"rule":"docs","at":"2026-…Z"}   first; also the last one, by the runner:
 *             {"t":…,"ended":"failed","exit":2,"reason":"…"}
 *   step      {"t":…,"s":2,"name":"build","state":"running"} then {"t":…,"s":2,"state":"succeeded","exit":0,"ms":412}
 *             step states: running succeeded failed timed_out cancelled skipped allowed (failed, but allowed to)
 *   log       {"t":…,"s":2,"l":["line","line"]}    optional "e":1 for stderr
 *   note      {"t":…,"s":2,"level":"notice|warn|error","text":"…"}
 *   outcome   {"t":…,"outputs":{"version":"1.2"},"emits":[{"name":"built","data":{…}}]}: what job:output and job:emit were given,
 *             the last event before the runner's; only where there is something
 *   artifact  (later)
 * Ephemeral, never in the file and without an id: partial {"s":2,"text":"…"} and
 * progress {"s":2,"done":3,"total":10,"unit":"objects"}. Pure; any thread. */
#pragma once
#include "base/buf.h"

#define JOURNAL_EVENT_MAX (256 << 10)           /* bytes of one event at the most */

/* Append one event to OUT that starts at byte AT of the journal. DATA must hold no CR or LF. Returns the offset
 * behind it. */
int64_t journal_encode(struct buf *out, int64_t job, int attempt, int64_t at, const char *kind, struct slice data);

struct journal_id {
	int64_t job;
	int attempt;
	int64_t offset;
	int is_end;                     /* "-1" behind it: the id of the `end` event */
};
/* "7.1.187" or "7.1.187-1"; digits, '.', '-' only, at most 128 bytes. 0, or -1. */
int journal_id_parse(struct slice text, struct journal_id *out) MUST_USE;
void journal_id_add(struct buf *out, const struct journal_id *id);

/* Length of the part of BYTES (which starts at an event's beginning) that ends with a blank line: what may be
 * shown. 0 where no event is whole. */
size_t journal_settled(struct slice bytes);

/* Read one event from the front of BYTES: kind and data borrow from it. Returns its length, 0 where no event is
 * whole, -1 where the bytes are no event. */
struct journal_event {
	struct journal_id id;
	struct slice kind, data;
};
ptrdiff_t journal_decode(struct slice bytes, struct journal_event *out);
