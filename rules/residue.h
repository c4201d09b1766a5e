/* rules/residue.h - what is left of a rule's conditions when all but the changed files is known: made where the delivery is matched
 * (match_residue_json), decided in the job, which has asked git. The same predicates judge in both places. Pure; any thread.
 *
 * {"skip":true, "when":COND}, "skip" where unknown = "skip". COND: 0 no, 1 unknown, 2 yes; {"all":[COND…]}, "any", "none";
 * {"paths":VALUE}, a test as rules/node.h writes it. */
#pragma once
#include "base/err.h"
#include "rules/extract.h"
#include "rules/match.h"

enum residue { RESIDUE_NO, RESIDUE_YES };
/* PATHS NULL: they cannot be known, and every test of them is unknown. BECAUSE gets why it is NO. -1: JSON is no residue
 * (ERR_BUG); PATHS holds VALUE_STRINGs, all borrowed. */
int residue_decide(struct slice json, const struct value *paths, size_t n, enum residue *out, struct buf *because, struct err *e)
	MUST_USE;
