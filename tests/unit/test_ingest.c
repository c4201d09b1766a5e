/* From a POST on a socket to a committed delivery and the answer: the real server, verifier, matcher and store. */
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/clock.h"
#include "front/bodies.h"
#include "front/front.h"
#include "front/http.h"
#include "front/ingest.h"
#include "front/refusals.h"
#include "front_parts.h"
#include "raw_client.h"
#include "wire/frame.h"

static const char *const RULES[] = {
	"docs", "{'on':'push','when':{'branch':'main'},'run':{'$fn':1}}",
	"dev", "{'on':'push','when':{'branch':'dev'},'run':{'$fn':1}}", NULL };

/* The wall clock of a test, in ms; 0: the machine's own, as are all other clocks. */
static _Atomic int64_t wall_now_ms;

int clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t now = atomic_load(&wall_now_ms);

	if (id != CLOCK_REALTIME || now == 0)
		return (int)syscall(SYS_clock_gettime, id, t);
	*t = (struct timespec){ .tv_sec = now / 1000, .tv_nsec = now % 1000 * 1000000 };
	return 0;
}

static struct place place;
static struct front front;
static struct mailbox *claims;
static int port;

static void *make_loop(struct http_loop *hl, void *arg)
{
	struct loop *l = xcalloc(1, sizeof *l);
	*l = (struct loop){ .front = &front, .http = hl, .edition = edition_ref(front.first_edition) };
	return l;
}

static void end_loop(struct http_loop *hl, void *data)
{
	struct loop *l = data;
	edition_unref(l->edition);
	free(l);
}

static void on_request(struct http_request *r, void *arg)
{
	ingest_on_hook(r, http_loop_data(http_request_loop(r)));
}

static void start(const char *source)
{
	struct err e;

	place_open(&place);
	front = (struct front){ .journals_dirfd = place.journals_dirfd };
	front.first_edition = place_edition(&place, RULES, source);
	claims = mailbox_new();
	const struct store_options so = { .state_dirfd = place.state_dirfd, .jobs_max = 4, .claims = claims };
	cr_assert_eq(store_open(&so, &front.store, &e), 0, "%s", e.msg);
	front.ingest = ingest_new(front.store);
	front.bodies = bodies_new();
	const struct http_options ho = { .loops = 1, .max_connections = 64, .on_request = on_request,
					 .on_loop_start = make_loop };
	cr_assert_eq(http_new(&ho, &front.http, &e), 0);
	int fd = raw_listen(&port);
	cr_assert_eq(http_listen(front.http, fd, LISTEN_HOOKS, &e), 0);
	cr_assert_eq(http_start(front.http, &e), 0);
}

static void end(void)
{
	http_drain(front.http, 1000, NULL, NULL);
	bodies_stop(front.bodies);
	store_close(front.store);
	http_free(front.http, end_loop);
	ingest_free(front.ingest);
	bodies_free(front.bodies);
	edition_unref(front.first_edition);
	struct mail_list left;
	mailbox_take(claims, &left);
	cr_assert(STAILQ_EMPTY(&left), "a job was claimed before recovery was done");
	mailbox_free(claims);
	place_close(&place);
	no_leaks();
}

/* One request; EXTRA are header lines with their CRLF. The body of the answer is put into OUT (NULL: not wanted). */
static int deliver(const char *method, const char *path, const char *extra, struct slice body, json_t **out)
{
	struct buf text = BUF(64 << 20), in = BUF(1 << 20);
	int fd = raw_connect(port);

	buf_addf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", method, path,
		 body.len, extra);
	buf_add(&text, body);
	raw_send(fd, buf_slice(&text));
	raw_until_eof(fd, &in);
	close(fd);
	int status = raw_status(&in);
	ptrdiff_t head = slice_find(buf_slice(&in), SLICE("\r\n\r\n"));
	struct slice rest = slice_from(buf_slice(&in), (size_t)head + 4);
	if (out)
		*out = json_loadb(rest.ptr, rest.len, 0, NULL);
	buf_fini(&text);
	buf_fini(&in);
	return status;
}

static int push(const char *key, struct slice body, json_t **out)
{
	char signature[80], headers[400];

	sign_body(body, signature);
	snprintf(headers, sizeof headers, "Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: %s\r\n"
		 "X-Hub-Signature-256: %s\r\n", key, signature);
	return deliver("POST", "/hooks/github", headers, body, out);
}

struct told {
	struct read read;
	struct mailbox *mail;
};

static void on_told(struct mail *m, void *arg)
{
	*(int *)arg = 1;
}

/* What the store has, after its commit. */
static void look(struct read *read)
{
	struct mailbox *mail = mailbox_new();
	int is_told = 0;

	read->mail.deliver = on_told;
	read->reply_to = mail;
	store_read(front.store, read);
	while (!is_told) {
		struct pollfd p = { mailbox_fd(mail), POLLIN, 0 };
		cr_assert_eq(poll(&p, 1, RAW_WAIT_MS), 1);
		mailbox_deliver(mail, &is_told);
	}
	mailbox_free(mail);
	cr_assert_eq(read->outcome, STORE_OK);
}

static size_t count_deliveries(void)
{
	struct read read = { .what = READ_DELIVERIES, .limit = 100 };
	look(&read);
	json_t *list = json_loadb(read.json.ptr, read.json.len, 0, NULL);
	size_t n = json_array_size(json_object_get(list, "deliveries"));
	json_decref(list);
	buf_fini(&read.json);
	return n;
}

Test(ingest, a_signed_push_is_stored_byte_for_byte_and_answered_with_its_jobs)
{
	json_t *answer;
	start(NULL);
	cr_assert_eq(push("k1", SLICE(BODY), &answer), 202);
	json_t *matched = json_object_get(answer, "matched"), *job = json_array_get(matched, 0);
	cr_assert_eq(json_array_size(matched), 1);
	cr_expect_str_eq(json_string_value(json_object_get(job, "rule")), "docs");
	cr_expect(json_integer_value(json_object_get(job, "job")) > 0);
	cr_expect(strstr(json_string_value(json_object_get(job, "url")), "/jobs/"));
	json_t *not = json_array_get(json_object_get(answer, "not_matched"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(not, "rule")), "dev");
	struct read body = { .what = READ_BODY, .a = json_integer_value(json_object_get(answer, "delivery")), .limit = 1 };
	look(&body);
	cr_expect(slice_eq(buf_slice(&body.json), SLICE(BODY)));
	buf_fini(&body.json);
	json_decref(answer);
	end();
}

Test(ingest, the_same_delivery_again_is_answered_with_the_first_ones_jobs)
{
	json_t *first, *second;
	start(NULL);
	cr_assert_eq(push("k1", SLICE(BODY), &first), 202);
	cr_assert_eq(push("k1", SLICE(BODY), &second), 200);
	cr_expect(json_is_true(json_object_get(second, "duplicate")));
	cr_expect(json_equal(json_object_get(first, "delivery"), json_object_get(second, "delivery")));
	cr_expect(json_equal(json_object_get(first, "matched"), json_object_get(second, "matched")));
	cr_expect_eq(count_deliveries(), 1);
	json_decref(first);
	json_decref(second);
	end();
}

Test(ingest, what_is_refused_leaves_nothing)
{
	static const char json[] = "Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: k\r\n";
	CLEANUP(freep) char *forged = xprintf("%sX-Hub-Signature-256: sha256=%064d\r\n", json, 0);
	CLEANUP(freep) char *packed = xprintf("%sContent-Encoding: gzip\r\n", json);
	start(NULL);
	cr_expect_eq(deliver("POST", "/hooks/github", json, SLICE(BODY), NULL), 401);
	cr_expect_eq(deliver("POST", "/hooks/github", forged, SLICE(BODY), NULL), 401);
	cr_expect_eq(deliver("POST", "/hooks/nobody", forged, SLICE(BODY), NULL), 404);
	cr_expect_eq(deliver("GET", "/hooks/github", "", SLICE(""), NULL), 405);
	cr_expect_eq(deliver("POST", "/hooks/github", packed, SLICE(BODY), NULL), 415);
	cr_expect_eq(deliver("POST", "/hooks/github", "Content-Type: text/plain\r\n", SLICE(BODY), NULL), 415);
	cr_expect_eq(push("k", SLICE("{\"ref\":"), NULL), 400);
	cr_expect_eq(push("k", SLICE(""), NULL), 400);
	cr_expect_eq(count_deliveries(), 0);
	end();
}

Test(ingest, a_large_body_takes_the_way_over_the_worker)
{
	struct buf body = BUF(1 << 20);
	json_t *answer;
	start(NULL);
	buf_adds(&body, "{\"ref\":\"refs/heads/main\",\"repository\":{\"full_name\":\"a/b\"},\"padding\":\"");
	while (body.len < BODY_LOOP_BYTES + 1000)
		buf_adds(&body, "0123456789abcdef");
	buf_adds(&body, "\"}");
	cr_assert_eq(push("large", buf_slice(&body), &answer), 202);
	cr_expect_eq(json_array_size(json_object_get(answer, "matched")), 1);
	json_decref(answer);
	buf_adds(&body, "]");
	cr_expect_eq(push("torn", buf_slice(&body), NULL), 400);
	cr_expect_eq(count_deliveries(), 1);
	/* No more than so many bytes at once; a place is given back, however the body was judged. */
	cr_assert_eq(bodies_reserve(front.bodies, BODY_WAY_MAX - body.len), 0);
	cr_expect_eq(push("torn again", buf_slice(&body), NULL), 400);
	cr_assert_eq(bodies_reserve(front.bodies, 1), 0);
	cr_expect_eq(push("one byte too many", buf_slice(&body), &answer), 503);
	cr_expect_str_eq(json_string_value(json_object_get(answer, "detail")), "too many large deliveries at once");
	json_decref(answer);
	cr_expect_eq(push("small", SLICE(BODY), NULL), 202);
	buf_fini(&body);
	end();
}

Test(ingest, an_event_that_nobody_listens_to_is_kept_and_says_so)
{
	char signature[80], headers[400];
	json_t *answer;
	start(NULL);
	sign_body(SLICE("{\"zen\":1}"), signature);
	snprintf(headers, sizeof headers, "Content-Type: application/json\r\nX-GitHub-Event: ping\r\nX-GitHub-Delivery: p\r\n"
		 "X-Hub-Signature-256: %s\r\n", signature);
	cr_assert_eq(deliver("POST", "/hooks/github", headers, SLICE("{\"zen\":1}"), &answer), 202);
	cr_expect_eq(json_array_size(json_object_get(answer, "matched")), 0);
	cr_expect(json_object_get(answer, "note"));
	json_decref(answer);
	end();
}

Test(ingest, a_source_whose_secret_cannot_be_read_asks_to_send_again)
{
	start("{'provider':'github','secret':{'$secret':'missing'}}");
	cr_expect_eq(push("k", SLICE(BODY), NULL), 503);
	cr_expect_eq(count_deliveries(), 0);
	end();
}

#define T_2030_MS 1893456000000

Test(ingest, a_secret_is_good_before_its_last_moment_and_not_at_it)
{
	atomic_store(&wall_now_ms, T_2030_MS - 1000);
	setenv("PUSHROD_SECRET_NEXT", "the next one", 1);
	start("{'provider':'github','secret':{'#':[{'$secret':'next'},{'#':[{'$secret':'gh'}],'not_after':'2030-01-01T00:00:00Z'}]}}");
	cr_expect_eq(push("k1", SLICE(BODY), NULL), 202);
	atomic_store(&wall_now_ms, T_2030_MS - 1);
	cr_expect_eq(push("k2", SLICE(BODY), NULL), 202);
	atomic_store(&wall_now_ms, T_2030_MS);
	cr_expect_eq(push("k3", SLICE(BODY), NULL), 401);
	atomic_store(&wall_now_ms, T_2030_MS + 1);
	cr_expect_eq(push("k4", SLICE(BODY), NULL), 401);
	cr_expect_eq(count_deliveries(), 2);
	end();
}

Test(ingest, with_its_only_secret_expired_a_source_asks_to_send_again)
{
	atomic_store(&wall_now_ms, T_2030_MS - 1);
	start("{'provider':'github','secret':{'#':[{'$secret':'gh'}],'not_after':'2030-01-01T00:00:00Z'}}");
	cr_expect_eq(push("k1", SLICE(BODY), NULL), 202);
	atomic_store(&wall_now_ms, T_2030_MS);
	cr_expect_eq(push("k2", SLICE(BODY), NULL), 503);
	end();
}

Test(ingest, rule_10_nothing_is_verified_by_a_clock_that_is_not_set)
{
	atomic_store(&wall_now_ms, 1704067200000 - 1);
	start(NULL);
	cr_expect_eq(push("k1", SLICE(BODY), NULL), 503);
	atomic_store(&wall_now_ms, 1704067200000);
	cr_expect_eq(push("k2", SLICE(BODY), NULL), 202);
	atomic_store(&wall_now_ms, 7258118400000);
	cr_expect_eq(push("k3", SLICE(BODY), NULL), 503);
	cr_expect_eq(count_deliveries(), 1);
	end();
}

Test(ingest, a_signed_body_under_a_new_id_is_told_from_a_new_one)
{
	json_t *first, *again, *other;
	start(NULL);
	cr_assert_eq(push("k1", SLICE(BODY), &first), 202);
	cr_expect_null(json_object_get(first, "same_as"));
	cr_assert_eq(push("k2", SLICE(BODY), &again), 202);
	cr_expect_eq(json_integer_value(json_object_get(again, "same_as")), json_integer_value(json_object_get(first, "delivery")));
	cr_expect_eq(json_array_size(json_object_get(again, "matched")), 1, "it is marked, and runs");
	cr_assert_eq(push("k3", SLICE(BODY " "), &other), 202);
	cr_expect_null(json_object_get(other, "same_as"));
	cr_expect_eq(count_deliveries(), 3);
	json_decref(first);
	json_decref(again);
	json_decref(other);
	end();
}

Test(ingest, the_secret_that_verified_a_delivery_is_kept_by_name)
{
	start("{'provider':'github','secret':{'#':[{'$secret':'other'},{'$secret':'gh'}]}}");
	cr_assert_eq(push("k1", SLICE(BODY), NULL), 202);
	struct read read = { .what = READ_KEPT, .a = 1, .limit = 1 };
	look(&read);
	cr_expect_str_eq(read.kept->secret, "gh");
	kept_free(read.kept);
	buf_fini(&read.json);
	end();
}

Test(ingest, what_a_source_refused_is_counted_with_the_last_reason_in_the_words_of_the_log)
{
	static const char json[] = "Content-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: k\r\n";
	CLEANUP(freep) char *forged = xprintf("%sX-Hub-Signature-256: sha256=%064d\r\n", json, 0);
	struct refused no;
	start(NULL);
	struct refusals *r = front.first_edition->hooks[0].refusals;
	refusals_tell(r, &no);
	cr_expect_eq(no.count, 0);
	cr_expect_eq(deliver("POST", "/hooks/github", json, SLICE(BODY), NULL), 401);
	refusals_tell(r, &no);
	cr_expect_eq(no.count, 1);
	cr_expect_eq(no.status, 401);
	cr_expect_str_eq(no.why, "X-Hub-Signature-256 is missing or empty");
	cr_expect(no.last_ms > wall_ms() - 60000 && no.last_ms <= wall_ms());
	cr_expect_eq(deliver("POST", "/hooks/github", forged, SLICE(BODY), NULL), 401);
	cr_expect_eq(deliver("POST", "/hooks/github", "Content-Type: text/plain\r\n", SLICE(BODY), NULL), 415);
	cr_expect_eq(push("k1", SLICE(BODY), NULL), 202);
	refusals_tell(r, &no);
	cr_expect_eq(no.count, 3);
	cr_expect_eq(no.status, 415);
	/* Another edition of the same source goes on counting. */
	struct edition *next = place_edition(&place, RULES, NULL);
	edition_inherit(next, front.first_edition);
	cr_expect_eq(next->hooks[0].refusals, r);
	edition_unref(next);
	end();
}

Test(ingest, paths_that_no_source_has_are_counted_and_the_last_ones_kept_short_and_harmless)
{
	static const char json[] = "Content-Type: application/json\r\n";
	struct strays_told told;
	char path[400];
	start(NULL);
	cr_expect_eq(deliver("GET", "/hooks/gthub", "", SLICE(""), NULL), 404);
	for (int i = 0; i < 2; i++)
		cr_expect_eq(deliver("POST", "/hooks/gthub", json, SLICE(BODY), NULL), 404);
	cr_expect_eq(deliver("POST", "/hooks/a%22x%c3%a9", json, SLICE(BODY), NULL), 404);
	strays_tell(ingest_strays(front.ingest), &told);
	cr_expect_eq(told.count, 3, "a GET is no delivery");
	cr_expect_str_eq(told.last[0].path, "/hooks/a?x??");
	cr_expect_str_eq(told.last[1].path, "/hooks/gthub");
	cr_expect_eq(told.last[1].count, 2);
	cr_expect_eq(told.last[2].count, 0);
	cr_expect_str_eq(edition_near_path(front.first_edition, SLICE("/hooks/gthub")), "/hooks/github");
	for (int i = 0; i < 6; i++) {
		snprintf(path, sizeof path, "/hooks/%0200d", i);
		cr_expect_eq(deliver("POST", path, json, SLICE(BODY), NULL), 404);
	}
	cr_expect_eq(deliver("POST", "/hooks/gthub", json, SLICE(BODY), NULL), 404);
	strays_tell(ingest_strays(front.ingest), &told);
	cr_expect_eq(told.count, 10);
	cr_expect_str_eq(told.last[0].path, "/hooks/gthub");
	cr_expect_eq(strlen(told.last[1].path), STRAY_PATH_MAX - 1);
	cr_expect(slice_ends(slice_of(told.last[1].path), SLICE("...")));
	cr_expect_eq(told.last[1].count, 6, "what is cut is one");
	end();
}

struct noting {
	struct refusals *refusals;
	struct strays *strays;
	char letter;
};

static void *note_a_lot(void *arg)
{
	struct noting *n = arg;
	char text[200], shown[STRAY_PATH_MAX];
	int64_t unsaid;

	memset(text, n->letter, sizeof text - 1);
	text[sizeof text - 1] = '\0';
	for (int i = 0; i < 20000; i++) {
		refusals_note(n->refusals, n->letter, text, &unsaid);
		strays_note(n->strays, (struct slice){ text, 50 }, shown, &unsaid);
	}
	return NULL;
}

Test(ingest, threads_that_are_refused_at_once_are_all_counted_and_a_reason_is_never_two_mixed)
{
	struct refusals *r = refusals_new();
	struct strays *s = strays_new();
	struct noting noting[3];
	struct strays_told told;
	pthread_t threads[3];
	struct refused no;

	for (int i = 0; i < 3; i++) {
		noting[i] = (struct noting){ r, s, (char)('a' + i) };
		cr_assert_eq(pthread_create(&threads[i], NULL, note_a_lot, &noting[i]), 0);
	}
	for (int k = 0; k < 2000; k++) {
		refusals_tell(r, &no);
		cr_assert_eq(strspn(no.why, (char[]){ (char)no.status, 0 }), strlen(no.why));
		strays_tell(s, &told);
		for (int i = 0; i < STRAYS_KEPT && told.last[i].count; i++)
			cr_assert_eq(strspn(told.last[i].path, (char[]){ told.last[i].path[0], 0 }), 50);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	refusals_tell(r, &no);
	strays_tell(s, &told);
	cr_expect_eq(no.count, 60000);
	cr_expect_eq(told.count, 60000);
	cr_expect(told.last[0].count > 0 && told.last[0].count <= 20000);
	refusals_unref(r);
	strays_free(s);
	no_leaks();
}
