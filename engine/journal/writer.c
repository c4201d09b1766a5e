/* journal/writer.c - from a stream's raw bytes to events in the journal.
 *
 *     raw → fold (lines of clean UTF-8) → mask → lines of at most LINE_MAX → batch → one event, one write(2)
 *
 * There is one batch at a time, of one stream: a line of another stream ends it, so lines stand in the order in which
 * they were read. A batch is written when it is 32 KiB or 20 ms old, or when anything else is. */
#include "journal/writer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "journal/event.h"
#include "journal/fold.h"

#define BATCH_BYTES (32 << 10)
#define BATCH_MS 20
#define EPHEMERAL_MS 100
#define LINE_MAX_BYTES (64 << 10)
#define PARTIAL_MAX_BYTES (4 << 10)
#define DEFAULT_CAP (256LL << 20)

struct journal_stream {
	struct journal_writer *w;
	int step, is_stderr;
	struct fold fold;
	struct mask_state mask;
	struct buf text;                /* masked, not yet a whole line */
	int64_t partial_ms;             /* when the last partial was told */
	int is_fresh;                   /* the unfinished line has changed since */
	int is_told;                    /* a partial was told and no line has ended since */
	TAILQ_ENTRY(journal_stream) next;
};

struct journal_writer {
	struct journal_options o;
	int64_t at;                     /* the file's length */
	int64_t began_ms;
	struct mask *mask;
	struct buf batch;               /* lines as JSON strings with commas between */
	int64_t batch_ms, batch_age_ms; /* when it began; its `t` */
	int batch_step, batch_is_stderr;
	struct buf event;               /* scratch */
	int is_capped;
	int64_t progress_ms;
	struct err fault;               /* the first write that failed, for callbacks that cannot return it */
	int is_broken;
	TAILQ_HEAD(, journal_stream) streams;
};

struct journal_writer *journal_writer_new(const struct journal_options *o)
{
	struct journal_writer *w = xcalloc(1, sizeof *w);
	struct stat st;

	w->o = *o;
	if (!w->o.cap_bytes)
		w->o.cap_bytes = DEFAULT_CAP;
	w->at = fstat(o->fd, &st) == 0 ? st.st_size : 0;
	w->began_ms = mono_ms();
	w->mask = mask_new();
	w->batch = BUF(BATCH_BYTES + 7 * LINE_MAX_BYTES);
	w->event = BUF(BUF_UNLIMITED);
	w->progress_ms = -EPHEMERAL_MS;
	TAILQ_INIT(&w->streams);
	return w;
}

void journal_writer_free(struct journal_writer *w)
{
	if (!w)
		return;
	assert(TAILQ_EMPTY(&w->streams));
	mask_free(w->mask);
	buf_fini(&w->batch);
	buf_fini(&w->event);
	free(w);
}

struct mask *journal_writer_mask(struct journal_writer *w)
{
	return w->mask;
}

int64_t journal_writer_age_ms(const struct journal_writer *w)
{
	return mono_ms() - w->began_ms;
}

static int broken(struct journal_writer *w, struct err *e)
{
	if (e)
		*e = w->fault;
	return -1;
}

static int append(struct journal_writer *w, const char *kind, struct slice data, struct err *e)
{
	if (w->is_broken)
		return broken(w, e);
	buf_clear(&w->event);
	int64_t end = journal_encode(&w->event, w->o.job, w->o.attempt, w->at, kind, data);
	if (fd_write_all(w->o.fd, buf_slice(&w->event)) < 0) {
		err_errno(&w->fault, "write to the journal");
		w->is_broken = 1;
		return broken(w, e);
	}
	w->at = end;
	return 0;
}

static int say_capped(struct journal_writer *w, struct err *e)
{
	CLEANUP(buf_fini) struct buf data = BUF(512);

	w->is_capped = 1;
	buf_addf(&data, "{\"t\":%lld,\"s\":%d,\"level\":\"warn\",\"text\":\"the log has reached its bound of %lld bytes: "
		 "further output is read and dropped\"}", (long long)journal_writer_age_ms(w), w->batch_step,
		 (long long)w->o.cap_bytes);
	return append(w, "note", buf_slice(&data), e);
}

int journal_writer_flush(struct journal_writer *w, struct err *e)
{
	if (w->is_broken)
		return broken(w, e);
	if (!w->batch.len)
		return 0;
	CLEANUP(buf_fini) struct buf data = BUF(BUF_UNLIMITED);
	buf_addf(&data, "{\"t\":%lld,\"s\":%d,%s\"l\":[", (long long)w->batch_age_ms, w->batch_step,
		 w->batch_is_stderr ? "\"e\":1," : "");
	buf_add(&data, buf_slice(&w->batch));
	buf_adds(&data, "]}");
	buf_clear(&w->batch);
	if (w->is_capped)
		return 0;
	if (w->at + (int64_t)data.len + 128 > w->o.cap_bytes)
		return say_capped(w, e);
	return append(w, "log", buf_slice(&data), e);
}

/* A fault is kept in the writer and comes out of the public call that caused it. */
static void add_line(struct journal_writer *w, int step, int is_stderr, struct slice line)
{
	struct err e;

	if (w->batch.len && (w->batch_step != step || w->batch_is_stderr != is_stderr ||
			     w->batch.len + line.len > BATCH_BYTES))
		if (journal_writer_flush(w, &e) < 0)
			return;
	if (w->is_capped)
		return;
	if (!w->batch.len) {
		w->batch_ms = mono_ms();
		w->batch_age_ms = w->batch_ms - w->began_ms;
		w->batch_step = step;
		w->batch_is_stderr = is_stderr;
	} else {
		buf_addc(&w->batch, ',');
	}
	buf_add_json(&w->batch, line);
	assert(!buf_is_over(&w->batch));
}

int journal_write(struct journal_writer *w, const char *kind, struct slice data, struct err *e)
{
	if (journal_writer_flush(w, e) < 0)
		return -1;
	return append(w, kind, data, e);
}

int journal_note(struct journal_writer *w, int step, const char *level, struct slice text, struct err *e)
{
	CLEANUP(buf_fini) struct buf data = BUF(BUF_UNLIMITED), masked = BUF(BUF_UNLIMITED);

	mask_text(w->mask, slice_upto(text, LINE_MAX_BYTES), &masked);
	buf_addf(&data, "{\"t\":%lld,\"s\":%d,\"level\":\"%s\",\"text\":", (long long)journal_writer_age_ms(w), step, level);
	buf_add_json(&data, buf_slice(&masked));
	buf_addc(&data, '}');
	return journal_write(w, "note", buf_slice(&data), e);
}

int journal_log(struct journal_writer *w, int step, struct slice text, struct err *e)
{
	struct journal_stream *s = journal_stream_new(w, step, 0);
	int r = journal_stream_feed(s, text, e);
	if (r == 0)
		r = journal_stream_end(s, e);
	journal_stream_free(s);
	return r;
}

static void tell(struct journal_writer *w, const char *kind, struct buf *data)
{
	if (w->o.on_ephemeral && !buf_is_over(data))
		w->o.on_ephemeral(kind, buf_slice(data), w->o.arg);
}

void journal_progress(struct journal_writer *w, int step, int64_t done, int64_t total, struct slice unit)
{
	CLEANUP(buf_fini) struct buf data = BUF(1024), masked = BUF(512);
	int64_t now = mono_ms();

	if (now - w->progress_ms < EPHEMERAL_MS && done < total)
		return;
	w->progress_ms = now;
	mask_text(w->mask, slice_upto(unit, 64), &masked);
	buf_addf(&data, "{\"s\":%d,\"done\":%lld,\"total\":%lld,\"unit\":", step, (long long)done, (long long)total);
	buf_add_json(&data, buf_slice(&masked));
	buf_addc(&data, '}');
	tell(w, "progress", &data);
}

struct journal_stream *journal_stream_new(struct journal_writer *w, int step, int is_stderr)
{
	struct journal_stream *s = xcalloc(1, sizeof *s);

	s->w = w;
	s->step = step;
	s->is_stderr = is_stderr;
	fold_init(&s->fold);
	s->text = BUF(BUF_UNLIMITED);
	TAILQ_INSERT_TAIL(&w->streams, s, next);
	return s;
}

void journal_stream_free(struct journal_stream *s)
{
	if (!s)
		return;
	TAILQ_REMOVE(&s->w->streams, s, next);
	fold_fini(&s->fold);
	mask_state_fini(&s->mask);
	buf_fini(&s->text);
	free(s);
}

/* Where to cut a piece of at most MAX bytes so that no character is split. */
static size_t cut_at(struct slice s, size_t max)
{
	size_t n = max;
	while (n > max - 4 && ((unsigned char)s.ptr[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Masked text to lines. A line over the bound goes on in the next, both marked by an ellipsis at the cut. */
static void give_lines(struct journal_stream *s)
{
	struct slice rest = buf_slice(&s->text);
	size_t used = 0;
	ptrdiff_t end;

	while ((end = slice_chr(rest, '\n')) >= 0 || rest.len > LINE_MAX_BYTES) {
		size_t n = end < 0 || end > LINE_MAX_BYTES ? cut_at(rest, LINE_MAX_BYTES) : (size_t)end;
		int is_cut = (ptrdiff_t)n != end;
		if (is_cut) {
			CLEANUP(buf_fini) struct buf piece = BUF(LINE_MAX_BYTES + 4);
			buf_add(&piece, slice_upto(rest, n));
			buf_adds(&piece, "\xe2\x80\xa6");
			add_line(s->w, s->step, s->is_stderr, buf_slice(&piece));
		} else {
			add_line(s->w, s->step, s->is_stderr, slice_upto(rest, n));
		}
		used += n + !is_cut;
		rest = slice_from(rest, n + !is_cut);
		s->is_told = 0;
	}
	buf_drop_front(&s->text, used);
}

static void on_line(struct slice line, int is_ended, void *arg)
{
	struct journal_stream *s = arg;
	struct journal_writer *w = s->w;

	mask_feed(w->mask, &s->mask, line, &s->text);
	if (is_ended)
		mask_feed(w->mask, &s->mask, SLICE("\n"), &s->text);
	give_lines(s);
}

int journal_stream_feed(struct journal_stream *s, struct slice raw, struct err *e)
{
	if (s->w->is_broken)
		return broken(s->w, e);
	if (s->w->is_capped)
		return 0;
	fold_feed(&s->fold, raw, on_line, s);
	s->is_fresh = 1;
	return s->w->is_broken ? broken(s->w, e) : 0;
}

int journal_stream_end(struct journal_stream *s, struct err *e)
{
	fold_end(&s->fold, on_line, s);
	mask_flush(&s->mask, &s->text);
	if (s->text.len) {
		buf_addc(&s->text, '\n');
		give_lines(s);
	}
	if (s->is_told) {                       /* the unfinished line is no more */
		CLEANUP(buf_fini) struct buf data = BUF(64);
		buf_addf(&data, "{\"s\":%d,\"text\":\"\"}", s->step);
		tell(s->w, "partial", &data);
		s->is_told = 0;
	}
	return s->w->is_broken ? broken(s->w, e) : 0;
}

/* The unfinished line for those who watch now. What may begin a secret is not in it: the text is masked from a clean
 * start, what is held back at its end stays out, and while the stream itself holds something nothing is told. */
static void tell_partial(struct journal_stream *s)
{
	CLEANUP(buf_fini) struct buf data = BUF(8 * PARTIAL_MAX_BYTES), text = BUF(PARTIAL_MAX_BYTES);
	struct mask_state state = { 0 };

	if (!mask_is_holding(&s->mask)) {
		buf_add(&text, slice_upto(buf_slice(&s->text), PARTIAL_MAX_BYTES));
		mask_feed(s->w->mask, &state, buf_slice(&s->fold.line), &text);
	}
	mask_state_fini(&state);
	if (text.len) {
		buf_addf(&data, "{\"s\":%d,\"text\":", s->step);
		buf_add_json(&data, buf_slice(&text));
		buf_addc(&data, '}');
		tell(s->w, "partial", &data);
		s->is_told = 1;
	}
	s->is_fresh = 0;
	s->partial_ms = mono_ms();
}

static int sooner(int64_t a, int64_t b)
{
	if (a < 0)
		a = 0;
	return (int)(b < 0 || a < b ? a : b);
}

int journal_writer_tick(struct journal_writer *w, struct err *e)
{
	int64_t now = mono_ms();
	int due = -1;
	struct journal_stream *s;

	if (w->batch.len && now - w->batch_ms >= BATCH_MS && journal_writer_flush(w, e) < 0)
		return -1;
	if (w->batch.len)
		due = sooner(w->batch_ms + BATCH_MS - now, due);
	TAILQ_FOREACH(s, &w->streams, next) {
		if (!s->is_fresh || (!s->fold.line.len && !s->text.len))
			continue;
		if (now - s->partial_ms >= EPHEMERAL_MS)
			tell_partial(s);
		else
			due = sooner(s->partial_ms + EPHEMERAL_MS - now, due);
	}
	return due;
}
