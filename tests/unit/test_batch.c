/* batch: the event of a job that took several pushes in. */
#include "front/batch.h"

#include <jansson.h>
#include <stdlib.h>

#include "no_leaks.h"
#include "store/store.h"

/* The events of deliveries 1, 2, …, folded: the merged event has each of WANTED (a JSON object) and none of ABSENT (a field, or NULL). */
struct fold {
	const char *events[4];          /* oldest first, up to NULL */
	const char *wanted, *absent;
};

static void expect_fold(const struct fold *f)
{
	CLEANUP(buf_fini) struct buf batch = BUF(1 << 20);
	struct merged merged[4];
	struct claim c = { .merged = merged };
	json_t *wanted = json_loads(f->wanted, 0, NULL), *value;
	const char *name;
	size_t n = 0;

	while (n < 4 && f->events[n])
		n++;
	cr_assert(n > 1 && wanted);
	for (size_t i = 0; i < n - 1; i++)
		merged[i] = (struct merged){ (int64_t)i + 1, (char *)(uintptr_t)f->events[i] };
	c.n_merged = n - 1;
	c.delivery = (int64_t)n;
	c.event_json = (char *)(uintptr_t)f->events[n - 1];
	CLEANUP(freep) char *text = batch_event(&c, &batch);
	json_t *event = json_loads(text, 0, NULL), *items = json_loadb(batch.ptr, batch.len, 0, NULL);
	cr_assert(json_is_object(event) && json_array_size(items) == n);
	json_object_foreach(wanted, name, value)
		cr_expect(json_equal(value, json_object_get(event, name)), "%s: %s", name, text);
	cr_expect(!f->absent || !json_object_get(event, f->absent), "%s is there: %s", f->absent, text);
	for (size_t i = 0; i < n; i++) {
		json_t *item = json_array_get(items, i), *whole = json_loads(f->events[i], 0, NULL);
		cr_expect_eq(json_integer_value(json_object_get(item, "id")), (json_int_t)i + 1);
		json_object_del(item, "id");
		cr_expect(json_equal(item, whole), "item %zu is as it came", i);
		json_decref(whole);
	}
	json_decref(items);
	json_decref(event);
	json_decref(wanted);
}

#define ZEROS "0000000000000000000000000000000000000000"

Test(batch, is_one_push_from_the_first_before_to_the_last_sha)
{
	static const struct fold cases[] = {
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[\"x\",\"y\"],\"title\":\"one\"}", "{\"before\":\"b\",\"sha\":\"c\",\"paths\":[\"y\",\"z\"],\"title\":\"two\"}",
		    "{\"before\":\"c\",\"sha\":\"d\",\"paths\":[\"x\"],\"title\":\"three\",\"forced\":false}" },
		  "{\"before\":\"a\",\"sha\":\"d\",\"paths\":[\"x\",\"y\",\"z\"],\"title\":\"three\",\"forced\":false}", "unknown" },
		/* a force push: what lay between is not in the union */
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[\"x\"]}", "{\"before\":\"a\",\"sha\":\"c\",\"paths\":[\"z\"],\"forced\":true}" },
		  "{\"before\":\"a\",\"sha\":\"c\",\"unknown\":[\"paths\"],\"forced\":true}", "paths" },
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[\"x\"],\"forced\":true}", "{\"before\":\"b\",\"sha\":\"c\",\"paths\":[\"z\"],\"forced\":false}" },
		  "{\"before\":\"a\",\"sha\":\"c\",\"paths\":[\"x\",\"z\"],\"forced\":true}", NULL },
		/* one that does not know its own; a break in the middle, too */
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"unknown\":[\"paths\"]}", "{\"before\":\"b\",\"sha\":\"c\",\"paths\":[\"z\"]}" },
		  "{\"before\":\"a\",\"unknown\":[\"paths\"]}", "paths" },
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[\"x\"]}", "{\"before\":\"b\",\"sha\":\"c\",\"unknown\":[\"number\",\"paths\"]}" },
		  "{\"before\":\"a\",\"unknown\":[\"number\",\"paths\"]}", "paths" },
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[]}", "{\"before\":\"q\",\"sha\":\"c\",\"paths\":[\"z\"]}", "{\"before\":\"c\",\"sha\":\"d\",\"paths\":[\"z\"]}" },
		  "{\"before\":\"a\",\"sha\":\"d\",\"unknown\":[\"paths\"]}", "paths" },
		/* a branch that the first of them made */
		{ { "{\"before\":\"" ZEROS "\",\"sha\":\"b\",\"created\":true,\"unknown\":[\"paths\"]}", "{\"before\":\"b\",\"sha\":\"c\",\"created\":false,\"paths\":[\"z\"]}" },
		  "{\"before\":\"" ZEROS "\",\"created\":true,\"unknown\":[\"paths\"]}", "paths" },
		/* a host that does not tell where a push began */
		{ { "{\"sha\":\"b\",\"paths\":[\"x\"]}", "{\"before\":\"b\",\"sha\":\"c\",\"paths\":[\"z\"]}" }, "{\"paths\":[\"x\",\"z\"]}", "before" },
		{ { "{\"before\":\"a\",\"sha\":\"b\",\"paths\":[\"x\"]}", "{\"sha\":\"c\",\"paths\":[\"z\"]}" }, "{\"before\":\"a\",\"unknown\":[\"paths\"]}", "paths" },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		expect_fold(&cases[i]);
	no_leaks();
}
