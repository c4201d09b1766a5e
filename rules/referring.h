/* rules/referring.h - what the files of the reference share; no one else includes it. */
#pragma once
#include "rules/schema.h"

#define REFERENCE_TABLES_MAX 64
#define REFERENCE_NAME_BYTES 96

/* Every table that can be written somewhere, once, under the place where it is first met: "rule", "rule.steps". */
struct told_table {
	const struct schema_table *table;
	const struct schema_decl *decl;
	const struct schema_key *key;           /* the key it stands under; NULL: it is the declaration's own */
	int in_list;                            /* as an item of that key's list */
	size_t parent;                          /* the table that has KEY */
	char name[REFERENCE_NAME_BYTES];
};
struct told_tables {
	struct told_table list[REFERENCE_TABLES_MAX];
	size_t n;
};
void told_tables_init(struct told_tables *out);
const char *told_table_name(const struct told_tables *all, const struct schema_table *t);
/* KEY's example; of a table that has none of its own it is made of its keys' examples. */
void reference_example_of(const struct schema_key *key, struct buf *out);
