/* rules/operator.h - the operators of `when`: for each a row with its name in rule files, its words in an explanation, and
 * a function of one value and one operand. Lists, alternatives and absence are predicate.c's. For the files of predicates
 * alone. Pure, constant; any thread. */
#pragma once
#include "rules/predicate.h"

enum operator_asks {
	ASKS_VALUE,                     /* about one value; of several, any must pass */
	ASKS_NO_VALUE,                  /* likewise, and none must */
	ASKS_PRESENCE,
	ASKS_SOME, ASKS_EVERY,          /* about the elements of a list, each by itself: rules/elements.h */
};
enum operator_form {                    /* what is made of an operand's text */
	FORM_PLAIN, FORM_GLOB, FORM_FOLDED_GLOB, FORM_REGEX, FORM_NETWORK, FORM_TEST,
};
struct effort {                         /* of one test, over all its values */
	int64_t work;                   /* what is left of REGEX_WORK_MAX */
	const char *gave_up;            /* why a search did; NULL */
};
typedef int operator_test_fn(const struct operator *op, const struct value *v, const struct operand *o, struct effort *e);
struct operator {
	const char *name;
	const char *words;              /* before the operand; "" for none */
	enum operator_asks asks;
	enum operator_form form;
	operator_test_fn *test;         /* ASKS_VALUE, ASKS_NO_VALUE */
	int order;                      /* which enum order passes */
};
extern const struct operator operator_plain;            /* a value or a list of values, by itself */
const struct operator *operator_find(struct slice name);        /* NULL for another word */
void operator_fold(struct slice s, struct buf *out);              /* A to Z in lower case: what icase takes for the same */

/* ---- of predicate.c, for elements.c: a test within a test ---- */
#define TESTS_MAX_DEPTH 8               /* some or every within each other */
struct compiling {
	const char *file;
	struct arena *arena;
	struct diags *diags;
	int depth;
};
int predicate_compile_within(const struct compiling *c, const struct node *test, struct predicate *out);
int predicate_wrong(const struct compiling *c, const struct node *at, const char *what);        /* says it; -1 */
enum truth predicate_test_within(const struct predicate *p, const struct finding *f, struct effort *e);
