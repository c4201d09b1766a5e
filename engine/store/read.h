/* store/read.h - the answers of the reading thread. Inside store/ only. */
#pragma once
#include "store/db.h"
#include "store/store.h"

/* Fills r's outcome and what it asks for, from one snapshot of committed rows. */
void read_answer(struct db *db, struct read *r);
/* DB_OK: *out is an owned array. */
enum db_rc read_running(struct db *db, struct running **out, size_t *n);
