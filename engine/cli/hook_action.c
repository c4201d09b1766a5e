/* cli/hook_action.c - the command of a hook: its arguments, its environment, its files. */
#include "cli/hook_action.h"

#include <ctype.h>
#include <string.h>

#include "rules/headers.h"

const char hook_module[] =
"-- What the imported rules share: values of a payload as the texts that adnanh/webhook makes of them. Numbers may be written in\n"
"-- another way than they were sent (1.50 is 1.5), objects with their members in another order, and null is as good as missing.\n"
"local hook = {}\n"
"\n"
"function hook.text(v)\n"
"  if v == nil or type(v) == \"string\" then return v end\n"
"  if type(v) == \"table\" then return json.encode(v) end\n"
"  if math.type(v) == \"float\" then return string.format(\"%.15g\", v) end\n"
"  return tostring(v)\n"
"end\n"
"\n"
"-- A value of the payload; nil where there is none.\n"
"function hook.get(job, path)\n"
"  return hook.text(job:get(path))\n"
"end\n"
"\n"
"-- A value within the JSON that the payload holds as a text.\n"
"function hook.decoded(job, name, path)\n"
"  local text = job:get(name)\n"
"  if type(text) ~= \"string\" then return nil end\n"
"  local ok, v = pcall(json.decode, text)\n"
"  for key in path:gmatch(\"[^.]+\") do\n"
"    if not ok or type(v) ~= \"table\" then return nil end\n"
"    local number = math.tointeger(tonumber(key))\n"
"    if v[key] ~= nil then v = v[key] else v = number and v[number + 1] end\n"
"  end\n"
"  return ok and hook.text(v) or nil\n"
"end\n"
"\n"
"-- A file that holds TEXT, gone with the job; its path.\n"
"function hook.file(job, text, is_base64)\n"
"  local path = job:tmp() .. \"/file\"\n"
"  job:sh(is_base64 and 'base64 -d >\"$FILE\"' or 'cat >\"$FILE\"', { env = { FILE = path }, stdin = text })\n"
"  return path\n"
"end\n"
"\n"
"return hook\n";

/* What of the system a step may read (runner/sandbox.c). */
static const char *const readable[] = { "/usr/", "/bin/", "/sbin/", "/lib", "/etc/", "/opt/", "/nix/store/", "/gnu/store/", "/snap/" };

static const char *source_of(struct hook_action *a, json_t *arg)
{
	return hook_text(arg, "source", a->arena);
}

static const char *call(struct hook_action *a, const char *function, const char *first, const char *second)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 16);

	a->uses_module = 1;
	buf_addf(&out, "hook.%s(job, ", function);
	lua_quote(first, &out);
	if (second) {
		buf_adds(&out, ", ");
		lua_quote(second, &out);
	}
	buf_addc(&out, ')');
	return arena_str(a->arena, buf_slice(&out));
}

static const char *literal(struct hook_action *a, const char *text)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 16);
	lua_quote(text, &out);
	return arena_str(a->arena, buf_slice(&out));
}

static const char *payload_value(struct hook_action *a, const char *name)
{
	const char *form = a->rule->form_field;
	size_t n = form ? strlen(form) : 0;

	for (size_t i = 0; i < a->rule->n_decoded; i++) {
		size_t len = strlen(a->rule->decoded[i]);
		if (!strncmp(name, a->rule->decoded[i], len) && name[len] == '.')
			return call(a, "decoded", hook_path(a->rule->decoded[i], a->arena), name + len + 1);
	}
	if (n && !strcmp(name, form)) {
		hook_note(a->notes, a->arena, "payload '%s' as a whole: it is JSON with its members in another order", form);
		return "json.encode(job.payload)";
	}
	if (n && !strncmp(name, form, n) && name[n] == '.')
		name += n + 1;
	return call(a, "get", hook_path(name, a->arena), NULL);
}

static const char *header_value(struct hook_action *a, const char *name)
{
	CLEANUP(buf_fini) struct buf out = BUF(1 << 16), lower = BUF(1 << 16);

	if (!header_is_kept(NULL, slice_of(name))) {
		hook_note(a->notes, a->arena, "header '%s': it may hold a secret and is not handed to jobs; its value is empty", name);
		return "nil";
	}
	for (; *name; name++)
		buf_addc(&lower, (char)tolower((unsigned char)*name));
	buf_adds(&out, "job.headers[");
	lua_quote(buf_cstr(&lower), &out);
	buf_addc(&out, ']');
	return arena_str(a->arena, buf_slice(&out));
}

/* A Lua expression: a text, or nil where the value is missing. */
static const char *value_of(struct hook_action *a, json_t *arg)
{
	static const struct { const char *source, *lua, *note; } wholes[] = {
		{ "raw-request-body", "json.encode(job.payload)", "raw-request-body: the document anew, not byte for byte what came" },
		{ "entire-payload", "json.encode(job.payload)", "entire-payload: JSON with its members in another order" },
		{ "entire-headers", "json.encode(job.headers)", "entire-headers: names in lower case, one text each, none that may hold a secret" },
	};
	const char *source = source_of(a, arg), *name = hook_text(arg, "name", a->arena);

	for (size_t i = 0; i < COUNT(wholes); i++)
		if (!strcmp(source, wholes[i].source)) {
			hook_note(a->notes, a->arena, "%s", wholes[i].note);
			return wholes[i].lua;
		}
	if (!strcmp(source, "payload") && *name)
		return payload_value(a, name);
	if (!strcmp(source, "header") && *name)
		return header_value(a, name);
	if (!strcmp(source, "string"))
		return literal(a, name);
	if (!strcmp(source, "request") && !strcasecmp(name, "method"))
		return "\"POST\"";
	hook_note(a->notes, a->arena, "%s '%s': a job is not told of it; its value is empty", *source ? source : "an argument without a source", name);
	return "nil";
}

static void note_place(struct hook_action *a, const char *key, const char *path)
{
	if (*path != '/')
		return;
	for (size_t i = 0; i < COUNT(readable); i++)
		if (!strncmp(path, readable[i], strlen(readable[i])))
			return;
	hook_note(a->notes, a->arena, "%s %s: a step cannot read there; put it below /opt or /usr/local, or into what is checked out", key, path);
}

/* The program as the original finds it: below the working directory, unless it is absolute or there is none. */
static const char *program_of(struct hook_action *a, const char *cwd)
{
	const char *command = hook_text(a->hook, "execute-command", a->arena);
	CLEANUP(freep) char *below = *cwd && *command && *command != '/' ? xprintf("%s/%s", cwd, command) : NULL;

	if (below)
		command = arena_str(a->arena, slice_of(below));
	note_place(a, "execute-command", command);
	return command;
}

static const char *default_name(struct hook_action *a, json_t *arg, int is_upper)
{
	const char *name = hook_text(arg, "name", a->arena);
	CLEANUP(freep) char *out = xprintf("HOOK_%s", name);

	for (char *c = out; is_upper && *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return arena_str(a->arena, slice_of(out));
}

static const char *variable_of(struct hook_action *a, json_t *arg, int is_upper)
{
	const char *name = hook_text(arg, "envname", a->arena);

	if (!*name)
		name = default_name(a, arg, is_upper);
	if (!strchr(name, '='))
		return name;
	hook_note(a->notes, a->arena, "'%s' cannot be the name of a variable", name);
	return NULL;
}

/* pass-file-to-command: before the command, each into a local; returns the env entries. */
static void write_files(struct hook_action *a, struct buf *env)
{
	json_t *list = json_object_get(a->hook, "pass-file-to-command"), *arg;
	size_t i;

	json_array_foreach(list, i, arg) {
		const char *name = variable_of(a, arg, 1), *value = value_of(a, arg);
		if (!name)
			continue;
		a->uses_module = 1;
		a->n_files++;
		buf_addf(a->out, "    local text%d = %s\n    local file%d = text%d and hook.file(job, text%d%s)\n", a->n_files, value, a->n_files,
			 a->n_files, a->n_files, hook_flag(arg, "base64decode") ? ", true" : "");
		buf_adds(env, " [");
		lua_quote(name, env);
		buf_addf(env, "] = file%d,", a->n_files);
	}
}

static void write_env(struct hook_action *a, struct buf *env)
{
	json_t *list = json_object_get(a->hook, "pass-environment-to-command"), *arg;
	size_t i;

	json_array_foreach(list, i, arg) {
		const char *name = variable_of(a, arg, 0), *value = value_of(a, arg);
		if (!name)
			continue;
		buf_adds(env, " [");
		lua_quote(name, env);
		buf_addf(env, "] = %s,", value);
	}
}

void hook_action_write(struct hook_action *a)
{
	CLEANUP(buf_fini) struct buf env = BUF(1 << 20);
	const char *cwd = hook_text(a->hook, "command-working-directory", a->arena), *program = program_of(a, cwd);
	json_t *arguments = json_object_get(a->hook, "pass-arguments-to-command"), *arg;
	size_t i;

	if (!*program) {
		hook_note(a->notes, a->arena, "execute-command is missing");
		buf_adds(a->out, "    job:fail(\"the hook has no command\")\n");
		return;
	}
	write_files(a, &env);
	write_env(a, &env);
	buf_adds(a->out, "    job:exec {\n      ");
	lua_quote(program, a->out);
	buf_addc(a->out, ',');
	json_array_foreach(arguments, i, arg) {
		const char *value = value_of(a, arg);
		buf_addf(a->out, *value == '"' ? "\n      %s," : strcmp(value, "nil") ? "\n      %s or \"\"," : "\n      \"\",", value);
	}
	buf_addc(a->out, '\n');
	if (*cwd) {
		note_place(a, "command-working-directory", cwd);
		buf_adds(a->out, "      cwd = ");
		lua_quote(cwd, a->out);
		buf_adds(a->out, ",\n");
	}
	if (env.len)
		buf_addf(a->out, "      env = {" SLICE_FMT " },\n", SLICE_ARG(slice_upto(buf_slice(&env), env.len - 1)));
	buf_adds(a->out, "    }\n");
}
