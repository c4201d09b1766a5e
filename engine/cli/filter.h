/* cli/filter.h - which deliveries: the options that `deliveries` and `replay` have in common. One thread. */
#pragma once
#include "cli/options.h"

struct filter {
	const char *source, *event, *repo, *branch, *matched, *since, *until;   /* as given; NULL: whatever it is */
};
#define FILTER_SPECS(f) \
	{ .name = "source", .value = &(f)->source }, { .name = "event", .letter = 'e', .value = &(f)->event }, \
	{ .name = "repo", .value = &(f)->repo }, { .name = "branch", .value = &(f)->branch }, \
	{ .name = "matched", .letter = 'm', .value = &(f)->matched }, { .name = "since", .value = &(f)->since }, \
	{ .name = "until", .value = &(f)->until }
#define FILTER_HELP \
	"      --source NAME     only those of one source\n" \
	"  -e, --event EVENT     push, or with its action pull_request.opened\n" \
	"      --repo REPO       as the sender writes it: acme/handbook\n" \
	"      --branch BRANCH   only those of one branch\n" \
	"  -m, --matched yes|no  only those that caused jobs, or caused none\n" \
	"      --since TIME      not before: 2h (ago), 2026-11-30, 2026-11-30T08:00 (here), 2026-11-30T08:00:00Z\n" \
	"      --until TIME      before\n"

int filter_is_empty(const struct filter *f);
/* "&source=github&since=1795500000000" appended to OUT, as the API takes it: times that are relative are so from now on.
 * EXIT_OK, or EXIT_USAGE having said what is wrong. */
int filter_query(const struct command *c, const struct filter *f, struct buf *out);
/* S as a value in an address: all but letters, digits and "-._~" as %XX (RFC 3986, section 2). */
void filter_add_escaped(struct slice s, struct buf *out);
