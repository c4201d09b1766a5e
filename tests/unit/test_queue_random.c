/* Queues under random policies, events, results, cancels and restarts: what must hold of the rows whatever came before. */
#include <sqlite3.h>
#include <sched.h>

#include "no_leaks.h"
#include "store/submit.h"
#include "store_kit.h"

#define SLOTS 3
#define REFS 3
#define STEPS 600

static struct kit k;
static unsigned long long random_state;

static unsigned pick(unsigned n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(random_state >> 33) % n;
}

static void on_stop(struct mail *m, void *arg)
{
	free(m);
}

static void open_store(void)
{
	kit_open(&k, 4);
	store_on_stop(k.store, k.notices, on_stop);
	store_listen(k.store, 1, 1);
	store_recover_done(k.store);
}

static struct submit *random_push(int n)
{
	CLEANUP(freep) char *key = xprintf("k%d", n);
	struct submit *s = kit_push(&k, key, 1 + (int)pick(2));
	unsigned slot = pick(SLOTS);

	for (int i = 0; i < s->n_jobs; i++) {
		struct submit_job *j = &s->jobs[i];
		int64_t debounce = pick(3) ? 0 : 1 + (int64_t)pick(20);
		j->policy = (struct queue_policy){ (enum queue_busy)pick(4), 1 + (int)pick(2), debounce, 5 * debounce };
		free(j->queue);
		j->queue = xprintf("slot %u", pick(3) ? slot : pick(SLOTS));
		j->merge_key = pick(4) ? xprintf("acme/handbook\nrefs/heads/%u", pick(REFS)) : NULL;
		j->trust = pick(10) ? TRUST_FULL : TRUST_LIMITED;
	}
	return s;
}

/* Each row is a rule that is broken: nothing is to be found. */
static const char *const never[] = {
	/* I9 */
	"SELECT 'more run than may' FROM queue q WHERE q.running<>(SELECT count(*) FROM job WHERE queue=q.id AND state=4)",
	"SELECT 'a head that is not the first' FROM queue q WHERE q.head IS NOT (SELECT min(id) FROM job WHERE queue=q.id AND state=2)",
	/* I3: one job for each delivery and rule, in one table or the other */
	"SELECT 'two jobs of one delivery and rule' FROM job j JOIN merged m ON m.delivery=j.delivery AND m.rule=j.rule",
	"SELECT 'merged into another rule' FROM merged m JOIN job j ON j.id=m.job WHERE j.rule<>m.rule",
	"SELECT 'merged into an older one' FROM merged m JOIN job j ON j.id=m.job WHERE j.delivery<=m.delivery",
	"SELECT 'miscounted' FROM job j WHERE j.merged<>(SELECT count(*) FROM merged WHERE job=j.id)",
	"SELECT 'nothing became of it' FROM delivery d WHERE NOT EXISTS(SELECT 1 FROM job WHERE delivery=d.id) AND NOT EXISTS"
	"(SELECT 1 FROM merged WHERE delivery=d.id)",
	"SELECT 'merged after a claim' FROM job j JOIN attempt a ON a.job=j.id AND a.n=1 JOIN delivery d ON d.id=j.delivery"
	" WHERE j.merged>0 AND d.received_ms>a.started_ms + 1000",
	/* states and what goes with them */
	"SELECT 'a debounce without its job' FROM debounce d LEFT JOIN job j ON j.id=d.job WHERE j.state IS NOT 1 OR j.queue<>d.queue",
	"SELECT 'a job that is never due' FROM job j WHERE state=1 AND NOT EXISTS(SELECT 1 FROM debounce WHERE job=j.id)",
	"SELECT 'final, and in a queue' FROM job WHERE state>4 AND (queue IS NOT NULL OR ended_ms IS NULL)",
	"SELECT 'superseded by nobody' FROM job j WHERE state=11 AND NOT EXISTS(SELECT 1 FROM job h WHERE h.id=j.heir AND h.id<>j.id)",
	"SELECT 'ran, and was superseded' FROM job j WHERE state=11 AND attempt>0 AND EXISTS(SELECT 1 FROM attempt WHERE job=j.id AND"
	" ended_ms IS NULL)",
	"SELECT 'in no queue' FROM job WHERE state IN (1, 2, 4) AND queue IS NULL",
};

static void expect_sound(int step)
{
	CLEANUP(freep) char *path = xprintf("%s/pushrod.db", k.folder);
	sqlite3_stmt *row;
	sqlite3 *db;

	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (size_t i = 0; i < COUNT(never); i++) {
		cr_assert_eq(sqlite3_prepare_v2(db, never[i], -1, &row, NULL), SQLITE_OK, "%s: %s", never[i], sqlite3_errmsg(db));
		cr_assert_eq(sqlite3_step(row), SQLITE_DONE, "step %d, seed %llu: %s", step, random_state, (const char *)sqlite3_column_text(row, 0));
		sqlite3_finalize(row);
	}
	sqlite3_close(db);
}

/* Ends the oldest claim there is, one way or another. 0: there is none. */
static int end_one(void)
{
	if (!kit_has_claim(&k))
		return 0;
	struct claim *c = kit_claim(&k);
	int again = !pick(5);
	kit_finish_with(&k, (struct job_result){ .job = c->job, .attempt = c->attempt, .state = again ? JOB_LOST : JOB_SUCCEEDED }, again);
	claim_free(c);
	return 1;
}

/* Whoever had the claims is gone: the attempts that the store holds for running are tried again. */
static void restart(void)
{
	struct running *running;
	struct err e;
	size_t n;

	kit_close(&k);
	expect_sound(-1);
	kit_open(&k, 4);
	store_on_stop(k.store, k.notices, on_stop);
	store_listen(k.store, 1, 1);
	cr_assert_eq(store_recover(k.store, &running, &n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		kit_finish_with(&k, (struct job_result){ .job = running[i].job, .attempt = running[i].attempt, .state = JOB_LOST }, 1);
		free(running[i].rule);
		free(running[i].wish);
	}
	free(running);
	store_recover_done(k.store);
}

static void drain(void)
{
	for (int64_t until = mono_ms() + KIT_WAIT_MS; mono_ms() < until;) {
		CLEANUP(freep) char *status = kit_read(&k, (struct read){ .what = READ_STATUS }, NULL);
		if (strstr(status, "\"debouncing\":0,\"queued\":0,\"awaiting_approval\":0,\"running\":0"))
			return;
		if (!end_one())
			sched_yield();
	}
	cr_assert(0, "something waits for ever");
}

static void run_seed(unsigned long long seed)
{
	struct mail_list list = STAILQ_HEAD_INITIALIZER(list);
	int64_t last = 1;

	random_state = seed;
	kit_init(&k);
	open_store();
	for (int i = 0; i < STEPS; i++) {
		unsigned what = pick(20);
		if (what < 9) {
			struct submit *s = random_push(i);
			cr_assert_eq(kit_submit(&k, s), STORE_OK);
			last = s->jobs[0].job;
			submit_free(s);
		} else if (what < 11) {                 /* three in one batch, perhaps */
			for (int m = 0; m < 3; m++)
				store_submit(k.store, random_push(STEPS + 3 * i + m));
			for (int m = 0; m < 3; m++)
				submit_free((struct submit *)kit_take(k.replies, &list));
		} else if (what < 17) {
			end_one();
		} else if (what < 18) {
			kit_cancel(&k, 1 + (int64_t)pick((unsigned)last));
		} else if (i % 5 == 0) {
			restart();
		}
		mailbox_deliver(k.notices, NULL);
		kit_drop_effects(&k);
	}
	drain();
	kit_close(&k);
	expect_sound(STEPS);
	kit_fini(&k);
}

Test(queue_random, I3_I9_whatever_comes_the_rows_are_sound_and_nothing_waits_for_ever, .timeout = 110)
{
	const char *given = getenv("PUSHROD_QUEUE_SEED");
	unsigned long long seed = given ? strtoull(given, NULL, 10) : 20261130;

	for (int i = 0; i < 6; i++)
		run_seed(seed + (unsigned long long)i);
	no_leaks();
}
