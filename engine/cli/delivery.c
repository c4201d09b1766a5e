/* cli/delivery.c - pushrod deliveries show, body, curl, save. */
#include "cli/delivery.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/site.h"
#include "cli/talk.h"

#define LITERAL_MAX (64 << 10)                  /* of a body that a command line holds; a larger one comes through a pipe */

static int fetch(const struct command *c, const char *state, int64_t id, struct fixture *f, json_t **delivery)
{
	int code = stored_fetch(c, state, id, f, delivery);

	if (code == STORED_GONE)
		fprintf(stderr, "pushrod %s: the body of delivery %" PRId64 " is no longer kept\n", c->name, id);
	return code == STORED_GONE ? EXIT_NOT_FOUND : code;
}

/* ---- show ---- */

static void show_line(const char *label, const char *value)
{
	if (*value)
		printf("  %-10s %s\n", label, value);
}

static void show_delivery(const json_t *d, const char *label, int64_t n)
{
	const json_t *x;
	int is_gone = 0;
	size_t i;

	json_array_foreach(json_object_get(d, "gone"), i, x)
		is_gone |= json_integer_value(x) == n;
	if (n)
		printf("  %-10s delivery %" PRId64 "%s\n", label, n, is_gone ? ", no longer kept" : "");
}

static void show_verdict(const json_t *d)
{
	const json_t *x;
	size_t i;

	json_array_foreach(json_object_get(d, "job_list"), i, x) {
		const char *state = talk_string(x, "state");
		const char *reason = strcmp(state, "running") ? talk_string(x, "reason") : "";
		printf("  %-20s job %" PRId64 " %s%s%s%s%s%s%s\n", talk_string(x, "rule"), talk_integer(x, "id"), talk_state_colour(state), state,
		       talk_plain(), *talk_string(x, "cell") ? "  " : "", talk_string(x, "cell"), *reason ? ": " : "", reason);
		if (talk_integer(x, "deliveries") > 1)
			printf("  %-20s stands for %" PRId64 " deliveries, the newest is %" PRId64 "\n", "", talk_integer(x, "deliveries"),
			       talk_integer(x, "delivery"));
	}
	json_array_foreach(json_object_get(d, "notes"), i, x)
		printf("  %-20s note: %s\n", talk_string(x, "rule"), talk_string(x, "note"));
	json_array_foreach(json_object_get(d, "why"), i, x)
		printf("  %-20s no: %s\n", talk_string(x, "rule"), talk_string(x, "because"));
	if (!json_array_size(json_object_get(d, "job_list")) && !json_array_size(json_object_get(d, "why")))
		puts("  none of then listened to this event");
}

static void show_text(const json_t *d)
{
	CLEANUP(freep) char *event = talk_event(d);
	const char *name;
	char age[16];
	json_t *value;

	talk_age(wall_ms() - talk_integer(d, "received_ms"), age);
	printf("delivery %" PRId64 ": %s from %s, %s ago\n", talk_integer(d, "id"), event, talk_string(d, "source"), age);
	show_line("repo", talk_string(d, "repo"));
	show_line("branch", talk_string(d, "branch"));
	show_line("title", talk_string(d, "title"));
	show_line("key", talk_string(d, "key"));
	show_line("query", talk_string(d, "query"));
	show_line("secret", talk_string(d, "secret"));
	show_line("rule set", talk_string(d, "ruleset"));
	show_delivery(d, "replay of", talk_integer(d, "replay_of"));
	show_delivery(d, "same as", talk_integer(d, "same_as"));
	printf("  %-10s %" PRId64 " bytes%s\n", "body", talk_integer(d, "bytes"),
	       json_is_true(json_object_get(d, "body_kept")) ? "" : ", no longer kept");
	puts("rules");
	show_verdict(d);
	puts("headers");
	json_object_foreach(json_object_get(d, "headers"), name, value)
		printf("  %s: %s\n", name, json_string_value(value) ? json_string_value(value) : "");
}

void delivery_line(const json_t *d, FILE *to)
{
	long long replay_of = talk_integer(d, "replay_of"), same_as = talk_integer(d, "same_as"), jobs = talk_integer(d, "jobs");
	CLEANUP(freep) char *event = talk_event(d);
	CLEANUP(freep) char *cause = talk_cause(d);
	char age[16];

	talk_age(wall_ms() - talk_integer(d, "received_ms"), age);
	fprintf(to, "%6lld  %-12s %-24s %-28s %4lld %-4s  %s ago", (long long)talk_integer(d, "id"), talk_string(d, "source"), event,
		talk_string(d, "repo"), jobs, jobs == 1 ? "job" : "jobs", age);
	fputs(cause, to);
	if (replay_of)
		fprintf(to, "  replay of %lld", replay_of);
	if (same_as)
		fprintf(to, "  same as %lld", same_as);
	fputc('\n', to);
}

int delivery_show(const struct command *c, const char *state, int64_t id, enum delivery_form form)
{
	CLEANUP(freep) char *path = xprintf("/api/v1/deliveries/%" PRId64, id);
	json_t *d = NULL;
	int code = talk_json(c, state, NULL, path, &d);

	if (code)
		return code;
	if (form == DELIVERY_JSON) {
		json_dumpf(d, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		talk_tame(d);
		show_text(d);
	}
	json_decref(d);
	return EXIT_OK;
}

/* ---- body, save, curl ---- */

static int put(const struct command *c, const char *what, struct slice bytes)
{
	if (fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0)
		return EXIT_OK;
	fprintf(stderr, "pushrod %s: the %s cannot be written: %s\n", c->name, what, strerror(errno));
	return EXIT_FAILED;
}

int delivery_body(const struct command *c, const char *state, int64_t id)
{
	struct fixture f = FIXTURE_NONE;
	int code = fetch(c, state, id, &f, NULL);

	if (code)
		return code;
	code = put(c, "body", buf_slice(&f.body));
	fixture_fini(&f);
	return code;
}

static int put_fixture(const struct command *c, const char *state, int64_t id)
{
	CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
	struct fixture f = FIXTURE_NONE;
	int code = fetch(c, state, id, &f, NULL);

	if (code)
		return code;
	fixture_write(&f, &text);
	fixture_fini(&f);
	return put(c, "fixture", buf_slice(&text));
}

/* Owned. */
static char *place_of(const char *where, int64_t id, int *is_test)
{
	struct stat st;
	int is_folder = !where || slice_ends(slice_of(where), SLICE("/")) || (stat(where, &st) == 0 && S_ISDIR(st.st_mode));

	*is_test = 0;
	if (!is_folder)
		return xstrdup(where);
	struct slice dir = slice_of(site_dir(where));
	while (dir.len > 1 && slice_ends(dir, SLICE("/")))
		dir.len--;
	CLEANUP(freep) char *site = xprintf(SLICE_FMT "/pushrod.lua", SLICE_ARG(dir));
	*is_test = access(site, F_OK) == 0;
	return xprintf(SLICE_FMT "/%sdelivery-%" PRId64 ".json", SLICE_ARG(dir), *is_test ? "tests/" : "", id);
}

int delivery_save(const struct command *c, const char *state, int64_t id, const char *where, enum stored_over over)
{
	int is_test;

	if (where && !strcmp(where, "-"))
		return put_fixture(c, state, id);
	CLEANUP(freep) char *path = place_of(where, id, &is_test);
	int code = stored_save(c, state, id, path, over);
	if (code)
		return code;
	puts(path);
	if (is_test)
		fprintf(stderr, "pushrod test --update writes down what must come of it\n");
	return EXIT_OK;
}

/* One word of a POSIX shell, whatever it holds but NUL. */
static void add_quoted(struct buf *out, struct slice s)
{
	struct slice rest = s, before;

	buf_addc(out, '\'');
	while (slice_cut(rest, '\'', &before, &rest)) {
		buf_add(out, before);
		buf_adds(out, "'\\''");
	}
	buf_add(out, before);
	buf_addc(out, '\'');
}

/* Not where it begins with '@', which curl would take for a file's name. */
static int can_be_word(struct slice body)
{
	return body.len <= LITERAL_MAX && !slice_starts(body, SLICE("@")) && utf8_is_valid(body) && !memchr(body.ptr ? body.ptr : "", '\0', body.len);
}

/* What curl sets itself, or what belongs to the connection of then. */
static int is_of_the_message(struct slice name)
{
	static const char *const not[] = { "host", "content-length", "connection", "accept-encoding", "expect", "transfer-encoding" };

	for (size_t i = 0; i < COUNT(not); i++)
		if (slice_ieq(name, slice_of(not[i])))
			return 0;
	return 1;
}

static void add_headers(struct buf *out, const struct fixture *f)
{
	struct slice rest = buf_slice(&f->headers), line, name, value;

	while (rest.len) {
		slice_cut(rest, '\n', &line, &rest);
		if (!slice_cut(line, ':', &name, &value) || !is_of_the_message(name))
			continue;
		buf_adds(out, " \\\n  -H ");
		/* "Name:" would take the header out, "Name;" sends it empty. */
		CLEANUP(freep) char *empty = xprintf(SLICE_FMT ";", SLICE_ARG(name));
		add_quoted(out, slice_trim(value).len ? line : slice_of(empty));
	}
}

/* Where the source of F is posted to here. Owned; NULL: said on stderr, and *CODE is set. */
static char *address_of(const struct command *c, const char *state, const struct fixture *f, int *code)
{
	json_t *status = NULL, *rules = NULL, *source;
	char *url = NULL;
	size_t i;

	if ((*code = talk_json(c, state, NULL, "/api/v1/status", &status)) == 0)
		*code = talk_json(c, state, NULL, "/api/v1/rules", &rules);
	json_array_foreach(json_object_get(rules, "sources"), i, source)
		if (f->source && !strcmp(talk_string(source, "name"), f->source))
			url = xprintf("%s%s", talk_string(status, "url"), talk_string(source, "path"));
	json_decref(status);
	json_decref(rules);
	if (!url && !*code) {
		fprintf(stderr, "pushrod %s: source '%s' is not posted to: say where to send it by --url\n", c->name, f->source ? f->source : "");
		*code = EXIT_FAILED;
	}
	return url;
}

/* Where a shell cannot hold the body. */
static void add_pipe(struct buf *out, const char *state, int64_t id)
{
	buf_addf(out, "pushrod deliveries body %" PRId64, id);
	if (state) {
		buf_adds(out, " --state ");
		add_quoted(out, slice_of(state));
	}
	buf_adds(out, " | ");
}

int delivery_curl(const struct command *c, const char *state, int64_t id, const char *url)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	struct fixture f = FIXTURE_NONE;
	int code = fetch(c, state, id, &f, NULL);

	if (code)
		return code;
	CLEANUP(freep) char *own = url ? NULL : address_of(c, state, &f, &code), *to = NULL;
	if (!code) {
		int is_word = can_be_word(buf_slice(&f.body));
		to = f.query ? xprintf("%s?%s", url ? url : own, f.query) : xstrdup(url ? url : own);
		if (!is_word)
			add_pipe(&out, state, id);
		buf_adds(&out, "curl -gsS -X POST ");           /* -g: braces and brackets of a query are its own */
		add_quoted(&out, slice_of(to));
		add_headers(&out, &f);
		buf_adds(&out, " \\\n  --data-binary ");
		if (is_word)
			add_quoted(&out, buf_slice(&f.body));
		else
			buf_adds(&out, "@-");
		puts(buf_cstr(&out));
		fprintf(stderr, "signatures are not kept, and not in it: to send it signed, use pushrod simulate --file or pushrod replay\n");
	}
	fixture_fini(&f);
	return code;
}
