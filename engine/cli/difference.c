/* cli/difference.c - the longest common subsequence of lines, by the table that is taught; texts here are short. */
#include "cli/difference.h"

#include <stdlib.h>

#define CONTEXT 2

struct lines {
	struct slice *list;
	size_t n;
};

static struct lines split(struct slice text)
{
	struct lines out = { 0 };

	while (text.len && out.n <= DIFFERENCE_LINES_MAX) {
		if ((out.n & (out.n - 1)) == 0)
			out.list = xrealloc(out.list, (out.n ? 2 * out.n : 1) * sizeof *out.list);
		slice_cut(text, '\n', &out.list[out.n], &text);
		out.n++;
	}
	return out;
}

struct paper {
	const char *indent;
	struct buf *out;
	struct slice before[CONTEXT];           /* common lines that wait for a difference */
	size_t n_before, after;                 /* after: common lines that are still shown */
	int is_begun, is_cut;
};

static void put(struct paper *p, char mark, struct slice line)
{
	buf_addf(p->out, "%s%c " SLICE_FMT "\n", p->indent, mark, SLICE_ARG(line));
}

static void common(struct paper *p, struct slice line)
{
	if (p->after) {
		p->after--;
		put(p, ' ', line);
		return;
	}
	if (p->n_before == CONTEXT) {
		for (size_t i = 1; i < CONTEXT; i++)
			p->before[i - 1] = p->before[i];
		p->n_before--;
		p->is_cut = 1;
	}
	p->before[p->n_before++] = line;
}

static void different(struct paper *p, char mark, struct slice line)
{
	if (p->is_cut && p->is_begun)
		put(p, ' ', SLICE("\xe2\x80\xa6"));
	for (size_t i = 0; i < p->n_before; i++)
		put(p, ' ', p->before[i]);
	p->n_before = 0;
	p->is_cut = 0;
	p->is_begun = 1;
	p->after = CONTEXT;
	put(p, mark, line);
}

/* TABLE[i][k]: the length of what A from i and B from k have in common. */
static void walk(const struct lines *a, const struct lines *b, const uint16_t *table, struct paper *p)
{
	size_t i = 0, k = 0, wide = b->n + 1;

	while (i < a->n || k < b->n) {
		if (i < a->n && k < b->n && slice_eq(a->list[i], b->list[k])) {
			common(p, a->list[i++]);
			k++;
		} else if (k == b->n || (i < a->n && table[(i + 1) * wide + k] >= table[i * wide + k + 1])) {
			different(p, '-', a->list[i++]);
		} else {
			different(p, '+', b->list[k++]);
		}
	}
}

void difference_add(struct slice want, struct slice got, const char *indent, struct buf *out)
{
	struct lines a = split(want), b = split(got);
	struct paper p = { .indent = indent, .out = out };

	if (a.n > DIFFERENCE_LINES_MAX || b.n > DIFFERENCE_LINES_MAX) {
		buf_addf(out, "%sthey differ, and are too long to be compared line by line\n", indent);
	} else {
		uint16_t *table = xcalloc((a.n + 1) * (b.n + 1), sizeof *table);
		for (size_t i = a.n; i-- > 0;)
			for (size_t k = b.n; k-- > 0;) {
				uint16_t *at = &table[i * (b.n + 1) + k], down = at[b.n + 1], right = at[1];
				*at = slice_eq(a.list[i], b.list[k]) ? (uint16_t)(at[b.n + 2] + 1) : down > right ? down : right;
			}
		walk(&a, &b, table, &p);
		free(table);
	}
	free(a.list);
	free(b.list);
}
