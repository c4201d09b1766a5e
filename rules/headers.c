/* rules/headers.c - what is kept of a delivery beside its body. */
#include "rules/headers.h"

#include "rules/form.h"

static int contains(struct slice lower_name, const char *word)
{
	return slice_find(lower_name, slice_of(word)) >= 0;
}

/* Better one header too few in the database than a key. */
static int may_hold_a_secret(struct slice lower_name)
{
	static const char *const words[] = { "authorization", "cookie", "signature", "token", "secret", "password",
					     "api-key", "apikey", "hmac", "-auth" };

	for (size_t i = 0; i < COUNT(words); i++)
		if (contains(lower_name, words[i]))
			return 1;
	return 0;
}

/* These hold a key whatever a descriptor reads from them. */
static int holds_a_secret(struct slice lower_name)
{
	return contains(lower_name, "authorization") || contains(lower_name, "cookie");
}

static int is_worth_keeping(const struct provider *p, struct slice lower_name)
{
	enum provider_use use = p ? provider_reads_header(p, lower_name) : PROVIDER_UNREAD;

	if (lower_name.len == 0 || use == PROVIDER_PROVES || holds_a_secret(lower_name))
		return 0;
	return use == PROVIDER_TELLS || !may_hold_a_secret(lower_name);
}

static void lower(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++)
		buf_addc(out, s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] | 0x20) : s.ptr[i]);
}

int header_is_kept(const struct provider *p, struct slice name)
{
	CLEANUP(buf_fini) struct buf lower_name = BUF(BUF_UNLIMITED);

	lower(name, &lower_name);
	return is_worth_keeping(p, buf_slice(&lower_name));
}

static int is_repeat(const struct header *headers, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_ieq(headers[k].name, headers[i].name))
			return 1;
	return 0;
}

void headers_json(const struct provider *p, const struct header *headers, size_t n, size_t max, struct buf *out)
{
	CLEANUP(buf_fini) struct buf name = BUF(1024), value = BUF(max), entry = BUF(BUF_UNLIMITED);
	int is_first = 1;

	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		buf_clear(&name);
		buf_clear(&value);
		buf_clear(&entry);
		lower(headers[i].name, &name);
		if (buf_is_over(&name) || !is_worth_keeping(p, buf_slice(&name)) || is_repeat(headers, i))
			continue;
		buf_add(&value, headers[i].value);
		for (size_t k = i + 1; k < n; k++)
			if (slice_ieq(headers[k].name, headers[i].name)) {
				buf_adds(&value, ", ");
				buf_add(&value, headers[k].value);
			}
		if (!is_first)
			buf_addc(&entry, ',');
		buf_add_json(&entry, buf_slice(&name));
		buf_addc(&entry, ':');
		buf_add_json(&entry, buf_slice(&value));
		if (buf_is_over(&value) || out->len + entry.len + 1 > max)
			continue;
		buf_add(out, buf_slice(&entry));
		is_first = 0;
	}
	buf_addc(out, '}');
}

void query_kept(const struct provider *p, struct slice query, struct buf *out)
{
	CLEANUP(buf_fini) struct buf decoded = BUF(query.len + 1);
	struct slice rest = query, item;
	size_t before = out->len;

	while (rest.len) {
		struct slice name, value;
		slice_cut(rest, '&', &item, &rest);
		slice_cut(item, '=', &name, &value);
		buf_clear(&decoded);
		if (p && form_decode(name, &decoded) == 0 && provider_reads_query(p, buf_slice(&decoded)) == PROVIDER_PROVES)
			continue;
		if (out->len > before)
			buf_addc(out, '&');
		buf_add(out, item);
	}
}
