/* rules/check.h - a file's declarations against the schema (rules/schema.h): what is unknown, missing, of the wrong type
 * or without meaning is said, all of it at once, with its place and, where one is near, the word that was meant.
 *
 * After a check without errors the tree holds no unknown key, every value has one of the types that its row of the schema
 * names, and every required key is there. Nodes with is_bad stand for what eval has already reported. Pure; any thread. */
#pragma once
#include "base/err.h"
#include "rules/diag.h"
#include "rules/node.h"

struct provider;
struct schema_type;

struct check_decl {                     /* all borrowed */
	struct slice kind, name;        /* "rule", "docs"; name.len 0 where it has none */
	int line, col;                  /* of the declaration */
	const struct node *value;       /* NULL: none was given, which eval has reported */
};
struct check_file {
	const char *path;               /* "pushrod.lua", "rules/docs.lua", "plugins/providers/x.lua" */
	struct slice text;              /* its Lua text, for the lines that diagnostics show; may be empty */
	const struct check_decl *decls;
	size_t n;
};
struct check_source {                   /* a source that pushrod.lua declares */
	struct slice name;
	const struct provider *provider;        /* NULL: none, or one that did not compile; its events are then unknown */
};
struct check_queue {                    /* a queue that pushrod.lua declares */
	struct slice name;
	int line, col;
	const struct node *value;       /* NULL: none, which eval has reported */
};
/* 0: there is a secret of that NAME; -1: *why says where it was looked for. */
typedef int check_secret_fn(const char *name, void *arg, struct err *why);
struct check_context {                  /* what other files say */
	const struct check_source *sources;
	size_t n_sources;
	const struct check_queue *queues;
	size_t n_queues;
	const char *const *providers;   /* names of all providers, NULL-ended; NULL: do not check */
	check_secret_fn *secret_find;   /* NULL: do not check */
	void *secret_arg;
	int sources_unknown;            /* pushrod.lua has errors: do not hold a missing source or queue against a rule */
	const struct check_decl *decls; /* of all files, names NUL-ended; NULL: which rules there are is not known */
	size_t n_decls;
	int rules_unknown;              /* a file could not be read to its end: do not hold a missing rule against another */
};

/* The alternative of TYPES that a value is meant to be, or NULL. Of two that are tables, the one without keys is the list. */
const struct schema_type *check_meant(const struct schema_type *types, const struct node *n);
/* Diagnostics are appended to OUT, those of this file with their source line. */
void check_file(const struct check_file *f, const struct check_context *ctx, struct diags *out);
