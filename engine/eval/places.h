/* eval/places.h - where things stand in a Lua text: table constructors with the places of their keys and items, the
 * declarations they belong to, and what Lua keeps silent about (keys given twice, nil in a table, a comma that is missing
 * so that two values become a call). Made from tokens alone, of any text, well formed or not. Pure; any thread. */
#pragma once
#include "eval/lex.h"
#include "rules/diag.h"

struct place_table;
struct place_field {
	struct slice key;               /* ptr NULL: an item, or a key that is computed */
	int is_item, is_nil;
	int line, col;                  /* of the key, or of the item */
	int value_line, value_col;
	const struct place_table *table;        /* where the value is a constructor, or a local that is one; else NULL */
	struct slice local;             /* private: the name that the value is */
};
struct place_table {
	int line, col;                  /* of its brace */
	struct place_field *fields;     /* in the order of the text */
	size_t n;
	uint32_t *items, *keys;         /* private: numbers of fields; of the keys the last of each name, sorted */
	size_t n_items, n_keys;
};

struct places;
/* TEXT is borrowed until places_free. What is wrong is added to OUT under the name FILE. */
struct places *places_new(struct slice text, const char *file, struct diags *out);
void places_free(struct places *p);                                     /* NULL is fine */

/* All tokens of the text, in order; the last is TOKEN_END. Borrowed. */
const struct token *places_tokens(const struct places *p, size_t *n);
/* The line of the first place where a comma or a brace is missing, 0 for none: a syntax error of Lua further down is its
 * consequence. */
int places_first_fault(const struct places *p);
/* The declaration `KIND "NAME"` or `KIND {` whose word stands on LINE: its column, and its table where it is written out,
 * else NULL. Column 0: there is none. NAME may be a computed one. */
int places_declaration(const struct places *p, const char *kind, struct slice name, int line, const struct place_table **table);
/* The last field of that key; the item of that number, from 0; NULL where there is none. */
const struct place_field *place_key(const struct place_table *t, struct slice key);
const struct place_field *place_item(const struct place_table *t, size_t number);

/* The token WORD as near to LINE as there is one: where Lua names a word and a line only. Its line, 0 for none. */
enum place_use { PLACE_READ, PLACE_ASSIGNED, PLACE_ANY };
int places_word(const struct places *p, struct slice word, int line, enum place_use use, int *col);
/* The last brace on LINE that opens: for "'}' expected (to close '{' at line N)". Column, or 0. */
int places_brace(const struct places *p, int line);
/* Names of locals, NULL-ended, borrowed: what an undefined name may have meant. */
const char *const *places_locals(const struct places *p);
