/* rules/place.c - a path's values, and those of the lists that they are. */
#include "rules/place.h"

#include <assert.h>
#include <stdlib.h>

#include "rules/paths.h"

/* Where the list ends that the first [] of PATH walks; -1 without one. A quoted key may hold anything. */
static ptrdiff_t first_walk(struct slice path)
{
	char quote = 0;

	for (size_t i = 0; i + 1 < path.len; i++) {
		char c = path.ptr[i];
		if (quote && c == '\\')
			i++;
		else if (quote && c == quote)
			quote = 0;
		else if (!quote && c == '"')
			quote = c;
		else if (!quote && c == '[' && path.ptr[i + 1] == ']')
			return (ptrdiff_t)i;
	}
	return -1;
}

int place_add(struct paths *paths, struct slice path, struct place *out, struct err *e)
{
	CLEANUP(buf_fini) struct buf elements = BUF(BUF_UNLIMITED);

	*out = NO_PLACE;
	if (path.len > PLACE_MAX_BYTES)
		return err_set(e, ERR_INPUT, "a path of %zu bytes, the most is %d", path.len, PLACE_MAX_BYTES);
	int self = paths_add(paths, path, e);
	if (self < 0)
		return -1;
	buf_add(&elements, path);
	buf_adds(&elements, "[]");
	if ((out->elements = paths_add(paths, buf_slice(&elements), e)) < 0)
		return -1;
	ptrdiff_t walk = first_walk(path);
	if (walk > 0 && (out->list = paths_add(paths, slice_upto(path, (size_t)walk), e)) < 0)
		return -1;
	out->self = self;
	return 0;
}

static_assert(PLACE_MAX_BYTES + 2 == PATH_MAX_BYTES, "room for []");

static size_t count_lists(const struct value *v, size_t n)
{
	size_t lists = 0;
	for (size_t i = 0; i < n; i++)
		lists += v[i].kind == VALUE_ARRAY;
	return lists;
}

/* Some values are lists, some are not: all elements and all others, in one list. */
static struct value *mix(const struct value *own, size_t n, const struct value *elements, size_t n_elements, size_t *total)
{
	struct value *out = xmalloc((n + n_elements) * sizeof *out);

	*total = 0;
	for (size_t i = 0; i < n; i++)
		if (own[i].kind != VALUE_ARRAY)
			out[(*total)++] = own[i];
	for (size_t i = 0; i < n_elements; i++)
		out[(*total)++] = elements[i];
	return out;
}

void place_look(const struct place *p, const struct values *values, struct finding *f, struct value **mixed)
{
	size_t n = 0, n_elements, n_list;

	*f = (struct finding){ .presence = FOUND_NOTHING };
	*mixed = NULL;
	const struct value *v = values_get(values, p->self, &n);
	const struct value *list = p->list >= 0 ? values_get(values, p->list, &n_list) : NULL;
	f->is_list = p->list >= 0;
	f->is_cut = f->is_list && values_is_truncated(values);
	f->none_had_it = f->is_list && n == 0;
	if (n == 0 && !(list && n_list && list[0].kind == VALUE_ARRAY))
		return;
	f->presence = FOUND_VALUES;
	f->values = v;
	f->n = n;
	size_t lists = count_lists(v, n);
	if (!lists)
		return;
	const struct value *elements = values_get(values, p->elements, &n_elements);
	f->is_list = 1;
	f->is_cut |= values_is_truncated(values);
	f->values = elements;
	f->n = n_elements;
	if (lists < n)
		f->values = *mixed = mix(v, n, elements, n_elements, &f->n);
}
