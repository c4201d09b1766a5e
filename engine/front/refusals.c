/* front/refusals.c - counters, and boards: a few words that one thread at a time writes and that others read whole or read again
 * (a sequence lock). A writer that finds the board taken leaves it: the other's news are as new. */
#include "front/refusals.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define SAY_MS 1000                     /* one line in the log in so long, the others are counted */
#define BOARD_WORDS 56

struct board {
	_Atomic uint32_t turn;          /* odd: being written */
	_Atomic uint64_t words[BOARD_WORDS];
};

struct tally {
	_Atomic int64_t count, unsaid, said_mono_ms;
};

struct refusals {
	_Atomic int refs;
	struct tally tally;
	struct board last;              /* struct refused, its count unused */
};

struct strays {
	struct tally tally;
	struct board last;              /* struct stray[STRAYS_KEPT] */
};

static_assert(sizeof(struct refused) % 8 == 0 && sizeof(struct refused) <= 8 * BOARD_WORDS, "a board holds it");
static_assert(sizeof(((struct strays_told *)0)->last) % 8 == 0 && sizeof(((struct strays_told *)0)->last) <= 8 * BOARD_WORDS, "so too");

/* ---- boards ---- */

static int board_take(struct board *b)
{
	uint32_t turn = atomic_load_explicit(&b->turn, memory_order_relaxed);

	if ((turn & 1) || !atomic_compare_exchange_strong_explicit(&b->turn, &turn, turn + 1, memory_order_acquire, memory_order_relaxed))
		return 0;
	atomic_thread_fence(memory_order_release);
	return 1;
}

static void board_copy(struct board *b, void *out, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t word = atomic_load_explicit(&b->words[i], memory_order_relaxed);
		memcpy((char *)out + 8 * i, &word, 8);
	}
}

/* After board_take. */
static void board_write(struct board *b, const void *what, size_t bytes)
{
	for (size_t i = 0; i < bytes / 8; i++) {
		uint64_t word;
		memcpy(&word, (const char *)what + 8 * i, 8);
		atomic_store_explicit(&b->words[i], word, memory_order_relaxed);
	}
	atomic_fetch_add_explicit(&b->turn, 1, memory_order_release);
}

static void board_read(struct board *b, void *out, size_t bytes)
{
	for (;;) {
		uint32_t turn = atomic_load_explicit(&b->turn, memory_order_acquire);
		if (!(turn & 1)) {
			board_copy(b, out, bytes);
			atomic_thread_fence(memory_order_acquire);
			if (atomic_load_explicit(&b->turn, memory_order_relaxed) == turn)
				return;
		}
		sched_yield();
	}
}

/* 1: say it, and *unsaid too. */
static int tally_add(struct tally *t, int64_t *unsaid)
{
	int64_t now = mono_ms(), last = atomic_load(&t->said_mono_ms);

	atomic_fetch_add(&t->count, 1);
	if ((last && now - last < SAY_MS) || !atomic_compare_exchange_strong(&t->said_mono_ms, &last, now)) {
		atomic_fetch_add(&t->unsaid, 1);
		return 0;
	}
	*unsaid = atomic_exchange(&t->unsaid, 0);
	return 1;
}

/* ---- of a source ---- */

struct refusals *refusals_new(void)
{
	struct refusals *r = xcalloc(1, sizeof *r);
	r->refs = 1;
	return r;
}

struct refusals *refusals_ref(struct refusals *r)
{
	atomic_fetch_add(&r->refs, 1);
	return r;
}

void refusals_unref(struct refusals *r)
{
	if (r && atomic_fetch_sub(&r->refs, 1) == 1)
		free(r);
}

int refusals_note(struct refusals *r, int status, const char *why, int64_t *unsaid)
{
	struct refused last = { .last_ms = wall_ms(), .status = status };

	strncpy(last.why, why, sizeof last.why - 1);
	if (board_take(&r->last))
		board_write(&r->last, &last, sizeof last);
	return tally_add(&r->tally, unsaid);
}

void refusals_tell(struct refusals *r, struct refused *out)
{
	int64_t count = atomic_load(&r->tally.count);

	board_read(&r->last, out, sizeof *out);
	out->count = count;
}

/* ---- of paths that no source has ---- */

struct strays *strays_new(void)
{
	return xcalloc(1, sizeof(struct strays));
}

void strays_free(struct strays *s)
{
	free(s);
}

/* A stranger wrote it, and it goes to a log, a terminal and a page. */
static void show(struct slice path, char out[STRAY_PATH_MAX])
{
	size_t n = path.len < STRAY_PATH_MAX ? path.len : STRAY_PATH_MAX - 4;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)path.ptr[i];
		out[i] = c > 0x20 && c < 0x7f && c != '"' && c != '\\' ? (char)c : '?';
	}
	memcpy(out + n, "...", n < path.len ? 4 : 0);
	if (n == path.len)
		out[n] = '\0';
}

/* The path's row comes to the front, for a new one the last of them goes. */
static void renew(struct stray list[STRAYS_KEPT], const char shown[STRAY_PATH_MAX])
{
	struct stray row = { .last_ms = wall_ms() };
	size_t at = 0;

	while (at < STRAYS_KEPT - 1 && list[at].count && strcmp(list[at].path, shown))
		at++;
	row.count = strcmp(list[at].path, shown) ? 1 : list[at].count + 1;
	memcpy(row.path, shown, strlen(shown));
	memmove(list + 1, list, at * sizeof *list);
	list[0] = row;
}

int strays_note(struct strays *s, struct slice path, char shown[STRAY_PATH_MAX], int64_t *unsaid)
{
	struct stray list[STRAYS_KEPT];

	show(path, shown);
	if (board_take(&s->last)) {
		board_copy(&s->last, list, sizeof list);
		renew(list, shown);
		board_write(&s->last, list, sizeof list);
	}
	return tally_add(&s->tally, unsaid);
}

void strays_tell(struct strays *s, struct strays_told *out)
{
	out->count = atomic_load(&s->tally.count);
	board_read(&s->last, out->last, sizeof out->last);
}
