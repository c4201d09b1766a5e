/* rules/extract.h - take a few values out of a JSON text in one bounded, strict pass, without building a tree. Accepts
 * exactly what jansson accepts (json_loadb with JSON_DECODE_ANY off: top level an object or array) and yields the same
 * values; the last of repeated keys wins. It is stricter in one thing: a NUL byte behind a number or a word, which jansson
 * 2.14 overlooks, is refused. Bounds: EXTRACT_MAX_DEPTH, EXTRACT_MAX_BYTES, at most EXTRACT_MAX_VALUES kept below "[]".
 * Pure; a paths is immutable once built: any thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

#define EXTRACT_MAX_DEPTH 64
#define EXTRACT_MAX_BYTES (32 << 20)
#define EXTRACT_MAX_VALUES 20000

struct paths;
struct paths *paths_new(void);
void paths_free(struct paths *p);
/* "a.b", "a[0].b", "a[].b" (any element), `a["x.y"].b`. Returns its index (the same path: the same index), or -1
 * with *e (ERR_INPUT: says where the path is ill-formed). */
int paths_add(struct paths *p, struct slice path, struct err *e);
size_t paths_count(const struct paths *p);
struct slice paths_text(const struct paths *p, int index);

enum value_kind { VALUE_STRING = 1, VALUE_INTEGER, VALUE_REAL, VALUE_TRUE, VALUE_FALSE, VALUE_NULL, VALUE_OBJECT, VALUE_ARRAY };
struct value {
	enum value_kind kind;
	struct slice text;              /* STRING: decoded. OBJECT, ARRAY: the raw JSON text. Others: the raw token */
	int64_t integer;
	double real;
};
struct values;                                  /* the result of one pass; texts borrow from it and from the JSON */
int extract(const struct paths *p, struct slice json, struct values **out, struct err *e) MUST_USE;
void values_free(struct values *v);
/* All values found for path INDEX, in document order (more than one only below `[]`). *n may be 0: missing. */
const struct value *values_get(const struct values *v, int index, size_t *n);
/* The paths of which something was found, each once; its n is never 0. Borrowed from V. */
struct found { uint32_t path, at, n; };         /* at: private */
const struct found *values_found(const struct values *v, size_t *n);
/* 1 where values below a "[]" were left out at EXTRACT_MAX_VALUES: such lists are then incomplete. Values of paths
 * without "[]" are never left out. Whether an empty list was there is asked with a path of its own ("a" for "a[].b"). */
int values_is_truncated(const struct values *v);
/* How often the pass looked for a path, kept a value or took one back: for tests, of which it grows with. */
size_t values_work(const struct values *v);
