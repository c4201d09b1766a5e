/* A pattern, a newline, a text: glob_matches must say what the definition says, worked out as a table over all beginnings
 * of both. Both are taken byte by byte, so only ASCII is compared; other bytes must do no harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/glob.h"

#define SIDE 128

static int is_ascii(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.ptr[i] >= 0x80)
			return 0;
	return 1;
}

static size_t run_of_stars(struct slice p, size_t i)
{
	size_t n = 0;
	while (i + n < p.len && p.ptr[i + n] == '*')
		n++;
	return n;
}

struct row {                            /* of one place K in the text, by the place I in the pattern */
	unsigned char fresh[SIDE + 2];  /* the pattern from I on matches the text from K on */
	unsigned char eating[SIDE + 2]; /* likewise, the run of stars at I having eaten something already */
};

static int one(struct slice p, struct slice t, size_t i, size_t k, struct row *row, const struct row *below)
{
	char c = k < t.len ? t.ptr[k] : 0;
	size_t stars = run_of_stars(p, i);

	if (stars == 0)
		return k < t.len && (p.ptr[i] == '?' ? c != '/' : p.ptr[i] == c) && below->fresh[i + 1];
	row->eating[i] = row->fresh[i + stars] || (k < t.len && (stars > 1 || c != '/') && below->eating[i]);
	int is_folder = stars > 1 && i + stars < p.len && p.ptr[i + stars] == '/' && (i == 0 || p.ptr[i - 1] == '/');
	return row->eating[i] || (is_folder && row->fresh[i + stars + 1]);
}

/* Rows are filled from the text's end. */
static int by_table(struct slice p, struct slice t)
{
	static struct row rows[SIDE + 2];

	for (size_t k = t.len + 1; k-- > 0;) {
		rows[k].fresh[p.len] = k == t.len;
		for (size_t i = p.len; i-- > 0;)
			rows[k].fresh[i] = (unsigned char)one(p, t, i, k, &rows[k], &rows[k + 1]);
	}
	return rows[0].fresh[0];
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct slice pattern, text;
	struct glob *g;

	slice_cut((struct slice){ (const char *)bytes, n }, '\n', &pattern, &text);
	if (glob_compile(pattern, &g, NULL) < 0)
		return 0;
	int got = glob_matches(g, text);
	if (pattern.len <= SIDE && text.len <= SIDE && is_ascii(pattern) && is_ascii(text) && got != by_table(pattern, text))
		abort();
	glob_free(g);
	return 0;
}
