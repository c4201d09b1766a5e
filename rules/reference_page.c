/* rules/reference_page.c - docs/rules.md: each declaration with its keys, the words of `on` and `when`, the methods of `job`. */
#include <stdio.h>
#include <string.h>

#include "rules/job_api.h"
#include "rules/normalise.h"
#include "rules/reference.h"
#include "rules/referring.h"

static const char opening[] =
	"<!-- Made by `./dev docs` from the tables in rules/schema.c, rules/schema_words.c and rules/job_api.c: edit those. -->\n"
	"# The rule files: reference\n"
	"\n"
	"Every word that may be written, what it takes, and an example of it. How to write a rule from nothing is told in\n"
	"[writing-rules.md](writing-rules.md). `pushrod check` holds a directory against this very table, and names the place of each mistake.\n"
	"\n"
	"```\n"
	"site/\n"
	"  pushrod.lua              config, source, queue\n"
	"  rules/*.lua              rule\n"
	"  plugins/*.lua            modules of your own: require \"x\" is plugins/x.lua\n"
	"  plugins/providers/*.lua  providers of your own\n"
	"  secrets/NAME             a secret's value, readable by you alone (mode 0600); or $PUSHROD_SECRET_NAME\n"
	"```\n"
	"\n"
	"The files are Lua, used as a language of data: tables and texts, `local` names, loops and functions of your own, but no files, no\n"
	"network and no clock. A duration is written with its unit (`\"90s\"`, `\"5m\"`, `\"2h\"`, `\"30d\"`), and so is a size (`\"64MiB\"`); a bare\n"
	"number is refused. `null` is JSON's null. `secret \"name\"` stands for a secret's value, which no file ever holds.\n";

static const char on_text[] =
	"\n## `on`: events\n"
	"\n"
	"A name, or a list of names. A common name is heard from every source; its action may follow a dot, and without one all actions are\n"
	"meant: `\"pull_request\"` hears `pull_request.opened` too. With a source's name in front, its own native names work as well\n"
	"(`\"github:workflow_run.completed\"`), and `\"github:*\"` is all that it sends.\n"
	"\n"
	"Three sources are always there, for what no sender brings. Their events have the fields of the event that the job was for, and `rule`:\n"
	"`on = \"rule:failed\", when = { rule = \"ci\" }`. What the job left is in `job.cause`.\n"
	"\n"
	"| event | what happened |\n|---|---|\n"
	"| `\"rule:succeeded\"` `\"rule:failed\"` `\"rule:finished\"` "
	"| all jobs of a rule for one event have ended: each of them well, one of them not, in any way |\n"
	"| `\"job:failed\"` "
	"| one job has ended, of a matrix each by itself; or `succeeded errored timed_out cancelled skipped superseded refused lost`, or `job:*` |\n"
	"| `\"local:NAME\"` | `job:emit \"NAME\"` of a job, or `pushrod trigger local:NAME` |\n"
	"\n"
	"A schedule is no event: see [rule.cron](#rulecron).\n"
	"\n"
	"| event | what happened | example |\n|---|---|---|\n";

static const char when_text[] =
	"\n## `when`: tests\n"
	"\n"
	"The members of one table must all hold. A test of a field is one of these:\n"
	"\n"
	"| written as | holds where |\n|---|---|\n"
	"| `branch = \"main\"` | the whole text is this; `*` stands for anything but `/`, `**` for anything, `?` for one character |\n"
	"| `branch = { \"main\", \"release/*\" }` | one of these does |\n"
	"| `branch = { \"release/*\", except = \"release/old\" }` | one of these does, and none behind `except` |\n"
	"| `branch = { except = \"main\" }` | anything but this |\n"
	"| `number = { ge = 10, lt = 20 }` | each operator does |\n"
	"| `draft = false`, `number = 7`, `order = null` | it is just this value: nothing is converted, `\"7\"` is not `7` |\n"
	"\n"
	"On a value that is a list (`labels`, `paths`) a test means *any of them*, and `ne` *none of them*. A field that the event does not have\n"
	"fails every test but `{ exists = false }`. Some things a payload cannot know (which files a new branch changes): then the rule fires,\n"
	"and says so. `when = \"always\"` is for every event of `on`.\n"
	"\n"
	"### Operators\n"
	"\n"
	"| operator | holds where the value | example |\n|---|---|---|\n";

static const char payload_text[] =
	"\n### `payload`\n"
	"\n"
	"The sender's own JSON, by paths: `a.b`, `a[0].b` (the first is 0), `a[].b` (any of them), `a[\"x.y\"].b` (a key with a dot).\n"
	"\n"
	"```lua\n"
	"when = { payload = { [\"repository.private\"] = false, [\"commits[].author.email\"] = \"*@example.org\" } }\n"
	"```\n";

static const char template_text[] =
	"\n## Templates\n"
	"\n"
	"`{field}` in the values of `env`, in `once.key` and in `queue.key` is the event's field: `env = { TITLE = \"{title}\" }`. `{{` is a brace.\n"
	"A field that an event of `on` can lack is an error. `{matrix.NAME}` is a value of the job's cell. Scripts (`sh`) and arguments (`exec`) are\n"
	"taken as they are, so that no text of an event is ever read by a shell.\n"
	"\n"
	"## Environment\n"
	"\n"
	"Steps, `job:sh` and `job:exec` find, beside what `env` says and `PATH HOME TMPDIR LANG`, nothing of the server's own and these:\n"
	"`CI` (true), `CI_RULE CI_JOB_ID CI_JOB_ATTEMPT CI_JOB_URL CI_WORKSPACE`, and of the event as far as it has them `CI_EVENT CI_REPO CI_SENDER`,\n"
	"`CI_COMMIT_SHA CI_COMMIT_BRANCH CI_COMMIT_TAG CI_COMMIT_REF CI_COMMIT_BEFORE`, `CI_PULL_REQUEST_BASE CI_PULL_REQUEST_HEAD`. The values of a\n"
	"matrix are there where `env` names them: `env = { CC = \"{matrix.cc}\" }`.\n";

/* In a cell of a table a bar must not end it. */
static void add_cell(const char *text, struct buf *out)
{
	for (; *text; text++) {
		if (*text == '|')
			buf_addc(out, '\\');
		buf_addc(out, *text == '\n' ? ' ' : *text);
	}
}

static void add_code(const char *text, struct buf *out)
{
	buf_addc(out, '`');
	add_cell(text, out);
	buf_addc(out, '`');
}

static void add_anchor(const char *name, struct buf *out)
{
	for (; *name; name++)
		if (*name != '.')
			buf_addc(out, *name);
}

/* ---- tables ---- */

static void add_bounds(const struct schema_type *t, struct buf *out)
{
	if (t->kind != SCHEMA_DURATION)
		return;
	buf_adds(out, ", from ");
	schema_add_duration(t->min, out);
	buf_adds(out, " to ");
	schema_add_duration(t->max, out);
}

static void add_wants(const struct schema_key *key, struct buf *out)
{
	CLEANUP(buf_fini) struct buf want = BUF(BUF_UNLIMITED);

	schema_wants(key->types, &want);
	add_cell(buf_cstr(&want), out);
	for (const struct schema_type *t = key->types; t->kind; t++)
		add_bounds(t, out);
}

static void add_row(const struct schema_key *key, int is_item, struct buf *out)
{
	CLEANUP(buf_fini) struct buf example = BUF(BUF_UNLIMITED);

	if (!is_item)
		buf_addf(&example, "%s = ", key->name);
	reference_example_of(key, &example);
	buf_adds(out, "| ");
	if (is_item)
		buf_addf(out, "(first, without a name) %s", key->name);
	else
		add_code(key->name, out);
	buf_adds(out, key->is_required ? " **required** | " : " | ");
	add_cell(key->doc, out);
	buf_adds(out, " | ");
	add_wants(key, out);
	buf_adds(out, " | ");
	add_code(buf_cstr(&example), out);
	buf_adds(out, " |\n");
}

static void add_table(const struct told_tables *all, size_t i, struct buf *out)
{
	const struct told_table *t = &all->list[i];
	static const char *const homes[] = {
		[SCHEMA_SETTINGS] = "pushrod.lua", [SCHEMA_RULES] = "rules/*.lua", [SCHEMA_PROVIDERS] = "plugins/providers/*.lua",
	};

	if (!t->key) {
		buf_addf(out, "\n## `%s`\n\n%s, in `%s`.\n", t->name, t->decl->doc, homes[t->decl->place]);
		if (t->decl->example)
			buf_addf(out, "\n```lua\n%s\n```\n", t->decl->example);
	} else {
		buf_addf(out, "\n### `%s`\n\n%s%s\n", t->name, t->in_list ? "each of the tables in the list: " : "", t->key->doc);
	}
	buf_adds(out, "\n| key | what | takes | example |\n|---|---|---|---|\n");
	if (t->table->item)
		add_row(t->table->item, 1, out);
	for (size_t k = 0; k < t->table->n; k++)
		add_row(&t->table->keys[k], 0, out);
}

static void add_contents(const struct told_tables *all, struct buf *out)
{
	buf_adds(out, "\n");
	for (size_t i = 0; i < all->n; i++) {
		buf_addf(out, "%s[%s](#", i ? " · " : "Declarations: ", all->list[i].name);
		add_anchor(all->list[i].name, out);
		buf_adds(out, ")");
	}
	buf_adds(out, " · [on](#on-events) · [when](#when-tests) · [templates](#templates) · [job](#job)\n");
}

/* ---- words ---- */

static void add_word(enum schema_word_kind kind, const char *name, const char *type, struct buf *out)
{
	const struct schema_word *w = schema_word_find(kind, name);

	buf_addf(out, "| `%s` | %s%s", name, w ? w->doc : "", type);
	buf_adds(out, " | ");
	add_code(w ? w->example : "", out);
	buf_adds(out, " |\n");
}

static void add_words(enum schema_word_kind kind, const char *const *names, struct buf *out)
{
	for (; *names; names++)
		add_word(kind, *names, "", out);
}

static const char *list_means(const struct schema_operator *o)
{
	if (!o->takes_list)
		return "";
	return strcmp(o->name, "ne") == 0 ? "; with a list: none of it" : "; with a list: any of it";
}

static void add_when(struct buf *out)
{
	static const char *const types[] = {
		[FIELD_STRING] = "", [FIELD_INTEGER] = " (a number)", [FIELD_BOOL] = " (true or false)", [FIELD_STRINGS] = " (a list)",
	};

	buf_adds(out, when_text);
	for (size_t i = 0; i < schema_operator_count; i++) {
		buf_addf(out, "| `%s` | %s%s | ", schema_operators[i].name, schema_operators[i].doc,
			 list_means(&schema_operators[i]));
		add_code(schema_operators[i].example ? schema_operators[i].example : "", out);
		buf_adds(out, " |\n");
	}
	buf_adds(out, "\n### Tables of tests\n\n| key | holds where | example |\n|---|---|---|\n");
	add_words(SCHEMA_WORD_COMBINATOR, schema_combinators, out);
	buf_adds(out, "\n### Fields\n\nThe same on every forge and every gateway. A name that is not here is an error.\n\n"
		      "| field | what it is | example |\n|---|---|---|\n");
	add_words(SCHEMA_WORD_FACT, schema_facts, out);
	for (int f = 0; f < FIELD_COUNT; f++)
		add_word(SCHEMA_WORD_FIELD, field_name((enum field_id)f), types[field_type((enum field_id)f)], out);
	buf_adds(out, "\n### What the sender wrote\n\nTables whose keys are the sender's. A name that is not there is no error, and `explain` says what "
		      "stood near.\n\n"
		      "| table | what it is | example |\n|---|---|---|\n");
	add_words(SCHEMA_WORD_OPEN, schema_open, out);
	buf_adds(out, payload_text);
}

/* ---- job ---- */

static void add_signature(const struct job_method *m, struct buf *out)
{
	const char *gap = "";

	buf_addf(out, m->has_items ? "job:%s { " : "job:%s(", m->name);
	for (const struct job_word *p = m->params; p && p->name; p++, gap = ", ") {
		size_t len = strlen(p->name);
		int is_optional = p->name[len - 1] == '?', is_options = slice_starts(slice_of(p->name), SLICE("options"));
		if (m->has_items && is_options)
			buf_adds(out, "program, argument…");
		else
			buf_addf(out, is_optional ? "%s[%.*s]" : "%s%.*s", gap, (int)len - is_optional, p->name);
	}
	buf_adds(out, m->has_items ? ", option = … }" : ")");
}

static void add_method(const struct job_method *m, struct buf *out)
{
	buf_adds(out, "\n### `");
	add_signature(m, out);
	buf_addf(out, "`\n\n%s\n", m->doc);
	if (m->options)
		buf_adds(out, "\n| option | what |\n|---|---|\n");
	for (const struct job_word *o = m->options; o && o->name; o++) {
		buf_addf(out, "| `%s` | ", o->name);
		add_cell(o->doc, out);
		buf_adds(out, " |\n");
	}
	buf_addf(out, "\n```lua\n%s\n```\n", m->example);
}

static void add_job(struct buf *out)
{
	buf_adds(out, "\n## `job`\n\nWhat `run = function(job) … end` is given. A method that fails ends the job, unless `pcall` or "
		      "`allow_failure` catches it; an option that does not\nexist is an error. The libraries are those of Lua "
		      "(`string table math utf8 coroutine`, `os.time`, `os.date`, `os.clock`), `json.encode`, `json.decode`,\n"
		      "and `require` of your modules.\n\n| data | what |\n|---|---|\n");
	for (const struct job_word *d = job_data; d->name; d++)
		buf_addf(out, "| `job.%s` | %s |\n", d->name, d->doc);
	for (size_t i = 0; i < job_method_count; i++)
		add_method(&job_methods[i], out);
}

void reference_page(struct buf *out)
{
	struct told_tables all;

	told_tables_init(&all);
	buf_adds(out, opening);
	add_contents(&all, out);
	for (size_t i = 0; i < all.n; i++)
		add_table(&all, i, out);
	buf_adds(out, on_text);
	add_words(SCHEMA_WORD_EVENT, schema_events, out);
	add_when(out);
	buf_adds(out, template_text);
	add_job(out);
}
