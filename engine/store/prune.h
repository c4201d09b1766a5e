/* store/prune.h - retention, a bounded piece at a time. The writer's thread, inside a transaction. Inside store/ only. */
#pragma once
#include "store/write.h"

enum prune_phase { PRUNE_JOBS, PRUNE_DELIVERIES, PRUNE_BODIES, PRUNE_QUEUES, PRUNE_APPROVALS, PRUNE_ONCE, PRUNE_SCHEDULES, PRUNE_DONE };

struct prune {
	struct keep keep;
	int64_t now_ms;                         /* the age of things is measured from here */
	enum prune_phase phase;
	int64_t cursor;                         /* the last id looked at in this phase */
	int64_t walked, first_young;            /* deliveries: all up to here were looked at; the first that is too young */
	struct gone { int64_t job; int attempt; } *gone;        /* journals of this piece */
	size_t n_gone, cap_gone;
};

/* Look at PRUNE_ROWS rows at the most. On anything but DB_OK the transaction is to be rolled back, and P given up. */
#define PRUNE_ROWS 500
enum db_rc prune_piece(struct writer *w, struct prune *p);
void prune_fini(struct prune *p);
