/* client: whose request it is that a proxy hands on. */
#include <criterion/criterion.h>

#include "no_leaks.h"
#include "rules/client.h"

static struct networks networks(const char *const *texts, struct cidr *list)
{
	struct networks out = { list, 0 };
	struct err e;

	for (; texts[out.n]; out.n++)
		cr_assert_eq(cidr_parse(slice_of(texts[out.n]), &list[out.n], &e), 0, "%s", e.msg);
	return out;
}

Test(client, is_the_last_whom_no_proxy_of_ours_is)
{
	static const char *const proxies[] = { "127.0.0.1", "10.0.0.0/8", "fd00::/8", NULL };
	static const struct { const char *peer, *forwarded[3], *want; } t[] = {
		{ "192.0.2.1", { NULL }, "192.0.2.1" },
		{ "192.0.2.1", { "10.0.0.1" }, "192.0.2.1" },                  /* a stranger's tale */
		{ "unix", { "10.0.0.1" }, "unix" },
		{ "127.0.0.1", { NULL }, "127.0.0.1" },
		{ "127.0.0.1", { "" }, "127.0.0.1" },
		{ "127.0.0.1", { "192.0.2.1" }, "192.0.2.1" },
		{ "::ffff:127.0.0.1", { "192.0.2.1" }, "192.0.2.1" },
		{ "127.0.0.1", { " 198.51.100.1 ,\t192.0.2.1 " }, "192.0.2.1" },
		{ "127.0.0.1", { "192.0.2.1, 10.0.0.2" }, "192.0.2.1" },
		{ "127.0.0.1", { "198.51.100.1, 192.0.2.1, 10.0.0.2, fd00::2" }, "192.0.2.1" },
		{ "127.0.0.1", { "10.0.0.3,10.0.0.2" }, "10.0.0.3" },         /* all ours: the first of them */
		{ "127.0.0.1", { "198.51.100.1", "192.0.2.1" }, "192.0.2.1" },
		{ "127.0.0.1", { "192.0.2.1", "10.0.0.2" }, "192.0.2.1" },
		{ "127.0.0.1", { "192.0.2.1", "" }, "192.0.2.1" },
		{ "127.0.0.1", { "192.0.2.1:80" }, "192.0.2.1" },
		{ "127.0.0.1", { "[2001:db8::1]:80" }, "2001:db8::1" },
		{ "127.0.0.1", { "[2001:db8::1]" }, "2001:db8::1" },
		{ "127.0.0.1", { "2001:db8::1" }, "2001:db8::1" },
		{ "127.0.0.1", { "garbage, 192.0.2.1" }, "192.0.2.1" },
		{ "127.0.0.1", { "192.0.2.1, garbage" }, NULL },
		{ "127.0.0.1", { "192.0.2.1," }, NULL },
		{ "127.0.0.1", { "," }, NULL },
		{ "127.0.0.1", { "[2001:db8::1" }, NULL },
		{ "127.0.0.1", { "192.0.2.0/24" }, NULL },
		{ "127.0.0.1", { "garbage, 10.0.0.2" }, NULL },
	};
	struct cidr list[8];
	struct networks ours = networks(proxies, list), none = { 0 };

	for (size_t i = 0; i < COUNT(t); i++) {
		struct slice forwarded[3];
		size_t n = 0;
		for (; t[i].forwarded[n]; n++)
			forwarded[n] = slice_of(t[i].forwarded[n]);
		struct slice got = client_address(&ours, slice_of(t[i].peer), forwarded, n);
		cr_assert_eq(got.ptr != NULL, t[i].want != NULL, "%zu", i);
		cr_assert(!t[i].want || slice_eq(got, slice_of(t[i].want)), "%zu: %.*s", i, SLICE_ARG(got));
		got = client_address(&none, slice_of(t[i].peer), forwarded, n);
		cr_assert(slice_eq(got, slice_of(t[i].peer)), "%zu: without proxies nobody is believed", i);
	}
	cr_assert(networks_hold(&ours, SLICE("10.255.0.1")) && !networks_hold(&ours, SLICE("11.0.0.1")) && !networks_hold(&ours, SLICE("unix")));
	no_leaks();
}
