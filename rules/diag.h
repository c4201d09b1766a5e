/* rules/diag.h - what is wrong with a rule file, and where: GCC-shaped text, JSON, GitHub annotations. Pure. */
#pragma once
#include "base/buf.h"

enum severity { DIAG_ERROR = 1, DIAG_WARNING, DIAG_NOTE };

struct diag {
	enum severity severity;
	char *file;                     /* relative to the directory: "rules/docs.lua" */
	int line, col, end_col;         /* 1-based, in bytes; 0 where unknown */
	char code[8];                   /* "E102"; "" for none */
	char *text;                     /* "unknown rule key 'timout', did you mean 'timeout'?" */
	char *source_line;              /* the line, without its LF; NULL where unknown */
};
struct diags {
	struct diag *list;
	size_t n;
	int errors;
};
void diags_fini(struct diags *d);
/* Control bytes become spaces, and a text is cut at 1000 bytes: both may quote what a stranger wrote. At most 200 are kept. */
void diags_add(struct diags *d, enum severity s, const char *file, int line, int col, int end_col, const char *code,
	       const char *fmt, ...) PRINTF(8, 9);
/* Give those of FILE that have a place and no source line theirs from TEXT, and an end where they have none. */
void diags_show(struct diags *d, const char *file, struct slice text);
void diags_keep_errors(struct diags *d);                                                 /* the warnings and notes go */
void diags_sort(struct diags *d);                                                        /* by file, line, col; doubles go */
/* "rules/docs.lua:10:3: error: unknown … [E102]\n   10 |   timout = …\n      |   ^~~~~~\n" */
void diags_print(const struct diags *d, struct buf *out, int colour);
void diags_json(const struct diags *d, struct buf *out);                                 /* an array */
int diags_parse_json(struct slice json, struct diags *out);                              /* 0, -1 */
/* The nearest of WORDS (NULL-ended) by edit distance, at most a third of the length (one of a short word); NULL for none. */
const char *did_you_mean(struct slice word, const char *const *words);
