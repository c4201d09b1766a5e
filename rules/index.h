/* rules/index.h - which rules could fire for a delivery: by the event first, then by the most selective literal that each
 * rule demands, so that the cost grows with the rules that match and with what the delivery has of what rules ask for, and not
 * with the rules that exist. It may name a rule that will not fire, never omit one that does. Pure; immutable; any thread. */
#pragma once
#include <assert.h>

#include "rules/compiled.h"

struct index;
/* RS has its rules, questions and usages. Owned; borrows RS. */
struct index *index_build(const struct ruleset *rs);
void index_free(struct index *ix);

struct event_names {                    /* all borrowed; len 0 where there is none */
	const struct source *source;
	struct slice common, common_action, native, native_action;
};
/* Could any rule listen to a native event, whatever it turns out to be in common terms? Before the payload is read. */
int index_may_listen(const struct index *ix, const struct event_names *n);

/* Could any rule listen to anything that S sends? */
int index_hears(const struct index *ix, const struct source *s);

struct listing;                         /* the rules that listen to one name */
struct rule_list {
	uint32_t *list;
	size_t n, cap;                  /* cap 0: the list is borrowed from the index */
};
void rule_list_fini(struct rule_list *l);
#define EVENT_PARTS_MAX 10              /* of a name of `on`, between dots */
#define LISTENING_MAX 32                /* a delivery's common name, of any source and of its own, its native one, and "*" */
static_assert(3 * EVENT_PARTS_MAX + 1 <= LISTENING_MAX, "none that listens is left out");
struct listening {
	const struct listing *list[LISTENING_MAX];
	int n;
};
void index_listening(const struct index *ix, const struct event_names *n, struct listening *out);
/* All that listen, in file order, each once: how many; one by one; in a list, which costs as much as there are. */
size_t index_count(const struct listening *l);
struct rule_walk {                      /* begins as { l } */
	const struct listening *l;
	size_t at[LISTENING_MAX];       /* in each listing */
};
int index_next(struct rule_walk *w, uint32_t *rule);                    /* 0: there are no more */
void index_rules(const struct listening *l, struct rule_list *out);
/* Of those, the ones that could fire. */
struct index_asks {
	const struct finding *(*look)(void *arg, uint32_t subject);     /* what the delivery holds of it; borrowed until the next call */
	int (*may_hold)(void *arg, uint32_t question);                  /* true or unknown */
	/* The subjects of an open kind of which the delivery has something; borrowed. -1: it may be any of them. */
	int (*met)(void *arg, enum subject_kind kind, const uint32_t **subjects, size_t *n);
	void *arg;
};
void index_candidates(const struct index *ix, const struct listening *l, const struct index_asks *asks, struct rule_list *out);
