/* rules/elements.h - what `some` and `every` hold: the tests of one element. `{ starts = "v" }` and `"v*"` are about the
 * element itself; in a table of other names each is a path within the element, as in { name = "ci", ["app.id"] = 7 }, and all
 * must hold; any, all and none take lists of such tables. A key that is called like an operator, or like those three, is
 * written ["[\"has\"]"]. Pure; immutable once compiled. */
#pragma once
#include "rules/operator.h"

struct elements;
/* *out is set at once, also where -1 is returned: end it with elements_free. */
int elements_compile(const struct compiling *c, const struct node *tests, struct elements **out) MUST_USE;
void elements_free(struct elements *x);                 /* NULL is fine */
enum truth elements_test(const struct elements *x, const struct value *element, struct effort *e);
void elements_key(const struct elements *x, struct buf *out);
void elements_words(const struct elements *x, enum words w, struct buf *out);
/* Are TESTS about the element itself? Else they name paths. */
int elements_are_plain(const struct node *tests);
/* A member that is any, all or none with a list of tables. */
int elements_is_list_of_tests(const struct node_member *m);
