/* eval/data.c - walk a Lua value and the constructor it was written as, side by side. Members are written in the order of
 * their keys, so that equal data gives equal text. What is no data is reported, and its place is held by {"null":1,"bad":1}. */
#include "eval/data.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "eval/places.h"
#include "eval/thing.h"

struct shape {                          /* of a table */
	size_t items, keys;
	int is_broken;
};

static PRINTF(2, 3) void bad(struct data_writer *w, const char *fmt, ...)
{
	va_list ap;
	CLEANUP(freep) char *text = NULL;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	diags_add(w->diags, DIAG_ERROR, w->file, w->line, w->col, 0, "E007", "%s", text);
}

static void write_bad(struct data_writer *w)
{
	buf_adds(w->out, "{\"null\":1,\"bad\":1}");
}

static void write_string(struct data_writer *w, struct slice s)
{
	if (!utf8_is_valid(s) || slice_chr(s, '\0') >= 0) {
		bad(w, "this string is not UTF-8 text");
		write_bad(w);
		return;
	}
	buf_add_json(w->out, s);
}

static void write_number(struct data_writer *w, lua_State *L, int index)
{
	char text[40];

	if (lua_isinteger(L, index)) {
		buf_addi(w->out, lua_tointeger(L, index));
		return;
	}
	double v = lua_tonumber(L, index);
	if (!isfinite(v)) {
		bad(w, "this number is not finite");
		write_bad(w);
		return;
	}
	snprintf(text, sizeof text, "%.17g", v);
	buf_adds(w->out, text);
	if (!strpbrk(text, ".e"))
		buf_adds(w->out, ".0");
}

static void write_thing(struct data_writer *w, const struct thing *t)
{
	switch (t->kind) {
	case THING_NULL:
		buf_adds(w->out, "{\"null\":1}");
		return;
	case THING_SECRET:
		buf_adds(w->out, "{\"secret\":");
		buf_add_json(w->out, slice_of(t->name));
		buf_addc(w->out, '}');
		return;
	case THING_LATER:
		bad(w, "'%s' is not there while the files are read", t->name);
		break;
	case THING_PENDING:
		bad(w, "%s is a declaration: it cannot stand in a table", t->name);
		break;
	case THING_WRONG:
		break;
	}
	write_bad(w);
}

/* ---- tables ---- */

static void check_list(lua_State *L, int index, struct data_writer *w, const struct place_table *at, struct shape *s, lua_Integer last)
{
	if ((lua_Integer)s->items == last)
		return;
	s->is_broken = 1;
	for (size_t i = 0; at && i < at->n; i++)
		if (at->fields[i].is_nil)
			return;                         /* said by the token pass */
	for (lua_Integer i = 1; i <= last; i++) {
		int type = lua_rawgeti(L, index, i);
		lua_pop(L, 1);
		if (type == LUA_TNIL) {
			bad(w, "item %lld of this list is nil", (long long)i);
			return;
		}
	}
}

/* One key, on top of the stack: -1 where no table of data has such. */
static int add_key(lua_State *L, struct shape *s, lua_Integer *last)
{
	if (lua_type(L, -1) == LUA_TSTRING) {
		s->keys++;
		return 0;
	}
	if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1)
		return -1;
	s->items++;
	if (lua_tointeger(L, -1) > *last)
		*last = lua_tointeger(L, -1);
	return 0;
}

static struct shape shape_of(lua_State *L, int index, struct data_writer *w, const struct place_table *at)
{
	struct shape s = { 0 };
	lua_Integer last = 0;

	lua_pushnil(L);
	while (lua_next(L, index)) {
		lua_pop(L, 1);
		if (add_key(L, &s, &last) == 0)
			continue;
		bad(w, "a key is a string, and this table has %s among its keys", lua_typename(L, lua_type(L, -1)));
		lua_pop(L, 1);
		s.is_broken = 1;
		return s;
	}
	check_list(L, index, w, at, &s, last);
	return s;
}

static int by_text(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

/* The string keys, sorted, in memory that Lua owns, left on the stack. The table keeps the strings alive. */
static struct slice *sorted_keys(lua_State *L, int index, size_t n)
{
	struct slice *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
	size_t at = 0;

	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (lua_type(L, -2) == LUA_TSTRING)
			keys[at].ptr = lua_tolstring(L, -2, &keys[at].len), at++;
		lua_pop(L, 1);
	}
	if (n)
		qsort(keys, n, sizeof *keys, by_text);
	return keys;
}

static void write_value(lua_State *L, int index, const struct place_table *at, struct data_writer *w);

/* The value on top of the stack, which goes; its place is F's, where there is one. */
static void write_child(lua_State *L, const struct place_field *f, struct data_writer *w)
{
	int line = w->line, col = w->col;

	if (f) {
		w->line = f->value_line;
		w->col = f->value_col;
	}
	write_value(L, lua_gettop(L), f ? f->table : NULL, w);
	w->line = line;
	w->col = col;
	lua_pop(L, 1);
}

static void write_items(lua_State *L, int index, size_t n, const struct place_table *at, struct data_writer *w)
{
	buf_adds(w->out, ",\"l\":[");
	for (size_t i = 0; i < n; i++) {
		buf_adds(w->out, i ? "," : "");
		lua_rawgeti(L, index, (lua_Integer)i + 1);
		write_child(L, at ? place_item(at, i) : NULL, w);
	}
	buf_adds(w->out, "]");
	if (!at)
		return;
	buf_adds(w->out, ",\"lat\":[");
	for (size_t i = 0; i < n && i < at->n_items; i++)
		buf_addf(w->out, "%s[%d,%d]", i ? "," : "", place_item(at, i)->line, place_item(at, i)->col);
	buf_adds(w->out, "]");
}

static void write_key_places(const struct slice *keys, size_t n, const struct place_table *at, struct data_writer *w)
{
	const char *gap = "";

	buf_adds(w->out, ",\"mat\":{");
	for (size_t i = 0; i < n; i++) {
		const struct place_field *f = place_key(at, keys[i]);
		if (!f)
			continue;
		buf_adds(w->out, gap);
		buf_add_json(w->out, keys[i]);
		buf_addf(w->out, ":[%d,%d,%d,%d]", f->line, f->col, f->value_line, f->value_col);
		gap = ",";
	}
	buf_addc(w->out, '}');
}

/* Keys that were given nil are held by something, so that nobody misses them a second time. */
static void write_nils(lua_State *L, int index, const struct place_table *at, struct data_writer *w, const char *gap)
{
	for (size_t i = 0; i < at->n; i++) {
		const struct place_field *f = &at->fields[i];
		if (!f->is_nil || !f->key.ptr || place_key(at, f->key) != f)
			continue;
		lua_pushlstring(L, f->key.ptr, f->key.len);
		if (lua_rawget(L, index) == LUA_TNIL) {
			buf_adds(w->out, gap);
			buf_add_json(w->out, f->key);
			buf_addc(w->out, ':');
			write_bad(w);
			gap = ",";
		}
		lua_pop(L, 1);
	}
}

static void write_members(lua_State *L, int index, size_t n, const struct place_table *at, struct data_writer *w)
{
	const struct slice *keys = sorted_keys(L, index, n);

	buf_adds(w->out, ",\"m\":{");
	for (size_t i = 0; i < n; i++) {
		buf_adds(w->out, i ? "," : "");
		write_string(w, keys[i]);
		buf_addc(w->out, ':');
		lua_pushlstring(L, keys[i].ptr, keys[i].len);
		lua_rawget(L, index);
		write_child(L, at ? place_key(at, keys[i]) : NULL, w);
	}
	if (at)
		write_nils(L, index, at, w, n ? "," : "");
	buf_addc(w->out, '}');
	if (at)
		write_key_places(keys, n, at, w);
	lua_pop(L, 1);
}

static int keys_are_text(lua_State *L, int index, struct data_writer *w)
{
	int ok = 1;

	lua_pushnil(L);
	while (lua_next(L, index)) {
		struct slice key = SLICE_NULL;
		if (lua_type(L, -2) == LUA_TSTRING)
			key.ptr = lua_tolstring(L, -2, &key.len);
		ok = ok && utf8_is_valid(key) && (!key.len || slice_chr(key, '\0') < 0);
		lua_pop(L, 1);
	}
	if (!ok)
		bad(w, "a key of this table is not UTF-8 text");
	return ok;
}

static void write_table(lua_State *L, int index, const struct place_table *at, struct data_writer *w)
{
	struct shape s = shape_of(L, index, w, at);

	if (s.is_broken || !keys_are_text(L, index, w)) {
		write_bad(w);
		return;
	}
	buf_addf(w->out, "{\"at\":[%d,%d]", at ? at->line : w->line, at ? at->col : w->col);
	if (s.items)
		write_items(L, index, s.items, at, w);
	if (s.keys || (at && at->n_keys))
		write_members(L, index, s.keys, at, w);
	buf_addc(w->out, '}');
}

static void write_value(lua_State *L, int index, const struct place_table *at, struct data_writer *w)
{
	struct slice s;

	if (++w->values > DATA_MAX_VALUES || w->depth >= DATA_MAX_DEPTH || !lua_checkstack(L, 10)) {
		if (w->values <= DATA_MAX_VALUES + 1)
			bad(w, w->depth >= DATA_MAX_DEPTH ? "tables are nested deeper than %d" : "there are more than %d values",
			    w->depth >= DATA_MAX_DEPTH ? DATA_MAX_DEPTH : DATA_MAX_VALUES);
		write_bad(w);
		return;
	}
	switch (lua_type(L, index)) {
	case LUA_TSTRING:
		s.ptr = lua_tolstring(L, index, &s.len);
		write_string(w, s);
		return;
	case LUA_TNUMBER:
		write_number(w, L, index);
		return;
	case LUA_TBOOLEAN:
		buf_adds(w->out, lua_toboolean(L, index) ? "true" : "false");
		return;
	case LUA_TFUNCTION:
		buf_adds(w->out, "{\"fn\":1}");
		return;
	case LUA_TUSERDATA:
		write_thing(w, thing_at(L, index));
		return;
	case LUA_TTABLE:
		w->depth++;
		write_table(L, index, at, w);
		w->depth--;
		return;
	}
	bad(w, "%s is no value for a rule file", lua_typename(L, lua_type(L, index)));
	write_bad(w);
}

void data_write(lua_State *L, int index, const struct place_table *table, struct data_writer *w)
{
	write_value(L, lua_absindex(L, index), table, w);
}
