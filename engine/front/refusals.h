/* front/refusals.h - who was turned away since the start, for whoever asks for the status: how often, when last, and why, in the
 * words of the log. In memory, of a bounded size. Any thread may note and any may look; none waits for another: of two that note
 * at the same instant one is counted without its words. Times are wall_ms. */
#pragma once
#include "base/slice.h"

#define REFUSAL_WHY_MAX 232
#define STRAYS_KEPT 4                   /* distinct paths */
#define STRAY_PATH_MAX 96

/* ---- of a source. Counted: the editions that have the source share it ---- */
struct refusals;

struct refused {
	int64_t count, last_ms;
	int64_t status;                 /* what the sender was answered */
	char why[REFUSAL_WHY_MAX];
};

struct refusals *refusals_new(void);
struct refusals *refusals_ref(struct refusals *r);
void refusals_unref(struct refusals *r);                /* NULL is fine */
/* 1: the log is to hear of it, and that *unsaid were not told to it meanwhile. A sender that is turned away may be an attacker
 * with a loop: the log hears of one a second. */
int refusals_note(struct refusals *r, int status, const char *why, int64_t *unsaid);
void refusals_tell(struct refusals *r, struct refused *out);    /* count 0: none */

/* ---- of paths that no source has ---- */
struct strays;

struct stray {
	int64_t count, last_ms;         /* count 0: no such */
	char path[STRAY_PATH_MAX];      /* printable ASCII, anything else is '?'; cut */
};

struct strays_told {
	int64_t count;                  /* of all, those with other paths too */
	struct stray last[STRAYS_KEPT]; /* the latest first */
};

struct strays *strays_new(void);
void strays_free(struct strays *s);                     /* NULL is fine */
/* As refusals_note; SHOWN is PATH as struct stray has it. */
int strays_note(struct strays *s, struct slice path, char shown[STRAY_PATH_MAX], int64_t *unsaid);
void strays_tell(struct strays *s, struct strays_told *out);
