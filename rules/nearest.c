/* rules/nearest.c - what a payload has where a path found nothing: the members of the deepest object on its way. For
 * `explain`, which may take its time: a pass per question, and the names of one object. */
#include <string.h>

#include "rules/jscan.h"
#include "rules/paths.h"

static void paths_freep(struct paths **p)
{
	paths_free(*p);
}

static void values_freep(struct values **v)
{
	values_free(*v);
}

/* The text of the deepest object that a beginning of PATH leads to; the first one below a []. */
static struct slice deepest_object(struct slice json, struct slice path)
{
	CLEANUP(paths_freep) struct paths *p = paths_new();
	CLEANUP(values_freep) struct values *v = NULL;
	CLEANUP(buf_fini) struct buf key = BUF(PATH_MAX_BYTES);
	struct path_step step;
	struct slice found = slice_trim(json);

	for (struct slice rest = path; rest.len;) {
		if (path_step_parse(&rest, rest.ptr == path.ptr, &step, &key, NULL) < 0)
			break;
		if (rest.len && paths_add(p, slice_upto(path, path.len - rest.len), NULL) < 0)
			break;
	}
	if (extract(p, json, &v, NULL) < 0)
		return SLICE_NULL;
	for (size_t i = 0; i < paths_count(p); i++) {
		size_t n;
		const struct value *value = values_get(v, (int)i, &n);
		if (n > 0 && value->kind == VALUE_OBJECT)
			found = value->text;
	}
	return found;
}

static int is_word(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if ((signed char)key.ptr[i] <= 0x20 || key.ptr[i] == 0x7f || memchr(".[]\",", key.ptr[i], 5))
			return 0;
	return key.len > 0;
}

static void add_key(const struct jstring *raw, struct buf *out)
{
	CLEANUP(buf_fini) struct buf key = BUF(EXTRACT_MAX_BYTES);

	if (raw->raw.len)
		buf_grew(&key, jscan_unescape(raw->raw, buf_room(&key, raw->raw.len)));
	if (is_word(buf_slice(&key)))
		buf_add(out, buf_slice(&key));
	else
		buf_add_json(out, buf_slice(&key));
}

void extract_nearest(struct slice json, struct slice path, struct buf *out, int max)
{
	struct jscan s;
	struct jstring key;
	struct slice object = deepest_object(json, path);

	jscan_init(&s, object, NULL);
	if (jscan_peek(&s) != '{' || jscan_enter(&s, 1) < 0)
		return;
	for (int n = 0; jscan_peek(&s) == '"' && jscan_key(&s, &key) == 0 && jscan_skip(&s, 1) == 0; n++) {
		buf_adds(out, n == 0 ? "" : ", ");
		if (n == max) {
			buf_adds(out, "…");
			return;
		}
		add_key(&key, out);
		jscan_space(&s);
		s.p += jscan_peek(&s) == ',';
		jscan_space(&s);
	}
}
