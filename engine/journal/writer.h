/* journal/writer.h - from a stream's raw bytes to events in the journal. Per stream, in this order: UTF-8 repaired,
 * '\r' and erase-line folded, escapes dropped save SGR and safe OSC 8 links, secrets masked, cut into lines (at most
 * 64 KiB each, then cut with a mark) and batches (32 KiB or 20 ms), JSON. A cap per attempt: past it one note is
 * written and the rest is drained. One owner, one thread. */
#pragma once
#include "base/err.h"
#include "journal/mask.h"

struct journal_writer;
struct journal_stream;

struct journal_options {
	int fd;                                 /* borrowed; O_APPEND */
	int64_t job;
	int attempt;
	int64_t cap_bytes;                      /* of the file; 0: 256 MiB */
	/* Called for what is not kept: KIND "partial" or "progress", DATA its JSON. At most 10 a second. May be NULL. */
	void (*on_ephemeral)(const char *kind, struct slice data, void *arg);
	void *arg;
};

struct journal_writer *journal_writer_new(const struct journal_options *o);
void journal_writer_free(struct journal_writer *w);             /* streams first */
struct mask *journal_writer_mask(struct journal_writer *w);     /* borrowed: add secrets here */
/* t of events: ms since journal_writer_new. */
int64_t journal_writer_age_ms(const struct journal_writer *w);

/* Write one event now (everything waiting in streams goes first). DATA is whole JSON, already masked. */
int journal_write(struct journal_writer *w, const char *kind, struct slice data, struct err *e) MUST_USE;
/* {"t":…,"s":STEP,"level":LEVEL,"text":TEXT masked}. */
int journal_note(struct journal_writer *w, int step, const char *level, struct slice text, struct err *e) MUST_USE;
/* One or more lines of text as log events of STEP (masked, cut at LF): job:log. */
int journal_log(struct journal_writer *w, int step, struct slice text, struct err *e) MUST_USE;
void journal_progress(struct journal_writer *w, int step, int64_t done, int64_t total, struct slice unit);

struct journal_stream *journal_stream_new(struct journal_writer *w, int step, int is_stderr);
void journal_stream_free(struct journal_stream *s);
int journal_stream_feed(struct journal_stream *s, struct slice raw, struct err *e) MUST_USE;
int journal_stream_end(struct journal_stream *s, struct err *e) MUST_USE;       /* flushes the unfinished line too */
/* Write what has waited its 20 ms; returns ms until the next call is due, -1 when nothing waits. Call from the poll loop. */
int journal_writer_tick(struct journal_writer *w, struct err *e);
int journal_writer_flush(struct journal_writer *w, struct err *e) MUST_USE;
