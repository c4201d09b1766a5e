/* cli/talk.c - what the commands that ask a running server share. */
#include "cli/talk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model/job.h"

int talk_has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("FORCE_COLOR"), *cli = getenv("CLICOLOR_FORCE");

	if (no && *no)
		return 0;
	if ((force && *force && strcmp(force, "0")) || (cli && *cli && strcmp(cli, "0")))
		return 1;
	return isatty(STDOUT_FILENO);
}

int talk_unreachable(const struct command *c, const struct err *e)
{
	if (!strcmp(e->msg, "interrupted"))
		return EXIT_INTERRUPTED;
	fprintf(stderr, "pushrod %s: %s\n", c->name, e->msg);
	return EXIT_UNREACHABLE;
}

int talk_refused(const struct command *c, const struct client_response *r)
{
	return talk_refused_about(c, NULL, r);
}

int talk_refused_about(const struct command *c, const char *what, const struct client_response *r)
{
	json_t *problem = json_loadb(r->body.ptr ? r->body.ptr : "", r->body.len, 0, NULL);
	const char *detail = talk_string(problem, "detail");

	fprintf(stderr, "pushrod %s: %s%s%s (HTTP %d)\n", c->name, what ? what : "", what ? ": " : "", *detail ? detail : "the server refused",
		r->status);
	json_decref(problem);
	return r->status == 404 || r->status == 410 ? EXIT_NOT_FOUND : r->status == 401 || r->status == 403 ? EXIT_UNREACHABLE : EXIT_FAILED;
}

int talk_json(const struct command *c, const char *named, const char *method, const char *path, json_t **out)
{
	return talk_json_body(c, named, method, path, SLICE_NULL, out);
}

int talk_json_body(const struct command *c, const char *named, const char *method, const char *path, struct slice body, json_t **out)
{
	struct client_target t = { 0 };
	struct client_response r;
	struct err e;
	json_error_t bad;
	int code = EXIT_OK;

	if (client_target_state(&t, named, &e) < 0)
		return talk_unreachable(c, &e);
	if (client_do(&t, &(struct client_request){ .method = method, .path = slice_of(path), .body = body }, &r, &e) < 0) {
		client_target_fini(&t);
		return talk_unreachable(c, &e);
	}
	client_target_fini(&t);
	if (r.status / 100 != 2) {
		code = talk_refused(c, &r);
	} else {
		*out = json_loadb(r.body.ptr ? r.body.ptr : "", r.body.len, 0, &bad);
		if (!*out) {
			fprintf(stderr, "pushrod %s: the server's answer is not JSON: %s\n", c->name, bad.text);
			code = EXIT_FAILED;
		}
	}
	client_response_fini(&r);
	return code;
}

void talk_verdict(const json_t *answer)
{
	const char *note = talk_string(answer, "note");
	const json_t *m;
	size_t i;

	json_array_foreach(json_object_get(answer, "matched"), i, m) {
		const char *cell = talk_string(m, "cell"), *state = talk_string(m, "state"), *reason = talk_string(m, "reason");
		printf("  %-20s ", talk_string(m, "rule"));
		if (talk_integer(m, "job"))
			printf("job %" PRId64 "  ", talk_integer(m, "job"));
		printf("%s%s%s\n", cell, *cell && *talk_string(m, "url") ? "  " : "", talk_string(m, "url"));
		if (*state)
			printf("  %-20s   %s%s%s\n", "", state, *reason ? ": " : "", reason);
	}
	json_array_foreach(json_object_get(answer, "not_matched"), i, m)
		printf("  %-20s no: %s%s%s\n", talk_string(m, "rule"), talk_string(m, "cell"), *talk_string(m, "cell") ? ": " : "",
		       talk_string(m, "because"));
	json_array_foreach(json_object_get(answer, "notes"), i, m)
		printf("  %-20s note: %s\n", talk_string(m, "rule"), talk_string(m, "note"));
	if (*note)
		printf("  %s\n", note);
}

int talk_exit_of_state(const char *state)
{
	enum job_state s;

	if (job_state_parse(slice_of(state), &s) < 0)
		return EXIT_FAILED;
	return job_state_is_ok(s) ? EXIT_OK : s == JOB_TIMED_OUT ? EXIT_TIMEOUT : EXIT_FAILED;
}

const char *talk_string(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));
	return s ? s : "";
}

/* C0, DEL and, as UTF-8 writes them, C1. */
static size_t control_at(const char *s)
{
	unsigned char c = (unsigned char)s[0], next = c ? (unsigned char)s[1] : 0;

	return c < 0x20 || c == 0x7f ? 1 : c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

static void tame_string(json_t *v)
{
	CLEANUP(buf_fini) struct buf out = BUF(BUF_UNLIMITED);
	size_t n;

	for (const char *s = json_string_value(v); *s; s += n ? n : 1) {
		n = control_at(s);
		buf_addc(&out, n ? '?' : *s);
	}
	json_string_set(v, buf_cstr(&out));
}

void talk_tame(json_t *v)
{
	const char *key;
	json_t *kid;
	size_t i;

	if (json_is_string(v))
		tame_string(v);
	json_array_foreach(v, i, kid)
		talk_tame(kid);
	json_object_foreach(v, key, kid)
		talk_tame(kid);
}

int64_t talk_integer(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

char *talk_event(const json_t *object)
{
	const char *source = talk_string(object, "source"), *event = talk_string(object, "event"), *action = talk_string(object, "action");

	if (!strcmp(source, "rule"))
		return xprintf("rule:%s", *action ? action : event);
	if (!strcmp(source, "job") || !strcmp(source, "local"))
		return xprintf("%s:%s", source, event);
	return xprintf("%s%s%s", event, *action ? "." : "", action);
}

char *talk_cause(const json_t *object)
{
	const json_t *by = json_object_get(object, "caused_by");
	struct tm planned = { 0 };
	char clock[16];

	if (by)
		return xprintf("  by %s, job %" PRId64, talk_string(by, "rule"), talk_integer(by, "job"));
	if (!strptime(talk_string(object, "planned"), "%Y-%m-%dT%H:%M:%SZ", &planned))
		return xstrdup("");
	time_t at = timegm(&planned);
	strftime(clock, sizeof clock, "%H:%M", localtime_r(&at, &planned));
	return xprintf("  cron %s", clock);
}

void talk_age(int64_t ms, char out[16])
{
	int64_t s = ms / 1000;

	if (ms < 1000)
		snprintf(out, 16, "%" PRId64 "ms", ms < 0 ? 0 : ms);
	else if (s < 60)
		snprintf(out, 16, "%d.%ds", (int)s, (int)(ms % 1000 / 100));
	else if (s < 3600)
		snprintf(out, 16, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(out, 16, "%dh%02dm", (int)(s / 3600), (int)(s % 3600 / 60));
	else
		snprintf(out, 16, "%dd", (int)(s / 86400 % 100000));
}

const char *talk_state_colour(const char *state)
{
	enum job_state s;

	if (!talk_has_colour() || job_state_parse(slice_of(state), &s) < 0)
		return "";
	return s == JOB_SUCCEEDED ? "\033[32m" : s == JOB_RUNNING ? "\033[36m" : !job_state_is_final(s) ? "\033[33m" :
	       s == JOB_SKIPPED || s == JOB_SUPERSEDED || s == JOB_CANCELLED ? "\033[2m" : "\033[31m";
}

const char *talk_plain(void)
{
	return talk_has_colour() ? "\033[0m" : "";
}

int talk_job_id(const struct command *c, const char *word, int64_t *id)
{
	if (slice_to_i64(slice_of(word), 1, INT64_MAX, id) < 0)
		return command_usage(c, "'%s' is not a job's number", word);
	return 0;
}
