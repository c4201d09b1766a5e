/* rules/paths.h - the inside of a struct paths, for extract.c, place.c and nearest.c alone: payload paths merged into one trie. */
#pragma once
#include "base/map.h"
#include "rules/arena.h"
#include "rules/extract.h"

#define PATH_MAX_BYTES 512
#define PATHS_MAX 100000

enum step_kind { STEP_KEY, STEP_INDEX, STEP_ANY };
struct path_step {                      /* one step of a path: .key, [3], [] */
	enum step_kind kind;
	uint32_t at;                    /* STEP_INDEX */
};

#define PATH_NO_ITEM UINT32_MAX
struct path_node {
	int path;                       /* the path that ends here, or -1 */
	int is_list;                    /* below a []: any number of values */
	uint64_t filter;                /* bits of the keys of the nodes below; 0: there are none by key */
	struct slice key;               /* the step that leads here: a member's key, at being PATH_NO_ITEM, */
	uint32_t at;                    /* or an element's number */
	uint32_t parent;
	uint32_t twin;                  /* another of the same hash; 0 for none, as the root is no one's */
	uint32_t any;                   /* below, by any element; 0 for none */
	uint32_t items_end;             /* below, none by an element's number from here on; 0: none at all */
};
struct paths {
	struct path_node *nodes;        /* 0: the root */
	size_t n_nodes;
	struct map below;               /* from the hash of a node and a step to the node that it leads to */
	struct slice *texts;
	size_t n_texts;
	struct arena *arena;            /* keys and texts */
};

/* Take one step off the front of REST; the key of a STEP_KEY, unescaped, goes to KEY (emptied first). IS_FIRST: a key
 * stands without its dot. -1 with *e (ERR_INPUT). */
int path_step_parse(struct slice *rest, int is_first, struct path_step *out, struct buf *key, struct err *e) MUST_USE;
/* KEY as a step of a path: `["x.y"]`. */
void path_of_key(struct slice key, struct buf *out);
/* The nodes below NODE by a key, by an element's number; 0 for none. Their cost does not depend on how many there are. */
static inline uint64_t path_key_bit(struct slice key)
{
	unsigned char first = key.len ? (unsigned char)key.ptr[0] : 0;
	return (uint64_t)1 << ((key.len * 7 + first) & 63);
}
uint32_t path_kid_find(const struct paths *p, uint32_t node, struct slice key);
static inline uint32_t path_kid(const struct paths *p, uint32_t node, struct slice key)
{
	return p->nodes[node].filter & path_key_bit(key) ? path_kid_find(p, node, key) : 0;
}
uint32_t path_item(const struct paths *p, uint32_t node, uint32_t at);
