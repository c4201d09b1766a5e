/* eval/injection.c - text of an event runs through the function in a straight line: names that are given such text carry it, until
 * they are given something else. It comes from job.event, job.payload, job.headers and job:get; it is gone where a function
 * that is not known, or gsub, or match has had it, and a number or a commit's id never is such text. It must not come out in the
 * first argument of job:sh, nor behind the "-c" of a shell that job:exec runs. A script that holds "{title}" is told too. */
#include "eval/injection.h"

#include "eval/lex.h"
#include "eval/places.h"
#include "rules/holes.h"

#define NAMES_MAX 64
#define JOBS_MAX 8

struct names { struct slice list[NAMES_MAX]; size_t n; };
struct finder {
	const struct token *t;          /* the last is TOKEN_END, and is read any number of times */
	size_t n;
	const char *file;
	struct diags *out;
	struct names carriers;          /* names whose value is, or holds, text of an event */
	struct names jobs;              /* what the parameter of `run` is called */
};

static const struct token *at(const struct finder *f, size_t i)
{
	return &f->t[i < f->n ? i : f->n - 1];
}

static int is_word(const struct finder *f, size_t i, const char *word)
{
	return token_is(at(f, i), word);
}

static int is_name(const struct finder *f, size_t i)
{
	return at(f, i)->kind == TOKEN_NAME && !token_is_keyword(at(f, i));
}

static int is_one_of(const struct finder *f, size_t i, const char *const *words)
{
	for (; *words; words++)
		if (is_word(f, i, *words))
			return 1;
	return 0;
}

static int has(const struct names *names, struct slice name)
{
	for (size_t i = 0; i < names->n; i++)
		if (slice_eq(names->list[i], name))
			return 1;
	return 0;
}

static void put(struct names *names, struct slice name, int is_in)
{
	for (size_t i = 0; i < names->n; i++)
		if (slice_eq(names->list[i], name))
			names->list[i--] = names->list[--names->n];
	if (is_in && names->n < NAMES_MAX)
		names->list[names->n++] = name;
}

/* Behind the bracket that closes the one at I. */
static size_t behind(const struct finder *f, size_t i)
{
	int depth = 0;

	do {
		depth += is_word(f, i, "(") || is_word(f, i, "{") || is_word(f, i, "[");
		depth -= is_word(f, i, ")") || is_word(f, i, "}") || is_word(f, i, "]");
		i++;
	} while (depth > 0 && i < f->n);
	return i;
}

static int opens_call(const struct finder *f, size_t i)
{
	return is_word(f, i, "(") || is_word(f, i, "{") || at(f, i)->kind == TOKEN_STRING;
}

/* Whether what is called at I (its name) hands on what it is given. */
static int is_transparent(const struct finder *f, size_t i)
{
	static const char *const known[] = {
		"tostring", "format", "concat", "rep", "sub", "lower", "upper", "reverse", "ipairs", "pairs", "unpack", "insert", NULL,
	};
	return is_one_of(f, i, known);
}

/* At I begins something that carries an event's text: how many tokens name it, 0 for nothing. */
static size_t carrier(const struct finder *f, size_t i)
{
	static const char *const holders[] = { "event", "payload", "headers", NULL };
	int is_member = i > 0 && (is_word(f, i - 1, ".") || is_word(f, i - 1, ":"));

	if (!is_name(f, i) || is_member)
		return 0;
	if (has(&f->jobs, at(f, i)->text) && is_word(f, i + 1, ".") && is_one_of(f, i + 2, holders))
		return 3;
	if (has(&f->jobs, at(f, i)->text) && is_word(f, i + 1, ":") && is_word(f, i + 2, "get"))
		return 3;
	return has(&f->carriers, at(f, i)->text) && !is_word(f, i + 1, "=") ? 1 : 0;
}

/* What follows the carrier: ".event.sha" is no text, and what gsub or match leave of it has been looked at. */
static int is_harmless(const struct finder *f, size_t i)
{
	static const char *const plain[] = {
		"sha", "before", "number", "amount", "created", "deleted", "forced", "draft", "fork", "live", "received", NULL,
	};
	static const char *const looking[] = { "gsub", "match", "find", "byte", "len", NULL };

	for (; i < f->n; i += 2) {
		if (is_word(f, i, "["))
			i = behind(f, i);
		if (is_word(f, i, ":"))
			return is_one_of(f, i + 1, looking);
		if (!is_word(f, i, "."))
			return is_word(f, i, "==") || is_word(f, i, "~=");
		if (is_one_of(f, i + 1, plain))
			return 1;
	}
	return 0;
}

/* The first token between FROM and TO by which an event's text gets into the value, or 0. */
static size_t find_text(const struct finder *f, size_t from, size_t to)
{
	for (size_t i = from; i < to;) {
		size_t n = carrier(f, i);
		int is_counted = i > 0 && is_word(f, i - 1, "#");
		if (n && !is_counted && !is_harmless(f, i + n))
			return i;
		if (is_word(f, i, "function"))
			return 0;                               /* what happens in there is no part of the value */
		if (is_name(f, i) && opens_call(f, i + 1) && !n && !is_transparent(f, i))
			i = at(f, i + 1)->kind == TOKEN_STRING ? i + 2 : behind(f, i + 1);
		else
			i += n ? n : 1;
	}
	return 0;
}

/* Where the expression at I ends: at a comma, a bracket that closes, or the beginning of a statement. */
static size_t end_of_expression(const struct finder *f, size_t i)
{
	static const char *const statements[] = {
		"local", "if", "for", "while", "repeat", "return", "end", "do", "then", "else", "elseif", "until", "break", "goto", ";", NULL,
	};
	for (size_t begin = i; i + 1 < f->n;) {
		if (is_word(f, i, ",") || is_word(f, i, ")") || is_word(f, i, "}") || is_word(f, i, "]") || is_one_of(f, i, statements))
			return i;
		/* two values with nothing between them are two statements */
		if (i > begin && is_name(f, i) && at(f, i)->line > at(f, i - 1)->line && (is_name(f, i - 1) ||
		    at(f, i - 1)->kind == TOKEN_STRING || at(f, i - 1)->kind == TOKEN_NUMBER || is_word(f, i - 1, ")") || is_word(f, i - 1, "}")))
			return i;
		i = is_word(f, i, "(") || is_word(f, i, "{") || is_word(f, i, "[") ? behind(f, i) : i + 1;
	}
	return i;
}

/* ---- where it must not come out ---- */

static void warn(struct finder *f, size_t i, const char *how)
{
	const struct token *t = at(f, i);

	diags_add(f->out, DIAG_WARNING, f->file, t->line, t->col, 0, "W130",
		  "text of the event becomes part of a shell script: whoever writes it can run commands here; %s", how);
}

/* A script that is one text: what looks like a template in it is none. */
static void check_holes(struct finder *f, size_t i)
{
	CLEANUP(buf_fini) struct buf text = BUF(1 << 20);
	const struct token *t = at(f, i);
	struct hole h;

	if (t->kind != TOKEN_STRING || token_string(t, &text) < 0)
		return;
	int is_hidden = hole_is_hidden(buf_slice(&text));
	for (struct slice rest = buf_slice(&text); hole_next(&rest, &h);) {
		CLEANUP(buf_fini) struct buf field = BUF(200), variable = BUF(200);
		if ((h.kind == HOLE_FIELD && is_hidden) || !hole_add_field(&h, &field, &variable))
			continue;
		struct slice name = slice_upto(slice_from(buf_slice(&field), 1), field.len - 2);
		diags_add(f->out, DIAG_WARNING, f->file, t->line, t->col, 0, "W132", "'" SLICE_FMT "' stands for nothing in a script, which is taken as it "
			  "is: write job:sh('… \"$%s\" …', { env = { %s = job.%s" SLICE_FMT " } })", SLICE_ARG(slice_upto(h.text, 80)), buf_cstr(&variable),
			  buf_cstr(&variable), slice_starts(name, SLICE("matrix.")) ? "" : "event.", SLICE_ARG(name));
		return;
	}
}

/* `job:sh(EXPRESSION` at the bracket, or what stands in its place. */
static void check_sh(struct finder *f, size_t i)
{
	size_t from = is_word(f, i, "(") ? i + 1 : i, end = end_of_expression(f, from), found = find_text(f, from, end);

	if (end == from + 1)
		check_holes(f, from);
	if (found)
		warn(f, found, "hand it over as job:sh('… \"$TEXT\" …', { env = { TEXT = … } })");
}

static int string_is(const struct finder *f, size_t i, const char *const *words)
{
	CLEANUP(buf_fini) struct buf text = BUF(256);

	if (at(f, i)->kind != TOKEN_STRING || token_string(at(f, i), &text) < 0)
		return 0;
	for (; *words; words++)
		if (slice_eq(buf_slice(&text), slice_of(*words)))
			return 1;
	return 0;
}

/* `job:exec {` or `job:exec ({`, at the brace: a shell, its "-c", and the script. */
static void check_exec(struct finder *f, size_t brace)
{
	static const char *const shells[] = { "sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash", "/usr/bin/bash", NULL };
	static const char *const flags[] = { "-c", "-ec", "-lc", "-xc", "-exc", "-euc", NULL };
	size_t end = behind(f, brace), i = brace + 1;

	if (!string_is(f, i, shells))
		return;
	while (i < end && !string_is(f, i, flags))
		i++;
	if (!is_word(f, i + 1, ","))
		return;
	size_t found = find_text(f, i + 2, end_of_expression(f, i + 2));
	if (found)
		warn(f, found, "hand it over behind the script, as \"$1\", or in env");
}

/* ---- names ---- */

static void name_all(struct finder *f, const size_t *names, size_t n, int carries)
{
	for (size_t i = 0; i < n; i++)
		put(&f->carriers, at(f, names[i])->text, carries);
}

/* `local a, b = …` and `for a, b in …`, at the first name. Returns where reading goes on. */
static size_t read_names(struct finder *f, size_t i, int is_loop)
{
	size_t names[8], n = 0;

	for (size_t next = i; is_name(f, next);) {
		if (n < COUNT(names))
			names[n++] = next;
		i = next + (is_word(f, next + 1, "<") ? 4 : 1);
		next = is_word(f, i, ",") ? i + 1 : f->n;
	}
	if (!is_word(f, i, is_loop ? "in" : "=")) {
		name_all(f, names, n, 0);
		return i;
	}
	size_t end = end_of_expression(f, i + 1);
	while (!is_loop && is_word(f, end, ","))
		end = end_of_expression(f, end + 1);
	int carries = find_text(f, i + 1, end) != 0;
	name_all(f, names, n, carries);
	if (is_loop && n > 1)
		put(&f->carriers, at(f, names[0])->text, 0);    /* the number, or the key */
	return i + 1;
}

/* A parameter is what the caller gives: of `run`, and of a function that takes it by that name, the job. */
static void read_parameters(struct finder *f, size_t i)
{
	int is_run = i >= 3 && is_word(f, i - 2, "=") && is_word(f, i - 3, "run");

	for (int first = 1; !is_word(f, i, "(") && i + 1 < f->n && first < 8; first++)
		i++;
	for (i++; is_name(f, i) && i + 1 < f->n; i += 2, is_run = 0) {
		put(&f->carriers, at(f, i)->text, 0);
		if (is_run && f->jobs.n < JOBS_MAX)
			put(&f->jobs, at(f, i)->text, 1);
	}
}

static size_t read_one(struct finder *f, size_t i)
{
	int is_method = is_name(f, i) && has(&f->jobs, at(f, i)->text) && is_word(f, i + 1, ":");

	if (is_method && is_word(f, i + 2, "sh"))
		check_sh(f, i + 3);
	else if (is_method && is_word(f, i + 2, "exec"))
		check_exec(f, is_word(f, i + 3, "(") ? i + 4 : i + 3);
	else if (is_word(f, i, "function"))
		read_parameters(f, i + 1);
	else if (is_word(f, i, "local") && is_name(f, i + 1))
		return read_names(f, i + 1, 0);
	else if (is_word(f, i, "for") && is_name(f, i + 1))
		return read_names(f, i + 1, 1);
	else if (is_name(f, i) && is_word(f, i + 1, "=") && i > 0 && !is_word(f, i - 1, ".") && !is_word(f, i - 1, "{") && !is_word(f, i - 1, ","))
		put(&f->carriers, at(f, i)->text, find_text(f, i + 2, end_of_expression(f, i + 2)) != 0);
	return i + 1;
}

void injection_find(const struct places *p, const char *file, struct diags *out)
{
	struct finder f = { .file = file, .out = out };

	f.t = places_tokens(p, &f.n);
	put(&f.jobs, SLICE("job"), 1);
	for (size_t i = 0; i + 1 < f.n;)
		i = read_one(&f, i);
}
