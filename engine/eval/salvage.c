/* eval/salvage.c - nobody indents a declaration to the left margin within another one: what stands between two statements there is
 * whole, whatever its brackets look like. Only declarations are left out. Of a loop or a function at the margin it is not known
 * where it ends, once something in it is wrong. */
#include "eval/salvage.h"

#include <stdlib.h>
#include <string.h>

#include "eval/places.h"
#include "rules/schema.h"

static int is_one_of(const struct token *t, const char *const *words)
{
	for (; *words; words++)
		if (token_is(t, *words))
			return 1;
	return 0;
}

static int is_declaration(const struct token *t)
{
	return t->kind == TOKEN_NAME && (schema_decl_find(t->text) || is_one_of(t, schema_later_words));
}

/* The first token of a statement at the left margin. */
static int is_margin(const struct token *t)
{
	static const char *const statements[] = { "local", "function", "for", "if", "while", "repeat", "do", "return", "goto", NULL };
	return t->col == 1 && (is_declaration(t) || is_one_of(t, statements));
}

static void lose(struct salvage_lost *lost, const struct token *t)
{
	lost->names = xrealloc(lost->names, (lost->n + 1) * sizeof *lost->names);
	lost->names[lost->n++] = slice_dup(t->text);
}

int salvage(const struct places *p, int line, struct buf *text, struct salvage_lost *lost)
{
	size_t n, from = 0, to;
	const struct token *t = places_tokens(p, &n), *first = NULL;

	for (size_t i = 0; i + 1 < n && t[i].line <= line; i++)
		if (is_margin(&t[i]))
			first = &t[from = i];
	if (!first || !is_declaration(first))
		return -1;
	for (to = from + 1; to + 1 < n && !is_margin(&t[to]); to++)
		if (token_is(&t[to - 1], "local") || (token_is(&t[to - 1], "function") && token_is(&t[to - 2], "local")))
			lose(lost, &t[to]);
	size_t begin = (size_t)(first->text.ptr - text->ptr), end = to + 1 < n ? (size_t)(t[to].text.ptr - text->ptr) : text->len;
	for (size_t i = begin; i < end; i++)
		text->ptr[i] = text->ptr[i] == '\n' ? '\n' : ' ';
	return 0;
}

int salvage_is_lost(const struct salvage_lost *lost, const char *name)
{
	for (size_t i = 0; i < lost->n; i++)
		if (strcmp(lost->names[i], name) == 0)
			return 1;
	return 0;
}

void salvage_lost_fini(struct salvage_lost *lost)
{
	for (size_t i = 0; i < lost->n; i++)
		free(lost->names[i]);
	free(lost->names);
	*lost = (struct salvage_lost){ 0 };
}
