/* front/ingest.h - from a sender's POST to a durable delivery with its jobs, and the answer. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct http_request;
struct ingest;
struct loop;
struct store;
struct strays;

#define INGEST_WAITING_MAX (256u << 20)         /* bytes of bodies that wait for the store; then 503 */

struct ingest *ingest_new(struct store *store);
void ingest_free(struct ingest *g);             /* after the loops have ended; NULL is fine */
/* How many deliveries were well signed, but of a time that our clock has not reached. Any thread. */
int64_t ingest_from_future(const struct ingest *g);
struct strays *ingest_strays(const struct ingest *g);   /* borrowed: deliveries to paths that no source has */
/* R, where it is a POST, is no source's: counted, and told to the log now and then. R is to be answered. On L's thread. */
void ingest_on_stray(const struct http_request *r, struct loop *l);
/* Answers R, now or after the commit. On L's thread. */
void ingest_on_hook(struct http_request *r, struct loop *l);
