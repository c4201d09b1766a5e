/* rules/gate.h - behind which literal a rule may stand: one that its conditions demand, the rarest in the whole set. Only
 * rules/index.c includes it. Pure. */
#pragma once
#include "rules/compiled.h"

/* A literal is a whole text, likewise in lower case, the folder a pattern begins with, a number, or true, false, null. */
enum literal_kind { LITERAL_TEXT = 't', LITERAL_FOLDED = 'i', LITERAL_FOLDER = 'f', LITERAL_NUMBER = 'n', LITERAL_WORD = 'w' };
struct literal {
	enum literal_kind kind;
	struct slice text;              /* TEXT, FOLDER; FOLDED: in whatever case, literal_hash makes it lower */
	int64_t number;                 /* NUMBER; WORD: the enum value_kind */
};
/* What a value holds that O is demanded of in that way. 0: no value needs to hold any literal. */
int literal_of(const struct operand *o, enum demand how, struct literal *out);
int literal_whole(double d, int64_t *out);                              /* 1 and 1.0 are one literal */

/* Hashes cover where (a listing's number), what (the subject) and the literal. A text may be hashed piece by piece. */
uint64_t literal_hash(size_t listing, uint32_t subject, const struct literal *l);
uint64_t literal_hash_start(size_t listing, uint32_t subject, enum literal_kind kind);
uint64_t literal_hash_more(uint64_t h, const void *bytes, size_t n);
uint64_t literal_hash_folded(uint64_t h, struct slice text);              /* as if TEXT were in lower case */

struct choice {                         /* the gate of one rule */
	uint32_t subject;
	enum demand how;
	const struct operand *operands; /* one of them must be met; NULL: the rule demands no literal */
	size_t n, cost;                 /* cost: how many rules stand behind the same literals */
};
struct choice *gates_choose(const struct ruleset *rs);                  /* one for each rule; owned: free */
