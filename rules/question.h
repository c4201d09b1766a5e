/* rules/question.h - what rules ask of a delivery.
 *
 * A QUESTION is a predicate about a SUBJECT. Rules share questions: each is answered once per delivery, whoever asks. A
 * rule's `when` is a tree of conditions whose leaves are questions; the place of a leaf belongs to the rule. */
#pragma once
#include <stdint.h>

#include "rules/place.h"
#include "rules/predicate.h"

enum subject_kind {
	SUBJECT_FIELD,                  /* number: enum field_id */
	SUBJECT_EVENT,                  /* number: enum event_fact */
	SUBJECT_PAYLOAD,                /* by path */
	SUBJECT_HEADER,                 /* by name, in lower case */
	SUBJECT_QUERY,                  /* by name */
	SUBJECT_CHANGED,                /* the changed files of a rule with paths_from = "git": number FIELD_PATHS */
};
#define SUBJECT_KINDS 6
enum event_fact { FACT_SOURCE, FACT_PROVIDER, FACT_EVENT, FACT_ACTION, FACT_DELIVERY, FACT_RECEIVED, FACT_RULE, FACT_COUNT };
extern const char *const event_fact_names[FACT_COUNT];

struct subject {
	enum subject_kind kind;
	int number;
	const char *name;               /* "branch", the path, the header's name */
	const char *label;              /* for people: "branch", "a.b", "header x-a" */
	struct place place;             /* of a HEADER in the headers, of a QUERY in the query */
};
/* Under a name that the rules made up: there may be any number of such subjects, and a delivery has few. */
static inline int subject_is_open(const struct subject *s)
{
	return s->kind == SUBJECT_PAYLOAD || s->kind == SUBJECT_HEADER || s->kind == SUBJECT_QUERY;
}
struct question {
	uint32_t subject;
	struct predicate predicate;
};

enum cond_kind { COND_QUESTION, COND_ALL, COND_ANY, COND_NONE };
struct cond {
	enum cond_kind kind;
	int line, col;
	uint32_t question;              /* COND_QUESTION */
	const char *test;               /* of a SUBJECT_CHANGED: the table as written, in the form of rules/node.h; else NULL */
	struct cond *kids;              /* else; in the order of the file */
	size_t n;
};
