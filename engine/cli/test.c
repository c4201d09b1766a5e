/* cli/test.c - pushrod test: the fixtures beside the rules, and what must come of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/options.h"
#include "cli/rule_test.h"
#include "cli/site.h"
#include "cli/stored.h"
#include "cli/talk.h"

#define TESTS_MAX 10000
#define DEPTH_MAX 8

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_TAP, FORMAT_JUNIT, FORMAT_GITHUB };
static const char *const formats[] = { "text", "json", "tap", "junit", "github" };

struct suite {
	const struct command *self;
	const char *dir, *only, *exactly;       /* exactly: this test alone */
	enum format format;
	char **names;                   /* owned, sorted */
	size_t n, failed, written;
};

/* ---- which tests there are ---- */

static int take_name(struct suite *s, const char *name)
{
	size_t len = strlen(name);

	if (len < 6 || strcmp(name + len - 5, ".json") != 0 || (len > 12 && !strcmp(name + len - 12, ".expect.json")))
		return 0;
	if (s->n == TESTS_MAX)
		return -1;
	if ((s->n & (s->n - 1)) == 0)
		s->names = xrealloc(s->names, (s->n ? 2 * s->n : 1) * sizeof *s->names);
	char *bare = slice_dup((struct slice){ name, len - 5 });
	if ((s->only && !strstr(bare, s->only)) || (s->exactly && strcmp(bare, s->exactly) != 0))
		free(bare);
	else
		s->names[s->n++] = bare;
	return 0;
}

/* BELOW: the path under tests/, "" or "gitlab/". */
static int find_tests(struct suite *s, const char *below, int depth)
{
	CLEANUP(freep) char *path = xprintf("%s/tests/%s", s->dir, below);
	DIR *dir = depth < DEPTH_MAX ? opendir(path) : NULL;
	struct dirent *entry;
	struct stat st;
	int bad = 0;

	while (dir && !bad && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		CLEANUP(freep) char *name = xprintf("%s%s", below, entry->d_name), *full = xprintf("%s/tests/%s", s->dir, name);
		CLEANUP(freep) char *folder = xprintf("%s/", name);
		if (stat(full, &st) < 0)
			continue;
		bad = S_ISDIR(st.st_mode) ? find_tests(s, folder, depth + 1) : take_name(s, name);
	}
	if (dir)
		closedir(dir);
	return bad;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- one result in each format ---- */

static void put_xml(const char *text)
{
	for (; *text; text++) {
		const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : NULL;
		if (entity)
			fputs(entity, stdout);
		else if ((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t')
			putchar(*text);
	}
}

static void put_text(const struct suite *s, const struct rule_test *t, const char *what)
{
	const char *colour = talk_has_colour() ? (t->is_ok ? "\033[32m" : "\033[31m") : "";

	printf("%s%s%s %s%s\n", colour, t->is_ok ? "ok  " : "FAIL", talk_plain(), t->name, t->is_written ? " (expectation written)" : "");
	fputs(what, stdout);
}

static void put_tap(size_t number, const struct rule_test *t, const char *what)
{
	printf("%s %zu - %s\n", t->is_ok ? "ok" : "not ok", number + 1, t->name);
	for (struct slice rest = slice_of(what), line; rest.len;) {
		slice_cut(rest, '\n', &line, &rest);
		printf("# " SLICE_FMT "\n", SLICE_ARG(line));
	}
}

static void put_junit(const struct rule_test *t, const char *what, int64_t ms)
{
	fputs("  <testcase classname=\"pushrod\" name=\"", stdout);
	put_xml(t->name);
	printf("\" time=\"%d.%03d\"", (int)(ms / 1000), (int)(ms % 1000));
	if (t->is_ok) {
		fputs("/>\n", stdout);
		return;
	}
	fputs("><failure message=\"what came of the delivery differs\">", stdout);
	put_xml(what);
	fputs("</failure></testcase>\n", stdout);
}

static void put_github(const struct rule_test *t, const char *what)
{
	if (t->is_ok) {
		printf("ok   %s\n", t->name);
		return;
	}
	printf("::error file=%s,title=pushrod test %s::", t->path, t->name);
	for (; *what; what++)
		if (strchr("%\r\n", *what))
			printf("%%%02X", (unsigned char)*what);
		else
			putchar(*what);
	putchar('\n');
}

static void put_json(const struct suite *s, size_t number, const struct rule_test *t, const char *what)
{
	CLEANUP(buf_fini) struct buf line = BUF(BUF_UNLIMITED);

	buf_adds(&line, number ? ",{\"test\":" : "{\"test\":");
	buf_add_json(&line, slice_of(t->name));
	buf_addf(&line, ",\"ok\":%s,\"written\":%s,\"what\":", t->is_ok ? "true" : "false", t->is_written ? "true" : "false");
	buf_add_json(&line, slice_of(what));
	buf_addc(&line, '}');
	fputs(buf_cstr(&line), stdout);
}

static void put(const struct suite *s, size_t number, struct rule_test *t, int64_t ms)
{
	const char *what = buf_cstr(&t->what);

	switch (s->format) {
	case FORMAT_TEXT: put_text(s, t, what); break;
	case FORMAT_JSON: put_json(s, number, t, what); break;
	case FORMAT_TAP: put_tap(number, t, what); break;
	case FORMAT_JUNIT: put_junit(t, what, ms); break;
	case FORMAT_GITHUB: put_github(t, what); break;
	}
	fflush(stdout);
}

static void put_begin(const struct suite *s)
{
	if (s->format == FORMAT_TAP)
		printf("TAP version 13\n1..%zu\n", s->n);
	else if (s->format == FORMAT_JUNIT)
		printf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"pushrod\" tests=\"%zu\">\n", s->n);
	else if (s->format == FORMAT_JSON)
		fputs("{\"tests\":[", stdout);
}

static void put_end(const struct suite *s)
{
	size_t passed = s->n - s->failed;

	if (s->format == FORMAT_JSON)
		printf("],\"passed\":%zu,\"failed\":%zu,\"written\":%zu}\n", passed, s->failed, s->written);
	else if (s->format == FORMAT_JUNIT)
		fputs("</testsuite>\n", stdout);
	else if (s->format != FORMAT_TAP && s->written)
		printf("%zu passed, %zu failed, %zu written\n", passed, s->failed, s->written);
	else if (s->format != FORMAT_TAP)
		printf("%zu passed, %zu failed\n", passed, s->failed);
}

/* ---- a stored delivery becomes a test ---- */

static int is_test_name(const char *name)
{
	return *name && *name != '/' && *name != '.' && !strstr(name, "/.") && name[strlen(name) - 1] != '/' && !strstr(name, "//");
}

static int save(const struct suite *s, const char *delivery, const char *state, enum stored_over over)
{
	CLEANUP(freep) char *path = xprintf("%s/tests/%s.json", s->dir, s->exactly);
	int64_t id;

	if (slice_to_i64(slice_of(delivery), 1, INT64_MAX, &id) < 0)
		return command_usage(s->self, "--save takes the number of a delivery, not '%s'", delivery);
	if (!is_test_name(s->exactly))
		return command_usage(s->self, "'%s' is no name of a test", s->exactly);
	return stored_save(s->self, state, id, path, over);
}

/* ---- the whole ---- */

static int run_all(struct suite *s, const struct ruleset *rs, enum rule_test_mode mode)
{
	put_begin(s);
	for (size_t i = 0; i < s->n; i++) {
		struct rule_test t;
		int64_t began = mono_ms();
		rule_test_init(&t, s->dir, s->names[i]);
		rule_test_run(&t, rs, mode);
		s->failed += !t.is_ok;
		s->written += t.is_written;
		put(s, i, &t, mono_ms() - began);
		rule_test_fini(&t);
	}
	put_end(s);
	return s->failed ? EXIT_FAILED : EXIT_OK;
}

static int find_all(struct suite *s)
{
	if (find_tests(s, "", 0) < 0) {
		fprintf(stderr, "pushrod %s: %s/tests has more than %d tests\n", s->self->name, s->dir, TESTS_MAX);
		return EXIT_FAILED;
	}
	if (s->n == 0) {
		fprintf(stderr, "pushrod %s: no test%s%s in %s/tests: save a delivery there as NAME.json (docs/offline.md)\n", s->self->name,
			s->only ? " whose name holds " : "", s->only ? s->only : "", s->dir);
		return EXIT_FAILED;
	}
	qsort(s->names, s->n, sizeof *s->names, by_name);
	return EXIT_OK;
}

static int take_format(const struct command *self, const char *name, enum format *out)
{
	for (size_t i = 0; i < COUNT(formats); i++)
		if (!strcmp(name, formats[i])) {
			*out = (enum format)i;
			return 0;
		}
	return command_usage(self, "--format is text, json, tap, junit or github, not '%s'", name);
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *word = NULL, *format = "text", *delivery = NULL, *name = NULL, *state = NULL;
	struct suite s = { .self = self };
	struct ruleset *rs = NULL;
	int as_json = 0, is_update = 0, is_forced = 0, code;
	const struct option_spec specs[] = { { "update", 'u', NULL, &is_update }, { "only", 'o', &s.only, NULL },
		{ "save", 0, &delivery, NULL }, { "name", 0, &name, NULL }, { "force", 'f', NULL, &is_forced }, { "state", 0, &state, NULL },
		{ "json", 0, NULL, &as_json }, { "format", 0, &format, NULL }, { 0 } };

	if (options_parse(self, argc, argv, specs, &word, 1, &code) < 0)
		return code;
	if (take_format(self, as_json ? "json" : format, &s.format))
		return EXIT_USAGE;
	s.dir = site_dir(word);
	CLEANUP(freep) char *usual = delivery ? xprintf("delivery-%s", delivery) : NULL;
	s.exactly = name ? name : usual;
	code = site_load_or_say(self, s.dir, &rs);
	if (code == EXIT_OK && delivery)
		code = save(&s, delivery, state, is_forced ? STORED_WRITE_OVER : STORED_KEEP_OLD);
	if (code == EXIT_OK)
		code = find_all(&s);
	if (code == EXIT_OK)
		code = run_all(&s, rs, is_update || delivery ? RULE_TEST_UPDATE : RULE_TEST_COMPARE);
	for (size_t i = 0; i < s.n; i++)
		free(s.names[i]);
	free(s.names);
	ruleset_unref(rs);
	return code;
}

const struct command cmd_test = {
	"test", "[DIR] [--update] [--only TEXT] [--save DELIVERY [--force]] [--name NAME] [--format text|json|tap|junit|github]",
	"run the tests beside the rules",
	"DIR/tests/NAME.json is a delivery, DIR/tests/NAME.expect.json what must come of it: which rules fire, and what their\n"
	"actions would do (docs/offline.md). Nothing is run, sent or published.\n"
	"\n"
	"  -u, --update         write the expectations from what comes of the deliveries now\n"
	"  -o, --only TEXT      only tests with TEXT in their name\n"
	"      --save DELIVERY  make a test of a delivery that the running server keeps, and its expectation\n"
	"      --name NAME      that one's name (delivery-7), or the only test to run\n"
	"  -f, --force          save it over one of that name\n"
	"      --state DIR      the server's state folder\n"
	"      --format FORMAT  text, json, tap, junit (XML) or github (annotations of a workflow run)\n"
	"      --json           the same as --format json\n"
	"\n"
	"exit code: 0 all pass, 1 some fail, there are none, or the rules have errors\n",
	run,
};
