/* store/reading.h - what may be asked of the store; part of store.h, which includes it. Answers are JSON text, made by the
 * reading thread from committed rows. */
#pragma once
#include "base/buf.h"
#include "base/mailbox.h"
#include "model/job.h"

struct store;

enum store_outcome { STORE_OK = 1, STORE_DUPLICATE, STORE_STALE, STORE_NOT_FOUND, STORE_UNKNOWN };

enum read_what {
	READ_JOBS,              /* {"jobs":[…]} newest first; filter (an unknown state: NOT_FOUND); a: id below which, 0 for the
				 * newest; limit; next */
	READ_JOB,               /* a: id. The job with "ruleset", "batch":[…] and "attempts":[…] */
	READ_DELIVERIES,        /* {"deliveries":[…]}, likewise; of the filter not state and rule */
	READ_DELIVERY,          /* a: id. With headers, event, why, jobs; without the body */
	READ_BODY,              /* a: id. The body, byte for byte */
	READ_KEPT,              /* a: id. What it takes to match a delivery again: kept, and the body in json; no JSON */
	READ_RULESET,           /* text: its sha256. OK where a delivery that is kept names it */
	READ_CHANGES,           /* {"last":N,"changes":[{"change":N,"job":{…}} | {"change":N,"delivery":{…}}]}: change > a, in
				 * order, limit; last is the counter now, beyond the last element where the limit cut */
	READ_STATUS,            /* {"change":N,"jobs":{"queued":…,"running":…},"deliveries":N,"body_bytes":N,"db_bytes":N} */
	READ_WATCH,             /* a: id. For a watcher: rows of struct watch_attempt in attempts, state, change; no JSON */
};
/* What a list shows: all that fits each member that is set. */
struct filter {
	char source[128], repo[256], branch[256];
	char event[128];                /* "pull_request", or with its action "pull_request.opened" */
	char state[32], rule[128];      /* jobs only */
	enum { ANY_MATCH, HAS_MATCHED, HAS_NOT_MATCHED } matched;       /* deliveries only: caused jobs */
	int64_t since_ms, until_ms;     /* received at or after, and before; 0: any time */
};
struct kept {                           /* texts owned: kept_free */
	char *source, *key, *ruleset, *headers_json, *query, *secret;   /* secret: NULL where none verified it */
	/* What an event that no sender brought is known by. Of the last three: NULL for none. */
	char *event, *action, *cause_json, *only_file, *only_rule;
	int64_t received_ms;
	int has_body;                   /* 0: it is past its time */
};
void kept_free(struct kept *k);         /* NULL is fine */
struct watch_attempt { int attempt; int is_final; int64_t log_bytes; };   /* log_bytes: -1 while it runs */
struct read {
	struct mail mail;
	struct mailbox *reply_to;
	enum read_what what;
	int64_t a;
	int limit;                      /* 1..1000 */
	struct filter filter;
	char text[128];
	void *arg;
	enum store_outcome outcome;     /* OK, NOT_FOUND, UNKNOWN */
	struct buf json;                /* owned: buf_fini */
	int64_t next;                   /* lists: ask again with a = next for what follows; 0: nothing does. A filter that few
					 * fit may give a short list, or none, and a next: a read looks at so many, no more */
	struct kept *kept;              /* READ_KEPT; owned */
	int is_gone;                    /* NOT_FOUND: 1 where it was there once */
	enum job_state state;           /* READ_WATCH */
	int n_attempts;
	struct watch_attempt *attempts; /* owned: free */
	char *state_json;               /* READ_WATCH: {"id":…,"state":…,…} as in lists; owned: free */
};
void store_read(struct store *s, struct read *r);
