/* cli/rules_graph.h - a directory's rules as they are listed and drawn: what triggers each, and whom it triggers. One thread. */
#pragma once
#include <jansson.h>

#include "base/buf.h"

struct listed_rule {
	const char *name, *file;        /* borrowed from the list, like all below */
	int line;
	const json_t *queue;            /* its `queue` as written; NULL */
	const char *shared_queue;       /* where that is a name: it; else NULL */
	int is_disabled;
	struct slice text;              /* as it is written */
	const json_t *value;            /* its table, as rules/node.h says */
};
struct listed_rules {
	json_t *root;
	struct listed_rule *list;
	size_t n;
};
void listed_rules_init(struct listed_rules *out, struct slice bundle);          /* of a directory that has passed the check */
void listed_rules_fini(struct listed_rules *l);
size_t listed_rule_triggers(const struct listed_rule *r);                       /* words of `on`, and of cron */
const char *listed_rule_trigger(const struct listed_rule *r, size_t i);
int listed_rule_is_scheduled(const struct listed_rule *r, size_t i);            /* trigger I is a cron expression */

void rules_graph_text(const struct listed_rules *l, struct buf *out);
void rules_graph_dot(const struct listed_rules *l, struct buf *out);
void rules_graph_json(const struct listed_rules *l, struct buf *out);           /* {"edges":[{"from","by","to"}…],"queues":{NAME:[rules]}}: FROM is a
	rule, left out where an event comes from without; queues: those that rules share */
