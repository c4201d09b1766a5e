/* rules/normalise.h - from a native event of a sender to the common one: its name, its action, its fields. The mapping is
 * data of the provider's descriptor (plugins/providers/github.lua explains them); rules see only the result. Pure; a
 * provider and a mapping are immutable: any thread. */
#pragma once
#include "rules/extract.h"

struct arena;
struct provider;

enum field_id {
	FIELD_REPO, FIELD_OWNER, FIELD_BRANCH, FIELD_TAG, FIELD_REF, FIELD_BASE, FIELD_HEAD, FIELD_BEFORE, FIELD_SHA,
	FIELD_NUMBER, FIELD_TITLE, FIELD_MESSAGE, FIELD_AUTHOR, FIELD_SENDER, FIELD_DRAFT, FIELD_FORK, FIELD_LABELS,
	FIELD_PATHS, FIELD_CREATED, FIELD_DELETED, FIELD_FORCED, FIELD_URL,
	FIELD_PAYMENT, FIELD_ORDER, FIELD_AMOUNT, FIELD_CURRENCY, FIELD_CUSTOMER, FIELD_LIVE,
	FIELD_COUNT
};
enum field_type { FIELD_STRING = 1, FIELD_INTEGER, FIELD_BOOL, FIELD_STRINGS };
const char *field_name(enum field_id f);
enum field_type field_type(enum field_id f);
int field_find(struct slice name);                              /* an enum field_id, or -1 */

/* One case of a descriptor's mapping. A native event has one or more (GitHub's "push" is push, tag or delete, by what the
 * payload says); which one holds for a delivery is provider_normalise's to decide. */
struct provider_event {
	const char *native;             /* the native event, or "event.action" where the mapping depends on the action */
	const char *common;             /* "push", "payment" */
	const char *common_action;      /* "succeeded" of "payment.succeeded"; NULL: the native action, perhaps renamed */
	uint64_t fields;                /* bit (1 << enum field_id): the fields such an event can have */
};
/* All cases, those of one native event together. Borrowed from P. */
const struct provider_event *provider_events(const struct provider *p, size_t *n);

/* Where the descriptor's payload paths stand in PATHS, to which they are added (the caller adds the rules' own payload
 * paths to the same PATHS, before or after, and runs one extract() for all). Owned; borrows P; needs PATHS no more. */
struct mapping;
struct mapping *mapping_new(const struct provider *p, struct paths *paths);
void mapping_free(struct mapping *m);

enum field_state {
	FIELD_MISSING,                  /* the event has none: fails every test but exists = false */
	FIELD_PRESENT,                  /* `list` holds it; a FIELD_STRINGS may have n = 0 */
	FIELD_UNKNOWN,                  /* the payload cannot know: paths of a new branch, a force push, too many commits */
};
struct field {
	enum field_state state;
	const struct value *list;       /* VALUE_STRING, VALUE_INTEGER, VALUE_TRUE or VALUE_FALSE, as the field's type says */
	size_t n;                       /* 1; any number for FIELD_STRINGS; a FIELD_STRING may have several where the sender
					 * reports several changes in one delivery: a test means any of them */
};
struct normal {
	const char *event;              /* common name; "" where the native event maps to none */
	struct slice action;            /* common action; len 0 for none */
	struct field field[FIELD_COUNT];
	struct value one[FIELD_COUNT];  /* private: behind field[].list */
	struct arena *made;             /* private: lists, and texts that are not in the payload as they are */
};
/* EVENT and ACTION are native, as provider_identify gave them. VALUES: of an extract() with the PATHS of M. OUT is
 * filled always; it borrows from M's provider, ACTION and VALUES, and must stay where it is; end it with normal_fini. A
 * null in the payload counts as missing. */
void provider_normalise(const struct mapping *m, struct slice event, struct slice action, const struct values *values,
			struct normal *out);
void normal_fini(struct normal *n);
