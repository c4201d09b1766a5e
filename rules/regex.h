/* rules/regex.h - `re`: PCRE2, which no other file includes, within bounds. The pattern is searched for anywhere in a
 * value; ^ and $ stand for its very beginning and end. Letters, digits and classes are ASCII unless the pattern says
 * (*UCP); a value that is ill-formed UTF-8 is searched between what is broken in it.
 *
 * Values come from strangers and patterns may backtrack, so the work of a search is counted: one for each part of the
 * pattern that is tried, and one for every 32 bytes gone over meanwhile. Pure; a regex is immutable: any thread. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

#define REGEX_MAX_BYTES 1024                    /* of a pattern */
#define REGEX_SUBJECT_MAX_BYTES (1 << 20)       /* of a value */
#define REGEX_WORK_MAX 500000                   /* for all values of one test: some 20 ms */

enum regex_outcome { REGEX_NO, REGEX_YES, REGEX_GAVE_UP };
struct regex;
/* 0: *out is owned, PATTERN is not kept. -1: it is too long (ERR_LIMIT) or none (ERR_INPUT, with the byte that is wrong). */
int regex_compile(struct slice pattern, struct regex **out, struct err *e) MUST_USE;
void regex_free(struct regex *r);               /* NULL is fine */
/* *WORK is what may still be done; it is counted down. REGEX_GAVE_UP: *why is a constant that says what there was too
 * much of. */
enum regex_outcome regex_search(const struct regex *r, struct slice text, int64_t *work, const char **why);
/* Whether every match begins at the beginning of the value, ends at its end. A pattern that begins or ends in `.*` says
 * itself that anything may stand there, and counts as closed. */
int regex_is_closed_before(const struct regex *r);
int regex_is_closed_behind(struct slice pattern);
