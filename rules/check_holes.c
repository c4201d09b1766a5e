/* rules/check_holes.c - braces that do not do what who wrote them means. A template stands in `env` and in keys alone, so that no
 * text of an event is ever read by a shell; elsewhere {title} is the text "{title}". */
#include "rules/checker.h"
#include "rules/holes.h"

#define TOLD_MAX 4                      /* of one text */

/* Each hole of TEXT once. */
struct seen { struct slice list[TOLD_MAX]; size_t n; };

static int is_new(struct seen *s, struct slice text)
{
	for (size_t i = 0; i < s->n; i++)
		if (slice_eq(s->list[i], text))
			return 0;
	if (s->n == TOLD_MAX)
		return 0;
	s->list[s->n++] = text;
	return 1;
}

static void say(struct checker *c, const struct node *at, const struct hole *h, const char *what, const char *how)
{
	check_warn(c, at, "W132", "'" SLICE_FMT "' %s: %s", SLICE_ARG(slice_upto(h->text, 80)), what, how);
}

/* What neither a field nor a secret is. */
static void add_elsewhere(const struct hole *h, struct buf *out)
{
	if (slice_starts(h->name, SLICE("github.event.")))
		buf_addf(out, "what the payload alone has, a function asks: run = function(job) … job:get \"" SLICE_FMT "\" … end",
			 SLICE_ARG(slice_upto(slice_from(h->name, 13), 60)));
	else if (slice_starts(h->name, SLICE("env.")))
		buf_addf(out, "a script reads \"$" SLICE_FMT "\"", SLICE_ARG(slice_upto(slice_from(h->name, 4), 60)));
	else
		buf_adds(out, "{field} in env is the event's, {matrix.x} the cell's");
}

static void add_secret_advice(struct slice name, struct buf *out)
{
	buf_addf(out, "name it, secrets = { \"" SLICE_FMT "\" }, and take it in a function: env = { TOKEN = job:secret \"" SLICE_FMT "\" }",
		 SLICE_ARG(name), SLICE_ARG(name));
}

/* How to do it in a script, or for a program. */
static void add_advice(const struct hole *h, const char *where, struct buf *out)
{
	CLEANUP(buf_fini) struct buf field = BUF(200), variable = BUF(200), secret = BUF(200);

	if (hole_add_field(h, &field, &variable))
		buf_addf(out, "write env = { %s = \"%s\" }, and \"$%s\" %s", buf_cstr(&variable), buf_cstr(&field), buf_cstr(&variable), where);
	else if (hole_add_secret(h, &secret))
		add_secret_advice(buf_slice(&secret), out);
	else
		add_elsewhere(h, out);
}

static void check_plain(struct checker *c, const struct node *text, int is_hidden, const char *what, const char *where)
{
	struct slice rest = text->text;
	struct seen seen = { .n = 0 };
	struct hole h;

	while (text->kind == NODE_STRING && hole_next(&rest, &h)) {
		CLEANUP(buf_fini) struct buf how = BUF(BUF_UNLIMITED);
		if ((h.kind == HOLE_FIELD && is_hidden) || !is_new(&seen, h.text))
			continue;
		add_advice(&h, where, &how);
		say(c, text, &h, what, buf_cstr(&how));
	}
}

void check_step_texts(struct checker *c, const struct node *step)
{
	const struct node *sh = node_get(step, "sh"), *exec = node_get(step, "exec"), *cwd = node_get(step, "cwd");
	int is_hidden = 0;

	if (sh && sh->kind == NODE_STRING)
		check_plain(c, sh, hole_is_hidden(sh->text), "stands for nothing in a script, which is taken as it is", "in the script");
	for (size_t i = 0; exec && exec->kind == NODE_TABLE && i < exec->n_items; i++)
		is_hidden |= exec->items[i]->kind == NODE_STRING && hole_is_hidden(exec->items[i]->text);
	for (size_t i = 0; exec && exec->kind == NODE_TABLE && i < exec->n_items; i++)
		check_plain(c, exec->items[i], is_hidden, "stands for nothing in an argument, which is taken as it is", "in sh = \"…\" in place of exec");
	if (cwd)
		check_plain(c, cwd, 0, "stands for nothing in cwd, which is taken as it is", "after cd in the script");
}

void check_braces(struct checker *c, const struct node *template)
{
	struct slice rest = template->text;
	struct seen seen = { .n = 0 };
	struct hole h;

	while (hole_next(&rest, &h)) {
		CLEANUP(buf_fini) struct buf how = BUF(BUF_UNLIMITED), variable = BUF(200), name = BUF(200);
		if (h.kind == HOLE_FIELD || !is_new(&seen, h.text))
			continue;
		if (hole_add_field(&h, &name, &variable)) {
			buf_addf(&how, "write %s", buf_cstr(&name));
		} else if (hole_add_secret(&h, &name)) {
			add_secret_advice(buf_slice(&name), &how);
		} else {
			add_elsewhere(&h, &how);
		}
		say(c, template, &h, "is text, as {{ is one brace", buf_cstr(&how));
	}
}
