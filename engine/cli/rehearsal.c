/* cli/rehearsal.c - the specification of a job that is only rehearsed: as front/spec.c writes it, with nothing of a real state
 * folder, and names in the place of secrets. */
#include "cli/rehearsal.h"

#include <string.h>

#include "rules/match.h"
#include "wire/evaluate.h"

#define SPEC_MAX (64 << 20)

static void add_text(struct buf *out, const char *key, struct slice text)
{
	buf_addf(out, ",\"%s\":", key);
	buf_add_json(out, text);
}

static void add_secrets(struct buf *out, const struct rule *rule)
{
	size_t n;
	const char *const *names = rule_secrets(rule, &n);

	buf_adds(out, ",\"secrets\":{");
	for (size_t i = 0; i < n; i++) {
		CLEANUP(freep) char *value = xprintf("(secret %s)", names[i]);
		buf_adds(out, i ? "," : "");
		buf_add_json(out, slice_of(names[i]));
		buf_addc(out, ':');
		buf_add_json(out, slice_of(value));
	}
	buf_addc(out, '}');
}

static void add_answers(struct buf *out, json_t *answers)
{
	char *text = answers ? json_dumps(answers, JSON_COMPACT) : NULL;

	buf_addf(out, ",\"answers\":%s", text ? text : "{}");
	freep(&text);
}

struct action { const struct rule *rule; const char *cell; json_t *answers; };

static int write_spec(struct buf *out, const struct ruleset *rs, const struct action *x, const struct trial *t, struct err *e)
{
	CLEANUP(buf_fini) struct buf event = BUF(SPEC_MAX);
	const struct rule *rule = x->rule;

	match_event_json(t->match, &event);
	const struct buf *payload = t->identity.json.len ? &t->identity.json : &t->body;
	buf_addf(out, "%zu\n", payload->len);
	buf_add(out, buf_slice(payload));
	buf_adds(out, "{\"job\":1,\"attempt\":1,\"delivery\":1");
	add_text(out, "rule", slice_of(rule_name(rule)));
	add_text(out, "file", slice_of(rule_file(rule)));
	add_text(out, "cell", slice_of(x->cell));
	add_text(out, "url", SLICE("http://127.0.0.1:8787/jobs/1"));
	add_text(out, "state", SLICE("/state"));
	add_text(out, "source_text", ruleset_file_source(rs, rule_file(rule)));
	buf_adds(out, ",\"modules\":");
	ruleset_modules_json(rs, out);
	buf_adds(out, ",\"plan\":");
	if (rule_plan_json(rule, slice_of(x->cell), buf_slice(&event), out, e) < 0)
		return -1;
	buf_adds(out, ",\"event\":");
	buf_add(out, buf_slice(&event));
	buf_adds(out, ",\"headers\":");
	buf_add(out, buf_slice(&t->headers_json));
	if (t->cause)
		buf_addf(out, ",\"cause\":%s", t->cause);
	add_secrets(out, rule);
	add_answers(out, x->answers);
	buf_addc(out, '}');
	return buf_is_over(out) ? err_set(e, ERR_LIMIT, "the rehearsal's specification is over %d bytes", SPEC_MAX) : 0;
}

int rehearse(const struct ruleset *rs, const struct rule *rule, const char *cell, const struct trial *t, json_t *answers,
	     json_t **out, struct err *e)
{
	const struct action x = { rule, cell, answers };
	CLEANUP(buf_fini) struct buf spec = BUF(SPEC_MAX), answer = BUF(EVALUATE_MAX_BYTES);
	json_error_t bad;

	if (write_spec(&spec, rs, &x, t, e) < 0 || evaluate_dry(buf_slice(&spec), &answer, e) < 0)
		return -1;
	json_t *said = json_loadb(answer.ptr ? answer.ptr : "", answer.len, 0, &bad);
	json_t *effects = json_incref(json_object_get(said, "effects"));
	const char *end = json_string_value(json_object_get(said, "end"));
	if (!said || !end || !effects) {
		json_decref(effects);
		json_decref(said);
		return err_set(e, ERR_BUG, "the rehearsal's answer is not as it should be");
	}
	if (strcmp(end, "succeeded") != 0)
		json_array_append_new(effects, json_pack("{s:s,s:O}", "end", end, "reason", json_object_get(said, "reason")));
	json_decref(said);
	*out = effects;
	return 0;
}
