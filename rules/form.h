/* rules/form.h - application/x-www-form-urlencoded: bodies and query strings. Pure. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define FORM_MAX_FIELDS 1000

/* Take the next "name=value" off REST, still encoded; empty ones between two '&' are passed over. 0 at the end. */
int form_next(struct slice *rest, struct slice *name, struct slice *value);
/* Append S, decoded: '+' is a space, %XX a byte. -1: a '%' without two hex digits, or OUT is full. */
int form_decode(struct slice s, struct buf *out) MUST_USE;
/* Put the decoded value of field NAME into OUT (emptied first): of the first one. Returns how many there are, or -1 where
 * the form is ill-formed or the value passes OUT's maximum. */
int form_find(struct slice form, struct slice name, struct buf *out) MUST_USE;
/* The fields as one JSON object in OUT: {"name":"value"}, and a list of values where a name comes again. */
int form_to_json(struct slice form, struct buf *out, struct err *e) MUST_USE;
/* Names and values without separators, sorted by name, then value, equal pairs once: what Twilio signs. */
int form_sorted(struct slice form, struct buf *out, struct err *e) MUST_USE;
