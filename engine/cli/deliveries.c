/* cli/deliveries.c - pushrod deliveries: what came in, newest first; and one of them (delivery.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/delivery.h"
#include "cli/options.h"
#include "cli/talk.h"

/* `&NAME=VALUE`, where there is a value (RFC 3986, section 2). */
static void add_filter(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(path, "&%s=", name);
	for (; *value; value++)
		if (strchr("-._~", *value) || (*value >= '0' && *value <= '9') || ((*value | 0x20) >= 'a' && (*value | 0x20) <= 'z'))
			buf_addc(path, *value);
		else
			buf_addf(path, "%%%02X", (unsigned char)*value);
}

static void print_delivery(const json_t *d)
{
	const char *action = talk_string(d, "action");
	long long replay_of = talk_integer(d, "replay_of"), same_as = talk_integer(d, "same_as"), jobs = talk_integer(d, "jobs");
	CLEANUP(freep) char *event = xprintf("%s%s%s", talk_string(d, "event"), *action ? "." : "", action);
	char age[16];

	talk_age(wall_ms() - talk_integer(d, "received_ms"), age);
	printf("%6lld  %-12s %-24s %-28s %4lld %-4s  %s ago", (long long)talk_integer(d, "id"), talk_string(d, "source"), event,
	       talk_string(d, "repo"), jobs, jobs == 1 ? "job" : "jobs", age);
	if (replay_of)
		printf("  replay of %lld", replay_of);
	if (same_as)
		printf("  same as %lld", same_as);
	putchar('\n');
}

struct listing {
	const char *source, *event, *repo, *branch, *matched, *since, *until, *limit, *state, *url;
	int as_json, is_forced;
};

/* "2h" ago, or "2026-11-30T08:00:00Z", as the API takes it. Owned; NULL where TEXT is neither. */
static char *moment(const char *text)
{
	struct tm tm = { 0 };
	int64_t ms;

	if (slice_to_duration_ms(slice_of(text), &ms) == 0)
		return xprintf("%" PRId64, wall_ms() - ms);
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return end && !*end ? xprintf("%" PRId64, (int64_t)timegm(&tm) * 1000) : NULL;
}

static int no_moment(const struct command *self, const char *name, const char *text)
{
	return command_usage(self, "--%s takes a time ago such as 2h or 7d, or a moment such as 2026-11-30T08:00:00Z, not '%s'", name, text);
}

static int list(const struct command *self, const struct listing *l)
{
	CLEANUP(buf_fini) struct buf path = BUF(8 << 10);
	CLEANUP(freep) char *since = l->since ? moment(l->since) : NULL, *until = l->until ? moment(l->until) : NULL;
	json_t *answer = NULL, *d;
	size_t i;
	int64_t n;

	if (slice_to_i64(slice_of(l->limit), 1, 200, &n) < 0)
		return command_usage(self, "--limit takes a number from 1 to 200, not '%s'", l->limit);
	if (l->since && !since)
		return no_moment(self, "since", l->since);
	if (l->until && !until)
		return no_moment(self, "until", l->until);
	if (l->matched && strcmp(l->matched, "yes") && strcmp(l->matched, "no"))
		return command_usage(self, "--matched takes yes or no, not '%s'", l->matched);
	buf_addf(&path, "/api/v1/deliveries?limit=%lld", (long long)n);
	add_filter(&path, "source", l->source);
	add_filter(&path, "event", l->event);
	add_filter(&path, "repo", l->repo);
	add_filter(&path, "branch", l->branch);
	add_filter(&path, "matched", l->matched);
	add_filter(&path, "since", since);
	add_filter(&path, "until", until);
	if (buf_is_over(&path))
		return command_usage(self, "the filters are over 8 KiB");
	int code = talk_json(self, l->state, NULL, buf_cstr(&path), &answer);
	if (code)
		return code;
	if (l->as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		talk_tame(answer);
		const json_t *all = json_object_get(answer, "deliveries");
		json_array_foreach(all, i, d)
			print_delivery(d);
		if (json_array_size(all) == 0)
			fprintf(stderr, "no deliveries\n");
	}
	json_decref(answer);
	return EXIT_OK;
}

/* WORDS: the verb, a number, and for save where to. */
static int one(const struct command *self, const struct listing *l, const char *const words[3])
{
	const char *verb = words[0];
	int64_t id;

	if (!words[1])
		return command_usage(self, "%s which delivery?", verb);
	if (slice_to_i64(slice_of(words[1]), 1, INT64_MAX, &id) < 0)
		return command_usage(self, "'%s' is not a delivery's number", words[1]);
	if (!strcmp(verb, "save"))
		return delivery_save(self, l->state, id, words[2], l->is_forced ? STORED_WRITE_OVER : STORED_KEEP_OLD);
	if (words[2])
		return command_usage(self, "'%s' is one word too many", words[2]);
	if (!strcmp(verb, "show"))
		return delivery_show(self, l->state, id, l->as_json ? DELIVERY_JSON : DELIVERY_TEXT);
	if (!strcmp(verb, "body"))
		return delivery_body(self, l->state, id);
	if (!strcmp(verb, "curl"))
		return delivery_curl(self, l->state, id, l->url);
	return command_usage(self, "'%s' is none of show, body, curl, save", verb);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct listing l = { .limit = "20" };
	const char *words[3] = { NULL, NULL, NULL };
	int code;
	const struct option_spec specs[] = { { .name = "source", .value = &l.source }, { .name = "event", .letter = 'e', .value = &l.event },
		{ .name = "repo", .value = &l.repo }, { .name = "branch", .value = &l.branch }, { .name = "matched", .letter = 'm', .value = &l.matched },
		{ .name = "since", .value = &l.since }, { .name = "until", .value = &l.until }, { .name = "url", .value = &l.url },
		{ .name = "limit", .letter = 'n', .value = &l.limit }, { .name = "state", .value = &l.state },
		{ .name = "json", .flag = &l.as_json }, { .name = "force", .letter = 'f', .flag = &l.is_forced }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, 3, &code);

	if (n < 0)
		return code;
	return n ? one(self, &l, words) : list(self, &l);
}

const struct command cmd_deliveries = {
	"deliveries", "[show|body|curl|save DELIVERY] [--source NAME] [--event EVENT] [--since TIME] [--matched yes|no] [--limit N] [--json]",
	"list deliveries, newest first, or show one",
	"      --source NAME     only those of one source\n"
	"  -e, --event EVENT     push, or with its action pull_request.opened\n"
	"      --repo REPO       as the sender writes it: acme/handbook\n"
	"      --branch BRANCH   only those of one branch\n"
	"  -m, --matched yes|no  only those that caused jobs, or caused none\n"
	"      --since TIME      not before: 2h (ago), or 2026-11-30T08:00:00Z\n"
	"      --until TIME      before\n"
	"  -n, --limit N         how many, 1 to 200 (20)\n"
	"      --json            the API's answer (docs/api.md)\n"
	"      --state DIR       the server's state folder (found in ./state and ../state)\n"
	"      --url URL         for curl: where to send it (to this server)\n"
	"  -f, --force           for save: write over a file that is there\n"
	"\n"
	"show DELIVERY tells all that is known of one, body DELIVERY writes its body as it was received, curl DELIVERY a command that\n"
	"sends it again. save DELIVERY [FILE|DIR] writes it down as a fixture, which pushrod test and explain read: to DIR/tests where\n"
	"there is a pushrod.lua, else to DIR ($PUSHROD_SITE, else the current one), as delivery-N.json. To run it again: pushrod replay.\n",
	run,
};
