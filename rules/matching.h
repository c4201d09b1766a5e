/* rules/matching.h - the inside of a match, for match.c, which makes it, and for those that put it into words. */
#pragma once
#include "rules/compiled.h"
#include "rules/index.h"

struct fired { uint32_t rule; enum truth truth; };      /* YES, or UNKNOWN: it fires and says so */
struct match {
	struct ruleset *rs;             /* owned reference */
	struct delivery_view delivery;  /* borrowed */
	int knows_payload;              /* whether the rules' own paths were extracted, or the fields alone */
	struct values *values;
	struct normal normal;
	struct value facts[FACT_COUNT];
	char *event, *action;           /* common, else native */
	struct value **mixed;           /* owned; lists put together for a finding */
	size_t n_mixed;
	uint64_t *answers;              /* two bits a question: 0 not asked yet, else enum truth + 1 */
	struct finding finding;         /* what match_look gave last */
	struct listening listening;
	struct rule_list candidates;
	struct fired *fired;
	size_t n_fired;
};

/* What the delivery holds of a subject. Borrowed until the next call. Not for other threads: it fills memory. */
const struct finding *match_look(struct match *m, uint32_t subject);
enum truth match_answer(struct match *m, uint32_t question);
enum truth match_cond(struct match *m, const struct cond *c);
int match_fires(const struct match *m, uint32_t rule);
/* Why a rule did not fire, in one line: `branch: want "main", got "dev"`. For such a rule only. */
void match_because(struct match *m, const struct rule *r, struct buf *out);

/* phrase.c: a question and its answer in words. */
const char *subject_label(const struct match *m, uint32_t question);            /* "branch", "a.b" */
void phrase_answer(struct match *m, uint32_t question, enum truth t, struct buf *out);
void phrase_cond(struct match *m, const struct cond *c, struct buf *out);       /* all of its questions, in a line */
/* The questions that make C unknown, for an empty OUT. */
void phrase_unknowns(struct match *m, const struct cond *c, struct buf *out);
void phrase_want(const struct match *m, uint32_t question, struct buf *out);
void phrase_got(struct match *m, uint32_t question, struct buf *out);
