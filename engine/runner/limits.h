/* runner/limits.h - resource limits of a step's processes, each for itself: a limit for all together needs a cgroup.
 * Async-signal-safe. */
#pragma once
#include <stdint.h>

struct limits {
	int64_t memory_bytes;                   /* private writable memory; 0: none */
	int64_t file_bytes;                     /* the largest file; 0: none */
	int64_t cpu_seconds;                    /* 0: none */
};
/* Also: no core file, and the customary 1024 descriptors. 0, or -1 with errno. */
int limits_enter(const struct limits *l);
