/* cli/simulate.c - pushrod simulate: make a delivery as the provider would, signed with the source's own secret, and send it.
 * Before it is sent it is verified as the server will, so that what is wrong can be said: the server says no more than 401. */
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
#include "rules/diag.h"
#include "rules/recording.h"
#include "secret/secret.h"

#define BODY_MAX (25 << 20)

struct simulation {
	const struct command *self;
	const char *source_name, *event, *file, *site, *state, *url, *id, *private_key;
	int as_json, is_list;
	const struct ruleset *rules;
	const struct source *source;
	const struct provider *provider;
	char new_id[40];
	char *address;                          /* where it is sent, without a query */
	struct recording recording;             /* the request, as far as it does not prove its sender */
};

static int no_source(const struct simulation *s, const struct ruleset *rs)
{
	CLEANUP(buf_fini) struct buf names = BUF(1024);

	for (size_t i = 0; i < ruleset_source_count(rs); i++)
		buf_addf(&names, "%s%s", i ? ", " : "", source_name(ruleset_source_at(rs, i)));
	return command_usage(s->self, "no source '%s' in %s; there %s: %s", s->source_name, s->site,
			     ruleset_source_count(rs) == 1 ? "is" : "are", names.len ? buf_cstr(&names) : "none");
}

static const char *id_of(const struct simulation *s)
{
	return s->id ? s->id : s->new_id;
}

/* GitHub's ids are UUIDs (RFC 9562, version 4). */
static void make_id(char out[40])
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

/* ---- samples ---- */

static int list_provider(const char *provider, const char *site, int as_json, struct buf *json, struct err *e)
{
	struct samples samples;

	if (samples_read(provider, site, &samples, e) < 0)
		return -1;
	CLEANUP(buf_fini) struct buf names = BUF(BUF_UNLIMITED);
	samples_names(&samples, &names);
	if (!as_json)
		printf("%-26s %s\n", provider, samples.n ? buf_cstr(&names) : "(none: give --file)");
	for (size_t i = 0; i < samples.n; i++) {
		buf_adds(json, json->len > 1 ? ",{\"provider\":" : "{\"provider\":");
		buf_add_json(json, slice_of(provider));
		buf_adds(json, ",\"event\":");
		buf_add_json(json, slice_of(samples.list[i].name));
		buf_addc(json, '}');
	}
	samples_fini(&samples);
	return 0;
}

/* Of PROVIDER; NULL: of all that are shipped. */
static int list(const struct simulation *s, const char *provider)
{
	CLEANUP(buf_fini) struct buf json = BUF(BUF_UNLIMITED);
	struct err e;
	int bad = 0;

	buf_addc(&json, '[');
	for (size_t i = 0; !provider && !bad && sample_provider(i); i++)
		bad = list_provider(sample_provider(i), s->site, s->as_json, &json, &e);
	if (provider)
		bad = list_provider(provider, s->site, s->as_json, &json, &e);
	if (bad) {
		fprintf(stderr, "pushrod %s: %s\n", s->self->name, e.msg);
		return EXIT_FAILED;
	}
	if (s->as_json)
		printf(SLICE_FMT "]\n", SLICE_ARG(buf_slice(&json)));
	return EXIT_OK;
}

static int parse(const struct simulation *s, struct slice text, struct recording *out, struct err *e)
{
	return recording_parse(text, id_of(s), wall_ms(), out, e);
}

/* The headers of R and those of LINES. */
static size_t all_headers(const struct recording *r, struct slice lines, struct header out[2 * RECORDING_MAX_HEADERS])
{
	size_t n = r->n_headers;
	struct slice line;

	memcpy(out, r->headers, n * sizeof *out);
	while (lines.len && n < 2 * RECORDING_MAX_HEADERS) {
		slice_cut(lines, '\n', &line, &lines);
		slice_cut(line, ':', &out[n].name, &out[n].value);
		n++;
	}
	return n;
}

/* "pull_request" and "pull_request.opened" of GitHub's, where the sample's own name is another. */
static int is_native(const struct simulation *s, const struct sample *sample)
{
	struct header headers[2 * RECORDING_MAX_HEADERS];
	CLEANUP(buf_fini) struct buf lines = BUF(1 << 10);
	struct recording r;
	struct identity id;
	struct err e;

	if (parse(s, buf_slice(&sample->text), &r, &e) < 0)
		return 0;
	int is_it = provider_label(s->provider, id_of(s), "", &lines, &e) == 0;
	const struct request_view view = { .method = SLICE("POST"), .body = r.body, .headers = headers,
		.n_headers = all_headers(&r, buf_slice(&lines), headers) };
	if (is_it && (is_it = provider_identify(s->provider, &view, &id, &e) == 0)) {
		CLEANUP(freep) char *whole = xprintf("%s.%s", id.event, id.action);
		is_it = !strcmp(id.event, s->event) || !strcmp(whole, s->event);
		identity_fini(&id);
	}
	recording_fini(&r);
	return is_it;
}

static int no_sample(const struct simulation *s, const struct samples *samples, struct err *e)
{
	const char **words = xcalloc(samples->n + 1, sizeof *words);
	CLEANUP(buf_fini) struct buf names = BUF(BUF_UNLIMITED);

	for (size_t i = 0; i < samples->n; i++)
		words[i] = samples->list[i].name;
	const char *near = did_you_mean(slice_of(s->event), words);
	free(words);
	if (!samples->n)
		return err_set(e, ERR_INPUT, "no sample of provider '%s' is shipped: give --file", provider_name(s->provider));
	samples_names(samples, &names);
	return err_set(e, ERR_INPUT, "no sample '%s'%s%s%s; of %s there are: %s (or give --file)", s->event,
		       near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "", provider_name(s->provider), buf_cstr(&names));
}

static int read_sample(const struct simulation *s, struct recording *out, struct err *e)
{
	struct samples samples;
	const char *provider = provider_name(s->provider);

	if (samples_read(provider, s->site, &samples, e) < 0)
		return -1;
	const struct sample *found = samples_find(&samples, s->event);
	for (size_t i = 0; !found && i < samples.n; i++)
		if (is_native(s, &samples.list[i]))
			found = &samples.list[i];
	int bad = !found ? no_sample(s, &samples, e) : parse(s, buf_slice(&found->text), out, e);
	if (found && bad)
		err_wrap(e, "sample '%s' of %s", found->name, provider);
	samples_fini(&samples);
	return bad;
}

/* A file is a body as it is, or, with a name in .http, a sample. */
static int read_file(const struct simulation *s, struct recording *out, struct err *e)
{
	struct buf text = BUF(BODY_MAX);
	int is_stdin = !strcmp(s->file, "-"), bad = 0;

	CLEANUP(fd_closep) int fd = is_stdin ? -1 : open(s->file, O_RDONLY | O_CLOEXEC);
	if (!is_stdin && fd < 0)
		return err_errno(e, "%s", s->file);
	if (fd_read_all(is_stdin ? 0 : fd, &text, e) < 0) {
		bad = -1;
	} else if (slice_ends(slice_of(s->file), SLICE(".http"))) {
		bad = parse(s, buf_slice(&text), out, e) < 0 ? err_wrap(e, "%s", s->file) : 0;
	} else {
		*out = (struct recording){ .headers = { { SLICE("Content-Type"), SLICE("application/json") } }, .n_headers = 1,
					   .text = text, .body = buf_slice(&text) };
		return 0;
	}
	buf_fini(&text);
	return bad;
}

/* ---- the proof ---- */

static int look_up(const struct simulation *s, struct buf *secret, struct err *e)
{
	size_t n;
	const struct source_secret *secrets = source_secrets(s->source, &n);

	for (size_t i = 0; i < n; i++)
		if (!secrets[i].not_after_ms || secrets[i].not_after_ms > wall_ms())
			return secret_lookup(s->site, secrets[i].name, secret, e);
	return n ? err_set(e, ERR_INPUT, "all secrets of source '%s' have expired", s->source_name) : 0;
}

static int read_key(const struct simulation *s, struct buf *key, struct err *e)
{
	if (!s->private_key)
		return err_set(e, ERR_INPUT, "'%s' verifies with a public key, and only its sender has the private one: to try it, make a pair "
			       "of your own, take its public half as the secret, and give the other by --private-key (see docs/providers.md)",
			       provider_name(s->provider));
	return file_read(AT_FDCWD, s->private_key, key, e);
}

/* What the server will say of it, by the same verifier. */
static int check(const struct simulation *s, struct slice secret, const struct recording *r, const struct signed_parts *parts,
		 struct slice public_url, struct err *e)
{
	CLEANUP(freep) char *url = xprintf(SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(public_url), parts->query.len ? "?" : "",
					   SLICE_ARG(buf_slice(&parts->query)));
	struct header headers[2 * RECORDING_MAX_HEADERS];
	const struct request_view view = { .method = SLICE("POST"), .query = buf_slice(&parts->query), .body = r->body, .headers = headers,
		.n_headers = all_headers(r, buf_slice(&parts->header_lines), headers), .url = slice_of(url), .now_ms = wall_ms() };
	const struct secret_view one = { secret };
	char why[160] = "";

	if (source_auth_is_none(s->source) || provider_verify(s->provider, &view, &one, 1, why) == VERIFY_OK)
		return 0;
	return err_set(e, ERR_INPUT, "made so, the delivery would be refused: %s%s", why,
		       s->private_key ? " (is the source's secret the other half of this private key?)" : "");
}

/* The public address of the source, as the server knows it. */
static char *public_url(const struct simulation *s)
{
	const char *base = ruleset_config(s->rules)->url;
	struct slice trimmed = slice_of(base ? base : s->address);

	if (!base)
		return slice_dup(trimmed);
	while (slice_ends(trimmed, SLICE("/")))
		trimmed.len--;
	return xprintf(SLICE_FMT "%s", SLICE_ARG(trimmed), source_path(s->source));
}

static int sign(const struct simulation *s, const struct recording *r, struct signed_parts *out, struct err *e)
{
	CLEANUP(secret_wipe) struct buf secret = BUF(64 << 10), key = BUF(64 << 10);
	CLEANUP(freep) char *url = public_url(s);
	int needs_key = provider_needs_private_key(s->provider);
	const struct request_view view = { .method = SLICE("POST"), .body = r->body, .headers = r->headers, .n_headers = r->n_headers,
		.url = slice_of(url), .now_ms = wall_ms() };

	if (look_up(s, &secret, e) < 0 || (needs_key && read_key(s, &key, e) < 0))
		return -1;
	const struct sender by = { buf_slice(needs_key ? &key : &secret), id_of(s), s->file ? s->event : NULL };
	if (source_auth_is_none(s->source)) {
		*out = (struct signed_parts){ BUF(0), BUF(0) };
		return 0;
	}
	if (provider_sign(s->provider, &view, &by, out, e) < 0)
		return -1;
	if (check(s, buf_slice(&secret), r, out, slice_of(url), e) == 0)
		return 0;
	signed_parts_fini(out);
	return -1;
}

/* The address of the hooks: --url, else what the running server wrote to STATE/listen. */
static int hooks_url(const struct simulation *s, char **out, struct err *e)
{
	CLEANUP(buf_fini) struct buf text = BUF(16 << 10);
	struct client_target t = { 0 };
	struct slice line, rest;

	if (s->url) {
		slice_cut(slice_of(s->url), '?', &line, &rest);
		*out = slice_dup(line);
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
	int code = json_array_size(json_object_get(answer, "matched")) ? EXIT_OK : EXIT_NO_MATCH;

	if (s->as_json) {
		printf(SLICE_FMT "\n", SLICE_ARG(slice_trim(buf_slice(&r->body))));
	} else {
		talk_tame(answer);
		printf("delivery %" PRId64 "%s\n", talk_integer(answer, "delivery"),
		       json_is_true(json_object_get(answer, "duplicate")) ? " (a duplicate: these are the first one's jobs)" : "");
		talk_verdict(answer);
	}
	json_decref(answer);
	return code;
}

/* A handshake, or a sender that has no ear for rules. */
static int tell_other(const struct client_response *r)
{
	printf("answered with %d%s" SLICE_FMT "\n", r->status, r->body.len ? ": " : "", SLICE_ARG(buf_slice(&r->body)));
	return EXIT_OK;
}

static int answered(const struct simulation *s, const struct client_response *r)
{
	if (r->status / 100 != 2)
		return talk_refused(s->self, r);
	return slice_starts(slice_trim(buf_slice(&r->body)), SLICE("{")) ? tell(s, r) : tell_other(r);
}

static int send_it(const struct simulation *s, const struct recording *r, const struct signed_parts *parts)
{
	CLEANUP(buf_fini) struct buf lines = BUF(128 << 10), path = BUF(64 << 10);
	struct client_target t = { 0 };
	struct client_response response;
	struct slice given;
	struct err e;

	if (client_target_url(&t, slice_of(s->address), &given, &e) < 0)
		return talk_unreachable(s->self, &e);
	for (size_t i = 0; i < r->n_headers; i++)
		buf_addf(&lines, SLICE_FMT ": " SLICE_FMT "\n", SLICE_ARG(r->headers[i].name), SLICE_ARG(r->headers[i].value));
	buf_add(&lines, buf_slice(&parts->header_lines));
	buf_add(&path, given);
	buf_adds(&path, parts->query.len ? "?" : "");
	buf_add(&path, buf_slice(&parts->query));
	struct client_request q = { .method = "POST", .path = buf_slice(&path), .header_lines = buf_slice(&lines), .body = r->body };
	int result = client_do(&t, &q, &response, &e);
	client_target_fini(&t);
	if (result < 0)
		return talk_unreachable(s->self, &e);
	int code = answered(s, &response);
	client_response_fini(&response);
	return code;
}

static int deliver(struct simulation *s)
{
	struct signed_parts parts;
	struct err e;

	if ((s->file ? read_file(s, &s->recording, &e) : read_sample(s, &s->recording, &e)) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", s->self->name, e.msg);
		return EXIT_FAILED;
	}
	if (hooks_url(s, &s->address, &e) < 0)
		return talk_unreachable(s->self, &e);
	if (sign(s, &s->recording, &parts, &e) < 0) {
		fprintf(stderr, "pushrod %s: %s\n", s->self->name, e.msg);
		return EXIT_FAILED;
	}
	int code = send_it(s, &s->recording, &parts);
	signed_parts_fini(&parts);
	return code;
}

/* RS is the site's. */
static int simulate(struct simulation *s, struct ruleset *rs)
{
	s->rules = rs;
	s->source = ruleset_source_find(rs, slice_of(s->source_name));
	if (!s->source)
		return no_source(s, rs);
	s->provider = source_provider(s->source);
	if (!s->provider)
		return command_usage(s->self, "source '%s' has no provider whose events could be made", s->source_name);
	if (s->is_list)
		return list(s, provider_name(s->provider));
	make_id(s->new_id);
	int code = deliver(s);
	recording_fini(&s->recording);
	free(s->address);
	return code;
}

static int with_site(struct simulation *s)
{
	CLEANUP(buf_fini) struct buf bundle = BUF(BUF_UNLIMITED);
	struct diags diags = { 0 };
	struct ruleset *rs = NULL;
	int code = site_load(s->self, s->site, &bundle, &diags, &rs);

	if (code) {
		CLEANUP(buf_fini) struct buf text = BUF(BUF_UNLIMITED);
		diags_print(&diags, &text, 0);
		fputs(buf_cstr(&text), stderr);
	} else {
		code = simulate(s, rs);
	}
	ruleset_unref(rs);
	diags_fini(&diags);
	return code;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct simulation s = { .self = self };
	const char *words[2] = { 0 };
	int code;
	const struct option_spec specs[] = { { "file", 'f', &s.file, NULL }, { "site", 0, &s.site, NULL },
		{ "state", 0, &s.state, NULL }, { "url", 0, &s.url, NULL }, { "id", 0, &s.id, NULL },
		{ "private-key", 0, &s.private_key, NULL }, { "list", 'l', NULL, &s.is_list }, { "json", 0, NULL, &s.as_json }, { 0 } };
	int n = options_parse(self, argc, argv, specs, words, 2, &code);

	if (n < 0)
		return code;
	s.site = site_dir(s.site);
	if (s.is_list && n == 0)
		return list(&s, NULL);
	if (n < 2 && !s.is_list)
		return command_usage(self, "which source and which event? For example: pushrod simulate github push; --list tells the samples");
	s.source_name = words[0];
	s.event = words[1];
	return with_site(&s);
}

const struct command cmd_simulate = {
	"simulate", "SOURCE EVENT [--file BODY] [--list] [--site DIR] [--url URL] [--json]", "make and send a signed sample event",
	"  EVENT is the name of a sample, or of the native event that one is: push, pull_request.opened, payment.succeeded, …\n"
	"\n"
	"  -l, --list       the samples that there are: of SOURCE, or without it of all providers\n"
	"  -f, --file BODY  the payload to send (- is standard input); named *.http: header lines, an empty line, the payload\n"
	"      --site DIR   the folder with pushrod.lua ($PUSHROD_SITE, else the current one): its secret signs\n"
	"      --state DIR  the server's state folder: tells where its hooks are\n"
	"      --url URL    send there instead\n"
	"      --id ID      the delivery id (a new one); the same id twice is a duplicate\n"
	"      --private-key FILE  signs where the source's secret is a public key (discord, sourcehut, …): PEM, hex or base64\n"
	"      --json       the server's answer as it is; with --list, the samples as a list\n"
	"\n"
	"A site's own samples are plugins/providers/samples/PROVIDER/NAME.http.\n"
	"exit code: 0 a rule matched, 3 none did, 1 refused, 4 unreachable\n",
	run,
};
