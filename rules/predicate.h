/* rules/predicate.h - one test of one name: `"main"`, `{ "main", "v*", except = "v1" }`, `{ ge = 10, lt = 20 }`. It is
 * compiled from a rule's table and asked about what a delivery holds; it knows nothing of where the values come from.
 * Pure; immutable once compiled; any thread.
 *
 * A test of several values (a list of labels, of changed files) is true where ANY of them passes all of its operators,
 * `ne` where NONE is equal; `except` takes values away one by one; `some` and `every` ask about each element by itself, and
 * of what is no list nothing. Nothing is converted: "1" is not 1. A name that is missing fails every test but
 * { exists = false }. A search that takes too much (`re`) does not match. */
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
	int none_had_it;                /* the elements of a list were asked, and none had it: nothing exists */
	int is_cut;                     /* there were more: "no" is unknown then */
	const char *why_unknown;        /* "a new branch"; NULL for no reason */
};

struct operand {
	enum value_kind kind;
	struct slice text;              /* VALUE_STRING */
	int64_t integer;
	double real;
	/* What was made of it; owned by the predicate. */
	struct glob *glob;              /* NULL: compared as it is */
	struct regex *regex;
	struct cidr *network;
	struct elements *elements;
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

#define OPERANDS_MAX 1000               /* of one list */

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
/* What the I-th clause demands of some value, for an index: to be, to begin with, to end in or to be in any case one of N
 * operands. NULL where it demands nothing of the kind. */
enum demand { DEMAND_EQUAL, DEMAND_START, DEMAND_END, DEMAND_FOLDED };
const struct operand *predicate_demand(const struct predicate *p, size_t i, enum demand *how, size_t *n);
/* Why a search gave up, where one did: such a value counts as not matching. NULL: none did. */
const char *predicate_gave_up(const struct predicate *p, const struct finding *f);
/* What a lint asks. The least (the most) that a value may be by `ge`, `gt` (`le`, `lt`), and whether it must be more (less);
 * 0 where there is no such bound. */
int predicate_low(const struct predicate *p, const struct operand **out, int *is_open);
int predicate_high(const struct predicate *p, const struct operand **out, int *is_open);
#define OPERANDS_APART 2                /* a number and a text have no order */
int operand_compare(const struct operand *a, const struct operand *b);  /* -1, 0, 1, OPERANDS_APART */
int predicate_wants_both(const struct predicate *p);    /* { exists = false } beside another test: nothing passes */
int predicate_wants_absence(const struct predicate *p);                 /* { exists = false } */
int predicate_asks_elements(const struct predicate *p);                 /* `some` or `every` is among its operators */

/* For people: `"main" | "v*" except "v1"`, `>= 10 and < 20`. KINDS: `number 1` instead of `1`. */
enum words { WORDS_PLAIN, WORDS_KINDS };
void predicate_want(const struct predicate *p, enum words w, struct buf *out);
void value_words(const struct value *v, enum words w, struct buf *out); /* at most some 100 bytes */
/* True where no value is of a kind that the test could ever take: say the kinds then. */
int predicate_is_other_kind(const struct predicate *p, const struct finding *f);
