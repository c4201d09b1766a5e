/* front/ask.c - parameters in, the store's answer out. */
#include "front/ask.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/answer.h"
#include "front/front.h"
#include "front/loops.h"
#include "front/query.h"

#define BODY_MAX (64u << 20)
#define LINK_MAX (16u << 10)
#define LIMIT_DEFAULT 50
#define LIMIT_MAX 200

/* ---- asking the store ---- */

void ask_free(struct ask *q)
{
	buf_fini(&q->read.json);
	free(q->read.attempts);
	free(q->read.state_json);
	kept_free(q->read.kept);
	if (q->arg && q->drop)
		q->drop(q->arg);
	free(q);
}

void ask_answer_unknown(struct http_request *r)
{
	static const char *const headers[] = { "retry-after", "5", NULL };
	answer_problem(r, 503, "Service Unavailable", "the store cannot be read now", headers);
}

void ask_answer_gone(struct http_request *r, const char *detail)
{
	answer_problem(r, 410, "Gone", detail, NULL);
}

static const char *noun_of(enum read_what what)
{
	return what == READ_DELIVERY || what == READ_BODY || what == READ_KEPT || what == READ_DELIVERIES ? "delivery" : "job";
}

static void answer_absent(struct http_request *r, const struct read *read)
{
	char detail[96];

	if (read->is_gone) {
		snprintf(detail, sizeof detail, "%s%s %" PRId64 " is no longer kept", read->what == READ_BODY ? "the body of " : "",
			 noun_of(read->what), read->a);
		ask_answer_gone(r, detail);
	} else {
		snprintf(detail, sizeof detail, "no %s %" PRId64, noun_of(read->what), read->a);
		answer_not_found(r, detail);
	}
}

static void on_told(struct mail *m, void *http_loop)
{
	struct ask *q = (struct ask *)m;
	struct http_request *r = http_unpark(q->ticket);

	if (r && q->read.outcome == STORE_OK)
		q->then(r, q);
	else if (r && q->read.outcome == STORE_NOT_FOUND)
		answer_absent(r, &q->read);
	else if (r)
		ask_answer_unknown(r);
	ask_free(q);
}

void ask_tell(struct http_request *r, struct ask *q)
{
	answer_json(r, 200, buf_slice(&q->read.json));
}

/* The address that was asked, with another `before`. */
static void add_next(const struct http_request *r, int64_t before, struct buf *out)
{
	CLEANUP(buf_fini) struct buf link = BUF(LINK_MAX);
	struct slice pair, rest = http_query(r);

	buf_add(&link, http_path(r));
	buf_addc(&link, '?');
	while (rest.len) {
		slice_cut(rest, '&', &pair, &rest);
		if (!pair.len || slice_starts(pair, SLICE("before=")))
			continue;
		buf_add(&link, pair);
		buf_addc(&link, '&');
	}
	buf_addf(&link, "before=%" PRId64, before);
	buf_add_json(out, buf_slice(&link));
}

void ask_tell_list(struct http_request *r, struct ask *q)
{
	struct slice list = slice_trim(buf_slice(&q->read.json));
	CLEANUP(buf_fini) struct buf body = BUF(BODY_MAX + LINK_MAX);

	buf_add(&body, slice_upto(list, list.len - 1));
	buf_adds(&body, ",\"next\":");
	if (q->read.next)
		add_next(r, q->read.next, &body);
	else
		buf_adds(&body, "null");
	buf_addc(&body, '}');
	answer_json(r, 200, buf_slice(&body));
}

struct ask *ask_new(struct loop *l, enum read_what what, int64_t a)
{
	struct ask *q = xcalloc(1, sizeof *q);

	q->loop = l;
	q->then = ask_tell;
	q->read = (struct read){ .mail.deliver = on_told, .what = what, .a = a, .limit = 1 };
	return q;
}

void ask_store(struct http_request *r, struct ask *q)
{
	q->ticket = http_park(r);
	q->read.reply_to = http_loop_mailbox(q->loop->http);
	store_read(q->loop->front->store, &q->read);
}

/* ---- parameters ---- */

int ask_refuse(struct http_request *r, const char *name, const char *wanted)
{
	char detail[200];

	snprintf(detail, sizeof detail, "parameter '%s': %s", name, wanted);
	answer_problem(r, 400, "Bad Request", detail, NULL);
	return -1;
}

int ask_number(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out)
{
	char wanted[96];

	*out = missing;
	if (query_get_i64(http_query(r), name, min, max, out) >= 0)
		return 0;
	snprintf(wanted, sizeof wanted, "a whole number from %" PRId64 " to %" PRId64, min, max);
	return ask_refuse(r, name, wanted);
}

int ask_text(struct http_request *r, const char *name, char *out, size_t size)
{
	CLEANUP(buf_fini) struct buf value = BUF(size - 1);
	char wanted[64];

	out[0] = '\0';
	int found = query_get(http_query(r), name, &value);
	if (found < 0 || (found && value.len && memchr(value.ptr, '\0', value.len))) {
		snprintf(wanted, sizeof wanted, "at most %zu bytes, once, well-formed", size - 1);
		return ask_refuse(r, name, wanted);
	}
	if (found)
		snprintf(out, size, "%s", buf_cstr(&value));
	return 0;
}

int ask_flag(struct http_request *r, const char *name, int *out)
{
	int64_t value;

	if (ask_number(r, name, 0, 1, 0, &value) < 0)
		return -1;
	*out = (int)value;
	return 0;
}

int ask_list(struct http_request *r, struct read *read)
{
	struct filter *f = &read->filter;
	int64_t limit;

	if (ask_number(r, "before", 1, INT64_MAX, 0, &read->a) < 0 ||
	    ask_number(r, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit) < 0 ||
	    ask_number(r, "since", 0, INT64_MAX, 0, &f->since_ms) < 0 ||
	    ask_number(r, "until", 0, INT64_MAX, 0, &f->until_ms) < 0 ||
	    ask_text(r, "source", f->source, sizeof f->source) < 0 || ask_text(r, "event", f->event, sizeof f->event) < 0 ||
	    ask_text(r, "repo", f->repo, sizeof f->repo) < 0 || ask_text(r, "branch", f->branch, sizeof f->branch) < 0)
		return -1;
	read->limit = (int)limit;
	return 0;
}
