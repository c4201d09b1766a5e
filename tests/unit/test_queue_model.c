/* Queues against a slow and simple model of what docs/rules.md promises: random events, results, cancels, reloads, restarts, time that
 * passes and clocks that somebody sets; after each, every row is what the model says. Times are whole MINUTEs of a clock that stands
 * still in between, and debounces are due half a minute later, so that nothing depends on how long the test takes.
 *
 * PUSHROD_QUEUE_MODELS: how many sequences. PUSHROD_QUEUE_SEED: the first one's seed, which is printed where one fails. */
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "no_leaks.h"
#include "store_kit.h"

#define MINUTE 60000ll
#define QUEUES 2
#define CELLS 2
#define RULES 3
#define SLOTS (QUEUES * CELLS)
#define JOBS_MOST 400
#define BATCH_MOST 500
#define ONCE_MINUTES 40
#define DAY (24 * 60 * MINUTE)

/* ---- the machine's clocks ---- */

static _Atomic int64_t set_wall_ms, set_mono_ms;        /* 0: the real ones */

int clock_gettime(clockid_t id, struct timespec *out)
{
	int64_t ms = id == CLOCK_REALTIME ? set_wall_ms : id == CLOCK_BOOTTIME ? set_mono_ms : 0;

	if (!ms)
		return (int)syscall(SYS_clock_gettime, id, out);
	*out = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	return 0;
}

/* ---- chance ---- */

static unsigned long long seed, chance;
static int step;

#define MUST(what, ...) cr_assert(what, __VA_ARGS__)
#define WHERE "seed %llu, step %d: "
#define HERE seed, step

static int pick(int n)
{
	chance = chance * 6364136223846793005ull + 1442695040888963407ull;
	return (int)((chance >> 33) % (unsigned)n);
}

/* ---- the model ---- */

struct mjob {
	enum job_state state;
	int slot, rule, cell, like;             /* like: what else must be alike to merge: source, ref, trust; -1: nothing is */
	int attempt, has_wish;
	int64_t delivery, heir, queued_ms;      /* wall */
	int64_t due_ms, latest_ms;              /* mono */
	int64_t took[JOBS_MOST];
	int n_took;
};
struct monce { int rule, cell, key; int64_t job, until_ms; };
static struct model {
	struct mjob jobs[JOBS_MOST + 1];        /* by number */
	int64_t n_jobs, n_deliveries;
	struct { int limit; enum queue_busy busy; } slots[SLOTS];
	struct queue_policy policies[QUEUES];   /* of the rules as they are now */
	struct monce onces[JOBS_MOST];
	int n_onces, jobs_max;
	int64_t claims[JOBS_MOST], stops[JOBS_MOST];    /* since the last look */
	int n_claims, n_ordered, n_stops, n_merges;     /* n_ordered: of the claims, those of transactions that are over */
} m;

/* A job as it arrives. */
struct news { int queue, rule, cell, like, once; enum job_trust trust; };

static int keeps_newest(enum queue_busy b)
{
	return b == QUEUE_LATEST || b == QUEUE_CANCEL;
}

static int count(int slot, enum job_state state)
{
	int n = 0;

	for (int64_t j = 1; j <= m.n_jobs; j++)
		n += m.jobs[j].state == state && (slot < 0 || m.jobs[j].slot == slot);
	return n;
}

/* As many as may, the oldest first, over all queues. */
static void model_claims(void)
{
	for (int64_t j = 1; j <= m.n_jobs; j++) {
		struct mjob *job = &m.jobs[j];
		if (job->state != JOB_QUEUED || count(-1, JOB_RUNNING) >= m.jobs_max || count(job->slot, JOB_RUNNING) >= m.slots[job->slot].limit)
			continue;
		job->state = JOB_RUNNING;
		job->attempt++;
		m.claims[m.n_claims++] = j;
	}
}

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

/* What one transaction claims comes in the order of its numbers. */
static void model_commits(void)
{
	model_claims();
	qsort(m.claims + m.n_ordered, (size_t)(m.n_claims - m.n_ordered), sizeof *m.claims, by_number);
	m.n_ordered = m.n_claims;
}

/* Its queue kept it from running: its `once` is free again. */
static void model_ends_unrun(int64_t j, enum job_state state)
{
	m.jobs[j].state = state;
	for (int i = 0; i < m.n_onces; i++)
		if (m.onces[i].job == j)
			m.onces[i--] = m.onces[--m.n_onces];
}

static int is_like(const struct mjob *job, const struct news *n, int slot)
{
	return n->like >= 0 && job->slot == slot && job->rule == n->rule && job->cell == n->cell && job->like == n->like && !job->attempt &&
	       job->n_took < BATCH_MOST - 1;
}

static int64_t newest_like(enum job_state state, const struct news *n, int slot)
{
	for (int64_t j = m.n_jobs; j; j--)
		if (m.jobs[j].state == state && is_like(&m.jobs[j], n, slot))
			return j;
	return 0;
}

/* All others in that state make way, but for those of the same delivery, and those that a job of it is still to merge with. */
static void model_replace(int slot, enum job_state state, int64_t heir, const struct news *rest, int n_rest)
{
	for (int64_t j = 1; j <= m.n_jobs; j++) {
		struct mjob *job = &m.jobs[j];
		int stays = j == heir || job->delivery == m.jobs[heir].delivery;
		if (job->state != state || job->slot != slot)
			continue;
		for (int i = 0; i < n_rest; i++)
			stays |= rest[i].queue * CELLS + rest[i].cell == slot && is_like(job, &rest[i], slot);
		if (stays)
			continue;
		job->heir = heir;
		job->has_wish = 0;
		model_ends_unrun(j, JOB_SUPERSEDED);
	}
}

static int model_staying(int slot)
{
	int n = 0;

	for (int64_t j = 1; j <= m.n_jobs; j++)
		n += m.jobs[j].state == JOB_RUNNING && m.jobs[j].slot == slot && !m.jobs[j].has_wish;
	return n;
}

static void model_stop(int slot, int staying, int64_t heir)
{
	for (int64_t j = 1, left = staying + 1 - m.slots[slot].limit; j <= m.n_jobs && left > 0; j++) {
		struct mjob *job = &m.jobs[j];
		if (job->state != JOB_RUNNING || job->slot != slot || job->has_wish || job->delivery == m.jobs[heir].delivery)
			continue;
		job->has_wish = 1;
		job->heir = heir;
		m.stops[m.n_stops++] = j;
		left--;
	}
}

static void model_takes_in(int64_t j, int64_t delivery)
{
	struct mjob *job = &m.jobs[j];

	job->took[job->n_took++] = job->delivery;
	job->delivery = delivery;
	m.n_merges++;
}

static int64_t model_new(const struct news *n, int slot, enum job_state state)
{
	struct mjob *job = &m.jobs[++m.n_jobs];

	*job = (struct mjob){ .state = state, .slot = slot, .rule = n->rule, .cell = n->cell, .like = n->like, .delivery = m.n_deliveries,
			      .queued_ms = set_wall_ms };
	if (m.policies[n->queue].busy == QUEUE_WAIT && !m.policies[n->queue].debounce_ms)
		job->like = -1;                 /* what came where nothing merges takes nothing in, whatever the rules are later */
	return m.n_jobs;
}

static struct monce *model_once(const struct news *n)
{
	for (int i = 0; i < m.n_onces; i++)
		if (n->once >= 0 && m.onces[i].rule == n->rule && m.onces[i].cell == n->cell && m.onces[i].key == n->once)
			return &m.onces[i];
	return NULL;
}

/* What can run already does not wait, when it is asked what waits. */
static void model_settles(int slot)
{
	if (count(slot, JOB_QUEUED) && count(slot, JOB_RUNNING) < m.slots[slot].limit)
		model_claims();
}

/* Job J, or a new one, comes to the second stage. */
static int64_t model_enters(int64_t j, const struct news *n, int slot, const struct news *rest, int n_rest)
{
	enum queue_busy busy = m.slots[slot].busy;
	int is_full = busy == QUEUE_SKIP && count(slot, JOB_RUNNING) + count(slot, JOB_QUEUED) >= m.slots[slot].limit;
	int staying = model_staying(slot);

	if (!j)
		j = model_new(n, slot, is_full ? JOB_SKIPPED : JOB_QUEUED);
	else if (is_full)
		model_ends_unrun(j, JOB_SKIPPED);
	else
		m.jobs[j].state = JOB_QUEUED;
	if (!is_full && keeps_newest(busy))
		model_replace(slot, JOB_QUEUED, j, rest, n_rest);
	if (busy == QUEUE_CANCEL)
		model_stop(slot, staying, j);
	return j;
}

static int64_t model_debounces(int64_t like, const struct news *n, int slot, const struct queue_policy *p)
{
	int64_t bound = 0, j = like;

	if (like)
		bound = m.jobs[like].latest_ms;
	for (int64_t i = 1; i <= m.n_jobs && !like && keeps_newest(p->busy); i++)
		if (m.jobs[i].state == JOB_DEBOUNCING && m.jobs[i].slot == slot && (!bound || m.jobs[i].latest_ms < bound))
			bound = m.jobs[i].latest_ms;
	if (!bound)
		bound = set_mono_ms + p->max_wait_ms;
	if (like)
		model_takes_in(like, m.n_deliveries);
	else
		j = model_new(n, slot, JOB_DEBOUNCING);
	m.jobs[j].latest_ms = bound;
	m.jobs[j].due_ms = set_mono_ms + p->debounce_ms < bound ? set_mono_ms + p->debounce_ms : bound;
	return j;
}

static void model_arrives(const struct news *n, const struct news *rest, int n_rest)
{
	const struct queue_policy *p = &m.policies[n->queue];
	int slot = n->queue * CELLS + n->cell;
	struct monce *once = model_once(n);
	int64_t j, like;

	if (once && once->until_ms > set_wall_ms) {
		model_new(n, slot, JOB_SKIPPED);
		return;
	}
	if (n->trust == TRUST_ASKED) {
		j = model_new(n, slot, JOB_AWAITING_APPROVAL);
	} else {
		m.slots[slot].limit = p->limit;
		m.slots[slot].busy = p->busy;
		model_settles(slot);
		if ((like = newest_like(JOB_DEBOUNCING, n, slot))) {
			j = model_debounces(like, n, slot, p);
		} else if (keeps_newest(p->busy) && (like = newest_like(JOB_QUEUED, n, slot))) {
			int staying = model_staying(slot);
			j = like;
			model_takes_in(j, m.n_deliveries);
			model_replace(slot, JOB_QUEUED, j, rest, n_rest);
			if (p->busy == QUEUE_CANCEL)
				model_stop(slot, staying, j);
		} else if (p->debounce_ms) {
			j = model_debounces(0, n, slot, p);
		} else {
			j = model_enters(0, n, slot, rest, n_rest);
		}
		if (keeps_newest(p->busy))
			model_replace(slot, JOB_DEBOUNCING, j, rest, n_rest);
	}
	if (n->once < 0 || m.jobs[j].state == JOB_SKIPPED)
		return;
	once = model_once(n);                   /* an old one, unless it went with its job just now */
	if (once)
		*once = m.onces[--m.n_onces];
	m.onces[m.n_onces++] = (struct monce){ n->rule, n->cell, n->once, j, set_wall_ms + ONCE_MINUTES * MINUTE };
}

static void model_due(void)
{
	for (;;) {
		int64_t next = 0;
		for (int64_t j = 1; j <= m.n_jobs; j++)
			if (m.jobs[j].state == JOB_DEBOUNCING && m.jobs[j].due_ms <= set_mono_ms && (!next || m.jobs[j].due_ms < m.jobs[next].due_ms))
				next = j;
		if (!next)
			break;
		model_settles(m.jobs[next].slot);
		model_enters(next, NULL, m.jobs[next].slot, NULL, 0);
	}
	model_commits();
}

/* ---- the store ---- */

static struct kit k;
static struct mailbox *stops;
static sqlite3 *db;

static void on_stop(struct mail *mail, void *arg)
{
	free(mail);
}

static void open_store(void)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k.folder);

	kit_open(&k, m.jobs_max);
	store_on_stop(k.store, stops, on_stop);
	store_recover_done(k.store);
	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
}

static void close_store(void)
{
	sqlite3_close(db);
	kit_close(&k);
}

static sqlite3_stmt *rows(const char *sql)
{
	sqlite3_stmt *row;

	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	return row;
}

static void expect_none(const char *sql)
{
	sqlite3_stmt *row = rows(sql);

	MUST(sqlite3_step(row) == SQLITE_DONE, WHERE "%s finds %lld", HERE, sql, (long long)sqlite3_column_int64(row, 0));
	sqlite3_finalize(row);
}

static void expect_job_rows(void)
{
	sqlite3_stmt *row = rows("SELECT j.id, j.state, j.attempt, j.delivery, coalesce(j.heir, 0), j.wish IS NOT NULL, j.merged, r.name, r.cell,"
				 " coalesce(d.due_ms, 0), coalesce(d.latest_ms, 0) FROM job j JOIN rule r ON r.id=j.rule LEFT JOIN debounce d"
				 " ON d.job=j.id ORDER BY j.id");
	int64_t j = 0, apart = set_wall_ms - set_mono_ms;

	while (sqlite3_step(row) == SQLITE_ROW) {
		const struct mjob *job = &m.jobs[++j];
		MUST(sqlite3_column_int64(row, 0) == j && j <= m.n_jobs, WHERE "a job %lld", HERE, (long long)sqlite3_column_int64(row, 0));
		MUST(sqlite3_column_int(row, 1) == (int)job->state, WHERE "job %lld is %s, is to be %s", HERE, (long long)j,
		     job_state_name((enum job_state)sqlite3_column_int(row, 1)), job_state_name(job->state));
		MUST(sqlite3_column_int(row, 2) == job->attempt, WHERE "job %lld: attempt %d", HERE, (long long)j, sqlite3_column_int(row, 2));
		MUST(sqlite3_column_int64(row, 3) == job->delivery, WHERE "job %lld: delivery %lld", HERE, (long long)j,
		     (long long)sqlite3_column_int64(row, 3));
		MUST(sqlite3_column_int64(row, 4) == job->heir, WHERE "job %lld: heir %lld", HERE, (long long)j, (long long)sqlite3_column_int64(row, 4));
		MUST(sqlite3_column_int(row, 5) == job->has_wish, WHERE "job %lld: wish", HERE, (long long)j);
		MUST(sqlite3_column_int(row, 6) == job->n_took, WHERE "job %lld: took in %d", HERE, (long long)j, sqlite3_column_int(row, 6));
		MUST(((const char *)sqlite3_column_text(row, 7))[1] == '0' + job->rule, WHERE "job %lld: rule", HERE, (long long)j);
		if (job->state != JOB_DEBOUNCING)
			continue;
		MUST(sqlite3_column_int64(row, 9) == job->due_ms + apart, WHERE "job %lld is due %lld ms too late", HERE, (long long)j,
		     (long long)(sqlite3_column_int64(row, 9) - job->due_ms - apart));
		MUST(sqlite3_column_int64(row, 10) == job->latest_ms + apart, WHERE "job %lld: its bound", HERE, (long long)j);
	}
	sqlite3_finalize(row);
	MUST(j == m.n_jobs, WHERE "%lld jobs of %lld", HERE, (long long)j, (long long)m.n_jobs);
}

static void expect_merged_rows(void)
{
	sqlite3_stmt *row = rows("SELECT job, delivery FROM merged ORDER BY job, delivery");

	for (int64_t j = 1; j <= m.n_jobs; j++)
		for (int i = 0; i < m.jobs[j].n_took; i++) {
			MUST(sqlite3_step(row) == SQLITE_ROW, WHERE "job %lld lost delivery %lld", HERE, (long long)j, (long long)m.jobs[j].took[i]);
			MUST(sqlite3_column_int64(row, 0) == j && sqlite3_column_int64(row, 1) == m.jobs[j].took[i], WHERE "merged %lld into %lld", HERE,
			     (long long)sqlite3_column_int64(row, 1), (long long)sqlite3_column_int64(row, 0));
		}
	MUST(sqlite3_step(row) == SQLITE_DONE, WHERE "merged more", HERE);
	sqlite3_finalize(row);
}

static void expect_claim(const struct claim *c, int64_t j)
{
	const struct mjob *job = &m.jobs[j];

	MUST(c->job == j && c->attempt == job->attempt, WHERE "claimed job %lld, not %lld", HERE, (long long)c->job, (long long)j);
	MUST(c->delivery == job->delivery && (int)c->n_merged == job->n_took, WHERE "job %lld runs for %lld and %zu", HERE, (long long)j,
	     (long long)c->delivery, c->n_merged);
	CLEANUP(freep) char *event = xprintf("{\"key\":\"k%lld\"}", (long long)c->delivery);
	MUST(strcmp(c->event_json, event) == 0, WHERE "job %lld runs for %s", HERE, (long long)j, c->event_json);
	for (int t = 0; t < job->n_took; t++)
		MUST(c->merged[t].delivery == job->took[t], WHERE "job %lld took in %lld", HERE, (long long)j, (long long)c->merged[t].delivery);
}

static int by_job(const void *a, const void *b)
{
	return by_number(&(*(struct claim *const *)a)->job, &(*(struct claim *const *)b)->job);
}

/* IS_BURST: the store may have made one transaction of several submits, or several. */
static void expect_claims(int is_burst)
{
	struct claim *claims[JOBS_MOST];
	int n = 0;

	while (kit_has_claim(&k) && n < JOBS_MOST)
		claims[n++] = kit_claim(&k);
	if (is_burst) {
		qsort(claims, (size_t)n, sizeof *claims, by_job);
		qsort(m.claims, (size_t)m.n_claims, sizeof *m.claims, by_number);
	}
	for (int i = 0; i < n && i < m.n_claims; i++) {
		expect_claim(claims[i], m.claims[i]);
		claim_free(claims[i]);
	}
	MUST(n == m.n_claims, WHERE "%d claims, not %d", HERE, n, m.n_claims);
	m.n_claims = m.n_ordered = 0;
}

static void expect_stops(void)
{
	struct mail_list list;
	struct mail *next;

	mailbox_take(stops, &list);
	for (int i = 0; i < m.n_stops; i++) {
		struct stop *s = (struct stop *)STAILQ_FIRST(&list);
		MUST(s && s->job == m.stops[i], WHERE "job %lld was not stopped", HERE, (long long)m.stops[i]);
		STAILQ_REMOVE_HEAD(&list, next);
		free(s);
	}
	next = STAILQ_FIRST(&list);
	MUST(!next, WHERE "stopped job %lld", HERE, (long long)((struct stop *)next)->job);
	m.n_stops = 0;
}

static void expect_all(int is_burst)
{
	expect_claims(is_burst);
	expect_stops();
	expect_job_rows();
	expect_merged_rows();
	expect_none("SELECT id FROM queue q WHERE running<>(SELECT count(*) FROM job WHERE queue=q.id AND state=4) OR"
		    " head IS NOT (SELECT min(id) FROM job WHERE queue=q.id AND state=2)");
	expect_none("SELECT a.job FROM attempt a JOIN job j ON j.id=a.job WHERE (a.state=4)<>(j.state=4 AND a.n=j.attempt)");
	expect_none("SELECT id FROM job WHERE (state=1)<>EXISTS(SELECT 1 FROM debounce WHERE job=id)");
	expect_none("SELECT id FROM job WHERE state=11 AND reason<>'job ' || heir || ' took its place'");
	expect_none("SELECT id FROM job WHERE state=10 AND reason NOT LIKE 'its queue is full, %' AND reason NOT LIKE 'once: job %'");
}

/* A turn of the writer, in which all that is due by now is. */
static void turn(void)
{
	cr_assert_eq(kit_cancel(&k, 999999).outcome, STORE_NOT_FOUND);
	model_due();
}

/* ---- what happens ---- */

static struct news random_news(int i)
{
	struct news n = { .queue = pick(QUEUES), .rule = i, .cell = pick(CELLS), .once = pick(4) ? -1 : pick(2) };
	int trust = pick(12);

	n.trust = trust == 0 ? TRUST_ASKED : trust == 1 ? TRUST_LIMITED : TRUST_FULL;
	return n;
}

/* A delivery of the next number; the model has had it. */
static struct submit *random_submit(void)
{
	struct news news[RULES];
	int n = 1 + (pick(3) == 0) + (pick(6) == 0), ref = pick(3), is_mirror = !pick(8), is_replay = m.n_deliveries && !pick(12);
	int first = pick(RULES);
	CLEANUP(freep) char *key = xprintf("k%lld", (long long)++m.n_deliveries);
	struct submit *s = kit_push(&k, key, n);

	if (is_mirror) {
		free(s->source);
		s->source = xstrdup("mirror");
	}
	s->replay_of = is_replay ? 1 : 0;
	for (int i = 0; i < n; i++) {
		struct submit_job *j = &s->jobs[i];
		static const char *const names[] = { "r0", "r1", "r2" };
		news[i] = random_news((first + i) % RULES);
		news[i].like = ref == 2 || is_replay ? -1 : ref * 16 + is_mirror * 8 + (int)news[i].trust;
		j->rule = names[news[i].rule];
		free(j->queue);
		j->queue = xprintf("q%d %d", news[i].queue, news[i].cell);
		j->cell = xprintf("c=%d", news[i].cell);
		j->policy = m.policies[news[i].queue];
		j->merge_key = ref == 2 ? NULL : xprintf("acme/handbook\nrefs/heads/%d", ref);
		j->trust = news[i].trust;
		if (news[i].once >= 0) {
			j->once_key = xprintf("%d", news[i].once);
			j->once_within_ms = ONCE_MINUTES * MINUTE;
		}
	}
	for (int i = 0; i < n; i++)
		model_arrives(&news[i], &news[i + 1], n - i - 1);
	model_claims();
	return s;
}

/* What merges by rules that debounce no more is due at once: before the next submit of a burst, or after it. */
static int is_burst_clear(void)
{
	for (int64_t j = 1; j <= m.n_jobs; j++)
		if (m.jobs[j].state == JOB_DEBOUNCING && !m.policies[m.jobs[j].slot / CELLS].debounce_ms)
			return 0;
	return 1;
}

static void submits(int n)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	struct submit *s[4];

	for (int i = 0; i < n; i++)
		s[i] = random_submit();
	model_commits();
	for (int i = 0; i < n; i++)
		store_submit(k.store, s[i]);
	for (int i = 0; i < n; i++) {
		cr_assert_eq(kit_take(k.replies, &list), &s[i]->mail);
		cr_assert_eq(s[i]->outcome, STORE_OK);
		submit_free(s[i]);
	}
}

static void submits_again(void)
{
	if (!m.n_deliveries)
		return;
	CLEANUP(freep) char *key = xprintf("k%d", 1 + pick((int)m.n_deliveries));
	struct submit *s = kit_push(&k, key, 2), *mirror = kit_push(&k, key, 2);

	free(mirror->source);
	mirror->source = xstrdup("mirror");
	sqlite3_stmt *row = rows("SELECT s.name FROM delivery d JOIN source s ON s.id=d.source WHERE d.key=?1");
	sqlite3_bind_text(row, 1, key, -1, SQLITE_STATIC);
	cr_assert_eq(sqlite3_step(row), SQLITE_ROW);
	struct submit *same = strcmp((const char *)sqlite3_column_text(row, 0), "mirror") == 0 ? mirror : s;
	sqlite3_finalize(row);
	cr_assert_eq(kit_submit(&k, same), STORE_DUPLICATE);
	submit_free(s);
	submit_free(mirror);
}

/* A random one that runs; 0: none does. */
static int64_t some_running(void)
{
	int n = count(-1, JOB_RUNNING);

	if (!n)
		return 0;
	n = pick(n);
	for (int64_t j = 1; j <= m.n_jobs; j++)
		if (m.jobs[j].state == JOB_RUNNING && n-- == 0)
			return j;
	return 0;
}

static void finishes(void)
{
	static const enum job_state ends[] = { JOB_SUCCEEDED, JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_LOST };
	int64_t j = some_running();
	int again = !pick(5);

	if (!j)
		return;
	struct mjob *job = &m.jobs[j];
	enum job_state end = again ? JOB_LOST : ends[pick(COUNT(ends))];
	if (!pick(6))
		cr_assert_eq(kit_finish(&k, j, job->attempt + (pick(2) ? 1 : -1), JOB_SUCCEEDED), STORE_STALE, WHERE "I6", HERE);
	cr_assert_eq(kit_finish_with(&k, (struct job_result){ .job = j, .attempt = job->attempt, .state = end, .reason = "done" }, again), STORE_OK);
	job->state = !again ? end : job->has_wish ? JOB_CANCELLED : JOB_QUEUED;
	job->has_wish = 0;
	model_commits();
}

static void cancels(void)
{
	if (!m.n_jobs)
		return;
	int64_t j = 1 + pick((int)m.n_jobs);
	struct mjob *job = &m.jobs[j];
	struct cancel c = kit_cancel(&k, j);

	cr_assert_eq(c.outcome, job_state_is_final(job->state) ? STORE_STALE : STORE_OK, WHERE "cancel", HERE);
	if (job->state == JOB_RUNNING)
		job->has_wish = 1;
	else if (!job_state_is_final(job->state))
		job->state = JOB_CANCELLED;
	model_commits();
}

static void time_passes(int minutes)
{
	set_wall_ms += minutes * MINUTE;
	set_mono_ms += minutes * MINUTE;
	turn();
}

static void clock_is_set(void)
{
	set_wall_ms += (pick(2) ? 1 : -1) * (1 + pick(3)) * (pick(2) ? DAY : 20 * MINUTE);
	turn();
}

static void restarts(void)
{
	close_store();
	for (int64_t j = 1; j <= m.n_jobs; j++)         /* the machine was off, and its clock tells of another time */
		if (m.jobs[j].state == JOB_DEBOUNCING && m.jobs[j].queued_ms > set_wall_ms)
			m.jobs[j].due_ms = set_mono_ms;
	open_store();
	turn();
}

static void rule_changes(int queue)
{
	struct queue_policy *p = &m.policies[queue];

	*p = (struct queue_policy){ .busy = (enum queue_busy)pick(4), .limit = 1 + (pick(3) ? 0 : pick(3)) };
	if (pick(2))
		return;
	p->debounce_ms = (1 + pick(6)) * MINUTE + MINUTE / 2;
	p->max_wait_ms = p->debounce_ms + pick(12) * MINUTE;
}

static void room_changes(void)
{
	m.jobs_max = pick(3) ? 64 : 1 + pick(3);
	store_jobs_max(k.store, m.jobs_max);
	turn();
}

static void all_comes_to_an_end(void)
{
	m.jobs_max = 64;
	store_jobs_max(k.store, 64);
	turn();
	time_passes(60);
	for (int64_t j = 1; j <= m.n_jobs; j++)
		if (m.jobs[j].state == JOB_AWAITING_APPROVAL) {
			kit_cancel(&k, j);
			m.jobs[j].state = JOB_CANCELLED;
		}
	expect_all(0);
	while (some_running()) {
		finishes();
		expect_all(0);
	}
	for (int64_t j = 1; j <= m.n_jobs; j++)
		MUST(job_state_is_final(m.jobs[j].state), WHERE "job %lld is %s for ever", HERE, (long long)j, job_state_name(m.jobs[j].state));
}

static void run_sequence(void)
{
	chance = seed;
	step = 0;
	m = (struct model){ .jobs_max = 64 };
	set_mono_ms = 1000 * MINUTE;
	set_wall_ms = 30000000 * MINUTE;
	kit_init(&k);
	open_store();
	for (int i = 0; i < QUEUES; i++)
		rule_changes(i);
	for (step = 1; step <= 60; step++) {
		int what = pick(100);
		if (what < 46)
			submits(1);
		else if (what < 54)
			submits(is_burst_clear() ? 2 + pick(3) : 1);
		else if (what < 74)
			finishes();
		else if (what < 78)
			cancels();
		else if (what < 90)
			time_passes(1 + pick(4));
		else if (what < 92)
			clock_is_set();
		else if (what < 94)
			restarts();
		else if (what < 97)
			rule_changes(pick(QUEUES));
		else if (what < 98)
			submits_again();
		else
			room_changes();
		turn();
		expect_all(what >= 46 && what < 54);
	}
	all_comes_to_an_end();
	close_store();
	kit_fini(&k);
}

static unsigned long long number(const char *name, unsigned long long otherwise)
{
	const char *given = getenv(name);
	return given ? strtoull(given, NULL, 10) : otherwise;
}

Test(queue_model, I3_I7_I9_every_row_is_what_the_documented_rules_make_of_what_came, .timeout = 6000)
{
	unsigned long long n = number("PUSHROD_QUEUE_MODELS", 60), first = number("PUSHROD_QUEUE_SEED", (unsigned long long)wall_ms());
	int merges = 0;

	stops = mailbox_new();
	for (unsigned long long i = 0; i < n; i++) {
		seed = first + i;
		run_sequence();
		merges += m.n_merges;
	}
	set_wall_ms = set_mono_ms = 0;
	cr_assert(merges > 0, "pushes merged");
	mailbox_free(stops);
	no_leaks();
}

/* Two days back, and two days forth; and the same while the machine was off. */
Test(queue_model, a_debounce_waits_for_time_to_pass_and_not_for_a_clock_that_somebody_sets)
{
	static const int days[] = { -2, 2 };

	stops = mailbox_new();
	for (size_t i = 0; i < 2 * COUNT(days); i++) {
		int is_off = i >= COUNT(days);
		m = (struct model){ .jobs_max = 64 };
		set_mono_ms = 1000 * MINUTE;
		set_wall_ms = 30000000 * MINUTE;
		kit_init(&k);
		open_store();
		struct submit *s = kit_push(&k, "a", 1);
		s->jobs[0].policy = (struct queue_policy){ QUEUE_WAIT, 1, 3 * MINUTE, 30 * MINUTE };
		cr_assert_eq(kit_submit(&k, s), STORE_OK);
		submit_free(s);
		if (is_off)
			close_store();
		set_wall_ms += days[i % 2] * DAY;
		if (is_off) {
			open_store();
			turn();                 /* nothing is due before recovery is done */
		}
		turn();
		cr_assert_eq(kit_has_claim(&k), is_off, "%zu: nobody knows for how long it was off", i);
		set_wall_ms += 3 * MINUTE;
		set_mono_ms += 3 * MINUTE;
		turn();
		cr_assert(kit_has_claim(&k), "%zu", i);
		close_store();
		kit_fini(&k);
	}
	set_wall_ms = set_mono_ms = 0;
	mailbox_free(stops);
	no_leaks();
}
