/* cli/reload.c - pushrod reload: have the rules read anew, and tell what came of it. The server reads them by itself when a file
 * changes; this is for scripts, and for where it does not watch. It is known by the time that the rules in force bear: a reload
 * gives them a new one, whatever came of it. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/plural.h"
#include "cli/options.h"
#include "cli/talk.h"

#define WAIT_MS 60000
#define LOOK_MS 50
#define STILL_MS 300                    /* one that was under way already is followed by another */

static const json_t *find_rule(const json_t *answer, const json_t *like)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(answer, "rules"), i, rule)
		if (!strcmp(talk_string(rule, "name"), talk_string(like, "name")) && !strcmp(talk_string(rule, "file"), talk_string(like, "file")))
			return rule;
	return NULL;
}

static void print_missing(const json_t *of, const json_t *in, const char *label)
{
	const json_t *rule;
	size_t i;

	json_array_foreach(json_object_get(of, "rules"), i, rule)
		if (!find_rule(in, rule))
			printf("  %s rule '%s' (%s)\n", label, talk_string(rule, "name"), talk_string(rule, "file"));
}

static int tell(const json_t *before, const json_t *after, int as_json)
{
	size_t rules = json_array_size(json_object_get(after, "rules")), sources = json_array_size(json_object_get(after, "sources"));
	const char *error = talk_string(after, "error"), *ruleset = talk_string(after, "ruleset");

	if (as_json) {
		json_t *out = json_pack("{s:b,s:s,s:b,s:I,s:I,s:O}", "in_force", !*error, "ruleset", ruleset, "changed",
					strcmp(ruleset, talk_string(before, "ruleset")) != 0, "rules", (json_int_t)rules, "sources",
					(json_int_t)sources, "error", json_object_get(after, "error"));
		json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(out);
	} else if (*error) {
		fprintf(stderr, "pushrod reload: the files are not in force, the rules of before stay:\n%s%s", error,
			error[strlen(error) - 1] == '\n' ? "" : "\n");
	} else {
		printf("in force: %zu %s, %zu %s (%.12s)%s\n", rules, plural((int64_t)rules, "rule", "rules"), sources,
		       plural((int64_t)sources, "source", "sources"), ruleset,
		       strcmp(ruleset, talk_string(before, "ruleset")) ? "" : ", as before");
		print_missing(after, before, "new: ");
		print_missing(before, after, "gone:");
	}
	return *error ? EXIT_FAILED : EXIT_OK;
}

/* Until the time of the rules in force is another than that of BEFORE, and stays. *out owned. */
static int await(const struct command *self, const char *folder, const json_t *before, json_t **out)
{
	int64_t until = mono_ms() + WAIT_MS, seen_ms = talk_integer(before, "loaded_ms"), seen_at = 0;

	for (;; poll(NULL, 0, LOOK_MS)) {
		int64_t now = mono_ms();
		json_t *answer = NULL;
		int code = talk_json(self, folder, NULL, "/api/v1/rules", &answer);
		if (code)
			return code;
		if (talk_integer(answer, "loaded_ms") != seen_ms) {
			seen_ms = talk_integer(answer, "loaded_ms");
			seen_at = now;
		} else if (seen_at && now - seen_at >= STILL_MS) {
			*out = answer;
			return EXIT_OK;
		}
		json_decref(answer);
		if (now < until)
			continue;
		fprintf(stderr, "pushrod %s: nothing came of it within %d s: the server's log says why\n", self->name, WAIT_MS / 1000);
		return EXIT_FAILED;
	}
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL;
	int as_json = 0, code;
	const struct option_spec specs[] = { { "state", 0, &folder, NULL }, { "json", 0, NULL, &as_json }, { 0 } };
	json_t *before = NULL, *asked = NULL, *after = NULL;

	if (options_parse(self, argc, argv, specs, NULL, 0, &code) < 0)
		return code;
	code = talk_json(self, folder, NULL, "/api/v1/rules", &before);
	if (!code)
		code = talk_json(self, folder, "POST", "/api/v1/reload", &asked);
	if (!code)
		code = await(self, folder, before, &after);
	if (!code) {
		if (!as_json) {
			talk_tame(before);
			json_t *error = json_deep_copy(json_object_get(after, "error"));   /* lines, which the server made harmless */
			talk_tame(after);
			json_object_set_new(after, "error", error);
		}
		code = tell(before, after, as_json);
	}
	json_decref(before);
	json_decref(asked);
	json_decref(after);
	return code;
}

const struct command cmd_reload = {
	"reload", "[--json] [--state DIR]", "have a running server read its rules anew, and say what came of it",
	"      --json       {\"in_force\":true,\"ruleset\":…,\"changed\":true,\"rules\":3,\"sources\":1,\"error\":null}\n"
	"      --state DIR  the server's state folder (found in ./state and ../state)\n"
	"\n"
	"Exit code: 0 what the files say is in force, 1 they have a mistake and the rules of before stay, 4 there is no server.\n",
	run,
};
