/* journal: the log's format, what becomes of raw output, and that no secret gets through. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/utf8.h"
#include "journal/event.h"
#include "journal/file.h"
#include "journal/fold.h"
#include "journal/mask.h"
#include "journal/writer.h"
#include "no_leaks.h"

Test(event, its_id_is_the_offset_behind_it_wherever_it_starts)
{
	for (int64_t at = 0; at < 120000; at += at < 1100 ? 1 : 97) {
		struct buf b = BUF(4096);
		struct journal_event ev;
		int64_t end = journal_encode(&b, 7, 1, at, "log", SLICE("{\"l\":[\"x\"]}"));
		cr_assert_eq(end, at + (int64_t)b.len, "at %lld", (long long)at);
		cr_assert_eq(journal_decode(buf_slice(&b), &ev), (ptrdiff_t)b.len);
		cr_assert_eq(ev.id.offset, end);
		cr_assert_eq(ev.id.job, 7);
		cr_assert(slice_eq(ev.kind, SLICE("log")));
		cr_assert(slice_eq(ev.data, SLICE("{\"l\":[\"x\"]}")));
		cr_assert_eq(journal_settled(buf_slice(&b)), b.len);
		for (size_t cut = 0; cut < b.len; cut++) {
			cr_assert_eq(journal_decode(slice_upto(buf_slice(&b), cut), &ev), 0);
			cr_assert_eq(journal_settled(slice_upto(buf_slice(&b), cut)), 0);
		}
		buf_fini(&b);
	}
	no_leaks();
}

Test(event, ids_parse_strictly)
{
	struct journal_id id;
	cr_assert_eq(journal_id_parse(SLICE("7.1.187"), &id), 0);
	cr_assert_not(id.is_end);
	cr_assert_eq(journal_id_parse(SLICE("7.1.187-1"), &id), 0);
	cr_assert(id.is_end);
	const char *bad[] = { "", "7", "7.1", "7.1.", "7.1.187-2", "7.1.187-", "-7.1.2", "7.1.1e3", " 7.1.2", "7.1.2.3" };
	for (size_t i = 0; i < COUNT(bad); i++)
		cr_assert_eq(journal_id_parse(slice_of(bad[i]), &id), -1, "%s", bad[i]);
}

static int temp_journal(void)
{
	char path[] = "/tmp/pushrod-journal-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC | O_APPEND);
	cr_assert(fd >= 0);
	unlink(path);
	return fd;
}

Test(file, a_torn_tail_is_cut_and_the_end_is_noted)
{
	CLEANUP(fd_closep) int fd = temp_journal();
	CLEANUP(buf_fini) struct buf b = BUF(4096), got = BUF(4096);
	struct err e;
	int64_t end = journal_encode(&b, 3, 2, 0, "log", SLICE("{}"));
	buf_adds(&b, "id: 3.2.99\nevent: log\ndata: {\"l\":[\"torn");
	cr_assert_eq(fd_write_all(fd, buf_slice(&b)), 0);
	cr_assert_eq(journal_settled_length(fd, &e), end);
	struct job_result r = { .job = 3, .attempt = 2, .state = JOB_LOST, .exit_code = 137, .reason = "killed \"now\"" };
	cr_assert_eq(journal_finish(fd, &r, 1234, &e), 0, "%s", e.msg);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(fd_read_all(fd, &got, &e), 0);
	cr_assert_eq((int64_t)got.len, r.log_bytes);
	struct journal_event ev;
	cr_assert(journal_decode(slice_from(buf_slice(&got), (size_t)end), &ev) > 0);
	cr_assert(slice_eq(ev.data, SLICE("{\"t\":1234,\"ended\":\"lost\",\"exit\":137,\"reason\":\"killed \\\"now\\\"\"}")));
	cr_assert_eq(ev.id.offset, r.log_bytes);
}

static void collect(struct slice line, int is_ended, void *arg)
{
	buf_add(arg, line);
	buf_adds(arg, is_ended ? "|" : "+");
}

static void folds(const char *raw, const char *want)
{
	for (size_t split = 0; split <= strlen(raw); split++) {
		struct fold f;
		struct buf got = BUF(1 << 20);
		fold_init(&f);
		fold_feed(&f, slice_upto(slice_of(raw), split), collect, &got);
		fold_feed(&f, slice_from(slice_of(raw), split), collect, &got);
		fold_end(&f, collect, &got);
		cr_assert_str_eq(buf_cstr(&got), want, "%s cut at %zu: got %s", raw, split, buf_cstr(&got));
		buf_fini(&got);
		fold_fini(&f);
	}
}

Test(fold, makes_plain_lines_of_terminal_output_however_it_is_cut)
{
	folds("a\nb\r\nc", "a|b|c|");
	folds("10%\r20%\r\x1b[K100%\n", "100%|");
	folds("a\x1b[31mred\x1b[0m\n", "a\x1b[31mred\x1b[0m|");
	folds("x\x1b[2Jy\x1b[10;3Hz\x1b]0;title\x07w\x1b(B!\n", "xyzw!|");
	folds("\x1b]8;;https://a.b/\x1b\\link\x1b]8;;\x07.\n", "\x1b]8;;https://a.b/\x1b\\link\x1b]8;;\x1b\\.|");
	folds("\x1b]8;;javascript:alert(1)\x1b\\link\x1b]8;;\x1b\\\n", "link\x1b]8;;\x1b\\|");
	folds("caf\xc3\xa9 \xff \xe2\x82\xac\n", "caf\xc3\xa9 \xef\xbf\xbd \xe2\x82\xac|");
	folds("cut \xe2\x82", "cut \xef\xbf\xbd|");
	folds("ab\bc\n", "ac|");
	folds("\n\n", "||");
	no_leaks();
}

Test(fold, hands_a_very_long_line_on_in_pieces_and_loses_nothing)
{
	struct fold f;
	struct buf got = BUF(1 << 24);
	size_t total = 0;
	fold_init(&f);
	for (int i = 0; i < 100000; i++) {
		fold_feed(&f, SLICE("\xc3\xa9xyz"), collect, &got);
		total += 5;
	}
	fold_end(&f, collect, &got);
	size_t marks = 0;
	for (size_t i = 0; i < got.len; i++)
		marks += got.ptr[i] == '+' || got.ptr[i] == '|';
	cr_assert_eq(got.len - marks, total);
	cr_assert(utf8_is_valid(buf_slice(&got)));
	buf_fini(&got);
	fold_fini(&f);
	no_leaks();
}

static int holds(struct slice text, struct slice what)
{
	return slice_find(text, what) >= 0;
}

/* Feed TEXT in two or three pieces cut everywhere; SECRET must never come out. */
static void never_shows(const struct mask *m, struct slice text, struct slice secret)
{
	for (size_t a = 0; a <= text.len; a++)
		for (size_t b = a; b <= text.len; b += 1 + (text.len > 60) * 7) {
			struct mask_state s = { 0 };
			struct buf out = BUF(1 << 20);
			mask_feed(m, &s, slice_upto(text, a), &out);
			cr_assert_not(holds(buf_slice(&out), secret));
			mask_feed(m, &s, slice_upto(slice_from(text, a), b - a), &out);
			mask_feed(m, &s, slice_from(text, b), &out);
			mask_flush(&s, &out);
			cr_assert_not(holds(buf_slice(&out), secret), "cut at %zu and %zu: " SLICE_FMT, a, b,
				      SLICE_ARG(buf_slice(&out)));
			cr_assert(holds(buf_slice(&out), SLICE("***")));
			mask_state_fini(&s);
			buf_fini(&out);
		}
}

Test(I11, a_secret_is_masked_at_every_split)
{
	struct mask *m = mask_new();
	cr_assert_eq(mask_add(m, SLICE("hunter2-s3cr3t")), 0);
	never_shows(m, SLICE("token=hunter2-s3cr3t and again hunter2-s3cr3t!"), SLICE("hunter2-s3cr3t"));
	never_shows(m, SLICE("hunter2-hunter2-s3cr3t"), SLICE("hunter2-s3cr3t"));
	mask_free(m);
	no_leaks();
}

Test(I11, in_base64_at_three_alignments_in_hex_in_urls_and_in_json)
{
	static const char secret[] = "pa\"ss wörd/42+x";
	struct mask *m = mask_new();
	cr_assert_eq(mask_add(m, slice_of(secret)), 0);
	for (size_t pad = 0; pad < 3; pad++) {
		struct buf plain = BUF(256), text = BUF(1024);
		buf_add(&plain, (struct slice){ "ab", pad });
		buf_adds(&plain, secret);
		buf_adds(&plain, "tail");
		base64_add(&text, buf_slice(&plain));
		/* What of the text is the secret alone: the middle. */
		struct slice inner = slice_upto(slice_from(buf_slice(&text), pad ? pad + 1 : 0), 12);
		never_shows(m, buf_slice(&text), inner);
		buf_fini(&plain);
		buf_fini(&text);
	}
	struct buf hex = BUF(256), json = BUF(256);
	hex_add(&hex, slice_of(secret));
	never_shows(m, buf_slice(&hex), buf_slice(&hex));
	buf_add_json(&json, slice_of(secret));
	never_shows(m, buf_slice(&json), slice_upto(slice_from(buf_slice(&json), 1), json.len - 2));
	never_shows(m, SLICE("?q=pa%22ss%20w%C3%B6rd%2F42%2Bx&"), SLICE("pa%22ss%20w%C3%B6rd%2F42%2Bx"));
	buf_fini(&hex);
	buf_fini(&json);
	mask_free(m);
	no_leaks();
}

Test(I11, line_by_line_and_across_colours)
{
	struct mask *m = mask_new();
	struct buf out = BUF(4096);
	cr_assert_eq(mask_add(m, SLICE("-----BEGIN KEY-----\nMIIEvQIBADANBg\nqhkiG9w0BAQEF\n-----END KEY-----\n")), 0);
	cr_assert_eq(mask_add(m, SLICE("topsecret")), 0);
	mask_text(m, SLICE("got MIIEvQIBADANBg here"), &out);
	cr_assert_str_eq(buf_cstr(&out), "got *** here");
	buf_clear(&out);
	mask_text(m, SLICE("a top\x1b[31msec\x1b[0mret b"), &out);
	cr_assert_str_eq(buf_cstr(&out), "a ***\x1b[31m\x1b[0m b");
	cr_assert_eq(mask_add(m, SLICE("abc")), -1);
	buf_fini(&out);
	mask_free(m);
	no_leaks();
}

/* "\033[31" and a secret that begins with an m: a terminal takes the m for the end of the colour, and who reads the bytes has it all. */
Test(I11, where_its_own_letters_end_a_sequence)
{
	static const char *const secrets[] = { "mysecret-1", "hunter2-s3cr3t", "31mhunter2", "[1;2mcoloured", "1:2;3-numbers", "[31;42m" };
	static const char *const before[] = { "\x1b[", "\x1b[31", "\x1b[1;31", "a\x1b[0m\x1b[3", "\x1b", "x\x1b[31m\x1b[", "hun\x1b[31", "[31;42m\x1b" };

	for (size_t i = 0; i < COUNT(secrets); i++) {
		struct mask *m = mask_new();
		cr_assert_eq(mask_add(m, slice_of(secrets[i])), 0);
		for (size_t k = 0; k < COUNT(before); k++) {
			CLEANUP(freep) char *text = xprintf("%s%s and \x1b[1mmore\x1b[0m", before[k], secrets[i]);
			never_shows(m, slice_of(text), slice_of(secrets[i]));
		}
		mask_free(m);
	}
	struct mask *m = mask_new();
	struct buf out = BUF(4096);
	cr_assert_eq(mask_add(m, SLICE("mysecret-1")), 0);
	mask_text(m, SLICE("a\x1b[31mysecret-1\x1b[0m b"), &out);
	cr_assert_str_eq(buf_cstr(&out), "a***\x1b[0m b", "the sequence goes with it: half of one would take what follows");
	buf_fini(&out);
	mask_free(m);
	no_leaks();
}

static void mask_line(struct slice line, int is_ended, void *arg)
{
	struct { struct mask *m; struct buf *out; } *to = arg;
	mask_text(to->m, line, to->out);
}

/* "\033[31" and a secret that begins with an h: the h ends the sequence, which is dropped, and what is left must not show. */
Test(I11, what_a_sequence_without_an_end_has_left_of_it)
{
	static const char *const secrets[] = { "hunter2-s3cr3t", "12;34hunter2", "[31;42hunter2", "(hunter2-s3", "@unter2-s3" };
	static const char *const before[] = { "\x1b[", "\x1b[31", "\x1b", "a\x1b[0m\x1b[3", "\x1b(" };

	for (size_t i = 0; i < COUNT(secrets); i++)
		for (size_t k = 0; k < COUNT(before); k++) {
			struct buf out = BUF(4096);
			struct fold f;
			struct { struct mask *m; struct buf *out; } to = { mask_new(), &out };
			CLEANUP(freep) char *text = xprintf("%s%s\n", before[k], secrets[i]);
			struct slice tail = slice_from(slice_of(secrets[i]), strlen(secrets[i]) - 6);
			cr_assert_eq(mask_add(to.m, slice_of(secrets[i])), 0);
			fold_init(&f);
			fold_feed(&f, slice_of(text), mask_line, &to);
			cr_assert_not(holds(buf_slice(&out), tail), "%s behind %zu: %s", secrets[i], k, buf_cstr(&out));
			fold_fini(&f);
			buf_fini(&out);
			mask_free(to.m);
		}
	no_leaks();
}

Test(mask, leaves_other_text_alone)
{
	struct mask *m = mask_new();
	struct buf out = BUF(1 << 20), text = BUF(1 << 20);
	mask_add(m, SLICE("needle-in-hay"));
	srand(1);
	for (int i = 0; i < 50000; i++)
		buf_addc(&text, "nedl-ihay\x1b[m;1\n"[rand() % 15]);
	cr_assert_not(holds(buf_slice(&text), SLICE("needle-in-hay")));
	mask_text(m, buf_slice(&text), &out);
	cr_assert(slice_eq(buf_slice(&out), buf_slice(&text)));
	buf_fini(&out);
	buf_fini(&text);
	mask_free(m);
	no_leaks();
}

static void on_ephemeral(const char *kind, struct slice data, void *arg)
{
	buf_addf(arg, "%s " SLICE_FMT "\n", kind, SLICE_ARG(data));
}

/* All log lines of a journal, joined by LF. Checks every id on the way. */
static void read_lines(int fd, struct buf *out)
{
	CLEANUP(buf_fini) struct buf all = BUF(BUF_UNLIMITED);
	struct journal_event ev;
	struct err e;
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(fd_read_all(fd, &all, &e), 0);
	struct slice rest = buf_slice(&all);
	int64_t at = 0;
	while (rest.len) {
		ptrdiff_t n = journal_decode(rest, &ev);
		cr_assert(n > 0);
		at += n;
		cr_assert_eq(ev.id.offset, at);
		if (slice_eq(ev.kind, SLICE("log"))) {
			ptrdiff_t from = slice_find(ev.data, SLICE("\"l\":["));
			buf_add(out, slice_upto(slice_from(ev.data, (size_t)from + 5), ev.data.len - (size_t)from - 7));
			buf_addc(out, '\n');
		}
		rest = slice_from(rest, (size_t)n);
	}
}

Test(writer, keeps_the_order_of_lines_and_tells_what_is_unfinished)
{
	CLEANUP(fd_closep) int fd = temp_journal();
	struct buf told = BUF(4096), got = BUF(4096);
	struct err e;
	struct journal_writer *w = journal_writer_new(&(struct journal_options){
		.fd = fd, .job = 1, .attempt = 1, .on_ephemeral = on_ephemeral, .arg = &told });
	mask_add(journal_writer_mask(w), SLICE("s3cr3t"));
	struct journal_stream *out = journal_stream_new(w, 2, 0), *err = journal_stream_new(w, 2, 1);
	cr_assert_eq(journal_stream_feed(out, SLICE("one\ntwo\n"), &e), 0);
	cr_assert_eq(journal_stream_feed(err, SLICE("oops\n"), &e), 0);
	cr_assert_eq(journal_stream_feed(out, SLICE("three\nname: s3c"), &e), 0);
	journal_writer_tick(w, &e);
	cr_assert_str_eq(buf_cstr(&told), "partial {\"s\":2,\"text\":\"name: \"}\n");
	cr_assert_eq(journal_stream_feed(out, SLICE("r3t"), &e), 0);
	cr_assert_eq(journal_stream_end(out, &e), 0);
	cr_assert_eq(journal_stream_end(err, &e), 0);
	cr_assert_eq(journal_writer_flush(w, &e), 0);
	journal_stream_free(out);
	journal_stream_free(err);
	journal_writer_free(w);
	read_lines(fd, &got);
	cr_assert_str_eq(buf_cstr(&got), "\"one\",\"two\"\n\"oops\"\n\"three\",\"name: ***\"\n");
	buf_fini(&told);
	buf_fini(&got);
	no_leaks();
}

Test(writer, stops_at_its_bound_with_one_note)
{
	CLEANUP(fd_closep) int fd = temp_journal();
	struct err e;
	struct journal_writer *w = journal_writer_new(&(struct journal_options){
		.fd = fd, .job = 1, .attempt = 1, .cap_bytes = 100000 });
	struct journal_stream *s = journal_stream_new(w, 1, 0);
	for (int i = 0; i < 20000; i++)
		cr_assert_eq(journal_stream_feed(s, SLICE("twenty bytes of text\n"), &e), 0);
	cr_assert_eq(journal_stream_end(s, &e), 0);
	cr_assert_eq(journal_write(w, "step", SLICE("{\"s\":1,\"state\":\"succeeded\"}"), &e), 0);
	journal_stream_free(s);
	journal_writer_free(w);
	CLEANUP(buf_fini) struct buf all = BUF(1 << 20);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(fd_read_all(fd, &all, &e), 0);
	cr_assert(all.len < 101000);
	ptrdiff_t note = slice_find(buf_slice(&all), SLICE("event: note"));
	cr_assert(note > 0);
	cr_assert_eq(slice_find(slice_from(buf_slice(&all), (size_t)note + 1), SLICE("event: note")), -1);
	cr_assert(holds(buf_slice(&all), SLICE("event: step")));
}

Test(writer, any_bytes_in_any_pieces_make_a_well_formed_journal)
{
	srand(7);
	for (int round = 0; round < 60; round++) {
		CLEANUP(fd_closep) int fd = temp_journal();
		struct buf got = BUF(BUF_UNLIMITED);
		struct err e;
		struct journal_writer *w = journal_writer_new(&(struct journal_options){ .fd = fd, .job = 1, .attempt = 1 });
		struct journal_stream *s = journal_stream_new(w, 1, 0);
		for (int i = 0; i < 400; i++) {
			char piece[512];
			size_t n = (size_t)rand() % sizeof piece;
			for (size_t k = 0; k < n; k++)
				piece[k] = rand() % 3 ? "ab\n\r\x1b[m\xc3\xa9"[rand() % 9] : (char)rand();
			cr_assert_eq(journal_stream_feed(s, (struct slice){ piece, n }, &e), 0);
		}
		cr_assert_eq(journal_stream_end(s, &e), 0);
		cr_assert_eq(journal_writer_flush(w, &e), 0);
		journal_stream_free(s);
		journal_writer_free(w);
		read_lines(fd, &got);
		cr_assert(utf8_is_valid(buf_slice(&got)));
		buf_fini(&got);
	}
	no_leaks();
}
