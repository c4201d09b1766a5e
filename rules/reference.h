/* rules/reference.h - the language, told from its tables (rules/schema.h, rules/job_api.h): for people, for editors, for
 * programs. What is written here is committed under docs/, and a test fails where it is not what the tables say: `./dev docs`
 * makes it anew. Pure; any thread. */
#pragma once
#include "base/buf.h"

void reference_page(struct buf *out);           /* docs/rules.md */
void reference_json_schema(struct buf *out);    /* docs/rules.schema.json: of a directory's declarations as JSON */
void reference_types(struct buf *out);          /* types/pushrod.lua of a site, for the Lua language server */

/* An example for every key, to be tried: file N holds one, written into a declaration of its kind. 0: there is none of that
 * number. OUT gets a Lua text; the example begins on line 2, what is around it is not whole. WHAT: "rule.steps.sh". */
int reference_example(size_t n, struct buf *out, struct buf *what);
