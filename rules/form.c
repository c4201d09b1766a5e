/* rules/form.c - urlencoded forms. What needs all fields at once decodes them behind each other into one buffer and keeps
 * where each is, as the buffer moves while it grows. */
#include "rules/form.h"

#include <stdlib.h>
#include <string.h>

struct span { size_t at, len; };
struct field_spans { struct span name, value; };
struct fields {
	struct buf text;
	struct field_spans *list;
	size_t n;
};

int form_next(struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice one = SLICE_NULL;

	while (one.len == 0) {
		if (rest->len == 0)
			return 0;
		slice_cut(*rest, '&', &one, rest);
	}
	slice_cut(one, '=', name, value);
	return 1;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int form_decode(struct slice s, struct buf *out)
{
	if (s.len == 0)
		return 0;
	char *room = buf_room(out, s.len), *at = room;
	if (!room)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (c == '%') {
			int hi = i + 2 < s.len ? nibble(s.ptr[i + 1]) : -1, lo = i + 2 < s.len ? nibble(s.ptr[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return -1;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		*at++ = c;
	}
	buf_grew(out, (size_t)(at - room));
	return 0;
}

int form_find(struct slice form, struct slice name, struct buf *out)
{
	CLEANUP(buf_fini) struct buf decoded = BUF(64 << 10);
	struct slice raw, value;
	int n = 0;

	buf_clear(out);
	while (form_next(&form, &raw, &value)) {
		buf_clear(&decoded);
		if (form_decode(raw, &decoded) < 0)
			return -1;
		if (!slice_eq(buf_slice(&decoded), name))
			continue;
		if (n++ == 0 && form_decode(value, out) < 0)
			return -1;
	}
	return n;
}

/* ---- all fields ---- */

static void fields_fini(struct fields *f)
{
	buf_fini(&f->text);
	free(f->list);
}

static struct slice text_of(const struct fields *f, struct span s)
{
	return (struct slice){ f->text.ptr + s.at, s.len };
}

static int decode_span(struct fields *f, struct slice s, struct span *out, struct err *e)
{
	out->at = f->text.len;
	if (form_decode(s, &f->text) < 0)
		return err_set(e, ERR_INPUT, "the form is ill-formed: a '%%' stands without two hex digits");
	out->len = f->text.len - out->at;
	return 0;
}

static int decode_fields(struct slice form, struct fields *f, struct err *e)
{
	struct slice name, value;

	*f = (struct fields){ .text = BUF(form.len + 1), .list = xcalloc(FORM_MAX_FIELDS, sizeof *f->list) };
	buf_addc(&f->text, ' ');                        /* so that the text of an empty field is not NULL */
	while (form_next(&form, &name, &value)) {
		if (f->n == FORM_MAX_FIELDS)
			return err_set(e, ERR_INPUT, "the form has more than %d fields", FORM_MAX_FIELDS);
		struct field_spans *one = &f->list[f->n++];
		if (decode_span(f, name, &one->name, e) < 0 || decode_span(f, value, &one->value, e) < 0)
			return -1;
	}
	return 0;
}

static int has_name(const struct fields *f, size_t i, struct slice name)
{
	return slice_eq(text_of(f, f->list[i].name), name);
}

static void add_values(const struct fields *f, size_t first, struct slice name, struct buf *out)
{
	size_t n = 0, start = out->len;

	for (size_t i = first; i < f->n; i++) {
		if (!has_name(f, i, name))
			continue;
		buf_adds(out, n++ ? "," : "");
		buf_add_json(out, text_of(f, f->list[i].value));
	}
	if (n < 2)
		return;
	char *room = buf_room(out, 2);
	if (!room)
		return;
	memmove(out->ptr + start + 1, out->ptr + start, out->len - start);
	out->ptr[start] = '[';
	buf_grew(out, 1);
	buf_addc(out, ']');
}

int form_to_json(struct slice form, struct buf *out, struct err *e)
{
	CLEANUP(fields_fini) struct fields f = { 0 };
	int n = 0;

	if (decode_fields(form, &f, e) < 0)
		return -1;
	buf_addc(out, '{');
	for (size_t i = 0; i < f.n; i++) {
		struct slice name = text_of(&f, f.list[i].name);
		size_t earlier = 0;
		while (earlier < i && !has_name(&f, earlier, name))
			earlier++;
		if (earlier < i)
			continue;
		buf_adds(out, n++ ? "," : "");
		buf_add_json(out, name);
		buf_addc(out, ':');
		add_values(&f, i, name, out);
	}
	buf_addc(out, '}');
	return buf_is_over(out) ? err_set(e, ERR_INPUT, "the form is too long") : 0;
}

static int by_name_and_value(const void *a, const void *b, void *arg)
{
	const struct field_spans *x = a, *y = b;
	const struct fields *f = arg;
	int order = slice_cmp(text_of(f, x->name), text_of(f, y->name));
	return order ? order : slice_cmp(text_of(f, x->value), text_of(f, y->value));
}

int form_sorted(struct slice form, struct buf *out, struct err *e)
{
	CLEANUP(fields_fini) struct fields f = { 0 };

	if (decode_fields(form, &f, e) < 0)
		return -1;
	if (f.n)
		qsort_r(f.list, f.n, sizeof *f.list, by_name_and_value, &f);
	for (size_t i = 0; i < f.n; i++) {
		if (i && by_name_and_value(&f.list[i - 1], &f.list[i], &f) == 0)
			continue;
		buf_add(out, text_of(&f, f.list[i].name));
		buf_add(out, text_of(&f, f.list[i].value));
	}
	return buf_is_over(out) ? err_set(e, ERR_INPUT, "the form is too long") : 0;
}
