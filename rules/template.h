/* rules/template.h - texts in which {field} and {matrix.x} stand for what an event and a cell hold, and {{ for a brace.
 * Pure; any thread. */
#pragma once
#include "base/buf.h"

struct json_t;
struct cell;

enum template_part {
	TEMPLATE_END,
	TEMPLATE_TEXT,                  /* as it is */
	TEMPLATE_HOLE,                  /* the name between its braces */
	TEMPLATE_OPEN,                  /* a brace that is never closed; the rest of the text */
};
/* Take the next part off *REST into *PART. */
enum template_part template_next(struct slice *rest, struct slice *part);
/* The name behind "matrix." of a hole, or len 0. */
struct slice template_matrix_name(struct slice hole);

/* Append TEXT, filled from EVENT, an object, and CELL (NULL without a matrix): nothing where there is none, a list one to a
 * line. Returns how many holes found nothing. */
int template_fill(const char *text, struct json_t *event, const struct cell *cell, struct buf *out);
