/* cli/simulate.c - pushrod simulate: make a delivery as the provider would, signed with the source's own secret, and send it. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "cli/options.h"
#include "cli/sample.h"
#include "cli/site.h"
#include "cli/talk.h"
#include "rules/provider.h"
#include "secret/secret.h"

#define BODY_MAX (25 << 20)

struct simulation {
	const struct command *self;
	const char *source_name, *event, *file, *site, *state, *url, *id;
	int as_json;
	const struct source *source;
};

static int no_source(const struct simulation *s, const struct ruleset *rs)
{
	CLEANUP(buf_fini) struct buf names = BUF(1024);

	for (size_t i = 0; i < ruleset_source_count(rs); i++)
		buf_addf(&names, "%s%s", i ? ", " : "", source_name(ruleset_source_at(rs, i)));
	return command_usage(s->self, "no source '%s' in %s; there %s: %s", s->source_name, s->site,
			     ruleset_source_count(rs) == 1 ? "is" : "are", names.len ? buf_cstr(&names) : "none");
}

static int read_body(const struct simulation *s, struct buf *body, struct err *e)
{
	if (!s->file)
		return sample_find(provider_name(source_provider(s->source)), s->event, body, e);
	if (!strcmp(s->file, "-"))
		return fd_read_all(0, body, e);
	CLEANUP(fd_closep) int fd = open(s->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "%s", s->file);
	return fd_read_all(fd, body, e);
}

/* GitHub's ids are UUIDs (RFC 9562, version 4). */
static void new_id(char out[40])
{
	unsigned char b[16];
	CLEANUP(buf_fini) struct buf hex = BUF(64);

	if (getrandom(b, sizeof b, 0) != sizeof b)
		abort();
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	hex_add(&hex, (struct slice){ (const char *)b, sizeof b });
	snprintf(out, 40, "%.8s-%.4s-%.4s-%.4s-%.12s", hex.ptr, hex.ptr + 8, hex.ptr + 12, hex.ptr + 16, hex.ptr + 20);
}

static int make_headers(const struct simulation *s, struct slice body, struct buf *headers, struct err *e)
{
	CLEANUP(buf_fini) struct buf secret = BUF(64 << 10);
	char id[40];
	size_t n;
	const struct source_secret *secrets = source_secrets(s->source, &n);

	if (n && secret_lookup(s->site, secrets[0].name, &secret, e) < 0)
		return -1;
	new_id(id);
	buf_adds(headers, "Content-Type: application/json\n");
	return provider_sign(source_provider(s->source), buf_slice(&secret), body, wall_ms(), s->id ? s->id : id, s->event,
			     headers, e);
}

/* The address of the hooks: --url, else what the running server wrote to STATE/listen. */
static int hooks_url(const struct simulation *s, char **out, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(16 << 10);
	struct client_target t = { 0 };
	struct slice line, rest;

	if (s->url) {
		*out = xstrdup(s->url);
		return 0;
	}
	if (client_target_state(&t, s->state, e) < 0)
		return -1;
	CLEANUP(freep) char *path = xprintf("%s/listen", t.state);
	client_target_fini(&t);
	if (file_read(AT_FDCWD, path, &text, e) < 0)
		return -1;
	for (rest = buf_slice(&text); rest.len;) {
		slice_cut(rest, '\n', &line, &rest);
		ptrdiff_t at = slice_find(line, SLICE("http://"));
		if (at < 0 || slice_find(line, SLICE("hooks")) < 0)
			continue;
		struct slice base = slice_from(line, (size_t)at);
		const char *given = source_path(s->source);
		*out = xprintf(SLICE_FMT "%s", SLICE_ARG(base), given);
		return 0;
	}
	return err_set(e, ERR_UNAVAIL, "%s names no listener that serves hooks: give --url", path);
}

static int tell(const struct simulation *s, const struct client_response *r)
{
	json_t *answer = json_loadb(r->body.ptr ? r->body.ptr : "", r->body.len, 0, NULL);
	const json_t *matched = json_object_get(answer, "matched"), *not_matched = json_object_get(answer, "not_matched"), *m;
	size_t i;
	int code = json_array_size(matched) ? EXIT_OK : EXIT_NO_MATCH;

	if (s->as_json) {
		printf(SLICE_FMT "\n", SLICE_ARG(slice_trim(buf_slice(&r->body))));
	} else {
		printf("delivery %" PRId64 "%s\n", talk_integer(answer, "delivery"),
		       json_is_true(json_object_get(answer, "duplicate")) ? " (a duplicate: these are the first one's jobs)" : "");
		json_array_foreach(matched, i, m)
			printf("  %-20s job %" PRId64 "  %s\n", talk_string(m, "rule"), talk_integer(m, "job"), talk_string(m, "url"));
		json_array_foreach(not_matched, i, m)
			printf("  %-20s no: %s\n", talk_string(m, "rule"), talk_string(m, "because"));
		const char *note = talk_string(answer, "note");
		if (*note)
			printf("  %s\n", note);
	}
	json_decref(answer);
	return code;
}

static int deliver(const struct simulation *s)
{
	CLEANUP(buf_fini) struct buf body = BUF(BODY_MAX), headers = BUF(64 << 10);
	CLEANUP(freep) char *url = NULL;
	struct client_target t = { 0 };
	struct client_response r;
	struct slice path;
	struct err e;

	if (read_body(s, &body, &e) < 0 || make_headers(s, buf_slice(&body), &headers, &e) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", s->self->name, e.msg);
		return EXIT_FAILED;
	}
	if (hooks_url(s, &url, &e) < 0 || client_target_url(&t, slice_of(url), &path, &e) < 0)
		return talk_unreachable(s->self, &e);
	struct client_request q = { .method = "POST", .path = path, .header_lines = buf_slice(&headers), .body = buf_slice(&body) };
	int result = client_do(&t, &q, &r, &e);
	client_target_fini(&t);
	if (result < 0)
		return talk_unreachable(s->self, &e);
	int code = r.status / 100 == 2 ? tell(s, &r) : talk_refused(s->self, &r);
	client_response_fini(&r);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct simulation s = { .self = self };
	const char *words[2];
	int code;
	const struct option_spec specs[] = { { "file", 'f', &s.file, NULL }, { "site", 0, &s.site, NULL },
		{ "state", 0, &s.state, NULL }, { "url", 0, &s.url, NULL }, { "id", 0, &s.id, NULL },
		{ "json", 0, NULL, &s.as_json }, { 0 } };
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	struct ruleset *rs = NULL;
	int n = options_parse(self, argc, argv, specs, words, 2, &code);

	if (n < 0)
		return code;
	if (n < 2)
		return command_usage(self, "which source and which event? For example: pushrod simulate github push");
	s.source_name = words[0];
	s.event = words[1];
	s.site = site_dir(s.site);
	code = site_load(self, s.site, &bundle, &diags, &rs);
	if (code) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		diags_print(&diags, &text, 0);
		fputs(buf_cstr(&text), stderr);
	} else if (!(s.source = ruleset_source_find(rs, slice_of(s.source_name)))) {
		code = no_source(&s, rs);
	} else if (!source_provider(s.source)) {
		code = command_usage(self, "source '%s' has no provider whose events could be made", s.source_name);
	} else {
		code = deliver(&s);
	}
	ruleset_unref(rs);
	diags_fini(&diags);
	return code;
}

const struct command cmd_simulate = {
	"simulate", "SOURCE EVENT [--file BODY] [--site DIR] [--url URL] [--json]", "make and send a signed sample event",
	"  -f, --file BODY  the payload to send (- is standard input); without it, the sample that is shipped\n"
	"      --site DIR   the folder with pushrod.lua ($PUSHROD_SITE, else the current one): its secret signs\n"
	"      --state DIR  the server's state folder: tells where its hooks are\n"
	"      --url URL    send there instead\n"
	"      --id ID      the delivery id (a new one); the same id twice is a duplicate\n"
	"      --json       the server's answer as it is\n"
	"\n"
	"exit code: 0 a rule matched, 3 none did, 1 refused, 4 unreachable\n",
	run,
};
