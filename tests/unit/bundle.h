/* tests/unit/bundle.h - eval's output by hand: plain JSON, written with ' for ", becomes what rules/node.h describes. In it
 * {'#':[…],'except':…} is a table with a list part, {'$secret':'x'} a secret, {'$fn':1} a function. */
#pragma once
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static inline json_t *plain_json(const char *text)
{
	json_error_t at;
	char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	json_t *v = json_loads(copy, JSON_DECODE_ANY, &at);
	if (!v) {
		fprintf(stderr, "test JSON: %s in %s\n", at.text, copy);
		abort();
	}
	free(copy);
	return v;
}

static inline json_t *as_value(json_t *v)                       /* V is taken */
{
	const char *key;
	json_t *item, *out = json_object();
	size_t i;

	if (json_is_string(v) || json_is_number(v) || json_is_boolean(v)) {
		json_decref(out);
		return v;
	}
	if (json_is_null(v)) {
		json_object_set_new(out, "null", json_integer(1));
		return out;
	}
	if (json_object_get(v, "$secret"))
		json_object_set(out, "secret", json_object_get(v, "$secret"));
	else if (json_object_get(v, "$fn"))
		json_object_set_new(out, "fn", json_integer(1));
	json_t *list = json_is_array(v) ? v : json_object_get(v, "#");
	json_t *items = json_array(), *members = json_object();
	json_array_foreach(list, i, item)
		json_array_append_new(items, as_value(json_incref(item)));
	json_object_foreach(v, key, item)
		if (key[0] != '#' && key[0] != '$')
			json_object_set_new(members, key, as_value(json_incref(item)));
	if (json_array_size(items))
		json_object_set(out, "l", items);
	if (json_object_size(members))
		json_object_set(out, "m", members);
	json_decref(items);
	json_decref(members);
	json_decref(v);
	return out;
}

/* The VALUE text of plain JSON; owned. */
static inline char *value_text(const char *plain)
{
	json_t *v = as_value(plain_json(plain));
	char *out = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(v);
	return out;
}

/* ---- a bundle, piece by piece ---- */
struct bundle_text {
	struct buf decls[2];            /* of pushrod.lua, of rules/r.lua */
	struct buf providers;
};
#define BUNDLE_TEXT ((struct bundle_text){ { BUF(BUF_UNLIMITED), BUF(BUF_UNLIMITED) }, BUF(BUF_UNLIMITED) })

static inline void bundle_decl(struct bundle_text *b, const char *kind, const char *name, int line, const char *plain)
{
	struct buf *to = &b->decls[strcmp(kind, "rule") == 0];
	char *value = value_text(plain);
	buf_addf(to, "%s{\"kind\":\"%s\",\"name\":\"%s\",\"at\":[%d,1],\"value\":", to->len ? "," : "", kind, name, line);
	buf_adds(to, value);
	buf_addc(to, '}');
	free(value);
}

/* A provider "forge": signed pushes, tags, deletions and pull requests, as the real ones have them. */
static inline void bundle_forge(struct bundle_text *b)
{
	char *value = value_text(
		"{'kind':'hmac','hash':'sha256','enc':'hex','sig':'header:X-Signature','signed':'{body}','event':'header:X-Event',"
		"'action':'json:action','delivery':'header:X-Delivery','fields':{'repo':'repository.full_name','sender':'sender.login'},"
		"'events':{'ping':'ping',"
		"'push':[{'#':['delete'],'when':{'deleted':true},'ref':'ref'},{'#':['tag'],'when':{'ref':'refs/tags/*'},'ref':'ref',"
		"'tag':'tag_of:ref','sha':'after'},{'#':['push'],'ref':'ref','branch':'branch_of:ref','sha':'after','title':'first_line:message',"
		"'created':'created','forced':'forced','paths':{'commits':'commits','unless':['created','forced']}}],"
		"'pull_request':{'#':['pull_request'],'actions':{'closed':'ended'},'number':'number','base':'base','labels':'labels[].name',"
		"'draft':'draft'}}}");
	buf_addf(&b->providers, "{\"name\":\"forge\",\"path\":\"plugins/providers/forge.lua\",\"value\":%s}", value);
	free(value);
}

/* The whole, owned by B; it is finished by this call. */
static inline struct slice bundle_end(struct bundle_text *b, struct buf *out)
{
	buf_adds(out, "{\"version\":1,\"files\":[{\"path\":\"pushrod.lua\",\"source\":\"\",\"decls\":[");
	buf_add(out, buf_slice(&b->decls[0]));
	buf_adds(out, "]},{\"path\":\"rules/r.lua\",\"source\":\"rule text\",\"decls\":[");
	buf_add(out, buf_slice(&b->decls[1]));
	buf_adds(out, "]}],\"modules\":{\"m\":\"return 1\"},\"providers\":[");
	buf_add(out, buf_slice(&b->providers));
	buf_adds(out, "],\"diags\":[]}");
	for (int i = 0; i < 2; i++)
		buf_fini(&b->decls[i]);
	buf_fini(&b->providers);
	return buf_slice(out);
}
