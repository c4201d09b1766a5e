/* rules/diag.c - diagnostics: kept in a list, printed as compilers do. */
#include "rules/diag.h"

#include <ctype.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_MAX 200
#define WORD_MAX 64
#define LINE_MAX_BYTES 500
#define TEXT_MAX_BYTES 1000

static void diag_fini(struct diag *x)
{
	free(x->file);
	free(x->text);
	free(x->source_line);
}

void diags_fini(struct diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		diag_fini(&d->list[i]);
	free(d->list);
	*d = (struct diags){ 0 };
}

void diags_keep_errors(struct diags *d)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->list[i].severity == DIAG_ERROR)
			d->list[kept++] = d->list[i];
		else
			diag_fini(&d->list[i]);
	d->n = kept;
}

static struct diag *append(struct diags *d, enum severity s)
{
	if (s == DIAG_ERROR)
		d->errors++;
	if (d->n == KEPT_MAX)
		return NULL;
	d->list = xrealloc(d->list, (d->n + 1) * sizeof *d->list);
	d->list[d->n] = (struct diag){ .severity = s };
	return &d->list[d->n++];
}

/* What a terminal would obey becomes spaces, C0 and C1: the files may be a stranger's. */
static char *clean(char *text)
{
	for (char *c = text; c && *c; c++)
		if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f)
			*c = ' ';
		else if (*c == '\xc2' && (c[1] & '\xe0') == '\x80')
			c[0] = c[1] = ' ';
	return text;
}

/* A message may quote what has no bound: a name of a megabyte. */
static void cut(char *text)
{
	static const char more[] = "…";
	size_t at = TEXT_MAX_BYTES - sizeof more;

	if (strlen(text) < TEXT_MAX_BYTES)
		return;
	while ((text[at] & '\xc0') == '\x80')
		at--;
	memcpy(text + at, more, sizeof more);
}

void diags_add(struct diags *d, enum severity s, const char *file, int line, int col, int end_col, const char *code,
	       const char *fmt, ...)
{
	va_list ap;
	struct diag *x = append(d, s);

	if (!x)
		return;
	x->file = clean(xstrdup(file));
	x->line = line;
	x->col = col;
	x->end_col = end_col;
	snprintf(x->code, sizeof x->code, "%s", code ? code : "");
	va_start(ap, fmt);
	if (vasprintf(&x->text, fmt, ap) < 0)
		abort();
	va_end(ap);
	cut(clean(x->text));
}

/* One past the word or the quoted text that begins at COL. */
static int end_of_token(const char *line, int col)
{
	const char *p = line + col - 1;

	if (*p == '"' || *p == '\'') {
		const char *close = strchr(p + 1, *p);
		return close ? (int)(close - line) + 2 : col + 1;
	}
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return (int)(p - line) + 1 > col ? (int)(p - line) + 1 : col + 1;
}

/* The line that begins at offset AT, at most LINE_MAX_BYTES of it; owned. */
static char *copy_line(struct slice text, size_t at)
{
	struct slice line = slice_from(text, at), rest;

	slice_cut(line, '\n', &line, &rest);
	if (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	return clean(slice_dup(slice_upto(line, LINE_MAX_BYTES)));
}

void diags_show(struct diags *d, const char *file, struct slice text)
{
	for (size_t i = 0; i < d->n; i++) {
		struct diag *x = &d->list[i];
		size_t at = 0;
		int line = 1;
		if (!x->line || x->source_line || strcmp(x->file, file) != 0)
			continue;
		for (ptrdiff_t next; line < x->line && (next = slice_chr(slice_from(text, at), '\n')) >= 0; line++)
			at += (size_t)next + 1;
		if (line < x->line || at > text.len)
			continue;
		x->source_line = copy_line(text, at);
		if (x->col && (size_t)x->col <= strlen(x->source_line) && x->end_col <= x->col)
			x->end_col = end_of_token(x->source_line, x->col);
	}
}

static int by_place(const void *a, const void *b)
{
	const struct diag *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	if (!order)
		order = x->line != y->line ? x->line - y->line : x->col - y->col;
	return order ? order : strcmp(x->text, y->text);
}

void diags_sort(struct diags *d)
{
	size_t kept = 0;

	if (d->n)
		qsort(d->list, d->n, sizeof *d->list, by_place);
	for (size_t i = 0; i < d->n; i++) {
		if (kept && by_place(&d->list[kept - 1], &d->list[i]) == 0) {
			d->errors -= d->list[i].severity == DIAG_ERROR;
			free(d->list[i].file);
			free(d->list[i].text);
			free(d->list[i].source_line);
			continue;
		}
		d->list[kept++] = d->list[i];
	}
	d->n = kept;
}

static const char *severity_name(enum severity s)
{
	return s == DIAG_ERROR ? "error" : s == DIAG_WARNING ? "warning" : "note";
}

/* The line, and under it a caret and tildes; tabs stay tabs, so that the caret stands where it should. */
static void print_place(const struct diag *x, struct buf *out, int colour)
{
	size_t len = strlen(x->source_line);
	int end = x->end_col > x->col ? x->end_col : x->col + 1;

	buf_addf(out, "%5d | %s\n      | ", x->line, x->source_line);
	for (int i = 1; i < x->col && (size_t)i <= len; i++)
		buf_addc(out, x->source_line[i - 1] == '\t' ? '\t' : ' ');
	buf_adds(out, colour ? "\033[1;32m^" : "^");
	for (int i = x->col + 1; i < end && (size_t)i <= len; i++)
		buf_addc(out, '~');
	buf_adds(out, colour ? "\033[0m\n" : "\n");
}

void diags_print(const struct diags *d, struct buf *out, int colour)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct diag *x = &d->list[i];
		const char *name = severity_name(x->severity);
		buf_addf(out, colour ? "\033[1m%s:" : "%s:", x->file);
		if (x->line)
			buf_addf(out, "%d:", x->line);
		if (x->line && x->col)
			buf_addf(out, "%d:", x->col);
		if (colour)
			buf_addf(out, " \033[%sm%s:\033[0m ", x->severity == DIAG_ERROR ? "1;31" : "1;35", name);
		else
			buf_addf(out, " %s: ", name);
		buf_adds(out, x->text);
		if (x->code[0])
			buf_addf(out, " [%s]", x->code);
		buf_addc(out, '\n');
		if (x->source_line && x->line && x->col)
			print_place(x, out, colour);
	}
}

void diags_json(const struct diags *d, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < d->n; i++) {
		const struct diag *x = &d->list[i];
		buf_addf(out, "%s{\"severity\":\"%s\",\"file\":", i ? "," : "", severity_name(x->severity));
		buf_add_json(out, slice_of(x->file));
		buf_addf(out, ",\"line\":%d,\"col\":%d,\"end_col\":%d,\"code\":\"%s\",\"text\":", x->line, x->col, x->end_col,
			 x->code);
		buf_add_json(out, slice_of(x->text));
		if (x->source_line) {
			buf_adds(out, ",\"source_line\":");
			buf_add_json(out, slice_of(x->source_line));
		}
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static const char *member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static int number(const json_t *o, const char *key)
{
	return (int)json_integer_value(json_object_get(o, key));
}

int diags_parse_json(struct slice json, struct diags *out)
{
	json_t *list = json_loadb(json.ptr ? json.ptr : "", json.len, 0, NULL), *o;
	size_t i;

	if (!json_is_array(list)) {
		json_decref(list);
		return -1;
	}
	json_array_foreach(list, i, o) {
		const char *name = member(o, "severity"), *line = json_string_value(json_object_get(o, "source_line"));
		struct diag *x = append(out, *name == 'e' ? DIAG_ERROR : *name == 'w' ? DIAG_WARNING : DIAG_NOTE);
		if (!x)
			continue;
		x->file = clean(xstrdup(member(o, "file")));
		x->text = clean(xstrdup(member(o, "text")));
		x->source_line = clean(xstrdup(line));
		x->line = number(o, "line");
		x->col = number(o, "col");
		x->end_col = number(o, "end_col");
		snprintf(x->code, sizeof x->code, "%s", member(o, "code"));
	}
	json_decref(list);
	return 0;
}

/* Edit distance with transpositions of neighbours counted as one (Damerau; the restricted form). */
static size_t distance(struct slice a, struct slice b)
{
	size_t rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b.len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		now[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t best = last[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
			best = last[j] + 1 < best ? last[j] + 1 : best;
			best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		size_t *oldest = before;
		before = last;
		last = now;
		now = oldest;
	}
	return last[b.len];
}

const char *did_you_mean(struct slice word, const char *const *words)
{
	const char *best = NULL;
	size_t least = (word.len < 6 ? 1 : word.len / 3) + 1;   /* a third of the word may differ, one letter of a short one */

	if (word.len > WORD_MAX || word.len < 2)
		return NULL;
	for (; *words; words++) {
		struct slice known = slice_of(*words);
		if (known.len > WORD_MAX)
			continue;
		size_t d = distance(word, known);
		if (d < least) {
			least = d;
			best = *words;
		}
	}
	return best;
}
