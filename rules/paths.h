/* rules/paths.h - the inside of a struct paths, for extract.c, place.c and nearest.c alone: payload paths merged into one trie. */
#pragma once
#include "rules/arena.h"
#include "rules/extract.h"

#define PATH_MAX_BYTES 512
#define PATHS_MAX 100000

enum step_kind { STEP_KEY, STEP_INDEX, STEP_ANY };
struct path_step {                      /* one step of a path: .key, [3], [] */
	enum step_kind kind;
	uint32_t at;                    /* STEP_INDEX */
};

struct path_kid { struct slice key; uint32_t node; };
struct path_item { uint32_t at, node; };
struct path_node {
	int path;                       /* the path that ends here, or -1 */
	int is_list;                    /* below a []: any number of values */
	uint64_t filter;                /* bits of key_bit() of the kids */
	struct path_kid *kids;          /* by members' keys, sorted by length and bytes */
	struct path_item *items;        /* by elements' numbers */
	uint32_t n_kids, n_items;
	uint32_t any;                   /* by any element; 0 for none, as the root is no one's kid */
};
struct paths {
	struct path_node *nodes;        /* 0: the root */
	size_t n_nodes;
	struct slice *texts;
	size_t n_texts;
	struct arena *arena;            /* keys and texts */
};

/* Take one step off the front of REST; the key of a STEP_KEY, unescaped, goes to KEY (emptied first). IS_FIRST: a key
 * stands without its dot. -1 with *e (ERR_INPUT). */
int path_step_parse(struct slice *rest, int is_first, struct path_step *out, struct buf *key, struct err *e) MUST_USE;
/* KEY as a step of a path: `["x.y"]`. */
void path_of_key(struct slice key, struct buf *out);
uint32_t path_node_kid(const struct path_node *n, struct slice key);    /* 0 for none */
