/* cli/deliveries.c - pushrod deliveries: what came in, newest first; and one of them (delivery.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/delivery.h"
#include "cli/filter.h"
#include "cli/talk.h"

struct listing {
	struct filter filter;
	const char *limit, *state, *url;
	int as_json, is_forced;
};

static int list(const struct command *self, const struct listing *l)
{
	CLEANUP(buf_fini) struct buf path = BUF(8 << 10);
	json_t *answer = NULL, *d;
	size_t i;
	int64_t n;

	if (slice_to_i64(slice_of(l->limit), 1, 200, &n) < 0)
		return command_usage(self, "--limit takes a number from 1 to 200, not '%s'", l->limit);
	buf_addf(&path, "/api/v1/deliveries?limit=%lld", (long long)n);
	int code = filter_query(self, &l->filter, &path);
	if (!code)
		code = talk_json(self, l->state, NULL, buf_cstr(&path), &answer);
	if (code)
		return code;
	if (l->as_json) {
		json_dumpf(answer, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		talk_tame(answer);
		const json_t *all = json_object_get(answer, "deliveries");
		json_array_foreach(all, i, d)
			delivery_line(d, stdout);
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
	const struct option_spec specs[] = { FILTER_SPECS(&l.filter), { .name = "url", .value = &l.url },
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
	FILTER_HELP
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
