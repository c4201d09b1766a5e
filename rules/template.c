/* rules/template.c - one scanner for the check, which asks whether every hole can be filled, and for the filling. */
#include "rules/template.h"

#include <jansson.h>

#include "rules/compiled.h"

enum template_part template_next(struct slice *rest, struct slice *part)
{
	struct slice after;
	ptrdiff_t brace = slice_chr(*rest, '{');

	*part = *rest;
	if (rest->len == 0)
		return TEMPLATE_END;
	if (brace != 0) {
		*part = slice_upto(*rest, brace < 0 ? rest->len : (size_t)brace);
		*rest = slice_from(*rest, part->len);
		return TEMPLATE_TEXT;
	}
	if (slice_starts(*rest, SLICE("{{"))) {
		*part = slice_upto(*rest, 1);
		*rest = slice_from(*rest, 2);
		return TEMPLATE_TEXT;
	}
	if (slice_cut(slice_from(*rest, 1), '}', part, &after)) {
		*rest = after;
		return TEMPLATE_HOLE;
	}
	*part = *rest;
	*rest = slice_from(*rest, rest->len);
	return TEMPLATE_OPEN;
}

struct slice template_matrix_name(struct slice hole)
{
	return slice_starts(hole, SLICE("matrix.")) ? slice_from(hole, 7) : SLICE_NULL;
}

/* 1 where there was something to add. */
static int add_scalar(json_t *v, struct buf *out)
{
	if (json_is_string(v))
		buf_add(out, (struct slice){ json_string_value(v), json_string_length(v) });
	else if (json_is_integer(v))
		buf_addi(out, json_integer_value(v));
	else if (json_is_boolean(v))
		buf_adds(out, json_is_true(v) ? "true" : "false");
	else
		return 0;
	return 1;
}

static int add_field(json_t *event, struct slice name, struct buf *out)
{
	json_t *v = json_object_getn(event, name.ptr, name.len), *item;
	size_t i;

	if (!json_is_array(v))
		return add_scalar(v, out);
	json_array_foreach(v, i, item) {
		buf_adds(out, i ? "\n" : "");
		add_scalar(item, out);
	}
	return 1;
}

static int add_hole(json_t *event, const struct cell *cell, struct slice name, struct buf *out)
{
	const char *value = cell_value(cell, template_matrix_name(name));

	if (!value)
		return add_field(event, name, out);
	buf_adds(out, value);
	return 1;
}

int template_fill(const char *text, struct json_t *event, const struct cell *cell, struct buf *out)
{
	struct slice rest = slice_of(text), part;
	int missing = 0;

	for (;;)
		switch (template_next(&rest, &part)) {
		case TEMPLATE_END:
			return missing;
		case TEMPLATE_HOLE:
			missing += !add_hole(event, cell, part, out);
			break;
		case TEMPLATE_TEXT:
		case TEMPLATE_OPEN:
			buf_add(out, part);
			break;
		}
}
