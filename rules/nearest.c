/* rules/nearest.c - what a document has where a path found nothing. The path is followed step by step to the one that goes
 * astray; what stands there says what could have been meant. For `explain`, which may take its time. */
#include "rules/nearest.h"

#include <string.h>

#include "rules/diag.h"
#include "rules/jscan.h"
#include "rules/paths.h"

#define KEYS_MAX 200                    /* looked at, of one object */
#define SHOWN_MAX 6

struct keys {
	struct buf text;                /* each with a NUL behind */
	const char *list[KEYS_MAX + 1];
	size_t n;
	int has_more;
};

/* ---- one step into a value ---- */

static void add_text(const struct jstring *raw, struct buf *out)
{
	if (raw->raw.len)
		buf_grew(out, jscan_unescape(raw->raw, buf_room(out, raw->raw.len)));
}

/* The members of OBJECT: FN is called with each key and value until it returns 1, which is then returned. */
typedef int member_fn(void *arg, struct slice key, struct slice value);

static int each_member(struct slice object, member_fn *fn, void *arg)
{
	CLEANUP(buf_fini) struct buf text = BUF(EXTRACT_MAX_BYTES);
	struct jscan s;
	struct jstring key;
	int stop = 0;

	jscan_init(&s, object, NULL);
	if (jscan_peek(&s) != '{' || jscan_enter(&s, 1) < 0)
		return 0;
	while (!stop && jscan_peek(&s) == '"' && jscan_key(&s, &key) == 0) {
		const char *begin = s.p;
		if (jscan_skip(&s, 1) < 0)
			return 0;
		buf_clear(&text);
		add_text(&key, &text);
		stop = fn(arg, buf_slice(&text), (struct slice){ begin, (size_t)(s.p - begin) });
		jscan_space(&s);
		s.p += jscan_peek(&s) == ',';
		jscan_space(&s);
	}
	return stop;
}

struct finding_key { struct slice key, value; int is_found; };

static int take_if_key(void *arg, struct slice key, struct slice value)
{
	struct finding_key *f = arg;
	if (slice_eq(key, f->key)) {
		f->value = value;
		f->is_found = 1;
	}
	return 0;                               /* the last of repeated keys is the one */
}

/* Element AT of ARRAY; *n: how many there are. */
static int element(struct slice array, size_t at, struct slice *out, size_t *n)
{
	struct jscan s;
	int is_found = 0;

	*n = 0;
	jscan_init(&s, array, NULL);
	if (jscan_peek(&s) != '[' || jscan_enter(&s, 1) < 0)
		return 0;
	while (jscan_peek(&s) != ']' && jscan_peek(&s) != '\0') {
		const char *begin = s.p;
		if (jscan_skip(&s, 1) < 0)
			return is_found;
		if ((*n)++ == at) {
			*out = (struct slice){ begin, (size_t)(s.p - begin) };
			is_found = 1;
		}
		jscan_space(&s);
		s.p += jscan_peek(&s) == ',';
		jscan_space(&s);
	}
	return is_found;
}

static int step_into(struct slice at, const struct path_step *step, struct slice key, struct slice *out)
{
	struct finding_key f = { .key = key };
	size_t n;

	if (step->kind != STEP_KEY)
		return element(at, step->kind == STEP_INDEX ? step->at : 0, out, &n);
	each_member(at, take_if_key, &f);
	if (f.is_found)
		*out = f.value;
	return f.is_found;
}

/* ---- the whole way ---- */

struct way {
	struct slice at;                /* the text of the value that was reached */
	struct slice before, rest;      /* of the path: what leads there, what does not go on */
	struct path_step step;          /* the first of REST */
	struct buf key;
};

/* 1: the path leads through. Below [] the first element stands for all. */
static int follow(struct slice json, struct slice path, struct way *w)
{
	struct slice rest = path, next;

	w->at = slice_trim(json);
	while (rest.len) {
		w->rest = rest;
		w->before = slice_upto(path, path.len - rest.len);
		if (path_step_parse(&rest, w->before.len == 0, &w->step, &w->key, NULL) < 0)
			return 0;
		if (!step_into(w->at, &w->step, buf_slice(&w->key), &next))
			return 0;
		w->at = next;
	}
	return 1;
}

static int leads_through(struct slice json, struct slice path)
{
	struct way w = { .key = BUF(PATH_MAX_BYTES) };
	int yes = path.len <= PATH_MAX_BYTES && follow(json, path, &w);
	buf_fini(&w.key);
	return yes;
}

static int add_key(void *arg, struct slice key, struct slice value)
{
	struct keys *k = arg;

	(void)value;
	if (memchr(key.ptr ? key.ptr : "", 0, key.len))
		return 0;
	if (k->n == KEYS_MAX) {
		k->has_more = 1;
		return 1;
	}
	k->n++;
	buf_add(&k->text, key);
	buf_addc(&k->text, '\0');
	return 0;
}

static void keys_init(struct keys *k, struct slice object)
{
	size_t at = 0;

	*k = (struct keys){ .text = BUF(EXTRACT_MAX_BYTES + KEYS_MAX) };
	each_member(object, add_key, k);
	for (size_t i = 0; i < k->n; i++) {
		k->list[i] = k->text.ptr + at;
		at += strlen(k->list[i]) + 1;
	}
}

/* ---- in words ---- */

static int is_word(struct slice key)
{
	for (size_t i = 0; i < key.len; i++)
		if ((signed char)key.ptr[i] <= 0x20 || key.ptr[i] == 0x7f || memchr(".[]\",\\", key.ptr[i], 6))
			return 0;
	return key.len > 0;
}

/* The path to KEY within what BEFORE leads to, as one would write it. */
static void add_path(struct slice before, const char *key, struct buf *out)
{
	buf_add(out, before);
	if (!is_word(slice_of(key))) {
		path_of_key(slice_of(key), out);
		return;
	}
	buf_adds(out, before.len ? "." : "");
	buf_adds(out, key);
}

/* Printed where strangers' bytes must do no harm. */
static void say_path(struct slice path, struct buf *out)
{
	int is_plain = 1;

	for (size_t i = 0; i < path.len; i++)
		is_plain &= (unsigned char)path.ptr[i] >= 0x20 && (unsigned char)path.ptr[i] < 0x7f;
	if (is_plain)
		buf_add(out, path);
	else
		buf_add_json(out, path);
}

static void in_object(struct slice json, const struct way *w, struct buf *out)
{
	CLEANUP(buf_fini) struct buf path = BUF(2 * PATH_MAX_BYTES + EXTRACT_MAX_BYTES);
	struct keys keys;

	keys_init(&keys, w->at);
	const char *meant = w->step.kind == STEP_KEY ? did_you_mean(buf_slice((struct buf *)(uintptr_t)&w->key), keys.list) : NULL;
	if (meant) {
		struct slice rest = w->rest;
		struct path_step step;
		CLEANUP(buf_fini) struct buf key = BUF(PATH_MAX_BYTES);
		if (path_step_parse(&rest, w->before.len == 0, &step, &key, NULL) < 0)
			rest = SLICE_NULL;
		add_path(w->before, meant, &path);
		size_t alone = path.len;
		buf_add(&path, rest);
		buf_adds(out, "; did you mean ");
		say_path(leads_through(json, buf_slice(&path)) ? buf_slice(&path) : slice_upto(buf_slice(&path), alone), out);
		buf_addc(out, '?');
	}
	buf_adds(out, !meant && keys.n ? "; nearest:" : "");
	for (size_t i = 0; !meant && i < keys.n && i < SHOWN_MAX; i++) {
		buf_clear(&path);
		add_path(w->before, keys.list[i], &path);
		buf_adds(out, i ? ", " : " ");
		say_path(buf_slice(&path), out);
	}
	buf_adds(out, !meant && (keys.n > SHOWN_MAX || keys.has_more) ? ", …" : "");
	buf_fini(&keys.text);
}

/* What BEFORE leads to is a list, or has no parts at all. */
static void in_other(struct slice json, const struct way *w, struct buf *out)
{
	CLEANUP(buf_fini) struct buf path = BUF(2 * PATH_MAX_BYTES);
	struct slice first;
	size_t n = 0;

	if (w->at.len && w->at.ptr[0] != '[') {
		buf_adds(out, "; ");
		say_path(w->before, out);
		buf_adds(out, " is no object and no list");
		return;
	}
	element(w->at, 0, &first, &n);
	buf_adds(out, "; ");
	say_path(w->before.len ? w->before : SLICE("the whole"), out);
	buf_addf(out, n == 1 ? " is a list of %zu" : " is a list of %zu elements", n);
	buf_add(&path, w->before);
	buf_adds(&path, "[]");
	buf_adds(&path, w->before.len ? "" : ".");
	buf_add(&path, w->rest);
	if (w->step.kind != STEP_KEY || !leads_through(json, buf_slice(&path)))
		return;
	buf_adds(out, ": did you mean ");
	say_path(buf_slice(&path), out);
	buf_addc(out, '?');
}

void nearest_path(struct slice json, struct slice path, struct buf *out)
{
	struct way w = { .key = BUF(PATH_MAX_BYTES) };

	if (!follow(json, path, &w) && w.at.len) {
		if (w.at.ptr[0] == '{')
			in_object(json, &w, out);
		else
			in_other(json, &w, out);
	}
	buf_fini(&w.key);
}

void nearest_name(struct slice json, struct slice name, struct buf *out)
{
	struct keys keys;

	keys_init(&keys, slice_trim(json));
	const char *meant = did_you_mean(name, keys.list);
	if (meant) {
		buf_adds(out, "; did you mean ");
		say_path(slice_of(meant), out);
		buf_addc(out, '?');
	}
	buf_adds(out, !meant && keys.n ? "; there are" : "");
	for (size_t i = 0; !meant && i < keys.n && i < SHOWN_MAX; i++) {
		buf_adds(out, i ? ", " : " ");
		say_path(slice_of(keys.list[i]), out);
	}
	buf_adds(out, !meant && (keys.n > SHOWN_MAX || keys.has_more) ? ", …" : "");
	buf_fini(&keys.text);
}
