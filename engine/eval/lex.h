/* eval/lex.h - the tokens of Lua 5.4 text, with their places. Pure: no memory, no errors but a token that says so, and a
 * step forward with every call, whatever the bytes; any thread. */
#pragma once
#include "base/buf.h"

enum token_kind {
	TOKEN_END,                      /* of the text */
	TOKEN_NAME,                     /* keywords too: token_is */
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_SYMBOL,                   /* "{", "==", "..." */
	TOKEN_WRONG,                    /* an unfinished string or a byte that begins no token */
};
struct token {
	enum token_kind kind;
	struct slice text;              /* as written, quotes included; borrowed from the text */
	int line, col;                  /* of its beginning; 1-based, in bytes */
	int end_line;                   /* of its last byte: a long string has several */
};
struct lexer {
	struct slice text;
	size_t at, line_begin;
	int line;
};

void lexer_init(struct lexer *l, struct slice text);            /* a first line that begins with '#' is skipped, as Lua does */
void lexer_next(struct lexer *l, struct token *out);
int token_is(const struct token *t, const char *word);          /* a symbol or a name; never a string */
int token_is_keyword(const struct token *t);
/* The value of a TOKEN_STRING, escapes resolved. 0, or -1 where it holds an escape that Lua refuses. */
int token_string(const struct token *t, struct buf *out);
