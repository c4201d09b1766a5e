/* cli/site.h - what the offline commands share: evaluate a directory in a child, and compile it. One thread. */
#pragma once
#include "cli/command.h"
#include "rules/ruleset.h"

/* Evaluate and compile DIR. BUNDLE (the caller's, empty) gets what eval made of it; diagnostics go to DIAGS (owned by the
 * caller) in any case. EXIT_OK and *out owned; or EXIT_FAILED: errors in DIAGS, or, said on stderr, no directory, a
 * time-out. */
int site_load(const struct command *c, const char *dir, struct buf *bundle, struct diags *diags, struct ruleset **out);
/* The same, and a secret that is named and is not there is an error. */
int site_load_with_secrets(const struct command *c, const char *dir, struct buf *bundle, struct diags *diags, struct ruleset **out);
/* The same where only errors matter: they are said on stderr. */
int site_load_or_say(const struct command *c, const char *dir, struct ruleset **out);
/* DIR where NAMED is NULL: $PUSHROD_SITE, else ".". */
const char *site_dir(const char *named);
