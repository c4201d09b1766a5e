/* base/utf8.h - decode UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). Pure. */
#pragma once
#include "base/slice.h"

/* Length of the well-formed sequence that S begins with (1-4) and its code point, or 0 where S begins with
 * an ill-formed or cut sequence, or is empty. */
size_t utf8_next(struct slice s, uint32_t *code);
/* True where S is a proper beginning of some well-formed sequence: more bytes could complete it. */
int utf8_is_cut(struct slice s);
int utf8_is_valid(struct slice s);
