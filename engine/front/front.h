/* front/front.h - the role that faces the network: it accepts webhooks, makes them durable, matches them, answers, and
 * shows everything to whoever watches. No user's Lua, no git, no fork. Threads: the desk (main), N h2o loops, the
 * store's, one worker for large bodies, one for logs as text, one for explanations. They share nothing but mail and what stands here. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

struct bodies;
struct desk;
struct edition;
struct explain;
struct front;
struct http;
struct http_loop;
struct ingest;
struct log_text;
struct sse_hub;
struct store;

/* Role entry: argv[1] "@front", argv[2] the site, argv[3] the state folder; descriptor 3 is the supervisor. Returns the
 * exit status: 0 after a drain, 1 where it could not start or the store broke. */
int front_main(int argc, char **argv);

/* What one loop has; only its thread touches it. http_loop_data() of each loop. */
struct loop {
	struct front *front;
	struct http_loop *http;
	struct edition *edition;        /* swapped by mail at a reload */
	struct sse_hub *sse;
};

/* What all share: set before the loops start and the same from then on, save the atomics. */
struct front {
	struct store *store;
	struct desk *desk;
	struct ingest *ingest;
	struct bodies *bodies;
	struct log_text *log_text;
	struct explain *explain;
	struct http *http;
	struct edition *first_edition;  /* with which the loops begin; the desk's own */
	int journals_dirfd;
	char control_key[65];
	int64_t started_ms;
	_Atomic int is_draining;
	_Atomic int ephemerals;         /* of loops.c: under way to the loops */
};
