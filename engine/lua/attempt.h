/* lua/attempt.h - what the files of lua/ share: the attempt that this process runs. One thread. */
#pragma once
#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "journal/writer.h"
#include "model/job.h"
#include "runner/runner.h"

struct lua_State;

#define LUA_MEMORY_MAX (64 << 20)
#define DEFERS_MAX 64

enum ending { ENDING_NONE, ENDING_FAIL, ENDING_SKIP, ENDING_CANCEL, ENDING_REFUSE };

/* What failed last: a command, a checkout. It decides how the job ends only where its message is also the job's last
 * word: a failure that pcall swallowed does not. */
struct failure {
	struct err e;
	int exit_code;
	int is_timed_out;
};

struct attempt {
	struct job_inheritance in;
	json_t *spec;                   /* owned; without the payload, see attempt_payload */
	struct slice payload_text;      /* borrowed from the bytes of the specification, which stay */
	json_t *payload;                /* owned; NULL until somebody asks */
	struct journal_writer *w;       /* owned */
	char *workspace;                /* owned: <state>/workspaces/<job>.<attempt> */
	char *tree;                     /* owned: the checkout, NULL before */
	int n_steps;                    /* numbers given out */
	int step;                       /* the one that runs, 0 outside */
	const char *step_name;          /* its name, borrowed while it runs; NULL outside */
	enum ending ending;             /* wished by the rule or by cancel: no pcall stops it */
	int is_deferring;               /* the deferred functions run: the ending stands, calls work */
	int64_t defer_until_ms;         /* mono; their budget */
	char reason[256];               /* of the ending */
	struct failure failure;
	int defers[DEFERS_MAX], n_defers;       /* registry references */
	struct buf traceback;           /* of the error that was raised last; begins with its message */
	struct buf capture;             /* standard output of the running command, where it is asked for */
	struct buf encoded;             /* a value on its way to JSON */
	json_t *outputs, *emits;        /* owned; NULL before the first */
	size_t memory;                  /* bytes of the Lua state */
	int64_t instructions_left;      /* of a filter; 0: nobody counts */
	json_t *effects;                /* of a rehearsal (lua/effect.h): what would be done; else NULL. Owned */
};

/* BYTES: runner/spec.h; borrowed for as long as A lives. */
int attempt_read_spec(struct attempt *a, struct slice bytes, struct err *e) MUST_USE;
/* The document as received, parsed when it is first asked for. Borrowed from A; NULL where it is no JSON. */
const json_t *attempt_payload(struct attempt *a);
struct attempt *attempt_of(struct lua_State *lua);
const char *attempt_text(const struct attempt *a, const char *key);             /* of the spec; "" where absent */
int64_t attempt_number(const struct attempt *a, const char *key);

/* Read what the runner has sent: a CANCEL sets the ending, and so does a runner that is gone. Called wherever the job waits. */
void attempt_listen(struct attempt *a);
/* Listens, and tells whether what is going on is to end: a cancel, or the end of the budget of the deferred functions. */
int attempt_is_stopped(struct attempt *a);
/* Ask for the ending; the first one stands. WHY is cut to the reason's size. */
void attempt_end(struct attempt *a, enum ending ending, const char *why);

/* A step's beginning and end as events; its number is a->step between them. Steps nest: *outer keeps what was. */
struct outer_step { int number; const char *name; char *joined; int64_t began_ms; };
int attempt_step_begin(struct attempt *a, const char *name, struct outer_step *outer, struct err *e) MUST_USE;
int attempt_step_end(struct attempt *a, const char *state, int exit_code, struct outer_step *outer, struct err *e) MUST_USE;
int attempt_step_skipped(struct attempt *a, const char *name, struct err *e) MUST_USE;
