/* front/sse.h - what watchers see: the stream of a job, the stream of changes, a log that is followed as text (DESIGN
 * section 10, docs/api.md). One hub per loop; every call on its loop's thread. Each of the three calls below takes the
 * request over: it answers by itself, later, whatever comes (404 problem for an unknown job, 204 to a client that has
 * the end, 200 + `retry:` + close when the hub is full or drains). */
#pragma once
#include "front/http.h"
#include "store/notice.h"

struct notice;
struct sse_hub;
struct store;

struct sse_options {
	struct http_loop *loop;
	struct store *store;            /* for READ_WATCH and READ_CHANGES */
	int journals_dirfd;             /* borrowed; the folder of journals */
	int watchers_max;               /* of this loop; 0: 20,000 */
	int per_address_max;            /* of one address on this loop; 0: 256. Not for loopback and unix peers: */
	int per_loopback_max;           /* they may be a proxy. 0: no bound of their own */
	int beat_ms, poll_ms;           /* silence before a beat, how long a poll waits; 0: 15 s, 25 s */
};

/* In http_options.on_loop_start, once per loop. The front registers the loop's mailbox with store_watch and hands
 * each notice on: sse_on_notice borrows it. */
struct sse_hub *sse_hub_new(const struct sse_options *o, struct err *e) MUST_USE;
/* In on_loop_end: ends what is open; NULL is fine. No read of the store may be under way (store_close before). */
void sse_hub_free(struct sse_hub *h);

/* GET only (HEAD gets the head alone). Query and Last-Event-ID are read here; the caller has authorised the request. */
void sse_job_events(struct http_request *r, struct sse_hub *h, int64_t job);    /* /api/v1/jobs/{id}/events */
void sse_changes(struct http_request *r, struct sse_hub *h);                    /* /api/v1/events */
/* /api/v1/jobs/{id}/log?follow=1: text/plain until the job ends. `attempt=`, `tail=` and `plain=1` are read here. */
void sse_log_follow(struct http_request *r, struct sse_hub *h, int64_t job);

void sse_on_notice(struct sse_hub *h, const struct notice *n);
/* "partial {json}" or "progress {json}" as FRAME_EPHEMERAL carries it; anything else is dropped. */
void sse_on_ephemeral(struct sse_hub *h, int64_t job, int attempt, struct slice text);
void sse_on_ruleset(struct sse_hub *h);         /* another rule set is in force: `event: ruleset` to the change feeds */
void sse_drain(struct sse_hub *h);              /* all streams end with `retry:`; new ones get just that */
int sse_count(const struct sse_hub *h);         /* streams open now; any thread */
