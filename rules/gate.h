/* rules/gate.h - behind what a rule may stand: literals that its conditions demand, the rarest in the whole set, or that a path
 * is there at all, or, where they demand none, a question that many rules ask. Only rules/index.c includes it. Pure. */
#pragma once
#include "rules/compiled.h"

/* Of a text: the whole, the whole in any case, how it begins, how it ends, a folder or file name that stands in it between
 * slashes. Otherwise a number, or true, false, null. Or that there is something, whatever it is. */
enum literal_kind {
	LITERAL_TEXT, LITERAL_FOLDED, LITERAL_START, LITERAL_END, LITERAL_NAME, LITERAL_NUMBER, LITERAL_WORD, LITERAL_PRESENCE,
};
#define LITERAL_KINDS 8
#define LITERAL_MAX_BYTES 63            /* of a START or END; what is longer is cut, and lets a little more through */
struct literal {
	enum literal_kind kind;
	struct slice text;
	int64_t number;                 /* NUMBER; WORD: the enum value_kind */
};
#define LITERALS_MAX 3
/* The literals that a value must have, every one, to meet O. Returns how many, at most LITERALS_MAX; 0: it needs none. */
int literals_of(const struct operand *o, enum demand how, struct literal *out);
int literal_whole(double d, int64_t *out);                              /* 1 and 1.0 are one literal */

/* Hashes cover where (a listing's number), what (the subject) and the literal, in this order; a text's bytes one by one, those of
 * an END from the back. */
uint64_t literal_hash_start(size_t listing, uint32_t subject, enum literal_kind kind);
uint64_t literal_hash(uint64_t start, const struct literal *l);
uint64_t literal_hash_folded(uint64_t h, struct slice text);
static inline uint64_t literal_hash_byte(uint64_t h, char c)
{
	return (h ^ (unsigned char)c) * 0x100000001b3u;
}

struct wanted {
	uint32_t subject;
	struct literal literal;         /* borrowed from the rule set */
};
#define NO_QUESTION UINT32_MAX
struct choice {                         /* the gates of one rule */
	struct wanted *list;            /* it can fire only where one of them is met; NULL: it demands no literals */
	size_t n;
	uint32_t question;              /* then: it can fire only where this does not fail; or NO_QUESTION */
};
struct choices {
	struct choice *list;            /* by rule */
	struct arena *arena;
};
struct choices gates_choose(const struct ruleset *rs);                  /* owned */
void choices_fini(struct choices *c);
