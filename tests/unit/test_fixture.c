/* A delivery in a file: its bounds, and that its payload stays as it was written. */
#include <criterion/criterion.h>
#include <string.h>

#include "no_leaks.h"
#include "rules/fixture.h"

static int parse(const char *text, struct fixture *f, struct err *e)
{
	*f = FIXTURE_NONE;
	*e = (struct err){ 0 };
	return fixture_parse(slice_of(text), f, e);
}

Test(fixture, keeps_the_payload_byte_for_byte)
{
	struct fixture f;
	struct err e;

	cr_assert_eq(parse("{\"payload\": { \"a\" : 1.50,\n \"a\":\"\\u00e9\" }, \"fixture\":1, \"headers\":{\"X-Y\":\"z\"}}", &f, &e), 0, "%s", e.msg);
	cr_expect_str_eq(buf_cstr(&f.body), "{ \"a\" : 1.50,\n \"a\":\"\\u00e9\" }");
	cr_expect_str_eq(buf_cstr(&f.headers), "X-Y: z\n");
	cr_expect_null(f.source);
	fixture_fini(&f);
	no_leaks();
}

Test(fixture, takes_any_other_text_as_the_body)
{
	struct fixture f;
	struct err e;

	cr_assert_eq(parse("a=1&b=2", &f, &e), 0);
	cr_expect_str_eq(buf_cstr(&f.body), "a=1&b=2");
	fixture_fini(&f);
	cr_assert_eq(parse("", &f, &e), 0);
	cr_expect_eq(f.body.len, 0u);
	fixture_fini(&f);
	cr_assert_eq(parse("{\"fixture\":\"mine\"}", &f, &e), -1);
	no_leaks();
}

Test(fixture, takes_a_body_of_the_bound_and_none_above)
{
	struct buf text = BUF(BUF_UNLIMITED);
	struct fixture f = FIXTURE_NONE;
	struct err e = { 0 };

	memset(buf_room(&text, FIXTURE_BODY_MAX + 1), 'x', FIXTURE_BODY_MAX + 1);
	buf_grew(&text, FIXTURE_BODY_MAX);
	cr_assert_eq(fixture_parse(buf_slice(&text), &f, &e), 0, "%s", e.msg);
	cr_expect_eq(f.body.len, (size_t)FIXTURE_BODY_MAX);
	fixture_fini(&f);
	buf_grew(&text, 1);
	cr_assert_eq(fixture_parse(buf_slice(&text), &f, &e), -1);
	cr_expect(strstr(e.msg, "25 MiB"), "%s", e.msg);
	buf_fini(&text);
	no_leaks();
}

Test(fixture, takes_headers_up_to_the_bound)
{
	struct fixture f = FIXTURE_NONE;
	struct buf value = BUF(BUF_UNLIMITED);
	struct err e = { 0 };

	memset(buf_room(&value, FIXTURE_HEADERS_MAX), 'v', FIXTURE_HEADERS_MAX);
	buf_grew(&value, FIXTURE_HEADERS_MAX - 4);              /* "h: " and the end of the line */
	cr_assert_eq(fixture_add_header(&f, SLICE("h"), buf_slice(&value), &e), 0, "%s", e.msg);
	fixture_fini(&f);
	buf_grew(&value, 1);
	cr_assert_eq(fixture_add_header(&f, SLICE("h"), buf_slice(&value), &e), -1);
	buf_fini(&value);
	fixture_fini(&f);
	no_leaks();
}

Test(fixture, is_written_so_that_it_is_read_again)
{
	static const struct slice bodies[] = { { "{\"a\": 1.50 ,\"a\":2}", 18 }, { "a=1&b=%22", 9 }, { "", 0 }, { "\xff\0x", 3 }, { " {} ", 4 }, { "[]", 2 }, { "1}", 2 },
		{ "{},\"x\":{}", 10 } };
	struct err e = { 0 };

	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct fixture f = FIXTURE_NONE, g = FIXTURE_NONE;
		struct buf text = BUF(BUF_UNLIMITED);
		f.source = xstrdup("g\"h");
		f.received_ms = 1795500000000;
		if (i % 2) {
			f.cause = xstrdup("{\"rule\":\"docs\"}");
			f.only_file = xstrdup("rules/a b.lua");
			f.only_rule = xstrdup("it's \"nightly\"");
		}
		cr_assert_eq(fixture_add_header(&f, SLICE("X-A"), SLICE("b: \"c\""), &e), 0);
		buf_add(&f.body, bodies[i]);
		fixture_write(&f, &text);
		cr_assert_eq(fixture_parse(buf_slice(&text), &g, &e), 0, "%s: %s", e.msg, buf_cstr(&text));
		cr_expect(slice_eq(buf_slice(&g.body), i == 4 ? SLICE("{}") : bodies[i]), "%s", buf_cstr(&text));
		cr_expect_str_eq(g.source, "g\"h");
		cr_expect_null(g.event);
		cr_expect_str_eq(buf_cstr(&g.headers), "X-A: b: \"c\"\n");
		cr_expect_eq(g.received_ms, 1795500000000);
		cr_expect(i % 2 ? !strcmp(g.cause, f.cause) : !g.cause);
		cr_expect(i % 2 ? !strcmp(g.only_file, f.only_file) && !strcmp(g.only_rule, f.only_rule) : !g.only_file && !g.only_rule);
		fixture_fini(&f);
		fixture_fini(&g);
		buf_fini(&text);
	}
	no_leaks();
}

Test(fixture, says_what_is_wrong_with_its_rule)
{
	static const char *const bad[] = { "7", "{}", "{\"rule\":\"a\"}", "{\"file\":\"a\"}", "{\"file\":\"a\",\"rule\":7}",
					   "{\"file\":\"a\",\"rule\":\"b\",\"x\":1}" };
	struct fixture f;
	struct err e;

	for (size_t i = 0; i < COUNT(bad); i++) {
		CLEANUP(freep) char *text = xprintf("{\"fixture\":1,\"payload\":{},\"only\":%s}", bad[i]);
		cr_assert_eq(parse(text, &f, &e), -1, "%s", text);
		cr_expect(strstr(e.msg, "\"only\" of a fixture must be a rule"), "%s", e.msg);
	}
	no_leaks();
}
