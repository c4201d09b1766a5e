/* lua/changed.c - from an event to the two commits to compare (git_changes.h), and from the answer to a decision. */
#include "lua/changed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lua/api.h"
#include "lua/effect.h"
#include "lua/git_changes.h"
#include "rules/residue.h"

#define ASK_MS 600000

static const char *text_at(const json_t *object, const char *a, const char *b, const char *c)
{
	const json_t *at = json_object_get(object, a);

	at = b ? json_object_get(at, b) : at;
	return json_string_value(c ? json_object_get(at, c) : at);
}

static const char *default_branch(const json_t *payload)
{
	const char *name = text_at(payload, "repository", "default_branch", NULL);

	name = name ? name : text_at(payload, "project", "default_branch", NULL);
	return name ? name : text_at(payload, "repository", "mainbranch", "name");
}

static int options_of(struct attempt *a, struct changes_options *out, struct err *e)
{
	const json_t *event = json_object_get(a->spec, "event"), *payload = attempt_payload(a);

	*out = (struct changes_options){
		.at = { .url = api_clone_url(a), .ref = text_at(event, "sha", NULL, NULL), .also = text_at(event, "ref", NULL, NULL),
			.timeout_ms = ASK_MS },
		.ref = text_at(event, "ref", NULL, NULL), .before = text_at(event, "before", NULL, NULL),
		.base = text_at(event, "base", NULL, NULL), .base_sha = text_at(payload, "pull_request", "base", "sha"),
		.default_branch = default_branch(payload),
	};
	out->of = out->base ? CHANGES_OF_PULL : text_at(event, "tag", NULL, NULL) ? CHANGES_OF_TAG : CHANGES_OF_PUSH;
	if (!out->at.url)
		return err_set(e, ERR_INPUT, "changed files: the event names no repository to clone");
	return out->at.ref ? 0 : err_set(e, ERR_INPUT, "changed files: the event has no commit");
}

/* The event knows them from here on. */
static void set_paths(struct attempt *a, json_t *paths)
{
	json_t *event = json_object_get(a->spec, "event"), *unknown = json_object_get(event, "unknown"), *name;
	size_t i;

	json_object_set(event, "paths", paths);
	json_array_foreach(unknown, i, name)
		if (json_is_string(name) && strcmp(json_string_value(name), "paths") == 0) {
			json_array_remove(unknown, i);
			break;
		}
	if (json_array_size(unknown) == 0)
		json_object_del(event, "unknown");
}

static int decide(struct attempt *a, const json_t *paths, enum residue *out, struct buf *because, struct err *e)
{
	CLEANUP(freep) char *residue = json_dumps(json_object_get(a->spec, "residue"), JSON_COMPACT);
	size_t n = json_array_size(paths);
	CLEANUP(freep) struct value *values = paths ? xcalloc(n + 1, sizeof *values) : NULL;

	for (size_t i = 0; i < n; i++) {
		const json_t *path = json_array_get(paths, i);
		values[i] = (struct value){ .kind = VALUE_STRING, .text = { json_string_value(path), json_string_length(path) } };
	}
	return residue_decide(slice_of(residue), values, n, out, because, e);
}

static int log_changes(struct attempt *a, const struct changes *c, struct err *e)
{
	if (!c->paths) {
		CLEANUP(freep) char *warning = xprintf("which files changed is not known: %s", c->how);
		return journal_note(a->w, a->step, "warn", slice_of(warning), e);
	}
	CLEANUP(freep) char *line = xprintf("%zu files changed %s", json_array_size(c->paths), c->how);
	return journal_log(a->w, a->step, slice_of(line), e);
}

static int ask(struct attempt *a, enum residue *out, struct buf *because, struct err *e)
{
	struct changes_options o;
	struct changes c = { 0 };

	if (options_of(a, &o, e) < 0 || git_changes(a, &o, &c, e) < 0)
		return -1;
	int r = log_changes(a, &c, e);
	if (r == 0)
		r = decide(a, c.paths, out, because, e);
	if (r == 0 && c.paths)
		set_paths(a, c.paths);
	json_decref(c.paths);
	return r;
}

int changed_decide(struct attempt *a, struct err *e)
{
	CLEANUP(buf_fini) struct buf because = BUF(sizeof a->reason);
	enum residue decision = RESIDUE_YES;
	struct outer_step outer;
	struct err other;

	if (!json_object_get(a->spec, "residue") || effect_is_on(a))
		return 0;
	if (attempt_step_begin(a, "changed files", &outer, e) < 0)
		return -1;
	int r = ask(a, &decision, &because, e);
	if (r < 0 && journal_note(a->w, a->step, "error", slice_of(e->msg), &other) < 0)
		return -1;
	const char *state = r == 0 ? "succeeded" : a->ending == ENDING_CANCEL ? "cancelled" : "failed";
	if (attempt_step_end(a, state, r < 0, &outer, r < 0 ? &other : e) < 0)
		return -1;
	if (r < 0)
		a->failure = (struct failure){ .e = *e, .exit_code = 1 };
	if (r < 0 || decision == RESIDUE_YES)
		return r;
	attempt_end(a, ENDING_SKIP, buf_cstr(&because));
	return err_set(e, ERR_INPUT, "%s", a->reason);
}
