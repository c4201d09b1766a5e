/* front/intake.c - types and keys of a delivery. */
#include "front/intake.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/hex.h"

#define KEY_MAX 255

int intake_takes_type(struct slice content_type)
{
	struct slice type, parameters;

	slice_cut(content_type, ';', &type, &parameters);
	type = slice_trim(type);
	if (slice_ieq(type, SLICE("application/cloudevents-batch+json")))
		return 0;                               /* several events: which of them would the answer be about? */
	if (slice_ieq(type, SLICE("application/json")) || slice_ieq(type, SLICE("application/x-www-form-urlencoded")))
		return 1;
	return type.len > 17 && slice_ieq(slice_upto(type, 12), SLICE("application/")) &&
	       slice_ieq(slice_from(type, type.len - 5), SLICE("+json"));
}

void intake_add_urls(struct slice json, const char *base_url, struct buf *out)
{
	json_t *list = json.len ? json_loadb(json.ptr, json.len, 0, NULL) : NULL, *item;
	size_t i;

	buf_addc(out, '[');
	json_array_foreach(list, i, item) {
		const char *rule = json_string_value(json_object_get(item, "rule"));
		int64_t job = json_integer_value(json_object_get(item, "job"));
		CLEANUP(freep) char *url = xprintf("%s/jobs/%lld", base_url, (long long)job);
		buf_adds(out, i ? ",{\"rule\":" : "{\"rule\":");
		buf_add_json(out, slice_of(rule ? rule : ""));
		const char *cell = json_string_value(json_object_get(item, "cell"));
		if (cell) {
			buf_adds(out, ",\"cell\":");
			buf_add_json(out, slice_of(cell));
		}
		buf_addf(out, ",\"job\":%lld,\"url\":", (long long)job);
		buf_add_json(out, slice_of(url));
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	json_decref(list);
}

static int is_key(struct slice s)
{
	if (s.len < 1 || s.len > KEY_MAX)
		return 0;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e)
			return 0;
	return 1;
}

char *intake_make_key(const struct header *headers, size_t n)
{
	struct buf text = BUF(64);
	char random[16];

	for (size_t i = 0; i < n; i++)
		if ((slice_ieq(headers[i].name, SLICE("idempotency-key")) || slice_ieq(headers[i].name, SLICE("webhook-id"))) &&
		    is_key(headers[i].value))
			return slice_dup(headers[i].value);
	if (getrandom(random, sizeof random, 0) != sizeof random)
		abort();
	hex_add(&text, (struct slice){ random, sizeof random });
	return buf_take(&text);
}
