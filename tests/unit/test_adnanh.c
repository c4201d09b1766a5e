/* A hooks file of adnanh/webhook as rules: the forms of conditions, and what hostile files come to. tests/e2e/test_import.py holds
 * the two programs side by side. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "cli/adnanh.h"
#include "cli/yaml_read.h"
#include "no_leaks.h"

static const char *file_of(const struct adnanh *a, const char *path)
{
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->files[i].path, path))
			return a->files[i].text;
	return "";
}

struct rule_case {
	char rule[300];
	char want[200];         /* is in rules/x.lua */
};

ParameterizedTestParameters(adnanh, writes_conditions)
{
	static struct rule_case cases[] = {
		{ "{\"match\":{\"type\":\"value\",\"value\":\"a\",\"parameter\":{\"source\":\"payload\",\"name\":\"ref\"}}}", "when = { payload = { ref = \"a\" } }," },
		{ "{\"match\":{\"type\":\"value\",\"value\":7,\"parameter\":{\"source\":\"payload\",\"name\":\"a.0.end\"}}}", "payload = { [\"a[0].end\"] = { \"7\", 7 } }" },
		{ "{\"match\":{\"type\":\"value\",\"value\":\"007\",\"parameter\":{\"source\":\"payload\",\"name\":\"end\"}}}", "payload = { [\"end\"] = \"007\" }" },
		{ "{\"match\":{\"type\":\"value\",\"value\":\"a*\",\"parameter\":{\"source\":\"payload\",\"name\":\"root.2.x\"}}}", "payload = { [\"[2].x\"] = { eq = \"a*\" } }" },
		{ "{\"match\":{\"type\":\"value\",\"value\":\"\\\"]]\\n\",\"parameter\":{\"source\":\"header\",\"name\":\"X-A\"}}}", "header = { [\"x-a\"] = \"\\\"]]\\n\" }" },
		{ "{\"match\":{\"type\":\"regex\",\"regex\":\"^v\\\\d\",\"parameter\":{\"source\":\"query\",\"name\":\"v\"}}}", "query = { v = { re = [[^v\\d]] } }" },
		{ "{\"match\":{\"type\":\"regex\",\"regex\":\"(\",\"parameter\":{\"source\":\"payload\",\"name\":\"v\"}}}", "enabled = false" },
		{ "{\"match\":{\"type\":\"scalr-signature\",\"secret\":\"x\"}}", "enabled = false" },
		{ "{\"or\":[{\"match\":{\"type\":\"value\",\"value\":\"a\",\"parameter\":{\"source\":\"payload\",\"name\":\"\"}}}]}", "payload = { [\"[\\\"\\\"]\"] = \"a\" }" },
		{ "null", "when = \"always\"" }, { "[]", "enabled = false" }, { "3", "enabled = false" }, { "{\"and\":3}", "when = \"always\"" },
	};
	return cr_make_param_array(struct rule_case, cases, COUNT(cases));
}

ParameterizedTest(struct rule_case *c, adnanh, writes_conditions)
{
	CLEANUP(freep) char *text = xprintf("[{\"id\":\"x\",\"execute-command\":\"/bin/true\",\"trigger-rule\":%s}]", c->rule);
	json_t *hooks = json_loads(text, 0, NULL);
	struct adnanh made;
	struct err e;

	cr_assert_not_null(hooks, "%s", text);
	cr_assert_eq(adnanh_convert(hooks, "hooks.json", "hooks", &made, &e), 0, "%s", e.msg);
	cr_expect(strstr(file_of(&made, "rules/x.lua"), c->want), "%s", file_of(&made, "rules/x.lua"));
	adnanh_fini(&made);
	json_decref(hooks);
}

Test(adnanh, keeps_what_is_nested_without_end_within_its_bounds)
{
	struct buf text = BUF(BUF_UNLIMITED);
	struct adnanh made;
	struct err e;

	buf_adds(&text, "[{\"id\":\"x\",\"execute-command\":\"/bin/true\",\"trigger-rule\":");
	for (int i = 0; i < 500; i++)
		buf_adds(&text, i % 2 ? "{\"and\":[" : "{\"not\":");
	buf_adds(&text, "{}");
	for (int i = 500; i-- > 0;)
		buf_adds(&text, i % 2 ? "]}" : "}");
	buf_adds(&text, "}]");
	json_t *hooks = json_loadb(text.ptr, text.len, 0, NULL);
	cr_assert_not_null(hooks);
	cr_assert_eq(adnanh_convert(hooks, "h", "hooks", &made, &e), 0, "%s", e.msg);
	cr_expect(strstr(buf_cstr(&made.notes), "nested deeper than 32, or more than"), "%s", buf_cstr(&made.notes));
	adnanh_fini(&made);
	json_decref(hooks);
	buf_fini(&text);
	no_leaks();
}

Test(adnanh, takes_a_thousand_hooks_and_no_more)
{
	json_t *hooks = json_array();
	struct adnanh made;
	struct err e;

	for (int i = 0; i < ADNANH_HOOKS_MAX; i++)
		json_array_append_new(hooks, json_pack("{s:i}", "id", i));
	cr_assert_eq(adnanh_convert(hooks, "h", "hooks", &made, &e), 0, "%s", e.msg);
	cr_expect_eq(made.n_rules, (size_t)ADNANH_HOOKS_MAX);
	adnanh_fini(&made);
	json_array_append_new(hooks, json_pack("{s:s}", "id", "one more"));
	cr_assert_eq(adnanh_convert(hooks, "h", "hooks", &made, &e), -1);
	cr_expect(strstr(e.msg, "1001 hooks, the most is 1000"), "%s", e.msg);
	json_decref(hooks);
	no_leaks();
}

Test(yaml, reads_scalars_as_they_are_meant)
{
	json_t *v = NULL;
	struct err e;

	cr_assert_eq(yaml_read(SLICE("a: yes\nb: 'yes'\nc: 012\nd: ~\ne: [x, {f: \"\\n\"}]\n"), &v, &e), 0, "%s", e.msg);
	char *text = json_dumps(v, JSON_COMPACT | JSON_SORT_KEYS);
	cr_expect_str_eq(text, "{\"a\":true,\"b\":\"yes\",\"c\":\"012\",\"d\":null,\"e\":[\"x\",{\"f\":\"\\n\"}]}");
	free(text);
	json_decref(v);
	cr_expect_eq(yaml_read(SLICE(""), &v, &e), 0);
	json_decref(v);
	no_leaks();
}

Test(yaml, refuses_what_is_none_or_beyond_a_bound)
{
	struct buf text = BUF(BUF_UNLIMITED);
	json_t *v = NULL;
	struct err e;

	cr_expect_eq(yaml_read(SLICE("a: [b"), &v, &e), -1);
	cr_expect_eq(yaml_read(SLICE("? [a]\n: b\n"), &v, &e), -1);
	for (int depth = YAML_DEPTH_MAX; depth <= YAML_DEPTH_MAX + 1; depth++) {
		buf_clear(&text);
		for (int i = 0; i < depth; i++)
			buf_addc(&text, '[');
		for (int i = 0; i < depth; i++)
			buf_addc(&text, ']');
		int bad = yaml_read(buf_slice(&text), &v, &e);
		cr_expect_eq(bad, depth > YAML_DEPTH_MAX ? -1 : 0, "depth %d: %d", depth, bad);
		if (!bad)
			json_decref(v);
	}
	buf_fini(&text);
	no_leaks();
}
