/* What the front says, as far as it is pure: ranges, entity tags, a journal as text, a sender's headers. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "front/answer.h"
#include "front/intake.h"
#include "front/text.h"
#include "journal/event.h"
#include "no_leaks.h"
#include "rules/headers.h"

/* ---- ranges ---- */

struct range_case {
	char header[32];
	enum range want;
	int64_t from, len;
};

ParameterizedTestParameters(range, of_a_hundred_bytes)
{
	static struct range_case cases[] = {
		{ "bytes=0-9", RANGE_OK, 0, 10 }, { "bytes=90-", RANGE_OK, 90, 10 }, { "bytes=-10", RANGE_OK, 90, 10 },
		{ "bytes=-1000", RANGE_OK, 0, 100 }, { "bytes=0-1000", RANGE_OK, 0, 100 }, { "bytes=99-99", RANGE_OK, 99, 1 },
		{ "bytes=100-", RANGE_UNSATISFIABLE, 0, 0 }, { "bytes=-0", RANGE_UNSATISFIABLE, 0, 0 },
		{ "", RANGE_NONE, 0, 0 }, { "bytes=", RANGE_NONE, 0, 0 }, { "bytes=-", RANGE_NONE, 0, 0 },
		{ "bytes=9-1", RANGE_NONE, 0, 0 }, { "bytes=1-2,4-5", RANGE_NONE, 0, 0 }, { "lines=1-2", RANGE_NONE, 0, 0 },
		{ "bytes=a-b", RANGE_NONE, 0, 0 }, { "bytes=--5", RANGE_NONE, 0, 0 }, { "bytes=0x1-2", RANGE_NONE, 0, 0 },
		{ "bytes=99999999999999999999-", RANGE_NONE, 0, 0 },
	};
	return cr_make_param_array(struct range_case, cases, COUNT(cases));
}

ParameterizedTest(struct range_case *c, range, of_a_hundred_bytes)
{
	int64_t from = -1, len = -1;
	enum range got = range_parse(slice_of(c->header), 100, &from, &len);
	cr_expect_eq(got, c->want, "%s", c->header);
	if (got == RANGE_OK)
		cr_expect(from == c->from && len == c->len, "%s", c->header);
}

Test(etag, is_found_in_a_list_weak_or_not)
{
	cr_expect(etag_matches(SLICE("\"a\", W/\"7.1.812\""), SLICE("\"7.1.812\"")));
	cr_expect(etag_matches(SLICE("*"), SLICE("\"x\"")));
	cr_expect(!etag_matches(SLICE("\"7.1.81\""), SLICE("\"7.1.812\"")));
	cr_expect(!etag_matches(SLICE_NULL, SLICE("\"x\"")));
}

/* ---- text ---- */

static void journal(struct buf *out)
{
	int64_t at = journal_encode(out, 7, 1, 0, "attempt", SLICE("{\"t\":0,\"attempt\":1,\"job\":7}"));
	at = journal_encode(out, 7, 1, at, "step", SLICE("{\"t\":1,\"s\":1,\"name\":\"build\",\"state\":\"running\"}"));
	at = journal_encode(out, 7, 1, at, "log", SLICE("{\"t\":2,\"s\":1,\"l\":[\"\\u001b[31mred\\u001b[0m\",\"\"]}"));
	at = journal_encode(out, 7, 1, at, "note", SLICE("{\"t\":3,\"s\":1,\"level\":\"warn\",\"text\":\"slow\"}"));
	journal_encode(out, 7, 1, at, "log", SLICE("{\"t\":4,\"s\":1,\"e\":1,\"l\":[\"last \\\"line\\\"\"]}"));
}

Test(text, is_what_was_printed_line_by_line)
{
	struct buf events = BUF(1 << 16), out = BUF(1 << 16);
	journal(&events);
	cr_assert_eq(text_of_events(buf_slice(&events), TEXT_AS_PRINTED, &out), events.len);
	cr_expect_str_eq(buf_cstr(&out), "\x1b[31mred\x1b[0m\n\nwarn: slow\nlast \"line\"\n");
	buf_clear(&out);
	text_of_events(buf_slice(&events), TEXT_PLAIN, &out);
	cr_expect_str_eq(buf_cstr(&out), "red\n\nwarn: slow\nlast \"line\"\n");
	buf_fini(&events);
	buf_fini(&out);
	no_leaks();
}

Test(text, is_the_same_wherever_the_journal_is_cut)
{
	struct buf events = BUF(1 << 16), whole = BUF(1 << 16), out = BUF(1 << 16);
	journal(&events);
	text_of_events(buf_slice(&events), TEXT_PLAIN, &whole);
	for (size_t cut = 0; cut <= events.len; cut++) {
		buf_clear(&out);
		size_t done = text_of_events(slice_upto(buf_slice(&events), cut), TEXT_PLAIN, &out);
		cr_assert_leq(done, cut);
		text_of_events(slice_from(buf_slice(&events), done), TEXT_PLAIN, &out);
		cr_assert(slice_eq(buf_slice(&out), buf_slice(&whole)), "cut at %zu", cut);
	}
	buf_fini(&events);
	buf_fini(&whole);
	buf_fini(&out);
	no_leaks();
}

Test(text, plain_has_no_links_and_no_cut_sequences)
{
	struct buf out = BUF(1 << 16);
	text_strip(SLICE("a\x1b]8;;https://x\x1b\\link\x1b]8;;\abye\x1b[1"), &out);
	cr_expect_str_eq(buf_cstr(&out), "alinkbye");
	buf_fini(&out);
}

Test(text, a_tail_counts_a_cut_last_line)
{
	cr_expect_eq(text_tail(SLICE("a\nb\nc\n"), 1), 4);
	cr_expect_eq(text_tail(SLICE("a\nb\nc"), 2), 2);
	cr_expect_eq(text_tail(SLICE("a\nb\n"), 9), 0);
	cr_expect_eq(text_tail(SLICE("\n\n"), 1), 1);
	cr_expect_eq(text_tail(SLICE("a\n"), 0), 2);
	cr_expect_eq(text_tail(SLICE_NULL, 3), 0);
}

/* ---- what a sender sent ---- */

Test(intake, keeps_no_header_that_opens_a_door)
{
	const struct header headers[] = {
		{ SLICE("X-GitHub-Event"), SLICE("push") }, { SLICE("authorization"), SLICE("Bearer x") },
		{ SLICE("X-Hub-Signature-256"), SLICE("sha256=1") }, { SLICE("x-gitlab-token"), SLICE("t") },
		{ SLICE("X-Idempotency-Token"), SLICE("s") }, { SLICE("Cookie"), SLICE("c") }, { SLICE("accept"), SLICE("a") }, { SLICE("Accept"), SLICE("b\"") },
	};
	struct buf out = BUF(1 << 16);
	headers_json(NULL, headers, COUNT(headers), 1 << 16, &out);
	cr_expect_str_eq(buf_cstr(&out), "{\"x-github-event\":\"push\",\"accept\":\"a, b\\\"\"}");
	buf_clear(&out);
	headers_json(NULL, headers, COUNT(headers), 24, &out);
	cr_expect_str_eq(buf_cstr(&out), "{\"accept\":\"a, b\\\"\"}");
	buf_fini(&out);
	no_leaks();
}

Test(intake, takes_json_and_forms_and_nothing_else)
{
	cr_expect(intake_takes_type(SLICE("application/json")));
	cr_expect(intake_takes_type(SLICE("Application/JSON ; charset=utf-8")));
	cr_expect(intake_takes_type(SLICE("application/cloudevents+json")));
	cr_expect(intake_takes_type(SLICE("application/x-www-form-urlencoded")));
	cr_expect(!intake_takes_type(SLICE("application/+json")));
	cr_expect(!intake_takes_type(SLICE("text/json")));
	cr_expect(!intake_takes_type(SLICE("multipart/form-data")));
	cr_expect(!intake_takes_type(SLICE_NULL));
}

Test(intake, a_duplicate_is_told_where_the_first_ones_jobs_are)
{
	struct buf out = BUF(1 << 16);
	intake_add_urls(SLICE("[{\"rule\":\"docs\",\"job\":7}]"), "http://h", &out);
	cr_expect_str_eq(buf_cstr(&out), "[{\"rule\":\"docs\",\"job\":7,\"url\":\"http://h/jobs/7\"}]");
	buf_clear(&out);
	intake_add_urls(SLICE_NULL, "http://h", &out);
	cr_expect_str_eq(buf_cstr(&out), "[]");
	buf_fini(&out);
	no_leaks();
}

Test(intake, without_an_id_of_the_sender_every_delivery_is_a_new_one)
{
	const struct header ids[] = { { SLICE("Webhook-Id"), SLICE("msg_1") } }, bad[] = { { SLICE("webhook-id"), SLICE("a b") } };
	char *a = intake_make_key(ids, 1), *b = intake_make_key(bad, 1), *c = intake_make_key(NULL, 0);
	cr_expect_str_eq(a, "msg_1");
	cr_expect_eq(strlen(b), 32);
	cr_expect_str_neq(b, c);
	free(a);
	free(b);
	free(c);
	no_leaks();
}
