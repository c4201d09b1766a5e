/* eval/world.c - the bare Lua state. A file sees an empty table as its globals: reading goes to the libraries, the words of
 * the language and whatever was assigned by mistake, in this order; a name that none of them has is reported, and a value that
 * swallows every use of it lets the file go on, so that all of its mistakes show at once.
 *
 * Nothing of this may hold memory across a Lua error but what `struct world` owns. Bounds: memory by the allocator, time by
 * a count hook that, once it has struck, strikes at every instruction, so that no pcall outlives it; what neither can stop (a
 * C function that never returns) is for the alarm of eval_main. */
#include "eval/world.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "eval/data.h"
#include "eval/places.h"
#include "eval/thing.h"
#include "rules/schema.h"

#define DECLS_MAX 5000
#define HOOK_STEPS 100000

struct decl_ref { int table; };         /* LUA_NOREF until declared */
struct world {
	const struct eval_files *files;
	const struct eval_file *file;
	struct world_result *out;
	struct decl_ref *refs;          /* beside out->list */
	struct diags *diags;
	lua_State *L;
	size_t memory;
	int64_t steps;
	int is_unreadable;              /* Lua could not read a text: the error is one of syntax */
};

static struct world *world_of(lua_State *L)
{
	return *(struct world **)lua_getextraspace(L);
}

static void *allocate(void *arg, void *ptr, size_t old, size_t new)
{
	struct world *w = arg;
	size_t freed = ptr ? old : 0;

	if (new > freed && w->memory + (new - freed) > WORLD_MAX_MEMORY)
		return NULL;
	w->memory = w->memory - freed + new;
	if (new == 0) {
		free(ptr);
		return NULL;
	}
	void *out = realloc(ptr, new);
	if (!out)
		w->memory = w->memory - new + freed;
	return out;
}

/* ---- places ---- */

/* Lua names a chunk "=path" by at most 59 bytes of it. */
static const struct eval_file *file_of_chunk(const struct world *w, struct slice chunk)
{
	if (slice_eq(chunk, slice_upto(slice_of(w->file->path), LUA_IDSIZE - 1)))
		return w->file;
	for (size_t i = 0; i < w->files->n; i++)
		if (slice_eq(chunk, slice_upto(slice_of(w->files->list[i].path), LUA_IDSIZE - 1)))
			return &w->files->list[i];
	return w->file;
}

/* Where the Lua code stands that called the C function that asks. */
static const struct eval_file *caller(lua_State *L, int *line)
{
	lua_Debug ar;

	for (int level = 1; lua_getstack(L, level, &ar); level++) {
		lua_getinfo(L, "Sl", &ar);
		if (ar.currentline > 0) {
			*line = ar.currentline;
			return file_of_chunk(world_of(L), slice_of(ar.short_src));
		}
	}
	*line = 0;
	return world_of(L)->file;
}

/* ---- names ---- */

static const char *const later_names[] = { "os", "json", "coroutine", NULL };
static const char *const absent_names[] = {
	"collectgarbage", "debug", "dofile", "io", "load", "loadfile", "loadstring", "package", "print", "setfenv", "warn", NULL,
};

static int is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(word, *words) == 0)
			return 1;
	return 0;
}

static int is_word_of_language(const char *name)
{
	return schema_decl_find(slice_of(name)) || is_one_of(name, schema_later_words) || strcmp(name, "secret") == 0;
}

/* The nearest of the language's words and libraries (the keys of the two tables above) and the file's locals. */
static const char *nearest(lua_State *L, const struct eval_file *f, const char *name)
{
	const char *words[2] = { 0 }, *near = did_you_mean(slice_of(name), places_locals(f->places));

	for (int upvalue = 1; !near && upvalue <= 2; upvalue++) {
		lua_pushnil(L);
		while (lua_next(L, lua_upvalueindex(upvalue))) {
			lua_pop(L, 1);
			words[0] = lua_tostring(L, -1);
			if (!near)
				near = did_you_mean(slice_of(name), words);
		}
	}
	return near;
}

static void say_undefined(lua_State *L, const char *name)
{
	struct world *w = world_of(L);
	int line, col;
	const struct eval_file *f = caller(L, &line);
	const char *near = nearest(L, f, name);
	int seen = places_word(f->places, slice_of(name), line, PLACE_READ, &col);

	line = seen ? seen : line;
	if (salvage_is_lost(&f->lost, name))
		return;
	if (is_one_of(name, absent_names))
		diags_add(w->diags, DIAG_ERROR, f->path, line, col, 0, "E008", "'%s' is not there: rule files are data", name);
	else if (is_word_of_language(name))
		diags_add(w->diags, DIAG_ERROR, f->path, line, col, 0, "E008", "'%s' has no meaning in a module", name);
	else if (near)
		diags_add(w->diags, DIAG_ERROR, f->path, line, col, 0, "E008", "undefined name '%s', did you mean '%s'?", name, near);
	else
		diags_add(w->diags, DIAG_ERROR, f->path, line, col, 0, "E008",
			  "undefined name '%s'; if it is text, it needs quotes: \"%s\"", name, name);
}

/* __index of the globals. Upvalues: libraries, words (empty for modules), what was assigned. */
static int on_read(lua_State *L)
{
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";

	for (int i = 1; i <= 3; i++) {
		lua_pushvalue(L, 2);
		if (lua_rawget(L, lua_upvalueindex(i)) != LUA_TNIL)
			return 1;
		lua_pop(L, 1);
	}
	if (is_one_of(name, later_names)) {
		thing_push(L, THING_LATER, name);
		return 1;
	}
	say_undefined(L, name);
	thing_push(L, THING_WRONG, name);
	return 1;
}

static int on_assign(lua_State *L)
{
	struct world *w = world_of(L);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	int line, col;
	const struct eval_file *f = caller(L, &line);
	int seen = places_word(f->places, slice_of(name), line, PLACE_ASSIGNED, &col);

	diags_add(w->diags, DIAG_ERROR, f->path, seen ? seen : line, col, 0, "E009", "'%s' would be a global: write local %s = …", name, name);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, 3);
	lua_rawset(L, lua_upvalueindex(3));
	return 0;
}

/* ---- the words of the language ---- */

static int new_decl(lua_State *L, const char *kind, const char *name)
{
	struct world *w = world_of(L);
	struct world_result *r = w->out;
	int line;
	const struct eval_file *f = caller(L, &line);

	if (f != w->file)
		return luaL_error(L, "a %s can be declared in its own file only", kind);
	if (r->n == DECLS_MAX)
		return luaL_error(L, "there are more than %d declarations in this file", DECLS_MAX);
	if ((r->n & (r->n - 1)) == 0) {
		size_t cap = r->n ? r->n * 2 : 1;
		r->list = xrealloc(r->list, cap * sizeof *r->list);
		w->refs = xrealloc(w->refs, cap * sizeof *w->refs);
	}
	w->refs[r->n].table = LUA_NOREF;
	r->list[r->n] = (struct world_decl){
		.kind = xstrdup(kind), .name = xstrdup(name), .line = line, .value = BUF((size_t)64 << 20) };
	return (int)r->n++;
}

static void set_value(lua_State *L, int number, int index)
{
	lua_pushvalue(L, index);
	int ref = luaL_ref(L, LUA_REGISTRYINDEX);
	world_of(L)->refs[number].table = ref;
}

/* rule "x" was called with what should be its table. */
static int on_declared(lua_State *L, const struct thing *pending)
{
	struct world *w = world_of(L);

	if (w->refs[pending->number].table != LUA_NOREF)
		return luaL_error(L, "%s has its table already", pending->name);
	lua_settop(L, 2);
	set_value(L, pending->number, 2);
	return 0;
}

/* What is done with a value that cannot be done; where a comma is missing, that has been said. */
static int on_misuse(lua_State *L, const char *message)
{
	struct world *w = world_of(L);
	int line;
	const struct eval_file *f = caller(L, &line);
	int fault = places_first_fault(f->places);

	if (!fault || fault > line)
		diags_add(w->diags, DIAG_ERROR, f->path, line, 0, 0, "E006", "%s", message);
	thing_push(L, THING_WRONG, "?");
	return 1;
}

/* Without a name it is told, and then taken as it is, so that what is wrong in it shows too. */
static int declare_nameless(lua_State *L, const char *kind)
{
	struct world *w = world_of(L);
	int line, col, number, is_whole = lua_type(L, 1) == LUA_TTABLE;
	const struct eval_file *f = caller(L, &line);
	int seen = places_word(f->places, slice_of(kind), line, PLACE_READ, &col);

	diags_add(w->diags, DIAG_ERROR, f->path, seen ? seen : line, col, 0, "E006", "a %s begins with its name: %s \"name\" { … }", kind, kind);
	number = new_decl(L, kind, NULL);
	if (is_whole || lua_type(L, 2) == LUA_TTABLE) {
		set_value(L, number, is_whole ? 1 : 2);
		return 0;
	}
	thing_push(L, THING_PENDING, kind)->number = number;
	return 1;
}

/* Upvalue 1: the kind. `kind "name" { … }`, `kind("name", { … })`. */
static int declare_named(lua_State *L)
{
	const char *kind = lua_tostring(L, lua_upvalueindex(1));
	size_t len;

	if (lua_type(L, 1) == LUA_TUSERDATA && thing_at(L, 1)->kind == THING_WRONG)
		return 1;
	if (lua_type(L, 1) != LUA_TSTRING || lua_rawlen(L, 1) == 0)
		return declare_nameless(L, kind);
	const char *name = lua_tolstring(L, 1, &len);
	if (strlen(name) != len || !utf8_is_valid((struct slice){ name, len }))
		return luaL_error(L, "the name of this %s is not UTF-8 text", kind);
	int number = new_decl(L, kind, name);
	if (!lua_isnoneornil(L, 2)) {
		set_value(L, number, 2);
		return 0;
	}
	lua_pushfstring(L, "%s \"%s\"", kind, name);
	thing_push(L, THING_PENDING, lua_tostring(L, -1))->number = number;
	return 1;
}

/* `config { … }` */
static int declare_plain(lua_State *L)
{
	const char *kind = lua_tostring(L, lua_upvalueindex(1));

	if (lua_type(L, 1) != LUA_TTABLE)
		return luaL_error(L, "a table follows %s: %s { … }", kind, kind);
	set_value(L, new_decl(L, kind, NULL), 1);
	return 0;
}

static int declare_later(lua_State *L)
{
	struct world *w = world_of(L);
	const char *kind = lua_tostring(L, lua_upvalueindex(1));
	int line, col;
	const struct eval_file *f = caller(L, &line);
	int seen = places_word(f->places, slice_of(kind), line, PLACE_READ, &col);

	diags_add(w->diags, DIAG_ERROR, f->path, seen ? seen : line, col, 0, "E012", "this version does not know '%s' yet", kind);
	thing_push(L, THING_WRONG, kind);
	return 1;
}

static int make_secret(lua_State *L)
{
	struct slice name = SLICE_NULL;

	if (lua_type(L, 1) == LUA_TSTRING)
		name.ptr = lua_tolstring(L, 1, &name.len);
	if (!schema_name_is_valid(name))
		return luaL_error(L, "a secret has a name of letters, digits, '.', '_' and '-': secret \"name\"");
	thing_push(L, THING_SECRET, name.ptr);
	return 1;
}

static void open_words(lua_State *L)
{
	for (size_t i = 0; i < schema_decl_count; i++) {
		lua_pushstring(L, schema_decls[i].kind);
		lua_pushcclosure(L, schema_decls[i].has_name ? declare_named : declare_plain, 1);
		lua_setfield(L, -2, schema_decls[i].kind);
	}
	for (const char *const *word = schema_later_words; *word; word++) {
		lua_pushstring(L, *word);
		lua_pushcclosure(L, declare_later, 1);
		lua_setfield(L, -2, *word);
	}
	lua_pushcfunction(L, make_secret);
	lua_setfield(L, -2, "secret");
}

/* ---- libraries ---- */

/* pairs goes through the keys in order: what is built by walking a table is then the same every time. */
static const char prelude[] =
	"local type, next, sort, rawget, error, setmetatable = type, next, table.sort, rawget, error, setmetatable\n"
	"local function before(a, b)\n"
	"  local x, y = type(a), type(b)\n"
	"  if x ~= y then return x < y end\n"
	"  if x == 'number' or x == 'string' then return a < b end\n"
	"  return false\n"
	"end\n"
	"function pairs(t)\n"
	"  if type(t) == 'userdata' then return function() end end\n"
	"  if type(t) ~= 'table' then error(\"bad argument #1 to 'pairs' (table expected, got \" .. type(t) .. ')', 2) end\n"
	"  local keys, i = {}, 0\n"
	"  for k in next, t do keys[#keys + 1] = k end\n"
	"  sort(keys, before)\n"
	"  return function()\n"
	"    while true do\n"
	"      i = i + 1\n"
	"      local k = keys[i]\n"
	"      if k == nil then return nil end\n"
	"      local v = rawget(t, k)\n"
	"      if v ~= nil then return k, v end\n"
	"    end\n"
	"  end, t\n"
	"end\n"
	"local set = setmetatable\n"
	"_G.setmetatable = function(t, mt)\n"
	"  if type(mt) == 'table' and rawget(mt, '__gc') ~= nil then error('__gc is not for rule files', 2) end\n"
	"  return set(t, mt)\n"
	"end\n";

static const luaL_Reg libraries[] = {
	{ LUA_GNAME, luaopen_base }, { "string", luaopen_string }, { "table", luaopen_table }, { "math", luaopen_math },
	{ "utf8", luaopen_utf8 },
};

static const struct { const char *table, *name; } left_out[] = {
	{ NULL, "collectgarbage" }, { NULL, "dofile" }, { NULL, "load" }, { NULL, "loadfile" }, { NULL, "print" }, { NULL, "warn" },
	{ "string", "dump" }, { "math", "random" }, { "math", "randomseed" },
};

/* Leaves nothing; the libraries are the state's own globals, which no file sees. */
static void open_libraries(lua_State *L)
{
	for (size_t i = 0; i < COUNT(libraries); i++) {
		luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
		lua_pop(L, 1);
	}
	lua_pushglobaltable(L);
	for (size_t i = 0; i < COUNT(left_out); i++) {
		if (left_out[i].table)
			lua_getfield(L, -1, left_out[i].table);
		else
			lua_pushvalue(L, -1);
		lua_pushnil(L);
		lua_setfield(L, -2, left_out[i].name);
		lua_pop(L, 1);
	}
	if (luaL_loadbufferx(L, prelude, sizeof prelude - 1, "=prelude", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
	lua_pushnil(L);
	lua_setfield(L, -2, LUA_GNAME);
	lua_pop(L, 1);
}

/* A table of globals for a file, or for a module: pushed. */
static void push_globals(lua_State *L, int is_module)
{
	lua_newtable(L);
	lua_newtable(L);
	lua_pushglobaltable(L);
	lua_newtable(L);
	if (!is_module)
		open_words(L);
	lua_newtable(L);
	lua_pushvalue(L, -3);
	lua_pushvalue(L, -3);
	lua_pushvalue(L, -3);
	lua_pushcclosure(L, on_assign, 3);
	lua_setfield(L, -5, "__newindex");
	lua_pushcclosure(L, on_read, 3);
	lua_setfield(L, -2, "__index");
	lua_pushboolean(L, 0);
	lua_setfield(L, -2, "__metatable");
	lua_setmetatable(L, -2);
}

/* ---- chunks ---- */

/* The chunk of F, with its globals; raises what Lua says of it. */
static void load_chunk(lua_State *L, const struct eval_file *f)
{
	struct slice text = buf_slice(f->readable.len ? &f->readable : &f->text);

	lua_pushfstring(L, "=%s", f->path);
	int status = luaL_loadbufferx(L, text.ptr ? text.ptr : "", text.len, lua_tostring(L, -1), "t");
	lua_remove(L, -2);
	if (status == LUA_ERRSYNTAX)
		world_of(L)->is_unreadable = 1;
	if (status != LUA_OK)
		lua_error(L);
	push_globals(L, f->role == EVAL_MODULE);
	lua_setupvalue(L, -2, 1);
}

/* require "x": plugins/x.lua, once. Upvalue 1: what has been loaded, false while it is. */
static int on_require(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const struct eval_file *f = eval_files_find(world_of(L)->files, EVAL_MODULE, name);

	lua_settop(L, 1);
	int type = lua_getfield(L, lua_upvalueindex(1), name);
	if (type != LUA_TNIL && lua_toboolean(L, -1))
		return 1;
	if (type != LUA_TNIL)
		return luaL_error(L, "module '%s' requires itself", name);
	if (!f)
		return luaL_error(L, "there is no module '%s': plugins/%s.lua", name, name);
	lua_pushboolean(L, 0);
	lua_setfield(L, lua_upvalueindex(1), name);
	load_chunk(L, f);
	lua_pushstring(L, name);
	lua_call(L, 1, 1);
	if (!lua_toboolean(L, -1)) {
		lua_pop(L, 1);
		lua_pushboolean(L, 1);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, lua_upvalueindex(1), name);
	return 1;
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	struct world *w = world_of(L);

	w->steps += HOOK_STEPS;
	if (w->steps < WORLD_MAX_STEPS)
		return;
	lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
	lua_getinfo(L, "Sl", ar);
	lua_pushfstring(L, "%s:%d: this file is still running after %d million steps: does a loop never end?", ar->short_src,
			ar->currentline, WORLD_MAX_STEPS / 1000000);
	lua_error(L);
}

static int set_up(lua_State *L)
{
	static const struct thing_callbacks callbacks = { on_declared, on_misuse };

	lua_newtable(L);
	things_open(L, &callbacks);
	open_libraries(L);
	lua_pushcclosure(L, on_require, 1);
	lua_setglobal(L, "require");
	thing_push(L, THING_NULL, "null");
	lua_setglobal(L, "null");
	lua_sethook(L, on_count, LUA_MASKCOUNT, HOOK_STEPS);
	return 0;
}

static int run(lua_State *L)
{
	load_chunk(L, world_of(L)->file);
	lua_call(L, 0, 0);
	return 0;
}

static int compile(lua_State *L)
{
	load_chunk(L, world_of(L)->file);
	return 0;
}

static int write_decl(lua_State *L)
{
	struct world *w = world_of(L);
	size_t i = (size_t)lua_tointeger(L, 1);
	struct world_decl *d = &w->out->list[i];
	const struct place_table *table;
	struct data_writer writer = { .out = &d->value, .diags = w->diags, .file = w->file->path, .line = d->line };

	d->col = places_declaration(w->file->places, d->kind, slice_of(d->name), d->line, &table);
	writer.col = d->col;
	lua_rawgeti(L, LUA_REGISTRYINDEX, w->refs[i].table);
	data_write(L, -1, table, &writer);
	return 0;
}

/* ---- errors ---- */

/* "rules/a.lua:12: what is wrong": cut apart. 0 where no place stands in front. */
static int cut_place(const struct world *w, struct slice *message, const struct eval_file **f)
{
	struct slice head, tail, digits;
	int64_t line;

	for (ptrdiff_t colon, at = 0; (colon = slice_chr(slice_from(*message, (size_t)at), ':')) >= 0; at += colon + 1) {
		head = slice_upto(*message, (size_t)(at + colon));
		tail = slice_from(*message, (size_t)(at + colon) + 1);
		if (!slice_cut(tail, ':', &digits, &tail) || slice_to_i64(digits, 1, INT32_MAX, &line) < 0)
			continue;
		*f = file_of_chunk(w, head);
		*message = slice_trim(tail);
		return (int)line;
	}
	return 0;
}

/* The last 'quoted' word of a message, which Lua ends with what it stumbled over. */
static struct slice quoted_word(struct slice message)
{
	const char *end = message.len ? memrchr(message.ptr, '\'', message.len) : NULL;
	const char *begin = end ? memrchr(message.ptr, '\'', (size_t)(end - message.ptr)) : NULL;

	return begin ? (struct slice){ begin + 1, (size_t)(end - begin) - 1 } : SLICE_NULL;
}

/* "… expected (to close '{' at line 12) near …": 12, or 0. */
static int opener_line(struct slice message)
{
	static const struct slice marker = { "' at line ", 10 };
	ptrdiff_t open = slice_find(message, SLICE("(to close '"));
	struct slice rest = open < 0 ? SLICE_NULL : slice_from(message, (size_t)open), digits;
	ptrdiff_t at = slice_find(rest, marker);
	int64_t line;

	if (at < 0 || !slice_cut(slice_from(rest, (size_t)at + marker.len), ')', &digits, &(struct slice){ 0 }) ||
	    slice_to_i64(digits, 1, INT32_MAX, &line) < 0)
		return 0;
	return (int)line;
}

static void say_brace(struct world *w, const struct eval_file *f, struct slice message)
{
	int line = slice_find(message, SLICE("(to close '{'")) >= 0 ? opener_line(message) : 0;

	if (line)
		diags_add(w->diags, DIAG_NOTE, f->path, line, places_brace(f->places, line), 0, "", "this is the brace that is open");
}

/* "… near '"a\d'": the column of that backslash on LINE of F, as far as the line's text tells; 0. */
static int escape_column(const struct eval_file *f, int line, struct slice message)
{
	struct slice word = quoted_word(message), text = buf_slice(&f->text), row = SLICE_NULL;
	const char *last = word.len ? memrchr(word.ptr, '\\', word.len) : NULL;

	for (int n = 0; n < line; n++)
		slice_cut(text, '\n', &row, &text);
	for (size_t i = 0; last && i + 1 < row.len; i++) {
		if (row.ptr[i] != '\\')
			continue;
		if (slice_starts(slice_from(row, i), slice_from(word, (size_t)(last - word.ptr))))
			return (int)i + 1;
		i++;                            /* what an escape escapes */
	}
	return 0;
}

static void say_error(struct world *w, struct slice message, const char *code)
{
	const struct eval_file *f = w->file;
	int line = cut_place(w, &message, &f), col = 0;
	int fault = f->places ? places_first_fault(f->places) : 0, opener = opener_line(message);

	if (w->is_unreadable && f == w->file)
		w->out->unread_line = fault && fault <= line ? fault : opener ? opener : line;
	if (fault && fault <= line && (w->is_unreadable || line <= fault + 2))
		return;                                 /* a consequence of what has been said */
	if (line && places_word(f->places, quoted_word(message), line, PLACE_ANY, &col) != line)
		col = 0;
	int is_escape = slice_starts(message, SLICE("invalid escape sequence"));
	if (line && is_escape)
		col = escape_column(f, line, message);
	diags_add(w->diags, DIAG_ERROR, f->path, line, col, 0, code, SLICE_FMT "%s", SLICE_ARG(slice_upto(message, 400)),
		  is_escape ? "; a text with backslashes is written [[…]], or each of them twice" : "");
	say_brace(w, f, message);
}

/* Calls FN in protected mode, with ARG unless negative. */
static int guarded(struct world *w, lua_CFunction fn, lua_Integer arg)
{
	lua_State *L = w->L;
	char fallback[80];

	lua_settop(L, 0);
	lua_pushcfunction(L, fn);
	lua_pushinteger(L, arg);
	int status = lua_pcall(L, 1, 0, 0);
	if (status == LUA_OK)
		return 0;
	struct slice message = slice_of(fallback);
	snprintf(fallback, sizeof fallback, "the error is %s", luaL_typename(L, -1));
	if (status == LUA_ERRMEM)
		snprintf(fallback, sizeof fallback, "this file needs more than %d MiB of memory", WORLD_MAX_MEMORY >> 20);
	else if (lua_type(L, -1) == LUA_TSTRING)
		message.ptr = lua_tolstring(L, -1, &message.len);
	if (status == LUA_ERRMEM || lua_type(L, -1) != LUA_TSTRING)
		message = slice_of(fallback);
	say_error(w, message, w->is_unreadable ? "E001" : "E006");
	return -1;
}

/* ---- the whole ---- */

static int begin(struct world *w)
{
	w->L = lua_newstate(allocate, w);
	if (!w->L) {
		diags_add(w->diags, DIAG_ERROR, w->file->path, 0, 0, 0, "E006", "there is no memory for a Lua state");
		return -1;
	}
	*(struct world **)lua_getextraspace(w->L) = w;
	return guarded(w, set_up, 0);
}

/* The file is run, and what it declared becomes data; where it stopped half way, the last declaration may have no table. */
static void declare_all(struct world *w)
{
	int is_whole = guarded(w, run, 0) == 0;

	lua_sethook(w->L, NULL, 0, 0);
	for (size_t i = 0; i < w->out->n; i++) {
		struct world_decl *d = &w->out->list[i];
		const struct place_table *table;
		if (w->refs[i].table != LUA_NOREF) {
			if (guarded(w, write_decl, (lua_Integer)i) < 0)
				buf_clear(&d->value);
			continue;
		}
		d->col = places_declaration(w->file->places, d->kind, slice_of(d->name), d->line, &table);
		if (is_whole && d->name)
			diags_add(w->diags, DIAG_ERROR, w->file->path, d->line, d->col, 0, "E011", "%s \"%s\" has no table: %s \"%s\" { … }",
				  d->kind, d->name, d->kind, d->name);
	}
}

static void finish(struct world *w)
{
	if (w->L)
		lua_close(w->L);
	free(w->refs);
}

static int decl_equals(const struct world_decl *a, const struct world_decl *b)
{
	return strcmp(a->kind, b->kind) == 0 && slice_eq(slice_of(a->name), slice_of(b->name)) && a->line == b->line &&
	       slice_eq(buf_slice(&a->value), buf_slice(&b->value));
}

static void compare(struct world *w, const struct world_result *again)
{
	const struct world_result *first = w->out;
	size_t i = 0, least = first->n < again->n ? first->n : again->n;

	while (i < least && decl_equals(&first->list[i], &again->list[i]))
		i++;
	if (i == first->n && i == again->n)
		return;
	const struct world_decl *d = i < first->n ? &first->list[i] : NULL;
	diags_add(w->diags, DIAG_ERROR, w->file->path, d ? d->line : 0, d ? d->col : 0, 0, "E013",
		  "read a second time, this file says something else%s: a rule file must give the same data each time",
		  d ? " from here on" : "");
}

/* While the first state lives, so that no address is the same. */
static void run_again(struct world *first)
{
	struct diags unheard = { 0 };
	struct world_result out = { 0 };
	struct world w = { .files = first->files, .file = first->file, .out = &out, .diags = &unheard };

	if (begin(&w) == 0)
		declare_all(&w);
	compare(first, &out);
	finish(&w);
	world_result_fini(&out);
	diags_fini(&unheard);
}

void world_run(const struct eval_files *files, const struct eval_file *f, struct world_result *out, struct diags *diags)
{
	struct world w = { .files = files, .file = f, .out = out, .diags = diags };
	int errors = diags->errors;

	*out = (struct world_result){ 0 };
	if (begin(&w) == 0)
		declare_all(&w);
	if (diags->errors == errors && !f->is_builtin)
		run_again(&w);
	finish(&w);
}

void world_compile(const struct eval_files *files, const struct eval_file *f, struct diags *diags)
{
	struct world_result none = { 0 };
	struct world w = { .files = files, .file = f, .out = &none, .diags = diags };

	if (begin(&w) == 0)
		guarded(&w, compile, 0);
	finish(&w);
}

void world_result_fini(struct world_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->list[i].kind);
		free(r->list[i].name);
		buf_fini(&r->list[i].value);
	}
	free(r->list);
	*r = (struct world_result){ 0 };
}
