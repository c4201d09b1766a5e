/* front/edition.h - the rule set in force with what belongs to it on this host: each source's secrets, the names we
 * answer to, the base of links. Immutable and counted: every loop and the desk hold one; a reload makes a new one and
 * hands it round by mailbox, so a request sees one edition from its first byte to its reply. */
#pragma once
#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "rules/provider.h"
#include "rules/ruleset.h"

#define HOOK_SECRETS_MAX 8

struct addresses;
struct refusals;

struct hook {                           /* a source, ready to verify */
	const struct source *source;
	size_t n_secrets;
	struct {
		const char *name;       /* borrowed from source */
		struct buf text;
		int64_t not_after_ms;   /* 0: for ever */
	} secrets[HOOK_SECRETS_MAX];
	char *error;                    /* why it cannot verify anything: every delivery gets 503; NULL where all is well */
	_Atomic int64_t said_idle_ms;   /* when the log last heard that no rule listens */
	struct refusals *refusals;      /* one reference */
};

struct edition {
	_Atomic int refs;
	struct ruleset *rules;
	int64_t loaded_ms;
	char *error;                    /* what a newer bundle, not in force, has wrong; NULL */
	char *url;                      /* "http://127.0.0.1:8787": without a slash at its end */
	char **hosts;                   /* names a Host header may say: lower case, no port, no brackets */
	size_t n_hosts;
	struct hook *hooks;
	size_t n_hooks;
};

/* RULES is taken (one reference). Reads the secrets below SITE_DIR (blocking): one that cannot be read puts its source
 * into error and into the log, it does not fail the edition. ERROR (borrowed, may be NULL) is kept for the API. */
struct edition *edition_new(struct ruleset *rules, const struct addresses *at, const char *site_dir, const char *error);
/* What was refused by BEFORE's sources is told of ED's sources of the same names. Before ED is handed round. */
void edition_inherit(struct edition *ed, const struct edition *before);
struct edition *edition_ref(struct edition *ed);
void edition_unref(struct edition *ed);                 /* any thread; NULL is fine */
int edition_is_alone(const struct edition *ed);         /* 1: the caller's is the last reference, and so stays the last */
struct hook *edition_hook(struct edition *ed, struct slice path);      /* borrowed, or NULL */
/* The path of a source that PATH could have meant, or NULL. Borrowed. */
const char *edition_near_path(const struct edition *ed, struct slice path);
/* "no rule 'typo', did you mean 'docs'?", or "… in FILE" where it is not empty. Appended to OUT. */
void edition_no_rule(const struct ruleset *rules, const char *name, const char *file, struct buf *out);
/* HOST as the header says it, with or without port and brackets; an absent header (no browser) is fine. */
int edition_answers_to(const struct edition *ed, struct slice host);
