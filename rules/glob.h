/* rules/glob.h - the plain strings of `when`: a pattern over a whole value. Pure; any thread.
 *   *      any run of characters other than a slash, also none
 *   **     any run of characters, also none. As a folder of its own it takes the slash behind it along: with two stars
 *          between the slashes of "a//b" the pattern matches "a/b", "a/x/b" and "a/x/y/b", and two stars, a slash and
 *          "README.md" match "README.md"
 *   ?      one character other than a slash
 * Nothing else is special: no escape, no class, no brace. Case counts. The time is at most linear in value times pattern,
 * whatever both hold: values come from strangers. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

#define GLOB_MAX_BYTES 1024

struct glob;
int glob_is_literal(struct slice pattern);              /* holds no wildcard: compare bytes instead */
/* What every match begins with, ends with, and has as a whole name before one of its slashes; empty: nothing. */
struct glob_parts { struct slice start, end, name; };
struct glob_parts glob_parts(struct slice pattern);     /* borrowed from PATTERN */
/* 0: *out is owned, PATTERN is not kept. -1: longer than GLOB_MAX_BYTES (ERR_LIMIT). */
int glob_compile(struct slice pattern, struct glob **out, struct err *e) MUST_USE;
int glob_matches(const struct glob *g, struct slice text);
void glob_free(struct glob *g);                         /* NULL is fine */
