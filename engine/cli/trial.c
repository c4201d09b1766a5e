/* cli/trial.c - a delivery judged offline: ingest's way (front/ingest.c) without the signature, which a file has not. */
#include "cli/trial.h"

#include <stdlib.h>
#include <string.h>

#include "rules/diag.h"
#include "rules/headers.h"
#include "rules/inner.h"
#include "rules/match.h"

#define HEADERS_MAX 256
#define NAMES_MAX 64

void trial_fini(struct trial *t)
{
	match_free(t->match);
	identity_fini(&t->identity);
	buf_fini(&t->headers_json);
	buf_fini(&t->body);
	free(t->key);
	free(t->query);
	free(t->cause);
	*t = TRIAL_NONE;
}

static int no_source(const struct ruleset *rs, const char *name, struct err *e)
{
	CLEANUP(buf_fini) struct buf names = BUF(300);
	const char *words[NAMES_MAX + 1];
	size_t n = ruleset_source_count(rs), told = n < NAMES_MAX ? n : NAMES_MAX;

	for (size_t i = 0; i < told; i++) {
		words[i] = source_name(ruleset_source_at(rs, i));
		buf_addf(&names, "%s%s", i ? ", " : "", words[i]);
	}
	words[told] = NULL;
	const char *near = name ? did_you_mean(slice_of(name), words) : NULL;
	if (n == 0)
		return err_set(e, ERR_INPUT, "pushrod.lua declares no source");
	if (!name)
		return err_set(e, ERR_INPUT, "which source sent it? There are %s: give --source", buf_cstr(&names));
	if (near)
		return err_set(e, ERR_INPUT, "no source '%s', did you mean '%s'?", name, near);
	return err_set(e, ERR_INPUT, "no source '%s'; there %s %s", name, n == 1 ? "is" : "are", buf_cstr(&names));
}

static const struct source *find_source(const struct ruleset *rs, const struct fixture *f, struct err *e)
{
	const struct source *inner = f->source ? ruleset_inner_find(rs, slice_of(f->source)) : NULL;
	const struct source *s = inner ? inner : f->source ? ruleset_source_find(rs, slice_of(f->source)) :
				 ruleset_source_count(rs) == 1 ? ruleset_source_at(rs, 0) : NULL;
	if (!s)
		no_source(rs, f->source, e);
	return s;
}

static size_t split_headers(struct slice lines, struct header *out, size_t max)
{
	struct slice line, name, value;
	size_t n = 0;

	while (lines.len && n < max) {
		slice_cut(lines, '\n', &line, &lines);
		if (slice_cut(line, ':', &name, &value))
			out[n++] = (struct header){ name, slice_trim(value) };
	}
	return n;
}

static int is_said(const struct identity *i, const char *event)
{
	CLEANUP(freep) char *both = xprintf("%s.%s", i->event, i->action);
	return !strcmp(event, i->event) || !strcmp(event, both);
}

static int identify(struct trial *t, const struct fixture *f, const struct request_view *view, struct err *e)
{
	const struct provider *p = source_provider(t->source);

	if (!p) {
		t->identity = (struct identity){ .event = xstrdup(""), .action = xstrdup(""), .delivery_key = xstrdup(t->key) };
		return 0;
	}
	if (provider_identify(p, view, &t->identity, e) < 0)
		return -1;
	if (t->identity.answer_status)
		return err_set(e, ERR_INPUT, "this is a handshake of %s: it is answered, and no rule hears of it", provider_name(p));
	if (f->event && !is_said(&t->identity, f->event))
		return err_set(e, ERR_INPUT, "the delivery itself says that its event is '%s', not '%s'", t->identity.event, f->event);
	return 0;
}

static int match(struct trial *t, const struct ruleset *rs, const struct fixture *f, struct err *e)
{
	struct delivery_view d = { .source = t->source, .event = slice_of(t->identity.event), .action = slice_of(t->identity.action),
		.json = t->identity.json.len ? buf_slice(&t->identity.json) : buf_slice(&t->body),
		.headers_json = slice_of(buf_cstr(&t->headers_json)), .query = slice_of(t->query),
		.delivery_key = t->identity.delivery_key, .received_ms = f->received_ms };

	return ruleset_match(rs, &d, &t->match, e);
}

/* What no sender brings has no request: the event is what the fixture says. */
static int reach_inner(const struct ruleset *rs, const struct fixture *f, struct trial *t, struct err *e)
{
	struct inner_said said = { .event = slice_of(f->event), .only_file = slice_of(f->only_file), .only_rule = slice_of(f->only_rule),
				   .body = buf_slice(&t->body) };
	struct delivery_view d = { .source = t->source, .delivery_key = t->key, .received_ms = f->received_ms };

	t->cause = f->cause ? xstrdup(f->cause) : NULL;
	said.cause_json = slice_of(t->cause);
	if (inner_recall(rs, &said, &d, e) < 0)
		return -1;
	t->identity = (struct identity){ .event = slice_dup(d.event), .action = slice_dup(d.action), .delivery_key = xstrdup(t->key) };
	d.event = slice_of(t->identity.event);
	d.action = slice_of(t->identity.action);
	buf_adds(&t->headers_json, "{}");
	return ruleset_match(rs, &d, &t->match, e);
}

static int reach(const struct ruleset *rs, const struct fixture *f, struct trial *t, struct buf *lines, struct err *e)
{
	struct header headers[HEADERS_MAX];
	const struct provider *p = source_provider(t->source);

	if (f->cause || f->only_rule)
		return err_set(e, ERR_INPUT, "\"%s\" is of events that no sender brings; source '%s' has senders", f->cause ? "cause" : "only",
			       source_name(t->source));
	buf_add(lines, buf_slice(&f->headers));
	if (p && provider_label(p, t->key, f->event ? f->event : "", lines, e) < 0)
		return -1;
	struct request_view view = { .method = SLICE("POST"), .path = slice_of(source_path(t->source)), .query = slice_of(t->query),
		.body = buf_slice(&t->body), .headers = headers, .now_ms = f->received_ms };
	view.n_headers = split_headers(buf_slice(lines), headers, HEADERS_MAX);
	if (request_body_kind(&view) == BODY_OTHER)
		return err_set(e, ERR_INPUT, "the server takes JSON and forms; of this content-type it takes none (415)");
	if (identify(t, f, &view, e) < 0)
		return -1;
	headers_json(p, headers, view.n_headers, HEADERS_KEPT_MAX, &t->headers_json);
	struct buf query = BUF(view.query.len + 1);
	query_kept(p, view.query, &query);
	free(t->query);
	t->query = buf_take(&query);
	return match(t, rs, f, e);
}

int trial_hold(const struct ruleset *rs, const struct fixture *f, struct trial *out, struct err *e)
{
	CLEANUP(buf_fini) struct buf lines = BUF(2 * FIXTURE_HEADERS_MAX);
	struct trial t = TRIAL_NONE;

	t.source = find_source(rs, f, e);
	if (!t.source)
		return -1;
	t.key = xstrdup(f->delivery ? f->delivery : "offline");
	t.query = f->query ? xstrdup(f->query) : NULL;
	buf_add(&t.body, buf_slice(&f->body));
	if ((source_is_inner(t.source) ? reach_inner(rs, f, &t, e) : reach(rs, f, &t, &lines, e)) < 0) {
		trial_fini(&t);
		return -1;
	}
	*out = t;
	return 0;
}
