/* store/schema.h - the numbered schema. Inside store/ only. */
#pragma once
#include "base/err.h"

struct db;

int schema_version(void);                       /* what this binary writes */
/* Bring the database up to it, each step in a transaction of its own. A newer one is refused: ERR_INPUT. */
int schema_migrate(struct db *db, struct err *e) MUST_USE;
