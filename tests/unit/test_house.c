/* Keeping house, with a real store and real rule sets: which files of state/rulesets go, and which stay. */
#include <poll.h>

#include "base/clock.h"
#include "base/mailbox.h"
#include "front/house.h"
#include "front_parts.h"
#include "no_leaks.h"
#include "store/submit.h"

#define WAIT_MS 10000
#define HOUR 3600000

static const char *const A[] = { "a", "{'on':'push','when':'always','run':{'$fn':1}}", NULL };
static const char *const B[] = { "b", "{'on':'push','when':'always','run':{'$fn':1}}", NULL };
static const char *const C[] = { "c", "{'on':'push','when':'always','run':{'$fn':1}}", NULL };

static struct place place;
static struct store *store;
static struct mailbox *claims, *mail, *answers;
static struct house *house;
static struct edition *a, *b, *c;       /* the test's references */

static void open_store(void)
{
	const struct store_options o = { .state_dirfd = place.state_dirfd, .jobs_max = 4, .claims = claims };
	struct err e;

	cr_assert_eq(store_open(&o, &store, &e), 0, "%s", e.msg);
	house = house_new(store, place.journals_dirfd, place.shelf, mail);
}

static void set_up(void)
{
	place_open(&place);
	claims = mailbox_new();
	mail = mailbox_new();
	answers = mailbox_new();
	open_store();
	a = place_edition(&place, A, NULL);
	b = place_edition(&place, B, NULL);
	c = place_edition(&place, C, NULL);
}

static void close_store(void)
{
	house_stop(house);
	store_close(store);
	mailbox_deliver(mail, NULL);
	house_free(house);
}

static void tear_down(void)
{
	close_store();
	edition_unref(a);
	edition_unref(b);
	edition_unref(c);
	mailbox_free(claims);
	mailbox_free(mail);
	mailbox_free(answers);
	place_close(&place);
	no_leaks();
}

static int has_file(const char *name)
{
	return faccessat(place.rulesets_dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int is_kept(const struct edition *ed)
{
	return has_file(ruleset_sha256(ed->rules));
}

static void make_file(const char *name)
{
	int fd = openat(place.rulesets_dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
}

static void await_answer(void)
{
	struct pollfd p = { mailbox_fd(answers), POLLIN, 0 };
	struct mail_list list;

	cr_assert_eq(poll(&p, 1, WAIT_MS), 1);
	mailbox_take(answers, &list);
	cr_assert(!STAILQ_EMPTY(&list));
}

/* What was asked before has been answered then: the reading thread takes one question after the other. */
static enum store_outcome ask(enum read_what what, const char *text)
{
	struct read r = { .reply_to = answers, .what = what, .a = 1, .limit = 1 };

	snprintf(r.text, sizeof r.text, "%s", text);
	store_read(store, &r);
	await_answer();
	buf_fini(&r.json);
	return r.outcome;
}

static void turn(int64_t now_ms)
{
	house_turn(house, ruleset_config(a->rules), now_ms);
}

/* A turn, and all that comes of it. */
static void sweep(int64_t now_ms)
{
	struct pollfd p = { mailbox_fd(mail), POLLIN, 0 };

	turn(now_ms);
	do {
		ask(READ_STATUS, "");
		mailbox_deliver(mail, NULL);
		ask(READ_STATUS, "");
	} while (poll(&p, 1, 0) > 0);
}

static void store_delivery(const struct edition *ed, const char *key, int64_t received_ms, int n_jobs)
{
	struct submit *s = xcalloc(1, sizeof *s);

	*s = (struct submit){ .reply_to = answers, .source = xstrdup("github"), .provider = xstrdup(""), .key = xstrdup(key),
			      .event = xstrdup("push"), .action = xstrdup(""), .summary_json = xstrdup("{}"), .event_json = xstrdup("{}"),
			      .headers_json = xstrdup("{}"), .why_json = xstrdup("[]"), .ruleset = xstrdup(ruleset_sha256(ed->rules)),
			      .received_ms = received_ms, .body = BUF(16), .n_jobs = n_jobs, .jobs = xcalloc(1, sizeof *s->jobs) };
	if (n_jobs)
		s->jobs[0] = (struct submit_job){ .rule = "a", .file = "rules/r.lua", .queue = xstrdup("q"), .policy.limit = 1,
						  .timeout_ms = 60000 };
	store_submit(store, s);
	await_answer();
	cr_assert_eq(s->outcome, STORE_OK);
	submit_free(s);
}

Test(house, a_rule_set_that_nothing_names_goes_and_so_do_torn_ones)
{
	CLEANUP(freep) char *torn = NULL;

	set_up();
	torn = xprintf("%s.12.tmp", ruleset_sha256(b->rules));
	make_file(torn);
	make_file("notes.tmp");
	make_file("README");
	store_delivery(b, "k", wall_ms(), 0);
	house_put_edition(house, a);
	sweep(0);
	cr_expect(is_kept(a), "it is in force");
	cr_expect(is_kept(b), "a delivery names it");
	cr_expect_not(is_kept(c));
	cr_expect_not(has_file(torn));
	cr_expect(has_file("README") && has_file("notes.tmp"), "not ours");
	tear_down();
}

Test(house, a_rule_set_stays_while_somebody_holds_its_edition)
{
	char sha[65];

	set_up();
	snprintf(sha, sizeof sha, "%s", ruleset_sha256(b->rules));
	house_put_edition(house, b);
	house_put_edition(house, a);
	sweep(0);
	sweep(HOUR);
	cr_expect(has_file(sha), "the test holds it, as a request under way would");
	cr_assert_leq(house_turn(house, ruleset_config(a->rules), HOUR + 1), HOUR + 1 + 1000, "it looks again soon");
	edition_unref(b);
	b = NULL;
	sweep(HOUR + 2);
	cr_expect_not(has_file(sha));
	cr_expect(is_kept(a));
	tear_down();
}

Test(house, what_a_request_stored_before_it_let_go_keeps_its_rule_set)
{
	char sha[65];

	set_up();
	house_put_edition(house, b);
	house_put_edition(house, c);
	house_put_edition(house, a);
	store_delivery(b, "late", wall_ms(), 0);
	snprintf(sha, sizeof sha, "%s", ruleset_sha256(b->rules));
	edition_unref(b);
	b = NULL;
	edition_unref(c);
	c = NULL;
	sweep(1);
	cr_expect(has_file(sha));
	DIR *d = fdopendir(dup(place.rulesets_dirfd));
	int n = 0;
	rewinddir(d);
	for (struct dirent *entry; (entry = readdir(d));)
		n += entry->d_name[0] != '.';
	closedir(d);
	cr_expect_eq(n, 2, "a and b: nobody holds c, and nothing names it");
	tear_down();
}

/* The race: the store has said that nothing names B, and before that is heard B is in force again. */
Test(house, a_rule_set_that_comes_back_while_it_is_asked_about_is_not_lost)
{
	set_up();
	edition_unref(b);
	house_put_edition(house, a);
	turn(0);
	ask(READ_STATUS, "");                   /* the answer lies in the mailbox */
	b = place_edition(&place, B, NULL);     /* finds its file, and writes none */
	house_put_edition(house, b);
	mailbox_deliver(mail, NULL);
	cr_expect(is_kept(b));
	sweep(1);
	cr_expect(is_kept(b));
	tear_down();
}

Test(house, a_rule_set_that_came_and_went_while_it_was_asked_about_keeps_what_it_brought)
{
	char sha[65];

	set_up();
	snprintf(sha, sizeof sha, "%s", ruleset_sha256(b->rules));
	edition_unref(b);
	house_put_edition(house, a);
	turn(0);
	ask(READ_STATUS, "");
	b = place_edition(&place, B, NULL);
	house_put_edition(house, b);
	store_delivery(b, "k", wall_ms(), 1);
	house_put_edition(house, a);
	edition_unref(b);
	b = NULL;
	turn(1);                                /* lets go of B, and only then the old answer is heard */
	mailbox_deliver(mail, NULL);
	cr_expect(has_file(sha), "a delivery and its job name it");
	sweep(2);
	cr_expect(has_file(sha));
	tear_down();
}

Test(house, a_rule_set_that_comes_back_after_its_file_went_is_written_anew)
{
	struct buf text = BUF(1 << 20);
	struct err e;

	set_up();
	house_put_edition(house, a);
	sweep(0);
	cr_assert_not(is_kept(b));
	edition_unref(b);
	b = place_edition(&place, B, NULL);
	cr_assert(is_kept(b));
	cr_assert_eq(file_read(place.rulesets_dirfd, ruleset_sha256(b->rules), &text, &e), 0);
	char digest[65];
	sha256_hex(buf_slice(&text), digest);
	cr_expect_str_eq(digest, ruleset_sha256(b->rules));
	buf_fini(&text);
	tear_down();
}

Test(house, a_rule_set_goes_after_its_last_delivery_and_stays_for_a_job)
{
	set_up();
	store_delivery(b, "old", 1000, 1);      /* the job is open */
	store_delivery(c, "older", 1000, 0);
	house_put_edition(house, a);
	turn(0);
	int64_t until = mono_ms() + WAIT_MS;    /* retention has no reply */
	while (ask(READ_RULESET, ruleset_sha256(c->rules)) == STORE_OK)
		cr_assert_lt(mono_ms(), until);
	sweep(HOUR);
	sweep(2 * HOUR);
	cr_expect(is_kept(b));
	cr_expect_not(is_kept(c));
	cr_expect_eq(ask(READ_RULESET, ruleset_sha256(b->rules)), STORE_OK);
	tear_down();
}

/* As after a crash between the row and the file. */
Test(house, the_next_start_takes_what_was_left_between_row_and_file)
{
	set_up();
	store_delivery(c, "old", 1000, 0);
	house_put_edition(house, a);
	turn(0);
	int64_t until = mono_ms() + WAIT_MS;
	while (ask(READ_RULESET, ruleset_sha256(c->rules)) == STORE_OK)
		cr_assert_lt(mono_ms(), until);
	close_store();
	make_file("0123456789012345678901234567890123456789012345678901234567890123");
	edition_unref(place_edition(&place, C, NULL));
	cr_assert(is_kept(c));
	open_store();
	house_put_edition(house, a);
	sweep(0);
	cr_expect_not(has_file("0123456789012345678901234567890123456789012345678901234567890123"));
	cr_expect_not(is_kept(c));
	cr_expect(is_kept(a));
	tear_down();
}

Test(house, nothing_is_dropped_once_it_is_told_to_stop)
{
	set_up();
	house_put_edition(house, a);
	turn(0);
	ask(READ_STATUS, "");
	house_stop(house);
	mailbox_deliver(mail, NULL);
	cr_expect(is_kept(b) && is_kept(c));
	tear_down();
}
