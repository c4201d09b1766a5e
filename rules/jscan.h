/* rules/jscan.h - a strict scanner of JSON text: it refuses what jansson refuses and builds nothing. Strings are checked
 * sixteen bytes at a time. Pure; one owner, any thread. */
#pragma once
#include "base/err.h"
#include "base/slice.h"

#define JSCAN_MAX_DEPTH 64

struct jscan {
	const char *begin, *p, *end;    /* p: what comes next */
	struct err *err;
};
struct jstring {
	struct slice raw;               /* between the quotes; borrowed from the text */
	int has_escape;
};
struct jnumber {
	int is_integer;
	int64_t integer;                /* 0 where not is_integer */
	double real;
};

void jscan_init(struct jscan *s, struct slice json, struct err *e);
int jscan_fail(struct jscan *s, const char *what);              /* ERR_INPUT, with the place; returns -1 */
static inline void jscan_space(struct jscan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}
static inline char jscan_peek(const struct jscan *s)            /* NUL at the end (and for a NUL, which fits nowhere) */
{
	return s->p < s->end ? *s->p : '\0';
}

/* Each takes one thing that begins at p. -1: *err says what is wrong where. */
int jscan_string(struct jscan *s, struct jstring *out) MUST_USE;        /* p is at a quote */
int jscan_key(struct jscan *s, struct jstring *out) MUST_USE;           /* also the colon and the space about it */
int jscan_scalar(struct jscan *s) MUST_USE;                             /* a string, number, true, false or null */
int jscan_number(struct jscan *s, struct jnumber *out) MUST_USE;        /* p is at a digit or '-' */
int jscan_enter(struct jscan *s, int depth) MUST_USE;   /* p is at a bracket, the DEPTH-th open; ERR_LIMIT beyond the bound */
int jscan_skip(struct jscan *s, int depth) MUST_USE;    /* a whole value, DEPTH brackets being open around it */
int jscan_end(struct jscan *s) MUST_USE;                /* nothing but space follows */

/* The text of a string that jscan_string accepted: into OUT, which has room for raw.len bytes. Returns the length. */
size_t jscan_unescape(struct slice raw, char *out);
