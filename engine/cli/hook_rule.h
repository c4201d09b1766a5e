/* cli/hook_rule.h - a trigger-rule of adnanh/webhook as the conditions of a rule. Pure.
 *
 * The original evaluates a tree of and, or, not and match, and a parameter that is missing is an error which `and` takes for false
 * and `or` passes over; a condition here is false where a value is missing. So `not` within `and` also asks whether what it
 * negates was there. What cannot be asked here counts as what makes the rule fire less often, never more. */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "rules/arena.h"

enum hook_auth_kind { HOOK_AUTH_NONE, HOOK_AUTH_HMAC, HOOK_AUTH_TOKEN };
struct hook_auth {                              /* a leaf that is rather the source's verification */
	enum hook_auth_kind kind;
	const char *hash;                       /* "sha1" … */
	const char *from, *name;                /* "header" or "query", and of what name */
	const char *secrets[8];
	size_t n_secrets;
};

struct hook_notes {                             /* what differs from the original; in the arena */
	const char *list[64];
	size_t n;
};
struct hook_rule {
	struct arena *arena;                    /* the caller's */
	const char *form_field;                 /* the form's field that is the document; NULL. "payload.x" is "x" then */
	const char *decoded[16];                /* payload strings that hold JSON: nothing below can be asked */
	size_t n_decoded;
	int is_soft;                            /* trigger-signature-soft-failures: a wrong signature among alternatives is just false */
	struct hook_notes *notes;
	struct hook_auth auth;                  /* out */
	size_t work;                            /* private */
	int is_never, is_always;                /* out: WHEN is empty then */
	int is_doubtful;                        /* out: a condition was left out that had to hold: do not enable it */
	struct buf when;                        /* out: "{ … }"; owned: buf_fini */
};
/* RULE: the JSON of "trigger-rule", NULL where there is none. */
void hook_rule_convert(json_t *rule, struct hook_rule *h);

void hook_note(struct hook_notes *notes, struct arena *a, const char *fmt, ...) PRINTF(3, 4);
/* A value of the hooks file where a text is meant: numbers and booleans are texts too. "" for none; in the arena. */
const char *hook_text(json_t *object, const char *key, struct arena *a);
int hook_flag(json_t *object, const char *key);
/* "a.b.0.c" as a path of ours: a.b[0].c. */
const char *hook_path(const char *name, struct arena *a);
void lua_quote(const char *text, struct buf *out);
