/* front/ask.h - what the requests of the API share: their parameters, and a question to the store's reading thread, parked
 * with its request until the answer is there. On the loop's thread. */
#pragma once
#include "front/http.h"
#include "store/store.h"

struct loop;

struct call {                                   /* of the table in api.c */
	struct http_request *r;
	struct loop *loop;
	int64_t id;                             /* of {id} */
	struct slice name;                      /* of {name} */
};

struct ask {
	struct read read;
	struct loop *loop;
	struct http_ticket *ticket;
	void (*then)(struct http_request *r, struct ask *q);    /* the store knew it; ask_tell unless said. May take read's parts */
	void *arg;
	void (*drop)(void *arg);                /* for an arg that nobody took (not NULL); may be NULL */
};

/* To be filled in, then handed to ask_store, which takes it; or to ask_free. */
struct ask *ask_new(struct loop *l, enum read_what what, int64_t a);
void ask_free(struct ask *q);
/* Parks R. Who left meanwhile is forgotten; what is not there gets 404, or 410 where it once was. */
void ask_store(struct http_request *r, struct ask *q);
void ask_tell(struct http_request *r, struct ask *q);           /* the store's JSON, as it is */
void ask_tell_list(struct http_request *r, struct ask *q);      /* the same with "next": the address of the next page, or null */
void ask_answer_unknown(struct http_request *r);                /* 503 */
void ask_answer_gone(struct http_request *r, const char *detail);       /* 410 */

/* Parameters: 0, or -1 with R answered. */
int ask_refuse(struct http_request *r, const char *name, const char *wanted);   /* -1 */
int ask_number(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out);
int ask_text(struct http_request *r, const char *name, char *out, size_t size);          /* "" where absent */
int ask_flag(struct http_request *r, const char *name, int *out);
/* before, limit, source, event, repo, branch, since, until: what lists have in common. */
int ask_list(struct http_request *r, struct read *read);
