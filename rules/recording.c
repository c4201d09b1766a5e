/* rules/recording.c - first the holes are filled, then the text is cut into lines and body. */
#include "rules/recording.h"

#include <string.h>

#define TEXT_MAX (32 << 20)

static void add_hole(struct slice name, const char *id, int64_t now_ms, struct buf *out)
{
	if (slice_eq(name, SLICE("id")))
		buf_adds(out, id);
	else if (slice_eq(name, SLICE("now")))
		buf_addi(out, now_ms / 1000);
	else if (slice_eq(name, SLICE("now_ms")))
		buf_addi(out, now_ms);
	else
		buf_addf(out, "${" SLICE_FMT "}", SLICE_ARG(name));     /* somebody else's */
}

static void fill(struct slice rest, const char *id, int64_t now_ms, struct buf *out)
{
	struct slice name, tail;

	for (;;) {
		ptrdiff_t at = slice_find(rest, SLICE("${"));
		buf_add(out, at < 0 ? rest : slice_upto(rest, (size_t)at));
		if (at < 0)
			return;
		rest = slice_from(rest, (size_t)at + 2);
		if (slice_cut(rest, '}', &name, &tail) && slice_chr(name, '$') < 0) {
			add_hole(name, id, now_ms, out);
			rest = tail;
		} else {
			buf_adds(out, "${");
		}
	}
}

static int is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", s.ptr[i]))
			return 0;
	return s.len > 0;
}

static int add_line(struct recording *r, struct slice line, int number, struct err *e)
{
	struct slice name, value;

	if (!slice_cut(line, ':', &name, &value) || !is_token(name))
		return err_set(e, ERR_INPUT, "line %d: '" SLICE_FMT "' is no 'Name: value'; a line without anything ends these", number,
			       SLICE_ARG(slice_upto(line, 60)));
	if (r->n_headers == RECORDING_MAX_HEADERS - 1)
		return err_set(e, ERR_LIMIT, "more than %d header lines", RECORDING_MAX_HEADERS - 1);
	r->headers[r->n_headers++] = (struct header){ name, slice_trim(value) };
	return 0;
}

static int cut_up(struct recording *r, struct err *e)
{
	struct slice rest = buf_slice(&r->text), line;
	int has_type = 0, number = 0;

	for (;;) {
		int is_whole = slice_cut(rest, '\n', &line, &rest);
		line = slice_trim(line);
		number++;
		if (line.len == 0)
			break;
		if (!is_whole)
			return err_set(e, ERR_INPUT, "no empty line stands between head and body");
		if (add_line(r, line, number, e) < 0)
			return -1;
	}
	r->body = slice_ends(rest, SLICE("\n")) ? slice_upto(rest, rest.len - 1) : rest;
	for (size_t i = 0; i < r->n_headers; i++)
		has_type |= slice_ieq(r->headers[i].name, SLICE("Content-Type"));
	if (!has_type)
		r->headers[r->n_headers++] = (struct header){ SLICE("Content-Type"), SLICE("application/json") };
	return 0;
}

int recording_parse(struct slice text, const char *id, int64_t now_ms, struct recording *out, struct err *e)
{
	*out = (struct recording){ .text = BUF(TEXT_MAX) };
	fill(text, id, now_ms, &out->text);
	int bad = buf_is_over(&out->text) ? err_set(e, ERR_LIMIT, "longer than %d MiB", TEXT_MAX >> 20) : cut_up(out, e);
	if (bad)
		recording_fini(out);
	return bad;
}

void recording_fini(struct recording *r)
{
	buf_fini(&r->text);
	*r = (struct recording){ 0 };
}
