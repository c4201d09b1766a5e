/* bench_match - one GitHub push against sets of 10 to 100,000 rules, one of which matches: ns per delivery, and the ratio
 * to the smallest set. With why: also the reasons of those that do not, 50 at most. `bench_match [PAYLOAD.json [MILLISECONDS]]`, from
 * the folder of the sources where no payload is named. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "rules/ruleset.h"

#define RULES_PER_FILE 200
#define PUT(out, ...) buf_addf(out, __VA_ARGS__)

/* Rule I wants a repository of its own, a branch that all others want too, and some files. */
static void add_rule(struct buf *out, int i)
{
	PUT(out, "%s{\"kind\":\"rule\",\"name\":\"rule-%d\",\"at\":[%d,1],\"value\":{\"m\":{\"on\":\"hub:push\",\"run\":{\"fn\":1},\"when\":{\"m\":{",
	    i % RULES_PER_FILE ? "," : "", i, i * 10 + 1);
	PUT(out, "\"payload\":{\"m\":{\"repository.full_name\":\"%s", i ? "acme/site-" : "acme/handbook");
	if (i)
		buf_addi(out, i);
	PUT(out, "\",\"ref\":\"refs/heads/main\",\"commits[].modified[]\":{\"l\":[\"docs/**\",\"site-%d/**\"]}}}}}}}}", i % 50);
}

static struct ruleset *make(int n)
{
	CLEANUP(buf_fini) struct buf b = BUF(BUF_UNLIMITED), shown = BUF(BUF_UNLIMITED);
	struct diags d = { 0 };
	struct ruleset *rs;
	struct err e;

	PUT(&b, "{\"version\":1,\"modules\":{},\"providers\":[],\"diags\":[],\"files\":[{\"path\":\"pushrod.lua\",\"source\":\"\",\"decls\":["
	    "{\"kind\":\"source\",\"name\":\"hub\",\"at\":[1,1],\"value\":{\"m\":{\"auth\":\"none\"}}}]},");
	for (int i = 0; i < n; i++) {
		if (i % RULES_PER_FILE == 0)
			PUT(&b, "%s{\"path\":\"rules/r%d.lua\",\"source\":\"\",\"decls\":[", i ? "]}," : "", i);
		add_rule(&b, i);
	}
	buf_adds(&b, "]}]}");
	if (ruleset_compile(buf_slice(&b), &rs, &d, &e) < 0) {
		diags_print(&d, &shown, 0);
		fprintf(stderr, "%s\n%s", e.msg, buf_cstr(&shown));
		exit(1);
	}
	diags_fini(&d);
	return rs;
}

static void match_once(const struct ruleset *rs, struct slice json, int with_why)
{
	struct delivery_view d = { .source = ruleset_source_at(rs, 0), .event = SLICE("push"), .json = json, .delivery_key = "1" };
	struct match *m;
	struct err e;

	if (ruleset_match(rs, &d, &m, &e) < 0 || match_count(m) != 1) {
		fprintf(stderr, "the payload should match one rule: repository acme/handbook, branch main, a file below docs/\n");
		exit(1);
	}
	if (with_why) {
		CLEANUP(buf_fini) struct buf why = BUF(BUF_UNLIMITED);
		match_why_json(m, &why);
	}
	match_free(m);
}

static double measure(const struct ruleset *rs, struct slice json, int with_why, int64_t budget_ms)
{
	int64_t n = 0, begin, now;

	for (int i = 0; i < 200; i++)
		match_once(rs, json, with_why);
	begin = now = mono_us();
	while (now - begin < budget_ms * 1000) {
		for (int i = 0; i < 50; i++)
			match_once(rs, json, with_why);
		n += 50;
		now = mono_us();
	}
	return (double)(now - begin) * 1000 / (double)n;
}

int main(int argc, char **argv)
{
	static const int sizes[] = { 10, 1000, 10000, 100000 };
	CLEANUP(buf_fini) struct buf json = BUF(1 << 20);
	struct err e;
	int64_t budget_ms = 500;
	double first = 0, first_why = 0;

	if (argc > 2 && slice_to_i64(slice_of(argv[2]), 1, 60000, &budget_ms) < 0) {
		fprintf(stderr, "usage: bench_match [PAYLOAD.json [MILLISECONDS]]\n");
		return 2;
	}
	if (file_read(AT_FDCWD, argc > 1 ? argv[1] : "plugins/providers/samples/github/push.json", &json, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 1;
	}
	printf("%8s  %12s  %12s  %6s  %12s  %6s\n", "rules", "compile ms", "match ns", "ratio", "with why ns", "ratio");
	for (size_t i = 0; i < COUNT(sizes); i++) {
		int64_t begin = mono_ms();
		struct ruleset *rs = make(sizes[i]);
		int64_t compile_ms = mono_ms() - begin;
		double match = measure(rs, buf_slice(&json), 0, budget_ms), why = measure(rs, buf_slice(&json), 1, budget_ms);
		first = i ? first : match;
		first_why = i ? first_why : why;
		printf("%8d  %12lld  %12.0f  %6.2f  %12.0f  %6.2f\n", sizes[i], (long long)compile_ms, match, match / first, why, why / first_why);
		ruleset_unref(rs);
	}
	return 0;
}
