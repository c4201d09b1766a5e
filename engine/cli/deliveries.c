/* cli/deliveries.c - pushrod deliveries: what came in, newest first. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
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

static int run(const struct command *self, int argc, char **argv)
{
	const char *source = NULL, *event = NULL, *repo = NULL, *branch = NULL, *matched = NULL, *limit = "20", *folder = NULL;
	CLEANUP(buf_fini) struct buf path = BUF(8 << 10);
	int as_json = 0, code;
	int64_t n;
	const struct option_spec specs[] = { { .name = "source", .value = &source }, { .name = "event", .letter = 'e', .value = &event },
		{ .name = "repo", .value = &repo }, { .name = "branch", .value = &branch }, { .name = "matched", .letter = 'm', .value = &matched },
		{ .name = "limit", .letter = 'n', .value = &limit }, { .name = "state", .value = &folder },
		{ .name = "json", .flag = &as_json }, { 0 } };
	json_t *answer = NULL;

	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	if (slice_to_i64(slice_of(limit), 1, 200, &n) < 0)
		return command_usage(self, "--limit takes a number from 1 to 200, not '%s'", limit);
	if (matched && strcmp(matched, "yes") && strcmp(matched, "no"))
		return command_usage(self, "--matched takes yes or no, not '%s'", matched);
	buf_addf(&path, "/api/v1/deliveries?limit=%lld", (long long)n);
	add_filter(&path, "source", source);
	add_filter(&path, "event", event);
	add_filter(&path, "repo", repo);
	add_filter(&path, "branch", branch);
	add_filter(&path, "matched", matched);
	if (buf_is_over(&path))
		return command_usage(self, "the filters are over 8 KiB");
	code = talk_json(self, folder, NULL, buf_cstr(&path), &answer);
	if (code)
		return code;
	const json_t *list = json_object_get(answer, "deliveries"), *d;
	size_t i;
	if (as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		json_array_foreach(list, i, d)
			print_delivery(d);
		if (json_array_size(list) == 0)
			fprintf(stderr, "no deliveries\n");
	}
	json_decref(answer);
	return EXIT_OK;
}

const struct command cmd_deliveries = {
	"deliveries", "[--source NAME] [--event EVENT] [--repo REPO] [--branch BRANCH] [--matched yes|no] [--limit N] [--json] [--state DIR]",
	"list deliveries, newest first",
	"      --source NAME     only those of one source\n"
	"  -e, --event EVENT     push, or with its action pull_request.opened\n"
	"      --repo REPO       as the sender writes it: acme/handbook\n"
	"      --branch BRANCH   only those of one branch\n"
	"  -m, --matched yes|no  only those that caused jobs, or caused none\n"
	"  -n, --limit N         how many, 1 to 200 (20)\n"
	"      --json            the API's answer (docs/api.md)\n"
	"      --state DIR       the server's state folder (found in ./state and ../state)\n",
	run,
};
