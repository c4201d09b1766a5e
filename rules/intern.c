/* rules/intern.c - subjects and questions by what they say: the same words become the same number, so that rules share
 * them. The names are only needed while compiling. */
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compiled.h"
#include "rules/compiler.h"

struct interned {
	struct slice key;
	uint32_t id;
};

static int by_key(const void *a, const void *b)
{
	return slice_cmp(((const struct interned *)a)->key, ((const struct interned *)b)->key);
}

/* The entry of KEY in TREE. A new one has the id NEXT. */
static const struct interned *intern(void **tree, struct slice key, size_t next)
{
	const struct interned wanted = { .key = key };
	void *found = tfind(&wanted, tree, by_key);

	if (!found) {
		struct interned *i = xmalloc(sizeof *i);
		*i = (struct interned){ { slice_dup(key), key.len }, (uint32_t)next };
		found = tsearch(i, tree, by_key);
		if (!found)
			abort();
	}
	return *(const struct interned *const *)found;
}

static void *grow(void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	*cap = *cap ? *cap * 2 : 64;
	return xrealloc(array, *cap * size);
}

static const char *label_of(const struct ruleset *rs, enum subject_kind kind, struct slice name)
{
	CLEANUP(buf_fini) struct buf label = BUF(BUF_UNLIMITED);

	buf_adds(&label, kind == SUBJECT_HEADER ? "header " : kind == SUBJECT_QUERY ? "query " : "");
	buf_add(&label, name);
	return arena_str(rs->arena, buf_slice(&label));
}

uint32_t subject_intern(struct compiler *c, enum subject_kind kind, int number, struct slice name)
{
	struct ruleset *rs = c->rs;
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);

	buf_addf(&key, "%d ", (int)kind);
	buf_add(&key, name);
	uint32_t id = intern(&c->subjects, buf_slice(&key), rs->n_subjects)->id;
	if (id == rs->n_subjects) {
		rs->subjects = grow(rs->subjects, rs->n_subjects, &c->subjects_cap, sizeof *rs->subjects);
		rs->subjects[rs->n_subjects++] = (struct subject){ kind, number, arena_str(rs->arena, name), label_of(rs, kind, name), NO_PLACE };
	}
	return id;
}

uint32_t question_intern(struct compiler *c, uint32_t subject, struct predicate *p)
{
	struct ruleset *rs = c->rs;
	CLEANUP(buf_fini) struct buf key = BUF(BUF_UNLIMITED);

	buf_addf(&key, "%u ", subject);
	predicate_key(p, &key);
	uint32_t id = intern(&c->questions, buf_slice(&key), rs->n_questions)->id;
	if (id < rs->n_questions) {
		predicate_fini(p);
		return id;
	}
	rs->questions = grow(rs->questions, rs->n_questions, &c->questions_cap, sizeof *rs->questions);
	rs->questions[rs->n_questions++] = (struct question){ subject, *p };
	*p = (struct predicate){ 0 };
	return id;
}

static void interned_free_one(void *entry)
{
	free((char *)(uintptr_t)((struct interned *)entry)->key.ptr);
	free(entry);
}

void interned_free(struct compiler *c)
{
	tdestroy(c->subjects, interned_free_one);
	tdestroy(c->questions, interned_free_one);
	c->subjects = c->questions = NULL;
}
