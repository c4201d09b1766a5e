/* cli/watch.c - pushrod watch: a job's steps and lines as they happen, until it ends; exits with its result. A connection
 * that breaks is made again at the position where it broke, so no line is missed or shown twice. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "cli/sse_client.h"
#include "cli/talk.h"

#define TRIES_MAX 60            /* connections in a row that brought nothing */

struct watch {
	struct sse_client sse;
	int as_json, has_ended, got_something, step;
	char result[32];
	char reason[512];
	char names[64][96];             /* of steps, by number modulo: a heading needs it again at the step's end */
};

static void print_step(struct watch *w, const json_t *data)
{
	int number = (int)talk_integer(data, "s");
	char *name = w->names[(unsigned)number % COUNT(w->names)], took[16];
	const char *state = talk_string(data, "state");

	if (json_object_get(data, "name"))
		snprintf(name, sizeof w->names[0], "%s", talk_string(data, "name"));
	if (!strcmp(state, "running")) {
		printf("%s== %s%s\n", talk_has_colour() ? "\033[1m" : "", name, talk_plain());
		return;
	}
	talk_age(talk_integer(data, "ms"), took);
	int64_t exit_code = talk_integer(data, "exit");
	if (exit_code)
		printf("%s-- %s: %s, exit %d, %s%s\n", talk_state_colour(state), name, state, (int)exit_code, took, talk_plain());
	else
		printf("%s-- %s: %s, %s%s\n", talk_state_colour(state), name, state, took, talk_plain());
}

static void print_lines(const json_t *data)
{
	size_t i;
	const json_t *line;

	json_array_foreach(json_object_get(data, "l"), i, line) {
		const char *s = json_string_value(line);
		if (talk_has_colour()) {
			printf("%s\n", s);
			continue;
		}
		for (; *s; s++) {                       /* without colours: drop ESC [ … m */
			if (s[0] == '\033' && s[1] == '[' && s[strcspn(s, "m")])
				s += strcspn(s, "m");
			else
				putchar(*s);
		}
		putchar('\n');
	}
}

static void print_event(struct watch *w, struct slice type, const json_t *data)
{
	if (slice_eq(type, SLICE("log")))
		print_lines(data);
	else if (slice_eq(type, SLICE("step")))
		print_step(w, data);
	else if (slice_eq(type, SLICE("note")))
		printf("%s** %s%s\n", talk_state_colour(!strcmp(talk_string(data, "level"), "error") ? "failed" : "queued"),
		       talk_string(data, "text"), talk_plain());
	else if (slice_eq(type, SLICE("attempt")) && talk_integer(data, "attempt") > 1)
		printf("** attempt %d\n", (int)talk_integer(data, "attempt"));
	else if (slice_eq(type, SLICE("reset")))
		fprintf(stderr, "** the log is shorter than what was shown: a power loss or a restore\n");
	fflush(stdout);
}

static int on_event(const struct sse_event *ev, void *arg)
{
	struct watch *w = arg;

	w->got_something = 1;
	if (w->as_json) {
		CLEANUP(buf_fini) struct buf line = BUF(BUF_UNLIMITED);
		buf_adds(&line, "{\"id\":");
		buf_add_json(&line, ev->id);
		buf_adds(&line, ",\"event\":");
		buf_add_json(&line, ev->type);
		buf_addf(&line, ",\"data\":" SLICE_FMT "}", SLICE_ARG(ev->data));
		puts(buf_cstr(&line));
		fflush(stdout);
	}
	json_t *data = json_loadb(ev->data.ptr, ev->data.len, JSON_DECODE_ANY, NULL);
	if (!w->as_json)
		print_event(w, ev->type, data);
	if (slice_eq(ev->type, SLICE("end"))) {
		w->has_ended = 1;
		snprintf(w->result, sizeof w->result, "%s", talk_string(data, "state"));
		snprintf(w->reason, sizeof w->reason, "%s", talk_string(data, "reason"));
	}
	json_decref(data);
	return w->has_ended;
}

static int on_bytes(struct slice bytes, void *arg)
{
	struct watch *w = arg;
	return sse_client_feed(&w->sse, bytes, on_event, w);
}

/* One connection. -1 where it is no use to try again; *code is then what to exit with. */
static int connect_once(const struct command *self, struct watch *w, const char *folder, int64_t id, int *code)
{
	CLEANUP(buf_fini) struct buf path = BUF(128), headers = BUF(1024);
	struct client_target t = { 0 };
	struct client_response r;
	struct err e;

	buf_addf(&path, "/api/v1/jobs/%lld/events", (long long)id);
	buf_adds(&headers, "Accept: text/event-stream\n");
	if (sse_client_position(&w->sse).len)
		buf_addf(&headers, "Last-Event-ID: " SLICE_FMT "\n", SLICE_ARG(sse_client_position(&w->sse)));
	if (client_target_state(&t, folder, &e) < 0) {
		*code = talk_unreachable(self, &e);
		return w->got_something ? 0 : -1;       /* it was there before: it may come back */
	}
	t.timeout_ms = 40000;                           /* two beats and a half: the path is dead */
	struct client_request q = { .path = buf_slice(&path), .header_lines = buf_slice(&headers),
				    .on_bytes = on_bytes, .arg = w };
	int result = client_do(&t, &q, &r, &e);
	client_target_fini(&t);
	sse_client_cut(&w->sse);
	if (result < 0) {
		*code = !strcmp(e.msg, "interrupted") ? EXIT_INTERRUPTED : EXIT_UNREACHABLE;
		return *code == EXIT_INTERRUPTED || !w->got_something ? (talk_unreachable(self, &e), -1) : 0;
	}
	*code = r.status == 200 || r.status == 204 ? EXIT_UNREACHABLE : talk_refused(self, &r);
	int is_final = r.status != 200;
	client_response_fini(&r);
	return is_final ? -1 : 0;
}

/* The newest job's number; an exit code where there is none. */
static int newest(const struct command *self, const char *folder, int64_t *id)
{
	json_t *answer = NULL;
	int code = talk_json(self, folder, NULL, "/api/v1/jobs?limit=1", &answer);

	if (code)
		return code;
	*id = talk_integer(json_array_get(json_object_get(answer, "jobs"), 0), "id");
	json_decref(answer);
	if (!*id) {
		fprintf(stderr, "pushrod %s: there is no job yet\n", self->name);
		return EXIT_NOT_FOUND;
	}
	return EXIT_OK;
}

static int watch_to_end(const struct command *self, struct watch *w, const char *folder, int64_t id)
{
	int code = EXIT_UNREACHABLE;

	for (int tries = 0; !w->has_ended && tries < TRIES_MAX; tries++) {
		struct slice before = sse_client_position(&w->sse);
		size_t had = before.len;
		if (connect_once(self, w, folder, id, &code) < 0)
			return code;
		if (sse_client_position(&w->sse).len != had)
			tries = 0;
		if (!w->has_ended)
			usleep(w->sse.retry_ms > 0 && tries == 0 ? 200000 : 1000000);
	}
	if (!w->has_ended)
		return code;
	if (!w->as_json)
		printf("%sjob %lld %s%s%s%s\n", talk_state_colour(w->result), (long long)id, w->result, *w->reason ? ": " : "",
		       w->reason, talk_plain());
	return talk_exit_of_state(w->result);
}

static int run(const struct command *self, int argc, char **argv)
{
	const char *folder = NULL, *word;
	int code;
	int64_t id = 0;
	static struct watch w;
	const struct option_spec specs[] = { { "state", 0, &folder, NULL }, { "json", 0, NULL, &w.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, &word, 1, &code);

	if (n < 0)
		return code;
	code = n ? talk_job_id(self, word, &id) : newest(self, folder, &id);
	if (code)
		return code;
	sse_client_init(&w.sse);
	code = watch_to_end(self, &w, folder, id);
	sse_client_fini(&w.sse);
	return code;
}

const struct command cmd_watch = {
	"watch", "[JOB] [--json] [--state DIR]", "follow a job (the newest) and exit with its result",
	"      --json       every event as one line of JSON: {\"id\":…,\"event\":…,\"data\":…}\n"
	"      --state DIR  the server's state folder\n"
	"\n"
	"exit code: 0 succeeded or skipped, 124 timed out, 1 any other end, 4 no server, 5 no such job, 130 interrupted\n",
	run,
};
