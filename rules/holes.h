/* rules/holes.h - what people write for a template where it is none: {title} in a script, {{ title }}, and ${{ github.ref }} of GitHub
 * Actions. Pure; any thread. */
#pragma once
#include "base/buf.h"

enum hole_kind {
	HOLE_FIELD,                     /* {title}, {matrix.cc}: a field's name in one pair of braces */
	HOLE_DOUBLED,                   /* {{ title }} */
	HOLE_ACTIONS,                   /* ${{ github.ref }} */
};
struct hole {
	enum hole_kind kind;
	struct slice text;              /* as written, borrowed */
	struct slice name;              /* trimmed, without braces */
};
/* Take the text up to and with the next hole off *REST. 0: there is none. What a shell (${x}, {a,b}), git (^{tag}), curl (%{url}) and
 * Ruby (#{x}) write with braces is none, nor is {{ x }} of a name that is no field. */
int hole_next(struct slice *rest, struct hole *out);
/* Whether a script has words of another language whose own braces look like holes (jq, awk, Python): then one in a single pair is none. */
int hole_is_hidden(struct slice script);
/* How it is written here, `{ref}`, appended; and as the name of a variable, `REF`. 0: nothing is known that stands for it. */
int hole_add_field(const struct hole *h, struct buf *field, struct buf *variable);
/* ${{ secrets.X }}: X in lower case, with '-' for '_', appended. 0: it is none. */
int hole_add_secret(const struct hole *h, struct buf *out);
