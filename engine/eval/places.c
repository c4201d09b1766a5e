/* eval/places.c - a reader of Lua's brackets and blocks. It knows of the grammar what it takes to tell the fields of a table
 * constructor apart: brackets nest, `function … end` and its like nest, a field ends at a comma. In the bodies of functions it
 * only keeps count: what is code there is none of the data's business.
 *
 * An expression that has ended and is followed by the beginning of another one, with nothing in between, lacks a comma. Where
 * Lua would read the two as a call (f "x" with the string on the next line) it does so silently; a declaration's own table may
 * stand on a line of its own, as that is at the level of statements. */
#include "eval/places.h"

#include <stdlib.h>
#include <string.h>

#include "rules/arena.h"
#include "rules/schema.h"

#define DEPTH_MAX 150                   /* Lua itself stops at 200 */
#define LOCALS_MAX 500

struct declaration {
	struct slice word, name;        /* name.ptr NULL: computed, or none */
	int line, col;
	const struct place_table *table;
};
struct local {
	struct slice name;
	const struct place_table *table;        /* NULL: of another kind */
};
struct places {
	struct arena *arena;
	struct token *tokens;           /* the last is TOKEN_END */
	size_t n_tokens;
	struct declaration *declarations;
	size_t n_declarations;
	struct local locals[LOCALS_MAX];
	const char *local_names[LOCALS_MAX + 1];
	size_t n_locals;
	int first_fault;
};
struct reader {
	struct places *p;
	const char *file;
	struct diags *out;
	size_t at;
	int depth, functions;           /* brackets and blocks around; functions among them */
	int is_lost;                    /* a brace is missing: every open table ends here */
	int suspect_line, suspect_col, suspect_key_line;        /* a brace that was forgotten, by how what follows is indented */
	struct slice suspect_key;
	int is_unended;                 /* the text ended within a block or a parenthesis: which one lacks its end is Lua's to say */
};

static const struct token *now(const struct reader *r)
{
	return &r->p->tokens[r->at];
}

static const struct token *ahead(const struct reader *r, size_t n)
{
	size_t left = r->p->n_tokens - 1 - r->at;
	return &r->p->tokens[r->at + (n < left ? n : left)];
}

static void step(struct reader *r)
{
	if (now(r)->kind != TOKEN_END)
		r->at++;
}

static int is_name(const struct token *t)
{
	return t->kind == TOKEN_NAME && !(t->text.ptr[0] >= '0' && t->text.ptr[0] <= '9') && !token_is_keyword(t);
}

static int is_declaration_word(const struct token *t)
{
	if (t->kind != TOKEN_NAME)
		return 0;
	for (const char *const *w = schema_later_words; *w; w++)
		if (token_is(t, *w))
			return 1;
	return schema_decl_find(t->text) != NULL;
}

/* ---- what is wrong ---- */

static int is_data(const struct reader *r)
{
	return r->functions == 0;
}

static void fault(struct reader *r, int line)
{
	if (!r->p->first_fault)
		r->p->first_fault = line;
}

static struct slice glimpse(struct slice text)
{
	slice_cut(text, '\n', &text, &(struct slice){ 0 });
	return slice_upto(text, 30);
}

static void say_no_comma(struct reader *r, const struct token *before, const struct token *next)
{
	size_t len = before->text.len;
	int col = before->end_line == before->line ? before->col + (int)len : 0;

	fault(r, before->end_line);
	diags_add(r->out, DIAG_ERROR, r->file, before->end_line, col, 0, "E002",
		  "a comma is missing here, before '" SLICE_FMT "' at line %d", SLICE_ARG(glimpse(next->text)), next->line);
}

/* What other languages write, at T: how it is said here. */
static void say_foreign(struct reader *r, const struct token *t, const char *how)
{
	fault(r, t->line);
	diags_add(r->out, DIAG_ERROR, r->file, t->line, t->col, 0, "E016", "%s", how);
}

/* What no text of Lua holds: comments, comparisons and junctions of C, and a text without its second quote, whose line hides what
 * else stands on it. */
static void find_foreign(struct reader *r)
{
	for (size_t i = 0; i + 1 < r->p->n_tokens; i++) {
		const struct token *t = &r->p->tokens[i], *next = t + 1;
		int is_joined = next->line == t->line && next->col == t->col + 1, is_first = i == 0 || t[-1].end_line < t->line;
		if (t->kind == TOKEN_WRONG && (slice_starts(t->text, SLICE("\"")) || slice_starts(t->text, SLICE("'")))) {
			say_foreign(r, t, "this text has no second quote of the same kind on its line");
			r->is_unended = 1;
		} else if (t->kind == TOKEN_WRONG && slice_starts(t->text, SLICE("!"))) {
			say_foreign(r, t, "Lua writes ~= and not; in `when`, all but x is { except = \"x\" } or { ne = \"x\" }");
		} else if (token_is(t, "&") && token_is(next, "&") && is_joined) {
			say_foreign(r, t, "Lua writes and; in `when`, the members of one table must all hold");
		} else if (token_is(t, "|") && token_is(next, "|") && is_joined) {
			say_foreign(r, t, "Lua writes or; in `when`, one of several is a list, or any = { { … }, { … } }");
		} else if (token_is(t, "//") && is_first) {
			say_foreign(r, t, "a comment begins with --");
		}
	}
}

/* The column of the first token on T's line. */
static int margin_of(const struct reader *r, const struct place_table *t)
{
	size_t i = r->at;

	while (i && r->p->tokens[i - 1].line >= t->line)
		i--;
	return r->p->tokens[i].col;
}

/* A field of T that stands where T's own line begins, as if T had ended: T's brace is the one that was forgotten, should one
 * be. The first that is found is remembered. */
static void watch_margin(struct reader *r, const struct place_table *t, const struct place_field *f)
{
	if (r->suspect_line || !is_data(r) || f->line == t->line || !f->key.ptr)
		return;
	if (f->col != margin_of(r, t) || f->col == t->col)
		return;
	r->suspect_line = t->line;
	r->suspect_col = t->col;
	r->suspect_key = f->key;
	r->suspect_key_line = f->line;
}

static void say_not_closed(struct reader *r, const struct place_table *t)
{
	r->is_lost = 1;
	if (r->suspect_line >= t->line) {
		fault(r, r->suspect_line);
		diags_add(r->out, DIAG_ERROR, r->file, r->suspect_line, r->suspect_col, 0, "E003",
			  "this brace is not closed before '" SLICE_FMT "' at line %d, which stands where its own line begins",
			  SLICE_ARG(r->suspect_key), r->suspect_key_line);
		return;
	}
	fault(r, t->line);
	if (now(r)->kind == TOKEN_END)
		diags_add(r->out, DIAG_ERROR, r->file, t->line, t->col, 0, "E003", "this brace is not closed");
	else
		diags_add(r->out, DIAG_ERROR, r->file, t->line, t->col, 0, "E003",
			  "this brace is not closed before '" SLICE_FMT "' at line %d", SLICE_ARG(now(r)->text), now(r)->line);
}

static void say_twice(struct reader *r, const struct place_field *f, const struct place_field *first)
{
	diags_add(r->out, DIAG_ERROR, r->file, f->line, f->col, 0, "E004",
		  "'" SLICE_FMT "' is given twice, first at line %d: Lua would keep only one", SLICE_ARG(f->key), first->line);
}

static void check_nil(struct reader *r, const struct place_field *f)
{
	if (!is_data(r) || !f->is_nil)
		return;
	if (f->key.ptr)
		diags_add(r->out, DIAG_ERROR, r->file, f->value_line, f->value_col, 0, "E005",
			  "nil is nothing: '" SLICE_FMT "' would not be there at all; leave it out, or write null", SLICE_ARG(f->key));
	else
		diags_add(r->out, DIAG_ERROR, r->file, f->value_line, f->value_col, 0, "E005",
			  "nil makes a hole in this list; leave it out, or write null");
}

/* ---- expressions ---- */

static const struct place_table *read_table(struct reader *r);
static void read_until(struct reader *r, const char *closer);

/* What an expression's last token leaves behind. */
enum tail {
	TAIL_OPEN,                      /* an operator, or nothing yet: more must follow */
	TAIL_VALUE,                     /* a value, complete */
	TAIL_CALLABLE,                  /* a value that a string, a table or a parenthesis behind it would call */
};

static int begins_value(const struct token *t)
{
	return t->kind == TOKEN_STRING || t->kind == TOKEN_NUMBER || is_name(t) || token_is(t, "{") || token_is(t, "function") ||
	       token_is(t, "true") || token_is(t, "false") || token_is(t, "nil");
}

/* True where NEXT cannot belong to the value that ends before it. */
static int lacks_comma(const struct reader *r, enum tail tail, const struct token *before, const struct token *next)
{
	int is_argument = next->kind == TOKEN_STRING || token_is(next, "{") || token_is(next, "(");

	if (!is_data(r) || tail == TAIL_OPEN)
		return 0;
	if (tail == TAIL_CALLABLE && is_argument)
		return next->line > before->end_line;
	return begins_value(next) || (is_argument && tail == TAIL_VALUE);
}

/* One token and, where it opens something, all of it. */
static enum tail read_one(struct reader *r, enum tail tail, const struct place_table **table)
{
	const struct token *t = now(r);
	enum tail after = tail == TAIL_CALLABLE ? TAIL_CALLABLE : TAIL_VALUE;  /* an argument, or a value of its own */

	if (token_is(t, "{")) {
		*table = read_table(r);
		return after;
	}
	step(r);
	if (token_is(t, "(")) {
		read_until(r, ")");
		return TAIL_CALLABLE;
	}
	if (token_is(t, "[")) {
		read_until(r, "]");
		return TAIL_CALLABLE;
	}
	if (token_is(t, "function")) {
		r->functions++;
		read_until(r, "end");
		r->functions--;
		return TAIL_VALUE;
	}
	if (t->kind == TOKEN_STRING)
		return after;
	if (is_name(t))
		return TAIL_CALLABLE;
	return t->kind == TOKEN_NUMBER || token_is(t, "true") || token_is(t, "false") || token_is(t, "nil") || token_is(t, "...") ?
	       TAIL_VALUE : TAIL_OPEN;
}

/* A new declaration at the left margin: nobody indents these into a table on purpose. */
static int is_margin(const struct reader *r)
{
	const struct token *t = now(r);
	return is_data(r) && t->col == 1 && is_declaration_word(t) && (ahead(r, 1)->kind == TOKEN_STRING || token_is(ahead(r, 1), "{"));
}

static int ends_field(const struct reader *r)
{
	const struct token *t = now(r);
	return t->kind == TOKEN_END || token_is(t, ",") || token_is(t, ";") || token_is(t, "}") || r->is_lost || is_margin(r);
}

static void read_value(struct reader *r, struct place_field *f)
{
	const struct token *first = now(r);
	size_t begin = r->at, parts = 0;
	enum tail tail = TAIL_OPEN;

	f->value_line = first->line;
	f->value_col = first->col;
	for (; !ends_field(r); parts++) {
		const struct place_table *table = NULL;
		if (r->at > begin && lacks_comma(r, tail, now(r) - 1, now(r))) {
			say_no_comma(r, now(r) - 1, now(r));
			break;
		}
		tail = read_one(r, tail, &table);
		f->table = parts ? NULL : table;
	}
	if (parts == 1 && is_name(first))
		f->local = first->text;
	f->is_nil = parts == 1 && token_is(first, "nil");
}

/* ---- tables ---- */

static struct slice string_key(struct reader *r, const struct token *t)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);

	if (t->kind != TOKEN_STRING || token_string(t, &text) < 0)
		return SLICE_NULL;
	return arena_copy(r->p->arena, buf_slice(&text));
}

/* `on: "push"` and `branch == "main"`: a key is meant. (`s:rep(3)` is an item, a call.) */
static int is_foreign_key(struct reader *r)
{
	const struct token *t = now(r), *next = ahead(r, 2);
	int is_call = is_name(next) && (ahead(r, 3)->kind == TOKEN_STRING || token_is(ahead(r, 3), "(") || token_is(ahead(r, 3), "{"));

	if (!is_data(r) || (token_is(ahead(r, 1), ":") && is_call) || !(token_is(ahead(r, 1), ":") || token_is(ahead(r, 1), "==")))
		return 0;
	fault(r, t->line);
	diags_add(r->out, DIAG_ERROR, r->file, ahead(r, 1)->line, ahead(r, 1)->col, 0, "E016", "a key is followed by one =: " SLICE_FMT " = …",
		  SLICE_ARG(t->text));
	return 1;
}

/* `name =`, `["name"] =`, `[computed] =`, or nothing: an item. */
static void read_key(struct reader *r, struct place_field *f)
{
	const struct token *t = now(r);

	f->line = t->line;
	f->col = t->col;
	if (is_name(t) && (token_is(ahead(r, 1), "=") || is_foreign_key(r))) {
		f->key = t->text;
		step(r);
		step(r);
	} else if (token_is(t, "[")) {
		if (token_is(ahead(r, 2), "]"))
			f->key = string_key(r, ahead(r, 1));
		step(r);
		read_until(r, "]");
		if (token_is(now(r), "="))
			step(r);
	} else {
		f->is_item = 1;
	}
}

static void add_field(struct place_table *t, const struct place_field *f)
{
	if ((t->n & (t->n - 1)) == 0)           /* room grows at powers of two */
		t->fields = xrealloc(t->fields, (t->n ? t->n * 2 : 1) * sizeof *t->fields);
	t->fields[t->n++] = *f;
}

static int by_key(const void *a, const void *b, void *fields)
{
	const struct place_field *x = (struct place_field *)fields + *(const uint32_t *)a;
	const struct place_field *y = (struct place_field *)fields + *(const uint32_t *)b;
	int order = slice_cmp(x->key, y->key);
	return order ? order : (x > y) - (x < y);
}

/* Sorted by key, of those with one key only the last stays, which is the one that Lua keeps. */
static void index_table(struct reader *r, struct place_table *t)
{
	size_t kept = 0;

	t->items = arena_alloc(r->p->arena, t->n, sizeof *t->items);
	t->keys = arena_alloc(r->p->arena, t->n, sizeof *t->keys);
	for (uint32_t i = 0; i < t->n; i++)
		if (t->fields[i].is_item)
			t->items[t->n_items++] = i;
		else if (t->fields[i].key.ptr)
			t->keys[t->n_keys++] = i;
	if (t->n_keys)
		qsort_r(t->keys, t->n_keys, sizeof *t->keys, by_key, t->fields);
	for (size_t i = 0; i < t->n_keys; i++) {
		const struct place_field *f = &t->fields[t->keys[i]];
		const struct place_field *last = kept ? &t->fields[t->keys[kept - 1]] : NULL;
		int is_twice = last && slice_eq(last->key, f->key);
		if (is_twice && is_data(r))
			say_twice(r, f, last);
		t->keys[is_twice ? kept - 1 : kept++] = t->keys[i];
	}
	t->n_keys = kept;
}

/* While it grows, a table's fields are on the heap; then they move to the arena. */
static const struct place_table *keep_table(struct reader *r, struct place_table *t)
{
	struct place_table *out = arena_alloc(r->p->arena, 1, sizeof *out);
	struct place_field *fields = arena_alloc(r->p->arena, t->n, sizeof *fields);

	if (t->n)
		memcpy(fields, t->fields, t->n * sizeof *fields);
	free(t->fields);
	t->fields = fields;
	index_table(r, t);
	*out = *t;
	return out;
}

static const struct place_table *read_table(struct reader *r)
{
	struct place_table t = { .line = now(r)->line, .col = now(r)->col };

	step(r);
	r->depth++;
	while (!token_is(now(r), "}") && now(r)->kind != TOKEN_END && !r->is_lost) {
		struct place_field f = { 0 };
		size_t begin = r->at;
		if (is_margin(r)) {
			say_not_closed(r, &t);
			break;
		}
		if (token_is(now(r), ",") || token_is(now(r), ";") || r->depth > DEPTH_MAX) {
			step(r);
			continue;
		}
		read_key(r, &f);
		watch_margin(r, &t, &f);
		read_value(r, &f);
		check_nil(r, &f);
		add_field(&t, &f);
		if (r->at == begin)             /* nothing that a field could begin with */
			step(r);
	}
	if (now(r)->kind == TOKEN_END && is_data(r) && !r->is_lost && !r->is_unended)
		say_not_closed(r, &t);
	if (!r->is_lost)
		step(r);
	r->depth--;
	return keep_table(r, &t);
}

/* ---- statements ---- */

static void add_local(struct reader *r, struct slice name, const struct place_table *table)
{
	struct places *p = r->p;

	if (p->n_locals == LOCALS_MAX)
		return;
	p->local_names[p->n_locals] = arena_str(p->arena, name);
	p->locals[p->n_locals++] = (struct local){ name, table };
}

/* Behind `local`: `name = {` is remembered with its table; a name alone may be what an undefined one meant. */
static void read_local(struct reader *r)
{
	const struct place_table *table = NULL;
	struct slice name = now(r)->text;

	if (!is_name(now(r)))
		return;
	step(r);
	if (token_is(now(r), "<"))              /* <const> */
		r->at += r->p->n_tokens - 1 - r->at < 3 ? 0 : 3;
	if (token_is(now(r), "=") && token_is(ahead(r, 1), "{")) {
		step(r);
		table = read_table(r);
	}
	add_local(r, name, is_data(r) ? table : NULL);
}

/* `rule "name" {`, `config {`, `rule(computed) {`. */
/* rule ci { … }: step over the name. */
static void say_no_quotes(struct reader *r, const struct token *word)
{
	const struct token *name = now(r);

	fault(r, name->line);
	diags_add(r->out, DIAG_ERROR, r->file, name->line, name->col, 0, "E016", "a name is a text and needs quotes: " SLICE_FMT " \"" SLICE_FMT
		  "\" { … }", SLICE_ARG(word->text), SLICE_ARG(glimpse(name->text)));
	step(r);
}

/* A comma or a brace behind a declaration that has ended: its last brace was not meant to be that. */
static void say_closed_early(struct reader *r, const struct token *word)
{
	const struct token *brace = now(r) - 1;

	fault(r, brace->line);
	diags_add(r->out, DIAG_ERROR, r->file, brace->line, brace->col, 0, "E003",
		  "this brace closes the '" SLICE_FMT "' of line %d, and more of it follows: here or before it one brace is too many",
		  SLICE_ARG(word->text), word->line);
}

static void read_declaration(struct reader *r)
{
	struct places *p = r->p;
	const struct token *word = now(r);
	struct declaration d = { .word = word->text, .line = word->line, .col = word->col };

	step(r);
	if (now(r)->kind == TOKEN_STRING) {
		d.name = string_key(r, now(r));
		step(r);
	} else if (token_is(now(r), "(")) {
		step(r);
		if (now(r)->kind == TOKEN_STRING && token_is(ahead(r, 1), ",") && token_is(ahead(r, 2), "{")) {
			d.name = string_key(r, now(r));         /* rule("name", { … }) */
			r->at += 2;
			d.table = read_table(r);
		}
		read_until(r, ")");
	} else if (now(r)->kind == TOKEN_NAME && token_is(ahead(r, 1), "{") && is_data(r)) {
		say_no_quotes(r, word);
	}
	if (token_is(now(r), "=") && d.name.ptr && is_data(r)) {
		say_foreign(r, now(r), "no = stands between a declaration's name and its table");
		step(r);
	}
	if (token_is(now(r), "{"))
		d.table = read_table(r);
	if (d.table && r->depth == 1 && (token_is(now(r), ",") || token_is(now(r), "}")))
		say_closed_early(r, word);
	if ((p->n_declarations & (p->n_declarations - 1)) == 0)
		p->declarations = xrealloc(p->declarations, (p->n_declarations ? p->n_declarations * 2 : 1) * sizeof d);
	p->declarations[p->n_declarations++] = d;
}

static int opens_block(const struct token *t)
{
	return token_is(t, "function") || token_is(t, "if") || token_is(t, "do");
}

static void read_statement_token(struct reader *r)
{
	const struct token *t = now(r), *before = r->at ? t - 1 : NULL;
	int is_function = token_is(t, "function");

	if (token_is(t, "{")) {
		read_table(r);
		return;
	}
	if (is_declaration_word(t) && !(before && (token_is(before, ".") || token_is(before, ":") || token_is(before, "local")))) {
		read_declaration(r);
		return;
	}
	step(r);
	r->functions += is_function;
	if (token_is(t, "("))
		read_until(r, ")");
	else if (token_is(t, "["))
		read_until(r, "]");
	else if (opens_block(t))
		read_until(r, "end");
	else if (token_is(t, "repeat"))
		read_until(r, "until");
	else if (token_is(t, "local"))
		read_local(r);
	r->functions -= is_function;
}

/* A bracket that closes nothing in here belongs to something around: this block has no end. */
static int leaves_block(struct reader *r, const char *closer, const struct token *opener)
{
	const struct token *t = now(r);
	int is_block = closer && (closer[0] == 'e' || closer[0] == 'u');

	if (!is_block || !(token_is(t, "}") || token_is(t, ")") || token_is(t, "]")))
		return 0;
	fault(r, opener->line);
	diags_add(r->out, DIAG_ERROR, r->file, opener->line, opener->col, 0, "E003",
		  "this '" SLICE_FMT "' has no '%s' before '" SLICE_FMT "' at line %d", SLICE_ARG(opener->text), closer,
		  SLICE_ARG(t->text), t->line);
	return 1;
}

/* Up to and with CLOSER; NULL: to the end of the text. What opened it stands just before. */
static void read_until(struct reader *r, const char *closer)
{
	const struct token *opener = r->at ? now(r) - 1 : now(r);
	int is_left = 0;

	r->depth++;
	while (now(r)->kind != TOKEN_END && !(closer && (r->is_lost || token_is(now(r), closer)))) {
		r->is_lost = 0;
		if ((is_left = leaves_block(r, closer, opener)))
			break;
		if (r->depth > DEPTH_MAX)
			step(r);
		else
			read_statement_token(r);
	}
	if (closer && now(r)->kind == TOKEN_END)
		r->is_unended = 1;
	if (!r->is_lost && !is_left)
		step(r);
	r->depth--;
}

/* ---- after reading ---- */

static const struct place_table *local_table(const struct places *p, struct slice name)
{
	for (size_t i = p->n_locals; i-- > 0;)
		if (slice_eq(p->locals[i].name, name))
			return p->locals[i].table;
	return NULL;
}

/* The tree is ours: const is for those who look. */
static void resolve(const struct places *p, const struct place_table *t)
{
	for (size_t i = 0; t && i < t->n; i++) {
		struct place_field *f = &t->fields[i];
		if (f->local.ptr)
			f->table = local_table(p, f->local);
		else
			resolve(p, f->table);
	}
}

static void tokenize(struct places *p, struct slice text)
{
	struct lexer l;
	struct token t;

	lexer_init(&l, text);
	do {
		lexer_next(&l, &t);
		if ((p->n_tokens & (p->n_tokens - 1)) == 0)
			p->tokens = xrealloc(p->tokens, (p->n_tokens ? p->n_tokens * 2 : 1) * sizeof t);
		p->tokens[p->n_tokens++] = t;
	} while (t.kind != TOKEN_END);
}

struct places *places_new(struct slice text, const char *file, struct diags *out)
{
	struct places *p = xcalloc(1, sizeof *p);
	struct reader r = { .p = p, .file = file, .out = out };

	p->arena = arena_new();
	tokenize(p, text);
	find_foreign(&r);
	read_until(&r, NULL);
	for (size_t i = 0; i < p->n_declarations; i++)
		resolve(p, p->declarations[i].table);
	for (size_t i = 0; i < p->n_locals; i++)
		resolve(p, p->locals[i].table);
	return p;
}

void places_free(struct places *p)
{
	if (!p)
		return;
	arena_free(p->arena);
	free(p->tokens);
	free(p->declarations);
	free(p);
}

const struct token *places_tokens(const struct places *p, size_t *n)
{
	*n = p->n_tokens;
	return p->tokens;
}

int places_first_fault(const struct places *p)
{
	return p->first_fault;
}

int places_declaration(const struct places *p, const char *kind, struct slice name, int line, const struct place_table **table)
{
	*table = NULL;
	for (size_t i = 0; i < p->n_declarations; i++) {
		const struct declaration *d = &p->declarations[i];
		if (d->line != line || !slice_eq(d->word, slice_of(kind)) || (d->name.ptr && !slice_eq(d->name, name)))
			continue;
		*table = d->table;
		return d->col;
	}
	return 0;
}

const struct place_field *place_key(const struct place_table *t, struct slice key)
{
	for (size_t from = 0, to = t->n_keys; from < to;) {
		size_t middle = (from + to) / 2;
		const struct place_field *f = &t->fields[t->keys[middle]];
		int order = slice_cmp(key, f->key);
		if (order == 0)
			return f;
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

const struct place_field *place_item(const struct place_table *t, size_t number)
{
	return number < t->n_items ? &t->fields[t->items[number]] : NULL;
}

/* T is not the last token: that one has no text. */
static int is_used_so(const struct token *t, int is_first, enum place_use use)
{
	int is_member = !is_first && (token_is(t - 1, ".") || token_is(t - 1, ":"));
	int is_assigned = token_is(t + 1, "=") || token_is(t + 1, ",");

	return use == PLACE_ANY || (!is_member && (use == PLACE_ASSIGNED ? is_assigned : !token_is(t + 1, "=")));
}

int places_word(const struct places *p, struct slice word, int line, enum place_use use, int *col)
{
	const struct token *best = NULL;

	for (size_t i = 0; word.len && i + 1 < p->n_tokens; i++) {
		const struct token *t = &p->tokens[i];
		if (slice_eq(t->text, word) && is_used_so(t, i == 0, use) && (!best || abs(t->line - line) < abs(best->line - line)))
			best = t;
	}
	*col = best ? best->col : 0;
	return best ? best->line : 0;
}

int places_brace(const struct places *p, int line)
{
	int col = 0;

	for (size_t i = 0; i < p->n_tokens; i++)
		if (p->tokens[i].line == line && token_is(&p->tokens[i], "{"))
			col = p->tokens[i].col;
	return col;
}

const char *const *places_locals(const struct places *p)
{
	return p->local_names;
}
