/* lua/changed.c - from an event to the two commits to compare (git_changes.h), and from the answer to a decision. */
#include "lua/changed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plural.h"
#include "lua/api.h"
#include "lua/effect.h"
#include "lua/git_changes.h"
#include "rules/residue.h"

#define ASK_MS 600000
#define VARIABLE_MAX 131072           /* MAX_ARG_STRLEN of Linux: NAME=value and its end */

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

/* What the event says of them from here on; NULL: that they are not known, whatever its payload said. */
static void set_paths(struct attempt *a, json_t *paths)
{
	json_t *event = json_object_get(a->spec, "event"), *unknown = json_object_get(event, "unknown"), *name;
	json_t *others = json_array();
	size_t i;

	json_array_foreach(unknown, i, name)
		if (strcmp(json_string_value(name), "paths") != 0)
			json_array_append(others, name);
	if (paths) {
		json_object_set(event, "paths", paths);
	} else {
		json_object_del(event, "paths");
		json_array_append_new(others, json_string("paths"));
	}
	if (json_array_size(others))
		json_object_set(event, "unknown", others);
	else
		json_object_del(event, "unknown");
	json_decref(others);
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
	size_t n = json_array_size(c->paths);
	CLEANUP(freep) char *line = xprintf("%zu %s changed %s", n, plural((int64_t)n, "file", "files"), c->how);
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
	if (r == 0)
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

/* ---- {paths} in env ---- */

struct filling {
	size_t n;                       /* files */
	struct slice files;             /* one to a line */
};

static int fill_value(const char *name, const json_t *around, const struct filling *with, struct buf *value, struct err *e)
{
	const json_t *text;
	size_t i;

	json_array_foreach(around, i, text) {
		if (i)
			buf_add(value, with->files);
		buf_add(value, (struct slice){ json_string_value(text), json_string_length(text) });
	}
	if (!buf_is_over(value))
		return 0;
	return err_set(e, ERR_LIMIT, "env %s: the names of %zu changed files, %zu bytes, are more than a program can be given in a variable (%d bytes): "
		       "use job.event.paths in a function", name, with->n, with->files.len, VARIABLE_MAX);
}

static int fill_env(json_t *env, const struct filling *with, struct err *e)
{
	for (void *i = json_object_iter(env); i; i = json_object_iter_next(env, i)) {
		const char *name = json_object_iter_key(i);
		CLEANUP(buf_fini) struct buf value = BUF(VARIABLE_MAX - strlen(name) - 2);
		if (!json_is_array(json_object_iter_value(i)))
			continue;
		if (fill_value(name, json_object_iter_value(i), with, &value, e) < 0)
			return -1;
		json_object_iter_set_new(env, i, json_string(buf_cstr(&value)));
	}
	return 0;
}

int changed_fill_env(struct attempt *a, struct err *e)
{
	const json_t *event = json_object_get(a->spec, "event"), *paths = json_object_get(event, "paths"), *path, *step;
	json_t *plan = json_object_get(a->spec, "plan");
	CLEANUP(buf_fini) struct buf files = BUF(BUF_UNLIMITED);
	size_t i;

	json_array_foreach(paths, i, path) {
		buf_adds(&files, i ? "\n" : "");
		buf_add(&files, (struct slice){ json_string_value(path), json_string_length(path) });
	}
	const struct filling with = { json_array_size(paths), buf_slice(&files) };
	if (fill_env(json_object_get(plan, "env"), &with, e) < 0)
		return -1;
	json_array_foreach(json_object_get(plan, "steps"), i, step)
		if (fill_env(json_object_get(step, "env"), &with, e) < 0)
			return -1;
	return 0;
}
