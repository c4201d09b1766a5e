/* rules/matching.h - the inside of a match, for match.c, which makes it, and for those that put it into words. */
#pragma once
#include "base/map.h"
#include "rules/cause.h"
#include "rules/compiled.h"
#include "rules/index.h"
#include "rules/match.h"

struct fired {
	uint32_t rule;
	enum truth truth;               /* YES, or UNKNOWN: it fires and says so */
	uint32_t first_cell, n_cells;   /* of match.cells: those that run */
};
struct mixed {                          /* what a list holds whose elements are lists in part: put together once */
	struct finding finding;
	struct value *list;             /* owned */
};
struct met { uint32_t *subjects; size_t n; };   /* owned; NULL: not asked for yet */
struct match {
	struct ruleset *rs;             /* owned reference */
	struct delivery_view delivery;  /* borrowed */
	int knows_payload;              /* whether the rules' own paths were extracted, or the fields alone */
	struct values *values;
	struct normal normal;
	struct cause *cause;            /* owned; NULL where the delivery names none */
	struct value facts[FACT_COUNT];
	char received[32], planned[32]; /* planned: "" where no schedule is behind it */
	struct values *headers, *query; /* read when first asked for; NULL: not yet, or not known */
	struct buf query_json;
	int has_headers, has_query;     /* they were read */
	char *event, *action;           /* common, else native */
	struct json_t *fields;          /* owned; the event's, for templates: made when first asked for */
	struct mixed *mixed;
	size_t n_mixed;
	struct map mixed_at;            /* by subject */
	struct met met[SUBJECT_KINDS];  /* of the open kinds: subjects of which something was found */
	struct map answers;             /* to the questions that were asked: enum truth */
	struct finding finding;         /* what match_look gave last */
	struct listening listening;
	struct rule_list candidates;
	struct fired *fired;
	size_t n_fired;
	uint32_t *cells;                /* numbers of cells, of one fired rule after the other */
	size_t n_cells, cap_cells;
};

/* What the delivery holds of a subject. Borrowed until the next call. Not for other threads: it fills memory. */
const struct finding *match_look(struct match *m, uint32_t subject);
enum truth match_answer(struct match *m, uint32_t question);
enum truth match_cond(struct match *m, const struct cond *c);
/* A condition of rule R, its own or a cell's, as R takes what is unknown. */
int match_holds(struct match *m, const struct rule *r, const struct cond *c);
int match_runs_any_cell(struct match *m, const struct rule *r);                 /* also without a matrix */
int match_is_untrusted(const struct match *m);  /* from a fork, or nobody can tell */
int match_is_ignored(const struct match *m, const struct rule *r);              /* untrusted, and forks = "ignore" */
int match_would_fire(struct match *m, const struct rule *r);
int match_fires(const struct match *m, uint32_t rule);
/* TEMPLATE filled for a cell of fired rule I; one that is too long as its hash. Returns how many fields the event lacks. */
#define KEY_MAX_BYTES 512
int match_key_fill(const struct match *m, size_t i, size_t cell, const char *template, struct buf *out);
/* "acme/app refs/heads/main, limit 1, cancel": where the jobs of R are, which says so. The key is filled where R fires, for the first
 * cell of those that run; else as it is written. */
void match_queue_words(const struct match *m, const struct rule *r, struct buf *out);
int match_queue_filled(const struct match *m, const struct rule *r, struct buf *out);    /* the key alone; 0: R has none, or does not fire */
/* Why a rule did not fire, in one line: `branch: want "main", got "dev"`. For such a rule only. */
void match_because(struct match *m, const struct rule *r, struct buf *out);
/* The same of a condition that does not hold. */
void match_because_cond(struct match *m, const struct cond *c, struct buf *out);

/* phrase.c: a question and its answer in words. */
const char *subject_label(const struct match *m, uint32_t question);            /* "branch", "a.b" */
void phrase_answer(struct match *m, uint32_t question, enum truth t, struct buf *out);
void phrase_cond(struct match *m, const struct cond *c, struct buf *out);       /* all of its questions, in a line */
/* The questions that make C unknown, for an empty OUT. */
void phrase_unknowns(struct match *m, const struct cond *c, struct buf *out);
void phrase_want(const struct match *m, uint32_t question, struct buf *out);
void phrase_got(struct match *m, uint32_t question, struct buf *out);
