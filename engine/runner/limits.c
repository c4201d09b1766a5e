/* runner/limits.c - setrlimit, never above what the hard limit allows already. Memory is RLIMIT_DATA: RLIMIT_AS counts
 * what a program only reserves, and the run times of several languages reserve more than any sensible limit. */
#include "runner/limits.h"

#include <sys/resource.h>

#define STEP_NOFILE 1024                        /* as a login has: programs with select() rely on it */

static int lower(int resource, rlim_t to)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return -1;
	if (l.rlim_max == RLIM_INFINITY || l.rlim_max > to)
		l.rlim_max = to;
	if (l.rlim_cur == RLIM_INFINITY || l.rlim_cur > l.rlim_max)
		l.rlim_cur = l.rlim_max;
	return setrlimit(resource, &l);
}

static int lower_soft(int resource, rlim_t to)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return -1;
	if (l.rlim_cur == RLIM_INFINITY || l.rlim_cur > to)
		l.rlim_cur = to;
	return setrlimit(resource, &l);
}

int limits_enter(const struct limits *l)
{
	if (lower(RLIMIT_CORE, 0) < 0 || lower_soft(RLIMIT_NOFILE, STEP_NOFILE) < 0)
		return -1;
	if (l->memory_bytes > 0 && lower(RLIMIT_DATA, (rlim_t)l->memory_bytes) < 0)
		return -1;
	if (l->file_bytes > 0 && lower(RLIMIT_FSIZE, (rlim_t)l->file_bytes) < 0)
		return -1;
	return l->cpu_seconds > 0 ? lower(RLIMIT_CPU, (rlim_t)l->cpu_seconds) : 0;
}
