/* cli/pick.c - page by page, from the newest back. */
#include "cli/pick.h"

#include <stdlib.h>
#include <string.h>

#include "cli/talk.h"

#define QUERY_MAX (8 << 10)
#define PAGE 200

void picked_fini(struct picked *p)
{
	free(p->ids);
	json_decref(p->first);
	json_decref(p->last);
	*p = (struct picked){ 0 };
}

static void keep(json_t **slot, json_t *d)
{
	json_decref(*slot);
	*slot = json_incref(d);
}

static void take(struct picked *p, json_t *d, int is_of_jobs)
{
	if (json_object_get(d, "replay_of")) {
		p->replays++;
	} else if (!is_of_jobs && json_object_get(d, "root")) {
		p->caused++;
	} else {
		if ((p->n & (p->n - 1)) == 0)
			p->ids = xrealloc(p->ids, (p->n ? 2 * p->n : 1) * sizeof *p->ids);
		p->ids[p->n++] = talk_integer(d, "id");
		talk_tame(d);
		keep(&p->first, d);
		if (!p->last)
			keep(&p->last, d);
	}
}

static void turn_round(struct picked *p)
{
	for (size_t i = 0; i < p->n / 2; i++) {
		int64_t id = p->ids[i];
		p->ids[i] = p->ids[p->n - 1 - i];
		p->ids[p->n - 1 - i] = id;
	}
}

/* PATH becomes that of the next page, or NULL. */
static int take_page(const struct command *c, const char *state, char **path, int64_t after, int is_of_jobs, struct picked *out)
{
	json_t *answer = NULL, *d;
	size_t i;
	int code = talk_json(c, state, NULL, *path, &answer), is_through = 0;

	if (code)
		return code;
	json_array_foreach(json_object_get(answer, "deliveries"), i, d) {
		is_through = out->n == PICK_MAX || talk_integer(d, "id") <= after;
		if (is_through)
			break;
		take(out, d, is_of_jobs);
	}
	const char *next = is_through ? "" : talk_string(answer, "next");
	free(*path);
	*path = *next ? xstrdup(next) : NULL;
	json_decref(answer);
	return EXIT_OK;
}

int pick(const struct command *c, const char *state, const struct filter *f, int64_t after, struct picked *out)
{
	CLEANUP(buf_fini) struct buf query = BUF(QUERY_MAX);
	const char *s = f->source ? f->source : "";
	int is_of_jobs = !strcmp(s, "job") || !strcmp(s, "rule") || !strcmp(s, "local");
	int code = filter_query(c, f, &query);
	CLEANUP(freep) char *path = xprintf("/api/v1/deliveries?limit=%d%s", PAGE, buf_cstr(&query));

	while (!code && path)
		code = take_page(c, state, &path, after, is_of_jobs, out);
	turn_round(out);
	if (code)
		picked_fini(out);
	return code;
}
