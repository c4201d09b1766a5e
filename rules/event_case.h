/* rules/event_case.h - how a provider's native events become common ones, and where their fields stand: what mapping.c makes of a
 * descriptor, and normalise.c reads. */
#pragma once
#include "rules/normalise.h"

struct provider_event;

#define ALTERNATIVES_MAX 4
enum conversion {
	CONV_COPY, CONV_TEXT, CONV_BRANCH_OF, CONV_TAG_OF, CONV_BRANCH_REF, CONV_TAG_REF, CONV_PULL_REF, CONV_MERGE_REF, CONV_OWNER_OF,
	CONV_FIRST_LINE, CONV_LOWER, CONV_LAST, CONV_IS_ZERO, CONV_NOT, CONV_EXISTS, CONV_DIFFERS, CONV_JOIN, CONV_COUNT
};
struct spec_one {
	enum conversion conversion;
	struct slice text;              /* CONV_TEXT */
	int path, other;                /* in provider.fields; other: CONV_DIFFERS, CONV_JOIN */
	int list;                       /* the list that path's first [] walks; -1 without one */
};
#define UNLESS_MAX 4
struct spec {                           /* how one field comes about */
	struct spec_one list[ALTERNATIVES_MAX];
	size_t n;
	int is_files;                   /* else: the union of the files that commits name */
	int commits, lists[3], files[3];        /* commits[], commits[].added, commits[].added[] */
	int total;                      /* how many commits there are; -1 unless the sender says so */
	int64_t most;                   /* with as many commits the list may be cut */
	struct spec_one unless[UNLESS_MAX];     /* true: unknown */
	size_t n_unless;
};
struct literal {
	enum value_kind kind;
	struct slice text;              /* VALUE_STRING */
	int64_t integer;
	int is_prefix;                  /* was written with a '*' at its end; the '*' alone is anything but null */
};
struct condition {                      /* the value at path is one of the literals */
	int path;
	struct literal *literals;
	size_t n;
};
struct rename { struct slice from, to; };
struct event_case {
	struct provider_event *told;    /* provider.events holds it */
	struct slice native, action;    /* action: of told->common_action */
	struct condition *conditions;
	size_t n_conditions;
	struct rename *renames;         /* of actions */
	size_t n_renames;
	const struct spec *spec[FIELD_COUNT];   /* NULL: none */
};
