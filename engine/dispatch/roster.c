/* dispatch/roster.c - a sorted array: jobs that run at once are tens, at most some thousands. */
#include "dispatch/roster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

struct roster {
	struct attempt *list;
	size_t n, cap;
	unsigned order;
};

struct roster *roster_new(void)
{
	return xcalloc(1, sizeof(struct roster));
}

static void close_fds(struct attempt *a)
{
	fd_closep(&a->spec_fd);
	fd_closep(&a->journal_fd);
}

void roster_free(struct roster *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		close_fds(&r->list[i]);
	free(r->list);
	free(r);
}

size_t roster_count(const struct roster *r)
{
	return r->n;
}

struct attempt *roster_at(struct roster *r, size_t i)
{
	return &r->list[i];
}

/* Where JOB is, or would be. */
static size_t place_of(const struct roster *r, int64_t job)
{
	size_t lo = 0, hi = r->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (r->list[mid].job < job)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct attempt *roster_add(struct roster *r, int64_t job, int attempt, enum attempt_phase phase)
{
	size_t at = place_of(r, job);

	if (at < r->n && r->list[at].job == job)
		return NULL;
	if (r->n == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 16;
		r->list = xrealloc(r->list, r->cap * sizeof *r->list);
	}
	memmove(r->list + at + 1, r->list + at, (r->n - at) * sizeof *r->list);
	r->n++;
	r->list[at] = (struct attempt){ .job = job, .attempt = attempt, .phase = phase, .since_ms = mono_ms(),
					.spec_fd = -1, .journal_fd = -1, .order = r->order++ };
	return &r->list[at];
}

struct attempt *roster_find(struct roster *r, int64_t job, int attempt)
{
	struct attempt *a = roster_find_job(r, job);
	return a && a->attempt == attempt ? a : NULL;
}

struct attempt *roster_find_job(struct roster *r, int64_t job)
{
	size_t at = place_of(r, job);
	return at < r->n && r->list[at].job == job ? &r->list[at] : NULL;
}

void roster_remove(struct roster *r, struct attempt *a)
{
	size_t at = (size_t)(a - r->list);
	close_fds(a);
	memmove(a, a + 1, (r->n - at - 1) * sizeof *a);
	r->n--;
}

struct attempt *roster_next_to_send(struct roster *r)
{
	struct attempt *first = NULL;
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].phase == ATTEMPT_CLAIMED && (!first || r->list[i].order < first->order))
			first = &r->list[i];
	return first;
}
