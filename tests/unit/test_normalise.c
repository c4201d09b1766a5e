/* normalise: the payloads of tests/golden and the samples of plugins/providers, and the common events they are, told in the
 * .expect beside each. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "descriptor.h"
#include "no_leaks.h"
#include "rules/headers.h"
#include "rules/normalise.h"
#include "rules/recording.h"

struct normalised {
	struct provider *provider;
	struct paths *paths;
	struct mapping *mapping;
	struct values *values;
	struct normal normal;
};

/* PROVIDER is taken. */
static void normalise_with(struct normalised *n, struct provider *provider, const char *event, const char *action, struct slice json)
{
	struct err e;
	n->provider = provider;
	n->paths = paths_new();
	n->mapping = mapping_new(n->provider, n->paths);
	cr_assert_eq(extract(n->paths, json, &n->values, &e), 0, "%s", e.msg);
	provider_normalise(n->mapping, slice_of(event), slice_of(action), n->values, &n->normal);
}

static void normalise(struct normalised *n, const char *provider, const char *event, const char *action, struct slice json)
{
	normalise_with(n, provider_of(provider), event, action, json);
}

static void normalised_fini(struct normalised *n)
{
	normal_fini(&n->normal);
	values_free(n->values);
	mapping_free(n->mapping);
	paths_free(n->paths);
	provider_free(n->provider);
}

static void add_value(struct buf *out, const struct value *v)
{
	for (size_t i = 0; i < v->text.len; i++)
		if (v->text.ptr[i] == '\n')
			buf_adds(out, "\\n");
		else
			buf_addc(out, v->text.ptr[i]);
	if (v->kind == VALUE_TRUE || v->kind == VALUE_FALSE)
		if (v->text.len == 0)
			buf_adds(out, v->kind == VALUE_TRUE ? "true" : "false");
}

static void add_field(struct buf *out, enum field_id f, const struct field *x)
{
	if (x->state == FIELD_MISSING)
		return;
	buf_addf(out, "%s ", field_name(f));
	buf_adds(out, x->state == FIELD_UNKNOWN ? "?" : field_type(f) == FIELD_STRINGS && x->n == 0 ? "[]" : "");
	for (size_t i = 0; x->state == FIELD_PRESENT && i < x->n; i++) {
		buf_adds(out, !i ? "" : f == FIELD_PATHS ? " " : "|");
		add_value(out, &x->list[i]);
	}
	buf_addc(out, '\n');
}

/* Each line of EXPECT must be a line of GOT, and they must be as many. */
static void compare(const char *path, const char *expect, const char *got)
{
	size_t wanted = 0, had = 0;
	for (const char *line = expect; *line; line = strchr(line, '\n') + 1) {
		CLEANUP(freep) char *one = slice_dup((struct slice){ line, (size_t)(strchr(line, '\n') - line + 1) });
		CLEANUP(freep) char *framed = xprintf("\n%s", one);
		cr_assert(strstr(got, framed), "%s wants: %sgot:%s", path, one, got);
		wanted++;
	}
	for (const char *line = got + 1; *line; line = strchr(line, '\n') + 1)
		had++;
	cr_assert_eq(had, wanted, "%s wants %zu fields, got:%s", path, wanted, got);
}

static void add_normal(struct buf *out, const struct normal *n)
{
	buf_addf(out, "-> %s", n->event);
	if (n->action.len)
		buf_addf(out, " " SLICE_FMT, SLICE_ARG(n->action));
	buf_addc(out, '\n');
	for (int f = 0; f < FIELD_COUNT; f++)
		add_field(out, (enum field_id)f, &n->field[f]);
}

static void check_golden(const char *path)
{
	struct normalised n;
	struct buf got = BUF(1 << 16);
	char provider[64], native[64] = "", action[64] = "";
	CLEANUP(freep) char *json = descriptor_text(path);
	CLEANUP(freep) char *stem = slice_dup((struct slice){ path, strlen(path) - 5 });
	CLEANUP(freep) char *beside = xprintf("%s.expect", stem);
	CLEANUP(freep) char *expect = descriptor_text(beside);

	cr_assert_eq(sscanf(path, SOURCE "/tests/golden/%63[^/]/", provider), 1);
	cr_assert_eq(sscanf(expect, "native %63[^\n]\naction %63[^\n]\n", native, action) >= 1, 1);
	normalise(&n, provider, native, action, slice_of(json));
	buf_addc(&got, '\n');
	add_normal(&got, &n.normal);
	compare(path, strstr(expect, "-> "), buf_cstr(&got));
	buf_fini(&got);
	normalised_fini(&n);
}

Test(normalise, recorded_payloads_become_the_events_beside_them)
{
	glob_t g = { 0 };
	cr_assert_eq(glob(SOURCE "/tests/golden/*/*.json", 0, NULL, &g), 0);
	cr_assert_geq(g.gl_pathc, 20);
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_golden(g.gl_pathv[i]);
	globfree(&g);
	no_leaks();
}

/* ---- the samples ---- */

#define SEED "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define PUBLIC "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
static const struct { const char *provider, *key, *secret; } keys[] = {
	{ "discord", SEED, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a" }, { "sourcehut", SEED, PUBLIC },
	{ "standard-webhooks-ed25519", SEED, "whpk_" PUBLIC }, { "basic", "ada:s", "ada:s" }, { "azure-devops", "ada:s", "ada:s" },
	{ "", "whsec_AAEC", "whsec_AAEC" },             /* of all others */
};

/* R as it arrives: with the headers and the query that its sender adds. HEADERS: room for them. */
static void arrive(const struct provider *p, const char *key, const struct recording *r, struct signed_parts *parts,
		   struct header *headers, struct request_view *out)
{
	const struct sender by = { slice_of(key), "id-1", NULL };
	struct err e;

	*out = (struct request_view){ .method = SLICE("POST"), .body = r->body, .headers = headers, .n_headers = r->n_headers,
		.url = SLICE("https://ci.example.org/hooks/x"), .now_ms = 1777878753000 };
	memcpy(headers, r->headers, r->n_headers * sizeof *headers);
	cr_assert_eq(provider_sign(p, out, &by, parts, &e), 0, "%s: %s", provider_name(p), e.msg);
	for (struct slice rest = buf_slice(&parts->header_lines), line; rest.len;) {
		slice_cut(rest, '\n', &line, &rest);
		struct header *h = &headers[out->n_headers++];
		slice_cut(line, ':', &h->name, &h->value);
	}
	out->query = buf_slice(&parts->query);
	if (out->query.len) {
		static char url[200];
		snprintf(url, sizeof url, "https://ci.example.org/hooks/x?" SLICE_FMT, SLICE_ARG(out->query));
		out->url = slice_of(url);
	}
}

/* What the store keeps of V is enough to identify it again: for a replay, and for the payload that a job sees. */
static void expect_same_from_what_is_kept(const struct provider *p, struct request_view v, const struct identity *first)
{
	struct header kept[RECORDING_MAX_HEADERS + 10];
	struct identity again;
	struct err e;
	size_t n = 0;

	for (size_t i = 0; i < v.n_headers; i++)
		if (header_is_kept(p, v.headers[i].name))
			kept[n++] = v.headers[i];
	v.headers = kept;
	v.n_headers = n;
	cr_assert_eq(provider_identify(p, &v, &again, &e), 0, "%s: %s", provider_name(p), e.msg);
	cr_expect_str_eq(again.delivery_key, first->delivery_key, "%s", provider_name(p));
	cr_expect_str_eq(again.event, first->event, "%s", provider_name(p));
	cr_expect_str_eq(again.action, first->action, "%s", provider_name(p));
	identity_fini(&again);
}

/* What is told of a sample: what arrives as it is verified, identified, normalised. */
static void tell_sample(const char *provider, const struct recording *r, struct buf *out)
{
	struct header headers[RECORDING_MAX_HEADERS + 10];
	struct provider *p = provider_of(provider);
	struct signed_parts parts;
	struct request_view view;
	struct identity id;
	struct normalised n;
	struct err e;
	size_t k = 0;
	char why[160];

	while (*keys[k].provider && strcmp(keys[k].provider, provider))
		k++;
	arrive(p, keys[k].key, r, &parts, headers, &view);
	struct secret_view secret = { slice_of(keys[k].secret) };
	cr_assert_eq(provider_verify(p, &view, &secret, 1, why), VERIFY_OK, "%s: %s", provider, why);
	cr_assert_eq(provider_identify(p, &view, &id, &e), 0, "%s: %s", provider, e.msg);
	if (id.answer_status) {
		buf_addf(out, "answered %d " SLICE_FMT "\n", id.answer_status, SLICE_ARG(buf_slice(&id.answer)));
		provider_free(p);
	} else {
		expect_same_from_what_is_kept(p, view, &id);
		buf_addf(out, "native %s\n", id.event);
		if (*id.action)
			buf_addf(out, "action %s\n", id.action);
		normalise_with(&n, p, id.event, id.action, id.json.len ? buf_slice(&id.json) : view.body);
		add_normal(out, &n.normal);
		normalised_fini(&n);
	}
	identity_fini(&id);
	signed_parts_fini(&parts);
}

Test(normalise, every_sample_verifies_and_becomes_the_event_that_is_told_of_it)
{
	glob_t g = { 0 };
	cr_assert_eq(glob(SOURCE "/plugins/providers/samples/*/*.http", 0, NULL, &g), 0);
	cr_assert_geq(g.gl_pathc, 100);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		char provider[64], name[64];
		struct recording r;
		struct err e;
		struct buf got = BUF(1 << 16);
		cr_assert_eq(sscanf(g.gl_pathv[i], SOURCE "/plugins/providers/samples/%63[^/]/%63[^/]", provider, name), 2);
		name[strlen(name) - 5] = '\0';
		CLEANUP(freep) char *text = descriptor_text(g.gl_pathv[i]);
		CLEANUP(freep) char *beside = xprintf(SOURCE "/plugins/providers/samples/%s/%s.expect", provider, name);
		cr_assert_eq(recording_parse(slice_of(text), "id-1", 1777878753000, &r, &e), 0, "%s: %s", g.gl_pathv[i], e.msg);
		tell_sample(provider, &r, &got);
		CLEANUP(freep) char *expect = descriptor_text(beside);
		cr_assert_str_eq(buf_cstr(&got), expect, "%s", beside);
		recording_fini(&r);
		buf_fini(&got);
	}
	globfree(&g);
	no_leaks();
}

Test(normalise, files_are_unknown_with_as_many_commits_as_a_sender_lists_at_most)
{
	struct buf json = BUF(1 << 20);
	struct normalised n;
	for (int count = 2047; count <= 2048; count++) {
		buf_clear(&json);
		buf_adds(&json, "{\"ref\":\"refs/heads/main\",\"commits\":[");
		for (int i = 0; i < count; i++)
			buf_addf(&json, "%s{\"added\":[\"f%d\"],\"modified\":[],\"removed\":[]}", i ? "," : "", i % 5);
		buf_adds(&json, "]}");
		normalise(&n, "github", "push", "", buf_slice(&json));
		cr_assert_eq(n.normal.field[FIELD_PATHS].state, count < 2048 ? FIELD_PRESENT : FIELD_UNKNOWN);
		cr_assert(count == 2048 || n.normal.field[FIELD_PATHS].n == 5);
		normalised_fini(&n);
	}
	buf_fini(&json);
	no_leaks();
}

Test(normalise, files_are_unknown_where_one_commit_does_not_list_them)
{
	struct normalised n;
	normalise(&n, "github", "push", "", SLICE("{\"ref\":\"refs/heads/main\",\"commits\":[{\"added\":[\"a\"],\"modified\":[],\"removed\":[]},"
		"{\"added\":[\"b\"],\"modified\":[]}]}"));
	cr_assert_eq(n.normal.field[FIELD_PATHS].state, FIELD_UNKNOWN);
	normalised_fini(&n);
	no_leaks();
}

Test(normalise, values_of_another_type_than_the_field_are_missing)
{
	struct normalised n;
	normalise(&n, "github", "pull_request", "opened", SLICE("{\"pull_request\":{\"number\":\"7\",\"title\":[1],\"draft\":\"yes\",\"labels\":{}},"
		"\"sender\":{\"login\":{}}}"));
	cr_assert_str_eq(n.normal.event, "pull_request");
	cr_assert_eq(n.normal.field[FIELD_NUMBER].state, FIELD_MISSING);
	cr_assert_eq(n.normal.field[FIELD_TITLE].state, FIELD_MISSING);
	cr_assert_eq(n.normal.field[FIELD_DRAFT].state, FIELD_MISSING);
	cr_assert_eq(n.normal.field[FIELD_LABELS].state, FIELD_MISSING);
	cr_assert_eq(n.normal.field[FIELD_SENDER].state, FIELD_MISSING);
	normalised_fini(&n);
	no_leaks();
}

/* Whoever sends a pull request chooses names, branches and authors; the ids of repositories are the forge's. */
Test(normalise, trust_is_judged_from_ids_that_the_forge_gives_and_no_name)
{
	static const struct { const char *provider, *event, *action, *json; int is_known, is_fork; } cases[] = {
#define HUB(head, base) "{\"pull_request\":{\"head\":{\"ref\":\"main\",\"repo\":" head "},\"base\":{\"ref\":\"main\",\"repo\":" base "}}}"
		{ "github", "pull_request", "opened", HUB("{\"id\":2,\"full_name\":\"acme/handbook\",\"fork\":false}", "{\"id\":1,\"full_name\":\"acme/handbook\"}"), 1, 1 },
		{ "github", "pull_request", "opened", HUB("{\"id\":1,\"full_name\":\"eve/handbook\"}", "{\"id\":1,\"full_name\":\"acme/handbook\"}"), 1, 0 },
		{ "github", "pull_request", "opened", HUB("null", "{\"id\":1}"), 1, 1 },
		{ "github", "pull_request", "opened", HUB("{\"id\":\"1\"}", "{\"id\":1}"), 1, 1 },
		{ "github", "pull_request", "opened", HUB("null", "null"), 0, 0 },
		{ "github", "pull_request_review", "submitted", "{\"action\":\"submitted\",\"review\":{\"state\":\"approved\"},\"pull_request\":{\"head\":{\"repo\":{\"id\":2}},"
		  "\"base\":{\"repo\":{\"id\":1}}}}", 1, 1 },
		{ "gitlab", "merge_request", "open", "{\"object_attributes\":{\"action\":\"open\",\"source_project_id\":2,\"target_project_id\":1}}", 1, 1 },
		{ "gitlab", "note", "create", "{\"merge_request\":{\"source_project_id\":2,\"target_project_id\":1}}", 1, 1 },
		{ "gitlab-signing-token", "merge_request", "open", "{\"object_attributes\":{\"action\":\"open\",\"target_project_id\":1}}", 1, 1 },
		{ "gitea", "pull_request", "opened", "{\"pull_request\":{\"head\":{\"repo_id\":2},\"base\":{\"repo_id\":1}}}", 1, 1 },
		{ "gitea", "pull_request_approved", "reviewed", "{\"pull_request\":{\"head\":{},\"base\":{\"repo_id\":1}}}", 1, 1 },
		{ "gogs", "pull_request", "opened", "{\"pull_request\":{\"head_repo\":{\"id\":2},\"base_repo\":{\"id\":1}}}", 1, 1 },
		{ "bitbucket", "pullrequest:created", "", "{\"pullrequest\":{\"source\":{\"repository\":null},\"destination\":{\"repository\":{\"uuid\":\"1\"}}}}", 1, 1 },
		{ "bitbucket", "pullrequest:comment_created", "", "{\"pullrequest\":{\"source\":{\"repository\":{\"uuid\":\"2\"}},\"destination\":{\"repository\":{\"uuid\":\"1\"}}}}", 1, 1 },
		{ "bitbucket-server", "pr:opened", "", "{\"pullRequest\":{\"fromRef\":{\"repository\":{\"id\":2}},\"toRef\":{\"repository\":{\"id\":1}}}}", 1, 1 },
		{ "azure-devops", "git.pullrequest.created", "", "{\"resource\":{\"forkSource\":{\"repository\":{\"id\":\"2\"}}}}", 1, 1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct normalised n;
		normalise(&n, cases[i].provider, cases[i].event, cases[i].action, slice_of(cases[i].json));
		const struct field *fork = &n.normal.field[FIELD_FORK];
		cr_assert_eq(fork->state == FIELD_PRESENT, cases[i].is_known, "%zu", i);
		cr_assert(!cases[i].is_known || (fork->list->kind == VALUE_TRUE) == cases[i].is_fork, "%zu", i);
		normalised_fini(&n);
	}
	no_leaks();
}

Test(normalise, a_ref_that_is_neither_branch_nor_tag_is_no_push)
{
	struct normalised n;
	normalise(&n, "github", "push", "", SLICE("{\"ref\":\"refs/notes/commits\",\"repository\":{\"full_name\":\"a/b\"}}"));
	cr_assert_str_eq(n.normal.event, "");
	cr_assert_eq(n.normal.field[FIELD_BRANCH].state, FIELD_MISSING);
	cr_assert_eq(n.normal.field[FIELD_REPO].state, FIELD_PRESENT);
	normalised_fini(&n);
	no_leaks();
}

Test(normalise, the_fields_that_an_event_can_have_are_told)
{
	struct provider *p = provider_of("github");
	size_t n, seen = 0;
	const struct provider_event *e = provider_events(p, &n);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(e[i].native, "push") && !strcmp(e[i].common, "push")) {
			cr_assert(e[i].fields >> FIELD_PATHS & 1);
			cr_assert(e[i].fields >> FIELD_REPO & 1);
			cr_assert_not(e[i].fields >> FIELD_LABELS & 1);
			cr_assert_null(e[i].common_action);
			seen++;
		}
	cr_assert_eq(seen, 1);
	provider_free(p);
	no_leaks();
}

Test(normalise, every_field_has_a_name_that_finds_it)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		cr_assert_eq(field_find(slice_of(field_name((enum field_id)f))), f);
	cr_assert_eq(field_find(SLICE("branhc")), -1);
}
