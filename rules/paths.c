/* rules/paths.c - payload paths merged into one trie, so that one pass over a text serves them all.
 *
 * A node has kids by the keys of an object, by the numbers of an array's elements, and one for any element. Most keys of a
 * payload are asked for by no one: a 64-bit filter over length and first byte answers for nearly all of them. */
#include "rules/paths.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_MAX 1000000
#define ROOM(n) (((n) & ((n) - 1)) == 0)        /* arrays grow at powers of two */

static uint32_t add_node(struct paths *p, int is_list)
{
	if (ROOM(p->n_nodes))
		p->nodes = xrealloc(p->nodes, (p->n_nodes ? 2 * p->n_nodes : 1) * sizeof *p->nodes);
	p->nodes[p->n_nodes] = (struct path_node){ .path = -1, .is_list = is_list };
	return (uint32_t)p->n_nodes++;
}

struct paths *paths_new(void)
{
	struct paths *p = xcalloc(1, sizeof *p);
	p->arena = arena_new();
	add_node(p, 0);
	return p;
}

void paths_free(struct paths *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n_nodes; i++) {
		free(p->nodes[i].kids);
		free(p->nodes[i].items);
	}
	free(p->nodes);
	free(p->texts);
	arena_free(p->arena);
	free(p);
}

/* ---- the text of a path ---- */

static int parse_quoted(struct slice *rest, struct buf *key, struct err *e)
{
	size_t i = 2;

	for (; i < rest->len && rest->ptr[i] != '"'; i++) {
		if (rest->ptr[i] == '\\' && i + 1 < rest->len)
			i++;
		buf_addc(key, rest->ptr[i]);
	}
	if (i + 1 >= rest->len || rest->ptr[i + 1] != ']')
		return err_set(e, ERR_INPUT, "[\" is not closed by \"]");
	*rest = slice_from(*rest, i + 2);
	return 0;
}

static int parse_bracket(struct slice *rest, struct path_step *out, struct buf *key, struct err *e)
{
	int64_t at;

	if (rest->len > 1 && rest->ptr[1] == '"') {
		out->kind = STEP_KEY;
		return parse_quoted(rest, key, e);
	}
	ptrdiff_t close = slice_chr(*rest, ']');
	if (close < 0)
		return err_set(e, ERR_INPUT, "'[' is not closed by ']'");
	struct slice number = slice_upto(slice_from(*rest, 1), (size_t)close - 1);
	*rest = slice_from(*rest, (size_t)close + 1);
	if (number.len == 0) {
		out->kind = STEP_ANY;
		return 0;
	}
	if (slice_to_i64(number, 0, INDEX_MAX, &at) < 0)
		return err_set(e, ERR_INPUT, "'[" SLICE_FMT "]' is none of [], [0] to [%d], [\"key\"]", SLICE_ARG(number), INDEX_MAX);
	out->kind = STEP_INDEX;
	out->at = (uint32_t)at;
	return 0;
}

int path_step_parse(struct slice *rest, int is_first, struct path_step *out, struct buf *key, struct err *e)
{
	size_t n = 0;

	buf_clear(key);
	if (rest->ptr[0] == '[')
		return parse_bracket(rest, out, key, e);
	if (!is_first && rest->ptr[0] != '.')
		return err_set(e, ERR_INPUT, "'.' or '[' was expected before '" SLICE_FMT "'", SLICE_ARG(*rest));
	struct slice word = slice_from(*rest, !is_first);
	while (n < word.len && (unsigned char)word.ptr[n] >= 0x20 && !memchr(".[]\"", word.ptr[n], 4))
		n++;
	if (n == 0)
		return err_set(e, ERR_INPUT, "a key is empty; one with unusual bytes is written [\"key\"]");
	*out = (struct path_step){ .kind = STEP_KEY };
	buf_add(key, slice_upto(word, n));
	*rest = slice_from(word, n);
	return 0;
}

void path_of_key(struct slice key, struct buf *out)
{
	buf_adds(out, "[\"");
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] == '"' || key.ptr[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, key.ptr[i]);
	}
	buf_adds(out, "\"]");
}

/* ---- the trie ---- */

static uint64_t key_bit(struct slice key)
{
	unsigned char first = key.len ? (unsigned char)key.ptr[0] : 0;
	return (uint64_t)1 << ((key.len * 7 + first) & 63);
}

/* Where KEY is among the kids, or, with *found 0, where it belongs. */
static size_t kid_place(const struct path_node *n, struct slice key, int *found)
{
	size_t low = 0, high = n->n_kids;

	*found = 0;
	while (low < high) {
		size_t middle = (low + high) / 2;
		struct slice other = n->kids[middle].key;
		int order = key.len != other.len ? (key.len > other.len) - (key.len < other.len) : slice_cmp(key, other);
		if (order == 0) {
			*found = 1;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

uint32_t path_node_kid(const struct path_node *n, struct slice key)
{
	int found;

	if (!(n->filter & key_bit(key)))
		return 0;
	size_t at = kid_place(n, key, &found);
	return found ? n->kids[at].node : 0;
}

static uint32_t enter_key(struct paths *p, uint32_t from, struct slice key)
{
	int found;
	struct path_node *n = &p->nodes[from];
	size_t at = kid_place(n, key, &found);

	if (found)
		return n->kids[at].node;
	uint32_t node = add_node(p, n->is_list);
	n = &p->nodes[from];
	if (ROOM(n->n_kids))
		n->kids = xrealloc(n->kids, (n->n_kids ? 2 * n->n_kids : 1) * sizeof *n->kids);
	memmove(n->kids + at + 1, n->kids + at, (n->n_kids - at) * sizeof *n->kids);
	n->kids[at] = (struct path_kid){ arena_copy(p->arena, key), node };
	n->n_kids++;
	n->filter |= key_bit(key);
	return node;
}

static uint32_t enter_index(struct paths *p, uint32_t from, uint32_t index)
{
	struct path_node *n = &p->nodes[from];

	for (uint32_t i = 0; i < n->n_items; i++)
		if (n->items[i].at == index)
			return n->items[i].node;
	uint32_t node = add_node(p, n->is_list);
	n = &p->nodes[from];
	if (ROOM(n->n_items))
		n->items = xrealloc(n->items, (n->n_items ? 2 * n->n_items : 1) * sizeof *n->items);
	n->items[n->n_items++] = (struct path_item){ index, node };
	return node;
}

static uint32_t enter_any(struct paths *p, uint32_t from)
{
	if (p->nodes[from].any == 0) {
		uint32_t node = add_node(p, 1);
		p->nodes[from].any = node;
	}
	return p->nodes[from].any;
}

static int refuse(const struct paths *p, struct slice path, struct err *e)
{
	if (path.len == 0)
		return err_set(e, ERR_INPUT, "a path is empty");
	if (path.len > PATH_MAX_BYTES)
		return err_set(e, ERR_INPUT, "a path of %zu bytes, the most is %d", path.len, PATH_MAX_BYTES);
	if (p->n_texts >= PATHS_MAX)
		return err_set(e, ERR_INPUT, "more than %d payload paths", PATHS_MAX);
	return 0;
}

/* All steps are read before the first node is made, so that a path in error leaves no trace. */
static int check_steps(struct slice path, struct buf *key, struct err *e)
{
	struct path_step step;
	int n = 0;

	for (struct slice rest = path; rest.len; n++)
		if (path_step_parse(&rest, n == 0, &step, key, e) < 0)
			return err_wrap(e, "path '" SLICE_FMT "'", SLICE_ARG(path));
	if (n > EXTRACT_MAX_DEPTH)
		return err_set(e, ERR_INPUT, "path '" SLICE_FMT "' is deeper than %d", SLICE_ARG(path), EXTRACT_MAX_DEPTH);
	return 0;
}

int paths_add(struct paths *p, struct slice path, struct err *e)
{
	CLEANUP(buf_fini) struct buf key = BUF(PATH_MAX_BYTES);
	struct path_step step = { 0 };
	uint32_t node = 0;

	if (refuse(p, path, e) < 0 || check_steps(path, &key, e) < 0)
		return -1;
	for (struct slice rest = path; rest.len;) {
		if (path_step_parse(&rest, rest.ptr == path.ptr, &step, &key, e) < 0)
			return -1;
		if (step.kind == STEP_KEY)
			node = enter_key(p, node, buf_slice(&key));
		else
			node = step.kind == STEP_INDEX ? enter_index(p, node, step.at) : enter_any(p, node);
	}
	if (p->nodes[node].path >= 0)
		return p->nodes[node].path;
	if (ROOM(p->n_texts))
		p->texts = xrealloc(p->texts, (p->n_texts ? 2 * p->n_texts : 1) * sizeof *p->texts);
	p->texts[p->n_texts] = arena_copy(p->arena, path);
	return p->nodes[node].path = (int)p->n_texts++;
}

size_t paths_count(const struct paths *p)
{
	return p->n_texts;
}

struct slice paths_text(const struct paths *p, int index)
{
	return p->texts[index];
}
