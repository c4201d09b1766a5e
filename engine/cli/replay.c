/* cli/replay.c - pushrod replay: run deliveries again, by the rules in force. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "cli/talk.h"

#define DELIVERIES_MAX 100

struct replaying {
	const struct command *self;
	const char *state, *rule;
	int is_dry, as_json, has_matched;
};

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

static int replay(struct replaying *p, int64_t id)
{
	CLEANUP(freep) char *path = xprintf("/api/v1/deliveries/%" PRId64 "/replay?dry_run=%d%s%s", id, p->is_dry,
					    p->rule ? "&rule=" : "", p->rule ? p->rule : "");
	json_t *answer = NULL;
	int code = talk_json(p->self, p->state, "POST", path, &answer);

	if (code)
		return code;
	tell(p, id, answer);
	p->has_matched |= json_array_size(json_object_get(answer, "matched")) > 0;
	json_decref(answer);
	return EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct replaying p = { .self = self };
	const char *words[DELIVERIES_MAX];
	int64_t ids[DELIVERIES_MAX];
	int code;
	const struct option_spec specs[] = { { .name = "rule", .letter = 'r', .value = &p.rule },
		{ .name = "dry-run", .letter = 'n', .flag = &p.is_dry }, { .name = "state", .value = &p.state },
		{ .name = "json", .flag = &p.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, DELIVERIES_MAX, &code);

	if (n < 0)
		return code;
	if (n == 0)
		return command_usage(self, "which delivery?");
	if (p.rule && strspn(p.rule, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(p.rule))
		return command_usage(self, "'%s' is not a rule's name", p.rule);
	for (int i = 0; i < n; i++)             /* all are read before the first is run */
		if (slice_to_i64(slice_of(words[i]), 1, INT64_MAX, &ids[i]) < 0)
			return command_usage(self, "'%s' is not a delivery's number", words[i]);
	for (int i = 0; i < n; i++) {
		code = replay(&p, ids[i]);
		if (code)
			return code;
	}
	return p.has_matched ? EXIT_OK : EXIT_NO_MATCH;
}

const struct command cmd_replay = {
	"replay", "DELIVERY… [--rule RULE] [--dry-run] [--json] [--state DIR]", "run deliveries again, by the rules in force",
	"  -r, --rule RULE  only the jobs of this rule\n"
	"  -n, --dry-run    say what would run, and run nothing\n"
	"      --json       the API's answers, one a line (docs/api.md)\n"
	"      --state DIR  the server's state folder\n"
	"\n"
	"A replay is a delivery of its own, which names the one that it repeats. Exit code: 0 a rule matched, 3 none did, 5 it is\n"
	"not there, 1 it cannot be replayed, 4 unreachable. The first that cannot be ends the run.\n",
	run,
};
