/* eval/world.h - one file, run alone in a bare Lua state: what it declares, as data. */
#pragma once
#include "eval/files.h"

#define WORLD_MAX_MEMORY (64 << 20)
#define WORLD_MAX_STEPS 100000000       /* instructions of Lua's machine: about a second */

struct world_decl {
	char *kind, *name;              /* owned; name NULL where the kind has none */
	int line, col;
	struct buf value;               /* VALUE text; empty: none was given, which is said */
};
struct world_result {
	struct world_decl *list;
	size_t n;
	int unread_line;                /* not 0: Lua cannot read the file, and this line is to blame; nothing is declared */
};
/* F is one of FILES, all of which have their places, and whose modules it may require. It is run twice, and must say the same
 * both times. What is wrong is added to DIAGS, also about those modules. OUT is owned by the caller, filled in any case. */
void world_run(const struct eval_files *files, const struct eval_file *f, struct world_result *out, struct diags *diags);
/* Only whether Lua can read it: for modules that nobody requires. */
void world_compile(const struct eval_files *files, const struct eval_file *f, struct diags *diags);
void world_result_fini(struct world_result *r);
