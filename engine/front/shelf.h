/* front/shelf.h - rule sets on disk, state/rulesets/<sha256>, and the few last used at hand. A job runs with the rule
 * text that matched it, however often the files changed since. One owner: the desk's thread. */
#pragma once
#include "base/buf.h"
#include "base/err.h"

struct ruleset;
struct shelf;

#define BUNDLE_MAX_BYTES (64 << 20)
#define SHELF_AT_HAND 4

/* FOLDER (state/rulesets) is borrowed. Nobody else writes to it while the shelf lives. */
struct shelf *shelf_new(int folder_dirfd);
void shelf_free(struct shelf *s);                       /* NULL is fine */
/* Compile the bundle in BUNDLE_FD (borrowed; what eval handed over: only a memfd sealed against change is read) and keep
 * it durably. 0: *out is a reference owned by the caller. -1: refused; *e in one line, WHY (may be NULL) with every
 * diagnostic. Warnings go to WHY too. */
int shelf_take(struct shelf *s, int bundle_fd, struct ruleset **out, struct buf *why, struct err *e) MUST_USE;
/* The rule set known by SHA256, one reference owned by the caller; NULL with *e where it is gone or does not compile any
 * more. Reads and compiles (blocking) unless at hand. */
struct ruleset *shelf_find(struct shelf *s, const char *sha256, struct err *e);

/* ---- for keeping house (front/house.c) ---- */
enum shelf_name { SHELF_RULESET, SHELF_TORN, SHELF_FOREIGN };
enum shelf_name shelf_name_is(const char *name);        /* a set; what is left of one that was not written to its end; neither */
int shelf_folder(const struct shelf *s);                /* borrowed */
int shelf_drop(struct shelf *s, const char *name);      /* 0: the file is gone. One that comes back is written anew */
