/* rules/holes.c - a scanner for braces that somebody meant as a template, and what the expressions of GitHub Actions are here. */
#include "rules/holes.h"

#include <string.h>

#include "rules/normalise.h"
#include "rules/schema.h"
#include "rules/template.h"

static const struct { const char *there, *field; } actions[] = {
	{ "github.ref", "ref" }, { "github.ref_name", "branch" }, { "github.head_ref", "head" }, { "github.base_ref", "base" },
	{ "github.sha", "sha" }, { "github.repository", "repo" }, { "github.repository_owner", "owner" }, { "github.actor", "sender" },
	{ "github.triggering_actor", "sender" }, { "github.event_name", "event" }, { "github.event.action", "action" },
	{ "github.event.ref", "ref" }, { "github.event.before", "before" }, { "github.event.after", "sha" }, { "github.event.number", "number" },
	{ "github.event.compare", "url" }, { "github.event.head_commit.id", "sha" }, { "github.event.head_commit.message", "message" },
	{ "github.event.head_commit.author.name", "author" }, { "github.event.head_commit.author.username", "author" },
	{ "github.event.repository.full_name", "repo" }, { "github.event.sender.login", "sender" },
	{ "github.event.pull_request.number", "number" }, { "github.event.pull_request.title", "title" },
	{ "github.event.pull_request.body", "message" }, { "github.event.pull_request.user.login", "author" },
	{ "github.event.pull_request.head.sha", "sha" }, { "github.event.pull_request.head.ref", "head" },
	{ "github.event.pull_request.base.ref", "base" }, { "github.event.pull_request.html_url", "url" },
	{ "github.event.issue.number", "number" }, { "github.event.issue.title", "title" }, { "github.event.issue.body", "message" },
	{ "github.event.issue.user.login", "author" }, { "github.event.comment.body", "message" },
	{ "github.event.comment.user.login", "author" }, { "github.event.release.tag_name", "tag" },
	{ "github.event.release.name", "title" }, { "github.event.release.body", "message" },
};
static const char *const contexts[] = { "github.", "secrets.", "matrix.", "env.", "vars.", "inputs.", "steps.", "needs.", "runner.", "job.", NULL };

static int is_fact(struct slice name)
{
	for (const char *const *f = schema_facts; *f; f++)
		if (slice_eq(name, slice_of(*f)))
			return 1;
	return 0;
}

static int is_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", s.ptr[i]) || !s.ptr[i])
			return 0;
	return s.len > 0;
}

static int is_field(struct slice name)
{
	return field_find(name) >= 0 || is_fact(name) || is_word(template_matrix_name(name));
}

static int is_of_actions(struct slice name)
{
	for (const char *const *c = contexts; *c; c++)
		if (slice_starts(name, slice_of(*c)))
			return 1;
	return 0;
}

/* "{{" at AT. What is no hole is stepped over. */
static int take_doubled(struct slice text, size_t at, struct hole *out, size_t *end)
{
	int is_actions = at > 0 && text.ptr[at - 1] == '$';
	struct slice inner = slice_from(text, at + 2);
	ptrdiff_t close = slice_find(inner, SLICE("}}")), line = slice_chr(inner, '\n');

	*end = at + 2;
	if (close < 0 || (line >= 0 && line < close))
		return 0;
	size_t from = is_actions ? at - 1 : at;
	out->name = slice_trim(slice_upto(inner, (size_t)close));
	if (!is_actions && !is_field(out->name) && !is_of_actions(out->name))
		return 0;
	out->kind = is_actions || !is_field(out->name) ? HOLE_ACTIONS : HOLE_DOUBLED;
	*end = at + 4 + (size_t)close;
	out->text = slice_upto(slice_from(text, from), *end - from);
	return 1;
}

static int take_single(struct slice text, size_t at, struct hole *out, size_t *end)
{
	ptrdiff_t close = slice_chr(slice_from(text, at), '}');

	*end = at + 1;
	if (close < 0 || (at > 0 && strchr("$^@%#\\", text.ptr[at - 1])))
		return 0;
	out->kind = HOLE_FIELD;
	out->text = slice_upto(slice_from(text, at), (size_t)close + 1);
	out->name = slice_upto(slice_from(text, at + 1), (size_t)close - 1);
	if (!is_field(out->name))
		return 0;
	*end = at + (size_t)close + 1;
	return 1;
}

int hole_next(struct slice *rest, struct hole *out)
{
	struct slice text = *rest;
	size_t at = 0, end;

	for (ptrdiff_t brace; (brace = slice_chr(slice_from(text, at), '{')) >= 0; at = end) {
		at += (size_t)brace;
		int is_double = at + 1 < text.len && text.ptr[at + 1] == '{';
		if (is_double ? take_doubled(text, at, out, &end) : take_single(text, at, out, &end)) {
			*rest = slice_from(text, end);
			return 1;
		}
	}
	return 0;
}

int hole_is_hidden(struct slice script)
{
	static const char *const words[] = { "jq", "awk", "python", "python3", "gawk", "mawk", NULL };
	static const char ends[] = " \t\n|;&(`'\"/";

	for (const char *const *w = words; *w; w++) {
		struct slice rest = script, word = slice_of(*w);
		for (ptrdiff_t i; (i = slice_find(rest, word)) >= 0;) {
			const char *p = rest.ptr + i, *behind = p + word.len;
			if ((p == script.ptr || strchr(ends, p[-1])) && (behind == script.ptr + script.len || strchr(ends, *behind)))
				return 1;
			rest = slice_from(rest, (size_t)i + word.len);
		}
	}
	return 0;
}

/* The part behind the last dot, in capitals. */
static void add_variable(struct slice name, struct buf *out)
{
	struct slice head, tail;

	while (slice_cut(name, '.', &head, &tail))
		name = tail;
	for (size_t i = 0; i < name.len; i++)
		buf_addc(out, name.ptr[i] >= 'a' && name.ptr[i] <= 'z' ? (char)(name.ptr[i] - 'a' + 'A') : name.ptr[i]);
}

int hole_add_field(const struct hole *h, struct buf *field, struct buf *variable)
{
	struct slice name = is_field(h->name) ? h->name : SLICE_NULL;

	for (size_t i = 0; i < COUNT(actions) && !name.len; i++)
		if (slice_eq(h->name, slice_of(actions[i].there)))
			name = slice_of(actions[i].field);
	if (!name.len)
		return 0;
	buf_addf(field, "{" SLICE_FMT "}", SLICE_ARG(name));
	add_variable(name, variable);
	return 1;
}

int hole_add_secret(const struct hole *h, struct buf *out)
{
	struct slice name = slice_starts(h->name, SLICE("secrets.")) ? slice_from(h->name, 8) : SLICE_NULL;

	if (!is_word(name))
		return 0;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		buf_addc(out, c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
	}
	return 1;
}
