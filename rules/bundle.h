/* rules/bundle.h - eval's output, read: every declaration as a tree, the texts of the files, the providers. Only
 * rules/compile.c includes it. Pure. */
#pragma once
#include <jansson.h>

#include "rules/compiled.h"

struct decl {                           /* one declaration of the bundle */
	const char *kind, *name, *file;
	int line, col;
	struct node_doc *doc;           /* owned */
};
struct bundle {
	json_t *root;
	struct decl *decls;
	size_t n_decls;
	struct node_doc **descriptors;  /* owned; of the providers, in order */
	size_t n_descriptors;
};

/* TEXT's files, modules and providers go to RS; a provider that does not compile is said in DIAGS and left out. B is to be
 * ended in any case. -1: the bundle itself is malformed (ERR_INPUT). */
int bundle_read(struct slice text, struct ruleset *rs, struct bundle *b, struct diags *diags, struct err *e) MUST_USE;
void bundle_fini(struct bundle *b);
