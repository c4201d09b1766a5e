/* journal/mask.h - registered secrets never reach a log (I11): each is replaced by "***", also as base64 (three
 * alignments), hex, URL or JSON text, also line by line where it has several, also with SGR sequences between its
 * bytes, also without the beginning that an escape sequence before it took, and however the output was cut into reads. Pure; one
 * owner. */
#pragma once
#include "base/buf.h"

#define MASK_MIN_BYTES 4                        /* shorter secrets are refused: masking them would hide ordinary text */

struct mask;
struct mask *mask_new(void);
void mask_free(struct mask *m);
/* 0, or -1 where SECRET is shorter than MASK_MIN_BYTES. Copies it. */
int mask_add(struct mask *m, struct slice secret);
/* A stream's position: zeroed at its start. */
struct mask_state {
	struct buf held;                        /* bytes that may begin a secret, and the SGR sequences between them */
	struct buf marks;                       /* a byte per held byte: enum mark of mask.c */
	uint32_t node;                          /* of the automaton, as if there were no sequences */
	uint32_t raw;                           /* of the automaton, where all bytes count */
	uint32_t depth;                         /* held bytes that count: those not of an SGR sequence */
	int escape;                             /* inside of a sequence */
	int was_masked;                         /* the last byte given out belonged to a masked run */
};
void mask_state_fini(struct mask_state *s);
/* True where something is held back: what came last may be the beginning of a secret. */
int mask_is_holding(const struct mask_state *s);
/* Feed BYTES; masked output is appended to OUT, bytes that may begin a secret are held back. mask_flush gives out
 * what is held (the stream ended). */
void mask_feed(const struct mask *m, struct mask_state *s, struct slice bytes, struct buf *out);
void mask_flush(struct mask_state *s, struct buf *out);
/* Whole text at once, for reasons, notes, names. */
void mask_text(const struct mask *m, struct slice text, struct buf *out);
