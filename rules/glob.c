/* rules/glob.c - a pattern is a list of tokens, one per character or wildcard, and matching follows all ways through it
 * at once: STATE j means that the tokens before j have matched what was read so far. A wildcard's state stays while it
 * eats, and reaches the one behind it without eating. So no input makes it try again from the beginning, as
 * backtracking would.
 *
 * What most patterns are is decided before that: a value that does not begin or end as the pattern does, a pattern with
 * a single star. */
#include "rules/glob.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* TOKEN_FOLDERS eats nothing: it leads to the TOKEN_ANY and the slash behind it, or past both. */
enum token_kind { TOKEN_CHAR, TOKEN_ONE, TOKEN_STAR, TOKEN_ANY, TOKEN_FOLDERS };

struct token {
	enum token_kind kind;
	uint32_t code;                  /* TOKEN_CHAR */
};
struct glob {
	char *head, *tail;              /* literal bytes before the first and behind the last wildcard */
	size_t head_len, tail_len, n;
	struct token tokens[];          /* what lies between them */
};

#define WORDS (GLOB_MAX_BYTES / 64 + 1)
struct states {
	uint64_t bits[WORDS];
};

static int is_wildcard(char c)
{
	return c == '*' || c == '?';
}

int glob_is_literal(struct slice pattern)
{
	return slice_chr(pattern, '*') < 0 && slice_chr(pattern, '?') < 0;
}

static struct slice longest_name(struct slice pattern)
{
	struct slice rest = pattern, name, longest = SLICE_NULL;

	while (slice_cut(rest, '/', &name, &rest))
		if (name.len > longest.len && glob_is_literal(name))
			longest = name;
	return longest;
}

struct glob_parts glob_parts(struct slice pattern)
{
	size_t first = 0, last = pattern.len;

	while (first < pattern.len && !is_wildcard(pattern.ptr[first]))
		first++;
	while (last > first && !is_wildcard(pattern.ptr[last - 1]))
		last--;
	last += last < pattern.len && last > first && pattern.ptr[last] == '/';         /* it may belong to the stars before it */
	return (struct glob_parts){ slice_upto(pattern, first), slice_from(pattern, last), longest_name(pattern) };
}

/* The next character and its length; a byte that begins none counts as one, told apart from every real one. */
static size_t next_char(struct slice s, uint32_t *code)
{
	size_t n = utf8_next(s, code);
	if (n)
		return n;
	*code = 0x110000u + (unsigned char)s.ptr[0];
	return 1;
}

/* The wildcard at I, into TOKENS: as many as were added; *len: its bytes. */
static size_t add_wildcard(struct slice pattern, size_t i, struct token *tokens, size_t *len)
{
	size_t stars = 0;

	if (pattern.ptr[i] == '?') {
		*len = 1;
		tokens[0].kind = TOKEN_ONE;
		return 1;
	}
	while (i + stars < pattern.len && pattern.ptr[i + stars] == '*')
		stars++;
	*len = stars;
	tokens[0].kind = stars == 1 ? TOKEN_STAR : TOKEN_ANY;
	int at_folder = i == 0 || pattern.ptr[i - 1] == '/';
	if (stars == 1 || !at_folder || i + stars == pattern.len || pattern.ptr[i + stars] != '/')
		return 1;
	*len = stars + 1;
	tokens[0].kind = TOKEN_FOLDERS;
	tokens[1].kind = TOKEN_ANY;
	tokens[2] = (struct token){ TOKEN_CHAR, '/' };
	return 3;
}

static size_t tokenise(struct slice pattern, size_t from, size_t to, struct token *tokens)
{
	struct slice upto = slice_upto(pattern, to);
	size_t n = 0, len;

	for (size_t i = from; i < to; i += len) {
		if (is_wildcard(pattern.ptr[i])) {
			n += add_wildcard(upto, i, &tokens[n], &len);
			continue;
		}
		len = next_char(slice_from(upto, i), &tokens[n].code);
		tokens[n++].kind = TOKEN_CHAR;
	}
	return n;
}

int glob_compile(struct slice pattern, struct glob **out, struct err *e)
{
	size_t first = 0, last = pattern.len;

	if (pattern.len > GLOB_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "a pattern of %zu bytes, the most is %d", pattern.len, GLOB_MAX_BYTES);
	while (first < pattern.len && !is_wildcard(pattern.ptr[first]))
		first++;
	while (last > first && !is_wildcard(pattern.ptr[last - 1]))
		last--;
	if (last < pattern.len && last >= 2 && pattern.ptr[last] == '/' && pattern.ptr[last - 2] == '*')
		last++;                                 /* the slash may belong to a folder wildcard */
	struct glob *g = xcalloc(1, sizeof *g + (last - first) * sizeof g->tokens[0]);
	g->head = slice_dup(slice_upto(pattern, first));
	g->head_len = first;
	g->tail = slice_dup(slice_from(pattern, last));
	g->tail_len = pattern.len - last;
	g->n = tokenise(pattern, first, last, g->tokens);
	*out = g;
	return 0;
}

void glob_free(struct glob *g)
{
	if (!g)
		return;
	free(g->head);
	free(g->tail);
	free(g);
}

static void add(struct states *s, size_t j)
{
	s->bits[j / 64] |= (uint64_t)1 << (j % 64);
}

static int has(const struct states *s, size_t j)
{
	return s->bits[j / 64] >> (j % 64) & 1;
}

static void step_from(const struct token *t, size_t j, uint32_t c, struct states *next)
{
	switch (t->kind) {
	case TOKEN_CHAR:
		if (c == t->code)
			add(next, j + 1);
		return;
	case TOKEN_ONE:
		if (c != '/')
			add(next, j + 1);
		return;
	case TOKEN_STAR:
		if (c != '/')
			add(next, j);
		return;
	case TOKEN_ANY:
		add(next, j);
		return;
	case TOKEN_FOLDERS:
		return;
	}
}

/* What is reached without reading: a wildcard may match nothing, whole folders may be passed over. */
static void reach(const struct glob *g, struct states *s)
{
	for (size_t j = 0; j < g->n; j++) {
		enum token_kind kind = g->tokens[j].kind;
		if (!has(s, j) || kind == TOKEN_CHAR || kind == TOKEN_ONE)
			continue;
		add(s, j + 1);
		if (kind == TOKEN_FOLDERS)
			add(s, j + 3);
	}
}

static int is_empty(const struct states *s, size_t words)
{
	uint64_t any = 0;
	for (size_t w = 0; w < words; w++)
		any |= s->bits[w];
	return any == 0;
}

static int all_ways(const struct glob *g, struct slice text)
{
	struct states now, next;
	size_t words = g->n / 64 + 1;

	memset(&now, 0, words * sizeof now.bits[0]);
	add(&now, 0);
	reach(g, &now);
	while (text.len) {
		uint32_t c;
		text = slice_from(text, next_char(text, &c));
		memset(&next, 0, words * sizeof next.bits[0]);
		for (size_t j = 0; j < g->n; j++)
			if (has(&now, j))
				step_from(&g->tokens[j], j, c, &next);
		reach(g, &next);
		if (is_empty(&next, words))
			return 0;
		memcpy(&now, &next, words * sizeof now.bits[0]);
	}
	return has(&now, g->n);
}

int glob_matches(const struct glob *g, struct slice text)
{
	if (text.len < g->head_len + g->tail_len || !slice_starts(text, (struct slice){ g->head, g->head_len }) ||
	    !slice_ends(text, (struct slice){ g->tail, g->tail_len }))
		return 0;
	text = slice_upto(slice_from(text, g->head_len), text.len - g->head_len - g->tail_len);
	if (g->n == 0)
		return text.len == 0;
	if (g->n == 1 && g->tokens[0].kind == TOKEN_ANY)
		return 1;
	if (g->n == 1 && g->tokens[0].kind == TOKEN_STAR)
		return slice_chr(text, '/') < 0;
	return all_ways(g, text);
}
