/* journal/fold.c - from terminal output to lines. Runs of printable ASCII go by whole; everything else is looked at one
 * code point at a time. ECMA-48 names the sequences. */
#include "journal/fold.h"

#include <string.h>

#include "base/scan.h"
#include "base/utf8.h"

void fold_init(struct fold *f)
{
	*f = (struct fold){ .line = BUF(FOLD_LINE_MAX + FOLD_SEQUENCE_MAX + 16), .sequence = BUF(FOLD_SEQUENCE_MAX) };
}

void fold_fini(struct fold *f)
{
	buf_fini(&f->line);
	buf_fini(&f->sequence);
}

static void hand_on(struct fold *f, int is_ended, fold_line_fn *on_line, void *arg)
{
	on_line(buf_slice(&f->line), is_ended, arg);
	buf_clear(&f->line);
	f->at_start = 0;
}

static void add_text(struct fold *f, struct slice text, fold_line_fn *on_line, void *arg)
{
	if (f->at_start)
		buf_clear(&f->line);
	f->at_start = 0;
	while (text.len) {
		struct slice piece = slice_upto(text, FOLD_LINE_MAX - f->line.len);
		while (piece.len && piece.len < text.len && ((unsigned char)text.ptr[piece.len] & 0xc0) == 0x80)
			piece.len--;                    /* never inside of a character */
		buf_add(&f->line, piece);
		text = slice_from(text, piece.len);
		if (text.len || f->line.len >= FOLD_LINE_MAX)
			hand_on(f, 0, on_line, arg);
	}
}

static void backspace(struct fold *f)
{
	while (f->line.len && ((unsigned char)f->line.ptr[f->line.len - 1] & 0xc0) == 0x80)
		f->line.len--;
	if (f->line.len && f->line.ptr[f->line.len - 1] != 'm')         /* never into an SGR sequence */
		f->line.len--;
}

static int is_sgr(struct slice s)
{
	for (size_t i = 2; i + 1 < s.len; i++)
		if (!strchr("0123456789;:", s.ptr[i]) || s.ptr[i] == '\0')
			return 0;
	return s.ptr[s.len - 1] == 'm';
}

/* ESC ] 8 ; params ; target ST: kept with a safe target or none (which ends a link). */
static int is_safe_link(struct slice s)
{
	struct slice params, target;

	if (!slice_starts(s, SLICE("\x1b]8;")) || !slice_cut(slice_from(s, 4), ';', &params, &target))
		return 0;
	return target.len == 0 || slice_starts(target, SLICE("https://")) || slice_starts(target, SLICE("http://")) ||
	       slice_starts(target, SLICE("mailto:"));
}

static void end_sequence(struct fold *f, struct slice body, fold_line_fn *on_line, void *arg)
{
	char kind = body.len > 1 ? body.ptr[1] : 0, last = body.len ? body.ptr[body.len - 1] : 0;

	if (buf_is_over(&f->sequence))
		;                               /* too long to be one that is kept */
	else if (kind == '[' && is_sgr(body))
		add_text(f, body, on_line, arg);
	else if (kind == '[' && last == 'K' && (f->at_start || body.ptr[2] == '1' || body.ptr[2] == '2'))
		buf_clear(&f->line);
	else if (kind == ']' && is_safe_link(body)) {
		add_text(f, body, on_line, arg);
		add_text(f, SLICE("\x1b\\"), on_line, arg);
	}
	buf_clear(&f->sequence);
}

/* Inside of a sequence: collect C, and see whether it ends it. */
static void in_sequence(struct fold *f, char c, fold_line_fn *on_line, void *arg)
{
	char kind = f->sequence.len > 1 ? f->sequence.ptr[1] : 0;
	size_t len = f->sequence.len;

	if (len == 1) {
		buf_addc(&f->sequence, c);
		if (c == '\0' || !strchr("[]P_^X(", c))
			buf_clear(&f->sequence);        /* ESC and one byte: nothing to keep */
	} else if (kind == '(') {
		buf_clear(&f->sequence);
	} else if (kind == '[') {
		buf_addc(&f->sequence, c);
		if (c >= 0x40 && c <= 0x7e)
			end_sequence(f, buf_slice(&f->sequence), on_line, arg);
		else if ((unsigned char)c < 0x20)
			buf_clear(&f->sequence);
	} else if (c == '\a' || (c == '\\' && f->sequence.ptr[len - 1] == '\x1b')) {
		end_sequence(f, slice_upto(buf_slice(&f->sequence), c == '\a' ? len : len - 1), on_line, arg);
	} else if (c == '\n') {
		buf_clear(&f->sequence);                /* never ended: a line end ends everything */
		hand_on(f, 1, on_line, arg);
	} else {
		buf_addc(&f->sequence, c);
	}
}

static void control(struct fold *f, char c, fold_line_fn *on_line, void *arg)
{
	if (c == '\n')
		hand_on(f, 1, on_line, arg);
	else if (c == '\r')
		f->at_start = 1;
	else if (c == '\x1b')
		buf_addc(&f->sequence, c);
	else if (c == '\b')
		backspace(f);
	else if (c == '\t')
		add_text(f, SLICE("\t"), on_line, arg);
}

/* Returns how much of S was used; less than all only where it ends in a cut character. */
static size_t feed(struct fold *f, struct slice s, fold_line_fn *on_line, void *arg)
{
	size_t used = 0;

	while (used < s.len) {
		struct slice rest = slice_from(s, used);
		uint32_t code;
		size_t n = f->sequence.len ? 0 : scan_printable(rest);
		if (n) {
			add_text(f, slice_upto(rest, n), on_line, arg);
		} else if (f->sequence.len) {
			in_sequence(f, rest.ptr[0], on_line, arg);
			n = 1;
		} else if ((unsigned char)rest.ptr[0] < 0x80) {
			control(f, rest.ptr[0], on_line, arg);
			n = 1;
		} else if ((n = utf8_next(rest, &code))) {
			add_text(f, slice_upto(rest, n), on_line, arg);
		} else if (utf8_is_cut(rest)) {
			return used;
		} else {
			add_text(f, SLICE("\xef\xbf\xbd"), on_line, arg);
			n = 1;
		}
		used += n;
	}
	return used;
}

void fold_feed(struct fold *f, struct slice raw, fold_line_fn *on_line, void *arg)
{
	while (f->n_carry && raw.len) {         /* a character cut by the last read: complete it byte by byte */
		char joined[4];
		memcpy(joined, f->carry, (size_t)f->n_carry);
		joined[f->n_carry] = raw.ptr[0];
		size_t have = (size_t)f->n_carry + 1;
		size_t used = feed(f, (struct slice){ joined, have }, on_line, arg);
		raw = slice_from(raw, 1);
		f->n_carry = (int)(have - used);
		memcpy(f->carry, joined + used, have - used);
	}
	size_t used = feed(f, raw, on_line, arg);
	if (used < raw.len) {
		f->n_carry = (int)(raw.len - used);
		memcpy(f->carry, raw.ptr + used, raw.len - used);
	}
}

void fold_end(struct fold *f, fold_line_fn *on_line, void *arg)
{
	if (f->n_carry)
		add_text(f, SLICE("\xef\xbf\xbd"), on_line, arg);
	f->n_carry = 0;
	buf_clear(&f->sequence);
	if (f->line.len)
		hand_on(f, 1, on_line, arg);
}
