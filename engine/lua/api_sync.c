/* lua/api_sync.c - job:checkout and job:publish. */
#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plural.h"
#include "lua/api.h"
#include "lua/effect.h"
#include "lua/git.h"
#include "lua/options.h"
#include "lua/publish.h"
#include "lua/state.h"

#define FETCH_MS 600000
#define KEEP_RELEASES 5
#define RELEASE "pushrod.release"

/* ---- checkout ---- */

/* Where the event's repository can be cloned from, by what hosts call it. */
const char *api_clone_url(struct attempt *a)
{
	static const char *const names[] = { "clone_url", "git_http_url", "http_url", "git_url" };
	const char *normalised = json_string_value(json_object_get(json_object_get(a->spec, "event"), "clone_url"));

	if (normalised)
		return normalised;
	const json_t *payload = attempt_payload(a);
	const json_t *repo = json_object_get(payload, "repository"), *project = json_object_get(payload, "project");
	for (size_t i = 0; i < COUNT(names); i++) {
		const char *url = json_string_value(json_object_get(repo, names[i]));
		if (!url)
			url = json_string_value(json_object_get(project, names[i]));
		if (url)
			return url;
	}
	return NULL;
}

static const char *event_text(const struct attempt *a, const char *key)
{
	return json_string_value(json_object_get(json_object_get(a->spec, "event"), key));
}

/* Plain C: in a step of its own unless one is open. */
static int checkout(struct attempt *a, struct git_options *o, char sha[65], struct err *e)
{
	struct outer_step outer;
	int own = a->step == 0;
	struct err other;

	if (effect_is_on(a)) {
		CLEANUP(freep) char *shown = git_public_url(o->url);
		effect_add(a, json_pack("{s:s,s:s,s:s}", "checkout", shown, "ref", o->ref, "into", o->into));
		return 0;
	}
	if (own && attempt_step_begin(a, "checkout", &outer, e) < 0)
		return -1;
	int r = git_checkout_commit(a, o, sha, e);
	if (r < 0 && journal_note(a->w, a->step, "error", slice_of(e->msg), &other) < 0)
		return -1;
	if (r == 0) {
		CLEANUP(freep) char *shown = git_public_url(o->url), *text = xprintf("%s at %s", shown, sha);
		r = journal_log(a->w, a->step, slice_of(text), e);
	}
	const char *state = r == 0 ? "succeeded" : a->ending == ENDING_CANCEL ? "cancelled" : "failed";
	if (own && attempt_step_end(a, state, r < 0, &outer, r < 0 ? &other : e) < 0)
		return -1;
	return r;
}

int api_checkout(struct attempt *a, const char *url, const char *ref, const char *into, int64_t timeout_ms, struct err *e)
{
	char sha[65];
	const char *sha_of_event = event_text(a, "sha"), *ref_of_event = event_text(a, "ref");
	CLEANUP(freep) char *folder = xprintf("%s/%s", a->workspace, into ? into : "tree");
	struct git_options o = { .url = url ? url : api_clone_url(a), .ref = ref ? ref : sha_of_event ? sha_of_event : ref_of_event,
				 .also = url || ref ? NULL : ref_of_event, .into = folder,
				 .timeout_ms = timeout_ms ? timeout_ms : FETCH_MS };

	if (!o.url)
		return err_set(e, ERR_INPUT, "checkout: the event names no repository to clone: give url");
	if (!o.ref)
		return err_set(e, ERR_INPUT, "checkout: the event has no commit: give ref");
	if (checkout(a, &o, sha, e) < 0)
		return -1;
	if (!into) {
		free(a->tree);
		a->tree = TAKE(&folder);
	}
	return 0;
}

static int on_checkout(lua_State *lua)
{
	static const char *const names[] = { "url", "ref", "into", "timeout", NULL };
	struct attempt *a = attempt_of(lua);
	struct err e;

	api_enter(lua);
	lua_settop(lua, 2);
	options_known(lua, 2, "job:checkout", names, OPTIONS_NO_ITEMS);
	const char *into = options_text(lua, 2, "into");
	if (into && (strchr(into, '/') || into[0] == '.' || !*into || !strcmp(into, "home") || !strcmp(into, "tmp")))
		return luaL_error(lua, "job:checkout: into is the name of a folder of its own in the workspace, not '%s'", into);
	if (api_checkout(a, options_text(lua, 2, "url"), options_text(lua, 2, "ref"), into, options_duration_ms(lua, 2, "timeout"), &e) < 0) {
		state_check(lua);
		return api_fail(lua, &(struct failure){ .e = e, .exit_code = 1 });
	}
	if (into)
		lua_pushfstring(lua, "%s/%s", a->workspace, into);
	else
		lua_pushstring(lua, a->tree);
	if (!into) {
		lua_pushvalue(lua, -1);
		lua_setfield(lua, 1, "tree");
	}
	return 1;
}

/* ---- publish ---- */

struct handle { char dest[1024], release[RELEASE_BYTES], previous[RELEASE_BYTES]; };

static int publish(struct attempt *a, const struct publish_options *o, struct published *p, struct err *e)
{
	struct outer_step outer;
	struct err other;
	int own = a->step == 0;

	if (effect_is_on(a)) {
		effect_add(a, json_pack("{s:s,s:s}", "publish", o->from, "to", o->dest));
		*p = (struct published){ .release = "new", .previous = "old" };
		return 0;
	}
	if (own && attempt_step_begin(a, "publish", &outer, e) < 0)
		return -1;
	int r = publish_folder(a, o, p, e);
	CLEANUP(freep) char *text = r < 0 ? xstrdup(e->msg) :
		xprintf("published %lld %s, %lld %s, to %s (release %s)", (long long)p->files, plural(p->files, "file", "files"), (long long)p->bytes,
			plural(p->bytes, "byte", "bytes"), o->dest, p->release);
	if (journal_note(a->w, a->step, r < 0 ? "error" : "notice", slice_of(text), &other) < 0)
		return -1;
	if (own && attempt_step_end(a, r < 0 ? "failed" : "succeeded", r < 0, &outer, &other) < 0)
		return -1;
	return r;
}

/* A path that is not absolute lies in the site's directory. */
static const char *absolute(lua_State *lua, const char *path)
{
	const char *site = attempt_text(attempt_of(lua), "site");
	return path[0] == '/' || !*site ? path : lua_pushfstring(lua, "%s/%s", site, path);
}

static int on_publish(lua_State *lua)
{
	static const char *const names[] = { "keep", NULL };
	struct attempt *a = attempt_of(lua);
	struct published p;
	struct err e;

	api_enter(lua);
	lua_settop(lua, 4);
	options_known(lua, 4, "job:publish", names, OPTIONS_NO_ITEMS);
	const char *from = luaL_checkstring(lua, 2), *dest = absolute(lua, luaL_checkstring(lua, 3));
	struct publish_options o = { .from = from, .dest = dest, .keep = (int)options_integer(lua, 4, "keep", 1, 100, KEEP_RELEASES) };
	struct handle *h = lua_newuserdatauv(lua, sizeof *h, 0);
	if (strlen(dest) >= sizeof h->dest)
		return luaL_error(lua, "job:publish: a path of over %d bytes", (int)sizeof h->dest - 1);
	if (publish(a, &o, &p, &e) < 0) {
		state_check(lua);
		return api_fail(lua, &(struct failure){ .e = e, .exit_code = 1 });
	}
	snprintf(h->dest, sizeof h->dest, "%s", dest);
	snprintf(h->release, sizeof h->release, "%s", p.release);
	snprintf(h->previous, sizeof h->previous, "%s", p.previous);
	luaL_setmetatable(lua, RELEASE);
	return 1;
}

static int on_rollback(lua_State *lua)
{
	struct attempt *a = attempt_of(lua);
	const struct handle *h = luaL_checkudata(lua, 1, RELEASE);
	struct err e;

	state_check(lua);
	if (!h->previous[0])
		return luaL_error(lua, "rollback: there was no release before this one");
	if (effect_is_on(a)) {
		effect_note(a, "rollback", slice_of(h->dest));
		return 0;
	}
	if (publish_rollback(a, h->dest, h->release, h->previous, &e) < 0)
		return api_fault(lua, &e);
	lua_pushfstring(lua, "%s is back at release %s", h->dest, h->previous);
	return journal_note(a->w, a->step, "warn", slice_of(lua_tostring(lua, -1)), &e) < 0 ? api_fault(lua, &e) : 0;
}

void api_add_sync(lua_State *lua)
{
	static const luaL_Reg methods[] = { { "checkout", on_checkout }, { "publish", on_publish }, { NULL, NULL } };
	static const luaL_Reg release[] = { { "rollback", on_rollback }, { NULL, NULL } };

	luaL_setfuncs(lua, methods, 0);
	luaL_newmetatable(lua, RELEASE);
	luaL_newlib(lua, release);
	lua_setfield(lua, -2, "__index");
	lua_pushliteral(lua, "locked");
	lua_setfield(lua, -2, "__metatable");
	lua_pop(lua, 1);
}
