/* eval/lex.c - Lua's lexical rules (manual, 3.1), read forgivingly: whether a text is well formed is Lua's to say; here it
 * only matters where things stand. */
#include "eval/lex.h"

#include <string.h>

static int is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static int is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int is_name_byte(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The byte N further, or -1 behind the end. */
static int peek(const struct lexer *l, size_t n)
{
	return n < l->text.len - l->at ? (unsigned char)l->text.ptr[l->at + n] : -1;
}

static void skip(struct lexer *l)
{
	if (l->text.ptr[l->at++] == '\n') {
		l->line++;
		l->line_begin = l->at;
	}
}

static void skip_n(struct lexer *l, size_t n)
{
	while (n-- && l->at < l->text.len)
		skip(l);
}

void lexer_init(struct lexer *l, struct slice text)
{
	*l = (struct lexer){ .text = text, .line = 1 };
	if (peek(l, 0) == '#')
		while (peek(l, 0) >= 0 && peek(l, 0) != '\n')
			skip(l);
}

/* At "[": the number of '=' in "[==[", or -1 where this is no long bracket. */
static int long_level(const struct lexer *l)
{
	size_t n = 1;

	while (peek(l, n) == '=')
		n++;
	return peek(l, n) == '[' ? (int)n - 1 : -1;
}

static int closes(const struct lexer *l, size_t level)
{
	if (peek(l, 0) != ']' || peek(l, level + 1) != ']')
		return 0;
	for (size_t i = 1; i <= level; i++)
		if (peek(l, i) != '=')
			return 0;
	return 1;
}

/* From "[==[" behind its "]==]"; 0 where the text ends first. */
static int skip_long(struct lexer *l, size_t level)
{
	skip_n(l, level + 2);
	while (l->at < l->text.len) {
		if (closes(l, level)) {
			skip_n(l, level + 2);
			return 1;
		}
		skip(l);
	}
	return 0;
}

/* Behind the closing quote; 0 where the line or the text ends first. */
static int skip_quoted(struct lexer *l)
{
	int quote = peek(l, 0);

	skip(l);
	for (int c; (c = peek(l, 0)) >= 0 && c != '\n' && c != '\r'; skip(l)) {
		if (c == quote) {
			skip(l);
			return 1;
		}
		if (c == '\\' && peek(l, 1) == 'z') {
			skip(l);
			while (peek(l, 1) >= 0 && strchr(" \t\r\n\v\f", peek(l, 1)) && peek(l, 1))
				skip(l);
		} else if (c == '\\' && peek(l, 1) == '\r' && peek(l, 2) == '\n') {
			skip_n(l, 2);
		} else if (c == '\\' && peek(l, 1) >= 0) {
			skip(l);
		}
	}
	return 0;
}

static void skip_number(struct lexer *l)
{
	int is_hexadecimal = peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x';

	for (int c; (c = peek(l, 0)) >= 0 && (is_name_byte(c) || c == '.');) {
		int is_exponent = (c | 0x20) == (is_hexadecimal ? 'p' : 'e');
		skip(l);
		if (is_exponent && (peek(l, 0) == '+' || peek(l, 0) == '-'))
			skip(l);
	}
}

/* White space and comments; 0 where a long comment never ends. */
static int skip_blank(struct lexer *l)
{
	for (int c; (c = peek(l, 0)) >= 0;) {
		if (c && strchr(" \t\r\n\v\f", c)) {
			skip(l);
			continue;
		}
		if (c != '-' || peek(l, 1) != '-')
			return 1;
		skip_n(l, 2);
		int level = peek(l, 0) == '[' ? long_level(l) : -1;
		if (level >= 0 && !skip_long(l, (size_t)level))
			return 0;
		while (level < 0 && peek(l, 0) >= 0 && peek(l, 0) != '\n')
			skip(l);
	}
	return 1;
}

static void skip_symbol(struct lexer *l, struct token *t)
{
	static const char *const symbols[] = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" };
	int c = peek(l, 0);

	t->kind = c && strchr("+-*/%^#&~|<>=(){}[];:,.", c) ? TOKEN_SYMBOL : TOKEN_WRONG;
	for (size_t i = 0; i < COUNT(symbols); i++)
		if (slice_starts(slice_from(l->text, l->at), slice_of(symbols[i]))) {
			skip_n(l, strlen(symbols[i]));
			return;
		}
	skip(l);
}

static void skip_token(struct lexer *l, struct token *t)
{
	int c = peek(l, 0);

	if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
		t->kind = TOKEN_NUMBER;
		skip_number(l);
	} else if (is_name_byte(c)) {
		t->kind = TOKEN_NAME;
		while (is_name_byte(peek(l, 0)))
			skip(l);
	} else if (c == '"' || c == '\'') {
		t->kind = skip_quoted(l) ? TOKEN_STRING : TOKEN_WRONG;
	} else if (c == '[' && long_level(l) >= 0) {
		t->kind = skip_long(l, (size_t)long_level(l)) ? TOKEN_STRING : TOKEN_WRONG;
	} else {
		skip_symbol(l, t);
	}
}

void lexer_next(struct lexer *l, struct token *out)
{
	int is_whole = skip_blank(l);
	size_t begin = l->at;

	*out = (struct token){ is_whole ? TOKEN_END : TOKEN_WRONG, SLICE_NULL, l->line, (int)(l->at - l->line_begin) + 1, l->line };
	if (peek(l, 0) < 0)
		return;
	skip_token(l, out);
	out->text = slice_upto(slice_from(l->text, begin), l->at - begin);
	out->end_line = l->line;
}

int token_is(const struct token *t, const char *word)
{
	return (t->kind == TOKEN_NAME || t->kind == TOKEN_SYMBOL) && slice_eq(t->text, slice_of(word));
}

int token_is_keyword(const struct token *t)
{
	static const char *const words[] = {
		"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil",
		"not", "or", "repeat", "return", "then", "true", "until", "while",
	};
	for (size_t i = 0; i < COUNT(words); i++)
		if (token_is(t, words[i]))
			return 1;
	return 0;
}

/* ---- the value of a string ---- */

static int hex_value(int c)
{
	return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void add_utf8(uint32_t code, struct buf *out)
{
	static const struct { uint32_t most; int lead; int more; } forms[] = {
		{ 0x7f, 0, 0 }, { 0x7ff, 0xc0, 1 }, { 0xffff, 0xe0, 2 }, { 0x1fffff, 0xf0, 3 }, { 0x3ffffff, 0xf8, 4 }, { 0x7fffffff, 0xfc, 5 },
	};
	size_t i = 0;

	while (code > forms[i].most)
		i++;
	buf_addc(out, (char)(forms[i].lead | (int)(code >> 6 * forms[i].more)));
	for (int left = forms[i].more - 1; left >= 0; left--)
		buf_addc(out, (char)(0x80 | (code >> 6 * left & 0x3f)));
}

/* Behind "\u": "{1F600}". */
static int unicode_escape(struct slice *s, struct buf *out)
{
	uint32_t code = 0;
	size_t i = 1;

	if (!s->len || s->ptr[0] != '{')
		return -1;
	for (; i < s->len && is_hex((unsigned char)s->ptr[i]); i++) {
		if (code > 0x7ffffff)
			return -1;
		code = code << 4 | (uint32_t)hex_value(s->ptr[i]);
	}
	if (i == 1 || i == s->len || s->ptr[i] != '}')
		return -1;
	add_utf8(code, out);
	*s = slice_from(*s, i + 1);
	return 0;
}

static int decimal_escape(struct slice *s, struct buf *out)
{
	int code = 0;
	size_t i = 0;

	for (; i < 3 && i < s->len && is_digit((unsigned char)s->ptr[i]); i++)
		code = code * 10 + (s->ptr[i] - '0');
	if (i == 0 || code > 255)
		return -1;
	buf_addc(out, (char)code);
	*s = slice_from(*s, i);
	return 0;
}

/* S is behind the backslash, and not empty. */
static int escape(struct slice *s, struct buf *out)
{
	static const char from[] = "abfnrtv\\\"'\n", to[] = "\a\b\f\n\r\t\v\\\"'\n";
	char c = s->ptr[0];
	const char *simple = c ? strchr(from, c) : NULL;

	if (is_digit((unsigned char)c))
		return decimal_escape(s, out);
	*s = slice_from(*s, 1);
	if (simple) {
		buf_addc(out, to[simple - from]);
		return 0;
	}
	if (c == 'u')
		return unicode_escape(s, out);
	if (c == 'x' && s->len >= 2 && is_hex((unsigned char)s->ptr[0]) && is_hex((unsigned char)s->ptr[1])) {
		buf_addc(out, (char)(hex_value(s->ptr[0]) << 4 | hex_value(s->ptr[1])));
		*s = slice_from(*s, 2);
		return 0;
	}
	if (c == '\r') {
		buf_addc(out, '\n');
		*s = slice_from(*s, slice_starts(*s, SLICE("\n")) ? 1 : 0);
		return 0;
	}
	while (c == 'z' && s->len && s->ptr[0] && strchr(" \t\r\n\v\f", s->ptr[0]))
		*s = slice_from(*s, 1);
	return c == 'z' ? 0 : -1;
}

/* [==[ text ]==]: a newline at the very beginning is not part of it. */
static void long_string(struct slice s, struct buf *out)
{
	size_t level = 1;

	while (s.ptr[level] == '=')
		level++;
	s = slice_upto(slice_from(s, level + 1), s.len - 2 * (level + 1));
	if (slice_starts(s, SLICE("\r\n")))
		s = slice_from(s, 2);
	else if (slice_starts(s, SLICE("\n")))
		s = slice_from(s, 1);
	buf_add(out, s);
}

int token_string(const struct token *t, struct buf *out)
{
	struct slice s = t->text, plain;

	if (s.ptr[0] == '[') {
		long_string(s, out);
		return 0;
	}
	s = slice_upto(slice_from(s, 1), s.len - 2);
	while (slice_cut(s, '\\', &plain, &s)) {
		buf_add(out, plain);
		if (s.len == 0 || escape(&s, out) < 0)
			return -1;
	}
	buf_add(out, plain);
	return 0;
}
