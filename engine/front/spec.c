/* front/spec.c - the payload and one JSON object in a sealed memfd (runner/spec.h). The memory it was written in is wiped: it held secrets. */
#include "front/spec.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/utf8.h"
#include "front/batch.h"
#include "front/recall.h"
#include "rules/provider.h"
#include "rules/ruleset.h"
#include "runner/spec.h"
#include "secret/secret.h"
#include "store/store.h"

/* Of one process of a step: a file's size, and more processor time than its job's time-out could use up. */
#define STEP_FILE_BYTES (64ll << 30)
#define STEP_CPUS 8

static void add_text(struct buf *out, const char *key, const char *value)
{
	buf_addf(out, ",\"%s\":", key);
	buf_add_json(out, slice_of(value ? value : ""));
}

static void add_raw(struct buf *out, const char *key, const char *json)
{
	buf_addf(out, ",\"%s\":%s", key, json && *json ? json : "{}");
}

/* None for a job whose event is a stranger's. */
static int add_secrets(struct buf *out, const struct rule *rule, enum job_trust trust, const char *site_dir, struct err *e)
{
	size_t n;
	const char *const *names = rule_secrets(rule, &n);

	if (trust == TRUST_LIMITED || trust == TRUST_ASKED)
		n = 0;

	/* Secrets come last, with room made before: memory that grew by copying would leave them behind, unwiped. */
	buf_room(out, (n + 1) * SECRET_MAX_BYTES);
	buf_adds(out, ",\"secrets\":{");
	for (size_t i = 0; i < n; i++) {
		CLEANUP(secret_wipe) struct buf value = BUF(SECRET_MAX_BYTES);
		if (secret_lookup(site_dir, names[i], &value, e) < 0)
			return -1;
		if (!utf8_is_valid(buf_slice(&value)) || memchr(value.ptr, '\0', value.len))
			return err_set(e, ERR_INPUT, "secret '%s' is not text: keep it in base64", names[i]);
		if (i)
			buf_addc(out, ',');
		buf_add_json(out, slice_of(names[i]));
		buf_addc(out, ':');
		buf_add_json(out, buf_slice(&value));
	}
	buf_addc(out, '}');
	return 0;
}

/* A root that is not absolute lies in the site's directory. */
static void add_limits(struct buf *out, const struct config *limits, const char *site_dir)
{
	buf_addf(out, ",\"memory_bytes\":%" PRId64 ",\"processes\":%d,\"log_bytes\":%" PRId64 ",\"workspace_kept_ms\":%" PRId64
		 ",\"file_urls\":%s,\"roots\":[", limits->job_memory_bytes, limits->job_processes, limits->job_log_bytes,
		 limits->keep_failed_workspaces_ms, limits->allow_file_urls ? "true" : "false");
	for (size_t i = 0; i < limits->n_roots; i++) {
		if (i)
			buf_addc(out, ',');
		CLEANUP(freep) char *below = limits->roots[i][0] == '/' ? NULL : xprintf("%s/%s", site_dir, limits->roots[i]);
		buf_add_json(out, slice_of(below ? below : limits->roots[i]));
	}
	buf_addc(out, ']');
}

/* The document as it came: where that was a form, its provider knows the field. */
static void add_payload(struct buf *out, const struct claim *c, const struct ruleset *rs)
{
	const struct source *source = ruleset_source_find(rs, slice_of(c->source));
	const struct provider *p = source ? source_provider(source) : NULL;
	const struct request_view r = { .body = buf_slice(&c->body), .now_ms = c->received_ms };
	struct identity identity = { 0 };

	int is_form = p && recall_identity(p, r, c->headers_json ? c->headers_json : "{}", &identity, NULL) == 0 && identity.json.len;
	struct slice document = is_form ? buf_slice(&identity.json) : r.body;
	buf_addf(out, "%zu\n", document.len);
	buf_add(out, document);
	identity_fini(&identity);
}

struct said { const char *event_json; struct slice batch; };    /* of C's own delivery alone, or of all that it took in */

static int write_spec(struct buf *out, const struct claim *c, const struct said *said, const struct ruleset *rs,
		      const struct spec_place *at, struct err *e)
{
	const struct rule *rule = ruleset_rule_find(rs, slice_of(c->file), slice_of(c->rule));

	if (!rule)
		return err_set(e, ERR_BUG, "rule '%s' of %s is not in rule set %.12s", c->rule, c->file, c->ruleset);
	add_payload(out, c, rs);
	buf_addf(out, "{\"job\":%" PRId64 ",\"attempt\":%d,\"delivery\":%" PRId64 ",\"timeout_ms\":%" PRId64, c->job,
		 c->attempt, c->delivery, c->timeout_ms);
	add_text(out, "reason", c->reason);
	add_text(out, "rule", c->rule);
	add_text(out, "file", c->file);
	add_text(out, "cell", c->cell);
	CLEANUP(freep) char *url = xprintf("%s/jobs/%" PRId64, at->url, c->job);
	add_text(out, "url", url);
	add_text(out, "state", at->state_dir);
	add_text(out, "site", at->site_dir);
	buf_adds(out, ",\"source_text\":");
	buf_add_json(out, ruleset_file_source(rs, c->file));
	buf_adds(out, ",\"modules\":");
	ruleset_modules_json(rs, out);
	buf_adds(out, ",\"plan\":");
	if (rule_plan_json(rule, slice_of(c->cell), slice_of(said->event_json), out, e) < 0)
		return -1;
	buf_addf(out, ",\"limited\":%s", c->trust == TRUST_LIMITED ? "true" : "false");
	if (c->residue_json && *c->residue_json)
		add_raw(out, "residue", c->residue_json);
	add_raw(out, "event", said->event_json);
	add_raw(out, "headers", c->headers_json);
	if (c->cause_json)
		add_raw(out, "cause", c->cause_json);
	if (said->batch.len)
		buf_addf(out, ",\"batch\":" SLICE_FMT, SLICE_ARG(said->batch));
	if (c->original)
		buf_addf(out, ",\"replay\":{\"delivery\":%" PRId64 "}", c->original);
	add_limits(out, at->limits, at->site_dir);
	buf_addf(out, ",\"file_bytes\":%lld,\"cpu_seconds\":%" PRId64, STEP_FILE_BYTES, c->timeout_ms / 1000 * STEP_CPUS + STEP_CPUS);
	if (add_secrets(out, rule, c->trust, at->site_dir, e) < 0)
		return -1;
	buf_addc(out, '}');
	return buf_is_over(out) ? err_set(e, ERR_LIMIT, "the job's specification is over %d bytes", SPEC_MAX_BYTES) : 0;
}

int spec_make(const struct claim *c, const struct ruleset *rs, const struct spec_place *at, struct err *e)
{
	CLEANUP(secret_wipe) struct buf text = BUF(SPEC_MAX_BYTES);

	CLEANUP(buf_fini) struct buf batch = BUF(SPEC_MAX_BYTES);
	CLEANUP(freep) char *merged = c->n_merged ? batch_event(c, &batch) : NULL;

	const struct said said = { merged ? merged : c->event_json, buf_slice(&batch) };

	if (write_spec(&text, c, &said, rs, at, e) < 0)
		return -1;
	return memfd_sealed("spec", buf_slice(&text), e);
}
