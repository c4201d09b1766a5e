/* store/list.h - which jobs and deliveries a list holds: their ids, newest first. The reader's thread. Inside store/ only. */
#pragma once
#include "store/db.h"
#include "store/store.h"

struct ids {
	int64_t *id;                    /* owned: ids_fini */
	size_t n, cap;
};
void ids_fini(struct ids *ids);
/* Append the first column of what WHICH gives. */
enum db_rc ids_find(struct db *db, struct ids *ids, enum sql which, const struct db_value *values, size_t n);

/* By r->filter, from r->a on, at most r->limit; fills r->next too. DB_OK, or DB_REFUSED for a state that is none. */
enum db_rc list_jobs(struct db *db, struct read *r, struct ids *out);
enum db_rc list_deliveries(struct db *db, struct read *r, struct ids *out);

#define LIST_LOOKS_MAX 20000            /* rows that one list looks at before it hands on to the next */
