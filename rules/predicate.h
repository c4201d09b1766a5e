/* rules/predicate.h - one test of one name: `"main"`, `{ "main", "v*", except = "v1" }`, `{ ge = 10, lt = 20 }`. It is
 * compiled from a rule's table and asked about what a delivery holds; it knows nothing of where the values come from.
 * Pure; immutable once compiled; any thread.
 *
 * A test of several values (a list of labels, of changed files) is true where ANY of them passes, `ne` where NONE is
 * equal; `except` takes values away one by one. Nothing is converted: "1" is not 1. A name that is missing fails every
 * test but { exists = false }. */
#pragma once
#include "base/buf.h"
#include "rules/diag.h"
#include "rules/extract.h"
#include "rules/node.h"

enum truth { TRUTH_NO, TRUTH_UNKNOWN, TRUTH_YES };

enum presence { FOUND_NOTHING, FOUND_UNKNOWN, FOUND_VALUES };
struct finding {                        /* what a delivery holds under one name; all borrowed */
	enum presence presence;
	const struct value *values;
	size_t n;                       /* may be 0: an empty list is there */
	int is_list;
	int is_gathered;                /* from the elements of a list: without any, nothing exists */
	int is_cut;                     /* there were more: "no" is unknown then */
	const char *why_unknown;        /* "a new branch"; NULL for no reason */
};

struct operand {
	enum value_kind kind;
	struct slice text;              /* VALUE_STRING */
	int64_t integer;
	double real;
	struct glob *glob;              /* owned by the predicate; NULL: compared as it is */
};
struct operator;
struct clause {
	const struct operator *op;
	struct operand *operands;       /* one of them must do */
	size_t n;
};
struct predicate {
	struct clause *clauses;         /* all of them must hold */
	size_t n;
	struct operand *except;
	size_t n_except;
};

struct arena;
/* OUT borrows from A, not from TEST; its globs are its own: predicate_fini, also after a failure. 0, or -1 with what is wrong, and
 * where, in D. */
int predicate_compile(const struct node *test, const char *file, struct arena *a, struct predicate *out,
		      struct diags *d) MUST_USE;
void predicate_fini(struct predicate *p);
void predicate_key(const struct predicate *p, struct buf *out);         /* equal keys: equal predicates */
enum truth predicate_test(const struct predicate *p, const struct finding *f);
/* True where one value alone passes: which files of many made it. */
int predicate_takes(const struct predicate *p, const struct value *v);
int predicate_excludes(const struct predicate *p, const struct value *v);       /* by its `except` */
/* The plain alternatives, one of which a passing value must match; NULL where the test is of another kind. */
const struct operand *predicate_alternatives(const struct predicate *p, size_t *n);
int predicate_wants_absence(const struct predicate *p);                 /* { exists = false } */

/* For people: `"main" | "v*" except "v1"`, `>= 10 and < 20`. KINDS: `number 1` instead of `1`. */
enum words { WORDS_PLAIN, WORDS_KINDS };
void predicate_want(const struct predicate *p, enum words w, struct buf *out);
void value_words(const struct value *v, enum words w, struct buf *out); /* at most some 100 bytes */
/* True where no value is of a kind that the test could ever take: say the kinds then. */
int predicate_is_other_kind(const struct predicate *p, const struct finding *f);
