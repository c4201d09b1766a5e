/* rules/inner.c - the words of an event of cron, job, rule or local, put back where ruleset_match wants them. */
#include "rules/inner.h"

#include <jansson.h>

static int is_of(const struct ruleset *rs, const struct delivery_view *d, enum inner which)
{
	return d->source == ruleset_inner_source(rs, which);
}

/* "succeeded", as people write it after `rule:`, is a part of finished.succeeded. */
static void split_end_of_rule(struct delivery_view *d)
{
	struct slice event, action;

	if (slice_cut(d->event, '.', &event, &action)) {
		d->event = event;
		d->action = action;
	} else if (!slice_eq(d->event, SLICE("finished"))) {
		d->action = d->event;
		d->event = SLICE("finished");
	}
}

/* A schedule writes it into the body; a fixture by hand may leave it out. */
static int64_t planned_of(struct slice body)
{
	json_t *doc = json_loadb(body.ptr ? body.ptr : "", body.len, 0, NULL);
	int64_t planned_ms = json_integer_value(json_object_get(doc, "planned_ms"));

	json_decref(doc);
	return planned_ms;
}

int inner_recall(const struct ruleset *rs, const struct inner_said *said, struct delivery_view *d, struct err *e)
{
	const struct rule *only = said->only_rule.len ? ruleset_rule_find(rs, said->only_file, said->only_rule) : NULL;
	int is_cron = is_of(rs, d, INNER_CRON);

	if (said->only_rule.len && !only)
		return err_set(e, ERR_INPUT, "this was meant for rule '" SLICE_FMT "' of " SLICE_FMT ", which is not there",
			       SLICE_ARG(slice_upto(said->only_rule, 64)), SLICE_ARG(slice_upto(said->only_file, 100)));
	if (is_cron && !only)
		return err_set(e, ERR_INPUT, "an event of source 'cron' must say the rule that it is for (\"only\")");
	if (!said->event.len)
		return err_set(e, ERR_INPUT, "an event of source '%s' must say its \"event\"", source_name(d->source));
	d->event = said->event;
	d->action = said->action;
	if (is_of(rs, d, INNER_RULE) && !d->action.len)
		split_end_of_rule(d);
	d->json = said->body;
	d->headers_json = SLICE("{}");
	d->cause_json = said->cause_json;
	d->only = only;
	d->planned_ms = is_cron ? planned_of(said->body) : 0;
	return 0;
}
