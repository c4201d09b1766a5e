/* rules/paths.c - payload paths merged into one trie, so that one pass over a text serves them all.
 *
 * Below a node are others by the keys of an object, by the numbers of an array's elements, and one for any element. Most keys of
 * a payload are asked for by no one: a 64-bit filter over length and first byte answers for nearly all of them; one map for the
 * whole trie knows the rest, so that ten thousand keys below one node cost what ten do. */
#include "rules/paths.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_MAX 1000000
#define ROOM(n) (((n) & ((n) - 1)) == 0)        /* arrays grow at powers of two */

static uint32_t add_node(struct paths *p, const struct path_node *n)
{
	if (ROOM(p->n_nodes))
		p->nodes = xrealloc(p->nodes, (p->n_nodes ? 2 * p->n_nodes : 1) * sizeof *p->nodes);
	p->nodes[p->n_nodes] = *n;
	p->nodes[p->n_nodes].path = -1;
	return (uint32_t)p->n_nodes++;
}

struct paths *paths_new(void)
{
	struct paths *p = xcalloc(1, sizeof *p);
	p->arena = arena_new();
	add_node(p, &(struct path_node){ 0 });
	return p;
}

void paths_free(struct paths *p)
{
	if (!p)
		return;
	free(p->nodes);
	map_fini(&p->below);
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

#define SPREAD 0x9e3779b97f4a7c15u

/* Eight bytes at a time, of the last ones as many as there are. */
static uint64_t hash_bytes(uint64_t h, struct slice s)
{
	uint64_t word = 0;

	for (; s.len >= sizeof word; s = slice_from(s, sizeof word)) {
		memcpy(&word, s.ptr, sizeof word);
		h = (h ^ word) * SPREAD;
		h ^= h >> 32;
	}
	word = s.len;
	for (size_t i = 0; i < s.len; i++)
		word = word << 8 | (unsigned char)s.ptr[i];
	return (h ^ word) * SPREAD;
}

static uint64_t step_hash(uint32_t node, struct slice key, uint32_t at)
{
	return hash_bytes(((uint64_t)node << 32 | at) * SPREAD, key);
}

/* Below NODE, by the key KEY, AT being PATH_NO_ITEM, or by the element's number AT, KEY being empty. */
static uint32_t step_find(const struct paths *p, uint32_t node, struct slice key, uint32_t at)
{
	const uint32_t *first = map_find(&p->below, step_hash(node, key, at));

	for (uint32_t i = first ? *first : 0; i; i = p->nodes[i].twin) {
		const struct path_node *n = &p->nodes[i];
		if (n->parent == node && n->at == at && slice_eq(n->key, key))
			return i;
	}
	return 0;
}

uint32_t path_kid_find(const struct paths *p, uint32_t node, struct slice key)
{
	return key.len > PATH_MAX_BYTES ? 0 : step_find(p, node, key, PATH_NO_ITEM);
}

uint32_t path_item(const struct paths *p, uint32_t node, uint32_t at)
{
	return at < p->nodes[node].items_end ? step_find(p, node, SLICE_NULL, at) : 0;
}

static uint32_t step_add(struct paths *p, uint32_t parent, struct slice key, uint32_t at)
{
	struct path_node n = { .key = arena_copy(p->arena, key), .at = at, .parent = parent, .is_list = p->nodes[parent].is_list };
	int is_new;

	uint32_t *first = map_enter(&p->below, step_hash(parent, key, at), &is_new);
	n.twin = *first;
	return *first = add_node(p, &n);
}

static int is_full(const struct paths *p)
{
	return p->n_texts >= PATHS_MAX;
}

/* These find the node below FROM, or make it; 0 where P is full. */

static uint32_t enter_key(struct paths *p, uint32_t from, struct slice key)
{
	uint32_t found = path_kid(p, from, key);

	if (found || is_full(p))
		return found;
	p->nodes[from].filter |= path_key_bit(key);
	return step_add(p, from, key, PATH_NO_ITEM);
}

static uint32_t enter_index(struct paths *p, uint32_t from, uint32_t index)
{
	uint32_t found = path_item(p, from, index);

	if (found || is_full(p))
		return found;
	if (p->nodes[from].items_end <= index)
		p->nodes[from].items_end = index + 1;
	return step_add(p, from, SLICE_NULL, index);
}

static uint32_t enter_any(struct paths *p, uint32_t from)
{
	if (p->nodes[from].any == 0 && !is_full(p)) {
		uint32_t node = add_node(p, &(struct path_node){ .is_list = 1, .parent = from });
		p->nodes[from].any = node;
	}
	return p->nodes[from].any;
}

static int refuse(struct slice path, struct err *e)
{
	if (path.len == 0)
		return err_set(e, ERR_INPUT, "a path is empty");
	if (path.len > PATH_MAX_BYTES)
		return err_set(e, ERR_INPUT, "a path of %zu bytes, the most is %d", path.len, PATH_MAX_BYTES);
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

	if (refuse(path, e) < 0 || check_steps(path, &key, e) < 0)
		return -1;
	for (struct slice rest = path; rest.len;) {
		if (path_step_parse(&rest, rest.ptr == path.ptr, &step, &key, e) < 0)
			return -1;
		if (step.kind == STEP_KEY)
			node = enter_key(p, node, buf_slice(&key));
		else
			node = step.kind == STEP_INDEX ? enter_index(p, node, step.at) : enter_any(p, node);
		if (node == 0)
			break;
	}
	if (node && p->nodes[node].path >= 0)
		return p->nodes[node].path;
	if (is_full(p))
		return err_set(e, ERR_INPUT, "more than %d payload paths", PATHS_MAX);
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
