/* cli/hook_rule.c - a trigger-rule of adnanh/webhook as conditions: JSON to a tree of tests, simplified, then written as Lua. */
#include "cli/hook_rule.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/glob.h"
#include "rules/headers.h"
#include "rules/regex.h"

#define DEPTH_MAX 32
#define WORK_MAX 100000                         /* parts looked at: `not` within `and` looks at its own twice */

enum kind { IS_TRUE, IS_FALSE, IS_TEST, IS_ALL, IS_ANY, IS_NOT };
struct expr {
	enum kind kind;
	const char *table, *key, *test;         /* IS_TEST: payload, "a.b", `"x"` */
	struct expr **kids;
	size_t n;
};
static struct expr always = { .kind = IS_TRUE }, never = { .kind = IS_FALSE };

/* ---- texts ---- */

void hook_note(struct hook_notes *notes, struct arena *a, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	for (size_t i = 0; i < notes->n; i++)
		if (!strcmp(notes->list[i], text))
			return;
	if (notes->n < COUNT(notes->list))
		notes->list[notes->n++] = arena_str(a, slice_of(text));
}

const char *hook_text(json_t *object, const char *key, struct arena *a)
{
	const json_t *v = json_object_get(object, key);
	char number[64];

	if (json_is_string(v))
		return arena_str(a, slice_of(json_string_value(v)));
	if (json_is_boolean(v))
		return json_is_true(v) ? "true" : "false";
	if (json_is_integer(v))
		snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		snprintf(number, sizeof number, "%.15g", json_real_value(v));
	else
		return "";
	return arena_str(a, slice_of(number));
}

int hook_flag(json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	return json_is_true(v) || (json_is_string(v) && !strcmp(json_string_value(v), "true"));
}

void lua_quote(const char *text, struct buf *out)
{
	buf_addc(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			buf_addf(out, "\\%c", c);
		else if (c == '\n')
			buf_adds(out, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_addf(out, "\\%03d", c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, '"');
}

static int is_number(const char *s)
{
	size_t n = strlen(s);
	return n > 0 && n <= 6 && strspn(s, "0123456789") == n;
}

const char *hook_path(const char *name, struct arena *a)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 16);
	struct slice rest = slice_of(name), part;
	int has_more = 1, is_first = 1;

	while (has_more) {
		has_more = slice_cut(rest, '.', &part, &rest);
		const char *key = arena_str(a, part);
		int is_plain = part.len > 0;
		for (size_t i = 0; i < part.len; i++)
			is_plain &= (unsigned char)part.ptr[i] >= 0x20 && !strchr("[]\"", part.ptr[i]);
		if (is_first && has_more && !strcmp(key, "root") && is_number(arena_str(a, slice_upto(rest, strcspn(rest.ptr, "."))))) {
			/* a list as the whole payload is {"root": list} in the original */
		} else if (is_number(key) && !is_first) {
			buf_addf(&out, "[%s]", key);
		} else if (is_plain) {
			buf_addf(&out, "%s%s", out.len ? "." : "", key);
		} else {
			buf_adds(&out, "[");
			lua_quote(key, &out);
			buf_adds(&out, "]");
		}
		is_first = 0;
	}
	return arena_str(a, buf_slice(&out));
}

/* ---- building ---- */

static struct expr *expr(struct hook_rule *h, enum kind kind, size_t n)
{
	struct expr *e = arena_alloc(h->arena, 1, sizeof *e);
	*e = (struct expr){ .kind = kind, .kids = arena_alloc(h->arena, n + 1, sizeof(struct expr *)) };
	return e;
}

static struct expr *test(struct hook_rule *h, const char *table, const char *key, const char *text)
{
	struct expr *e = expr(h, IS_TEST, 0);
	e->table = table;
	e->key = key;
	e->test = text;
	return e;
}

static struct expr *negate(struct hook_rule *h, struct expr *x)
{
	if (x->kind == IS_TRUE || x->kind == IS_FALSE)
		return x->kind == IS_TRUE ? &never : &always;
	if (x->kind == IS_NOT)
		return x->kids[0];
	struct expr *e = expr(h, IS_NOT, 1);
	e->kids[e->n++] = x;
	return e;
}

/* KIND: IS_ALL or IS_ANY, of N parts, those that decide nothing left out. */
static struct expr *join(struct hook_rule *h, enum kind kind, struct expr **parts, size_t n)
{
	enum kind neutral = kind == IS_ALL ? IS_TRUE : IS_FALSE, decisive = kind == IS_ALL ? IS_FALSE : IS_TRUE;
	size_t room = 0;

	for (size_t i = 0; i < n; i++)
		room += parts[i]->kind == kind ? parts[i]->n : 1;
	struct expr *e = expr(h, kind, room);
	for (size_t i = 0; i < n; i++) {
		if (parts[i]->kind == decisive)
			return parts[i];
		if (parts[i]->kind == neutral)
			continue;
		if (parts[i]->kind != kind)
			e->kids[e->n++] = parts[i];
		for (size_t k = 0; parts[i]->kind == kind && k < parts[i]->n; k++)
			e->kids[e->n++] = parts[i]->kids[k];
	}
	return e->n == 0 ? (kind == IS_ALL ? &always : &never) : e->n == 1 ? e->kids[0] : e;
}

/* What cannot be asked: as whatever makes the rule fire less. */
static struct expr *unknown(int is_negated)
{
	return is_negated ? &always : &never;
}

static const char *lower(const char *name, struct arena *a)
{
	char *out = (char *)(uintptr_t)arena_str(a, slice_of(name));
	for (char *c = out; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return out;
}

/* The subject of PARAMETER; 0 where it cannot be asked, and then that is noted (TYPE says for what). */
static int subject_of(struct hook_rule *h, json_t *parameter, const char *type, const char **table, const char **key)
{
	const char *source = hook_text(parameter, "source", h->arena), *name = hook_text(parameter, "name", h->arena);

	if (!strcmp(source, "payload")) {
		size_t len = h->form_field ? strlen(h->form_field) : 0;
		for (size_t i = 0; i < h->n_decoded; i++) {
			size_t n = strlen(h->decoded[i]);
			if (!strncmp(name, h->decoded[i], n) && name[n] == '.') {
				hook_note(h->notes, h->arena, "%s of payload '%s': what stands in the JSON of a text cannot be asked", type, name);
				return 0;
			}
		}
		if (len && !strncmp(name, h->form_field, len) && name[len] == '.')
			name += len + 1;
		*table = "payload";
		*key = hook_path(name, h->arena);
		return **key != '\0';
	}
	if (!strcmp(source, "header") && header_is_kept(NULL, slice_of(name))) {
		*table = "header";
		*key = lower(name, h->arena);
		return 1;
	}
	if (!strcmp(source, "url") || !strcmp(source, "query")) {
		*table = "query";
		*key = name;
		return *name != '\0';
	}
	if (!strcmp(source, "header"))
		hook_note(h->notes, h->arena, "%s of header '%s': such a header may hold a secret and is not kept; it can only be the one "
			  "proof of the whole hook", type, name);
	else
		hook_note(h->notes, h->arena, "%s of %s %s: this cannot be asked", type, *source ? source : "(no source)", name);
	return 0;
}

/* Values that as text are VALUE: the text, and in a payload also the number or word. */
static const char *equal_test(struct hook_rule *h, const char *table, const char *value)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 20);
	const char *other = NULL;
	int64_t integer;
	size_t digits = strspn(value + (*value == '-'), "0123456789"), at = digits + (*value == '-');
	int is_decimal = digits && value[at] == '.' && value[at + 1] && strspn(value + at + 1, "0123456789") == strlen(value + at + 1);

	if (!strcmp(table, "payload")) {
		if ((slice_to_i64(slice_of(value), INT64_MIN + 1, INT64_MAX, &integer) == 0 && (digits == 1 || value[*value == '-'] != '0')) ||
		    is_decimal || !strcmp(value, "true") || !strcmp(value, "false"))
			other = value;
		else if (!strcmp(value, "<nil>"))
			other = "null";
	}
	if (!glob_is_literal(slice_of(value))) {
		buf_adds(&out, "{ eq = ");
		lua_quote(value, &out);
		buf_adds(&out, " }");
	} else if (other) {
		buf_adds(&out, "{ ");
		lua_quote(value, &out);
		buf_addf(&out, ", %s }", other);
	} else {
		lua_quote(value, &out);
	}
	return arena_str(h->arena, buf_slice(&out));
}

static struct expr *regex_expr(struct hook_rule *h, const char *table, const char *key, const char *pattern, int is_negated)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 16);
	struct regex *r = NULL;
	struct err e;
	size_t n = strlen(pattern);

	if (regex_compile(slice_of(pattern), &r, &e) < 0) {
		hook_note(h->notes, h->arena, "regex '%.200s': %.200s", pattern, e.msg);
		return unknown(is_negated);
	}
	regex_free(r);
	buf_adds(&out, "{ re = ");
	if (strchr(pattern, '\\') && !strstr(pattern, "]]") && !strchr(pattern, '\n') && pattern[n - 1] != ']' && *pattern != '[')
		buf_addf(&out, "[[%s]]", pattern);
	else
		lua_quote(pattern, &out);
	buf_adds(&out, " }");
	return test(h, table, key, arena_str(h->arena, buf_slice(&out)));
}

/* `string` and the method are known beforehand: only POST comes here. */
static const char *constant_of(struct hook_rule *h, json_t *parameter)
{
	const char *source = hook_text(parameter, "source", h->arena), *name = hook_text(parameter, "name", h->arena);

	if (!strcmp(source, "string"))
		return name;
	return !strcmp(source, "request") && !strcmp(lower(name, h->arena), "method") ? "POST" : NULL;
}

static const char *hash_of(const char *type)
{
	static const char *const names[][2] = { { "payload-hmac-sha1", "sha1" }, { "payload-hash-sha1", "sha1" },
		{ "payload-hmac-sha256", "sha256" }, { "payload-hash-sha256", "sha256" },
		{ "payload-hmac-sha512", "sha512" }, { "payload-hash-sha512", "sha512" } };

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(type, names[i][0]))
			return names[i][1];
	return NULL;
}

static struct expr *leaf(struct hook_rule *h, json_t *match, int is_negated)
{
	const char *type = hook_text(match, "type", h->arena), *value = hook_text(match, "value", h->arena), *table, *key;
	json_t *parameter = json_object_get(match, "parameter");
	const char *constant = constant_of(h, parameter);

	if (hash_of(type)) {
		hook_note(h->notes, h->arena, "%s among alternatives, or beside another proof: a source is verified as a whole or not at all; this "
			  "alternative never holds", type);
		return unknown(is_negated);
	}
	if (!strcmp(type, "ip-whitelist") || !strcmp(type, "scalr-signature")) {
		hook_note(h->notes, h->arena, "%s %s: cannot be asked here", type, hook_text(match, "ip-range", h->arena));
		return unknown(is_negated);
	}
	if (strcmp(type, "value") != 0 && strcmp(type, "regex") != 0 && (constant || subject_of(h, parameter, type, &table, &key)))
		return &never;                          /* as in the original, which knows no such type */
	if (strcmp(type, "value") != 0 && strcmp(type, "regex") != 0)
		return unknown(is_negated);
	if (constant && !strcmp(type, "value"))
		return !strcmp(constant, value) ? &always : &never;
	if (constant) {
		hook_note(h->notes, h->arena, "regex of %s: cannot be asked", hook_text(parameter, "source", h->arena));
		return unknown(is_negated);
	}
	if (!subject_of(h, parameter, type, &table, &key))
		return unknown(is_negated);
	if (!strcmp(type, "regex"))
		return regex_expr(h, table, key, hook_text(match, "regex", h->arena), is_negated);
	return test(h, table, key, equal_test(h, table, value));
}

enum branch { BRANCH_AND, BRANCH_OR, BRANCH_NOT, BRANCH_MATCH, BRANCH_EMPTY };

static enum branch branch_of(json_t *rule, json_t **inner)
{
	static const char *const names[] = { "and", "or", "not", "match" };

	for (size_t i = 0; i < COUNT(names); i++) {
		*inner = json_object_get(rule, names[i]);
		if (*inner && !json_is_null(*inner))
			return (enum branch)i;
	}
	return BRANCH_EMPTY;
}

static struct expr *value_of(struct hook_rule *h, json_t *rule, int is_negated, int depth);

/* Where RULE is an error in the original: a parameter is missing. */
static struct expr *error_of(struct hook_rule *h, json_t *rule, int depth)
{
	const char *table, *key;
	json_t *inner;
	size_t i;

	if (depth > DEPTH_MAX || ++h->work > WORK_MAX)
		return &never;
	switch (branch_of(rule, &inner)) {
	case BRANCH_OR:
	case BRANCH_EMPTY:
		return &never;
	case BRANCH_NOT:
		return error_of(h, inner, depth + 1);
	case BRANCH_MATCH: {
		json_t *parameter = json_object_get(inner, "parameter");
		const char *type = hook_text(inner, "type", h->arena);
		struct hook_notes unheard = { 0 }, *kept = h->notes;
		if (hash_of(type) || constant_of(h, parameter))
			return &never;
		h->notes = &unheard;
		int can = subject_of(h, parameter, type, &table, &key);
		h->notes = kept;
		return can ? test(h, table, key, "{ exists = false }") : &never;
	}
	case BRANCH_AND:
		break;
	}
	/* the first part that is not plainly true decides */
	json_t *part;
	struct expr *out = &never, *so_far = &always;
	json_array_foreach(inner, i, part) {
		struct expr *e = error_of(h, part, depth + 1);
		struct expr *here = join(h, IS_ALL, (struct expr *[]){ so_far, e }, 2);
		out = join(h, IS_ANY, (struct expr *[]){ out, here }, 2);
		so_far = join(h, IS_ALL, (struct expr *[]){ so_far, value_of(h, part, 0, depth + 1), negate(h, e) }, 3);
	}
	return out;
}

static int has_signature(struct hook_rule *h, json_t *rule, int depth)
{
	json_t *inner, *part;
	size_t i;
	int has = 0;

	switch (branch_of(rule, &inner)) {
	case BRANCH_AND:
	case BRANCH_OR:
		json_array_foreach(inner, i, part)
			has |= depth <= DEPTH_MAX && has_signature(h, part, depth + 1);
		return has;
	case BRANCH_NOT:
		return depth <= DEPTH_MAX && has_signature(h, inner, depth + 1);
	case BRANCH_MATCH:
		return hash_of(hook_text(inner, "type", h->arena)) != NULL;
	case BRANCH_EMPTY:
		break;
	}
	return 0;
}

/* Of alternatives, those behind a signature are not reached where it is wrong, unless failures are soft. */
static struct expr *list_of(struct hook_rule *h, json_t *list, enum kind kind, int is_negated, int depth)
{
	size_t n = json_array_size(list), i;
	struct expr **parts = arena_alloc(h->arena, 2 * n + 1, sizeof(struct expr *));
	json_t *part, *inner;
	size_t at = 0;
	int is_behind = 0;

	json_array_foreach(list, i, part) {
		if (is_behind)
			hook_note(h->notes, h->arena, "what stands behind a signature in `or`: it does not hold here, as with a wrong signature");
		parts[at++] = is_behind ? unknown(is_negated) : value_of(h, part, is_negated, depth + 1);
		is_behind |= kind == IS_ANY && !h->is_soft && has_signature(h, part, depth);
		if (kind == IS_ALL && branch_of(part, &inner) == BRANCH_NOT)
			parts[at++] = negate(h, error_of(h, inner, depth + 1));
	}
	return join(h, kind, parts, at);
}

static struct expr *value_of(struct hook_rule *h, json_t *rule, int is_negated, int depth)
{
	json_t *inner;

	if (depth > DEPTH_MAX || ++h->work > WORK_MAX) {
		hook_note(h->notes, h->arena, "conditions nested deeper than %d, or more than %d of them, are left out", DEPTH_MAX, WORK_MAX);
		return unknown(is_negated);
	}
	switch (branch_of(rule, &inner)) {
	case BRANCH_AND: return list_of(h, inner, IS_ALL, is_negated, depth);
	case BRANCH_OR: return list_of(h, inner, IS_ANY, is_negated, depth);
	case BRANCH_NOT: return negate(h, value_of(h, inner, !is_negated, depth + 1));
	case BRANCH_MATCH: return leaf(h, inner, is_negated);
	case BRANCH_EMPTY: return &never;
	}
	return &never;
}

/* ---- the proof ---- */

/* A leaf that can be the source's verification; 0 for none, the higher the better. */
static int take_proof(struct hook_rule *h, json_t *match, struct hook_auth *out)
{
	static const char *const secretive[] = { "token", "secret", "key", "apikey", "api_key", "password", "access_token", "auth", NULL };
	const char *type = hook_text(match, "type", h->arena), *hash = hash_of(type);
	json_t *parameter = json_object_get(match, "parameter");
	const char *source = hook_text(parameter, "source", h->arena), *name = hook_text(parameter, "name", h->arena);
	const char *secret = hook_text(match, hash ? "secret" : "value", h->arena);
	int is_header = !strcmp(source, "header"), is_query = !strcmp(source, "url") || !strcmp(source, "query"), is_secretive = 0;

	*out = (struct hook_auth){ .from = is_header ? "header" : "query", .name = name, .hash = hash, .secrets = { secret }, .n_secrets = 1 };
	size_t len = strlen(secret);
	if (!*name || (!is_header && !is_query) || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")])
		return 0;
	if (!len || slice_trim(slice_of(secret)).len != len || strpbrk(secret, "\r\n"))
		return 0;                               /* a secret's file could not hold it */
	if (hash) {
		out->kind = HOOK_AUTH_HMAC;
		return 3;
	}
	for (const char *const *s = secretive; *s; s++)
		is_secretive |= !strcmp(lower(name, h->arena), *s);
	out->kind = HOOK_AUTH_TOKEN;
	if (strcmp(type, "value") != 0)
		return 0;
	if (is_header)
		return header_is_kept(NULL, slice_of(name)) ? 0 : 2;
	return is_secretive ? 1 : 0;
}

/* Alternatives that are all the same signature by different secrets: a source has several. */
static int take_alternatives(struct hook_rule *h, json_t *list)
{
	struct hook_auth one, all = { 0 };
	json_t *part, *inner;
	size_t i;

	json_array_foreach(list, i, part) {
		if (branch_of(part, &inner) != BRANCH_MATCH || !take_proof(h, inner, &one) || all.n_secrets == COUNT(all.secrets))
			return 0;
		if (i && (one.kind != all.kind || strcmp(one.name, all.name) || strcmp(one.from, all.from) ||
			  (one.hash && strcmp(one.hash, all.hash))))
			return 0;
		size_t n = all.n_secrets;
		if (i == 0)
			all = one;
		all.secrets[n] = one.secrets[0];
		all.n_secrets = n + 1;
	}
	if (all.kind == HOOK_AUTH_HMAC && !h->is_soft)
		all.n_secrets = 1;                      /* a wrong signature ends the search in the original */
	if (all.n_secrets)
		h->auth = all;
	return all.n_secrets > 0;
}

/* Take the proof out of RULE, and, of what must hold, what cannot be asked: those go with a note, and the rule stays disabled. */
static json_t *without(struct hook_rule *h, json_t *rule, int depth)
{
	struct hook_auth found;
	json_t *inner, *part;
	size_t i;

	switch (branch_of(rule, &inner)) {
	case BRANCH_MATCH: {
		const char *type = hook_text(inner, "type", h->arena);
		if (h->auth.kind == HOOK_AUTH_NONE && take_proof(h, inner, &found)) {
			h->auth = found;
			return NULL;
		}
		if (hash_of(type) || !strcmp(type, "ip-whitelist") || !strcmp(type, "scalr-signature")) {
			hook_note(h->notes, h->arena, "%s %s: cannot be asked here%s, so the rule is not enabled", type,
				  hook_text(inner, "ip-range", h->arena), hash_of(type) ? " (no secret, or a second proof)" : "");
			h->is_doubtful = 1;
			return NULL;
		}
		return rule;
	}
	case BRANCH_OR:
		return h->auth.kind == HOOK_AUTH_NONE && take_alternatives(h, inner) ? NULL : rule;
	case BRANCH_AND: {
		json_t *left = json_array();
		if (depth > DEPTH_MAX)
			return rule;
		json_array_foreach(inner, i, part) {
			json_t *kept = without(h, part, depth + 1);
			if (kept)
				json_array_append(left, kept);
		}
		json_array_clear(inner);
		json_array_extend(inner, left);
		json_decref(left);
		return rule;
	}
	case BRANCH_NOT:
	case BRANCH_EMPTY:
		break;
	}
	return rule;
}

/* The best proof goes first, so that it is the one that is found. */
static void prefer(struct hook_rule *h, json_t *rule)
{
	json_t *list = json_object_get(rule, "and"), *part, *inner;
	struct hook_auth found;
	size_t i, best = 0;
	int most = 0;

	json_array_foreach(list, i, part) {
		int worth = branch_of(part, &inner) == BRANCH_MATCH ? take_proof(h, inner, &found) : 0;
		if (worth > most) {
			most = worth;
			best = i;
		}
	}
	if (!most || best == 0)
		return;
	part = json_incref(json_array_get(list, best));
	json_array_remove(list, best);
	json_array_insert_new(list, 0, part);
}

/* ---- writing ---- */

static void write_table(const struct expr *e, struct buf *out);

static int is_name(const char *key)
{
	static const char *const words[] = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
		"local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" };
	size_t n = strlen(key);

	for (size_t i = 0; i < COUNT(words); i++)
		if (!strcmp(key, words[i]))
			return 0;
	return n && !isdigit((unsigned char)*key) && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == n;
}

static void write_key(const char *key, struct buf *out)
{
	if (is_name(key)) {
		buf_adds(out, key);
		return;
	}
	buf_addc(out, '[');
	lua_quote(key, out);
	buf_addc(out, ']');
}

static int is_double(const struct expr *all, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (all->kids[k]->kind == IS_TEST && !strcmp(all->kids[k]->table, all->kids[i]->table) &&
		    !strcmp(all->kids[k]->key, all->kids[i]->key))
			return 1;
	return 0;
}

/* The tests of one of the three tables; each key once. */
static int write_tests(const struct expr *all, const char *table, struct buf *out)
{
	int n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct expr *e = all->kids[i];
		if (e->kind != IS_TEST || strcmp(e->table, table) != 0 || is_double(all, i))
			continue;
		if (n++)
			buf_adds(out, ", ");
		else
			buf_addf(out, " %s = { ", table);
		write_key(e->key, out);
		buf_addf(out, " = %s", e->test);
	}
	if (n)
		buf_adds(out, " },");
	return n;
}

static void write_list(const char *name, const struct expr *all, enum kind kind, struct buf *out)
{
	int n = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct expr *e = all->kids[i];
		int is_again = e->kind == IS_TEST && kind == IS_TEST && is_double(all, i);
		if (e->kind != kind || (kind == IS_TEST && !is_again))
			continue;
		buf_adds(out, n++ ? ", " : "");
		if (n == 1)
			buf_addf(out, " %s = { ", name);
		write_table(kind == IS_NOT ? e->kids[0] : e, out);
	}
	if (n)
		buf_adds(out, " },");
}

/* Of the members of ALL: tests by table, `none` for what is negated, and what would be a key twice below `all`. */
static void write_all(const struct expr *all, struct buf *out)
{
	struct expr again = { .kind = IS_ALL };
	size_t anys = 0, doubles = 0;

	write_tests(all, "payload", out);
	write_tests(all, "header", out);
	write_tests(all, "query", out);
	for (size_t i = 0; i < all->n; i++) {
		anys += all->kids[i]->kind == IS_ANY;
		doubles += all->kids[i]->kind == IS_TEST && is_double(all, i);
	}
	if (doubles || anys > 1) {
		again.kids = xcalloc(all->n, sizeof *again.kids);
		for (size_t i = 0; i < all->n; i++)
			if (all->kids[i]->kind == IS_ANY || (all->kids[i]->kind == IS_TEST && is_double(all, i)))
				again.kids[again.n++] = all->kids[i];
		buf_adds(out, " all = { ");
		for (size_t i = 0; i < again.n; i++) {
			buf_adds(out, i ? ", " : "");
			write_table(again.kids[i], out);
		}
		buf_adds(out, " },");
		free(again.kids);
	}
	for (size_t i = 0; i < all->n && anys == 1 && !doubles; i++)
		if (all->kids[i]->kind == IS_ANY) {
			buf_adds(out, " any = { ");
			for (size_t k = 0; k < all->kids[i]->n; k++) {
				buf_adds(out, k ? ", " : "");
				write_table(all->kids[i]->kids[k], out);
			}
			buf_adds(out, " },");
		}
	write_list("none", all, IS_NOT, out);
}

static void write_table(const struct expr *e, struct buf *out)
{
	struct expr *one = (struct expr *)(uintptr_t)e;
	struct expr alone = { .kind = IS_ALL, .kids = &one, .n = 1 };

	buf_addc(out, '{');
	write_all(e->kind == IS_ALL ? e : &alone, out);
	if (out->len && out->ptr[out->len - 1] == ',')
		out->len--;
	buf_adds(out, " }");
}

void hook_rule_convert(json_t *rule, struct hook_rule *h)
{
	h->when = BUF(1 << 20);
	if (!rule || json_is_null(rule)) {
		h->is_always = 1;
		return;
	}
	json_t *own = json_deep_copy(rule), *left;
	prefer(h, own);
	left = without(h, own, 0);
	struct expr *e = left ? value_of(h, left, 0, 0) : &always;
	h->is_always = e->kind == IS_TRUE;
	h->is_never = e->kind == IS_FALSE;
	if (!h->is_always && !h->is_never)
		write_table(e, &h->when);
	json_decref(own);
}
