/* cli/replay.c - pushrod replay: run deliveries again, by the rules in force; those that are named, or those that a filter finds.
 *
 * Each is asked for with a key of this run and of that delivery, so that asking again, after a connection was lost, is harmless:
 * the server runs it once (front/replay.c). The first Ctrl-C ends the run behind the delivery under way, and so exactly; the
 * second ends it at once. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/hex.h"
#include "cli/delivery.h"
#include "cli/pick.h"
#include "cli/talk.h"

#define NAMED_MAX 1000                  /* deliveries on one command line */
#define LIMIT_DEFAULT "1000"
#define TRIES 6
#define RETRY_MS 200                    /* then twice that, and so on */
#define RETRY_AFTER_MAX_S 30

struct replaying {
	const struct command *self;
	const char *state, *rule, *limit, *after;
	struct filter filter;
	int is_dry, as_json, is_sure;
	char run[33];                   /* of the keys */
	size_t ran, jobs, without, failed;      /* without: matched no rule */
	int64_t at;                     /* the last that is settled; 0: none */
	int64_t unknown;                /* was asked for, and nothing is known of it; 0: none */
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	if (interrupts < 2)
		interrupts++;
}

/* ---- one ---- */

static void tell(const struct replaying *p, int64_t id, json_t *answer)
{
	const json_t *matched = json_object_get(answer, "matched");

	if (p->as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	talk_tame(answer);
	if (p->is_dry)
		printf("delivery %" PRId64 " would run %zu %s\n", id, json_array_size(matched), json_array_size(matched) == 1 ? "job" : "jobs");
	else
		printf("delivery %" PRId64 " again as %" PRId64 "\n", id, talk_integer(answer, "delivery"));
	talk_verdict(answer);
}

/* Jobs of an answer: the last member may say how many more there are. */
static size_t count_jobs(const json_t *answer)
{
	const json_t *matched = json_object_get(answer, "matched");
	size_t n = json_array_size(matched);
	int64_t more = n ? talk_integer(json_array_get(matched, n - 1), "more") : 0;

	return more > 0 ? n - 1 + (size_t)more : n;
}

static int once(const struct replaying *p, struct slice path, struct slice key, struct client_response *r, struct err *e)
{
	struct client_target t = { 0 };

	if (client_target_state(&t, p->state, e) < 0)
		return -1;
	int bad = client_do(&t, &(struct client_request){ .method = "POST", .path = path, .header_lines = key }, r, e);
	client_target_fini(&t);
	return bad;
}

static int64_t pause_ms(const struct client_response *busy, int tried)
{
	int64_t s;

	if (busy && slice_to_i64(client_header(busy, "retry-after"), 0, RETRY_AFTER_MAX_S, &s) == 0)
		return s * 1000;
	return RETRY_MS << tried;
}

/* Ask until there is an answer that stays. 0 and *r owned; -1: *e says why there is none. */
static int ask(const struct replaying *p, int64_t id, struct client_response *r, struct err *e)
{
	CLEANUP(buf_fini) struct buf path = BUF(4096);
	CLEANUP(freep) char *key = xprintf("Idempotency-Key: %s-%" PRId64 "\n", p->run, id);

	buf_addf(&path, "/api/v1/deliveries/%" PRId64 "/replay?dry_run=%d", id, p->is_dry);
	buf_adds(&path, p->rule ? "&rule=" : "");
	filter_add_escaped(slice_of(p->rule), &path);
	for (int tried = 1;; tried++) {
		int bad = once(p, buf_slice(&path), slice_of(key), r, e);
		int is_cut = bad && !strcmp(e->msg, "interrupted"), is_lost = bad && e->kind == ERR_IO, is_busy = !bad && r->status == 503;
		if (!(is_cut || is_lost || is_busy) || tried == TRIES || interrupts > !is_busy)
			return bad;
		int64_t ms = is_cut ? 0 : pause_ms(is_busy ? r : NULL, tried);
		if (is_busy)
			client_response_fini(r);
		poll(NULL, 0, (int)ms);                 /* a signal ends it */
	}
}

/* Settles delivery ID: an exit code, what went wrong said on stderr. */
static int replay(struct replaying *p, int64_t id)
{
	CLEANUP(freep) char *what = xprintf("delivery %" PRId64, id);
	struct client_response r;
	struct err e = { 0 };
	json_error_t at;

	p->unknown = id;
	if (ask(p, id, &r, &e) < 0)
		return talk_unreachable(p->self, &e);
	p->unknown = 0;
	p->at = id;
	json_t *answer = r.status / 100 == 2 ? json_loadb(r.body.ptr ? r.body.ptr : "", r.body.len, 0, &at) : NULL;
	int code = r.status / 100 != 2 ? talk_refused_about(p->self, what, &r) : EXIT_OK;
	if (!code && !answer) {
		fprintf(stderr, "pushrod %s: %s: the server's answer is not JSON: %s\n", p->self->name, what, at.text);
		code = EXIT_FAILED;
	}
	client_response_fini(&r);
	if (code) {
		p->failed++;
		return code;
	}
	size_t jobs = count_jobs(answer);
	p->ran++;
	p->jobs += jobs;
	p->without += jobs == 0;
	tell(p, id, answer);
	fflush(stdout);
	json_decref(answer);
	return EXIT_OK;
}

/* ---- all ---- */

static void summarise(const struct replaying *p, size_t n)
{
	fprintf(stderr, "%zu of %zu %s %s, %zu %s", p->ran, n, n == 1 ? "delivery" : "deliveries",
		p->is_dry ? "would be run again" : "run again", p->jobs, p->jobs == 1 ? "job" : "jobs");
	if (p->without)
		fprintf(stderr, "; %zu matched no rule", p->without);
	if (p->failed)
		fprintf(stderr, "; %zu could not be", p->failed);
	fputc('\n', stderr);
}

static void tell_how_far(const struct replaying *p, size_t n, int is_filtered)
{
	size_t settled = p->ran + p->failed;

	fprintf(stderr, "pushrod %s: ended ", p->self->name);
	if (p->at)
		fprintf(stderr, "behind delivery %" PRId64 ", %zu of %zu", p->at, settled, n);
	else
		fprintf(stderr, "before the first of %zu", n);
	if (p->unknown && !p->is_dry)
		fprintf(stderr, "; whether %" PRId64 " was run again is not known", p->unknown);
	if (is_filtered && settled < n)
		fprintf(stderr, "; to go on: --after %" PRId64, p->unknown && !p->is_dry ? p->unknown : p->at);
	fputc('\n', stderr);
}

/* All of IDS, whatever becomes of one of them. */
static int replay_all(struct replaying *p, const int64_t *ids, size_t n, int is_filtered)
{
	int code = EXIT_OK, is_over = 0;

	for (size_t i = 0; i < n && !is_over && !interrupts; i++) {
		code = replay(p, ids[i]);
		is_over = p->unknown != 0;
	}
	if (is_over || (interrupts && p->ran + p->failed < n))
		tell_how_far(p, n, is_filtered);
	if (n > 1)
		summarise(p, n);
	if (interrupts && (is_over || p->ran + p->failed < n))
		return EXIT_INTERRUPTED;
	if (is_over || (n == 1 && code))
		return code;
	return p->failed ? EXIT_FAILED : p->jobs ? EXIT_OK : EXIT_NO_MATCH;
}

/* ---- by filter ---- */

static void tell_left_out(const struct picked *all)
{
	if (all->replays)
		fprintf(stderr, "left out: %zu %s\n", all->replays, all->replays == 1 ? "replay" : "replays");
	if (all->caused)
		fprintf(stderr, "left out: %zu that jobs caused, as what is run again causes them anew (--source job, rule or local names such)\n",
			all->caused);
}

/* EXIT_OK: they may be run. */
static int ask_person(const struct replaying *p, const struct picked *all)
{
	char line[16];

	if (p->is_dry || p->is_sure || all->n < 2)
		return EXIT_OK;
	if (!isatty(STDIN_FILENO))
		return command_usage(p->self, "%zu deliveries: say --yes to run them again, or --dry-run to see what would run", all->n);
	delivery_line(all->first, stderr);
	fprintf(stderr, "   …\n");
	delivery_line(all->last, stderr);
	fprintf(stderr, "Run these %zu deliveries again, from the oldest to the newest? [y/N] ", all->n);
	if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return EXIT_OK;
	fprintf(stderr, "%snothing was run\n", interrupts ? "\n" : "");
	return interrupts ? EXIT_INTERRUPTED : EXIT_FAILED;
}

static int replay_filtered(struct replaying *p)
{
	struct picked all = { 0 };
	int64_t limit, after = 0;

	if (slice_to_i64(slice_of(p->limit), 1, PICK_MAX, &limit) < 0)
		return command_usage(p->self, "--limit takes a number from 1 to %d, not '%s'", PICK_MAX, p->limit);
	if (p->after && slice_to_i64(slice_of(p->after), 0, INT64_MAX, &after) < 0)
		return command_usage(p->self, "--after takes a delivery's number, not '%s'", p->after);
	int code = pick(p->self, p->state, &p->filter, after, &all);
	if (code)
		return code;
	tell_left_out(&all);
	if (all.n == 0) {
		fprintf(stderr, "no deliveries\n");
		code = EXIT_NO_MATCH;
	} else if (all.n > (size_t)limit) {
		fprintf(stderr, "pushrod %s: %zu%s deliveries fit, the most is %" PRId64 ": narrow it down, or say --limit %zu\n", p->self->name, all.n,
			all.n == PICK_MAX ? " and more" : "", limit, all.n);
		code = EXIT_FAILED;
	} else {
		code = ask_person(p, &all);
		if (!code)
			code = replay_all(p, all.ids, all.n, 1);
	}
	picked_fini(&all);
	return code;
}

static int replay_named(struct replaying *p, const char *const *words, int n)
{
	int64_t *ids = xcalloc((size_t)n, sizeof *ids);
	int code = EXIT_OK;

	for (int i = 0; i < n && !code; i++)            /* all are read before the first is run */
		if (slice_to_i64(slice_of(words[i]), 1, INT64_MAX, &ids[i]) < 0)
			code = command_usage(p->self, "'%s' is not a delivery's number", words[i]);
	if (!code)
		code = replay_all(p, ids, (size_t)n, 0);
	free(ids);
	return code;
}

static void begin(struct replaying *p)
{
	CLEANUP(buf_fini) struct buf hex = BUF(sizeof p->run - 1);
	const struct sigaction action = { .sa_handler = on_interrupt };
	char random[(sizeof p->run - 1) / 2];

	if (getrandom(random, sizeof random, 0) != sizeof random)
		abort();
	hex_add(&hex, (struct slice){ random, sizeof random });
	memcpy(p->run, buf_cstr(&hex), sizeof p->run);
	sigaction(SIGINT, &action, NULL);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct replaying p = { .self = self, .limit = LIMIT_DEFAULT };
	const char *words[NAMED_MAX];
	int code;
	const struct option_spec specs[] = { { .name = "rule", .letter = 'r', .value = &p.rule },
		{ .name = "dry-run", .letter = 'n', .flag = &p.is_dry }, { .name = "yes", .letter = 'y', .flag = &p.is_sure },
		FILTER_SPECS(&p.filter), { .name = "after", .value = &p.after }, { .name = "limit", .value = &p.limit },
		{ .name = "state", .value = &p.state }, { .name = "json", .flag = &p.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, NAMED_MAX, &code);
	int is_filtered = !filter_is_empty(&p.filter) || p.after;

	if (n < 0)
		return code;
	if (n && is_filtered)
		return command_usage(self, "deliveries by their numbers, or by a filter: not both");
	if (!n && !is_filtered)
		return command_usage(self, "which delivery? Its number, or a filter such as --since 2h");
	begin(&p);
	return n ? replay_named(&p, words, n) : replay_filtered(&p);
}

const struct command cmd_replay = {
	"replay", "DELIVERY… | [--source NAME] [--event EVENT] [--since TIME] [--matched yes|no] [--yes] [--rule RULE] [--dry-run] [--json]",
	"run deliveries again, by the rules in force",
	"  -r, --rule RULE       only the jobs of this rule\n"
	"  -n, --dry-run         say what would run, and run nothing\n"
	"  -y, --yes             run more than one that a filter finds without asking\n"
	FILTER_HELP
	"      --after DELIVERY  only those with a higher number\n"
	"      --limit N         refuse to run more than N that a filter finds (1000)\n"
	"      --json            the API's answers, one a line (docs/api.md)\n"
	"      --state DIR       the server's state folder\n"
	"\n"
	"A replay is a delivery of its own, which names the one that it repeats. Those of a filter are run from the oldest to the newest;\n"
	"left out are replays, and what jobs caused, since what is run again causes it anew. One that cannot be does not stop the\n"
	"others. A lost connection is made good: nothing runs twice. Ctrl-C ends it behind the one under way and says how far it got.\n"
	"Exit code: 0 a rule matched, 3 none did, 1 one cannot be replayed, 5 the only one is not there, 4 unreachable, 130 interrupted.\n",
	run,
};
