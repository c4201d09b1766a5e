/* front/shelf.h - rule sets on disk, state/rulesets/<sha256>, and the few last used at hand. A job runs with the rule
 * text that matched it, however often the files changed since. One owner: the desk's thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct ruleset;
struct shelf;

#define BUNDLE_MAX_BYTES (64 << 20)
#define SHELF_AT_HAND 4

/* FOLDER (state/rulesets) is borrowed. */
struct shelf *shelf_new(int folder_dirfd);
void shelf_free(struct shelf *s);                       /* NULL is fine */
/* Compile the bundle in BUNDLE_FD (borrowed; what eval handed over: only a memfd sealed against change is read) and keep
 * it durably. 0: *out is a reference owned by the caller. -1: refused; *e in one line, WHY (may be NULL) with every
 * diagnostic. Warnings go to WHY too. */
int shelf_take(struct shelf *s, int bundle_fd, struct ruleset **out, struct buf *why, struct err *e) MUST_USE;
/* The rule set known by SHA256, one reference owned by the caller; NULL with *e where it is gone or does not compile any
 * more. Reads and compiles (blocking) unless at hand. */
struct ruleset *shelf_find(struct shelf *s, const char *sha256, struct err *e);
