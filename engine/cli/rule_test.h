/* cli/rule_test.h - one test beside the rules: a fixture, and what must come of it. One thread.
 *
 *   tests/push.json           the delivery (rules/fixture.h)
 *   tests/push.expect.json    { "match": ["docs"],                  exactly these rules fire
 *                               "no_match": ["ci"],                 these do not; for when "match" is left out
 *                               "effects": { "docs": [ … ] },       exactly this is what the action of docs would do
 *                               "answers": { "docs": { "exec": [ { "code": 1, "out": "x" } ] } } }    what it is told meanwhile
 *
 * What the expectation leaves out is not looked at. */
#pragma once
#include "rules/fixture.h"
#include "rules/ruleset.h"

struct rule_test {
	char *name;                     /* "push", "gitlab/push" */
	char *path, *expect_path;
	int is_ok, is_written;          /* is_written: --update changed the expectation */
	struct buf what;                /* what is wrong, in lines; "" for nothing */
};
void rule_test_init(struct rule_test *t, const char *dir, const char *name);    /* DIR/tests/NAME.json */
void rule_test_fini(struct rule_test *t);

enum rule_test_mode { RULE_TEST_COMPARE, RULE_TEST_UPDATE };
/* Runs it: fills is_ok, is_written, what. UPDATE writes the parts that the expectation has, all of them where there is none. */
void rule_test_run(struct rule_test *t, const struct ruleset *rs, enum rule_test_mode mode);
