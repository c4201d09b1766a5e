/* base: the vocabulary. */
#include <criterion/criterion.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/mailbox.h"
#include "base/map.h"
#include "base/utf8.h"
#include "no_leaks.h"

Test(slice, numbers_are_digits_only_and_within_bounds)
{
	int64_t v = 7;
	cr_assert_eq(slice_to_i64(SLICE("42"), 0, 100, &v), 0);
	cr_assert_eq(v, 42);
	cr_assert_eq(slice_to_i64(SLICE("-9223372036854775808"), INT64_MIN, 0, &v), 0);
	cr_assert_eq(v, INT64_MIN);
	const char *bad[] = { "", "-", "1e9", "+3", " 1", "1 ", "101", "9223372036854775808", "Infinity" };
	for (size_t i = 0; i < COUNT(bad); i++) {
		v = 7;
		cr_assert_eq(slice_to_i64(slice_of(bad[i]), 0, 100, &v), -1, "%s", bad[i]);
		cr_assert_eq(v, 7);
	}
}

Test(slice, durations_and_sizes_need_a_unit)
{
	int64_t v;
	cr_assert_eq(slice_to_duration_ms(SLICE("5m"), &v), 0);
	cr_assert_eq(v, 300000);
	cr_assert_eq(slice_to_size_bytes(SLICE("64MiB"), &v), 0);
	cr_assert_eq(v, 64 << 20);
	cr_assert_eq(slice_to_duration_ms(SLICE("10"), &v), -1);
	cr_assert_eq(slice_to_duration_ms(SLICE("9223372036854775807h"), &v), -1);
	cr_assert_eq(slice_to_size_bytes(SLICE("1MB"), &v), -1);
}

Test(buf, stops_at_its_maximum_and_says_so)
{
	CLEANUP(buf_fini) struct buf b = BUF(8);
	buf_adds(&b, "12345678");
	cr_assert_not(buf_is_over(&b));
	buf_addc(&b, '9');
	cr_assert(buf_is_over(&b));
	cr_assert_str_eq(buf_cstr(&b), "12345678");
}

Test(buf, json_strings_hold_no_raw_control_and_are_valid_utf8)
{
	CLEANUP(buf_fini) struct buf b = BUF(4096);
	buf_add_json(&b, SLICE("a\"\\\n\r\t\x01\x7f\xff\xc3\xa9\xe2\x80\xa8\xed\xa0\x80"));
	cr_assert_str_eq(buf_cstr(&b), "\"a\\\"\\\\\\n\\r\\t\\u0001\\u007f\xef\xbf\xbd\xc3\xa9\\u2028"
				       "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	cr_assert(utf8_is_valid(buf_slice(&b)));
}

Test(utf8, tells_cut_from_broken)
{
	cr_assert(utf8_is_cut(SLICE("\xe2\x82")));
	cr_assert_not(utf8_is_cut(SLICE("\xe2\x82\xac")));
	cr_assert_not(utf8_is_cut(SLICE("\xe2" "a")));
	cr_assert_not(utf8_is_valid(SLICE("\xc0\x80")));
	cr_assert(utf8_is_valid(SLICE("\xf0\x9f\x98\x80")));
}

Test(hex, round_trips_and_refuses_what_is_not_hex_or_base64)
{
	char bytes[256];
	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	for (size_t n = 0; n <= 256; n++) {
		struct buf text = BUF(2048), back = BUF(2048);
		hex_add(&text, (struct slice){ bytes, n });
		cr_assert_eq(hex_parse(buf_slice(&text), &back), 0);
		cr_assert(slice_eq(buf_slice(&back), (struct slice){ bytes, n }));
		buf_clear(&text);
		buf_clear(&back);
		base64_add(&text, (struct slice){ bytes, n });
		cr_assert_eq(base64_parse(buf_slice(&text), &back), 0);
		cr_assert(slice_eq(buf_slice(&back), (struct slice){ bytes, n }));
		buf_fini(&text);
		buf_fini(&back);
	}
	struct buf out = BUF(64);
	cr_assert_eq(hex_parse(SLICE("abc"), &out), -1);
	cr_assert_eq(hex_parse(SLICE("zz"), &out), -1);
	cr_assert_eq(base64_parse(SLICE("a"), &out), -1);
	cr_assert_eq(base64_parse(SLICE("a-b_"), &out), -1);
	buf_fini(&out);
	char sum[65];
	sha256_hex(SLICE("abc"), sum);
	cr_assert_str_eq(sum, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	no_leaks();
}

Test(err, wraps_outside_in_and_never_overflows)
{
	struct err e = { 0 };
	char big[2000];
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	cr_assert_eq(err_set(&e, ERR_LIMIT, "%s", "too big"), -1);
	err_wrap(&e, "rule '%s'", "docs");
	cr_assert_str_eq(e.msg, "rule 'docs': too big");
	err_wrap(&e, "%s", big);
	cr_assert_eq(strlen(e.msg), sizeof e.msg - 1);
}

struct note {
	struct mail mail;
	int number;
};

static void on_note(struct mail *m, void *arg)
{
	struct note *n = (struct note *)m;
	int *sum = arg;
	*sum = *sum * 10 + n->number;
}

Test(map, knows_what_was_entered_and_nothing_else)
{
	struct map m = { 0 };
	int is_new;

	cr_assert_null(map_find(&m, 0));
	for (uint64_t step = 1; step < (uint64_t)1 << 54; step <<= 9) {        /* keys that differ in their low bits, in their high ones */
		for (uint64_t i = 0; i < 1000; i++) {
			*map_enter(&m, i * step, &is_new) = (uint32_t)i;
			cr_assert(is_new || step != 1 || i == 0, "%llu", (unsigned long long)i);
		}
		for (uint64_t i = 0; i < 1000; i++) {
			const uint32_t *v = map_find(&m, i * step);
			cr_assert(v && *v == i, "%llu times %llu", (unsigned long long)i, (unsigned long long)step);
		}
		cr_assert_null(map_find(&m, 1000 * step + 1));
		map_fini(&m);
	}
	map_reserve(&m, 100);
	const struct map_cell *cells = m.cells;
	for (uint64_t i = 0; i < 100; i++)
		map_enter(&m, i, &is_new);
	cr_assert(m.n == 100 && m.cells == cells, "it has not grown");
	map_enter(&m, 7, &is_new);
	cr_assert(!is_new && m.n == 100);
	map_fini(&m);
	map_fini(&m);
	no_leaks();
}

Test(mailbox, delivers_in_order_and_wakes_once)
{
	struct mailbox *mb = mailbox_new();
	struct note notes[3];
	int sum = 0;
	for (int i = 0; i < 3; i++) {
		notes[i] = (struct note){ .mail.deliver = on_note, .number = i + 1 };
		mailbox_post(mb, &notes[i].mail);
	}
	struct pollfd p = { mailbox_fd(mb), POLLIN, 0 };
	cr_assert_eq(poll(&p, 1, 0), 1);
	mailbox_deliver(mb, &sum);
	cr_assert_eq(sum, 123);
	cr_assert_eq(poll(&p, 1, 0), 0);
	mailbox_free(mb);
	no_leaks();
}

Test(file, durable_writes_are_whole_and_memfds_are_sealed)
{
	char dir[] = "/tmp/pushrod-test-XXXXXX";
	struct err e;
	CLEANUP(buf_fini) struct buf b = BUF(16);
	cr_assert_not_null(mkdtemp(dir));
	CLEANUP(fd_closep) int d = dir_open_make(-100, dir, &e);
	cr_assert_eq(file_write_durable(d, "x", SLICE("hello"), 0600, &e), 0);
	cr_assert_eq(file_read(d, "x", &b, &e), 0);
	cr_assert(slice_eq(buf_slice(&b), SLICE("hello")));
	CLEANUP(buf_fini) struct buf small = BUF(4);
	cr_assert_eq(file_read(d, "x", &small, &e), -1);
	cr_assert_eq(e.kind, ERR_LIMIT);
	CLEANUP(fd_closep) int m = memfd_sealed("t", SLICE("abc"), &e);
	cr_assert(memfd_is_sealed(m, 3));
	cr_assert_not(memfd_is_sealed(m, 2));
	cr_assert_eq(write(m, "x", 1), -1);
}
