/* rules/regex.c - PCRE2 compiled with a callout before every part of a pattern: its function does the counting. The match
 * limit of PCRE2 itself begins anew at each place where a match could begin, so that it alone would let a search take the
 * square of a value's length; it stands behind the count.
 *
 * A pattern is compiled to machine code where this machine allows it. That code uses 32 KiB of the thread's stack; a
 * search that needs more is done once more by the interpreter, whose memory is bounded. */
#include "rules/regex.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define BYTES_PER_WORK 32
#define HEAP_MAX_KIB 8192
#define GROUPS_MAX_DEPTH 100

struct regex {
	pcre2_code *code;
	pcre2_match_context *context;   /* the limits; immutable */
	int is_closed_before;
};

struct counting {
	int64_t work;
	size_t position;
};

static int count_work(pcre2_callout_block *block, void *arg)
{
	struct counting *c = arg;
	size_t at = block->current_position, moved = at > c->position ? at - c->position : c->position - at;

	c->position = at;
	c->work -= 1 + (int64_t)(moved / BYTES_PER_WORK);
	return c->work < 0 ? PCRE2_ERROR_CALLOUT : 0;
}

static int begins_open(struct slice pattern)
{
	return slice_starts(pattern, SLICE(".*")) || slice_starts(pattern, SLICE("(?i).*"));
}

static int say_bad(struct slice pattern, int code, size_t at, struct err *e)
{
	PCRE2_UCHAR text[160];
	struct slice near = slice_upto(slice_from(pattern, at > 4 ? at - 4 : 0), 20);

	pcre2_get_error_message(code, text, sizeof text);
	if (at >= pattern.len)
		return err_set(e, ERR_INPUT, "at its end: %s", (const char *)text);
	return err_set(e, ERR_INPUT, "at byte %zu, near '" SLICE_FMT "': %s", at + 1, SLICE_ARG(near), (const char *)text);
}

static pcre2_code *code_compile(struct slice pattern, struct err *e)
{
	const uint32_t options = PCRE2_MATCH_INVALID_UTF | PCRE2_AUTO_CALLOUT | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	PCRE2_SIZE at;
	int code;

	if (!context)
		abort();
	pcre2_set_parens_nest_limit(context, GROUPS_MAX_DEPTH);
	pcre2_code *out = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options, &code, &at, context);
	pcre2_compile_context_free(context);
	if (!out)
		say_bad(pattern, code, at, e);
	return out;
}

int regex_compile(struct slice pattern, struct regex **out, struct err *e)
{
	if (pattern.len > REGEX_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "it has %zu bytes, the most is %d", pattern.len, REGEX_MAX_BYTES);
	if (pattern.len == 0)
		return err_set(e, ERR_INPUT, "it is empty, and found in every value");
	pcre2_code *code = code_compile(pattern, e);
	if (!code)
		return -1;
	struct regex *r = xcalloc(1, sizeof *r);
	uint32_t options = 0;
	r->code = code;
	r->context = pcre2_match_context_create(NULL);
	if (!r->context)
		abort();
	pcre2_set_match_limit(r->context, 10 * REGEX_WORK_MAX);
	pcre2_set_heap_limit(r->context, HEAP_MAX_KIB);
	pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
	r->is_closed_before = (options & PCRE2_ANCHORED) || begins_open(pattern);
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);    /* where it cannot be, the interpreter searches */
	*out = r;
	return 0;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	pcre2_match_context_free(r->context);
	free(r);
}

static int search(const struct regex *r, struct slice text, uint32_t options, int64_t *work)
{
	pcre2_match_context *context = pcre2_match_context_copy(r->context);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	struct counting c = { *work, 0 };

	if (!context || !data)
		abort();
	pcre2_set_callout(context, count_work, &c);
	int got = pcre2_match(r->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0, options, data, context);
	pcre2_match_data_free(data);
	pcre2_match_context_free(context);
	*work = c.work < 0 ? 0 : c.work;
	return got;
}

enum regex_outcome regex_search(const struct regex *r, struct slice text, int64_t *work, const char **why)
{
	if (text.len > REGEX_SUBJECT_MAX_BYTES) {
		*why = "a value is longer than 1 MiB";
		return REGEX_GAVE_UP;
	}
	int got = search(r, text, 0, work);
	if (got == PCRE2_ERROR_JIT_STACKLIMIT)
		got = search(r, text, PCRE2_NO_JIT, work);
	if (got >= 0)                                   /* 0: there are groups, which nobody asked for */
		return REGEX_YES;
	if (got == PCRE2_ERROR_NOMATCH)
		return REGEX_NO;
	*why = got == PCRE2_ERROR_HEAPLIMIT ? "the search takes more than 8 MiB" : "the search takes too many steps";
	return REGEX_GAVE_UP;
}

/* ---- what a pattern leaves open ---- */

int regex_is_closed_before(const struct regex *r)
{
	return r->is_closed_before;
}

/* Does a '|' stand outside of all groups and classes? Then ^ and $ belong to one of its sides each. */
static int has_open_choice(struct slice p)
{
	int depth = 0, in_class = 0;

	for (size_t i = 0; i < p.len; i++) {
		char c = p.ptr[i];
		if (c == '\\')
			i++;
		else if (in_class)
			in_class = c != ']';
		else if (c == '[')
			in_class = 1;
		else if (c == '(' || c == ')')
			depth += c == '(' ? 1 : -1;
		else if (c == '|' && depth <= 0)
			return 1;
	}
	return 0;
}

static int is_escaped(struct slice p, size_t at)
{
	size_t n = 0;
	while (n < at && p.ptr[at - n - 1] == '\\')
		n++;
	return n % 2;
}

int regex_is_closed_behind(struct slice p)
{
	if (has_open_choice(p))
		return 0;
	if (slice_ends(p, SLICE("$")) || slice_ends(p, SLICE(".*")))
		return !is_escaped(p, p.len - (slice_ends(p, SLICE("$")) ? 1 : 2));
	return (slice_ends(p, SLICE("\\z")) || slice_ends(p, SLICE("\\Z"))) && !is_escaped(p, p.len - 2);
}
